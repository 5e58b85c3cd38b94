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
_KINK = "a kink at {}: the slope there is one of those between left and right"
_BEND = "a kink of the slope at {}: the difference shrinks with the step, to nothing"
_JUMP = "a jump at {}: no slope there"


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
) -> Check:
    """``claimed``, the derivatives of f by each x in the last axis, against measured ones.

    ``scale`` is the length over which f bends, a number or one for every x; ``only`` restricts the
    check to some entries of x. ``through`` is the size of numbers that f rounds on its way, times
    the slope behind them.
    """
    entries = range(len(x)) if only is None else only
    if not entries:
        return Check(what, None, None, True, "not measured: every entry lies on the border")
    claimed = np.asarray(claimed)
    scales = np.broadcast_to(np.asarray(scale, dtype=x.dtype), x.shape)
    worst: Any = 0
    allowed: Any = 0
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
        difference, tolerance = _best(f, x, j, h, claimed[..., j], largest, size, arithmetic)
        if difference > tolerance:
            found = _irregular(f, x, j, h, claimed[..., j])
            if found:
                irregular.setdefault(found, []).append(j)
                continue
        if difference > worst:
            worst = difference
        allowed = max(allowed, tolerance)
    notes = [text.format(_listed(at)) for text, at in irregular.items()]
    return Check(what, worst, allowed, bool(worst <= allowed), "; ".join(notes))


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
) -> tuple[Any, Any]:
    """The smallest difference among the steps, and what rounding and truncation allow there."""
    found = None
    relative = arithmetic.number(10) ** (-arithmetic.digits) if arithmetic.exact else 1e-8
    for _ in range(3):
        near = f(_moved(x, j, h)) - f(_moved(x, j, -h))
        far = f(_moved(x, j, 2 * h)) - f(_moved(x, j, -2 * h))
        measured = (8 * near - far) / (12 * h)
        difference = np.max(np.abs(measured - claimed))
        # x + h is rounded as well, which moves f by its slope.
        moved = max(abs(x[j]), abs(h)) * largest
        allowed = relative * largest + 16 * arithmetic.rounding * (size + moved) / h
        if is_finite(difference) and (found is None or difference - allowed < found[0] - found[1]):
            found = (difference, allowed)
        if found is not None and found[0] <= found[1]:
            break
        h = h * _SHORTER
    return found if found is not None else (float("inf"), 0.0)


def _irregular(f: Callable[[Array], Any], x: Array, j: int, h: Any, claimed: Any) -> str:
    """What keeps differences from agreeing, if it is not the claim: a kink, bend or jump; or ""."""
    middle = np.asarray(f(x))

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
    if farthest(lower, higher, claimed) < farthest(low, high, claimed) * _SHORTER * 2:
        return _BEND
    room = 1e-4 * farthest(low, high, 0)
    between = bool(np.all((claimed >= low - room) & (claimed <= high + room)))
    # The gap of a smooth function shrinks with the step.
    wide, wider = np.max(high - low), np.max(higher - lower)
    return _KINK if between and wide > 100 * room and wider > wide / 2 else ""
