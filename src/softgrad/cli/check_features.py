"""Data and model must have been made for each other."""

from __future__ import annotations

from softgrad.data import DataError, Dataset
from softgrad.modelfile import Classifier


def check_features(data: Dataset, model: Classifier) -> None:
    """Raise :class:`DataError` unless the data have as many features as the model."""
    found, expected = data.X.shape[1], model.n_features_in_
    if found != expected:
        raise DataError(
            f"{data.name} has {found} features, the model was trained on {expected}."
            " Give data with the same columns."
        )
