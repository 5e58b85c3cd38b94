"""Passes over the rows of a training set: all that the solver asks of the data.

Dense rows are standardized on the fly, x' = (x - mean) / scale; CSR rows are taken as they are.
Sums are over rows and weighted. Parameters have the shape (features + 1, outputs), the last row
holds the intercepts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad import _native
from softgrad.estimators.moments import LARGEST, mean_and_scale, square_norms, summed
from softgrad.functions.softmax import softmax

Float = npt.NDArray[np.float64]
Kept = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
# Of one output, some at a time: standardized rows, and how much curvature each stands for.
Sample = tuple[npt.NDArray[np.float32], Float]
ClassSamples = Callable[[int], Iterator[Sample]]

_BLOCK = 4096
_SAMPLED_AT_A_TIME = 1 << 19  # numbers
# Probabilities are kept between passes if they are small, or small beside the data.
_KEPT_BYTES = 32 << 20
_KEPT_SHARE = 0.05


@dataclass(frozen=True)
class Part:
    """Consecutive rows that are in memory together."""

    first: int
    X: Any
    target: Labels
    weight: Float | None

    @property
    def rows(self) -> slice:
        return slice(self.first, self.first + self.X.shape[0])


class Rows:
    """Training rows as parts. A subclass gives the parts and sets what ``__init__`` names."""

    n_rows: int
    n_features: int
    n_outputs: int
    sparse: bool
    mean: Float
    scale: Float
    size: Float  # about how large the numbers of each feature are
    class_weights: Float  # sum of the weights of each class
    sum_of_rows: Float  # weighted, standardized
    least_weight: float  # of a row that has any

    def parts(self) -> Iterator[tuple[Part, _native.LinearRows]]:
        raise NotImplementedError

    def keeps_probabilities(self) -> bool:
        raise NotImplementedError

    @property
    def total_weight(self) -> float:
        return float(self.class_weights.sum())

    # --- passes ------------------------------------------------------------------------------

    def loss_and_grad(
        self, weights: Float, grad: Float, kept: Kept | None, *, rough: bool = False
    ) -> float:
        """The summed loss; its gradient is added to ``grad``, probabilities go to ``kept``.

        ``rough``: float32 will do, where the rows are centred and scaled. Six digits are enough on
        the way to a minimum that is only the start of something else.
        """
        single = rough and not self.sparse
        return sum(
            native.loss_and_grad(weights, grad, _of(kept, part), single)
            for part, native in self.parts()
        )

    def hessian_product(self, v: Float, out: Float, kept: Kept | None, at: Float) -> None:
        """The loss's Hessian at the kept probabilities, or at the weights ``at``, times ``v``.

        float32 for dense rows: centred and scaled rows and a row's own largest probability as the
        reference leave nothing to cancel. CSR rows have neither; they take float64.
        """
        single = not self.sparse and self.n_rows * v.size > 1 << 16
        for part, native in self.parts():
            native.hessian_product(v, out, _of(kept, part), at, single)

    def moments(self, at: Float, kept: Kept | None) -> tuple[Float, Float]:
        """Sums of q x and q x^2 with q = s p (1 - p), one column for each output."""
        first, second = np.zeros_like(at), np.zeros_like(at)
        for part, native in self.parts():
            native.moments(at, _of(kept, part), first, False)
            native.moments(at, _of(kept, part), second, True)
        return first, second

    def dual(self, at: Float, step: Float, grad: Float, log_prob: Float) -> tuple[float, float]:
        """Divergence of the dual point and the loss at ``at + step``: see DualWork in C++."""
        divergence = loss = 0.0
        for _, native in self.parts():
            d, value = native.dual(at, step, grad, log_prob)
            divergence, loss = divergence + d, loss + value
        return divergence, loss

    # --- single rows (dense) -----------------------------------------------------------------

    def blocks(self) -> Iterator[tuple[slice, Float, Float | None]]:
        """Standardized rows in float64 and their weights, a block at a time."""
        for part, _ in self.parts():
            for rows in _slices(part.X.shape[0]):
                block = part.X[rows] - self.mean
                block /= self.scale
                weight = None if part.weight is None else part.weight[rows]
                yield slice(part.first + rows.start, part.first + rows.stop), block, weight

    def probabilities(self, rows: Any, block: Float, at: Float, kept: Kept | None) -> Float:
        """Of a block of rows, shape (rows, outputs)."""
        if kept is not None:
            of_rows: Float = kept[rows].astype(np.float64)
            return of_rows
        logits: Float = block @ at[:-1] + at[-1]
        if self.n_outputs == 1:
            logits = np.concatenate((np.zeros_like(logits), logits), axis=1)
        p: Float = softmax(logits, out=logits)
        return p[:, 1:] if self.n_outputs == 1 else p

    @cached_property
    def square_norms(self) -> Float:
        """Of the standardized rows."""
        return np.concatenate(
            [square_norms(part.X, self.mean, self.scale) for part, _ in self.parts()]
        )

    def bends(self, at: Float, kept: Kept | None) -> Float:
        """1 - |p|^2 of every row: how much it contributes to the Hessian."""
        bend = np.empty(self.n_rows)
        if kept is not None:
            for rows in _slices(self.n_rows):
                p = kept[rows].astype(np.float64)
                np.einsum("ij,ij->i", p, 1.0 - p, out=bend[rows])
            return bend
        for rows, block, _ in self.blocks():
            p = self.probabilities(rows, block, at, None)
            np.einsum("ij,ij->i", p, 1.0 - p, out=bend[rows])
        return bend

    def take(self, index: npt.NDArray[np.intp]) -> tuple[Float, Float]:
        """The standardized rows with these numbers (rising), and their weights."""
        xs, weights = [np.empty((0, self.n_features))], [np.empty(0)]
        for rows, block, weight in self.blocks():
            low, high = np.searchsorted(index, (rows.start, rows.stop))
            chosen = index[low:high] - rows.start
            xs.append(block[chosen])
            weights.append(np.ones(len(chosen)) if weight is None else weight[chosen])
        return np.concatenate(xs), np.concatenate(weights)

    def sample(
        self, n: int, at: Float, kept: Kept | None, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.float32], Float, Float]:
        """About ``n`` rows, likelier where they bend the loss: rows, probabilities, weights.

        A row is drawn with a probability proportional to (|x|^2 / D + 0.1) (1 - |p|^2), plus a
        little for all rows alike, and weighted by its inverse: rare features are not missed.
        """
        score = self.bends(at, kept)
        score *= self.square_norms / max(1, self.n_features) + 0.1
        score = np.maximum(score, 1e-7 * score.max(initial=1e-300))
        chance = np.minimum(1.0, n * (score / score.sum() + 0.02 / self.n_rows))
        for _ in range(3):
            chance = np.minimum(1.0, chance * (n / chance.sum()))
        index = np.flatnonzero(rng.random(self.n_rows) < chance)
        if len(index) == 0:
            index = np.zeros(1, np.intp)
        x, weight = self.take(index)
        p = self.probabilities(index, x, at, kept)
        return x.astype(np.float32), p, weight / chance[index]

    def class_samples(
        self, n: int, at: Float, kept: Kept | None, rng: np.random.Generator
    ) -> ClassSamples:
        """Rows that stand for the curvature s p (1 - p) of each output: here the same for all."""
        x, p, weight = self.sample(n, at, kept, rng)
        curvature = p * (1.0 - p) * weight[:, None]
        return lambda k: iter(((x, curvature[:, k]),))


class MemoryRows(Rows):
    """Rows in memory, or mapped into it: an ndarray or a SciPy CSR matrix."""

    def __init__(
        self,
        X: Any,
        target: Labels,
        n_classes: int,
        *,
        sample_weight: Float | None,
        centre: bool,
    ) -> None:
        self.n_rows, self.n_features = X.shape
        self.n_outputs = 1 if n_classes == 2 else n_classes
        self.sparse = not isinstance(X, np.ndarray)
        self.part = Part(0, X, target, sample_weight)
        self.least_weight = 1.0
        if sample_weight is not None:
            self.least_weight = float(sample_weight[sample_weight > 0].min(initial=np.inf))
        self.class_weights = np.bincount(target, sample_weight, minlength=n_classes).astype(float)
        if self.sparse:
            self.mean, self.scale = np.zeros(self.n_features), np.ones(self.n_features)
            self.size = np.zeros(self.n_features)
            if float(np.abs(X.data).max(initial=0.0)) >= LARGEST:
                np.maximum.at(self.size, X.indices, np.abs(X.data))
        else:
            self.mean, self.scale = mean_and_scale(
                X, sample_weight, self.total_weight, centre=centre
            )
            self.size = np.abs(self.mean) + self.scale
        self.native = native_rows(self, self.part, often=True)

    @cached_property
    def sum_of_rows(self) -> Float:  # type: ignore[override]
        weight = np.ones(self.n_rows) if self.part.weight is None else self.part.weight
        if self.sparse:
            return np.asarray(self.part.X.T @ weight, dtype=np.float64).ravel()
        return summed(self.part.X, weight, self.mean) / self.scale

    def parts(self) -> Iterator[tuple[Part, _native.LinearRows]]:
        yield self.part, self.native

    def take(self, index: npt.NDArray[np.intp]) -> tuple[Float, Float]:
        block = self.part.X[index] - self.mean
        block /= self.scale
        weight = self.part.weight
        return block, np.ones(len(index)) if weight is None else weight[index]

    def class_samples(
        self, n: int, at: Float, kept: Kept | None, rng: np.random.Generator
    ) -> ClassSamples:
        """About ``n`` rows for each output, drawn as in :meth:`sample` but by its own curvature.

        Most rows bend the loss in few of its outputs, and where the model is sure in none: rows
        drawn for all outputs together would have to be many times as many.
        """
        if kept is None:
            return super().class_samples(n, at, kept, rng)
        leverage = (self.square_norms / max(1, self.n_features) + 0.1).astype(np.float32)
        total = np.zeros(self.n_outputs)
        for rows, curvature in self._curvatures(kept):
            total += curvature @ leverage[rows]
        share = (n / np.maximum(total, 1e-30))[:, None].astype(np.float32)
        indices: list[list[Labels]] = [[] for _ in total]
        weights: list[list[Float]] = [[] for _ in total]
        for rows, curvature in self._curvatures(kept):
            chance = curvature * leverage[rows]
            chance *= share
            chance += np.float32(0.02 * n / self.n_rows)
            np.minimum(chance, np.float32(1.0), out=chance)
            drawn = rng.random(chance.shape, dtype=np.float32) < chance
            for k in range(self.n_outputs):
                index = np.flatnonzero(drawn[k])
                indices[k].append(index + rows.start)
                weights[k].append(curvature[k, index].astype(np.float64) / chance[k, index])

        mean_weight = self.total_weight / self.n_rows

        def of_output(k: int) -> Iterator[Sample]:
            index, stands_for = np.concatenate(indices[k]), np.concatenate(weights[k]) * mean_weight
            step = max(64, _SAMPLED_AT_A_TIME // max(1, self.n_features))
            for start in range(0, len(index), step):
                some = slice(start, start + step)
                yield self.take(index[some])[0].astype(np.float32), stands_for[some]

        return of_output

    def _curvatures(self, kept: Kept) -> Iterator[tuple[slice, Kept]]:
        """s p (1 - p) over the mean of s, an output a row: in float32, which will do to draw."""
        weight = self.part.weight
        if weight is not None:
            weight = weight / (self.total_weight / self.n_rows)
        for rows in _slices(self.n_rows):
            p = np.ascontiguousarray(kept[rows].T)
            p *= 1.0 - p
            if weight is not None:
                p *= weight[rows].astype(np.float32)
            yield rows, p

    def keeps_probabilities(self) -> bool:
        X = self.part.X
        data = int(X.data.nbytes + X.indices.nbytes if self.sparse else X.nbytes)
        return 4 * self.n_rows * self.n_outputs <= max(_KEPT_BYTES, _KEPT_SHARE * data)


def native_rows(rows: Rows, part: Part, *, often: bool = False) -> _native.LinearRows:
    """The part as the kernels read it; what is read ``often`` is worth some preparation."""
    X = part.X
    last = part.target, part.weight, rows.n_outputs
    if not rows.sparse:
        # An array mapped from the middle of a file may be unaligned: that alone is copied.
        X = np.require(X, requirements="A")
        return _native.LinearRows(
            X, None, None, rows.n_features, rows.mean, 1.0 / rows.scale, *last
        )
    indptr = X.indptr.astype(X.indices.dtype, copy=False)
    return _native.LinearRows(
        X.data, indptr, X.indices, rows.n_features, None, None, *last, often=often
    )


def _slices(n_rows: int) -> Iterator[slice]:
    for start in range(0, n_rows, _BLOCK):
        yield slice(start, min(start + _BLOCK, n_rows))


def _of(kept: Kept | None, part: Part) -> Kept | None:
    return None if kept is None else kept[part.rows]
