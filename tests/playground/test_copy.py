"""Copy as: the code runs and gives the library's numbers."""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import softgrad as sg
from tests.playground.in_page import go

X = np.array([[2.0, 1.0, 0.1, -1.0], [0.5, 3.25, -2.0, 300.0]])
SOFT = np.array([[0.7, 0.2, 0.1, 0.0], [0.0, 0.5, 0.0, 0.5]])
HARD = np.array([0, 3])
ROWS = "x=2,1,0.1,-1;0.5,3.25,-2,300"
SOFT_ROWS = "q=0.7,0.2,0.1,0;0,0.5,0,0.5"
MASK = np.array([True, True, False, True])

#: state of the page, target, options of the library
CASES: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "plain": (f"{ROWS}&y=0,3", HARD, {}),
    "all": (
        f"{ROWS}&y=0,3&temperature=2.5&mask=1101&w=1,2,5,0.5",
        HARD,
        {"temperature": 2.5, "where": MASK, "class_weight": [1.0, 2.0, 5.0, 0.5]},
    ),
    "soft": (f"{ROWS}&{SOFT_ROWS}", SOFT, {}),
    "soft, weights": (
        f"{ROWS}&{SOFT_ROWS}&w=1,2,5,0.5&temperature=0.5",
        SOFT,
        {"temperature": 0.5, "class_weight": [1.0, 2.0, 5.0, 0.5]},
    ),
    "soft, mask": (
        f"{ROWS}&{SOFT_ROWS.replace('0.2,0.1', '0.3,0')}&mask=1101",
        np.array([[0.7, 0.3, 0.0, 0.0], [0.0, 0.5, 0.0, 0.5]]),
        {"where": MASK},
    ),
}


def code(page: Any, where: str, language: str) -> str:
    go(page, f"view=copy&language={language}&{where}")
    return page.locator("pre.code").inner_text()  # type: ignore[no-any-return]


@pytest.mark.parametrize("language", ["softgrad", "numpy", "pytorch", "jax"])
def test_the_code_runs_and_agrees(page: Any, language: str) -> None:
    if language in ("pytorch", "jax"):
        pytest.importorskip({"pytorch": "torch", "jax": "jax"}[language])
    for name, (where, target, options) in CASES.items():
        text = code(page, where, language)
        scope: dict[str, Any] = {}
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(text, f"<{language}, {name}>", "exec"), scope)
        assert printed.getvalue()
        loss, grad = sg.cross_entropy.value_and_grad(X, target, **options)
        found = scope["loss"].detach() if language == "pytorch" else scope["loss"]
        np.testing.assert_allclose(float(found), loss, rtol=1e-12)
        np.testing.assert_allclose(np.asarray(scope["grad"]), grad, rtol=1e-11, atol=1e-15)
        shape = {key: options[key] for key in ("temperature", "where") if key in options}
        p = scope["p"].detach() if language == "pytorch" else scope["p"]
        np.testing.assert_allclose(np.asarray(p), sg.softmax(X, **shape), rtol=1e-12, atol=1e-15)
        if language in ("numpy", "softgrad"):
            jacobian = sg.softmax.jacobian(X, **shape)
            np.testing.assert_allclose(scope["jacobian"], jacobian, rtol=1e-11, atol=1e-15)


def test_latex(page: Any, tmp_path: Path) -> None:
    texts = [
        code(page, f"{where}&row={row}", "latex")
        for where, _, _ in CASES.values()
        for row in (0, 1)
    ]
    assert "2 \\\\ 1 \\\\ 0.1 \\\\ -1" in texts[0]  # logits as they were typed
    twenty = ",".join(str(k / 4 - 2) for k in range(20))  # wider than a matrix of LaTeX may be
    texts += [code(page, f"x={twenty}&y=3{more}", "latex") for more in ("", "&temperature=2")]
    p, grad = sg.softmax(X[0]), sg.cross_entropy.grad(X[0], 0)
    for values in (p, grad):
        assert " \\\\ ".join(f"{v:.4f}" for v in values) in texts[0]
    for text in texts:
        assert text.count("\\begin") == text.count("\\end")
        assert text.count("{") == text.count("}")
        assert not set(text) - set(map(chr, range(32, 127))) - {"\n"}
    if shutil.which("pdflatex") is None:
        pytest.skip("there is no pdflatex to compile it with")
    body = "\n".join(texts)
    head = "\\documentclass{article}\\usepackage{amsmath}\\begin{document}"
    document = f"{head}{body}\\end{{document}}"
    (tmp_path / "page.tex").write_text(document)
    run = subprocess.run(
        ["pdflatex", "-interaction=batchmode", "-halt-on-error", "page.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, (tmp_path / "page.log").read_text()[-2000:]


def test_copied_to_the_clipboard(open_page: Callable[..., Any]) -> None:
    page = open_page("view=copy", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("radio", name="JAX").click()
    page.get_by_role("button", name="Copy", exact=True).click()
    page.locator("#live", has_text="Copied.").wait_for(state="attached")
    assert page.evaluate("navigator.clipboard.readText()").startswith("import jax")
