"""Tables for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table


def console() -> Console:
    """Standard output, in colour where a person looks at it."""
    return Console(highlight=False, soft_wrap=False)


def wide_console(least: int) -> Console:
    """Standard output that is a file: as wide as a table needs."""
    return Console(highlight=False, soft_wrap=False, width=max(Console().width, least))


def figures_table(rows: dict[str, str]) -> Table:
    """Names and values, aligned."""
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim")
    table.add_column()
    for key, value in rows.items():
        table.add_row(key, value)
    return table
