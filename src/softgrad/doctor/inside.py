"""What is fixed inside a function: a temperature, or a share of the label that is spread."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from softgrad._typing import Array
from softgrad.doctor.calling import Convention
from softgrad.doctor.fitting import fit_parts
from softgrad.doctor.formulas import STAGES, Form, View, forms
from softgrad.doctor.kinds import Kind
from softgrad.doctor.reading import Observation, Reading

#: Temperatures that people write into a distillation loss.
_FIXED = (2.0, 3.0, 4.0, 5.0, 10.0, 20.0, 1.5, 6.0, 7.0, 8.0)


#: What speaks against smoothing that nothing but the numbers tells of.
_SMOOTHING = 0.3
_SHARES = (0.1, 0.2, 0.05, 0.15, 0.01, 0.3)


def fit(kind: Kind, reading: Reading, squared: bool) -> None:
    """Explain every part of a reading, and count what the explanation costs."""
    fit_parts(kind, reading, squared)
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
    fit_parts(kind, trial, squared)
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
    if part == "loss":
        found += _usual_smoothing(convention, bank[1], seen, got, reading.tolerance)
    return found


def _usual_smoothing(
    convention: Convention, form: Form, seen: list[Observation], got: list[Array], tolerance: float
) -> list[Convention]:
    """Of -sum y p in place of -sum y log p, the entropy of the target cannot be told from the
    share: the usual shares are tried."""
    actual = np.concatenate([g.reshape(-1) for g in got])
    found = []
    for s, over in itertools.product(_SHARES, ("all", "others")):
        cost = convention.cost + _SMOOTHING + 0.1
        way = replace(convention, smoothing=s, smoothed_over=over, relative=True, cost=cost)
        values = _values(form, "right", way, seen, got)
        if values is None or values.shape != actual.shape or not np.any(values):
            continue
        ratio = float(values @ actual) / float(values @ values)
        if np.linalg.norm(ratio * values - actual) <= tolerance * np.linalg.norm(actual):
            found.append(way)
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
