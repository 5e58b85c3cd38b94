"""A column that only numbers the rows is told of: a model learns the order of the file from it."""

from __future__ import annotations

import numpy as np
import pytest

from softgrad.cli.app import run
from tests.data.files import write


def told(tmp_path, capsys, numbers, *options):
    rng = np.random.default_rng(0)
    lines = [f"{n},{rng.normal():.3f},{'xy'[i % 2]}" for i, n in enumerate(numbers)]
    path = write(tmp_path / "t.csv", "\n".join([",a,kind", *lines, ""]))
    assert run(["train", str(path), "--target", "kind", *options]) == 0
    return "column '' counts the rows" in capsys.readouterr().out


@pytest.mark.parametrize("first", [0, 1, 2000])
@pytest.mark.parametrize("options", [[], ["--stream"]])
def test_an_index_is_told_of(tmp_path, capsys, first, options):
    pytest.importorskip("pyarrow")
    assert told(tmp_path, capsys, range(first, first + 200), *options)


def test_no_other_column_is(tmp_path, capsys):
    rng = np.random.default_rng(1)
    assert not told(tmp_path, capsys, rng.permutation(200))
    assert not told(tmp_path, capsys, np.arange(200) / 2)
    assert not told(tmp_path, capsys, np.arange(200) * 3)
    assert not told(tmp_path, capsys, range(200), "--drop", "")


@pytest.mark.parametrize(("huge", "tiny"), [("e90", "e-300"), ("", "e-300"), ("e90", "")])
def test_huge_numbers_train_without_a_warning(tmp_path, capfd, huge, tiny):
    assert run(["train", str(_table(tmp_path, huge, tiny)), "--target", "kind"]) == 0
    assert capfd.readouterr().err == ""


def test_numbers_whose_squares_are_none_end_as_one_line(tmp_path, capfd):
    assert run(["train", str(_table(tmp_path, "e300", "")), "--target", "kind"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "feature 0 has values beyond 1e+100" in line


def _table(folder, huge, tiny):
    lines = [f"{i % 7}{huge},{i % 5}{tiny},{'xy'[i % 2]}" for i in range(60)]
    return write(folder / "t.csv", "\n".join(["a,b,kind", *lines, ""]))
