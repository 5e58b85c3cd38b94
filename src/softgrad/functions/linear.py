"""The softmax cross-entropy of a linear model, without the N x C logits.

    loss(W, b) = sum_i s_i CE((x_i - shift) W^T + b, y_i)

    dloss/dW = sum_i g_i (x_i - shift)^T      g_i = s_i (softmax(logits_i) - onehot(y_i))
    dloss/db = sum_i g_i

The rows are taken in blocks small enough for the cache. A block becomes logits (BLAS), the logits
become their own gradient in place (one call of ``cross_entropy``), the gradient becomes a product
with the same block (BLAS), and the block is forgotten.

Blocks, their grouping and the order of every sum depend on the shape of the data alone, and each
product runs on one thread: the number of threads cannot change a bit of the result.

With one weight vector (W of shape (1, D)) the model is binary: the logits are [0, z].
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.functions._one_thread_each import one_thread_each
from softgrad.functions.losses import cross_entropy

Float = npt.NDArray[np.float64]
Matrix = Any  # ndarray of float32, float64 or uint8; or SciPy CSR

_BLOCK_BYTES = 1 << 20  # half of a level 2 cache: one block of rows and its logits
_BLOCK_ROWS = (128, 4096)
_GROUPS = 16  # at most: groups of blocks are what threads share
_WORK_PER_THREAD = 1 << 20  # products below which a second thread costs more than it brings


def linear_logits(X: Matrix, weight: Float, bias: Float) -> Float:
    """``X @ weight.T + bias`` in float64, shape (N, C); X is converted block by block."""
    logits = np.empty((X.shape[0], weight.shape[0]))
    blocks = _Blocks(X, weight, None)
    with one_thread_each():
        for start, stop in blocks.bounds(0, X.shape[0]):
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
    block_shift = None if sparse else shift
    if sparse and shift is not None:
        bias = bias - weight @ shift

    n_rows = X.shape[0]
    groups = _groups(n_rows, weight.shape[0], _Blocks(X, weight, block_shift).block_rows)

    def one_group(group: int) -> tuple[list[float], Float, Float]:
        start, stop = groups[group], groups[group + 1]
        return _group_loss_and_grad(
            _Blocks(X, weight, block_shift), start, stop, bias, target, sample_weight
        )

    n_groups = len(groups) - 1
    work = n_rows * weight.size if not sparse else X.nnz * weight.shape[0]

    losses: list[float] = []
    grad_weight = np.zeros_like(weight)
    grad_bias = np.zeros_like(bias)
    with one_thread_each() as shared_by:
        n_threads = min(shared_by, n_groups, 1 + work // _WORK_PER_THREAD)
        for part in _in_order(one_group, n_groups, n_threads):
            losses += part[0]
            grad_weight += part[1]
            grad_bias += part[2]

    if sparse and shift is not None:
        grad_weight -= np.outer(grad_bias, shift)
    return math.fsum(losses), grad_weight, grad_bias


def _group_loss_and_grad(
    blocks: _Blocks,
    group_start: int,
    group_stop: int,
    bias: Float,
    target: npt.NDArray[np.int64],
    sample_weight: Float | None,
) -> tuple[list[float], Float, Float]:
    binary = bias.shape[0] == 1
    losses: list[float] = []
    grad_weight = np.zeros((blocks.n_outputs, blocks.n_features))
    grad_bias = np.zeros_like(bias)
    for start, stop in blocks.bounds(group_start, group_stop):
        rows = blocks.rows(start, stop)
        outputs = rows @ blocks.weight_transposed
        outputs += bias
        logits = np.concatenate((np.zeros_like(outputs), outputs), axis=1) if binary else outputs
        loss, grad = cross_entropy.value_and_grad(
            logits,
            target[start:stop],
            reduction="sum",
            sample_weight=None if sample_weight is None else sample_weight[start:stop],
            out=logits,
        )
        if binary:
            grad = grad[:, 1:]
        losses.append(float(loss))
        grad_weight += blocks.gradient(grad, rows)
        grad_bias += grad.sum(axis=0)
    return losses, grad_weight, grad_bias


class _Blocks:
    """Row blocks of a matrix as float64, and the two products that a linear model needs."""

    n_outputs: int
    n_features: int

    def __init__(self, X: Matrix, weight: Float, shift: Float | None) -> None:
        self.X = X
        self.shift = shift
        self.n_outputs, self.n_features = weight.shape
        self.sparse = not isinstance(X, np.ndarray)
        # SciPy's product copies a dense operand that is not C-contiguous, once for each block.
        self.weight_transposed = np.ascontiguousarray(weight.T) if self.sparse else weight.T
        self.block_rows = self._choose_block_rows()
        self.buffer: Float | None = None

    def _choose_block_rows(self) -> int:
        if self.sparse:
            # A product costs a pass over a dense (D, C) result: take rows enough to pay for it.
            stored_per_row = max(1, int(self.X.nnz) // max(1, int(self.X.shape[0])))
            return max(_BLOCK_ROWS[0], 8 * self.n_features // stored_per_row)
        widest = max(self.n_features, self.n_outputs, 1)
        least, most = _BLOCK_ROWS
        return min(most, max(least, _BLOCK_BYTES // (8 * widest)))

    def bounds(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        for first in range(start, stop, self.block_rows):
            yield first, min(stop, first + self.block_rows)

    def rows(self, start: int, stop: int) -> Any:
        rows = self.X[start:stop]
        if self.sparse or (rows.dtype == np.float64 and self.shift is None):
            return rows
        if self.buffer is None:
            self.buffer = np.empty((self.block_rows, self.n_features))
        block = self.buffer[: stop - start]
        np.copyto(block, rows)
        if self.shift is not None:
            block -= self.shift
        return block

    def gradient(self, grad: Float, rows: Any) -> Float:
        product: Float = (rows.T @ np.ascontiguousarray(grad)).T if self.sparse else grad.T @ rows
        return product


def _groups(n_rows: int, n_outputs: int, block_rows: int) -> list[int]:
    """Bounds of the groups: few enough that their (C, D) gradients stay smaller than the data."""
    n_groups = min(_GROUPS, max(1, n_rows // max(block_rows, 4 * n_outputs)))
    return [n_rows * group // n_groups for group in range(n_groups + 1)]


def _in_order(work: Any, n_groups: int, n_threads: int) -> Iterator[Any]:
    if n_threads <= 1:
        yield from map(work, range(n_groups))
        return
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="softgrad")
    try:
        yield from pool.map(work, range(n_groups))
    finally:
        pool.shutdown(cancel_futures=True)
