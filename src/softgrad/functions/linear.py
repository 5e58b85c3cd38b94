"""The softmax cross-entropy of a linear model, without the N x C logits.

    loss(W, b) = sum_i s_i CE((x_i - shift) W^T + b, y_i)

    dloss/dW = sum_i g_i (x_i - shift)^T      g_i = s_i (softmax(logits_i) - onehot(y_i))
    dloss/db = sum_i g_i

The rows are taken in blocks small enough for the cache (linear_batch.hpp): a block becomes logits,
the logits become their own gradient in place, the gradient is multiplied with the same block, and
the block is forgotten. Blocks and the order of every sum depend on the shape of the data alone: the
number of threads cannot change a bit of the result.

With one weight vector (W of shape (1, D)) the model is binary: the logits are [0, z].
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad import _native
from softgrad.functions._one_thread_each import one_thread_each

Float = npt.NDArray[np.float64]
Matrix = Any  # ndarray of float32, float64 or uint8; or SciPy CSR

_BLOCK_BYTES = 1 << 20  # half of a level 2 cache: one block of rows and its logits
_BLOCK_ROWS = (128, 4096)


def linear_logits(X: Matrix, weight: Float, bias: Float) -> Float:
    """``X @ weight.T + bias`` in float64, shape (N, C); X is converted block by block."""
    logits = np.empty((X.shape[0], weight.shape[0]))
    blocks = _Blocks(X, weight)
    with one_thread_each():
        for start, stop in blocks.bounds():
            logits[start:stop] = blocks.rows(start, stop) @ blocks.weight_transposed
    logits += bias
    return logits


def linear_cross_entropy(
    X: Matrix,
    weight: Float,
    bias: Float,
    target: npt.NDArray[np.int64],
    /,
    *,
    sample_weight: Float | None = None,
    shift: Float | None = None,
) -> tuple[float, Float, Float]:
    """The summed loss and its gradients with respect to weight (C, D) and bias (C,).

    ``shift`` (D,) is subtracted from every row; CSR rows stay sparse, the products are corrected.
    """
    sparse = not isinstance(X, np.ndarray)
    n_features = X.shape[1]
    parameters = np.empty((n_features + 1, len(bias)))
    parameters[:-1], parameters[-1] = weight.T, bias
    if sparse:
        indptr = X.indptr.astype(X.indices.dtype, copy=False)
        if shift is not None:
            parameters[-1] -= weight @ shift
        rows = _native.LinearRows(
            X.data, indptr, X.indices, n_features, None, None, target, sample_weight, len(bias)
        )
    else:
        X = np.ascontiguousarray(X)
        ones = None if shift is None else np.ones(n_features)
        rows = _native.LinearRows(
            X, None, None, n_features, shift, ones, target, sample_weight, len(bias)
        )
    grad = np.zeros_like(parameters)
    loss = rows.loss_and_grad(parameters, grad, None, False)
    if sparse and shift is not None:
        grad[:-1] -= np.outer(shift, grad[-1])
    return loss, np.ascontiguousarray(grad[:-1].T), grad[-1]


class _Blocks:
    """Row blocks of a matrix as float64."""

    def __init__(self, X: Matrix, weight: Float) -> None:
        self.X = X
        self.sparse = not isinstance(X, np.ndarray)
        # SciPy's product copies a dense operand that is not C-contiguous, once for each block.
        self.weight_transposed = np.ascontiguousarray(weight.T) if self.sparse else weight.T
        widest = max(*weight.shape, 1)
        least, most = _BLOCK_ROWS
        self.block_rows = min(most, max(least, _BLOCK_BYTES // (8 * widest)))

    def bounds(self) -> Iterator[tuple[int, int]]:
        n_rows = self.X.shape[0]
        for first in range(0, n_rows, self.block_rows):
            yield first, min(n_rows, first + self.block_rows)

    def rows(self, start: int, stop: int) -> Any:
        rows = self.X[start:stop]
        return rows if self.sparse else rows.astype(np.float64, copy=False)
