"""What a source of batches offers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt


class Batch(NamedTuple):
    """Some rows: ``X`` (n, D), their labels ``y`` (n,) and weights (n,) or None.

    X is a C-ordered array of float32, float64 or uint8, or SciPy CSR of float32 or float64. It may
    be a view of the source's own memory: read it, do not write to it.
    """

    X: Any
    y: npt.NDArray[Any]
    sample_weight: npt.NDArray[np.float64] | None = None


@runtime_checkable
class Batches(Protocol):
    """Rows in batches. Every iteration gives the same rows in the same order, in constant memory.

    ``n_rows`` is None where it takes a pass to know. ``name`` stands in messages.
    """

    name: str
    n_features: int
    n_rows: int | None
    feature_names: list[str] | None

    def __iter__(self) -> Iterator[Batch]: ...
