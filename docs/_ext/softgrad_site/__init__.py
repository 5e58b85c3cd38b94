"""The part of the documentation that is generated: each page from the one place that knows it."""

from __future__ import annotations

from typing import Any


def setup(app: Any) -> dict[str, Any]:
    """Register what the pages need."""
    # Imported here, so that the tests of a part need only what that part needs.
    from softgrad_site import docstrings, figures, mathml, mistakes, playground, reference, tables

    for part in (mathml, figures, docstrings, reference, mistakes, playground, tables):
        part.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
