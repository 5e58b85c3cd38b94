"""softgrad export: a saved model as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from softgrad.errors import OptionError
from softgrad.modelfile import load_model
from softgrad.report.write import OutputError


def export_command(model_path: Path, out: Path, dtype: Any) -> None:
    """Write the ONNX file and say what it takes and gives."""
    model, trained_on = load_model(model_path)
    if trained_on.text is not None:
        raise OptionError(
            f"{model_path.name} takes texts, and ONNX has no operator that splits them as this"
            " model does. Use 'softgrad predict', or train on numbers made by a model of your own."
        )
    if not out.parent.is_dir():
        raise OutputError(f"There is no folder {str(out.parent)!r}. Create it, or change FILE.")
    if out.is_dir():
        raise OutputError(f"{str(out)!r} is a folder. Give a file, such as model.onnx.")
    model.to_onnx(out, dtype=dtype)
    print(f"wrote {out}: {dtype} X (rows, {model.n_features_in_}) to label, probabilities")
