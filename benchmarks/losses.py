"""Losses with their gradients beside PyTorch: ``python -m benchmarks.losses --help``.

Each case times ``value_and_grad`` against PyTorch's loss and ``backward`` on the same arrays, in
one process, with the same number of threads and in an order shuffled anew every round. PyTorch
computes each loss as its users write it: by the one function that it has for it, or where it has
none by the usual few lines. A ratio above 1 says how many times faster softgrad is.
"""

import argparse
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import softgrad as sg
from softgrad.functions import LOSSES

from . import machine, tables
from .loss_peers import torch_losses
from .timing import Contender, race

SHAPES = ((128, 10), (4096, 10), (1024, 1000), (64, 32000))


def arrays(name: str, shape: tuple[int, int], dtype: str) -> tuple[Any, Any]:
    """An input that the loss takes and a target."""
    loss, rng = LOSSES[name], np.random.default_rng(0)
    x = (rng.normal(size=shape) * 2).astype(dtype)
    if loss.takes == "probabilities":
        x = sg.sigmoid(x) if loss.multi_label else sg.softmax(x)
    elif loss.takes == "log_probabilities":
        x = sg.log_softmax(x)
    if "indices" in loss.targets:
        return x, rng.integers(shape[1], size=shape[0])
    if loss.multi_label:
        return x, rng.integers(2, size=shape).astype(dtype)
    target = rng.normal(size=shape).astype(dtype)
    return x, target if "values" in loss.targets else sg.softmax(target)


def contenders(name: str, shape: tuple[int, int], dtype: str) -> list[Contender]:
    """softgrad and PyTorch on the same numbers; they have to agree."""
    x, y = arrays(name, shape, dtype)
    peer = torch_losses()[name]
    options: Any = {"temperature": 2.0} if name == "distillation" else {}
    loss: Any = LOSSES[name]
    x_torch, y_torch = torch.tensor(x, requires_grad=True), torch.tensor(y)

    def theirs() -> tuple[Any, Any]:
        x_torch.grad = None
        value = peer(x_torch, y_torch)
        value.backward()
        return value, x_torch.grad

    def ours() -> Any:
        return loss.value_and_grad(x, y, **options)

    value, grad = theirs()
    mine, gradient = ours()
    np.testing.assert_allclose(mine, value.detach().numpy(), 1e-4)
    np.testing.assert_allclose(gradient, grad.numpy(), 1e-3, 1e-3 * np.abs(gradient).max())
    return [Contender("softgrad", ours), Contender("PyTorch", theirs)]


def measure(
    names: list[str], threads: int, dtype: str, seconds: float, rounds: tuple[int, int]
) -> Iterator[list[str]]:
    """A line for each loss: ratios at all shapes, and our time at each."""
    rng = random.Random(0)
    torch.set_num_threads(threads)
    sg.set_num_threads(threads)
    for name in names:
        line = [name]
        for shape in SHAPES:
            with threadpool_limits(threads):
                found = race(
                    contenders(name, shape, dtype),
                    seconds=seconds,
                    rounds=rounds,
                    rng=rng,
                    settle=threads > 1,
                )
            ratio = found["PyTorch"] / found["softgrad"]
            line.append(f"{ratio:.2f} ({found['softgrad'] * 1e6:.0f} us)")
        yield line


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.losses", description="Losses with gradients beside PyTorch."
    )
    parser.add_argument("--losses", default=",".join(LOSSES), help="names, separated by commas")
    parser.add_argument("--threads", default="1,2", help="numbers of threads")
    parser.add_argument("--dtype", default="float32,float64")
    parser.add_argument("--seconds", type=float, default=0.3, help="for each contender of a case")
    parser.add_argument("--rounds", type=int, default=30, help="at most")
    options = parser.parse_args(arguments)
    print(tables.table(["machine", ""], list(machine.describe().items()), words=2))
    header = ["loss", *(f"{rows} x {classes}" for rows, classes in SHAPES)]
    for dtype in options.dtype.split(","):
        for threads in map(int, options.threads.split(",")):
            lines = measure(
                options.losses.split(","),
                threads,
                dtype,
                options.seconds,
                (min(5, options.rounds), options.rounds),
            )
            print(
                f"\n### {dtype}, {threads} thread{'s' * (threads > 1)}: PyTorch's time over ours\n"
            )
            print(tables.table(header, list(lines)), flush=True)


if __name__ == "__main__":
    main()
