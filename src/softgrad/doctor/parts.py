"""The parts of a result by name, rows as examples, however the function returns them."""

from __future__ import annotations

import numpy as np

from softgrad._typing import Array
from softgrad.doctor.calling import Convention, Outcome
from softgrad.doctor.kinds import Kind
from softgrad.doctor.probes import Probe


def sort_parts(
    kind: Kind, convention: Convention, probe: Probe, outcome: Outcome
) -> dict[str, Array]:
    """The parts of a result by name, rows as examples; empty if it has no such parts."""
    value = outcome.value
    values = list(value) if isinstance(value, tuple) else [value]
    arrays = [np.asarray(v) for v in values if isinstance(v, np.ndarray | np.floating)]
    if kind.family in ("layer", "step"):
        return _layer_parts(kind, convention, probe, outcome, arrays)
    if not arrays:
        return {}
    arrays = [_upright(a, convention, probe) for a in arrays]
    if kind.family == "both":
        return _loss_and_grad(arrays, probe)
    if kind.family == "vjp" or (kind.name == "sigmoid_grad" and len(arrays) > 1):
        if len(arrays) == 2:
            name = "vjp" if kind.family == "vjp" else "grad"
            return {"value": arrays[0], name: arrays[1]}
        return {"vjp" if kind.family == "vjp" else "grad": arrays[0]}
    if kind.family == "loss" or kind.name == "distillation":
        loss = next((a for a in arrays if a.ndim < 2), None)
        return {} if loss is None else {"loss": loss}
    if kind.family == "grad" or kind.name == "distillation_grad":
        full = next((a for a in arrays if a.shape == probe.x.shape), arrays[-1])
        return {"grad": full}
    name = "jacobian" if kind.family == "jacobian" else kind.name
    return {name: arrays[0]}


def _loss_and_grad(arrays: list[Array], probe: Probe) -> dict[str, Array]:
    """Of several arrays of the logits' shape the gradient is the one that is below 0 somewhere."""
    fitting = [a for a in arrays if a.shape == probe.x.shape]
    grad = next((a for a in fitting if np.any(a < 0)), fitting[0] if fitting else None)
    loss = next((a for a in arrays if a.ndim < 2), None)
    if grad is None or loss is None:
        return {}
    return {"loss": loss, "grad": grad}


def _upright(array: Array, convention: Convention, probe: Probe) -> Array:
    """An output as the probe has it: examples in rows, no axes of length 1 left over."""
    if convention.layout == "CN" and array.ndim == 2:
        array = array.T
    rows = probe.x.shape[0]
    for _ in range(convention.nested):
        array = array[0] if array.ndim and array.shape[0] == 1 else array
    if convention.layout == "CN" and array.ndim == 3 and array.shape[2] == rows:
        array = np.moveaxis(array, 2, 0)
    if convention.layout == "C1":
        array = array.reshape([rows, *(n for n in array.shape[1:] if n != 1)])
    if array.ndim == 2 and array.shape == (rows, 1) and probe.x.shape != (rows, 1):
        return array[:, 0]
    if array.ndim and array.size == 1 and rows > 1:
        return array.reshape(())
    if convention.layout == "CN" and array.ndim == 2 and array.shape == (1, rows):
        array = array[0]
    return np.asarray(array)


def _layer_parts(
    kind: Kind, convention: Convention, probe: Probe, outcome: Outcome, arrays: list[Array]
) -> dict[str, Array]:
    assert probe.X is not None
    assert probe.W is not None
    assert probe.b is not None
    upright = convention.layout not in ("CN", "NCT")
    W, b, X = probe.W, probe.b, probe.X
    parts: dict[str, Array] = {}
    shape = W.shape if upright else W.T.shape
    # Weights given as a vector, or a gradient made one for an optimiser.
    flat = convention.layout in ("NC", "NCF")
    left = list(arrays)
    if kind.family == "step" and not any(a.shape == shape or a.size == W.size for a in left):
        changed = [outcome.after[r] for r in ("W", "b") if r in outcome.after]
        left += changed
    for array in left:
        if array.ndim == 0 or array.size == 1:
            parts.setdefault("loss", array.reshape(()))
        elif "dW" not in parts and (array.shape == shape or (flat and array.shape == (W.size,))):
            array = array.reshape(shape)
            parts["dW"] = array if upright else array.T
        elif "db" not in parts and array.size == b.size and array.ndim <= 2:
            parts["db"] = array.reshape(-1)
        elif "dX" not in parts and array.shape == (
            X.shape if convention.layout != "CN" else X.T.shape
        ):
            parts["dX"] = array if convention.layout != "CN" else array.T
    if "dW" not in parts:
        return {}
    if kind.family == "step":
        parts.pop("dX", None)
        for name, before in (("dW", W), ("db", b)):
            if name in parts:
                parts[name] = (before - parts[name]) / (
                    probe.lr if convention.takes_role("lr") else 1.0
                )
    return parts
