"""Row blocks are shared out over threads, so the work inside one must stay on its own thread.

The limits are settings of the whole process: the first computation sets them, the last one restores
what was there, however many Python threads fit models at the same time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

from softgrad._threads import get_num_threads, num_threads

_lock = threading.Lock()
_entered = 0
_shared_by = 1  # threads that there were before the first computation took its limits
_limits = ExitStack()


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def one_thread_each() -> Iterator[int]:
    """Within the block every BLAS call and every kernel uses the calling thread alone.

    Gives the number of threads over which row blocks may be shared out instead.
    """
    global _entered, _shared_by
    with _lock:
        if _entered == 0:
            _shared_by = get_num_threads()
            _limits.enter_context(_controller().limit(limits=1, user_api="blas"))
            _limits.enter_context(num_threads(1))
        _entered += 1
    try:
        yield _shared_by
    finally:
        with _lock:
            _entered -= 1
            if _entered == 0:
                _limits.close()


@contextmanager
def blas_on_one_thread() -> Iterator[None]:
    """Within the block BLAS uses the calling thread alone, so that its sums have one order.

    The kernels keep their threads: their sums do not depend on them.
    """
    with _controller().limit(limits=1, user_api="blas"):
        yield
