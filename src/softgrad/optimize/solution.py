"""What a solver returns and why it stopped."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Status(enum.Enum):
    """Why a solver stopped."""

    CONVERGED = "the tolerance was reached"
    ITERATION_LIMIT = "the limit of iterations was reached"
    STALLED = "the objective no longer decreases in double precision"
    SEPARABLE = "the classes are separable, so the loss has no minimum"
    NOT_FINITE = "the objective is not finite at the starting point"
    INTERRUPTED = "it was interrupted"


@dataclass(frozen=True)
class Iterate:
    """One iteration, as a callback sees it. ``grad_norm`` is the largest absolute component.

    ``gap`` bounds (or, with ``certified`` false, estimates) how far ``value`` is above the minimum.
    """

    iteration: int
    evaluations: int
    x: Array
    value: float
    grad_norm: float
    gap: float = float("nan")
    certified: bool = False


@dataclass(frozen=True)
class Solution:
    """The best point found and why the search ended there.

    ``gap`` bounds how far ``value`` lies above the minimum if ``certified``; otherwise it is an
    estimate, or NaN. ``evaluations`` counts values with gradients, ``products`` Hessian products.
    """

    x: Array
    value: float
    grad_norm: float
    gap: float
    certified: bool
    status: Status
    iterations: int
    evaluations: int
    products: int = 0

    @property
    def converged(self) -> bool:
        return self.status is Status.CONVERGED
