"""A derivation as data: steps with prose, formulas, numbers and checks, to be set by a renderer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softgrad._typing import Array

#: Rows of a table beyond which the middle is left out, and the same for matrices.
LONGEST, WIDEST = 12, 7


@dataclass(frozen=True)
class Column:
    """Numbers (or texts) below a header; the header is prose with ``$formulas$``."""

    header: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """Columns beside labels. None in ``labels`` is a gap: rows that were left out.

    ``bold`` rows stand out; columns of a ``matrix`` are formatted alike.
    """

    caption: str
    corner: str
    labels: tuple[str | None, ...]
    columns: tuple[Column, ...]
    bold: frozenset[int] = frozenset()
    matrix: bool = False


@dataclass(frozen=True)
class Check:
    """A claim compared with a measurement. ``difference`` is None where nothing was measured.

    ``measured`` is what finite differences gave, where the claim is a single number.
    """

    what: str
    difference: Any
    tolerance: Any
    passed: bool
    note: str = ""
    method: str = "finite differences"
    measured: Any = None


@dataclass(frozen=True)
class Step:
    """One step: prose and table headers hold formulas as ``$LaTeX$``."""

    title: str
    prose: str = ""
    formula_latex: tuple[str, ...] = ()
    numbers: tuple[Table, ...] = ()
    check: tuple[Check, ...] = ()


@dataclass(frozen=True, repr=False)
class Derivation:
    """What `softgrad.explain` returns: the steps, the results, and ways to write them down.

    ``print(derivation)`` shows it in a terminal, a notebook shows it by itself.

    Attributes
    ----------
    title, summary : str
        What is derived, of which numbers.
    steps : tuple of Step
        Title, prose, formulas in LaTeX, tables of numbers, and checks by finite differences.
    values : dict of str to ndarray or number
        The results: "activation", and with a target "loss" (nats where the loss is a
        cross-entropy) and "grad", the gradient by the logits; in the shape of the logits.
    passed : bool
        Whether every check agrees.
    digits : int
        Significant digits that are shown.
    """

    title: str
    summary: str
    steps: tuple[Step, ...]
    values: Mapping[str, Any]
    digits: int = 6
    _codes: Mapping[str, Callable[[], str]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return all(check.passed for step in self.steps for check in step.check)

    def code(self, library: str = "numpy") -> str:
        """A program in "numpy", "torch" or "jax" that computes and prints the same numbers."""
        from softgrad.errors import OptionError

        if library not in self._codes:
            raise OptionError(f"library={library!r}; accepted are {', '.join(self._codes)}.")
        return self._codes[library]()

    def text(self, *, width: int = 80) -> str:
        """For a terminal of so many columns, without colours."""
        from softgrad.derivation.render.text import text

        return text(self, width=width)

    def markdown(self) -> str:
        """Markdown with formulas in dollar signs, as GitHub and notebooks show them."""
        from softgrad.derivation.render.markdown import markdown

        return markdown(self)

    def latex(self) -> str:
        """A document that pdflatex compiles with nothing but the AMS packages."""
        from softgrad.derivation.render.latex import latex

        return latex(self)

    def html(self, *, page: bool = True) -> str:
        """HTML with MathML, without scripts or network: a page, or a part of one."""
        from softgrad.derivation.render.html import html

        return html(self, page=page)

    def _repr_html_(self) -> str:
        return self.html(page=False)

    def __rich__(self) -> Any:
        from softgrad.derivation.render.text import rich

        return rich(self)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        from softgrad.derivation.render.parts import verdict

        return f"<{self.title}: {len(self.steps)} steps, {verdict(self).rstrip('.')}>"


def shown(count: int, keep: set[int], limit: int = LONGEST) -> list[int | None]:
    """Positions 0..count-1, or the first, the last and those to keep, with None for each gap."""
    if count <= limit:
        return list(range(count))
    wanted = {k for k in keep if 0 <= k < count}
    wanted |= {0, count - 1}
    for k in (*range(1, count),):
        if len(wanted) >= limit - 2:
            break
        wanted.add(k)
    result: list[int | None] = []
    for k in sorted(wanted):
        last = result[-1] if result else -1
        if last is not None and k > last + 1:
            result.append(None)
        result.append(k)
    return result


def table(
    caption: str,
    columns: Mapping[str, Array],
    *,
    keep: set[int] = frozenset(),  # type: ignore[assignment]
    bold: int | None = None,
    corner: str = "class",
) -> Table:
    """One row a class; many classes are abbreviated."""
    count = len(next(iter(columns.values())))
    rows = shown(count, keep | (set() if bold is None else {bold}))
    return Table(
        caption,
        corner,
        tuple(None if k is None else str(k) for k in rows),
        tuple(
            Column(name, tuple(None if k is None else values[k] for k in rows))
            for name, values in columns.items()
        ),
        frozenset(at for at, k in enumerate(rows) if k is not None and k == bold),
    )


def matrix(
    caption: str,
    values: Array,
    *,
    keep: set[int] = frozenset(),  # type: ignore[assignment]
    sums: bool = False,
    corner: str = "$i, j$",
    more: Mapping[str, Array] | None = None,
) -> Table:
    """A matrix with its row sums; large ones are abbreviated in both directions."""
    rows = shown(values.shape[0], keep, WIDEST)
    columns = shown(values.shape[1], keep, WIDEST)
    found = [
        Column(
            "…" if j is None else str(j),
            tuple(None if i is None else "…" if j is None else values[i, j] for i in rows),
        )
        for j in columns
    ]
    if sums:
        total, largest = values.sum(axis=1), np.abs(values).max(axis=1)
        # What rounding leaves of a sum that is 0 is told by the checks; here it would be noise.
        total = np.where(np.abs(total) <= 1e-12 * largest, 0 * total, total)
        found.append(Column("row sum", tuple(None if i is None else total[i] for i in rows)))
    for name, extra in (more or {}).items():
        found.append(Column(name, tuple(None if i is None else extra[i] for i in rows)))
    labels = tuple(None if i is None else str(i) for i in rows)
    return Table(caption, corner, labels, tuple(found), matrix=True)
