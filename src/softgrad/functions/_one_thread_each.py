"""Work that must stay on its own thread: row blocks that are shared out, small matrix products.

The limits are settings of the whole process: the first computation sets them, the last one restores
what was there, however many Python threads fit models at the same time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import Any

from softgrad._threads import get_num_threads, num_threads


class _Limit:
    """A setting that is in force while at least one computation holds it."""

    def __init__(self, setting: Callable[[], AbstractContextManager[Any]]) -> None:
        self._setting = setting
        self._lock = threading.Lock()
        self._holders = 0
        self._in_force = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._holders == 0:
                self._in_force.enter_context(self._setting())
            self._holders += 1

    def __exit__(self, *failure: object) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._in_force.close()


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


_shared_by = 1  # threads that there were before the first computation took its limits


@contextmanager
def _kernels_on_one_thread() -> Iterator[None]:
    global _shared_by
    _shared_by = get_num_threads()
    with num_threads(1):
        yield


_one_kernel_thread = _Limit(_kernels_on_one_thread)
_one_blas_thread = _Limit(lambda: _controller().limit(limits=1, user_api="blas"))


@contextmanager
def one_thread_each() -> Iterator[int]:
    """Within the block every BLAS call and every kernel uses the calling thread alone.

    Gives the number of threads over which row blocks may be shared out instead.
    """
    with _one_kernel_thread, _one_blas_thread:
        yield _shared_by


def blas_on_one_thread() -> AbstractContextManager[None]:
    """Within the block BLAS uses the calling thread alone, so that its sums have one order.

    The kernels keep their threads: their sums do not depend on them.
    """
    return _one_blas_thread
