"""softgrad info: what this installation can do."""

from __future__ import annotations

import platform
from importlib.metadata import version

import softgrad as sg
from softgrad.cli.console import console, figures_table


def info_command() -> None:
    """Print version, instruction sets and threads."""
    about = sg.info()
    others = ", ".join(about["instruction_sets"])
    rows = {
        "version": about["version"],
        "instruction set": about["instruction_set"],
        "": f"[dim]SOFTGRAD_INSTRUCTION_SET chooses: {others}[/]",
        "openmp": "yes" if about["openmp"] else "no",
        "threads": str(about["threads"]),
        "Python": f"{platform.python_version()} [dim]({platform.machine()})[/]",
        **{name: version(name) for name in ("numpy", "scipy", "scikit-learn")},
    }
    console().print(figures_table(rows), soft_wrap=True)
