"""The inputs that a function is tried on.

A probe is always in one form: rows are examples, targets are class indices, all in float64. What
the function wants instead (columns, one-hot, lists, tensors) is the business of `calling`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from softgrad._typing import Array

#: N x C that ordinary probes have. N = C alone would hide what a wrong axis or a lost axis does.
SHAPES = ((4, 3), (6, 3), (4, 5), (3, 3))
SQUARE = ((3, 3), (5, 5))
FEATURES = 2


@dataclass(frozen=True)
class Probe:
    """Logits (N, C) or, for yes/no questions, (N,), with all that may be asked along with them."""

    x: Array
    y: Array
    g: Array
    teacher: Array | None = None
    T: float = 1.0
    alpha: float = 0.3
    X: Array | None = None
    W: Array | None = None
    b: Array | None = None
    lr: float = 0.1
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.x.shape

    def at(self, temperature: float) -> Probe:
        return replace(self, T=temperature)

    def row(self, i: int) -> Probe:
        """Row i alone."""
        pick: dict[str, Any] = {
            name: None if (a := getattr(self, name)) is None else a[i : i + 1]
            for name in ("x", "y", "g", "teacher", "X")
        }
        return replace(self, **pick)


@cache
def random(rows: int, classes: int, seed: int, temperature: float = 1.0) -> Probe:
    """Asymmetric rows of ordinary size; every class that fits is somebody's target."""
    rng = np.random.default_rng([rows, classes, seed])
    X = rng.normal(size=(rows, FEATURES)) + 0.3
    W = rng.normal(size=(FEATURES, classes)) * 1.1
    b = rng.normal(size=classes) * 0.8
    return Probe(
        x=rng.normal(size=(rows, classes)) * 1.3 + rng.normal(size=(rows, 1)) * 0.7,
        y=(np.arange(rows) * 2 + seed + 2) % classes if classes > 1 else np.zeros(rows, int),
        g=rng.normal(size=(rows, classes)) + 0.2,
        teacher=rng.normal(size=(rows, classes)) * 1.2,
        T=temperature,
        X=X,
        W=W,
        b=b,
    )


@cache
def random_binary(rows: int, seed: int) -> Probe:
    """Log-odds and answers."""
    rng = np.random.default_rng([rows, seed])
    y = (np.arange(rows) + seed) % 2
    return Probe(x=rng.normal(size=rows) * 1.6 + 0.3, y=y, g=rng.normal(size=rows) + 0.2)


def of(
    x: Any, y: Any = None, g: Any = None, temperature: float = 1.0, teacher: Any = None
) -> Probe:
    """A probe written out by hand."""
    array = np.asarray(x, dtype=np.float64)
    rows = array.shape[0]
    target = np.zeros(rows, dtype=np.int64) if y is None else np.asarray(y)
    default = np.zeros_like(array)
    if array.ndim == 2:
        default[:, 0] = 1.0
    else:
        default[:] = 1.0
    cotangent = default if g is None else np.asarray(g, dtype=np.float64)
    other = -array if teacher is None else np.asarray(teacher, dtype=np.float64)
    X = W = b = None
    if array.ndim == 2:
        # The features are unit vectors, so that the weights are the logits themselves.
        X, W, b = np.eye(rows), array.copy(), np.zeros(array.shape[1])
    return Probe(array, target, cotangent, other, temperature, X=X, W=W, b=b)
