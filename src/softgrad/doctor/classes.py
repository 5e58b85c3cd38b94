"""Classes with forward and backward, as one function of all that both take.

Three forms: a softmax or a sigmoid, whose backward takes a cotangent (a vjp); a loss, whose
forward takes a target (value and gradient); a layer with weights of its own (`layers`).
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np

from softgrad.doctor import layers
from softgrad.doctor.frameworks import frameworks, is_autograd, is_module
from softgrad.doctor.kinds import KINDS, Kind, means_probabilities, named_role
from softgrad.doctor.subject import Phases, Subject, function_subject, parameters_of, text_of

_FORWARD = ("forward", "__call__", "call", "predict", "loss", "apply", "compute", "calculate")
_BACKWARD = ("backward", "grad", "gradient", "bprop", "backprop", "backward_pass")
_OUTPUTS = ("output", "out", "probs", "p", "y", "a", "A")
_INPUT_GRADIENTS = ("dinputs", "dinput", "grad_input", "dx", "dX", "input_gradient", "grad")
_DIFFERENTIATED = ("vjp", "both")
_LOSS, _VJP = KINDS["cross_entropy"], KINDS["softmax_backward"]


def subject_of(target: Any, claimed: Kind | None = None) -> Subject:
    """Look at a callable without calling it; a class is made an instance of."""
    family = claimed.family if claimed is not None else ""
    if is_autograd(target):
        if claimed is None or family in _DIFFERENTIATED:
            return _through_autograd(target, family)
        return _apply(target)
    if is_module(target) and family in _DIFFERENTIATED:
        return _through_autograd(target, family)
    forward, backward = _method(target, _FORWARD), _method(target, _BACKWARD)
    phases = forward and backward and not (forward == "__call__" and backward != "backward")
    if phases and not is_module(target):
        if layers.has_weights(target, claimed):
            return layers.layer_subject(target, forward, backward)
        if family in ("rows", "loss", "jacobian"):
            return _forward_only(target, forward)
        return _two_phases(target, forward, backward)
    name = target.__name__ if inspect.isclass(target) else ""
    made: Any = target() if inspect.isclass(target) else target
    if not callable(made) and forward:
        return _forward_only(made, forward)
    subject = function_subject(made, name or getattr(made, "__name__", type(made).__name__), target)
    if is_module(made):
        subject.phases = Phases("forward", subject.required or ("x",), base="torch.nn.Module")
    elif inspect.isclass(target) and _method(target, ("__call__",)):
        subject.phases = Phases("__call__", subject.required or ("x",))
    return subject


def _method(target: Any, names: tuple[str, ...]) -> str:
    for name in names:
        if name == "__call__" and inspect.isclass(target) and name not in vars(target):
            continue
        found = getattr(target, name, None)
        if inspect.isfunction(found) or inspect.ismethod(found):
            return name
    return ""


def _forward_only(target: Any, forward: str) -> Subject:
    bound = getattr(target() if inspect.isclass(target) else target, forward)
    cls = target if inspect.isclass(target) else type(target)
    subject = function_subject(bound, cls.__name__, bound)
    subject.text, subject.frameworks = text_of(cls), frameworks(cls)
    subject.phases = Phases(forward, subject.required or ("x",))
    return subject


# --- PyTorch's own forward and backward -----------------------------------------------------------


def _apply(target: Any) -> Subject:
    """A torch.autograd.Function as the function that its forward computes."""
    required = _inputs_of(target)
    return Subject(
        target.apply,
        target.__name__,
        required,
        (),
        frozenset(),
        text_of(target),
        frameworks(target),
        phases=_of_autograd(required),
    )


def _of_autograd(names: tuple[str, ...] | None) -> Phases:
    base = "torch.autograd.Function"
    g = "grad_output"
    return Phases("forward", names or ("x",), "backward", (g,), g, base)


def _inputs_of(target: Any) -> tuple[str, ...] | None:
    """The parameters of forward, without the context that comes first in most of them."""
    required, optional, _ = parameters_of(target.forward)
    names = (*(required or ()), *optional)
    own_context = is_autograd(target) and "setup_context" not in vars(target)
    return names[1:] if own_context else names or None


def _through_autograd(target: Any, family: str) -> Subject:
    """Forward, and what PyTorch's backward makes of a cotangent, or of the loss itself."""
    import torch

    function = target.apply if is_autograd(target) else target
    names = _inputs_of(target) or (("x", "target") if family == "both" else ("x",))
    loss = any(named_role(_VJP, name) not in ("axis", "T") for name in names[1:])

    def run(x: Any, *rest: Any) -> Any:
        leaf = x.detach().clone().requires_grad_(True)
        value = function(leaf, *(rest if loss else rest[:-1]))
        cotangent = torch.ones_like(value) if loss else rest[-1]
        (gradient,) = torch.autograd.grad(value, leaf, cotangent)
        return value.detach(), gradient

    cls = target if inspect.isclass(target) else type(target)
    return Subject(
        run,
        cls.__name__,
        names if loss else (*names, "grad_output"),
        (),
        frozenset(),
        text_of(cls),
        frameworks(target),
        "both" if loss else "vjp",
        phases=_of_autograd(names) if is_autograd(target) else None,
    )


# --- Forward, then backward -----------------------------------------------------------------------


def _two_phases(target: Any, forward: str, backward: str) -> Subject:
    def make() -> Any:
        return target() if inspect.isclass(target) else copy.deepcopy(target)

    sample = make()
    names = list(parameters_of(getattr(sample, forward))[0] or ("x",))
    last = list(parameters_of(getattr(sample, backward))[0] or ())
    loss = len(names) >= 2
    cotangent = _cotangent_of(last, names)
    given = names if loss else [*names, cotangent]
    upstream = "" if loss and _takes_target(sample) else cotangent
    phases = Phases(forward, tuple(names), backward, tuple(last), upstream)

    def both(arguments: tuple[Any, ...]) -> tuple[Any, Any, dict[str, Any]]:
        layer = make()
        result = getattr(layer, forward)(*arguments[: len(names)])
        value, phases.output = _or_kept(result, layer, ("loss", *_OUTPUTS) if loss else _OUTPUTS)
        known = dict(zip(given, arguments, strict=False))
        if isinstance(value, np.ndarray):
            value = value.copy()  # backward may write to it
        return layer, value, {n: _back(n, known, layer, value, loss, cotangent) for n in last}

    def run(*arguments: Any) -> Any:
        layer, value, back = both(arguments)
        result = getattr(layer, backward)(*back.values())
        gradient, phases.gradient = _or_kept(result, layer, _INPUT_GRADIENTS)
        return value, gradient

    def twice(*arguments: Any) -> Any:
        layer, _, back = both(arguments)
        results = []
        for _ in range(2):
            result = getattr(layer, backward)(*copy.deepcopy(list(back.values())))
            results.append(copy.deepcopy(_or_kept(result, layer, _INPUT_GRADIENTS)[0]))
        return tuple(results)

    cls = target if inspect.isclass(target) else type(target)
    return Subject(
        run,
        cls.__name__,
        tuple(given),
        (),
        frozenset(),
        text_of(cls),
        frameworks(cls),
        "both" if loss else "vjp",
        twice,
        phases,
    )


def _or_kept(result: Any, layer: Any, names: tuple[str, ...]) -> tuple[Any, str]:
    """A result, or what a method that returns nothing has left as an attribute, and which."""
    if result is not None:
        return result, ""
    name = next((name for name in names if hasattr(layer, name)), "")
    return getattr(layer, name, None) if name else None, name


def _cotangent_of(last: list[str], first: list[str]) -> str:
    """Which parameter of backward is the cotangent: by its name, else the first that may be."""
    for name in last:
        if named_role(_VJP, name) == "g" and name not in first:
            return name
    others = [n for n in last if n not in first and not _step_size(n)]
    plain = [n for n in others if not means_probabilities(n)]
    return next(iter([*plain, *others]), "grad_output")


def _step_size(name: str) -> bool:
    return named_role(KINDS["train_step"], name) == "lr"


def _back(
    name: str, known: dict[str, Any], layer: Any, value: Any, loss: bool, cotangent: str
) -> Any:
    """What a parameter of backward is given: what forward had, a cotangent, or its output."""
    if name in known:
        return known[name]
    if _step_size(name):
        return 0.1
    if not loss:
        return known[cotangent] if name == cotangent else value
    if named_role(_LOSS, name) == "y":
        return list(known.values())[1]
    if name == cotangent and len(known) == 2 and not _takes_target(layer):
        return 1.0
    kept = getattr(layer, "output", None)
    return next(iter(known.values())) if kept is None else kept


def _takes_target(layer: Any) -> bool:
    """Whether backward asks for the target: then what comes with it is no cotangent of 1."""
    backward = getattr(layer, _method(layer, _BACKWARD))
    return any(named_role(_LOSS, n) == "y" for n in parameters_of(backward)[0] or ())
