"""Training on all rows at once, by L-BFGS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from softgrad._typing import Array, ArrayLike
from softgrad.errors import OptionError, ShapeError
from softgrad.network.dropout import Dropout
from softgrad.network.sequential import Sequential
from softgrad.network.training import check_labels
from softgrad.optimize.lbfgs import minimize_lbfgs
from softgrad.optimize.solution import Iterate, Solution


def train_lbfgs(
    net: Sequential,
    X: Any,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    class_weight: ArrayLike | None = None,
    weight_decay: float = 0.0,
    max_iter: int = 200,
    tol: float = 1e-5,
    callback: Callable[[Iterate], object] | None = None,
) -> Solution:
    """Train a network in place by L-BFGS, on all rows at once: for small data and few weights.

    Minimizes the loss plus weight_decay / 2 times the squared weights, without biases and scales.

    Parameters
    ----------
    net : Sequential
        Without active Dropout and without BatchNorm: they are made for mini-batches. float64 lets
        the line search see smaller decreases.
    X, y, sample_weight, class_weight
        As for ``train``.
    weight_decay : float
    max_iter : int
    tol : float
        The largest component of the gradient at which to stop.
    callback : callable, optional
        Called with an ``Iterate`` after each iteration.

    Returns
    -------
    Solution
        Its ``x`` is what the network's ``vector`` now holds.

    Raises
    ------
    ValueError
        For a network with layers that need mini-batches; for shapes and labels that do not fit.

    Examples
    --------
    >>> import numpy as np, softgrad as sg
    >>> from softgrad.network import Linear, Sequential, train_lbfgs
    >>> net = Sequential([Linear(2, 4), sg.sigmoid, Linear(4, 2)], loss=sg.cross_entropy, seed=1)
    >>> X, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0]
    >>> train_lbfgs(net, X, y, tol=1e-3).converged
    True
    >>> net.forward(X).argmax(axis=1)
    array([0, 1, 1, 0])
    """
    active = [a for a in net.layers if isinstance(a, Dropout) and a.rate > 0.0]
    if active or net.statistic_names:
        raise OptionError(
            "L-BFGS minimizes one fixed function, but Dropout and BatchNorm make another one of "
            "every batch. Leave them out, or use train with Adam."
        )
    if np.shape(X)[:1] == (0,):
        raise ShapeError("X has no rows; there is nothing to train on.")
    check_labels(net, y)
    gradient, decayed = np.empty_like(net.vector), net.decayed

    def value_and_grad(x: Array) -> tuple[float, Array]:
        net.vector[...] = x
        with np.errstate(over="ignore", invalid="ignore"):
            loss, _ = net.value_and_grad_vector(
                X, y, gradient, sample_weight=sample_weight, class_weight=class_weight
            )
        value, slope = float(loss), gradient.astype(np.float64)
        if weight_decay:
            for part in decayed:
                value += 0.5 * weight_decay * float(x[part] @ x[part])
                slope[part] += weight_decay * x[part]
        return value, slope

    start = net.vector.astype(np.float64)
    solution = minimize_lbfgs(value_and_grad, start, tol=tol, max_iter=max_iter, callback=callback)
    net.vector[...] = solution.x
    return solution
