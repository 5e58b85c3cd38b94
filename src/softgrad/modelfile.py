"""A trained model as a file that cannot run code when it is loaded.

A model file is a ZIP archive, uncompressed, of

    softgrad.json      format version, parameters, description of the data, SHA-256 of every array
    coef.npy  intercept.npy  classes.npy       plain numbers or text, read with allow_pickle=False
    vocabulary.json  idf.npy                   of a model of texts (format version 2): its words

of a network (format version 3) classes.npy, mean.npy, scale.npy and its weights, network/*.npy;
and can be opened with any ZIP and JSON reader.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from softgrad.data import Layout
from softgrad.data.atomic import atomic_write
from softgrad.data.text import TextFeatures
from softgrad.errors import SoftgradError
from softgrad.estimators import NeuralNetClassifier, SoftmaxRegression
from softgrad.estimators import neural_net_file as network_file

__all__ = ["ModelFileError", "TrainedOn", "load_model", "save_model"]

FORMAT_VERSION = 3  # of networks; 2 of texts and svmlight files, all others are written as 1

Classifier = SoftmaxRegression | NeuralNetClassifier
_HEADER = "softgrad.json"
_ZIP = b"PK\x03\x04"
_ARRAYS = ("coef", "intercept", "classes")
_VOCABULARY = "vocabulary.json"
_TEXT_OPTIONS = {"ngram_range", "sublinear_tf", "lowercase", "token_pattern"}
_PARAMETERS = ("C", "penalty", "fit_intercept", "class_weight", "tol", "max_iter")
_INCONSISTENT = (KeyError, TypeError, ValueError, RecursionError)  # a header of other contents
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same model gives the same bytes


class ModelFileError(SoftgradError, ValueError):
    """A model file that cannot be used. The message names the cause and the remedy."""


@dataclass(frozen=True)
class TrainedOn:
    """What a model was trained on, as far as it matters for using it.

    Parameters
    ----------
    name : str
        Of the data.
    n_rows : int
        How many rows there were.
    target_name : str
        The column of classes.
    feature_names : list of str or None
        The columns of features in their order, by which ``softgrad predict`` finds them.
    image_shape : (int, int) or None
        Height and width, where a row is an image.
    unit : float
        The value of a feature that means one, such as 255 for pixels.
    zero_based : bool or None
        How a file of svmlight format counts its features.
    text : TextFeatures or None
        How texts became features.

    Examples
    --------
    >>> from softgrad.modelfile import TrainedOn
    >>> TrainedOn("flowers.csv", 150, "species", ["length", "width"]).target_name
    'species'
    """

    name: str
    n_rows: int
    target_name: str = "label"
    feature_names: list[str] | None = None
    image_shape: tuple[int, int] | None = None
    unit: float = 1.0
    zero_based: bool | None = None
    text: TextFeatures | None = None

    @property
    def layout(self) -> Layout:
        """What to read of a file for this model."""
        if self.text is not None:
            return Layout(text=self.text.column)
        n_features = None if self.feature_names is None else len(self.feature_names)
        return Layout(self.feature_names, None, n_features, self.zero_based)


def save_model(model: Classifier, path: Path, trained_on: TrainedOn) -> None:
    """Write the model; ``path`` is replaced only when the whole file has reached the disk.

    Parameters
    ----------
    model : SoftmaxRegression or NeuralNetClassifier
        Fitted.
    path : Path
    trained_on : TrainedOn
        What is needed to use the model on other files.

    Raises
    ------
    OSError
        If the file cannot be written; ``path`` is then as it was before.
    TypeError
        If labels are neither numbers nor text.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sklearn.datasets import load_iris
    >>> import softgrad as sg
    >>> from softgrad.modelfile import TrainedOn, load_model, save_model
    >>> X, y = load_iris(return_X_y=True)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "iris.softgrad"
    >>> save_model(sg.SoftmaxRegression().fit(X, y), path, TrainedOn("iris", len(X)))
    >>> model, about = load_model(path)
    >>> model.predict(X[:2]), about.name
    (array([0, 0]), 'iris')
    """
    with atomic_write(path) as file:
        file.write(model_bytes(model, trained_on))


def model_bytes(model: Classifier, trained_on: TrainedOn) -> bytes:
    """The contents of a model file."""
    if isinstance(model, NeuralNetClassifier):
        described, arrays = network_file.describe(model)
        version = 3
    else:
        described, arrays = _describe(model)
        version = 1 if trained_on.text is None and trained_on.zero_based is None else 2
    text = trained_on.text
    if text is not None:
        arrays["idf"] = text.idf
        described["text"] = {"column": text.column, "options": text.options}
    # Only what differs from the default is named, so that older versions can read it.
    about = asdict(replace(trained_on, text=None, feature_names=None))
    del about["text"]
    about["feature_names"] = None if text is not None else trained_on.feature_names
    if about["zero_based"] is None:
        del about["zero_based"]
    header = {
        "format": "softgrad model",
        "format_version": version,
        "model": type(model).__name__,
        **described,
        "trained_on": about,
    }
    words = None if text is None else json.dumps(text.vocabulary).encode()
    stream = io.BytesIO()
    _write_archive(stream, header, arrays, {} if words is None else {_VOCABULARY: words})
    return stream.getvalue()


def write_archive(
    path: Path,
    header: dict[str, Any],
    arrays: dict[str, npt.NDArray[Any]],
) -> None:
    """A header and arrays as a ZIP file that appears whole or not at all."""
    with atomic_write(path) as file:
        _write_archive(file, header, arrays, {})


def _write_archive(
    file: IO[bytes],
    header: dict[str, Any],
    arrays: dict[str, npt.NDArray[Any]],
    more: dict[str, bytes],
) -> None:
    contents = {f"{key}.npy": _to_bytes(key, array) for key, array in arrays.items()}
    contents |= more
    sums = {
        key.removesuffix(".npy"): hashlib.sha256(content).hexdigest()
        for key, content in contents.items()
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        told = json.dumps(header | {"sha256": sums}, indent=2)
        archive.writestr(zipfile.ZipInfo(_HEADER, _EPOCH), told)
        for key, content in contents.items():
            archive.writestr(zipfile.ZipInfo(key, _EPOCH), content)


def read_archive(
    path: Path, kind: str, newest: int
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]], bytes]:
    """Header, arrays and vocabulary of a file of this kind; every sum is checked."""
    name = path.name
    with path.open("rb") as file:  # what the system says of the file is not about its contents
        try:
            return _read_archive(file, name, kind, newest)
        except ModelFileError:
            raise
        except Exception:  # the readers of ZIP, JSON and NPY raise a dozen kinds
            raise ModelFileError(
                f"{name} is truncated or not a {kind}. Train or copy it again."
            ) from None


def _read_archive(
    file: IO[bytes], name: str, kind: str, newest: int
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]], bytes]:
    with zipfile.ZipFile(file) as archive:
        header = json.loads(archive.read(_HEADER))
        _check_version(header, name, kind, newest)
        contents = {key: archive.read(_member(key)) for key in header["sha256"]}
    for key, content in contents.items():
        if hashlib.sha256(content).hexdigest() != header["sha256"][key]:
            raise ModelFileError(f"{name} is damaged: {key} was altered. Train or copy it again.")
    words = contents.pop(_VOCABULARY, b"")
    arrays = {
        key: np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
        for key, content in contents.items()
    }
    return header, arrays, words


def _member(key: str) -> str:
    return key if key == _VOCABULARY else f"{key}.npy"


def _describe(
    model: SoftmaxRegression,
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    arrays = {"coef": model.coef_, "intercept": model.intercept_, "classes": model.classes_}
    parameters = {key: getattr(model, key) for key in _PARAMETERS}
    parameters["C"] = repr(float(model.C))  # JSON has no infinity
    parameters["max_iter"] = int(model.max_iter)
    parameters["class_weight"] = _class_weight(model.class_weight)
    if model.solver != "auto":
        parameters["solver"] = model.solver
    described = {
        "parameters": parameters,
        "n_iter": int(model.n_iter_),
        # A streaming fit has no objective that it could have reached.
        "objective": float(model.objective_) if hasattr(model, "objective_") else None,
        "converged": hasattr(model, "solution_") and bool(model.solution_.converged),
        **_proof(model),
    }
    return described, arrays


def _proof(model: SoftmaxRegression) -> dict[str, Any]:
    """How far from the minimum the fit stopped; nothing of a streaming fit, which has none."""
    if not hasattr(model, "gap_"):
        return {}
    return {
        "solver": model.solver_,
        "gap": float(model.gap_) if np.isfinite(model.gap_) else None,  # JSON has no infinity
        "gap_certified": hasattr(model, "solution_") and bool(model.solution_.certified),
    }


def load_model(path: Path) -> tuple[Classifier, TrainedOn]:
    """Read a model and what it was trained on. Nothing in the file is run.

    Parameters
    ----------
    path : Path
        A file that :func:`save_model` or ``softgrad train --out`` wrote.

    Returns
    -------
    model : SoftmaxRegression or NeuralNetClassifier
        Its predictions have the same bits as before it was saved.
    trained_on : TrainedOn

    Raises
    ------
    ModelFileError
        If there is no such file, if it is damaged, no model, or of a newer softgrad.

    Examples
    --------
    See :func:`save_model`.
    """
    name = path.name
    if not path.exists():
        raise ModelFileError(f"There is no model file {str(path)!r}. Train one with --out DIR.")
    if path.is_dir():
        raise ModelFileError(f"{str(path)!r} is a folder. Give the file in it: model.softgrad.")
    with path.open("rb") as file:
        if not _ZIP.startswith(file.read(len(_ZIP))):  # a beginning of it is a truncated model
            raise ModelFileError(
                f"{name} is not a softgrad model. Train one with --out DIR, and name it before the"
                " data: softgrad predict MODEL FILE."
            )
    header, arrays, words = read_archive(path, "softgrad model", FORMAT_VERSION)
    try:
        idf = arrays.pop("idf") if "text" in header else None
        model: Classifier
        if header.get("model") == "NeuralNetClassifier":
            model = network_file.restore(header, arrays)
        else:
            model = _restore(header, arrays, name)
        trained_on = _trained_on(header)
        if idf is not None:
            text = _restore_text(header["text"], json.loads(words), idf, name)
            if len(text.vocabulary) != model.n_features_in_:
                raise _inconsistent(name)
            trained_on = replace(trained_on, text=text)
        return model, trained_on
    except ModelFileError:
        raise
    except _INCONSISTENT:
        raise _inconsistent(name) from None


def _trained_on(header: dict[str, Any]) -> TrainedOn:
    about = header["trained_on"]
    if about["image_shape"] is not None:
        height, width = about["image_shape"]
        about = about | {"image_shape": (height, width)}
    return TrainedOn(**about)


def _check_version(header: Any, name: str, kind: str, newest: int) -> None:
    if header["format"] != kind:
        raise ModelFileError(f"{name} is not a {kind}. Train one with --out DIR.")
    if header["format_version"] > newest:
        raise ModelFileError(
            f"{name} has format version {header['format_version']}, this softgrad reads up to"
            f" {newest}. Upgrade softgrad."
        )


def _restore(
    header: dict[str, Any], arrays: dict[str, npt.NDArray[Any]], name: str
) -> SoftmaxRegression:
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
        raise _inconsistent(name)
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
    if "gap" in header:  # not in files of a version that proved nothing
        model.solver_ = str(header["solver"])
        model.gap_ = np.inf if header["gap"] is None else float(header["gap"])
    return model


def _restore_text(
    about: dict[str, Any], words: list[str], idf: npt.NDArray[Any], name: str
) -> TextFeatures:
    options = about["options"]
    consistent = (
        set(options) == _TEXT_OPTIONS
        and isinstance(about["column"], str)
        and len(set(words)) == len(words)
        and all(isinstance(word, str) for word in words)
        and idf.shape == (len(words),)
        and idf.dtype == np.float64
        and np.isfinite(idf).all()
    )
    if not consistent:
        raise _inconsistent(name)
    return TextFeatures(about["column"], words, idf, options)


def _inconsistent(name: str) -> ModelFileError:
    return ModelFileError(f"{name} is inconsistent: its arrays do not fit. Train it again.")


def _to_bytes(key: str, array: npt.NDArray[Any]) -> bytes:
    if array.dtype.kind == "O":
        if not all(isinstance(value, str) for value in array.flat):
            raise TypeError(
                f"{key}: only numbers and text can be saved, not {type(array.flat[0])}."
            )
        array = array.astype(str)
    stream = io.BytesIO()
    # ascontiguousarray would give a number an axis.
    np.lib.format.write_array(stream, np.asarray(array, order="C"), allow_pickle=False)
    return stream.getvalue()


def _class_weight(class_weight: Any) -> Any:
    """A dictionary as pairs: JSON would turn the keys into text."""
    if not isinstance(class_weight, dict):
        return class_weight
    return [
        [key.item() if isinstance(key, np.generic) else key, float(weight)]
        for key, weight in class_weight.items()
    ]
