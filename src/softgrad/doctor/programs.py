"""A whole right function to copy, in place of the examined one.

With the same name and arguments, for the same layout, targets and reduction, returning the same
things in the same order, as the doctor has understood them.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from softgrad.doctor import definitions
from softgrad.doctor.calling import Convention, one_hot
from softgrad.doctor.conventions import option_name
from softgrad.doctor.evidence import Evidence, Examination
from softgrad.doctor.formulas import View
from softgrad.doctor.kinds import Kind, named_role
from softgrad.doctor.lines import Lines
from softgrad.doctor.reading import Observation
from softgrad.doctor.spelling import joined
from softgrad.doctor.subject import LayerText, Phases, Subject
from softgrad.doctor.truth import truth


@dataclass(frozen=True)
class Returned:
    """The parts of a result in their order, with their keys where it is a dictionary."""

    parts: tuple[str, ...]
    keys: tuple[str, ...] = ()
    alone: bool = True
    closure: bool = False

    def written(self, expressions: Sequence[str]) -> str:
        if not expressions:
            return ""
        if self.keys:
            pairs = zip(self.keys, expressions, strict=True)
            return "{" + ", ".join(f'"{key}": {e}' for key, e in pairs) + "}"
        return expressions[0] if self.alone else ", ".join(expressions)


def program(ex: Examination, evidence: Sequence[Evidence] = ()) -> str:
    """The examined function or class as it should be."""
    s = spelled(ex, evidence)
    subject, phases, kind = ex.subject, ex.subject.phases, ex.kind
    if subject.layer is not None:
        return _layer_of(ex, subject.layer, s)
    returned = _returned(ex)
    lines, expressions = _BODIES[_body_of(kind)](s, returned)
    if s.convention.framework == "list":
        expressions = {part: _plain(ex, part, e) for part, e in expressions.items()}
    lines = joined(_from_lists(s), _optional(ex, s, evidence), lines)
    if phases is not None and phases.backward and kind.family in ("vjp", "both"):
        return _class_of(ex, phases, s, lines, expressions)
    if returned.closure:
        expressions = _as_closures(s, expressions)
    result = returned.written([expressions[part] for part in returned.parts])
    if phases is not None and not phases.backward:
        return definitions.one_method(subject, phases, s, lines, result)
    return definitions.function(subject, s, kind.name, lines, result)


def usual_program(kind: Kind, name: str, given: Mapping[str, str] | None = None) -> str:
    """A right function of this kind in the usual convention, ``given`` the author's names."""
    of_log = kind.name == "nll"
    roles = tuple((role, None) for role in kind.roles)
    convention = Convention(roles, takes="log-probabilities" if of_log else "logits")
    names = {role: role for role in kind.roles} | ({"x": "log_p"} if of_log else {})
    if given is not None and set(given) == set(kind.roles):
        names = dict(given)
    s = Lines(convention, names)
    several = {"both": ("loss", "grad"), "layer": ("dW", "db"), "step": ("W", "b")}
    parts = several.get(kind.family, (_PARTS.get(kind.name, kind.name),))
    returned = Returned(parts, alone=len(parts) == 1)
    lines, expressions = _BODIES[_body_of(kind)](s, returned)
    subject = Subject(len, name, tuple(names.values()))
    result = returned.written([expressions[part] for part in parts])
    return definitions.function(subject, s, kind.name, lines, result)


# --- How it was understood ------------------------------------------------------------------------


def spelled(ex: Examination, evidence: Sequence[Evidence] = ()) -> Lines:
    """The author's way to write: their names, layout, targets, reduction, framework."""
    convention = ex.reading.convention
    if convention.target == "index from 1":
        convention = replace(convention, target="index")
    if "list" in ex.reading.observations[0].outcome.kind:  # whatever it was given: lists are meant
        convention = replace(convention, framework="list")
    names = names_of(ex.subject, convention) | _heeded(ex)
    if (text := ex.subject.layer) is not None:
        names = _layer_names(text)
        convention = replace(convention, layout="NCT" if text.turned else convention.layout)
        if not text.bias:
            arguments = tuple(pair for pair in convention.arguments if pair[0] != "b")
            convention = replace(convention, arguments=arguments)
    part = next((p for p in ("loss", "grad", "vjp", "dW") if p in ex.reading.fits), "")
    mask = next((e.mask for e in evidence if e.mask), "kept")
    s = Lines(convention, names, kept=_kept(ex, names, evidence), mask=mask)
    if not part:
        return s
    right = truth(ex, part, mean=ex.request.reduction == "mean")
    reduction = "mean" if right.power.a == -1 else "sum"
    if part == "loss" and not right.reduced:
        reduction = "none"
    squared = right.form.right == "squared error" or right.form.name == "J (p - y)"
    if squared:
        factor = abs(right.power.c) / (2.0 if part != "loss" else 1.0)
        s = replace(s, squared=factor or 1.0)
    name = right.form.name
    return replace(
        s,
        reduction=reduction,
        of_log=right.form.right == "log_softmax",
        by_p=right.form.right == "by the probabilities",
        divergence="-sum" not in name and "entropy" not in name,
        alpha_on_soft="1-a" not in name,
    )


def _heeded(ex: Examination) -> dict[str, str]:
    """Optional arguments that a right function of this kind has to take into account."""
    kind, convention = ex.kind, ex.reading.convention
    roles = ["mask"] if kind.name in ("softmax", "log_softmax") else []
    if kind.family in ("loss", "grad", "both") and not kind.binary:
        roles += [] if convention.single or convention.nested else ["w", "cw"]
        roles += ["ignore"] if convention.target == "index" else []
    named = {role: option_name(ex.subject, kind, role) for role in roles}
    found = {role: name for role, name in named.items() if name is not None}
    found |= {role: key for role, key in convention.arguments if role == "cw" and key}
    if "cw" in found:  # weights of the classes become weights of the rows
        found["w"] = found.pop("cw")
    return found


def _of_classes(ex: Examination, name: str, evidence: Sequence[Evidence]) -> bool:
    """Whether an argument holds weights of classes: as it was seen, else by its name."""
    seen = [e.probe.extra for e in evidence if e.mistake == 20]
    if seen:
        return "cw" in seen[0]
    in_torch = ex.reading.convention.framework.startswith("torch") and name == "weight"
    return in_torch or named_role(ex.kind, name) == "cw"


def _default_of(subject: Subject, name: str) -> Any:
    try:
        return inspect.signature(subject.function).parameters[name].default
    except (ValueError, TypeError, KeyError):
        return None


def names_of(subject: Subject, convention: Convention) -> dict[str, str]:
    """The author's names by role."""
    required = list(subject.required or ())
    by_place = [role for role, key in convention.arguments if key is None]
    names = dict(zip(by_place, required, strict=False))
    return names | {role: key for role, key in convention.arguments if key is not None}


def _kept(ex: Examination, names: dict[str, str], evidence: Sequence[Evidence]) -> str:
    """Which labels take part, where some are to be left out."""
    if ex.reading.convention.target != "index":
        return ""
    if isinstance(_default_of(ex.subject, names.get("ignore", "")), int):
        return "{y} != " + names["ignore"]
    asked = ex.request.ignore_index
    if asked is None:
        seen = any(e.mistake == 25 and not e.remark for e in evidence)
        return "{y} >= 0" if seen else ""
    return "{y} != " + str(asked)


def _returned(ex: Examination) -> Returned:
    """What each part of the first result is."""
    seen = ex.reading.observations[0]
    value = seen.outcome.value
    arrays = [np.asarray(v) for v in value] if isinstance(value, tuple) else [np.asarray(value)]
    if value is None:
        return Returned(())
    found = [_part_of(ex, seen, array) for array in arrays if array.dtype.kind == "f"]
    keys = seen.outcome.keys
    kept = [(part, keys[i] if keys else "") for i, part in enumerate(found) if part]
    return Returned(
        tuple(part for part, _ in kept),
        tuple(key for _, key in kept if key),
        not isinstance(value, tuple),
        seen.outcome.closure,
    )


def _part_of(ex: Examination, seen: Observation, array: Any) -> str:
    """The name of an output; "" for what is not known."""
    if ex.kind.family in ("layer", "step"):
        probe = seen.probe
        assert probe.W is not None
        assert probe.b is not None
        assert probe.X is not None
        names = ("W", "b") if ex.kind.family == "step" else ("dW", "db")
        sizes = {1: "loss", probe.W.size: names[0], probe.b.size: names[1], probe.X.size: "dX"}
        return sizes.get(array.size, "")
    if len(seen.parts) == 1 and not isinstance(seen.outcome.value, tuple):
        return next(iter(seen.parts))
    view = View(seen.probe, ex.reading.convention)
    known = dict(seen.parts)
    known |= {"p": view.p, "log_p": view.log_p} if ex.kind.name != "nll" else {}
    if ex.reading.convention.takes_role("y") and seen.probe.x.ndim == 2:
        known["Y"] = one_hot(seen.probe)
    for part, of in known.items():
        if of.size == array.size and np.allclose(np.sort(of.ravel()), np.sort(array.ravel())):
            return part
    return ""


# --- Bodies ---------------------------------------------------------------------------------------

Body = tuple[str, dict[str, str]]

_PARTS = {
    "softmax_jacobian": "jacobian",
    "softmax_vjp": "vjp",
    "softmax_backward": "vjp",
    "cross_entropy": "loss",
    "nll": "loss",
    "binary_cross_entropy": "loss",
    "distillation": "loss",
    "cross_entropy_grad": "grad",
    "binary_cross_entropy_grad": "grad",
    "sigmoid_grad": "grad",
    "distillation_grad": "grad",
}


def _body_of(kind: Kind) -> str:
    if kind.binary or kind.family in ("rows", "distillation"):
        return kind.name
    return kind.family


def _softmax(s: Lines, _: Returned) -> Body:
    return s.p_lines, {"softmax": s.p, "p": s.p}


def _log_softmax(s: Lines, _: Returned) -> Body:
    return s.log_p_lines, {"log_softmax": s.log_p, "log_p": s.log_p}


def _logsumexp(s: Lines, _: Returned) -> Body:
    return s.lse_lines, {"logsumexp": "lse"}


def _jacobian(s: Lines, _: Returned) -> Body:
    return joined(s.p_lines, s.jacobian_lines), {"jacobian": "J", "p": s.p}


def _vjp(s: Lines, returned: Returned) -> Body:
    value = s.log_p if s.of_log else s.p
    log = s.log_p_lines if "value" in returned.parts and s.of_log else ""
    return joined(log, s.p_lines), {"vjp": s.vjp, "value": value, "p": s.p}


def _loss(s: Lines, returned: Returned) -> Body:
    if "p" in returned.parts and not s.squared:
        return joined(s.p_lines, s.log_p_lines, s.target_lines), {"loss": s.loss, "p": s.p}
    before = s.p_lines if s.squared else s.log_p_lines
    return joined(before, s.target_lines), {"loss": s.loss, "log_p": s.log_p, "p": s.p}


def _grad(s: Lines, _: Returned) -> Body:
    return joined(s.p_lines, s.difference_lines), {"grad": s.grad, "p": s.p, "Y": s.Y}


def _probabilities_too(s: Lines, loss: bool) -> str:
    """p, from log p where the loss needs that."""
    if not loss or s.squared:
        return s.p_lines
    if s.convention.takes == "logits":
        return joined(s.log_p_lines, f"{s.p} = {s.np}.exp({s.log_p})")
    return joined(s.p_lines, s.log_p_lines)


def _both(s: Lines, _: Returned) -> Body:
    # A loss of one number a row comes with the gradients of the rows.
    loss = "loss = " + s.loss
    lines = joined(_probabilities_too(s, True), s.difference_lines, s.losses_line, loss)
    return lines, {"loss": "loss", "grad": s.grad, "p": s.p, "log_p": s.log_p, "Y": s.Y}


def _layer(s: Lines, returned: Returned) -> Body:
    with_loss = "loss" in returned.parts
    lines = joined(_probabilities_too(s, with_loss), s.dz_line)
    return lines, {"dW": s.dW, "db": s.db, "dX": s.dX, "loss": s.loss}


def _step(s: Lines, returned: Returned) -> Body:
    W, b, lr = s.name("W"), s.name("b"), s.name("lr")
    if not s.convention.takes_role("lr"):
        lr = "0.1"
    with_loss = "loss" in returned.parts
    lines = joined(_probabilities_too(s, with_loss), s.dz_line)
    expressions = {"W": f"{W} - {lr} * {s.dW}", "b": f"{b} - {lr} * {s.db}", "loss": s.loss}
    if "W" not in returned.parts:  # in place
        moved = [f"{W} -= {lr} * {s.dW}"]
        moved += [f"{b} -= {lr} * {s.db}"] if s.convention.takes_role("b") else []
        lines = joined(lines, *moved)
    return lines, expressions


def _sigmoid(s: Lines, _: Returned) -> Body:
    return s.s_lines, {"sigmoid": s.s}


def _sigmoid_grad(s: Lines, _: Returned) -> Body:
    g = f"{s.g} * " if s.convention.takes_role("g") else ""
    return s.s_lines, {"grad": f"{g}{s.s} * (1 - {s.s})", "value": s.s}


def _binary_loss(s: Lines, _: Returned) -> Body:
    return (s.s_lines if s.squared else ""), {"loss": s.binary_loss}


def _binary_grad(s: Lines, _: Returned) -> Body:
    return s.s_lines, {"grad": s.binary_grad}


def _distillation(s: Lines, _: Returned) -> Body:
    return s.distillation_lines, {"loss": s.distillation}


def _distillation_grad(s: Lines, _: Returned) -> Body:
    return s.distillation_grad_lines, {"grad": s.distillation_grad}


_BODIES = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "logsumexp": _logsumexp,
    "jacobian": _jacobian,
    "vjp": _vjp,
    "loss": _loss,
    "grad": _grad,
    "both": _both,
    "layer": _layer,
    "step": _step,
    "sigmoid": _sigmoid,
    "sigmoid_grad": _sigmoid_grad,
    "binary_cross_entropy": _binary_loss,
    "binary_cross_entropy_grad": _binary_grad,
    "distillation": _distillation,
    "distillation_grad": _distillation_grad,
}


# --- Before and after the body --------------------------------------------------------------------


def _class_of(
    ex: Examination, phases: Phases, s: Lines, lines: str, expressions: Mapping[str, str]
) -> str:
    """Forward and backward; what forward returns is a loss or the probabilities."""
    loss = ex.kind.family == "both"
    gradient = expressions["grad" if loss else "vjp"]
    if loss and phases.cotangent and phases.cotangent in phases.last:
        gradient = f"{phases.cotangent} * ({gradient})"
    first = (lines, expressions["loss" if loss else "value"])
    return definitions.two_methods(ex.subject, phases, s, first, ("", gradient))


def _layer_of(ex: Examination, text: LayerText, s: Lines) -> str:
    """A layer with weights of its own."""
    with_loss = text.output == "loss"
    before = joined(_probabilities_too(s, with_loss), s.target_lines if with_loss else "")
    value = {"p": s.p, "z": s.source, "loss": s.loss, "": ""}[text.output]
    db = s.db.replace(")", ", keepdims=True)") if text.column else s.db
    parts = {"dW": s.dW, "db": db, "dX": s.dX}
    kept = [f"{place} = {parts[part]}" for part, place in text.kept.items()]
    result = ", ".join(text.kept.get(part, parts[part]) for part in text.returned)
    after = joined(s.dz_line, *kept)
    return definitions.layer(ex.subject, text, s, (before, value), (after, result))


def _layer_names(text: LayerText) -> dict[str, str]:
    """A layer's names by role: its weights are attributes."""
    given = list(dict.fromkeys((*text.first, *text.last)))
    X = text.first[0]
    target = next((n for n in reversed(given) if n != X), "y")
    names = {"X": X, "W": f"self.{text.weight}", "y": target}
    return names | ({"b": f"self.{text.bias}"} if text.bias else {})


def _as_closures(s: Lines, expressions: Mapping[str, str]) -> dict[str, str]:
    """Gradients as functions of the cotangent."""
    changed = dict(expressions)
    g = s.free("upstream")
    for part, signature, scale in (("vjp", s.g, ""), ("grad", f"{g}=1.0", f"{g} * ")):
        if part in changed:
            inner = f"({changed[part]})" if scale else changed[part]
            changed[part] = f"lambda {signature}: {scale}{inner}"
    return changed


def _from_lists(s: Lines) -> str:
    """Lists become arrays."""
    if s.convention.framework != "list":
        return ""
    floats = [s.names[r] for r in ("x", "teacher", "g", "X", "W", "b") if r in s.names]
    lines = [f"{name} = np.asarray({name}, dtype=float)" for name in floats]
    if "y" in s.names and not (s.convention.single and s.indexed):
        lines.append(f"{s.y} = np.asarray({s.y})")
    return joined(*lines)


def _plain(ex: Examination, part: str, expression: str) -> str:
    """And arrays become lists again."""
    like = ex.reading.observations[0].parts.get(part)
    scalar = like is not None and (
        like.ndim == 0 or (ex.reading.convention.single and like.ndim == 1)
    )
    wrapped = expression if expression.isidentifier() else f"({expression})"
    return f"float({expression})" if scalar else f"{wrapped}.tolist()"


def _optional(ex: Examination, s: Lines, evidence: Sequence[Evidence]) -> str:
    """What a mask does to the logits, and what weights are, before anything else."""
    lines = []
    if "mask" in s.names:
        lines.append(_if_given(ex, s.names["mask"], s.mask_line))
    if "w" in s.names:
        w = s.names["w"]
        rows = f"{w}[{s.y}]" if _of_classes(ex, w, evidence) and s.indexed else w
        ones = f"{s.np}.ones(len({s.y}))"
        if w not in ex.subject.optional:
            lines += [f"{w} = {rows}"] if rows != w else []
        elif rows == w:
            lines.append(f"if {w} is None:\n    {w} = {ones}")
        else:
            lines.append(f"{w} = {ones} if {w} is None else {rows}")
    return joined(*lines)


def _if_given(ex: Examination, name: str, line: str) -> str:
    if name not in ex.subject.optional:
        return line
    return f"if {name} is not None:\n{textwrap.indent(line, '    ')}"
