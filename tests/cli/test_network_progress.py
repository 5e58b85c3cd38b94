"""What the training of a network shows while it goes on."""

from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from softgrad.cli.network_progress import NetworkDisplay
from softgrad.network import Progress


def progress(epoch, batch=10, **more):
    figures = {
        "accuracy": 0.5,
        "validation_loss": 1.0 / epoch,
        "validation_accuracy": 0.25,
        "best_epoch": epoch,
    }
    return Progress(
        *(epoch, 20, batch, 10, 10 * epoch),
        loss=0.5,
        step_size=0.1,
        rate=12345.6,
        elapsed=1.0,
        remaining=61.0,
        **figures | more,
    )


def shown(points, terminal):
    out = Console(file=io.StringIO(), width=100, force_terminal=terminal, highlight=False)
    with NetworkDisplay(out) as display:
        for point in points:
            display.step(point)
            display.epoch(point)
    return out.file.getvalue()


def test_a_file_gets_ever_fewer_lines_and_the_last():
    lines = shown([progress(i) for i in range(1, 8)], terminal=False).splitlines()
    assert [int(line.split()[1].split("/")[0]) for line in lines] == [1, 2, 4, 7]
    assert "validation loss 0.25000  accuracy 25.00% best  12,346 rows/s  61.0 s left" in lines[2]
    assert "epoch   1/20  loss 0.50000  accuracy 50.00%" in lines[0]


def test_a_terminal_gets_a_live_line_and_every_epoch():
    text = shown([progress(i) for i in range(1, 8)], terminal=True)
    assert all(f"epoch   {i}/20" in text for i in range(1, 8))
    assert "12,346 rows/s" in text
    assert "61.0 s left" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_not_known_is_not_shown(terminal):
    nothing = {"accuracy": math.nan, "validation_accuracy": math.nan, "best_epoch": 0}
    text = shown([progress(3, **nothing)], terminal)
    assert "nan" not in text
    assert "accuracy" not in text
    assert "best" not in text
