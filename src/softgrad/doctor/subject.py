"""The thing that is examined, as a function with named parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from softgrad.doctor.frameworks import frameworks, is_module


@dataclass
class Phases:
    """The methods of a class: what they are called, what they take, and where results are left."""

    forward: str
    first: tuple[str, ...]
    backward: str = ""
    last: tuple[str, ...] = ()
    cotangent: str = ""  # the parameter of backward that is one
    base: str = ""
    output: str = ""  # the attributes that hold the results where nothing is returned
    gradient: str = ""


@dataclass
class LayerText:
    """How a layer is written: its two methods, its weights, and where it leaves its gradients."""

    forward: str
    first: tuple[str, ...]
    backward: str
    last: tuple[str, ...]
    weight: str = "W"
    bias: str = ""
    turned: bool = False  # weights of shape (classes, features)
    column: bool = False  # a bias of two axes
    output: str = "p"  # what forward returns: p, z or the loss; "" for nothing
    kept: dict[str, str] = field(default_factory=dict)  # attributes by part: dW, db
    returned: tuple[str, ...] = ()  # the parts that backward returns


@dataclass
class Subject:
    """A callable with its name, the names of its parameters, and its source where there is one."""

    function: Callable[..., Any]
    name: str
    required: tuple[str, ...] | None  # None: the signature is not known
    optional: tuple[str, ...] = ()
    keyword_only: frozenset[str] = frozenset()
    text: str = ""  # docstring, comments and code
    frameworks: tuple[str, ...] = ("numpy", "list")
    two_phases: str = ""  # "vjp", "both" or "layer" for a class with forward and backward
    again: Callable[..., Any] | None = None  # runs backward twice, for such a class
    phases: Phases | None = None  # how a class is written, whatever it was taken for
    layer: LayerText | None = None
    calls: dict[Any, Any] = field(default_factory=dict)  # what it has returned so far

    @property
    def shown(self) -> str:
        names = [*(self.required or ("...",)), *(f"{n}=" for n in self.optional[:4])]
        return f"{self.name}({', '.join(names)})"


def function_subject(function: Callable[..., Any], name: str, source: Any) -> Subject:
    """A plain function, or an object that is called as one; ``source`` is where its text is."""
    inspected = function.forward if is_module(function) else function  # type: ignore[attr-defined]
    required, optional, keyword_only = parameters_of(inspected)
    return Subject(
        function, name, required, optional, keyword_only, text_of(source), frameworks(source)
    )


def parameters_of(
    function: Callable[..., Any],
) -> tuple[tuple[str, ...] | None, tuple[str, ...], frozenset[str]]:
    """The required, the optional and the keyword-only parameters; None if nobody knows."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return None, (), frozenset()
    kinds = inspect.Parameter
    if any(p.kind is kinds.VAR_POSITIONAL for p in parameters):
        return None, (), frozenset()
    usable = [p for p in parameters if p.kind is not kinds.VAR_KEYWORD]
    required = tuple(p.name for p in usable if p.default is kinds.empty)
    optional = tuple(p.name for p in usable if p.default is not kinds.empty)
    only = frozenset(p.name for p in usable if p.kind is kinds.KEYWORD_ONLY)
    return required, optional, only


def text_of(target: Any) -> str:
    """The docstring and the source, as far as there are any."""
    try:
        source = inspect.getsource(target)
    except (OSError, TypeError):
        source = ""
    return f"{inspect.getdoc(target) or ''}\n{source}"
