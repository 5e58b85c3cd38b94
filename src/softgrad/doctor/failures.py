"""Functions that do not work at all: a diagnosis in place of a traceback."""

from __future__ import annotations

import numpy as np

from softgrad.doctor import probes, understanding
from softgrad.doctor.calling import Convention, ExitError, Outcome, OvertimeError
from softgrad.doctor.formulas import truth_of
from softgrad.doctor.kinds import Kind
from softgrad.doctor.probes import Probe
from softgrad.doctor.reading import observe
from softgrad.doctor.report import Example, Finding
from softgrad.doctor.request import Request
from softgrad.doctor.shrinking import smallest


def not_in_catalogue(title: str, structure: str, example: Example | None = None) -> Finding:
    """A finding that has no number."""
    return Finding(None, title, "", "", 0.95, example, structure)


def failure(request: Request, kind: Kind, convention: Convention, outcome: Outcome) -> Finding:
    """Why no way of calling a function gave anything to compare."""
    failed = probes.random_binary(4, 0) if kind.binary else probes.random(4, 3, 0)
    probe = _simplest(request, kind, convention, outcome, failed)
    inputs = understanding.inputs(convention, probe)
    if isinstance(outcome.error, OvertimeError):
        return not_in_catalogue(
            "It does not return",
            f"A call with a few numbers took longer than {request.time_limit:.2g} s and was ended: "
            "look for a loop whose condition never becomes false.",
            Example(inputs, truth_of(kind), "nothing"),
        )
    if isinstance(outcome.error, ExitError):
        return not_in_catalogue(
            "It ends the process",
            f"For ordinary numbers {outcome.error}: return a value, or raise an error that says "
            "what is wrong.",
            Example(inputs, truth_of(kind), "nothing"),
        )
    if outcome.error is not None:
        error = observe(request.subject, kind, convention, probe, None, request.time_limit)
        return not_in_catalogue(
            f"It raises {type(outcome.error).__name__}",
            _hint(outcome.error),
            Example(inputs, truth_of(kind), error.outcome.error or outcome.error),
        )
    if outcome.value is None:
        return not_in_catalogue(
            "It returns None",
            "A function without a return statement returns None; in-place work is found only "
            "for training steps.",
            Example(inputs, truth_of(kind), "None"),
        )
    shapes = (
        [np.shape(v) for v in outcome.value]
        if isinstance(outcome.value, tuple)
        else np.shape(outcome.value)
    )
    return not_in_catalogue(
        "It returns something of the wrong shape",
        f"{kind.says.capitalize()} was expected, but shape {shapes} came back ({outcome.kind}).",
        Example(
            inputs,
            truth_of(kind),
            outcome.value if not isinstance(outcome.value, tuple) else str(shapes),
        ),
    )


def _simplest(
    request: Request, kind: Kind, convention: Convention, outcome: Outcome, failed: Probe
) -> Probe:
    """The smallest input on which it fails in the same way."""

    def fails(probe: Probe) -> bool | None:
        seen = observe(request.subject, kind, convention, probe, None, request.time_limit)
        alike = type(seen.outcome.error) is type(outcome.error)
        return True if alike and not seen.parts else None

    if isinstance(outcome.error, OvertimeError):  # every try costs the whole time: one must do
        tiny = probes.of(np.zeros(1) if kind.binary else np.zeros((1, 2)), [0])
        return tiny if fails(tiny) else failed
    arrays = ("x", *(n for n in ("g", "teacher") if convention.takes_role(n)))
    return smallest(failed, True, fails, arrays)[0]


def _hint(error: Exception) -> str:
    text = str(error)
    if "broadcast" in text or "must match the size" in text:
        return (
            "Shapes that do not belong together: often a maximum or a sum without keepdims=True, "
            "or class indices where one-hot rows are expected."
        )
    if isinstance(error, IndexError):
        return "An index beyond the classes: often labels from 1 to C, or rows taken for columns."
    if isinstance(error, TypeError) and "argument" in text:
        return "The arguments do not fit: pass kind= if the kind was guessed wrongly."
    if isinstance(error, NameError):
        return "A name is missing: an import, or a helper defined elsewhere."
    return (
        "Every way to call it that fits its signature was tried; this is what the likeliest gave."
    )
