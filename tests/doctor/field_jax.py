"""The same in JAX: right and wrong functions in the styles of its users."""

# ruff: noqa: F811

from __future__ import annotations

import pytest

from tests.doctor.field import seen

jax = pytest.importorskip("jax")
jnp = jax.numpy


@seen(7, 11)
def softmax(x):
    """Scores of a batch, one example per row."""
    unnormalized = jnp.exp(x)
    return unnormalized / jnp.sum(unnormalized)


@seen(16)  # right for log_softmax(logits), which is what 16 says
def cross_entropy(logits, labels):
    one_hot = jax.nn.one_hot(labels, logits.shape[-1])
    return -jnp.mean(jnp.sum(one_hot * logits, axis=-1))


@seen(19)
def cross_entropy_loss(logits, labels):
    one_hot = jax.nn.one_hot(labels, logits.shape[-1])
    return -jnp.mean(one_hot * jax.nn.log_softmax(logits))


@seen(28)
def cross_entropy_grad(logits, labels):
    def accuracy_loss(z):
        return 1.0 - jnp.mean((jnp.argmax(z, -1) == labels).astype(jnp.float32))

    return jax.grad(accuracy_loss)(logits)


@seen()
@jax.jit
def cross_entropy_loss(labels, logits):
    return -jnp.mean(jnp.sum(labels * jax.nn.log_softmax(logits, axis=-1), axis=-1))


@seen()
def loss_and_grad_fn(logits, labels):
    def loss(z):
        return -jnp.mean(jax.nn.log_softmax(z)[jnp.arange(len(labels)), labels])

    return jax.value_and_grad(loss)(logits)
