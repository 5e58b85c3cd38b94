"""SciPy and PyTorch agree, where they are accurate themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special

import softgrad as sg
from softgrad.functions import ACTIVATIONS

X = np.random.default_rng(3).normal(size=(4, 3, 5)) * 4


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), None])
def test_scipy(axis: Any) -> None:
    np.testing.assert_allclose(sg.softmax(X, axis=axis), scipy.special.softmax(X, axis=axis), 1e-14)
    # SciPy rounds at the size of the logits, and loses digits of confident rows.
    loss = np.max(np.abs(X)) * 2.0**-50
    np.testing.assert_allclose(
        sg.log_softmax(X, axis=axis), scipy.special.log_softmax(X, axis=axis), 1e-15, loss
    )
    np.testing.assert_allclose(
        sg.logsumexp(X, axis=axis), scipy.special.logsumexp(X, axis=axis), 1e-14
    )
    np.testing.assert_allclose(sg.sigmoid(X), scipy.special.expit(X), 1e-14)


@pytest.mark.parametrize("special", [-np.inf, np.nan, np.inf])
def test_scipy_on_rows_without_a_finite_maximum(special: float) -> None:
    x = np.array([[1.0, 2.0, 3.0], [special] * 3])
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(sg.softmax(x), scipy.special.softmax(x, axis=-1), 1e-14)
        np.testing.assert_allclose(sg.log_softmax(x), scipy.special.log_softmax(x, axis=-1), 1e-14)
        np.testing.assert_allclose(sg.logsumexp(x), scipy.special.logsumexp(x, axis=-1), 1e-14)


# --- PyTorch -------------------------------------------------------------------------------------


def test_torch_values_and_derivatives(rng: Any) -> None:
    torch = pytest.importorskip("torch")
    g = rng.normal(size=X.shape)
    for function, peer in ((sg.softmax, torch.softmax), (sg.log_softmax, torch.log_softmax)):
        for axis in (0, 1, 2):
            x = torch.tensor(X, requires_grad=True)
            value = peer(x / 2.5, axis)
            value.backward(torch.tensor(g))
            result = function(X, axis=axis, temperature=2.5)
            np.testing.assert_allclose(result, value.detach().numpy(), 1e-13)
            vjp = function.vjp(X, g, axis=axis, temperature=2.5)
            np.testing.assert_allclose(vjp, x.grad.numpy(), 1e-11, 1e-14)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore", [None, 1, -100])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("soft", [False, True])
def test_torch_cross_entropy(
    reduction: str, weighted: bool, ignore: int | None, smoothing: float, soft: bool, rng: Any
) -> None:
    torch = pytest.importorskip("torch")
    if soft and ignore is not None:
        return
    x = rng.normal(size=(11, 4)) * 3
    target = rng.integers(4, size=11)
    if ignore is not None:
        target[[2, 7]] = ignore
    if soft:
        target = rng.dirichlet(np.ones(4), size=11)
    weight = np.array([0.5, 2.0, 1.0, 3.0]) if weighted else None
    logits = torch.tensor(x, requires_grad=True)
    options: Any = {"reduction": reduction, "label_smoothing": smoothing}
    if ignore is not None:
        options["ignore_index"] = ignore
    expected = torch.nn.functional.cross_entropy(
        logits,
        torch.tensor(target),
        weight=None if weight is None else torch.tensor(weight),
        **options,
    )
    cotangent = rng.normal(size=11 if reduction == "none" else ())
    expected.backward(torch.tensor(cotangent))
    loss = sg.cross_entropy(x, target, class_weight=weight, **options)
    vjp = sg.cross_entropy.vjp(x, target, cotangent, class_weight=weight, **options)
    ratio = 1.0
    if reduction == "mean" and weighted:
        ratio = torch_mass(target, weight, ignore, soft) / mass(target, weight, ignore, smoothing)
    np.testing.assert_allclose(loss, expected.detach().numpy() * ratio, 1e-13)
    np.testing.assert_allclose(vjp, logits.grad.numpy() * ratio, 1e-11, 1e-15)


def mass(target: Any, weight: Any, ignore: int | None, smoothing: float) -> float:
    """What our mean divides by: the weights that the loss itself contains, sum_c w_c y'_c."""
    rows = target[target != ignore] if target.ndim == 1 else target
    y = np.eye(4)[rows] if target.ndim == 1 else rows
    return float(np.sum(weight * ((1 - smoothing) * y + smoothing / 4)))


def torch_mass(target: Any, weight: Any, ignore: int | None, soft: bool) -> float:
    """PyTorch divides by the weights of the labels, not smoothed; for soft targets by N."""
    return float(len(target)) if soft else float(np.sum(weight[target[target != ignore]]))


def test_torch_hessian_products(rng: Any) -> None:
    torch = pytest.importorskip("torch")
    x, v, g = (rng.normal(size=(3, 5)) * 2 for _ in range(3))
    target = rng.integers(5, size=3)

    def loss(z: Any) -> Any:
        return torch.nn.functional.cross_entropy(z, torch.tensor(target))

    _, expected = torch.autograd.functional.hvp(loss, torch.tensor(x), torch.tensor(v))
    result = sg.cross_entropy.hvp(x, target, v)
    np.testing.assert_allclose(result, expected.numpy(), 1e-11, 1e-15)

    def projected(z: Any) -> Any:
        return torch.sum(torch.softmax(z, -1) * torch.tensor(g))

    _, expected = torch.autograd.functional.hvp(projected, torch.tensor(x), torch.tensor(v))
    np.testing.assert_allclose(sg.softmax.hvp(x, g, v), expected.numpy(), 1e-10, 1e-14)


# --- Activations ---------------------------------------------------------------------------------

TORCH_NAMES = {"log_sigmoid": "logsigmoid", "gelu_tanh": "gelu"}
TORCH_OPTIONS: dict[str, dict[str, Any]] = {
    "gelu_tanh": {"approximate": "tanh"},
    "softmax": {"dim": -1},
    "log_softmax": {"dim": -1},
    "softmin": {"dim": -1},
}
WITHOUT_PEER = ("identity", "sparsemax")


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name not in WITHOUT_PEER])
def test_torch_activations(name: str, rng: Any) -> None:
    """In float64, away from the tails, where it is accurate; at 0 the convention for kinks is the
    same. (For the second derivative of elu at 0 it takes the other side, not that of f'.)"""
    torch = pytest.importorskip("torch")
    peer = getattr(torch.nn.functional, TORCH_NAMES.get(name, name))
    g, v = rng.normal(size=(2, *X.shape))
    for at in (X / 2, np.zeros_like(X)):
        x = torch.tensor(at, requires_grad=True)
        value = peer(x, **TORCH_OPTIONS.get(name, {}))
        (slope,) = torch.autograd.grad(value, x, torch.tensor(g), create_graph=True)
        function: Any = ACTIVATIONS[name]
        np.testing.assert_allclose(function(at), value.detach().numpy(), 1e-13, 1e-15)
        np.testing.assert_allclose(function.vjp(at, g), slope.detach().numpy(), 1e-11, 1e-15)
        if slope.requires_grad and (at.any() or name not in ("elu", "selu")):
            (change,) = torch.autograd.grad(slope, x, torch.tensor(v))
            np.testing.assert_allclose(function.hvp(at, g, v), change.numpy(), 1e-9, 1e-14)
        elif name in ("relu", "leaky_relu"):
            assert not function.hvp(at, g, v).any()


@pytest.mark.parametrize(
    ("name", "options"),
    [("leaky_relu", {"negative_slope": 0.3}), ("elu", {"alpha": 0.4})],
)
def test_torch_parameters(name: str, options: dict[str, float], rng: Any) -> None:
    torch = pytest.importorskip("torch")
    g = rng.normal(size=X.shape)
    for at in (X, np.zeros_like(X)):
        x = torch.tensor(at, requires_grad=True)
        value = getattr(torch.nn.functional, name)(x, **options)
        value.backward(torch.tensor(g))
        function: Any = ACTIVATIONS[name]
        np.testing.assert_allclose(function(at, **options), value.detach().numpy(), 1e-14)
        np.testing.assert_allclose(function.vjp(at, g, **options), x.grad.numpy(), 1e-14)


def test_scipy_activations() -> None:
    np.testing.assert_allclose(sg.log_sigmoid(X), scipy.special.log_expit(X), 1e-14)
    np.testing.assert_allclose(sg.softplus(X), -scipy.special.log_expit(-X), 1e-14)
    np.testing.assert_allclose(sg.gelu(X / 4), X / 4 * scipy.special.ndtr(X / 4), 1e-14)
    np.testing.assert_allclose(sg.softmin(X), scipy.special.softmax(-X, axis=-1), 1e-14)
