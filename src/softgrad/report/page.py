"""report.html: one file that needs nothing else, readable on light and on dark."""

from __future__ import annotations

import math
from html import escape
from importlib.resources import files
from string import Template

import numpy as np
import numpy.typing as npt

from softgrad.data import Dataset
from softgrad.data.streamed import StreamedData
from softgrad.report import figures, network_page
from softgrad.report.network_run import NetworkRun
from softgrad.report.run import Run
from softgrad.report.units import bytes_text, count_text, seconds_text
from softgrad.report.words import WORDS_NOTE, column_deviation, mistakes_table, words_table

Float = npt.NDArray[np.float64]

_HARDEST = 12

AnyRun = Run | NetworkRun


def render(run: AnyRun, version: str) -> str:
    """The whole page as text."""
    template = Template(files("softgrad.report").joinpath("page.html").read_text("utf-8"))
    image_width = run.train.image_shape[1] if run.train.image_shape else 0
    return template.substitute(
        title=escape(f"{_kind(run)} on {run.train.name}"),
        summary=escape(_summary(run)),
        warning=_warning(run),
        tiles="\n".join(_tiles(run)),
        sections="\n".join(_sections(run)),
        footer=f"Written by softgrad {escape(version)}.",
        tile_px=84 if image_width <= 16 else 176,
    )


def _kind(run: AnyRun) -> str:
    return "Neural network" if isinstance(run, NetworkRun) else "Softmax regression"


def _summary(run: AnyRun) -> str:
    part = "took no part in training"
    if isinstance(run, NetworkRun):
        part = "gave no gradient; they chose the epoch"
    return (
        f"{count_text(run.train.n_rows)} training rows of {count_text(run.train.n_features)}"
        f" features, {len(run.model.classes_)} classes. Measured on"
        f" {count_text(run.validation.n_rows)} validation rows that {part}."
    )


def _warning(run: AnyRun) -> str:
    if run.healthy if isinstance(run, NetworkRun) else run.model.solution_.converged:
        return ""
    return f'<p class="warning">{escape(run.status)}</p>'


def _tiles(run: AnyRun) -> list[str]:
    check = run.gradient_check
    memory = "–" if run.peak_memory_bytes is None else bytes_text(run.peak_memory_bytes)
    state = "good" if check.passed else "bad"
    return [
        _tile(f"{run.metrics.accuracy:.2%}", "accuracy"),
        _tile(f"{run.metrics.log_loss:.4f}", "log-loss (nats)"),
        _tile(f"{run.metrics.ece:.2%}", "calibration error"),
        _tile(seconds_text(run.seconds), _work(run)),
        _tile(memory, "peak memory"),
        _tile(f"{check.relative_error:.0e}", "gradient error against finite differences", state),
    ]


def _work(run: AnyRun) -> str:
    if isinstance(run, NetworkRun):
        epochs = run.model.n_epochs_
        return f"training, {epochs} epoch{'s' * (epochs != 1)}"
    return f"training, {run.model.n_iter_} iterations{_proven(run)}"


def _proven(run: Run) -> str:
    solution = run.model.solution_
    return f", proven to {run.model.gap_:.0e}" if solution.certified else ""


def _tile(value: str, label: str, state: str = "") -> str:
    return f'<div class="tile {state}"><b>{escape(value)}</b><span>{escape(label)}</span></div>'


def _sections(run: AnyRun) -> list[str]:
    classes = [str(label) for label in run.model.classes_]
    sections = [
        _curves(run),
        _confusion_and_reliability(run, classes),
        _weights(run, classes) if isinstance(run, Run) else _first_layer(run, classes),
        _hardest(run, classes),
        _section("Details", "", _details(run)),
    ]
    return [section for section in sections if section]


def _curves(run: AnyRun) -> str:
    if isinstance(run, NetworkRun):
        content = network_page.curves(run)
        return content and _section("Learning curve", network_page.curves_note(run), content)
    if not run.history:
        return ""
    return _section(
        "Learning curve",
        _curve_note(run),
        f'<div class="pair"><figure>{figures.loss_curve(run.history)}</figure>'
        f"<figure>{figures.gap_curve(run.history)}</figure></div>",
    )


def _first_layer(run: NetworkRun, classes: list[str]) -> str:
    note, content = network_page.first_layer(run, classes)
    return content and _section("First layer", note, content)


def _curve_note(run: Run) -> str:
    note = "Where the two losses part, the model learns what is particular to the training rows."
    if isinstance(run.validation, StreamedData):
        watched = run.validation.sample.n_rows
        if watched < run.validation.n_rows:
            note += f" The red line is that of {count_text(watched)} validation rows."
    if any(math.isnan(point.gap) for point in run.history):
        note += " No distance is known where the problem was first solved with stronger penalties."
    return note


def _section(title: str, note: str, content: str) -> str:
    text = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{text}{content}</section>"


def _confusion_and_reliability(run: AnyRun, classes: list[str]) -> str:
    reliability = _section(
        "Reliability",
        "Bars: how often predictions of this confidence were right. Red: how often they claimed to"
        " be.",
        f"<figure>{figures.reliability_figure(run.metrics.calibration)}</figure>",
    )
    note = _mistakes(run, classes)
    if len(classes) > figures.MOST_CLASSES_DRAWN:
        return _section("Mistakes", note, "") + reliability
    figure = figures.confusion_figure(run.metrics.confusion, classes)
    if len(classes) > figures.MOST_CLASSES_BESIDE:
        return _section("Confusion matrix", note, f"<figure>{figure}</figure>") + reliability
    confusion = _section("Confusion matrix", note, f"<figure>{figure}</figure>")
    return f'<div class="columns">{confusion}{reliability}</div>'


def _mistakes(run: AnyRun, classes: list[str]) -> str:
    mistakes = run.metrics.confusion.copy()
    np.fill_diagonal(mistakes, 0)
    total = int(mistakes.sum())
    if total == 0:
        return "No mistakes."
    order = np.argsort(-mistakes, axis=None, kind="stable")[:3]
    pairs = [np.unravel_index(index, mistakes.shape) for index in order if mistakes.flat[index]]
    named = ", ".join(
        f"{classes[true]} taken for {classes[predicted]} ({mistakes[true, predicted]:,})"
        for true, predicted in pairs
    )
    of_all = f"{count_text(total)} of {count_text(run.metrics.n_rows)} rows are wrong."
    return f"{of_all} Most often: {named}."


def _weights(run: Run, classes: list[str]) -> str:
    coef = run.model.coef_
    shown = classes if len(coef) > 1 else [f"{classes[1]} rather than {classes[0]}"]
    shape = run.train.image_shape
    if run.train.texts is not None:
        return _section("Words", WORDS_NOTE, words_table(run, classes))
    if shape is not None and len(coef) <= 100:
        largest = float(np.quantile(np.abs(coef), 0.995)) or 1.0
        images = "".join(
            f'<figure><span><img alt="weights of class {escape(name)}"'
            f' src="{figures.weight_image(weights, shape, largest)}"></span>'
            f"<figcaption><b>{escape(name)}</b></figcaption></figure>"
            for name, weights in zip(shown, coef, strict=True)
        )
        note = "What each pixel says: red speaks for the class, blue against it."
        return _section("Weights", note, f'<div class="images">{images}</div>')
    if shape is None and len(coef) <= figures.MOST_CLASSES_WITH_COUNTS:
        deviation = (
            column_deviation(run.train.X) if isinstance(run.train, Dataset) else run.train.deviation
        )
        names = run.train.feature_names or [str(i + 1) for i in range(coef.shape[1])]
        figure = figures.strongest_weights(coef * deviation, names, shown)
        note = (
            "What one standard deviation more of a feature does to each class: red raises its"
            " logit, blue lowers it. The strongest features first."
        )
        return _section("Weights", note, f"<figure>{figure}</figure>")
    return ""


def _hardest(run: AnyRun, classes: list[str]) -> str:
    """Examples, where the rows are still there to be shown."""
    if not isinstance(run.validation, Dataset):
        return ""
    shape = run.validation.image_shape
    texts = run.validation.texts
    if (shape is None and texts is None) or run.metrics.accuracy == 1.0:
        return ""
    probabilities = run.model.predict_proba(run.validation.X)
    predicted = probabilities.argmax(axis=1)
    labels = run.validation.labels
    wrong = np.flatnonzero(run.model.classes_[predicted] != labels)
    confidence = probabilities[wrong, predicted[wrong]]
    worst = wrong[np.argsort(-confidence, kind="stable")[:_HARDEST]]
    note = "The wrong predictions that the model was most sure of."
    if texts is not None:
        table = mistakes_table(
            [
                (
                    str(texts[row]),
                    str(labels[row]),
                    classes[predicted[row]],
                    _sure(probabilities[row, predicted[row]]),
                )
                for row in worst
            ]
        )
        return _section("Surest mistakes", note, table)
    assert shape is not None
    images = "".join(
        f'<figure><span><img alt="a {escape(str(labels[row]))}"'
        f' src="{figures.example_image(run.validation.X[row], shape, run.validation.unit)}"></span>'
        f"<figcaption><b>{escape(str(labels[row]))}</b> taken for"
        f" <b>{escape(classes[predicted[row]])}</b><br>"
        f"{_sure(probabilities[row, predicted[row]])} sure</figcaption></figure>"
        for row in worst
    )
    return _section("Surest mistakes", note, f'<div class="images examples">{images}</div>')


def _sure(probability: float) -> str:
    return "over 99.9%" if probability > 0.999 else f"{probability:.1%}"


def _distance(run: Run) -> str:
    gap = run.model.gap_
    if not gap < 1.0:  # or NaN; the minimum is not below zero
        return f"not known (tolerance {run.model.tol:g})"
    how = "at most" if run.model.solution_.certified else "about"
    return f"{how} {gap:.1e} of the objective (tolerance {run.model.tol:g})"


def _details(run: AnyRun) -> str:
    rows = network_page.details(run) if isinstance(run, NetworkRun) else _regression_details(run)
    body = "".join(
        f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in rows.items()
    )
    return f'<div class="scroll"><table>{body}</table></div>'


def _regression_details(run: Run) -> dict[str, str]:
    solution = run.model.solution_
    check = run.gradient_check
    return {
        "Objective": "mean cross-entropy + ||W||² / (2 C N), intercepts free",
        "C": f"{run.C:g}"
        + (f", on inputs divided by {run.train.unit:g}" if run.train.unit != 1 else ""),
        "Solver": (
            f"{run.model.solver_}: {solution.iterations} iterations, {solution.evaluations}"
            f" evaluations, {solution.products} Hessian products"
        ),
        "Stopped because": solution.status.value,
        "Objective reached": f"{solution.value:.8g}",
        "Distance to the minimum": _distance(run),
        "Gradient check": (
            f"relative error {check.relative_error:.1e} over {check.directions} directions,"
            f" limit {check.tolerance:g}"
        ),
    }
