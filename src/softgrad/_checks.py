"""What may come in: every argument is validated here, and only here.

A check returns its argument in the form that the kernels take, or raises an error that says what
was passed, what is accepted, and where the first offender stands. Conversions happen here too, in
plain sight: half precision is computed in float32, integers in float64, other byte orders and
unaligned arrays are copied.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from softgrad import _native
from softgrad._typing import Array, ArrayLike, Axis, BoolArray, Shape
from softgrad.errors import (
    AxisError,
    DtypeError,
    InputError,
    MaskError,
    OptionError,
    OptionTypeError,
    OutError,
    OutTypeError,
    ShapeError,
    TargetError,
    WeightError,
)

REDUCTIONS = ("none", "sum", "mean")
_NUMBER = (int, float, np.integer, np.floating)


# --- Arrays of numbers ---------------------------------------------------------------------------


def floats(x: ArrayLike, name: str) -> tuple[Array, np.dtype[Any]]:
    """``x`` as an aligned float32 or float64 array, and the type that results for it have."""
    array = _array(x, name)
    dtype = array.dtype
    if _is_half(dtype):
        return array.astype(np.float32), dtype
    if dtype.char in "fd":
        result = dtype.newbyteorder("=")
    elif dtype.kind in "biu":
        result = np.dtype(np.float64)
    else:
        raise DtypeError(
            f"{name} has dtype {dtype}; accepted are float16, bfloat16, float32, float64, "
            f"integers and booleans.{_dtype_hint(x, dtype)}"
        )
    array = array.astype(result, copy=False)
    return (array if array.flags.aligned else array.copy()), result


def floats_like(a: ArrayLike, name: str, shape: Shape, dtype: np.dtype[Any], meaning: str) -> Array:
    """A companion of the logits (a cotangent, a tangent, a value) in the logits' own type."""
    array, _ = floats(a, name)
    if array.shape != shape:
        raise ShapeError(
            f"{name} has shape {array.shape}; {meaning} has shape {shape}. "
            "Arrays are not broadcast: use np.broadcast_to if that is meant."
        )
    return array.astype(dtype, copy=False)


def _array(x: ArrayLike, name: str) -> Array:
    masked_arrays = sys.modules.get("numpy.ma")
    if masked_arrays is not None and isinstance(x, masked_arrays.MaskedArray):
        raise DtypeError(
            f"{name} is a masked array, whose mask would be lost; pass {name}.data, and the mask "
            f"as where=~np.ma.getmaskarray({name})."
        )
    try:
        return np.asarray(x)
    except ValueError as error:
        reason = str(error).rstrip(".")
        raise ShapeError(
            f"{name} is not a rectangular array: {reason}. Rows of different lengths can be padded "
            "and masked with where=."
        ) from error


def _is_half(dtype: np.dtype[Any]) -> bool:
    # bfloat16 by name, which is slow to ask for: ml_dtypes, its home, need not be installed.
    return dtype.char == "e" or (dtype.kind == "V" and dtype.name == "bfloat16")


def _dtype_hint(x: object, dtype: np.dtype[Any]) -> str:
    if x is None:
        return " None was passed."
    if dtype.kind == "c":
        return " For complex numbers the real part may be meant: x.real."
    if dtype.kind == "O":
        name = f"{type(x).__module__}.{type(x).__name__}"
        return f" A {name} became an array of Python objects; convert it with astype(float) before."
    if dtype.kind in "US":
        return " The numbers were read as text; convert them with astype(float)."
    if dtype.kind == "f":
        return " Convert with astype(np.float64) if its precision is enough."
    return ""


# --- Axes and masks ------------------------------------------------------------------------------


def axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The class axes in ascending order, none negative. A number (0-d) has none: it is a class."""
    if axis is None:
        return tuple(range(ndim))
    several = isinstance(axis, tuple)
    chosen = axis if isinstance(axis, tuple) else (axis,)
    if ndim == 0 and not several and _integer(axis, "axis") in (-1, 0):
        return ()
    found = []
    for number in chosen:
        k = _integer(number, "axis")
        if not -ndim <= k < ndim:
            accepted = f"{-ndim}..{ndim - 1}" if ndim else "-1, 0 or None"
            raise AxisError(f"axis {k} is out of range for {ndim} dimensions: accepted {accepted}.")
        found.append(k % ndim)
    if len(set(found)) < len(found):
        raise AxisError(f"axis={axis} names an axis twice in {ndim} dimensions.")
    return tuple(sorted(found))


def _integer(value: object, name: str) -> int:
    accepted = "an int, a tuple of ints or None" if name == "axis" else "an int"
    if isinstance(value, (bool, np.bool_)):
        raise OptionTypeError(f"{name}={value!r} is a truth value; accepted is {accepted}.")
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise OptionTypeError(f"{name}={value!r} is not {accepted}.") from None


def mask(where: ArrayLike | None, shape: Shape) -> BoolArray | None:
    """``where`` broadcast to the logits; None stays None."""
    if where is None:
        return None
    array = np.asarray(where)
    if array.dtype != np.bool_:
        raise MaskError(
            f"where has dtype {array.dtype}; accepted is bool, True for entries that take part. "
            "For a mask of zeros and ones: where=(mask != 0)."
        )
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ShapeError(
            f"where has shape {array.shape}, which does not broadcast to {shape}, "
            "the shape of the logits."
        ) from None


# --- Options -------------------------------------------------------------------------------------


def number(value: object, name: str, accepted: str, test: Callable[[float], bool]) -> float:
    """An option that is one number, within the range that ``accepted`` describes."""
    if isinstance(value, bool) or not isinstance(value, _NUMBER):
        shown = f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else repr(value)
        raise OptionTypeError(f"{name}={shown} is not a number; accepted is {accepted}.")
    result = float(value)
    if not test(result):  # false for NaN as well
        raise OptionError(f"{name}={value} is out of range; accepted is {accepted}.")
    return result


def temperature(value: object) -> float:
    accepted = "a finite number > 0 (from 1e-150 to 1e150)"
    return number(value, "temperature", accepted, lambda t: 1e-150 <= t <= 1e150)


def factor(value: object, name: str) -> float:
    """A number that results are multiplied by: small enough that float32 does not overflow."""
    return number(value, name, "a number from -1e6 to 1e6", lambda f: -1e6 <= f <= 1e6)


def label_smoothing(value: object) -> float:
    return number(value, "label_smoothing", "a number in 0..1", lambda eps: 0.0 <= eps <= 1.0)


def not_negative(value: object, name: str) -> float:
    return number(value, name, "a finite number >= 0", lambda v: 0 <= v < float("inf"))


def positive(value: object, name: str) -> float:
    return number(value, name, "a finite number > 0", lambda v: 0 < v < float("inf"))


def reduction(value: object) -> str:
    if not isinstance(value, str) or value not in REDUCTIONS:
        raise OptionError(f"reduction={value!r}; accepted are 'none', 'sum' and 'mean'.")
    return value


def ignore_index(value: object) -> int | None:
    if value is None:
        return None
    index = _integer(value, "ignore_index")
    if not -(2**63) <= index < 2**63:
        raise OptionError(f"ignore_index={index} does not fit into 64 bits.")
    return index


def weights(values: ArrayLike | None, name: str, shape: Shape, meaning: str) -> Array | None:
    """Sample or class weights as a contiguous float64 array; None stays None."""
    if values is None:
        return None
    array, _ = floats(values, name)
    if array.shape != shape:
        raise ShapeError(f"{name} has shape {array.shape}; {meaning} is shape {shape}.")
    if not _finite_and_not_negative(array):
        at = _first(~((array >= 0) & (array < np.inf)))
        raise WeightError(
            f"{name} holds {array[at]}{_place(at)}; weights are finite and not negative. For "
            "signed factors use reduction='none' and multiply the losses, or vjp with a cotangent."
        )
    return np.ascontiguousarray(array, dtype=np.float64).reshape(shape)


# --- Targets -------------------------------------------------------------------------------------


def target(
    values: ArrayLike, shape: Shape, class_axes: tuple[int, ...], dtype: np.dtype[Any]
) -> Array:
    """Class indices as int64, or probabilities in the logits' type; contents still unchecked."""
    array = _array(values, "target")
    rows = tuple(n for k, n in enumerate(shape) if k not in class_axes)
    if array.size == 0 and isinstance(values, list | tuple):
        array = array.astype(np.int64)  # an empty list says nothing of its type
    if array.dtype.kind in "iu":
        if array.shape != rows:
            raise ShapeError(
                f"target holds class indices in shape {array.shape}; one a row is shape {rows}, "
                f"the logits' {shape} without the class axis.{_index_hint(array, shape, rows)}"
            )
        return array
    if array.dtype.kind != "f" and not _is_half(array.dtype):
        shown = "an object" if array.dtype.kind == "O" else f"of dtype {array.dtype}"
        raise TargetError(
            f"target is {shown} (a {type(values).__name__}); accepted are class indices, of an "
            "integer dtype, and probabilities along the class axis, of a floating dtype."
        )
    if array.shape != shape:
        hint = ""
        if array.shape == rows:
            hint = " If it holds class indices, make it target.astype(np.int64)."
        raise ShapeError(
            f"target has a floating dtype and shape {array.shape}, but probabilities have the "
            f"logits' shape {shape}.{hint}"
        )
    floating, _ = floats(array, "target")
    return floating.astype(dtype, copy=False)


def _index_hint(array: Array, shape: Shape, rows: Shape) -> str:
    if array.shape == shape:
        return " If its rows are one-hot, make it target.astype(float)."
    if array.size == int(np.prod(rows)) and array.ndim > len(rows):
        return " Remove the axis of length 1: target.squeeze()."
    return ""


def class_indices(array: Array, classes: int, ignored: int | None) -> Array:
    """Indices as int64, each in 0..C-1 or equal to ``ignore_index``."""
    if array.size and (array.min() < 0 or array.max() >= classes):
        bad = (array < 0) | (array >= classes)
        if ignored is not None:
            bad &= array != ignored
        if np.any(bad):
            raise _bad_index(array, bad, classes, ignored)
    return np.ascontiguousarray(array, dtype=np.int64).reshape(array.shape)


def _bad_index(array: Array, bad: BoolArray, classes: int, ignored: int | None) -> TargetError:
    at, wrong = _first(bad), array[bad]
    accepted = f"0..{classes - 1}" if classes else "none, for there are no classes"
    also = "" if ignored is None else f", or ignore_index={ignored}"
    hint = ""
    if np.all(wrong == classes) and not np.any(array == 0):
        hint = " Labels that start at 1 need target - 1."
    elif np.all(wrong == wrong[0]) and wrong[0] < 0:
        hint = f" If it marks rows to be left out, pass ignore_index={wrong[0]}."
    return TargetError(
        f"target holds {array[at]}{_place(at)}; class indices for {classes} classes are "
        f"{accepted}{also}.{hint}"
    )


def probabilities(array: Array) -> Array:
    """Target probabilities, finite and not negative; rows need not sum to 1."""
    if not _finite_and_not_negative(array):
        at = _first(~((array >= 0) & (array < np.inf)))
        raise TargetError(
            f"target holds {array[at]}{_place(at)}; probabilities are finite and not negative. "
            "Log-probabilities or logits need softgrad.softmax before they are a target."
        )
    return array


def entries(values: ArrayLike, shape: Shape, meaning: str) -> Array:
    """A target of one number per entry; contents still unchecked."""
    array = _array(values, "target")
    if array.size == 0 and isinstance(values, list | tuple):
        array = array.astype(np.float64)
    if array.dtype.kind not in "biuf" and not _is_half(array.dtype):
        shown = "an object" if array.dtype.kind == "O" else f"of dtype {array.dtype}"
        raise TargetError(
            f"target is {shown} (a {type(values).__name__}); accepted are numbers, one for each "
            f"of the {meaning}."
        )
    if array.shape != shape:
        hint = "Class indices belong to cross_entropy, nll or focal; arrays are not broadcast."
        if shape == (*array.shape, 1):
            index = ", ".join(":" * array.ndim)
            hint = f"Make it target[{index}, None]; arrays are not broadcast."
        raise ShapeError(
            f"target has shape {array.shape}; the {meaning} have shape {shape}, and every one of "
            f"them has its own target. {hint}"
        )
    return array.astype(np.float32) if _is_half(array.dtype) else array


def plain_entries(array: Array, binary: bool) -> bool:
    """Whether targets of entries are finite, and those of yes/no questions in 0..1."""
    return _within(array, *((0.0, 1.0) if binary else (-np.inf, np.inf)))


def _within(array: Array, least: float, most: float) -> bool:
    """Whether all numbers are finite and in least..most."""
    inside = _native.within(array, least, most, False)
    if inside is not NotImplemented:
        return bool(inside)
    if not array.size:
        return True
    smallest, largest = array.min(), array.max()  # NaN if there is one
    finite = smallest > -np.inf and largest < np.inf
    return bool(finite and smallest >= least and largest <= most)


def entries_in_range(array: Array, binary: bool) -> None:
    """Refuse targets that `plain_entries` does not accept, naming the first."""
    if plain_entries(array, binary):
        return
    at = _first(~((array >= 0) & (array <= 1)) if binary else ~np.isfinite(array))
    if not binary:
        raise TargetError(f"target holds {array[at]}{_place(at)}; targets are finite numbers.")
    raise TargetError(
        f"target holds {array[at]}{_place(at)}; a target of a yes/no question is 0, 1 or the "
        "probability of yes. For class indices use cross_entropy; entries without an answer can "
        "be left out with where or ignore_index."
    )


def not_probabilities(array: Array, most: float) -> None:
    """Names the first number that is no probability."""
    at = _first((array < 0) | (array > most))
    raise InputError(
        f"probabilities hold {array[at]}{_place(at)}; probabilities lie in 0..1. Logits belong to "
        "cross_entropy or binary_cross_entropy, log-probabilities to nll."
    )


def target_within_mask(allowed: BoolArray, wanted: str) -> None:
    """Refuse a target that gives weight to a masked class; ``allowed`` is False where one does."""
    if not np.all(allowed):
        raise TargetError(
            f"target {wanted} a class that the mask `where` leaves out{_place(_first(~allowed))}; "
            "a target needs a class that takes part. Leave rows out with ignore_index or "
            "sample_weight instead."
        )


def _finite_and_not_negative(array: Array) -> bool:
    return _within(array, 0.0, np.inf)


def _first(bad: BoolArray) -> tuple[int, ...]:
    """The position of the first True."""
    return tuple(int(k) for k in np.unravel_index(np.argmax(bad), bad.shape))


def _place(at: tuple[int, ...]) -> str:
    return f" at [{', '.join(map(str, at))}]" if at else ""


# --- Results -------------------------------------------------------------------------------------


def out(array: object, shape: Shape, dtype: np.dtype[Any]) -> Array:
    """An array that a result of this shape and type may be written to."""
    if not isinstance(array, np.ndarray):
        raise OutTypeError(f"out is a {type(array).__name__}; accepted is a NumPy array.")
    if array.shape != shape:
        raise OutError(f"out has shape {array.shape}, but the result has shape {shape}.")
    if array.dtype != dtype:
        raise OutError(f"out has dtype {array.dtype}, but the result has dtype {dtype}.")
    if not array.flags.writeable:
        raise OutError("out is read-only; pass an array that may be written.")
    return array
