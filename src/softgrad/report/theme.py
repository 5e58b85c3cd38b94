"""Figures that follow the page: matplotlib draws with stand-in colours, the page fills them in.

Every figure is SVG inside the page, so text stays text, and light or dark is decided by the reader.
"""

from __future__ import annotations

import io
import re
from importlib.resources import files
from typing import Any

import matplotlib
from matplotlib.figure import Figure

# stand-in colour -> the page's variable
INK, MUTED, GRID = "#010203", "#010204", "#010205"
ACCENT, WARM, ON_ACCENT = "#010206", "#010207", "#010208"
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    ACCENT: "accent",
    WARM: "warm",
    ON_ACCENT: "on-accent",
}

_STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 10.5,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "text.color": INK,
    "lines.linewidth": 2.0,
    "legend.frameon": False,
    "legend.labelcolor": INK,
}


def style() -> Any:
    """The settings to draw in; matplotlib's own are restored afterwards."""
    return matplotlib.rc_context(_STYLE)


def on_paper(text: str) -> str:
    """An SVG of :func:`svg` as a document of its own, in the light colours of the page."""
    page = files("softgrad.report").joinpath("page.html").read_text("utf-8")
    light = page[page.index(":root {") : page.index("}")]
    for name, value in re.findall(r"--([\w-]+):\s*([^;]+);", light):
        text = text.replace(f"var(--{name})", value.replace('"', "'"))
    return text


def svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element for a page; ``name`` keeps its ids apart from other figures'."""
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    # Its natural size, so that all figures have letters of one size; narrower on narrow screens.
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    pixels = round(figure.get_figwidth() * 96)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', rf'\1 style="width: {pixels}px"', text, count=1)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r"(font(?:-family)?:[^;\"]*?)'DejaVu Sans'[^;\"]*", r"\1var(--font)", text)
    for stand_in, variable in _VARIABLES.items():
        text = text.replace(stand_in, f"var(--{variable})")
    return text
