"""The same derivation as Markdown, LaTeX and HTML."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import softgrad as sg
from softgrad.derivation import Derivation, figures
from softgrad.derivation.render import parts
from softgrad.functions import ACTIVATIONS, LOSSES

CASES: dict[str, dict[str, Any]] = {
    "default": {"logits": [1.0, 2.0, 3.0], "target": 2},
    "batch": {"logits": [[1.0, 2.0, 3.0], [0.5, 4.0, -1.0]], "target": [2, 0], "temperature": 2.0},
    "many": {"logits": np.linspace(-3, 3, 40), "target": 7},
    "digits": {"logits": [1.0, 2.0, 3.0], "target": 2, "digits": 50},
    "activation": {"logits": [1.0, -2.0], "activation": "elu"},
    "small": {"logits": [1e-7, 40.0, -3e5], "target": 0},
    "infinite": {"logits": [0.0, 800.0], "target": 0},
}


def derivation(name: str) -> Derivation:
    case = dict(CASES[name])
    return sg.explain(case.pop("logits"), case.pop("target", None), **case)


def shown_numbers(document: Derivation) -> set[str]:
    """Every text in every table."""
    return {
        cell
        for step in document.steps
        for table in step.numbers
        for column in figures.cells(table, document.digits)
        for cell in column
    }


@pytest.mark.parametrize("name", CASES)
def test_html_is_well_formed_and_complete(name: str) -> None:
    document = derivation(name)
    cell = document._repr_html_()
    tree = ElementTree.fromstring(cell)
    text = " ".join(" ".join(tree.itertext()).split())
    for step in document.steps:
        assert step.title in text
    for number in shown_numbers(document):
        assert number.replace("-", "−", 1 if number.startswith("-") else 0) in text
    formulas = sum(len(step.formula_latex) for step in document.steps)
    assert len(list(tree.iter("math"))) >= formulas
    assert len(list(tree.iter("section"))) == len(document.steps)
    page = document.html()
    assert cell in page
    for outside in ("http", "<script", "url(", "@import", "$"):
        assert outside not in page.replace("softgrad", ""), outside
    ElementTree.fromstring(page.removeprefix("<!DOCTYPE html>\n"))


@pytest.mark.parametrize("name", CASES)
def test_markdown_parses(name: str) -> None:
    from markdown_it import MarkdownIt

    document = derivation(name)
    text = document.markdown()
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    headings = [
        tokens[k + 1].content for k, token in enumerate(tokens) if token.type == "heading_open"
    ]
    titles = [f"{n}. {step.title}" for n, step in enumerate(document.steps, start=1)]
    assert headings == [document.title, *titles, "Code"]
    tables = sum(token.type == "table_open" for token in tokens)
    expected = sum(
        len(parts.blocks(table, document.digits, 110))
        for step in document.steps
        for table in step.numbers
    )
    assert tables == expected
    cells = {t.content.strip("*") for t in tokens if t.type == "inline"}
    for number in shown_numbers(document):
        assert number in cells
    assert [t.content for t in tokens if t.type == "fence"] == [document.code("numpy")]
    assert text.count("$$") % 2 == 0


def every_pair() -> list[tuple[str, str]]:
    """Each activation and each loss at least once."""
    losses = list(LOSSES)
    found = []
    for k, activation in enumerate(ACTIVATIONS):
        loss = losses[k % len(losses)]
        found.append(("softmax" if LOSSES[loss].takes == "probabilities" else activation, loss))
        if LOSSES[loss].takes == "probabilities":
            found.append((activation, "squared_error"))
    softmax = [("softmax", "focal"), ("softmax", "distillation")]
    sigmoid = [("sigmoid", "sigmoid_focal"), ("sigmoid", "binary_cross_entropy")]
    return [*found, *softmax, *sigmoid]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles(tmp_path: Path) -> None:
    """All documents in one run: the bodies one after another below one preamble."""
    documents = [derivation(name) for name in CASES]
    x = [[0.7, -1.3, 2.1, 0.2], [0.1, 1.9, -0.4, -2.2]]
    documents += [sg.explain(x, [2, 0], activation=a, loss=b) for a, b in every_pair()]
    preamble, begin, _ = documents[0].latex().partition(r"\begin{document}")
    bodies = []
    for document in documents:
        text = document.latex()
        assert text.startswith(preamble)
        bodies.append(text.partition(begin)[2].rpartition(r"\end{document}")[0])
    source = preamble + begin + "\n\\newpage\n".join(bodies) + r"\end{document}"
    assert source.isascii()
    (tmp_path / "all.tex").write_text(source)
    run = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "all.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
    )
    assert run.returncode == 0, run.stdout[-2000:]
    assert (tmp_path / "all.pdf").stat().st_size > 10_000
    wide = [line for line in run.stdout.splitlines() if line.startswith("Overfull")]
    assert not wide, wide


def test_latex_escapes_what_is_special() -> None:
    from softgrad.derivation.render.latex import _escaped

    assert _escaped("a_b & 50% {x} i ≠ j") == r"a\_b \& 50\% \{x\} i $\neq$ j"


def test_rich_and_plain_text_are_the_same() -> None:
    from rich.console import Console

    document = derivation("default")
    console = Console(width=80, force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(document)
    assert capture.get().rstrip() == document.text().rstrip()
