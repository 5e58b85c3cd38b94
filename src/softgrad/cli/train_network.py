"""softgrad train --hidden: check the gradient, train a network with checkpoints, measure it."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from softgrad.cli.checkpoint import CHECKPOINT_FILE, Checkpoint, identify
from softgrad.cli.console import figures_table
from softgrad.cli.interruption import Interruption
from softgrad.cli.memory import peak_memory_bytes
from softgrad.cli.metrics import metrics_rows, print_confusion
from softgrad.cli.network_options import NetworkOptions
from softgrad.cli.network_progress import NetworkDisplay
from softgrad.cli.task import Options, Task
from softgrad.data import Dataset
from softgrad.errors import OptionError
from softgrad.estimators import NeuralNetClassifier
from softgrad.network import Progress, Status
from softgrad.optimize import GradientCheck
from softgrad.report.network_run import NetworkRun
from softgrad.report.units import bytes_text, count_text, seconds_text
from softgrad.report.write import prepare_folder

_ROWS_OF_GRADIENT_CHECK = 64


def fit_network(task: Task, options: Options, network: NetworkOptions, out: Console) -> NetworkRun:
    """Train, keep the best weights, measure."""
    train, validation = task.train, task.validation
    assert isinstance(train, Dataset) and isinstance(validation, Dataset)  # noqa: PT018
    model = network.model(seed=options.seed, balanced=options.balanced)
    checkpoint = _checkpoint(task, options, network, model, train)
    model.check_options()
    state = None
    if network.resume:
        assert checkpoint is not None
        state = checkpoint.read()
    check = _check_gradient(model, task.rows_of_gradient_check(), out)
    if state is not None and checkpoint is not None:
        done = int(state["training/position"][0])
        out.print(f"going on after {done} epochs, from {escape(str(checkpoint.path))}")
    started = time.perf_counter()
    with NetworkDisplay(out) as display, Interruption() as interruption:

        def on_step(progress: Progress) -> bool:
            display.step(progress)
            return keep(progress, end_of_epoch=False)

        def on_epoch(progress: Progress) -> bool:
            display.epoch(progress)
            return keep(progress, end_of_epoch=True)

        def keep(progress: Progress, *, end_of_epoch: bool) -> bool:
            last = end_of_epoch and progress.epoch == progress.epochs
            if checkpoint is not None and (
                interruption.wanted or last or checkpoint.is_due(end_of_epoch=end_of_epoch)
            ):
                checkpoint.write(progress.state(), time.perf_counter() - started)
            return interruption.wanted

        model.on_step, model.on_epoch = on_step, on_epoch
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the reason is printed below
            model.fit(
                train.X, train.labels, validation=(validation.X, validation.labels), state=state
            )
        interrupted = interruption.wanted and model.status_ is Status.STOPPED
    seconds = time.perf_counter() - started
    model.on_step = model.on_epoch = None
    return NetworkRun(
        model=model,
        train=train,
        validation=validation,
        metrics=task.measure(model),
        gradient_check=check,
        seconds=seconds + (checkpoint.seconds_before if checkpoint is not None else 0.0),
        peak_memory_bytes=peak_memory_bytes(),
        interrupted=interrupted,
    )


def _checkpoint(
    task: Task,
    options: Options,
    network: NetworkOptions,
    model: NeuralNetClassifier,
    train: Dataset,
) -> Checkpoint | None:
    folder: Path | None = network.checkpoint or options.out
    if folder is None:
        if network.resume:
            raise OptionError("--resume needs the folder of the checkpoint: --checkpoint or --out.")
        return None
    prepare_folder(folder)
    return Checkpoint(folder / CHECKPOINT_FILE, identify(model, train, task.classes))


def _check_gradient(model: NeuralNetClassifier, some: Dataset, out: Console) -> GradientCheck:
    """The gradient that training will follow, on some rows, at the initial weights."""
    rows = slice(0, _ROWS_OF_GRADIENT_CHECK)
    check = model.check_gradient(some.X[rows], some.labels[rows])
    verdict = "[green]agrees[/]" if check.passed else "[bold red]DISAGREES[/]"
    out.print(
        f"gradient {verdict} with finite differences: relative error {check.relative_error:.1e}"
        f" over {check.directions} directions (limit {check.tolerance:g})",
        soft_wrap=True,
    )
    return check


def print_network_run(run: NetworkRun, out: Console) -> None:
    """How it ended, and how good the model is."""
    colour = "green" if run.model.status_ in (Status.FINISHED, Status.EARLY) else "yellow"
    out.print()
    out.print(f"[{colour}]{escape(run.status)}[/]", soft_wrap=True)
    rows = {"": "[dim]on the validation rows[/]"} | metrics_rows(run.metrics)
    rows["time"] = seconds_text(run.seconds)
    rows["parameters"] = count_text(run.n_parameters)
    if run.peak_memory_bytes is not None:
        rows["peak memory"] = bytes_text(run.peak_memory_bytes)
    out.print()
    out.print(figures_table(rows))
    out.print()
    print_confusion(out, run.metrics, [str(label) for label in run.model.classes_])
