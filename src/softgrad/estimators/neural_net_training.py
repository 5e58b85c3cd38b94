"""The training of a network classifier: whole, or chunk by chunk of a stream."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning

from softgrad.errors import OptionError
from softgrad.estimators import neural_net_options as options
from softgrad.estimators.neural_net_data import (
    Rows,
    label_weights,
    labels_and_classes,
    prepare,
)
from softgrad.estimators.scaling import learn_scaling
from softgrad.network import Progress, Status, TrainingResult, train

if TYPE_CHECKING:
    from softgrad.estimators.neural_net import NeuralNetClassifier

Array = npt.NDArray[Any]


def run(
    model: NeuralNetClassifier,
    rows: Rows,
    held: Rows | None,
    seed: int,
    state: Mapping[str, Array] | None,
) -> TrainingResult:
    """Train the model's network; what it has reached is kept in the model, Ctrl-C or not."""
    batch_size = options.whole(model.batch_size, "batch_size")
    epochs = options.whole(model.epochs, "epochs")
    patience = options.whole(model.patience, "patience") if model.early_stopping else None
    network, latest = model.network_, _Latest()

    def on_epoch(progress: Progress) -> object:
        latest.progress = progress
        if model.verbose:
            print(epoch_line(progress))
        return None if model.on_epoch is None else model.on_epoch(progress)

    try:
        result = train(
            network,
            model._scaled(rows.X),
            model._target(rows),
            sample_weight=rows.weight,
            class_weight=label_weights(model.class_weight, rows),
            optimizer=model._optimizer(epochs * math.ceil(len(rows) / batch_size)),
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
            clip_norm=model.clip_norm,
            validation=None if held is None else model._validation(held),
            patience=patience,
            min_improvement=float(model.min_improvement),
            on_step=model.on_step,
            on_epoch=on_epoch,
            state=state,
        )
    except KeyboardInterrupt:
        # A report tells how things stand when it is asked, not when it was made.
        now = {} if latest.progress is None else latest.progress.state()
        _note(model, now, Status.STOPPED)
        model.message_ = "Interrupted."
        raise
    _note(model, result.state, result.status)
    model.message_ = result.message
    return result


def _note(model: NeuralNetClassifier, state: Mapping[str, Array], status: Status) -> None:
    """Keep what the training has reached: its curves and, if it was stopped, the best weights.

    ``train`` leaves the best weights after an end of its own.
    """
    position = state.get("training/position", np.zeros(4, np.int64))
    best = {
        name.removeprefix("best/"): array
        for name, array in state.items()
        if name.startswith("best/")
    }
    if best and status is Status.STOPPED:
        model.network_.load_state(best)
    model.history_ = {
        name.removeprefix("history/"): array.tolist()
        for name, array in state.items()
        if name.startswith("history/")
    }
    model.n_epochs_, model.best_epoch_ = int(position[0]), int(position[2])
    model.status_ = status


def learn_chunk(
    model: NeuralNetClassifier, X: Any, y: Any, classes: Any, sample_weight: Any
) -> None:
    """One pass over a chunk; the optimiser remembers the chunks before."""
    if isinstance(model.class_weight, str):
        raise OptionError(
            f"class_weight {model.class_weight!r} needs all labels at once, which partial_fit"
            " never sees. Give class_weight as a dictionary, or use sample_weight."
        )
    first = not hasattr(model, "network_")
    encoder = labels_and_classes(model, classes, first)
    rows, known = prepare(model, X, y, sample_weight, known=encoder, reset=first)
    if first and classes is None and not rows.multi_label:
        raise OptionError("classes must be passed on the first call to partial_fit.")
    model._check_start(known, rows.multi_label, always=not first)
    model.check_options(rows.multi_label)
    optimizer = model._optimizer(None)
    if first:
        model._base_seed = model._seed()
        scaling = learn_scaling(rows.X, model.standardize, rows.weight)
        network = model._network(rows, len(known), model._dtype_of(rows.X), model._base_seed)
        model._take(network, scaling, known, rows.multi_label)
    elif not hasattr(model, "_base_seed"):  # after fit
        model._base_seed = model._seed()
    chunk = getattr(model, "_chunks", 0)
    result = train(
        model.network_,
        model._scaled(rows.X),
        model._target(rows),
        sample_weight=rows.weight,
        class_weight=label_weights(model.class_weight, rows),
        optimizer=optimizer,
        epochs=1,
        batch_size=options.whole(model.batch_size, "batch_size"),
        seed=int(np.random.SeedSequence([model._base_seed, chunk]).generate_state(1)[0]),
        clip_norm=model.clip_norm,
        on_step=model.on_step,
        on_epoch=model.on_epoch,
        memory=getattr(model, "_memory", None),
    )
    if result.status is Status.NOT_FINITE:
        warnings.warn(
            f"NeuralNetClassifier: {result.message} The last good weights were kept.",
            ConvergenceWarning,
            stacklevel=2,
        )
    history = getattr(model, "history_", {}) if chunk else {}
    model._chunks = chunk + 1
    # Moments of a gradient that was not finite would spoil every chunk that follows.
    model._memory = None if result.status is Status.NOT_FINITE else result.memory
    model.history_ = {
        name: [*history.get(name, []), *curve] for name, curve in result.history.items()
    }
    model.n_epochs_, model.best_epoch_, model.status_ = model._chunks, 0, result.status
    model.message_ = result.message


class _Latest:
    """The last report of a training, from which an interrupted one is kept."""

    progress: Progress | None = None


def epoch_line(progress: Progress) -> str:
    """One line an epoch."""
    line = f"epoch {progress.epoch:3d}/{progress.epochs}  loss {progress.loss:.5f}"
    if not math.isnan(progress.accuracy):
        line += f"  accuracy {progress.accuracy:6.2%}"
    if not math.isnan(progress.validation_loss):
        line += f"  validation loss {progress.validation_loss:.5f}"
        if not math.isnan(progress.validation_accuracy):
            line += f"  accuracy {progress.validation_accuracy:6.2%}"
    return line
