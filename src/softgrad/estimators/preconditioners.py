"""Approximations of the Hessian of softmax regression that are cheap to invert.

With q_ik = s_i p_ik (1 - p_ik) / S, the block of class k of the Hessian is

    M_k = sum_i q_ik (x_i - mu_k)(x_i - mu_k)^T + diag(l2)        mu_k = sum_i q_ik x_i / sum_i q_ik

for the weights, once the intercept is counted at the centre mu_k, where its own curvature is
sum_i q_ik and nothing couples the two.

    FullHessian   all of it, for few parameters: conjugate gradients then end at once
    ClassBlocks   M_k of rows drawn for class k, a Cholesky factor for each class
    Diagonal      the diagonals of the M_k, of all rows: for CSR, for very many features or classes
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from scipy import linalg

from softgrad._threads import get_num_threads
from softgrad.estimators.rows import ClassSamples, Float, Kept, Rows, Sample

_FULL_PARAMETERS = 150
_FULL_ROWS = 50_000
_BLOCK_FEATURES = 2000
_BLOCK_CLASSES = 100
_LEAST_SAMPLE = 2000
_ALL_ROWS = 2000  # so few are not worth a choice
_SAMPLE_PER_FEATURE = 4
_STEPS_TO_COME = 4
_TINY = 1e-14
_STRIP = 1 << 15


class Preconditioner(Protocol):
    """An approximate inverse of the Hessian."""

    @property
    def cost(self) -> float:
        """Of a build, in Hessian products."""

    def build(
        self, at: Float, kept: Kept | None, l2: Float, *, finer: bool, spent: float
    ) -> None: ...
    def __call__(self, residual: Float, /) -> Float: ...


def choose(rows: Rows) -> str:
    """The name of the solver for data of this shape."""
    parameters = rows.n_outputs * (rows.n_features + 1)
    if not rows.sparse:
        if parameters <= _FULL_PARAMETERS and rows.n_rows <= _FULL_ROWS:
            return "newton-full"
        if (
            rows.n_features < rows.n_rows
            and rows.n_features <= _BLOCK_FEATURES
            and rows.n_outputs <= _BLOCK_CLASSES
        ):
            return "newton-blocks"
    return "newton-diagonal"


class FullHessian:
    """The Hessian itself, of all rows."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        # K (D + 1) flops squared per row, against 4 K D for a product
        self.cost = rows.n_outputs * (rows.n_features + 1) / 4

    def build(self, at: Float, kept: Kept | None, l2: Float, *, finer: bool, spent: float) -> None:
        rows = self.rows
        D, K = rows.n_features + 1, rows.n_outputs
        # Parameters class by class here: index k * D + d.
        H = np.zeros((K * D, K * D))
        for where, block, weight in rows.blocks():
            p = rows.probabilities(where, block, at, kept)
            x = np.concatenate((block, np.ones((len(block), 1))), axis=1)
            s = np.ones(len(block)) if weight is None else weight
            pk = p.T * s
            if K == 1:
                H += (x.T * (pk[0] * (1.0 - p[:, 0]))) @ x
                continue
            px = (p[:, :, None] * x[:, None, :]).reshape(len(block), -1)
            H -= (px * s[:, None]).T @ px
            own = (pk[:, None, :] * x.T) @ x  # (K, D, D)
            for k in range(K):
                H[k * D : (k + 1) * D, k * D : (k + 1) * D] += own[k]
        H /= rows.total_weight
        weights = (np.arange(K)[:, None] * D + np.arange(D - 1)).ravel()
        H[weights, weights] += np.tile(l2, K)
        diagonal = H.diagonal().copy()
        if K > 1:
            # The same change of all classes changes nothing: give that direction some curvature.
            mean = diagonal.reshape(K, D).mean(axis=0)
            for k in range(K):
                for j in range(K):
                    at_d = np.arange(D)
                    H[k * D + at_d, j * D + at_d] += mean / K
        scale = 1.0 / np.sqrt(np.maximum(H.diagonal(), _TINY))
        H *= scale[:, None]
        H *= scale
        # Used tens of times for each build, and so small that calls are what costs.
        inverse = linalg.cho_solve(_factor(H, 1e-14), np.diag(scale), check_finite=False)
        self.inverse = inverse * scale[:, None]

    def __call__(self, residual: Float, /) -> Float:
        z = self.inverse @ residual.T.ravel()
        return _centred(z.reshape(residual.shape[1], -1).T)


class ClassBlocks:
    """One block for each class, of rows drawn for it, more of them when they prove too few."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.n = min(rows.n_rows, max(_LEAST_SAMPLE, _SAMPLE_PER_FEATURE * rows.n_features))
        self.rng = np.random.default_rng(0)
        self.blocks: list[_Block] = []
        self.in_parallel = rows.n_features * rows.n_features * rows.n_outputs > 1 << 20

    @property
    def cost(self) -> float:
        return self._cost(self.n)

    def _cost(self, n: int) -> float:
        """By a model of both times, in seconds: a clock would make the path depend on the day."""
        N, D, K = self.rows.n_rows, self.rows.n_features, self.rows.n_outputs
        product = 1e-4 + 4.0 * N * D * (K + 8) / 7e10
        build = 2e-4 * K + 2e-9 * N * (D + 4 * K) + K * D * D * (n + D / 3) / 4e10
        return build / product

    def build(self, at: Float, kept: Kept | None, l2: Float, *, finer: bool, spent: float) -> None:
        rows = self.rows
        # What a larger sample costs has to be little beside the products it may save: those of
        # this step, and of some to come.
        if finer and self.n < rows.n_rows and self._cost(2 * self.n) <= _STEPS_TO_COME * spent:
            self.n = min(rows.n_rows, 2 * self.n)
        self.blocks = []  # the old factors and the new ones at once would be twice the memory
        if rows.n_rows <= _ALL_ROWS:
            samples = _all_rows(rows, at, kept)
        else:
            samples = rows.class_samples(self.n, at, kept, self.rng)

        def block(k: int) -> _Block:
            share = 1.0 / rows.total_weight
            return _Block(((x, q * share + _TINY / rows.n_rows) for x, q in samples(k)), l2)

        self.blocks = _mapped(block, range(rows.n_outputs), self.in_parallel)
        if rows.n_features <= 64:
            self.inverses = np.stack([block.inverse() for block in self.blocks])
            self.means = np.stack([block.mean for block in self.blocks], axis=1)
            self.curvatures = np.array([block.curvature for block in self.blocks])

    def __call__(self, residual: Float, /) -> Float:
        if self.rows.n_features <= 64:
            r = residual[:-1] - self.means * residual[-1]
            w = np.matmul(self.inverses, r.T[:, :, None])[:, :, 0].T
            b = residual[-1] / self.curvatures - np.einsum("dk,dk->k", self.means, w)
            return _centred(np.concatenate((w, b[None])))
        solved = _mapped(
            lambda k: self.blocks[k].solve(residual[:, k]),
            range(residual.shape[1]),
            self.in_parallel,
        )
        return _centred(np.stack(solved, axis=1))


class _Block:
    """M_k of some rows, in float32 after scaling to a unit diagonal."""

    def __init__(self, samples: Iterable[Sample], l2: Float) -> None:
        self.curvature = 0.0
        first = np.zeros(len(l2))
        sums = np.zeros((len(l2), len(l2)), np.float32, order="F")
        for x, q in samples:
            self.curvature += float(q.sum())
            first += x.T @ q.astype(np.float32)
            weighted = x * np.sqrt(q).astype(np.float32)[:, None]
            sums = linalg.blas.ssyrk(1.0, weighted.T, 1.0, sums, lower=0, overwrite_c=1)
        self.mean: Float = first / self.curvature
        gram = sums.astype(np.float64)
        del sums
        gram = linalg.blas.dger(-self.curvature, self.mean, self.mean, a=gram, overwrite_a=1)
        diagonal = np.maximum(gram.diagonal(), 0.0) + l2
        self.scale = 1.0 / np.sqrt(np.maximum(diagonal, _TINY))
        gram *= self.scale[:, None]
        gram *= self.scale
        np.fill_diagonal(gram, np.where(diagonal > _TINY, 1.0, 1.0 + _TINY))
        self.factor = _factor(gram.astype(np.float32), 1e-7)

    def solve(self, residual: Float) -> Float:
        r = (residual[:-1] - self.mean * residual[-1]) * self.scale
        w = linalg.cho_solve(self.factor, r.astype(np.float32), check_finite=False) * self.scale
        b = residual[-1] / self.curvature - float(self.mean @ w)
        return np.append(w, b)

    def inverse(self) -> Float:
        eye = np.eye(len(self.scale), dtype=np.float32)
        inverse = linalg.cho_solve(self.factor, eye, check_finite=False).astype(np.float64)
        inverse = (inverse + inverse.T) / 2
        scaled: Float = inverse * self.scale[:, None] * self.scale
        return scaled


class Diagonal:
    """The diagonals of the blocks, of all rows."""

    cost = 3.0

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._out: Float | None = None

    def build(self, at: Float, kept: Kept | None, l2: Float, *, finer: bool, spent: float) -> None:
        first, second = self.rows.moments(at, kept)
        total = self.rows.total_weight
        curvature = np.maximum(first[-1], _TINY * total)
        self.mean = first[:-1] / curvature
        spread = np.maximum(second[:-1] - first[:-1] * self.mean, 0.0) / total
        spread += l2[:, None]
        self.inverse = 1.0 / np.maximum(spread, _TINY * spread.max(initial=_TINY))
        self.curvature = curvature / total

    def __call__(self, residual: Float, /) -> Float:
        """The result is overwritten by the next call: a fresh array of this size is slow."""
        if self._out is None or self._out.shape != residual.shape:
            self._out = np.empty_like(residual)
        z, intercept = self._out, residual[-1]
        moved = np.zeros_like(intercept)
        n_features, n_outputs = self.mean.shape
        # In strips that stay in the cache, and there without a loop over rows of a few classes.
        strip = max(1, min(n_features, _STRIP // n_outputs))
        intercepts = np.tile(intercept, (strip, 1))
        products = np.empty_like(intercepts)
        ones = np.ones(max(strip, n_outputs))
        for start in range(0, n_features, strip):
            rows = slice(start, min(start + strip, n_features))
            part, mean = z[rows], self.mean[rows]
            n = len(part)
            np.multiply(mean, intercepts[:n], out=part)
            np.subtract(residual[rows], part, out=part)
            np.multiply(part, self.inverse[rows], out=part)
            np.multiply(mean, part, out=products[:n])
            moved += ones[:n] @ products[:n]
            if n_outputs > 1:
                part -= (part @ ones[:n_outputs] / n_outputs)[:, None]
        z[-1] = intercept / self.curvature - moved
        _centred(z[-1:])
        return z


SOLVERS: dict[str, Callable[[Rows], Preconditioner]] = {
    "newton-full": FullHessian,
    "newton-blocks": ClassBlocks,
    "newton-diagonal": Diagonal,
}


def _centred(z: Float) -> Float:
    """Without the part that is the same for all classes: it changes no probability."""
    if z.shape[1] > 1:
        z -= z.mean(axis=1, keepdims=True)
    return z


def _factor(matrix: Any, ridge: float) -> Any:
    """A Cholesky factor, with as much added to the diagonal as rounding makes necessary."""
    at = np.diag_indices(len(matrix))
    diagonal = matrix[at].copy()
    while True:
        matrix[at] = diagonal + ridge
        try:
            return linalg.cho_factor(matrix, lower=False, check_finite=False)
        except linalg.LinAlgError:
            ridge *= 30.0


def _all_rows(rows: Rows, at: Float, kept: Kept | None) -> ClassSamples:
    xs, curvatures = [], []
    for where, block, weight in rows.blocks():
        p = rows.probabilities(where, block, at, kept)
        p *= 1.0 - p
        curvatures.append(p if weight is None else p * weight[:, None])
        xs.append(block.astype(np.float32))
    x, curvature = np.concatenate(xs), np.concatenate(curvatures)
    return lambda k: iter(((x, curvature[:, k]),))


def _mapped(work: Any, items: range, in_parallel: bool) -> list[Any]:
    threads = min(get_num_threads(), len(items))
    if not in_parallel or threads <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads, thread_name_prefix="softgrad") as pool:
        return list(pool.map(work, items))
