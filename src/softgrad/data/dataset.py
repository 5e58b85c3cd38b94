"""What a reader returns, and the error that every reader raises."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.errors import SoftgradError

Array = npt.NDArray[Any]


class DataError(SoftgradError, ValueError):
    """Data that cannot be used. The message names the cause and the remedy, on one line."""


@dataclass(frozen=True)
class Dataset:
    """Rows of numbers, and their labels where they have any.

    ``X`` is an array (N, D) or SciPy CSR. Rows of text have ``texts`` (N,), and an X only after
    they have been turned into numbers (:mod:`softgrad.data.text`). ``zero_based`` says how a file
    of svmlight format counts its features.

    ``unit`` is the value that means "one": the brightest pixel of an image, 1 for everything else.
    A penalty on weights is meant for inputs between 0 and 1; C / unit**2 on the stored numbers
    gives the same model as C on the numbers divided by ``unit``, without a copy of the data.
    """

    name: str
    X: Any
    y: Array | None
    feature_names: list[str] | None = None
    image_shape: tuple[int, int] | None = None
    unit: float = 1.0
    target_name: str = "label"
    texts: Array | None = None
    zero_based: bool | None = None

    @property
    def n_rows(self) -> int:
        return int(self.X.shape[0])

    @property
    def n_features(self) -> int:
        return int(self.X.shape[1])

    @property
    def labels(self) -> Array:
        if self.y is None:
            raise DataError(f"{self.name} has no labels. Name them with --target or --labels.")
        return self.y

    def take(self, rows: npt.NDArray[np.intp]) -> Dataset:
        """The given rows as a data set of their own."""
        return replace(
            self,
            X=self.X[rows],
            y=None if self.y is None else self.y[rows],
            texts=None if self.texts is None else self.texts[rows],
        )


def check_numbers(
    X: Array, name: str, feature_names: list[str] | None = None, first_row: int = 0
) -> None:
    """Raise :class:`DataError` at the first NaN or infinity; ``first_row`` rows lie before X."""
    if X.dtype.kind != "f":
        return
    for start in range(0, len(X), 4096):
        finite = np.isfinite(X[start : start + 4096])
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            what = "NaN" if np.isnan(X[start + row, column]) else "an infinite value"
            where = feature_names[column] if feature_names else int(column) + 1
            raise DataError(
                f"{name}: row {first_row + start + row + 1}, column {where!r} holds {what}."
                " Remove such rows or fill in a number."
            )
