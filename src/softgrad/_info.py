"""What this build of softgrad is, and what it runs on."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from softgrad import _native


def info() -> dict[str, Any]:
    """Return what decides speed and bits here: version, instruction set, threads.

    Returns
    -------
    dict
        ``version``; ``instruction_set``, the one in use, and ``instruction_sets``, those that this
        processor can run (the environment variable ``SOFTGRAD_INSTRUCTION_SET`` chooses among
        them); whether the build has ``openmp``; how many ``threads`` a large input would use.

    Examples
    --------
    >>> import softgrad as sg
    >>> sorted(sg.info())
    ['instruction_set', 'instruction_sets', 'openmp', 'threads', 'version']
    """
    return {
        "version": version("softgrad"),
        "instruction_set": _native.instruction_set(),
        "instruction_sets": _native.available_instruction_sets(),
        "openmp": _native.openmp,
        "threads": _native.get_num_threads(),
    }


def show_info() -> None:
    """Print what `info` returns, one line each.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.show_info()  # doctest: +ELLIPSIS
    version           ...
    instruction set   ...
    """
    report = info()
    report["instruction_sets"] = ", ".join(report["instruction_sets"])
    report["openmp"] = "yes" if report["openmp"] else "no"
    for name, value in report.items():
        print(f"{name.replace('_', ' '):<17} {value}")
