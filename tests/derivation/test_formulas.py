"""The table of formulas against the functions of the library: none is missing, none differs."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from softgrad.derivation import formulas
from softgrad.derivation.arithmetic import Arithmetic, Exact
from softgrad.derivation.exact_pair import ExactPair
from softgrad.derivation.expression import evaluate, latex
from softgrad.derivation.float64_pair import Float64Pair
from softgrad.derivation.notation import inline, lines, mathml
from softgrad.derivation.pair import GIVES
from softgrad.functions import ACTIVATIONS, LOSSES

X = np.array([0.7, -1.3, 2.1, -0.2, 0.45])
ONE_HOT = np.array([0.0, 0.0, 0.0, 1.0, 0.0])
SOFT = np.array([0.1, 0.2, 0.4, 0.05, 0.25])


def libraries(activation: str, loss: str | None = None) -> tuple[Float64Pair, ExactPair]:
    return (
        Float64Pair(activation, loss, {}, Arithmetic(), 1.0),
        ExactPair(activation, loss, {}, Exact(20), 1),
    )


def suitable(loss: str) -> str:
    """An activation whose values the loss takes."""
    takes = LOSSES[loss].takes
    return {"probabilities": "softmax", "log_probabilities": "log_softmax"}.get(takes, "tanh")


def target(loss: str) -> np.ndarray:
    return ONE_HOT if LOSSES[loss].targets == {"indices"} else SOFT


def test_every_function_has_its_formula() -> None:
    assert set(formulas.ACTIVATIONS) == set(ACTIVATIONS)
    assert set(formulas.LOSSES) == set(LOSSES)
    assert set(GIVES) <= set(ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_formulas_of_activations(name: str) -> None:
    library, exact = libraries(name)
    x = exact.arithmetic.array(X)
    np.testing.assert_allclose(exact.activation(x).astype(float), library.activation(X), 1e-14)
    expected = exact.jacobian(x).astype(float)
    np.testing.assert_allclose(library.jacobian(X), expected, rtol=1e-13, atol=1e-15)
    assert np.any(expected != np.eye(len(X))) or name == "identity"


@pytest.mark.parametrize("name", LOSSES)
def test_formulas_of_losses(name: str) -> None:
    library, exact = libraries(suitable(name), name)
    y = target(name)
    a, many = library.activation(X), exact.arithmetic.array
    value = exact.loss_of(many(a), many(y))
    np.testing.assert_allclose(library.loss_of(a, y), float(value), 1e-12)
    slope = exact.slope_of(many(a), many(y)).astype(float)
    np.testing.assert_allclose(library.slope_of(a, y), slope, rtol=1e-12, atol=1e-14)
    assert np.any(slope != 0)


@pytest.mark.parametrize("name", [n for n, f in formulas.LOSSES.items() if f.link])
def test_losses_by_the_probabilities_within_them(name: str) -> None:
    """L by p equals L by the logits, and J^T dL/dp the gradient by the logits."""
    formula = formulas.LOSSES[name]
    assert formula.link is not None
    library, exact = libraries(formula.link, name)
    many = exact.arithmetic.array
    x, y = many(X), many(target(name))
    p = exact.activation(x)
    assert exact.fused
    assert abs(exact.loss_of(p, y) - exact.loss(x, y)) < 1e-30
    chained = (exact.jacobian(x) * exact.slope_of(p, y)[:, None]).sum(axis=0)
    assert np.max(np.abs(chained - exact.gradient(x, y))) < 1e-30
    np.testing.assert_allclose(
        library.gradient(X, target(name)), chained.astype(float), rtol=1e-12, atol=1e-15
    )
    if formula.cancelled:
        constants = {k: exact.arithmetic.number(v) for k, v in exact.loss_constants.items()}
        scope = {**constants, "p": p, "y": y}
        for letter, part in formula.let.items():
            if letter != "p":
                scope[letter] = evaluate(part, exact.arithmetic.functions, scope)
        for source in filter(None, (formula.cancelled, formula.shortest)):
            found = evaluate(source, exact.arithmetic.functions, scope)
            assert np.max(np.abs(found - chained)) < 1e-16  # the target sums to 1 in float64 only


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ["tanh", "log_softmax", "softmax"])
def test_second_derivatives(activation: str, loss: str) -> None:
    """The library's hvp members against forward differentiation of the formulas."""
    if LOSSES[loss].takes == "probabilities" and activation != "softmax":
        activation = "sigmoid"
    library, exact = libraries(activation, loss)
    y = target(loss)
    expected = exact.hessian(exact.arithmetic.array(X), exact.arithmetic.array(y)).astype(float)
    size = np.max(np.abs(expected))
    np.testing.assert_allclose(library.hessian(X, y), expected, rtol=1e-11, atol=1e-12 * size)


def test_options_of_the_formulas_are_options_of_the_functions() -> None:
    for name, formula in formulas.ACTIVATIONS.items():
        pair = Float64Pair(name, None, {}, Arithmetic())
        parameters = inspect.signature(ACTIVATIONS[name]).parameters
        own = getattr(formula, "constants", {})
        scalars = {n for n in pair.formula_names() if n in ("negative_slope", "alpha")} - set(own)
        assert scalars <= set(parameters), name


def sources() -> list[str]:
    found = []
    for formula in (*formulas.ACTIVATIONS.values(), *formulas.LOSSES.values()):
        for field in ("value", "slope", "of_p", "slope_of_p", "cancelled", "shortest"):
            found += [getattr(formula, field, "")]
        found += [*getattr(formula, "let", {}).values()]
    return sorted({source for source in found if source})


@pytest.mark.parametrize("source", sources())
def test_every_formula_can_be_set(source: str) -> None:
    for index in ("", "i"):
        text = latex(source, index=index)
        assert inline(text)
        assert lines(text)
        assert mathml(text).startswith("<math")
        assert "_{" not in inline(text)
