"""Types of the compiled module. Its functions answer NotImplemented to what they do not take."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[Any]

openmp: bool
activations: tuple[str, ...]  # the functions that `activation` knows, by position

def softmax(x: object, axis: int = -1, temperature: float = 1.0, out: object = None, /) -> Any: ...
def log_softmax(
    x: object, axis: int = -1, temperature: float = 1.0, out: object = None, /
) -> Any: ...
def logsumexp(x: object, axis: int = -1, out: object = None, /) -> Any: ...
def softmax_vjp(
    p: object, g: object, axis: int = -1, scale: float = 1.0, out: object = None, /
) -> Any: ...
def center(
    p: object, g: object, axis: int = -1, scale: float = 1.0, out: object = None, /
) -> Any: ...
def log_softmax_vjp(
    p: object, g: object, axis: int = -1, scale: float = 1.0, out: object = None, /
) -> Any: ...
def softmax_product(
    x: object,
    g: object,
    axis: int,
    temperature: float,
    out: object | None,
    /,
) -> Any: ...
def log_softmax_product(
    x: object,
    g: object,
    axis: int,
    out: object | None,
    /,
) -> Any: ...
def dot(p: object, g: object, axis: int = -1, /) -> Any: ...
def activation(
    function: int,
    order: int,
    parameter: float,
    x: object,
    g: object = None,
    v: object = None,
    out: object = None,
    /,
) -> Any: ...
def sparsemax(x: object, axis: int = -1, out: object = None, /) -> Any: ...
def cross_entropy(
    x: object,
    target: object,
    axis: int,
    row_weight: NDArray[np.float64] | None,
    class_weight: NDArray[np.float64] | None,
    label_smoothing: float,
    temperature: float,
    ignore_index: int | None,
    reduction: int,
    mode: int,
    grad_scale: float,
    out: _Floats | None,
    /,
) -> Any: ...
def element_loss(
    kind: int,
    derivative: int,
    loss: int,
    x: object,
    target: object,
    axis: int,
    mask: NDArray[np.bool_] | None,
    row_weight: NDArray[np.float64] | None,
    class_weight: NDArray[np.float64] | None,
    positive: NDArray[np.float64] | float,
    keep: float,
    spread: float,
    negative: float,
    parameter: float,
    divisor: float,
    grad_scale: float,
    out: _Floats | None,
    /,
) -> Any: ...
def focal_loss(
    derivative: int,
    loss: int,
    x: object,
    index: object,
    axis: int,
    row_weight: NDArray[np.float64] | None,
    gamma: float,
    divisor: float,
    grad_scale: float,
    out: _Floats | None,
    /,
) -> Any: ...
def hinge_loss(
    derivative: int,
    loss: int,
    x: object,
    index: object,
    axis: int,
    row_weight: NDArray[np.float64] | None,
    margin: float,
    divisor: float,
    grad_scale: float,
    out: _Floats | None,
    /,
) -> Any: ...
def within(x: object, least: float, most: float, nan_passes: bool, /) -> Any: ...

class LinearRows:
    def __init__(
        self,
        values: NDArray[Any],
        row_start: NDArray[Any] | None,
        column: NDArray[Any] | None,
        features: int,
        mean: NDArray[np.float64] | None,
        inverse_scale: NDArray[np.float64] | None,
        target: NDArray[np.int64],
        weight: NDArray[np.float64] | None,
        outputs: int,
        often: bool = False,
    ) -> None: ...
    def loss_and_grad(
        self,
        weights: NDArray[np.float64],
        gradient: NDArray[np.float64],
        probabilities: NDArray[np.float32] | None,
        single: bool,
    ) -> float: ...
    def hessian_product(
        self,
        direction: NDArray[np.float64],
        product: NDArray[np.float64],
        probabilities: NDArray[np.float32] | None,
        at: NDArray[np.float64] | None,
        single: bool,
    ) -> None: ...
    def moments(
        self,
        at: NDArray[np.float64],
        probabilities: NDArray[np.float32] | None,
        sums: NDArray[np.float64],
        squares: bool,
    ) -> None: ...
    def dual(
        self,
        at: NDArray[np.float64],
        step: NDArray[np.float64],
        gradient: NDArray[np.float64],
        log_probability: NDArray[np.float64],
    ) -> tuple[float, float]: ...

def sgd_step(
    w: NDArray[Any],
    g: NDArray[Any],
    velocity: NDArray[Any] | None,
    size: float,
    momentum: float,
    nesterov: bool,
    decay: float,
    scale: float,
    keep: bool = False,
) -> None: ...
def adam_step(
    w: NDArray[Any],
    g: NDArray[Any],
    m: NDArray[Any],
    v: NDArray[Any],
    size: float,
    inverse_root: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    decay: float,
    shrink: float,
    scale: float,
    keep: bool = False,
) -> None: ...
def set_num_threads(n: int, /) -> None: ...
def set_own_threads(n: int, /) -> int: ...
def get_num_threads() -> int: ...
def instruction_set() -> str: ...
def available_instruction_sets() -> list[str]: ...
def set_instruction_set(name: str, /) -> None: ...
def recycle_limit() -> int: ...
def set_recycle_limit(limit: int, /) -> None: ...
