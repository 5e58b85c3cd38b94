"""Reliability before and after a temperature, of a classifier that is too sure of itself."""

from sklearn.datasets import load_digits

import softgrad as sg
from softgrad.report.figures import reliability_figure


def draw() -> str:
    X, y = load_digits(return_X_y=True)
    sure = sg.SoftmaxRegression(C=1).fit(X[:900], y[:900])
    calibrated = sg.TemperatureScaling(sure, cv="prefit").fit(X[900:1350], y[900:1350])
    drawings = []
    for name, model in (("before", sure), ("after", calibrated)):
        diagram = sg.reliability_diagram(model.predict_proba(X[1350:]), y[1350:])
        # Two figures of one page must not share ids.
        drawings.append(reliability_figure(diagram.bins).replace("reliability", f"r-{name}"))
    return '<div class="pair">' + "".join(f"<div>{d}</div>" for d in drawings) + "</div>"
