"""Work that must stay on its own thread: row blocks that are shared out, small matrix products.

The limits are settings of the whole process: the first computation sets them, the last one restores
what was there, however many Python threads fit models at the same time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any

from softgrad._threads import get_num_threads, num_threads


class _BlasLimit:
    """BLAS uses the calling thread alone while at least one computation holds this.

    threadpoolctl takes orders for OpenBLAS from one Python thread at a time, and that one must take
    them back. When it leaves while others still compute, a thread of our own takes its place.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._owner: threading.Thread | None = None
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._holders == 0:
                self._take()
            self._holders += 1

    def __exit__(self, *failure: object) -> None:
        with self._lock:
            self._holders -= 1
            if self._owner is threading.current_thread():
                self._give_back()
                if self._holders:
                    _keeper().submit(self._take).result()
            elif self._holders == 0:
                _keeper().submit(self._give_back).result()

    def _take(self) -> None:
        self._limit = _controller().limit(limits=1, user_api="blas")
        self._limit.__enter__()
        self._owner = threading.current_thread()

    def _give_back(self) -> None:
        self._limit.__exit__(None, None, None)
        self._limit = self._owner = None


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@cache
def _keeper() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "softgrad-blas-limit")


_one_blas_thread = _BlasLimit()

_lock = threading.Lock()
_entered = 0
_shared_by = 1  # threads that there were before the first computation took its limits
_kernels: AbstractContextManager[None]


@contextmanager
def one_thread_each() -> Iterator[int]:
    """Within the block every BLAS call and every kernel uses the calling thread alone.

    Gives the number of threads over which row blocks may be shared out instead.
    """
    global _entered, _shared_by, _kernels
    with _lock:
        if _entered == 0:
            _shared_by = get_num_threads()
            _kernels = num_threads(1)
            _kernels.__enter__()
        _entered += 1
    try:
        with _one_blas_thread:
            yield _shared_by
    finally:
        with _lock:
            _entered -= 1
            if _entered == 0:
                _kernels.__exit__(None, None, None)


def blas_on_one_thread() -> AbstractContextManager[None]:
    """Within the block BLAS uses the calling thread alone, so that its sums have one order.

    The kernels keep their threads: their sums do not depend on them.
    """
    return _one_blas_thread
