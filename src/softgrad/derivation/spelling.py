"""How NumPy, PyTorch and JAX spell the functions that expressions are made of."""

from __future__ import annotations

#: How an activation is written so that nothing overflows: by a function of the library at hand, or,
#: in the branch of a ``where`` that is not taken, by an argument that stays small. An infinity
#: there would make the gradient NaN, for its derivative is multiplied with 0.
STABLE = {
    "softmax": "softmax(x)",
    "softmin": "softmax(-x)",
    "log_softmax": "log_softmax(x)",
    "sigmoid": "sigmoid(x)",
    "log_sigmoid": "-softplus(-x)",
    "softplus": "softplus(x)",
    "elu": "where(x > 0, x, alpha * expm1(minimum(x, 0)))",
    "selu": "where(x > 0, scale * x, scale * alpha * expm1(minimum(x, 0)))",
}
STABLE_SLOPES = {
    "log_sigmoid": "sigmoid(-x)",
    "softplus": "sigmoid(x)",
    "elu": "where(x > 0, 1, alpha * exp(minimum(x, 0)))",
    "selu": "where(x > 0, scale, scale * alpha * exp(minimum(x, 0)))",
}

COMMON = {
    "sqrt": "({0}) ** 0.5",
    "maximum": "{np}.where({0} > {1}, {0}, {1})",
    "minimum": "{np}.where({0} > {1}, {1}, {0})",
    "phi": "{np}.exp(-({0}) ** 2 / 2) / (2 * {np}.pi) ** 0.5",
    "diag": "diag({0})",
    "outer": "({0})[..., :, None] * ({1})[..., None, :]",
    "eye": "diag({np}.ones_like({0}))",
    "one": "{np}.ones_like({0})",
    "threshold": "threshold({0})",
    "ratio": "({0}) / {np}.where(({0}) == 0, 1, {1})",
    "xlogy": "({0}) * {np}.log({np}.where(({0}) == 0, 1, {1}))",
    "winner": "{np}.eye({0}.shape[-1])[{np}.argmax({np}.where({1} > 0, -{np}.inf, {0}), -1)]",
}
SPELLED: dict[str, dict[str, str]] = {
    "numpy": {
        **COMMON,
        "sum": "np.sum({0}, axis=-1, keepdims=True)",
        "max": "np.max({0}, axis=-1, keepdims=True)",
        "min": "np.min({0}, axis=-1, keepdims=True)",
        "softmax": "softmax({0})",
        "log_softmax": "log_softmax({0})",
        "sigmoid": "sigmoid({0})",
        "softplus": "np.logaddexp(0, {0})",
        "Phi": "Phi({0})",
        "rival": "np.max(np.where({1} > 0, -np.inf, {0}), axis=-1, keepdims=True)",
    },
    "torch": {
        **COMMON,
        "sum": "torch.sum({0}, -1, keepdim=True)",
        "max": "torch.amax({0}, -1, keepdim=True)",
        "min": "torch.amin({0}, -1, keepdim=True)",
        "softmax": "torch.softmax({0}, -1)",
        "log_softmax": "torch.log_softmax({0}, -1)",
        "sigmoid": "torch.sigmoid({0})",
        "softplus": "torch.logaddexp({0}, 0 * {0})",
        "Phi": "torch.special.ndtr({0})",
        "rival": "torch.amax(torch.where({1} > 0, -torch.inf, {0}), -1, keepdim=True)",
    },
    "jax": {
        **COMMON,
        "sum": "jnp.sum({0}, axis=-1, keepdims=True)",
        "max": "jnp.max({0}, axis=-1, keepdims=True)",
        "min": "jnp.min({0}, axis=-1, keepdims=True)",
        "softmax": "jax.nn.softmax({0})",
        "log_softmax": "jax.nn.log_softmax({0})",
        "sigmoid": "jax.nn.sigmoid({0})",
        "softplus": "jnp.logaddexp(0, {0})",
        "Phi": "jax.scipy.special.ndtr({0})",
        "rival": "jnp.max(jnp.where({1} > 0, -jnp.inf, {0}), axis=-1, keepdims=True)",
    },
}
MODULE = {"numpy": "np", "torch": "torch", "jax": "jnp"}
IMPORTS = {
    "numpy": "import numpy as np",
    "torch": "import torch",
    "jax": 'import jax\nimport jax.numpy as jnp\n\njax.config.update("jax_enable_x64", True)',
}
HELPERS = {
    "numpy": {
        "softmax": """
def softmax(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)
""",
        "log_softmax": """
def log_softmax(x):
    x = x - np.max(x, axis=-1, keepdims=True)
    return x - np.log(np.sum(np.exp(x), axis=-1, keepdims=True))
""",
        "sigmoid": """
def sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))
""",
        "Phi": """
@np.vectorize
def Phi(x):
    return math.erfc(-x / math.sqrt(2)) / 2
""",
        "diag": """
def diag(v):
    return v[..., :, None] * np.eye(v.shape[-1])
""",
        "threshold": """
def threshold(x):
    descending = -np.sort(-x, axis=-1)
    sums = np.cumsum(descending, axis=-1)
    ranks = np.arange(1, x.shape[-1] + 1)
    size = np.sum(descending * ranks > sums - 1, axis=-1, keepdims=True)
    return (np.take_along_axis(sums, size - 1, axis=-1) - 1) / size
""",
    },
    "torch": {
        "threshold": """
def threshold(x):
    descending = torch.sort(x, descending=True).values
    sums = torch.cumsum(descending, -1)
    ranks = torch.arange(1, x.shape[-1] + 1)
    size = torch.sum(descending * ranks > sums - 1, -1, keepdim=True)
    return (torch.gather(sums, -1, size - 1) - 1) / size
""",
    },
    "jax": {
        "threshold": """
def threshold(x):
    descending = -jnp.sort(-x, axis=-1)
    sums = jnp.cumsum(descending, axis=-1)
    ranks = jnp.arange(1, x.shape[-1] + 1)
    size = jnp.sum(descending * ranks > sums - 1, axis=-1, keepdims=True)
    return (jnp.take_along_axis(sums, size - 1, axis=-1) - 1) / size
""",
    },
}
HELPERS["numpy"]["eye"] = HELPERS["numpy"]["diag"]
