"""A trained model as an ONNX graph, for runtimes without Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from softgrad.data.atomic import atomic_write
from softgrad.errors import MissingExtraError, OptionError

_OPSET = 13
_IR_VERSION = 8  # what goes with it: runtimes of the last years read it


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
        if dtype not in ("float32", "float64"):
            raise OptionError(f"dtype must be 'float32' or 'float64', but is {dtype!r}.")
        labels = _labels(self.classes_)
        try:
            import onnx
            from onnx import TensorProto, helper, numpy_helper
        except ImportError:
            raise MissingExtraError(
                "Export to ONNX needs the package onnx. Install it with:"
                " pip install softgrad[onnx]."
            ) from None

        weight, bias = self.coef_, self.intercept_
        if len(weight) == 1:  # two classes: the logits are 0 and z
            weight = np.vstack((np.zeros_like(weight), weight))
            bias = np.concatenate(([0.0], bias))
        if not (np.abs(weight).max() <= np.finfo(dtype).max >= np.abs(bias).max()):
            raise OptionError(f"The weights overflow {dtype}. Export with dtype='float64'.")
        number = TensorProto.FLOAT if dtype == "float32" else TensorProto.DOUBLE
        text = labels.dtype.kind == "U"
        (n_classes, n_features), rows = weight.shape, "N"
        graph = helper.make_graph(
            [
                helper.make_node("Gemm", ["X", "weight", "bias"], ["logits"], transB=1),
                helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
                helper.make_node("LogSoftmax", ["logits"], ["log_probabilities"], axis=1),
                helper.make_node("ArgMax", ["logits"], ["position"], axis=1, keepdims=0),
                helper.make_node("Gather", ["classes", "position"], ["label"]),
            ],
            "softmax_regression",
            [helper.make_tensor_value_info("X", number, [rows, n_features])],
            [
                helper.make_tensor_value_info(
                    "label", TensorProto.STRING if text else TensorProto.INT64, [rows]
                ),
                helper.make_tensor_value_info("probabilities", number, [rows, n_classes]),
                helper.make_tensor_value_info("log_probabilities", number, [rows, n_classes]),
            ],
            [
                numpy_helper.from_array(np.ascontiguousarray(weight, dtype), "weight"),
                numpy_helper.from_array(np.ascontiguousarray(bias, dtype), "bias"),
                helper.make_tensor(
                    "classes", TensorProto.STRING, [n_classes], [str(t).encode() for t in labels]
                )
                if text
                else numpy_helper.from_array(labels, "classes"),
            ],
        )
        model = helper.make_model(
            graph,
            producer_name="softgrad",
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
        )
        onnx.checker.check_model(model)
        if path is not None:
            with atomic_write(Path(path)) as file:
                file.write(model.SerializeToString())
        return model


def _labels(classes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Classes as int64 or text, which is all that ONNX classifiers give."""
    if classes.dtype.kind == "O" and all(isinstance(label, str) for label in classes):
        return classes.astype(str)
    if classes.dtype.kind in "iubU":
        return classes if classes.dtype.kind == "U" else classes.astype(np.int64)
    if classes.dtype.kind == "f" and (classes == np.rint(classes)).all():
        return classes.astype(np.int64)
    raise OptionError(
        f"Labels of type {classes.dtype} have no counterpart in ONNX. Train on integers or text."
    )
