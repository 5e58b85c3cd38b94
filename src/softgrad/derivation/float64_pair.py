"""A pair in float64, by the members of the library's own functions."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from softgrad._typing import Array
from softgrad.derivation.pair import Pair


class Float64Pair(Pair):
    """Float64, by the members of the library's own functions."""

    def activation(self, z: Array) -> Array:
        return np.asarray(self.function(z, **self.activation_options))

    def jacobian(self, z: Array) -> Array:
        found = np.asarray(self.function.jacobian(z, **self.activation_options))
        return np.diag(found) if found.ndim == 1 else found

    def _target(self, y: Array) -> Any:
        """y as this loss takes it: an index where it knows no probabilities."""
        accepted = self.loss_function.targets
        if "probabilities" in accepted or "values" in accepted:
            return y
        return int(np.argmax(y))

    @property
    def _fixed(self) -> dict[str, str]:
        return {} if self.loss_formula is None else self.loss_formula.fixed

    @cached_property
    def factor(self) -> Any:
        """What the library's loss is multiplied with: 1, or T^2."""
        assert self.loss_formula is not None
        return self.expression(self.loss_formula.factor, {}, {}, of_loss=True)

    def _of(self, member: str, a: Array, y: Array, *more: Array) -> Any:
        call = getattr(self.loss_function, member) if member else self.loss_function
        options = {**self.loss_options, **self._fixed}
        return self.factor * call(a, self._target(y), *more, reduction="sum", **options)

    def loss(self, z: Array, y: Array) -> Any:
        return self._of("", z, y) if self.fused else self.loss_of(self.activation(z), y)

    def loss_of(self, a: Array, y: Array) -> Any:
        if not self.fused:
            return self._of("", a, y) if self._in_domain(a) else np.nan
        assert self.loss_formula is not None
        return self._of_p(self.loss_formula.of_p, a, y)[..., 0]

    def slope_of(self, a: Array, y: Array) -> Array:
        if not self.fused:
            return np.asarray(self._of("grad", a, y))
        assert self.loss_formula is not None
        return np.asarray(self._of_p(self.loss_formula.slope_of_p, a, y)) + np.zeros_like(a)

    def _in_domain(self, a: Array) -> bool:
        """Whether the loss takes these values: a step for a difference may lead out of 0..1."""
        takes = getattr(self.loss_function, "takes", "")
        return takes != "probabilities" or bool(np.all((a >= 0) & (a <= 1)))

    def _of_p(self, source: str, p: Array, y: Array) -> Any:
        with np.errstate(all="ignore"):
            return self.expression(source, {"p": p, "y": y}, {}, of_loss=True)

    def gradient(self, z: Array, y: Array) -> Array:
        if self.fused:
            return np.asarray(self._of("grad", z, y))
        a = self.activation(z)
        if not self._in_domain(a):
            return np.full(len(z), np.nan)
        return np.asarray(self.function.vjp(z, self._of("grad", a, y), **self.activation_options))

    def rounded_gradient(self, z: Array, y: Array) -> Any:
        if self.fused:
            return 0
        a = self.activation(z)
        g = self._of("grad", a, y)
        felt = np.abs(self._of("hvp", a, y, np.abs(a))) + np.abs(g)
        return np.max(np.abs(self.jacobian(z)).T @ felt)

    def hessian(self, z: Array, y: Array) -> Array:
        if self.fused:
            return np.asarray(self._of("hessian", z, y)).reshape(len(z), len(z))
        a = self.activation(z)
        g = self._of("grad", a, y)
        columns = []
        for v in np.eye(len(z)):
            moved = self._of("hvp", a, y, self.function.jvp(z, v, **self.activation_options))
            columns.append(
                self.function.vjp(z, moved, **self.activation_options)
                + self.function.hvp(z, g, v, **self.activation_options)
            )
        return np.stack(columns, axis=1)
