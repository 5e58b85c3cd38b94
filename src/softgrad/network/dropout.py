"""Dropout."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from softgrad import _checks
from softgrad._typing import Array
from softgrad.errors import OptionError
from softgrad.network.layer import Layer, Pass

_DRAWN_AT_ONCE = 1 << 16  # random numbers


@final
class Dropout(Layer):
    """Set each unit to 0 with probability ``rate`` in training; nothing otherwise.

    y = m x / (1 - rate),    m = 0 with probability rate, else 1

    Parameters
    ----------
    rate : float
        In 0..1, without 1.

    References
    ----------
    N. Srivastava et al., Dropout (2014), sections 4 and 10 (scaling in training).

    Examples
    --------
    >>> from softgrad.network import Dropout
    >>> Dropout(0.1)
    Dropout(0.1)
    """

    reads_input = reads_output = False

    def __init__(self, rate: float) -> None:
        accepted = "a number from 0 to below 1"
        self.rate = _checks.number(rate, "rate", accepted, lambda p: 0.0 <= p < 1.0)

    def __repr__(self) -> str:
        return f"Dropout({self.rate:g})"

    def config(self) -> dict[str, Any]:
        return {"layer": "Dropout", "rate": self.rate}

    def _active(self, call: Pass) -> bool:
        return call.training and self.rate > 0.0

    def forward(self, x: Any, call: Pass) -> Array:
        if not self._active(call):
            return np.asarray(x)
        if call.rng is None:
            raise OptionError("Dropout needs a random generator in training; pass rng=.")
        # Only which units stay is kept: a quarter of the memory of their factors, or an eighth.
        kept = call.buffer("kept", x.shape, np.bool_)
        at_once = min(len(x), max(1, _DRAWN_AT_ONCE // max(1, x.shape[1])))
        drawn = call.buffer("drawn", (at_once, x.shape[1]))
        for start in range(0, len(x), at_once):
            part = drawn[: len(x) - start]
            call.rng.random(out=part, dtype=part.dtype.type)
            np.greater_equal(part, self.rate, out=kept[start : start + at_once])
        call.kept["mask"] = kept
        return self._masked(x, kept, x if call.in_place else call.buffer("y", x.shape))

    def _masked(self, a: Array, kept: Array, out: Array | None) -> Array:
        result: Array = np.multiply(a, a.dtype.type(1.0 / (1.0 - self.rate)), out=out)
        result *= kept
        return result

    def backward(self, x: Any, y: Array, g: Array, call: Pass, wanted: bool) -> Array | None:
        if not wanted or not self._active(call):
            return g
        return self._masked(g, call.kept["mask"], g)

    def tangent(
        self, x: Any, y: Array, dx: Array | None, directions: list[Array], call: Pass
    ) -> Array:
        if dx is None:
            return np.zeros_like(y)
        return self._masked(dx, call.kept["mask"], None) if self._active(call) else dx

    def backward_tangent(
        self,
        x: Any,
        y: Array,
        dx: Array | None,
        g: Array,
        dg: Array,
        directions: list[Array],
        call: Pass,
    ) -> tuple[Array, Array]:
        if not self._active(call):
            return g, dg
        kept = call.kept["mask"]
        return self._masked(g, kept, None), self._masked(dg, kept, None)
