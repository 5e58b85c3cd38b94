"""Value and vjp of every activation beside PyTorch and JAX: ``python -m benchmarks.activations``.

All contenders of a case run in one process on the same numbers, in an order shuffled anew every
round, each allocating its result; a ratio is the peer's median time over softgrad's, above 1
softgrad is faster. PyTorch's vjp is the kernel behind its autograd, which for sigmoid and tanh
starts from the value; softgrad's starts from x. JAX is compiled; its vjp computes what it needs
of the value. JAX's thread pool is made once, so each number of threads takes a process of its own.
"""

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import softgrad as sg
from softgrad.functions import ACTIVATIONS

from . import activation_peers, machine, tables
from .peers import jax_
from .speed import pin
from .timing import Call, Contender, race

SHAPES = ("10x100", "100x1000", "10000x1000")
Case = dict[str, Any]


def softgrad_calls(name: str, x: Any, g: Any, out: Any) -> dict[str, tuple[Call, Call]]:
    """Ours, allocating and into a buffer."""
    f: Any = ACTIVATIONS[name]
    y = f(x)
    return {
        "value": (lambda: f(x), lambda: f(x, out=out)),
        "vjp": (lambda: f.vjp(x, g, value=y), lambda: f.vjp(x, g, value=y, out=out)),
    }


def torch_calls(name: str, x: Any, g: Any) -> dict[str, Call]:
    """PyTorch's value and vjp."""
    import torch

    tensor, cotangent = torch.from_numpy(x), torch.from_numpy(g)
    values, vjps = activation_peers.torch_values(), activation_peers.torch_vjps()
    if name not in values:
        return {}
    f, backward = values[name], vjps[name]
    saved = activation_peers.torch_saved(name, tensor, f(tensor))
    return {"value": lambda: f(tensor), "vjp": lambda: backward(cotangent, tensor, saved)}


def jax_calls(name: str, x: Any, g: Any) -> dict[str, Call]:
    """JAX's value and vjp, compiled."""
    import jax

    f = activation_peers.jax_values()[name]
    array, cotangent = jax.device_put(x), jax.device_put(g)
    value = jax.jit(f)
    vjp = jax.jit(lambda x, g: jax.vjp(f, x)[1](g)[0])
    return {
        "value": lambda: jax.block_until_ready(value(array)),
        "vjp": lambda: jax.block_until_ready(vjp(array, cotangent)),
    }


def measure(
    shape: str, dtype: str, threads: int, names: list[str], peers: list[str], seconds: float
) -> list[Case]:
    """Medians of all contenders for every activation and member."""
    rng = np.random.default_rng(1)
    x = (2 * rng.standard_normal([int(n) for n in shape.split("x")])).astype(dtype)
    g, out = rng.standard_normal(x.shape).astype(dtype), np.zeros_like(x)
    order, cases = random.Random(0), []
    makers: dict[str, Callable[[str, Any, Any], dict[str, Call]]] = {
        "PyTorch": torch_calls,
        "JAX": jax_calls,
    }
    for name in names:
        others = {peer: makers[peer](name, x, g) for peer in peers}
        ours = softgrad_calls(name, x, g, out)
        for member, (call, call_out) in ours.items():
            contenders = [Contender("softgrad", call), Contender("softgrad out=", call_out)]
            contenders += [
                Contender(peer, calls[member]) for peer, calls in others.items() if member in calls
            ]
            medians = race(
                contenders, seconds=seconds, rounds=(7, 60), rng=order, settle=threads > 1
            )
            cases.append(
                {
                    "function": name,
                    "member": member,
                    "shape": shape,
                    "dtype": dtype,
                    "threads": threads,
                    "seconds": medians,
                }
            )
    return cases


def table(cases: list[Case], peers: list[str]) -> str:
    """One line an activation and member."""
    rows = []
    for case in cases:
        seconds = case["seconds"]
        row = [case["function"], case["member"], tables.duration(seconds["softgrad"])]
        row.append(tables.duration(seconds["softgrad out="]))
        row += [
            tables.ratio(seconds[peer] / seconds["softgrad"] if peer in seconds else None)
            for peer in peers
        ]
        rows.append(row)
    return tables.table(["function", "member", "softgrad", "out=", *peers], rows, words=2)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.activations",
        description="Activations beside PyTorch and JAX. Lists are separated by commas.",
    )
    several: Callable[[str], list[str]] = lambda text: text.split(",")  # noqa: E731
    parser.add_argument("--functions", type=several, default=list(ACTIVATIONS))
    parser.add_argument("--shapes", type=several, default=list(SHAPES), help=", ".join(SHAPES))
    parser.add_argument("--dtype", type=several, default=["float32", "float64"])
    parser.add_argument("--threads", type=several, default=["1", "2"])
    parser.add_argument("--seconds", type=float, default=0.15, help="for each contender and case")
    parser.add_argument("--json", type=Path, help="write all medians there")
    parser.add_argument("--markdown", type=Path, help="write the tables there as well")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def worker(options: argparse.Namespace) -> list[Case]:
    """All cases on one number of threads."""
    threads = int(options.threads[0])
    peers = []
    if machine.version("jax"):
        jax_(threads)
        peers.append("JAX")
    if machine.version("torch"):
        import torch

        torch.set_num_threads(threads)
        peers.insert(0, "PyTorch")
    pin(threads)
    sg.set_num_threads(threads)
    return [
        case
        for dtype in options.dtype
        for shape in options.shapes
        for case in measure(shape, dtype, threads, options.functions, peers, options.seconds)
    ]


def main(arguments: list[str] | None = None) -> None:
    """Measure in one process for each number of threads, and print."""
    options = parse(arguments)
    if options.worker:
        print(json.dumps(worker(options)))
        return
    cases: list[Case] = []
    for threads in options.threads:
        command = [sys.executable, "-m", "benchmarks.activations", "--worker"]
        command += ["--threads", threads, "--seconds", str(options.seconds)]
        for option in ("functions", "shapes", "dtype"):
            command += [f"--{option}", ",".join(getattr(options, option))]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        cases += json.loads(done.stdout.splitlines()[-1])
    peers = [p for p in ("PyTorch", "JAX") if any(p in case["seconds"] for case in cases)]
    parts = [
        "## Activations: how many times faster than each peer",
        tables.table(["machine", ""], list(machine.describe().items()), words=2),
    ]
    for key in dict.fromkeys((c["dtype"], c["shape"], c["threads"]) for c in cases):
        chosen = [c for c in cases if (c["dtype"], c["shape"], c["threads"]) == key]
        parts += [f"### {key[0]}, {key[1]}, {key[2]} thread(s)", table(chosen, peers)]
    text = "\n\n".join(parts)
    print(text)
    if options.markdown:
        options.markdown.write_text(text + "\n")
    if options.json:
        options.json.write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
