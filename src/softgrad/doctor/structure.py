"""How a result differs from the right one, where nothing in the catalogue explains it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from softgrad._typing import Array

_SAME = 1e-4


def describe(
    right: Sequence[Array], actual: Sequence[Array], shapes: Sequence[tuple[int, ...]] = ()
) -> str:
    """One or two sentences about the difference, over several inputs of these shapes."""
    for r, a in zip(right, actual, strict=True):
        if r.shape != a.shape:
            return f"It returns shape {a.shape} where {r.shape} is right{_made_of(right, actual)}."
    if any(not np.all(np.isfinite(a)) for a in actual):
        bad = sum(int(np.sum(~np.isfinite(a))) for a in actual)
        return f"It returns NaN or infinity on ordinary inputs ({bad} numbers)."
    if all(np.array_equal(a, actual[0]) for a in actual) and len(actual) > 1:
        return "It returns the same numbers whatever the input is."
    r = np.concatenate([v.reshape(-1) for v in right])
    a = np.concatenate([v.reshape(-1) for v in actual])
    constant = _constant_ratio(r, a)
    if constant is not None:
        return f"A constant ratio: the result is {constant:.6g} times the right one, everywhere."
    each = [
        _constant_ratio(x.reshape(-1), y.reshape(-1)) for x, y in zip(right, actual, strict=True)
    ]
    known = [c for c in each if c is not None]
    if len(known) == len(each) and r.size > len(each):
        if by_shape := _by_shape(known, shapes):
            return by_shape
        shown = ", ".join(f"{c:.4g}" for c in known[:4])
        return f"A ratio that depends on the input as a whole: {shown}, ... times the right one."
    shift = a - r
    if float(np.ptp(shift)) < _SAME * max(1.0, float(np.abs(shift).max())):
        return f"A constant difference: the result is the right one {shift.mean():+.6g}."
    return _located(right, actual) or _general(r, a)


_REDUCTIONS: dict[str, Callable[[Array], Array]] = {
    "added up over the rows": lambda v: v.sum(axis=0),
    "added up over the classes": lambda v: v.sum(axis=-1),
    "added up over all rows and classes": lambda v: v.sum(),
    "of the first row alone": lambda v: v[0],
    "of the last row alone": lambda v: v[-1],
    "transposed": lambda v: v.T,
    "as one vector": lambda v: v.reshape(-1),
}


def _made_of(right: Sequence[Array], actual: Sequence[Array]) -> str:
    """What results of another shape are of the right ones; vectors up to a factor."""
    for words, reduce in _REDUCTIONS.items():
        if all(
            r.ndim > 0 and _proportional(reduce(r), np.squeeze(a))
            for r, a in zip(right, actual, strict=True)
        ):
            return f": it has the right numbers {words}"
    return ""


def _proportional(r: Array, a: Array) -> bool:
    if r.size == 1 or r.shape != a.shape:
        return r.shape == a.shape and bool(np.isclose(r, a, _SAME, 0.0))
    return _constant_ratio(r.reshape(-1), a.reshape(-1)) is not None


def _by_shape(ratios: Sequence[float], shapes: Sequence[tuple[int, ...]]) -> str:
    """Where inputs of one shape have one ratio, and those of another shape another."""
    of_shape: dict[tuple[int, ...], list[float]] = {}
    for shape, ratio in zip(shapes, ratios, strict=False):
        of_shape.setdefault(shape, []).append(ratio)
    several = len(of_shape) > 1 and len(ratios) > len(of_shape)
    if not several or any(np.ptp(found) > _SAME * abs(found[0]) for found in of_shape.values()):
        return ""
    shown = ", ".join(f"{v[0]:.4g} for {' x '.join(map(str, s))}" for s, v in of_shape.items())
    return f"A ratio that depends on the shape of the input alone: {shown} times the right one."


def _constant_ratio(r: Array, a: Array) -> float | None:
    if r.size < 2 or not np.any(r):
        return None
    unit = float(np.abs(r).max())  # squares over- and underflow early
    r, a = r / unit, a / unit
    ratio = float(r @ a) / float(r @ r)
    close = np.linalg.norm(a - ratio * r) <= _SAME * np.linalg.norm(a)
    return ratio if close and ratio else None


def _located(right: Sequence[Array], actual: Sequence[Array]) -> str:
    """Where the wrong entries are: rows, columns, on or off the diagonal."""
    r, a = right[0], actual[0]
    wrong = np.abs(a - r) > _SAME * max(1e-3, float(np.abs(r).max()))
    if r.ndim == 3:
        on = np.eye(r.shape[-1], dtype=np.bool_)
        if not wrong[:, on].any():
            return "Off the diagonal only: dp_i/dx_i is right, dp_i/dx_j with i != j is wrong."
        if not wrong[:, ~on].any():
            return "On the diagonal only: dp_i/dx_j is right, dp_i/dx_i is wrong."
        return ""
    if r.ndim == 1 and wrong.any() and not wrong.all():
        return f"Only for some rows: {np.flatnonzero(wrong).tolist()} of {len(r)}."
    if r.ndim != 2:
        return ""
    by_row = [_constant_ratio(x, y) for x, y in zip(r, a, strict=True)]
    if all(c is not None for c in by_row):
        shown = ", ".join(f"{c:.4g}" for c in by_row if c is not None)
        return f"A ratio of its own for each row: {shown} times the right one."
    by_class = [_constant_ratio(x, y) for x, y in zip(r.T, a.T, strict=True)]
    if all(c is not None for c in by_class):
        shown = ", ".join(f"{c:.4g}" for c in by_class if c is not None)
        return f"A ratio of its own for each class: {shown} times the right one."
    rows, columns = wrong.any(axis=1), wrong.any(axis=0)
    if not rows.all():
        return f"Only in some rows: {np.flatnonzero(rows).tolist()} of {len(r)}."
    if not columns.all():
        return f"Only in some classes: {np.flatnonzero(columns).tolist()} of {r.shape[1]}."
    shift = a - r
    if np.ptp(shift, axis=1).max() < _SAME * np.abs(shift).max():
        shown = ", ".join(f"{c:+.4g}" for c in shift[:, 0])
        return f"A difference of its own for each row, the same for all classes: {shown}."
    if (wrong.sum(axis=1) == 1).all():
        return "Exactly one class of each row is wrong, all others are right."
    if ((~wrong).sum(axis=1) == 1).all():
        return "Exactly one class of each row is right, all others are wrong."
    return ""


def _general(r: Array, a: Array) -> str:
    size = float(np.linalg.norm(a - r) / max(float(np.linalg.norm(r)), 1e-300))
    worst = int(np.argmax(np.abs(a - r)))
    text = f"It differs by {size:.2g} of the right result's size"
    if r.size > 2 and np.std(a) > 0 and np.std(r) > 0:
        text += f" (correlation {np.corrcoef(r, a)[0, 1]:.3f})"
    return text + f"; the worst number is {a[worst]:.6g} where {r[worst]:.6g} is right."
