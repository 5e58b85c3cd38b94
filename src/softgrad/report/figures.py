"""The figures of a report: learning curve, confusion matrix, reliability diagram, weights."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import image
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from softgrad.report.metrics import CalibrationBin
from softgrad.report.run import HistoryPoint
from softgrad.report.theme import ACCENT, INK, MUTED, ON_ACCENT, WARM, style, svg

Float = npt.NDArray[np.float64]

MOST_CLASSES_WITH_COUNTS = 30
_HALF_WIDTH = (4.9, 3.5)
MOST_CLASSES_DRAWN = 200
MOST_CLASSES_BESIDE = 14  # a confusion matrix that leaves room for a figure beside it


def loss_curve(history: list[HistoryPoint]) -> str:
    """Objective and validation loss by iteration."""
    iterations = [point.iteration for point in history]
    with style():
        figure = Figure(figsize=_HALF_WIDTH, layout="constrained")
        axes = figure.subplots()
        objective = [point.objective for point in history]
        axes.plot(iterations, objective, color=ACCENT, label="training objective")
        validation = [point.validation_loss for point in history]
        axes.plot(iterations, validation, color=WARM, label="validation log-loss")
        axes.legend(loc="best")
        axes.set_title("Loss")
        axes.set_xlabel("iteration")
        axes.margins(x=0.02)
        if _spans_decades(axes):
            axes.set_yscale("log")
            _plain_log_ticks(axes)
        return svg(figure, "loss")


def epoch_curve(
    title: str, training: list[float], validation: list[float], best: int, *, percent: bool
) -> str:
    """One figure of merit by epoch; a ring marks the epoch whose weights were kept."""
    epochs = np.arange(1, len(training) + 1)
    with style():
        figure = Figure(figsize=_HALF_WIDTH, layout="constrained")
        axes = figure.subplots()
        marker = "o" if len(epochs) <= 30 else ""
        for curve, colour, label in (
            (training, ACCENT, "training rows"),
            (validation, WARM, "validation rows"),
        ):
            if np.isfinite(curve).any():
                axes.plot(epochs, curve, color=colour, label=label, marker=marker, markersize=3.5)
        if best and np.isfinite(validation[best - 1]):
            axes.plot(
                best,
                validation[best - 1],
                marker="o",
                markersize=10,
                markerfacecolor="none",
                markeredgecolor=WARM,
                markeredgewidth=1.6,
                linestyle="none",
            )
        if axes.get_lines():
            axes.legend(loc="best")
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.margins(x=0.03)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if percent:
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}%"))
            for line in axes.get_lines():
                line.set_ydata(100.0 * np.asarray(line.get_ydata()))
            axes.relim()
            axes.autoscale_view()
        elif axes.get_lines() and _spans_decades(axes):
            axes.set_yscale("log")
            _plain_log_ticks(axes)
        return svg(figure, title.lower())


def gap_curve(history: list[HistoryPoint]) -> str:
    """The way down to the minimum, by iteration; the last point is proven."""
    with style():
        figure = Figure(figsize=_HALF_WIDTH, layout="constrained")
        axes = figure.subplots()
        # Not known (NaN) on a path of penalties: the line is interrupted there. More than all of
        # the objective, which is positive, an estimate can only be in error.
        gaps = [min(1.0, point.gap) if point.gap > 0.0 else np.nan for point in history]
        axes.plot([point.iteration for point in history], gaps, color=ACCENT, label="estimated")
        proven = [point for point in history if point.certified and point.gap > 0.0]
        axes.plot(
            [point.iteration for point in proven],
            [point.gap for point in proven],
            color=WARM,
            marker="o",
            linestyle="none",
            label="proven",
        )
        axes.legend(loc="best")
        axes.set_title("Distance to the minimum (relative)")
        axes.set_xlabel("iteration")
        axes.margins(x=0.02)
        axes.set_yscale("log")
        axes.minorticks_off()
        return svg(figure, "gap")


def confusion_figure(confusion: npt.NDArray[np.int64], classes: list[str]) -> str:
    """Rows are true classes; the diagonal is right, everything beside it is a mistake."""
    n_classes = len(classes)
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    counts = n_classes <= MOST_CLASSES_WITH_COUNTS
    side = min(10.2 if n_classes > MOST_CLASSES_BESIDE else 5.2, 0.42 * n_classes + 1.9)
    with style():
        figure = Figure(figsize=(side, side), layout="constrained")
        axes = figure.subplots()
        axes.grid(False)
        for true, predicted in zip(*confusion.nonzero(), strict=True):
            strength = float(share[true, predicted])
            right = true == predicted
            alpha = 0.12 + 0.88 * (strength if right else strength**0.5)
            axes.add_patch(
                Rectangle(
                    (predicted - 0.47, true - 0.47),
                    0.94,
                    0.94,
                    facecolor=ACCENT if right else WARM,
                    alpha=alpha,
                    linewidth=0,
                )
            )
            if counts:
                axes.text(
                    predicted,
                    true,
                    str(confusion[true, predicted]),
                    ha="center",
                    va="center_baseline",
                    fontsize=10 if n_classes <= MOST_CLASSES_BESIDE else 7,
                    color=ON_ACCENT if alpha > 0.55 else INK,
                )
        axes.set_xlim(-0.5, n_classes - 0.5)
        axes.set_ylim(n_classes - 0.5, -0.5)
        axes.set_aspect("equal")
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.tick_params(length=0)
        if n_classes <= 2 * MOST_CLASSES_WITH_COUNTS:
            size = 10 if n_classes <= MOST_CLASSES_BESIDE else 7 if n_classes <= 30 else 5
            longest = max(map(len, classes))
            axes.set_xticks(
                range(n_classes), classes, fontsize=size, rotation=90 if longest > 3 else 0
            )
            axes.set_yticks(range(n_classes), classes, fontsize=size)
        else:
            axes.set_xticks([])
            axes.set_yticks([])
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        return svg(figure, "confusion")


def reliability_figure(bins: list[CalibrationBin]) -> str:
    """How often predictions of a confidence are right: on the diagonal, as often as they claim."""
    with style():
        figure = Figure(figsize=(4.2, 4.6), layout="constrained")
        axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        for bin in bins:
            width = bin.high - bin.low
            middle = bin.low + width / 2
            axes.bar(middle, bin.accuracy, width * 0.92, color=ACCENT, alpha=0.85, linewidth=0)
            claim = (middle - 0.46 * width, middle + 0.46 * width)
            axes.plot(claim, (bin.confidence,) * 2, color=WARM, linewidth=3, solid_capstyle="butt")
            counts.bar(middle, bin.count, width * 0.92, color=MUTED, alpha=0.6, linewidth=0)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_ylabel("share that was right")
        counts.set_yscale("log")
        counts.set_ylabel("rows")
        counts.minorticks_off()
        counts.set_xlabel("confidence of the prediction")
        return svg(figure, "reliability")


def strongest_weights(effects: Float, features: list[str], classes: list[str]) -> str:
    """What one standard deviation of a feature adds to each logit, for the strongest features."""
    order = np.argsort(-np.abs(effects).max(axis=0), kind="stable")[:20]
    largest = float(np.abs(effects).max()) or 1.0
    with style():
        size = (min(10.2, max(5.0, 0.34 * len(classes) + 3.0)), 0.32 * len(order) + 1.0)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        axes.grid(False)
        for row, feature in enumerate(order):
            for column in range(len(classes)):
                effect = float(effects[column, feature])
                axes.add_patch(
                    Rectangle(
                        (column - 0.47, row - 0.47),
                        0.94,
                        0.94,
                        facecolor=WARM if effect > 0 else ACCENT,
                        alpha=(abs(effect) / largest) ** 0.7,
                        linewidth=0,
                    )
                )
        axes.set_xlim(-0.5, len(classes) - 0.5)
        axes.set_ylim(len(order) - 0.5, -0.5)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.tick_params(length=0)
        longest = max(map(len, classes))
        axes.set_xticks(range(len(classes)), classes, rotation=90 if longest > 3 else 0)
        axes.set_yticks(range(len(order)), [features[i] for i in order])
        return svg(figure, "weights")


def weight_image(weights: Float, shape: tuple[int, int], largest: float) -> str:
    """Weights as pixels: red speaks for the class, blue against it, transparent is indifferent."""
    pixels = np.empty((*shape, 4))
    grid = weights.reshape(shape)
    pixels[..., :3] = np.where(grid[..., None] > 0, (0.86, 0.27, 0.22), (0.16, 0.45, 0.86))
    pixels[..., 3] = np.minimum(np.abs(grid) / largest, 1.0) ** 0.7
    return _png(pixels)


def example_image(pixels: npt.NDArray[Any], shape: tuple[int, int], unit: float) -> str:
    """One example: ink where the input is bright."""
    grey = np.clip(pixels.reshape(shape) / unit, 0.0, 1.0)
    ink = np.zeros((*shape, 4))
    ink[..., :3] = 0.0
    ink[..., 3] = grey
    return _png(ink)


def _png(rgba: Float) -> str:
    stream = io.BytesIO()
    image.imsave(stream, rgba, format="png")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _spans_decades(axes: Any) -> bool:
    values = np.concatenate([line.get_ydata() for line in axes.get_lines()])
    return bool(values.min() > 0 and values.max() / values.min() > 20)


def _plain_log_ticks(axes: Any) -> None:
    """0.2, 0.5, 1, 2 instead of powers of ten, which a loss rarely spans two of."""
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 300 * low else (1.0,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
