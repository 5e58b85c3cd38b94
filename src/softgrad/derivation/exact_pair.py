"""A pair in any number of digits, by the formulas of the tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from softgrad._typing import Array
from softgrad.derivation.arithmetic import Exact
from softgrad.derivation.formulas import Rowwise
from softgrad.derivation.pair import Pair


class ExactPair(Pair):
    """Any number of digits, by the formulas of the tables; second derivatives by dual numbers."""

    arithmetic: Exact

    def activation(self, z: Array) -> Array:
        value = self.expression(self.formula.value, {"x": z}, self.let)
        return np.asarray(value + 0 * z, dtype=object)

    def jacobian(self, z: Array) -> Array:
        formula, values = self.formula, {"x": z, "a": self.activation(z)}
        if isinstance(formula, Rowwise):
            return np.asarray(self.expression(formula.jacobian, values, formula.parts))
        slope = self.expression(formula.slope, values, formula.let) + 0 * z
        return np.diag(np.asarray(slope, dtype=object))

    def loss(self, z: Array, y: Array) -> Any:
        if self.fused:
            return self._of_logits("value", z, y)[0]
        return self.loss_of(self.activation(z), y)

    def _of_logits(self, part: str, a: Array, y: Array) -> Any:
        formula = self.loss_formula
        assert formula is not None
        return self.expression(getattr(formula, part), {"a": a, "y": y}, formula.let, of_loss=True)

    def loss_of(self, a: Array, y: Array) -> Any:
        assert self.loss_formula is not None
        if self.fused:
            values = {"p": a, "y": y}
            return self.expression(self.loss_formula.of_p, values, {}, of_loss=True)[0]
        return self._of_logits("value", a, y)[0]

    def slope_of(self, a: Array, y: Array) -> Array:
        assert self.loss_formula is not None
        if self.fused:
            values = {"p": a, "y": y}
            found = self.expression(self.loss_formula.slope_of_p, values, {}, of_loss=True)
        else:
            found = self._of_logits("slope", a, y)
        return np.asarray(found + 0 * a, dtype=object)

    def gradient(self, z: Array, y: Array) -> Array:
        if self.fused:
            return np.asarray(self._of_logits("slope", z, y) + 0 * z, dtype=object)
        # J^T dL/da: the columns of J are summed over the entries of a.
        a = self.activation(z)
        g = self.slope_of(a, y)
        return np.asarray((self.jacobian(z) * g[:, None]).sum(axis=0), dtype=object)

    def hessian(self, z: Array, y: Array) -> Array:
        return self.arithmetic.tangents(lambda x: self.gradient(x, y), z)
