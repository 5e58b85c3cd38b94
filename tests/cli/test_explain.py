"""softgrad explain, run as users run it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import mpmath
import numpy as np
import pytest

import softgrad as sg
from softgrad.cli.app import run
from tests.cli.command import softgrad


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run(["explain", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_as_a_process() -> None:
    done = softgrad("explain", 1, 2, 3, "--target", 2)
    assert done.returncode == 0, done.stderr
    assert "19 of 19 checks agree." in done.stdout
    assert "0.665241" in done.stdout
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_text_is_that_of_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, -1.5, 2, 3, "--target", 0, "--temperature", 2)
    assert text.strip() == sg.explain([-1.5, 2.0, 3.0], 0, temperature=2.0).text().strip()


def test_batches_and_targets(capsys: pytest.CaptureFixture[str]) -> None:
    x = [[1.0, 2.0, 3.0], [0.0, 1.0, -4.0]]
    by_index = printed(capsys, 1, 2, 3, "/", 0, 1, -4, "--target", "2,0", "--row", 1)
    assert by_index.strip() == sg.explain(x, [2, 0], row=1).text().strip()
    soft = printed(capsys, "1 2 3 / 0 1 -4", "--target", "0.2 0.3 0.5 / 1 0 0")
    assert soft.strip() == sg.explain(x, [[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]).text().strip()


def test_losses_activations_and_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(
        capsys, 1, -2, "--target", "0.5 0.5", "--activation", "sigmoid", "--loss", "cross_entropy",
        "--features", "2 0.5", "--label-smoothing", "0.1",
    )  # fmt: skip
    assert text.startswith("Sigmoid with cross-entropy")
    assert "0.1" in text


def test_decimal_digits_are_taken_as_written(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "0.1", "0.2", "--target", 0, "--digits", 40)
    with mpmath.workdps(60):
        p = 1 / (1 + mpmath.exp(mpmath.mpf("0.1")))
    assert mpmath.nstr(p, 40, strip_zeros=False) in text
    soft = printed(capsys, "0.1", "0.2", "--target", "0.3 0.7", "--digits", 40)
    with mpmath.workdps(60):
        grad = p - mpmath.mpf("0.3")
    assert mpmath.nstr(grad, 40, strip_zeros=False, min_fixed=-6) in soft


@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
def test_programs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, 1, 2, 3, "--target", 2, "--format", name)
    assert text == sg.explain([1.0, 2.0, 3.0], 2).code(name)


@pytest.mark.parametrize(
    ("suffix", "start"),
    [(".md", "# Softmax"), (".tex", r"\documentclass"), (".html", "<!DOCTYPE html>"),
     (".py", "import numpy"), (".txt", "Softmax with")],
)  # fmt: skip
def test_files(suffix: str, start: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / f"derivation{suffix}"
    message = printed(capsys, 1, 2, 3, "--target", 2, "--out", file)
    assert file.name in message.replace("\n", "")
    text = file.read_text("utf-8")
    assert text.startswith(start)
    assert text.endswith("\n")
    if suffix == ".html":
        ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n"))


def test_the_format_named_wins_over_the_ending(tmp_path: Path) -> None:
    file = tmp_path / "derivation.txt"
    assert run(["explain", "1", "2", "--format", "latex", "--out", str(file)]) == 0
    assert file.read_text().startswith(r"\documentclass")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["1", "2", "--target", "7"], "0..1"),
        (["1", "two", "--target", "0"], "not a number"),
        (["1", "2", "--tarjet", "0"], "unknown option"),
        (["1", "2", "--target", "0.5"], "2 numbers, one for each logit"),
        (["1", "2", "/", "3"], "2, 1 numbers"),
        (["1", "2", "/"], "2, 0 numbers"),
        (["1", "2", "--target", "0", "--loss", "mse"], "accepted are cross_entropy"),
        (["1", "2", "--format", "pdf"], "accepted are text, markdown, latex, html"),
        (["1", "2", "--option", "delta"], "name=number"),
        (["1", "2", "--target", "0", "--option", "delta=2"], "no option"),
        (["1", "2", "--out", "/nonexistent/file.html"], "/nonexistent"),
        (["1", "nan"], "finite"),
        (["1", "2", "--digits", "2"], "7 to 500"),
    ],
)
def test_mistakes_end_in_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", *arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_rows_of_many_classes(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, *np.linspace(-1, 1, 25).round(2), "--target", 20)
    assert max(map(len, text.splitlines())) <= 80
    assert "⋮" in text


def test_masked_classes(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, 1, "nan", 3, "--target", 2, "--where", "1,0,1")
    mask = np.array([True, False, True])
    assert text.strip() == sg.explain([1.0, np.nan, 3.0], 2, where=mask).text().strip()
    assert run(["explain", "1", "2", "3", "--where", "1,0"]) == 2
    assert "1 for a class that takes part" in capsys.readouterr().err
