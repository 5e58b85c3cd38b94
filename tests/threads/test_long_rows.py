"""Long rows are taken at their class blocks: by all threads, and without a copy where they lie
apart."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import softgrad as sg
from softgrad import _native
from tests.support.bits import assert_same_bits, every_second, fortran, hard_rows

pytestmark = pytest.mark.usefixtures("restore_threads")

#: Each works on one row of logits x and a row of numbers g; p has the probabilities of x.
CALLS = {
    "softmax": "_native.softmax(x)",
    "log_softmax": "_native.log_softmax(x)",
    "logsumexp": "_native.logsumexp(x)",
    "softmax_vjp": "_native.softmax_vjp(p, g)",
    "center": "_native.center(p, g)",
    "log_softmax_vjp": "_native.log_softmax_vjp(p, g)",
    "softmax_product": "_native.softmax_product(x, g, 0, 1.0, None)",
    "dot": "_native.dot(p, g)",
    "labels": "sg.cross_entropy.value_and_grad(x, 7)",
    "labels, tempered": "sg.cross_entropy.grad(x, 7, temperature=0.5)",
    "label smoothing": "sg.cross_entropy.value_and_grad(x, 7, label_smoothing=0.1)",
    "probabilities": "sg.cross_entropy.value_and_grad(x, p)",
    "probabilities, value": "sg.cross_entropy(x, p)",
}
THREADS = """
import os
import numpy as np
import softgrad as sg
from softgrad import _native
rng = np.random.default_rng(0)
x, g = rng.normal(size=(2, 4_000_000)).astype("float32"){view}
sg.set_num_threads(1)
p = sg.softmax(x)
sg.set_num_threads(2)
before = len(os.listdir("/proc/self/task"))
{call}
print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not _native.openmp, reason="built without OpenMP")
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs /proc")
@pytest.mark.parametrize("view", ["", "[:, ::2]"])
@pytest.mark.parametrize("name", CALLS)
def test_one_row_is_shared_by_threads(name: str, view: str) -> None:
    """The call starts a thread, as it would not for a row that it takes on one."""
    code = THREADS.format(view=view, call=CALLS[name])
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
    )
    assert run.returncode == 0, run.stderr.decode()
    assert int(run.stdout) >= 1


MEMORY = """
import resource
import numpy as np
import softgrad as sg
from softgrad import _native
sg.set_num_threads(1)
many = np.random.default_rng(0).normal(size=(2, 2, 4_000_000))
(x, x2), (g, _) = many[:, :, ::2]
small = x[:100]
p, out = sg.softmax(x), np.zeros_like(many[1, 1])[::2]
out[:] = 1
sg.cross_entropy.grad(small, 7, out=out[:100]), sg.softmax(small, out=out[:100])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sg.softmax(x, out=out), sg.log_softmax(x, out=out), sg.logsumexp(x)
sg.softmax.vjp(x, g, value=p, out=out), sg.softmax.vjp(x, g, out=out)
sg.cross_entropy.grad(x, 7, out=out), sg.cross_entropy.grad(x, 7, label_smoothing=0.1, out=out)
_native.log_softmax_vjp(p, g, 0, 1.0, out), _native.dot(p, g)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts kilobytes as Linux does")
def test_a_strided_row_is_not_copied() -> None:
    """A row of 16 MB whose classes lie apart costs less memory than a copy of it."""
    run = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True)
    assert run.returncode == 0, run.stderr.decode()
    assert int(run.stdout) < 8000


def special_rows(count: int, classes: int, dtype: str) -> Any:
    """Rows of every kind; some have NaN, infinities, or nothing but -inf."""
    x = hard_rows(count, classes, dtype)
    x[1, 30_000] = np.nan
    x[2, 5] = np.inf
    x[3] = -np.inf
    x[4] = -np.inf
    x[4, -1] = np.nan
    x[5, :20_000] = -np.inf
    return x


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", [fortran, every_second])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_bits_of_rows_that_lie_apart(layout: Any, dtype: str, temperature: float) -> None:
    """More rows than threads, and fewer; targets of all kinds, a label left out."""
    count, classes = 19, 33_001
    rng = np.random.default_rng(5)
    x = special_rows(count, classes, dtype)
    g = rng.normal(size=x.shape).astype(dtype)
    label = rng.integers(classes, size=count)
    label[7] = -100
    weight = rng.random(classes)
    soft = rng.random(x.shape).astype(dtype)
    soft[8] = 0
    soft[8, -1] = 1

    def results(x: Any, g: Any, soft: Any) -> dict[str, Any]:
        loss = sg.cross_entropy
        options = {"temperature": temperature, "reduction": "none"}
        labels = options | {"ignore_index": -100}
        p = sg.softmax(x, temperature=temperature)
        given = layout(p) if x.strides[-1] != x.itemsize else p
        out = layout(np.empty_like(p)) if x.strides[-1] != x.itemsize else np.empty_like(p)
        out_log = np.empty_like(out)
        sg.softmax(x, temperature=temperature, out=out)
        sg.log_softmax(x, temperature=temperature, out=out_log)
        both = {
            "labels": loss.value_and_grad(x, label, **labels),
            "smoothed": loss.value_and_grad(x, label, label_smoothing=0.1, **labels),
            "weighted": loss.value_and_grad(x, label, class_weight=weight, **labels),
            "soft": loss.value_and_grad(x, soft, **options),
            "soft, weighted": loss.value_and_grad(x, soft, class_weight=weight, **options),
            "mean": loss.value_and_grad(
                x[6:], soft[6:], class_weight=weight, temperature=temperature
            ),
        }
        return {
            "p": p,
            "out": out,
            "log out": out_log,
            "logsumexp": sg.logsumexp(x),
            "log vjp": sg.log_softmax.vjp(x, g, temperature=temperature),
            "vjp": sg.softmax.vjp(x, g, temperature=temperature),
            "jvp of p": sg.softmax.jvp(x, g, value=given, temperature=temperature),
            "center": sg.log_softmax.jvp(x, g, temperature=temperature),
            "lse jvp": sg.logsumexp.jvp(x, g),
        } | {f"{name} {i}": part for name, pair in both.items() for i, part in enumerate(pair)}

    with np.errstate(all="ignore"):
        sg.set_num_threads(1)
        expected = results(x, g, soft)
        for threads in (1, 3, 40):
            sg.set_num_threads(threads)
            for arguments in ((x, g, soft), tuple(map(layout, (x, g, soft)))):
                for name, result in results(*arguments).items():
                    try:
                        assert_same_bits(result, expected[name])
                    except AssertionError as difference:
                        difference.add_note(f"{name}, {threads} threads")
                        raise
