"""The protocol of every differentiable function: one object that carries its derivatives.

A new function is one class with one instance. It derives from

- `Differentiable`, if it maps rows to rows or to numbers, and implements every member;
- `Elementwise`, if it maps each number by itself, and has a kernel of its name;
- `Loss`, if it compares an input with a target; the members of losses that are sums over rows are
  written in `softgrad.functions._members`.

The instance is the public function; its class's docstring is the function's documentation.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import FunctionType
from typing import Any, ClassVar, NamedTuple, Unpack, final

import numpy as np

from softgrad import _checks, _native
from softgrad._typing import Array, ArrayLike, LossOptions, Value
from softgrad.errors import OptionTypeError


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

    ``value`` is the function's own value f(x), where the caller has it already. A member reads it
    where that saves work; the result then carries the rounding of what was passed, and the member
    says what that costs. All other options mean the same in every member.
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


class Parameter(NamedTuple):
    """An option of an elementwise function: one number, the same in every member."""

    name: str
    default: float
    check: Callable[[object], float]


class Elementwise(Differentiable):
    """A function of each number by itself; its Jacobian is diagonal.

    A subclass has a ``name`` that the kernels know, and may declare a ``_parameter``, which every
    member then takes as a keyword; everything else follows from these.
    """

    elementwise = True
    _parameter: ClassVar[Parameter | None] = None
    _kernel: ClassVar[int]
    _by_value: ClassVar[bool] = False  # whether the kernels have f' in terms of f(x), too

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._kernel = _native.activations.index(cls.name)
        for member in ("__call__", "vjp", "jvp", "jacobian", "hvp"):
            setattr(cls, member, _with_signature(getattr(Elementwise, member), cls._parameter))

    def __call__(self, x: ArrayLike, /, *, out: Array | None = None, **parameter: float) -> Array:
        """Return f(x), of the shape of ``x``."""
        return self._times(0, x, (), None, out, parameter)

    @final
    def vjp(
        self,
        x: ArrayLike,
        g: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        out: Array | None = None,
        **parameter: float,
    ) -> Array:
        """Return g f'(x), of the shape of ``x``, for a cotangent ``g`` of that shape.

        ``value``, if given, is f(x). sigmoid and tanh then compute f' from it, y (1 - y) and
        (1 - y) (1 + y), which is faster and as good as what rounding has left of y: 0 where this is
        1. All others compute f' from ``x``. ``out`` may be ``x`` or ``g``. One rounding more than
        f', whose error the function states.

        >>> import numpy as np
        >>> import softgrad as sg
        >>> x, g = np.array([0.0, 20.0]), np.array([2.0, 1.0])
        >>> sg.tanh.vjp(x, g)
        array([2.0000000e+00, 1.6993417e-17])
        >>> sg.tanh.vjp(x, g, value=sg.tanh(x))
        array([2., 0.])
        """
        return self._times(1, x, (("g", g),), value, out, parameter)

    @final
    def jvp(
        self,
        x: ArrayLike,
        v: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        out: Array | None = None,
        **parameter: float,
    ) -> Array:
        """Return f'(x) v, of the shape of ``x``, for a tangent ``v`` of that shape.

        The Jacobian is diagonal, so that these are the numbers of ``vjp``, to which ``value``,
        ``out`` and the accuracy are the same.

        >>> import softgrad as sg
        >>> sg.sigmoid.jvp([0.0, 40.0], [1.0, 1.0])
        array([2.50000000e-01, 4.24835426e-18])
        """
        return self._times(1, x, (("v", v),), value, out, parameter)

    @final
    def jacobian(
        self,
        x: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        out: Array | None = None,
        **parameter: float,
    ) -> Array:
        """Return the diagonal of the Jacobian, f'(x), of the shape of ``x``; all else is 0.

        ``value`` is accepted for symmetry; f' is computed from ``x``, which keeps all digits. Its
        error is the one that the function states.

        >>> import softgrad as sg
        >>> sg.softplus.jacobian([0.0, 1.0]).round(4)
        array([0.5   , 0.7311])
        """
        return self._times(1, x, (), value, out, parameter)

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
        **parameter: float,
    ) -> Array:
        """Return g f''(x) v, the derivative of ``vjp(x, g)`` in direction ``v``.

        ``x``, ``g``, ``v`` and the result have the same shape; ``out`` may be any of them.
        ``value`` is accepted for symmetry; f'' is computed from ``x``, which keeps all digits. Two
        roundings more than f'', whose error the function states.

        >>> import softgrad as sg
        >>> sg.softplus.hvp([0.0, 1.0], [1.0, 1.0], [1.0, 2.0]).round(4)
        array([0.25  , 0.3932])
        """
        return self._times(2, x, (("g", g), ("v", v)), value, out, parameter)

    def _times(
        self,
        order: int,
        x: ArrayLike,
        factors: tuple[tuple[str, ArrayLike], ...],
        value: ArrayLike | None,
        out: Array | None,
        given: dict[str, float],
    ) -> Array:
        """The derivative of this order times the factors, in one pass."""
        number = self._number(given) if given or self._parameter is not None else 0.0
        if value is None or _same_kind(value, x):
            g = factors[0][1] if factors else None
            v = factors[1][1] if len(factors) > 1 else None
            by_value = value is not None and self._by_value and order == 1 and g is not None
            result: Array = (
                _native.activation(self._kernel, _BY_VALUE, number, value, g, None, out)
                if by_value
                else _native.activation(self._kernel, order, number, x, g, v, out)
            )
            if result is not NotImplemented:
                return result
        array, dtype = _checks.floats(x, "x")
        companions = factors if value is None else (*factors, ("value", value))
        arrays = [
            _checks.floats_like(a, name, array.shape, array.dtype, "x") for name, a in companions
        ]
        # The kernels take arrays of at least one axis.
        operands = [np.atleast_1d(a) for a in (array, *arrays[: len(factors)])]
        result = _native.activation(self._kernel, order, number, *operands)
        return deliver(result.reshape(array.shape), dtype, out)

    def _number(self, given: dict[str, float]) -> float:
        known = self._parameter
        unknown = [name for name in given if known is None or name != known.name]
        if unknown:
            accepted = "out" if known is None else f"{known.name} and out"
            raise OptionTypeError(
                f"{self.name} has no option {unknown[0]!r}; accepted are {accepted}."
            )
        assert known is not None
        return known.check(given.get(known.name, known.default))


_BY_VALUE = 3  # what the kernel calls the first derivative in terms of the value


def _same_kind(value: ArrayLike, x: ArrayLike) -> bool:
    """Whether ``value`` can be f(x) without a closer look."""
    return (
        type(value) is np.ndarray
        and type(x) is np.ndarray
        and value.shape == x.shape
        and value.dtype == x.dtype
    )


def _with_signature(member: Any, parameter: Parameter | None) -> Any:
    """A copy of a member whose signature names the parameter, for ``help`` and ``options``."""
    copy = FunctionType(member.__code__, member.__globals__, member.__name__)
    copy.__kwdefaults__ = member.__kwdefaults__
    copy.__doc__, copy.__qualname__ = member.__doc__, member.__qualname__
    signature = inspect.signature(member)
    parameters = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    if parameter is not None:
        option = inspect.Parameter(
            parameter.name, inspect.Parameter.KEYWORD_ONLY, default=parameter.default
        )
        parameters.insert(-1, option)
    copy.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return copy


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
