"""What is to be reported of a function that has been understood: each mistake with its example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from softgrad.doctor.catalogue import MISTAKES
from softgrad.doctor.evidence import Evidence, Examination, differs
from softgrad.doctor.examples import example, example_of, example_of_class_0
from softgrad.doctor.extremes import extremes
from softgrad.doctor.failures import not_in_catalogue
from softgrad.doctor.inside import fit
from softgrad.doctor.programs import spelled
from softgrad.doctor.reading import read
from softgrad.doctor.report import Example, Finding
from softgrad.doctor.structure import describe
from softgrad.doctor.truth import truth

_ROUNDED = 0.05  # what is this close to the right result is rounded, not an argmax


@dataclass
class Found:
    """What is wrong, what would be wrong if more was meant, and what inputs have shown."""

    findings: list[Finding] = field(default_factory=list)
    remarks: list[Finding] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)


def findings_of(ex: Examination) -> Found:
    """Everything that is to be said about a function."""
    reading = ex.reading
    found = Found()
    findings, remarks = found.findings, found.remarks
    if not reading.explained:
        special = _flat(ex)
        one = _unexplained(ex) if special is None else _finding(ex, special, example(ex, special))
        findings.append(one)
    findings += [_finding(ex, number, example(ex, number)) for number in reading.mistakes]
    if reading.convention.target == "index from 1":
        findings.append(_finding(ex, 24, example_of_class_0(ex)))
    seen = {f.mistake for f in findings}
    for evidence in extremes(ex):
        if evidence.mistake in seen:
            continue
        smallest = ex.smallest(evidence)
        if evidence.shows is None:
            smallest = _beside_truth(ex, smallest)
        made = _from_evidence(ex, smallest)
        (remarks if evidence.remark else findings).append(made)
        seen.add(evidence.mistake)
        found.evidence.append(evidence)
    _about_columns(ex, remarks)
    _about_the_sum(ex, findings, remarks)
    findings.sort(key=lambda f: f.mistake or 0)
    return found


def _finding(ex: Examination, number: int, shown: Example | None) -> Finding:
    mistake = MISTAKES[number]
    confidence, note = 0.98, ""
    if number in (3, 7, 8) and ex.reading.mistakes == (number,):
        other = _other_layout(ex)
        if other:
            confidence = 0.75
            meant = "single rows" if other == "C" else "examples in columns"
            note = f"If {meant} are meant: examine(..., layout={other!r})."
    if number == 2 and ex.reading.convention.takes == "logits":
        note = "If the argument is p already: examine(..., takes='probabilities')."
        confidence = 0.85
    fix = _fix(ex, number)
    return Finding(number, mistake.title, mistake.why, fix, confidence, shown, "", note)


def _other_layout(ex: Examination) -> str:
    """The layout for which the function is right, if there is one."""
    if ex.request.layout is not None:
        return ""
    for place, name in (("CN", "CN"), ("row", "C"), ("C1", "C")):
        convention = replace(ex.reading.convention, layout=place)
        other, _ = read(ex.subject, ex.kind, convention, ex.request.time_limit)
        if other is not None:
            fit(ex.kind, other, ex.request.squared)
            if other.explained and not other.mistakes:
                return name
    return ""


_BINARY_FIXES = {
    "sigmoid": "s_lines",
    "sigmoid_grad": "s_lines",
    "binary_cross_entropy": "binary_line",
    "binary_cross_entropy_grad": "binary_grad_lines",
}


def _fix(ex: Examination, number: int, evidence: Sequence[Evidence] = ()) -> str:
    """The corrected lines in the author's own names, layout and framework."""
    s, kind = spelled(ex, evidence), ex.kind
    if number == 18:
        s = replace(s, reduction="mean")
    if kind.binary and number != 30:
        return str(getattr(s, _BINARY_FIXES[kind.name]))
    return MISTAKES[number].cure((kind.name, kind.family), s)


def _beside_truth(ex: Examination, evidence: Evidence) -> Evidence:
    """Shown is what is right, not what a formula that is wrong in another way predicts."""
    if ex.reading.fits.get(evidence.part) is None:
        return evidence
    right = truth(ex, evidence.part).predict(evidence.probe, ex.reading.convention)
    usable = bool(np.all(np.isfinite(right))) and right.shape == np.shape(evidence.expected)
    return replace(evidence, expected=right) if usable else evidence


def _from_evidence(ex: Examination, evidence: Evidence) -> Finding:
    shown = example_of(ex, evidence)
    note = evidence.note[:1].upper() + evidence.note[1:]
    if evidence.mistake is None:
        return not_in_catalogue("Nothing in the catalogue fits", note + ".", shown)
    if evidence.remark:
        note = (
            "Rows labelled -1 take part (NumPy reads -1 as the last class). If such labels mark "
            "rows to be left out, they are not; examine(..., ignore_index=-1) checks that."
        )
    made = _finding(ex, evidence.mistake, shown)
    fix = _fix(ex, evidence.mistake, (evidence,))
    return replace(made, confidence=evidence.confidence, note=note, fix=fix)


def _unexplained(ex: Examination) -> Finding:
    reading = ex.reading
    part = next(n for n, f in reading.fits.items() if f is None)
    target = truth(ex, part)
    seen = reading.observations
    right = [target.predict(o.probe, reading.convention) for o in seen]
    actual = [o.parts[part] for o in seen]
    if right[0].shape != actual[0].shape and part == "loss":
        right = [np.asarray(r.sum()) for r in right]
    where = "" if len(reading.fits) == 1 else f"In its {part}: "
    text = where + describe(right, actual, [o.probe.shape for o in seen])
    if _jumps(ex, part):
        text += " It moves in jumps, as what is rounded does."
    title = "It is wrong, and nothing in the catalogue fits"
    return not_in_catalogue(title, text, example(ex, None))


def _about_columns(ex: Examination, remarks: list[Finding]) -> None:
    """A function that is right for columns is wrong for rows."""
    reading = ex.reading
    if reading.convention.layout == "CN" and ex.request.layout is None and not reading.mistakes:
        note = (
            "The columns are taken as examples, as in layout (C, N). If the rows are, the "
            "wrong axis is normalised; examine(..., layout='NC') checks that."
        )
        remarks.append(replace(_finding(ex, 8, None), note=note, confidence=0.4))


def _about_the_sum(ex: Examination, findings: list[Finding], remarks: list[Finding]) -> None:
    """A gradient of the sum is right for the sum, and lacks 1/N for the mean."""
    reading, reduction = ex.reading, ex.request.reduction
    if 18 in {f.mistake for f in findings} or reduction == "sum":
        return
    batch = not reading.convention.single
    parts = [f for n, f in reading.fits.items() if f and n in ("grad", "dW")]
    if ex.kind.name == "sigmoid_grad" or not batch or "loss" in reading.fits:
        parts = []
    if reduction == "mean" and batch:
        parts = [f for n, f in reading.fits.items() if f and n in ("loss", "grad", "dW")]
    if not any(f.power.a == 0 and f.power.c for f in parts):
        return
    made = _finding(ex, 18, example(ex, 18, mean=True))
    if reduction == "mean":
        findings.append(replace(made, confidence=0.97))
        return
    note = (
        "This is the gradient of the summed loss. If the loss is the mean of the rows, divide by N."
    )
    made = replace(made, note=note, confidence=0.5)
    (findings if findings else remarks).append(made)


def _flat(ex: Examination) -> int | None:
    """The mistake of a result that does not move with the logits, or only in jumps."""
    kind, reading = ex.kind, ex.reading
    part = next(n for n, f in reading.fits.items() if f is None)
    near, far = _still(ex, part, 1e-5), _still(ex, part, 0.7)
    if kind.binary and near and far:
        return 26
    if not near or far or kind.family not in ("loss", "grad", "both", "rows"):
        return None
    first = reading.observations[0]
    right = truth(ex, part).predict(first.probe, reading.convention)
    rounded = not differs(right, first.parts[part], _ROUNDED)
    return None if rounded else 28


def _jumps(ex: Examination, part: str) -> bool:
    return _still(ex, part, 1e-7) and not _still(ex, part, 0.7)


def _still(ex: Examination, part: str, shift: float) -> bool:
    """Whether a result stays exactly the same when the logits move by so much."""
    for seen in ex.reading.observations[:3]:
        p = seen.probe
        ramp = shift * np.cos(np.arange(p.x.size).reshape(p.x.shape) + 0.5)
        W = None
        if p.W is not None:
            W = p.W + shift * np.cos(np.arange(p.W.size)).reshape(p.W.shape)
        moved = ex.see(replace(p, x=p.x + ramp, W=W)).parts.get(part)
        if moved is None or not np.array_equal(moved, seen.parts[part]):  # NaN is not still
            return False
    return True
