"""CSV files: what is read, and what is refused with which words."""

from __future__ import annotations

import bz2
import gzip
import lzma

import numpy as np
import pytest

from softgrad.data import DataError, read_labelled
from softgrad.data.table import read_csv
from tests.data.files import table, write


def test_columns_by_name(tmp_path):
    data = read_csv(write(tmp_path / "t.csv", "a,kind,b\n1,x,2\n3,y,4.5\n"), "kind")
    assert data.X.tolist() == [[1, 2], [3, 4.5]]
    assert data.y.tolist() == ["x", "y"]
    assert data.feature_names == ["a", "b"]
    assert data.target_name == "kind"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("start", ["", "\ufeff", "\n \n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_dialects(tmp_path, delimiter, start, end):
    lines = ["a,b,kind", '1,"2",0', "", " 3 , 4 ,1"]
    text = start + end.join(line.replace(",", delimiter) for line in lines)
    data = read_csv(write(tmp_path / "t.csv", text), "kind")
    assert data.X.tolist() == [[1, 2], [3, 4]]
    assert data.feature_names == ["a", "b"]
    assert data.y.tolist() == [0, 1]
    assert data.y.dtype == np.int64


@pytest.mark.parametrize(
    ("target", "features"), [("1", [[2, 5], [4, 6]]), ("-1", [[1, 2], [3, 4]])]
)
def test_a_table_without_header_counts_its_columns(tmp_path, target, features):
    data = read_csv(write(tmp_path / "t.csv", "1,2,5\n3,4,6\n"), target)
    assert data.X.tolist() == features


def test_names_win_over_positions(tmp_path):
    path = write(tmp_path / "t.csv", "x,1,2\n3,5,6\n4,7,8\n")
    assert read_csv(path, "1").y.tolist() == [5, 7]


def test_names_that_are_numbers_are_names(tmp_path):
    data = read_csv(write(tmp_path / "t.csv", "Letter,2,1\nA,5,6\nB,7,8\n"), "Letter")
    assert data.feature_names == ["2", "1"]
    data = read_csv(write(tmp_path / "u.csv", "Letter,2,1\nA,5,6\nB,7,8\n"), columns=["1", "2"])
    assert data.X.tolist() == [[6, 5], [8, 7]]


def test_a_line_of_values_with_a_class_in_words_is_no_header(tmp_path):
    path = write(tmp_path / "iris.data", "5.1,?,setosa\n4.9,3.0,setosa\n6.1,2.2,virginica\n")
    with pytest.raises(DataError, match="line 1, column '2' has no value"):
        read_csv(path, "3")
    path = write(tmp_path / "iris.data", "5.1,3.5,setosa\n4.9,3.0,setosa\n6.1,2.2,virginica\n")
    for target in ("3", "-1"):
        data = read_csv(path, target)
        assert data.X.tolist() == [[5.1, 3.5], [4.9, 3.0], [6.1, 2.2]]
        assert data.y.tolist() == ["setosa", "setosa", "virginica"]
    with pytest.raises(DataError, match=r"values, so columns are numbered\. Choose --target from"):
        read_csv(path, "species")


def test_names_beside_numbers_are_a_header_where_a_text_stands_above_a_number(tmp_path):
    data = read_csv(write(tmp_path / "t.csv", "0,1,kind\n5,6,0\n7,8,1\n"), "kind")
    assert data.X.tolist() == [[5, 6], [7, 8]]


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_compressed(tmp_path, suffix):
    compress = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[suffix]
    content = compress(table(500).encode())
    data = read_csv(write(tmp_path / f"t.csv{suffix}", content), "kind")
    assert data.X.shape == (500, 2)
    with pytest.raises(DataError, match="damaged inside its compression"):
        read_csv(write(tmp_path / f"t.csv{suffix}", content[:-20]), "kind")
    assert read_labelled(str(write(tmp_path / f"u.csv{suffix}", content)), "kind").n_rows == 500


def test_more_rows_than_are_read_at_a_time(tmp_path):
    data = read_csv(write(tmp_path / "t.csv", table(5000)), "kind")
    assert data.X.shape == (5000, 2)
    assert data.X[4999].tolist() == [4999 % 7, (4999 * 4999) % 5 + 4]


def test_dropped_columns(tmp_path):
    path = write(tmp_path / "t.csv", "a,name,kind\n1,bob,x\n2,eve,y\n")
    assert read_csv(path, "kind", drop=["name"]).X.tolist() == [[1], [2]]


BAD = {
    "empty": ("", "is empty"),
    "blank": ("\n\n  \n", "is empty"),
    "header only": ("a,kind\n", "no rows"),
    "text": ("a,b,kind\n1,2,x\n1,red,y\n", r"line 3, column 'b' holds 'red'.*--drop 'b'"),
    "missing": ("a,b,kind\n1,2,x\n1,,y\n", r"line 3, column 'b' has no value"),
    "NA": ("a,b,kind\n1,2,x\n1,NA,y\n", r"line 3, column 'b' has no value"),
    "nan": ("a,b,kind\n1,2,x\n1,nan,y\n", r"row 2, column 'b' holds NaN"),
    "inf": ("a,b,kind\n1,-inf,x\n1,2,y\n", r"row 1, column 'b' holds an infinite value"),
    "overflow": ("a,b,kind\n1,1e999,x\n1,2,y\n", r"row 1, column 'b' holds an infinite value"),
    "decimal comma": ('a;b;kind\n1;"2,5";x\n', r"'2,5', which has a decimal comma"),
    "thousands": ('a,b,kind\n1,"2,500.0",x\n', r"'2,500.0', which separates thousands"),
    "date": ("a,b,kind\n1,2024-12-01,x\n", r"which is a date.*--drop 'b'"),
    "words": (
        "a,sex,home,kind\n1,f,US,x\n2,m,DE,y\n",
        r"column 'sex' holds 'f', .*a column of 0 and 1.*--drop 'sex' --drop 'home'",
    ),
    "nearly the target": ("a,Kind\n1,x\n", "no column 'kind'. Did you mean 'Kind'?"),
    "short line": ("a,b,kind\n1,2,x\n1,2\n", r"line 3 has 2 values, the first line has 3"),
    "long line": ("a,b,kind\n1,2,x,9\n", r"line 2 has 4 values"),
    "twice": ("a,a,kind\n1,2,x\n", r"two columns are called 'a'"),
    "no target": ("a,b\n1,2\n", r"no column 'kind'.*Choose --target from: a, b"),
    "no features": ("kind\nx\ny\n", r"no column is left"),
    "no label": ("a,kind\n1,x\n2,\n", r"row 2 has no label"),
    "measurements": (
        "a,kind\n" + "".join(f"1,{i}.5\n" for i in range(30)),
        r"holds measurements \(such as 0.5\)",
    ),
    "binary": (bytes(range(256)), "not a text file"),
    "quote": ('a,kind\n1,"x\n2,y\n', "not a well-formed CSV"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(tmp_path, case):
    content, words = BAD[case]
    with pytest.raises(DataError, match=words) as caught:
        read_csv(write(tmp_path / "t.csv", content), "kind")
    assert "t.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_dropped_target_is_refused(tmp_path):
    path = write(tmp_path / "t.csv", "a,kind\n1,x\n2,y\n")
    with pytest.raises(DataError, match="--drop and --target both name 'kind'"):
        read_csv(path, "kind", drop=["kind"])


def test_a_column_that_the_model_needs(tmp_path):
    with pytest.raises(DataError, match="lacks the column 'c', which the model was trained on"):
        read_csv(write(tmp_path / "t.csv", "a,b\n1,2\n"), columns=["a", "c"])
