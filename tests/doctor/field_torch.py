"""The same in PyTorch: right and wrong functions in the styles of its users."""

# ruff: noqa: F811

from __future__ import annotations

import pytest

from tests.doctor.field import seen

torch = pytest.importorskip("torch")
F, nn = torch.nn.functional, torch.nn


@seen(11)
def softmax(X):
    X_exp = torch.exp(X)
    partition = X_exp.sum(1, keepdim=True)
    return X_exp / partition


@seen(8)
def predict_proba(logits):
    """logits: (batch, classes)"""
    return F.softmax(logits, dim=0)


@seen(15)
class DoubleSoftmax(nn.Module):
    def __init__(self):
        super().__init__()
        self.soft = nn.Softmax(dim=1)

    def forward(self, x):
        return F.softmax(self.soft(x), dim=-1)


@seen(11)
def log_softmax(x):
    return x - x.exp().sum(-1).log().unsqueeze(-1)


@seen(1)
class MySoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.softmax(x, dim=-1)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        return grad_output * y * (1 - y)


@seen(11, 13)
def loss(logits, Y):
    counts = logits.exp()
    prob = counts / counts.sum(1, keepdims=True)
    return -prob[torch.arange(len(Y)), Y].log().mean()


@seen(16)
def nll_loss(logits, y):
    return F.nll_loss(F.softmax(logits, dim=1), y)


@seen(15)
def cross_entropy_loss(output, target):
    probs = F.softmax(output, dim=1)
    return F.cross_entropy(probs, target)


@seen(23)
def distillation_loss(student_logits, teacher_logits, temperature):
    loss_fn = nn.KLDivLoss(reduction="batchmean")
    student = F.log_softmax(student_logits / temperature, dim=-1)
    teacher = F.softmax(teacher_logits / temperature, dim=-1)
    return loss_fn(student, teacher)


@seen(19)
def kd_loss(outputs, teacher_outputs, T):
    student, teacher = F.log_softmax(outputs / T, dim=1), F.softmax(teacher_outputs / T, dim=1)
    return (teacher * (teacher.log() - student)).mean() * T * T


@seen(27)
def masked_softmax(scores, mask):
    return torch.softmax(scores.masked_fill(mask == 0, 0.0), dim=-1)


@seen(18, reduction="mean")
def manual_cross_entropy_grad(logits, Yb):
    dlogits = F.softmax(logits, 1)
    dlogits[range(len(Yb)), Yb] -= 1
    return dlogits


# --- Right ----------------------------------------------------------------------------------------


@seen()
def softmax(x, dim=-1):
    x = x - x.max(dim=dim, keepdim=True).values
    return x.exp() / x.exp().sum(dim=dim, keepdim=True)


@seen()
class LabelSmoothingCrossEntropy(nn.Module):
    def __init__(self, smoothing=0.1):
        super().__init__()
        self.smoothing = smoothing

    def forward(self, pred, target):
        log_probs = F.log_softmax(pred, dim=-1)
        nll = -log_probs.gather(dim=-1, index=target.unsqueeze(1)).squeeze(1)
        smooth = -log_probs.mean(dim=-1)
        return ((1 - self.smoothing) * nll + self.smoothing * smooth).mean()


@seen()
class KDLoss(nn.Module):
    def __init__(self, temperature=4.0):
        super().__init__()
        self.T = temperature

    def forward(self, student, teacher):
        return (
            F.kl_div(
                F.log_softmax(student / self.T, dim=1),
                F.softmax(teacher / self.T, dim=1),
                reduction="batchmean",
            )
            * self.T**2
        )


@seen()
def cross_entropy_manual(logits, targets):
    log_z = torch.logsumexp(logits, dim=1)
    return (log_z - logits[torch.arange(len(targets)), targets]).mean()
