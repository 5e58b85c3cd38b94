"""Threads: set, limited, forked, concurrent, and without the interpreter's lock."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import softgrad as sg
from softgrad import _native

needs_openmp = pytest.mark.skipif(not _native.openmp, reason="built without OpenMP")
pytestmark = pytest.mark.usefixtures("restore_threads")


def large(rng: Any, rows: int = 4000, classes: int = 1000) -> Any:
    return rng.normal(size=(rows, classes)).astype("float32")


@needs_openmp
def test_set_num_threads() -> None:
    sg.set_num_threads(3)
    assert sg.get_num_threads() == 3
    sg.set_num_threads(1)
    assert sg.get_num_threads() == 1


@needs_openmp
def test_num_threads_is_a_context_that_restores() -> None:
    sg.set_num_threads(2)
    with sg.num_threads(1):
        assert sg.get_num_threads() == 1
        with sg.num_threads(4):
            assert sg.get_num_threads() == 4
        assert sg.get_num_threads() == 1
    assert sg.get_num_threads() == 2
    with pytest.raises(RuntimeError, match="inside"), sg.num_threads(3):
        raise RuntimeError("inside")
    assert sg.get_num_threads() == 2


@pytest.mark.parametrize("number", [-1, -100])
def test_bad_numbers_of_threads(number: int) -> None:
    before = sg.get_num_threads()
    with pytest.raises(ValueError, match=str(number)):
        sg.set_num_threads(number)
    assert sg.get_num_threads() == before


@pytest.mark.parametrize("number", [1.5, "two", None])
def test_numbers_of_threads_of_another_type(number: Any) -> None:
    with pytest.raises(TypeError):
        sg.set_num_threads(number)


@needs_openmp
def test_threadpoolctl_limits_are_respected() -> None:
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "openmp"]
    assert pools, "threadpoolctl does not see our OpenMP"
    sg.set_num_threads(0)  # follow OpenMP
    with threadpool_limits(1, user_api="openmp"):
        assert sg.get_num_threads() == 1
    with threadpool_limits(2, user_api="openmp"):
        assert sg.get_num_threads() == 2


CODE = """
import os, resource, sys, time
import numpy as np
import softgrad as sg
from threadpoolctl import threadpool_limits
x = np.random.default_rng(0).normal(size=(4000, 1000)).astype("float32")
out = np.empty_like(x)
limit = os.environ.get("LIMIT")
if limit == "sg":
    sg.set_num_threads(1)
elif limit == "ctl":
    threadpool_limits(1)
for _ in range(10):
    sg.softmax(x, out=out)
print(len(os.listdir("/proc/self/task")))
"""


@needs_openmp
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs /proc")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
@pytest.mark.parametrize(("limit", "more"), [("none", True), ("sg", False), ("ctl", False)])
def test_a_limit_of_one_thread_starts_no_other(limit: str, more: bool) -> None:
    """Counted from outside; BLAS threads are switched off so that only ours remain."""
    environment = {**os.environ, "LIMIT": limit, "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("OMP_NUM_THREADS", None)
    run = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, check=True
    )
    assert (int(run.stdout) > 1) is more


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_after_threaded_use() -> None:
    """A child of a process that used OpenMP threads must neither hang nor differ."""
    code = """
import os, sys, warnings
import numpy as np
import softgrad as sg
x = np.random.default_rng(0).normal(size=(3000, 500)).astype("float32")
target = np.random.default_rng(1).integers(500, size=3000)
sg.set_num_threads(2)
expected = sg.softmax(x)
warnings.simplefilter("ignore")  # Python 3.12 warns of fork in a process with threads
child = os.fork()
if child == 0:
    same = np.array_equal(sg.softmax(x), expected)
    sg.cross_entropy.value_and_grad(x, target)
    grandchild = os.fork()
    if grandchild == 0:
        os._exit(0 if np.array_equal(sg.softmax(x), expected) else 4)
    os._exit(3 if os.waitpid(grandchild, 0)[1] else 0 if same else 2)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert np.array_equal(sg.softmax(x), expected)  # the parent goes on as before
sys.exit(status)
"""
    run = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True)
    assert run.returncode == 0, run.stderr.decode()


def test_multiprocessing_by_fork() -> None:
    code = """
import multiprocessing, warnings
import numpy as np
import softgrad as sg
warnings.simplefilter("ignore")
def work(seed):
    x = np.random.default_rng(seed).normal(size=(2000, 300))
    return float(sg.softmax(x)[7, 5])
if __name__ == "__main__":
    expected = [work(seed) for seed in range(6)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(work, range(6)) == expected
"""
    run = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True)
    assert run.returncode == 0, run.stderr.decode()


def test_python_threads_at_the_same_time(rng: Any) -> None:
    """Every result equals the one computed alone, whatever the others compute meanwhile."""
    inputs = [large(rng, 200 + 37 * i, 50 + 111 * i) for i in range(8)]
    targets = [rng.integers(x.shape[1], size=len(x)) for x in inputs]

    def work(i: int) -> list[Any]:
        x, target = inputs[i % 8], targets[i % 8]
        loss, grad = sg.cross_entropy.value_and_grad(x, target)
        return [sg.softmax(x), sg.log_softmax(x, axis=0), sg.logsumexp(x), loss, grad]

    expected = [work(i) for i in range(8)]
    for threads in (1, 2):
        sg.set_num_threads(threads)
        with ThreadPoolExecutor(6) as pool:
            for i, results in enumerate(pool.map(work, range(48))):
                for result, alone in zip(results, expected[i % 8], strict=True):
                    np.testing.assert_array_equal(result, alone)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "cross_entropy"])
def test_the_interpreter_lock_is_released(name: str, rng: Any) -> None:
    """Another Python thread makes progress while one long call runs."""
    x = large(rng, 8000, 3000)
    target = rng.integers(3000, size=8000)
    sg.set_num_threads(1)
    calls = {
        "softmax": lambda: sg.softmax(x),
        "log_softmax": lambda: sg.log_softmax(x),
        "logsumexp": lambda: sg.logsumexp(x),
        "cross_entropy": lambda: sg.cross_entropy.value_and_grad(x, target),
    }
    calls[name]()
    ticks: list[float] = []
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.0002)

    watcher = threading.Thread(target=tick)
    watcher.start()
    inside = 0
    deadline = time.monotonic() + 60  # a busy machine may let the watcher wait for its turn
    while inside < 3 and time.monotonic() < deadline:
        start = time.perf_counter()
        calls[name]()
        stop = time.perf_counter()
        margin = 0.1 * (stop - start)  # what happens around the call itself holds the lock
        inside += sum(start + margin < t < stop - margin for t in ticks)
        ticks.clear()
    done.set()
    watcher.join()
    assert inside >= 3, f"{inside} ticks inside the calls in a minute"


@pytest.mark.usefixtures("restore_threads")
def test_a_thread_can_keep_its_kernels_to_itself() -> None:
    """Between calls of BLAS: see `alone`. Other threads keep theirs, and errors undo it too."""
    from concurrent.futures import ThreadPoolExecutor

    from softgrad._threads import alone

    sg.set_num_threads(3)

    @alone
    def inside(fails: bool) -> tuple[int, int]:
        with ThreadPoolExecutor(1) as pool:
            elsewhere = pool.submit(sg.get_num_threads).result()
        if fails:
            raise ZeroDivisionError
        return sg.get_num_threads(), elsewhere

    assert inside(False) == (1, 3)
    with pytest.raises(ZeroDivisionError):
        inside(True)
    assert sg.get_num_threads() == 3
