"""The part of the documentation that is generated: each page from the one place that knows it."""

from __future__ import annotations

from typing import Any

from softgrad_site import docstrings, figures, mathml, mistakes, playground, reference


def setup(app: Any) -> dict[str, Any]:
    """Register what the pages need."""
    for part in (mathml, figures, docstrings, reference, mistakes, playground):
        part.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
