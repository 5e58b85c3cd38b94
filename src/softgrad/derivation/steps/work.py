"""What every step works with: one row of logits, its target, and the pair of functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from softgrad._typing import Array
from softgrad.derivation import differences, expression, figures
from softgrad.derivation.arithmetic import Arithmetic, is_finite
from softgrad.derivation.document import Check
from softgrad.derivation.pair import GIVES, Pair

#: With more classes only those that are shown are checked, and so are their columns.
_CHECK_ALL, _CHECK_ALL_EXACT = 64, 12

#: How a check was made that is no finite difference.
COMPARED = "comparison"


@dataclass(frozen=True)
class Work:
    """One row: logits x, target y (None without a target), features h of the layer below."""

    pair: Pair
    x: Array
    y: Array | None
    T: Any
    h: Array
    index: int | None = None
    digits: int = 6

    # --- Numbers ---------------------------------------------------------------------------------

    @property
    def arithmetic(self) -> Arithmetic:
        return self.pair.arithmetic

    @cached_property
    def z(self) -> Array:
        return np.asarray(self.x / self.T)

    @cached_property
    def a(self) -> Array:
        return self.pair.activation(self.z)

    @cached_property
    def jacobian(self) -> Array:
        return self.pair.jacobian(self.z)

    @property
    def target(self) -> Array:
        assert self.y is not None
        return self.y

    @cached_property
    def loss(self) -> Any:
        return self.pair.loss(self.z, self.target)

    @cached_property
    def slope(self) -> Array:
        """dL/da."""
        return self.pair.slope_of(self.a, self.target)

    @cached_property
    def gradient(self) -> Array:
        """dL/dz."""
        return self.pair.gradient(self.z, self.target)

    def loss_at(self, x: Array) -> Any:
        """L by the logits, the temperature included."""
        return self.pair.loss(x / self.T, self.target)

    def gradient_at(self, x: Array) -> Array:
        return np.asarray(self.pair.gradient(x / self.T, self.target) / self.T)

    def evaluate(self, source: str, **values: Any) -> Any:
        """An expression at these values."""
        return expression.evaluate(source, self.arithmetic.functions, values)

    # --- Symbols ---------------------------------------------------------------------------------

    @property
    def heated(self) -> bool:
        return bool(self.T != 1)

    @property
    def v(self) -> str:
        """The letter of the activation's input: z = x / T, or x itself where T = 1."""
        return "z" if self.heated else "x"

    @property
    def s(self) -> str:
        """The letter of the activation's value."""
        return self.pair.symbol

    def latex(self, source: str, index: str = "") -> str:
        """An expression in the letters of this derivation."""
        return expression.latex(source, index=index, symbols={"x": self.v, "a": self.s})

    def n(self, value: Any) -> str:
        """A number within a formula."""
        return figures.latex(value, min(self.digits, 60))

    def factor(self, value: Any) -> str:
        """A number that a product is made of: of many digits only the first."""
        short = figures.latex(value, min(self.digits, 6))
        return rf"{short}\dots" if self.digits > 12 and len(short) > 7 else short

    # --- What to show ----------------------------------------------------------------------------

    @cached_property
    def top(self) -> int:
        """The class with the largest value."""
        return int(np.argmax(self.a))

    @cached_property
    def focus(self) -> tuple[int, int]:
        """The class that examples are about, and another: the target and its strongest rival."""
        i = self.top if self.index is None else self.index
        order = sorted(range(len(self.x)), key=lambda k: self.x[k], reverse=True)
        return i, next((k for k in order if k != i), i)

    @property
    def keep(self) -> set[int]:
        return {self.top, *self.focus}

    @property
    def checked(self) -> list[int] | None:
        if len(self.x) <= (_CHECK_ALL_EXACT if self.arithmetic.exact else _CHECK_ALL):
            return None
        return sorted({0, 1, 2, len(self.x) - 1, *self.keep})

    # --- Checks ----------------------------------------------------------------------------------

    def check(
        self,
        what: str,
        f: Any,
        x: Array,
        claimed: Any,
        scale: Any = 1.0,
        through: Any = 0,
        within: Sequence[int] | None = None,
        pieces: Sequence[Any] = (),
    ) -> Check:
        """A derivative against finite differences, by the entries ``within`` alone if given."""
        only = self.checked
        if only is not None and len(x) % len(self.x) == 0:  # a row of weights for each class
            size = len(x) // len(self.x)
            only = [k * size + n for k in only for n in range(size)]
        elif len(x) < len(self.x):
            only = None
        if within is not None:
            only = [k for k in within if only is None or k in only]
        return differences.check(
            what,
            f,
            x,
            claimed,
            self.arithmetic,
            scale=scale,
            through=through,
            only=only,
            pieces=pieces,
        )

    @property
    def through(self) -> Any:
        """What is rounded where the logits themselves are computed: see `differences.check`."""
        return np.max(np.abs(self.x)) * np.max(np.abs(self.gradient)) / self.T + self.rounded

    @cached_property
    def rounded(self) -> Any:
        """What is rounded between the logits and the loss."""
        return self.pair.rounded_loss(self.z, self.target)

    def same(self, what: str, claimed: Any, other: Any, terms: Any = 0) -> Check:
        """Two ways to the same numbers, which are sums of terms as large as ``terms``."""
        claimed, other = np.asarray(claimed), np.asarray(other)
        difference = np.max(np.abs(claimed - other))
        size = max(np.max(np.abs(claimed)), np.max(np.abs(other)), np.max(np.abs(terms)))
        if not is_finite(difference):
            return Check(what, None, None, True, "not compared: the numbers are not finite")
        tolerance = self._room * size
        passed = bool(difference <= tolerance)
        return Check(what, difference, tolerance, passed, method=COMPARED)

    @property
    def _room(self) -> Any:
        exact = self.arithmetic.exact
        return self.arithmetic.number(10) ** (-self.arithmetic.digits) if exact else 1e-12

    @property
    def interior(self) -> list[int] | None:
        """The entries of a that can move in both directions: probabilities between 0 and 1."""
        takes = getattr(self.pair.loss_function, "takes", "")
        if not self.pair.fused and takes != "probabilities":
            return None
        return [k for k, v in enumerate(self.a) if 0 < v < 1]

    @property
    def value_scale(self) -> Any:
        """The length over which a loss bends when the activation's values move."""
        loss = self.pair.loss_name
        if loss is None or GIVES.get(self.pair.activation_name) != "probabilities":
            return 1.0
        near = np.where(self.a > 0.5, 1 - self.a, self.a)
        return np.where(near > 0, near, 0 * near + 1)
