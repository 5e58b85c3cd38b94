"""softgrad train: read, split, check the gradient, fit, measure, write."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape

from softgrad import __version__
from softgrad.cli.console import console, figures_table
from softgrad.cli.errors import TrainingInterruptedError
from softgrad.cli.memory import peak_memory_bytes
from softgrad.cli.metrics import metrics_rows, print_confusion
from softgrad.cli.progress import TrainingDisplay
from softgrad.data import (
    DataError,
    Dataset,
    check_classes,
    match_labels,
    read_labelled,
    stratified_split,
)
from softgrad.data.text import TextFeatures
from softgrad.errors import OptionError
from softgrad.estimators import FitProgress, SoftmaxRegression
from softgrad.estimators.convergence import explain
from softgrad.optimize import GradientCheck, check_gradient
from softgrad.report import HistoryPoint, Run, measure
from softgrad.report.units import bytes_text, count_text, seconds_text
from softgrad.report.write import prepare_folder, write_run

_ROWS_OF_GRADIENT_CHECK = 512


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    source: str
    target: str | None
    labels: Path | None
    drop: list[str]
    text: str | None
    out: Path | None
    C: float
    validation: float
    seed: int
    tol: float
    max_iter: int
    balanced: bool


def train_command(options: Options) -> None:
    """Train, measure, report."""
    out = console()
    if not options.C > 0:
        raise OptionError(f"--C must be above 0, but is {options.C:g}. Try 1.")
    data = read_labelled(options.source, options.target, options.labels, options.drop, options.text)
    train, validation = _split(data, options)
    text = None
    if data.texts is not None and data.feature_names:  # learnt from the training rows alone
        text = TextFeatures.learn(train.texts, data.feature_names[0], data.name)
        train, validation = text.encode(train), text.encode(validation)
    if options.out is not None:
        prepare_folder(options.out)
    out.print(
        f"[bold]{escape(data.name)}[/]  {count_text(train.n_rows)} training and"
        f" {count_text(validation.n_rows)} validation rows,"
        f" {count_text(train.X.shape[1])} features, {len(np.unique(data.labels))} classes",
        soft_wrap=True,
    )
    run = _fit(train, validation, options, out)
    _print_run(run, out)
    if options.out is not None:
        paths = write_run(run, options.out, __version__, text)
        out.print()
        for path in paths:
            out.print(f"wrote {path}", markup=False, soft_wrap=True)
    if run.interrupted:
        kept = "measured above, but not kept: there is no --out"
        if options.out is not None:
            kept = f"kept in {options.out}"
        raise TrainingInterruptedError(f"Interrupted; the best model so far is {kept}.")


def _split(data: Dataset, options: Options) -> tuple[Dataset, Dataset]:
    check_classes(data.labels, data.name, data.target_name)
    train_rows, validation_rows = stratified_split(data.labels, options.validation, options.seed)
    if len(validation_rows) == 0:
        raise DataError(
            f"{data.name}: none of the {data.n_rows} rows is left for validation."
            " Provide more rows, or a larger --validation."
        )
    return data.take(train_rows), data.take(validation_rows)


def _fit(train: Dataset, validation: Dataset, options: Options, out: Console) -> Run:
    model = SoftmaxRegression(
        C=options.C / train.unit**2,
        class_weight="balanced" if options.balanced else None,
        tol=options.tol,
        max_iter=options.max_iter,
    )
    check = _check_gradient(model, train, out)
    history: list[HistoryPoint] = []
    target = match_labels(validation.labels, np.unique(train.labels), validation.name)
    started = time.perf_counter()
    interrupted = False
    with TrainingDisplay(out, options.tol, train.n_rows) as display:

        def after_iteration(progress: FitProgress) -> None:
            point = _history_point(progress, model, validation, target)
            history.append(point)
            display.show(point, progress.evaluations)

        model.callback = after_iteration
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the reason is printed below
                model.fit(train.X, train.labels)
        except KeyboardInterrupt:
            if not hasattr(model, "coef_"):
                raise
            interrupted = True
    seconds = time.perf_counter() - started
    model.callback = None
    return Run(
        model=model,
        C=options.C,
        train=train,
        validation=validation,
        metrics=measure(model.predict_log_proba(validation.X), target),
        history=history,
        gradient_check=check,
        seconds=seconds,
        peak_memory_bytes=peak_memory_bytes(),
        status=explain(model.solution_, tol=options.tol, penalized=np.isfinite(options.C)),
        interrupted=interrupted,
    )


def _check_gradient(model: SoftmaxRegression, train: Dataset, out: Console) -> GradientCheck:
    """The gradient that training will follow, on some rows of every class, at a random point."""
    share = min(0.5, _ROWS_OF_GRADIENT_CHECK / train.n_rows)
    _, rows = stratified_split(train.labels, share, seed=0)
    some = train.take(rows) if len(np.unique(train.labels[rows])) > 1 else train
    objective = model.objective(some.X, some.labels)
    start = objective.start().ravel()
    point = start + 0.1 * np.random.default_rng(0).standard_normal(start.size)
    check = check_gradient(objective, point)
    verdict = "[green]agrees[/]" if check.passed else "[bold red]DISAGREES[/]"
    out.print(
        f"gradient {verdict} with finite differences: relative error {check.relative_error:.1e}"
        f" over {check.directions} directions (limit {check.tolerance:g})",
        soft_wrap=True,
    )
    return check


def _history_point(
    progress: FitProgress,
    model: SoftmaxRegression,
    validation: Dataset,
    target: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> HistoryPoint:
    model.coef_, model.intercept_ = progress.coef, progress.intercept
    log_probabilities = model.predict_log_proba(validation.X)
    rows = np.arange(len(target))
    return HistoryPoint(
        iteration=progress.iteration,
        seconds=progress.seconds,
        objective=progress.objective,
        gap=progress.gap,
        certified=progress.certified,
        validation_loss=float(-log_probabilities[rows, target].mean()),
        validation_accuracy=float((log_probabilities.argmax(axis=1) == target).mean()),
    )


def _print_run(run: Run, out: Console) -> None:
    solution = run.model.solution_
    out.print()
    if solution.converged:
        out.print(
            f"[green]Converged[/] in {seconds_text(run.seconds)}, {solution.iterations} iterations:"
            f" the objective is proven to be within {run.model.gap_:.0e} of its minimum.",
            soft_wrap=True,
        )
    else:
        out.print(f"[yellow]{escape(run.status)}[/]", soft_wrap=True)
    rows = {"": "[dim]on the validation rows[/]"} | metrics_rows(run.metrics)
    rows["time"] = seconds_text(run.seconds)
    if run.peak_memory_bytes is not None:
        rows["peak memory"] = bytes_text(run.peak_memory_bytes)
    out.print()
    out.print(figures_table(rows))
    out.print()
    print_confusion(out, run.metrics, [str(label) for label in run.model.classes_])
