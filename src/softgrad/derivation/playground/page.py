"""The page put together from its sources, so that it needs nothing from elsewhere."""

from __future__ import annotations

import html
from importlib.resources import files
from string import Template

from softgrad.derivation.playground.modules import bundle

#: In the order in which they apply.
STYLES = ("tokens.css", "page.css", "views.css")


def render(version: str) -> str:
    """Return the page as the text of one HTML file.

    It refers to nothing outside itself, and its content security policy forbids it to load
    anything, so that it works from a disk, offline, for as long as browsers read HTML.

    >>> from softgrad.derivation.playground import render
    >>> render("1.0").startswith("<!doctype html>")
    True
    """
    folder = files(__package__)
    style = "\n".join(folder.joinpath("css", name).read_text("utf-8") for name in STYLES)
    script = bundle(folder.joinpath("js"), "main.js")
    for text, end in ((style, "</style"), (script, "</script")):
        if end in text.lower():
            raise ValueError(f"A source of the playground contains {end!r}, which would end it.")
    page = Template(folder.joinpath("template.html").read_text("utf-8"))
    return page.substitute(style=style, script=script, version=html.escape(version))
