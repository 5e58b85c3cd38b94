"""What the renderers share: prose in pieces, formulas broken to fit, checks in words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from softgrad.derivation import figures
from softgrad.derivation.document import Check, Derivation, Table
from softgrad.derivation.notation import inline
from softgrad.derivation.notation.layout import width

_MATH = re.compile(r"\$([^$]+)\$")


def pieces(prose: str) -> Iterator[tuple[bool, str]]:
    """The prose in order: (True, LaTeX) for what stands between dollars, (False, text) else."""
    for at, piece in enumerate(_MATH.split(prose)):
        if piece:
            yield at % 2 == 1, piece


def plain(prose: str) -> str:
    """Prose with its formulas in the letters of a terminal."""
    return "".join(inline(piece) if math else piece for math, piece in pieces(prose))


def fitted(formula: str, limit: int) -> list[str]:
    """The formula in parts of at most ``limit`` columns, where it can be broken."""
    from softgrad.derivation.notation import lines

    def fits(part: str) -> bool:
        return max(map(width, lines(part))) <= limit

    if fits(formula):
        return [formula]
    parts = [p.strip() for p in formula.split(r"\quad")]
    if len(parts) > 1:
        joined = [parts[0]]
        for part in parts[1:]:
            together = rf"{joined[-1]} \quad {part}"
            if fits(together):
                joined[-1] = together
            else:
                joined.append(part)
        return [q for p in joined for q in fitted(p, limit)]
    for signs in ("=", "+-"):
        found = _top_level(formula, signs)
        for at in reversed(found):
            if formula[:at].strip() != "{}" and fits(formula[:at]):
                rest = formula[at:].strip()
                # An empty group makes a plus or minus an operation and no sign.
                rest = rest if signs == "=" else f"{{}} {rest}"
                return [formula[:at].strip(), *fitted(rest, limit)]
    return [formula]


def _top_level(formula: str, signs: str) -> list[int]:
    """Positions of these signs between other terms, outside of groups and environments.

    The equality after the left-hand side does not count: nothing is gained by a break there.
    """
    found, depth, equals, before = [], 0, 0, ""
    for match in re.finditer(r"\\[A-Za-z]+|[{}()\[\]=+-]|[^\s]", formula):
        token = match[0]
        if token in ("{", "(", "[", r"\begin", r"\left"):
            depth += 1
        elif token in ("}", ")", "]", r"\end", r"\right"):
            depth -= 1
        elif depth == 0 and token in signs and before not in ("", "=", r"\cdot", r"\,"):
            equals += token == "="
            if token != "=" or equals > 1 or formula.startswith("="):
                found.append(match.start())
        before = token
    return found


def outcome(check: Check) -> str:
    """What came of a check, in words."""
    if check.difference is None:
        return check.note
    text = check.method
    if check.measured is not None:
        text += f" give {figures.number(check.measured)}"
    if check.difference == 0:
        text += ", no difference"
    else:
        text += f", difference {figures.number(check.difference, 2)}"
    if not check.passed:
        text += f" (more than the {figures.number(check.tolerance, 2)} that rounding explains)"
    return f"{text}; {check.note}" if check.note else text


def mark(check: Check) -> str:
    if check.difference is None:
        return "○"
    return "✓" if check.passed else "✗"


def verdict(derivation: Derivation) -> str:
    """The last line: how many checks agree."""
    checks = [c for step in derivation.steps for c in step.check]
    made = [c for c in checks if c.difference is not None]
    agree = sum(c.passed for c in made)
    text = f"{agree} of {len(made)} checks agree"
    skipped = len(checks) - len(made)
    return f"{text}; {skipped} could not be measured." if skipped else f"{text}."


def blocks(table: Table, digits: int, limit: int) -> list[tuple[list[str], list[list[str]]]]:
    """The table as headers and texts by column, cut into tables no wider than ``limit``."""
    texts = [_points_aligned(column) for column in figures.cells(table, digits)]
    labels = [figures.GAP if k is None else k for k in table.labels]
    headers = [c.header for c in table.columns]
    sizes = [
        max(width(plain(h)), *map(width, column)) + 2
        for h, column in zip(headers, texts, strict=True)
    ]
    room = limit - max(width(plain(table.corner)), *map(width, labels))
    found: list[tuple[list[str], list[list[str]]]] = []
    start = 0
    while start < len(texts):
        stop, used = start + 1, sizes[start]
        while stop < len(texts) and used + sizes[stop] <= room:
            used += sizes[stop]
            stop += 1
        found.append(([table.corner, *headers[start:stop]], [labels, *texts[start:stop]]))
        start = stop
    return found


def _points_aligned(texts: list[str]) -> list[str]:
    """Numbers of different lengths with their points below each other."""
    tails = [len(t.partition(".")[2]) + ("." in t) for t in texts]
    if "e" in "".join(texts) or len(set(tails)) == 1:
        return texts
    longest = max(tails)
    return [
        t if t == figures.GAP else t + " " * (longest - tail)
        for t, tail in zip(texts, tails, strict=True)
    ]
