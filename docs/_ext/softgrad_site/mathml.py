"""Formulas as MathML, written at build time: the pages load nothing to show them."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

#: The name of a function before its argument; browsers set no space between two identifiers.
_FUNCTION = re.compile(r"(<mi>(?:log|exp)</mi>)(?=<m(?!o\b))")


def mathml(latex: str, display: str) -> str:
    """A formula as a MathML element."""
    return _FUNCTION.sub(r'\1<mspace width="0.17em"/>', convert(latex, display=display))


def _inline(translator: Any, node: Any) -> None:
    translator.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def _block(translator: Any, node: Any) -> None:
    translator.body.append('<div class="formula">')
    translator.body.append(mathml(node.astext(), "block"))
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Any) -> None:
    """Register the renderer ``mathml``."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
