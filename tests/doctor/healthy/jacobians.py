"""Right derivatives of softmax and sigmoid: matrices, and their products with a vector."""

from __future__ import annotations

import numpy as np

from tests.doctor.healthy.registry import healthy
from tests.doctor.patients import sigmoid, softmax


@healthy("sigmoid_grad")
def sigmoid_derivative(x):
    s = sigmoid(x)
    return s * (1 - s)


@healthy("sigmoid_grad")
def sigmoid_derivative_of_output(s):
    return s * (1 - s)


@healthy("sigmoid_grad")
def sigmoid_backward(dout, x):
    s = sigmoid(x)
    return dout * s * (1 - s)


@healthy("softmax_jacobian")
def jacobian_of_output(s):
    return np.diag(s) - np.outer(s, s)


@healthy("softmax_jacobian")
def jacobian_one_row(x):
    """The C x C Jacobian at a 1-D array of logits."""
    s = softmax(x).reshape(-1, 1)
    return np.diagflat(s) - s @ s.T


@healthy("softmax_jacobian")
def jacobian_einsum(x):
    p = softmax(x)
    return np.einsum("ni,ij->nij", p, np.eye(x.shape[1])) - np.einsum("ni,nj->nij", p, p)


@healthy("softmax_jacobian")
def jacobian_loops(p):
    J = np.empty((len(p), len(p)))
    for i in range(len(p)):
        for j in range(len(p)):
            J[i][j] = p[i] * ((i == j) - p[j])
    return J


@healthy("softmax_vjp")
def vjp_of_output(p, g):
    return p * (g - np.sum(p * g, axis=-1, keepdims=True))


@healthy("softmax_vjp")
def vjp_jacobian(x, dout):
    p = softmax(x)
    J = p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None, :]
    return np.einsum("nij,nj->ni", J, dout)


@healthy("softmax_backward")
def backward_grad_first(dout, probs):
    return probs * dout - probs * (probs * dout).sum(axis=1, keepdims=True)


@healthy("softmax_jacobian")
def softmax_jacobian_of_columns(Z):
    """Z of shape (C, N); one matrix an example."""
    e = np.exp(Z - Z.max(axis=0))
    return np.stack([np.diag(p) - np.outer(p, p) for p in (e / e.sum(axis=0)).T])


@healthy("softmax_vjp")
def softmax_vjp_as_a_closure(x):
    p = softmax(x)
    return p, lambda g: p * (g - (p * g).sum(axis=-1, keepdims=True))


@healthy("softmax_vjp")
def vjp_einsum(x, g):
    p = softmax(x)
    J = np.einsum("ij,jk->ijk", p, np.eye(p.shape[1])) - np.einsum("ij,ik->ijk", p, p)
    return np.einsum("ijk,ik->ij", J, g)


@healthy("softmax_vjp")
def vjp_row_by_row(z, dp):
    return np.stack(
        [(np.diag(p) - np.outer(p, p)) @ d for p, d in zip(softmax(z), dp, strict=True)]
    )


@healthy("softmax_vjp")
def softmax_vjp_from_output(p, dp):
    return p * dp - p * np.einsum("ij,ij->i", p, dp)[:, None]
