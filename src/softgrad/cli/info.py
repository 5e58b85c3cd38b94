"""softgrad info: what this installation can do."""

from __future__ import annotations

import softgrad as sg
from softgrad.cli.console import console, figures_table


def info_command() -> None:
    """Print version, instruction sets and threads."""
    rows = {
        key.replace("_", " "): ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in sg.info().items()
    }
    console().print(figures_table(rows))
