"""The right formula in a function's own convention, and the wrong one with one mistake mended."""

from __future__ import annotations

from dataclasses import replace

from softgrad.doctor.evidence import Examination
from softgrad.doctor.fitting import expected_power
from softgrad.doctor.formulas import STAGES, Form, forms
from softgrad.doctor.reading import Fit, Power


def truth(ex: Examination, part: str, mean: bool = False) -> Fit:
    """What a part of the result should be; ``mean``: for the mean of the rows, not their sum."""
    kind, reading = ex.kind, ex.reading
    found = reading.fits.get(part)
    bank = forms(kind, part, reading.convention)
    form = next((f for f in bank if not f.mistakes), bank[0])
    if found is not None and not found.form.mistakes and found.stage == "right":
        form = found.form
    elif found is not None and found.form.mended is not None:
        form = found.form.mended
    averaged = part in ("loss", "grad", "dW", "db", "dX") and kind.name != "sigmoid_grad"
    shape = reading.observations[0].parts[part].shape
    a = -1 if averaged else 0
    if found is not None and found.power.a == 0 and not mean and 18 not in found.mistakes:
        a = 0
    per_row = part == "loss" and shape != ()
    if reading.convention.single or per_row:
        a = 0
    c = 1.0
    loss = reading.fits.get("loss")
    if part == "grad" and (ex.request.squared or (loss and loss.form.right == "squared error")):
        form = Form("J (p - y)", (), lambda v: v.back(v.p - v.y))
        c = 2.0 if loss is None else 2.0 * abs(loss.power.c)
    d = expected_power(kind, part, reading.convention)
    return Fit(part, form, "right", False, Power(c, a, 0, d), part == "loss" and not per_row, (), 0)


def without(ex: Examination, wrong: Fit, number: int, right: Fit) -> Fit | None:
    """A wrong formula with this one mistake mended; None if that is not to be told."""
    if wrong.power.c == 0:
        return right
    if number in wrong.form.mistakes:
        left = tuple(m for m in wrong.form.mistakes if m != number)
        bank = forms(ex.kind, wrong.part, ex.reading.convention)
        form = next((f for f in bank if f.mistakes == left), right.form)
        return replace(wrong, form=right.form if not left else form)
    if number in STAGES[wrong.stage]:
        rest = tuple(m for m in STAGES[wrong.stage] if m != number)
        return replace(wrong, stage=next(s for s, m in STAGES.items() if m == rest))
    if number == 24 and wrong.shifted:
        return replace(wrong, shifted=False)
    power = {
        18: replace(wrong.power, a=right.power.a),
        19: replace(wrong.power, b=right.power.b),
        21: replace(wrong.power, c=-wrong.power.c),
        22: replace(wrong.power, d=right.power.d),
        23: replace(wrong.power, d=right.power.d),
    }.get(number)
    return None if power is None or power == wrong.power else replace(wrong, power=power)
