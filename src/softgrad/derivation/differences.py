"""Slopes measured by central differences: the check that stands below every step.

f'(x) = (8 (f(x + h) - f(x - h)) - (f(x + 2 h) - f(x - 2 h))) / (12 h) + O(h^4)

(Abramowitz and Stegun 1964, table 25.2, five points). Three steps h are tried and the best is kept,
for a kink nearby spoils the long ones and rounding the short ones; a wrong derivative agrees with
none. At a kink itself the slopes from either side are measured instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from softgrad._typing import Array
from softgrad.derivation.arithmetic import Arithmetic, is_finite
from softgrad.derivation.document import Check

_SHORTER = 2.0**-7

# What keeps differences from agreeing with a claim that is right, at the entries {}. The first
# three confirm the claim; at the others there is nothing to compare it with.
_KINK = "a kink at {}: the slope there is one of those between left and right"
_BEND = "a kink of the slope at {}: the difference shrinks with the step, to nothing"
_NEAR = "a kink close to {}: between it and there the slope agrees to 5 digits"
_CORNER = "a kink at {}: no slope there"
_JUMP = "a jump at {}: no slope there"
_BORDER = "the border at {}: a step beyond it is not defined"
_CONFIRMING = (_KINK, _BEND, _NEAR)

#: Noise beyond this share of what f is made of is no rounding.
_NOISE = 2.0**-44


def check(
    what: str,
    f: Callable[[Array], Any],
    x: Array,
    claimed: Array,
    arithmetic: Arithmetic,
    *,
    scale: Any = 1.0,
    through: Any = 0,
    only: Sequence[int] | None = None,
    pieces: Sequence[Callable[[Array], Any]] = (),
) -> Check:
    """``claimed``, the derivatives of f by each x in the last axis, against measured ones.

    ``scale`` is the length over which f bends, a number or one for every x; ``only`` restricts the
    check to some entries of x. ``through`` is the size of numbers that f rounds on its way, times
    the slope behind them. f may be the mean of ``pieces``: where one of them has a kink, f has no
    slope that could be claimed, even if the kinks of two pieces cancel.
    """
    entries = range(len(x)) if only is None else only
    if not entries:
        return Check(what, None, None, True, "not measured: every entry lies on the border")
    claimed = np.asarray(claimed)
    scales = np.broadcast_to(np.asarray(scale, dtype=x.dtype), x.shape)
    worst: Any = 0
    allowed: Any = 0
    compared = 0
    measured: Any = None
    irregular: dict[str, list[int]] = {}
    value = np.asarray(f(x))
    largest = np.max(np.abs(claimed[..., list(entries)]))
    size = max(np.max(np.abs(value)), largest, through)
    if not (is_finite(largest) and is_finite(size)):
        return Check(what, None, None, True, "not measured: the numbers are not finite")
    for j in entries:
        h = _step(x[j], scales[j], arithmetic)
        if h is None:
            note = "not measured: the numbers are so large that a small step is lost in rounding"
            return Check(what, None, None, True, note)
        difference, tolerance, measured = _best(
            f, x, j, h, claimed[..., j], largest, size, arithmetic
        )
        if difference > tolerance:
            found = _irregular(f, x, j, h, claimed[..., j])
            if not found and any(_irregular(p, x, j, h, None) for p in pieces):
                found = _CORNER
            if found:
                irregular.setdefault(found, []).append(j)
                compared += found in _CONFIRMING
                continue
        compared += 1
        if difference > worst:
            worst = difference
        allowed = max(allowed, tolerance)
    notes = "; ".join(text.format(_listed(at)) for text, at in irregular.items())
    if not compared:
        return Check(what, None, None, True, f"not measured: {notes}")
    single = measured if claimed.size == 1 and not irregular else None
    return Check(what, worst, allowed, bool(worst <= allowed), notes, measured=single)


def _listed(entries: list[int]) -> str:
    few = ", ".join(map(str, entries[:6]))
    return f"{few}, …" if len(entries) > 6 else few


def _step(x: Any, scale: Any, arithmetic: Arithmetic) -> Any:
    """h, or None where x + h would be x again or nearly so."""
    h = arithmetic.step * scale
    if arithmetic.exact:
        return h
    h = float(2.0 ** np.floor(np.log2(h)))  # a power of two: x + h is then often exact
    smallest = float(np.spacing(np.abs(x))) * 2**8
    return None if h < smallest else h


def _moved(x: Array, j: int, by: Any) -> Array:
    moved = x.copy()
    moved[j] = moved[j] + by
    return moved


def _best(
    f: Callable[[Array], Any],
    x: Array,
    j: int,
    h: Any,
    claimed: Any,
    largest: Any,
    size: Any,
    arithmetic: Arithmetic,
) -> tuple[Any, Any, Any]:
    """The smallest difference among the steps, what rounding and truncation allow there, and the
    slope that was measured."""
    found: tuple[Any, Any, Any] | None = None
    relative = arithmetic.number(10) ** (-arithmetic.digits) if arithmetic.exact else 1e-8
    for _ in range(3):
        near = f(_moved(x, j, h)) - f(_moved(x, j, -h))
        far = f(_moved(x, j, 2 * h)) - f(_moved(x, j, -2 * h))
        measured = (8 * near - far) / (12 * h)
        difference = np.max(np.abs(measured - claimed))
        # x + h is rounded as well, which moves f by its slope.
        moved = max(abs(x[j]), abs(h)) * largest
        allowed = relative * largest + 16 * arithmetic.rounding * (size + moved) / h
        if not arithmetic.exact and is_finite(difference) and difference > allowed:
            noise = _noise(f, x, j, h)
            if noise <= _NOISE * max(1.0, size):
                allowed += 16 * noise / h
        if is_finite(difference) and (found is None or difference - allowed < found[0] - found[1]):
            found = (difference, allowed, np.asarray(measured).reshape(-1)[0])
        if found is not None and found[0] <= found[1]:
            break
        h = h * _SHORTER
    return found if found is not None else (float("inf"), 0.0, None)


def _noise(f: Callable[[Array], Any], x: Array, j: int, h: float) -> float:
    """How far rounding moves f: what is left of a smooth function in its sixth differences.

    Differences of order 6 of independent errors are sqrt(924) as large as they (Moré and Wild 2011,
    Estimating computational noise).
    """
    values = np.array([f(_moved(x, j, k * h)) for k in range(-3, 4)], dtype=np.float64)
    return float(np.max(np.abs(np.diff(values, n=6, axis=0)))) / 30.4


def _irregular(f: Callable[[Array], Any], x: Array, j: int, h: Any, claimed: Any) -> str:
    """What keeps differences from agreeing, if it is not the claim; or ""."""
    middle = np.asarray(f(x))
    if not all(_all_finite(f(_moved(x, j, by))) for by in (h, -h, h * _SHORTER, -h * _SHORTER)):
        return _BORDER

    def sides(step: Any) -> tuple[Array, Array]:
        right = (np.asarray(f(_moved(x, j, step))) - middle) / step
        left = (middle - np.asarray(f(_moved(x, j, -step)))) / step
        return np.minimum(left, right), np.maximum(left, right)

    def farthest(low: Array, high: Array, point: Any) -> Any:
        return max(np.max(np.abs(low - point)), np.max(np.abs(high - point)))

    low, high = sides(h * _SHORTER)
    lower, higher = sides(h * _SHORTER * _SHORTER)
    if farthest(lower, higher, 0) > farthest(low, high, 0) / _SHORTER / 2:
        return _JUMP
    if claimed is not None and (
        farthest(lower, higher, claimed) < farthest(low, high, claimed) * _SHORTER * 2
    ):
        return _BEND
    room = 1e-4 * farthest(low, high, 0)
    # The gap of a smooth function shrinks with the step.
    wide, wider = np.max(high - low), np.max(higher - lower)
    if wide <= 100 * room:
        return ""
    if wider <= wide / 2:
        near = claimed is not None and farthest(*sides(h * _SHORTER**3), claimed) < 0.1 * room
        return _NEAR if near else ""
    if claimed is None:
        return _CORNER
    between = bool(np.all((claimed >= low - room) & (claimed <= high + room)))
    return _KINK if between else _CORNER


def _all_finite(values: Any) -> bool:
    return all(map(is_finite, np.asarray(values).flat))
