"""Training rows that do not fit into memory: read again from their source at every pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import compute_class_weight

from softgrad import _native
from softgrad.data.batches import Batches, Summary, blocks, scan
from softgrad.estimators.moments import unless_constant
from softgrad.estimators.rows import Float, Kept, Part, Rows, native_rows

_PART_BYTES = 2 << 20
_PART_ROWS = (1024, 65_536)


class StreamedRows(Rows):
    """Rows in parts of equal length, whatever batches the source makes: no bit depends on them.

    Nothing is kept from one part to the next but sums, and the sampled rows of a preconditioner.
    """

    def __init__(
        self,
        source: Batches,
        *,
        class_weight: Mapping[Any, float] | str | None,
        centre: bool,
    ) -> None:
        self.source = source
        self.summary: Summary = scan(source)
        found = self.summary
        self.n_rows, self.n_features = found.n_rows, found.n_features
        self.n_outputs = 1 if len(found.classes) == 2 else len(found.classes)
        self.sparse = found.sparse
        self.by_class = _class_weights(class_weight, found)
        self.class_weights = found.class_weights * self.by_class
        if self.sparse:
            self.mean, self.scale = np.zeros(self.n_features), np.ones(self.n_features)
        else:
            self.mean = found.mean if centre else np.zeros(self.n_features)
            with np.errstate(over="ignore", invalid="ignore"):
                scale = np.sqrt(found.variance + (found.mean - self.mean) ** 2)
            self.scale = unless_constant(scale, self.mean)
        self.size = np.abs(found.mean) + np.sqrt(found.variance)
        least, most = _PART_ROWS
        self.part_rows = int(np.clip(_PART_BYTES // (8 * max(1, self.n_features)), least, most))
        self._draws = 0
        self._set_sums()

    def parts(self) -> Iterator[tuple[Part, _native.LinearRows]]:
        first = 0
        weighted = not (self.by_class == 1.0).all()
        for block in blocks(self.source, self.summary.classes, self.part_rows):
            weight = block.sample_weight
            if weighted:
                of_class = self.by_class[block.target]
                weight = of_class if weight is None else weight * of_class
            part = Part(first, block.X, block.target, weight)
            yield part, native_rows(self, part)
            first += len(block.target)

    def keeps_probabilities(self) -> bool:
        return False

    def take(self, index: npt.NDArray[np.intp]) -> tuple[Float, Float]:
        raise NotImplementedError  # rows are drawn in sample, without numbers for all of them

    def sample(
        self, n: int, at: Float, kept: Kept | None, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.float32], Float, Float]:
        """As in memory, with two passes and no number kept of a row that is not drawn."""
        self._draws += 1
        total = sum(float(score.sum()) for _, _, _, score in self._scores(at))
        xs, ps, weights = [], [], []
        for number, (block, p, weight, score) in enumerate(self._scores(at)):
            chance = np.minimum(1.0, n * (score / max(total, 1e-300) + 0.02 / self.n_rows))
            of_block = np.random.default_rng((self._draws, number))
            drawn = np.flatnonzero(of_block.random(len(block)) < chance)
            if len(drawn) == 0 and number == 0:
                drawn = np.zeros(1, np.intp)
            xs.append(block[drawn].astype(np.float32))
            ps.append(p[drawn])
            weights.append((1.0 if weight is None else weight[drawn]) / chance[drawn])
        return np.concatenate(xs), np.concatenate(ps), np.concatenate(weights)

    def _scores(self, at: Float) -> Iterator[tuple[Float, Float, Float | None, Float]]:
        for rows, block, weight in self.blocks():
            p = self.probabilities(rows, block, at, None)
            score = np.einsum("ij,ij->i", p, 1.0 - p)
            score *= np.einsum("ij,ij->i", block, block) / max(1, self.n_features) + 0.1
            yield block, p, weight, score

    def _set_sums(self) -> None:
        total = np.zeros(self.n_features)
        least = np.inf
        for part, _ in self.parts():
            weight = np.ones(part.X.shape[0]) if part.weight is None else part.weight
            least = min(least, float(weight[weight > 0].min(initial=np.inf)))
            if self.sparse:
                total += np.asarray(part.X.T @ weight).ravel()
            else:
                total += weight @ ((part.X - self.mean) / self.scale)
        self.sum_of_rows, self.least_weight = total, least


def _class_weights(class_weight: Mapping[Any, float] | str | None, found: Summary) -> Float:
    n_classes = len(found.classes)
    if class_weight is None:
        return np.ones(n_classes)
    if class_weight == "balanced":
        balanced: Float = found.total_weight / (n_classes * found.class_weights)
        return balanced
    by_class: Float = compute_class_weight(
        class_weight, classes=found.classes, y=found.classes
    ).astype(np.float64)
    return by_class
