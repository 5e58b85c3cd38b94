"""What a command says before it begins."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from rich.console import Console
from rich.markup import escape

from softgrad.cli.task import Options, Task
from softgrad.report.units import count_text


def reading(options: Options, out: Console) -> AbstractContextManager[object]:
    """A sign of life, where a person looks at it and the file may be long."""
    if options.stream and out.is_terminal:
        return out.status(f"reading {escape(options.source)}")
    return nullcontext()


def heading(task: Task) -> str:
    train, validation = task.train, task.validation
    watched = ""
    if task.watched.n_rows < validation.n_rows:
        watched = (
            "\nread in parts at every pass; the accuracy after each iteration is that of"
            f" {count_text(task.watched.n_rows)} validation rows"
        )
    return (
        f"[bold]{escape(train.name)}[/]  {count_text(train.n_rows)} training and"
        f" {count_text(validation.n_rows)} validation rows,"
        f" {count_text(train.n_features)} features, {len(task.classes)} classes{watched}"
    )
