"""A trained model as a file that cannot run code when it is loaded.

A model file is a ZIP archive, uncompressed, of

    softgrad.json      format version, parameters, description of the data, SHA-256 of every array
    coef.npy  intercept.npy  classes.npy       plain numbers or text, read with allow_pickle=False

and can be opened with any ZIP and JSON reader.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.data.atomic import atomic_write
from softgrad.errors import SoftgradError
from softgrad.estimators import SoftmaxRegression

FORMAT_VERSION = 1
_HEADER = "softgrad.json"
_ARRAYS = ("coef", "intercept", "classes")
_PARAMETERS = ("C", "penalty", "fit_intercept", "class_weight", "tol", "max_iter")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same model gives the same bytes


class ModelFileError(SoftgradError, ValueError):
    """A model file that cannot be used. The message names the cause and the remedy."""


@dataclass(frozen=True)
class TrainedOn:
    """What a model was trained on, as far as it matters for using it."""

    name: str
    n_rows: int
    target_name: str = "label"
    feature_names: list[str] | None = None
    image_shape: tuple[int, int] | None = None
    unit: float = 1.0


def save_model(model: SoftmaxRegression, path: Path, trained_on: TrainedOn) -> None:
    """Write the model; ``path`` is replaced only when the whole file has reached the disk."""
    arrays = {"coef": model.coef_, "intercept": model.intercept_, "classes": model.classes_}
    contents = {key: _to_bytes(key, array) for key, array in arrays.items()}
    parameters = {key: getattr(model, key) for key in _PARAMETERS}
    parameters["C"] = repr(float(model.C))  # JSON has no infinity
    parameters["max_iter"] = int(model.max_iter)
    parameters["class_weight"] = _class_weight(model.class_weight)
    header = {
        "format": "softgrad model",
        "format_version": FORMAT_VERSION,
        "model": "SoftmaxRegression",
        "parameters": parameters,
        "n_iter": int(model.n_iter_),
        # A streaming fit has no objective that it could have reached.
        "objective": float(model.objective_) if hasattr(model, "objective_") else None,
        "converged": hasattr(model, "solution_") and bool(model.solution_.converged),
        "trained_on": asdict(trained_on),
        "sha256": {key: hashlib.sha256(content).hexdigest() for key, content in contents.items()},
    }
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_HEADER, _EPOCH), json.dumps(header, indent=2))
        for key, content in contents.items():
            archive.writestr(zipfile.ZipInfo(f"{key}.npy", _EPOCH), content)


def load_model(path: Path) -> tuple[SoftmaxRegression, TrainedOn]:
    """Read a model and what it was trained on."""
    name = path.name
    if not path.exists():
        raise ModelFileError(f"There is no model file {str(path)!r}. Train one with --out DIR.")
    if path.is_dir():
        raise ModelFileError(f"{str(path)!r} is a folder. Give the file in it: model.softgrad.")
    try:
        with zipfile.ZipFile(path) as archive:
            header = json.loads(archive.read(_HEADER))
            _check_version(header, name)
            contents = {key: archive.read(f"{key}.npy") for key in _ARRAYS}
        for key, content in contents.items():
            if hashlib.sha256(content).hexdigest() != header["sha256"][key]:
                raise ModelFileError(
                    f"{name} is damaged: {key} was altered. Train or copy it again."
                )
        arrays = {
            key: np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
            for key, content in contents.items()
        }
        return _restore(header, arrays, name)
    except ModelFileError:
        raise
    except (zipfile.BadZipFile, EOFError, KeyError, TypeError, ValueError, NotImplementedError):
        raise ModelFileError(
            f"{name} is truncated or not a softgrad model. Train or copy it again."
        ) from None


def _check_version(header: Any, name: str) -> None:
    if header["format"] != "softgrad model":
        raise ModelFileError(f"{name} is not a softgrad model. Train one with --out DIR.")
    if header["format_version"] > FORMAT_VERSION:
        raise ModelFileError(
            f"{name} has format version {header['format_version']}, this softgrad reads up to"
            f" {FORMAT_VERSION}. Upgrade softgrad."
        )


def _restore(
    header: dict[str, Any], arrays: dict[str, npt.NDArray[Any]], name: str
) -> tuple[SoftmaxRegression, TrainedOn]:
    coef, intercept, classes = (arrays[key] for key in _ARRAYS)
    n_outputs = 1 if len(classes) == 2 else len(classes)
    consistent = (
        coef.ndim == 2
        and coef.shape[0] == n_outputs
        and intercept.shape == (n_outputs,)
        and coef.dtype == intercept.dtype == np.float64
        and np.isfinite(coef).all()
        and np.isfinite(intercept).all()
    )
    if not consistent:
        raise ModelFileError(f"{name} is inconsistent: its arrays do not fit. Train it again.")
    parameters = header["parameters"]
    parameters["C"] = float(parameters["C"])
    if isinstance(parameters["class_weight"], list):
        parameters["class_weight"] = dict(parameters["class_weight"])
    model = SoftmaxRegression(**parameters)
    model.coef_, model.intercept_, model.classes_ = coef, intercept, classes
    model.n_features_in_ = coef.shape[1]
    model.n_iter_ = header["n_iter"]
    if header["objective"] is not None:
        model.objective_ = header["objective"]
    trained_on = TrainedOn(**header["trained_on"])
    if trained_on.image_shape is not None:
        height, width = trained_on.image_shape
        trained_on = TrainedOn(**(header["trained_on"] | {"image_shape": (height, width)}))
    return model, trained_on


def _to_bytes(key: str, array: npt.NDArray[Any]) -> bytes:
    if array.dtype.kind == "O":
        if not all(isinstance(value, str) for value in array.flat):
            raise TypeError(
                f"{key}: only numbers and text can be saved, not {type(array.flat[0])}."
            )
        array = array.astype(str)
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()


def _class_weight(class_weight: Any) -> Any:
    """A dictionary as pairs: JSON would turn the keys into text."""
    if not isinstance(class_weight, dict):
        return class_weight
    return [
        [key.item() if isinstance(key, np.generic) else key, float(weight)]
        for key, weight in class_weight.items()
    ]
