"""NPZ and IDX files, whole and broken."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from softgrad.data import DataError, read_labelled, read_unlabelled
from softgrad.data.idx import read_idx_array
from tests.data.files import CODES, idx_bytes, write

IMAGES = (np.arange(6 * 3 * 4) * 3 % 256).astype(np.uint8).reshape(6, 3, 4)
LABELS = np.array([0, 1, 2, 0, 1, 2], dtype=np.uint8)


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("compressed", [False, True])
def test_idx_of_every_type(tmp_path, dtype, compressed):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    content = idx_bytes(array)
    path = write(tmp_path / "a.idx", gzip.compress(content) if compressed else content)
    got = read_idx_array(path)
    assert got.dtype == array.dtype
    assert got.dtype.isnative
    assert (got == array).all()


def test_idx_images_with_labels(tmp_path):
    images = write(tmp_path / "im-idx3-ubyte.gz", gzip.compress(idx_bytes(IMAGES)))
    labels = write(tmp_path / "la-idx1-ubyte", idx_bytes(LABELS))
    data = read_labelled(str(images), labels=labels)
    assert data.X.dtype == np.uint8
    assert (IMAGES.reshape(6, 12) == data.X).all()
    assert data.y.tolist() == LABELS.tolist()
    assert (data.image_shape, data.unit) == ((3, 4), 255.0)


GOOD = idx_bytes(IMAGES)
BAD_IDX = {
    "empty": (b"", "is empty"),
    "text": (b"hello world", "not an IDX file: it starts with 68 65 6c 6c"),
    "type": (b"\0\0\x0a\x01" + GOOD[4:], "not an IDX file"),
    "header": (GOOD[:9], "truncated within its header"),
    "truncated": (GOOD[:-1], r"header promises 72 bytes \(6 x 3 x 4\), it holds fewer"),
    "longer": (GOOD + b"x", "it holds more"),
    "immense": (b"\0\0\x08\x03" + b"\xff" * 12 + b"abc", "it holds fewer"),
    "truncated gzip": (gzip.compress(GOOD)[:-9], "inside its compression"),
    "damaged gzip": (gzip.compress(GOOD)[:30] + b"xxxx", "inside its compression"),
    "scalar": (b"\0\0\x08\0\x01", "not an IDX file"),
}


@pytest.mark.parametrize("case", BAD_IDX)
def test_broken_idx(tmp_path, case):
    content, words = BAD_IDX[case]
    path = write(tmp_path / "im-idx3-ubyte", content)
    labels = write(tmp_path / "la-idx1-ubyte", idx_bytes(LABELS))
    with pytest.raises(DataError, match=words) as caught:
        read_labelled(str(path), labels=labels)
    assert "\n" not in str(caught.value)


def test_idx_needs_labels_of_the_same_length(tmp_path):
    images = write(tmp_path / "im-idx3-ubyte", GOOD)
    with pytest.raises(DataError, match="Add --labels"):
        read_labelled(str(images))
    labels = write(tmp_path / "la-idx1-ubyte", idx_bytes(LABELS[:4]))
    with pytest.raises(DataError, match="has 6 examples, la-idx1-ubyte has 4 labels"):
        read_labelled(str(images), labels=labels)
    assert read_unlabelled(str(images)).y is None


@pytest.mark.parametrize("keys", [("X", "y"), ("data", "target"), ("pixels", "labels")])
def test_npz_finds_its_arrays(tmp_path, keys):
    path = tmp_path / "a.npz"
    np.savez(path, **{keys[0]: IMAGES, keys[1]: LABELS})
    data = read_labelled(str(path))
    assert (IMAGES.reshape(6, 12) == data.X).all()
    assert data.y.tolist() == LABELS.tolist()
    assert data.target_name == keys[1]
    assert data.image_shape == (3, 4)


@pytest.mark.parametrize("dtype", [np.float16, np.int64, np.bool_])
def test_other_types_become_float64(tmp_path, dtype):
    path = tmp_path / "a.npz"
    np.savez(path, X=np.eye(6, dtype=dtype), y=LABELS)
    assert read_labelled(str(path)).X.dtype == np.float64


@pytest.mark.parametrize(
    ("arrays", "target", "words"),
    [
        ({"X": np.eye(3)}, None, "no array of labels. Choose --target from: X"),
        ({"X": np.eye(3), "y": [0, 1, 2]}, "kind", "no array 'kind'. Choose --target from: X, y"),
        ({"X": np.eye(3), "y": [0, 1]}, None, "'X' has 3 rows, 'y' has 2"),
        ({"X": np.ones(3), "y": [0, 1, 2]}, None, "must have rows and columns"),
        ({"X": np.ones((0, 3)), "y": []}, None, "must have rows and columns"),
        ({"a": np.eye(3), "b": np.eye(3), "y": [0, 1, 2]}, None, "which array holds the features"),
        ({"X": np.eye(3), "y": np.eye(3)}, None, "argmax"),
        ({"X": np.eye(3), "y": [0.5, 1.5, 2]}, None, "measurements"),
        ({"X": np.eye(3), "y": [0, 1, np.nan]}, None, "measurements"),
        ({"X": np.eye(3) * 1j, "y": [0, 1, 2]}, None, "not numbers"),
        ({"X": np.diag([1, np.nan, 1]), "y": [0, 1, 2]}, None, "row 2, column 2 holds NaN"),
    ],
)
def test_npz_that_cannot_be_used(tmp_path, arrays, target, words):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=words):
        read_labelled(str(path), target)


def test_npz_with_code_inside_is_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the file ran code",))

    path = tmp_path / "a.npz"
    np.savez(path, X=np.array([Bomb()], dtype=object), y=[0])
    with pytest.raises(DataError, match="without running code"):
        read_labelled(str(path))


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.95])
def test_truncated_npz(tmp_path, keep):
    path = tmp_path / "a.npz"
    np.savez(path, X=IMAGES, y=LABELS)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(DataError, match="damaged"):
        read_labelled(str(path))


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        read_labelled(str(tmp_path / "none.csv"), "kind")
    with pytest.raises(DataError, match="is a folder"):
        read_labelled(str(tmp_path), "kind")


def test_digits():
    data = read_labelled("digits")
    assert data.X.shape == (1797, 64)
    assert data.X.dtype == np.uint8
    assert data.X.max() == data.unit == 16
