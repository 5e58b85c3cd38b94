r"""The part of LaTeX that the derivations are written in, as a tree.

Understood are letters, numbers, operators, ``^``, ``_``, groups, ``\frac``, ``\sqrt``, ``\left``,
``\right``, ``\text``, ``\mathrm``, ``\operatorname``, ``\mathbf``, the named symbols below, and the
environments ``cases`` and ``pmatrix``. Anything else is refused, so that no formula can be legible
in one output and garbled in another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias


@dataclass(frozen=True)
class Atom:
    """A letter, number, operator or piece of text. ``kind``: "i", "n", "o", "large", "text"."""

    kind: str
    text: str
    bold: bool = False


@dataclass(frozen=True)
class Row:
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Frac:
    above: Node
    below: Node


@dataclass(frozen=True)
class Sqrt:
    inner: Node


@dataclass(frozen=True)
class Script:
    """A base with an index, an exponent or both."""

    base: Node
    sub: Node | None
    sup: Node | None


@dataclass(frozen=True)
class Fence:
    """Something between brackets that grow with it."""

    left: str
    inner: Node
    right: str


@dataclass(frozen=True)
class Grid:
    """Rows of cells: ``kind`` is "cases" or "pmatrix"."""

    kind: str
    rows: tuple[tuple[Node, ...], ...]


Node: TypeAlias = Atom | Row | Frac | Sqrt | Script | Fence | Grid

_OPERATORS = {
    "cdot": "·", "times": "×", "odot": "⊙", "ne": "≠", "le": "≤", "ge": "≥", "in": "∈",
    "to": "→", "approx": "≈", "pm": "±", "partial": "∂", "nabla": "∇", "infty": "∞",
    "top": "⊤", "dots": "…", "mid": "|", "sim": "∼", "colon": ":", "prime": "′",
    "succeq": "⪰", "quad": "\u2003", ",": "\u2009", ";": "\u2005", " ": " ", "{": "{", "}": "}",
    "%": "%", "#": "#", "lVert": "‖", "rVert": "‖", "Rightarrow": "⇒",
}  # fmt: skip
_LETTERS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "varepsilon": "ε", "lambda": "λ",
    "mu": "μ", "pi": "π", "sigma": "σ", "tau": "τ", "varphi": "φ", "Phi": "Φ", "kappa": "κ",
    "ell": "ℓ", "theta": "θ",
}  # fmt: skip
_LARGE = {"sum": "∑", "prod": "∏"}
_NAMES = ("exp", "log", "tanh", "max", "min", "arg")
_TOKEN = re.compile(r"\\begin\{\w+\}|\\end\{\w+\}|\\\\|\\[A-Za-z]+|\\.|[0-9]+(?:\.[0-9]+)?|\s+|.")


@lru_cache(maxsize=1024)
def parse(latex: str) -> Node:
    """The tree of a formula; ValueError for what is outside the subset."""
    tokens = [t for t in _TOKEN.findall(latex) if not t.isspace()]
    parser = _Parser(latex, tokens)
    node = parser.row(())
    if parser.more():
        raise parser.unexpected()
    return node


class _Parser:
    def __init__(self, source: str, tokens: list[str]) -> None:
        self.source, self.tokens, self.at = source, tokens, 0

    def more(self) -> bool:
        return self.at < len(self.tokens)

    def peek(self) -> str:
        return self.tokens[self.at] if self.more() else ""

    def take(self, wanted: str | None = None) -> str:
        token = self.peek()
        if not token or (wanted is not None and token != wanted):
            raise self.unexpected(wanted)
        self.at += 1
        return token

    def unexpected(self, wanted: str | None = None) -> ValueError:
        found = repr(self.peek()) if self.more() else "the end"
        hint = f"; expected {wanted!r}" if wanted else ""
        return ValueError(f"cannot read {found} in the formula {self.source!r}{hint}")

    def row(self, end: tuple[str, ...]) -> Node:
        """Everything up to one of the tokens in ``end``, which stays."""
        items: list[Node] = []
        while self.more() and self.peek() not in end:
            if self.peek() in ("}", "&", "\\\\", "\\right") or self.peek().startswith("\\end"):
                break
            items.append(self.scripted())
        return items[0] if len(items) == 1 else Row(tuple(items))

    def scripted(self) -> Node:
        base = self.single()
        sub: Node | None = None
        sup: Node | None = None
        while self.peek() in ("_", "^", "'"):
            mark = self.take()
            if mark == "_":
                sub = self.single()
            elif mark == "^":
                sup = self.single()
            else:
                sup = Atom("o", "′" if not isinstance(sup, Atom) else sup.text + "′")
        return base if sub is None and sup is None else Script(base, sub, sup)

    def group(self) -> Node:
        self.take("{")
        node = self.row(())
        self.take("}")
        return node

    def words(self) -> str:
        """A group as it is written: the argument of ``\\text`` with its spaces."""
        opened = [m.end() for m in re.finditer(r"\{", self.source)]
        start = opened[sum(t.count("{") for t in self.tokens[: self.at])]
        self.take("{")
        while self.take() != "}":
            pass
        return self.source[start : self.source.index("}", start)]

    def single(self) -> Node:
        token = self.peek()
        if token == "{":
            return self.group()
        if token.startswith("\\begin"):
            return self.grid()
        self.take()
        if not token.startswith("\\"):
            return _character(token)
        name = token[1:]
        if name == "frac":
            return Frac(self.group(), self.group())
        if name == "sqrt":
            return Sqrt(self.group())
        if name == "left":
            return self.fence()
        if name == "text":
            return Atom("text", self.words())
        if name in ("mathrm", "operatorname"):
            return Atom("name", self.words())
        if name == "mathbf":
            return Atom("i", self.words(), bold=True)
        if name in _OPERATORS:
            return Atom("o", _OPERATORS[name])
        if name in _LETTERS:
            return Atom("i", _LETTERS[name])
        if name in _LARGE:
            return Atom("large", _LARGE[name])
        if name in _NAMES:
            return Atom("name", name)
        self.at -= 1
        raise self.unexpected()

    def fence(self) -> Node:
        left = self.take()
        inner = self.row(("\\right",))
        self.take("\\right")
        return Fence(_bracket(left), inner, _bracket(self.take()))

    def grid(self) -> Node:
        kind = self.take()[len("\\begin{") : -1]
        if kind not in ("cases", "pmatrix"):
            self.at -= 1
            raise self.unexpected()
        end = f"\\end{{{kind}}}"
        rows: list[tuple[Node, ...]] = []
        cells: list[Node] = []
        while True:
            cells.append(self.row(("&", "\\\\", end)))
            mark = self.take()
            if mark == "&":
                continue
            rows.append(tuple(cells))
            cells = []
            if mark == end:
                return Grid(kind, tuple(rows))
            if mark != "\\\\":
                self.at -= 1
                raise self.unexpected(end)


def _bracket(token: str) -> str:
    known = {"\\{": "{", "\\}": "}", "\\lVert": "‖", "\\rVert": "‖", ".": ""}
    return known.get(token, token)


def _character(token: str) -> Atom:
    if token[0].isdigit():
        return Atom("n", token)
    if token.isalpha():
        return Atom("i", token)
    if token in "+-=<>()[]|,/.:!∗*":
        return Atom("o", "−" if token == "-" else token)
    raise ValueError(f"cannot read {token!r} in a formula")


def walk(node: Node) -> Iterator[Node]:
    """The node and everything in it."""
    yield node
    parts: tuple[Node | None, ...] = ()
    if isinstance(node, Row):
        parts = node.items
    elif isinstance(node, Frac):
        parts = (node.above, node.below)
    elif isinstance(node, Sqrt | Fence):
        parts = (node.inner,)
    elif isinstance(node, Script):
        parts = (node.base, node.sub, node.sup)
    elif isinstance(node, Grid):
        parts = tuple(cell for row in node.rows for cell in row)
    for part in parts:
        if part is not None:
            yield from walk(part)
