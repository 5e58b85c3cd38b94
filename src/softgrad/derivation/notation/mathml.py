"""Formulas as MathML, which browsers set themselves: no script, no font, no network."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TypeGuard

from softgrad.derivation.notation.layout import is_sign, needs_space
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

_SPACES = {"\u2003": "1em", "\u2009": "0.17em", "\u2005": "0.28em"}
_UPRIGHT = "text-transform:none"
_PRIMES = ("′", "′′")


def mathml(latex: str, *, display: bool = False) -> str:
    """A ``<math>`` element; ``display`` for a formula on a line of its own."""
    # Not display="block", which would centre it.
    style = ' displaystyle="true"' if display else ""
    return f"<math{style}>{_node(parse(latex))}</math>"


def _node(node: Node) -> str:
    if isinstance(node, Atom):
        return _atom(node)
    if isinstance(node, Row):
        return f"<mrow>{''.join(_items(node.items))}</mrow>"
    if isinstance(node, Frac):
        return f"<mfrac>{_node(node.above)}{_node(node.below)}</mfrac>"
    if isinstance(node, Sqrt):
        return f"<msqrt>{_node(node.inner)}</msqrt>"
    if isinstance(node, Script):
        return _script(node)
    if isinstance(node, Fence):
        return f"<mrow>{_fence(node.left)}{_node(node.inner)}{_fence(node.right)}</mrow>"
    return _grid(node)


def _items(items: tuple[Node, ...]) -> Iterator[str]:
    """The parts of a row, with the spaces that TeX puts around names and between fractions."""
    before: Node | None = None
    for item in items:
        if before is not None and needs_space(before, item):
            yield '<mspace width="0.17em"></mspace>'
        sign = isinstance(item, Atom) and item.text in "+−" and is_sign(before)
        yield f'<mo form="prefix">{item.text}</mo>' if sign else _node(item)  # type: ignore[union-attr]
        before = item


def _atom(atom: Atom) -> str:
    text = escape(atom.text)
    if atom.kind == "n":
        return f"<mn>{text}</mn>"
    if atom.kind == "text":
        # An ordinary space at either end of mtext would be dropped.
        return f"<mtext>{text.replace(' ', chr(0xA0))}</mtext>"
    if atom.kind == "name":
        # A thin space follows a function's name only where no bracket does; mi of several letters
        # is upright.
        return f"<mi>{text}</mi>" if len(text) > 1 else f'<mi style="{_UPRIGHT}">{text}</mi>'
    if atom.kind == "i":
        if not atom.bold:
            return f"<mi>{text}</mi>"
        return f'<mi style="font-weight:bold;{_UPRIGHT}">{text}</mi>'
    if atom.text in _SPACES:
        return f'<mspace width="{_SPACES[atom.text]}"></mspace>'
    if atom.text in "∂∇∞⊤…":
        return f"<mi>{text}</mi>"
    if atom.text in _PRIMES:
        return f'<mo lspace="0" rspace="0">{text}</mo>'
    if atom.text == "/":
        return '<mo lspace="0.1em" rspace="0.1em">/</mo>'
    stretchy = ' stretchy="false"' if atom.text in "()[]|{}‖" else ""
    return f"<mo{stretchy}>{text}</mo>"


def _fence(bracket: str) -> str:
    return f'<mo fence="true" stretchy="true">{escape(bracket)}</mo>' if bracket else ""


def _script(node: Script) -> str:
    base = _node(node.base)
    if isinstance(node.base, Atom) and node.sub is None and _is_prime(node.sup):
        # The sign is raised already; as an exponent it would float above the letter.
        return f"<mrow>{base}{_node(node.sup)}</mrow>"
    limits = isinstance(node.base, Atom) and (
        node.base.kind == "large" or node.base.text in ("max", "min")
    )
    parts = [base, *(_node(part) for part in (node.sub, node.sup) if part is not None)]
    if node.sub is not None and node.sup is not None:
        tag = "munderover" if limits else "msubsup"
    elif node.sub is not None:
        tag = "munder" if limits else "msub"
    else:
        tag = "mover" if limits else "msup"
    return f"<{tag}>{''.join(parts)}</{tag}>"


def _is_prime(node: Node | None) -> TypeGuard[Atom]:
    return isinstance(node, Atom) and node.text in _PRIMES


def _grid(node: Grid) -> str:
    align = "left" if node.kind == "cases" else "right"
    cell = f'<mtd style="text-align:{align};padding:0.15em 0.5em">'
    rows = "".join(
        f"<mtr>{''.join(f'{cell}{_node(c)}</mtd>' for c in row)}</mtr>" for row in node.rows
    )
    left, right = ("{", "") if node.kind == "cases" else ("(", ")")
    return f"<mrow>{_fence(left)}<mtable>{rows}</mtable>{_fence(right)}</mrow>"
