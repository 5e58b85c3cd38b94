"""Labels to be left out, masks, and weights: what they must and must not move."""

from __future__ import annotations

from dataclasses import replace
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
from softgrad.doctor.fitting import Reading
from softgrad.doctor.formulas import View
from softgrad.doctor.subject import Subject


def labels(ex: Examination) -> list[Evidence]:
    """A row marked with a negative label must not move anything."""
    convention = ex.reading.convention
    if convention.target != "index" or not convention.takes_role("y") or ex.kind.binary:
        return []
    if convention.single or convention.nested or convention.smoothing:
        return []
    name = option_name(ex.subject, ex.kind, "ignore") or (
        "ignore" if convention.takes_role("ignore") else None
    )
    marks = [ex.ignore_index] if ex.ignore_index is not None else [-1, -100]
    x = np.array([[1.0, 2.0, 0.0], [0.5, -1.0, 2.0], [0.3, 0.1, -0.2]])
    changed = x.copy()
    changed[1] = [2.0, 0.7, -1.5]
    for mark in marks:
        assert mark is not None
        options: dict[str, Any] = {}
        if name and ex.ignore_index is None:
            if convention.takes_role("ignore"):
                options = {"ignore": mark}
            elif mark == -1:
                mark = _default(ex.subject, name, mark)
        before = ex.see(probes.of(x, [0, mark, 2]), **options)
        after = ex.see(probes.of(changed, [0, mark, 2]), **options)
        for part in before.parts:
            if part not in after.parts or part not in ("loss", "grad", "dW", "db"):
                continue
            a, b = before.parts[part], after.parts[part]
            moved = differs(a, b, 1e-6) if a.ndim == 0 else _row_moves(a)
            if not moved:
                continue
            expected = np.asarray(
                sg.cross_entropy(x, np.array([0, mark, 2]), ignore_index=mark)
                if part == "loss"
                else sg.cross_entropy.grad(x, np.array([0, mark, 2]), ignore_index=mark)
            )
            remark = name is None and ex.ignore_index is None
            shown = probes.of(x, [0, mark, 2])
            return [Evidence(25, shown, part, expected, a, remark=remark)]
    return []


def _default(subject: Subject, name: str, otherwise: int) -> int:
    import inspect

    try:
        default = inspect.signature(subject.function).parameters[name].default
    except (ValueError, TypeError, KeyError):
        return otherwise
    return default if isinstance(default, int) and default < 0 else otherwise


def _row_moves(gradient: Array) -> bool:
    return gradient.ndim == 2 and bool(np.abs(gradient[1]).max() > 1e-6)


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


def mask(ex: Examination) -> list[Evidence]:
    """A masked logit must not move p, whatever it is."""
    reading = _with_option(ex, "mask")
    if reading is None or ex.kind.name not in ("softmax", "log_softmax"):
        return []
    if reading.convention.layout == "CN" or reading.convention.nested:
        return []
    keep = np.array([[True, True, False], [True, False, True]])
    x = np.array([[1.0, 2.0, 0.5], [0.5, -1.0, 2.0]])
    with_mask = replace(ex, reading=reading)
    rows = reading.convention.single
    x, keep = (x[:1], keep[:1]) if rows else (x, keep)
    forms = {
        "kept": keep,
        "dropped": ~keep,
        "kept, 0 or 1": keep.astype(float),
        "dropped, 0 or 1": (~keep).astype(float),
        "added": np.where(keep, 0.0, -np.inf),
    }

    def result(x: Array, mask: Array) -> Array | None:
        given = mask[0] if rows else mask
        seen = with_mask.see(probes.of(x), mask=given)
        value = next(iter(seen.parts.values()), None)
        if value is None or value.shape != x.shape:
            return None
        return np.exp(value) if ex.kind.name == "log_softmax" else value

    right = np.asarray(sg.softmax(x, where=keep))
    for mask in forms.values():
        value = result(x, mask)
        if value is None or differs(right, value, 1e-5):
            continue
        loud = np.where(keep, x, 20000.0)
        value = result(loud, mask)
        if value is None:
            return []
        if not np.all(np.isfinite(value)):
            note = "only where a masked logit is large: it still takes part in the maximum"
            return [Evidence(None, probes.of(loud), "value", right, value, note=note)]
        if differs(right, value, 1e-5):
            return [Evidence(27, probes.of(loud), "value", right, value, note=_mask_note(keep))]
        # A masked logit set to -1e4 is the largest of all where the others are lower still.
        low = x - 20000.0
        value = result(low, mask)
        if value is not None and np.abs(value[~keep]).max() > 1e-2:
            return [Evidence(27, probes.of(low), "value", right, value, note=_mask_note(keep))]
        return []
    for mask in (forms["kept"], forms["kept, 0 or 1"], forms["dropped"]):
        value = result(x, mask)
        if value is None:
            continue
        zeroed = [
            sg.softmax(x * keep),
            sg.softmax(x) * keep,
            sg.softmax(np.where(keep, x, 0.0)),
            sg.softmax(x - 1e4 * ~keep),
        ]
        known = any(not differs(np.asarray(z), value, 1e-5) for z in zeroed)
        leaks = bool(np.abs(value[~keep]).max() > 1e-6) or known
        if leaks and np.all(np.isfinite(value)):
            sure = 0.97 if known else 0.7
            return [Evidence(27, probes.of(x), "value", right, value, sure, note=_mask_note(keep))]
    return []


def _mask_note(keep: Array) -> str:
    return f"mask (True takes part): {keep.tolist()}"


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
    rows = np.array([1.0, 2.0, 5.0])
    classes = np.array([1.0, 2.0, 5.0, 3.0])
    with_weights = replace(ex, reading=reading)
    for given, weight in ((rows, rows), (classes, classes[probe.y])):
        seen = with_weights.see(probe, **{role: given})
        if part not in seen.parts:
            continue
        values = fit.form.evaluate(View(probe, reading.convention, fit.stage, fit.shifted))
        values = np.asarray(fit.power.c * values / probe.x.shape[1] ** -fit.power.b)
        weighted = values * (weight if values.ndim == 1 else weight[:, None])
        total = weighted.sum() if fit.reduced else weighted
        right, wrong = np.asarray(total / weight.sum()), np.asarray(total / len(weight))
        actual = seen.parts[part]
        if not differs(right, actual, 1e-4):
            return []
        if not differs(wrong, actual, 1e-4):
            note = f"weights: {given.tolist()}"
            return [Evidence(20, probe, part, right, actual, note=note)]
    return []
