"""Errors of softgrad and its peers on hard rows, in ULP: ``python -m benchmarks.accuracy``.

Every library gets the same numbers, and the truth is computed from exactly those with mpmath. The
error of a result is its distance from the truth in units of the last place that the truth has in
that type; where the truth is a sum of terms that cancel, that the largest of these has.

The command fails if softgrad is anywhere worse than 4 ULP, or the worst of the libraries.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mpmath
import numpy as np

from . import activation_accuracy, loss_accuracy, machine, row_accuracy, tables, ulp

# exp(-745) beside 1 is 1075 binary digits away, and 64 more shall be right.
mpmath.mp.prec = 1200

LIMIT = 4.0  # ULP
FAMILIES = {
    "rows": row_accuracy.measure,
    "activations": activation_accuracy.measure,
    "losses": loss_accuracy.measure,
}
Float = type[np.floating[Any]]
Measure = Callable[[Float], Iterable[tuple[str, str, dict[str, float | None]]]]


@dataclass(frozen=True)
class Worst:
    """The largest error of each library in one function on one kind of rows; None: it has none."""

    function: str
    kind: str
    errors: dict[str, float | None]

    def with_more(self, errors: dict[str, float | None]) -> "Worst":
        """The larger of both."""
        both = {name: _larger(old, errors[name]) for name, old in self.errors.items()}
        return Worst(self.function, self.kind, both)


def _larger(a: float | None, b: float | None) -> float | None:
    known = [value for value in (a, b) if value is not None]
    return max(known) if known else None


def collect(measured: Iterable[tuple[str, str, dict[str, float | None]]]) -> list[Worst]:
    """One for each function and kind of rows."""
    found: dict[tuple[str, str], Worst] = {}
    for function, kind, errors in measured:
        old = found.get((function, kind))
        found[function, kind] = old.with_more(errors) if old else Worst(function, kind, errors)
    order = {function: k for k, function in enumerate(dict.fromkeys(key[0] for key in found))}
    return sorted(found.values(), key=lambda worst: order[worst.function])


def over_kinds(worst: Sequence[Worst]) -> list[Worst]:
    """One for each function: the largest error on any row."""
    return collect((w.function, "all rows", w.errors) for w in worst)


def judge(worst: Sequence[Worst]) -> Iterator[str]:
    """What the project promises and these errors break.

    A tie with the worst is no breach, nor is a result that is rounded correctly.
    """
    for w in worst:
        ours = w.errors["softgrad"]
        peers = [e for name, e in w.errors.items() if name != "softgrad" and e is not None]
        assert ours is not None
        if ours > LIMIT:
            yield f"{w.function}: {ours:.3g} ULP, more than {LIMIT:g}"
        if peers and ours > max(0.501, *peers):
            yield f"{w.function}: the worst with {ours:.4g} ULP, the next {max(peers):.4g}"


# --- Tables --------------------------------------------------------------------------------------


def merged(lines: Iterable[list[str]]) -> Iterator[list[str]]:
    """Members of one function with the same errors on one line: "tanh.vjp, jvp"."""
    last: list[str] = []
    for line in lines:
        name, _, member = line[0].partition(".")
        if last and member and last[0].startswith(f"{name}.") and last[1:] == line[1:]:
            last[0] += f", {member}"
            continue
        if last:
            yield last
        last = line
    if last:
        yield last


def summary(worst: Sequence[Worst], dtype: Float, family: str) -> str:
    """One line a function and member: the largest error on any row."""
    lines = [
        [w.function, *(ulp.text(value, dtype) for value in w.errors.values())]
        for w in over_kinds(worst)
    ]
    name = str(np.dtype(dtype))
    return f"### {name}, {family}\n\n" + tables.table([name, *worst[0].errors], merged(lines))


def details(worst: Sequence[Worst], dtype: Float, family: str) -> str:
    """One line a function and kind of rows."""
    lines = [
        [w.function, w.kind, *(ulp.text(value, dtype) for value in w.errors.values())]
        for w in worst
    ]
    header = ["function", "rows", *worst[0].errors]
    title = f"### {np.dtype(dtype)}, {family}, by kind of row"
    return f"{title}\n\n" + tables.table(header, lines, words=2)


def verdict(found: Sequence[tuple[str, str]]) -> str:
    """What falls short, by type."""
    if not found:
        return f"Never the worst, and never more than {LIMIT:g} ULP."
    return "\n".join(["### Short of the promises", "", *(f"- {d}: {text}" for d, text in found)])


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy", description="Largest errors on hard rows, in ULP."
    )
    parser.add_argument("--families", default=",".join(FAMILIES), help="separated by commas")
    parser.add_argument("--dtype", default="float32,float64")
    parser.add_argument("--details", action="store_true", help="by kind of row as well")
    parser.add_argument("--markdown", type=Path, help="write the tables there as well")
    options = parser.parse_args(arguments)
    parts = [
        "## Accuracy: largest error in ULP; (all) marks results without a correct digit",
        tables.table(["machine", ""], list(machine.describe().items()), words=2),
    ]
    short: list[tuple[str, str]] = []
    for dtype in (np.dtype(name).type for name in options.dtype.split(",")):
        for family in options.families.split(","):
            worst = collect(FAMILIES[family](dtype))
            parts.append(summary(worst, dtype, family))
            if options.details:
                parts.append(details(worst, dtype, family))
            short += [(str(np.dtype(dtype)), text) for text in judge(over_kinds(worst))]
    parts.append(verdict(short))
    text = "\n\n".join(parts)
    print(text)
    if options.markdown:
        options.markdown.write_text(text + "\n")
    return 1 if short else 0


if __name__ == "__main__":
    raise SystemExit(main())
