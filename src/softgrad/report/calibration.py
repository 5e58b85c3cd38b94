"""Calibration for people who have probabilities and labels: the error, and the diagram."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.data.atomic import atomic_write
from softgrad.errors import ShapeError, TargetError
from softgrad.report.metrics import CalibrationBin, calibration_bins, calibration_error

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ReliabilityDiagram:
    """How often predictions of a confidence are right, in fifteen bins of equal width.

    ``bins`` hold the rows of each bin that has any; ``error`` is the expected calibration error.
    In a notebook the diagram shows itself.
    """

    bins: list[CalibrationBin]
    error: float

    def svg(self) -> str:
        """The figure as an SVG document in the colours of light paper."""
        from softgrad.report.figures import reliability_figure
        from softgrad.report.theme import on_paper

        return on_paper(reliability_figure(self.bins))

    def save(self, path: str | Path) -> None:
        """Write the figure as an SVG file, whole or not at all."""
        with atomic_write(Path(path)) as file:
            file.write(self.svg().encode())

    def _repr_svg_(self) -> str:
        return self.svg()


def expected_calibration_error(
    probabilities: npt.ArrayLike, target: npt.ArrayLike, *, classes: npt.ArrayLike | None = None
) -> float:
    """How far confidence and accuracy lie apart, on average over the rows.

        ECE = sum_b n_b / N |accuracy_b - confidence_b|

    over fifteen bins b of equal width of the top class's probability.

    Parameters
    ----------
    probabilities : array (N, K) of floats
    target : array (N,)
        Class positions, or labels where ``classes`` is given.
    classes : array (K,) or None
        The label of every column, as ``classes_`` of a classifier.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ShapeError, TargetError
        Probabilities outside 0 to 1, lengths that differ, labels that are no class.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Weinberger, On calibration of modern neural networks (2017),
    equation 3.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.expected_calibration_error([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], [0, 1, 1])
    0.4000000000000001
    """
    return reliability_diagram(probabilities, target, classes=classes).error


def reliability_diagram(
    probabilities: npt.ArrayLike, target: npt.ArrayLike, *, classes: npt.ArrayLike | None = None
) -> ReliabilityDiagram:
    """Confidence beside accuracy, by bins of confidence; as data and as a figure.

    Parameters
    ----------
    probabilities : array (N, K) of floats
    target : array (N,)
        Class positions, or labels where ``classes`` is given.
    classes : array (K,) or None
        The label of every column, as ``classes_`` of a classifier.

    Returns
    -------
    ReliabilityDiagram
        ``.bins``, ``.error``, ``.svg()``, ``.save(path)``.

    Raises
    ------
    ShapeError, TargetError
        As :func:`expected_calibration_error`.

    References
    ----------
    A. Niculescu-Mizil, R. Caruana, Predicting good probabilities with supervised learning (2005).

    Examples
    --------
    >>> import softgrad as sg
    >>> diagram = sg.reliability_diagram([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], [0, 1, 1])
    >>> [(bin.count, bin.accuracy) for bin in diagram.bins]
    [(1, 1.0), (1, 0.0), (1, 1.0)]
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or p.size == 0:
        raise ShapeError(
            f"probabilities have shape {p.shape}, but must be (rows, classes). For two classes give"
            " both columns, as predict_proba does."
        )
    if not ((p >= 0.0) & (p <= 1.0 + 1e-6)).all():
        raise ShapeError("probabilities lie outside 0 to 1. Give predict_proba, not logits.")
    index = _positions(np.asarray(target), p.shape, classes)
    predicted = p.argmax(axis=1)
    bins = calibration_bins(p[np.arange(len(p)), predicted], predicted == index)
    return ReliabilityDiagram(bins, calibration_error(bins))


def _positions(target: Any, shape: tuple[int, ...], classes: Any) -> npt.NDArray[np.int64]:
    n_rows, n_classes = shape
    if target.shape != (n_rows,):
        raise ShapeError(
            f"target has shape {target.shape}, but {n_rows} rows of probabilities need ({n_rows},)."
        )
    if classes is None:
        if target.dtype.kind not in "iu" or target.min() < 0 or target.max() >= n_classes:
            raise TargetError(
                f"target must hold class positions from 0 to {n_classes - 1}. For other labels give"
                " classes=model.classes_."
            )
        return np.asarray(target, dtype=np.int64)
    names = np.asarray(classes)
    if names.shape != (n_classes,):
        raise ShapeError(
            f"classes have shape {names.shape}, the probabilities have {n_classes} columns."
        )
    order = np.argsort(names, kind="stable")
    found = order[np.minimum(np.searchsorted(names, target, sorter=order), n_classes - 1)]
    unknown = names[found] != target
    if unknown.any():
        raise TargetError(
            f"target holds {target[unknown][0]!r}, which is none of the {n_classes} classes."
        )
    return np.asarray(found, dtype=np.int64)
