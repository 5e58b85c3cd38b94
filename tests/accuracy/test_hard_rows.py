"""Errors in ULP against arbitrary precision, on rows that break the usual formulas.

The limits are the promises of the library.  "Of the terms" means relative to the size of the terms
that a result is the difference of, where these may cancel: see `softgrad._reference.exact`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
import pytest

import softgrad as sg
from softgrad import _native
from softgrad._reference import exact
from tests.conftest import Observed
from tests.support import problems, ulp
from tests.support.problems import Problem
from tests.support.rows import KINDS, hardest_float64

SIZES = [range(1, 17), range(17, 29), range(29, 40), range(40, 56), range(56, 71)]
SIZES += [[127, 128, 129, 1000], [4095, 4096, 4097, 5000]]
LONG = [65536, 160_000, 163_840, 163_841, 170_000, 1_000_000]
LONG_KINDS = ("ordinary", "wide", "confident", "ties", "offset", "with_minus_inf")
TEMPERATURES = [0.1, 0.3, 0.7, 2.0, 3.7, 10.0]
DTYPES = ["float32", "float64"]

SOFTMAX = LOSS_GRADIENT = 3.0
SOFTMAX_VJP = SOFTMAX_JACOBIAN = 1.0
LOG_SOFTMAX = CROSS_ENTROPY = LOGSUMEXP = 1.0


@lru_cache(maxsize=32)
def hard_rows(
    classes: int, dtype: str, kinds: tuple[str, ...], temperature: float
) -> list[tuple[Problem, exact.Row]]:
    """A batch of hard rows; all parts of a test share their exact exponentials."""
    rng = np.random.default_rng(classes)
    batch = [problems.make(kind, classes, dtype, rng) for kind in kinds]
    return [(problem, problem.exact(temperature)) for problem in batch]


def temperature_for(classes: int) -> float:
    """Every size is tested at one temperature beside 1, and every temperature at many sizes."""
    return TEMPERATURES[classes % len(TEMPERATURES)]


class Check:
    """All values and first derivatives of a batch of hard rows at one temperature."""

    def __init__(
        self,
        rows: list[tuple[Problem, exact.Row]],
        temperature: float,
        observed: Observed,
        prefix: str = "",
    ) -> None:
        self.prefix = prefix
        self.batch = [problem for problem, _ in rows]
        self.exact = [row for _, row in rows]
        self.temperature = temperature
        self.observed = observed
        self.x = np.stack([problem.row for problem in self.batch])
        self.rng = np.random.default_rng(self.x.shape[1] + 1)

    def label(self, function: str) -> str:
        return self.prefix + (function if self.temperature == 1 else f"{function}, T")

    def run(self, part: str) -> None:
        """One of PARTS."""
        {
            "values": self.values,
            "products": self.products,
            "losses": self.losses,
            "soft_losses": self.soft_losses,
        }[part]()

    def rows(
        self, function: str, result: Any, truths: list[Any], limit: float, terms: Any = None
    ) -> None:
        """One number for every class."""
        for i, problem in enumerate(self.batch):
            error = problem.errors(result[i], truths[i], None if terms is None else terms[i])
            self._record(function, error, limit, problem)

    def numbers(
        self, function: str, result: Any, truths: list[Any], limit: float, scales: Any = None
    ) -> None:
        """One number for every row."""
        for i, problem in enumerate(self.batch):
            error = ulp.errors(result[i], truths[i], None if scales is None else scales[i])
            self._record(function, error, limit, problem)

    def _record(self, function: str, error: Any, limit: float, problem: Problem) -> None:
        case = f"{problem.name}, C = {self.x.shape[1]}, T = {self.temperature}"
        self.observed.check(self.label(function), self.x.dtype.name, error, limit, case)

    def values(self) -> None:
        t = self.temperature
        p = sg.softmax(self.x, temperature=t)
        log_p = sg.log_softmax(self.x, temperature=t)
        self.rows("softmax", p, [row.softmax for row in self.exact], SOFTMAX)
        self.rows("log_softmax", log_p, [row.log_softmax for row in self.exact], LOG_SOFTMAX)
        if t == 1:
            lse = sg.logsumexp(self.x)
            scales = [max(abs(row.scaled.max()), abs(row.logsumexp)) for row in self.exact]
            truths = [row.logsumexp for row in self.exact]
            self.numbers("logsumexp", lse, truths, LOGSUMEXP, scales)

    def products(self) -> None:
        leaders = [np.eye(len(p.pool))[p.single[0]] for p in self.batch]
        normal = [self.rng.normal(size=len(p.pool)) for p in self.batch]
        for columns in (normal, leaders):
            pools = [g.astype(self.x.dtype) for g in columns]
            self._products(
                pools, np.stack([p.spread(g) for p, g in zip(self.batch, pools, strict=True)])
            )

    def _products(self, pools: list[Any], g: Any) -> None:
        def each(name: str) -> list[Any]:
            return [getattr(row, name)(pool) for row, pool in zip(self.exact, pools, strict=True)]

        for name, function, limit in (
            ("softmax_vjp", sg.softmax.vjp, SOFTMAX_VJP),
            ("log_softmax_vjp", sg.log_softmax.vjp, 4.0),
            ("log_softmax_jvp", sg.log_softmax.jvp, 3.0),
        ):
            label = f"{name.replace('x_', 'x.')} of the terms"
            result = function(self.x, g, temperature=self.temperature)
            self.rows(label, result, each(name), limit, each(f"{name}_terms"))

    def losses(self) -> None:
        for which in range(min(3, len(self.batch[0].single))):
            columns = [problem.single[which] for problem in self.batch]
            target = np.array([p.position(c) for p, c in zip(self.batch, columns, strict=True)])
            self._losses("cross_entropy", columns, target, 0.0)
            self._losses("cross_entropy, smoothed", columns, target, 0.1)

    def soft_losses(self) -> None:
        columns = []
        for problem, row in zip(self.batch, self.exact, strict=True):
            weight = self.rng.random(len(problem.pool)) ** 3 * np.isfinite(problem.pool)
            columns.append((weight / np.sum(weight * row.counts)).astype(self.x.dtype))
        target = np.stack([p.spread(y) for p, y in zip(self.batch, columns, strict=True)])
        self._losses("cross_entropy, soft target", columns, target, 0.0)

    def _losses(self, name: str, columns: list[Any], target: Any, smoothing: float) -> None:
        loss, grad = sg.cross_entropy.value_and_grad(
            self.x,
            target,
            reduction="none",
            label_smoothing=smoothing,
            temperature=self.temperature,
        )
        pairs = list(zip(self.exact, columns, strict=True))
        truths = [row.cross_entropy(y, smoothing) for row, y in pairs]
        self.numbers(name, loss, truths, CROSS_ENTROPY)
        grads = [row.cross_entropy_grad(y, smoothing) for row, y in pairs]
        if name == "cross_entropy":
            self.rows(f"{name}.grad", grad, grads, LOSS_GRADIENT)
        else:
            terms = [row.cross_entropy_grad_terms(y, smoothing) for row, y in pairs]
            self.rows(f"{name}.grad of the terms", grad, grads, LOSS_GRADIENT, terms)


PARTS = ["values", "products", "losses", "soft_losses"]  # the fastest parameter: see hard_rows


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: f"{sizes[0]}-{sizes[-1]}")
def test_every_number_of_classes(
    sizes: list[int], dtype: str, part: str, observed: Observed
) -> None:
    for classes in sizes:
        for temperature in (1.0, temperature_for(classes)):
            rows = hard_rows(classes, dtype, tuple(KINDS), temperature)
            Check(rows, temperature, observed).run(part)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", LONG)
def test_long_rows(classes: int, dtype: str, part: str, observed: Observed) -> None:
    kinds = LONG_KINDS[: 6 if classes < 1_000_000 else 4]
    for temperature in (1.0, temperature_for(classes)):
        rows = hard_rows(classes, dtype, kinds, temperature)
        Check(rows, temperature, observed).run(part)


@pytest.fixture
def restore_instruction_set() -> Iterator[None]:
    before = _native.instruction_set()
    yield
    _native.set_instruction_set(before)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.usefixtures("restore_instruction_set")
def test_the_baseline(dtype: str, part: str, observed: Observed) -> None:
    """Processors without fused multiply-add keep the promises too, in other last bits."""
    _native.set_instruction_set("baseline")
    for classes in (3, 10, 24, 33, 65, 127, 1000, 4097):
        for temperature in (1.0, temperature_for(classes)):
            rows = hard_rows(classes, dtype, tuple(KINDS), temperature)
            Check(rows, temperature, observed, "baseline ").run(part)
    rows = hard_rows(65536, dtype, LONG_KINDS, 1.0)
    Check(rows, 1.0, observed, "baseline ").run(part)


@pytest.mark.parametrize("classes", [2, 3, 17, 40, 300])
def test_offsets_beyond_float32(classes: int, observed: Observed) -> None:
    pool = hardest_float64(np.random.default_rng(classes), classes)
    row = Problem("hardest_float64", pool, np.arange(classes), (int(np.argmax(pool)), 0, 1))
    check = Check([(row, row.exact())], 1.0, observed)
    check.values()
    check.products()
    check.losses()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", [1, 2, 3, 10, 33])
def test_jacobian_has_every_digit(classes: int, dtype: str, observed: Observed) -> None:
    """p_i (1 - p_i) of a confident row is p_i times the sum of the others."""
    rng = np.random.default_rng(classes)
    for kind in KINDS:
        row = problems.make(kind, classes, dtype, rng)
        result = sg.softmax.jacobian(row.row)
        truth = row.exact().softmax_jacobian()[np.ix_(row.index, row.index)]
        error = ulp.errors(result, truth)
        observed.check("softmax.jacobian", dtype, error, SOFTMAX_JACOBIAN, f"{kind}, C = {classes}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_reduced_losses(dtype: str, reduction: str, observed: Observed) -> None:
    """The reduction adds no error: the sum of many rows is as exact as one of them."""
    rng = np.random.default_rng(7)
    for rows, classes in [(3, 5), (1000, 3), (700, 40)]:
        x = (rng.normal(size=(rows, classes)) * 8).astype(dtype)
        target = rng.integers(classes, size=rows)
        result = sg.cross_entropy(x, target, reduction=reduction)
        truths = [exact.Row(row).cross_entropy(int(t)) for row, t in zip(x, target, strict=True)]
        with mpmath.workprec(1300):
            truth = sum(truths) / (rows if reduction == "mean" else 1)
        error = ulp.errors(result, truth)
        observed.check(f"cross_entropy {reduction}", dtype, error, 1.0, f"{rows} x {classes}")
