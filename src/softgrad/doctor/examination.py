"""From a callable to a report: read it, explain it, look for what it hides, and show it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from softgrad.doctor import understanding
from softgrad.doctor.choosing import Choice
from softgrad.doctor.classes import subject_of
from softgrad.doctor.evidence import Examination
from softgrad.doctor.failures import failure, not_in_catalogue
from softgrad.doctor.findings import findings_of
from softgrad.doctor.kinds import KINDS, Kind, find_kind
from softgrad.doctor.programs import names_of, program, usual_program
from softgrad.doctor.reading import Reading
from softgrad.doctor.report import Report
from softgrad.doctor.request import Request
from softgrad.doctor.together import taken_apart
from softgrad.errors import OptionError, OptionTypeError


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
    return _report(
        Request(subject, claimed, layout, reduction, takes, squared, ignore_index, time_limit)
    )


def _check(name: str, value: str | None, accepted: tuple[str, ...]) -> None:
    if value is not None and value not in accepted:
        raise OptionError(f"{name}={value!r}; accepted are {', '.join(map(repr, accepted))}.")


def _report(request: Request) -> Report:
    choice = Choice(request)
    best = choice.best()
    notes = []
    if best is None:
        found_apart = _taken_apart(request)
        if found_apart is None:
            return _nothing_works(choice)
        choice, best = found_apart
        request = choice.request
        notes = ["It takes its weights together; here W and b stand for them, one by one."]
    kind, reading = best
    name, guessed = request.subject.name, request.claimed is None
    if guessed and not choice.named(kind) and (not reading.explained or reading.nothing):
        raise _cannot_be_guessed(name)
    ex = Examination(request, kind, reading)
    found = findings_of(ex)
    words = understanding.understood(name, kind, reading)
    code = program(ex, found.evidence)
    notes += understanding.notes(reading)
    return Report(name, kind.name, guessed, words, found.findings, found.remarks, notes, code)


def _taken_apart(request: Request) -> tuple[Choice, tuple[Kind, Reading]] | None:
    """The best explanation of a function whose weights are one argument."""
    for subject in taken_apart(request.subject):
        choice = Choice(replace(request, subject=subject))
        best = choice.best()
        if best is not None:
            return choice, best
    return None


def _nothing_works(choice: Choice) -> Report:
    """A report on a function that gave nothing to compare, however it was called."""
    subject, claimed = choice.request.subject, choice.request.claimed
    kind = claimed or next((k for k in choice.kinds if choice.named(k)), None)
    if kind is None:
        raise _cannot_be_guessed(subject.shown)
    tried = choice.failures.get(kind.name, [])
    if not tried:
        finding = not_in_catalogue(
            "Its arguments are not those of this kind",
            f"{kind.says.capitalize()} takes ({', '.join(kind.roles)}), "
            f"but this is {subject.shown}.",
        )
        return Report(subject.name, kind.name, claimed is None, {}, [finding])
    convention, outcome = tried[-1] if choice.overtime else tried[0]
    finding = failure(choice.request, kind, convention, outcome)
    words = {"tried": f"{len(tried)} ways to call it"}
    code = usual_program(kind, subject.name, names_of(subject, convention))
    return Report(subject.name, kind.name, claimed is None, words, [finding], code=code)


def _cannot_be_guessed(shown: str) -> OptionError:
    return OptionError(
        f"The kind of {shown} cannot be guessed; pass kind=, one of {', '.join(sorted(KINDS))}."
    )
