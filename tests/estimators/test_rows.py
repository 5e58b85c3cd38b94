"""The native passes over rows, against the formulas on the whole matrix."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import sparse
from scipy.special import log_softmax, rel_entr

import softgrad as sg
from softgrad import _native
from softgrad.estimators.rows import MemoryRows

SHAPES = [(1000, 30, 7), (3000, 54, 2), (777, 100, 26), (500, 16, 100), (50, 3, 3), (1500, 301, 10)]
STORES = [np.float64, np.float32, np.uint8, "csr", "csr32"]


class Whole:
    """The same sums over the matrix with a column of ones, in NumPy."""

    def __init__(self, rows, X, y, s):
        dense = X.toarray() if sparse.issparse(X) else X
        x = (np.asarray(dense, np.float64) - rows.mean) / rows.scale
        self.x = np.column_stack([x, np.ones(len(y))])
        self.y, self.s, self.binary = y, s, rows.n_outputs == 1

    def logits(self, w):
        z = self.x @ w
        return np.column_stack([np.zeros(len(z)), z]) if self.binary else z

    def sums(self, residual):
        out = self.x.T @ (residual * self.s[:, None])
        return out[:, 1:] if self.binary else out

    def one_hot(self):
        return np.eye(self.logits(np.zeros((self.x.shape[1], 1))).shape[1])[self.y]

    def loss_and_grad(self, w):
        log_p = log_softmax(self.logits(w), axis=1)
        loss = -(self.s * log_p[np.arange(len(self.y)), self.y]).sum()
        p = np.exp(log_p)
        return loss, self.sums(p - np.eye(p.shape[1])[self.y])

    def hessian_product(self, w, v):
        p, u = np.exp(log_softmax(self.logits(w), axis=1)), self.logits(v)
        return self.sums(p * (u - (p * u).sum(axis=1, keepdims=True)))

    def dual(self, w, d):
        p, u = np.exp(log_softmax(self.logits(w), axis=1)), self.logits(d)
        alpha = np.maximum(p + p * (u - (p * u).sum(axis=1, keepdims=True)), 0)
        alpha /= alpha.sum(axis=1, keepdims=True)
        log_q = log_softmax(self.logits(w + d), axis=1)
        divergence = (self.s[:, None] * rel_entr(alpha, np.exp(log_q))).sum()
        loss = -(self.s * log_q[np.arange(len(self.y)), self.y]).sum()
        log_sums = (self.s[:, None] * log_q).sum(axis=0)
        return divergence, loss, self.sums(alpha - np.eye(p.shape[1])[self.y]), log_sums


def make(rng, shape, store):
    n, n_features, n_classes = shape
    X = rng.standard_normal((n, n_features)) * rng.uniform(0.5, 4, n_features)
    if store in ("csr", "csr32"):
        X[rng.random(X.shape) < 0.8] = 0
        X = sparse.csr_array(X, dtype=np.float64 if store == "csr" else np.float32)
    elif store is np.uint8:
        X = np.abs(X * 20).clip(0, 255).astype(np.uint8)
    else:
        X = X.astype(store)
    y, s = rng.integers(0, n_classes, n), rng.random(n) + 0.01
    rows = MemoryRows(X, y, n_classes, sample_weight=s, centre=True)
    return rows, Whole(rows, X, y, s)


def close(got, true, tolerance):
    got, true = np.asarray(got), np.asarray(true)
    assert got.shape == true.shape
    assert np.abs(got - true).max() <= tolerance * np.abs(true).max()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("store", STORES)
def test_passes(rng, shape, store):
    rows, whole = make(rng, shape, store)
    size = (rows.n_features + 1, rows.n_outputs)
    w, v = rng.standard_normal(size) * 0.3, rng.standard_normal(size) * 0.2
    loss, grad = whole.loss_and_grad(w)

    kept = np.empty((rows.n_rows, rows.n_outputs), np.float32)
    got = np.ones(size)  # passes add
    assert rows.loss_and_grad(w, got, kept) == pytest.approx(loss, rel=1e-13)
    close(got - 1, grad, 1e-13)
    p = np.exp(log_softmax(whole.logits(w), axis=1))
    assert np.abs(kept - p[:, -rows.n_outputs :]).max() < 1e-7

    product = whole.hessian_product(w, v)
    for probabilities in (kept, None):
        for single in (False, True) if not rows.sparse else (False,):
            got = np.ones(size)
            rows.native.hessian_product(v, got, probabilities, w, single)
            kept_only = probabilities is not None
            close(got - 1, product, 4e-6 if single else 1e-7 if kept_only else 1e-12)

    q = p * (1 - p) * whole.s[:, None]
    q = q[:, -rows.n_outputs :]
    for probabilities in (kept, None):
        first, second = rows.moments(w, probabilities)
        close(first, whole.x.T @ q, 1e-5)
        close(second, (whole.x**2).T @ q, 1e-5)

    divergence, loss, grad, log_sums = whole.dual(w, v)
    got, got_logs = np.zeros(size), np.zeros(p.shape[1])
    got_divergence, got_loss = rows.dual(w, v, got, got_logs)
    assert got_divergence == pytest.approx(divergence, rel=1e-11)
    assert got_loss == pytest.approx(loss, rel=1e-13)
    close(got, grad, 1e-12)
    close(got_logs, log_sums, 1e-12)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("shape", [(20_000, 33, 5), (9000, 20, 2), (12_000, 10, 300)])
def test_threads_change_no_bit_and_neither_does_fma_width(rng, shape, store):
    rows, _ = make(rng, shape, store)
    size = (rows.n_features + 1, rows.n_outputs)
    w, v = rng.standard_normal(size) * 0.3, rng.standard_normal(size)
    kept = np.empty((rows.n_rows, rows.n_outputs), np.float32)

    def everything():
        results = [np.zeros(size) for _ in range(3)]
        loss = rows.loss_and_grad(w, results[0], kept)
        rows.hessian_product(v, results[1], kept, w)
        divergence = rows.dual(w, v, results[2], np.zeros(max(2, rows.n_outputs)))
        return [loss, divergence, kept.tobytes(), *(r.tobytes() for r in results)]

    with sg.num_threads(1):
        one = everything()
    for threads in (2, 5):
        with sg.num_threads(threads):
            assert everything() == one
    used = _native.instruction_set()
    try:
        for name in {"avx2", "avx512"} & set(_native.available_instruction_sets()):
            if used in ("avx2", "avx512"):
                _native.set_instruction_set(name)
                assert everything() == one
    finally:
        _native.set_instruction_set(used)


@pytest.mark.parametrize("store", [np.float32, "csr"])
def test_several_python_threads_share_one_object(rng, store):
    """Passes of different kinds at once on the same rows: the bits of one after the other."""
    rows, _ = make(rng, (3000, 40, 6), store)
    size = (rows.n_features + 1, rows.n_outputs)
    w, v = rng.standard_normal(size) * 0.3, rng.standard_normal(size)

    def loss():
        gradient = np.zeros(size)
        return rows.loss_and_grad(w, gradient, None), gradient.tobytes()

    def product():
        result = np.zeros(size)
        rows.hessian_product(v, result, None, w)
        return result.tobytes()

    def dual():
        gradient, logs = np.zeros(size), np.zeros(rows.n_outputs)
        return rows.dual(w, v, gradient, logs), gradient.tobytes(), logs.tobytes()

    passes = [loss, product, dual]
    alone = [run() for run in passes]
    start = threading.Barrier(4)

    def work(first):
        start.wait()
        return [(k, passes[k]()) for k in ((first + i) % 3 for i in range(30))]

    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(work, range(4)):
            assert all(bits == alone[k] for k, bits in got)


def test_what_could_read_outside_is_refused(rng):
    X = rng.standard_normal((4, 3))
    y = np.array([0, 1, 2, 0])
    none = (None, None, 3, None, None)

    def rows(values=X, layout=none, target=y, weight=None, outputs=3):
        return _native.LinearRows(values, *layout, target, weight, outputs)

    for target in (np.array([0, 1, 3, 0]), np.array([0, -1, 2, 0]), np.array([0, 1, 2])):
        with pytest.raises(ValueError, match="target"):
            rows(target=target)
    with pytest.raises(TypeError, match="target"):
        rows(target=y.astype(np.int32))
    with pytest.raises(ValueError, match="features"):
        rows(layout=(None, None, 4, None, None))
    with pytest.raises(ValueError, match="side by side"):
        rows(np.asfortranarray(X))
    with pytest.raises(TypeError, match="uint8"):
        rows(X.astype(np.int64))
    with pytest.raises(ValueError, match="length"):
        rows(weight=np.ones(3))
    index = (np.zeros(2, np.int64), np.zeros(0, np.int64))
    for features in (2**62, 2**63 - 1):
        with pytest.raises(ValueError, match="too many"):
            rows(np.zeros(0), (*index, features, None, None), y[:1])
    csr = sparse.csr_array(X)
    good = [csr.indptr.copy(), csr.indices.copy()]
    for which, at, value in ((0, 1, 90), (0, -1, 13), (0, 0, -1), (1, 2, 3), (1, 2, -1)):
        bad = [part.copy() for part in good]
        bad[which][at] = value
        with pytest.raises(ValueError, match="CSR"):
            rows(csr.data, (*bad, 3, None, None))
    made = rows()
    with pytest.raises(ValueError, match="shape"):
        made.loss_and_grad(np.zeros((3, 3)), np.zeros((4, 3)), None, False)
    with pytest.raises(ValueError, match="shape"):
        made.loss_and_grad(np.zeros((4, 3)), np.zeros((4, 3)), np.zeros((3, 3), np.float32), False)
    frozen = np.zeros((4, 3))
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        made.loss_and_grad(np.zeros((4, 3)), frozen, None, False)
    with pytest.raises(ValueError, match="double"):
        rows(csr.data, (*good, 3, None, None)).loss_and_grad(
            np.zeros((4, 3)), np.zeros((4, 3)), None, True
        )


@pytest.mark.parametrize("kept", [True, False])
def test_samples_of_each_output_stand_for_its_curvature(rng, kept, monkeypatch):
    N, D, K = 4000, 5, 3
    X = rng.normal(size=(N, D)) * [1, 1, 1, 30, 0.1] + [0, 5, 0, 0, 1]
    y = rng.integers(0, K, N)
    s = rng.random(N)
    s[:1000] = 0.0
    rows = MemoryRows(X, y, K, sample_weight=s, centre=True)
    w = rng.normal(size=(D + 1, K)) * 3  # confident: a class bends in few rows
    probabilities = np.empty((N, K), np.float32)
    rows.loss_and_grad(w, np.zeros_like(w), probabilities)
    x = (X - rows.mean) / rows.scale
    p = probabilities.astype(float)
    q = p * (1 - p) * s[:, None]
    exact = np.einsum("ik,id,ie->kde", q, x, x)
    found, drawn = np.zeros_like(exact), []
    monkeypatch.setattr("softgrad.estimators.rows._SAMPLED_AT_A_TIME", 0)  # 64 rows
    repeats = 40
    for _ in range(repeats):
        samples = rows.class_samples(300, w, probabilities if kept else None, rng)
        for k in range(K):
            parts = list(samples(k))
            assert len(parts) > 1 or not kept
            xk, qk = (np.concatenate(of_parts) for of_parts in zip(*parts, strict=True))
            assert xk.dtype == np.float32
            drawn.append(np.count_nonzero(qk))
            found[k] += np.einsum("i,id,ie->de", qk, xk.astype(float), xk.astype(float))
    found /= repeats
    scale = np.sqrt(np.einsum("kdd,kee->kde", exact, exact))
    assert (np.abs(found - exact) < 0.1 * scale).all()
    assert 100 < np.mean(drawn) < 400


def test_rough_values_of_a_path_are_close_and_the_function_itself_is_exact(rng):
    X, y = rng.normal(size=(3000, 20)), rng.integers(0, 5, 3000)
    objective = sg.SoftmaxRegression(C=10.0).objective(X, y)
    x = rng.normal(size=objective.start().shape)
    exact, _ = objective.value_and_grad(x)
    shift = 99.0 * objective._penalty(x)
    objective.strengthen(100.0)
    rough, _ = objective.value_and_grad(x)
    assert rough != exact + shift
    assert rough == pytest.approx(exact + shift, rel=1e-6)
    objective.strengthen(1.0)
    assert objective.value_and_grad(x)[0] == exact


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [2, 10])
def test_a_matrix_by_columns_has_the_same_sums(rng, dtype, n_classes):
    n_rows, n_features = 2000, 3000 if n_classes > 2 else 9000
    X = sparse.random(n_rows, n_features, 0.007, "csr", dtype=dtype, random_state=rng)
    y = rng.integers(0, n_classes, n_rows)
    outputs = 1 if n_classes == 2 else n_classes
    s = rng.random(n_rows)
    w, v = rng.standard_normal((2, n_features + 1, outputs))
    sums = []
    for often in (False, True):
        rows = _native.LinearRows(
            X.data, X.indptr, X.indices, n_features, None, None, y, s, outputs, often=often
        )
        for threads in (1, 2):
            out = np.ones((5, n_features + 1, outputs))
            log_q = np.zeros(n_classes)
            with sg.num_threads(threads):
                loss = rows.loss_and_grad(w, out[0], None, False)
                rows.hessian_product(v, out[1], None, w, False)
                rows.moments(w, None, out[2], False)
                rows.moments(w, None, out[3], True)
                dual = rows.dual(w, v, out[4], log_q)
            sums.append(np.concatenate([out.ravel(), log_q, [loss, *dual]]))
    by_rows, by_columns = sums[0], sums[2]
    assert by_columns.tobytes() == sums[3].tobytes()  # one thread or two
    assert (by_rows != by_columns).any()  # another order of sums: the columns were used
    size = np.abs(by_rows).max()
    assert np.abs(by_rows - by_columns).max() < 1e-13 * size
    np.testing.assert_allclose(by_columns, by_rows, rtol=1e-9, atol=1e-13)
