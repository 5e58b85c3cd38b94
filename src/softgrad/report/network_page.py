"""What a report shows of a network alone: its curves by epoch, its first layer, its options."""

from __future__ import annotations

from html import escape

import numpy as np

from softgrad.estimators.neural_net_file import parameters_as_json
from softgrad.estimators.neural_net_options import LEARNING_RATES
from softgrad.network import Linear
from softgrad.report import figures
from softgrad.report.network_run import NetworkRun
from softgrad.report.units import count_text, seconds_text

_UNITS_SHOWN = 20


def curves(run: NetworkRun) -> str:
    """Loss and accuracy by epoch, of training and validation rows."""
    history, best = run.model.history_, run.model.best_epoch_
    if not history["loss"]:
        return ""
    loss = figures.epoch_curve(
        "Loss", history["loss"], history["validation_loss"], best, percent=False
    )
    accuracy = figures.epoch_curve(
        "Accuracy", history["accuracy"], history["validation_accuracy"], best, percent=True
    )
    return f'<div class="pair"><figure>{loss}</figure><figure>{accuracy}</figure></div>'


def curves_note(run: NetworkRun) -> str:
    """What the two lines are."""
    note = (
        "Blue: the training rows, as they were met during the epoch"
        f"{' with dropout' if run.model.dropout else ''}. Red: the validation rows after it."
    )
    if run.model.best_epoch_:
        note += (
            f" The ring marks epoch {run.model.best_epoch_}, whose weights were kept; since these"
            " rows chose it, the figures above are a little on the bright side."
        )
    return note


def first_layer(run: NetworkRun, classes: list[str]) -> tuple[str, str]:
    """Note and images of the weights of the first layer, where the inputs are images."""
    shape, layer = run.train.image_shape, run.model.network_.layers[0]
    if shape is None or not isinstance(layer, Linear):
        return "", ""
    weights = np.asarray(run.model.network_.parameters[0], np.float64) / run.model.scale_
    hidden = layer is not _last_linear(run)
    names = [f"unit {i + 1}" for i in range(len(weights))] if hidden else classes
    if hidden:
        following = np.asarray(run.model.network_.parameters[2], np.float64)
        strength = np.linalg.norm(weights, axis=1) * np.linalg.norm(following, axis=0)
        shown = np.argsort(-strength, kind="stable")[:_UNITS_SHOWN]
    else:
        shown = np.arange(min(len(weights), 100))
    largest = float(np.quantile(np.abs(weights[shown]), 0.995)) or 1.0
    images = "".join(
        f'<figure><span><img alt="weights of {escape(names[unit])}"'
        f' src="{figures.weight_image(weights[unit], shape, largest)}"></span>'
        f"<figcaption>{escape(names[unit])}</figcaption></figure>"
        for unit in shown
    )
    note = "What each pixel says: red speaks for the class, blue against it."
    if hidden:
        note = (
            f"What {len(shown)} of the {count_text(len(weights))} units of the first layer look"
            " for, those with the largest weights first: red pixels excite them, blue ones calm"
            " them."
        )
    return note, f'<div class="images">{images}</div>'


def _last_linear(run: NetworkRun) -> Linear:
    return [layer for layer in run.model.network_.layers if isinstance(layer, Linear)][-1]


def details(run: NetworkRun) -> dict[str, str]:
    """The options that made the network, and how it ended."""
    model, check = run.model, run.gradient_check
    options = parameters_as_json(model)
    loss = model.network_.loss
    rate = options["learning_rate"]
    if rate is None:
        rate = LEARNING_RATES.get(str(options["optimizer"]), "of its own")
    rows = {
        "Network": f"{run.architecture}, {count_text(run.n_parameters)} parameters",
        "Activation": _named(options["activation"]) if options["hidden"] else "none",
        "Loss": repr(loss),
        "Optimizer": f"{_named(options['optimizer'])}, learning rate {rate},"
        f" schedule {_named(options['schedule'])}",
        "Batches": f"{options['batch_size']} rows, up to {options['epochs']} epochs",
    }
    for name in ("dropout", "weight_decay", "clip_norm", "label_smoothing", "momentum", "warm_up"):
        if options[name]:
            rows[name.replace("_", " ").capitalize()] = f"{options[name]:g}"
    rows |= {
        "Seed": str(options["random_state"]),
        "Ended": run.status,
        "Time": f"{seconds_text(run.seconds)}, {_per_epoch(run)} an epoch",
        "Gradient check": (
            f"relative error {check.relative_error:.1e} over {check.directions} directions at the"
            f" initial weights, limit {check.tolerance:g}"
        ),
    }
    return rows


def _per_epoch(run: NetworkRun) -> str:
    return seconds_text(run.seconds / max(run.model.n_epochs_, 1))


def _named(value: object) -> str:
    if isinstance(value, dict):
        return str(value.get("function") or value.get("object"))
    return str(value)
