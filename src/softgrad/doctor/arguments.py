"""Labels to be left out, masks, and weights: what they must and must not move."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

import softgrad as sg
from softgrad._typing import Array
from softgrad.doctor import probes
from softgrad.doctor.conventions import option_name
from softgrad.doctor.evidence import (
    Evidence,
    Examination,
    differs,
)
from softgrad.doctor.formulas import View
from softgrad.doctor.probes import Probe
from softgrad.doctor.reading import Fit, Reading
from softgrad.doctor.subject import Subject


def labels(ex: Examination) -> list[Evidence]:
    """A row marked with a negative label must not move anything."""
    convention = ex.reading.convention
    if convention.target != "index" or not convention.takes_role("y") or ex.kind.binary:
        return []
    if convention.single or convention.nested or convention.smoothing:
        return []
    asked = ex.request.ignore_index
    name = option_name(ex.subject, ex.kind, "ignore") or (
        "ignore" if convention.takes_role("ignore") else None
    )
    remark = name is None and asked is None
    for mark in [-1, -100] if asked is None else [asked]:
        given: dict[str, Any] = {}
        if name and asked is None:
            if convention.takes_role("ignore"):
                given = {"ignore": mark}
            elif mark == -1:
                mark = _default(ex.subject, name, mark)
        shows = partial(_takes_part, ex, mark, given, remark)
        x = [[1.0, 2.0, 0.0], [0.5, -1.0, 2.0], [0.3, 0.1, -0.2]]
        found = shows(probes.of(x, [0, mark, 2]))
        if found is not None:
            return [replace(found, shows=shows)]
    return []


def _takes_part(
    ex: Examination, mark: int, given: dict[str, Any], remark: bool, probe: Probe
) -> Evidence | None:
    """Whether the rows with this label move the loss, or are given a gradient."""
    marked = probe.y == mark
    if not np.any(marked) or np.all(marked):
        return None
    ramp = -5.0 * np.cos(np.arange(probe.x.size)).reshape(probe.x.shape)
    moved = probe.x + marked[:, None] * ramp
    before = ex.see(probe, **given)
    after = ex.see(replace(probe, x=moved, W=moved), **given)  # the features are unit vectors
    for part in before.parts:
        if part not in after.parts or part not in ("loss", "grad", "dW", "db"):
            continue
        a, b = before.parts[part], after.parts[part]
        if not (differs(a, b, 1e-6) if a.ndim == 0 else _rows_move(a, marked)):
            continue
        fit = ex.reading.fits.get(part)
        whole = "mean" if fit is None or fit.power.a == -1 else "sum"
        reduction = "none" if part == "loss" and a.ndim else whole
        wanted = sg.cross_entropy if part == "loss" else sg.cross_entropy.grad
        options: dict[str, Any] = {"ignore_index": mark, "reduction": reduction}
        expected = np.asarray(wanted(probe.x, probe.y, **options))
        if differs(expected, a, 1e-3):
            return Evidence(25, probe, part, expected, a, remark=remark)
    return None


def _default(subject: Subject, name: str, otherwise: int) -> int:
    try:
        default = inspect.signature(subject.function).parameters[name].default
    except (ValueError, TypeError, KeyError):
        return otherwise
    return default if isinstance(default, int) and default < 0 else otherwise


def _rows_move(gradient: Array, marked: Array) -> bool:
    whole = gradient.ndim == 2 and len(gradient) == len(marked)
    return whole and bool(np.abs(gradient[marked]).max() > 1e-6)


def _with_option(ex: Examination, role: str) -> Reading | None:
    """The reading with an optional argument added."""
    convention = ex.reading.convention
    if convention.takes_role(role):
        return ex.reading
    name = option_name(ex.subject, ex.kind, role)
    if name is None:
        return None
    return replace(
        ex.reading,
        convention=replace(convention, arguments=(*convention.arguments, (role, name))),
    )


#: How a mask may be meant, made from the one in which True takes part.
_MASKS: dict[str, Callable[[Array], Array]] = {
    "kept": lambda keep: keep,
    "dropped": lambda keep: ~keep,
    "kept, 0 or 1": lambda keep: keep.astype(np.float64),
    "dropped, 0 or 1": lambda keep: (~keep).astype(np.float64),
    "added": lambda keep: np.where(keep, 0.0, -np.inf),
}


def mask(ex: Examination) -> list[Evidence]:
    """A masked logit must not move p, whatever it is."""
    reading = _with_option(ex, "mask")
    if reading is None or ex.kind.name not in ("softmax", "log_softmax"):
        return []
    if reading.convention.layout == "CN" or reading.convention.nested:
        return []
    with_mask = replace(ex, reading=reading)
    rows = slice(1) if reading.convention.single else slice(2)
    keep = np.array([[True, True, False], [True, False, True]])[rows]
    x = np.array([[1.0, 2.0, 0.5], [0.5, -1.0, 2.0]])[rows]
    for form in _MASKS:
        shows = partial(_masked_moves, with_mask, form)
        seen = _masked(with_mask, form, _with_mask(x, keep))
        if seen is None or shows(_with_mask(x, keep)) is not None:
            continue
        # Masked logits set to -1e4 are the largest of all where the others are lower still.
        farther = (np.where(keep, x, 10300.0), np.where(keep, x, 20000.0), x - 20000.0)
        seen_there = [found for far in farther if (found := shows(_with_mask(far, keep)))]
        seen_there.sort(key=lambda found: found.mistake is None)
        return [replace(found, shows=shows) for found in seen_there[:1]]
    for form in ("kept", "kept, 0 or 1", "dropped"):
        value = _masked(with_mask, form, _with_mask(x, keep))
        if value is None:
            continue
        known = any(not differs(np.asarray(z), value, 1e-5) for z in _zeroed(x, keep))
        leaks = bool(np.abs(value[~keep]).max() > 1e-6) or known
        shows = partial(_masked_moves, with_mask, form)
        found = shows(_with_mask(x, keep))
        if leaks and found is not None and found.mistake is not None:
            return [replace(found, confidence=0.97 if known else 0.7, shows=shows)]
    return []


def _with_mask(x: Array, keep: Array) -> Probe:
    return replace(probes.of(x), extra={"mask": keep})


def _zeroed(x: Array, keep: Array) -> list[Any]:
    """What becomes of masked logits or probabilities that are multiplied by 0."""
    return [
        sg.softmax(x * keep),
        sg.softmax(x) * keep,
        sg.softmax(np.where(keep, x, 0.0)),
        sg.softmax(x - 1e4 * ~keep),
    ]


def _masked(ex: Examination, form: str, probe: Probe) -> Array | None:
    """The probabilities under a mask."""
    given = _MASKS[form](probe.extra["mask"])
    seen = ex.see(probe, mask=given[0] if ex.reading.convention.single else given)
    value = next(iter(seen.parts.values()), None)
    if value is None or value.shape != probe.x.shape:
        return None
    return np.exp(value) if ex.kind.name == "log_softmax" else value


def _masked_moves(ex: Examination, form: str, probe: Probe) -> Evidence | None:
    """Whether the probabilities are others than those of what is left."""
    keep = probe.extra["mask"]
    value = _masked(ex, form, probe)
    if np.all(keep) or not np.all(keep.any(axis=1)) or value is None:
        return None
    right = np.asarray(sg.softmax(probe.x, where=keep))
    if not differs(right, value, 1e-5):
        return None
    if not np.all(np.isfinite(value)):
        note = "only where a masked logit is large: it still takes part in the maximum"
        return Evidence(None, probe, "value", right, value, note=note, mask=form)
    return Evidence(27, probe, "value", right, value, mask=form)


def weights(ex: Examination) -> list[Evidence]:
    """A weighted mean is divided by the weights, not by the number of rows."""
    reading = _with_option(ex, "w") or _with_option(ex, "cw")
    part = next((p for p in ("loss", "grad") if p in ex.reading.fits), None)
    if reading is None or part is None or ex.kind.binary:
        return []
    fit = ex.reading.fits[part]
    if fit is None or fit.power.a != -1:
        return []
    x = [[1.0, 2.0, 0.0, 0.0], [0.0, 1.0, 3.0, 0.0], [2.0, 0.0, 1.0, 1.0]]
    probe = probes.of(x, [3, 1, 0])
    role = "w" if reading.convention.takes_role("w") else "cw"
    with_weights = replace(ex, reading=reading)
    if ex.reading.square_only is not None:
        probe = probes.of(np.asarray(x)[:, :3], [2, 1, 0])
    classes = np.array([1.0, 2.0, 5.0, 3.0])[: probe.x.shape[1]]
    for name, given in (("w", np.array([1.0, 2.0, 5.0])), ("cw", classes)):
        shows = partial(_divided_by_rows, with_weights, role, fit)
        found = shows(replace(probe, extra={name: given}))
        if found is not None:
            return [replace(found, shows=shows)]
    return []


def _divided_by_rows(ex: Examination, role: str, fit: Fit, probe: Probe) -> Evidence | None:
    """Whether weights of the rows or classes give the weighted sum divided by the rows."""
    ((name, given),) = probe.extra.items()
    seen = ex.see(probe, **{role: given})
    if fit.part not in seen.parts:
        return None
    weight = given if name == "w" else given[probe.y]
    values = fit.form.evaluate(View(probe, ex.reading.convention, fit.stage, fit.shifted))
    values = np.asarray(fit.power.c * values / probe.x.shape[1] ** -fit.power.b)
    weighted = values * (weight if values.ndim == 1 else weight[:, None])
    total = weighted.sum() if fit.reduced else weighted
    right, wrong = np.asarray(total / weight.sum()), np.asarray(total / len(weight))
    actual = seen.parts[fit.part]
    if not differs(right, actual, 1e-4) or differs(wrong, actual, 1e-4):
        return None
    return Evidence(20, probe, fit.part, np.sign(fit.power.c) * right, actual)
