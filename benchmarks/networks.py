"""Training of networks beside PyTorch and scikit-learn: ``python -m benchmarks.networks --help``.

One sample is an epoch of 6400 rows in shuffled mini-batches of 128, float32, as a user would write
it: rows gathered from memory, loss, gradients, step. PyTorch runs eagerly, with every
implementation of its optimiser: a loop over tensors, which is what it takes by default on a
processor, foreach, and fused. Targets are judged by the default; the ratio to the fastest stands
beside it. The matrix products alone, in NumPy, are what no network on the same BLAS can be faster
than. All contenders run in one process, in an order shuffled anew every round.

BLAS decides most of the time, and OpenBLAS chooses its kernels by the processor or by
OPENBLAS_CORETYPE: quote the header with any figure.
"""

from __future__ import annotations

import argparse
import gzip
import random
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import softgrad as sg
from softgrad.network import Linear, Sequential, train
from softgrad.optimize import SGD, Adam, Optimizer

from . import machine
from .timing import Call, Contender, race

Rows = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

MNIST = Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist"
BATCH = 128
STEPS = 50  # of a sample
TARGETS = {  # how many times as fast as the peer
    ("784-256-128-10", "adam", "PyTorch"): 1.6,
    ("784-256-128-10", "sgd", "PyTorch"): 1.15,
    ("784-256-128-10", "adam", "scikit-learn"): 4.0,
    ("784-10", "sgd", "PyTorch"): 2.0,
    ("784-10", "adam", "PyTorch"): 2.0,
}
DEFAULT = {"PyTorch": "PyTorch loop"}  # what Adam(parameters) and SGD(parameters) run
MEMORY_TARGET = 1.2  # times parameters and activations


@dataclass(frozen=True)
class Case:
    """One network with one optimiser."""

    name: str
    widths: tuple[int, ...]
    optimizer: str

    def layers(self) -> list[Any]:
        layers: list[Any] = []
        for i, (a, b) in enumerate(zip(self.widths[:-1], self.widths[1:], strict=True)):
            layers += [Linear(a, b)] + ([activation()] if i < len(self.widths) - 2 else [])
        return layers

    def network(self) -> Sequential:
        return Sequential(self.layers(), loss=sg.cross_entropy, seed=0)

    def ours(self) -> Optimizer:
        return Adam(1e-3) if self.optimizer == "adam" else SGD(0.05)


CASES = [
    Case("784-256-128-10", (784, 256, 128, 10), "adam"),
    Case("784-256-128-10", (784, 256, 128, 10), "sgd"),
    Case("784-10", (784, 10), "adam"),
    Case("784-10", (784, 10), "sgd"),
]


def activation() -> Any:
    """The one of the network: relu."""
    return sg.relu


def data() -> tuple[Any, Labels, str]:
    """The first rows of MNIST, or random ones of that shape."""
    count = BATCH * STEPS
    try:
        with gzip.open(MNIST / "train-images-idx3-ubyte.gz") as file:
            pixels = np.frombuffer(file.read(16 + 784 * count), np.uint8, offset=16)
        with gzip.open(MNIST / "train-labels-idx1-ubyte.gz") as file:
            labels = np.frombuffer(file.read(8 + count), np.uint8, offset=8)
    except FileNotFoundError:
        rng = np.random.default_rng(0)
        return (
            rng.random((count, 784), np.float32),
            rng.integers(10, size=count),
            "random rows, for want of MNIST",
        )
    X = pixels.reshape(count, 784).astype(np.float32) / 255
    return X, labels.astype(np.int64), "the first rows of MNIST"


def ours(case: Case, X: Rows, y: Labels) -> Call:
    """An epoch by ``softgrad.network.train``."""
    net, optimizer = case.network(), case.ours()
    epoch = iter(range(10**9))
    return lambda: train(
        net, X, y, optimizer=optimizer, epochs=1, batch_size=BATCH, seed=next(epoch)
    )


def products(case: Case, X: Rows, y: Labels) -> Call:
    """The matrix products of an epoch, into memory that is given."""
    rng = np.random.default_rng(0)
    pairs = list(zip(case.widths[:-1], case.widths[1:], strict=True))
    weights = [rng.normal(size=(b, a)).astype(np.float32) for a, b in pairs]
    outputs = [np.empty((BATCH, b), np.float32) for _, b in pairs]
    gradients = [np.empty_like(w) for w in weights]
    inputs = [np.empty((BATCH, a), np.float32) for a, _ in pairs]

    def run() -> None:
        for start in range(0, len(X), BATCH):
            x = X[start : start + BATCH]
            for w, out in zip(weights, outputs, strict=True):
                np.matmul(x, w.T, out=out)
                x = out
            for i in reversed(range(len(pairs))):
                before = outputs[i - 1] if i else X[start : start + BATCH]
                np.matmul(outputs[i].T, before, out=gradients[i])
                if i:
                    np.matmul(outputs[i], weights[i], out=inputs[i])

    return run


def torch_epochs(case: Case, X: Rows, y: Labels) -> dict[str, Call]:
    """An epoch by PyTorch, for every implementation of its optimiser."""
    import torch

    rows, labels = torch.from_numpy(X), torch.from_numpy(y)
    names = {"foreach": {"foreach": True}, "fused": {"fused": True}, "loop": {"foreach": False}}

    def epoch(options: dict[str, bool]) -> Call:
        layers: list[Any] = []
        for a, b in zip(case.widths[:-1], case.widths[1:], strict=True):
            layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
        net = torch.nn.Sequential(*layers[:-1])
        loss = torch.nn.CrossEntropyLoss()
        kind: Callable[..., Any] = torch.optim.Adam if case.optimizer == "adam" else torch.optim.SGD
        size = 1e-3 if case.optimizer == "adam" else 0.05
        optimizer = kind(net.parameters(), lr=size, **options)

        def run() -> None:
            order = torch.randperm(len(rows))
            for start in range(0, len(rows), BATCH):
                chosen = order[start : start + BATCH]
                optimizer.zero_grad()
                value = loss(net(rows[chosen]), labels[chosen])
                value.backward()
                optimizer.step()

        return run

    return {f"PyTorch {name}": epoch(options) for name, options in names.items()}


def sklearn_epoch(case: Case, X: Rows, y: Labels) -> Call:
    """An epoch by MLPClassifier."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    def run() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            MLPClassifier(
                case.widths[1:-1], solver=case.optimizer, batch_size=BATCH, max_iter=1, alpha=0.0
            ).fit(X, y)

    return run


def memory(case: Case, X: Rows, y: Labels) -> str:
    """The most that training holds beside the data, as allocated, against what it must hold.

    That is parameters, gradients and the optimiser's memory, one output of every Linear, and the
    rows of a batch. Nothing else is: the copy of the parameters that the result's state carries
    takes the gradient's place.
    """
    net, optimizer = case.network(), case.ours()
    train(case.network(), X[:BATCH], y[:BATCH], optimizer=optimizer, epochs=1)  # what imports hold
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    result = train(net, X, y, optimizer=optimizer, epochs=1, batch_size=BATCH)
    peak = tracemalloc.get_traced_memory()[1] - before + net.vector.nbytes
    tracemalloc.stop()
    vectors = 2 * net.vector.nbytes + sum(a.nbytes for a in result.memory.values())
    outputs = X.itemsize * BATCH * sum(case.widths[1:])
    rows = X.itemsize * BATCH * case.widths[0]
    ratio = peak / (vectors + outputs + rows)
    verdict = "reached" if ratio <= MEMORY_TARGET else "MISSED"
    return (
        f"{peak / 2**20:.2f} MiB at the peak; parameters, gradients and moments "
        f"{vectors / 2**20:.2f}, activations {outputs / 2**20:.2f}, rows {rows / 2**20:.2f}: "
        f"{ratio:.2f}x, target {MEMORY_TARGET}x: {verdict}"
    )


def measure(case: Case, X: Rows, y: Labels, threads: int, seconds: float) -> dict[str, float]:
    """Median times of one step, in seconds, by contender."""
    from threadpoolctl import threadpool_limits

    calls = {"softgrad": ours(case, X, y), "products": products(case, X, y)}
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: no comparison with it")
    else:
        torch.set_num_threads(threads)
        calls |= torch_epochs(case, X, y)
    if len(case.widths) > 2:
        calls["scikit-learn"] = sklearn_epoch(case, X, y)
    with threadpool_limits(threads), sg.num_threads(threads):
        contenders = [Contender(name, call) for name, call in calls.items()]
        times = race(
            contenders,
            seconds=seconds,
            rounds=(5, 200),
            rng=random.Random(0),
            settle=threads > 1,
        )
    return {name: elapsed / STEPS for name, elapsed in times.items()}


def report(case: Case, times: dict[str, float]) -> None:
    """One line a contender, and the targets that the case has."""
    for name, elapsed in sorted(times.items(), key=lambda item: item[1]):
        ratio = elapsed / times["softgrad"]
        rows = BATCH / elapsed
        print(f"    {name:<18} {1e3 * elapsed:7.3f} ms a step  {rows:9.0f} rows/s  {ratio:5.2f}x")
    for peer in ("PyTorch", "scikit-learn"):
        wanted = TARGETS.get((case.name, case.optimizer, peer))
        own = {name: t for name, t in times.items() if name.startswith(peer)}
        if wanted is None or not own:
            continue
        default, fastest = own[DEFAULT.get(peer, peer)], min(own.values())
        ratio = default / times["softgrad"]
        verdict = "reached" if ratio >= wanted else "MISSED"
        best = "" if len(own) == 1 else f" ({fastest / times['softgrad']:.2f}x its fastest)"
        print(
            f"    target: {wanted}x {peer}, measured {ratio:.2f}x{best}: {verdict}; "
            f"the products alone are {default / times['products']:.2f}x"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--threads", default="1,2", help="numbers of threads, by commas")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each contender and case")
    options = parser.parse_args()
    for name, fact in machine.describe().items():
        print(f"{name:<26} {fact}")
    print(f"{'BLAS':<26} {blas()}")
    X, y, source = data()
    print(f"{'data':<26} {source}")
    for threads in map(int, options.threads.split(",")):
        for case in CASES:
            print(f"\n{case.name}, {case.optimizer}, {threads} thread{'s' if threads > 1 else ''}")
            report(case, measure(case, X, y, threads, options.seconds))
    print()
    for case in CASES:
        print(f"memory of {case.name} with {case.optimizer}: {memory(case, X, y)}")


def blas() -> str:
    """The library that NumPy multiplies matrices with, and the kernels that it chose."""
    from threadpoolctl import threadpool_info

    found = [lib for lib in threadpool_info() if lib["user_api"] == "blas"]
    return ", ".join(f"{b['internal_api']} {b['version']}, {b['architecture']}" for b in found)


if __name__ == "__main__":
    main()
