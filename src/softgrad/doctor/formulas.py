"""The right formulas and the wrong ones that people write, to compare a function with.

A `Form` says what a function returns up to a constant factor: constants (a sign, 1/N, 1/C, a power
of T) are fitted afterwards, so that every wrong formula is found together with any wrong constant.
Wrong probabilities (wrong axis, sum over the batch, softmax twice) combine with wrong derivatives
in the same way: each form is written in terms of p, whatever p is.

The right values come from softgrad itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

import softgrad as sg
from softgrad._typing import Array
from softgrad.doctor.calling import Convention, first_argument
from softgrad.doctor.kinds import Kind
from softgrad.doctor.probes import Probe

#: Wrong ways to the probabilities, by the mistakes that they are.
STAGES: dict[str, tuple[int, ...]] = {
    "right": (),
    "whole batch": (7,),
    "other axis": (8,),
    "whole batch, rows shifted": (7,),
    "other axis, rows shifted": (8,),
    "columns shifted": (8,),
    "max without keepdims": (10,),
    "sum without keepdims": (10,),
    "max and sum without keepdims": (10,),
    "twice": (15,),
    "twice, other axis": (8, 15),
}


def probabilities(z: Array, stage: str) -> Array:
    """softmax(z) by rows, or what becomes of it in this way."""
    if stage == "whole batch":
        return np.asarray(sg.softmax(z, axis=None))
    if stage == "other axis":
        return np.asarray(sg.softmax(z, axis=0))
    if "shifted" in stage:
        e = np.exp(z - z.max(axis=0 if stage == "columns shifted" else 1, keepdims=True))
        over = {"whole batch, rows shifted": None, "other axis, rows shifted": 0}.get(stage, 1)
        return np.asarray(e / e.sum(axis=over, keepdims=True))
    if stage.startswith("twice"):
        axis = 0 if "axis" in stage else -1
        return np.asarray(sg.softmax(sg.softmax(z, axis=axis), axis=axis))
    if "keepdims" in stage:
        e = np.exp(z - (z.max(axis=1) if "max" in stage else z.max(axis=1, keepdims=True)))
        total = e.sum(axis=1)
        return np.asarray(e / (total if "sum" in stage else total[:, None]))
    return np.asarray(sg.softmax(z))


@dataclass
class View:
    """One probe as a formula sees it."""

    probe: Probe
    convention: Convention
    stage: str = "right"
    shifted_labels: bool = False

    @cached_property
    def z(self) -> Array:
        """The logits over the temperature."""
        probe = self.probe
        if probe.X is not None and probe.W is not None and self.convention.takes_role("X"):
            return np.asarray(probe.X @ probe.W + (probe.b if self.takes_bias else 0.0))
        return np.asarray(self.x / probe.T)

    @property
    def takes_bias(self) -> bool:
        return self.convention.takes_role("b")

    @cached_property
    def x(self) -> Array:
        """The first argument itself."""
        return first_argument(self.probe, self.convention.takes)

    @cached_property
    def p(self) -> Array:
        if self.convention.takes != "logits":
            return first_argument(self.probe, "probabilities")
        if self.probe.x.ndim == 1:
            return np.asarray(sg.sigmoid(self.z))
        return probabilities(self.z, self.stage)

    @cached_property
    def log_p(self) -> Array:
        if self.probe.x.ndim == 1:
            return np.asarray(-np.logaddexp(0, -self.probe.x / self.probe.T))
        if self.convention.takes != "logits":
            return np.asarray(sg.log_softmax(self.probe.x))
        if self.stage == "right":
            return np.asarray(sg.log_softmax(self.z))
        if self.stage == "whole batch":
            return np.asarray(sg.log_softmax(self.z, axis=None))
        if self.stage == "other axis":
            return np.asarray(sg.log_softmax(self.z, axis=0))
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.p))

    @cached_property
    def y(self) -> Array:
        """The target as numbers like p's."""
        if self.probe.x.ndim == 1:
            return self.probe.y.astype(np.float64)
        classes = self.probe.x.shape[1]
        index = (self.probe.y - 1) % classes if self.shifted_labels else self.probe.y
        return _smoothed(np.eye(classes)[index], self.convention)

    @property
    def entropy(self) -> Array:
        """What a divergence from the target lacks beside a cross-entropy."""
        if not self.convention.relative:
            return np.zeros(len(self.y))
        return np.asarray(-np.where(self.y > 0, self.y * np.log(self.y), 0.0).sum(axis=1))

    @property
    def g(self) -> Array:
        return self.probe.g

    @property
    def q(self) -> Array:
        """The teacher's probabilities."""
        assert self.probe.teacher is not None
        return probabilities(self.probe.teacher / self.probe.T, self.stage)

    def back(self, v: Array) -> Array:
        """J v: through the softmax, along the axis that it was taken over."""
        p = self.p
        axis = {"whole batch": None, "other axis": 0}.get(self.stage, -1)
        return np.asarray(p * (v - np.sum(p * v, axis=axis, keepdims=True)))


def _smoothed(y: Array, convention: Convention) -> Array:
    """One-hot rows with a share of the label spread over the classes."""
    s, classes = convention.smoothing, y.shape[1]
    if s == 0.0 or classes == 1:
        return y
    spread = (1 - y) / (classes - 1) if convention.smoothed_over == "others" else 1 / classes
    return np.asarray((1 - s) * y + s * spread)


@dataclass(frozen=True)
class Form:
    """A formula for one part of what a function returns, and the mistakes it consists of."""

    name: str
    mistakes: tuple[int, ...]
    evaluate: Callable[[View], Array]
    right: str = ""  # for forms that are right in another sense: what they are
    stages: bool = True  # whether wrong probabilities make sense in it
    mended: Form | None = None  # the right one, where there are several
    only_wrong: bool = False  # the same as another form where p is right


def _matrix(p: Array) -> Array:
    return np.asarray(p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None, :])


def _flat(p: Array) -> Array:
    flat = p.reshape(-1)
    return np.asarray(np.diag(flat) - np.outer(flat, flat))


def _argmax(v: View) -> Array:
    return np.asarray(np.eye(v.p.shape[1])[v.p.argmax(axis=1)])


def _vjp(v: View) -> Array:
    if v.stage == "right" and v.convention.takes == "logits":
        return np.asarray(sg.softmax.vjp(v.z, v.g))
    return v.back(v.g)


def _log_softmax_vjp(v: View) -> Array:
    return np.asarray(v.g - v.p * v.g.sum(axis=1, keepdims=True))


def _through_wrong(v: View) -> Array:
    """The exact gradient of -sum y log p, for p over a wrong axis or softmax taken twice."""
    if v.stage.startswith("twice"):
        first = np.asarray(sg.softmax(v.z, axis=0 if "axis" in v.stage else -1))
        inner = v.p - v.y
        axis = 0 if "axis" in v.stage else -1
        return np.asarray(first * (inner - np.sum(first * inner, axis=axis, keepdims=True)))
    axis_ = {"whole batch": None, "other axis": 0}.get(v.stage, -1)
    return np.asarray(v.p * v.y.sum(axis=axis_, keepdims=True) - v.y)


def _rowwise(v: View, u: Array) -> Array:
    """J u as if each row were normalised by itself, whatever p is."""
    return np.asarray(v.p * (u - (v.p * u).sum(axis=1, keepdims=True)))


def _yes_no(v: View) -> Array:
    """The derivative of a binary cross-entropy by softmax outputs."""
    return np.asarray((v.p - v.y) / (v.p * (1 - v.p)))


def _per_class_loss(v: View) -> Array:
    """-sum y log p + (1 - y) log(1 - p), finite wherever p is neither 0 nor 1 exactly."""
    rest = np.log1p(-v.p)
    if v.convention.takes == "logits" and v.stage in ("right", "other axis"):
        rest = _log_rest(v.z) if v.stage == "right" else _log_rest(v.z.T).T
    elif v.convention.takes == "logits" and v.stage == "whole batch":
        rest = _log_rest(v.z.reshape(1, -1)).reshape(v.z.shape)
    yes, no = np.where(v.y == 0, 0.0, v.y * v.log_p), np.where(v.y == 1, 0.0, (1 - v.y) * rest)
    return np.asarray(-(yes + no).sum(axis=1))


def _log_rest(z: Array) -> Array:
    """log(1 - p) by rows: the logarithm of the others' share, without taking p from 1."""
    own = np.eye(z.shape[1], dtype=np.bool_)
    others = np.where(own, -np.inf, z[:, None, :])
    return np.asarray(sg.logsumexp(others) - np.asarray(sg.logsumexp(z))[:, None])


_ROWS: dict[str, list[Form]] = {
    "softmax": [
        Form("p", (), lambda v: v.p),
        Form("one-hot argmax", (28,), _argmax, stages=False),
    ],
    "log_softmax": [
        Form("log p", (), lambda v: v.log_p),
        Form("p", (16,), lambda v: v.p, stages=False),
        Form(
            "x - lse, kept without its axis",
            (10,),
            lambda v: v.z - np.asarray(sg.logsumexp(v.z)),
            stages=False,
        ),
    ],
    "logsumexp": [
        Form("lse", (), lambda v: np.asarray(sg.logsumexp(v.z))),
        Form("lse of all", (7,), lambda v: np.asarray(sg.logsumexp(v.z, axis=None)), stages=False),
        Form("lse of columns", (8,), lambda v: np.asarray(sg.logsumexp(v.z, axis=0)), stages=False),
        Form("lse of p", (15,), lambda v: np.asarray(sg.logsumexp(sg.softmax(v.z))), stages=False),
    ],
    "sigmoid": [
        Form("s", (), lambda v: v.p),
        Form("softmax over one unit", (26,), lambda v: np.ones_like(v.p)),
        Form("softmax over the batch", (26,), lambda v: np.asarray(sg.softmax(v.x)), stages=False),
    ],
}
_JACOBIAN = [
    Form("diag(p) - p p^T", (), lambda v: _matrix(v.p)),
    Form("p (1 - p)", (1,), lambda v: v.p * (1 - v.p)),
    Form("diag(p (1 - p))", (1,), lambda v: (v.p * (1 - v.p))[:, :, None] * np.eye(v.p.shape[1])),
    Form("diag(x) - x x^T", (2,), lambda v: _matrix(v.x), stages=False),
    Form("x (1 - x)", (1, 2), lambda v: v.x * (1 - v.x), stages=False),
    Form(
        "diag(x (1 - x))",
        (1, 2),
        lambda v: (v.x * (1 - v.x))[:, :, None] * np.eye(v.x.shape[1]),
        stages=False,
    ),
    Form("one matrix of the batch", (3,), lambda v: _flat(v.p)),
    Form("one matrix of the batch, from x", (2, 3), lambda v: _flat(v.x), stages=False),
    Form("one matrix, its diagonal", (1, 3), lambda v: np.diag((v.p * (1 - v.p)).reshape(-1))),
]
_VJP = [
    Form("p (g - sum p g)", (), _vjp),
    Form("p (g - sum p g), by rows", (), lambda v: _rowwise(v, v.g), only_wrong=True),
    Form("g p (1 - p)", (1,), lambda v: v.g * v.p * (1 - v.p)),
    Form(
        "x (g - sum x g)",
        (2,),
        lambda v: v.x * (v.g - (v.x * v.g).sum(1, keepdims=True)),
        stages=False,
    ),
    Form("g x (1 - x)", (1, 2), lambda v: v.g * v.x * (1 - v.x), stages=False),
    Form("J (J g)", (5,), lambda v: v.back(v.back(v.g))),
    Form("J (J g), by rows", (5,), lambda v: _rowwise(v, _rowwise(v, v.g)), only_wrong=True),
    Form("p (1 - p) J g", (5,), lambda v: v.p * (1 - v.p) * v.back(v.g)),
    Form("inner sum of the batch", (7,), lambda v: v.p * (v.g - (v.p * v.g).sum())),
    Form(
        "inner sum down the columns",
        (8,),
        lambda v: v.p * (v.g - (v.p * v.g).sum(axis=0, keepdims=True)),
    ),
    Form("inner sum without keepdims", (10,), lambda v: v.p * (v.g - (v.p * v.g).sum(axis=1))),
    Form("diagonal, of ones", (1, 4), lambda v: v.p * (1 - v.p)),
]
#: Where a class or a name says that it is the backward pass of log_softmax.
_LOG_VJP = Form("g - p sum g", (), _log_softmax_vjp, right="log_softmax")
_LOG_VALUE = Form("log p", (), lambda v: v.log_p, right="log_softmax")
#: A loss is one number a row; a reduction turns them into one.
_LOSS = [
    Form("-log p_y", (), lambda v: -(v.y * v.log_p).sum(axis=1) - v.entropy),
    Form("-p_y", (16,), lambda v: -(v.y * v.p).sum(axis=1) - v.entropy),
    Form("binary cross-entropy of p", (17,), _per_class_loss),
    Form("yes", (28,), lambda v: 1 - (v.y * _argmax(v)).sum(axis=1), stages=False),
    Form("(p - y)^2", (), lambda v: ((v.p - v.y) ** 2).sum(axis=1), right="squared error"),
    Form(
        "-log p_y, max and sum lost",
        (10,),
        lambda v: (
            -(
                v.y * (v.z - v.z.max(1) - np.log(np.exp(v.z - v.z.max(1, keepdims=True)).sum(1)))
            ).sum(axis=1)
        ),
        stages=False,
    ),
    Form(
        "-log p_y, sum lost",
        (10,),
        lambda v: -(v.y * (v.z - np.asarray(sg.logsumexp(v.z)))).sum(axis=1),
        stages=False,
    ),
]
_GRAD = [
    Form("p - y", (), lambda v: v.p - v.y),
    Form("p - y, exact for this p", (), _through_wrong, only_wrong=True),
    Form("J 1, by rows", (4,), lambda v: _rowwise(v, np.ones_like(v.p)), only_wrong=True),
    Form("-y (1 - p)", (1,), lambda v: -v.y * (1 - v.p)),
    Form("-y / p p (1 - p) of all", (1,), lambda v: v.p * (1 - v.p)),
    Form("x - y", (2,), lambda v: v.x - v.y, stages=False),
    Form("(p - y) p (1 - p)", (5,), lambda v: (v.p - v.y) * v.p * (1 - v.p)),
    Form("J (p - y)", (5,), lambda v: v.back(v.p - v.y)),
    Form("J (p - y), by rows", (5,), lambda v: _rowwise(v, v.p - v.y), only_wrong=True),
    Form("(p - y) x (1 - x)", (2, 5), lambda v: (v.p - v.y) * v.x * (1 - v.x), stages=False),
    Form("argmax - y", (28,), lambda v: _argmax(v) - v.y, stages=False),
    Form("J (-y)", (16,), lambda v: v.back(-v.y)),
    Form("J (-y), by rows", (16,), lambda v: _rowwise(v, -v.y), only_wrong=True),
    Form("-y", (16,), lambda v: -v.y, stages=False),
    Form("gradient of a binary cross-entropy of p", (17,), lambda v: v.back(_yes_no(v))),
    Form(
        "gradient of a binary cross-entropy of p, by rows",
        (17,),
        lambda v: _rowwise(v, _yes_no(v)),
        only_wrong=True,
    ),
    Form("derivative of a binary cross-entropy", (17,), _yes_no, stages=False),
]
_BY_P = Form("-y / p", (), lambda v: -v.y / v.p, right="by the probabilities", stages=False)
_BINARY_LOSS = [
    Form(
        "-log s(x)",
        (),
        lambda v: np.logaddexp(0, v.probe.x) - v.y * v.probe.x,
    ),
    Form("-s", (16,), lambda v: -(v.y * v.p + (1 - v.y) * (1 - v.p))),
    Form("wrong answer", (28,), lambda v: ((v.p > 0.5) != (v.y > 0.5)).astype(float)),
    Form("(s - y)^2", (), lambda v: (v.p - v.y) ** 2, right="squared error"),
    Form(
        "of a softmax over the batch",
        (26,),
        lambda v: (
            -(v.y * np.log(sg.softmax(v.probe.x)) + (1 - v.y) * np.log1p(-sg.softmax(v.probe.x)))
        ),
    ),
]
_BINARY_GRAD = [
    Form("s - y", (), lambda v: v.p - v.y),
    Form("(s - y) s (1 - s)", (5,), lambda v: (v.p - v.y) * v.p * (1 - v.p)),
    Form("x - y", (2,), lambda v: v.x - v.y),
    Form("1 - y", (26,), lambda v: 1 - v.y),
    Form("softmax over the batch - y", (26,), lambda v: np.asarray(sg.softmax(v.probe.x)) - v.y),
    Form("answer - y", (28,), lambda v: (v.p > 0.5) - v.y),
]
_BY_S = Form(
    "(s - y) / (s (1 - s))",
    (),
    lambda v: (v.p - v.y) / (v.p * (1 - v.p)),
    right="by the probabilities",
)
_SIGMOID_GRAD = [
    Form("s (1 - s)", (), lambda v: v.p * (1 - v.p)),
    Form("g s (1 - s)", (), lambda v: v.g * v.p * (1 - v.p)),
    Form("x (1 - x)", (2,), lambda v: v.x * (1 - v.x)),
    Form("g x (1 - x)", (2,), lambda v: v.g * v.x * (1 - v.x)),
]


def _kl(v: View) -> Array:
    return np.asarray((v.q * (np.log(v.q) - v.log_p)).sum(axis=1))


def _soft_entropy(v: View) -> Array:
    return np.asarray(-(v.q * v.log_p).sum(axis=1))


def _hard(v: View) -> Array:
    return np.asarray(-(v.y * sg.log_softmax(v.probe.x)).sum(axis=1))


def _hard_grad(v: View) -> Array:
    return np.asarray(sg.softmax(v.probe.x) - v.y)


def _mixed(soft: Callable[[View], Array], hard: Callable[[View], Array], power: int) -> list[Form]:
    """Soft and hard term together: alpha on either; with T^2, and (mistake 23) without."""

    def form(alpha_on_soft: bool, squared: bool) -> Form:
        def evaluate(v: View) -> Array:
            a = v.probe.alpha if alpha_on_soft else 1 - v.probe.alpha
            return np.asarray(a * v.probe.T ** (power * squared) * soft(v) + (1 - a) * hard(v))

        entropy = " of the entropy" if soft is _soft_entropy else ""
        name = f"{'a' if alpha_on_soft else '1-a'} T^{2 * squared}{entropy}"
        mended = None if squared else form(alpha_on_soft, True)
        return Form(name, () if squared else (23,), evaluate, mended=mended)

    return [form(a, s) for s in (True, False) for a in (True, False)]


_DISTILLATION = [
    Form("KL", (), _kl),
    Form("-sum q log p", (), _soft_entropy),
    Form("sum q (log q - p)", (16,), lambda v: (v.q * (np.log(v.q) - v.p)).sum(axis=1)),
    Form("-sum q p", (16,), lambda v: -(v.q * v.p).sum(axis=1)),
]
_DISTILLATION_GRAD = [
    Form("p - q", (), lambda v: v.p - v.q),
    Form("(p - q) p (1 - p)", (5,), lambda v: (v.p - v.q) * v.p * (1 - v.p)),
    Form("J (p - q)", (5,), lambda v: v.back(v.p - v.q)),
]


def truth_of(kind: Kind) -> str:
    """The formula that belongs to a kind, as it is written in reports."""
    return {
        "softmax": "p = exp(x) / sum exp(x)",
        "log_softmax": "log p = x - logsumexp(x)",
        "logsumexp": "log sum exp(x)",
        "sigmoid": "1 / (1 + exp(-x))",
        "sigmoid_grad": "s (1 - s)",
        "softmax_jacobian": "J = diag(p) - p p^T",
        "softmax_vjp": "p (g - sum p g)",
        "softmax_backward": "p (g - sum p g)",
        "binary_cross_entropy_grad": "(s - y) / N",
        "binary_cross_entropy": "log(1 + exp(x)) - x y",
        "distillation": "T^2 sum q log(q / p)",
        "distillation_grad": "T (p - q) / N",
    }.get(kind.name, "-log p_y" if kind.family == "loss" else "(p - y) / N")


def forms(kind: Kind, part: str, convention: Convention) -> list[Form]:
    """The formulas that a part of a result is compared with; the right ones first."""
    if part == "value":
        return _ROWS["sigmoid"] if kind.binary else [*_ROWS["softmax"], _LOG_VALUE]
    if kind.family == "rows":
        return _ROWS[kind.name]
    if part == "jacobian":
        return _JACOBIAN
    if part == "vjp":
        of_log = convention.takes == "log-probabilities"
        return [_LOG_VJP, *_VJP] if of_log else [*_VJP, _LOG_VJP]
    if kind.name == "sigmoid_grad":
        return _SIGMOID_GRAD
    if kind.family == "distillation":
        loss = kind.name == "distillation"
        if convention.takes_role("labels"):
            soft = [_kl, _soft_entropy] if loss else [lambda v: v.p - v.q]
            hard, power = (_hard, 2) if loss else (_hard_grad, 1)
            return [form for s in soft for form in _mixed(s, hard, power)]
        return _DISTILLATION if loss else _DISTILLATION_GRAD
    if kind.binary:
        by_s = [_BY_S] if convention.takes == "probabilities" else []
        return _BINARY_LOSS if part == "loss" else [*_BINARY_GRAD, *by_s]
    if part == "loss":
        return _LOSS
    by_p = [_BY_P] if convention.takes == "probabilities" else []
    grads = [*_GRAD[:1], *by_p, *_GRAD[1:]]
    if part in ("dW", "db", "dX"):
        return [_of_layer(form, part) for form in grads]
    return grads


def _of_layer(form: Form, part: str) -> Form:
    """What a layer makes of a gradient by its logits."""

    def evaluate(v: View) -> Array:
        g = form.evaluate(v)
        assert v.probe.X is not None
        assert v.probe.W is not None
        if part == "dW":
            return np.asarray(v.probe.X.T @ g)
        return np.asarray(g.sum(axis=0) if part == "db" else g @ v.probe.W.T)

    return replace(form, evaluate=evaluate)


def hypotheses(
    kind: Kind, part: str, convention: Convention
) -> Iterator[tuple[Form, str, bool, tuple[int, ...]]]:
    """Every form with every way to the probabilities, with and without labels that start at 1."""
    batch = not convention.single
    staged = convention.takes == "logits" and not kind.binary
    stages = [
        s
        for s in STAGES
        if s == "right" or (staged and (batch or s == "twice") and _fits(s, convention))
    ]
    shifts = (False, True) if "y" in convention.roles and not kind.binary else (False,)
    for form in forms(kind, part, convention):
        for stage in stages if form.stages else ["right"]:
            if form.only_wrong and stage == "right":
                continue
            for shifted in shifts:
                named = {*form.mistakes, *STAGES[stage], *((24,) if shifted else ())}
                yield form, stage, shifted, tuple(sorted(named))


def _fits(stage: str, convention: Convention) -> bool:
    return "keepdims" not in stage or not (convention.layout == "CN" or convention.nested)


def reduced(values: Any) -> Any:
    """The plain sum of row losses: reductions differ from it by a constant."""
    return np.sum(values)
