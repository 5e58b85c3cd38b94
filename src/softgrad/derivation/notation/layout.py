"""Formulas in the letters of a terminal: on one line, or with fractions standing as fractions."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from softgrad.derivation.notation.parse import (
    Atom,
    Fence,
    Frac,
    Grid,
    Node,
    Row,
    Script,
    Sqrt,
    parse,
)

_SUPER = dict(zip("0123456789+−=()nijkTtx⊤′", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱʲᵏᵀᵗˣᵀ′", strict=True))
_SUB = dict(zip("0123456789+−=()ijknptxhlmsa", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ᵢⱼₖₙₚₜₓₕₗₘₛₐ", strict=True))
_WIDE = "=≠≤≥<>≈→∈∼+−·×⊙⇒±⪰"
_BRACKETS = {
    "(": ("⎛", "⎜", "⎝"), ")": ("⎞", "⎟", "⎠"), "[": ("⎡", "⎢", "⎣"), "]": ("⎤", "⎥", "⎦"),
    "{": ("⎧", "⎪", "⎩"), "|": ("│", "│", "│"), "‖": ("‖", "‖", "‖"),
}  # fmt: skip


@dataclass(frozen=True)
class Box:
    """A block of text; ``base`` is the line that stands on the line of the text around it."""

    rows: tuple[str, ...]
    base: int = 0

    @property
    def width(self) -> int:
        return width(self.rows[0])


def width(text: str) -> int:
    """Columns that the text takes: a combining mark takes none."""
    return sum(not unicodedata.combining(letter) for letter in text)


def lines(latex: str) -> list[str]:
    """The formula, with stacked fractions, as lines of one width."""
    return [row.rstrip() for row in _box(parse(latex), False).rows]


def inline(latex: str) -> str:
    """The formula on one line, with fractions as a/b."""
    return _box(parse(latex), True).rows[0].strip()


def _box(node: Node, flat: bool) -> Box:
    if isinstance(node, Atom):
        return Box((_spaced(node),))
    if isinstance(node, Row):
        return _row(node, flat)
    if isinstance(node, Frac):
        return _fraction(node, flat)
    if isinstance(node, Sqrt):
        return _beside([Box(("√",)), _bracketed("(", _box(node.inner, True), ")")])
    if isinstance(node, Script):
        return _script(node, flat)
    if isinstance(node, Fence):
        return _bracketed(node.left, _box(node.inner, flat), node.right)
    return _grid(node, flat)


def _spaced(atom: Atom) -> str:
    if atom.kind != "o":
        return atom.text
    if atom.text in _WIDE:
        return f" {atom.text} "
    if atom.text == ",":
        return ", "
    return {"\u2003": "   ", "\u2009": " ", "\u2005": " ", ":": " : ", "|": "|"}.get(
        atom.text, atom.text
    )


def _row(node: Row, flat: bool) -> Box:
    parts: list[Box] = []
    before: Node | None = None
    for item in node.items:
        box = _box(item, flat)
        if isinstance(item, Atom) and item.text in "+−" and is_sign(before):
            box = Box((item.text,))
        elif before is not None and needs_space(before, item):
            parts.append(Box((" ",)))
        parts.append(box)
        before = item
    return _beside(parts)


def is_sign(before: Node | None) -> bool:
    """Whether a plus or minus after this is a sign and not an operation."""
    return before is None or (isinstance(before, Atom) and before.text in (*_WIDE, "(", "[", ","))


def _head(node: Node) -> Node:
    return node.base if isinstance(node, Script) else node


def needs_space(before: Node, item: Node) -> bool:
    """Around names of functions, and between fractions and their factors."""
    first, second = _head(before), _head(item)
    if isinstance(second, Atom) and second.text.isspace():
        return False
    opens = isinstance(second, Atom) and second.text in ("(", "[", ")", "]", ",", ".", "|")
    operator = isinstance(second, Atom) and second.kind == "o" and not second.text.isspace()
    named = isinstance(first, Atom) and first.kind in ("name", "large")
    if named:
        return not opens or (isinstance(first, Atom) and first.kind == "large")
    after = isinstance(first, Atom) and first.kind == "o" and first.text not in ")]|"
    if isinstance(second, Atom) and second.kind in ("name", "large") and not after:
        return True
    if isinstance(first, Frac) and not operator:
        return True
    return isinstance(second, Frac) and not after


def _beside(boxes: list[Box]) -> Box:
    boxes = [b for b in boxes if b.rows != ("",)] or [Box(("",))]
    above = max(b.base for b in boxes)
    below = max(len(b.rows) - b.base for b in boxes)
    rows = []
    for k in range(-above, below):
        pieces = (
            b.rows[b.base + k] if 0 <= b.base + k < len(b.rows) else " " * b.width for b in boxes
        )
        rows.append("".join(pieces))
    return Box(tuple(_squeeze(rows)), above)


def _squeeze(rows: list[str]) -> list[str]:
    """On one line, no two spaces where spaced operators meet."""
    if len(rows) > 1:
        return rows
    text = rows[0]
    for _ in range(2):
        for operator in _WIDE:
            text = text.replace(f"{operator}  ", f"{operator} ").replace(
                f"  {operator}", f" {operator}"
            )
    return [text]


def _fraction(node: Frac, flat: bool) -> Box:
    above, below = _box(node.above, flat or _tall(node.above)), _box(node.below, flat)
    if flat:
        return Box((f"{_factor(node.above, above)}/{_factor(node.below, below, True)}",))
    size = max(above.width, below.width) + 2
    rows = [_center(r, size) for r in above.rows]
    rows += ["─" * size]
    rows += [_center(r, size) for r in below.rows]
    return Box(tuple(rows), len(above.rows))


def _tall(node: Node) -> bool:
    """Fractions within fractions are set flat."""
    return isinstance(node, Frac)


def _factor(node: Node, box: Box, denominator: bool = False) -> str:
    text = box.rows[0].strip()
    compound = isinstance(node, Row) and (
        any(isinstance(i, Atom) and i.text in f"{_WIDE}/" for i in node.items)
        or (denominator and len(node.items) > 1 and not _derivative(node))
    )
    return f"({text})" if compound else text


def _derivative(node: Row) -> bool:
    """The d x of a derivative needs no brackets below the stroke."""
    first = node.items[0]
    return isinstance(first, Atom) and first.text == "∂" and len(node.items) == 2


def _center(text: str, size: int) -> str:
    room = size - width(text)
    return " " * (room // 2) + text + " " * (room - room // 2)


def _script(node: Script, flat: bool) -> Box:
    base = _box(node.base, flat)
    if isinstance(node.base, Row | Frac):
        base = _bracketed("(", base, ")")
    text = ""
    for part, letters, mark in ((node.sub, _SUB, "_"), (node.sup, _SUPER, "^")):
        if part is None:
            continue
        plain = _box(part, True).rows[0].replace(" ", "")
        if all(letter in letters for letter in plain):
            text += "".join(letters[letter] for letter in plain)
        else:
            text += f"{mark}{plain}" if len(plain) == 1 else f"{mark}({plain})"
    return _beside([base, Box((text,))])


def _bracketed(left: str, box: Box, right: str) -> Box:
    return _beside([_bracket(left, box), box, _bracket(right, box)])


def _bracket(sign: str, box: Box) -> Box:
    size = len(box.rows)
    if not sign:
        return Box(("",))
    if size == 1:
        return Box((sign,))
    top, middle, end = _BRACKETS[sign]
    if sign == "{":
        inside = ["⎪"] * (size - 2)
        if inside:
            inside[(size - 2) // 2] = "⎨"
        rows = [top, *inside, end]  # of two rows: ⎰⎱ would fit better, but few terminals have them
    else:
        rows = [top, *[middle] * (size - 2), end]
    return Box(tuple(rows), box.base)


def _grid(node: Grid, flat: bool) -> Box:
    cells = [[_box(c, True).rows[0].strip() for c in row] for row in node.rows]
    left, right = ("{", "") if node.kind == "cases" else ("(", ")")
    if flat:
        inside = "; ".join(", ".join(c for c in row if c) for row in cells)
        return Box((f"{left or '['}{inside}{right or '}'}",))
    columns = max(len(row) for row in cells)
    widths = [max(width(row[k]) for row in cells if k < len(row)) for k in range(columns)]
    rows = []
    for row in cells:
        padded = []
        for k, size in enumerate(widths):
            cell = row[k] if k < len(row) else ""
            space = " " * (size - width(cell))
            padded.append(cell + space if node.kind == "cases" else space + cell)
        rows.append("   ".join(padded))
    box = Box(tuple(rows), (len(rows) - 1) // 2 if len(rows) != 2 else 0)
    inner = _beside([Box((" ",)), box, Box((" ",))])
    return _bracketed(left, inner, right)
