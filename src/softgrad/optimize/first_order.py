"""Optimisers that follow one gradient at a time: SGD, Adam, AdamW.

An optimiser is a description without state. What it remembers is a dictionary of arrays, made by
``start`` and moved by ``step``, so that it can be saved, copied and resumed like any other value:

    state = optimizer.start(parameters)
    optimizer.step(parameters, gradient, state)      # in place, one vector each
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from softgrad import _checks, _native
from softgrad._typing import Array
from softgrad.errors import OptionError, ShapeError
from softgrad.optimize.schedules import Schedule, as_schedule

State = dict[str, Array]


def _share(value: float, name: str) -> None:
    _checks.number(value, name, "a number from 0 to below 1", lambda a: 0.0 <= a < 1.0)


def _not_negative(value: float, name: str) -> None:
    _checks.number(value, name, "a finite number >= 0", lambda a: 0.0 <= a < math.inf)


@dataclass(frozen=True)
class Optimizer(ABC):
    """A rule that moves parameters against a gradient, one step at a time."""

    step_size: float | Schedule
    _schedule: ClassVar[Schedule]  # an attribute of the instance, but no field of it

    def __post_init__(self) -> None:
        object.__setattr__(self, "_schedule", as_schedule(self.step_size))  # the class is frozen

    def start(self, parameters: Array) -> State:
        """The state before the first step: what is remembered of no gradients, and 0 steps."""
        state = {name: np.zeros_like(parameters) for name in self._memories()}
        state["steps"] = np.zeros((), np.int64)
        return state

    def step_size_at(self, state: State) -> float:
        """The step size of the next step."""
        return self._schedule(int(state["steps"]))

    def step(
        self,
        parameters: Array,
        gradient: Array,
        state: State,
        *,
        decayed: Sequence[slice] | None = None,
        scale: float = 1.0,
        keep: bool = False,
    ) -> None:
        """Move ``parameters`` and ``state`` by one step, in place.

        Parameters
        ----------
        parameters, gradient : ndarray (n,), float32 or float64
            Contiguous vectors of one type.
        state : dict
            From ``start``.
        decayed : list of slice, optional
            The parts that weight decay applies to, in ascending order; by default all.
        scale : float
            A factor on the gradient: what ``clip_scale`` returns.
        keep : bool
            Whether ``gradient`` becomes the parameters as they were: a way back that costs no
            memory.
        """
        self._check(parameters, gradient, state)
        step = int(state["steps"])
        size = self._schedule(step)
        for part, decay in self._parts(parameters.size, decayed):
            own = [state[name][part] for name in self._memories()]
            self._move(parameters[part], gradient[part], own, step, size, decay, scale, keep)
        state["steps"] += 1

    def _check(self, parameters: Array, gradient: Array, state: State) -> None:
        for name, array in (("gradient", gradient), *((n, state[n]) for n in self._memories())):
            if array.shape != parameters.shape or array.dtype != parameters.dtype:
                raise ShapeError(
                    f"{name} is {array.dtype}{list(array.shape)}, the parameters are "
                    f"{parameters.dtype}{list(parameters.shape)}."
                )

    def _parts(self, size: int, decayed: Sequence[slice] | None) -> list[tuple[slice, float]]:
        decay: float = getattr(self, "weight_decay", 0.0)
        if decay == 0.0 or decayed is None:
            return [(slice(0, size), decay)]
        parts, at = [], 0
        for part in decayed:
            parts += [(slice(at, part.start), 0.0), (part, decay)]
            at = part.stop
        return [(p, d) for p, d in (*parts, (slice(at, size), 0.0)) if p.stop > p.start]

    @abstractmethod
    def _memories(self) -> tuple[str, ...]:
        """The names of the vectors in the state."""

    @abstractmethod
    def _move(
        self,
        parameters: Array,
        gradient: Array,
        memories: list[Array],
        step: int,
        size: float,
        decay: float,
        scale: float,
        keep: bool,
    ) -> None:
        """One step of a part of the parameters."""


@final
@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov's variant of it.

    b <- momentum b + g,    w <- w - step_size b    (Nesterov: w - step_size (g + momentum b))

    Parameters
    ----------
    step_size : float or Schedule
    momentum : float
        In 0..1, without 1.
    nesterov : bool
    weight_decay : float
        Added to the gradient, times the weights.

    References
    ----------
    I. Sutskever et al., On the importance of initialization and momentum (2013), section 2; in the
    form that PyTorch uses, with the step size outside of the velocity.

    Examples
    --------
    >>> import numpy as np
    >>> from softgrad.optimize import SGD
    >>> w, optimizer = np.ones(2), SGD(0.1)
    >>> optimizer.step(w, np.array([1.0, 2.0]), optimizer.start(w))
    >>> w
    array([0.9, 0.8])
    """

    step_size: float | Schedule = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _share(self.momentum, "momentum")
        _not_negative(self.weight_decay, "weight_decay")
        if self.nesterov and self.momentum == 0.0:
            raise OptionError("nesterov=True needs a momentum above 0.")

    def _memories(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum else ()

    def _move(
        self,
        parameters: Array,
        gradient: Array,
        memories: list[Array],
        step: int,
        size: float,
        decay: float,
        scale: float,
        keep: bool,
    ) -> None:
        velocity = memories[0] if memories else None
        _native.sgd_step(
            parameters, gradient, velocity, size, self.momentum, self.nesterov, decay, scale, keep
        )


@dataclass(frozen=True)
class _Moments(Optimizer):
    """What Adam and AdamW share: two running moments of the gradient."""

    step_size: float | Schedule = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _share(self.beta1, "beta1")
        _share(self.beta2, "beta2")
        _not_negative(self.weight_decay, "weight_decay")
        _checks.number(self.epsilon, "epsilon", "a finite number > 0", lambda a: 0.0 < a < math.inf)

    def _memories(self) -> tuple[str, ...]:
        return ("first_moment", "second_moment")

    def _adam(
        self,
        w: Array,
        g: Array,
        memories: list[Array],
        step: int,
        size: float,
        decay: float,
        shrink: float,
        scale: float,
        keep: bool,
    ) -> None:
        m, v = memories
        bias1 = 1.0 - self.beta1 ** (step + 1)
        bias2 = 1.0 - self.beta2 ** (step + 1)
        _native.adam_step(
            w, g, m, v, size / bias1, 1.0 / math.sqrt(bias2), self.beta1, self.beta2,
            self.epsilon, decay, shrink, scale, keep,
        )  # fmt: skip


@final
@dataclass(frozen=True)
class Adam(_Moments):
    """Adam: steps of about the same length for every parameter.

    m <- beta1 m + (1 - beta1) g,    v <- beta2 v + (1 - beta2) g^2,
    w <- w - step_size m' / (sqrt(v') + epsilon)    with    m' = m / (1 - beta1^t), v' likewise

    Parameters
    ----------
    step_size : float or Schedule
    beta1, beta2 : float
        In 0..1, without 1.
    epsilon : float
        Above 0.
    weight_decay : float
        Added to the gradient, times the weights; ``AdamW`` keeps it out of the moments.

    References
    ----------
    D. Kingma, J. Ba, Adam (2015), algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from softgrad.optimize import Adam
    >>> w, optimizer = np.ones(2), Adam(0.1)
    >>> optimizer.step(w, np.array([1.0, -20.0]), optimizer.start(w))
    >>> w.round(6)
    array([0.9, 1.1])
    """

    def _move(
        self,
        parameters: Array,
        gradient: Array,
        memories: list[Array],
        step: int,
        size: float,
        decay: float,
        scale: float,
        keep: bool,
    ) -> None:
        self._adam(parameters, gradient, memories, step, size, decay, 1.0, scale, keep)


@final
@dataclass(frozen=True)
class AdamW(_Moments):
    """Adam with weight decay that does not pass through the moments.

    w <- (1 - step_size weight_decay) w, then as ``Adam``.

    Parameters
    ----------
    step_size : float or Schedule
    beta1, beta2, epsilon : float
        As for ``Adam``.
    weight_decay : float
        The share of a weight that a step of size 1 would take away.

    References
    ----------
    I. Loshchilov, F. Hutter, Decoupled weight decay regularization (2019), algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> from softgrad.optimize import AdamW
    >>> w, optimizer = np.ones(2), AdamW(0.1, weight_decay=0.1)
    >>> optimizer.step(w, np.array([1.0, 0.0]), optimizer.start(w))
    >>> w.round(6)
    array([0.89, 0.99])
    """

    weight_decay: float = 0.01

    def _move(
        self,
        parameters: Array,
        gradient: Array,
        memories: list[Array],
        step: int,
        size: float,
        decay: float,
        scale: float,
        keep: bool,
    ) -> None:
        shrink = 1.0 - size * decay
        self._adam(parameters, gradient, memories, step, size, 0.0, shrink, scale, keep)


def clip_scale(gradient: Array, largest: float) -> float:
    """The factor in 0..1 that brings the gradient's Euclidean norm down to ``largest``.

    Parameters
    ----------
    gradient : array (n,)
    largest : float
        Above 0.

    Returns
    -------
    float
        1 for a gradient that is short enough, or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from softgrad.optimize import clip_scale
    >>> clip_scale(np.array([3.0, 4.0]), 1.0)
    0.2
    """
    with np.errstate(over="ignore"):
        norm = math.sqrt(float(np.dot(gradient, gradient)))
    if not math.isfinite(norm):
        # Squares overflow long before the norm does.
        biggest = float(np.abs(gradient).max(initial=0.0))
        if not math.isfinite(biggest):
            return 1.0  # nothing can be saved: whoever checks the loss will see it
        part = gradient.astype(np.float64) / biggest
        norm = biggest * math.sqrt(float(np.dot(part, part)))
    return 1.0 if norm <= largest else largest / norm
