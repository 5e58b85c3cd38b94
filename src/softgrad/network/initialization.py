"""How weights start: scaled so that signals keep their size from layer to layer.

X. Glorot, Y. Bengio, Understanding the difficulty of training deep feedforward neural networks
(2010), equation 16. K. He et al., Delving deep into rectifiers (2015), equations 10 and 15.
Y. LeCun et al., Efficient BackProp (1998), section 4.6. A. Saxe et al., Exact solutions to the
nonlinear dynamics of learning in deep linear neural networks (2014), section 3.
"""

from __future__ import annotations

import math

import numpy as np

from softgrad._typing import Array, Shape
from softgrad.errors import OptionError
from softgrad.network.layer import Layer

NAMES = (
    "glorot",
    "glorot_uniform",
    "he",
    "he_uniform",
    "lecun",
    "lecun_uniform",
    "orthogonal",
)

#: The activations that let about half of the signal through, for which He's factor 2 is made.
_RECTIFIERS = frozenset(
    {"relu", "leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "mish", "softplus"}
)


def known(name: str) -> str:
    """The name, if there is such an initialization."""
    if name not in NAMES:
        raise OptionError(
            f"init={name!r}; accepted are {', '.join(map(repr, NAMES))}, and functions of "
            "(generator, shape)."
        )
    return name


def choose(following: Layer | None) -> str:
    """What fits the activation that follows: He for rectifiers, LeCun for selu, else Glorot."""
    name = getattr(getattr(following, "function", None), "name", "identity")
    if name in _RECTIFIERS:
        return "he"
    return "lecun" if name == "selu" else "glorot_uniform"


def initialize(
    name: str | None, rng: np.random.Generator, shape: Shape, following: Layer | None
) -> Array:
    """Weights of shape (outputs, inputs) in float64; None chooses by what follows."""
    name = choose(following) if name is None else known(name)
    outputs, inputs = shape
    if name == "orthogonal":
        return _orthogonal(rng, shape) * _gain(following)
    kind, _, distribution = name.partition("_")
    if kind == "glorot":
        variance = 2.0 / (inputs + outputs)
    elif kind == "he":
        variance = _gain(following, otherwise=math.sqrt(2.0)) ** 2 / inputs
    else:
        variance = 1.0 / inputs
    if distribution == "uniform":
        limit = math.sqrt(3.0 * variance)
        return rng.uniform(-limit, limit, shape)
    return rng.normal(0.0, math.sqrt(variance), shape)


def _gain(following: Layer | None, otherwise: float = 1.0) -> float:
    """By how much a rectifier's input must be enlarged, He (2015), equation 15."""
    name = getattr(getattr(following, "function", None), "name", None)
    if name == "leaky_relu":
        slope = getattr(following, "options", {}).get("negative_slope", 0.01)
        return math.sqrt(2.0 / (1.0 + slope**2))
    return math.sqrt(2.0) if name in _RECTIFIERS else otherwise


def _orthogonal(rng: np.random.Generator, shape: Shape) -> Array:
    outputs, inputs = shape
    tall = rng.normal(size=(max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diagonal(r) < 0.0, -1.0, 1.0)  # else not uniform over the rotations
    return np.ascontiguousarray(q if outputs >= inputs else q.T)
