"""Batches: the same rows from every source, the same bits whatever the batches, clear refusals."""

from __future__ import annotations

import builtins
import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from softgrad.data import DataError
from softgrad.data.batches import (
    ArrayBatches,
    Batches,
    CsvBatches,
    ParquetBatches,
    as_batches,
    blocks,
    npz_batches,
    scan,
)
from tests.data.files import write

N, D = 11_000, 3
RNG = np.random.default_rng(1)
X = RNG.standard_normal((N, D)) * [1.0, 1e-3, 40.0] + [0.0, 5.0, 1e6]
Y = RNG.choice(["ant", "bee", "cat"], N, p=[0.7, 0.2, 0.1])
W = RNG.random(N)
NAMES = ["a", "b", "c"]


def sliced(rows, X=X, weight=W):
    """A source with batches of so many rows."""
    starts = range(0, N, rows)
    return [(X[s : s + rows], Y[s : s + rows], weight[s : s + rows]) for s in starts]


def csv_file(folder):
    lines = [",".join(map(repr, map(float, row))) for row in X]
    rows = [f"{line},{label},{w!r}" for line, label, w in zip(lines, Y, W.tolist(), strict=True)]
    return write(folder / "t.csv", "\n".join(["a,b,c,kind,w", *rows]) + "\n")


def parquet_file(folder, **options):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")

    columns = dict(zip(NAMES, X.T, strict=True)) | {"kind": Y.tolist(), "w": W}
    pq.write_table(pa.table(columns), folder / "t.parquet", **options)
    return folder / "t.parquet"


def assert_same_summary(found, expected):
    for key in ("mean", "variance", "class_counts", "class_weights"):
        assert getattr(found, key).tobytes() == getattr(expected, key).tobytes(), key
    assert found.classes.tolist() == expected.classes.tolist()
    assert (found.n_rows, found.total_weight) == (expected.n_rows, expected.total_weight)


def test_the_summary_is_that_of_the_whole(rng):
    found = scan(ArrayBatches(X, Y, W))
    assert (found.n_rows, found.n_features, found.sparse) == (N, D, False)
    assert found.classes.tolist() == ["ant", "bee", "cat"]
    assert found.class_counts.tolist() == [(c == Y).sum() for c in found.classes]
    assert found.class_weights == pytest.approx([W[c == Y].sum() for c in found.classes])
    assert found.total_weight == pytest.approx(W.sum(), rel=1e-14)
    mean = np.average(X, axis=0, weights=W)
    assert found.mean == pytest.approx(mean, rel=1e-13)
    # The second column lies at 5000 deviations from zero, the third at 25000.
    assert found.variance == pytest.approx(np.average((X - mean) ** 2, axis=0, weights=W), rel=1e-9)


def test_no_digit_is_lost_to_a_large_offset():
    data = np.repeat([[0.0], [1.0]], 5000, axis=0)
    labels = np.arange(10_000) % 2
    assert scan([(data + 2.0**40, labels)]).variance == pytest.approx([0.25], rel=1e-12)


@pytest.mark.parametrize("rows", [1, 7, 4096, 5000])
def test_the_size_of_batches_changes_no_bit(rows):
    if rows == 1:  # slow: some rows are enough
        few = [(X[i : i + 1], Y[i : i + 1], W[i : i + 1]) for i in range(300)]
        assert_same_summary(scan(few), scan([(X[:300], Y[:300], W[:300])]))
        return
    assert_same_summary(scan(sliced(rows)), scan([(X, Y, W)]))


@pytest.mark.parametrize("rows", [7, 1000, 20_000])
@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_matrix, sparse.csr_array])
def test_blocks_are_the_same_whatever_the_batches(rows, convert):
    source = as_batches(
        [(convert(x), y, w) for x, y, w in sliced(rows)] if rows < N else [(convert(X), Y, W)]
    )
    classes = np.array(["ant", "bee", "cat"])
    for _ in range(2):  # as often as a solver wants
        seen = list(blocks(source, classes, 3000))
        assert [len(block.target) for block in seen] == [3000, 3000, 3000, 2000]
        for start, block in zip(range(0, N, 3000), seen, strict=True):
            rows_of = slice(start, start + 3000)
            dense = block.X if isinstance(block.X, np.ndarray) else block.X.toarray()
            assert (dense == X[rows_of]).all()
            assert (classes[block.target] == Y[rows_of]).all()
            assert block.target.dtype == np.int64
            assert (block.sample_weight == W[rows_of]).all()


def test_sparse_moments_are_those_of_the_dense(rng):
    dense = rng.random((500, 4)) * (rng.random((500, 4)) < 0.3)
    labels, weight = rng.integers(0, 3, 500), rng.random(500)
    one = scan([(sparse.csr_matrix(dense), labels, weight)])
    two = scan([(dense, labels, weight)])
    assert one.sparse
    assert one.mean == pytest.approx(two.mean, rel=1e-13)
    assert one.variance == pytest.approx(two.variance, rel=1e-12)
    duplicates = sparse.csr_matrix(
        (np.ones(4), [0, 0, 1, 1], [0, 2, 4]), shape=(2, 2)
    )  # stored twice: one value
    assert scan([(duplicates, [0, 1])]).variance.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int16])
def test_types_stay_where_they_may(dtype):
    data = np.arange(12).reshape(6, 2).astype(dtype)
    found = scan([(data, np.arange(6) % 2)])
    assert found.dtype == (np.float64 if dtype is np.int16 else dtype)


def test_every_source_gives_the_same(tmp_path):
    expected = scan([(X, Y, W)])
    parquet = ParquetBatches(parquet_file(tmp_path), "kind", weight="w")
    assert isinstance(parquet, Batches)
    assert parquet.n_rows == N
    assert_same_summary(scan(parquet), expected)
    assert parquet.feature_names == NAMES
    few = ParquetBatches(tmp_path / "t.parquet", "kind", weight="w", batch_rows=77)
    assert_same_summary(scan(few), expected)
    table = CsvBatches(csv_file(tmp_path), "kind", weight="w")
    assert_same_summary(scan(table), expected)
    assert table.n_rows == N
    small = CsvBatches(tmp_path / "t.csv", "kind", weight="w", read_bytes=1000)
    assert_same_summary(scan(small), expected)
    assert sum(1 for _ in small) > 100
    np.savez(tmp_path / "t.npz", X=X, y=Y)
    mapped = npz_batches(tmp_path / "t.npz", batch_rows=100)
    assert_same_summary(scan(mapped), scan([(X, Y)]))
    np.save(tmp_path / "X.npy", X)
    array = ArrayBatches(np.load(tmp_path / "X.npy", mmap_mode="r"), Y, W, batch_rows=999)
    assert_same_summary(scan(array), expected)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(library):
    frames = pytest.importorskip(library)
    frame = frames.DataFrame(dict(zip(NAMES, X.T, strict=True)))
    source = as_batches([(frame[:6000], Y[:6000]), (frame[6000:], Y[6000:])])
    found = scan(source)
    assert found.feature_names == NAMES
    assert_same_summary(found, scan([(X, Y)]))
    other = [(frame, Y), (frame[["b", "a", "c"]], Y)]
    with pytest.raises(DataError, match="has the columns b, a, c, the first one a, b, c"):
        scan(other)


def test_columns_in_the_order_of_the_model(tmp_path):
    for source in (
        ParquetBatches(parquet_file(tmp_path), "kind", columns=["c", "a"]),
        CsvBatches(csv_file(tmp_path), "kind", columns=["c", "a"]),
    ):
        assert (next(iter(source)).X[:5] == X[:5][:, [2, 0]]).all()
    dropped = ParquetBatches(tmp_path / "t.parquet", "kind", drop=["w", "b"])
    assert dropped.feature_names == ["a", "c"]


@pytest.mark.parametrize("kind", ["uint8", "float32", "int32", "bool"])
def test_types_of_parquet(tmp_path, kind):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")

    values = np.array([0, 1, 1, 0]).astype(kind)
    labels = pa.array(["x", "y", "x", "y"]).dictionary_encode()
    pq.write_table(pa.table({"a": values, "y": labels}), tmp_path / "t.parquet")
    batch = next(iter(ParquetBatches(tmp_path / "t.parquet", "y")))
    assert batch.X.dtype == (kind if kind in ("uint8", "float32") else np.float64)
    assert batch.X.ravel().tolist() == [0, 1, 1, 0]
    assert batch.y.tolist() == ["x", "y", "x", "y"]


def test_integer_labels_of_a_csv_are_integers_only_if_all_are(tmp_path):
    pytest.importorskip("pyarrow")
    path = write(tmp_path / "t.csv", "a;kind\n" + "1; 2 \n" * 900 + "1;7\n")
    assert scan(CsvBatches(path, "kind")).classes.tolist() == [2, 7]
    path = write(tmp_path / "t.csv", "a;kind\n" + "1; 2 \n" * 900 + "1;x\n")
    source = CsvBatches(path, "kind", read_bytes=1000)
    assert scan(source).classes.tolist() == ["2", "x"]
    assert next(iter(source)).y[0] == "2"


def test_a_csv_without_names_and_with_a_blank_start(tmp_path):
    pytest.importorskip("pyarrow")
    path = write(tmp_path / "t.csv", "\n \n1|2|0\n3|4|1\n\n5|6|1\n")
    source = CsvBatches(path, "-1")
    assert next(iter(source)).X.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert source.feature_names == ["1", "2"]


BAD_CSV = {
    "empty": ("", "is empty"),
    "header only": ("a,b,kind\n", "no rows"),
    "text": ("a,b,kind\n1,2,x\n1,red,y\n", r"row 2, column 'b' holds 'red'.*--drop 'b'"),
    "missing": ("a,b,kind\n1,2,x\n1,,y\n", r"row 2, column 'b' has no value"),
    "NaN": ("a,b,kind\n1,2,x\n1,nan,y\n", r"row 2, column 'b' holds NaN"),
    "inf": ("a,b,kind\n1,2,x\n1,-inf,y\n", r"row 2, column 'b' holds an infinite value"),
    "short": ("a,b,kind\n1,2,x\n1,2\n", r"row 2 has 2 values, the first line has 3"),
    "long": ("a,b,kind\n1,2,x,9\n", r"row 1 has 4 values"),
    "target": ("a,b\n1,2\n", r"no column 'kind'.*Choose --target from: a, b"),
    "no label": ("a,kind\n1,x\n2,\n", r"row 2 has no label"),
    "measurements": (
        "a,kind\n" + "".join(f"1,{i}.5\n" for i in range(30)),
        r"holds measurements \(such as 0.5\)",
    ),
    "binary": (bytes(range(256)), "not a text file"),
    "late binary": (b"a,kind\n" + b"1,x\n" * 9000 + b"1,\xff\n", "not a text file"),
}


@pytest.mark.parametrize("case", BAD_CSV)
def test_what_is_refused_of_csv(tmp_path, case):
    pytest.importorskip("pyarrow")
    content, words = BAD_CSV[case]
    with pytest.raises(DataError, match=words) as caught:
        scan(CsvBatches(write(tmp_path / "t.csv", content), "kind"))
    assert "t.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


BAD_PARQUET = {
    "text": ({"a": ["1", "x"], "y": [0, 1]}, r"column 'a' holds string"),
    "null": ({"a": [1.0, None], "y": [0, 1]}, r"row 2, column 'a' has no value"),
    "NaN": ({"a": [1.0, np.nan], "y": [0, 1]}, r"row 2, column 'a' holds NaN"),
    "no label": ({"a": [1.0, 2.0], "y": [0, None]}, r"row 2, column 'y' has no label"),
    "measurements": ({"a": [1.0, 2.0], "y": [0.5, 1.0]}, "measurements, not classes"),
    "lists": ({"a": [1.0, 2.0], "y": [[1], [2]]}, "not classes"),
    "target": ({"a": [1.0, 2.0]}, "no column 'y'"),
    "empty": ({"a": [], "y": []}, "no rows"),
}


@pytest.mark.parametrize("case", BAD_PARQUET)
def test_what_is_refused_of_parquet(tmp_path, case):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")

    content, words = BAD_PARQUET[case]
    pq.write_table(pa.table(content), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=words) as caught:
        scan(ParquetBatches(tmp_path / "t.parquet", "y"))
    assert "t.parquet" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_and_missing_parquet(tmp_path):
    content = parquet_file(tmp_path).read_bytes()
    write(tmp_path / "cut.parquet", content[: len(content) // 2])
    with pytest.raises(DataError, match=r"cut\.parquet is damaged or not a Parquet file"):
        ParquetBatches(tmp_path / "cut.parquet", "kind")
    with pytest.raises(DataError, match="no file"):
        ParquetBatches(tmp_path / "none.parquet", "kind")


def test_without_pyarrow_one_line_says_how_to_get_it(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    for source in (ParquetBatches, CsvBatches):
        with pytest.raises(DataError, match=r"pip install softgrad\[parquet\]"):
            source(tmp_path / "t", "kind")


EYE, Y3 = np.eye(3), np.array([0, 1, 0])
BAD = {
    "generator": (((EYE, Y3) for _ in range(2)), "a generator can be read only once.*list"),
    "iterator": (iter([(EYE, Y3)]), "can be read only once"),
    "no batch": ([], "no batch"),
    "no rows": ([(EYE[:0], Y3[:0])], "no rows"),
    "number": (5, "no iterable"),
    "no pair": ([EYE], "must be .X, y."),
    "columns": (
        [(EYE, Y3), (EYE[:, :2], Y3)],
        "row 4 has 2 features, the first one has 3",
    ),
    "NaN": ([(EYE, Y3), (EYE + np.nan, Y3)], "row 4, column 1 holds NaN"),
    "sparse inf": (
        [(sparse.csr_matrix(EYE), Y3), (sparse.csr_matrix(np.diag([1, np.inf, 1])), Y3)],
        "row 5, column 2 holds an infinite value",
    ),
    "text": ([(np.array([[1, "x"]], object), [0])], "row 1, column 2 holds 'x'"),
    "flat": ([(np.ones(3), Y3)], "must have rows and columns"),
    "labels": ([(EYE, Y3[:2])], "3 rows has 2 labels"),
    "None": ([(EYE, ["a", None, "b"])], "row 2 has no label"),
    "mixed": ([(EYE, Y3), (EYE, ["a", "b", "c"])], "as integers, or all as text"),
    "weights": ([(EYE, Y3, [1, -1, 1])], "row 2 has the sample weight -1"),
    "some weights": ([(EYE, Y3, [1, 1, 1]), (EYE, Y3)], "all of them weights, or none"),
    "types": ([(EYE, Y3), (EYE.astype(np.float32), Y3)], "dense float32, the first one dense f"),
    "sparse": ([(EYE, Y3), (sparse.csr_matrix(EYE), Y3)], "sparse float64, the first one dense"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused_of_batches(case):
    source, words = BAD[case]
    with pytest.raises(DataError, match=words) as caught:
        scan(source)
    assert "\n" not in str(caught.value)


def test_data_that_change_between_passes():
    class Changing:
        def __init__(self):
            self.passes = 0

        def __iter__(self):
            self.passes += 1
            yield EYE, Y3
            if self.passes > 2:
                yield EYE, Y3

    source = as_batches(Changing())
    scan(source)
    with pytest.raises(DataError, match="3 rows at the first reading, 6 at a later one"):
        list(blocks(source, np.array([0, 1]), 2))
    with pytest.raises(DataError, match="label '1', which is none of the 1 classes"):
        list(blocks([(EYE, Y3)], np.array([0]), 2))


def test_compressed_archives_are_refused_and_any_order_is_mapped(tmp_path):
    np.savez_compressed(tmp_path / "t.npz", X=X, y=Y)
    with pytest.raises(DataError, match="savez instead of savez_compressed"):
        npz_batches(tmp_path / "t.npz")
    with pytest.raises(DataError, match="damaged or not an NPZ"):
        npz_batches(write(tmp_path / "u.npz", b"PK\x03\x04 nothing"))
    np.savez(tmp_path / "f.npz", X=np.asfortranarray(X), y=Y)
    batch = next(iter(npz_batches(tmp_path / "f.npz", batch_rows=50)))
    assert (X[:50] == batch.X).all()
    assert batch.X.flags.c_contiguous


def test_memory_does_not_grow_with_the_rows():
    """Ten times the rows in the same memory."""

    class Rows:
        def __init__(self, batches):
            self.batches = batches

        def __iter__(self):
            block = np.arange(2000 * 50, dtype=np.float64).reshape(2000, 50)
            for _ in range(self.batches):
                yield block.copy(), np.arange(2000) % 3

    peaks = []
    for count in (10, 100):
        tracemalloc.start()
        scan(Rows(count))
        for _ in blocks(Rows(count), np.arange(3), 1500):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]  # one more block may be alive


def test_the_index_that_pandas_stores_is_no_feature(tmp_path):
    pandas = pytest.importorskip("pandas")
    parquet = pytest.importorskip("pyarrow.parquet")
    frame = pandas.DataFrame({"a": range(10), "kind": ["x", "y"] * 5})
    frame[frame.a != 3].to_parquet(tmp_path / "t.parquet")
    assert "__index_level_0__" in parquet.read_schema(tmp_path / "t.parquet").names
    assert ParquetBatches(tmp_path / "t.parquet", "kind").feature_names == ["a"]
