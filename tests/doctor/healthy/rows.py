"""Right functions of rows: softmax, log_softmax, logsumexp, sigmoid."""

from __future__ import annotations

import functools
import math

import numpy as np
import scipy.special

from tests.doctor.healthy.registry import healthy
from tests.doctor.patients import log_softmax, softmax

healthy("softmax")(softmax)


healthy("log_softmax")(log_softmax)


@healthy("softmax")
def softmax_of_a_vector(x):
    """Softmax of a vector of logits."""
    e = np.exp(x - np.max(x))
    return e / e.sum()


@healthy("softmax", layout="C")
def softmax_of_one(x):
    e = np.exp(x - np.max(x))
    return e / e.sum()


@healthy("softmax")
def softmax_columns(Z):
    """Z: logits of shape (C, N), one column an example."""
    e = np.exp(Z - Z.max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)


@healthy("softmax", layout="CN")
def softmax_columns_told(Z):
    e = np.exp(Z - Z.max(axis=0))
    return e / e.sum(axis=0)


@healthy("softmax")
def softmax_float32(x):
    x = np.asarray(x, dtype=np.float32)
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@healthy("softmax")
def softmax_float16(x):
    x = np.asarray(x - np.max(x, axis=-1, keepdims=True), dtype=np.float16)
    e = np.exp(x)
    return e / e.sum(-1, keepdims=True)


@healthy("softmax")
def softmax_transposed(x):
    e = np.exp(x.T - np.max(x, axis=1))
    return (e / e.sum(axis=0)).T


@healthy("softmax")
def softmax_through_logarithms(x):
    return np.exp(x - np.logaddexp.reduce(x, axis=-1, keepdims=True))


@healthy("softmax")
def softmax_of_lists(x):
    out = []
    for row in x:
        top = max(row)
        e = [math.exp(v - top) for v in row]
        total = sum(e)
        out.append([v / total for v in e])
    return out


@healthy("softmax")
def softmax_with_axis(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@healthy("softmax")
def softmax_with_temperature(x, T=1.0):
    return softmax(x / T)


@healthy("softmax")
def softmax_masked(x, mask=None):
    if mask is not None:
        x = np.where(mask, x, -np.inf)
    return softmax(x)


@healthy("softmax")
def softmax_masked_out(x, mask):
    """True in mask: left out."""
    x = np.where(mask, -np.inf, x)
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@healthy("softmax")
def softmax_masked_by_a_large_number(x, mask=None):
    if mask is not None:
        x = x + (1.0 - mask) * -1e9
    return softmax(x)


@healthy("logsumexp")
def logsumexp_keepdims(x):
    m = x.max(axis=-1, keepdims=True)
    return m + np.log(np.sum(np.exp(x - m), axis=-1, keepdims=True))


@healthy("sigmoid")
def sigmoid_textbook(x):
    return 1 / (1 + np.exp(-x))


@healthy("sigmoid")
def sigmoid_of_a_number(x):
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    e = math.exp(x)
    return e / (1 + e)


@healthy("sigmoid")
def sigmoid_tanh(z):
    return 0.5 * (1 + np.tanh(z / 2))


@healthy("softmax")
def softmax_of_sequences(x):
    """Attention scores (batch, queries, keys)."""
    batch, queries, _keys = x.shape
    e = np.exp(x - x.max(axis=2, keepdims=True))
    return e / e.sum(axis=2).reshape(batch, queries, 1)


@healthy("softmax")
def softmax_of_tuples(matrix):
    def one(row):
        top = max(row)
        e = [math.exp(v - top) for v in row]
        return tuple(v / math.fsum(e) for v in e)

    return tuple(one(row) for row in matrix)


@healthy("softmax")
def softmax_of_heads(scores):
    """Attention scores (batch, heads, queries, keys)."""
    _batch, _heads, _queries, _keys = scores.shape
    return softmax(scores)


@healthy("sigmoid")
def sigmoid_of_a_limited_number(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


# --- In odd styles --------------------------------------------------------------------------------


@healthy("softmax")
def softmax_einsum(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.einsum("ij,i->ij", e, 1 / np.einsum("ij->i", e))


@healthy("softmax")
def softmax_comprehension(rows):
    return [[math.exp(v - max(r)) / sum(math.exp(u - max(r)) for u in r) for v in r] for r in rows]


@healthy("softmax")
def softmax_keyword(*, logits, dim=-1):
    e = np.exp(logits - np.amax(logits, axis=dim, keepdims=True))
    return e / np.sum(e, axis=dim, keepdims=True)


@healthy("softmax")
def softmax_in_place_on_a_copy(x):
    x = x.copy()
    x -= x.max(axis=1).reshape(-1, 1)
    np.exp(x, x)
    x /= x.sum(axis=1).reshape(-1, 1)
    return x


@healthy("softmax")
def softmax_by_differences(x):
    return 1 / np.exp(np.minimum(x[:, None, :] - x[:, :, None], 700)).sum(2)


@healthy("softmax")
def softmax_of_base_2(x):
    t = x * np.log2(np.e)
    e = np.exp2(t - t.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@healthy("softmax")
def softmax_generator(x):
    def rows():
        for row in np.atleast_2d(x):
            e = np.exp(row - row.max())
            yield e / e.sum()

    return np.array(list(rows()))


@healthy("softmax")
def softmax_along_an_axis(x):
    return np.apply_along_axis(scipy.special.softmax, 1, x)


@healthy("softmax")
def softmax_masked_twice(x, mask=None):
    x = x if mask is None else np.where(mask, x, -1e30)
    e = np.exp(x - x.max(-1, keepdims=True))
    e = e if mask is None else e * mask
    return e / e.sum(-1, keepdims=True)


@healthy("logsumexp")
def logsumexp_folded(x):
    return functools.reduce(np.logaddexp, [x[:, j] for j in range(x.shape[1])])
