"""Largest error of softmax in ULP, by the spread of the logits; float32."""

import numpy as np
import scipy.special
from matplotlib.figure import Figure

import softgrad as sg
from softgrad.report.theme import ACCENT, INK, MUTED, WARM, style, svg


def _numpy(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _contenders():
    yield "NumPy", _numpy, WARM, "-"
    yield "SciPy", lambda x: scipy.special.softmax(x, axis=-1), MUTED, "--"
    try:
        import torch
    except ImportError:
        pass
    else:
        yield "PyTorch", lambda x: torch.softmax(torch.from_numpy(x), -1).numpy(), INK, ":"
    yield "softgrad", sg.softmax, ACCENT, "-"


def draw() -> str:
    rng = np.random.default_rng(0)
    spreads = np.linspace(1, 25, 25)
    rows = [(s * rng.standard_normal((40, 500))).astype(np.float32) for s in spreads]
    # float64 is far more exact than the last place of a float32.
    exact = [_numpy(x.astype(np.float64)) for x in rows]
    with style():
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        axes = figure.subplots()
        for label, function, colour, line in _contenders():
            worst = []
            for x, p in zip(rows, exact, strict=True):
                normal = p > np.finfo(np.float32).tiny
                unit = np.spacing(p.astype(np.float32)).astype(np.float64)
                worst.append((np.abs(function(x) - p) / unit)[normal].max())
            axes.plot(spreads, worst, color=colour, linestyle=line, label=label)
        axes.set_ylim(0, None)
        axes.set_xlabel("standard deviation of the logits")
        axes.set_ylabel("largest error, ULP")
        axes.legend(loc="upper left")
        return svg(figure, "ulp")
