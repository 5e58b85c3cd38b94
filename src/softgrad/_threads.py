"""How many threads the kernels use. Results have the same bits for any number."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from softgrad import _native
from softgrad.errors import OptionError, OptionTypeError

P = ParamSpec("P")
R = TypeVar("R")

_chosen = 0  # 0: follow OpenMP, and with it threadpoolctl and OMP_NUM_THREADS


def set_num_threads(n: int, /) -> None:
    """Use at most ``n`` threads from now on, in the whole process.

    Small inputs stay on the calling thread whatever ``n`` is, and results do not depend on it.

    Parameters
    ----------
    n : int
        At least 1; or 0 to follow OpenMP's own setting, which ``OMP_NUM_THREADS`` and
        threadpoolctl control. That is the default.

    Raises
    ------
    ValueError
        If ``n`` is negative.
    TypeError
        If ``n`` is not an integer.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.set_num_threads(1)
    >>> sg.get_num_threads()
    1
    >>> sg.set_num_threads(0)
    """
    global _chosen
    number = _checked(n)
    _native.set_num_threads(number)
    _chosen = number


def get_num_threads() -> int:
    """Return the number of threads that a large input would use now.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.get_num_threads() >= 1
    True
    """
    return _native.get_num_threads()


@contextmanager
def num_threads(n: int, /) -> Iterator[None]:
    """Use at most ``n`` threads within a ``with`` block, then the number chosen before.

    The number belongs to the process: other Python threads see it while the block runs.

    Parameters
    ----------
    n : int
        As for :func:`set_num_threads`.

    Raises
    ------
    ValueError, TypeError
        As :func:`set_num_threads`.

    Examples
    --------
    >>> import softgrad as sg
    >>> with sg.num_threads(1):
    ...     sg.get_num_threads()
    1
    """
    before = _chosen
    set_num_threads(n)
    try:
        yield
    finally:
        set_num_threads(before)


def alone(function: Callable[P, R]) -> Callable[P, R]:
    """The function with all kernels that it calls on its own thread.

    For work between calls of BLAS: after every parallel loop OpenMP's threads go on waiting
    actively for a while, on the processors that BLAS's threads then want. A step of a small network
    took ten times as long for that.
    """

    @wraps(function)
    def on_own_thread(*args: P.args, **kwargs: P.kwargs) -> R:
        before = _native.set_own_threads(1)
        try:
            return function(*args, **kwargs)
        finally:
            _native.set_own_threads(before)

    return on_own_thread


def _checked(n: int) -> int:
    try:
        if isinstance(n, bool):
            raise TypeError
        number = operator.index(n)
    except TypeError:
        raise OptionTypeError(
            f"the number of threads is {n!r}; accepted is an int, 0 to follow OpenMP."
        ) from None
    if number < 0:
        raise OptionError(
            f"the number of threads is {number}; accepted is at least 1, or 0 to follow OpenMP."
        )
    return number
