"""A network of layers, one after the other, with the loss at its end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, final

import numpy as np

from softgrad import _checks
from softgrad._protocol import Differentiable, Loss
from softgrad._threads import alone
from softgrad._typing import Array, ArrayLike
from softgrad.errors import DtypeError, OptionError, ShapeError
from softgrad.network import engine
from softgrad.network.layer import Layer, Pass
from softgrad.network.linear import Linear
from softgrad.network.objective import Objective, WithOptions, as_bound, make_objective
from softgrad.network.parameters import Numbers, ParameterList, split
from softgrad.network.structure import as_layers, fit_widths, place
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
        self.layers = as_layers(layers)
        self.loss = None if loss is None else as_bound(loss)
        self.inputs, self.outputs = fit_widths(self.layers)
        self._objective = (
            None if self.loss is None else make_objective(self.layers, self.outputs, self.loss)
        )
        self._numbers = Numbers(self.layers, self.dtype)
        self._spaces: list[Workspace] = []
        self.initialize(seed)

    def __repr__(self) -> str:
        inside = ", ".join(map(repr, self.layers))
        return f"Sequential([{inside}], loss={self.loss!r})"

    # --- Numbers --------------------------------------------------------------------------------

    def initialize(self, seed: int | None = None) -> None:
        """Draw new initial weights; the same seed gives the same ones."""
        self._numbers.initialize(self.layers, seed)

    @property
    def parameters(self) -> ParameterList:
        """The parameters, a list of arrays in the order of the layers; weights before biases.

        The arrays are the network's own: writing into one, assigning to an entry of the list or to
        ``net.parameters`` as a whole changes the network.
        """
        return ParameterList(self._numbers.parameters, self._numbers.names)

    @parameters.setter
    def parameters(self, values: Sequence[ArrayLike]) -> None:
        self.parameters.assign(values)

    @property
    def parameter_names(self) -> list[str]:
        """The names of the parameters, such as "0.weight": the layer's index, then its own."""
        return list(self._numbers.names)

    @property
    def vector(self) -> Array:
        """All parameters in one array, of which ``parameters`` are parts: what optimisers move."""
        return self._numbers.vector

    @property
    def numbers(self) -> dict[str, Array]:
        """The network's own parameters and running statistics, by name."""
        return self._numbers.all()

    def state(self) -> dict[str, Array]:
        """Copies of the parameters and running statistics, by name."""
        return {name: array.copy() for name, array in self.numbers.items()}

    def load_state(self, state: Mapping[str, ArrayLike]) -> None:
        """Take the numbers of ``state``.

        Raises
        ------
        ValueError
            If it is the state of another architecture; the message names the first difference.
        """
        self._numbers.load(state)

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
        gradient = np.empty_like(self.vector)
        loss, _ = self.value_and_grad_vector(
            X,
            target,
            gradient,
            sample_weight=sample_weight,
            class_weight=class_weight,
            training=training,
            rng=rng,
        )
        return loss, split(gradient, self._numbers.shapes)

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
        only_finite: bool = False,
    ) -> tuple[Any, float]:
        """Write the gradient to ``out``, laid out like ``vector``; return loss and accuracy.

        With ``only_finite`` a loss that is not finite leaves ``out`` as it is.
        """
        X = self.rows(X)
        _checks.out(out, self.vector.shape, self.dtype)
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
            if not only_finite or math.isfinite(loss):
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
        result = np.zeros_like(self.vector)
        passes = self.passes(space, self.trunk, gradients=split(result, self._numbers.shapes))
        engine.hessian_product(
            self.trunk,
            X,
            passes,
            self._per_layer(along),
            lambda z: self._needed().value_and_grad(z, target, sample_weight, class_weight, None),
            lambda z, dz: self._needed().hvp(z, target, dz, sample_weight, class_weight),
        )
        return split(result, self._numbers.shapes)

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
        return place(self.layers, index)

    @property
    def objective(self) -> Objective:
        """The loss as it is computed: with the last activation, where the two are one function."""
        return self._needed()

    @property
    def decayed(self) -> list[slice]:
        """The parts of ``vector`` that weight decay applies to: matrices, not biases or scales."""
        return list(self._numbers.decayed)

    @property
    def statistic_names(self) -> list[str]:
        """The names of the running statistics, which training collects without gradients."""
        return list(self._numbers.statistics)

    @property
    def statistics(self) -> list[Array]:
        """The running statistics, the network's own arrays."""
        return list(self._numbers.statistics.values())

    def release(self) -> None:
        """Give back the memory that waits for the next batch."""
        while self._spaces:
            self._spaces.pop().plan = None  # it refers to the workspace in turn

    # --- Inside ---------------------------------------------------------------------------------

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
        parameters = self._per_layer(self._numbers.parameters)
        along = [[] for _ in layers] if gradients is None else self._per_layer(gradients)
        statistics = iter(self._numbers.statistics.values())
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
            return self.passes(space, self.trunk, gradients=split(out, self._numbers.shapes))
        if space.plan is None or space.plan[0] is not out:
            gradients = split(out, self._numbers.shapes)
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
