"""What only extreme, masked or weighted inputs show, and what only a second call shows.

Every check compares with what the fitted formula predicts, not with the truth: so a function that
is wrong everywhere is still examined for what else goes wrong far out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import softgrad as sg
from softgrad._typing import Array
from softgrad.doctor import probes
from softgrad.doctor.calling import Outcome, call
from softgrad.doctor.fitting import Observation, Reading, observe
from softgrad.doctor.formulas import View
from softgrad.doctor.kinds import Kind
from softgrad.doctor.probes import Probe
from softgrad.doctor.subject import Subject, option_name

#: Far out, float32 logits are themselves only good to this share.
CLOSE = 2e-3


@dataclass(frozen=True)
class Evidence:
    """A mistake that an input has shown."""

    mistake: int | None
    probe: Probe
    part: str
    expected: Any
    actual: Any
    confidence: float = 0.97
    note: str = ""
    remark: bool = False  # only wrong if more is asked of the function than it says


@dataclass
class Examination:
    """A function, how it is called and what it computes on ordinary inputs."""

    subject: Subject
    kind: Kind
    reading: Reading
    time_limit: float
    ignore_index: int | None = None

    def see(self, probe: Probe, **options: Any) -> Observation:
        return observe(
            self.subject,
            self.kind,
            self.reading.convention,
            probe,
            options,
            self.time_limit,
        )

    def compare(self, probe: Probe) -> Iterator[tuple[str, Array, Array | Exception]]:
        """Each part of the result at a probe beside what the fitted formula predicts."""
        seen = self.see(probe)
        for part, fit in self.reading.fits.items():
            if fit is None:
                continue
            try:
                predicted = fit.predict(probe, self.reading.convention)
            except (ValueError, IndexError):
                continue
            if not np.all(np.isfinite(predicted)):
                continue
            error = seen.outcome.error
            if part in seen.parts:
                yield part, predicted, seen.parts[part]
            elif error is not None:
                yield part, predicted, error

    @property
    def batch(self) -> bool:
        return self.reading.convention.layout not in ("row", "scalar")

    @property
    def takes_logits(self) -> bool:
        return self.reading.convention.takes == "logits"


def differs(predicted: Array, actual: Array, share: float = CLOSE) -> bool:
    """Whether a result is not the predicted one, by this share of the largest number."""
    if predicted.shape != actual.shape:
        return True
    if not np.all(np.isfinite(actual)):
        return True
    scale = max(1e-3, float(np.abs(predicted).max(initial=0.0)))
    return bool(np.abs(predicted - actual).max(initial=0.0) > share * scale)


def extremes(examination: Examination) -> list[Evidence]:
    """Everything that ordinary inputs do not show."""
    found: list[Evidence] = []
    fits = [f for f in examination.reading.fits.values() if f is not None]
    # A result of zeros or of noise is the same far out, or no worse.
    steady = not any(f.power.c == 0 or 30 in f.mistakes for f in fits)
    # bfloat16 cannot tell 1001 from 1000.
    kind = examination.reading.observations[0].outcome.kind
    steady = steady and "bfloat16" not in kind
    if steady and examination.takes_logits:
        found += _large_logits(examination)
    # What is built from -y (1 - p) has no logarithm any more.
    if steady and not any(e.mistake == 12 for e in found) and 1 not in examination.reading.mistakes:
        found += _confident_and_wrong(examination)
    found += _labels(examination)
    found += _mask(examination)
    found += _weights(examination)
    found += _second_call(examination)
    return found


# --- Large logits ---------------------------------------------------------------------------------


def _large_logits(ex: Examination) -> list[Evidence]:
    kind = ex.kind
    if kind.binary:
        return _large_log_odds(ex)
    offset = np.array([[1.0, 2.0, 0.0], [3.0, 1.0, 2.0]])
    for c in (1000.0, -1000.0):
        probe = _with_teacher(probes.of(offset + c, [1, 2]), ex)
        shown = _first(ex, probe, 11)
        if shown and not _across_rows(ex):
            one = _with_teacher(probes.of(offset[:1, :2] + c, [1]), ex)
            shown = _first(ex, one, 11) or shown
        if shown and _not_finite(shown.actual):
            return [shown, *_clipped(ex, (12.0, 25.0, 60.0))]
        if shown and not _clipped(ex, (600.0, 60.0, 25.0, 12.0)):
            return []
    clipped = _clipped(ex, (12.0, 25.0, 60.0, 120.0, 600.0))
    if clipped:
        return clipped
    if ex.batch and not _has_stage(ex, "whole batch"):
        # What is normalised together has to be far from the maximum of all.
        far = [[1000.0, 1001.0, 999.0], [0.0, 1.0, 3.0]]
        if _has_stage(ex, "other axis"):
            far = [[1000.0, 0.0, 3.0], [1001.0, 1.0, 0.0]]
        shown = _first(ex, _with_teacher(probes.of(far, [1, 0]), ex), 9)
        if shown:
            return [shown]
    return []


def _with_teacher(probe: Probe, ex: Examination) -> Probe:
    """The teacher stays ordinary while the student's logits grow; temperatures are mild."""
    if not ex.reading.convention.takes_role("T"):
        return probe
    teacher = np.tile([0.5, -0.3, 0.1], (len(probe.x), 1))[:, : probe.x.shape[1]]
    return replace(probe, T=2.0, teacher=teacher)


def _first(ex: Examination, probe: Probe, mistake: int) -> Evidence | None:
    for part, predicted, actual in ex.compare(probe):
        if isinstance(actual, Exception):
            if isinstance(actual, OverflowError):
                return Evidence(mistake, probe, part, predicted, actual)
            continue
        if differs(predicted, actual):
            return Evidence(mistake, probe, part, predicted, actual)
    return None


def _not_finite(actual: Any) -> bool:
    return isinstance(actual, Exception) or not bool(np.all(np.isfinite(actual)))


def _clipped(ex: Examination, levels: tuple[float, ...]) -> list[Evidence]:
    """Finite but other values where all logits are large: they have been cut off.

    What the same gaps give near 0 is the measure, so that another error in the tails is not taken
    for a limit.
    """
    gaps = np.array([[0.0, -5.0, -8.0]])
    for level in levels:
        for top in (level, 8.0 - level):
            for width in (2, 3):
                far = _with_teacher(probes.of(gaps[:, :width] + top, [1]), ex)
                near = _with_teacher(probes.of(gaps[:, :width] + 4.0, [1]), ex)
                for here, there in zip(ex.compare(far), ex.compare(near), strict=False):
                    if isinstance(here[2], Exception) or isinstance(there[2], Exception):
                        continue
                    expected = here[1] + (there[2] - there[1])
                    if not _not_finite(here[2]) and differs(expected, here[2]):
                        return [Evidence(12, far, here[0], here[1], here[2])]
    return []


def _large_log_odds(ex: Examination) -> list[Evidence]:
    x, y = np.array([1000.0, -1000.0]), np.array([1, 0])
    shown = _first(ex, probes.of(x, y, [1.0, 1.0]), 11)
    if shown is None:
        return []
    if _not_finite(shown.actual):
        if ex.kind.family == "loss" and not _first(ex, probes.of(x / 40, y), 13):
            return []  # left to the check of confident and wrong answers
        return [shown]
    return []


# --- Logarithms of zero ---------------------------------------------------------------------------


def _confident_and_wrong(ex: Examination) -> list[Evidence]:
    """The logarithm of a probability that has become 0, or that is kept away from 0."""
    kind = ex.kind
    if not ({"loss", "grad"} & set(ex.reading.fits) or kind.name == "log_softmax"):
        return []
    if kind.name in ("nll", "sigmoid_grad") and ex.reading.convention.takes != "probabilities":
        return []
    if kind.binary:
        return _confident_log_odds(ex)
    low = 3000.0 if ex.reading.convention.takes_role("T") else 800.0
    if not ex.takes_logits:
        low = 60.0
    short, wide = [[-low, 0.0]], [[-low, 0.0, -1.0]]
    if ex.batch and _across_rows(ex):
        short = wide = []  # a single row would be divided by itself
    return _at_low(ex, short if _two_classes_work(ex) else wide, [0]) or (
        _at_low(ex, [[-low, 0.0, -1.0], [0.5, -low, 0.0]], [0, 1]) if ex.batch else []
    )


def _has_stage(ex: Examination, *names: str) -> bool:
    """Whether the probabilities are fitted as normalised in such a way."""
    fits = ex.reading.fits.values()
    return any(f.stage.startswith(names) for f in fits if f is not None)


def _across_rows(ex: Examination) -> bool:
    """Whether a row's probabilities depend on other rows."""
    return _has_stage(ex, "other axis", "whole batch")


def _at_low(ex: Examination, x: list[list[float]], y: list[int]) -> list[Evidence]:
    if not x:
        return []
    fits = ex.reading.fits
    probe = _with_teacher(probes.of(x, y), ex)
    for part, predicted, actual in ex.compare(probe):
        fit = fits[part]
        if isinstance(actual, Exception):
            if (
                isinstance(actual, (ValueError, ZeroDivisionError, OverflowError))
                and ex.takes_logits
            ):
                return [Evidence(13, probe, part, predicted, actual)]
            continue
        if fit is None or not differs(predicted, actual):
            continue
        if _not_finite(actual):
            if ex.takes_logits:
                return [Evidence(13, probe, part, predicted, actual)]
            continue
        near = _with_teacher(probes.of(np.maximum(x, -50.0), y), ex)
        at_50 = next((e for e in ex.compare(near) if e[0] == part), None)
        if at_50 and not isinstance(at_50[2], Exception) and differs(at_50[1], at_50[2]):
            return [Evidence(14, near, part, at_50[1], at_50[2], note=_floor(at_50[2]))]
        return [Evidence(14, probe, part, predicted, actual, note=_floor(actual))]
    return []


def _two_classes_work(ex: Examination) -> bool:
    return all(
        not isinstance(actual, Exception)
        for _, _, actual in ex.compare(_with_teacher(probes.of([[0.0, 1.0]], [0]), ex))
    )


def _floor(actual: Any) -> str:
    value = float(np.abs(actual).max(initial=0.0))
    return f"the loss stops at {value:.4g} = -log({np.exp(-value):.2g})" if value > 2 else ""


def _confident_log_odds(ex: Examination) -> list[Evidence]:
    low = 800.0 if ex.takes_logits else 60.0
    for x, y in (([-low], [1]), ([low], [0]), ([low], [1])):
        probe = probes.of(np.array(x), np.array(y), np.ones(1))
        if not ex.takes_logits and x[0] > 0:
            continue  # 1 - p is 0 already in the argument
        for part, predicted, actual in ex.compare(probe):
            if isinstance(actual, Exception):
                if isinstance(actual, (ValueError, OverflowError)) and ex.takes_logits:
                    return [Evidence(13, probe, part, predicted, actual)]
                continue
            if not differs(predicted, actual):
                continue
            if _not_finite(actual):
                if ex.takes_logits:
                    return [Evidence(13, probe, part, predicted, actual)]
                continue
            near = probes.of(np.array(x) / 16 if ex.takes_logits else np.array(x), y, np.ones(1))
            at_50 = next((e for e in ex.compare(near) if e[0] == part), None)
            if at_50 and not isinstance(at_50[2], Exception) and differs(at_50[1], at_50[2]):
                return [Evidence(14, near, part, at_50[1], at_50[2], note=_floor(at_50[2]))]
            return [Evidence(14, probe, part, predicted, actual, note=_floor(actual))]
    return []


# --- Labels, masks and weights --------------------------------------------------------------------


def _labels(ex: Examination) -> list[Evidence]:
    """A row marked with a negative label must not move anything."""
    convention = ex.reading.convention
    if convention.target != "index" or not convention.takes_role("y") or ex.kind.binary:
        return []
    if convention.layout in ("row", "1NC"):
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


def _mask(ex: Examination) -> list[Evidence]:
    """A masked logit must not move p, whatever it is."""
    reading = _with_option(ex, "mask")
    if reading is None or ex.kind.name not in ("softmax", "log_softmax"):
        return []
    if reading.convention.layout in ("CN", "1NC"):
        return []
    keep = np.array([[True, True, False], [True, False, True]])
    x = np.array([[1.0, 2.0, 0.5], [0.5, -1.0, 2.0]])
    with_mask = replace(ex, reading=reading)
    rows = reading.convention.layout == "row"
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


def _weights(ex: Examination) -> list[Evidence]:
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


# --- A second call --------------------------------------------------------------------------------


def _second_call(ex: Examination) -> list[Evidence]:
    """The same input must give the same result, and must still be there afterwards."""
    probe = ex.reading.observations[0].probe
    first, second = ex.see(probe), ex.see(probe)
    part = next(iter(first.parts), "")
    if part and part in second.parts:
        a, b = first.parts[part], second.parts[part]
        if a.shape != b.shape or not np.array_equal(a, b, equal_nan=True):
            third = ex.see(probe)
            changing = part in third.parts and not np.array_equal(
                third.parts[part], b, equal_nan=True
            )
            note = "every call gives another result" if changing else "the second call differs"
            close = a.shape == b.shape and not differs(a, b, 1e-3)
            random = changing and close
            if not random or differs(a, b, 1e-9):
                return [Evidence(None if random else 29, probe, part, a, b, 0.9, note=note)]
    roles = [m for m in first.outcome.mutated if ex.kind.family != "step"]
    if roles:
        before = first.outcome.after[roles[0]]
        small = probes.of([[1.0, 2.0, 0.0]], [1]) if not ex.kind.binary else probe
        seen = ex.see(small)
        shown = small if roles[0] in seen.outcome.mutated else probe
        after = (seen if shown is small else first).outcome.after.get(roles[0], before)
        return [
            Evidence(29, shown, "input", _given(ex, shown, roles[0]), after, note="input changed")
        ]
    if ex.subject.again is not None:
        for shown in (probes.of([[1.0, 2.0, 0.0]], [1]), probe):
            twice = call(ex.subject.again, ex.reading.convention, shown, None, ex.time_limit)
            if found := _backward_twice(twice, shown):
                return found
    return []


def _given(ex: Examination, probe: Probe, role: str) -> Any:
    from softgrad.doctor.calling import _material

    return np.asarray(_material(role, ex.reading.convention, probe), dtype=np.float64)


def _backward_twice(outcome: Outcome, probe: Probe) -> list[Evidence]:
    if outcome.error is not None or not isinstance(outcome.value, tuple):
        return []
    a, b = outcome.value[:2]
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and differs(a, b, 1e-9):
        return [Evidence(29, probe, "backward", a, b, note="a second backward differs")]
    return []
