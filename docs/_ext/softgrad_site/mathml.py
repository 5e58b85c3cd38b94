"""Formulas as MathML, written at build time: the pages load nothing to show them."""

from __future__ import annotations

from typing import Any

from latex2mathml.converter import convert


def _inline(translator: Any, node: Any) -> None:
    from docutils import nodes

    translator.body.append(convert(node.astext(), display="inline"))
    raise nodes.SkipNode


def _block(translator: Any, node: Any) -> None:
    from docutils import nodes

    translator.body.append('<div class="formula">')
    translator.body.append(convert(node.astext(), display="block"))
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Any) -> None:
    """Register the renderer ``mathml``."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
