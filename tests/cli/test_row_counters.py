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


def test_huge_numbers_train_without_a_warning(tmp_path, capfd):
    lines = [f"{i % 7}e300,{i % 5}e-300,{'xy'[i % 2]}" for i in range(60)]
    path = write(tmp_path / "t.csv", "\n".join(["a,b,kind", *lines, ""]))
    assert run(["train", str(path), "--target", "kind"]) == 0
    assert capfd.readouterr().err == ""
