"""``softgrad train FILE --stream``: files read in parts, the same model as from memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from softgrad.cli.app import run
from softgrad.data import streamed
from softgrad.data.batches import ArrayBatches, split_batches
from softgrad.data.batches.split import is_validation
from softgrad.estimators import SoftmaxRegression
from softgrad.modelfile import load_model
from tests.data.files import idx_bytes, write

N = 3000
FILES = ["t.parquet", "t.csv", "t.npz"]


def rows(n=N):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, n)
    X = rng.standard_normal((n, 4)) * [1e-2, 1.0, 1.0, 1e3]
    X += np.eye(4)[y] * [1e-2, 1.0, 1.0, 1e3]
    return X.round(4), y


@pytest.fixture
def folder(tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    monkeypatch.chdir(tmp_path)
    X, y = rows()
    columns = {f"column {i}": X[:, i] for i in range(4)}
    table = pa.table({**columns, "kind": np.array(["red", "green", "blue"])[y]})
    pa.parquet.write_table(table, "t.parquet", row_group_size=700)
    pa.csv.write_csv(table, "t.csv")
    np.savez("t.npz", X=X, y=np.array(["red", "green", "blue"])[y])
    return tmp_path


def train(file, *more, out="out"):
    target = [] if file.endswith(".npz") else ["--target", "kind"]
    return run(["train", file, *target, "--stream", "--out", out, *more])


@pytest.mark.parametrize("file", FILES)
def test_the_model_is_that_of_the_same_rows_in_memory(folder, file, capsys):
    assert train(file) == 0
    out = capsys.readouterr()
    assert out.err == ""
    assert "gradient agrees" in out.out
    X, y = rows()
    held_back = is_validation(0, N, 0.2, 0)
    names = np.array(["red", "green", "blue"])[y]
    expected = SoftmaxRegression().fit(X[~held_back], names[~held_back])
    model, trained_on = load_model(folder / "out" / "model.softgrad")
    assert np.abs(model.predict_proba(X) - expected.predict_proba(X)).max() < 1e-3
    assert model.objective_ == pytest.approx(expected.objective_, rel=3e-6)
    assert (trained_on.n_rows, trained_on.name) == ((~held_back).sum(), file)
    metrics = json.loads((folder / "out" / "metrics.json").read_text())
    assert metrics["n_train"] == (~held_back).sum()
    assert metrics["n_validation"] == np.sum(metrics["confusion"]) == held_back.sum()
    right = model.predict(X[held_back]) == names[held_back]
    assert metrics["accuracy"] == pytest.approx(right.mean(), abs=1e-12)
    log_p = model.predict_log_proba(X[held_back])
    place = np.searchsorted(model.classes_, names[held_back])
    assert metrics["log_loss"] == pytest.approx(-log_p[np.arange(len(place)), place].mean())
    assert metrics["gap"] <= 1e-6
    assert metrics["gap_certified"] is True
    page = (folder / "out" / "report.html").read_text()
    assert "Reliability" in page
    assert "Surest mistakes" not in page


def test_what_was_trained_from_a_file_predicts_from_it(folder, capsys):
    assert train("t.parquet") == 0
    capsys.readouterr()
    assert run(["predict", "out/model.softgrad", "t.csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == N + 1


def test_the_way_the_file_is_cut_changes_no_bit(folder, capsys):
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table("t.parquet"), "other.parquet", row_group_size=83)
    for file, out in (("t.parquet", "one"), ("other.parquet", "two")):
        assert train(file, out=out) == 0
    one, two = (load_model(folder / out / "model.softgrad")[0] for out in ("one", "two"))
    assert one.coef_.tobytes() == two.coef_.tobytes()


def test_images_count_from_0_to_1_as_in_memory(folder, capsys):
    rng = np.random.default_rng(0)
    y = np.arange(400) % 2
    images = (rng.random((400, 3, 5)) * 99 + 90 * y[:, None, None]).astype(np.uint8)
    np.savez("images.npz", images=images, labels=y)
    assert train("images.npz") == 0
    model, trained_on = load_model(folder / "out" / "model.softgrad")
    assert (trained_on.unit, trained_on.image_shape) == (255.0, (3, 5))
    assert pytest.approx(1 / 255**2) == model.C
    assert 'alt="weights of class' in (folder / "out" / "report.html").read_text()


def test_the_curve_watches_a_sample_and_the_metrics_are_of_all(folder, capsys, monkeypatch):
    monkeypatch.setattr(streamed, "_SAMPLE_ROWS", 100)
    monkeypatch.setattr(streamed, "_SAMPLE_BYTES", 1 << 30)
    assert train("t.parquet", "--validation", "0.5") == 0
    assert "that of 100 validation rows" in capsys.readouterr().out
    metrics = json.loads((folder / "out" / "metrics.json").read_text())
    assert np.sum(metrics["confusion"]) == is_validation(0, N, 0.5, 0).sum()


def test_the_sample_is_spread_over_the_file():
    source = ArrayBatches(np.arange(20_000.0)[:, None], np.arange(20_000) % 2, batch_rows=333)
    survey = streamed._Survey(source, 0.2, 0)
    assert sum(len(batch.y) for batch in survey) == 20_000
    for part, validation in zip(survey.parts, (False, True), strict=True):
        held = part.sample.X[:, 0].astype(int)
        assert (np.diff(held) > 0).all()
        assert (is_validation(0, 20_000, 0.2, 0)[held] == validation).all()
        assert abs(held.mean() - 10_000) < 500
        assert len(held) == min(4096, part.n_rows)


def test_parts_depend_on_the_seed_and_the_row_alone():
    def drawn(seed, batch_rows):
        source = ArrayBatches(np.arange(999.0)[:, None], np.arange(999) % 2, batch_rows=batch_rows)
        parts = split_batches(source, 0.25, seed)
        return [np.concatenate([batch.X[:, 0] for batch in part]).tolist() for part in parts]

    train, validation = drawn(0, 10)
    assert sorted(train + validation) == list(range(999))
    assert 200 < len(validation) < 300
    assert drawn(0, 998) == [train, validation]
    assert drawn(1, 10) != [train, validation]


BAD = {
    "texts": (["t.csv", "--target", "kind", "--text", "kind"], "--stream does not read texts"),
    "digits": (["digits"], "Omit --stream"),
    "svmlight": (["t.svm"], "t.svm is an svmlight file, which --stream cannot read in parts"),
    "idx": (["im-idx3-ubyte"], "is an IDX file, which --stream cannot read in parts"),
    "labels": (["t.npz", "--labels", "im-idx3-ubyte"], "--labels belongs to IDX files"),
    "compressed": (["c.npz"], "Write it with savez instead"),
    "no target": (["t.parquet"], "Add --target COLUMN"),
    "wrong target": (["t.parquet", "--target", "zz"], "Choose --target from"),
    "drop": (["t.npz", "--drop", "x"], "has no columns to leave out"),
    "missing file": (["none.csv", "--target", "kind"], "There is no file"),
    "NaN": (["nan.csv", "--target", "kind"], "row 33, column 'a' holds NaN"),
    "one class": (["one.csv", "--target", "kind"], "only one class, x"),
    "identifier": (["id.csv", "--target", "kind"], "more classes than its rows can teach: 9"),
    "rare class": (["rare.csv", "--target", "kind"], "all rows of class z fall into the 20%"),
    "no validation": (
        ["few.csv", "--target", "kind", "--validation", "0.01"],
        "none of the 4 rows is left for validation",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_streamed_ends_as_one_line(folder, case, capsys):
    X, y = rows(50)
    np.savez_compressed("c.npz", X=X, y=y)
    write(folder / "im-idx3-ubyte", idx_bytes(np.zeros((2, 3, 3), np.uint8)))
    write(folder / "t.svm", "1 1:2 3:1\n0 2:1\n" * 4)
    lines = [f"{i},{'xy'[i % 2]}" for i in range(50)]
    lines[32] = "nan,x"
    write(folder / "nan.csv", "\n".join(["a,kind", *lines]) + "\n")
    lines[32] = "1,x"
    rare = int(np.argmax(is_validation(0, 50, 0.2, 0)))
    lines[rare] = "1,z"
    write(folder / "rare.csv", "\n".join(["a,kind", *lines]) + "\n")
    write(folder / "one.csv", "a,kind\n" + "1,x\n" * 9)
    write(folder / "id.csv", "a,kind\n" + "".join(f"1,id{i}\n" for i in range(9)))
    write(folder / "few.csv", "a,kind\n1,x\n2,y\n3,x\n4,y\n")
    arguments, words = BAD[case]
    assert run(["train", *arguments, "--stream", "--out", "bad"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (folder / "bad" / "model.softgrad").exists()


_PEAK = """
import re, sys
from pathlib import Path
from softgrad.cli.app import run
code = run(["train", sys.argv[1], "--stream", "--tol", "1e-2", "--max-iter", "3"])
print("VmHWM", re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1], code)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_memory_does_not_grow_with_the_file(folder):
    """A mapped file counts as memory until its pages are let go."""
    peaks = []
    for n in (40_000, 400_000):  # 10 and 100 MB
        X, y = rows(n)
        np.savez("big.npz", X=np.repeat(X, 8, axis=1), y=y)
        command = [sys.executable, "-c", _PEAK, "big.npz"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
        peaks.append(int(done.stdout.split("VmHWM ")[1].split()[0]) / 1024)
    assert peaks[1] - peaks[0] < 30
