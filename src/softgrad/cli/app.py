"""The commands of ``softgrad`` and how they end.

0: done.
1: ``doctor`` has found a mistake; or the loss of a network became nan or infinite in ``train``,
which has then kept the last good weights.
2: the input cannot be used; one line on stderr says why and what to do, nothing was written.
130: interrupted with Ctrl-C; ``train`` has then kept the best model so far.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from softgrad import __version__
from softgrad.cli.errors import (
    BAD_INPUT,
    DIVERGED,
    INTERRUPTED,
    READER_GONE,
    TrainingDivergedError,
    TrainingInterruptedError,
    one_line,
)
from softgrad.cli.options import Labels, Source
from softgrad.cli.train_options import train
from softgrad.cli.tune_options import tune

app = typer.Typer(
    name="softgrad",
    help="Softmax, its exact derivatives, and classifiers trained with them.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ModelPath = Annotated[Path, typer.Argument(help="A model.softgrad that 'train --out' wrote.")]


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run a command; every foreseeable mistake ends as one line on stderr."""
    try:
        code = app(arguments, prog_name="softgrad", standalone_mode=False)
        sys.stdout.flush()
    except TrainingInterruptedError as error:
        return _end(str(error), INTERRUPTED)
    except TrainingDivergedError as error:
        return _end(str(error), DIVERGED)
    except typer.Abort:
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; what is left in the buffer goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except Exception as error:
        message = one_line(error)
        if message is None:
            raise
        return _end(message, BAD_INPUT)
    if code == INTERRUPTED:
        return _end("Interrupted; nothing was written.", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _end(message: str, code: int) -> int:
    print(f"softgrad: {message}", file=sys.stderr)
    return code


def _version(wanted: bool) -> None:
    if wanted:
        print(f"softgrad {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


app.command()(train)
app.command()(tune)


@app.command()
def predict(
    model: ModelPath,
    source: Source,
    out: Annotated[Path | None, typer.Option(help="Write a CSV file instead of printing.")] = None,
    probabilities: Annotated[
        bool, typer.Option(help="Add the probability of every class.")
    ] = False,
) -> None:
    """Predict the class of every row, as CSV."""
    from softgrad.cli.predict import predict_command

    predict_command(model, source, out, probabilities)


@app.command()
def evaluate(
    model: ModelPath,
    source: Source,
    target: Annotated[
        str | None, typer.Option(help="The column or array of classes; default: as trained.")
    ] = None,
    labels: Labels = None,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure a model on labelled data."""
    from softgrad.cli.evaluate import evaluate_command

    evaluate_command(model, source, target, labels, json)


@app.command()
def export(
    model: ModelPath,
    file: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    dtype: Annotated[
        str, typer.Option(help="Type of input and probabilities: float32 or float64.")
    ] = "float32",
) -> None:
    """Write a model as ONNX, for runtimes without Python."""
    from softgrad.cli.export import export_command

    export_command(model, file, dtype)


@app.command()
def doctor(
    source: Annotated[
        str | None, typer.Argument(help="FILE.py:FUNCTION, or FILE.py.", metavar="SOURCE")
    ] = None,
    paste: Annotated[
        bool, typer.Option("--paste", help="Read the code from the standard input.")
    ] = False,
    kind: Annotated[
        str | None,
        typer.Option(help="What it claims to be, such as softmax or cross_entropy_grad."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as an HTML file too.")] = None,
    time_limit: Annotated[
        float, typer.Option(help="Seconds until the examined code is ended.")
    ] = 30.0,
    layout: Annotated[
        str | None, typer.Option(help="NC (rows are examples), CN (columns are) or C (one row).")
    ] = None,
    reduction: Annotated[
        str | None, typer.Option(help="Which loss a gradient belongs to: mean or sum.")
    ] = None,
    takes: Annotated[
        str | None, typer.Option(help="What comes first: logits or probabilities.")
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(help="What a gradient is of: cross_entropy or squared_error."),
    ] = None,
    ignore_index: Annotated[
        int | None, typer.Option(help="A label whose rows must be left out, such as -1.")
    ] = None,
) -> None:
    """Find the mistake in a softmax, a loss or a gradient.

    Exit code 0: healthy. 1: something is wrong, and the report says what.
    """
    from softgrad.cli.doctor import doctor_command

    said = {
        "layout": layout,
        "reduction": reduction,
        "takes": takes,
        "loss": loss,
        "ignore_index": ignore_index,
    }
    code = doctor_command(source, paste, kind, html, time_limit, said)
    raise typer.Exit(code)


@app.command()
def info() -> None:
    """Print version, instruction sets and threads."""
    from softgrad.cli.info import info_command

    info_command()


@app.command()
def playground(
    out: Annotated[Path | None, typer.Option(help="Where to write the page.")] = None,
    show: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = True,
) -> None:
    """Write and open a page on which logits can be moved and every derivative seen."""
    from softgrad.cli.playground import playground_command

    playground_command(out, show)


# Numbers may be negative: anything unknown that starts with a dash is taken as a number first.
@app.command(context_settings={"ignore_unknown_options": True})
def softmax(
    logits: Annotated[
        list[str], typer.Argument(help="Numbers, such as 1 2 3.", metavar="LOGITS...")
    ],
    temperature: Annotated[float, typer.Option(help="Divide the logits by this first.")] = 1.0,
) -> None:
    """Print p, log p and the Jacobian of some numbers."""
    from softgrad.cli.softmax import softmax_command

    softmax_command(logits, temperature)


@app.command(context_settings={"ignore_unknown_options": True})
def explain(
    logits: Annotated[
        list[str],
        typer.Argument(help="Numbers, such as 1 2 3; a batch: 1 2 3 / 0 1 0.", metavar="LOGITS..."),
    ],
    target: Annotated[
        str | None,
        typer.Option(help="A class, counted from 0 (one a row: 2,0), or a number for each logit."),
    ] = None,
    temperature: Annotated[float, typer.Option(help="Divide the logits by this first.")] = 1.0,
    loss: Annotated[str, typer.Option(help="A loss of the library.")] = "cross_entropy",
    activation: Annotated[str, typer.Option(help="An activation of the library.")] = "softmax",
    features: Annotated[
        str | None, typer.Option(help="The input of the layer below, such as '1 0.5'.")
    ] = None,
    label_smoothing: Annotated[float, typer.Option(help="Share of the target to spread.")] = 0.0,
    where: Annotated[
        str | None,
        typer.Option(help="1 for each class that takes part, 0 for a masked one: 1,1,0."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="An option of loss or activation, such as delta=0.5. Repeatable."),
    ] = None,
    row: Annotated[int, typer.Option(help="The row of a batch to work step by step.")] = 0,
    digits: Annotated[
        int | None, typer.Option(help="Compute and show so many digits, with mpmath.")
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(help="text, markdown, latex, html, or a program: numpy, torch, jax."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write a file; its ending tells the format: .md .tex .html .py .txt."),
    ] = None,
) -> None:
    """Derive softmax, loss and gradient step by step, with these numbers."""
    from softgrad.cli.explain import Request, explain_command

    explain_command(
        Request(
            logits=logits,
            target=target,
            temperature=temperature,
            loss=loss,
            activation=activation,
            features=features,
            label_smoothing=label_smoothing,
            where=where,
            row=row,
            digits=digits,
            format=format,
            out=out,
            options=option or [],
        )
    )
