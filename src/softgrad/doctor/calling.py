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
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import softgrad as sg
from softgrad._typing import Array
from softgrad.doctor.probes import Probe


@dataclass(frozen=True)
class Convention:
    """How a function wants its arguments.

    ``arguments`` pairs each role with the keyword to pass it by, or None for by position.
    ``layout`` is NC, CN, 1NC (with one more axis in front) or row, for yes/no questions N, N1 or
    scalar; NCT where the weights of a layer are (C, D) although examples are rows.
    """

    arguments: tuple[tuple[str, str | None], ...]
    framework: str = "numpy"
    layout: str = "NC"
    target: str = "index"
    takes: str = "logits"
    mask: bool = True  # what a mask is filled with that masks nothing
    cost: float = 0.0

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(role for role, _ in self.arguments)

    def takes_role(self, role: str) -> bool:
        return role in self.roles


class OvertimeError(Exception):
    """A call that did not come back within its time."""


@dataclass
class Outcome:
    """What came of a call: a value or an error, and what else was noticed."""

    value: Any = None
    error: Exception | None = None
    printed: str = ""
    mutated: tuple[str, ...] = ()
    after: dict[str, Array] = field(default_factory=dict)
    kind: str = ""  # the type's name, and the dtype where there is one


def call(
    function: Callable[..., Any],
    convention: Convention,
    probe: Probe,
    options: Mapping[str, Any] | None = None,
    time_limit: float = 10.0,
) -> Outcome:
    """One call, or one a row where that is wanted; ``options`` adds or replaces roles."""
    if convention.layout in ("row", "scalar"):
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
    plain = {role: _material(role, convention, probe) for role in convention.roles}
    plain.update(options or {})
    given = {role: _in_framework(v, role, convention.framework) for role, v in plain.items()}
    keywords = dict(convention.arguments)
    arguments = [given[role] for role, key in convention.arguments if key is None]
    named = {keywords[role] or role: v for role, v in given.items() if _by_name(role, keywords)}
    outcome = Outcome()
    printed = io.StringIO()
    try:
        with _quiet(printed), _time_limit(time_limit):
            result = function(*arguments, **named)
    except Exception as error:
        outcome.error = error
    except (SystemExit, KeyboardInterrupt) as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        outcome.error = RuntimeError(f"it calls exit({error.code!r})")
    else:
        outcome.kind = _kind_of(result)
        try:
            outcome.value = to_numpy(result)
        except Exception as error:
            outcome.error = error
    outcome.printed = printed.getvalue()
    outcome.after = {role: _array_or_nan(v) for role, v in given.items() if _holds_numbers(v)}
    outcome.mutated = tuple(
        role
        for role, now in outcome.after.items()
        if not np.array_equal(now, np.asarray(plain[role], dtype=np.float64), equal_nan=True)
        and not _rounded(now, plain[role])
    )
    return outcome


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


def _material(role: str, convention: Convention, probe: Probe) -> Any:
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
            return index[0].item() if layout == "row" else index[None] if layout == "1NC" else index
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
        return probe.W.T if layout in ("CN", "NCT") else probe.W
    if role == "b" and probe.b is not None:
        return probe.b[:, None] if layout == "CN" else probe.b
    if role == "axis":
        return 0 if layout == "CN" else -1
    rows, classes = probe.x.shape if probe.x.ndim == 2 else (len(probe.x), 2)
    if role == "w":
        return np.ones(rows)
    if role == "cw":
        return np.ones(classes)
    if role == "mask":
        return _laid_out(np.full(probe.x.shape, convention.mask), layout)
    return {"classes": classes, "samples": rows, "ignore": -100}[role]


def _laid_out(array: Array, layout: str) -> Any:
    if layout == "CN":
        return array.T
    if layout == "row":
        return array[0]
    if layout == "1NC":
        return array[None]
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


# --- Results --------------------------------------------------------------------------------------


def to_numpy(result: Any) -> Any:
    """Arrays for arrays, tuples of arrays for tuples and dictionaries; None stays None."""
    if result is None:
        return None
    if isinstance(result, Mapping):
        return tuple(to_numpy(v) for v in result.values())
    if isinstance(result, tuple) or (isinstance(result, list) and not _is_matrix(result)):
        return tuple(to_numpy(v) for v in result)
    if hasattr(result, "detach"):
        result = result.detach().cpu()
        if str(result.dtype) == "torch.bfloat16":
            result = result.float()
        result = result.numpy()
    array = np.asarray(result)
    if array.dtype.kind == "O":
        array = np.asarray([to_numpy(v) for v in result], dtype=np.float64)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"it returned {_kind_of(result)}, which is no array of real numbers")
    return array.astype(np.float64)


def _is_matrix(result: list[Any]) -> bool:
    """Whether a list is one array: all numbers, or all lists of one length."""
    try:
        return np.asarray(result).dtype.kind in "fiub"
    except (ValueError, RuntimeError, TypeError):
        return False


def _kind_of(result: Any) -> str:
    dtype = getattr(result, "dtype", None)
    if isinstance(result, tuple) and result:
        return "tuple of " + ", ".join(_kind_of(v) for v in result)
    return type(result).__name__ + (f" of {dtype}" if dtype is not None else "")


def _holds_numbers(value: Any) -> bool:
    return isinstance(value, (np.ndarray, list)) or hasattr(value, "detach")


def _array_or_nan(value: Any) -> Array:
    try:
        return np.asarray(to_numpy(value), dtype=np.float64)
    except (TypeError, ValueError):
        return np.array(np.nan)


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
