"""A network classifier as an ONNX graph, for runtimes without Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from softgrad.errors import OptionError
from softgrad.estimators.neural_net_head import INDEPENDENT, LABELS, Head
from softgrad.estimators.onnx_activations import BUILDERS, activation_nodes
from softgrad.estimators.onnx_graph import Graph, labels_for_onnx, write_graph
from softgrad.estimators.scaling import in_parts
from softgrad.network import Activation, Dropout, Linear, Sequential


class NetworkOnnxMixin:
    """Adds ``to_onnx`` to a network classifier."""

    classes_: npt.NDArray[Any]
    network_: Sequential
    mean_: npt.NDArray[np.float64]
    scale_: npt.NDArray[np.float64]

    @property
    def _head(self) -> Head:
        raise NotImplementedError

    def to_onnx(
        self,
        path: str | Path | None = None,
        *,
        dtype: Literal["float32", "float64"] = "float32",
    ) -> Any:
        """The model as an ONNX graph, scaling of the inputs included.

            label, probabilities, log_probabilities = graph(X)

        Parameters
        ----------
        path : str, Path or None
            Where to write it, if anywhere. The file appears whole or not at all.
        dtype : "float32" or "float64"
            Type of the input X (N, D) and of all computation.

        Returns
        -------
        onnx.ModelProto
            ``label`` (N,) is int64 or text; probabilities and their logarithms (N, K) are in the
            order of ``classes_``. With columns of labels: ``label`` (N, L) holds 0 and 1.

        Raises
        ------
        OptionError
            Another dtype, or classes that are neither integers nor text.
        MissingExtraError
            Without the package onnx: ``pip install softgrad[onnx]``.

        Notes
        -----
        gelu in float64 has the accuracy of float32, since runtimes have no error function in
        float64.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> import softgrad as sg
        >>> model = sg.NeuralNetClassifier(epochs=1).fit(*load_iris(return_X_y=True))
        >>> graph = model.to_onnx("iris.onnx")    # doctest: +SKIP
        """
        check_is_fitted(self)
        head, network = self._head, self.network_
        if head.meaning != LABELS:
            labels_for_onnx(self.classes_)  # refused before anything is computed
        graph = Graph(dtype)
        # Not folded into the weights: features far from zero keep their digits.
        if self.scale_.min() < np.finfo(graph.dtype).tiny:
            raise OptionError(
                f"The deviation of a feature, {self.scale_.min():.3g}, underflows {dtype}. Export"
                " with dtype='float64'."
            )
        x = "X"
        for part in in_parts(self.mean_, graph.dtype):
            x = graph.add("Sub", x, graph.numbers(part))
        x = graph.add("Div", x, graph.numbers(self.scale_, "scale"))
        parameters = iter(network.parameters)
        for layer in network.layers[: len(network.layers) - (head.last is not None)]:
            if isinstance(layer, Linear):
                weight = graph.numbers(next(parameters))
                bias = [graph.numbers(next(parameters))] if layer.bias else []
                x = graph.add("Gemm", x, weight, *bias, transB=1)
            elif isinstance(layer, Activation):
                x = activation_nodes(graph, x, layer)
            elif not isinstance(layer, Dropout):  # which does nothing outside training
                raise OptionError(f"{layer!r} has no ONNX counterpart here.")
        if head.meaning == LABELS:
            return write_graph(self._labels_graph(graph, x), path)
        if head.meaning == INDEPENDENT:
            x = BUILDERS["log_sigmoid"](graph, x, {})
        return write_graph(graph.classifier("network", len(self.mean_), x, self.classes_), path)

    def _labels_graph(self, graph: Graph, z: str) -> Any:
        proto, shape = graph.onnx.TensorProto, ["N", len(self.classes_)]
        yes = graph.add("Greater", z, graph.numbers(0.0))
        graph.add("Cast", yes, name="label", to=proto.INT64)
        graph.add("Sigmoid", z, name="probabilities")
        log = BUILDERS["log_sigmoid"](graph, z, {})
        graph.add("Identity", log, name="log_probabilities")
        return graph.model(
            "network",
            len(self.mean_),
            {
                "label": (proto.INT64, shape),
                "probabilities": (graph.number, shape),
                "log_probabilities": (graph.number, shape),
            },
        )
