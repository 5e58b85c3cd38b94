"""Which formula a function computes, and with which constant factor.

For every formula F of the bank and every shape of probe, the factor r that brings r F closest to
what was returned is fitted by least squares. A formula fits if nothing is left over, and if r
depends on the number of rows, of classes and on the temperature as r = c N^a C^b T^d: that tells
a mean from a sum, a lost 1/N from a lost sign, and a wrong formula from a right one.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from softgrad._typing import Array
from softgrad.doctor import probes
from softgrad.doctor.calling import Convention, Outcome, OvertimeError, call, call_key
from softgrad.doctor.formulas import STAGES, Form, View, forms, hypotheses
from softgrad.doctor.kinds import Kind
from softgrad.doctor.probes import Probe
from softgrad.doctor.subject import Subject

#: What float32 arithmetic leaves on ordinary inputs, with room to spare.
TOLERANCE = 3e-5
HALF_TOLERANCE = 2e-2
UNKNOWN_CONSTANT = 2.5
_NOTHING = 1e-12
NOTHING_FITS = 8.0


@dataclass(frozen=True)
class Power:
    """A factor c N^a C^b T^d."""

    c: float
    a: int
    b: int
    d: int

    def at(self, probe: Probe) -> float:
        rows, classes = _sizes(probe)
        return float(self.c * rows**self.a * classes**self.b * probe.T**self.d)


@dataclass(frozen=True)
class Fit:
    """A formula that explains one part of the results."""

    part: str
    form: Form
    stage: str
    shifted: bool
    power: Power
    reduced: bool  # one number for all rows
    mistakes: tuple[int, ...]
    residual: float
    exact_zero: bool = False

    def predict(self, probe: Probe, convention: Convention) -> Array:
        """What this formula makes of a probe."""
        view = View(probe, convention, self.stage, self.shifted)
        with np.errstate(all="ignore"):
            values = self.form.evaluate(view)
        total = values.sum() if self.reduced else values
        return np.asarray(self.power.at(probe) * total)


@dataclass
class Observation:
    """What a function made of a probe, part by part."""

    probe: Probe
    parts: dict[str, Array]
    outcome: Outcome


@dataclass
class Reading:
    """A convention, what was observed in it, and what explains it."""

    convention: Convention
    observations: list[Observation]
    fits: dict[str, Fit | None] = field(default_factory=dict)
    square_only: Outcome | None = None  # the failure for N != C, if only N = C works
    cost: float = math.inf
    _views: dict[tuple[int, str, bool], View] = field(default_factory=dict)

    @cached_property
    def groups(self) -> dict[tuple[int, int, float], list[int]]:
        """The places of the observations by number of rows, of classes, and temperature."""
        found: dict[tuple[int, int, float], list[int]] = {}
        for place, seen in enumerate(self.observations):
            found.setdefault((*_sizes(seen.probe), seen.probe.T), []).append(place)
        return found

    def view(self, place: int, stage: str, shifted: bool) -> View:
        """An observation's probe as a formula sees it, computed once."""
        key = (place, stage, shifted)
        if key not in self._views:
            probe = self.observations[place].probe
            self._views[key] = View(probe, self.convention, stage, shifted)
        return self._views[key]

    @property
    def explained(self) -> bool:
        return bool(self.fits) and all(fit is not None for fit in self.fits.values())

    @property
    def nothing(self) -> bool:
        """Whether nothing but zeros came back."""
        return all(fit is not None and fit.power.c == 0 for fit in self.fits.values())

    @property
    def mistakes(self) -> tuple[int, ...]:
        found = {m for fit in self.fits.values() if fit for m in fit.mistakes}
        return tuple(sorted(found | ({10} if self.square_only else set())))

    @property
    def tolerance(self) -> float:
        half = any(word in self.observations[0].outcome.kind for word in ("float16", "bfloat16"))
        return HALF_TOLERANCE if half else TOLERANCE


def _sizes(probe: Probe) -> tuple[int, int]:
    return (probe.x.shape[0], probe.x.shape[1]) if probe.x.ndim == 2 else (len(probe.x), 1)


def probes_of(kind: Kind, square: bool, with_temperature: bool) -> list[Probe]:
    """Ordinary inputs; where there is a temperature, at several temperatures."""
    seeds = (
        (0, 1, 2) if kind.family in ("loss", "both", "distillation", "step", "layer") else (0, 1)
    )
    if kind.binary:
        return [probes.random_binary(n, seed) for n in (4, 6) for seed in seeds]
    shapes: tuple[tuple[int, int], ...] = probes.SQUARE if square else probes.SHAPES
    base = 2.0 if with_temperature else 1.0
    found = [probes.random(n, c, seed, base) for n, c in shapes for seed in seeds]
    if with_temperature:
        found += [probes.random(*shapes[0], seed, t) for t in (3.0, 1.0) for seed in seeds]
    return [_consistent(p, kind) for p in found]


def _consistent(probe: Probe, kind: Kind) -> Probe:
    """For layers the logits are those of the layer."""
    if kind.family in ("layer", "step"):
        assert probe.X is not None
        assert probe.W is not None
        return replace(probe, x=probe.X @ probe.W + probe.b)
    return probe


def observe(
    subject: Subject,
    kind: Kind,
    convention: Convention,
    probe: Probe,
    options: dict[str, Any] | None = None,
    time_limit: float = 10.0,
) -> Observation:
    """Call the function and sort what it returns into parts; no parts if that failed."""
    outcome = call(subject.function, convention, probe, options, time_limit)
    parts: dict[str, Array] = {}
    if outcome.error is None:
        parts = sort_parts(kind, convention, probe, outcome)
    return Observation(probe, parts, outcome)


def recalled(
    subject: Subject, kind: Kind, convention: Convention, probe: Probe, time_limit: float
) -> Observation:
    """The same, without calling again for what has been asked before."""
    key = call_key(convention, probe)
    if key not in subject.calls:
        subject.calls[key] = call(subject.function, convention, probe, None, time_limit)
    outcome = subject.calls[key]
    parts = {} if outcome.error else sort_parts(kind, convention, probe, outcome)
    return Observation(probe, parts, outcome)


def read(
    subject: Subject, kind: Kind, convention: Convention, time_limit: float
) -> tuple[Reading | None, Outcome]:
    """Observe a function in one convention; None if it does not work in it at all.

    What it returns for a probe is remembered: other kinds ask for the same.
    """
    heated = convention.takes_role("T")
    first: Outcome | None = None
    for square in (False, True):
        inputs = probes_of(kind, square, heated)
        observations = []
        for probe in inputs:
            seen = recalled(subject, kind, convention, probe, time_limit)
            if not seen.parts:
                break
            observations.append(seen)
        if len(observations) == len(inputs):
            alike = {tuple(o.parts) for o in observations}
            if len(alike) == 1:
                return Reading(convention, observations, square_only=first), observations[0].outcome
        first = first or seen.outcome
        if isinstance(seen.outcome.error, OvertimeError):
            break
        if kind.binary or convention.layout in ("row", "C1", "CN") or convention.nested:
            break
    return None, first or Outcome()


# --- Parts of a result ----------------------------------------------------------------------------


def sort_parts(
    kind: Kind, convention: Convention, probe: Probe, outcome: Outcome
) -> dict[str, Array]:
    """The parts of a result by name, rows as examples; empty if it has no such parts."""
    value = outcome.value
    values = list(value) if isinstance(value, tuple) else [value]
    arrays = [np.asarray(v) for v in values if isinstance(v, np.ndarray | np.floating)]
    if kind.family in ("layer", "step"):
        return _layer_parts(kind, convention, probe, outcome, arrays)
    if not arrays:
        return {}
    arrays = [_upright(a, convention, probe) for a in arrays]
    if kind.family == "both":
        return _loss_and_grad(arrays, probe)
    if kind.family == "vjp" or (kind.name == "sigmoid_grad" and len(arrays) > 1):
        if len(arrays) == 2:
            name = "vjp" if kind.family == "vjp" else "grad"
            return {"value": arrays[0], name: arrays[1]}
        return {"vjp" if kind.family == "vjp" else "grad": arrays[0]}
    if kind.family == "loss" or kind.name == "distillation":
        loss = next((a for a in arrays if a.ndim < 2), None)
        return {} if loss is None else {"loss": loss}
    if kind.family == "grad" or kind.name == "distillation_grad":
        full = next((a for a in arrays if a.shape == probe.x.shape), arrays[-1])
        return {"grad": full}
    name = "jacobian" if kind.family == "jacobian" else kind.name
    return {name: arrays[0]}


def _loss_and_grad(arrays: list[Array], probe: Probe) -> dict[str, Array]:
    """Of several arrays of the logits' shape the gradient is the one that is below 0 somewhere."""
    fitting = [a for a in arrays if a.shape == probe.x.shape]
    grad = next((a for a in fitting if np.any(a < 0)), fitting[0] if fitting else None)
    loss = next((a for a in arrays if a.ndim < 2), None)
    if grad is None or loss is None:
        return {}
    return {"loss": loss, "grad": grad}


def _upright(array: Array, convention: Convention, probe: Probe) -> Array:
    """An output as the probe has it: examples in rows, no axes of length 1 left over."""
    if convention.layout == "CN" and array.ndim == 2:
        array = array.T
    rows = probe.x.shape[0]
    for _ in range(convention.nested):
        array = array[0] if array.ndim and array.shape[0] == 1 else array
    if convention.layout == "CN" and array.ndim == 3 and array.shape[2] == rows:
        array = np.moveaxis(array, 2, 0)
    if convention.layout == "C1":
        array = array.reshape([rows, *(n for n in array.shape[1:] if n != 1)])
    if array.ndim == 2 and array.shape == (rows, 1) and probe.x.shape != (rows, 1):
        return array[:, 0]
    if array.ndim and array.size == 1 and rows > 1:
        return array.reshape(())
    if convention.layout == "CN" and array.ndim == 2 and array.shape == (1, rows):
        array = array[0]
    return np.asarray(array)


def _layer_parts(
    kind: Kind, convention: Convention, probe: Probe, outcome: Outcome, arrays: list[Array]
) -> dict[str, Array]:
    assert probe.X is not None
    assert probe.W is not None
    assert probe.b is not None
    upright = convention.layout not in ("CN", "NCT")
    W, b, X = probe.W, probe.b, probe.X
    parts: dict[str, Array] = {}
    shape = W.shape if upright else W.T.shape
    # Weights given as a vector, or a gradient made one for an optimiser.
    flat = convention.layout in ("NC", "NCF")
    left = list(arrays)
    if kind.family == "step" and not any(a.shape == shape or a.size == W.size for a in left):
        changed = [outcome.after[r] for r in ("W", "b") if r in outcome.after]
        left += changed
    for array in left:
        if array.ndim == 0 or array.size == 1:
            parts.setdefault("loss", array.reshape(()))
        elif "dW" not in parts and (array.shape == shape or (flat and array.shape == (W.size,))):
            array = array.reshape(shape)
            parts["dW"] = array if upright else array.T
        elif "db" not in parts and array.size == b.size and array.ndim <= 2:
            parts["db"] = array.reshape(-1)
        elif "dX" not in parts and array.shape == (
            X.shape if convention.layout != "CN" else X.T.shape
        ):
            parts["dX"] = array if convention.layout != "CN" else array.T
    if "dW" not in parts:
        return {}
    if kind.family == "step":
        parts.pop("dX", None)
        for name, before in (("dW", W), ("db", b)):
            if name in parts:
                parts[name] = (before - parts[name]) / (
                    probe.lr if convention.takes_role("lr") else 1.0
                )
    return parts


# --- Fitting --------------------------------------------------------------------------------------


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


#: Temperatures that people write into a distillation loss.
_FIXED = (2.0, 3.0, 4.0, 5.0, 10.0, 20.0, 1.5, 6.0, 7.0, 8.0)


#: What speaks against smoothing that nothing but the numbers tells of.
_SMOOTHING = 0.3


def fit(kind: Kind, reading: Reading, squared: bool) -> None:
    """Explain every part of a reading, and count what the explanation costs."""
    _fit(kind, reading, squared)
    if not reading.explained:
        for smoothed in _smoothing(kind, reading):
            trial = Reading(smoothed, reading.observations, square_only=reading.square_only)
            if _adopted(kind, reading, trial, squared):
                return
    inside = kind.family == "distillation" and not reading.convention.takes_role("T")
    if not inside or reading.explained:
        return
    for temperature in _FIXED:
        at = [replace(o, probe=o.probe.at(temperature)) for o in reading.observations]
        fixed = replace(reading.convention, temperature=temperature)
        if _adopted(kind, reading, Reading(fixed, at, square_only=reading.square_only), squared):
            return


def _adopted(kind: Kind, reading: Reading, trial: Reading, squared: bool) -> bool:
    """Take over a reading with something fixed inside if that explains everything."""
    _fit(kind, trial, squared)
    if not trial.explained:
        return False
    reading.convention, reading.observations = trial.convention, trial.observations
    reading.fits, reading.cost = trial.fits, trial.cost
    reading.__dict__.pop("groups", None)
    reading._views.clear()
    return True


def _smoothing(kind: Kind, reading: Reading) -> list[Convention]:
    """Label smoothing that is fixed inside: how much, and over which classes.

    Losses and gradients are linear in the target, and the target is linear in the smoothing s: so
    r ((1 - s) F(y) + s F(u)) is fitted for r and r s, u being the label spread over the classes.
    """
    convention = reading.convention
    part = next((p for p in ("loss", "grad", "dW") if p in reading.observations[0].parts), None)
    if part is None or kind.binary or not convention.takes_role("y") or kind.name == "nll":
        return []
    seen = [reading.observations[place] for place in next(iter(reading.groups.values()))]
    got = [o.parts[part] for o in seen]
    actual = np.concatenate([g.reshape(-1) for g in got])
    if actual.size < 3 or not np.all(np.isfinite(actual)) or not np.any(actual):
        return []
    # A divergence from the target has a constant more: the target's entropy.
    constant = np.concatenate(
        [np.full(g.size, len(o.probe.x) / g.size) for o, g in zip(seen, got, strict=True)]
    )
    bank = forms(kind, part, convention)[: 2 if part == "loss" else 1]
    stages = STAGES if convention.takes == "logits" and not convention.single else ("right",)
    found = []
    for form, stage, over in itertools.product(bank, stages, ("all", "others")):
        columns = []
        for way in (convention, replace(convention, smoothing=1.0, smoothed_over=over)):
            values = _values(form, stage, way, seen, got)
            columns += [values] if values is not None and values.shape == actual.shape else []
        if len(columns) < 2:
            continue
        for relative in (False, True) if part == "loss" else (False,):
            matrix = np.stack([*columns, *([constant] if relative else [])], axis=1)
            if not np.all(np.isfinite(matrix)):
                continue
            solution = np.linalg.lstsq(matrix, actual, rcond=None)[0]
            own, shared = solution[:2]
            left = np.linalg.norm(matrix @ solution - actual) / np.linalg.norm(actual)
            share = shared / (own + shared) if own + shared else 0.0
            if left <= reading.tolerance and 1e-3 < share < 0.95:
                s = round(float(share), 4)
                cost = convention.cost + _SMOOTHING + 0.1 * relative
                way = replace(convention, smoothing=s, smoothed_over=over, relative=relative)
                found.append(replace(way, cost=cost))
    return found


def _values(
    form: Form, stage: str, way: Convention, seen: list[Observation], got: list[Array]
) -> Array | None:
    """What a form gives in a convention, over several inputs, reduced as the results are."""
    with np.errstate(all="ignore"):
        try:
            values = [form.evaluate(View(o.probe, way, stage)) for o in seen]
        except (ValueError, IndexError):
            return None
    sums = [v.sum() if g.ndim == 0 else v for v, g in zip(values, got, strict=True)]
    return np.concatenate([np.reshape(v, -1) for v in sums])


def _fit(kind: Kind, reading: Reading, squared: bool) -> None:
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
