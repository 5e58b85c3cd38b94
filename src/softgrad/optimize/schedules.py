"""Step sizes that change as training goes on: functions of the number of steps done."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import final

from softgrad import _checks
from softgrad.errors import OptionError


class Schedule(ABC):
    """A step size for every step; a value without state, so that a resumed run agrees."""

    @abstractmethod
    def __call__(self, step: int, /) -> float:
        """The step size of step 0, 1, 2, ..."""


def positive(value: float, name: str) -> float:
    """A step size: finite and above 0."""
    return _checks.number(value, name, "a finite number > 0", lambda a: 0.0 < a < math.inf)


def _share(value: float, name: str) -> float:
    return _checks.number(value, name, "a number in 0..1", lambda a: 0.0 <= a <= 1.0)


def _count(value: int, name: str) -> int:
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise OptionError(f"{name}={value!r}; accepted is an int of at least 1.")
    return int(value)


@final
@dataclass(frozen=True)
class Constant(Schedule):
    """The same step size always.

    >>> from softgrad.optimize import Constant
    >>> Constant(0.1)(1000)
    0.1
    """

    step_size: float

    def __post_init__(self) -> None:
        positive(self.step_size, "step_size")

    def __call__(self, step: int, /) -> float:
        return self.step_size


@final
@dataclass(frozen=True)
class Step(Schedule):
    """step_size * factor^(step // every): a lower stair after every so many steps.

    >>> from softgrad.optimize import Step
    >>> [Step(0.1, every=100, factor=0.5)(step) for step in (0, 99, 100)]
    [0.1, 0.1, 0.05]
    """

    step_size: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        positive(self.step_size, "step_size")
        positive(self.factor, "factor")
        _count(self.every, "every")

    def __call__(self, step: int, /) -> float:
        return float(self.step_size * self.factor ** (step // self.every))


@final
@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from ``step_size`` down to ``final``, over ``steps`` steps.

    final + (step_size - final) (1 + cos(pi step / steps)) / 2    (I. Loshchilov, F. Hutter, SGDR,
    2017, equation 5)

    >>> from softgrad.optimize import Cosine
    >>> [round(Cosine(0.1, steps=100)(step), 3) for step in (0, 50, 100, 200)]
    [0.1, 0.05, 0.0, 0.0]
    """

    step_size: float
    steps: int
    final: float = 0.0

    def __post_init__(self) -> None:
        positive(self.step_size, "step_size")
        _count(self.steps, "steps")
        _checks.number(self.final, "final", "a number >= 0", lambda a: 0.0 <= a < math.inf)

    def __call__(self, step: int, /) -> float:
        return _cosine(self.step_size, self.final, step / self.steps)


@final
@dataclass(frozen=True)
class Exponential(Schedule):
    """From ``step_size`` to ``final`` by equal factors, over ``steps`` steps.

    >>> from softgrad.optimize import Exponential
    >>> [round(Exponential(1e-3, 1e-1, steps=2)(step), 4) for step in (0, 1, 2, 3)]
    [0.001, 0.01, 0.1, 0.1]
    """

    step_size: float
    final: float
    steps: int

    def __post_init__(self) -> None:
        positive(self.step_size, "step_size")
        positive(self.final, "final")
        _count(self.steps, "steps")

    def __call__(self, step: int, /) -> float:
        share = min(step / self.steps, 1.0)
        return float(self.step_size * (self.final / self.step_size) ** share)


@final
@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up to ``peak`` over the first ``warm_up`` share of ``steps``, then down, both by a cosine.

    Starts at peak / start_factor, ends at peak / start_factor / final_factor (L. Smith, N. Topin,
    Super-convergence, 2019; the cosine and the factors are those of PyTorch's OneCycleLR).

    >>> from softgrad.optimize import OneCycle
    >>> [round(OneCycle(0.1, steps=101)(step), 4) for step in (0, 29, 100)]
    [0.004, 0.1, 0.0]
    """

    peak: float
    steps: int
    warm_up: float = 0.3
    start_factor: float = 25.0
    final_factor: float = 1e4

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name not in ("steps", "warm_up"):
                positive(getattr(self, field.name), field.name)
        _count(self.steps, "steps")
        _share(self.warm_up, "warm_up")

    def __call__(self, step: int, /) -> float:
        start = self.peak / self.start_factor
        top = self.warm_up * self.steps - 1.0
        if step <= top:
            return _cosine(start, self.peak, step / top if top > 0.0 else 1.0)
        top = max(top, 0.0)
        length = max(self.steps - 1.0 - top, 1.0)
        return _cosine(self.peak, start / self.final_factor, (step - top) / length)


@final
@dataclass(frozen=True)
class WarmUp(Schedule):
    """The step sizes of another schedule, growing to full size over the first ``steps`` steps.

    >>> from softgrad.optimize import Constant, WarmUp
    >>> [WarmUp(Constant(0.1), steps=4)(step) for step in (0, 1, 3, 4)]
    [0.025, 0.05, 0.1, 0.1]
    """

    schedule: Schedule
    steps: int

    def __post_init__(self) -> None:
        if not isinstance(self.schedule, Schedule):
            raise OptionError(f"schedule={self.schedule!r}; accepted is a Schedule.")
        _count(self.steps, "steps")

    def __call__(self, step: int, /) -> float:
        return self.schedule(step) * min(1.0, (step + 1) / self.steps)


def _cosine(start: float, end: float, share: float) -> float:
    share = min(max(share, 0.0), 1.0)
    return end + (start - end) * (1.0 + math.cos(math.pi * share)) / 2.0


def as_schedule(step_size: float | Schedule) -> Schedule:
    """A number is a constant schedule."""
    return step_size if isinstance(step_size, Schedule) else Constant(step_size)
