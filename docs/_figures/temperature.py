"""The same logits at three temperatures."""

import numpy as np
from matplotlib.figure import Figure

import softgrad as sg
from softgrad.report.theme import ACCENT, style, svg


def draw() -> str:
    x = np.array([3.0, 2.0, 1.0, 0.0])
    with style():
        figure = Figure(figsize=(7.2, 2.5), layout="constrained")
        for axes, T in zip(figure.subplots(1, 3, sharey=True), (0.5, 1, 3), strict=True):
            axes.bar(x.astype(int).astype(str), sg.softmax(x, temperature=T), color=ACCENT)
            axes.set_title(f"T = {T:g}")
            axes.set_xlabel("logit")
            axes.set_ylim(0, 1)
        return svg(figure, "temperature")
