"""Functions that take their weights together, as one tuple, list or dictionary."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from softgrad.doctor.subject import Subject

_NAMES = r"(?i)(model_?)?(params?|parameters|weights|theta|state)"
_KEYS = r"""\b{name}\[\s*['"](\w+)['"]\s*\]"""

Put = Callable[[Any, Any], Any]


def taken_apart(subject: Subject) -> Iterator[Subject]:
    """The same function with W and b as two parameters, put together in each likely way."""
    required = subject.required or ()
    for place, name in enumerate(required):
        if re.fullmatch(_NAMES, name):
            names = (*required[:place], "W", "b", *required[place + 1 :])
            for put in _ways(subject.text, name):
                function = _with(subject.function, place, put)
                yield replace(subject, function=function, required=names, calls={})


def _ways(text: str, name: str) -> Iterator[Put]:
    keys = list(dict.fromkeys(re.findall(_KEYS.format(name=re.escape(name)), text)))
    if len(keys) == 2:
        bias = next((key for key in keys if key.lower().startswith("b")), keys[1])
        weight = next(key for key in keys if key != bias)
        yield lambda W, b: {weight: W, bias: b}
    yield lambda W, b: (W, b)
    yield lambda W, b: [W, b]


def _with(function: Callable[..., Any], place: int, put: Put) -> Callable[..., Any]:
    def apart(*arguments: Any, **named: Any) -> Any:
        W, b = arguments[place : place + 2]
        return function(*arguments[:place], put(W, b), *arguments[place + 2 :], **named)

    return apart
