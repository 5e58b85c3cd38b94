"""From the logits to the activation and its Jacobian."""

from __future__ import annotations

import numpy as np

from softgrad.derivation.document import Check, Step, matrix, table
from softgrad.derivation.formulas import Elementwise, Rowwise
from softgrad.derivation.pair import words
from softgrad.derivation.steps.work import COMPARED, Work

_LSE = "max(x) + log(sum(exp(x - max(x))))"


def steps(w: Work) -> list[Step]:
    """All steps up to the Jacobian."""
    found = [_scaling(w)] if w.heated else []
    if w.pair.activation_name == "softmax":
        return [*found, _exponentials(w), *_quotient_rule(w), _softmax_jacobian(w)]
    if w.pair.elementwise:
        return [*found, _value(w), _slope(w)]
    return [*found, _value(w), _row_jacobian(w)]


def _scaling(w: Work) -> Step:
    claimed = np.diag(0 * w.x + 1) / w.T
    return Step(
        "Divide by the temperature",
        rf"With $T = {w.n(w.T)}$ the activation sees $z$ in place of the logits $x$.",
        (r"z_i = \frac{x_i}{T} \quad \frac{\partial z_i}{\partial x_i} = \frac{1}{T}"
         rf" = {w.n(1 / w.T)}",),
        (table("", {"$x$": w.x, "$z$": w.z}, keep=w.keep, bold=w.top),),
        (w.check(r"$\partial z / \partial x$", lambda x: x / w.T, w.x, claimed, w.T),),
    )  # fmt: skip


def _exponentials(w: Work) -> Step:
    v, largest = w.v, w.z.max()
    e = w.evaluate("exp(x - max(x))", x=w.z)
    total = e.sum()
    columns = {f"${v}$": w.z, f"${v} - m$": w.z - largest, "$e$": e, "$p$": w.a}
    moved = w.pair.activation(w.z + 1)
    return Step(
        "Exponentials, their sum, and the probabilities",
        "The largest, $m$, is subtracted first. That multiplies numerator and denominator by the "
        r"same $\exp(-m)$: $p$ stays what it is, and no exponential can overflow.",
        (
            rf"m = \max_k {v}_k = {w.n(largest)}",
            rf"e_i = \exp({v}_i - m) \quad S = \sum_k e_k = {w.n(total)}",
            rf"p_i = \frac{{e_i}}{{S}} = \frac{{\exp({v}_i)}}{{\sum_k \exp({v}_k)}}",
        ),
        (table("", columns, keep=w.keep, bold=w.top),),
        (
            w.check(
                rf"$\frac{{\partial}}{{\partial {v}_i}} \log \sum_k \exp({v}_k) = p_i$",
                lambda z: w.evaluate(_LSE, x=z)[0],
                w.z,
                w.a,
            ),
            w.same(f"$p$ stays the same when 1 is added to every ${v}_i$", w.a, moved),
            *([_against_library(w)] if w.arithmetic.exact else []),
        ),
    )


def _quotient_rule(w: Work) -> list[Step]:
    v, (i, j) = w.v, w.focus
    same, other = w.jacobian[i, i], w.jacobian[i, j]
    p_i, p_j = w.factor(w.a[i]), w.factor(w.a[j])
    one = Step(
        "The quotient rule, i = j: a class and its own logit",
        rf"$p_i = e_i / S$, and both depend on ${v}_i$. An exponential is its own derivative: "
        rf"$\partial e_i / \partial {v}_i = e_i$, and as $e_i$ is one of the terms of $S$ also "
        rf"$\partial S / \partial {v}_i = e_i$. (The shift $m$ may be taken as a constant: $p$ "
        "does not depend on it.)",
        (
            r"\left(\frac{f}{g}\right)' = \frac{f' g - f g'}{g^2} \quad "
            r"\text{with } f = e_i, g = S",
            rf"\frac{{\partial p_i}}{{\partial {v}_i}} = \frac{{e_i S - e_i e_i}}{{S^2}}"
            r" = \frac{e_i}{S} \left(1 - \frac{e_i}{S}\right) = p_i (1 - p_i)",
            rf"\frac{{\partial p_{{{i}}}}}{{\partial {v}_{{{i}}}}} = {p_i} \, (1 - {p_i}) = "
            rf"{w.n(same)}",
        ),
        check=(_entry(w, i, i),),
    )
    if i == j:  # there is but one class
        return [one]
    two = Step(
        "The quotient rule, i ≠ j: a class and another's logit",
        rf"Now the numerator does not know ${v}_j$, so that $f' = 0$, and only the sum moves: "
        rf"$g' = \partial S / \partial {v}_j = e_j$. What one class gains the others lose.",
        (
            rf"\frac{{\partial p_i}}{{\partial {v}_j}} = \frac{{0 \cdot S - e_i e_j}}{{S^2}}"
            r" = -\frac{e_i}{S} \cdot \frac{e_j}{S} = -p_i p_j",
            rf"\frac{{\partial p_{{{i}}}}}{{\partial {v}_{{{j}}}}} = -{p_i} \cdot {p_j} = "
            rf"{w.n(other)}",
        ),
        check=(_entry(w, i, j),),
    )
    return [one, two]


def _entry(w: Work, i: int, j: int) -> Check:
    def p_i(moved):  # type: ignore[no-untyped-def]
        z = w.z.copy()
        z[j] = moved[0]
        return w.pair.activation(z)[i]

    what = rf"$\partial p_{{{i}}} / \partial {w.v}_{{{j}}}$"
    return w.check(what, p_i, w.z[j : j + 1], w.jacobian[i, j : j + 1])


def _softmax_jacobian(w: Work) -> Step:
    v = w.v
    return Step(
        "The Jacobian",
        "Both cases together, for all classes at once. Every row sums to zero: adding the same "
        "number to all logits changes nothing. The matrix is symmetric, so the columns do too: "
        "the probabilities keep their sum 1.",
        (
            rf"J_{{ij}} = \frac{{\partial p_i}}{{\partial {v}_j}} = "
            r"\begin{cases} p_i (1 - p_i) & \text{if } i = j \\ -p_i p_j & \text{if } i \ne j "
            r"\end{cases}",
            r"J = \operatorname{diag}(p) - p p^\top \quad J \mathbf{1} = p - p \sum_k p_k = 0",
        ),
        (matrix("The matrix $J$", w.jacobian, keep=w.keep, sums=True),),
        (
            w.check("$J$", w.pair.activation, w.z, w.jacobian),
            _zero_sums(w),
        ),
    )


def _zero_sums(w: Work) -> Check:
    sums = np.max(np.abs(w.jacobian.sum(axis=1)))
    room = len(w.x) * w.arithmetic.rounding * 4
    return Check(r"row sums of $J$ are 0", sums, room, bool(sums <= room), method=COMPARED)


def _formulas(w: Work, name: str, source: str, index: str, let: dict[str, str]) -> tuple[str, ...]:
    parts = [f"{letter} = {w.latex(part)}" for letter, part in let.items()]
    return (f"{name} = {w.latex(source, index)}", *parts)


def _value(w: Work) -> Step:
    f, title = w.pair.formula, words(w.pair.activation_name)
    index = "" if w.pair.elementwise else "i"
    name = f"{w.s}_i" if index else f"f({w.v})"
    prose = f"The activation is {title}, " + (
        f"applied to each number by itself, $a_i = f({w.v}_i)$.".replace("a_i", f"{w.s}_i")
        if w.pair.elementwise
        else "which looks at the whole row."
    )
    constants = ", ".join(
        f"${w.latex(k)} = {w.n(w.arithmetic.option(v))}$" for k, v in w.pair.constants.items()
    )
    formula = w.pair.expression(f.value, {"x": w.z}, w.pair.let) + 0 * w.z
    return Step(
        f"The activation: {title}",
        " ".join(part for part in (prose, constants and f"Here {constants}.", _note(w)) if part),
        _formulas(w, name, f.value, index, w.pair.let),
        (table("", {f"${w.v}$": w.z, f"${w.s}$": w.a}, keep=w.keep, bold=w.top),),
        (w.same("the library against the formula", w.a, formula),)
        if not w.arithmetic.exact
        else (_against_library(w),),
    )


def _note(w: Work) -> str:
    note = w.pair.formula.note.replace("a_i", f"{w.s}_i").replace("a_j", f"{w.s}_j")
    return note.replace(r"\tau(x)", rf"\tau({w.v})").replace("$-x$", f"$-{w.v}$")


def _against_library(w: Work) -> Check:
    z = np.array([float(v) for v in w.z])
    found = np.asarray(w.pair.function(z, **w.pair.activation_options))
    exact = np.array([float(v) for v in w.a])
    difference = float(np.max(np.abs(found - exact)))
    room = 1e-12 * float(np.max(np.abs(exact)) + np.max(np.abs(z)) + 1)
    what = "the library's float64 against these digits"
    return Check(what, difference, room, difference <= room, method=COMPARED)


def _slope(w: Work) -> Step:
    f = w.pair.formula
    assert isinstance(f, Elementwise)
    slopes = np.diag(w.jacobian)
    columns = {f"${w.v}$": w.z, f"${w.s}$": w.a, f"$f'({w.v})$": slopes}
    return Step(
        "Its derivative and its Jacobian",
        rf"Each value depends on its own input alone: $\partial {w.s}_i / \partial {w.v}_j = 0$ "
        rf"where "
        r"$i \ne j$. The Jacobian is diagonal, and nobody writes the zeros down.",
        (
            f"f'({w.v}) = {w.latex(f.slope)}",
            rf"J = \operatorname{{diag}}(f'({w.v}_0), f'({w.v}_1), \dots)",
        ),
        (table("", columns, keep=w.keep, bold=w.top),),
        (w.check(f"$f'({w.v})$", w.pair.activation, w.z, w.jacobian),),
    )


def _row_jacobian(w: Work) -> Step:
    f = w.pair.formula
    assert isinstance(f, Rowwise)
    matrix_latex = f.matrix.replace(" a", f" {w.s}").replace("(a)", f"({w.s})")
    entries = f.entries.replace("a_", f"{w.s}_")
    return Step(
        "The Jacobian",
        "The derivative of every output by every input.",
        (
            rf"J_{{ij}} = \frac{{\partial {w.s}_i}}{{\partial {w.v}_j}} = {entries}",
            matrix_latex,
        ),
        (matrix("The matrix $J$", w.jacobian, keep=w.keep, sums=True),),
        (w.check("$J$", w.pair.activation, w.z, w.jacobian), _zero_sums(w)),
    )
