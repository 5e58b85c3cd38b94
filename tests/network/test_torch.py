"""The same initial weights and batches in PyTorch give the same loss curve, in float64."""

from __future__ import annotations

import numpy as np
import pytest

import softgrad as sg
from softgrad.network import BatchNorm, LayerNorm, Linear, Sequential, WithOptions, train
from softgrad.optimize import SGD, Adam, AdamW
from tests.network.cases import function

torch = pytest.importorskip("torch")
F = torch.nn.functional

ROWS, FEATURES, CLASSES, BATCH = 600, 20, 5, 32

rng = np.random.default_rng(0)
X = rng.normal(size=(ROWS, FEATURES))
INDICES = (X @ rng.normal(size=(FEATURES, CLASSES))).argmax(axis=1)
YES = (X @ rng.normal(size=(FEATURES, CLASSES)) > 0.5).astype(float)
VALUES = np.sin(X[:, :CLASSES])

#: activation, last activation, loss, and the same in PyTorch.
CASES = [
    ("sigmoid", None, sg.cross_entropy, torch.sigmoid, F.cross_entropy, INDICES),
    (
        "sigmoid",
        None,
        WithOptions(sg.cross_entropy, label_smoothing=0.1),
        torch.sigmoid,
        lambda z, y: F.cross_entropy(z, y, label_smoothing=0.1),
        INDICES,
    ),
    ("softmax", None, sg.cross_entropy, lambda x: x.softmax(1), F.cross_entropy, INDICES),
    ("relu", None, sg.cross_entropy, F.relu, F.cross_entropy, INDICES),
    ("gelu", "log_softmax", "nll", F.gelu, F.cross_entropy, INDICES),
    ("silu", None, "binary_cross_entropy", F.silu, "bce", YES),
    ("tanh", None, "squared_error", torch.tanh, "squares", VALUES),
    ("elu", "softmax", "squared_error", F.elu, "brier", np.eye(CLASSES)[INDICES]),
    ("softplus", None, "huber", F.softplus, "huber", VALUES),
    ("mish", "softmax", "categorical_cross_entropy", F.mish, F.cross_entropy, INDICES),
]

# softgrad sums over a row and takes the mean of rows; PyTorch means over all numbers.
TORCH_LOSSES = {
    "bce": lambda z, y: CLASSES * F.binary_cross_entropy_with_logits(z, y),
    "squares": lambda z, y: CLASSES * F.mse_loss(z, y),
    "brier": lambda z, y: CLASSES * F.mse_loss(z.softmax(1), y),
    "huber": lambda z, y: CLASSES * F.huber_loss(z, y),
}


class Net(torch.nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.first = torch.nn.Linear(FEATURES, 16)
        self.norm = torch.nn.BatchNorm1d(16)
        self.second = torch.nn.Linear(16, 12)
        self.row_norm = torch.nn.LayerNorm(12)
        self.third = torch.nn.Linear(12, CLASSES)
        self.activation = activation
        self.double()

    def forward(self, x):
        x = self.activation(self.norm(self.first(x)))
        return self.third(self.activation(self.row_norm(self.second(x))))


def network(activation, last, loss) -> Sequential:
    layers = [Linear(FEATURES, 16), BatchNorm(16), activation, Linear(16, 12), LayerNorm(12)]
    layers += [activation, Linear(12, CLASSES), *([] if last is None else [last])]
    return Sequential(layers, loss=loss, dtype=np.float64, seed=11)


def torch_curve(module, loss, optimizer, y) -> list[float]:
    curve = []
    for start in range(0, ROWS, BATCH):
        optimizer.zero_grad()
        x = torch.from_numpy(X[start : start + BATCH])
        value = loss(module(x), torch.from_numpy(y[start : start + BATCH]))
        value.backward()
        optimizer.step()
        curve.append(float(value.detach()))
    return curve


def our_curve(net, y, optimizer) -> list[float]:
    curve = []
    note = lambda progress: curve.append(progress.batch_loss)  # noqa: E731
    train(net, X, y, optimizer=optimizer, epochs=1, batch_size=BATCH, shuffle=False, on_step=note)
    return curve


@pytest.mark.parametrize(("name", "last", "loss", "activation", "torch_loss", "y"), CASES)
def test_the_same_curve(name, last, loss, activation, torch_loss, y):
    loss = function(loss) if isinstance(loss, str) else loss
    net = network(function(name), None if last is None else function(last), loss)
    module = Net(activation)
    with torch.no_grad():
        for own, theirs in zip(net.parameters, module.parameters(), strict=True):
            theirs.copy_(torch.from_numpy(own))
    torch_loss = TORCH_LOSSES[torch_loss] if isinstance(torch_loss, str) else torch_loss
    wanted = torch_curve(module, torch_loss, torch.optim.Adam(module.parameters(), 0.01), y)
    got = our_curve(net, y, Adam(0.01))
    assert np.mean(wanted[-3:]) < 0.97 * wanted[0], "nothing was learned, so nothing is compared"
    np.testing.assert_allclose(got, wanted, rtol=1e-10)
    for own, theirs in zip(net.parameters, module.parameters(), strict=True):
        np.testing.assert_allclose(own, theirs.detach().numpy(), rtol=1e-7, atol=1e-9)
    module.eval()
    with torch.no_grad():
        outputs = module(torch.from_numpy(X)).numpy()
    ends = net.logits(X) if net.objective.fused or last is None else None
    if ends is not None:
        np.testing.assert_allclose(ends, outputs, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SGD(0.05), lambda p: torch.optim.SGD(p, 0.05)),
        (SGD(0.05, momentum=0.9), lambda p: torch.optim.SGD(p, 0.05, momentum=0.9)),
        (
            SGD(0.05, momentum=0.8, nesterov=True),
            lambda p: torch.optim.SGD(p, 0.05, momentum=0.8, nesterov=True),
        ),
        (AdamW(0.01, weight_decay=0.1), None),
        (Adam(0.01, weight_decay=0.1, beta1=0.8, beta2=0.95, epsilon=1e-3), None),
    ],
)
def test_every_optimizer(ours, theirs):
    net = network(sg.sigmoid, None, sg.cross_entropy)
    module = Net(torch.sigmoid)
    with torch.no_grad():
        for own, copy in zip(net.parameters, module.parameters(), strict=True):
            copy.copy_(torch.from_numpy(own))
    if theirs is None:  # weight decay of matrices only
        kind = getattr(torch.optim, type(ours).__name__)
        groups = [
            {"params": [p for p in module.parameters() if p.ndim == 2], "weight_decay": 0.1},
            {"params": [p for p in module.parameters() if p.ndim == 1], "weight_decay": 0.0},
        ]
        their_optimizer = kind(groups, lr=0.01, betas=(ours.beta1, ours.beta2), eps=ours.epsilon)
    else:
        their_optimizer = theirs(module.parameters())
    wanted = torch_curve(module, F.cross_entropy, their_optimizer, INDICES)
    assert np.mean(wanted[-3:]) < 0.97 * wanted[0]
    np.testing.assert_allclose(our_curve(net, INDICES, ours), wanted, rtol=1e-10)


def test_clipping():
    net = network(sg.sigmoid, None, sg.cross_entropy)
    module = Net(torch.sigmoid)
    with torch.no_grad():
        for own, copy in zip(net.parameters, module.parameters(), strict=True):
            copy.copy_(torch.from_numpy(own))
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    step = optimizer.step

    def clipped():
        torch.nn.utils.clip_grad_norm_(module.parameters(), 0.5)
        step()

    optimizer.step = clipped
    wanted = torch_curve(module, F.cross_entropy, optimizer, INDICES)
    got = []
    train(
        net, X, INDICES, optimizer=SGD(0.1), epochs=1, batch_size=BATCH, shuffle=False,
        clip_norm=0.5, on_step=lambda progress: got.append(progress.batch_loss),
    )  # fmt: skip
    np.testing.assert_allclose(got, wanted, rtol=1e-5)  # PyTorch adds 1e-6 to the norm
    assert not np.allclose(
        got, our_curve(network(sg.sigmoid, None, sg.cross_entropy), INDICES, SGD(0.1))
    )
