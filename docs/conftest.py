"""The examples of the pages run in an empty folder; what builds the pages is no example."""

from __future__ import annotations

from pathlib import Path

import pytest

collect_ignore_glob = ["conf.py", "_ext/*", "_figures/*", "_build/*", "reference/api/*"]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
