"""Functions written for JAX, right and wrong."""

from __future__ import annotations

import pytest

import softgrad as sg

jax = pytest.importorskip("jax")
jnp = jax.numpy


def cross_entropy(x, y):
    return -jnp.log(jax.nn.softmax(x))[jnp.arange(len(y)), y].mean()


def test_a_right_function_is_healthy() -> None:
    assert sg.examine(jax.nn.softmax).healthy


def test_the_mistake_is_named() -> None:
    report = sg.examine(cross_entropy)
    assert report.mistakes == (13,)
    assert report.understood["framework"] == "JAX"
