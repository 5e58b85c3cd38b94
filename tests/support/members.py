"""Every function and derivative of the library, in one list that tests run through.

A member is called as `member(x, *companions, **options)`, where the companions are what it needs
beside the logits: cotangents, tangents, targets.  `reference` takes the same arguments and computes
in float64 NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

import softgrad as sg
from softgrad._protocol import Elementwise
from softgrad._reference import activations, losses, rows
from softgrad._reference.row_losses import Reference
from softgrad.functions import ACTIVATIONS, LOSSES

Array = NDArray[Any]


@dataclass(frozen=True)
class Member:
    name: str
    call: Callable[..., Any]
    reference: Callable[..., Any]
    companions: tuple[str, ...] = ()
    result: str = "like x"  # "like x", "a row each", "square", "flat", "scalar"
    options: frozenset[str] = frozenset({"axis", "temperature", "where"})
    fixed: dict[str, Any] = field(default_factory=dict)
    loss: str = ""  # the loss that it is a member of
    target: str = ""  # of a loss: the kind of its target

    def __call__(self, x: Any, *companions: Any, **options: Any) -> Any:
        return self.call(x, *companions, **self.fixed, **options)

    def expected(self, x: Any, *companions: Any, **options: Any) -> Any:
        return self.reference(x, *companions, **self.fixed, **options)

    def make_companions(
        self, rng: Generator, x: Array, axis: int | tuple[int, ...] | None = -1
    ) -> tuple[Array, ...]:
        """Random companions of x's type; `axis` tells the shape of those that are one a row."""
        return tuple(_MAKE[kind](rng, x, axis) for kind in self.companions)

    @property
    def has_axis(self) -> bool:
        return "axis" in self.options


def axes_of(x: Array, axis: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """The class axes, none of them negative."""
    if axis is None:
        return tuple(range(x.ndim))
    return tuple(a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def row_shape(x: Array, axis: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """The shape of one number a row: x's without the class axes."""
    gone = axes_of(x, axis)
    return tuple(n for a, n in enumerate(x.shape) if a not in gone)


def float_type(x: Array) -> Any:
    """The type that results for x have: its own if it is a float."""
    return x.dtype if np.dtype(x.dtype).kind in "fV" else np.dtype(np.float64)


def _entries(rng: Generator, x: Array, axis: Any) -> Array:
    return np.asarray(rng.normal(size=x.shape)).astype(float_type(x))


def _one_a_row(rng: Generator, x: Array, axis: Any) -> Array:
    return np.asarray(rng.normal(size=row_shape(x, axis))).astype(float_type(x))


def _one(rng: Generator, x: Array, axis: Any) -> Array:
    return np.asarray(rng.normal()).astype(float_type(x))


def _labels(rng: Generator, x: Array, axis: Any) -> Array:
    shape = row_shape(x, axis)
    classes = x.shape[axes_of(x, axis)[0]]
    return rng.integers(max(classes, 1), size=shape)


def _probabilities(rng: Generator, x: Array, axis: Any) -> Array:
    weight = rng.random(x.shape) + 0.1
    return np.asarray(weight / weight.sum(axis=axis, keepdims=True)).astype(float_type(x))


def _yes_or_no(rng: Generator, x: Array, axis: Any) -> Array:
    return rng.integers(2, size=x.shape).astype(float_type(x))


_MAKE: dict[str, Callable[[Generator, Array, Any], Array]] = {
    "entries": _entries,
    "one a row": _one_a_row,
    "one": _one,
    "labels": _labels,
    "probabilities": _probabilities,
    "values": _entries,
    "yes or no": _yes_or_no,
}


_ROW = frozenset({"axis", "temperature", "where"})
_LSE = frozenset({"axis", "where"})
_NONE: frozenset[str] = frozenset()


def _row_members(name: str, function: Any, options: frozenset[str] = _ROW) -> list[Member]:
    def member(dotted: str, companions: tuple[str, ...], result: str) -> Member:
        call = getattr(function, dotted) if dotted else function
        title = f"{name}.{dotted}" if dotted else name
        reference = getattr(rows, title.replace(".", "_"))
        return Member(title, call, reference, companions, result, options)

    return [
        member("", (), "like x"),
        member("vjp", ("entries",), "like x"),
        member("jvp", ("entries",), "like x"),
        member("hvp", ("entries", "entries"), "like x"),
        member("jacobian", (), "square"),
    ]


def _given(x: Any, g: Any, **options: Any) -> Any:
    return sg.softmax.vjp(x, g, value=sg.softmax(x, **options), **options)


_GIVEN = Member("softmax.vjp of p", _given, rows.softmax_vjp, ("entries",))

_LOGSUMEXP = [
    Member("logsumexp", sg.logsumexp, rows.logsumexp, (), "a row each", _LSE),
    Member("logsumexp.vjp", sg.logsumexp.vjp, rows.logsumexp_vjp, ("one a row",), "like x", _LSE),
    Member("logsumexp.jvp", sg.logsumexp.jvp, rows.logsumexp_jvp, ("entries",), "a row each", _LSE),
    Member(
        "logsumexp.hvp",
        sg.logsumexp.hvp,
        rows.logsumexp_hvp,
        ("one a row", "entries"),
        "like x",
        _LSE,
    ),
    Member("logsumexp.jacobian", sg.logsumexp.jacobian, rows.logsumexp_jacobian, (), "flat", _LSE),
]


def _elementwise_members(name: str, **parameter: float) -> list[Member]:
    """The Jacobian of an elementwise function is given as its diagonal."""
    function: Any = ACTIVATIONS[name]
    number = next(iter(parameter.values()), 0.0)

    def member(dotted: str, order: int, *companions: str) -> Member:
        def reference(x: Any, *factors: Any, **_: Any) -> Any:
            return activations.derivative(name, order, x, *factors, parameter=number)

        call = getattr(function, dotted) if dotted else function
        shown = "".join(f"[{key}={value}]" for key, value in parameter.items())
        title = f"{name}.{dotted}" if dotted else name
        return Member(title + shown, call, reference, companions, options=_NONE, fixed=parameter)

    return [
        member("", 0),
        member("vjp", 1, "entries"),
        member("jvp", 1, "entries"),
        member("jacobian", 1),
        member("hvp", 2, "entries", "entries"),
    ]


#: Elementwise functions with the parameters that they are tested at; None is their default.
ELEMENTWISE: list[tuple[str, dict[str, float]]] = [
    *(
        (name, {})
        for name, f in ACTIVATIONS.items()
        if isinstance(f, Elementwise) and not f.options
    ),
    ("leaky_relu", {"negative_slope": 0.01}),
    ("leaky_relu", {"negative_slope": -0.3}),
    ("elu", {"alpha": 1.0}),
    ("elu", {"alpha": 0.7}),
]


def as_probabilities(x: Any) -> Any:
    """Numbers in 0..1 of any numbers, by operations that round the same everywhere."""
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        return x
    with np.errstate(all="ignore"):
        return 1 / (1 + np.abs(array)) if array.dtype.kind == "f" else 1 / (1.0 + np.abs(array))


def _of_probabilities(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, *companions, **options: function(as_probabilities(x), *companions, **options)


def _loss_members(name: str, target: str, reduction: str) -> list[Member]:
    loss: Any = LOSSES[name]
    per_row = reduction == "none"
    value = "a row each" if per_row else "scalar"
    cotangent = "one a row" if per_row else "one"

    def reference(member: str) -> Callable[..., Any]:
        if name == "cross_entropy":
            found: Any = getattr(losses, f"cross_entropy_{member}" if member else "cross_entropy")
            return found
        found = getattr(Reference(name), member or "value")
        return found

    def member(which: str, *more: str, result: str = "like x") -> Member:
        calls = [getattr(loss, which) if which else loss, reference(which)]
        if loss.takes == "probabilities":
            calls = [_of_probabilities(call) for call in calls]
        return Member(
            f"{name}.{which}[{target}, {reduction}]" if which else f"{name}[{target}, {reduction}]",
            *calls,
            (target, *more),
            result,
            frozenset(loss.options) & {"axis", "temperature", "where"},
            {"reduction": reduction},
            name,
            target,
        )

    members = [
        member("", result=value),
        member("grad"),
        member("vjp", cotangent),
        member("jvp", "entries", result=value),
        member("hvp", "entries"),
        member("jacobian"),
        member("hessian", result="square"),
    ]
    return members + ([member("grad_target")] if target != "labels" else [])


#: What the target of each loss is made of; the cross-entropy with all reductions.
_TARGETS = [
    ("nll", "labels"),
    ("nll", "probabilities"),
    ("categorical_cross_entropy", "labels"),
    ("categorical_cross_entropy", "probabilities"),
    ("binary_cross_entropy", "yes or no"),
    ("binary_cross_entropy", "probabilities"),
    ("binary_cross_entropy_probabilities", "yes or no"),
    ("focal", "labels"),
    ("focal", "probabilities"),
    ("sigmoid_focal", "yes or no"),
    ("sigmoid_focal", "probabilities"),
    ("squared_error", "values"),
    ("half_squared_error", "values"),
    ("absolute_error", "values"),
    ("huber", "values"),
    ("kl_divergence", "probabilities"),
    ("multiclass_hinge", "labels"),
    ("distillation", "values"),
]
_ROW_LOSSES = [
    member for name, target in _TARGETS for member in _loss_members(name, target, "none")
]
#: Every loss, but one member each, for the reductions; the others do not know of them.
_REDUCED = [
    member
    for name, target in _TARGETS
    for reduction in ("sum", "mean")
    for member in _loss_members(name, target, reduction)[:2]
]

MEMBERS: list[Member] = [
    *_row_members("softmax", sg.softmax),
    _GIVEN,
    *_row_members("log_softmax", sg.log_softmax),
    *_row_members("softmin", sg.softmin),
    *_row_members("sparsemax", sg.sparsemax, _LSE),
    *_LOGSUMEXP,
    *(
        member
        for name, parameter in ELEMENTWISE
        for member in _elementwise_members(name, **parameter)
    ),
    *(
        member
        for target in ("labels", "probabilities")
        for reduction in ("none", "sum", "mean")
        for member in _loss_members("cross_entropy", target, reduction)
    ),
    *_ROW_LOSSES,
    *_REDUCED,
]

BY_NAME = {member.name: member for member in MEMBERS}


def names(select: Callable[[Member], bool] = lambda member: True) -> list[str]:
    """Names of members, for `pytest.mark.parametrize`."""
    return [member.name for member in MEMBERS if select(member)]
