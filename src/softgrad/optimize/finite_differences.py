"""An analytic gradient against the function it claims to belong to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GradientCheck:
    """``relative_error`` is |analytic - numeric| / (|analytic| + |numeric|) over all directions.

    0 is agreement, 1 is what a gradient of zeros gets.
    """

    relative_error: float
    directions: int
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.relative_error <= self.tolerance


def check_gradient(
    value_and_grad: Callable[[Vector], tuple[float, Vector]],
    x: Vector,
    *,
    directions: int = 20,
    tolerance: float = 1e-7,
    step: float = 1e-3,
    seed: int = 0,
) -> GradientCheck:
    """Compare ``directions`` slopes at ``x`` with finite differences of fourth order.

    Half of the directions are coordinates, which show a single wrong component; half are dense,
    which miss none. The step 1e-3 balances the truncation error h^4 with the rounding error eps/h;
    a smaller one meets fewer kinks of a function that has some.

    Parameters
    ----------
    value_and_grad : callable
        Takes x and returns the value and the gradient, in float64.
    x : array (n,) of float64
        Where to compare.
    directions : int
    tolerance : float
        The largest relative error that passes.
    step : float
        As a share of the largest component of x, or of 1 where that is larger.
    seed : int
        Of the directions.

    Returns
    -------
    GradientCheck
        ``relative_error`` is |slopes - differences| / (|slopes| + |differences|), in Euclidean
        norms over the directions.

    Examples
    --------
    >>> import numpy as np
    >>> from softgrad.optimize import check_gradient
    >>> check_gradient(lambda x: (float(x @ x), 2 * x), np.arange(3.0)).passed
    True
    >>> check_gradient(lambda x: (float(x @ x), x), np.arange(3.0)).passed
    False
    """
    rng = np.random.default_rng(seed)
    step *= max(1.0, float(np.abs(x).max(initial=0.0)))
    _, grad = value_and_grad(x)
    analytic, numeric = [], []
    for index in range(directions):
        direction = np.zeros_like(x)
        if index % 2:
            direction[rng.integers(x.size)] = 1.0
        else:
            direction = rng.standard_normal(x.size)
            direction /= np.linalg.norm(direction)
        near = value_and_grad(x + step * direction)[0] - value_and_grad(x - step * direction)[0]
        far = (
            value_and_grad(x + 2 * step * direction)[0]
            - value_and_grad(x - 2 * step * direction)[0]
        )
        numeric.append((8 * near - far) / (12 * step))
        analytic.append(float(grad @ direction))
    difference = float(np.linalg.norm(np.subtract(analytic, numeric)))
    size = float(np.linalg.norm(analytic) + np.linalg.norm(numeric))
    return GradientCheck(difference / size if size else 0.0, directions, tolerance)
