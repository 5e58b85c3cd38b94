"""``{drawing} NAME``: what ``draw()`` in ``_figures/NAME.py`` returns, an SVG element.

Figures are drawn while the pages are read, with the library as it is, so that none can be out of
date. They take the colours of the page, light or dark, as the figures of the reports do.
"""

from __future__ import annotations

import html
import runpy
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective


class Drawing(SphinxDirective):
    """A figure with a caption; the option ``alt`` says what is to be seen."""

    required_arguments = 1
    has_content = True
    option_spec = {"alt": directives.unchanged_required}  # noqa: RUF012 docutils' own way

    def run(self) -> list[nodes.Node]:
        script = f"{self.env.srcdir}/_figures/{self.arguments[0]}.py"
        self.env.note_dependency(script)
        svg = runpy.run_path(script)["draw"]()
        if "alt" not in self.options:
            raise self.error("A drawing needs :alt:, for those who cannot see it.")
        label = html.escape(self.options["alt"])
        text = f'<div class="drawing" role="img" aria-label="{label}">{svg}</div>'
        figure = nodes.figure("", nodes.raw("", text, format="html"))
        if self.content:
            caption = nodes.caption()
            self.state.nested_parse(self.content, self.content_offset, holder := nodes.Element())
            for paragraph in holder.children:
                caption += paragraph.children
            figure += caption
        return [figure]


def setup(app: Any) -> None:
    """Register the directive."""
    app.add_directive("drawing", Drawing)
