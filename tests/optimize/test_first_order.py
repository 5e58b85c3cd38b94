"""SGD, Adam and AdamW against PyTorch; their kernels' bits; states as values."""

from __future__ import annotations

import numpy as np
import pytest

import softgrad as sg
from softgrad import _native
from softgrad.optimize import SGD, Adam, AdamW, Constant, Step, WarmUp, clip_scale

torch = pytest.importorskip("torch")

#: Ours, and PyTorch's with the same numbers.
PAIRS = [
    (SGD(0.1), torch.optim.SGD, {"lr": 0.1}),
    (SGD(0.1, weight_decay=0.3), torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.3}),
    (SGD(0.1, momentum=0.9), torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    (
        SGD(0.1, momentum=0.7, nesterov=True, weight_decay=0.1),
        torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.7, "nesterov": True, "weight_decay": 0.1},
    ),
    (Adam(0.01), torch.optim.Adam, {"lr": 0.01}),
    (
        Adam(0.01, beta1=0.7, beta2=0.9, epsilon=1e-2, weight_decay=0.2),
        torch.optim.Adam,
        {"lr": 0.01, "betas": (0.7, 0.9), "eps": 1e-2, "weight_decay": 0.2},
    ),
    (AdamW(0.1, weight_decay=0.3), torch.optim.AdamW, {"lr": 0.1, "weight_decay": 0.3}),
]
OURS = [pair[0] for pair in PAIRS]

#: Sizes around registers (16 numbers), and around pieces that threads share (16384).
SIZES = (1, 15, 16, 17, 35, 16383, 16384, 50001)


def problem(size: int, dtype=np.float64) -> tuple[np.ndarray, list[np.ndarray]]:
    """Parameters and gradients of very different sizes."""
    rng = np.random.default_rng(size)
    scale = 10.0 ** rng.uniform(-4, 2, size)
    start = rng.normal(size=size).astype(dtype)
    return start, [(scale * rng.normal(size=size)).astype(dtype) for _ in range(7)]


def run(optimizer, start, gradients, **options) -> tuple[np.ndarray, dict]:
    w = start.copy()
    state = optimizer.start(w)
    for gradient in gradients:
        optimizer.step(w, gradient, state, **options)
    return w, state


@pytest.mark.parametrize(("ours", "kind", "options"), PAIRS)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-13), (np.float32, 3e-6)])
def test_the_steps_are_those_of_pytorch(ours, kind, options, dtype, rtol):
    start, gradients = problem(1003, dtype)
    w = torch.from_numpy(start.copy()).requires_grad_()
    theirs = kind([w], **options)
    for gradient in gradients:
        w.grad = torch.from_numpy(gradient)
        theirs.step()
    got, _ = run(ours, start, gradients)
    moved = np.abs(w.detach().numpy() - start).max()
    assert moved > 0.01
    np.testing.assert_allclose(got, w.detach().numpy(), rtol=rtol, atol=rtol * moved)


@pytest.mark.parametrize("optimizer", OURS, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_number_has_the_same_bits_anywhere(optimizer, dtype, restore_threads):
    """At the ends of vectors, on several threads, on all instruction sets with an fma."""
    start, gradients = problem(max(SIZES), dtype)
    wanted, state = run(optimizer, start, gradients)
    fused = [name for name in _native.available_instruction_sets() if name != "baseline"]
    before = _native.instruction_set()
    try:
        for name in fused:
            _native.set_instruction_set(name)
            for threads in (1, 2, 3):
                sg.set_num_threads(threads)
                for size in SIZES:
                    got, own = run(optimizer, start[:size], [g[:size] for g in gradients])
                    assert np.array_equal(got, wanted[:size]), (name, threads, size)
                    for key in set(state) - {"steps"}:
                        assert np.array_equal(own[key], state[key][:size]), (name, key)
    finally:
        _native.set_instruction_set(before)


@pytest.mark.parametrize("optimizer", OURS, ids=repr)
def test_the_baseline_agrees_to_rounding(optimizer):
    start, gradients = problem(1003)
    wanted, _ = run(optimizer, start, gradients)
    before = _native.instruction_set()
    try:
        _native.set_instruction_set("baseline")
        got, _ = run(optimizer, start, gradients)
    finally:
        _native.set_instruction_set(before)
    np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("optimizer", OURS, ids=repr)
def test_a_copied_state_goes_on_with_the_same_bits(optimizer):
    start, gradients = problem(103)
    wanted, _ = run(optimizer, start, gradients)
    half, state = run(optimizer, start, gradients[:3])
    state = {name: array.copy() for name, array in state.items()}
    assert int(state["steps"]) == 3
    for gradient in gradients[3:]:
        optimizer.step(half, gradient, state)
    assert np.array_equal(half, wanted)


def test_weight_decay_of_parts():
    start, gradients = problem(40)
    parts = [slice(3, 10), slice(20, 31)]
    inside = np.zeros(40, bool)
    for part in parts:
        inside[part] = True
    for kind in (SGD, Adam, AdamW):
        decaying, plain = kind(0.1, weight_decay=0.5), kind(0.1, weight_decay=0.0)
        mixed, _ = run(decaying, start, gradients, decayed=parts)
        assert np.array_equal(mixed[inside], run(decaying, start, gradients)[0][inside])
        assert np.array_equal(mixed[~inside], run(plain, start, gradients)[0][~inside])
        assert not np.array_equal(mixed, run(plain, start, gradients)[0])


def test_the_scale_is_a_factor_of_the_gradient():
    start, gradients = problem(40)
    for optimizer in OURS:
        scaled, _ = run(optimizer, start, gradients, scale=0.25)  # exact: a power of two
        assert np.array_equal(scaled, run(optimizer, start, [g / 4 for g in gradients])[0])


def test_step_sizes_follow_the_schedule():
    w, optimizer = np.zeros(1), SGD(Step(1.0, every=2, factor=0.5))
    state, seen = optimizer.start(w), []
    for _ in range(5):
        assert optimizer.step_size_at(state) in (1.0, 0.5, 0.25)
        before = w.copy()
        optimizer.step(w, np.ones(1), state)
        seen.append(float((before - w)[0]))
    assert seen == [1.0, 1.0, 0.5, 0.5, 0.25]


def test_clip_scale():
    gradient = np.array([3.0, 4.0, 0.0])
    assert clip_scale(gradient, 10.0) == 1.0
    assert clip_scale(gradient, 5.0) == 1.0
    assert clip_scale(gradient, 1.0) == pytest.approx(0.2, rel=1e-15)
    huge = np.full(100, 1e30, np.float32)  # its square overflows
    assert clip_scale(huge, 1.0) == pytest.approx(1e-31, rel=1e-6)
    assert clip_scale(np.array([1.0, np.nan]), 1.0) == 1.0
    assert clip_scale(np.zeros(3), 1.0) == 1.0


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: SGD(0.0), "step_size"),
        (lambda: SGD(float("nan")), "step_size"),
        (lambda: SGD(0.1, momentum=1.0), "momentum"),
        (lambda: SGD(0.1, nesterov=True), "needs a momentum"),
        (lambda: SGD(0.1, weight_decay=-1.0), "weight_decay"),
        (lambda: Adam(beta1=1.0), "beta1"),
        (lambda: Adam(beta2=-0.1), "beta2"),
        (lambda: Adam(epsilon=0.0), "epsilon"),
        (lambda: Step(0.1, every=0), "every"),
        (lambda: WarmUp(0.1, steps=3), "schedule"),
        (lambda: Constant(-1.0), "step_size"),
    ],
)
def test_options_out_of_range(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_vectors_that_do_not_fit():
    w = np.zeros(8)
    optimizer = Adam()
    state = optimizer.start(w)
    with pytest.raises(ValueError, match="gradient is float64"):
        optimizer.step(w, np.zeros(7), state)
    with pytest.raises(ValueError, match="gradient is float32"):
        optimizer.step(w, np.zeros(8, np.float32), state)
    with pytest.raises(ValueError, match="share memory"):
        _native.sgd_step(w[:4], w[2:6], None, 0.1, 0.0, False, 0.0, 1.0, False)
    with pytest.raises(TypeError, match="contiguous"):
        _native.sgd_step(np.zeros(16)[::2], w, None, 0.1, 0.0, False, 0.0, 1.0, False)
    frozen = np.zeros(8)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        _native.sgd_step(frozen, w, None, 0.1, 0.0, False, 0.0, 1.0, False)
    with pytest.raises(TypeError, match="not an array"):
        _native.adam_step(w, [0.0], w, w, 0.1, 1.0, 0.9, 0.99, 1e-8, 0.0, 1.0, 1.0, False)
