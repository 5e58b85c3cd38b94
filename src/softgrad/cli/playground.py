"""softgrad playground: the interactive page, written to a file and opened."""

from __future__ import annotations

import tempfile
import webbrowser
from pathlib import Path

from softgrad import __version__
from softgrad.data.atomic import atomic_write
from softgrad.derivation.playground import render
from softgrad.report.write import OutputError


def playground_command(out: Path | None, show: bool) -> None:
    """Write the page, say where it is, and open it in the browser."""
    if out is None:
        out = Path(tempfile.mkdtemp(prefix="softgrad-")) / "playground.html"
    if out.is_dir():
        raise OutputError(f"{str(out)!r} is a folder. Give a file, such as playground.html.")
    if not out.parent.is_dir():
        raise OutputError(f"There is no folder {str(out.parent)!r}. Create it, or change --out.")
    with atomic_write(out) as file:
        file.write(render(__version__).encode())
    print(f"wrote {out}")
    if show and not webbrowser.open(out.resolve().as_uri()):
        print("No browser could be started; open the file yourself.")
