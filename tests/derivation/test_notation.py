"""Formulas in LaTeX, as text and as MathML."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from softgrad.derivation.expression import latex
from softgrad.derivation.notation import inline, lines, mathml


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (r"p_i - y_i", "pᵢ − yᵢ"),
        (r"-p_i p_j", "−pᵢpⱼ"),
        (r"\frac{1}{1 + e^{-x}}", "1/(1 + e⁻ˣ)"),
        (r"\frac{a + b}{c d}", "(a + b)/(cd)"),
        (r"\frac{\partial L}{\partial x_j}", "∂L/∂xⱼ"),
        (r"-\log p_{12}", "−log p₁₂"),
        (r"\sum_k y_k \log p_k", "∑ₖ yₖ log pₖ"),
        (r"W x_{\beta}", "Wx_β"),
        (r"\left(1 - \frac{e_i}{S}\right)^2", "(1 − eᵢ/S)²"),
        (r"\begin{cases} x & \text{if } x > 0 \\ 0 & \text{otherwise} \end{cases}",
         "{x, if x > 0; 0, otherwise}"),
        (r"J^\top \mathbf{1}", "Jᵀ1"),
        (r"3 \cdot 10^{-7}", "3 · 10⁻⁷"),
    ],
)  # fmt: skip
def test_on_one_line(formula: str, text: str) -> None:
    assert inline(formula) == text


def test_stacked() -> None:
    assert lines(r"x = \frac{a + b}{2}") == ["     a + b", "x = ───────", "       2"]
    assert lines(r"\begin{cases} x & \text{if } x > 0 \\ 0 & \text{otherwise} \end{cases}") == [
        "⎧ x   if x > 0",
        "⎩ 0   otherwise",
    ]


def test_mathml_is_well_formed_and_complete() -> None:
    tree = ElementTree.fromstring(mathml(r"-\frac{\partial p_i}{\partial x_j} \le \sum_k a_k^2"))
    tags = [element.tag for element in tree.iter()]
    assert {"mfrac", "msub", "munder", "msubsup"} <= set(tags)
    assert "".join(tree.itertext()) == "−∂pi∂xj≤∑kak2"
    assert tree.find(".//mo").get("form") == "prefix"  # type: ignore[union-attr]
    assert "&lt;" in mathml("a < b")


@pytest.mark.parametrize(
    "formula",
    [r"\foo", r"\frac{1}", "{a", r"\left( a", "a}", r"\begin{array}a\end{array}", "a_", "ä€"],
)
def test_what_is_outside_the_subset_is_refused(formula: str) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        inline(formula)


@pytest.mark.parametrize(
    ("source", "index", "expected"),
    [
        ("a * (1 - a)", "i", r"a_i \, \left(1 - a_i\right)"),
        ("-sum(y * log(p))", "i", r"-\sum_k y_k \, \log p_k"),
        ("a - (b - c)", "", r"a - \left(b - c\right)"),
        ("(a - b) - c", "", "a - b - c"),
        ("exp(x - max(x))", "i", r"e^{x_i - \max_k x_k}"),
        ("(a - y)**2 / 2", "", r"\frac{\left(a - y\right)^{2}}{2}"),
        ("delta * x", "i", r"\delta \, x_i"),
        ("-(a + b)", "", r"-\left(a + b\right)"),
    ],
)
def test_expressions_as_latex(source: str, index: str, expected: str) -> None:
    assert latex(source, index=index) == expected


def test_symbols_are_renamed() -> None:
    assert latex("sum(exp(x)) - a", index="j", symbols={"x": "z", "a": "p"}) == (
        r"\sum_k e^{z_k} - p_j"
    )
