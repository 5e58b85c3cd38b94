"""Numbers to and from the page: JSON has neither NaN nor infinities."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

_TEXTS = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}
_REPLACER = "(k, v) => typeof v === 'number' && !Number.isFinite(v) ? String(v) : v"


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
