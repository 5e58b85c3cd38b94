"""The files of a training run: model.softgrad, metrics.json, report.html."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from softgrad.data.atomic import write_together
from softgrad.data.text import TextFeatures
from softgrad.errors import SoftgradError
from softgrad.modelfile import TrainedOn, model_bytes
from softgrad.report.page import AnyRun, render

MODEL_FILE = "model.softgrad"
METRICS_FILE = "metrics.json"
REPORT_FILE = "report.html"


class OutputError(SoftgradError, OSError):
    """A folder or file that cannot be written. The message names the cause and the remedy."""


def prepare_folder(folder: Path) -> None:
    """Make sure, before any work is done, that results can be written to ``folder``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileExistsError:
        raise OutputError(f"{str(folder)!r} is a file. Give --out a folder.") from None
    except OSError as error:
        raise OutputError(
            f"Cannot write to {str(folder)!r}: {error.strerror}. Give --out another folder."
        ) from None


def write_run(
    run: AnyRun, folder: Path, version: str, text: TextFeatures | None = None
) -> list[Path]:
    """Write the three files, all or none; everything is made before any is written."""
    page = render(run, version).encode()
    metrics = (json.dumps(run.as_json(), indent=2) + "\n").encode()
    paths = [folder / MODEL_FILE, folder / METRICS_FILE, folder / REPORT_FILE]
    model = model_bytes(
        run.model,
        TrainedOn(
            name=run.train.name,
            n_rows=run.train.n_rows,
            target_name=run.train.target_name,
            feature_names=run.train.feature_names,
            image_shape=run.train.image_shape,
            unit=run.train.unit,
            zero_based=run.train.zero_based,
            text=text,
        ),
    )
    try:
        write_together(dict(zip(paths, (model, metrics, page), strict=True)))
    except OSError as error:
        raise OutputError(
            f"Cannot write to {str(folder)!r}: {error.strerror}. Nothing in it was changed."
            " Free some space, or give --out another folder."
        ) from None
    return paths
