"""The protocol of every differentiable function: one object that carries its derivatives.

A new function is one class with one instance. It derives from

- `Differentiable`, if it maps rows to rows or to numbers, and implements every member;
- `Elementwise`, if it maps each number by itself, and implements one method;
- `Loss`, if it compares an input with a target; the members of losses that are sums over rows are
  written in `softgrad.functions._members`.

The instance is the public function; its class's docstring is the function's documentation.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Unpack, final

import numpy as np

from softgrad import _checks
from softgrad._typing import Array, ArrayLike, LossOptions, Value


class _Function(ABC):
    """A callable object that presents itself as the function it is."""

    name: ClassVar[str]

    @property
    def __name__(self) -> str:
        return self.name

    @property
    def options(self) -> tuple[str, ...]:
        """The options that every member takes: the keywords of the call, without ``out``."""
        parameters = inspect.signature(self).parameters.values()
        keywords = (p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY)
        return tuple(name for name in keywords if name != "out")

    def __repr__(self) -> str:
        return f"<softgrad function {self.name}>"

    def __reduce__(self) -> str:
        return self.name  # pickled by reference, like a plain function

    # An abstract __call__ would have to name the arguments that each kind of function has.
    __call__: Any


class Differentiable(_Function):
    """A function y = f(x) of one array, with its derivatives in closed form.

    ``value`` is the function's own value f(x), where the caller has it already. No result depends
    on whether it is passed: a member reads it where that saves work and costs no digits. All other
    options mean the same in every member.
    """

    #: Whether each y depends on its own x alone. Then ``jacobian`` returns the diagonal.
    elementwise: ClassVar[bool] = False

    @abstractmethod
    def vjp(
        self,
        x: ArrayLike,
        g: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """g^T J: the derivative of sum(g * f(x)) by x, with g of f(x)'s shape."""

    @abstractmethod
    def jvp(
        self,
        x: ArrayLike,
        v: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """J v: the derivative of f(x) in direction v, with v of x's shape."""

    @abstractmethod
    def jacobian(
        self, x: ArrayLike, /, *, value: ArrayLike | None = None, out: Array | None = None
    ) -> Array:
        """J: the derivative of each y by each x of the same row."""

    @abstractmethod
    def hvp(
        self,
        x: ArrayLike,
        g: ArrayLike,
        v: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """The derivative of vjp(x, g) in direction v."""


class Elementwise(Differentiable):
    """A function of each number by itself; its Jacobian is diagonal.

    A subclass implements ``_kernel``; everything else follows from it.
    """

    elementwise = True

    @staticmethod
    @abstractmethod
    def _kernel(x: Any, order: int, out: Any, /) -> Any:
        """f, f' or f'' (order 0, 1 or 2) of float32 or float64; NotImplemented for all else."""

    def __call__(self, x: ArrayLike, /, *, out: Array | None = None) -> Array:
        """Return f(x), of the shape of ``x``."""
        value: Array = self._kernel(x, 0, out)
        if value is not NotImplemented:
            return value
        return self._derivative(x, 0, None, (), out)

    @final
    def vjp(
        self,
        x: ArrayLike,
        g: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return g f'(x), of the shape of ``x``, for a cotangent ``g`` of that shape.

        ``value`` is accepted for symmetry; f' is computed from ``x``, which keeps all digits.
        """
        return self._derivative(x, 1, value, (("g", g),), out)

    @final
    def jvp(
        self,
        x: ArrayLike,
        v: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return f'(x) v, of the shape of ``x``, for a tangent ``v`` of that shape.

        ``value`` is accepted for symmetry; f' is computed from ``x``, which keeps all digits.
        """
        return self._derivative(x, 1, value, (("v", v),), out)

    @final
    def jacobian(
        self, x: ArrayLike, /, *, value: ArrayLike | None = None, out: Array | None = None
    ) -> Array:
        """Return the diagonal of the Jacobian, f'(x), of the shape of ``x``; all else is 0.

        ``value`` is accepted for symmetry; f' is computed from ``x``, which keeps all digits.
        """
        return self._derivative(x, 1, value, (), out)

    @final
    def hvp(
        self,
        x: ArrayLike,
        g: ArrayLike,
        v: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return g f''(x) v, the derivative of ``vjp(x, g)`` in direction ``v``.

        ``value`` is accepted for symmetry; f'' is computed from ``x``, which keeps all digits.
        """
        return self._derivative(x, 2, value, (("g", g), ("v", v)), out)

    def _derivative(
        self,
        x: ArrayLike,
        order: int,
        value: ArrayLike | None,
        factors: tuple[tuple[str, ArrayLike], ...],
        out: Array | None,
    ) -> Array:
        """The derivative of this order times the factors."""
        array, dtype = _checks.floats(x, "x")
        companions = factors if value is None else (*factors, ("value", value))
        arrays = [
            _checks.floats_like(a, name, array.shape, array.dtype, "x") for name, a in companions
        ]
        result: Array = self._kernel(np.atleast_1d(array), order, None).reshape(array.shape)
        with np.errstate(invalid="ignore", over="ignore"):
            for factor in arrays[: len(factors)]:
                np.multiply(result, factor, out=result)
        return deliver(result, dtype, out)


class Loss(_Function):
    """A loss of an input x and a target, with its derivatives in closed form.

    The derivatives follow the reduction: those of the sum or the mean if it is one, each row's own
    derivatives if it is "none". The options are the keywords of the call, the same in every member.
    """

    #: What x holds: "logits", "log_probabilities" or "probabilities" along the class axis, or
    #: "values", any real numbers.
    takes: ClassVar[str]

    #: Whether each number of x is about a yes/no question of its own: "logits" are then log-odds,
    #: "probabilities" those of yes.
    multi_label: ClassVar[bool] = False

    #: What a target may hold: "indices", "probabilities", "values".
    targets: ClassVar[frozenset[str]]

    @abstractmethod
    def value_and_grad(
        self,
        x: ArrayLike,
        target: ArrayLike,
        /,
        *,
        out: Array | None = None,
        **options: Unpack[LossOptions],
    ) -> tuple[Value, Array]:
        """The loss and its gradient by x, from one pass over it."""

    @abstractmethod
    def grad(
        self,
        x: ArrayLike,
        target: ArrayLike,
        /,
        *,
        out: Array | None = None,
        **options: Unpack[LossOptions],
    ) -> Array:
        """The gradient by x."""

    @abstractmethod
    def vjp(
        self,
        x: ArrayLike,
        target: ArrayLike,
        g: ArrayLike,
        /,
        *,
        out: Array | None = None,
        **options: Unpack[LossOptions],
    ) -> Array:
        """The gradient times a cotangent of the loss's shape."""

    @abstractmethod
    def jvp(
        self, x: ArrayLike, target: ArrayLike, v: ArrayLike, /, **options: Unpack[LossOptions]
    ) -> Value:
        """The derivative of the loss when x moves in direction v."""

    @abstractmethod
    def hvp(
        self,
        x: ArrayLike,
        target: ArrayLike,
        v: ArrayLike,
        /,
        *,
        out: Array | None = None,
        **options: Unpack[LossOptions],
    ) -> Array:
        """The derivative of the gradient when x moves in direction v."""

    @abstractmethod
    def jacobian(
        self,
        x: ArrayLike,
        target: ArrayLike,
        /,
        *,
        out: Array | None = None,
        **options: Unpack[LossOptions],
    ) -> Array:
        """The derivative of each row's loss, or of the reduced loss, by x."""

    @abstractmethod
    def hessian(
        self,
        x: ArrayLike,
        target: ArrayLike,
        /,
        *,
        out: Array | None = None,
        **options: Unpack[LossOptions],
    ) -> Array:
        """The second derivatives by the numbers of a row, for every row."""

    @abstractmethod
    def grad_target(
        self,
        x: ArrayLike,
        target: ArrayLike,
        /,
        *,
        out: Array | None = None,
        **options: Unpack[LossOptions],
    ) -> Array:
        """The gradient by a target that is not made of class indices."""


def deliver(result: Array, dtype: np.dtype[Any], out: Array | None) -> Array:
    """A finished result in its own type: into ``out`` if there is one, numbers as scalars."""
    if result.dtype != dtype:
        with np.errstate(over="ignore", under="ignore"):
            result = result.astype(dtype)
    if out is None:
        number_or_array: Array = result if result.ndim else result[()]
        return number_or_array
    if result is not out:
        np.copyto(_checks.out(out, result.shape, dtype), result)
    return out
