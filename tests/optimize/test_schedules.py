"""Schedules against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from softgrad.optimize import Constant, Cosine, Exponential, OneCycle, Step, WarmUp

torch = pytest.importorskip("torch")
S = torch.optim.lr_scheduler

CASES = [
    (Step(0.5, every=7, factor=0.3), lambda o: S.StepLR(o, 7, 0.3), 40, 0.5),
    (Cosine(0.5, steps=40, final=0.01), lambda o: S.CosineAnnealingLR(o, 40, 0.01), 40, 0.5),
    (OneCycle(0.5, steps=40), lambda o: S.OneCycleLR(o, 0.5, total_steps=40), 40, 0.5),
    (
        OneCycle(0.5, steps=33, warm_up=0.4, start_factor=10, final_factor=100),
        lambda o: S.OneCycleLR(
            o, 0.5, total_steps=33, pct_start=0.4, div_factor=10, final_div_factor=100
        ),
        33,
        0.5,
    ),
    (
        WarmUp(Constant(0.5), steps=9),
        lambda o: S.LinearLR(o, 1 / 9, 1.0, total_iters=8),
        30,
        0.5,
    ),
    (Exponential(0.5, 0.5 * 0.9**30, steps=30), lambda o: S.ExponentialLR(o, 0.9), 30, 0.5),
]


@pytest.mark.parametrize(("ours", "theirs", "steps", "size"), CASES, ids=range(len(CASES)))
def test_the_same_step_sizes(ours, theirs, steps, size):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=size)
    schedule = theirs(optimizer)
    wanted = []
    for _ in range(steps):
        wanted.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert max(wanted) > 1.5 * min(wanted)
    np.testing.assert_allclose([ours(step) for step in range(steps)], wanted, rtol=1e-11)


def test_after_the_end_nothing_rises():
    assert Cosine(0.5, steps=10, final=0.1)(500) == 0.1
    assert OneCycle(0.5, steps=10)(500) == OneCycle(0.5, steps=10)(9)
    assert Exponential(0.5, 0.1, steps=10)(500) == pytest.approx(0.1)
