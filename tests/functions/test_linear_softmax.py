"""The softmax layer against finite differences, the written-out Jacobian and PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import softgrad as sg
from softgrad.errors import ShapeError

N, D, C = 7, 5, 4
STEP = 1e-6


def operands(rng: np.random.Generator, dtype: str = "float64") -> tuple[Any, Any, Any]:
    shapes = [(N, D), (C, D), (C,)]
    x, w, b = (rng.normal(size=shape).astype(dtype) for shape in shapes)
    return x, w, b


def numerical(x: Any, w: Any, b: Any, dx: Any, dw: Any, db: Any, f: Any) -> Any:
    """The central difference of f in direction (dx, dw, db)."""
    ahead = f(x + STEP * dx, w + STEP * dw, b + STEP * db)
    behind = f(x - STEP * dx, w - STEP * dw, b - STEP * db)
    return (ahead - behind) / (2 * STEP)


def test_value(rng: Any) -> None:
    x, w, b = operands(rng)
    logits = np.array([[sum(w[i] * row) + b[i] for i in range(C)] for row in x])
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(sg.linear_softmax(x, w, b), expected, rtol=1e-13)
    np.testing.assert_allclose(sg.linear_softmax(x[2], w, b), expected[2], rtol=1e-13)


def test_jacobian_by_the_weights_entry_by_entry(rng: Any) -> None:
    """Row k, column i D + j: moving W_ij alone moves P_k at that rate."""
    x, w, b = operands(rng)
    jacobian = sg.linear_softmax.jacobian_weights(x, w, b)
    assert jacobian.shape == (N, C, C * D)
    for i in range(C):
        for j in range(D):
            dw = np.zeros_like(w)
            dw[i, j] = 1
            column = numerical(x, w, b, 0 * x, dw, 0 * b, sg.linear_softmax)
            np.testing.assert_allclose(jacobian[:, :, i * D + j], column, atol=1e-9)
    one = sg.linear_softmax.jacobian_weights(x[3], w, b)
    np.testing.assert_allclose(one, jacobian[3], rtol=1e-12)


def test_jacobians_by_input_and_bias(rng: Any) -> None:
    x, w, b = operands(rng)
    by_input = sg.linear_softmax.jacobian_input(x, w, b)
    by_bias = sg.linear_softmax.jacobian_bias(x, w, b)
    assert by_input.shape == (N, C, D)
    assert by_bias.shape == (N, C, C)
    for j in range(D):
        dx = np.zeros_like(x)
        dx[:, j] = 1
        column = numerical(x, w, b, dx, 0 * w, 0 * b, sg.linear_softmax)
        np.testing.assert_allclose(by_input[:, :, j], column, atol=1e-9)
    for i in range(C):
        column = numerical(x, w, b, 0 * x, 0 * w, np.eye(C)[i], sg.linear_softmax)
        np.testing.assert_allclose(by_bias[:, :, i], column, atol=1e-9)
    assert sg.linear_softmax.jacobian_input(x[0], w, b).shape == (C, D)


@pytest.mark.parametrize("one", [False, True], ids=["rows", "one sample"])
def test_products_are_those_with_the_jacobians(one: bool, rng: Any) -> None:
    x, w, b = operands(rng)
    g, dx, dw, db = (rng.normal(size=s) for s in [(N, C), (N, D), (C, D), (C,)])
    if one:
        x, g, dx = x[0], g[0], dx[0]
    layer = sg.linear_softmax
    j_w, j_x, j_b = (
        np.atleast_3d(j.reshape(-1, *j.shape[-2:]))
        for j in (
            layer.jacobian_weights(x, w, b),
            layer.jacobian_input(x, w, b),
            layer.jacobian_bias(x, w, b),
        )
    )
    rows, tangents = np.atleast_2d(g), np.atleast_2d(dx)
    g_x, g_w, g_b = layer.vjp(x, w, b, g)
    np.testing.assert_allclose(np.atleast_2d(g_x), np.einsum("nk,nkj->nj", rows, j_x), atol=1e-14)
    np.testing.assert_allclose(g_w.ravel(), np.einsum("nk,nkm->m", rows, j_w), atol=1e-14)
    np.testing.assert_allclose(g_b, np.einsum("nk,nki->i", rows, j_b), atol=1e-14)
    assert g_x.shape == x.shape
    expected = j_w @ dw.ravel() + np.einsum("nkj,nj->nk", j_x, tangents) + j_b @ db
    jvp = layer.jvp(x, w, b, dx, dw, db)
    np.testing.assert_allclose(np.atleast_2d(jvp), expected, atol=1e-14)
    p = layer(x, w, b)
    np.testing.assert_allclose(layer.jvp(x, w, b, dx, dw, db, value=p), jvp, rtol=1e-13)
    np.testing.assert_allclose(layer.vjp(x, w, b, g, value=p)[1], g_w, rtol=1e-13)
    for k, result in enumerate(layer.hvp(x, w, b, g, dx, dw, db)):
        slope = numerical(x, w, b, dx, dw, db, lambda *a, k=k: layer.vjp(*a, g)[k])
        np.testing.assert_allclose(result, slope, atol=1e-8)
        assert np.max(np.abs(slope)) > 1e-3


def test_torch(rng: Any) -> None:
    torch = pytest.importorskip("torch")
    x, w, b = operands(rng, "float32")
    g = rng.normal(size=(N, C)).astype("float32")
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, w, b)]
    value = torch.softmax(torch.nn.functional.linear(*tensors), -1)
    value.backward(torch.tensor(g))
    np.testing.assert_allclose(sg.linear_softmax(x, w, b), value.detach().numpy(), rtol=2e-6)
    for ours, theirs in zip(sg.linear_softmax.vjp(x, w, b, g), tensors, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=2e-5, atol=2e-7)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32"])
def test_types(dtype: str, rng: Any) -> None:
    x, w, b = (np.round(a) for a in operands(rng))
    expected = sg.linear_softmax(x, w, b)
    result = sg.linear_softmax(x.astype(dtype), w, b)
    assert result.dtype == ("float64" if dtype == "int32" else dtype)
    np.testing.assert_allclose(result, expected, rtol=2e-3)
    out = np.empty_like(expected)
    assert sg.linear_softmax(x, w, b, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_no_samples() -> None:
    x, w, b = np.zeros((0, D)), np.zeros((C, D)), np.zeros(C)
    g_x, g_w, g_b = sg.linear_softmax.vjp(x, w, b, np.zeros((0, C)))
    assert (g_x.shape, g_w.shape, g_b.shape) == ((0, D), (C, D), (C,))
    assert not g_w.any()
    assert sg.linear_softmax.jacobian_weights(x, w, b).shape == (0, C, C * D)


def test_shapes_that_do_not_fit(rng: Any) -> None:
    x, w, b = operands(rng)
    with pytest.raises(ShapeError, match=r"W has shape \(5, 4\).*W\.T"):
        sg.linear_softmax(x, w.T, b)
    with pytest.raises(ShapeError, match=r"b has shape \(5,\)"):
        sg.linear_softmax(x, w, np.zeros(5))
    with pytest.raises(ShapeError, match=r"g has shape \(7, 5\)"):
        sg.linear_softmax.vjp(x, w, b, x)
    with pytest.raises(ShapeError, match="dW has shape"):
        sg.linear_softmax.jvp(x, w, b, x, w.T, b)
    with pytest.raises(ShapeError, match="X is a number"):
        sg.linear_softmax(1.0, w, b)
    with pytest.raises(TypeError, match="complex"):
        sg.linear_softmax(x.astype(complex), w, b)
