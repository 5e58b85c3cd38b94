"""partial_fit: one pass over a stream comes close to a fit of all rows, whatever their units."""

from __future__ import annotations

import copy
import csv
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.linear_model import SGDClassifier

from softgrad import SoftmaxRegression
from softgrad.modelfile import TrainedOn, load_model, save_model

LETTER = Path(__file__).parents[3] / "shared" / "data" / "letter" / "letter-recognition.data"


def shuffled(load):
    X, y = load(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


def streamed(X, y, rows, model=None, weight=None):
    model = SoftmaxRegression() if model is None else model
    classes = np.unique(y)
    for start in range(0, len(y), rows):
        chunk = slice(start, start + rows)
        s = None if weight is None else weight[chunk]
        model.partial_fit(X[chunk], y[chunk], classes=classes, sample_weight=s)
    return model


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_digits])
@pytest.mark.parametrize("rows", [7, 50, 1000])
def test_one_pass_comes_close_to_a_fit(load, rows):
    """Unscaled tables, on which stochastic gradients learn next to nothing."""
    X, y = shuffled(load)
    train = 3 * len(y) // 4
    model = streamed(X[:train], y[:train], rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = SoftmaxRegression().fit(X[:train], y[:train])
    assert model.score(X[train:], y[train:]) >= batch.score(X[train:], y[train:]) - 0.03
    assert model.n_iter_ == -(-train // rows)


@pytest.mark.skipif(not LETTER.exists(), reason="no shared/data/letter beside the repository")
def test_letter_within_two_points_of_a_fit_and_far_from_stochastic_gradients():
    with LETTER.open() as file:
        table = list(csv.reader(file))[1:]
    X = np.array([row[1:] for row in table], dtype=float)
    y = np.array([row[0] for row in table])
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order], y[order]
    model = streamed(X[:16_000], y[:16_000], 1000)
    gradients = streamed(X[:16_000], y[:16_000], 1000, SGDClassifier(loss="log_loss"))
    score = model.score(X[16_000:], y[16_000:])
    assert score > 0.765  # the fit of all rows: 0.786
    assert score > gradients.score(X[16_000:], y[16_000:]) + 0.2


def test_units_and_offsets_do_not_matter():
    X, y = shuffled(load_wine)
    units = 10.0 ** np.linspace(-6, 6, X.shape[1])
    # Without a penalty: it alone has a unit.
    plain = streamed(X, y, 40, SoftmaxRegression(np.inf))
    other = streamed(X * units + 1e3 * units, y, 40, SoftmaxRegression(np.inf))
    assert np.allclose(
        plain.predict_proba(X), other.predict_proba(X * units + 1e3 * units), atol=1e-5
    )


def test_a_single_chunk_is_nearly_the_fit_and_the_penalty_counts():
    X, y = shuffled(load_iris)
    for C in (1e-4, 1e-3):
        one = SoftmaxRegression(C).partial_fit(X, y, classes=[0, 1, 2])
        fit = SoftmaxRegression(C).fit(X, y)
        size = np.abs(fit.coef_).max()
        assert np.abs(one.coef_ - fit.coef_).max() < 0.1 * size


def test_weights_count_like_repetitions():
    X, y = shuffled(load_iris)
    weight = np.random.default_rng(1).integers(0, 4, len(y)).astype(float)
    model = SoftmaxRegression().partial_fit(X, y, [0, 1, 2], sample_weight=weight)
    repeated = np.repeat(np.arange(len(y)), weight.astype(int))
    other = SoftmaxRegression().partial_fit(X[repeated], y[repeated], [0, 1, 2])
    assert np.allclose(model.predict_proba(X), other.predict_proba(X), atol=1e-3)
    by_class = SoftmaxRegression(class_weight={0: 5.0}).partial_fit(X, y, [0, 1, 2])
    by_row = SoftmaxRegression().partial_fit(X, y, [0, 1, 2], np.where(y == 0, 5.0, 1.0))
    assert by_class.coef_.tobytes() == by_row.coef_.tobytes()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_sparse_streams(n_classes):
    rng = np.random.default_rng(0)
    X = rng.random((3000, 40)) * (rng.random((3000, 40)) < 0.15)
    y = (X @ rng.standard_normal((40, n_classes)) * 20).argmax(axis=1)
    model = streamed(sparse.csr_matrix(X), y, 200)
    assert model.score(sparse.csr_matrix(X), y) > 0.85
    dense_chunk = model.partial_fit(X[:50], y[:50])
    assert dense_chunk.coef_.shape == ((1 if n_classes == 2 else 3), 40)
    mixed = streamed(X, y, 200).partial_fit(sparse.csc_matrix(X[:50]), y[:50])
    assert mixed.score(X, y) > 0.85


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_matrix])
def test_storage_does_not_change_the_model(dtype, convert):
    X, y = shuffled(load_digits)
    X = 15 * X  # 0..240: the squares of the type overflow
    stored = streamed(convert(X.astype(dtype)), y, 300)
    plain = streamed(convert(X), y, 300)
    assert np.allclose(stored.predict_proba(X), plain.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_blocks_too_large_for_memory_become_a_diagonal(monkeypatch, fit_intercept):
    from softgrad.estimators import stream

    X, y = shuffled(load_digits)
    monkeypatch.setattr(stream, "_MOST_IN_BLOCKS", 1000)
    model = streamed(X[:1400], y[:1400], 100, SoftmaxRegression(fit_intercept=fit_intercept))
    assert not model._stream.blocks
    assert model.score(X[1400:], y[1400:]) > 0.9
    assert (model.intercept_ == 0).all() is not fit_intercept


def test_single_precision_curvature_is_enough(monkeypatch):
    from softgrad.estimators import stream

    X, y = shuffled(load_digits)
    double = streamed(X[:1400], y[:1400], 100)
    monkeypatch.setattr(stream, "_MOST_IN_DOUBLE", 0)
    single = streamed(X[:1400], y[:1400], 100)
    assert single._stream.curvature.dtype == np.float32
    assert np.allclose(single.predict_proba(X), double.predict_proba(X), atol=2e-3)


def test_after_fit_a_few_rows_change_little_and_many_go_on():
    X, y = shuffled(load_wine)
    model = SoftmaxRegression().fit(X[:120], y[:120])
    coef = model.coef_.copy()
    model.partial_fit(X[:3], y[:3])
    assert np.abs(model.coef_ - coef).max() < 0.05 * np.abs(coef).max()
    for of_fit_alone in ("solution_", "objective_", "gap_", "solver_"):
        assert not hasattr(model, of_fit_alone)
    for start in range(120, len(y), 10):
        model.partial_fit(X[start : start + 10], y[start : start + 10])
    assert model.score(X, y) > 0.95
    again = model.fit(X[:60], y[:60])
    fitted = again.coef_.copy()
    again.partial_fit(X[:3], y[:3])
    assert (again.coef_ != fitted).any()
    assert np.abs(again.coef_ - fitted).max() < 0.05 * np.abs(fitted).max()


def test_a_stream_can_be_pickled_copied_and_saved(tmp_path):
    X, y = shuffled(load_iris)
    model = SoftmaxRegression().partial_fit(X[:80], y[:80], [0, 1, 2])
    others = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    model.partial_fit(X[80:], y[80:])
    for other in others:
        other.partial_fit(X[80:], y[80:])
        assert other.coef_.tobytes() == model.coef_.tobytes()
    save_model(model, tmp_path / "m", TrainedOn("t", 150))
    loaded, _ = load_model(tmp_path / "m")
    assert loaded.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()


def test_what_is_refused():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        SoftmaxRegression().partial_fit(X, y)
    with pytest.raises(ValueError, match="label 2, which is none of the classes"):
        SoftmaxRegression().partial_fit(X, y, [0, 1])
    model = SoftmaxRegression().partial_fit(X, y, [0, 1, 2])
    with pytest.raises(ValueError, match=r"classes=\[0, 1\] is not the same"):
        model.partial_fit(X, y, [0, 1])
    with pytest.raises(ValueError, match="3 features, but SoftmaxRegression is expecting 4"):
        model.partial_fit(X[:, :3], y)
    with pytest.raises(ValueError, match="only one class"):
        SoftmaxRegression().partial_fit(X, np.zeros(150, int), [0])
    with pytest.raises(ValueError, match="'balanced' needs all labels at once"):
        SoftmaxRegression(class_weight="balanced").partial_fit(X, y, [0, 1, 2])
    with pytest.raises(ValueError, match="C must be"):
        SoftmaxRegression(C=-1).partial_fit(X, y, [0, 1, 2])


def test_chunks_that_lack_classes_and_constant_columns():
    X, y = load_iris(return_X_y=True)  # in the order of its classes: the worst stream
    X = np.column_stack((X, np.ones(150)))
    model = streamed(X, y, 10)
    assert np.isfinite(model.coef_).all()
    assert model.score(X, y) > 0.6
