"""Errors of softgrad and its peers on hard rows, in ULP: ``python -m benchmarks.accuracy``.

Every library gets the same numbers, and the truth is computed from exactly those with mpmath. The
error of a result is its distance from the truth in units of the last place that the truth has in
that type. Only logsumexp, whose two terms may cancel, is measured in units of the larger of its
result and its largest logit; sparsemax, a difference of logits, in those of 1.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import scipy.special
from numpy.typing import NDArray

import softgrad as sg

from . import activation_accuracy, activation_peers, machine, tables
from .cases import Array

# exp(-745) beside 1 is 1075 binary digits away, and 64 more shall be right.
mpmath.mp.prec = 1200

FUNCTIONS = (
    "softmax",
    "log_softmax",
    "logsumexp",
    "softmax.vjp",
    "cross_entropy",
    "cross_entropy.grad",
    "softmin",
    "sparsemax",
)


@dataclass(frozen=True)
class Row:
    """A row of logits; target: its largest; cotangent: one there and zero elsewhere."""

    x: Array

    @property
    def target(self) -> int:
        """The class that the loss and the cotangent ask for."""
        return int(self.x.argmax())


def rows_of(dtype: type[np.floating[Any]]) -> dict[str, list[Row]]:
    """Rows by what is hard about them."""
    rng = np.random.default_rng(7)
    lowest = math.log(np.finfo(dtype).smallest_subnormal)

    def cast(x: NDArray[np.float64]) -> Row:
        return Row(x.astype(dtype))

    def confident(margin: float) -> Row:
        x = rng.standard_normal(100)
        x[rng.integers(100)] = x.max() + margin
        return cast(x)

    return {
        "wide: normal, deviation 10": [cast(10 * rng.standard_normal(1000)) for _ in range(4)],
        "offset: the same far from zero": [
            cast(shift + 10 * rng.standard_normal(1000)) for shift in (-5000.0, 700.0, 30_000.0)
        ],
        "flat: many equal classes": [cast(np.full(count, 1.7)) for count in (3, 1000, 32_000)],
        "confident: one logit leads by 8 to 60": [
            confident(margin) for margin in (8, 12, 16, 25, 36, 60)
        ],
        "two classes: [37.43, 0]": [cast(np.array([37.43, 0.0]))],
        "tiny: probabilities down to the smallest subnormal": [
            cast(np.linspace(lowest + 1, 0, 500)),
            cast(np.append(rng.uniform(lowest + 1, lowest + 14, 200), 0.0)),
        ],
    }


@dataclass(frozen=True)
class Truth:
    """The results of one row."""

    softmax: list[Any]
    log_softmax: list[Any]
    logsumexp: list[Any]
    vjp: list[Any]
    loss: list[Any]
    grad: list[Any]
    softmin: list[Any]
    sparsemax: list[Any]

    @classmethod
    def of(cls, row: Row) -> "Truth":
        """By the plain formulas, which need no care at this precision."""
        x = [mpmath.mpf(float(value)) for value in row.x]
        e = [mpmath.exp(value) for value in x]
        total = mpmath.fsum(e)
        lse = mpmath.log(total)
        p = [value / total for value in e]
        k = row.target
        negative = [1 / value for value in e]
        share = mpmath.fsum(negative)
        ordered, sums = sorted(x, reverse=True), [mpmath.mpf(0)]
        for value in ordered:
            sums.append(sums[-1] + value)
        size = max(n for n, value in enumerate(ordered, 1) if 1 + n * value > sums[n])
        tau = (sums[size] - 1) / size
        return cls(
            softmax=p,
            log_softmax=[value - lse for value in x],
            logsumexp=[lse],
            vjp=[p_j * ((j == k) - p[k]) for j, p_j in enumerate(p)],
            loss=[lse - x[k]],
            grad=[p_j - (j == k) for j, p_j in enumerate(p)],
            softmin=[value / share for value in negative],
            sparsemax=[max(value - tau, mpmath.mpf(0)) for value in x],
        )

    def named(self) -> dict[str, list[Any]]:
        """By the names that the libraries' results have."""
        values = (getattr(self, field.name) for field in fields(self))
        return dict(zip(FUNCTIONS, values, strict=True))


Results = dict[str, Array | None]
Library = Callable[[Row], Results]


def softgrad(row: Row) -> Results:
    """Ours."""
    x, k = row.x, np.array(row.target)
    loss, grad = sg.cross_entropy.value_and_grad(x, k)
    values = (
        sg.softmax(x),
        sg.log_softmax(x),
        sg.logsumexp(x),
        sg.softmax.vjp(x, _one_hot(row)),
        loss,
        grad,
        sg.softmin(x),
        sg.sparsemax(x),
    )
    return _collect(values)


def numpy(row: Row) -> Results:
    """The stable formulas that everybody pastes."""
    x, k, g = row.x, row.target, _one_hot(row)
    z = x - x.max()
    e = np.exp(z)
    p = e / e.sum()
    log_p = z - np.log(e.sum())
    lse = np.log(e.sum()) + x.max()
    vjp, sparse = p * (g - (p * g).sum()), activation_peers.numpy_sparsemax(x)
    softmin = np.exp(x.min() - x)
    softmin /= softmin.sum()
    return _collect((p, log_p, lse, vjp, -log_p[k], p - g, softmin, sparse))


def scipy_(row: Row) -> Results:
    """SciPy, and what follows from its functions."""
    x, k, g = row.x, row.target, _one_hot(row)
    p, log_p = scipy.special.softmax(x), scipy.special.log_softmax(x)
    lse = scipy.special.logsumexp(x)
    vjp, softmin = p * (g - (p * g).sum()), scipy.special.softmax(-x)
    return _collect((p, log_p, lse, vjp, -log_p[k], p - g, softmin, None))


def torch_(row: Row) -> Results:
    """PyTorch with autograd."""
    import torch

    x = torch.from_numpy(row.x).requires_grad_()
    g = torch.from_numpy(_one_hot(row))
    p = torch.softmax(x, 0)
    (vjp,) = torch.autograd.grad(p, x, g)
    loss = torch.nn.functional.cross_entropy(x, torch.tensor(row.target))
    (grad,) = torch.autograd.grad(loss, x)
    tensors = (p, torch.log_softmax(x, 0), torch.logsumexp(x, 0), vjp, loss, grad)
    softmin = torch.nn.functional.softmin(x, 0).detach().numpy()
    return _collect((*(tensor.detach().numpy() for tensor in tensors), softmin, None))


def jax_(row: Row) -> Results:
    """JAX with automatic differentiation."""
    import jax

    jax.config.update("jax_enable_x64", True)

    def loss(x: Any) -> Any:
        return -jax.nn.log_softmax(x)[row.target]

    x = jax.numpy.asarray(row.x)
    p, pull = jax.vjp(jax.nn.softmax, x)
    (vjp,) = pull(jax.numpy.asarray(_one_hot(row)))
    value, grad = jax.value_and_grad(loss)(x)
    peers = activation_peers.jax_values()
    softmin, sparse = peers["softmin"](x), peers["sparsemax"](x)
    arrays = (p, jax.nn.log_softmax(x), jax.nn.logsumexp(x), vjp, value, grad, softmin, sparse)
    return _collect(arrays)


def _one_hot(row: Row) -> Array:
    g = np.zeros_like(row.x)
    g[row.target] = 1
    return g


def _collect(values: Sequence[Any]) -> Results:
    arrays = (None if value is None else np.atleast_1d(np.asarray(value)) for value in values)
    return dict(zip(FUNCTIONS, arrays, strict=True))


def libraries() -> dict[str, Library]:
    """Ours and the peers that are installed."""
    found: dict[str, Library] = {"softgrad": softgrad, "NumPy": numpy, "SciPy": scipy_}
    if machine.version("torch"):
        found["PyTorch"] = torch_
    if machine.version("jax"):
        found["JAX"] = jax_
    return found


def unit(truth: Any, dtype: type[np.floating[Any]]) -> Any:
    """One unit in the last place of the truth in that type, subnormals included."""
    limits = np.finfo(dtype)
    if truth == 0:
        return mpmath.mpf(float(limits.smallest_subnormal))
    _, exponent = mpmath.frexp(abs(truth))  # truth = m * 2**exponent, 1/2 <= m < 1
    return mpmath.ldexp(1, max(exponent, limits.minexp + 1) - limits.nmant - 1)


def error(function: str, got: Array, truth: list[Any], row: Row) -> float:
    """The largest error of a result in ULP; infinite where it is NaN or of another shape."""
    dtype = row.x.dtype.type
    if got.shape != (len(truth),) or not np.isfinite(got).all():
        return math.inf
    assert got.dtype == dtype
    scale = mpmath.mpf(abs(float(row.x.max()))) if function == "logsumexp" else mpmath.mpf(0)
    if function == "sparsemax":
        scale = mpmath.mpf(1)  # of a sum of numbers around 1
    worst = mpmath.mpf(0)
    for value, true in zip(got, truth, strict=True):
        distance = abs(mpmath.mpf(float(value)) - true)
        worst = max(worst, distance / unit(max(abs(true), scale), dtype))
    return float(worst)


def ulps(value: float, dtype: type[np.floating[Any]]) -> str:
    """An error in ULP; from half the digits of the type on as a power of ten."""
    if value == math.inf:
        return "NaN or inf"
    if value < 1000:
        return f"{value:.2g}" if value < 10 else f"{value:.0f}"
    lost = value >= 2.0 ** (np.finfo(dtype).nmant - 1)
    return f"{value:.0e}".replace("e+0", "e").replace("e+", "e") + (" (all)" if lost else "")


@dataclass(frozen=True)
class Worst:
    """The largest error of each library in one function on one kind of rows; None: it has none."""

    function: str
    kind: str
    errors: dict[str, float | None]


def measure(dtype: type[np.floating[Any]], found: dict[str, Library]) -> list[Worst]:
    """Every function of rows of every library on every kind of rows."""
    largest: dict[tuple[str, str], dict[str, float | None]] = {}
    for kind, rows in rows_of(dtype).items():
        for row in rows:
            truth = Truth.of(row).named()
            for name, library in found.items():
                with np.errstate(all="ignore"):
                    results = library(row)
                for function in FUNCTIONS:
                    errors = largest.setdefault((function, kind), dict.fromkeys(found))
                    result = results[function]
                    if result is not None:
                        got = error(function, result, truth[function], row)
                        errors[name] = max(errors[name] or 0.0, got)
    return [
        Worst(function, kind, errors)
        for (function, kind), errors in sorted(
            largest.items(), key=lambda item: FUNCTIONS.index(item[0][0])
        )
    ]


def measure_elementwise(dtype: type[np.floating[Any]]) -> list[Worst]:
    """Every activation of one number, with both derivatives, on every kind of numbers."""

    def largest(got: Array, truth: Any, terms: Any) -> float:
        if got.shape != truth.shape or np.isnan(got).any():
            return math.inf
        worst = mpmath.mpf(0)
        for value, true, size in zip(got, truth, terms, strict=True):
            if abs(true) > float(np.finfo(dtype).max):
                continue
            if not math.isfinite(value):
                return math.inf
            worst = max(worst, abs(mpmath.mpf(float(value)) - true) / unit(size, dtype))
        return float(worst)

    found = activation_accuracy.libraries()
    return [Worst(*row) for row in activation_accuracy.measure(dtype, found, largest)]


def shown(value: float | None, dtype: type[np.floating[Any]]) -> str:
    """An error, or a dash where the library has no such function."""
    return "–" if value is None else ulps(value, dtype)


def summary(worst: Sequence[Worst], dtype: type[np.floating[Any]]) -> str:
    """One line a function: the largest error on any row."""
    libraries = list(worst[0].errors)
    lines = []
    for function in dict.fromkeys(w.function for w in worst):
        line = [function]
        for name in libraries:
            errors = [w.errors[name] for w in worst if w.function == function]
            known = [error for error in errors if error is not None]
            line.append(shown(max(known) if known else None, dtype))
        lines.append(line)
    name = str(np.dtype(dtype))
    return f"### {name}, all rows\n\n" + tables.table([name, *libraries], lines)


def details(worst: Sequence[Worst], dtype: type[np.floating[Any]]) -> str:
    """One line a function and kind of rows."""
    lines = [
        [w.function, w.kind, *(shown(value, dtype) for value in w.errors.values())] for w in worst
    ]
    header = ["function", "rows", *worst[0].errors]
    return f"### {np.dtype(dtype)}, by kind of row\n\n" + tables.table(header, lines, words=2)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy", description="Largest errors on hard rows, in ULP."
    )
    parser.add_argument("--markdown", type=Path, help="write the tables there as well")
    options = parser.parse_args(arguments)
    parts = [
        "## Accuracy: largest error in ULP; (all) marks results without a correct digit",
        tables.table(["machine", ""], list(machine.describe().items()), words=2),
    ]
    for dtype in (np.float32, np.float64):
        worst = measure(dtype, libraries()) + measure_elementwise(dtype)
        parts += [summary(worst, dtype), details(worst, dtype)]
    text = "\n\n".join(parts)
    print(text)
    if options.markdown:
        options.markdown.write_text(text + "\n")


if __name__ == "__main__":
    main()
