"""The playground, written into the site by the command that writes it for everybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def _write(app: Any, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        from softgrad.cli.playground import playground_command

        playground_command(Path(app.outdir) / "_static" / "playground.html", show=False)


def setup(app: Any) -> None:
    """Write the page once the others are."""
    app.connect("build-finished", _write)
