"""Right functions and classes in PyTorch."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from tests.doctor.healthy.registry import healthy

for _function, _kind in (
    (F.softmax, "softmax"),
    (torch.softmax, "softmax"),
    (F.log_softmax, "log_softmax"),
    (torch.logsumexp, "logsumexp"),
    (torch.sigmoid, "sigmoid"),
    (F.cross_entropy, "cross_entropy"),
    (F.nll_loss, "nll"),
    (F.binary_cross_entropy_with_logits, "binary_cross_entropy"),
    (F.binary_cross_entropy, "binary_cross_entropy"),
    (torch.nn.CrossEntropyLoss(), "cross_entropy"),
    (torch.nn.Softmax(dim=-1), "softmax"),
):
    healthy(_kind)(_function)


@healthy("cross_entropy_grad")
def torch_grad(x, y):
    x = x.clone().requires_grad_(True)
    F.cross_entropy(x, y).backward()
    return x.grad


@healthy("cross_entropy_grad")
def torch_grad_leaf(logits, target):
    loss = F.cross_entropy(logits, target, reduction="sum")
    return torch.autograd.grad(loss, logits)[0]


@healthy("softmax_jacobian")
def torch_jacobian(x):
    """For one row, a 1-D tensor."""
    return torch.autograd.functional.jacobian(lambda v: torch.softmax(v, dim=0), x)


@healthy("distillation")
def torch_distillation(student, teacher, T):
    log_p = F.log_softmax(student / T, dim=1)
    return F.kl_div(log_p, F.softmax(teacher / T, dim=1), reduction="batchmean") * T * T


@healthy("softmax")
class TorchSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        p = torch.softmax(x, dim=-1)
        ctx.save_for_backward(p)
        return p

    @staticmethod
    def backward(ctx, g):
        (p,) = ctx.saved_tensors
        return p * (g - (p * g).sum(-1, keepdim=True))


@healthy("train_step")
def torch_step(W, b, X, y, lr=0.1):
    W = W.clone().requires_grad_(True)
    b = b.clone().requires_grad_(True)
    F.cross_entropy(X @ W + b, y).backward()
    with torch.no_grad():
        return W - lr * W.grad, b - lr * b.grad


@healthy("softmax_backward")
class SoftmaxFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        p = torch.softmax(x, -1)
        ctx.save_for_backward(p)
        return p

    @staticmethod
    def backward(ctx, g):
        (p,) = ctx.saved_tensors
        return p * (g - (p * g).sum(-1, keepdim=True))


@healthy("cross_entropy_value_and_grad")
class CrossEntropyFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        log_p = F.log_softmax(x, 1)
        ctx.save_for_backward(log_p, y)
        return F.nll_loss(log_p, y)

    @staticmethod
    def backward(ctx, g):
        log_p, y = ctx.saved_tensors
        d = log_p.exp()
        d[torch.arange(len(y)), y] -= 1
        return g * d / len(y), None


@healthy("softmax_layer_grad")
def layer_grad_by_autograd(X, W, b, y):
    W, b = W.detach().requires_grad_(), b.detach().requires_grad_()
    F.cross_entropy(X @ W + b, y).backward()
    return W.grad, b.grad


@healthy("softmax_jacobian")
def softmax_jacobian_vmap(x):
    return torch.func.vmap(torch.func.jacrev(lambda row: torch.softmax(row, 0)))(x)


@healthy("distillation")
def kd_loss_of_logarithms(student_logits, teacher_logits, T=2.0):
    log_p, log_q = F.log_softmax(student_logits / T, -1), F.log_softmax(teacher_logits / T, -1)
    return F.kl_div(log_p, log_q, reduction="batchmean", log_target=True) * T**2


@healthy("cross_entropy")
class LabelSmoothingByDivergence(torch.nn.Module):
    """The target is spread over the other classes, and the loss is the divergence from it."""

    def forward(self, pred, target):
        log_p = F.log_softmax(pred, dim=-1)
        soft = torch.full_like(log_p, 0.1 / (pred.shape[-1] - 1))
        soft.scatter_(1, target[:, None], 0.9)
        return torch.nn.KLDivLoss(reduction="batchmean")(log_p, soft)


@healthy("cross_entropy")
def label_smoothing_by_divergence(pred, target):
    C = pred.shape[-1]
    soft = 0.9 * F.one_hot(target, C) + 0.1 / C
    return F.kl_div(F.log_softmax(pred, dim=-1), soft, reduction="sum") / len(target)
