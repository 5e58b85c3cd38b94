"""Shared fixtures; warnings are errors everywhere, and observed errors are printed at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

#: The largest error seen for each (function, type): what the documentation quotes.
OBSERVED = pytest.StashKey[dict[tuple[str, str], float]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "error")
    config.stash[OBSERVED] = {}


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process of several (pytest -n) hands what it observed to the one that reports."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        observed = session.config.stash[OBSERVED]
        output["observed"] = [[*key, error] for key, error in observed.items()]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    observed = node.config.stash[OBSERVED]
    for function, dtype, worst in getattr(node, "workeroutput", {}).get("observed", []):
        key = (function, dtype)
        observed[key] = max(observed.get(key, 0.0), worst)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    observed = config.stash[OBSERVED]
    if observed:
        terminalreporter.section("largest errors observed, in ULP")
        for (function, dtype), error in sorted(observed.items()):
            terminalreporter.write_line(f"{function:40} {dtype:8} {error:8.3f}")


class Observed:
    """Collects the largest error of each function and type, beside asserting its limit."""

    def __init__(self, record: dict[tuple[str, str], float]) -> None:
        self._record = record

    def check(self, function: str, dtype: str, error: np.ndarray, limit: float, case: str) -> None:
        worst = float(np.max(error, initial=0.0))
        key = (function, dtype)
        self._record[key] = max(self._record.get(key, 0.0), worst)
        assert worst <= limit, f"{function} {dtype}: {worst:.3f} ULP > {limit} on {case}"


@pytest.fixture
def observed(request: pytest.FixtureRequest) -> Observed:
    return Observed(request.config.stash[OBSERVED])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240607)


@pytest.fixture
def restore_threads() -> Iterator[None]:
    """Undoes what a test did with `set_num_threads`."""
    import softgrad as sg

    before = sg.get_num_threads()
    yield
    sg.set_num_threads(before)
