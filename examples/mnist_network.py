"""A network and a softmax regression for handwritten digits, from the files of MNIST.

    python examples/mnist_network.py shared/data/mnist
    python examples/mnist_network.py shared/data/mnist --model regression

The network, 784-256-128-10 with gelu and dropout, passes 98.3 % of the test digits right; softmax
regression, which is the same with no layer between, 92.6 %. The last 5000 rows for training are
kept aside for early stopping; the test rows are looked at once, at the end. The same seed gives the
same figures on the same machine.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import softgrad as sg
from softgrad.network import Dropout, Linear, Progress, Sequential, WithOptions, train
from softgrad.optimize import AdamW, OneCycle

KEPT_ASIDE = 5000
BATCH = 128


def read(folder: Path, part: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Pixels in 0..1 and digits of one of the two parts, "train" or "t10k"."""
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        digits = np.frombuffer(file.read(), np.uint8, offset=8)
    return pixels.reshape(-1, 784).astype(np.float32) / 255, digits.astype(np.int64)


def network(seed: int) -> Sequential:
    """784-256-128-10."""
    layers: list[Any] = [
        *(Linear(784, 256), sg.gelu, Dropout(0.2)),
        *(Linear(256, 128), sg.gelu, Dropout(0.2)),
        Linear(128, 10),
    ]
    return Sequential(layers, loss=WithOptions(sg.cross_entropy, label_smoothing=0.05), seed=seed)


def regression(seed: int) -> Sequential:
    """784-10."""
    return Sequential([Linear(784, 10)], loss=sg.cross_entropy, seed=seed)


def show(progress: Progress) -> None:
    """One line an epoch."""
    print(
        f"epoch {progress.epoch:2d}/{progress.epochs}  loss {progress.loss:.4f}  "
        f"validation {progress.validation_loss:.4f}, {progress.validation_accuracy:.2%} right  "
        f"{progress.rate:,.0f} rows/s, {progress.remaining or 0:.0f} s to go"
    )


def main(arguments: list[str] | None = None) -> float:
    """Train, print the share of test digits that are right, and return it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="where the four files of MNIST are")
    parser.add_argument("--model", choices=["network", "regression"], default="network")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    X, y = read(options.folder, "train")
    fitting, aside = slice(None, -KEPT_ASIDE), slice(-KEPT_ASIDE, None)
    net = network(options.seed) if options.model == "network" else regression(options.seed)
    steps = options.epochs * -(-len(X[fitting]) // BATCH)
    peak = 3e-3 if options.model == "network" else 1e-2
    result = train(
        net,
        X[fitting],
        y[fitting],
        optimizer=AdamW(OneCycle(peak, steps=steps), weight_decay=0.01),
        epochs=options.epochs,
        batch_size=BATCH,
        validation=(X[aside], y[aside]),
        seed=options.seed,
        on_epoch=show,
    )
    loss, accuracy = net.evaluate(*read(options.folder, "t10k"))
    print(f"{result.message} Test: loss {loss:.4f}, {accuracy:.2%} right.")
    return accuracy


if __name__ == "__main__":
    main()
