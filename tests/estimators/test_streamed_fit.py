"""Data larger than memory: the same optimum, the same bits whatever the batches, little memory."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from softgrad.data import DataError
from softgrad.data.batches import ArrayBatches, CsvBatches, as_batches
from softgrad.estimators import SoftmaxRegression
from softgrad.estimators.streamed_rows import StreamedRows

DATA = [(load_digits, 0.01), (load_wine, 1.0), (load_breast_cancer, 1.0)]


def cut(X, y, sizes, weight=None):
    bounds = np.cumsum([0, *sizes, len(y) - sum(sizes)])
    ranges = [slice(a, b) for a, b in itertools.pairwise(bounds)]
    if weight is None:
        return [(X[rows], y[rows]) for rows in ranges]
    return [(X[rows], y[rows], weight[rows]) for rows in ranges]


@pytest.mark.parametrize(("load", "C"), DATA)
@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 3.0}])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_same_optimum_as_in_memory(load, C, as_sparse, class_weight, fit_intercept, rng):
    X, y = load(return_X_y=True)
    X = sparse.csr_array(X) if as_sparse else X
    s = rng.integers(1, 3, len(y)).astype(float)
    options = {"tol": 1e-9, "class_weight": class_weight, "fit_intercept": fit_intercept}
    memory = SoftmaxRegression(C, **options).fit(X, y, sample_weight=s)
    streamed = SoftmaxRegression(C, **options).fit(cut(X, y, [50, 1, 70], s))
    assert streamed.objective_ == pytest.approx(memory.objective_, rel=2e-9)
    assert streamed.gap_ <= 1e-9
    assert streamed.classes_.tolist() == memory.classes_.tolist()
    assert np.abs(streamed.predict_proba(X) - memory.predict_proba(X)).max() < 1e-4


@pytest.mark.parametrize("as_sparse", [False, True])
def test_sums_that_the_certificate_needs(as_sparse, rng):
    """Class weights move the weighted sum of the rows away from zero."""
    X, y = load_wine(return_X_y=True)
    s = rng.random(len(y)) + 0.1
    stored = sparse.csr_array(X) if as_sparse else X
    source = as_batches(cut(stored, y, [50, 70], s))
    rows = StreamedRows(source, class_weight={0: 5.0}, centre=True)
    weight = s * np.where(y == 0, 5.0, 1.0)
    expected = weight @ ((X - rows.mean) / rows.scale)
    assert np.abs(rows.sum_of_rows - expected).max() <= 1e-12 * np.abs(expected).max()
    assert np.abs(expected).max() > 1.0
    assert rows.least_weight == weight.min()
    assert rows.class_weights == pytest.approx(np.bincount(y, weight), rel=1e-13)


def test_no_bit_depends_on_the_batches(rng):
    X, y = rng.standard_normal((3000, 40)), rng.integers(0, 3, 3000)
    X[:, 3] += y
    fits = [
        SoftmaxRegression().fit(batches)
        for batches in (
            cut(X, y, [5, 1000]),
            ArrayBatches(X, y, batch_rows=17),
            ArrayBatches(X, y),
        )
    ]
    assert len({model.coef_.tobytes() + model.intercept_.tobytes() for model in fits}) == 1


def test_samples_of_large_data_serve_as_well(rng):
    """More rows than the preconditioner's sample, so that rows are drawn while they pass by."""
    X = rng.standard_normal((30_000, 30)) * 10.0 ** rng.integers(-3, 4, 30)
    y = np.argmax(X / X.std(axis=0) @ rng.standard_normal((30, 6)) + rng.gumbel(size=6), axis=1)
    model = SoftmaxRegression(1.0).fit(ArrayBatches(X, y))
    assert model.solver_ == "newton-blocks"
    assert model.gap_ <= 1e-6
    assert model.solution_.products < 300
    memory = SoftmaxRegression(1.0).fit(X, y)
    assert model.objective_ == pytest.approx(memory.objective_, rel=2e-6)


def test_names_of_columns_come_with_a_file(tmp_path: Path):
    pytest.importorskip("pyarrow", reason="pip install softgrad[parquet]")
    file = tmp_path / "flowers.csv"
    rows = [f"{i % 7},{i % 3},{'ab'[i % 2]}" for i in range(60)]
    file.write_text("length,width,kind\n" + "\n".join(rows) + "\n")
    model = SoftmaxRegression().fit(CsvBatches(file, "kind"))
    assert model.feature_names_in_.tolist() == ["length", "width"]
    assert model.classes_.tolist() == ["a", "b"]


def test_what_cannot_be_streamed_is_said():
    X, y = load_wine(return_X_y=True)
    with pytest.raises(DataError, match="only once"):
        SoftmaxRegression().fit(pair for pair in cut(X, y, [50]))
    with pytest.raises(ValueError, match="beside batches"):
        SoftmaxRegression().fit(cut(X, y, [50]), sample_weight=np.ones(len(y)))
    with pytest.raises(ValueError, match="one class"):
        SoftmaxRegression().fit(cut(X[:59], y[:59], [50]))
    with pytest.raises(ValueError, match="requires y"):
        SoftmaxRegression().fit(X)


LIMITED = """
import resource, sys
import numpy as np
from softgrad.data.batches import npz_batches
from softgrad.estimators import SoftmaxRegression
# What libraries reserve once does not count: a first fit makes them.
source = npz_batches(sys.argv[1])
first = next(iter(source))
SoftmaxRegression(max_iter=2, tol=1.0).fit([(first.X[:3000], first.y[:3000])])
del first
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
file = source._X.nbytes
# Address space: what is there (the mapped file counts), plus a tenth of the file.
resource.setrlimit(resource.RLIMIT_AS, (used + file // 10,) * 2)
model = SoftmaxRegression().fit(source)
print(repr(model.objective_), model.gap_, file)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")
def test_a_file_ten_times_the_memory_limit(tmp_path: Path, rng):
    n, n_features = 300_000, 100
    X = rng.standard_normal((n, n_features))
    y = np.argmax(X[:, :5] + rng.gumbel(size=(n, 5)), axis=1)
    path = tmp_path / "large.npz"
    np.savez(path, X=X, y=y)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)],
        capture_output=True,
        text=True,
        env={"PATH": "", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    objective, gap, size = done.stdout.split()
    assert float(gap) <= 1e-6
    assert int(size) == X.nbytes == 240_000_000
    memory = SoftmaxRegression().fit(X, y)
    assert float(objective) == pytest.approx(memory.objective_, rel=2e-6)
