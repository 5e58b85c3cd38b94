"""Relative error of log p of the leading class, by how far it leads; float32."""

import numpy as np
import scipy.special
from matplotlib.figure import Figure

import softgrad as sg
from softgrad.report.theme import ACCENT, MUTED, WARM, style, svg


def draw() -> str:
    margin = np.linspace(0.5, 40, 160).astype(np.float32)
    x = np.stack([margin, np.zeros_like(margin)], axis=1)
    exact = -np.log1p(np.exp(-margin.astype(np.float64)))
    contenders = {
        "log(p), p = exp(x - max) / sum": (np.log(scipy.special.softmax(x, axis=1)), WARM, "-"),
        "x - max - log(sum), SciPy": (scipy.special.log_softmax(x, axis=1), MUTED, "--"),
        "softgrad": (sg.log_softmax(x), ACCENT, "-"),
    }
    with style():
        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        axes = figure.subplots()
        for label, (log_p, colour, line) in contenders.items():
            error = np.abs(log_p[:, 0].astype(np.float64) / exact - 1)
            axes.plot(margin, np.maximum(error, 1e-9), color=colour, linestyle=line, label=label)
        axes.set_yscale("log")
        axes.minorticks_off()
        axes.set_ylim(3e-10, 10)
        axes.set_xlabel("lead of the largest logit")
        axes.set_ylabel("relative error of log p")
        axes.legend(loc="center right", bbox_to_anchor=(1, 0.4))
        return svg(figure, "confident")
