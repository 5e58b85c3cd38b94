"""Numbers to and from the page: JSON has neither NaN nor infinities."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

_TEXTS = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}
_REPLACER = "(k, v) => typeof v === 'number' && !Number.isFinite(v) ? String(v) : v"


def settle(page: Any) -> None:
    """Until what was changed is drawn."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def until(page: Any, condition: str) -> None:
    """Until a JavaScript expression is true; the page's own policy forbids wait_for_function."""
    message = json.dumps(f"{condition} stays false")
    page.evaluate(
        f"""() => new Promise((done, fail) => {{
            const end = performance.now() + 20000;
            const look = () => {{
                if ({condition}) done();
                else if (performance.now() > end) fail(new Error({message}));
                else requestAnimationFrame(look);
            }};
            look();
        }})"""
    )


def go(page: Any, state: str) -> None:
    """Follow a link to another state of the page that is open."""
    page.evaluate(
        """state => new Promise(done => {
            if (location.hash === "#" + state) done();
            window.addEventListener("hashchange", () => done(), { once: true });
            location.hash = state;
        })""",
        state,
    )
    settle(page)


def state(page: Any) -> dict[str, Any]:
    """What the page holds now."""
    settle(page)
    return page.evaluate("softgrad.state()")  # type: ignore[no-any-return]


def call(page: Any, function: str, *arguments: Any) -> Any:
    """The result of a function of the page's mathematics, such as softmaxRow."""
    listed = ", ".join(_script(argument) for argument in arguments)
    return evaluate(page, f"softgrad.{function}({listed})")


def evaluate(page: Any, expression: str) -> Any:
    text = page.evaluate(f"JSON.stringify({expression}, {_REPLACER})")
    return _restored(json.loads(text))


def _script(value: Any) -> str:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_script(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_script(item) for item in value) + "]"
    return json.dumps(value)  # NaN and Infinity as JavaScript writes them


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _restored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_restored(item) for item in value]
    return _TEXTS.get(value, value) if isinstance(value, str) else value
