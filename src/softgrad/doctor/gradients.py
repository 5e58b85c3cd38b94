"""Any gradient against the function it claims to belong to."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from softgrad._typing import Array, ArrayLike
from softgrad.doctor import differences
from softgrad.doctor.differences import Slope
from softgrad.doctor.structure import describe
from softgrad.errors import OptionError, OptionTypeError

#: Up to so many inputs every partial derivative is checked, beyond them random directions.
WHOLE = 256
DIRECTIONS = 24
#: An entry this much smaller than the largest one is judged by the largest.
_SMALL = 1e-3


@dataclass(frozen=True)
class Comparison:
    """One derivative: the claimed and the numeric one.

    ``index`` is the position in x (after that in f(x), if f has several values), or None for a
    random direction.
    """

    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    error: float  # of the numeric one
    tolerance: float

    @property
    def difference(self) -> float:
        return abs(self.analytic - self.numeric)

    @property
    def wrong(self) -> bool:
        return not self.difference <= self.tolerance


@dataclass(frozen=True)
class Kink:
    """A point where the derivative jumps; every number from left to right is a subgradient."""

    index: tuple[int, ...] | None
    left: float
    right: float
    analytic: float
    jump: bool = False  # of the function itself: there is no derivative at all

    @property
    def wrong(self) -> bool:
        """Whether the claimed derivative lies outside of both, or nothing could be right."""
        if self.jump:
            return True
        low, high = sorted((self.left, self.right))
        room = 1e-3 * max(abs(low), abs(high))
        return not low - room <= self.analytic <= high + room


@dataclass(frozen=True)
class GradientReport:
    """What `check_grad` found; true if the gradient is right.

    Attributes
    ----------
    passed : bool
    reason : str
        "agrees", "wrong", "shape", "not finite" or "noise".
    worst : Comparison or None
        The derivative that is furthest off for its tolerance.
    relative_error : float
        |analytic - numeric| / (|analytic| + |numeric|) over all derivatives; 0 is agreement, 1 is
        what a gradient of zeros gets.
    digits : float
        To how many digits the numeric derivatives are known.
    kinks : list of Kink
    method, notes, structure : what was done, what else was noticed, how the gradients differ
    curve : list of (step size, error)
        Of the worst derivative: V-shaped for rounding noise, a plateau for a bug.
    second : GradientReport or None
        The check of the second derivatives.
    """

    passed: bool
    reason: str
    method: str = ""
    checked: str = ""
    worst: Comparison | None = None
    relative_error: float = 0.0
    digits: float = 15.0
    kinks: list[Kink] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    structure: str = ""
    curve: list[tuple[float, float]] = field(default_factory=list)
    second: GradientReport | None = None
    of: str = "gradient"

    def __bool__(self) -> bool:
        return self.passed

    def __rich__(self) -> RenderableType:
        return _rich(self)

    def __str__(self) -> str:
        stream = io.StringIO()
        Console(file=stream, width=80, no_color=True, highlight=False).print(self)
        return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def check_grad(
    f: Callable[[Any], Any],
    grad: Callable[[Any], Any] | ArrayLike,
    x: ArrayLike,
    *,
    hvp: Callable[[Any, Any], Any] | None = None,
    hessian: Callable[[Any], Any] | None = None,
    directions: int | None = None,
    rtol: float = 1e-6,
    seed: int = 0,
) -> GradientReport:
    """Check a gradient or a Jacobian against the function it belongs to.

    The numeric derivative is Im f(x + ih) / h where f takes complex numbers, otherwise
    (f(x + h) - f(x - h)) / 2h in float64, extrapolated to h = 0 from several step sizes. A claimed
    derivative is wrong if it misses the numeric one by more than ``rtol`` and four times the
    numeric one's own error estimate.

    Parameters
    ----------
    f : callable
        Takes an array like ``x``, returns a number or an array. Called many times, on copies.
    grad : callable or array_like
        The gradient at ``x``, of the shape of ``x``; if f returns an array, its Jacobian, of shape
        ``f(x).shape + x.shape``.
    x : array_like
        Where. Converted to float64 (integers and float32 too); a PyTorch tensor becomes a float64
        tensor, and f and grad are then given tensors.
    hvp, hessian : callable, optional
        ``hvp(x, v)`` and ``hessian(x)``, the second derivatives, checked against ``grad``.
    directions : int, optional
        Check so many random directions instead of every partial derivative; by default 24 if x has
        more than 256 numbers.
    rtol : float
        What is tolerated, relative to a derivative or to a thousandth of the largest.
    seed : int
        Of the random directions.

    Returns
    -------
    GradientReport
        True if all is right. It names the worst derivative with its index and shows whether its
        error is rounding noise or a bug, and lists the kinks at x, where any number between the
        left and the right derivative passes.

    Raises
    ------
    TypeError
        If f cannot be called, or x is not numeric.
    ValueError
        If f is not finite at x, or an option is out of range.

    Notes
    -----
    Errors that f or grad raise are passed on. Complex steps are exact to about 15 digits,
    extrapolated differences to about 11 in float64 and 4 if f itself computes in float32.

    References
    ----------
    C. Ridders, Accurate computation of F'(x) and F'(x) F''(x) (1982).
    J. Martins, P. Sturdza, J. Alonso, The complex-step derivative approximation (2003), section 2.

    Examples
    --------
    >>> import numpy as np
    >>> import softgrad as sg
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> bool(sg.check_grad(lambda x: np.sum(x**3), lambda x: 3 * x**2, x))
    True
    >>> sg.check_grad(lambda x: np.sum(x**3), lambda x: 2 * x**2, x).structure
    'A constant ratio: the result is 0.666667 times the right one, everywhere.'
    >>> report = sg.check_grad(lambda x: np.sum(x**3), lambda x: 3 * x, x)
    >>> report.passed, report.worst.index
    (False, (2,))
    """
    if not callable(f):
        raise OptionTypeError(f"f is a {type(f).__name__}; accepted is a function.")
    if not rtol > 0:
        raise OptionError(f"rtol={rtol}; accepted is a number above 0.")
    if directions is not None and directions < 1:
        raise OptionError(f"directions={directions}; accepted is a whole number of at least 1.")
    point, wrap = _point(x)
    function = _wrapped(f, wrap)
    value = function(point.copy())
    if not np.all(np.isfinite(value)):
        raise OptionError(f"The function is {value!r} at x: no derivative can be checked there.")
    claimed = _wrapped(grad, wrap) if callable(grad) else None
    given = claimed(point.copy()) if claimed else np.asarray(grad, dtype=np.float64)
    report = _check(function, given, point, directions, rtol, seed, "gradient")
    second = None
    if claimed is not None and hessian is not None:
        matrix = _wrapped(hessian, wrap)(point.copy())
        second = _check(claimed, matrix, point, directions, rtol, seed, "Hessian")
    if claimed is not None and hvp is not None and (second is None or second.passed):
        second = _check_hvp(claimed, hvp, wrap, point, rtol, seed)
    if (hvp or hessian) and claimed is None:
        raise OptionError("Second derivatives are checked against grad, which must be a function.")
    if second is None:
        return report
    return GradientReport(
        **{**report.__dict__, "second": second, "passed": report.passed and second.passed}
    )


def _point(x: Any) -> tuple[Array, str]:
    if hasattr(x, "detach"):
        return np.asarray(x.detach().cpu().numpy(), dtype=np.float64), "torch"
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise OptionTypeError(f"x has dtype {array.dtype}; accepted are real numbers.")
    return array.astype(np.float64), ""


def _wrapped(f: Callable[..., Any], wrap: str) -> Callable[..., Array]:
    """f as a map from arrays to arrays, on a copy of its argument."""

    def call(*arguments: Array) -> Array:
        given: list[Any] = [np.array(a) for a in arguments]
        if wrap == "torch":
            given = [sys.modules["torch"].from_numpy(a) for a in given]
        with np.errstate(all="ignore"):
            result = f(*given)
        if hasattr(result, "detach"):
            result = result.detach().cpu().resolve_conj().numpy()
        array = np.asarray(result)
        if array.dtype.kind not in "fiubc":
            raise OptionTypeError(f"It returned a {type(result).__name__}, which is no number.")
        return array

    return call


def _directions(
    x: Array, directions: int | None, seed: int
) -> Iterator[tuple[tuple[int, ...] | None, Array]]:
    """Every coordinate, or random directions and, for a wrong single one, some coordinates."""
    if directions is None and x.size <= WHOLE:
        for index in np.ndindex(*x.shape):
            v = np.zeros(x.shape)
            v[index] = 1.0
            yield index, v
        return
    rng = np.random.default_rng(seed)
    count = DIRECTIONS if directions is None else directions
    for k in range(count):
        if k % 2 == 0 or x.size == 0:
            v = rng.normal(size=x.shape)
            yield None, v / max(float(np.linalg.norm(v)), 1e-300)
        else:
            index = tuple(int(rng.integers(n)) for n in x.shape)
            v = np.zeros(x.shape)
            v[index] = 1.0
            yield index, v


def _check(
    f: Callable[[Array], Array],
    claimed: Array,
    x: Array,
    directions: int | None,
    rtol: float,
    seed: int,
    of: str,
) -> GradientReport:
    value = f(x.copy())
    if not np.all(np.isfinite(value)):
        raise OptionError(
            f"The function returns {value!r} at x: no derivative can be checked there."
        )
    wanted = value.shape + x.shape
    if claimed.shape != wanted:
        hint = f"x has shape {x.shape}" + (f", f(x) {value.shape}" if value.shape else "")
        note = f"The {of} has shape {claimed.shape}; {wanted} is right, because {hint}."
        return GradientReport(False, "shape", structure=note, of=of)
    claimed = claimed.astype(np.float64)
    if not np.all(np.isfinite(claimed)):
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(claimed))[0])
        note = f"The {of} holds {claimed[bad]} at [{', '.join(map(str, bad))}]."
        return GradientReport(False, "not finite", structure=note, of=of)
    noise = differences.noise_of(f, x, value)
    matrix = claimed.reshape(value.size, x.size)
    slopes: list[tuple[tuple[int, ...] | None, Array, Slope, Array]] = []
    for index, v in _directions(x, directions, seed):
        found = differences.slope(f, x, v, value, noise)
        slopes.append((index, v, found, (matrix @ v.reshape(-1)).reshape(value.shape)))
    return _judge(f, x, value, slopes, noise, rtol, of)


def _judge(
    f: Callable[[Array], Array],
    x: Array,
    value: Array,
    slopes: list[tuple[tuple[int, ...] | None, Array, Slope, Array]],
    noise: float,
    rtol: float,
    of: str,
) -> GradientReport:
    largest = max((float(np.abs(s.value).max(initial=0.0)) for _, _, s, _ in slopes), default=0.0)
    comparisons: list[tuple[Comparison, Array]] = []
    kinks: list[Kink] = []
    for index, v, s, analytic in slopes:
        for k in np.ndindex(*value.shape):
            place = None if index is None else (*k, *index) if value.shape else index
            if s.kink[k]:
                sides = float(s.left[k]), float(s.right[k])
                kinks.append(Kink(place, *sides, float(analytic[k]), bool(s.jump[k])))
                continue
            n, a, e = float(s.value[k]), float(analytic[k]), float(s.error[k])
            tolerance = rtol * max(abs(n), abs(a), _SMALL * largest) + 4 * e
            comparisons.append((Comparison(place, a, n, e, tolerance), v))
    worst, direction = max(
        comparisons,
        key=lambda pair: pair[0].difference / max(pair[0].tolerance, 1e-300),
        default=(None, x),
    )
    # A tolerance that swallows the derivatives themselves proves nothing.
    blind = [
        c
        for c, _ in comparisons
        if 4 * c.error > 0.1 * max(abs(c.numeric), abs(c.analytic), _SMALL * largest)
    ]
    inconclusive = bool(comparisons) and len(blind) > len(comparisons) // 2 and largest > 0
    missed = any(c.wrong for c, _ in comparisons)
    wrong = missed or any(k.wrong for k in kinks)
    said = np.array([c.analytic for c, _ in comparisons])
    right = np.array([c.numeric for c, _ in comparisons])
    unit = max(float(np.abs([said, right]).max(initial=0.0)), 1e-300)  # squares overflow early
    size = float(np.linalg.norm(said / unit) + np.linalg.norm(right / unit))
    relative = float(np.linalg.norm((said - right) / unit)) / size if size else 0.0
    error = max((c.error for c, _ in comparisons), default=0.0)
    digits = min(15.0, -np.log10(max(error / largest, 1e-15))) if largest else 15.0
    notes = _notes(noise, value)
    structure, curve = "", []
    if worst is not None and (missed or inconclusive):
        target = worst.analytic
        curve = differences.errors_over_steps(
            lambda z: _entry(f, z, worst.index, value, x), x, direction, np.asarray(target)
        )
    if missed and said.size > 1:
        structure = (
            describe([right], [said]) if np.any(right) else "The right derivative is 0 everywhere."
        )
        if structure.startswith("Only for some rows"):
            structure = _some([c for c, _ in comparisons])
    elif missed and worst is not None and worst.numeric:
        structure = f"The result is {worst.analytic / worst.numeric:.6g} times the right one."
    methods = sorted({s.method for _, _, s, _ in slopes})
    reason = "wrong" if wrong else "noise" if inconclusive else "agrees"
    count = sum(i is not None for i, *_ in slopes)
    whole = len(slopes) == count
    checked = (
        f"all {count} partial derivatives"
        if whole
        else (f"{len(slopes)} directions of {x.size} dimensions")
    )
    return GradientReport(
        reason == "agrees",
        reason,
        " and ".join(methods),
        checked,
        worst,
        relative,
        digits,
        kinks,
        notes,
        structure,
        curve,
        None,
        of,
    )


def _entry(
    f: Callable[[Array], Array],
    z: Array,
    index: tuple[int, ...] | None,
    value: Array,
    x: Array,
) -> Array:
    """The output of f that a comparison was about."""
    result = np.asarray(f(z))
    if not value.shape or index is None:
        return result if not value.shape else np.asarray(result.sum())
    return np.asarray(result[index[: value.ndim]])


def _some(comparisons: list[Comparison]) -> str:
    """Which derivatives are wrong, where others are right."""
    wrong = [c for c in comparisons if c.wrong]
    places = [str(list(c.index)) for c in wrong if c.index is not None]
    shown = ", ".join(places[:6]) + (", …" if len(places) > 6 else "")
    where = f", at {shown}" if shown else ""
    return f"Only some of the derivatives are wrong: {len(wrong)} of {len(comparisons)}{where}."


def _notes(noise: float, value: Array) -> list[str]:
    if noise <= 4e-16:
        return []
    if noise in (float(np.finfo(np.float32).eps), float(np.finfo(np.float16).eps)):
        single = "float32" if noise < 1e-5 else "float16"
        return [
            f"The function computes in {single}: differences see its rounding error of {noise:.1g},"
            " so only the first digits are checked. Use float64 for the check."
        ]
    return [f"The function is not deterministic: two calls differ by {noise:.1g} of its value."]


def _check_hvp(
    grad: Callable[[Array], Array],
    hvp: Callable[[Any, Any], Any],
    wrap: str,
    x: Array,
    rtol: float,
    seed: int,
) -> GradientReport:
    """H v in random directions against differences of the gradient."""
    rng = np.random.default_rng(seed)
    product = _wrapped(hvp, wrap)
    value = grad(x.copy())
    noise = differences.noise_of(grad, x, value)
    slopes: list[tuple[tuple[int, ...] | None, Array, Slope, Array]] = []
    for _ in range(4):
        v = rng.normal(size=x.shape)
        v /= max(float(np.linalg.norm(v)), 1e-300)
        analytic = product(x.copy(), v)
        if analytic.shape != value.shape:
            note = f"The product has shape {analytic.shape}; {value.shape} is right."
            return GradientReport(False, "shape", structure=note, of="Hessian-vector product")
        slopes.append((None, v, differences.slope(grad, x, v, value, noise), analytic))
    return _judge(grad, x, value, slopes, noise, rtol, "Hessian-vector product")


# --- Text -----------------------------------------------------------------------------------------


def _rich(report: GradientReport) -> RenderableType:
    blocks: list[RenderableType] = [_verdict(report)]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    if report.method:
        table.add_row("  checked", report.checked)
        table.add_row("  method", f"{report.method}, good to {report.digits:.0f} digits")
    worst = report.worst
    if worst is not None and worst.difference:
        place = "along a random direction" if worst.index is None else f"at {list(worst.index)}"
        table.add_row("  largest miss" if report.reason == "agrees" else "  worst", place)
        table.add_row("    claimed", f"{worst.analytic:.10g}")
        table.add_row("    numeric", f"{worst.numeric:.10g} ± {worst.error:.1g}")
    blocks.append(table)
    if report.structure:
        blocks.append(Padding(Text(report.structure), (0, 0, 0, 2)))
    if report.kinks:
        blocks.append(_kinks(report.kinks))
    if report.curve and report.worst is not None:
        blocks.append(_curve(report))
    blocks += [Padding(Text(f"Note: {n}", style="dim"), (0, 0, 0, 2)) for n in report.notes]
    if report.second is not None:
        blocks.append(report.second.__rich__())
    return Group(*blocks)


def _verdict(report: GradientReport) -> Text:
    words = {
        "agrees": "is right",
        "wrong": "is wrong",
        "shape": "has the wrong shape",
        "not finite": "is not finite",
        "noise": "cannot be judged: the function is too noisy",
    }
    mark, style = ("✔", "bold green") if report.reason == "agrees" else ("✘", "bold red")
    return Text(f"{mark} The {report.of} {words[report.reason]}", style=style)


def _kinks(kinks: list[Kink]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for _ in range(2):
        table.add_column()
    for kink in kinks[:5]:
        place = "a random direction" if kink.index is None else f"{list(kink.index)}"
        said = "outside" if kink.wrong else "between them, so it passes"
        if kink.jump:
            table.add_row(f"  jump at {place}", "f is not continuous there: it has no derivative")
            continue
        table.add_row(
            f"  kink at {place}",
            f"left {kink.left:.4g}, right {kink.right:.4g}, claimed {kink.analytic:.4g}: {said}",
        )
    if len(kinks) > 5:
        table.add_row("", f"and {len(kinks) - 5} more")
    return table


def _curve(report: GradientReport) -> RenderableType:
    """The error over the step size, as bars of its logarithm."""
    errors = np.array([max(e, 1e-17) for _, e in report.curve])
    finite = np.isfinite(errors)
    low = float(np.log10(errors[finite]).min()) if finite.any() else -17.0
    high = float(np.log10(errors[finite]).max()) if finite.any() else 0.0
    low = min(low, high - 8)  # a plateau is a wall of long bars, not of short ones
    table = Table.grid(padding=(0, 2))
    for style in ("dim", "", ""):
        table.add_column(style=style, no_wrap=True, justify="left")
    table.add_row("  step size", "error", "")
    for (h, _), e in zip(report.curve, errors, strict=True):
        length = 1 + round(30 * (np.log10(e) - low) / (high - low)) if np.isfinite(e) else 0
        table.add_row(f"  {h:.0e}", f"{e:.1e}", "▇" * length)
    flat = report.reason == "wrong"
    said = (
        "A plateau: the error does not shrink with the step, so it is a bug."
        if flat
        else "A V: truncation on one side, rounding on the other; noise hides the derivative."
    )
    return Group(table, Text(f"  {said}"))
