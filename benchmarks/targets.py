"""The speeds that the project has set itself, and whether a set of results reaches them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .cases import FUNCTIONS, SHAPES, Shape


@dataclass(frozen=True)
class Result:
    """Medians of one case, in seconds, by contender; ``limit`` is the time to move the bytes."""

    function: str
    shape: Shape
    dtype: str
    threads: int
    seconds: dict[str, float]
    limit: float

    def speedup(self, peer: str) -> float | None:
        """How many times faster than the peer softgrad is."""
        if peer not in self.seconds:
            return None
        return self.seconds[peer] / self.seconds["softgrad"]

    def over_limit(self) -> float:
        """How many times longer than the bytes alone softgrad takes, writing into given memory."""
        return self.seconds["softgrad out="] / self.limit

    def scaling(self) -> float | None:
        """How many times faster than on one thread softgrad is."""
        return self.speedup("softgrad, 1 thread")


@dataclass(frozen=True)
class Target:
    """A ratio to reach in every case that ``applies`` accepts."""

    what: str
    wanted: float
    measure: Callable[[Result], float | None]
    applies: Callable[[Result], bool]
    at_most: bool = False

    def margin(self, ratio: float) -> float:
        """At least 1 when the ratio is good enough."""
        return self.wanted / ratio if self.at_most else ratio / self.wanted


@dataclass(frozen=True)
class Verdict:
    """A target held against one result."""

    target: Target
    result: Result
    ratio: float

    @property
    def margin(self) -> float:
        """At least 1 when the target is met."""
        return self.target.margin(self.ratio)

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.margin >= 1


def _against(
    peer: str, function: str, wanted: float, where: str, shapes: Iterable[Shape] = SHAPES
) -> Target:
    chosen = frozenset(shapes)
    factor = "no slower than" if wanted == 1 else f"{wanted:g} times as fast as"
    return Target(
        what=f"{function}: {factor} {peer} {where}",
        wanted=wanted,
        measure=lambda result: result.speedup(peer),
        applies=lambda result: (
            result.threads == 1 and result.function == function and result.shape in chosen
        ),
    )


def _within_limit(function: str, wanted: float, where: str, shapes: Iterable[Shape]) -> Target:
    chosen = frozenset(shapes)
    return Target(
        what=f"{function}: at most {wanted:g} times the limit {where}",
        wanted=wanted,
        measure=Result.over_limit,
        applies=lambda result: (
            result.threads == 1 and result.function == function and result.shape in chosen
        ),
        at_most=True,
    )


def _two_threads(function: str, wanted: float) -> Target:
    return Target(
        what=f"{function}: two threads {wanted:g} times as fast as one, but for single rows",
        wanted=wanted,
        measure=Result.scaling,
        applies=lambda result: (
            result.threads == 2 and result.function == function and not result.shape.tiny
        ),
    )


TEN = Shape(1_000_000, 10)
LARGEST = (Shape(256, 128_000), Shape(8, 4_000_000))
MANY = tuple(shape for shape in SHAPES if shape.classes >= 1000)

TARGETS = (
    _against("PyTorch", "softmax", 1.4, "at (4,096, 1,000)", [Shape(4096, 1000)]),
    _against("PyTorch", "softmax", 1.7, "at (64, 32,000)", [Shape(64, 32_000)]),
    _against("PyTorch", "softmax", 8, "at (1,000,000, 10)", [TEN]),
    _against("PyTorch", "softmax", 2.5, "at the two largest", LARGEST),
    _against("SciPy", "softmax", 2, "everywhere"),
    _against("PyTorch", "log_softmax", 1, "everywhere"),
    _against("PyTorch", "logsumexp", 3, "everywhere"),
    _against("PyTorch", "softmax.vjp", 1, "everywhere"),
    _against("PyTorch", "cross_entropy.value_and_grad", 3, "everywhere"),
    _against("PyTorch", "cross_entropy.value_and_grad", 10, "at (1,000,000, 10)", [TEN]),
    _against("PyTorch", "cross_entropy.value_and_grad", 9, "at the two largest", LARGEST),
    *(_within_limit(function, 2.5, "with 1000 classes and more", MANY) for function in FUNCTIONS),
    *(_within_limit(function, 6, "with ten classes, many rows", [TEN]) for function in FUNCTIONS),
    *(_two_threads(function, 1.6) for function in FUNCTIONS),
)


def judge(results: Iterable[Result]) -> list[Verdict]:
    """Every target against every result that it speaks of."""
    verdicts = []
    for result in results:
        for target in TARGETS:
            if target.applies(result):
                ratio = target.measure(result)
                if ratio is not None:
                    verdicts.append(Verdict(target, result, ratio))
    return verdicts
