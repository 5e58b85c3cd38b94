"""A trained model as an ONNX graph, for runtimes without Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from softgrad.estimators.onnx_graph import Graph, labels_for_onnx, write_graph


class OnnxMixin:
    """Adds ``to_onnx`` to a softmax regression."""

    classes_: npt.NDArray[Any]
    coef_: npt.NDArray[np.float64]
    intercept_: npt.NDArray[np.float64]

    def to_onnx(
        self,
        path: str | Path | None = None,
        *,
        dtype: Literal["float32", "float64"] = "float32",
    ) -> Any:
        """The model as an ONNX graph: Gemm, Softmax, ArgMax, and the label of the class.

            label, probabilities, log_probabilities = graph(X)

        Parameters
        ----------
        path : str, Path or None
            Where to write it, if anywhere. The file appears whole or not at all.
        dtype : "float32" or "float64"
            Type of the input X (N, D) and of the probabilities (N, K).

        Returns
        -------
        onnx.ModelProto
            ``label`` (N,) is int64 or text; probabilities and their logarithms (N, K) are in the
            order of ``classes_``.

        Raises
        ------
        OptionError
            Another dtype, or labels that are neither integers nor text.
        MissingExtraError
            Without the package onnx: ``pip install softgrad[onnx]``.

        Notes
        -----
        In float32 a logit is wrong by at most (D + 2) 2^-24 (sum_j abs(w_j x_j) + abs(b)), as in
        any float32 product; features far from zero are better exported as float64.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> import softgrad as sg
        >>> model = sg.SoftmaxRegression().fit(*load_iris(return_X_y=True))
        >>> graph = model.to_onnx("iris.onnx")    # doctest: +SKIP
        """
        check_is_fitted(self)
        labels_for_onnx(self.classes_)  # refused before anything is computed
        graph = Graph(dtype)
        weight, bias = self.coef_, self.intercept_
        if len(weight) == 1:  # two classes: the logits are 0 and z
            weight = np.vstack((np.zeros_like(weight), weight))
            bias = np.concatenate(([0.0], bias))
        logits = graph.add(
            "Gemm",
            "X",
            graph.numbers(weight, "weight"),
            graph.numbers(bias, "bias"),
            name="logits",
            transB=1,
        )
        model = graph.classifier("softmax_regression", weight.shape[1], logits, self.classes_)
        return write_graph(model, path)
