"""softgrad train: its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softgrad.cli import options as o


def train(
    context: typer.Context,
    source: o.Source,
    target: o.Target = None,
    labels: o.Labels = None,
    drop: o.Drop = None,
    text: o.Text = None,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream",
            help="Read the file in parts, again at every pass: memory stays small however many"
            " rows it has. Parquet, CSV, or NPZ not compressed.",
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for model.softgrad, metrics.json and report.html.")
    ] = None,
    C: Annotated[
        float,
        typer.Option(
            "-C", "--C", help="Inverse strength of the penalty; pixels count from 0 to 1."
        ),
    ] = 1.0,
    validation: o.Validation = 0.2,
    seed: o.Seed = 0,
    tol: Annotated[
        float,
        typer.Option(
            help="Stop when the objective is proven to be within this share of its minimum.",
            min=0.0,
        ),
    ] = 1e-6,
    max_iter: Annotated[int, typer.Option(help="Stop after so many iterations.", min=1)] = 1000,
    balanced: o.Balanced = False,
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
    checkpoint: o.Checkpoint = None,
    resume: o.Resume = False,
) -> None:
    """Train a classifier, measure it, and write a report.

    Softmax regression, or with --hidden a neural network.
    Ctrl-C ends it early and keeps the best model so far (exit code 130). A network whose loss
    becomes nan or infinite ends with exit code 1; its last good weights are kept.
    """
    from softgrad.cli.network_options import NetworkOptions, refuse_mixed_options
    from softgrad.cli.task import Options
    from softgrad.cli.train import train_command

    refuse_mixed_options(context, network=hidden is not None)
    network = None
    if hidden is not None:
        network = NetworkOptions(
            hidden=hidden,
            activation=activation,
            loss=loss,
            optimizer=optimizer,
            learning_rate=learning_rate,
            schedule=schedule,
            warm_up=warm_up,
            momentum=momentum,
            epochs=epochs,
            batch_size=batch_size,
            dropout=dropout,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            label_smoothing=label_smoothing,
            patience=patience,
            checkpoint=checkpoint,
            resume=resume,
        )
    train_command(
        Options(
            source=source,
            target=target,
            labels=labels,
            drop=drop or [],
            text=text,
            stream=stream,
            out=out,
            C=C,
            validation=validation,
            seed=seed,
            tol=tol,
            max_iter=max_iter,
            balanced=balanced,
            network=network,
        )
    )
