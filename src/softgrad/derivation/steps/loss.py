"""The loss, the chain rule, and what cancels in it."""

from __future__ import annotations

import numpy as np

from softgrad._typing import Array
from softgrad.derivation.arithmetic import is_finite
from softgrad.derivation.document import Step, table
from softgrad.derivation.formulas import Rowwise
from softgrad.derivation.pair import GIVES, words
from softgrad.derivation.steps.work import Work

_WORDS = {
    "probabilities": "probabilities",
    "log_probabilities": "logarithms of probabilities",
    "logits": "logits",
}


def steps(w: Work) -> list[Step]:
    return [_loss(w), _chain_rule(w)]


def _loss(w: Work) -> Step:
    f, s = w.pair.loss_formula, w.s
    assert f is not None
    assert w.pair.loss_name is not None
    value, slope = (f.of_p, f.slope_of_p) if w.pair.fused else (f.value, f.slope)
    letters = {} if w.pair.fused else f.let
    formulas = [f"L = {w.latex(value)}"]
    formulas += [f"{w.latex(k, 'i')} = {w.latex(part, 'i')}" for k, part in letters.items()]
    formulas[0] += f"{_one_hot(w)} = {w.n(w.loss)}"
    formulas.append(rf"\frac{{\partial L}}{{\partial {s}_i}} = {w.latex(slope, 'i')}")
    columns = {f"${s}$": w.a, "$y$": w.target, rf"$\partial L / \partial {s}$": w.slope}
    title = words(w.pair.loss_name)
    return Step(
        f"The loss: {title.removesuffix(' loss')}",
        " ".join(filter(None, (_prose(w), _constants(w), f.note, _mismatch(w), _infinite(w)))),
        tuple(formulas),
        (table("", columns, keep=w.keep, bold=w.focus[0]),),
        (
            w.check(
                rf"$\partial L / \partial {s}$",
                lambda a: w.pair.loss_of(a, w.target),
                w.a,
                w.slope,
                w.value_scale,
                within=w.interior,
            ),
        ),
    )


def _prose(w: Work) -> str:
    if w.index is not None:
        return (
            f"The target is class {w.index}: as a vector, $y$ is one-hot, $y_{{{w.index}}} = 1$ "
            "and 0 elsewhere."
        )
    return f"The target $y$ has a number for each {'class' if len(w.x) > 1 else 'output'}."


def _one_hot(w: Work) -> str:
    """What is left of a sum over classes when y picks one."""
    if w.index is None or w.pair.loss_name not in ("cross_entropy", "categorical_cross_entropy"):
        return ""
    if not (w.pair.fused or w.pair.loss_name == "categorical_cross_entropy"):
        return ""
    p = w.a[w.index]
    return rf" = -\log {w.s}_{{{w.index}}} = -\log {w.factor(p)}" if p > 0 and p < 1 else ""


def _constants(w: Work) -> str:
    constants = ", ".join(
        f"${w.latex(k)} = {w.n(w.arithmetic.option(v))}$" for k, v in w.pair.loss_constants.items()
    )
    return f"Here {constants}." if constants else ""


def _mismatch(w: Work) -> str:
    """A word of warning where the loss expects something else than the activation gives."""
    takes = getattr(w.pair.loss_function, "takes", "values")
    gives = GIVES.get(w.pair.activation_name, "values")
    name = words(w.pair.activation_name)
    if w.pair.fused or takes in ("values", gives):
        return ""
    if takes == "logits" and gives != "values":
        if gives == "log_probabilities":
            return ""
        return (
            f"This loss takes logits and turns them into probabilities itself: after {name} that "
            "happens twice, which keeps the loss from ever getting near 0."
        )
    if takes == "logits":
        return ""
    return (
        f"This loss is meant for {_WORDS[takes]}, which {name} does not give: the formulas hold, "
        "but the number is no likelihood."
    )


def _infinite(w: Work) -> str:
    """Where float64 has no finite loss to derive."""
    if is_finite(w.loss):
        return ""
    return (
        f"Here it is infinite, for a ${w.s}_i$ that the target asks about has become exactly 0 or "
        "1: no gradient leads away from there. Losses of logits do not come to this point."
    )


def _chain_rule(w: Work) -> Step:
    s, v, f = w.s, w.v, w.pair.loss_formula
    assert f is not None
    outer = rf"\frac{{\partial L}}{{\partial {v}_j}}"
    rule = (
        rf"{outer} = \sum_i \frac{{\partial L}}{{\partial {s}_i}} \, "
        rf"\frac{{\partial {s}_i}}{{\partial {v}_j}}"
    )
    if w.pair.elementwise:
        rule = rf"{outer} = \frac{{\partial L}}{{\partial {s}_j}} f'({v}_j)"
    formulas = [rule, *_cancellation(w)]
    product = (w.jacobian * w.slope[:, None]).sum(axis=0)
    columns: dict[str, Array] = {}
    if not w.pair.fused:
        columns[rf"$\partial L / \partial {s}$"] = w.slope
    if not w.pair.fused and w.pair.elementwise:
        columns[f"$f'({v})$"] = np.diag(w.jacobian)
    checks = []
    finite = all(map(is_finite, product))
    prose = (
        "From the loss back to the logits: the Jacobian, transposed, times the derivative "
        f"by ${s}$."
    )
    if w.pair.fused:
        columns |= {f"${s}$": w.a, "$y$": w.target}
    if finite:
        if w.pair.fused:
            columns[rf"$J^\top \partial L / \partial {s}$"] = product
        if _keeps_digits(w):
            terms = (np.abs(w.jacobian) * np.abs(w.slope)[:, None]).sum(axis=0)
            checks.append(w.same(_two_ways(w), product, w.gradient, terms))
    else:
        prose += (
            f" Here a ${s}_i$ is so small that the product of Jacobian and slope has no digits "
            "left in float64; the closed form below needs neither of them."
        )
    closed = _closed(w)
    columns[closed] = w.gradient
    checks.append(
        w.check(
            rf"$\partial L / \partial {v}$",
            lambda z: w.pair.loss(z, w.target),
            w.z,
            w.gradient,
            through=w.rounded,
        )
    )
    return Step(
        "The chain rule" + (", and what cancels" if w.pair.fused and f.cancelled else ""),
        prose,
        tuple(formulas),
        (table("", columns, keep=w.keep, bold=w.focus[0]),),
        tuple(checks),
    )


def _two_ways(w: Work) -> str:
    if w.pair.fused:
        return "the chain rule against the closed form"
    return "the product with the Jacobian against the library's vjp"


def _keeps_digits(w: Work) -> bool:
    """Whether J^T dL/da keeps its digits: not where it is made of a tiny p times its inverse, nor
    where 1 - p has lost them."""
    if w.arithmetic.exact:
        return True
    f = w.pair.loss_formula
    assert f is not None
    lost = w.pair.fused and "1 - p" in f.slope_of_p and bool(np.any(w.a > 0.999))
    return not lost and float(np.max(np.abs(w.slope))) < 1e3


def _closed(w: Work) -> str:
    f = w.pair.loss_formula
    assert f is not None
    if w.pair.fused and f.cancelled:
        return f"${w.latex(_cancelled(w)[-1])}$"
    return rf"$\partial L / \partial {w.v}$"


def _cancelled(w: Work) -> list[str]:
    """What the chain rule leaves, and shorter where the target sums to 1."""
    f = w.pair.loss_formula
    assert f is not None
    short = f.shortest and abs(w.target.sum() - 1) < 1e-12
    return [f.cancelled, f.shortest] if short else [f.cancelled]


def _cancellation(w: Work) -> list[str]:
    """The chain rule with its parts put in, where that makes it shorter."""
    f = w.pair.loss_formula
    assert f is not None
    if not w.pair.fused:
        if isinstance(w.pair.formula, Rowwise) or f.let or "where" in f.slope:
            return []
        slope = w.latex(f.slope, "j")
        return [rf"= {slope} \, f'({w.v}_j)" if "\\frac" in slope else rf"= ({slope}) f'({w.v}_j)"]
    if not f.cancelled:
        return []
    left = " = ".join(w.latex(part, "j") for part in _cancelled(w))
    if w.pair.loss_name == "cross_entropy":
        return [
            r"= -\frac{y_j}{p_j} p_j (1 - p_j) + \sum_{i \ne j} \frac{y_i}{p_i} p_i p_j",
            rf"= -y_j + y_j p_j + p_j \sum_{{i \ne j}} y_i = {left}",
        ]
    if w.pair.elementwise:
        slope = rf"\left({w.latex(f.slope_of_p, 'j')}\right) p_j (1 - p_j)"
        return [f"= {slope} = {w.latex(f.multiplied, 'j')} = {left}"]
    letters = {k: v for k, v in f.let.items() if k != w.s}
    return [
        f"= {left}",
        *(f"{k}_j = {w.latex(part, 'j')}" for k, part in letters.items()),
    ]
