"""How a function was understood, in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from softgrad.doctor.calling import Convention, displayed
from softgrad.doctor.formulas import truth_of
from softgrad.doctor.kinds import Kind
from softgrad.doctor.probes import Probe
from softgrad.doctor.reading import Reading


def inputs(convention: Convention, probe: Probe) -> dict[str, Any]:
    """A probe as the function takes it, without what it does not take."""
    given: dict[str, Any] = {}

    def add(name: str, role: str) -> None:
        given[name] = displayed(role, convention, probe)

    if convention.takes_role("X"):
        add("X", "X")
        add("W", "W")
        if probe.b is not None and np.any(probe.b):
            add("b", "b")
    else:
        names = {"logits": "logits", "probabilities": "p = softmax of"}
        add(names.get(convention.takes, "log p = log_softmax of"), "x")
    if convention.takes_role("teacher"):
        add("teacher", "teacher")
    if convention.takes_role("y") or convention.takes_role("labels"):
        add("target", "y")
    if convention.takes_role("g"):
        add("cotangent", "g")
    if convention.takes_role("T"):
        add("temperature", "T")
    words = {"mask": "mask (True takes part)", "w": "weights", "cw": "class weights"}
    return given | {words[name]: value for name, value in probe.extra.items()}


def understood(name: str, kind: Kind, reading: Reading) -> dict[str, str]:
    """How the function was called and what it was taken for."""
    c = reading.convention
    words = {
        "x": c.takes.replace("log-", "log_").replace("-", " "),
        "y": "target",
        "g": "cotangent",
        "T": "temperature",
        "w": "weights",
        "cw": "class weights",
        "lr": "step size",
        "classes": "C",
        "samples": "N",
        "off": "0",
        "reduction": "'mean'",
    }
    shown = ", ".join(
        words.get(role, role) if key is None else f"{key}={words.get(role, role)}"
        for role, key in c.arguments
    )
    layouts = {
        "NC": "(N, C): rows are examples",
        "NCT": "(N, C): rows are examples; W is (C, D)",
        "NCF": "(N, C): rows are examples; W is flat, (D * C,)",
        "CN": "(C, N): columns are examples",
        "1NC": "(B, N, C): classes on the last axis",
        "11NC": "(B, H, N, C): classes on the last axis",
        "row": "(C,): one row at a time",
        "C1": "(C, 1): one column at a time",
        "N": "(N,)",
        "N1": "(N, 1)",
        "scalar": "one number at a time",
    }
    result = {"arguments": f"{name}({shown})", "layout": layouts[c.layout]}
    if c.takes_role("y") or c.takes_role("labels"):
        targets = {
            "index": "class indices",
            "float": "0 or 1",
            "index from 1": "indices from 1",
            "column": "class indices in a column",
        }
        hot = "one-hot columns" if c.layout in ("CN", "C1") else "one-hot rows"
        result["target"] = targets.get(c.target, hot)
        if kind.binary:
            result["target"] = "0 or 1"
    reduction = _reduction(kind, reading)
    if reduction:
        result["reduction"] = reduction
    if c.temperature != 1.0:
        result["temperature"] = f"{c.temperature:g}, fixed inside"
    if c.smoothing:
        over = {"all": "over all classes", "others": "over the other classes"}[c.smoothed_over]
        result["label smoothing"] = f"{c.smoothing:g}, fixed inside, {over}"
        if c.relative:
            result["label smoothing"] += "; the loss is the divergence from that target"
    frameworks = {"numpy": "NumPy", "list": "plain lists", "jax": "JAX"}
    result["framework"] = frameworks.get(c.framework, "PyTorch")
    truth = truth_of(kind)
    result["compared with"] = truth if reduction == "mean" else truth.replace(" / N", "")
    return result


def _reduction(kind: Kind, reading: Reading) -> str:
    """Over the rows: by the power of N in the factor that was fitted."""
    if reading.convention.single:
        return "one row, nothing to reduce" if kind.has_target else ""
    for part in ("loss", "grad", "dW"):
        found = reading.fits.get(part)
        if found is None or not found.power.c or kind.name == "sigmoid_grad":
            continue
        if found.power.a == -1:
            return "mean"
        if part == "loss" and not found.reduced:
            return "none: one loss a row"
        return "sum"
    return ""


def notes(reading: Reading) -> list[str]:
    """What else was noticed in the first call."""
    notes = []
    outcome = reading.observations[0].outcome
    if outcome.printed.strip():
        first = outcome.printed.strip().splitlines()[0][:60]
        notes.append(f"It prints or warns while it works: {first!r}.")
    if any(word in outcome.kind for word in ("float16", "bfloat16")):
        notes.append("It returns half precision, which was compared to two digits only.")
    elif "int" in outcome.kind and "ndarray of int" in outcome.kind:
        notes.append("It returns integers.")
    return notes
