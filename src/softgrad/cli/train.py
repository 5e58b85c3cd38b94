"""softgrad train: read, split, check the gradient, fit, measure, write."""

from __future__ import annotations

import time
import warnings

import numpy as np
from rich.console import Console
from rich.markup import escape

from softgrad import __version__
from softgrad.cli.announce import heading, reading
from softgrad.cli.console import console, figures_table
from softgrad.cli.errors import TrainingDivergedError, TrainingInterruptedError
from softgrad.cli.memory import peak_memory_bytes
from softgrad.cli.metrics import metrics_rows, print_confusion
from softgrad.cli.progress import TrainingDisplay
from softgrad.cli.row_counters import row_counters
from softgrad.cli.task import Options, Task, open_task
from softgrad.data import Dataset, match_labels
from softgrad.errors import OptionError
from softgrad.estimators import FitProgress, SoftmaxRegression
from softgrad.estimators.convergence import explain
from softgrad.optimize import GradientCheck, check_gradient
from softgrad.report import HistoryPoint, Run
from softgrad.report.network_run import NetworkRun
from softgrad.report.units import bytes_text, seconds_text
from softgrad.report.write import prepare_folder, write_run


def train_command(options: Options) -> None:
    """Train, measure, report."""
    out = console()
    if not options.C > 0:
        raise OptionError(f"--C must be above 0, but is {options.C:g}. Try 1.")
    with reading(options, out):
        task = open_task(options)
    if options.out is not None:
        prepare_folder(options.out)
    out.print(heading(task), soft_wrap=True)
    for column in row_counters(task):
        out.print(
            f"[yellow]note[/]: column {escape(repr(column))} counts the rows; a model can learn the"
            f" order of the file from it. To leave it out: --drop {escape(repr(column))}",
            soft_wrap=True,
        )
    run = _trained(task, options, out)
    if options.out is not None:
        paths = write_run(run, options.out, __version__, task.text)
        out.print()
        for path in paths:
            out.print(f"wrote {path}", markup=False, soft_wrap=True)
    kept = "measured above, but not kept: there is no --out"
    if options.out is not None:
        kept = f"kept in {options.out}"
    if run.interrupted:
        raise TrainingInterruptedError(f"Interrupted; the best model so far is {kept}.")
    if isinstance(run, NetworkRun) and run.diverged:
        raise TrainingDivergedError(f"The training diverged; the last good weights are {kept}.")


def _trained(task: Task, options: Options, out: Console) -> Run | NetworkRun:
    if options.network is None:
        run = _fit(task, options, out)
        _print_run(run, out)
        return run
    from softgrad.cli.train_network import fit_network, print_network_run

    network_run = fit_network(task, options, options.network, out)
    print_network_run(network_run, out)
    return network_run


def _fit(task: Task, options: Options, out: Console) -> Run:
    model = SoftmaxRegression(
        C=options.C / task.train.unit**2,
        class_weight="balanced" if options.balanced else None,
        tol=options.tol,
        max_iter=options.max_iter,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # squares of huge numbers
        check = _check_gradient(model, task.rows_of_gradient_check(), out)
    history: list[HistoryPoint] = []
    target = match_labels(task.watched.labels, task.classes, task.watched.name)
    started = time.perf_counter()
    interrupted = False
    with TrainingDisplay(out, options.tol) as display:

        def after_iteration(progress: FitProgress) -> None:
            point = _history_point(progress, model, task.watched, target)
            history.append(point)
            display.show(point)

        model.callback = after_iteration
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the reason is printed below
                task.fit(model)
        except KeyboardInterrupt:
            if not history or not hasattr(model, "solution_"):
                raise  # the weights at the start have learnt nothing
            interrupted = True
    seconds = time.perf_counter() - started
    model.callback = None
    return Run(
        model=model,
        C=options.C,
        train=task.train,
        validation=task.validation,
        metrics=task.measure(model),
        history=history,
        gradient_check=check,
        seconds=seconds,
        peak_memory_bytes=peak_memory_bytes(),
        status=explain(
            model.solution_,
            tol=options.tol,
            penalized=np.isfinite(options.C),
            command_line=True,
        ),
        interrupted=interrupted,
    )


def _check_gradient(model: SoftmaxRegression, some: Dataset, out: Console) -> GradientCheck:
    """The gradient that training will follow, on some rows, at a random point."""
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
    watched: Dataset,
    target: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> HistoryPoint:
    model.coef_, model.intercept_ = progress.coef, progress.intercept
    log_probabilities = model.predict_log_proba(watched.X)
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
        among = "" if np.isfinite(run.C) else " among weights up to ten times as large"
        out.print(
            f"[green]Converged[/] in {seconds_text(run.seconds)}, {solution.iterations} iterations"
            f" of {run.model.solver_}: the objective is proven to be within"
            f" {run.model.gap_:.0e} (relative) of its minimum{among}.",
            soft_wrap=True,
        )
    else:
        out.print(f"[yellow]{escape(run.status)}[/]", soft_wrap=True)
    rows = {"": "[dim]on the validation rows[/]"} | metrics_rows(run.metrics)
    rate = solution.iterations / run.seconds if run.seconds else 0.0
    rows["time"] = f"{seconds_text(run.seconds)} [dim]({rate:.2g} iterations/s)[/]"
    if run.peak_memory_bytes is not None:
        rows["peak memory"] = bytes_text(run.peak_memory_bytes)
    out.print()
    out.print(figures_table(rows))
    out.print()
    print_confusion(out, run.metrics, [str(label) for label in run.model.classes_])
