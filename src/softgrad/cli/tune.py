"""softgrad tune: a search for the options of a network, through Optuna."""

from __future__ import annotations

import hashlib
import json
import math
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from softgrad.cli.announce import heading, reading
from softgrad.cli.console import console, wide_console
from softgrad.cli.errors import TrainingInterruptedError
from softgrad.cli.network_options import EPOCHS, NetworkOptions, command_line
from softgrad.cli.task import Options, Task, open_task
from softgrad.data import Dataset
from softgrad.errors import MissingExtraError, SoftgradError
from softgrad.network import Progress, Status
from softgrad.report.units import seconds_text

_WIDTHS = (32, 64, 128, 256, 512)
_MOST_LAYERS = 3
_ACTIVATIONS = ("relu", "gelu", "silu", "tanh")
_BATCH_SIZES = (32, 64, 128, 256)
_SCHEDULES = ("constant", "cosine", "one-cycle")
_TRIALS_BEFORE_PRUNING = 5
_EPOCHS_BEFORE_PRUNING = 2
_TABLE_WIDTH = 110  # in a file


class NothingFoundError(SoftgradError, ValueError):
    """No trial came to an end."""


def tune_command(
    options: Options,
    given: dict[str, Any],
    *,
    trials: int,
    minutes: float | None,
    storage: str | None,
    show: int,
) -> None:
    """Search, print the best trials and the command that makes the best one again."""
    optuna = _optuna()
    out = console()
    with reading(options, out):
        task = open_task(options)
    out.print(heading(task), soft_wrap=True)
    fixed = {name: value for name, value in given.items() if value is not None}
    NetworkOptions(**({"hidden": "1"} | fixed)).model(seed=0, balanced=False).check_options()
    study = _study(optuna, storage, options, fixed, task)
    finished = _finished(study)
    if finished:
        out.print(f"going on after {len(finished)} trials, from {escape(str(storage))}")
    started, interrupted = time.monotonic(), False

    def objective(trial: Any) -> float:
        return _run_trial(optuna, trial, task, options, fixed)

    def after_trial(study: Any, trial: Any) -> None:
        out.print(_line(trial, trials, study), soft_wrap=True)

    try:
        study.optimize(
            objective,
            n_trials=max(0, trials - len(finished)),
            timeout=None if minutes is None else 60.0 * minutes,
            callbacks=[after_trial],
        )
    except KeyboardInterrupt:
        interrupted = True
    _print_best(study, options, show, time.monotonic() - started, out)
    if interrupted:
        kept = f"kept in {storage}" if storage else "not kept: there is no --storage"
        raise TrainingInterruptedError(f"Interrupted; the trials are shown above, and {kept}.")


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingExtraError(
            "softgrad tune needs the package optuna. Install it with: pip install softgrad[tune]."
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _study(
    optuna: Any, storage: str | None, options: Options, fixed: dict[str, Any], task: Task
) -> Any:
    """The search of this name: what it holds fixed and the data are its name."""
    told = [options.source, options.validation, options.seed, options.balanced, fixed]
    told += [task.train.n_rows, task.train.n_features]
    name = hashlib.blake2b(json.dumps(told, default=str).encode(), digest_size=6).hexdigest()
    place: Any = storage
    if storage is not None and "://" not in storage:
        if not Path(storage).parent.is_dir():
            raise NothingFoundError(
                f"There is no folder {str(Path(storage).parent)!r}. Create it, or change --storage."
            )
        journal = optuna.storages.journal
        place = optuna.storages.JournalStorage(journal.JournalFileBackend(storage))
    study = optuna.create_study(
        storage=place,
        study_name=f"softgrad-{name}",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(
            n_startup_trials=_TRIALS_BEFORE_PRUNING, n_warmup_steps=_EPOCHS_BEFORE_PRUNING
        ),
    )
    # A search that goes on must not draw its first networks again.
    study.sampler = optuna.samplers.TPESampler(seed=options.seed + len(study.trials))
    return study


def _finished(study: Any) -> list[Any]:
    return [trial for trial in study.trials if trial.state.is_finished()]


def _suggest(trial: Any, fixed: dict[str, Any]) -> NetworkOptions:
    """The options of a trial: those that were given, and drawn ones."""
    chosen = dict(fixed)
    if "hidden" not in fixed:
        layers = trial.suggest_int("layers", 1, _MOST_LAYERS)
        widths = [trial.suggest_categorical(f"width {i + 1}", _WIDTHS) for i in range(layers)]
        chosen["hidden"] = ",".join(map(str, widths))
    if "activation" not in fixed:
        chosen["activation"] = trial.suggest_categorical("activation", _ACTIVATIONS)
    chosen.setdefault("optimizer", "adamw")
    if "learning_rate" not in fixed:
        low, high = (1e-3, 0.5) if chosen["optimizer"] == "sgd" else (1e-4, 3e-2)
        chosen["learning_rate"] = _short(trial.suggest_float("learning_rate", low, high, log=True))
    if "schedule" not in fixed:
        chosen["schedule"] = trial.suggest_categorical("schedule", _SCHEDULES)
    if "batch_size" not in fixed:
        chosen["batch_size"] = trial.suggest_categorical("batch_size", _BATCH_SIZES)
    if "dropout" not in fixed:
        chosen["dropout"] = round(trial.suggest_float("dropout", 0.0, 0.5, step=0.05), 2)
    if "weight_decay" not in fixed:
        high = 0.1 if chosen["optimizer"] == "adamw" else 1e-3
        chosen["weight_decay"] = _short(trial.suggest_float("weight_decay", 1e-6, high, log=True))
    chosen.setdefault("epochs", EPOCHS)
    return NetworkOptions(**chosen)


def _short(value: float) -> float:
    """Three digits: what is printed is what was run."""
    return float(f"{value:.3g}")


def _run_trial(
    optuna: Any, trial: Any, task: Task, options: Options, fixed: dict[str, Any]
) -> float:
    train, validation = task.train, task.validation
    assert isinstance(train, Dataset) and isinstance(validation, Dataset)  # noqa: PT018
    network = _suggest(trial, fixed)
    trial.set_user_attr("network", asdict(network))
    model = network.model(seed=options.seed, balanced=options.balanced)

    def on_epoch(progress: Progress) -> None:
        trial.set_user_attr("epochs", progress.epoch)
        trial.report(progress.validation_loss, progress.epoch)
        if progress.epoch < progress.epochs and trial.should_prune():
            raise optuna.TrialPruned

    model.on_epoch = on_epoch
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # divergence is told in the table
        model.fit(train.X, train.labels, validation=(validation.X, validation.labels))
    if model.status_ is Status.NOT_FINITE and not model.best_epoch_:
        trial.set_user_attr("diverged", True)
        raise optuna.TrialPruned
    accuracy = float((model.predict(validation.X) == validation.labels).mean())
    trial.set_user_attr("accuracy", accuracy)
    trial.set_user_attr("best_epoch", model.best_epoch_)
    return model.history_["validation_loss"][model.best_epoch_ - 1]


def _line(trial: Any, trials: int, study: Any) -> str:
    text = f"trial {trial.number + 1:3d}/{trials}  "
    if trial.value is None or trial.state.name != "COMPLETE":
        text += f"{_why_ended(trial):<32}"
    else:
        best = study.best_trial.number == trial.number
        text += f"loss {trial.value:.5f}  accuracy {trial.user_attrs['accuracy']:6.2%}"
        text += " [green]best[/]" if best else "     "
    return f"{text}  {escape(_told(trial))}"


def _why_ended(trial: Any) -> str:
    if trial.user_attrs.get("diverged"):
        return "diverged"
    epochs = trial.user_attrs.get("epochs", 0)
    return f"pruned after {epochs} epoch{'s' * (epochs != 1)}"


def _told(trial: Any) -> str:
    """What was drawn, in a few words."""
    network = trial.user_attrs.get("network", {})
    return (
        f"{network.get('hidden')} {network.get('activation')}"
        f" lr {network.get('learning_rate')} {network.get('schedule')}"
    )


def _print_best(study: Any, options: Options, show: int, seconds: float, out: Console) -> None:
    finished = _finished(study)
    complete = [trial for trial in finished if trial.state.name == "COMPLETE"]
    if not complete:
        raise NothingFoundError(
            f"None of {len(finished)} trials came to an end. Raise --trials, or give a smaller"
            " --learning-rate."
        )
    complete.sort(key=lambda trial: trial.value if math.isfinite(trial.value) else math.inf)
    pruned = len(finished) - len(complete)
    out.print()
    out.print(
        f"{len(finished)} trials in {seconds_text(seconds)}, {pruned} of them ended early."
        " The best, by validation loss:",
        soft_wrap=True,
    )
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    columns = ("trial", "loss", "accuracy", "epoch", "hidden", "activation", "rate", "schedule")
    for name in (*columns, "batch", "dropout", "decay"):
        words = name in ("activation", "schedule")
        table.add_column(name, justify="left" if words else "right", overflow="fold")
    for trial in complete[:show]:
        network, own = trial.user_attrs["network"], trial.user_attrs
        table.add_row(
            str(trial.number + 1),
            f"{trial.value:.5f}",
            f"{own['accuracy']:.2%}",
            str(own["best_epoch"]),
            network["hidden"],
            network["activation"],
            f"{network['learning_rate']:g}",
            network["schedule"],
            str(network["batch_size"]),
            f"{network['dropout']:g}",
            f"{network['weight_decay']:g}",
        )
    (out if out.is_terminal else wide_console(_TABLE_WIDTH)).print(table)
    best = NetworkOptions(**complete[0].user_attrs["network"])
    out.print("\nThe best network again, with its report:")
    out.print(f"{command_line(options, best)} --out best", markup=False, soft_wrap=True)
