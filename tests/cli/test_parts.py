"""``softgrad predict`` and ``evaluate`` read their files in parts."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from softgrad.cli.app import run
from softgrad.data import svmlight, table
from softgrad.data.batches import arrays, arrow

N = 700


def small_parts(monkeypatch):
    monkeypatch.setattr(table, "_ROWS_AT_A_TIME", 96)
    monkeypatch.setattr(svmlight, "_PART_BYTES", 3000)
    monkeypatch.setattr(arrays, "_BATCH_BYTES", 4000)
    of_all = arrow.ParquetBatches.__init__
    kept = dict(of_all.__kwdefaults__, batch_rows=96)
    monkeypatch.setattr(of_all, "__kwdefaults__", kept)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet
    from sklearn.datasets import dump_svmlight_file

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, N)
    X = (rng.standard_normal((N, 4)) + 1.5 * np.eye(4)[y]).round(4)
    names = np.array(["red", "green", "7"])[y]
    words = np.array(["stop now", "go on", "seven seas"])[y].astype(object)
    words += np.array([" alpha", " beta", " gamma", ""])[rng.integers(0, 4, N)]
    columns = {f"column {i}": X[:, i] for i in range(4)}
    pa_table = pa.table({**columns, "kind": names, "number": y + 7, "words": words})
    numbers = pa_table.drop(["words", "number"])
    pa.parquet.write_table(pa_table, "words.parquet", row_group_size=100)
    pa.parquet.write_table(numbers, "t.parquet", row_group_size=100)
    pa.csv.write_csv(pa_table, "words.csv")
    pa.csv.write_csv(numbers, "t.csv")
    pa.csv.write_csv(pa_table.drop(["words", "kind"]), "number.csv")
    np.savez("t.npz", X=X, y=names)
    np.savez_compressed("small.npz", X=X, y=names)
    dump_svmlight_file(X, y, "t.svm", zero_based=False)
    return tmp_path


CASES = {
    "t.csv": ["--target", "kind"],
    "number.csv": ["--target", "number"],
    "t.parquet": ["--target", "kind"],
    "words.csv": ["--target", "kind", "--text", "words"],
    "words.parquet": ["--target", "kind", "--text", "words"],
    "t.npz": [],
    "small.npz": [],
    "t.svm": [],
}


@pytest.mark.parametrize("file", CASES)
def test_the_parts_of_a_file_make_the_whole(folder, capsys, monkeypatch, file):
    assert run(["train", file, *CASES[file], "--out", "out", "--max-iter", "5"]) == 0
    capsys.readouterr()
    results = []
    for whole in (True, False):
        if not whole:
            small_parts(monkeypatch)
        assert run(["predict", "out/model.softgrad", file, "--probabilities"]) == 0
        predicted = capsys.readouterr().out
        assert run(["evaluate", "out/model.softgrad", file, "--json"]) == 0
        results.append((predicted, json.loads(capsys.readouterr().out)))
    assert results[0][0] == results[1][0]
    assert len(results[0][0].splitlines()) == N + 1
    for figure in ("n_rows", "accuracy", "confusion", "classes"):
        assert results[0][1][figure] == results[1][1][figure]
    for figure in ("log_loss", "ece"):
        assert results[0][1][figure] == pytest.approx(results[1][1][figure], rel=1e-12)
    assert np.sum(results[0][1]["confusion"]) == N
    if file != "small.npz":  # several parts were read
        counted = count_parts(file)
        assert counted > 3


def count_parts(file):
    from pathlib import Path

    from softgrad.data import unlabelled_parts
    from softgrad.modelfile import load_model

    layout = load_model(Path("out/model.softgrad"))[1].layout
    return sum(1 for _ in unlabelled_parts(file, layout))


@pytest.mark.parametrize(
    ("file", "spoil", "message"),
    [
        ("t.csv", lambda text: text + "1,2\n", "line 702 has 2 values"),
        ("t.csv", lambda text: text + "1,2,3,4,blue\n", "row 701 has the label 'blue'"),
        ("number.csv", lambda text: text + "1,2,3,4,eight\n", "row 701 has the label 'eight'"),
        ("t.svm", lambda text: text + "1 1:nan\n", "row 701, feature 1 holds NaN"),
    ],
)
def test_a_fault_in_a_late_part_is_named_by_its_row(
    folder, capsys, monkeypatch, file, spoil, message
):
    assert run(["train", file, *CASES[file], "--out", "out", "--max-iter", "2"]) == 0
    capsys.readouterr()
    small_parts(monkeypatch)
    path = folder / file
    path.write_text(spoil(path.read_text()))
    assert run(["evaluate", "out/model.softgrad", file]) == 2
    out = capsys.readouterr()
    assert message in out.err
    assert len(out.err.splitlines()) == 1
    assert out.out == ""


def test_nothing_is_printed_of_a_file_that_ends_badly(folder, capsys, monkeypatch):
    assert run(["train", "t.csv", *CASES["t.csv"], "--out", "out", "--max-iter", "2"]) == 0
    small_parts(monkeypatch)
    with (folder / "t.csv").open("a") as file:
        file.write("1,2,oops,4,red\n")
    capsys.readouterr()
    assert run(["predict", "out/model.softgrad", "t.csv"]) == 2
    assert capsys.readouterr().out == ""
    assert run(["predict", "out/model.softgrad", "t.csv", "--out", "p.csv"]) == 2
    assert not (folder / "p.csv").exists()


PROGRAM = """
import resource, sys
from pathlib import Path
from softgrad.cli.app import run
assert run(["predict", "out/model.softgrad", "small.csv", "--out", "p.csv"]) == 0  # imports
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (48 << 20), -1))
code = run(["predict", "out/model.softgrad", "large.csv", "--out", "p.csv"])
assert code == 0, code
assert run(["evaluate", "out/model.softgrad", "large.csv", "--json"]) == 0
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's here")
def test_files_larger_than_memory_are_predicted(folder):
    assert run(["train", "t.csv", *CASES["t.csv"], "--out", "out", "--max-iter", "2"]) == 0
    text = (folder / "t.csv").read_text()
    header, rows = text.split("\n", 1)
    (folder / "small.csv").write_text(text)
    copies = 160
    with (folder / "large.csv").open("w") as file:  # 112,000 rows: 110 MB as Python's numbers
        file.write(header + "\n")
        for _ in range(copies):
            file.write(rows)
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert np.sum(json.loads(done.stdout)["confusion"]) == copies * N
    assert len((folder / "p.csv").read_text().splitlines()) == copies * N + 1
