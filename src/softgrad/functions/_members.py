"""The members of every loss that is a sum over rows: written once, here.

A loss states its options in the signature of its call, and how they make a problem of its
arguments (`_prepare`). A problem is validated, knows its rows, and has the formulas: the loss and
its gradient (`run`), the Hessian and its products, the gradient by the target.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Mapping
from types import FunctionType
from typing import Any, ClassVar, Protocol, Unpack

import numpy as np

from softgrad import _checks, _native
from softgrad._protocol import Loss, deliver
from softgrad._typing import Array, ArrayLike, LossOptions, Value
from softgrad.errors import OptionTypeError
from softgrad.functions._rows import Rows

LOSS, GRAD, LOSS_AND_GRAD = 1, 2, 3  # what a problem is asked for


class LossProblem(Protocol):
    """Validated arguments of a loss, with its formulas over rows."""

    @property
    def rows(self) -> Rows: ...
    @property
    def target(self) -> Array: ...
    @property
    def reduction(self) -> str: ...

    def run(self, mode: int, buffer: Array | None = None, cotangent: Array | None = None) -> Any:
        """The loss, its gradient in the rows' layout, or both; the gradient times a cotangent."""

    def product(self, tangent: Array) -> Array:
        """The Hessian times a tangent, in the rows' layout."""

    def hessian(self) -> Array:
        """The second derivatives of each row, in shape (..., C, C)."""

    def grad_target(self) -> Array:
        """The gradient by the target, in the rows' layout."""


class RowsLoss(Loss):
    """A loss whose members take the options of its call."""

    _defaults: ClassVar[dict[str, Any]]

    def __init_subclass__(cls) -> None:
        call = cls.__dict__.get("__call__")
        if call is None:
            return
        parameters = inspect.signature(call).parameters.values()
        keywords = [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
        cls._defaults = {p.name: p.default for p in keywords}
        for name in MEMBERS:
            setattr(cls, name, _member_of(cls, name, keywords))

    @abstractmethod
    def _prepare(self, x: ArrayLike, target: ArrayLike, **options: Any) -> LossProblem:
        """Validate the arguments, with all options of the call."""

    def _attempt(
        self, mode: int, out: Array | None, x: Any, target: Any, options: Mapping[str, Any]
    ) -> Any:
        """The result without Python's checks, or NotImplemented where it needs them.

        ``options`` are all those of the call: a mapping and no keywords, which would cost a call on
        few numbers half its time.
        """
        return NotImplemented

    def _problem(self, x: ArrayLike, target: ArrayLike, options: Any) -> LossProblem:
        return self._prepare(x, target, **self._complete(options))

    def _complete(self, options: Any) -> Mapping[str, Any]:
        if not options:
            return self._defaults
        if not options.keys() <= self._defaults.keys():
            unknown = options.keys() - self._defaults.keys()
            raise OptionTypeError(
                f"{self.name} has no option {', '.join(sorted(unknown))}; "
                f"its options are {', '.join(self._defaults)}."
            )
        return {**self._defaults, **options}

    def _evaluate(
        self, mode: int, out: Array | None, x: ArrayLike, target: ArrayLike, options: Any
    ) -> Any:
        """Loss, gradient or both, in the caller's form."""
        complete = self._complete(options)
        result = self._attempt(mode, out, x, target, complete)
        if result is not NotImplemented:
            return result
        return evaluate(self._prepare(x, target, **complete), mode, out)

    def _value(self, x: ArrayLike, target: ArrayLike, **options: Any) -> Value:
        """What the call returns."""
        return self._evaluate(LOSS, None, x, target, options)

    def value_and_grad(
        self,
        x: ArrayLike,
        target: ArrayLike,
        /,
        *,
        out: Array | None = None,
        **options: Unpack[LossOptions],
    ) -> tuple[Value, Array]:
        """Return the loss and its gradient by the first argument, from one pass over it.

        The arguments, the errors that they raise and the accuracy are those of the call. The
        gradient has the first argument's shape and type and is written to ``out`` if given, which
        may be that argument itself.

        >>> import softgrad as sg
        >>> loss, grad = sg.cross_entropy.value_and_grad([[0.0, 0.0]], [1])
        >>> loss.round(4), grad
        (np.float64(0.6931), array([[ 0.5, -0.5]]))
        """
        both: tuple[Value, Array] = self._evaluate(LOSS_AND_GRAD, out, x, target, options)
        return both

    def grad(
        self,
        x: ArrayLike,
        target: ArrayLike,
        /,
        *,
        out: Array | None = None,
        **options: Unpack[LossOptions],
    ) -> Array:
        """Return the gradient by the first argument; for reduction="none" that of each row's loss.

        The arguments, the errors that they raise and the accuracy are those of the call; the result
        has the first one's shape and type and is written to ``out`` if given.

        >>> import softgrad as sg
        >>> sg.cross_entropy.grad([40.0, 0.0], 0)
        array([-4.24835426e-18,  4.24835426e-18])
        """
        gradient: Array = self._evaluate(GRAD, out, x, target, options)
        return gradient

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
        """Return the gradient by the first argument of sum(g * loss), for a cotangent ``g``.

        ``g`` has the loss's shape: one number for "sum" and "mean", one a row for "none"; another
        shape is a ``ValueError``. The other arguments are those of the call; the result has the
        first one's shape and type, and one rounding more than ``grad``.

        >>> import softgrad as sg
        >>> sg.cross_entropy.vjp([[0.0, 0.0]], [1], 2.0)
        array([[ 1., -1.]])
        """
        problem = self._problem(x, target, options)
        shape = problem.rows.row_shape if problem.reduction == "none" else ()
        double = np.dtype(np.float64)
        meaning = f"the loss ({problem.reduction})"
        cotangent = _checks.floats_like(g, "g", shape, double, meaning)
        gradient: Array = evaluate(problem, GRAD, out, cotangent)
        return gradient

    def jvp(
        self, x: ArrayLike, target: ArrayLike, v: ArrayLike, /, **options: Unpack[LossOptions]
    ) -> Value:
        """Return the derivative of the loss when the first argument moves in direction ``v``.

        sum_c grad_ic v_ic    (summed over the rows for "sum" and "mean")

        ``v`` has the first argument's shape, or it is a ``ValueError``; the result has the loss's.
        The other arguments are those of the call. The error is within that of ``grad`` relative to
        the size of the terms, the sum of |grad_ic v_ic|.

        >>> import softgrad as sg
        >>> sg.cross_entropy.jvp([[0.0, 0.0]], [1], [[1.0, 0.0]])
        np.float64(0.5)
        """
        problem = self._problem(x, target, options)
        rows = problem.rows
        tangent = rows.like(v, "v", "the first argument")
        changes = np.asarray(_native.dot(problem.run(GRAD), tangent, rows.axis))
        if problem.reduction != "none":
            changes = np.asarray(np.sum(changes, dtype=np.float64))
        return deliver(changes, rows.dtype, None)

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
        """Return the derivative of the gradient when the first argument moves in direction ``v``.

        ``v`` and the result have the first argument's shape; another is a ``ValueError``. The other
        arguments are those of the call. Rows do not mix: for reduction="none" it is each row's own
        product. Within 4 ULP of the size of its terms, the sum of |H_ij v_j|, unless the loss says
        otherwise.

        >>> import softgrad as sg
        >>> sg.cross_entropy.hvp([[0.0, 0.0]], [1], [[1.0, 0.0]])
        array([[ 0.25, -0.25]])
        """
        problem = self._problem(x, target, options)
        rows = problem.rows
        return rows.deliver(problem.product(rows.like(v, "v", "the first argument")), out)

    def jacobian(
        self,
        x: ArrayLike,
        target: ArrayLike,
        /,
        *,
        out: Array | None = None,
        **options: Unpack[LossOptions],
    ) -> Array:
        """Return the derivative of each row's loss by the numbers of its row, in their shape.

        A loss depends on one row, so that these are the numbers that ``grad`` returns; for the
        reductions "sum" and "mean" the Jacobian of the one number is its gradient. The arguments
        are those of the call.

        >>> import softgrad as sg
        >>> sg.cross_entropy.jacobian([[0.0, 0.0]], [1], reduction="none")
        array([[ 0.5, -0.5]])
        """
        jacobian: Array = self._evaluate(GRAD, out, x, target, options)
        return jacobian

    def hessian(
        self,
        x: ArrayLike,
        target: ArrayLike,
        /,
        *,
        out: Array | None = None,
        **options: Unpack[LossOptions],
    ) -> Array:
        """Return the second derivatives by the numbers of each row, in shape (..., C, C).

        The class axes come last, taken together. The second derivatives by numbers of two different
        rows are 0. The arguments are those of the call. Within 4 ULP, relative to the size of the
        terms where these cancel, unless the loss says otherwise.

        >>> import softgrad as sg
        >>> sg.cross_entropy.hessian([[0.0, 0.0]], [1])
        array([[[ 0.25, -0.25],
                [-0.25,  0.25]]])
        """
        problem = self._problem(x, target, options)
        return deliver(problem.hessian(), problem.rows.dtype, out)

    def grad_target(
        self,
        x: ArrayLike,
        target: ArrayLike,
        /,
        *,
        out: Array | None = None,
        **options: Unpack[LossOptions],
    ) -> Array:
        """Return the gradient by a target that is not made of class indices.

        The arguments are those of the call, class indices a ``ValueError``. The result has the
        first argument's shape and type, and is within 4 ULP of the size of its terms. Where the
        weight that the mean divides by depends on the target (probabilities with class weights) so
        does its gradient.

        >>> import softgrad as sg
        >>> sg.cross_entropy.grad_target([[0.0, 0.0]], [[0.5, 0.5]]).round(4)
        array([[0.6931, 0.6931]])
        """
        problem = self._problem(x, target, options)
        return problem.rows.deliver(problem.grad_target(), out)


MEMBERS = (
    "value_and_grad",
    "grad",
    "vjp",
    "jvp",
    "hvp",
    "jacobian",
    "hessian",
    "grad_target",
)


def evaluate(
    problem: LossProblem, mode: int, out: Array | None, cotangent: Array | None = None
) -> Any:
    """Loss, gradient or both, in the caller's form; the gradient times a cotangent."""
    rows = problem.rows
    result = problem.run(mode, rows.buffer(out, problem.target), cotangent)
    if mode == GRAD:
        return rows.deliver(result, out)
    loss, gradient = result if mode == LOSS_AND_GRAD else (result, None)
    loss = deliver(np.asarray(loss), rows.dtype, None)
    return loss if gradient is None else (loss, rows.deliver(gradient, out))


def _member_of(cls: type, name: str, keywords: list[inspect.Parameter]) -> FunctionType:
    """The member with the options of this class in its signature, for ``help`` and editors."""
    shared = vars(RowsLoss)[name]
    member = FunctionType(shared.__code__, shared.__globals__, name, None, shared.__closure__)
    member.__kwdefaults__ = shared.__kwdefaults__
    member.__doc__ = shared.__doc__
    member.__annotations__ = shared.__annotations__
    member.__qualname__ = f"{cls.__qualname__}.{name}"
    signature = inspect.signature(shared)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    last = [p for p in own if p.kind is inspect.Parameter.KEYWORD_ONLY]
    own = [p for p in own if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    member.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*own, *keywords, *last]
    )
    return member
