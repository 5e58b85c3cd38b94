"""The same six functions as users of each library write them.

A peer is a function ``(function name, inputs) -> call``, or None where the library has nothing of
its own. Each call allocates its result, as an ordinary call does.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special

import softgrad as sg

from .cases import FUNCTIONS, Inputs
from .timing import Call

Peer = Callable[[str, Inputs], Call | None]


def _choose(function: str, calls: dict[str, Call]) -> Call | None:
    assert set(calls) <= set(FUNCTIONS)
    return calls.get(function)


def softgrad(function: str, inputs: Inputs) -> Call | None:
    """Ours, allocating."""
    x, target, p, g, axis = inputs.x, inputs.target, inputs.p, inputs.g, inputs.axis
    return _choose(
        function,
        {
            "softmax": lambda: sg.softmax(x, axis=axis),
            "log_softmax": lambda: sg.log_softmax(x, axis=axis),
            "logsumexp": lambda: sg.logsumexp(x, axis=axis),
            "softmax.vjp": lambda: sg.softmax.vjp(x, g, value=p, axis=axis),
            "cross_entropy": lambda: sg.cross_entropy(x, target, axis=axis),
            "cross_entropy.value_and_grad": lambda: sg.cross_entropy.value_and_grad(
                x, target, axis=axis
            ),
        },
    )


def softgrad_out(function: str, inputs: Inputs) -> Call | None:
    """Ours, into memory that is there already."""
    x, target, p, g, axis, out = (
        inputs.x,
        inputs.target,
        inputs.p,
        inputs.g,
        inputs.axis,
        inputs.out,
    )
    return _choose(
        function,
        {
            "softmax": lambda: sg.softmax(x, axis=axis, out=out),
            "log_softmax": lambda: sg.log_softmax(x, axis=axis, out=out),
            "logsumexp": lambda: sg.logsumexp(x, axis=axis),
            "softmax.vjp": lambda: sg.softmax.vjp(x, g, value=p, axis=axis, out=out),
            "cross_entropy": lambda: sg.cross_entropy(x, target, axis=axis),
            "cross_entropy.value_and_grad": lambda: sg.cross_entropy.value_and_grad(
                x, target, axis=axis, out=out
            ),
        },
    )


def numpy(function: str, inputs: Inputs) -> Call | None:
    """The stable formulas that everybody pastes."""
    x, target, p, g, axis = inputs.x, inputs.target, inputs.p, inputs.g, inputs.axis
    rows = np.arange(target.size)
    picked = (target, rows) if axis == 0 else (rows, target)

    def softmax() -> Any:
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        e /= e.sum(axis=axis, keepdims=True)
        return e

    def log_softmax() -> Any:
        z = x - x.max(axis=axis, keepdims=True)
        z -= np.log(np.exp(z).sum(axis=axis, keepdims=True))
        return z

    def logsumexp() -> Any:
        m = x.max(axis=axis, keepdims=True)
        return np.log(np.exp(x - m).sum(axis=axis)) + np.squeeze(m, axis)

    def cross_entropy() -> Any:
        return np.mean(logsumexp() - x[picked])

    def value_and_grad() -> Any:
        m = x.max(axis=axis, keepdims=True)
        e = np.exp(x - m)
        s = e.sum(axis=axis, keepdims=True)
        loss = np.mean(np.squeeze(np.log(s) + m, axis) - x[picked])
        e /= s
        e[picked] -= 1
        e /= target.size
        return loss, e

    return _choose(
        function,
        {
            "softmax": softmax,
            "log_softmax": log_softmax,
            "logsumexp": logsumexp,
            "softmax.vjp": lambda: p * (g - (p * g).sum(axis=axis, keepdims=True)),
            "cross_entropy": cross_entropy,
            "cross_entropy.value_and_grad": value_and_grad,
        },
    )


def scipy_(function: str, inputs: Inputs) -> Call | None:
    """SciPy's functions, and the loss composed from them."""
    x, target, axis = inputs.x, inputs.target, inputs.axis
    rows = np.arange(target.size)
    picked = (target, rows) if axis == 0 else (rows, target)

    def value_and_grad() -> Any:
        log_p = scipy.special.log_softmax(x, axis=axis)
        loss = -np.mean(log_p[picked])
        grad = np.exp(log_p, out=log_p)
        grad[picked] -= 1
        grad /= target.size
        return loss, grad

    return _choose(
        function,
        {
            "softmax": lambda: scipy.special.softmax(x, axis=axis),
            "log_softmax": lambda: scipy.special.log_softmax(x, axis=axis),
            "logsumexp": lambda: scipy.special.logsumexp(x, axis=axis),
            "cross_entropy": lambda: np.mean(scipy.special.logsumexp(x, axis=axis) - x[picked]),
            "cross_entropy.value_and_grad": value_and_grad,
        },
    )


def torch_() -> Peer:
    """PyTorch; raises ImportError where it is absent."""
    import torch

    def peer(function: str, inputs: Inputs) -> Call | None:
        axis = inputs.axis
        x, p, g = (torch.from_numpy(a) for a in (inputs.x, inputs.p, inputs.g))
        target = torch.from_numpy(inputs.target)
        # cross_entropy wants the classes in dimension 1
        logits, labels = (x[None], target[None]) if axis == 0 else (x, target)
        backward = torch.ops.aten._softmax_backward_data
        loss = torch.nn.functional.cross_entropy

        def value_and_grad() -> Any:
            leaf = logits.detach().requires_grad_()
            value = loss(leaf, labels)
            value.backward()
            return value, leaf.grad

        return _choose(
            function,
            {
                "softmax": lambda: torch.softmax(x, axis),
                "log_softmax": lambda: torch.log_softmax(x, axis),
                "logsumexp": lambda: torch.logsumexp(x, axis),
                # the kernel behind autograd, without autograd's own cost
                "softmax.vjp": lambda: backward(g, p, axis, x.dtype),
                "cross_entropy": lambda: loss(logits, labels),
                "cross_entropy.value_and_grad": value_and_grad,
            },
        )

    return peer


def jax_(threads: int) -> Peer:
    """JAX, compiled, on the CPU; raises ImportError where it is absent.

    Its thread pool is made once, so the number of threads holds for the whole process.
    """
    if threads == 1:
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    jax.config.update("jax_enable_x64", True)

    def peer(function: str, inputs: Inputs) -> Call | None:
        axis = inputs.axis
        x, p, g, target = (jax.device_put(a) for a in (inputs.x, inputs.p, inputs.g, inputs.target))

        def cross_entropy(x: Any) -> Any:
            labels = jax.numpy.expand_dims(target, axis)
            log_p = jax.nn.log_softmax(x, axis=axis)
            return -jax.numpy.take_along_axis(log_p, labels, axis=axis).mean()

        def vjp(p: Any, g: Any) -> Any:
            return p * (g - (p * g).sum(axis=axis, keepdims=True))

        compiled = {
            "softmax": jax.jit(lambda x: jax.nn.softmax(x, axis=axis)),
            "log_softmax": jax.jit(lambda x: jax.nn.log_softmax(x, axis=axis)),
            "logsumexp": jax.jit(lambda x: jax.nn.logsumexp(x, axis=axis)),
            "cross_entropy": jax.jit(cross_entropy),
            "cross_entropy.value_and_grad": jax.jit(jax.value_and_grad(cross_entropy)),
        }
        if function == "softmax.vjp":
            run_vjp = jax.jit(vjp)
            return lambda: jax.block_until_ready(run_vjp(p, g))
        run = compiled[function]
        return lambda: jax.block_until_ready(run(x))

    return peer
