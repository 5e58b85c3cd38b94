"""Whatever is wrong with the input: one line, exit code 2, nothing written, nothing overwritten."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

import softgrad as sg
from softgrad.cli.app import run
from softgrad.modelfile import TrainedOn, save_model
from tests.cli.command import softgrad
from tests.data.files import idx_bytes, table, write

KIND = ["--target", "kind"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with good and bad files, and in ``out`` the results of an earlier run."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "ok.csv", table())
    write(tmp_path / "text.csv", "a,kind\n1,x\nred,y\n")
    write(tmp_path / "cell.csv", "length,width,kind\n1,2,x\nlong,2,y\n")
    write(tmp_path / "nan.csv", "a,kind\n1,x\nnan,y\n")
    write(tmp_path / "inf.csv", "a,kind\n1,x\ninf,y\n")
    write(tmp_path / "one.csv", "a,kind\n" + "1,x\n" * 9)
    write(tmp_path / "id.csv", "a,kind\n" + "".join(f"1,id{i}\n" for i in range(9)))
    write(tmp_path / "few.csv", "a,kind\n1,x\n2,y\n3,x\n4,y\n")
    write(tmp_path / "empty.csv", "")
    images = idx_bytes(np.arange(240, dtype=np.uint8).reshape(20, 3, 4))
    write(tmp_path / "im-idx3-ubyte", images)
    write(tmp_path / "short-idx3-ubyte", images[:99])
    write(tmp_path / "short-idx3-ubyte.gz", gzip.compress(images)[:60])
    write(tmp_path / "la-idx1-ubyte", idx_bytes(np.arange(20, dtype=np.uint8) % 2))
    np.savez(tmp_path / "ok.npz", X=np.eye(20)[:, :3], y=np.arange(20) % 2)
    write(tmp_path / "short.npz", (tmp_path / "ok.npz").read_bytes()[:300])
    X, y = np.arange(20.0).reshape(10, 2), np.array(["x", "y"] * 5)
    trained_on = TrainedOn("t", 10, "kind", ["length", "width"])
    save_model(sg.SoftmaxRegression().fit(X, y), tmp_path / "model", trained_on)
    write(tmp_path / "model.softgrad", (tmp_path / "model").read_bytes())
    np.save(tmp_path / "X.npy", X)
    write(tmp_path / "book.xlsx", b"PK\x03\x04")
    write(tmp_path / "rows.pkl", b"\x80\x04.")
    write(tmp_path / "short", (tmp_path / "model").read_bytes()[:700])
    (tmp_path / "out").mkdir()
    for name in ("model.softgrad", "metrics.json", "report.html"):
        write(tmp_path / "out" / name, f"the good {name}")
    return tmp_path


LA = ["--labels", "la-idx1-ubyte"]
CASES = {
    "missing file": (["train", "none.csv", *KIND], "no file 'none.csv'"),
    "folder": (["train", "out", *KIND], "is a folder"),
    "empty file": (["train", "empty.csv", *KIND], "empty.csv is empty"),
    "no target": (["train", "ok.csv"], "Add --target COLUMN"),
    "wrong column": (
        ["train", "ok.csv", "--target", "species"],
        "Choose --target from: length, width",
    ),
    "column misspelt": (["train", "ok.csv", "--target", "Kidn"], "Did you mean 'kind'?"),
    "array": (["train", "X.npy", *KIND], "is a single NumPy array"),
    "workbook": (["train", "book.xlsx", *KIND], "is a spreadsheet. Save it as CSV"),
    "pickle": (["train", "rows.pkl", *KIND], "can run code"),
    "model as data": (["predict", "ok.csv", "model.softgrad"], "softgrad predict MODEL FILE"),
    "data as model": (["train", "model.softgrad", *KIND], "is a model, not data"),
    "no name": (["train", "", *KIND], "the name is empty"),
    "target of digits": (["train", "digits", *KIND], "Omit --target"),
    "drop of digits": (["train", "digits", "--drop", "a"], "Omit --drop"),
    "drop of NPZ": (["train", "ok.npz", "--drop", "a"], "Omit --drop"),
    "target of IDX": (["train", "im-idx3-ubyte", *LA, *KIND], "Omit --target"),
    "wrong drop": (["train", "ok.csv", *KIND, "--drop", "zz"], "Choose --drop from"),
    "text": (["train", "text.csv", *KIND], "line 3, column 'a' holds 'red'"),
    "NaN": (["train", "nan.csv", *KIND], "column 'a' holds NaN"),
    "inf": (["train", "inf.csv", *KIND], "column 'a' holds an infinite value"),
    "one class": (["train", "one.csv", *KIND], "only one class, x"),
    "classes": (["train", "id.csv", *KIND], "more classes than its rows can teach: 9"),
    "truncated IDX": (["train", "short-idx3-ubyte", *LA], "truncated or damaged"),
    "truncated gzip": (["train", "short-idx3-ubyte.gz", *LA], "truncated or damaged"),
    "IDX without labels": (["train", "im-idx3-ubyte"], "Add --labels"),
    "labels missing": (["train", "im-idx3-ubyte", "--labels", "zz"], "no file 'zz'"),
    "labels of a CSV": (["train", "ok.csv", *KIND, *LA], "--labels belongs to IDX"),
    "truncated NPZ": (["train", "short.npz"], "damaged"),
    "array of NPZ": (["train", "ok.npz", "--target", "kind"], "Choose --target from: X, y"),
    "unknown option": (["train", "ok.csv", *KIND, "--frobnicate"], "No such option: --frobnicate"),
    "unknown command": (["fry"], "No such command 'fry'"),
    "no source": (["train"], "Missing argument"),
    "C": (["train", "ok.csv", *KIND, "-C", "0"], "--C must be above 0"),
    "C NaN": (["train", "ok.csv", *KIND, "-C", "nan"], "--C must be above 0"),
    "C text": (["train", "ok.csv", *KIND, "-C", "big"], "Invalid value for"),
    "validation": (["train", "ok.csv", *KIND, "--validation", "1.5"], "Invalid value for"),
    "no validation rows": (
        ["train", "few.csv", *KIND, "--validation", "0.01"],
        "none of the 4 rows is left for validation",
    ),
    "truncated model": (["evaluate", "short", "ok.csv"], "short is truncated or not a softgrad"),
    "no model": (["predict", "zz", "ok.csv"], "no model file 'zz'"),
    "foreign model": (["predict", "ok.npz", "ok.csv"], "not a softgrad model"),
    "other columns": (["predict", "model", "text.csv"], "lacks the column 'length'"),
    "text for a model": (
        ["predict", "model", "cell.csv"],
        "line 3, column 'length' holds 'long', which is not a number; the model was trained on"
        " numbers there. Mend the cell, or remove the line.",
    ),
    "other size": (["predict", "model", "ok.npz"], "has 3 features, the model was trained on 2"),
    "no number": (["softmax", "1", "two"], "'two' is not a number"),
    "softmax option": (["softmax", "1", "--frob"], "'--frob' is an unknown option"),
    "temperature": (["softmax", "1", "--temperature", "0"], "--temperature must be above 0"),
    "no logits": (["softmax"], "Missing argument"),
}


def content(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("case", CASES)
def test_one_line_and_nothing_written(folder, capsys, case):
    arguments, words = CASES[case]
    if arguments[0] == "train":
        arguments = [*arguments, "--out", "out"]
    before = content(folder)
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert err.startswith("softgrad: ")
    assert err.count("\n") == 1
    assert words in err
    assert out == ""
    assert content(folder) == before


def test_the_label_of_a_class_that_the_model_does_not_know(folder, capsys):
    write(folder / "other.csv", "length,width,kind\n1,2,x\n1,2,z\n")
    assert run(["evaluate", "model", "other.csv"]) == 2
    assert "row 2 has the label 'z', which the model does not know" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "words"), [("ok.csv", "is a file"), ("ok.csv/deeper", "Cannot write to")]
)
def test_an_impossible_folder_is_found_before_training(folder, capsys, out, words):
    assert run(["train", "ok.csv", *KIND, "--out", out]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert "loss" not in captured.out


def test_predictions_need_their_folder(folder, capsys):
    assert run(["predict", "model", "ok.csv", "--out", "zz/p.csv"]) == 2
    assert "no folder 'zz'" in capsys.readouterr().err


def test_a_full_disk_leaves_the_earlier_results(folder, capsys, monkeypatch):
    import os

    def full(_):
        raise OSError(28, "No space left on device")

    before = content(folder)
    monkeypatch.setattr(os, "fsync", full)
    assert run(["train", "ok.csv", *KIND, "--out", "out"]) == 2
    err = capsys.readouterr().err
    assert "No space left on device" in err
    assert err.count("\n") == 1
    assert content(folder) == before


def test_a_fault_of_the_program_is_not_dressed_up(folder, monkeypatch):
    from softgrad.cli import task

    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(task, "read_labelled", broken)
    with pytest.raises(ZeroDivisionError):
        run(["train", "digits"])


def test_the_process_ends_with_that_code(folder):
    done = softgrad("train", "text.csv", *KIND, cwd=folder)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
