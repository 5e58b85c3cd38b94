"""Which formula a function computes, and with which constant factor.

For every formula F of the bank and every shape of probe, the factor r that brings r F closest to
what was returned is fitted by least squares. A formula fits if nothing is left over, and if r
depends on the number of rows, of classes and on the temperature as r = c N^a C^b T^d: that tells
a mean from a sum, a lost 1/N from a lost sign, and a wrong formula from a right one.
"""

from __future__ import annotations

import math

import numpy as np

from softgrad.doctor.calling import Convention
from softgrad.doctor.formulas import Form, forms, hypotheses
from softgrad.doctor.kinds import Kind
from softgrad.doctor.reading import Fit, Power, Reading

UNKNOWN_CONSTANT = 2.5
_NOTHING = 1e-12
NOTHING_FITS = 8.0


def fit_part(
    kind: Kind,
    part: str,
    reading: Reading,
    expected_d: int,
    tolerance: float | None = None,
    squared: bool = False,
) -> Fit | None:
    """The cheapest explanation of one part; ``squared``: a constant 2 or 1/2 is nothing odd."""
    tolerance = reading.tolerance if tolerance is None else tolerance
    seen = [o.parts[part] for o in reading.observations]
    if any(not np.all(np.isfinite(a)) for a in seen):
        return None
    everything = np.concatenate([a.reshape(-1) for a in seen])
    wanted = reading.observations[0].probe.shape
    fits_in = part in ("loss", "jacobian", "dW", "db", "dX") or seen[0].shape == wanted
    likely = reading.convention.layout not in ("CN", "C1")  # else it is how it was called
    if fits_in and likely and np.abs(everything).max(initial=0.0) < 1e-8:
        return _zero(kind, part, reading, exact=not np.any(everything))
    best: Fit | None = None
    best_cost = math.inf
    of_log = (
        "value" in reading.observations[0].parts or reading.convention.takes == "log-probabilities"
    )
    for form, stage, shifted, mistakes in hypotheses(kind, part, reading.convention):
        if len(mistakes) > 3 or len(mistakes) >= best_cost:
            continue
        if form.right == "log_softmax" and not of_log:
            continue
        fitted = _ratios(reading, part, form, stage, shifted, tolerance)
        if fitted is None:
            continue
        ratios, reduced, residual = fitted
        power = _power(reading, ratios, tolerance)
        if power is None:
            continue
        any_size = kind.family == "step" and not reading.convention.takes_role("lr")
        constants, odd = judge(kind, part, form, power, expected_d, squared, any_size)
        named = tuple(sorted({*mistakes, *constants}))
        cost = len(named) + UNKNOWN_CONSTANT * odd
        if cost < best_cost:
            best_cost = cost
            best = Fit(part, form, stage, shifted, power, reduced, named, residual)
    if best is not None and best_cost >= len(best.mistakes) + UNKNOWN_CONSTANT:
        return None
    return best


def _zero(kind: Kind, part: str, reading: Reading, exact: bool) -> Fit:
    if part in ("vjp", "jacobian"):
        mistakes: tuple[int, ...] = (4,)
    elif kind.binary and reading.convention.layout == "N1":
        mistakes = (26,)
    else:
        mistakes = (28,) if exact else (4,)
    shape = reading.observations[0].parts[part].shape
    view = reading.view(0, "right", False)
    bank = forms(kind, part, reading.convention)
    like = next((f for f in bank if not shape or f.evaluate(view).shape == shape), bank[0])
    form = Form("0", mistakes, lambda v: np.zeros_like(like.evaluate(v)))
    return Fit(part, form, "right", False, Power(0.0, 0, 0, 0), not shape, mistakes, 0.0, exact)


def _ratios(
    reading: Reading, part: str, form: Form, stage: str, shifted: bool, tolerance: float
) -> tuple[dict[tuple[int, int, float], float], bool, float] | None:
    """The factor for each shape of probe, if the form fits with one factor a shape."""
    reduced = part == "loss" and reading.observations[0].parts[part].ndim == 0
    ratios, worst = {}, 0.0
    for key, places in reading.groups.items():
        pairs = []
        for place in places:
            seen = reading.observations[place]
            try:
                with np.errstate(all="ignore"):
                    values = form.evaluate(reading.view(place, stage, shifted))
            except (ValueError, IndexError):
                return None
            got = seen.parts[part]
            if reduced and got.ndim == 0:
                values = np.asarray(values.sum())
            if values.shape != got.shape or not np.all(np.isfinite(values)):
                return None
            pairs.append((values.reshape(-1), got.reshape(-1)))
        f = np.concatenate([a for a, _ in pairs])
        o = np.concatenate([b for _, b in pairs])
        size, norm = float(f @ f), float(np.linalg.norm(o))
        if size < _NOTHING**2 and norm < _NOTHING:
            continue  # zero as it should be: any factor fits
        if size == 0.0 or norm == 0.0:
            return None
        ratios[key] = float(f @ o) / size
        worst = max(worst, float(np.linalg.norm(o - ratios[key] * f)) / norm)
        if worst > tolerance or ratios[key] == 0.0:
            return None
    return (ratios, reduced, worst) if ratios else None


def _power(
    reading: Reading, ratios: dict[tuple[int, int, float], float], tolerance: float
) -> Power | None:
    """r = c N^a C^b T^d with whole exponents, or None."""
    keys = list(ratios)
    n0, c0, t0 = keys[0]
    if len({np.sign(r) for r in ratios.values()}) > 1:
        return None

    def slope(key: tuple[int, int, float], base: float) -> float:
        return math.log(ratios[key] / ratios[keys[0]]) / math.log(base)

    a = b = d = 0.0
    for key in keys:
        n, c, t = key
        if t != t0 and (n, c) == (n0, c0):
            d = slope(key, t / t0)
        elif n != n0 and c == c0 and t == t0 and c0 != n:
            a = slope(key, n / n0)
        elif c != c0 and n == n0 and t == t0:
            b = slope(key, c / c0)
    if reading.square_only and len(keys) > 1:
        a = slope(keys[1], keys[1][0] / n0)
        if round(a) == -2:
            a, b = -1.0, -1.0
    if (fixed := reading.convention.temperature) != 1.0:  # one temperature: its power is the factor
        d = math.log(abs(ratios[keys[0]]) / (n0 ** round(a) * c0 ** round(b))) / math.log(fixed)
    whole = (round(a), round(b), round(d))
    slack = max(0.01, 10 * tolerance)
    if max(abs(a - whole[0]), abs(b - whole[1]), abs(d - whole[2])) > slack:
        return None
    a_, b_, d_ = whole
    factor = ratios[keys[0]] / (n0**a_ * c0**b_ * t0**d_)
    power = Power(factor, a_, b_, d_)
    for (n, c, t), ratio in ratios.items():
        if abs(factor * n**a_ * c**b_ * t**d_ / ratio - 1) > slack:
            return None
    nearest = round(factor * 2) / 2
    if abs(factor - nearest) <= slack and nearest:
        power = Power(nearest, a_, b_, d_)
    return power


def judge(
    kind: Kind,
    part: str,
    form: Form,
    power: Power,
    expected_d: int,
    squared: bool,
    any_size: bool = False,
) -> tuple[tuple[int, ...], bool]:
    """The mistakes that a constant factor amounts to, and whether something in it is unknown.

    ``any_size``: the constant is a step size that is not known.
    """
    found: list[int] = []
    odd = False
    if power.c < 0:
        found.append(21)
    size = abs(power.c)
    halves = squared or form.right == "squared error" or form.name == "J (p - y)"
    allowed = (1.0, 0.5, 2.0) if halves else (1.0,)
    if size not in allowed and not any_size:
        odd = True
    averaged = part in ("loss", "grad", "dW", "db", "dX") and kind.name != "sigmoid_grad"
    if power.a not in ((0, -1) if averaged else (0,)):
        odd = True
    if power.b == -1 and averaged and not kind.binary:
        if not (
            squared or form.right == "squared error"
        ):  # the squared error is often meant as a mean of all numbers
            # Divided by C in place of N, it lacks the one and has the other.
            found += [19] if power.a == -1 else [18, 19]
    elif power.b:
        odd = True
    more = power.d - expected_d
    if kind.family == "distillation":
        table = {0: (), -2: (23,), 1: (22,), -1: (22, 23)}
        if kind.name == "distillation":
            table = {0: (), -2: (23,)}
        found += table.get(more, ())
        odd = odd or more not in table
    elif more == 1 and part in ("grad", "vjp", "jacobian"):
        found.append(22)
    elif more:
        odd = True
    return tuple(found), odd


def expected_power(kind: Kind, part: str, convention: Convention) -> int:
    """The power of the temperature that belongs to a part."""
    if not convention.takes_role("T") and convention.temperature == 1.0:
        return 0
    if kind.family == "distillation":
        if convention.takes_role("labels"):
            return 0  # T^2 is inside the formula, for the soft term alone
        return 2 if part == "loss" else 1
    return -1 if part in ("grad", "vjp", "jacobian", "dW", "db", "dX") else 0


def fit_parts(kind: Kind, reading: Reading, squared: bool) -> None:
    parts = sorted(reading.observations[0].parts, key=lambda part: part != "loss")
    for part in parts:  # the loss first: it tells what its gradient should be
        d = expected_power(kind, part, reading.convention)
        found = fit_part(kind, part, reading, d, squared=squared)
        squared = squared or bool(found and found.form.right == "squared error")
        reading.fits[part] = found
    _relate(reading, squared)
    cost = reading.convention.cost + len(reading.mistakes)
    reading.cost = cost + NOTHING_FITS * sum(f is None for f in reading.fits.values())


#: What the gradients are called when the loss is the squared error.
_OF_SQUARES = {"p - y": (6,), "J (p - y)": (), "(p - y) p (1 - p)": (1,)}


def _relate(reading: Reading, squared: bool) -> None:
    """Judge the parts together: a gradient belongs to the loss that is returned with it."""
    loss = reading.fits.get("loss")
    squared = squared or bool(loss and loss.form.right == "squared error")
    for name, part in reading.fits.items():
        if part is None or name == "loss":
            continue
        mistakes = set(part.mistakes)
        if squared and part.form.name in _OF_SQUARES and part.stage == "right":
            mistakes = (mistakes - set(part.form.mistakes)) | set(_OF_SQUARES[part.form.name])
        if loss and loss.power.a == -1 and part.power.a == 0 and part.power.c:
            mistakes.add(18)
        if loss and squared and part.power.c and part.power.b == -1 != loss.power.b:
            mistakes.add(19)
        of_log = part.form.right == "log_softmax"
        value = reading.fits.get("value")
        if value and name == "vjp" and of_log != (value.form.right == "log_softmax"):
            reading.fits[name] = None  # the derivative of another function
            continue
        if mistakes != set(part.mistakes):
            values = {**part.__dict__, "mistakes": tuple(sorted(mistakes))}
            reading.fits[name] = Fit(**values)
