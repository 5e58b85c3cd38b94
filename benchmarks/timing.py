"""Medians of calls timed beside one another, in an order shuffled anew every round.

A fixed order misleads by up to a factor of two: whoever runs first finds the caches, the page
tables and the processor's clock in a state that the others do not.
"""

import gc
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

Call = Callable[[], object]

SHORTEST_SAMPLE = 300e-6  # seconds: below it, a sample is a loop of calls
SETTLE = 4e-3  # seconds after which idle OpenMP threads of another library no longer spin


def no_preparation() -> None:
    """What most contenders need before they run."""


@dataclass
class Contender:
    """One call in a race; ``prepare`` runs untimed before each of its samples."""

    name: str
    call: Call
    prepare: Callable[[], None] = no_preparation
    samples: list[float] = field(default_factory=list)
    loops: int = 1
    spent: float = 0.0

    @property
    def median(self) -> float:
        """The median time of one call, in seconds."""
        return median(self.samples)

    def sample(self) -> float:
        """The time of one call; a large result is released after the clock has stopped."""
        call = self.call
        repeat = range(self.loops)
        start = time.perf_counter()
        for _ in repeat:
            result = call()
        stop = time.perf_counter()
        del result
        return (stop - start) / self.loops

    def warm_up(self) -> None:
        """Run once to fault memory in and compile, then choose how many calls make one sample."""
        self.prepare()
        self.call()
        once = self.sample()
        if once < SHORTEST_SAMPLE:
            self.loops = 20
            once = self.sample()
            self.loops = max(1, min(10_000, round(SHORTEST_SAMPLE / max(once, 1e-9))))
        self.spent = 0.0


def race(
    contenders: list[Contender],
    *,
    seconds: float,
    rounds: tuple[int, int],
    rng: random.Random,
    settle: bool,
) -> dict[str, float]:
    """Time all contenders against one another; medians in seconds by name.

    Every contender runs in at least ``rounds[0]`` rounds, and goes on until it has used ``seconds``
    or has run in ``rounds[1]`` of them. With ``settle``, threads of the one before get time to go
    to sleep.
    """
    for contender in contenders:
        contender.warm_up()
    least, most = rounds
    gc.collect()
    gc.disable()
    try:
        for turn in range(most):
            running = [c for c in contenders if turn < least or c.spent < seconds]
            if not running:
                break
            rng.shuffle(running)
            for contender in running:
                contender.prepare()
                if settle:
                    time.sleep(SETTLE)
                    if contender.loops > 1:
                        contender.call()
                elapsed = contender.sample()
                contender.samples.append(elapsed)
                contender.spent += elapsed * contender.loops
    finally:
        gc.enable()
    return {contender.name: contender.median for contender in contenders}
