"""What training shows while it goes on."""

from __future__ import annotations

import io
import math

from rich.console import Console

from softgrad.cli.progress import TrainingDisplay, gap_text
from softgrad.report import HistoryPoint


def point(iteration, gap, certified=False, objective=0.5):
    return HistoryPoint(iteration, 0.1 * iteration, objective, gap, certified, 0.5, 0.9)


def shown(points):
    out = Console(file=io.StringIO(), width=100)
    with TrainingDisplay(out, 1e-6) as display:
        for each in points:
            display.show(each)
    return out.file.getvalue()


def test_a_gap_says_whether_it_is_proven():
    assert gap_text(point(1, 2e-3)) == "gap ~2e-03"
    assert gap_text(point(1, 2e-8, True)) == "gap ≤2e-08"
    assert gap_text(point(1, math.nan)) == "gap ?"
    assert gap_text(point(1, 7.0)) == "gap ~1e+00"  # no minimum lies below zero


def test_the_last_line_is_always_there():
    lines = shown([point(i, 10.0**-i, i == 7) for i in range(1, 8)]).splitlines()
    assert [int(line.split()[0]) for line in lines] == [1, 2, 4, 7]
    assert "gap ≤1e-07" in lines[-1]
    assert len({line.index("accuracy") for line in lines}) == 1


def test_a_path_of_penalties_is_explained_once_and_the_bar_waits():
    points = [point(1, 0.1), point(2, math.nan), point(3, math.nan), point(4, 1e-3)]
    text = shown(points)
    assert text.count("stronger penalties") == 1
    assert "gap ?" in text
    out = Console(file=io.StringIO(), width=100, force_terminal=True)
    with TrainingDisplay(out, 1e-6) as display:
        ways = []
        for each in [*points, point(5, 1e-7), point(6, 1e-7, True)]:
            display.show(each)
            task = display.progress.tasks[0]
            ways.append((task.total, task.completed))
    assert [total for total, _ in ways] == [1.0, None, None, 1.0, 1.0, 1.0]
    done = [completed for _, completed in ways]
    assert done == sorted(done)
    assert 0.2 < done[3] < done[-2]
    assert done[-2] < 1.0 == done[-1]


def test_small_losses_keep_their_digits():
    assert "loss 3.2e-05  gap" in shown([point(1, 0.1, objective=3.21e-5)])
