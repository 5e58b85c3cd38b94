"""ONNX graphs of classifiers: nodes by name, labels and probabilities at the end, a whole file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.data.atomic import atomic_write
from softgrad.errors import MissingExtraError, OptionError

_OPSET = 13
_IR_VERSION = 8  # what goes with it: runtimes of the last years read it


class Graph:
    """Nodes in the order of computation, and the numbers that they use."""

    def __init__(self, dtype: str) -> None:
        if dtype not in ("float32", "float64"):
            raise OptionError(f"dtype must be 'float32' or 'float64', but is {dtype!r}.")
        self.onnx = _onnx()
        self.dtype = np.dtype(dtype)
        proto = self.onnx.TensorProto
        self.number = proto.FLOAT if dtype == "float32" else proto.DOUBLE
        self._nodes: list[Any] = []
        self._tensors: list[Any] = []
        self._taken: dict[str, int] = {}

    def add(self, operator: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """One more node; returns the name of its output."""
        output = name or self._fresh(operator.lower())
        self._nodes.append(
            self.onnx.helper.make_node(operator, list(inputs), [output], **attributes)
        )
        return output

    def add_many(self, operator: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """One more node with several outputs."""
        names = [self._fresh(operator.lower()) for _ in range(outputs)]
        self._nodes.append(self.onnx.helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def numbers(self, values: Any, name: str | None = None) -> str:
        """A constant of the graph's own type."""
        array = np.asarray(values)
        if array.size and not np.abs(array).max() <= np.finfo(self.dtype).max:
            raise OptionError(
                f"The weights overflow {self.dtype.name}. Export with dtype='float64'."
            )
        return self.tensor(array.astype(self.dtype), name)

    def tensor(self, array: npt.NDArray[Any], name: str | None = None) -> str:
        """A constant of its own type."""
        name = name or self._fresh("constant")
        if array.dtype.kind == "U":
            texts = [str(text).encode() for text in array]
            proto = self.onnx.TensorProto.STRING
            tensor = self.onnx.helper.make_tensor(name, proto, list(array.shape), texts)
        else:
            # ascontiguousarray would give a number an axis.
            tensor = self.onnx.numpy_helper.from_array(np.asarray(array, order="C"), name)
        self._tensors.append(tensor)
        return name

    def model(self, name: str, n_features: int, outputs: dict[str, tuple[int, list[Any]]]) -> Any:
        """The checked graph of an input X; ``outputs`` are types and shapes."""
        helper = self.onnx.helper
        graph = helper.make_graph(
            self._nodes,
            name,
            [helper.make_tensor_value_info("X", self.number, ["N", n_features])],
            [helper.make_tensor_value_info(key, *of) for key, of in outputs.items()],
            self._tensors,
        )
        model = helper.make_model(
            graph,
            producer_name="softgrad",
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
        )
        self.onnx.checker.check_model(model)
        return model

    def classifier(self, name: str, n_features: int, logits: str, classes: npt.NDArray[Any]) -> Any:
        """label, probabilities and log_probabilities of logits (N, K)."""
        labels = labels_for_onnx(classes)
        text = labels.dtype.kind == "U"
        self.add("Softmax", logits, name="probabilities", axis=1)
        self.add("LogSoftmax", logits, name="log_probabilities", axis=1)
        position = self.add("ArgMax", logits, axis=1, keepdims=0)
        self.add("Gather", self.tensor(labels, "classes"), position, name="label")
        proto = self.onnx.TensorProto
        shape = ["N", len(labels)]
        return self.model(
            name,
            n_features,
            {
                "label": (proto.STRING if text else proto.INT64, ["N"]),
                "probabilities": (self.number, shape),
                "log_probabilities": (self.number, shape),
            },
        )

    def _fresh(self, stem: str) -> str:
        self._taken[stem] = self._taken.get(stem, 0) + 1
        return f"{stem}_{self._taken[stem]}"


def write_graph(model: Any, path: str | Path | None) -> Any:
    """The model, written to a file if there is a path."""
    if path is not None:
        with atomic_write(Path(path)) as file:
            file.write(model.SerializeToString())
    return model


def labels_for_onnx(classes: npt.NDArray[Any]) -> npt.NDArray[Any]:
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


def _onnx() -> Any:
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError:
        raise MissingExtraError(
            "Export to ONNX needs the package onnx. Install it with: pip install softgrad[onnx]."
        ) from None
    return onnx
