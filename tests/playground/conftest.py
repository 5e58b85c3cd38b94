"""A browser for the playground: Debian's Chromium, started once for all tests of this folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from softgrad.derivation.playground import render


@pytest.fixture(scope="session")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as it is written for a user."""
    path = tmp_path_factory.mktemp("playground") / "playground.html"
    path.write_text(render("1.2.3"), "utf-8")
    return path


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("there is no chromium; on Debian: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        # Without a sandbox it also starts for root, as in a container; it loads this page alone.
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, page_file: Path) -> Iterator[Callable[..., Any]]:
    """Opens the page at a state; whatever it logs, or asks of a network, fails the test."""
    contexts: list[Any] = []
    troubles: list[str] = []

    def open_at(state: str = "", **options: Any) -> Any:
        options.setdefault("viewport", {"width": 1280, "height": 900})
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        page.on("request", lambda request: troubles.append(f"request: {request.url}"))
        page.goto(f"{page_file.as_uri()}#{state}")
        page.locator("#tab-explore").wait_for()
        return page

    yield open_at
    for context in contexts:
        context.close()
    own = page_file.as_uri()
    assert [
        text for text in troubles if not text.startswith((f"request: {own}", "request: data:"))
    ] == []


@pytest.fixture
def page(open_page: Callable[..., Any]) -> Any:
    """The page as it opens."""
    return open_page()
