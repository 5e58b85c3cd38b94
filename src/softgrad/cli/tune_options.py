"""softgrad tune: its options."""

from __future__ import annotations

from typing import Annotated

import typer

from softgrad.cli import options as o


def tune(
    source: o.Source,
    target: o.Target = None,
    labels: o.Labels = None,
    drop: o.Drop = None,
    text: o.Text = None,
    validation: o.Validation = 0.2,
    seed: o.Seed = 0,
    balanced: o.Balanced = False,
    trials: Annotated[int, typer.Option(help="How many networks to try.", min=1)] = 20,
    minutes: Annotated[
        float | None, typer.Option(help="Begin no trial after so many minutes.", min=0.0)
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Where trials are kept, and a search goes on from: a file, or a URL of Optuna's."
        ),
    ] = None,
    show: Annotated[int, typer.Option(help="How many of the best trials to print.", min=1)] = 10,
    hidden: o.Hidden = None,
    activation: o.Activation = None,
    loss: o.Loss = None,
    optimizer: o.Optimizer = None,
    learning_rate: o.LearningRate = None,
    schedule: o.Schedule = None,
    warm_up: o.WarmUp = None,
    momentum: o.Momentum = None,
    epochs: o.Epochs = None,
    batch_size: o.BatchSize = None,
    dropout: o.Dropout = None,
    weight_decay: o.WeightDecay = None,
    clip_norm: o.ClipNorm = None,
    label_smoothing: o.LabelSmoothing = None,
    patience: o.Patience = None,
) -> None:
    """Search for the options of a network with the lowest validation loss.

    Options that are given stay as they are, the others are searched. Trials that lag behind the
    median of the earlier ones are ended early. Ctrl-C ends the search and shows the best so far.
    """
    from softgrad.cli.task import Options
    from softgrad.cli.tune import tune_command

    tune_command(
        Options(
            source=source,
            target=target,
            labels=labels,
            drop=drop or [],
            text=text,
            stream=False,
            out=None,
            C=1.0,
            validation=validation,
            seed=seed,
            tol=1e-6,
            max_iter=1000,
            balanced=balanced,
        ),
        {
            "hidden": hidden,
            "activation": activation,
            "loss": loss,
            "optimizer": optimizer,
            "learning_rate": learning_rate,
            "schedule": schedule,
            "warm_up": warm_up,
            "momentum": momentum,
            "epochs": epochs,
            "batch_size": batch_size,
            "dropout": dropout,
            "weight_decay": weight_decay,
            "clip_norm": clip_norm,
            "label_smoothing": label_smoothing,
            "patience": patience,
        },
        trials=trials,
        minutes=minutes,
        storage=storage,
        show=show,
    )
