"""The losses in PyTorch's float64: plain formulas whose derivatives are autograd's.

Each row's loss is s_i sum_c w_c l(x_ic, y'_ic). `ENTRIES` says what l is, by PyTorch's own function
where it has one; options are applied here once for all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

Tensor = Any
NEVER = -1e30  # a logit without probability; -inf would make autograd's own products NaN


def _surprise(log_p: Tensor, y: Tensor) -> Tensor:
    return -torch.where(y == 0, torch.zeros_like(y), y * log_p)


def _focal(x: Tensor, y: Tensor, o: dict[str, Any]) -> Tensor:
    log_p = torch.log_softmax(x, -1)
    gamma = o.get("gamma", 2.0)
    return torch.where(y == 0, 0.0, y * (1 - log_p.exp()) ** gamma * -log_p)


def _sigmoid_focal(x: Tensor, y: Tensor, o: dict[str, Any]) -> Tensor:
    p, gamma, alpha = torch.sigmoid(x), o.get("gamma", 2.0), o.get("alpha", 0.25)
    yes, no = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    return yes * y * (1 - p) ** gamma * -F.logsigmoid(x) + no * (1 - y) * p**gamma * -F.logsigmoid(
        -x
    )


def _binary(x: Tensor, y: Tensor, o: dict[str, Any]) -> Tensor:
    positive = torch.as_tensor(np.asarray(o.get("pos_weight", 1.0)))
    return F.binary_cross_entropy_with_logits(x, y, pos_weight=positive, reduction="none")


def _binary_probabilities(x: Tensor, y: Tensor, o: dict[str, Any]) -> Tensor:
    positive = torch.as_tensor(np.asarray(o.get("pos_weight", 1.0)))
    return -positive * y * x.log() - (1 - y) * (1 - x).log()


def _distillation(x: Tensor, y: Tensor, o: dict[str, Any]) -> Tensor:
    t = o.get("temperature", 1.0)
    log_p = torch.log_softmax(x / t, -1)
    if o.get("teacher", "logits") == "logits":
        log_y = torch.log_softmax(y / t, -1)  # kl_div by a target of 0 is NaN
        return t**2 * log_y.exp() * (log_y - log_p)
    return t**2 * F.kl_div(log_p, y, reduction="none")


def _hinge(x: Tensor, y: Tensor, o: dict[str, Any]) -> Tensor:
    rival = torch.where(y == 1, torch.full_like(x, NEVER), x).amax(-1)
    mine = torch.where(y == 1, x, torch.zeros_like(x)).sum(-1)
    row = torch.relu(o.get("margin", 1.0) + rival - mine)
    return y * row[..., None]


def _cross_entropy(x: Tensor, y: Tensor, o: dict[str, Any]) -> Tensor:
    return _surprise(torch.log_softmax(x / o.get("temperature", 1.0), -1), y)


ENTRIES = {
    "cross_entropy": _cross_entropy,
    "nll": lambda x, y, o: _surprise(x, y),
    "categorical_cross_entropy": lambda x, y, o: _surprise(x.log(), y),
    "binary_cross_entropy": _binary,
    "binary_cross_entropy_probabilities": _binary_probabilities,
    "focal": _focal,
    "sigmoid_focal": _sigmoid_focal,
    "squared_error": lambda x, y, o: F.mse_loss(x, y, reduction="none"),
    "half_squared_error": lambda x, y, o: 0.5 * F.mse_loss(x, y, reduction="none"),
    "absolute_error": lambda x, y, o: F.l1_loss(x, y, reduction="none"),
    "huber": lambda x, y, o: F.huber_loss(x, y, reduction="none", delta=o.get("delta", 1.0)),
    "kl_divergence": lambda x, y, o: F.kl_div(x, y, reduction="none"),
    "multiclass_hinge": _hinge,
    "distillation": _distillation,
}
MULTI_LABEL = {"binary_cross_entropy", "binary_cross_entropy_probabilities", "sigmoid_focal"}
VALUES = {"squared_error", "half_squared_error", "absolute_error", "huber"}
OF_CLASSES = set(ENTRIES) - MULTI_LABEL - VALUES
#: Losses that see masked classes: their probability is 0 then.
SOFTMAX = {"cross_entropy", "focal", "distillation", "multiclass_hinge"}


def loss(name: str, x: Tensor, target: Tensor, options: dict[str, Any]) -> Tensor:
    """The loss as a tensor that autograd follows; `target` a tensor, `options` as ours."""
    axis = options.get("axis", -1)
    x = x.movedim(axis, -1) if axis != () else x[..., None]
    classes = x.shape[-1]
    sample = torch.ones(x.shape[:-1], dtype=torch.float64)
    if options.get("sample_weight") is not None:
        sample = sample * torch.as_tensor(options["sample_weight"])
    mask = torch.ones(x.shape, dtype=torch.bool)
    if options.get("where") is not None:
        where = torch.as_tensor(np.array(np.broadcast_to(options["where"], options["shape"])))
        mask = where.movedim(axis, -1) if axis != () else where[..., None]
    ignored = options.get("ignore_index")
    by_logits = name == "distillation" and options.get("teacher", "logits") == "logits"
    eps = options.get("label_smoothing", 0.0)
    if name in OF_CLASSES and not target.dtype.is_floating_point:
        gone = target == ignored if ignored is not None else torch.zeros_like(target, dtype=bool)
        sample = torch.where(gone, 0.0, sample)
        y = F.one_hot(torch.where(gone, 0, target), classes).to(torch.float64)
    else:
        y = target.movedim(axis, -1) if axis != () else target[..., None]
        if ignored is not None:
            mask = mask & (y != ignored)
            y = torch.where(mask, y, 0)
        y = y.to(torch.float64)
    if name in OF_CLASSES and not by_logits:
        parts = mask.sum(-1, keepdim=True).clamp(min=1).to(torch.float64)
        y = torch.where(mask, (1 - eps) * y + eps / parts, 0.0)
    elif by_logits:
        y = torch.where(mask, y, NEVER)
    else:
        y = (1 - eps) * y + eps / 2
    if name in SOFTMAX:
        x = torch.where(mask, x, NEVER)
    else:
        x = torch.where(mask, x, 0.5)
        y = torch.where(mask, y, 0.0)
    weight = torch.ones(classes, dtype=torch.float64)
    if options.get("class_weight") is not None:
        weight = torch.as_tensor(options["class_weight"])
    entries = torch.where(mask, weight * ENTRIES[name](x, y, options), 0.0)
    rows = sample * entries.sum(-1)
    reduction = options.get("reduction", "mean")
    if reduction == "none":
        return rows
    if reduction == "sum":
        return rows.sum()
    sample = torch.where(mask.any(-1), sample, 0.0)
    mass = sample
    if name in OF_CLASSES and options.get("class_weight") is not None:
        t = options.get("temperature", 1.0)
        mass = sample * (weight * (torch.softmax(y / t, -1) if by_logits else y)).sum(-1)
    return rows.sum() / mass.sum()
