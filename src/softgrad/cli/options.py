"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Source = Annotated[
    str, typer.Argument(help="'digits', or a CSV, Parquet, NPZ, IDX or svmlight file.")
]
Labels = Annotated[Path | None, typer.Option(help="The file of labels of an IDX file.")]
Target = Annotated[
    str | None, typer.Option(help="The column or array (NPZ) that holds the classes.")
]
Drop = Annotated[list[str] | None, typer.Option(help="A column to leave out. Repeatable.")]
Text = Annotated[
    str | None,
    typer.Option(help="A column of sentences to learn from, by their words (TF-IDF)."),
]
Validation = Annotated[
    float, typer.Option(help="Share of the rows kept for validation.", min=0.01, max=0.9)
]
Seed = Annotated[int, typer.Option(help="Seed of the split and of a network.", min=0)]
Balanced = Annotated[
    bool, typer.Option("--balanced", help="Give every class the same total weight.")
]

_NETWORK = "Networks"

Hidden = Annotated[
    str | None,
    typer.Option(
        help="Train a network with hidden layers of these sizes, such as 256,128;"
        " 'none' for no hidden layer.",
        rich_help_panel=_NETWORK,
    ),
]
Activation = Annotated[
    str | None,
    typer.Option(
        help="Of the hidden layers: relu (default), gelu, silu, tanh, ...", rich_help_panel=_NETWORK
    ),
]
Loss = Annotated[
    str | None,
    typer.Option(
        help="cross_entropy (default), focal, squared_error, ...", rich_help_panel=_NETWORK
    ),
]
Optimizer = Annotated[
    str | None,
    typer.Option(help="adam (default), adamw or sgd.", rich_help_panel=_NETWORK),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        "--learning-rate",
        "--lr",
        help="By default 0.001, of sgd 0.05.",
        rich_help_panel=_NETWORK,
    ),
]
Schedule = Annotated[
    str | None,
    typer.Option(
        help="How the rate changes: constant (default), cosine, exponential, one-cycle, step.",
        rich_help_panel=_NETWORK,
    ),
]
WarmUp = Annotated[
    int | None,
    typer.Option(
        help="Steps over which the rate grows to full size.", rich_help_panel=_NETWORK, min=0
    ),
]
Momentum = Annotated[
    float | None, typer.Option(help="Of sgd; by default 0.9.", rich_help_panel=_NETWORK)
]
Epochs = Annotated[
    int | None,
    typer.Option(help="Passes over the rows; by default 20.", rich_help_panel=_NETWORK, min=1),
]
BatchSize = Annotated[
    int | None,
    typer.Option(help="Rows of a step; by default 128.", rich_help_panel=_NETWORK, min=1),
]
Dropout = Annotated[
    float | None,
    typer.Option(help="Share of hidden units left out at a step.", rich_help_panel=_NETWORK),
]
WeightDecay = Annotated[float | None, typer.Option(rich_help_panel=_NETWORK)]
ClipNorm = Annotated[
    float | None, typer.Option(help="The largest norm of a gradient.", rich_help_panel=_NETWORK)
]
LabelSmoothing = Annotated[float | None, typer.Option(rich_help_panel=_NETWORK)]
Patience = Annotated[
    int | None,
    typer.Option(
        help="End after so many epochs without a lower validation loss.",
        rich_help_panel=_NETWORK,
        min=1,
    ),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        help="Folder for checkpoint.softgrad, from which --resume goes on; by default --out.",
        rich_help_panel=_NETWORK,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on from the checkpoint, as if the training had never stopped.",
        rich_help_panel=_NETWORK,
    ),
]
