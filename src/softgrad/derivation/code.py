"""Programs to copy: the same numbers in NumPy, PyTorch and JAX.

NumPy computes the gradient by the derivation's formulas. PyTorch and JAX are given the loss alone
and find the gradient themselves, so that either program checks the other.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np

from softgrad._typing import Array
from softgrad.derivation.expression import code, names
from softgrad.derivation.formulas import Elementwise
from softgrad.derivation.pair import Pair
from softgrad.derivation.spelling import (
    HELPERS,
    IMPORTS,
    MODULE,
    SPELLED,
    STABLE,
    STABLE_SLOPES,
)

LIBRARIES = ("numpy", "torch", "jax")
_LONGEST = 88  # columns of a line
_HELD = "\u00a0"  # a space at which no line is broken


def program(framework: str, pair: Pair, x: Array, y: Array | None, T: Any, note: str = "") -> str:
    """The program; it prints the activation, and with a target the loss and the gradient.

    ``note`` says which classes the columns are, where some are masked.
    """
    writer = _Writer(framework, pair)
    body = [_broken(line) for line in writer.body(y is not None)]
    head = [IMPORTS[framework]]
    if any("math." in h for h in writer.helpers):
        head[0] = f"import math\n\n{head[0]}"
    text = "\n".join(
        [
            *head,
            "",
            *_data(framework, pair, x, y, T, note),
            *(f"\n\n{helper.strip()}\n" for helper in writer.helpers),
            "",
            *body,
            "",
        ]
    )
    return re.sub(r"\n{4,}", "\n\n\n", text)


def _data(
    framework: str, pair: Pair, x: Array, y: Array | None, T: Any, note: str
) -> Iterator[str]:
    rows = np.atleast_2d(x).astype(np.float64)
    array = {
        "numpy": "np.array({})",
        "torch": "torch.tensor({}, dtype=torch.float64)",
        "jax": "jnp.array({})",
    }[framework]
    yield _wrapped(
        "x", array, rows, " ".join(filter(None, ("logits", note))) + ", a row for each example"
    )
    if y is not None:
        yield _wrapped("y", array, y.astype(np.float64), "target")
    if framework == "torch":
        yield "x.requires_grad_()"
    yield f"T = {float(T)!r}  # temperature"
    for name, value in pair.constants.items():
        yield f"{name} = {float(value)!r}"
    for name, value in pair.loss_constants.items():
        if name != "T":
            yield f"{loss_name(pair, name)} = {float(value)!r}"


def loss_name(pair: Pair, name: str) -> str:
    """A letter of the loss's formula, kept apart from the activation's."""
    let = {**pair.let, **getattr(pair.formula, "parts", {})}
    taken = {"x", "z", "y", pair.symbol, *let, *pair.constants}
    # In a loss that contains its activation p is p.
    return f"{name}_" if name in taken and not (pair.fused and name == pair.symbol) else name


def _wrapped(name: str, form: str, rows: Array, comment: str) -> str:
    line = f"{name} = {form.format(rows.tolist())}  # {comment}"
    if len(line) <= _LONGEST:
        return line
    lines = ["["]
    for row in rows.tolist():
        text = f"[{', '.join(map(repr, row))}],"
        lines += textwrap.wrap(text, _LONGEST, initial_indent="    ", subsequent_indent="     ")
    return f"# {comment}\n{name} = {form.format(chr(10).join([*lines, ']']))}"


def _broken(line: str) -> str:
    """A long assignment over several lines, in brackets and with operators at the front."""
    if len(line) <= _LONGEST or "=" not in line:
        return line
    name, _, expression = line.strip().partition(" = ")
    indent = line[: len(line) - len(line.lstrip())]
    held = expression.replace(" ", _HELD).replace(f",{_HELD}", ", ")
    wrapped = textwrap.wrap(
        re.sub(f"{_HELD}([-+]){_HELD}", rf" \1{_HELD}", held),
        _LONGEST - len(indent) - 4,
        break_long_words=False,
        break_on_hyphens=False,
    )
    rows = [f"{indent}    {row}".replace(_HELD, " ") for row in wrapped]
    return "\n".join([f"{indent}{name} = (", *rows, f"{indent})"])


class _Writer:
    """Writes the expressions of a pair in the words of one framework."""

    def __init__(self, framework: str, pair: Pair) -> None:
        self.framework, self.pair = framework, pair
        self.helpers: list[str] = []

    def expression(self, source: str, **rename: str) -> str:
        return code(source, self._call, rename=rename)

    def _call(self, name: str, arguments: list[str]) -> str:
        helper = HELPERS[self.framework].get(name)
        if helper is not None and helper not in self.helpers:
            self.helpers.append(helper)
        module = MODULE[self.framework]
        form = SPELLED[self.framework].get(name)
        if form is None:
            return f"{module}.{name}({', '.join(arguments)})"
        return form.format(*arguments, np=module)

    def _let(self, let: dict[str, str], **rename: str) -> Iterator[str]:
        for name, part in let.items():
            yield f"{name} = {self.expression(part, **rename)}"

    @property
    def _activation(self) -> str:
        return STABLE.get(self.pair.activation_name, self.pair.formula.value)

    def _forward(self) -> Iterator[str]:
        s = self.pair.symbol
        if "pi" in self.pair.formula_names():
            yield f"pi = {np.pi!r}"
        yield "z = x / T"
        if self._activation == self.pair.formula.value:
            yield from self._let(self.pair.let, x="z")
        yield f"{s} = {self.expression(self._activation, x='z')}"

    @property
    def _loss_letters(self) -> dict[str, str]:
        """How the letters of the loss's formula are called in the program."""
        f = self.pair.loss_formula
        assert f is not None
        given = "z" if self.pair.fused else self.pair.symbol
        own = [*f.let, *self.pair.loss_constants]
        letters = {k: loss_name(self.pair, k) for k in own if k != "T"}
        return {"a": given, **letters}

    def _loss(self) -> Iterator[str]:
        f = self.pair.loss_formula
        assert f is not None
        letters = self._loss_letters
        for name, part in f.let.items():
            if self._needed(name) and not (self.pair.fused and name == self.pair.symbol):
                yield f"{letters[name]} = {self.expression(part, **letters)}"
        yield f"losses = {self.expression(f.value, **letters)}"

    def _needed(self, name: str) -> bool:
        """Whether the program needs a part of the formula: some belong to the slope."""
        f = self.pair.loss_formula
        assert f is not None
        return self.framework == "numpy" or name in names(f.value)

    def body(self, with_loss: bool) -> Iterator[str]:
        s = self.pair.symbol
        if not with_loss:
            yield from self._forward()
            yield f'print("{s} =", {s}.tolist())'
        elif self.framework == "numpy":
            yield from self._forward()
            yield from self._loss()
            yield "loss = np.mean(losses)"
            yield from self._gradient()
            yield from self._prints("grad")
        elif self.framework == "torch":
            yield from self._forward()
            yield from self._loss()
            yield "loss = torch.mean(losses)"
            yield "loss.backward()"
            yield from self._prints("x.grad")
        else:
            yield "\ndef mean_loss(x):"
            lines = [*self._forward(), *self._loss(), f"return jnp.mean(losses), {s}"]
            yield from (f"    {line}" for line in lines)
            yield f"\n\n(loss, {s}), grad = jax.value_and_grad(mean_loss, has_aux=True)(x)"
            yield from self._prints("grad")

    def _prints(self, gradient: str) -> Iterator[str]:
        s = self.pair.symbol
        yield f'print("{s} =", {s}.tolist())'
        yield 'print("loss =", loss.item())'
        yield f'print("gradient =", {gradient}.tolist())'

    def _gradient(self) -> Iterator[str]:
        """dL/dx by the formulas of the derivation."""
        f, formula = self.pair.loss_formula, self.pair.formula
        assert f is not None
        slope = self.expression(f.slope, **self._loss_letters)
        if self.pair.fused:
            yield f"grad = ({slope}) / T / len(x)"
            return
        s = self.pair.symbol
        yield f"by_value = ({slope}) / len(x)  # dL/d{s}"
        if isinstance(formula, Elementwise):
            slope = STABLE_SLOPES.get(self.pair.activation_name, formula.slope)
            own = self.expression(slope, x="z", a=s)
            yield f"grad = by_value * ({own}) / T"
        else:
            yield from self._let(formula.parts, a=s)
            yield f"J = {self.expression(formula.jacobian, x='z', a=s)}"
            yield 'grad = np.einsum("nij,ni->nj", J, by_value) / T  # J^T dL/d' + s
