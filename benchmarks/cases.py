"""What is measured: functions, shapes, and the targets that the project has set itself."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32] | NDArray[np.float64]

FUNCTIONS = (
    "softmax",
    "log_softmax",
    "logsumexp",
    "softmax.vjp",
    "cross_entropy",
    "cross_entropy.value_and_grad",
)


@dataclass(frozen=True)
class Shape:
    """Rows and classes of a matrix of logits; ``axis`` 0 has the classes come first in memory."""

    rows: int
    classes: int
    axis: int = -1

    @property
    def dims(self) -> tuple[int, int]:
        """The shape of the array."""
        if self.axis == 0:
            return (self.classes, self.rows)
        return (self.rows, self.classes)

    @property
    def size(self) -> int:
        """The number of logits."""
        return self.rows * self.classes

    @property
    def tiny(self) -> bool:
        """Whether a call costs more than its arithmetic."""
        return self.size < 10_000

    @property
    def key(self) -> str:
        """The name on a command line."""
        return "{}x{}".format(*self.dims) + ("@0" if self.axis == 0 else "")

    def __str__(self) -> str:
        text = "({:,}, {:,})".format(*self.dims)
        return text + " axis 0" if self.axis == 0 else text


SHAPES = (
    Shape(1, 10),
    Shape(1, 1000),
    Shape(1_000_000, 10),
    Shape(4096, 1000),
    Shape(64, 32_000),
    Shape(256, 128_000),
    Shape(8, 4_000_000),
    Shape(4096, 1000, axis=0),
)


@dataclass(frozen=True)
class Inputs:
    """The arrays of one case, the same for everybody who computes with them."""

    x: Array
    target: NDArray[np.int64]
    p: Array  # softmax of x
    g: Array  # cotangent
    out: Array  # a buffer for whoever can use one, its pages touched
    axis: int

    @classmethod
    def draw(cls, shape: Shape, dtype: str, scale: float) -> "Inputs":
        """Normal logits of the given scale, uniform targets."""
        rng = np.random.default_rng(20240501)
        single = np.dtype(dtype).type
        # Standard normal in the type itself, so that a large double needs no second array.
        x = rng.standard_normal(shape.dims, dtype=single)
        x *= single(scale)
        g = rng.standard_normal(shape.dims, dtype=single)
        p = np.exp(x - x.max(axis=shape.axis, keepdims=True))
        p /= p.sum(axis=shape.axis, keepdims=True)
        target = rng.integers(0, shape.classes, shape.rows)
        return cls(x, target, p, g, np.zeros_like(x), shape.axis)


def bytes_moved(function: str, inputs: Inputs) -> int:
    """The bytes that must be read and written at least, outputs included."""
    logits, labels = inputs.x.nbytes, inputs.target.nbytes
    rows = inputs.target.size * inputs.x.itemsize
    return {
        "softmax": 2 * logits,
        "log_softmax": 2 * logits,
        "logsumexp": logits + rows,
        "softmax.vjp": 3 * logits,
        "cross_entropy": logits + labels,
        "cross_entropy.value_and_grad": 2 * logits + labels,
    }[function]
