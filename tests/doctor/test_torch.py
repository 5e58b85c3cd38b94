"""Mistakes in PyTorch, with its own functions and through its own gradients."""

from __future__ import annotations

import pytest

import softgrad as sg
from tests.doctor.patients import Patient

torch = pytest.importorskip("torch")
F = torch.nn.functional
CASES: list[Patient] = []


def case(kind, *mistakes):
    def register(function):
        CASES.append(Patient(function, kind, mistakes))
        return function

    return register


@case("softmax", 8)
def softmax_dim_0(x):
    return torch.softmax(x, dim=0)


@case("softmax", 11)
def softmax_exp(x):
    return x.exp() / x.exp().sum(1, keepdim=True)


@case("softmax", 27)
def attention(scores, mask):
    return torch.softmax(scores.masked_fill(~mask.bool(), -1e4), dim=-1)


@case("cross_entropy", 12)
def clamped(x, y):
    return F.cross_entropy(torch.clamp(x, -10, 10), y)


@case("cross_entropy", 13)
def log_of_softmax(logits, target):
    return F.nll_loss(torch.log(torch.softmax(logits, dim=-1)), target)


@case("cross_entropy", 15)
class SoftmaxBeforeCrossEntropy(torch.nn.Module):
    def forward(self, logits, target):
        return torch.nn.CrossEntropyLoss()(torch.softmax(logits, dim=1), target)


@case("cross_entropy", 16)
def nll_of_softmax(logits, target):
    return F.nll_loss(F.softmax(logits, dim=-1), target)


@case("cross_entropy", 16)
def smoothed_divergence_of_probabilities(logits, target):
    C = logits.shape[-1]
    soft = 0.9 * F.one_hot(target, C) + 0.1 / C
    return F.kl_div(F.softmax(logits, dim=-1), soft, reduction="batchmean")


@case("cross_entropy", 19)
def smoothed_divergence_as_a_mean_of_all(logits, target):
    soft = torch.full_like(logits, 0.1 / (logits.shape[-1] - 1))
    soft.scatter_(1, target[:, None], 0.9)
    return torch.nn.KLDivLoss(reduction="mean")(F.log_softmax(logits, dim=-1), soft)


@case("distillation", 16)
def kl_of_probabilities(student, teacher, T):
    p, q = F.softmax(student / T, 1), F.softmax(teacher / T, 1)
    return F.kl_div(p, q, reduction="batchmean") * T * T


@case("cross_entropy", 17)
def yes_and_no(logits, target):
    p = torch.softmax(logits, 1)
    return F.binary_cross_entropy(p, target, reduction="sum") / len(target)


@case("cross_entropy", 17, 19)
def yes_and_no_mean(logits, target):
    return F.binary_cross_entropy(torch.softmax(logits, 1), target)


@case("distillation", 19)
def kl_mean(student, teacher, T):
    log_p = F.log_softmax(student / T, 1)
    return F.kl_div(log_p, F.softmax(teacher / T, 1), reduction="mean") * T * T


@case("distillation", 23)
def kl_without_square(student, teacher, T):
    log_p = F.log_softmax(student / T, 1)
    return F.kl_div(log_p, F.softmax(teacher / T, 1), reduction="batchmean")


def gradient_of(loss):
    def cross_entropy_grad(x, y):
        x = x.clone().requires_grad_(True)
        loss(x, y).backward()
        return x.grad

    return cross_entropy_grad


for _mistake, _loss in (
    (8, lambda x, y: F.nll_loss(torch.log_softmax(x, 0), y)),
    (13, lambda x, y: F.nll_loss(torch.log(torch.softmax(x, 1)), y)),
    (14, lambda x, y: F.nll_loss(torch.log(torch.softmax(x, 1) + 1e-8), y)),
    (15, lambda x, y: F.cross_entropy(torch.softmax(x, 1), y)),
    (16, lambda x, y: F.nll_loss(torch.softmax(x, 1), y)),
    (28, lambda x, y: ((x.argmax(1) - y) ** 2).double().mean() + 0 * x.sum()),
):
    CASES.append(Patient(gradient_of(_loss), "cross_entropy_grad", (_mistake,)))


@case("softmax_backward", 4)
def backward_of_the_sum(x):
    x = x.clone().requires_grad_(True)
    torch.softmax(x, 1).sum().backward()
    return x.grad


@case("softmax", 29)
def softmax_in_place(x):
    x -= x.max(1, keepdim=True).values
    return x.exp() / x.exp().sum(1, keepdim=True)


@pytest.mark.parametrize("patient", CASES, ids=lambda patient: patient.id)
def test_the_mistake_is_named(patient: Patient) -> None:
    report = sg.examine(patient.function, patient.kind)
    assert report.mistakes == patient.mistakes, str(report)
    assert report.understood["framework"] == "PyTorch"


def test_a_backward_pass_of_autograd_is_examined_as_a_softmax() -> None:
    class Diagonal(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            p = torch.softmax(x, 0)
            ctx.save_for_backward(p)
            return p

        @staticmethod
        def backward(ctx, g):
            (p,) = ctx.saved_tensors
            return g * p * (1 - p)

    assert sg.examine(Diagonal, "softmax").mistakes == (8,)
