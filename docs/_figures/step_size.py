"""The error of a finite difference by its step: truncation on the right, rounding on the left."""

import numpy as np
from matplotlib.figure import Figure

import softgrad as sg
from softgrad.report.theme import ACCENT, MUTED, WARM, style, svg


def _error(dtype, step, wrong=0.0):
    x, v = np.array([1.0, 2.0, 3.0]), np.array([0.6, -0.8, 0.5])
    exact = float(sg.cross_entropy.grad(x, 0) @ v) * (1 + wrong)
    ends = [sg.cross_entropy((x + s * step * v).astype(dtype), 0) for s in (1, -1)]
    return abs(float(ends[0] - ends[1]) / (2 * step) - exact) / abs(exact)


def draw() -> str:
    steps = np.logspace(-11, 0, 67)
    with style():
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        axes = figure.subplots()
        curves = [
            ("right gradient, float32", np.float32, 0.0, WARM, "-"),
            ("gradient wrong by 0.1 %, float64", np.float64, 1e-3, MUTED, "--"),
            ("right gradient, float64", np.float64, 0.0, ACCENT, "-"),
        ]
        for label, dtype, wrong, colour, line in curves:
            error = [max(_error(dtype, step, wrong), 1e-13) for step in steps]
            axes.plot(steps, error, color=colour, linestyle=line, label=label)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.minorticks_off()
        axes.set_ylim(1e-13, 10)
        axes.set_xlabel("step h")
        axes.set_ylabel("relative difference")
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 0.0))
        return svg(figure, "step")
