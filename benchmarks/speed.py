"""Softgrad beside its peers, in one process: ``python -m benchmarks.speed --help``.

All contenders of a case run in an order shuffled anew every round, on the same arrays, with the
same number of threads, each allocating its result. A ratio is the peer's median time over
softgrad's: above 1 softgrad is faster. The limit is the time in which a measured copy moves as many
bytes as the function has to read and write; softgrad is held against it with ``out=``, so that
neither side asks the system for memory.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

import softgrad as sg

from . import machine, overhead, peers, tables
from .cases import FUNCTIONS, SHAPES, Inputs, Shape, bytes_moved
from .peers import Peer
from .targets import Result, judge
from .timing import Call, Contender, race

DTYPES = ("float32", "float64")
UNTHREADED = ("NumPy", "SciPy")  # one thread whatever one asks for: measured once


@dataclass(frozen=True)
class Effort:
    """How long a contender may take in one case, and in how many rounds."""

    seconds: float
    rounds: tuple[int, int]


FULL = Effort(0.4, (5, 40))
QUICK = Effort(0.1, (3, 15))


def available_peers(wanted: list[str], jax_threads: int) -> dict[str, Peer]:
    """The libraries that are installed and asked for, by name."""
    found: dict[str, Peer] = {}
    if "numpy" in wanted:
        found["NumPy"] = peers.numpy
    if "scipy" in wanted:
        found["SciPy"] = peers.scipy_
    if "torch" in wanted and machine.version("torch"):
        found["PyTorch"] = peers.torch_()
    if "jax" in wanted and machine.version("jax"):
        found["JAX"] = peers.jax_(jax_threads)
    return found


def pin(threads: int) -> None:
    """Give every library but softgrad, which is told before each sample, that many threads."""
    threadpool_limits(threads)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)


def copy_call(inputs: Inputs, threads: int, pool: ThreadPoolExecutor) -> Call:
    """A copy of the logits into memory that is there already."""
    source, destination = inputs.x.reshape(-1), inputs.out.reshape(-1)
    if threads == 1 or source.size < 1_000_000:
        return lambda: np.copyto(destination, source)
    sources = np.array_split(source, threads)
    destinations = np.array_split(destination, threads)
    return lambda: list(pool.map(np.copyto, destinations, sources))


def measure(
    function: str,
    shape: Shape,
    dtype: str,
    threads: int,
    inputs: Inputs,
    others: dict[str, Peer],
    effort: Effort,
    rng: random.Random,
) -> Result:
    """All contenders of one case against one another."""
    ours = peers.softgrad(function, inputs)
    ours_out = peers.softgrad_out(function, inputs)
    assert ours is not None
    assert ours_out is not None

    def on(count: int) -> Callable[[], None]:
        return lambda: sg.set_num_threads(count)

    with ThreadPoolExecutor(threads) as pool:
        contenders = [
            Contender("softgrad", ours, on(threads)),
            Contender("softgrad out=", ours_out, on(threads)),
        ]
        if threads > 1:
            contenders.append(Contender("softgrad, 1 thread", ours, on(1)))
        for name, peer in others.items():
            call = peer(function, inputs)
            if call is not None:
                contenders.append(Contender(name, call))
        contenders.append(Contender("copy", copy_call(inputs, threads, pool)))
        seconds = race(
            contenders,
            seconds=effort.seconds,
            rounds=effort.rounds,
            rng=rng,
            settle=threads > 1,
        )
    limit = seconds["copy"] * bytes_moved(function, inputs) / (2 * inputs.x.nbytes)
    return Result(function, shape, dtype, threads, seconds, limit)


def run(options: argparse.Namespace, others: dict[str, Peer]) -> Iterator[Result]:
    """Every case that the options leave, in an order that draws each set of inputs once."""
    effort = QUICK if options.quick else FULL
    rng = random.Random(options.seed)
    for dtype in options.dtype:
        for shape in options.shapes:
            inputs = Inputs.draw(shape, dtype, options.scale)
            for threads in options.threads:
                pin(threads)
                here = {
                    name: peer
                    for name, peer in others.items()
                    if threads == options.threads[0] or name not in (*UNTHREADED, "JAX")
                }
                for function in options.functions:
                    yield measure(function, shape, dtype, threads, inputs, here, effort, rng)


def _chosen(known: dict[str, object], text: str) -> list[object]:
    names = text.split(",")
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
    return [known[name] for name in names]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    shapes: dict[str, object] = {shape.key: shape for shape in SHAPES}
    functions: dict[str, object] = {name: name for name in FUNCTIONS}
    dtypes: dict[str, object] = {name: name for name in DTYPES}
    libraries: dict[str, object] = {name: name for name in ("numpy", "scipy", "torch", "jax")}
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed",
        description="Softgrad beside its peers, in one process. Lists are separated by commas.",
    )
    parser.add_argument(
        "--shapes",
        type=lambda text: _chosen(shapes, text),
        default=list(SHAPES),
        help=", ".join(shapes),
    )
    parser.add_argument(
        "--functions",
        type=lambda text: _chosen(functions, text),
        default=list(FUNCTIONS),
        help=", ".join(functions),
    )
    parser.add_argument("--dtype", type=lambda text: _chosen(dtypes, text), default=list(DTYPES))
    parser.add_argument(
        "--threads", type=lambda text: [int(count) for count in text.split(",")], default=[1, 2]
    )
    parser.add_argument(
        "--peers", type=lambda text: _chosen(libraries, text), default=list(libraries)
    )
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, rougher figures")
    parser.add_argument("--scale", type=float, default=1.0, help="deviation of the logits")
    parser.add_argument("--seed", type=int, default=0, help="of the order of the runs")
    parser.add_argument("--json", type=Path, help="write all medians there")
    parser.add_argument("--markdown", type=Path, help="write the tables there as well")
    return parser.parse_args(arguments)


def as_json(
    results: list[Result], facts: dict[str, str], calls: dict[str, dict[str, float]]
) -> str:
    """Everything measured, for other programs."""
    return json.dumps(
        {
            "machine": facts,
            "overhead": calls,
            "results": [
                {
                    "function": result.function,
                    "shape": result.shape.dims,
                    "axis": result.shape.axis,
                    "dtype": result.dtype,
                    "threads": result.threads,
                    "seconds": result.seconds,
                    "limit": result.limit,
                }
                for result in results
            ],
            "targets": [
                {
                    "target": verdict.target.what,
                    "function": verdict.result.function,
                    "shape": str(verdict.result.shape),
                    "dtype": verdict.result.dtype,
                    "ratio": verdict.ratio,
                    "met": verdict.met,
                }
                for verdict in judge(results)
            ],
        },
        indent=1,
    )


def main(arguments: list[str] | None = None) -> None:
    """Measure, show progress on stderr, print tables on stdout."""
    options = parse(arguments)
    others = available_peers(options.peers, options.threads[0])
    facts = machine.describe()
    cases = len(options.dtype) * len(options.shapes) * len(options.threads) * len(options.functions)
    results: list[Result] = []
    pin(1)
    sg.set_num_threads(1)
    calls = overhead.measure({"softgrad": peers.softgrad, **others}, random.Random(options.seed))
    for result in run(options, others):
        results.append(result)
        print(
            f"[{len(results)}/{cases}] {result.dtype} {result.threads} thread(s) "
            f"{result.function} {result.shape}",
            file=sys.stderr,
            flush=True,
        )
    text = "\n\n".join(
        [
            "## Speed: how many times faster than each peer",
            tables.table(["machine", ""], list(facts.items()), words=2),
            tables.speeds(results, list(others)),
            *(
                tables.overview(results, peer, dtype)
                for dtype in options.dtype
                for peer in others
                if 1 in options.threads
            ),
            tables.overheads(calls),
            tables.verdicts(results),
        ]
    )
    print(text)
    if options.markdown:
        options.markdown.write_text(text + "\n")
    if options.json:
        options.json.write_text(as_json(results, facts, calls) + "\n")


if __name__ == "__main__":
    main()
