"""The way of a fit to its proof: the relative distance to the minimum, by iteration."""

from sklearn.datasets import load_digits

import softgrad as sg
from softgrad.report.figures import gap_curve
from softgrad.report.run import HistoryPoint


def draw() -> str:
    history = []

    def remember(progress):
        history.append(
            HistoryPoint(
                progress.iteration,
                progress.seconds,
                progress.objective,
                progress.gap,
                progress.certified,
                float("nan"),
                float("nan"),
            )
        )

    sg.SoftmaxRegression(callback=remember).fit(*load_digits(return_X_y=True))
    return gap_curve(history)
