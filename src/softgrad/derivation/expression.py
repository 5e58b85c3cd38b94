"""Formulas as expressions that can be computed, printed as LaTeX, and written as code.

An expression is one line of Python over vectors, such as ``exp(x) / sum(exp(x))``. Operations work
on each entry; ``sum`` and ``max`` run over the classes of a row. The same line is
computed in float64 or with mpmath, becomes LaTeX with its indices, and becomes NumPy, PyTorch or
JAX: what is shown is what is computed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

_GREEK = {
    "alpha": r"\alpha", "gamma": r"\gamma", "delta": r"\delta", "kappa": r"\kappa",
    "tau": r"\tau", "negative_slope": r"\alpha", "scale": r"\lambda", "T": "T",
    "margin": r"\mu", "beta": r"\beta", "pi": r"\pi",
}  # fmt: skip
#: Names of one number, the same for all classes; they carry no index.
SCALARS = frozenset(_GREEK) | {"C", "m", "n", "pi"}
_COMPARISONS = {
    ast.Gt: ">", ast.GtE: r"\ge", ast.Lt: "<", ast.LtE: r"\le", ast.Eq: "=", ast.NotEq: r"\ne",
}  # fmt: skip

# How tightly an operation binds: brackets appear where a looser one is part of a tighter one.
_SUM, _NEGATIVE, _PRODUCT, _POWER, _ATOM = range(5)


@lru_cache(maxsize=512)
def _tree(source: str) -> ast.expr:
    return ast.parse(source, mode="eval").body


@lru_cache(maxsize=512)
def _code(source: str) -> Any:
    return compile(source, f"<formula {source}>", "eval")


def evaluate(source: str, functions: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """The expression's value; ``functions`` say what exp, sum and the others are."""
    return eval(_code(source), {"__builtins__": {}, **functions, **values})


def names(source: str) -> set[str]:
    """The variables and functions in an expression."""
    return {node.id for node in ast.walk(_tree(source)) if isinstance(node, ast.Name)}


# --- LaTeX ---------------------------------------------------------------------------------------


def latex(source: str, *, index: str = "", symbols: Mapping[str, str] | None = None) -> str:
    """The expression as LaTeX; ``index`` is what vectors carry outside of sums ("" for none).

    ``symbols`` renames variables, such as the input of a loss.
    """
    return _Latex(index, dict(symbols or {})).text(_tree(source), _SUM)


class _Latex:
    def __init__(self, index: str, symbols: dict[str, str]) -> None:
        self.index, self.symbols = index, symbols

    def text(self, node: ast.expr, within: int) -> str:
        text, binding = self.set(node)
        return rf"\left({text}\right)" if binding < within else text

    def set(self, node: ast.expr) -> tuple[str, int]:
        """The LaTeX and how tightly its outermost operation binds."""
        if isinstance(node, ast.Name):
            return self.variable(node.id), _ATOM
        if isinstance(node, ast.Constant):
            return f"{node.value!r}", _ATOM
        if isinstance(node, ast.UnaryOp):
            return f"-{self.text(node.operand, _NEGATIVE)}", _NEGATIVE
        if isinstance(node, ast.BinOp):
            return self.operation(node)
        if isinstance(node, ast.Compare):
            sign = _COMPARISONS[type(node.ops[0])]
            left, right = self.text(node.left, _SUM), self.text(node.comparators[0], _SUM)
            return f"{left} {sign} {right}", _SUM
        assert isinstance(node, ast.Call)
        assert isinstance(node.func, ast.Name)
        return self.call(node.func.id, node.args)

    def variable(self, name: str) -> str:
        symbol = self.symbols.get(name, _GREEK.get(name, name))
        if name in SCALARS or not self.index:
            return symbol
        return f"{symbol}_{self.index}"

    def operation(self, node: ast.BinOp) -> tuple[str, int]:
        left, right = node.left, node.right
        if isinstance(node.op, ast.Add | ast.Sub):
            sign = "+" if isinstance(node.op, ast.Add) else "-"
            last = isinstance(right, ast.Call) and ast.unparse(right.func) == "sum"
            tight = _SUM if sign == "+" or last else _NEGATIVE + 1
            return f"{self.text(left, _SUM)} {sign} {self.text(right, tight)}", _SUM
        if isinstance(node.op, ast.Mult) and isinstance(left, ast.UnaryOp):
            # -a b needs no brackets around its first factor
            product = ast.BinOp(left.operand, node.op, right)
            return f"-{self.text(product, _NEGATIVE)}", _NEGATIVE
        if isinstance(node.op, ast.Mult):
            a, b = self.text(left, _PRODUCT), self.text(right, _PRODUCT)
            dot = r" \cdot " if b[0].isdigit() or b.startswith(r"\frac{1}") else r" \, "
            if b.startswith((r"\left", "(")) and not self.function(left):
                dot = " "
            return f"{a}{dot}{b}", _PRODUCT
        if isinstance(node.op, ast.Div):
            return rf"\frac{{{self.text(left, _SUM)}}}{{{self.text(right, _SUM)}}}", _PRODUCT
        assert isinstance(node.op, ast.Pow)
        base, power = self.text(left, _ATOM), self.text(right, _SUM)
        return f"{base}^{{{power}}}", _POWER

    @staticmethod
    def function(node: ast.expr) -> bool:
        return isinstance(node, ast.Name)

    def inside(self, node: ast.expr, within: int) -> str:
        """Part of a sum: its vectors carry the summation's own index."""
        return _Latex("k", self.symbols).text(node, within)

    def call(self, name: str, arguments: list[ast.expr]) -> tuple[str, int]:
        first = arguments[0]
        if name == "exp":
            return f"e^{{{self.text(first, _SUM)}}}", _POWER
        if name == "sum":
            return rf"\sum_k {self.inside(first, _PRODUCT)}", _NEGATIVE
        if name in ("max", "min"):
            return rf"\{name}_k {self.inside(first, _PRODUCT)}", _PRODUCT
        if name == "abs":
            return rf"\left|{self.text(first, _SUM)}\right|", _ATOM
        if name == "sqrt":
            return rf"\sqrt{{{self.text(first, _SUM)}}}", _ATOM
        if name == "where":
            yes, no = (self.text(a, _SUM) for a in arguments[1:])
            condition = self.text(first, _SUM)
            return (
                rf"\begin{{cases}} {yes} & \text{{if }} {condition} \\ "
                rf"{no} & \text{{otherwise}} \end{{cases}}",
                _ATOM,
            )
        if name == "maximum":
            return rf"\max({', '.join(self.text(a, _SUM) for a in arguments)})", _ATOM
        if name == "ratio":
            above, below = (self.text(a, _SUM) for a in arguments)
            return rf"\frac{{{above}}}{{{below}}}", _PRODUCT
        if name in ("rival", "winner"):
            inner = _Latex("k", self.symbols).text(first, _PRODUCT)
            best = rf"\max_{{k \ne t}} {inner}"
            return (best, _PRODUCT) if name == "rival" else (rf"[i = \arg {best}]", _ATOM)
        if name == "xlogy":
            return rf"{self.text(first, _PRODUCT)} \log {self.argument(arguments[1])}", _PRODUCT
        if name in ("log", "tanh"):
            return rf"\{name} {self.argument(first)}", _PRODUCT
        if name == "log1p":
            return rf"\log\left(1 + {self.text(first, _SUM)}\right)", _PRODUCT
        if name == "softmax" or name == "log_softmax":
            title = rf"\operatorname{{{name.removeprefix('log_')}}}"
            inner = _Latex("", self.symbols).text(first, _SUM)
            index = f"_{self.index}" if self.index else ""
            log = r"\log " if name.startswith("log_") else ""
            return f"{log}{title}({inner}){index}", _PRODUCT if log else _ATOM
        symbol = {
            "sigmoid": r"\sigma", "Phi": r"\Phi", "phi": r"\varphi",
            "softplus": r"\operatorname{softplus}", "sign": r"\operatorname{sign}",
            "threshold": r"\tau",
        }[name]  # fmt: skip
        if name == "threshold":
            return rf"{symbol}({_Latex('', self.symbols).text(first, _SUM)})", _ATOM
        inner = self.text(first, _SUM)
        tall = "\\frac" in inner
        return rf"{symbol}\left({inner}\right)" if tall else f"{symbol}({inner})", _ATOM

    def argument(self, node: ast.expr) -> str:
        """What a function is applied to, bracketed unless it is a single thing."""
        text, binding = self.set(node)
        total = isinstance(node, ast.Call) and ast.unparse(node.func) == "sum"
        return text if binding == _ATOM or total else rf"\left({text}\right)"


# --- Code ----------------------------------------------------------------------------------------


def code(
    source: str,
    write: Callable[[str, list[str]], str],
    *,
    rename: Mapping[str, str] | None = None,
) -> str:
    """The expression as code: ``write(function, arguments)`` spells each call."""

    class Calls(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            return ast.Name((rename or {}).get(node.id, node.id), ast.Load())

        def visit_Call(self, node: ast.Call) -> ast.AST:
            assert isinstance(node.func, ast.Name)
            arguments = [ast.unparse(self.visit(a)) for a in node.args]
            return ast.parse(write(node.func.id, arguments), mode="eval").body

    return ast.unparse(Calls().visit(ast.parse(source, mode="eval").body))
