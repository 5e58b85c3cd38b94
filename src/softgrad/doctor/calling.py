"""Calling somebody else's function: in its own convention, and without being harmed by it."""

from __future__ import annotations

import contextlib
import copy
import io
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import softgrad as sg
from softgrad._typing import Array
from softgrad.doctor.probes import Probe
from softgrad.doctor.results import array_or_nan, holds_numbers, kind_of, to_numpy


@dataclass(frozen=True)
class Convention:
    """How a function wants its arguments.

    ``arguments`` pairs each role with the keyword to pass it by, or None for by position.
    ``layout`` is NC, CN, 1NC or 11NC (with more axes in front), row or C1 (one example at a time,
    as a vector or a column), for yes/no questions N, N1 or scalar; of a layer NCT where the weights
    are (C, D) although examples are rows, NCF where they are one flat vector.
    """

    arguments: tuple[tuple[str, str | None], ...]
    framework: str = "numpy"
    layout: str = "NC"
    target: str = "index"
    takes: str = "logits"
    mask: bool = True  # what a mask is filled with that masks nothing
    cost: float = 0.0
    temperature: float = 1.0  # one that is fixed inside
    smoothing: float = 0.0  # of the labels, fixed inside
    smoothed_over: str = "all"  # the classes that share it: all, or the others
    relative: bool = False  # the loss is the divergence from the target: less its entropy

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(role for role, _ in self.arguments)

    @property
    def single(self) -> bool:
        """Whether the function takes one example at a time."""
        return self.layout in ("row", "C1", "scalar")

    @property
    def nested(self) -> int:
        """How many axes there are in front of (N, C)."""
        return len(self.layout) - len(self.layout.lstrip("1"))

    def takes_role(self, role: str) -> bool:
        return role in self.roles


class OvertimeError(Exception):
    """A call that did not come back within its time."""


class ExitError(Exception):
    """A call that wanted to end the process."""


@dataclass
class Outcome:
    """What came of a call: a value or an error, and what else was noticed."""

    value: Any = None
    error: Exception | None = None
    printed: str = ""
    mutated: tuple[str, ...] = ()
    after: dict[str, Array] = field(default_factory=dict)
    kind: str = ""  # the type's name, and the dtype where there is one
    keys: tuple[str, ...] = ()  # of a dictionary
    closure: bool = False  # whether the backward pass came back as a function


def call_key(convention: Convention, probe: Probe) -> tuple[Any, ...]:
    """What two calls have in common that give the function the same arguments."""
    given: list[Any] = [convention.framework, convention.single, probe.shape[0]]
    for role, name in convention.arguments:
        # One at a time: the rows together stand for all.
        value = material(role, replace(convention, layout="NC"), probe)
        array = np.asarray(value)
        given.append((name, role in ("x", "X", "W", "b"), array.dtype.str, array.tobytes()))
    return (*given, convention.layout, convention.target)


def call(
    function: Callable[..., Any],
    convention: Convention,
    probe: Probe,
    options: Mapping[str, Any] | None = None,
    time_limit: float = 10.0,
) -> Outcome:
    """One call, or one a row where that is wanted; ``options`` adds or replaces roles."""
    if convention.single:
        single = [
            _call_once(function, convention, probe.row(i), options, time_limit)
            for i in range(probe.shape[0])
        ]
        return _stacked(single)
    return _call_once(function, convention, probe, options, time_limit)


def _stacked(single: list[Outcome]) -> Outcome:
    for outcome in single:
        if outcome.error is not None:
            return outcome
    first = single[0]
    if first.value is None:
        return first
    together = copy.copy(first)
    try:
        if isinstance(first.value, tuple):
            together.value = tuple(
                np.stack([o.value[k] for o in single]) for k in range(len(first.value))
            )
        else:
            together.value = np.stack([o.value for o in single])
    except (ValueError, IndexError, TypeError) as error:
        together.error = error
    together.mutated = tuple(dict.fromkeys(m for o in single for m in o.mutated))
    return together


def _call_once(
    function: Callable[..., Any],
    convention: Convention,
    probe: Probe,
    options: Mapping[str, Any] | None,
    time_limit: float,
) -> Outcome:
    plain = {role: material(role, convention, probe) for role in convention.roles}
    plain.update(options or {})
    given = {role: _in_framework(v, role, convention.framework) for role, v in plain.items()}
    keywords = dict(convention.arguments)
    arguments = [given[role] for role, key in convention.arguments if key is None]
    named = {keywords[role] or role: v for role, v in given.items() if _by_name(role, keywords)}
    outcome = Outcome()
    printed = io.StringIO()
    try:
        with _quiet(printed), _time_limit(time_limit):
            given_back = function(*arguments, **named)
            result = _pulled_back(given_back, convention, probe)
    except Exception as error:
        outcome.error = error
    except (SystemExit, KeyboardInterrupt) as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        outcome.error = ExitError(f"it calls exit({error.code!r})")
    else:
        outcome.kind = kind_of(result)
        outcome.closure = result is not given_back
        if isinstance(result, Mapping):
            outcome.keys = tuple(map(str, result))
        try:
            outcome.value = to_numpy(result)
        except Exception as error:
            outcome.error = error
    outcome.printed = printed.getvalue()
    outcome.after = {role: array_or_nan(v) for role, v in given.items() if holds_numbers(v)}
    outcome.mutated = tuple(
        role
        for role, now in outcome.after.items()
        if not np.array_equal(now, np.asarray(plain[role], dtype=np.float64), equal_nan=True)
        and not _rounded(now, plain[role])
    )
    return outcome


def _pulled_back(result: Any, convention: Convention, probe: Probe) -> Any:
    """Where a function returns its backward pass as a function, what that makes of a cotangent."""
    parts = result if isinstance(result, tuple) else (result,)
    if not any(callable(part) and not hasattr(part, "shape") for part in parts):
        return result
    cotangent: Any = 1.0
    if not convention.takes_role("y"):
        cotangent = _in_framework(material("g", convention, probe), "g", convention.framework)
    done = tuple(_backward(part, cotangent) if callable(part) else part for part in parts)
    return done if isinstance(result, tuple) else done[0]


def _backward(function: Callable[..., Any], cotangent: Any) -> Any:
    try:
        return function(cotangent)
    except TypeError:
        return function()


def _by_name(role: str, keywords: dict[str, str | None]) -> bool:
    return role not in keywords or keywords[role] is not None


def _rounded(now: Array, before: Any) -> bool:
    """Whether two arrays differ by no more than float32 does (JAX rounds what it is given)."""
    before = np.asarray(before, dtype=np.float32)
    return now.shape == before.shape and np.array_equal(
        now.astype(np.float32), before, equal_nan=True
    )


# --- Arguments ------------------------------------------------------------------------------------


def first_argument(probe: Probe, takes: str) -> Array:
    """The logits, or the probabilities or log-probabilities of them."""
    if takes == "logits":
        return probe.x
    binary = probe.x.ndim == 1
    if takes == "probabilities":
        return np.asarray(sg.sigmoid(probe.x) if binary else sg.softmax(probe.x))
    return np.asarray(-np.logaddexp(0, -probe.x) if binary else sg.log_softmax(probe.x))


def one_hot(probe: Probe) -> Array:
    """The targets as rows of zeros and ones."""
    return np.eye(probe.x.shape[1])[probe.y]


def material(role: str, convention: Convention, probe: Probe) -> Any:
    """An argument in the function's layout, as a NumPy array or a number."""
    layout = convention.layout
    if role in ("x", "g", "teacher"):
        array = first_argument(probe, convention.takes) if role == "x" else getattr(probe, role)
        return _laid_out(array, layout)
    if role in ("y", "labels"):
        if probe.x.ndim == 1:
            array = probe.y.astype(np.float64 if convention.target != "index" else np.int64)
            return _laid_out(array, layout)
        if convention.target == "index":
            index = probe.y.astype(np.int64)
            return index[0].item() if convention.single else index[(None,) * convention.nested]
        if convention.target == "column":
            return probe.y.astype(np.int64)[:, None]
        if convention.target == "index from 1":
            return probe.y.astype(np.int64) + 1
        hot = one_hot(probe)
        return _laid_out(hot if convention.target == "one-hot" else hot.astype(np.int64), layout)
    if role in ("T", "alpha", "lr"):
        return getattr(probe, role)
    if role == "X" and probe.X is not None:
        return probe.X.T if layout == "CN" else probe.X
    if role == "W" and probe.W is not None:
        turned = probe.W.T if layout in ("CN", "NCT") else probe.W
        return turned.reshape(-1) if layout == "NCF" else turned
    if role == "b" and probe.b is not None:
        return probe.b[:, None] if layout == "CN" else probe.b
    if role == "axis":
        return 0 if layout in ("CN", "C1") else -1
    rows, classes = probe.x.shape if probe.x.ndim == 2 else (len(probe.x), 2)
    if role == "w":
        return np.ones(rows)
    if role == "cw":
        return np.ones(classes)
    if role == "mask":
        return _laid_out(np.full(probe.x.shape, convention.mask), layout)
    fixed = {"ignore": -100, "off": 0.0, "reduction": "mean"}
    return {"classes": classes, "samples": rows, **fixed}[role]


def displayed(role: str, convention: Convention, probe: Probe) -> Any:
    """What stands for an argument in a report: as the function takes it, all rows together.

    Of probabilities the logits are shown that they are made of, and labels are counted from 0.
    """
    layout = convention.layout if convention.layout in ("CN", "NCT", "NCF") else "NC"
    if role in ("y", "labels"):
        hot = convention.target.startswith("one-hot") and probe.x.ndim == 2 and min(probe.y) >= 0
        if not hot and convention.target != "column":
            return probe.y
    return material(role, replace(convention, layout=layout, takes="logits"), probe)


def displayed_result(part: str, value: Any, convention: Convention, probe: Probe) -> Any:
    """What stands for a part of the result in a report: as the function returns it."""
    if not isinstance(value, np.ndarray) or value.ndim != 2:
        return value
    turned = part == "dW" and convention.layout in ("CN", "NCT")
    if convention.layout == "CN" and part != "dW":
        turned = part == "dX" or value.shape == probe.x.shape
    return value.T if turned else value


def _laid_out(array: Array, layout: str) -> Any:
    if layout in ("CN", "C1"):
        return array.T
    if layout == "row":
        return array[0]
    if layout.startswith("1"):
        return array[None] if layout == "1NC" else array[None, None]
    if layout == "N1":
        return array[:, None]
    if layout == "scalar":
        return array[0].item()
    return array


def _in_framework(value: Any, role: str, framework: str) -> Any:
    """A fresh copy of an argument, in the type of this framework."""
    if not isinstance(value, np.ndarray):
        return value
    if framework == "list":
        return value.tolist()
    if framework.startswith("torch"):
        torch = sys.modules["torch"]
        tensor = torch.tensor(np.array(value))
        if (
            framework == "torch+grad"
            and role in ("x", "X", "W", "b")
            and tensor.is_floating_point()
        ):
            tensor.requires_grad_(True)
        if framework == "torch32" and tensor.is_floating_point():
            tensor = tensor.float()
        return tensor
    if framework == "jax":
        return sys.modules["jax"].numpy.asarray(np.array(value))
    return np.array(value, order="C")


# --- Keeping the caller's process as it was -------------------------------------------------------


@contextlib.contextmanager
def _quiet(printed: io.StringIO) -> Iterator[None]:
    """No output, no warnings, no floating-point errors, and the same random numbers every time."""
    state, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    try:
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(state)
        np.random.set_state(legacy)  # noqa: NPY002


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raises `OvertimeError` in the main thread of a Unix process; elsewhere there is no limit."""
    usable = hasattr(signal, "setitimer") and (
        threading.current_thread() is threading.main_thread() and seconds > 0
    )
    if not usable or signal.getitimer(signal.ITIMER_REAL)[0] > 0:
        yield
        return

    def expired(*_: object) -> None:
        raise OvertimeError(f"it did not return within {seconds:g} s")

    previous = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
