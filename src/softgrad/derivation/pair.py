"""An activation with a loss, for one row of logits: every number that the steps show.

`Float64Pair` asks the functions of the library, in float64; `ExactPair` computes the formulas of
`softgrad.derivation.formulas` with mpmath. The steps do not know which of them they work with.
"""

from __future__ import annotations

import difflib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from softgrad._typing import Array
from softgrad.derivation.arithmetic import Arithmetic
from softgrad.derivation.expression import SCALARS, evaluate, names
from softgrad.derivation.formulas import ACTIVATIONS, LOSSES, Elementwise, LossFormula
from softgrad.errors import OptionError
from softgrad.functions import ACTIVATIONS as FUNCTIONS
from softgrad.functions import LOSSES as LOSS_FUNCTIONS

#: What an activation returns, where it is more than real numbers.
GIVES = {
    "softmax": "probabilities",
    "softmin": "probabilities",
    "sparsemax": "probabilities",
    "sigmoid": "probabilities",
    "log_softmax": "log_probabilities",
    "log_sigmoid": "log_probabilities",
}


_WORDS = {
    "relu": "ReLU",
    "leaky_relu": "leaky ReLU",
    "elu": "ELU",
    "selu": "SELU",
    "gelu": "GELU",
    "gelu_tanh": "GELU by tanh",
    "silu": "SiLU",
    "log_softmax": "log-softmax",
    "nll": "negative log-likelihood",
    "binary_cross_entropy_probabilities": "binary cross-entropy of probabilities",
    "huber": "Huber loss",
    "focal": "focal loss",
    "sigmoid_focal": "sigmoid focal loss",
    "kl_divergence": "Kullback-Leibler divergence",
    "multiclass_hinge": "multiclass hinge loss",
}


def words(name: str) -> str:
    """The name of a function in prose."""
    return _WORDS.get(name, name.replace("cross_entropy", "cross-entropy").replace("_", " "))


class Pair(ABC):
    """a = f(z), L(a, y) and their derivatives, z of shape (C,)."""

    def __init__(
        self,
        activation: str,
        loss: str | None,
        options: Mapping[str, Any],
        arithmetic: Arithmetic,
        T: Any = 1,
    ) -> None:
        self.activation_name = activation
        self.loss_name = loss
        self.arithmetic = arithmetic
        self.formula = ACTIVATIONS[activation]
        self.loss_formula: LossFormula | None = None if loss is None else LOSSES[loss]
        self.activation_options, self.loss_options = _routed(activation, loss, options)
        self.constants = {
            **getattr(self.formula, "constants", {}),
            **_defaults(self.function, self.formula_names(), self.activation_options),
        }
        self.loss_constants: dict[str, Any] = {}
        if self.loss_formula is not None:
            used = self.loss_names()
            chosen = _defaults(self.loss_function, used, self.loss_options)
            derived = self.loss_formula.derived.items()
            chosen |= {k: _derived(source, chosen, arithmetic) for k, source in derived}
            self.loss_constants = {k: 1 if v is None else v for k, v in chosen.items()}
            if "T" in used:
                self.loss_constants["T"] = T

    # --- What is known without numbers -----------------------------------------------------------

    @property
    def function(self) -> Any:
        return FUNCTIONS[self.activation_name]

    @property
    def loss_function(self) -> Any:
        assert self.loss_name is not None
        return LOSS_FUNCTIONS[self.loss_name]

    @property
    def elementwise(self) -> bool:
        return isinstance(self.formula, Elementwise)

    @property
    def fused(self) -> bool:
        """Whether the loss of the logits contains this activation: p is a step inside it."""
        return self.loss_formula is not None and self.loss_formula.link == self.activation_name

    @property
    def symbol(self) -> str:
        """The letter for the activation's value: p for probabilities."""
        return "p" if GIVES.get(self.activation_name) == "probabilities" else "a"

    def formula_names(self) -> set[str]:
        f = self.formula
        derivative = f.slope if isinstance(f, Elementwise) else f.jacobian
        return set().union(*(names(s) for s in (f.value, derivative, *self.let.values())))

    @property
    def let(self) -> dict[str, str]:
        """The parts that the activation's formula is made of."""
        return self.formula.let if isinstance(self.formula, Elementwise) else {}

    def loss_names(self) -> set[str]:
        f = self.loss_formula
        assert f is not None
        return set().union(
            *(names(s) for s in (f.value, f.slope, f.of_p, f.slope_of_p, *f.let.values()) if s)
        )

    # --- Numbers ---------------------------------------------------------------------------------

    @abstractmethod
    def activation(self, z: Array) -> Array:
        """a = f(z)."""

    @abstractmethod
    def jacobian(self, z: Array) -> Array:
        """da_i/dz_j, the whole matrix also where it is diagonal."""

    @abstractmethod
    def loss(self, z: Array, y: Array) -> Any:
        """L(f(z), y)."""

    @abstractmethod
    def loss_of(self, a: Array, y: Array) -> Any:
        """L by the activation's value."""

    @abstractmethod
    def slope_of(self, a: Array, y: Array) -> Array:
        """dL/da."""

    @abstractmethod
    def gradient(self, z: Array, y: Array) -> Array:
        """dL/dz."""

    @abstractmethod
    def hessian(self, z: Array, y: Array) -> Array:
        """The second derivatives of L by z."""

    def rounded_loss(self, z: Array, y: Array) -> Any:
        """The numbers that are rounded between z and L, each times how much L feels of it."""
        if self.fused:
            return 0
        a = self.activation(z)
        return np.sum(np.abs(a * self.slope_of(a, y)))

    def rounded_gradient(self, z: Array, y: Array) -> Any:
        """The same between z and dL/dz."""
        return 0

    def expression(
        self,
        source: str,
        values: Mapping[str, Any],
        let: Mapping[str, str],
        *,
        of_loss: bool = False,
    ) -> Any:
        """An expression of the tables at these values."""
        table = self.loss_constants if of_loss else self.constants
        scope = {**{k: self.arithmetic.option(v) for k, v in table.items()}, **values}
        for name, part in let.items():
            scope[name] = evaluate(part, self.arithmetic.functions, scope)
        return evaluate(source, self.arithmetic.functions, scope)


def known(name: object, what: str, table: Mapping[str, Any]) -> str:
    """A name of the table; a function of the library stands for its own name."""
    if not isinstance(name, str):
        name = getattr(name, "__name__", name)
    if name not in table:
        near = difflib.get_close_matches(str(name), table, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise OptionError(f"{what}={name!r} is not known; accepted are {', '.join(table)}.{hint}")
    return str(name)


def _routed(
    activation: str, loss: str | None, options: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the activation and those of the loss; an unknown one is refused."""
    takes = {
        "activation": set(FUNCTIONS[activation].options) & SCALARS,
        "loss": set() if loss is None else set(LOSS_FUNCTIONS[loss].options) & SCALARS,
    }
    for name in options:
        if not any(name in accepted for accepted in takes.values()):
            accepted = sorted(takes["activation"] | takes["loss"])
            raise OptionError(
                f"{name}= is no option of activation {activation!r}"
                + (f" or loss {loss!r}" if loss else "")
                + f"; accepted here: {', '.join(accepted) or 'none'}."
            )
    return (
        {k: v for k, v in options.items() if k in takes["activation"]},
        {k: v for k, v in options.items() if k in takes["loss"]},
    )


def _defaults(function: Any, used: set[str], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the options that the formula speaks of."""
    parameters = inspect.signature(function).parameters
    return {
        name: chosen.get(name, parameters[name].default)
        for name in parameters
        if name in used & SCALARS
    }


def _derived(source: str, chosen: Mapping[str, Any], arithmetic: Arithmetic) -> Any:
    """A constant that follows from options; 1, like them, where they are None."""
    if any(chosen[n] is None for n in names(source)):
        return None
    return evaluate(source, {}, {n: arithmetic.option(chosen[n]) for n in names(source)})
