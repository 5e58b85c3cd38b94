"""Wide tables: the heads of columns are long names, which may be broken at their own joints."""

from __future__ import annotations

from typing import Any

from docutils import nodes

_HERE = "\N{ZERO WIDTH SPACE}"


def _joints(app: Any, doctree: Any) -> None:
    for head in doctree.findall(nodes.thead):
        for text in list(head.findall(nodes.Text)):
            broken = text.replace("_", f"_{_HERE}").replace(".", f".{_HERE}")
            text.parent.replace(text, nodes.Text(broken))


def setup(app: Any) -> None:
    """Mark where names may be broken."""
    app.connect("doctree-read", _joints)
