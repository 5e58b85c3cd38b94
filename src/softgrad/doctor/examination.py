"""From a callable to a report: read it, explain it, look for what it hides, and show it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from softgrad.doctor import probes, understanding
from softgrad.doctor.calling import Convention, Outcome, OvertimeError
from softgrad.doctor.catalogue import MISTAKES, right_code
from softgrad.doctor.classes import subject_of
from softgrad.doctor.conventions import candidates, conventions
from softgrad.doctor.evidence import Evidence, Examination, differs, not_finite
from softgrad.doctor.extremes import extremes
from softgrad.doctor.failures import failure, not_in_catalogue
from softgrad.doctor.fitting import (
    Fit,
    Power,
    Reading,
    expected_power,
    fit,
    fit_part,
    observe,
    read,
)
from softgrad.doctor.formulas import Form, forms
from softgrad.doctor.kinds import KINDS, Kind, find_kind, kinds_of_name
from softgrad.doctor.report import Example, Finding, Report
from softgrad.doctor.shrinking import smallest
from softgrad.doctor.structure import describe
from softgrad.doctor.subject import Subject
from softgrad.errors import OptionError, OptionTypeError

_SMALL: tuple[tuple[list[list[float]], list[int]], ...] = (
    ([[0.0, 1.0]], [0]),
    ([[1.0, 2.0, 3.0]], [0]),
    ([[0.0, 1.0], [2.0, 0.0]], [0, 1]),
    ([[1.0, 2.0, 3.0], [3.0, 1.0, 0.0]], [2, 0]),
    ([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]], [1, 0, 2]),
)
#: Mistakes that a difference from the fitted formula far out shows, and nothing else.
_FAR_OUT = (9, 11, 12, 13, 14)
_LOOSE = 3e-2
_VERY_LOOSE = 0.4  # what a step of 1e-5 leaves of a difference in float32


def examine(
    fn: Callable[..., Any],
    kind: str | None = None,
    *,
    layout: str | None = None,
    reduction: str | None = None,
    takes: str | None = None,
    loss: str | None = None,
    ignore_index: int | None = None,
    time_limit: float = 10.0,
) -> Report:
    """Say whether a softmax, a loss or a gradient of one is right, and if not, which mistake it is.

    The function is called with small inputs, N = 4 rows and C = 3 classes among them, and its
    results are compared with r F for every formula F of a bank of right and wrong ones and
    r = c N^a C^b T^d; then with large, confident, masked and weighted rows, and twice.

    Parameters
    ----------
    fn : callable
        A function or a class with forward and backward; NumPy, PyTorch, JAX or plain lists. It is
        called many times, on copies.
    kind : str, optional
        What it claims to be: softmax, log_softmax, logsumexp, softmax_jacobian, softmax_vjp,
        softmax_backward, cross_entropy, cross_entropy_grad, cross_entropy_value_and_grad, nll,
        binary_cross_entropy, binary_cross_entropy_grad, sigmoid, sigmoid_grad, distillation,
        distillation_grad, softmax_layer_grad or train_step. Guessed from the name, the arguments
        and the results if left out.
    layout : {"NC", "CN", "C"}, optional
        Rows as examples (the usual), columns as examples, or a single row. If left out, all are
        tried; a function of one argument that sums down the columns or over everything is then
        taken to be meant for rows, unless its text says otherwise.
    reduction : {"mean", "sum"}, optional
        Which loss a gradient is to belong to. A gradient of the sum is right if this is left out.
    takes : {"logits", "probabilities"}, optional
        What the first argument is.
    loss : {"cross_entropy", "squared_error"}, optional
        The loss that a gradient is to belong to.
    ignore_index : int, optional
        A label whose rows must be left out.
    time_limit : float
        Seconds that one call may take (in the main thread of a Unix process).

    Returns
    -------
    Report
        With ``healthy``, ``findings`` (each with ``mistake``, ``title``, ``confidence``,
        ``example``, ``why`` and ``fix``), ``remarks``, ``kind`` and ``understood``. Printed it is
        text; ``to_html()`` is a page.

    Raises
    ------
    TypeError
        If ``fn`` cannot be called.
    ValueError
        If ``kind`` or another option is unknown, or the kind cannot be guessed.

    Notes
    -----
    Numbers that agree to 3e-5 are taken as equal, so that float32 is no mistake.

    References
    ----------
    The formulas: I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), sections 6.2.2.3
    and 4.1.

    Examples
    --------
    >>> import numpy as np
    >>> import softgrad as sg
    >>> def softmax(x):
    ...     e = np.exp(x)
    ...     return e / e.sum(axis=0)
    >>> report = sg.examine(softmax)
    >>> report.mistakes
    (8, 11)
    >>> sg.examine(sg.softmax).healthy
    True
    """
    target: Any = fn
    if not callable(target) and not hasattr(target, "forward"):
        raise OptionTypeError(f"fn is a {type(fn).__name__}; accepted is something to call.")
    _check("layout", layout, ("NC", "CN", "C"))
    _check("reduction", reduction, ("mean", "sum"))
    _check("takes", takes, ("logits", "probabilities"))
    _check("loss", loss, ("cross_entropy", "squared_error"))
    claimed = None if kind is None else find_kind(kind)
    name = getattr(fn, "__name__", type(fn).__name__)
    try:
        subject = subject_of(fn, claimed)
    except Exception as error:
        what = "It cannot be created without arguments"
        cause = f"{name}() raises {type(error).__name__}: {error}. Pass an instance instead."
        return Report(name, kind or "?", claimed is None, {}, [not_in_catalogue(what, cause)])
    squared = loss == "squared_error" or bool(re.search(r"mse|squared|quadratic", name.lower()))
    session = _Session(
        subject, claimed, layout, reduction, takes, squared, ignore_index, time_limit
    )
    return session.run()


def _check(name: str, value: str | None, accepted: tuple[str, ...]) -> None:
    if value is not None and value not in accepted:
        raise OptionError(f"{name}={value!r}; accepted are {', '.join(map(repr, accepted))}.")


class _Session:
    """One examination; the steps in the order of `run`."""

    def __init__(
        self,
        subject: Subject,
        claimed: Kind | None,
        layout: str | None,
        reduction: str | None,
        takes: str | None,
        squared: bool,
        ignore_index: int | None,
        time_limit: float,
    ) -> None:
        self.subject = subject
        self.claimed = claimed
        self.layout = layout
        self.reduction = reduction
        self.takes = takes
        self.squared = squared
        self.ignore_index = ignore_index
        self.time_limit = time_limit
        self.overtime = False
        self.works: tuple[str, ...] = ()  # the frameworks in which it has worked
        self.failures: dict[str, list[tuple[Convention, Outcome]]] = {}

    def run(self) -> Report:
        kinds = candidates(self.subject, self.claimed)
        best: tuple[float, Kind, Reading] | None = None
        for place, kind in enumerate(kinds):
            if self.overtime:
                break
            if best is not None and self._settled(*best[1:]) and not self._named(kind):
                break  # what the name says has explained it
            # Earlier kinds are likelier by their name, which breaks ties.
            strange = any(map(self._named, kinds)) and not self._named(kind)
            enough = math.inf if best is None else best[0] - 0.05 * place - strange
            reading = self.best_reading(kind, enough)
            if reading is None or (strange and kind.binary and reading.mistakes):
                continue  # without a word for it nobody asks a yes/no question wrongly
            partly = self._leaves_out(kind, reading)
            strange = strange or (kind.binary and not self._named(kind))
            rank = reading.cost + 0.05 * place + strange + 1.5 * partly
            if best is None or rank < best[0]:
                best = (rank, kind, reading)
            if best[2].explained and best[0] < 0.9:
                break
        if best is None:
            return self.nothing_works(kinds)
        _, kind, reading = best
        if self.claimed is None and not reading.explained and not self._named(kind):
            raise OptionError(
                f"The kind of {self.subject.name} cannot be guessed; pass kind=, one of "
                f"{', '.join(sorted(KINDS))}."
            )
        return self.report(kind, reading)

    def _settled(self, kind: Kind, reading: Reading) -> bool:
        """Whether a kind that the name says explains the results well enough to stop there."""
        vague = kind.name == "softmax_backward" and "softmax" not in self.subject.name.lower()
        few = self._named(kind) and reading.explained and len(reading.mistakes) <= 1
        return few and not vague and not self._leaves_out(kind, reading)

    def _leaves_out(self, kind: Kind, reading: Reading) -> bool:
        """Whether a guessed kind explains only one of several results."""
        value = reading.observations[0].outcome.value
        arrays = [v for v in value if v is not None] if isinstance(value, tuple) else []
        return self.claimed is None and len(reading.fits) < min(len(arrays), 2)

    def _named(self, kind: Kind) -> bool:
        return kind in kinds_of_name(self.subject.name) or bool(self.subject.two_phases)

    def best_reading(self, kind: Kind, enough: float = math.inf) -> Reading | None:
        """The cheapest explanation over all conventions in which the function works.

        None if there is none that costs less than ``enough``.
        """
        best: Reading | None = None
        worked: set[tuple[Any, ...]] = set()
        readings: list[Reading] = []
        open_: list[Reading] = []
        ways = [
            c
            for c in conventions(self.subject, kind, self.layout)
            if self.takes is None or c.takes == self.takes
        ]
        if self.takes is not None:
            ways = [replace(c, cost=0.0 if c.layout in ("NC", "N") else c.cost) for c in ways]
        for way in sorted(ways, key=lambda c: c.cost):
            if way.cost >= (enough if best is None else min(enough, best.cost)):
                break
            if self.works and way.framework not in self.works:
                continue  # one that takes these arrays takes no others
            if way.nested and any(r.convention.layout == "NC" for r in readings):
                continue  # only for functions that insist on more axes
            # Lists behave otherwise than arrays: a slice of a list is a copy.
            form = (
                way.arguments,
                way.takes,
                way.layout,
                way.target,
                way.mask,
                way.framework == "list",
            )
            if form in worked:
                continue
            reading, outcome = read(self.subject, kind, way, self.time_limit)
            if reading is None:
                self.failures.setdefault(kind.name, []).append((way, outcome))
                if isinstance(outcome.error, OvertimeError):
                    self.overtime = True
                    return best
                continue
            worked.add(form)
            plain = ("numpy", "list")
            self.works = plain if way.framework in plain else (way.framework,)
            fit(kind, reading, self.squared)
            readings.append(reading)
            if not reading.explained:
                open_.append(reading)
            if best is None or reading.cost < best.cost:
                best = reading
        if best is not None and not best.explained:
            for reading in open_[:3]:
                self._loosely(kind, reading)
            best = min(open_, key=lambda r: r.cost)
        if kind.has_target and not kind.binary and (best is None or not best.explained):
            return self._labels_from_one(kind, ways) or best
        return best

    def _labels_from_one(self, kind: Kind, ways: list[Convention]) -> Reading | None:
        for way in sorted(ways, key=lambda c: c.cost):
            if way.target != "index" or way.single:
                continue
            shifted = replace(way, target="index from 1", cost=way.cost + 1.0)
            reading, _ = read(self.subject, kind, shifted, self.time_limit)
            if reading is not None:
                fit(kind, reading, self.squared)
                if reading.explained:
                    return reading
        return None

    def _loosely(self, kind: Kind, reading: Reading) -> None:
        """A large eps within a logarithm, or noise, is visible on ordinary inputs already."""
        for part, found in list(reading.fits.items()):
            if found is not None:
                continue
            d = expected_power(kind, part, reading.convention)
            for tolerance in (_LOOSE, _VERY_LOOSE):
                loose = fit_part(kind, part, reading, d, tolerance, self.squared)
                if loose is None or (tolerance == _VERY_LOOSE and loose.mistakes):
                    continue
                examination = self.examination(kind, replace(reading, fits={part: loose}))
                if self._is_noise(examination, part, loose):
                    mistakes = tuple(sorted({*loose.mistakes, 30}))
                    reading.fits[part] = replace(loose, mistakes=mistakes)
                elif tolerance == _LOOSE and any(e.mistake == 14 for e in extremes(examination)):
                    reading.fits[part] = loose
                break
        if reading.explained:
            reading.cost = reading.convention.cost + len(reading.mistakes) + 0.5

    def _is_noise(self, examination: Examination, part: str, loose: Fit) -> bool:
        """Whether the error jumps when the input moves a little: rounding, not a formula."""
        if part not in ("grad", "jacobian", "vjp", "dW", "db", "dX"):
            return False
        probe = examination.reading.observations[0].probe
        again = examination.see(probe).parts.get(part)
        first = examination.reading.observations[0].parts[part]
        if again is None or not np.array_equal(again, first):
            return False
        near = replace(probe, x=probe.x + 1e-4)
        if probe.W is not None and examination.kind.family in ("layer", "step"):
            near = replace(probe, W=probe.W + 1e-4)
        moved = examination.see(near).parts.get(part)
        if moved is None or moved.shape != first.shape:
            return False
        convention = examination.reading.convention
        before = first - loose.predict(probe, convention)
        after = moved - loose.predict(near, convention)
        return bool(np.linalg.norm(after - before) > 0.2 * np.linalg.norm(before))

    def examination(self, kind: Kind, reading: Reading) -> Examination:
        return Examination(self.subject, kind, reading, self.time_limit, self.ignore_index)

    # --- The report -------------------------------------------------------------------------------

    def report(self, kind: Kind, reading: Reading) -> Report:
        examination = self.examination(kind, reading)
        findings: list[Finding] = []
        remarks: list[Finding] = []
        special = None if reading.explained else self._flat(kind, reading)
        if special is not None:
            findings.append(self.finding(special, kind, reading, self.example(kind, reading)))
        elif not reading.explained:
            findings.append(self.unexplained(kind, reading))
        for number in reading.mistakes:
            findings.append(self.finding(number, kind, reading, self.example(kind, reading)))
        if reading.convention.target == "index from 1":
            findings.append(self.finding(24, kind, reading, self._example_of_zero(kind, reading)))
        seen = {f.mistake for f in findings}
        for evidence in extremes(examination):
            if evidence.mistake in seen:
                continue
            made = self.from_evidence(self._shrunk(evidence, examination), kind, reading)
            (remarks if evidence.remark else findings).append(made)
            seen.add(evidence.mistake)
        self._about_columns(kind, reading, remarks)
        self._about_the_sum(kind, reading, findings, remarks)
        findings.sort(key=lambda f: f.mistake or 0)
        return Report(
            self.subject.name,
            kind.name,
            self.claimed is None,
            understanding.understood(self.subject.name, kind, reading),
            findings,
            remarks,
            understanding.notes(reading),
            right_code(kind.name, self.subject.name),
        )

    def _shrunk(self, evidence: Evidence, examination: Examination) -> Evidence:
        """The smallest input with the same failure in the same part of the result."""
        fits = examination.reading.fits
        far_out = evidence.mistake in _FAR_OUT and not evidence.remark
        if not far_out or fits.get(evidence.part) is None:
            return evidence
        text, broken = isinstance(evidence.actual, Exception), not_finite(evidence.actual)

        def same(probe: probes.Probe) -> Evidence | None:
            for part, predicted, actual in examination.compare(probe):
                failed = isinstance(actual, Exception) or differs(predicted, actual)
                alike = isinstance(actual, Exception) == text and not_finite(actual) == broken
                if part == evidence.part and alike and failed:
                    return replace(evidence, probe=probe, expected=predicted, actual=actual)
            return None

        return smallest(evidence.probe, evidence, same)[1]

    def _about_columns(self, kind: Kind, reading: Reading, remarks: list[Finding]) -> None:
        """A function that is right for columns is wrong for rows."""
        if reading.convention.layout == "CN" and self.layout is None and not reading.mistakes:
            made = self.finding(8, kind, reading, None)
            note = (
                "The columns are taken as examples, as in layout (C, N). If the rows are, the "
                "wrong axis is normalised; examine(..., layout='NC') checks that."
            )
            remarks.append(replace(made, note=note, confidence=0.4))

    def _about_the_sum(
        self, kind: Kind, reading: Reading, findings: list[Finding], remarks: list[Finding]
    ) -> None:
        """A gradient of the sum is right for the sum, and lacks 1/N for the mean."""
        if 18 in {f.mistake for f in findings} or self.reduction == "sum":
            return
        batch = not reading.convention.single
        parts = [f for n, f in reading.fits.items() if f and n in ("grad", "dW")]
        if kind.name == "sigmoid_grad" or not batch or "loss" in reading.fits:
            parts = []
        if self.reduction == "mean" and batch:
            parts = [f for n, f in reading.fits.items() if f and n in ("loss", "grad", "dW")]
        if not any(f.power.a == 0 and f.power.c for f in parts):
            return
        wrong = self.reduction == "mean" or bool(findings)
        made = self.finding(18, kind, reading, self.example(kind, reading, mean=True))
        note = (
            "This is the gradient of the summed loss. If the loss is the mean of the rows, "
            "divide by N."
        )
        if self.reduction == "mean":
            note = ""
        made = replace(made, note=note, confidence=0.97 if self.reduction == "mean" else 0.5)
        (findings if wrong else remarks).append(made)

    def _flat(self, kind: Kind, reading: Reading) -> int | None:
        """A result that does not move with the logits, or only in jumps."""
        part = next(n for n, f in reading.fits.items() if f is None)
        examination = self.examination(kind, reading)
        observations = reading.observations
        near: list[bool] = []
        far: list[bool] = []
        for seen in observations[:3]:
            p = seen.probe
            for shift, into in ((1e-5, near), (0.7, far)):
                ramp = shift * np.cos(np.arange(p.x.size).reshape(p.x.shape) + 0.5)
                W = (
                    None
                    if p.W is None
                    else p.W + shift * np.cos(np.arange(p.W.size)).reshape(p.W.shape)
                )
                moved = examination.see(replace(p, x=p.x + ramp, W=W)).parts.get(part)
                same = moved is not None and np.array_equal(moved, seen.parts[part], equal_nan=True)
                into.append(same)
        if kind.binary and all(near) and all(far):
            return 26
        if all(near) and not all(far) and kind.family in ("loss", "grad", "both", "rows"):
            return 28
        return None

    def finding(
        self, number: int, kind: Kind, reading: Reading, example: Example | None
    ) -> Finding:
        mistake = MISTAKES[number]
        confidence, note = 0.98, ""
        if number in (3, 7, 8) and reading.mistakes == (number,):
            other = self._other_layout(kind, reading)
            if other:
                confidence = 0.75
                meant = "single rows" if other == "C" else "examples in columns"
                note = f"If {meant} are meant: examine(..., layout={other!r})."
        if number == 2 and reading.convention.takes == "logits":
            note = "If the argument is p already: examine(..., takes='probabilities')."
            confidence = 0.85
        return Finding(
            number,
            mistake.title,
            mistake.why,
            self.fix(number, kind),
            confidence,
            example,
            "",
            note,
        )

    def _other_layout(self, kind: Kind, reading: Reading) -> str:
        if self.layout is not None:
            return ""
        for place, name in (("CN", "CN"), ("row", "C"), ("C1", "C")):
            other, _ = read(
                self.subject, kind, replace(reading.convention, layout=place), self.time_limit
            )
            if other is not None:
                fit(kind, other, self.squared)
                if other.explained and not other.mistakes:
                    return name
        return ""

    def fix(self, number: int, kind: Kind) -> str:
        mistake = MISTAKES[number]
        families = [kind.name, kind.family]
        if kind.binary and "binary" in mistake.fix:
            families = ["binary"]
        if kind.name == "distillation_grad" and number in (18, 21):
            families = ["distillation", "grad"]
        for family in families:
            if family in mistake.fix:
                return mistake.fix[family]
        return mistake.fix[""]

    def from_evidence(self, evidence: Evidence, kind: Kind, reading: Reading) -> Finding:
        inputs = understanding.inputs(reading.convention, evidence.probe)
        if evidence.note.startswith(("mask", "weights")):
            name, value = evidence.note.split(": ", 1)
            inputs[name] = value
        example = Example(inputs, evidence.expected, evidence.actual, evidence.part)
        if evidence.mistake is None:
            return not_in_catalogue(
                "Nothing in the catalogue fits",
                evidence.note[:1].upper() + evidence.note[1:] + ".",
                example,
            )
        mistake = MISTAKES[evidence.mistake]
        note = "" if evidence.note.startswith(("mask", "weights")) else evidence.note
        if evidence.remark:
            note = (
                "Labels of -1 are read as the last class. If such labels mark rows to be left "
                "out, they are not; examine(..., ignore_index=-1) checks that."
            )
        return Finding(
            evidence.mistake,
            mistake.title,
            mistake.why,
            self.fix(evidence.mistake, kind),
            evidence.confidence,
            example,
            "",
            note[:1].upper() + note[1:],
        )

    def unexplained(self, kind: Kind, reading: Reading) -> Finding:
        part = next(n for n, f in reading.fits.items() if f is None)
        target = self.truth(kind, part, reading)
        right = [target.predict(o.probe, reading.convention) for o in reading.observations[:4]]
        actual = [o.parts[part] for o in reading.observations[:4]]
        if right[0].shape != actual[0].shape and part == "loss":
            right = [np.asarray(r.sum()) for r in right]
        where = "" if len(reading.fits) == 1 else f"In its {part}: "
        text = where + describe(right, actual)
        return not_in_catalogue(
            "It is wrong, and nothing in the catalogue fits", text, self.example(kind, reading)
        )

    # --- Truth and examples -----------------------------------------------------------------------

    def truth(self, kind: Kind, part: str, reading: Reading, mean: bool = False) -> Fit:
        """The right formula in the function's own convention."""
        found = reading.fits.get(part)
        bank = forms(kind, part, reading.convention)
        form = next((f for f in bank if not f.mistakes), bank[0])
        if found is not None and not found.form.mistakes and found.stage == "right":
            form = found.form
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
        if part == "grad" and (self.squared or (loss and loss.form.right == "squared error")):
            form = Form("J (p - y)", (), lambda v: v.back(v.p - v.y))
            c = 2.0 if loss is None else 2.0 * abs(loss.power.c)
        d = expected_power(kind, part, reading.convention)
        return Fit(
            part, form, "right", False, Power(c, a, 0, d), part == "loss" and not per_row, (), 0
        )

    def small(self, kind: Kind, reading: Reading) -> list[probes.Probe]:
        T = 2.0 if reading.convention.takes_role("T") else reading.convention.temperature
        if kind.binary:
            first = [
                probes.of(np.array(x), np.array(y))
                for x, y in (([2.0], [1]), ([2.0, -1.0], [1, 0]))
            ]
            return [replace(p, T=T) for p in first] + [reading.observations[0].probe]
        made = [probes.of(x, y, temperature=T) for x, y in _SMALL]
        return [*made, *(o.probe for o in reading.observations[:1])]

    def example(self, kind: Kind, reading: Reading, mean: bool = False) -> Example | None:
        """The smallest input on which the function is visibly wrong."""
        for probe in self.small(kind, reading):
            if mean and len(probe.x) == 1:
                continue  # where sum and mean are the same
            if reading.convention.single and len(probe.x) > 1:
                continue
            seen = observe(self.subject, kind, reading.convention, probe, None, self.time_limit)
            for part in reading.observations[0].parts:
                if part not in reading.fits:
                    continue
                right = self.truth(kind, part, reading, mean).predict(probe, reading.convention)
                if part not in seen.parts:
                    error = seen.outcome.error
                    if error is not None and reading.square_only is not None:
                        return Example(
                            understanding.inputs(reading.convention, probe), right, error, part
                        )
                    continue
                if differs(right, seen.parts[part], 1e-3):
                    return Example(
                        understanding.inputs(reading.convention, probe),
                        right,
                        seen.parts[part],
                        part,
                    )
        return None

    def _example_of_zero(self, kind: Kind, reading: Reading) -> Example | None:
        """What becomes of class 0 in a function that expects labels from 1."""
        convention = replace(reading.convention, target="index")
        probe = probes.of([[0.0, 1.0, 2.0]], [0])
        seen = observe(self.subject, kind, convention, probe, None, self.time_limit)
        part = next(iter(reading.fits))
        right = self.truth(kind, part, reading).predict(probe, convention)
        actual: Any = seen.parts.get(part)
        if actual is None:
            actual = seen.outcome.error or seen.outcome.value
        return Example(understanding.inputs(reading.convention, probe), right, actual, part)

    # --- Functions that do not work at all --------------------------------------------------------

    def nothing_works(self, kinds: list[Kind]) -> Report:
        kind = self.claimed or next((k for k in kinds if self._named(k)), None)
        if kind is None:
            raise OptionError(
                f"The kind of {self.subject.shown} cannot be guessed; pass kind=, one of "
                f"{', '.join(sorted(KINDS))}."
            )
        tried = self.failures.get(kind.name, [])
        if not tried:
            needed = ", ".join(kind.roles)
            finding = not_in_catalogue(
                "Its arguments are not those of this kind",
                f"{kind.says.capitalize()} takes ({needed}), but this is {self.subject.shown}.",
            )
            return Report(self.subject.name, kind.name, self.claimed is None, {}, [finding])
        convention, outcome = tried[-1] if self.overtime else tried[0]
        finding = failure(kind, convention, outcome, self.time_limit)
        words = {"tried": f"{len(tried)} ways to call it"}
        return Report(
            self.subject.name,
            kind.name,
            self.claimed is None,
            words,
            [finding],
            code=right_code(kind.name, self.subject.name),
        )
