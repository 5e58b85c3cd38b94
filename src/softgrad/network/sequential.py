"""A network of layers, one after the other, with the loss at its end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Self, final

import numpy as np

from softgrad import _checks
from softgrad._protocol import Differentiable, Loss
from softgrad._threads import alone
from softgrad._typing import Array, ArrayLike
from softgrad.errors import DtypeError, OptionError, OptionTypeError, ShapeError
from softgrad.network import engine
from softgrad.network.activation import NORMALIZERS, Activation
from softgrad.network.dropout import Dropout
from softgrad.network.layer import Layer, Pass
from softgrad.network.linear import Linear
from softgrad.network.objective import Objective, WithOptions, as_bound, make_objective
from softgrad.network.parameters import ParameterList, split
from softgrad.network.workspace import Workspace

_ROWS_AT_ONCE = 1024  # of a forward pass: the activations of a block stay in the cache
_KEPT_BYTES = 1 << 28  # a workspace above it is not kept for the next call


@final
class Sequential:
    """Layers one after the other, and a loss of what comes out.

    Parameters
    ----------
    layers : list of Layer or Differentiable
        ``Linear``, ``Dropout``, ``BatchNorm``, ``LayerNorm``, and any differentiable function of
        the library, bare (``sg.relu``) or with options (``Activation(sg.softmax, temperature=2)``).
    loss : Loss or WithOptions, optional
        Any loss of the library. Softmax followed by categorical_cross_entropy, log_softmax by nll
        and sigmoid by binary_cross_entropy_probabilities are computed from the logits in one step.
        Without a loss only ``forward`` works.
    dtype : float32 or float64
        Of parameters and computation.
    seed : int, optional
        Of the initial weights; the same seed gives the same bits (float32: rounded from float64).

    Raises
    ------
    ValueError
        Where the widths of two layers, or the last activation and the loss, do not fit.
    TypeError
        If a layer or a loss is neither.

    Notes
    -----
    With ``training`` off (the default) every method sees the network as a fixed function: no
    dropout, BatchNorm with its running statistics. With it on they see one random draw of it, from
    ``rng``. Different threads may use one network at once as long as none of them trains it.

    Examples
    --------
    >>> import numpy as np, softgrad as sg
    >>> from softgrad.network import Linear, Sequential
    >>> net = Sequential([Linear(2, 3), sg.sigmoid, Linear(3, 2)], loss=sg.cross_entropy, seed=0)
    >>> loss, gradients = net.value_and_grad(np.ones((4, 2)), [0, 1, 1, 0])
    >>> [gradient.shape for gradient in gradients]
    [(3, 2), (3,), (2, 3), (2,)]
    """

    def __init__(
        self,
        layers: Iterable[Layer | Differentiable],
        *,
        loss: Loss | WithOptions | None = None,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise DtypeError(f"dtype={self.dtype}; a network is of float32 or float64.")
        self.layers = tuple(_as_layer(layer, i) for i, layer in enumerate(layers))
        if not self.layers:
            raise OptionError("A network needs at least one layer.")
        self.loss = None if loss is None else as_bound(loss)
        self.inputs, self.outputs = self._fit_widths()
        self._objective = None if self.loss is None else self._end(self.loss)
        self._names, self._shapes = _named(self.layers, "parameter_shapes")
        self._vector = np.empty(sum(map(math.prod, self._shapes)), self.dtype)
        statistic_names, shapes = _named(self.layers, "statistic_shapes")
        self._statistics = dict(
            zip(statistic_names, (np.empty(s, self.dtype) for s in shapes), strict=True)
        )
        self._views = split(self._vector, self._shapes)
        borders = [0, *np.cumsum([math.prod(shape) for shape in self._shapes]).tolist()]
        self._decayed = [
            slice(start, stop)
            for shape, (start, stop) in zip(self._shapes, pairwise(borders), strict=True)
            if len(shape) > 1
        ]
        self._spaces: list[Workspace] = []
        self.initialize(seed)

    def __repr__(self) -> str:
        inside = ", ".join(map(repr, self.layers))
        return f"Sequential([{inside}], loss={self.loss!r})"

    # --- Numbers --------------------------------------------------------------------------------

    def initialize(self, seed: int | None = None) -> None:
        """Draw new initial weights; the same seed gives the same ones."""
        seeds = np.random.SeedSequence(seed).spawn(len(self.layers))
        values = iter([*self._views])
        statistics = iter(self._statistics.values())
        for i, layer in enumerate(self.layers):
            rng = np.random.default_rng(seeds[i])
            following = _next_activation(self.layers[i + 1 :])
            for name, shape in layer.parameter_shapes().items():
                initial = layer.initial(name, rng, following)
                if initial.shape != shape:
                    raise ShapeError(
                        f"{self.place(i)}: init returned shape {initial.shape} for the {name}, "
                        f"which has shape {shape}."
                    )
                next(values)[...] = initial
            for name in layer.statistic_shapes():
                next(statistics)[...] = layer.initial(name, rng, following)

    @property
    def parameters(self) -> ParameterList:
        """The parameters, a list of arrays in the order of the layers; weights before biases.

        The arrays are the network's own: writing into one, assigning to an entry of the list or to
        ``net.parameters`` as a whole changes the network.
        """
        return ParameterList(self._views, self._names)

    @parameters.setter
    def parameters(self, values: Sequence[ArrayLike]) -> None:
        self.parameters.assign(values)

    @property
    def parameter_names(self) -> list[str]:
        """The names of the parameters, such as "0.weight": the layer's index, then its own."""
        return list(self._names)

    @property
    def vector(self) -> Array:
        """All parameters in one array, of which ``parameters`` are parts: what optimisers move."""
        return self._vector

    def state(self) -> dict[str, Array]:
        """Copies of the parameters and running statistics, by name."""
        parameters = zip(self._names, self._views, strict=True)
        return {name: a.copy() for name, a in (*parameters, *self._statistics.items())}

    def load_state(self, state: Mapping[str, ArrayLike]) -> None:
        """Take the numbers of ``state``.

        Raises
        ------
        ValueError
            If it is the state of another architecture; the message names the first difference.
        """
        own = {**dict(zip(self._names, self._views, strict=True)), **self._statistics}
        for name in [*own, *state]:
            if name not in state or name not in own:
                where = "the network" if name in own else "the saved state"
                raise ShapeError(
                    f"Only {where} has {name!r}: the state was saved from another architecture."
                )
            if np.shape(state[name]) != own[name].shape:
                raise ShapeError(
                    f"{name} has shape {np.shape(state[name])} in the saved state and "
                    f"{own[name].shape} in the network: it was saved from another architecture."
                )
        for name, array in own.items():
            array[...] = state[name]

    def config(self) -> dict[str, Any]:
        """The architecture as names, numbers and lists; ``from_config`` makes it again."""
        return {
            "layers": [layer.config() for layer in self.layers],
            "loss": None if self.loss is None else self.loss.config(),
            "dtype": self.dtype.name,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A network of the architecture that ``config`` returned, with new weights."""
        from softgrad.network.config import layer_of, loss_of

        layers = [layer_of(entry) for entry in config["layers"]]
        return cls(layers, loss=loss_of(config["loss"]), dtype=config["dtype"])

    def astype(self, dtype: Any) -> Sequential:
        """A copy with parameters and computation in another type."""
        other = Sequential(self.layers, loss=self.loss, dtype=dtype, seed=0)
        other.load_state(self.state())
        return other

    def copy(self) -> Sequential:
        """A copy with numbers of its own."""
        return self.astype(self.dtype)

    def __getstate__(self) -> dict[str, Any]:
        return {"config": (self.layers, self.loss, self.dtype), "state": self.state()}

    def __setstate__(self, saved: dict[str, Any]) -> None:
        layers, loss, dtype = saved["config"]
        self.__init__(layers, loss=loss, dtype=dtype, seed=0)
        self.load_state(saved["state"])

    # --- The network as a function --------------------------------------------------------------

    def forward(self, X: Any, *, until: int | None = None, out: Array | None = None) -> Array:
        """Return what comes out of the last layer, for rows of any number.

        Parameters
        ----------
        X : array or CSR (rows, features)
            Converted to the network's type.
        until : int, optional
            How many layers to go through; by default all.
        out : ndarray, optional
            Where to write.

        Returns
        -------
        ndarray
            Of shape (rows, units of the last of these layers), in the network's type.

        Raises
        ------
        ValueError
            If ``X`` does not fit the first layer.
        """
        return self._outputs(X, self.layers[:until], out)

    def logits(self, X: Any) -> Array:
        """Return what the loss sees: ``forward`` without a last activation that it includes."""
        return self._outputs(X, self.trunk, None)

    def value(
        self,
        X: Any,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
    ) -> Any:
        """Return the loss; the arguments are those of ``value_and_grad``."""
        z = self.logits(X)
        return self._needed().value(z, target, sample_weight, class_weight)

    def evaluate(
        self,
        X: Any,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
    ) -> tuple[float, float]:
        """Return the loss and the share of rows that are right (NaN where there are no classes)."""
        z, objective = self.logits(X), self._needed()
        loss = objective.value(z, target, sample_weight, class_weight)
        return float(loss), objective.accuracy(z, target)

    def value_and_grad(
        self,
        X: Any,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
        training: bool = False,
        rng: np.random.Generator | None = None,
    ) -> tuple[Any, list[Array]]:
        """Return the loss and its gradients, in the order of ``parameters``.

        Parameters
        ----------
        X : array or CSR (rows, features)
        target : array_like
            What the loss takes: class indices, probabilities or values.
        sample_weight : array_like (rows,), optional
        class_weight : array_like (classes,), optional
        training : bool
            Whether dropout is on and BatchNorm uses (and learns) the batch's statistics.
        rng : Generator, optional
            For dropout.

        Returns
        -------
        loss : NumPy scalar
            In nats (or the loss's own unit).
        gradients : list of ndarray

        Raises
        ------
        ValueError
            If a shape does not fit a layer, or the target the loss.
        """
        gradient = np.empty_like(self._vector)
        loss, _ = self.value_and_grad_vector(
            X,
            target,
            gradient,
            sample_weight=sample_weight,
            class_weight=class_weight,
            training=training,
            rng=rng,
        )
        return loss, split(gradient, self._shapes)

    @alone
    def value_and_grad_vector(
        self,
        X: Any,
        target: ArrayLike,
        out: Array,
        /,
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
        training: bool = False,
        rng: np.random.Generator | None = None,
    ) -> tuple[Any, float]:
        """Write the gradient to ``out``, laid out like ``vector``; return loss and accuracy."""
        X = self.rows(X)
        _checks.out(out, self._vector.shape, self.dtype)
        space = self._borrow()
        try:
            trunk = self.trunk
            passes = self._plan(space, out, training, rng)
            outputs = engine.forward(trunk, X, passes)
            z, objective = outputs[-1], self._needed()
            # One that is not the last output, so that the accuracy can be read from that.
            cotangent = space.array("loss", z.shape)
            loss, g = objective.value_and_grad(z, target, sample_weight, class_weight, cotangent)
            accuracy = objective.accuracy(z, target)
            engine.backward(trunk, outputs, passes, g)
            return loss, accuracy
        finally:
            self._return(space)

    @alone
    def input_grad(
        self,
        X: Any,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
    ) -> Array:
        """Return the gradient of the loss by ``X``, of its shape."""
        X, space = self.rows(X), Workspace(self.dtype)
        passes = self.passes(space, self.trunk)
        outputs = engine.forward(self.trunk, X, passes)
        _, g = self._needed().value_and_grad(outputs[-1], target, sample_weight, class_weight, None)
        gradient = engine.backward(self.trunk, outputs, passes, g, wanted=True)
        assert gradient is not None
        return gradient

    @alone
    def hvp(
        self,
        X: Any,
        target: ArrayLike,
        direction: Sequence[ArrayLike],
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
    ) -> list[Array]:
        """Return the Hessian of the loss by all parameters, times a direction.

        The derivative of the gradient when the parameters move in ``direction``, forward over
        reverse (B. Pearlmutter, Fast exact multiplication by the Hessian, 1994): exact, at about
        the price of two gradients.

        Parameters
        ----------
        X, target, sample_weight, class_weight
            As for ``value_and_grad``.
        direction : list of array_like
            Of the shapes of ``parameters``.

        Returns
        -------
        list of ndarray
            Of the same shapes.
        """
        X, space = self.rows(X), Workspace(self.dtype)
        along = self.parameters.checked(direction, "direction")
        result = np.zeros_like(self._vector)
        passes = self.passes(space, self.trunk, gradients=split(result, self._shapes))
        engine.hessian_product(
            self.trunk,
            X,
            passes,
            self._per_layer(along),
            lambda z: self._needed().value_and_grad(z, target, sample_weight, class_weight, None),
            lambda z, dz: self._needed().hvp(z, target, dz, sample_weight, class_weight),
        )
        return split(result, self._shapes)

    @alone
    def per_sample_gradients(
        self,
        X: Any,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
    ) -> tuple[Array, list[Array]]:
        """Return every row's own loss and its gradients, each of shape (rows, *parameter).

        Sample and class weights multiply a row's loss; nothing is averaged.
        """
        X, space = self.rows(X), Workspace(self.dtype)
        trunk = self.trunk
        passes = self.passes(space, trunk)
        outputs = engine.forward(trunk, X, passes)
        objective = self._needed()
        losses, g = objective.row_values_and_grads(outputs[-1], target, sample_weight, class_weight)
        found: list[Array] = []
        for i in reversed(range(len(trunk))):
            found[:0] = trunk[i].per_row(outputs[i], g, passes[i])
            if i:
                back = trunk[i].backward(outputs[i], outputs[i + 1], g, passes[i], True)
                assert back is not None
                g = back
        return losses, found

    def gradcheck(
        self,
        X: Any,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
        directions: int = 20,
        tolerance: float = 1e-7,
        step: float = 1e-3,
        seed: int = 0,
    ) -> Any:
        """Compare the gradient with finite differences, in float64; see ``GradientCheck``.

        Near the kink of a relu the differences, not the gradient, are off; the less, the smaller
        the ``step``.

        >>> import numpy as np, softgrad as sg
        >>> from softgrad.network import Linear, Sequential
        >>> net = Sequential([Linear(2, 3), sg.sigmoid, Linear(3, 2)], loss=sg.cross_entropy)
        >>> net.gradcheck(np.ones((4, 2)), [0, 1, 1, 0]).passed
        True
        """
        from softgrad.optimize.finite_differences import check_gradient

        net = self.astype(np.float64)
        start = net.vector.copy()

        def value_and_grad(x: Array) -> tuple[float, Array]:
            net.vector[...] = x
            gradient = np.empty_like(x)
            loss, _ = net.value_and_grad_vector(
                X, target, gradient, sample_weight=sample_weight, class_weight=class_weight
            )
            return float(loss), gradient

        return check_gradient(
            value_and_grad,
            start,
            directions=directions,
            tolerance=tolerance,
            step=step,
            seed=seed,
        )

    # --- For messages ---------------------------------------------------------------------------

    def place(self, index: int) -> str:
        """How messages call a layer."""
        return f"layer {index}, {self.layers[index]!r}"

    @property
    def objective(self) -> Objective:
        """The loss as it is computed: with the last activation, where the two are one function."""
        return self._needed()

    @property
    def decayed(self) -> list[slice]:
        """The parts of ``vector`` that weight decay applies to: matrices, not biases or scales."""
        return list(self._decayed)

    @property
    def statistic_names(self) -> list[str]:
        """The names of the running statistics, which training collects without gradients."""
        return list(self._statistics)

    @property
    def statistics(self) -> list[Array]:
        """The running statistics, the network's own arrays."""
        return list(self._statistics.values())

    @property
    def workspace_bytes(self) -> int:
        """The memory that waits for the next batch."""
        return sum(space.nbytes for space in self._spaces)

    # --- Inside ---------------------------------------------------------------------------------

    def _fit_widths(self) -> tuple[int | None, int | None]:
        width: int | None = None
        first: int | None = None
        for i, layer in enumerate(self.layers):
            wants = layer.wants()
            if wants is not None and width is not None and wants != width:
                what = "one number a row" if width == 0 else f"{width}"
                raise ShapeError(
                    f"{self.place(i)}, wants {wants} features, but what comes from "
                    f"{self.place(i - 1)}, has {what}."
                )
            if wants is not None and width is None:
                width = first = wants
            self._refuse_repeated_softmax(i)
            try:
                width = layer.gives(width)
            except ShapeError as error:
                raise ShapeError(f"{self.place(i)}: {error}") from None
        return first, width

    def _refuse_repeated_softmax(self, i: int) -> None:
        before, layer = self.layers[i - 1] if i else None, self.layers[i]
        if not isinstance(layer, Activation) or not isinstance(before, Activation):
            return
        if before.function.name in NORMALIZERS - {"log_softmax"} and (
            layer.function.name in NORMALIZERS
        ):
            raise OptionError(
                f"{self.place(i)}, takes logits, but {self.place(i - 1)}, gives probabilities: "
                "normalized twice, no class could get far above the others. Drop one of them."
            )

    def _end(self, bound: WithOptions) -> Objective:
        last = len(self.layers) - 1
        while last > 0 and repr(self.layers[last]) == "identity":
            last -= 1  # it hides from the loss what stands before it
        layer = self.layers[last]
        giving = layer if isinstance(layer, Activation) else None
        return make_objective(giving, self.outputs, bound, last == len(self.layers) - 1)

    def _needed(self) -> Objective:
        if self._objective is None:
            raise OptionError("This network has no loss; make it with Sequential(..., loss=...).")
        return self._objective

    @property
    def trunk(self) -> tuple[Layer, ...]:
        """The layers whose output the loss takes."""
        objective = self._objective
        return self.layers[:-1] if objective is not None and objective.fused else self.layers

    def rows(self, X: Any) -> Any:
        """X as a C-ordered array or a CSR matrix of the network's type, of the right width."""
        if hasattr(X, "tocsr"):
            X = X.tocsr()
            if X.dtype != self.dtype:
                X = X.astype(self.dtype)
            if not isinstance(self.layers[0], Linear):
                raise ShapeError(f"{self.place(0)}, takes no sparse rows; put a Linear first.")
        else:
            X = np.asarray(X)
            if X.dtype != self.dtype:
                X = _checks.floats(X, "X")[0].astype(self.dtype)
        if X.ndim != 2 or (self.inputs is not None and X.shape[1] != self.inputs):
            wanted = "features" if self.inputs is None else self.inputs
            hint = ""
            if X.ndim == 1 and X.shape[0] == self.inputs:
                hint = " For a single row pass X[None]."
            elif X.ndim > 2 and math.prod(X.shape[1:]) == self.inputs:
                hint = " For rows of images pass X.reshape(len(X), -1)."
            raise ShapeError(
                f"X has shape {X.shape}, but {self.place(0)}, wants (rows, {wanted}).{hint}"
            )
        return X

    @alone
    def _outputs(self, X: Any, layers: tuple[Layer, ...], out: Array | None) -> Array:
        X = self.rows(X)
        space, rows = self._borrow(), X.shape[0]
        result = out
        try:
            passes = self.passes(space, layers)
            for start in range(0, max(rows, 1), _ROWS_AT_ONCE):
                part = X[start : start + _ROWS_AT_ONCE]
                y = engine.forward(layers, part, passes)[-1]
                if result is None:
                    result = np.empty((rows, *y.shape[1:]), self.dtype)
                elif start == 0:
                    _checks.out(result, (rows, *y.shape[1:]), self.dtype)
                result[start : start + _ROWS_AT_ONCE] = y
        finally:
            self._return(space)
        assert result is not None
        return result

    def passes(
        self,
        space: Workspace,
        layers: tuple[Layer, ...],
        training: bool = False,
        rng: np.random.Generator | None = None,
        gradients: list[Array] | None = None,
    ) -> list[Pass]:
        parameters = self._per_layer(self._views)
        along = [[] for _ in layers] if gradients is None else self._per_layer(gradients)
        statistics = iter(self._statistics.values())
        passes = []
        for i, layer in enumerate(layers):
            own = [next(statistics) for _ in layer.statistic_shapes()]
            free = i > 0 and layers[i - 1].disposable
            call = Pass(i, parameters[i], own, space, training, training, rng, free, along[i])
            passes.append(call)
        return passes

    def _plan(
        self, space: Workspace, out: Array, training: bool, rng: np.random.Generator | None
    ) -> list[Pass]:
        """The passes of the last time, if its gradient went to the same array."""
        if not training:
            return self.passes(space, self.trunk, gradients=split(out, self._shapes))
        if space.plan is None or space.plan[0] is not out:
            gradients = split(out, self._shapes)
            space.plan = out, self.passes(space, self.trunk, training, gradients=gradients)
        prepared: list[Pass] = space.plan[1]
        for call in prepared:
            call.rng = rng
        return prepared

    def _per_layer(self, arrays: Sequence[Array]) -> list[list[Array]]:
        rest = iter(arrays)
        return [[next(rest) for _ in layer.parameter_shapes()] for layer in self.layers]

    def _borrow(self) -> Workspace:
        # Two threads never get the same one: list.pop is atomic.
        try:
            return self._spaces.pop()
        except IndexError:
            return Workspace(self.dtype)

    def _return(self, space: Workspace) -> None:
        if space.nbytes <= _KEPT_BYTES:
            self._spaces.append(space)


def _as_layer(layer: object, index: int) -> Layer:
    if isinstance(layer, Layer):
        return layer
    if isinstance(layer, Differentiable):
        return Activation(layer)
    hint = ""
    if isinstance(layer, Loss):
        hint = " A loss comes after the layers: Sequential([...], loss=...)."
    elif isinstance(layer, type) and issubclass(layer, Layer):
        hint = f" Make one: {layer.__name__}(...)."
    raise OptionTypeError(
        f"layer {index} is {layer!r}; accepted are layers (Linear, {Dropout.__name__}, ...) and "
        f"differentiable functions of softgrad.{hint}"
    )


def _named(layers: tuple[Layer, ...], member: str) -> tuple[list[str], list[tuple[int, ...]]]:
    names, shapes = [], []
    for i, layer in enumerate(layers):
        for name, shape in getattr(layer, member)().items():
            names.append(f"{i}.{name}")
            shapes.append(shape)
    return names, shapes


def _next_activation(layers: tuple[Layer, ...]) -> Layer | None:
    """The activation before the next Linear, if there is one."""
    for layer in layers:
        if isinstance(layer, Activation | Linear):
            return layer if isinstance(layer, Activation) else None
    return None
