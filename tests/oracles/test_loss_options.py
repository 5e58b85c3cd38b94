"""Every combination of the options of every loss, against PyTorch's autograd in float64.

Non-uniform cotangents everywhere: a constant one hides a wrong weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from softgrad.functions import LOSSES

torch = pytest.importorskip("torch")
from tests.support import torch_losses  # noqa: E402

ROWS, CLASSES = (5, 3), 4
RNG = np.random.default_rng(5)
SAMPLE = RNG.uniform(0.2, 3, size=ROWS)
SAMPLE[1, 1] = 0.0
CLASS = np.array([0.5, 2.0, 1.25, 0.0])
CHOICES: dict[str, list[Any]] = {
    "sample_weight": [None, SAMPLE],
    "class_weight": [None, CLASS],
    "label_smoothing": [0.0, 0.15],
    "temperature": [1.0, 2.5],
    "pos_weight": [None, 3.0, np.array([0.5, 2.0, 0.0, 4.0])],
    "gamma": [2.0, 0.0, 1.0, 0.6, 3.5],
    "alpha": [0.25, None],
    "delta": [1.0, 0.4],
    "margin": [1.0, 0.25],
}


def options_of(name: str) -> Iterator[dict[str, Any]]:
    """All combinations of the options that the loss has; unsaid ones are left out."""
    names = [option for option in CHOICES if option in LOSSES[name].options]
    for values in product(*(CHOICES[option] for option in names)):
        chosen = dict(zip(names, values, strict=True))
        yield {k: v for k, v in chosen.items() if v is not None or k == "alpha"}


def kinds_of(name: str) -> list[str]:
    loss = LOSSES[name]
    if name == "distillation":
        return ["logits", "soft", "masked logits", "masked soft"]
    kinds = []
    if "indices" in loss.targets:
        kinds += ["index", "ignored", "masked index"]
    if loss.multi_label:
        kinds += ["yes or no", "ignored entries"]
    if "probabilities" in loss.targets:
        kinds += ["soft", "masked soft"]
    if "values" in loss.targets:
        kinds += ["values", "masked values"]
    return kinds


CASES = [(name, kind) for name in LOSSES for kind in kinds_of(name)]


def problem(name: str, kind: str, axis: int) -> tuple[Any, Any, dict[str, Any]]:
    """x, the target and the options that belong to that kind of target."""
    loss, rng = LOSSES[name], np.random.default_rng(6)
    x = rng.normal(size=(*ROWS, CLASSES)) * 1.5
    if loss.takes == "probabilities":
        x = 1 / (1 + np.exp(-x)) if loss.multi_label else np.exp(x) / np.exp(x).sum(-1)[..., None]
    elif loss.takes == "log_probabilities":
        x = x - np.log(np.exp(x).sum(-1, keepdims=True))
    labels = rng.integers(CLASSES, size=ROWS)
    more: dict[str, Any] = {}
    where = rng.random(x.shape) < 0.7
    if kind == "masked index":
        np.put_along_axis(where, labels[..., None], True, -1)
    where[..., :2] |= where.sum(-1, keepdims=True) < 2  # one class alone: 0^(gamma - 1) in PyTorch
    if loss.multi_label or kind == "masked values":
        where[3, 1] = False  # a row without any entry
    target: Any = rng.random((*ROWS, CLASSES)) + 0.05  # rows of probabilities need not sum to 1
    if loss.multi_label:
        target = np.clip(target, 0, 1)
    if kind in ("index", "ignored", "masked index"):
        target = labels
        if kind == "ignored":
            target[::2, 1] = -7
            more["ignore_index"] = -7
    elif kind in ("yes or no", "ignored entries"):
        target = rng.integers(2, size=x.shape)
        if kind == "ignored entries":
            target[rng.random(x.shape) < 0.3] = -1
            more["ignore_index"] = -1
    elif "values" in kind or "logits" in kind:
        target = rng.normal(size=x.shape) * 1.5
    if name == "distillation":
        more["teacher"] = "probabilities" if "soft" in kind else "logits"
    if kind.startswith("masked"):
        more["where"] = np.moveaxis(where, -1, axis)
        if "soft" in kind and not loss.multi_label:
            target = np.where(where, target, 0.0)
    if target is not labels:
        target = np.ascontiguousarray(np.moveaxis(target, -1, axis))
    more["axis"] = axis
    return np.ascontiguousarray(np.moveaxis(x, -1, axis)), target, more


def assert_close(result: Any, expected: Any, tolerance: float = 4e-14) -> None:
    result, expected = np.asarray(result), np.asarray(expected)
    assert result.shape == expected.shape
    size = max(np.max(np.abs(expected)), 1e-3)
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance * size)


class Peer:
    """The loss in PyTorch, with what autograd makes of it."""

    def __init__(self, name: str, x: Any, target: Any, options: dict[str, Any], g: Any) -> None:
        self.x = torch.tensor(x, requires_grad=True)
        soft = np.asarray(target).dtype.kind == "f"
        self.target = torch.tensor(target, requires_grad=soft)
        self.loss = torch_losses.loss(name, self.x, self.target, {**options, "shape": x.shape})
        self.g = torch.tensor(g)
        self.inputs = (self.x, self.target) if soft else (self.x,)
        found = torch.autograd.grad(
            self.loss, self.inputs, self.g, create_graph=True, allow_unused=True
        )
        self.vjp, self.by_target = found if soft else (found[0], None)

    def hvp(self, v: Any) -> Any:
        """The derivative of the vjp in direction v."""
        if not self.vjp.requires_grad:
            return np.zeros(self.x.shape)
        (found,) = torch.autograd.grad(
            self.vjp, self.x, torch.tensor(v), retain_graph=True, allow_unused=True
        )
        return np.zeros(self.x.shape) if found is None else found.numpy()


def one_or_each(reduction: str, rng: Any) -> Any:
    return rng.normal(size=ROWS if reduction == "none" else ())


def along(g: Any, axis: int) -> Any:
    return np.expand_dims(g, axis) if np.ndim(g) else g


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_option_against_autograd(name: str, kind: str, reduction: str, rng: Any) -> None:
    loss = LOSSES[name]
    for k, chosen in enumerate(options_of(name)):
        axis = (-1, 0, 1)[k % 3]
        x, target, more = problem(name, kind, axis)
        options: Any = {**chosen, **more, "reduction": reduction}
        g, v = one_or_each(reduction, rng), rng.normal(size=x.shape)
        peer = Peer(name, x, target, options, g)
        value, grad = loss.value_and_grad(x, target, **options)
        assert_close(value, peer.loss.detach().numpy())
        assert_close(along(g, axis) * grad, peer.vjp.detach().numpy())
        assert_close(loss.vjp(x, target, g, **options), peer.vjp.detach().numpy())
        np.testing.assert_array_equal(loss(x, target, **options), value)
        np.testing.assert_array_equal(loss.grad(x, target, **options), grad)
        np.testing.assert_array_equal(loss.jacobian(x, target, **options), grad)
        rows = axis if reduction == "none" else None
        change, size = np.sum(grad * v, axis=rows), np.sum(np.abs(grad * v), axis=rows)
        jvp = loss.jvp(x, target, v, **options)
        np.testing.assert_allclose(jvp, change, rtol=0, atol=4e-15 * np.max(size) + 1e-300)
        product = loss.hvp(x, target, v, **options)
        assert_close(along(g, axis) * product, peer.hvp(v), 2e-13)
        hessian = loss.hessian(x, target, **options)
        result = np.einsum("...ij,...j->...i", hessian, np.moveaxis(v, axis, -1))
        assert_close(np.moveaxis(result, -1, axis), product, 2e-13)
        if (
            "probabilities" in loss.targets and peer.by_target is not None
        ) or name in torch_losses.VALUES:
            by_target = along(g, axis) * loss.grad_target(x, target, **options)
            expected = peer.by_target.detach().numpy()
            if "where" in more:
                expected = np.where(more["where"], expected, 0.0)
            assert_close(by_target, expected, 2e-13)


@pytest.mark.parametrize("name", sorted(torch_losses.VALUES | torch_losses.MULTI_LABEL))
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_every_entry_a_row_of_its_own(name: str, reduction: str, rng: Any) -> None:
    kind = "yes or no" if LOSSES[name].multi_label else "values"
    x, target, _ = problem(name, kind, -1)
    weight = rng.uniform(0.1, 2, size=x.shape)
    g = rng.normal(size=x.shape if reduction == "none" else ())
    for options in ({}, {"sample_weight": weight}):
        chosen: Any = {**options, "axis": (), "reduction": reduction}
        peer = Peer(name, x, target, chosen, g)
        assert_close(LOSSES[name](x, target, **chosen), peer.loss.detach().numpy())
        assert_close(LOSSES[name].vjp(x, target, g, **chosen), peer.vjp.detach().numpy())


def test_no_classes() -> None:
    """Of every loss with logits, all members: rows without classes cost nothing."""
    for name in ("cross_entropy", "focal", "distillation"):
        loss: Any = LOSSES[name]
        for shape in ((3, 0), (0, 0)):
            x = np.zeros(shape)
            assert loss(x, x) == 0
            assert loss.grad(x, x).shape == loss.hvp(x, x, x).shape == shape
            assert loss.hessian(x, x).shape == (*shape, 0)
            assert loss.grad_target(x, x).shape == shape
