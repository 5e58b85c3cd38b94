"""A neural network as a classifier with scikit-learn's API."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from softgrad._protocol import Differentiable, Loss
from softgrad.errors import OptionError
from softgrad.estimators import neural_net_options as options
from softgrad.estimators.neural_net_data import (
    Encoder,
    Rows,
    label_weights,
    new_rows,
    prepare,
    split_rows,
)
from softgrad.estimators.neural_net_head import LABELS, Head, head_for
from softgrad.estimators.neural_net_onnx import NetworkOnnxMixin
from softgrad.estimators.neural_net_training import learn_chunk, run
from softgrad.estimators.scaling import ScaledRows, Scaling, learn_scaling
from softgrad.network import (
    Activation,
    Progress,
    Sequential,
    Status,
    WithOptions,
)
from softgrad.optimize import GradientCheck
from softgrad.optimize.first_order import Optimizer
from softgrad.optimize.schedules import Schedule

Array = npt.NDArray[Any]

_ROWS_AT_ONCE = 4096
_COPIED_BYTES = 1 << 30  # larger data are scaled batch by batch


class NeuralNetClassifier(NetworkOnnxMixin, ClassifierMixin, BaseEstimator):
    """A neural network that gives the probabilities of classes, or of labels.

    Linear layers with any activation of the library between them and any loss at the end, trained
    by mini-batches. Inputs are standardized inside (see ``standardize``), so that features need not
    be scaled. With columns of 0 and 1 as ``y`` (N, L) any number of labels may be right in a row:
    each has a sigmoid of its own.

    Parameters
    ----------
    hidden : sequence of int, default (100,)
        Units of the hidden layers; () is softmax regression by mini-batches.
    activation : str, Differentiable or Activation, default "relu"
        Any of ``softgrad.functions.ACTIVATIONS``, by name, as a function, or with options:
        ``Activation(sg.elu, alpha=0.5)``.
    loss : str, Loss or WithOptions, default "auto"
        Any of ``softgrad.functions.LOSSES`` that learns from labels; "auto" is "cross_entropy", and
        "binary_cross_entropy" for columns of labels. Losses of probabilities come after a softmax,
        errors of values ("squared_error", "huber", ...) compare the probabilities with 0 and 1, and
        losses of a yes or no ("binary_cross_entropy", "sigmoid_focal") set each class against the
        rest.
    optimizer : "adam", "adamw", "sgd" or Optimizer, default "adam"
    learning_rate : float, optional
        By default 0.001, for "sgd" 0.05.
    momentum : float, optional
        Of "sgd", in Nesterov's form; by default 0.9.
    schedule : "constant", "cosine", "exponential", "one-cycle", "step" or Schedule
        How the learning rate changes over all steps: by half a cosine to 0, by equal factors to one
        hundredth, up and down again, or in three stairs of a tenth.
    warm_up : int, default 0
        Steps over which the learning rate grows to full size.
    batch_size : int, default 128
    epochs : int, default 100
    early_stopping : bool, default False
        Keep ``validation_fraction`` of the rows apart (or take those that ``fit`` was given), end
        after ``patience`` epochs without a lower loss on them, and keep the best weights.
    validation_fraction : float, default 0.1
    patience : int, default 10
    min_improvement : float, default 0.0
        By how much the validation loss must fall to count as lower.
    dropout : float, default 0.0
        The share of the hidden units that is left out at each step.
    weight_decay : float, default 0.0
        Of matrices, not of biases.
    clip_norm : float, optional
        The largest norm of a gradient.
    label_smoothing : float, default 0.0
    class_weight : dict, "balanced" or None
        Weight of each class; "balanced" weighs classes by ``n / (K * count)``. With columns of
        labels a dictionary weighs their losses; yes against no is the loss's ``pos_weight``.
    standardize : "auto", "features", "jointly" or None, default "auto"
        Subtract the mean and divide by the deviation: of each feature ("features"), or of all
        together ("jointly"), as "auto" does with pixels (uint8) and sparse rows. Sparse rows are
        only divided. ``partial_fit`` learns both from its first chunk.
    dtype : "auto", "float32" or "float64", default "auto"
        Of weights and computation; "auto" is that of ``X``, float32 for uint8.
    random_state : int, RandomState or None
        An int makes a run repeatable to the last bit (with the same number of BLAS threads).
    warm_start : bool, default False
        Start from the weights and the scaling of the previous fit.
    verbose : int, default 0
        1 prints a line for each epoch.
    on_step, on_epoch : callable, optional
        Called with a :class:`softgrad.network.Progress`; returning True ends the training.

    Attributes
    ----------
    classes_ : array (K,)
        With columns of labels: their numbers, 0 to L - 1.
    network_ : Sequential
        Works on scaled rows; ``network_.parameters`` are the weights.
    mean_, scale_ : array (D,)
        What is subtracted from the features, and what they are divided by.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.
    history_ : dict of lists
        "loss", "accuracy", "validation_loss", "validation_accuracy" of every epoch, the first two
        as they were during the epoch.
    n_epochs_ : int
    best_epoch_ : int
        The epoch whose weights were kept; 0 without validation rows.
    status_ : softgrad.network.Status
        Why the training ended; ``message_`` says it in words.

    Notes
    -----
    An interrupted fit (Ctrl-C) keeps the best weights so far (without validation rows the last
    ones) in these attributes and then raises ``KeyboardInterrupt`` again.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> import softgrad as sg
    >>> X, y = load_iris(return_X_y=True)
    >>> model = sg.NeuralNetClassifier((16,), activation="gelu", learning_rate=0.01, random_state=0)
    >>> model.fit(X, y).score(X, y) > 0.95
    True
    >>> model.predict_proba(X[:1]).shape
    (1, 3)
    """

    classes_: Array
    network_: Sequential
    mean_: npt.NDArray[np.float64]
    scale_: npt.NDArray[np.float64]
    n_features_in_: int
    feature_names_in_: Array
    history_: dict[str, list[float]]
    n_epochs_: int
    best_epoch_: int
    status_: Status
    message_: str

    def __init__(
        self,
        hidden: Sequence[int] | int = (100,),
        *,
        activation: str | Differentiable | Activation = "relu",
        loss: str | Loss | WithOptions = "auto",
        optimizer: str | Optimizer = "adam",
        learning_rate: float | None = None,
        momentum: float | None = None,
        schedule: str | Schedule = "constant",
        warm_up: int = 0,
        batch_size: int = 128,
        epochs: int = 100,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 10,
        min_improvement: float = 0.0,
        dropout: float = 0.0,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        label_smoothing: float = 0.0,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        standardize: Literal["auto", "features", "jointly"] | None = "auto",
        dtype: Literal["auto", "float32", "float64"] = "auto",
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        on_step: Callable[[Progress], object] | None = None,
        on_epoch: Callable[[Progress], object] | None = None,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.schedule = schedule
        self.warm_up = warm_up
        self.batch_size = batch_size
        self.epochs = epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.min_improvement = min_improvement
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.standardize = standardize
        self.dtype = dtype
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.on_step = on_step
        self.on_epoch = on_epoch

    # --- Training -------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation: tuple[Any, ...] | None = None,
        state: Mapping[str, Array] | None = None,
    ) -> Self:
        """Train the network on rows ``X`` with labels ``y``.

        Parameters
        ----------
        X : array, CSR matrix or data frame (N, D)
        y : array (N,), or (N, L) of 0 and 1
        sample_weight : array (N,) or None
            Not negative.
        validation : tuple (X, y) or (X, y, sample_weight), optional
            Rows whose loss is measured after every epoch; the weights with the lowest are kept.
        state : mapping, optional
            What ``Progress.state()`` gave to a callback: the training goes on from there, bit for
            bit as if it had never stopped. Data and options must be those of that training.

        Raises
        ------
        ValueError
            For one class only, for NaN and infinities (with row and column), for options out of
            range or that contradict each other, for a state of another architecture or training.

        Warns
        -----
        ConvergenceWarning
            If the loss was no longer finite: training then ends with the last good weights, and the
            message names the batch and the first layer that went bad.
        """
        rows, classes = prepare(self, X, y, sample_weight)
        self._check_start(classes, rows.multi_label)
        held = None if validation is None else self._held_out(validation, classes)
        self.check_options(rows.multi_label)
        seed = self._seed()
        if held is None and self.early_stopping:
            fraction = options.number(
                self.validation_fraction, "validation_fraction", 0.0, 1.0, above=True, below=True
            )
            rows, held = split_rows(rows, fraction, seed)
        going_on = self.warm_start and hasattr(self, "network_")
        if going_on:
            scaling = self._scaling
        else:
            scaling = learn_scaling(rows.X, self.standardize, rows.weight)
        dtype = self._dtype_of(rows.X)
        network = self._network(rows, len(classes), dtype, seed)
        if going_on:
            network.load_state(self.network_.state())
        self._take(network, scaling, classes, rows.multi_label)
        result = run(self, rows, held, seed, state)
        if result.status is Status.NOT_FINITE:
            warnings.warn(
                f"NeuralNetClassifier stopped early. {result.message} The last good weights were"
                " kept.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def check_gradient(self, X: Any, y: Any, sample_weight: Any = None) -> GradientCheck:
        """Compare the gradient that :meth:`fit` would follow with finite differences.

        On these rows, at the initial weights, in float64, without dropout; the model stays as it
        is. A step of 1e-5 keeps the kinks of relu and its like out of the way.
        """
        model = type(self)(**self.get_params(deep=False))
        rows, classes = prepare(model, X, y, sample_weight)
        scaling = learn_scaling(rows.X, model.standardize, rows.weight)
        network = model._network(rows, len(classes), np.dtype(np.float64), model._seed())
        model._take(network, scaling, classes, rows.multi_label)
        check: GradientCheck = network.gradcheck(
            model._scaled(rows.X),
            model._target(rows),
            sample_weight=rows.weight,
            class_weight=label_weights(model.class_weight, rows),
            step=1e-5,
        )
        return check

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one pass over a chunk of rows; the optimiser remembers the chunks before.

        Parameters
        ----------
        X : array or CSR (n, D)
            The first chunk decides the scaling of the features: make it typical.
        y : array (n,), or (n, L) of 0 and 1
        classes : array (K,) or None
            All classes. Needed at the first call, except with columns of labels.
        sample_weight : array (n,) or None

        Raises
        ------
        ValueError
            No classes at the first call, other ones later, a label that is none of them; class
            weights "balanced" and schedules over a number of steps, which a stream cannot know.
        """
        learn_chunk(self, X, y, classes, sample_weight)
        return self

    # --- Predictions ----------------------------------------------------------------------------

    def decision_function(self, X: Any) -> Array:
        """Logits (N, K), whose softmax are the probabilities; of two classes the log-odds (N,).

        With columns of labels: the log-odds of each (N, L).
        """
        logits = self._head.logits(self._outputs(X))
        two_classes = self._head.meaning != LABELS and logits.shape[1] == 2
        return logits[:, 1] - logits[:, 0] if two_classes else logits

    def predict(self, X: Any) -> Array:
        """The most probable class of every row; or for every label 1 if it is probable, else 0."""
        z = self._outputs(X)
        if self._head.meaning == LABELS:
            return (z > 0).astype(np.int64)
        predicted: Array = self.classes_[z.argmax(axis=1)]
        return predicted

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (N, K) in the order of ``classes_``; or of every label to be right."""
        return self._head.probabilities(self._outputs(X))

    def predict_log_proba(self, X: Any) -> Array:
        """Log-probabilities (N, K), computed in log space: no probability is too small."""
        return self._head.log_probabilities(self._outputs(X))

    def _outputs(self, X: Any) -> Array:
        """What comes out of the last Linear layer."""
        check_is_fitted(self)
        X = new_rows(self, X)
        network, head = self.network_, self._head
        until = len(network.layers) - (head.last is not None)
        z = np.empty((X.shape[0], network.outputs or 0), network.dtype)
        for start in range(0, X.shape[0], _ROWS_AT_ONCE):
            part = self._scaling.rows(X[start : start + _ROWS_AT_ONCE], network.dtype)
            network.forward(part, until=until, out=z[start : start + _ROWS_AT_ONCE])
        return z

    # --- What the options make ------------------------------------------------------------------

    def check_options(self, multi_label: bool = False) -> None:
        """Raise ValueError or TypeError for the first option that :meth:`fit` would refuse."""
        self._loss_and_head(multi_label)
        self._optimizer(1)
        options.hidden_layers(
            1,
            2,
            options.hidden_sizes(self.hidden),
            options.activation_of(self.activation),
            self.dropout,
        )
        for name in ("batch_size", "epochs", "patience"):
            options.whole(getattr(self, name), name)
        options.number(self.min_improvement, "min_improvement", 0.0)
        if self.clip_norm is not None:
            options.number(self.clip_norm, "clip_norm", 0.0, above=True)
        if self.dtype not in ("auto", "float32", "float64"):
            raise OptionError(
                f"dtype={self.dtype!r}; accepted are 'auto', 'float32' and 'float64'."
            )

    def _loss_and_head(self, multi_label: bool) -> tuple[WithOptions, Head]:
        loss = options.loss_of(
            self.loss, multi_label=multi_label, label_smoothing=self.label_smoothing
        )
        return loss, head_for(loss, multi_label=multi_label)

    def _optimizer(self, steps: int | None) -> Optimizer:
        return options.optimizer_of(
            self.optimizer,
            self.learning_rate,
            self.momentum,
            self.weight_decay,
            self.schedule,
            self.warm_up,
            steps,
        )

    def _network(
        self, rows: Rows, n_outputs: int, dtype: np.dtype[Any], seed: int | None
    ) -> Sequential:
        loss, head = self._loss_and_head(rows.multi_label)
        layers = options.hidden_layers(
            int(rows.X.shape[1]),
            n_outputs,
            options.hidden_sizes(self.hidden),
            options.activation_of(self.activation),
            self.dropout,
        )
        if head.last is not None:
            layers.append(head.last)
        return Sequential(layers, loss=loss, dtype=dtype, seed=seed)

    def _take(
        self, network: Sequential, scaling: Scaling, classes: Array, multi_label: bool
    ) -> None:
        assert network.loss is not None
        self.network_, self.classes_ = network, classes
        self.mean_, self.scale_ = scaling.mean, scaling.scale
        self._multi_label = multi_label
        for name in ("_chunks", "_memory"):  # of an earlier partial_fit
            self.__dict__.pop(name, None)

    @property
    def _head(self) -> Head:
        check_is_fitted(self)
        assert self.network_.loss is not None
        return head_for(self.network_.loss, multi_label=self._multi_label)

    @property
    def _scaling(self) -> Scaling:
        return Scaling(self.mean_, self.scale_)

    def _seed(self) -> int:
        if options.is_a(Integral, self.random_state):
            check_random_state(self.random_state)  # refuses negative ones
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _dtype_of(self, X: Any) -> np.dtype[Any]:
        if self.dtype != "auto":
            return np.dtype(self.dtype)
        return np.dtype(np.float64 if X.dtype == np.float64 else np.float32)

    def _scaled(self, X: Any) -> Any:
        dtype = self.network_.dtype
        if hasattr(X, "tocsr") or X.size * dtype.itemsize <= _COPIED_BYTES:
            return self._scaling.rows(X, dtype)
        return ScaledRows(X, self._scaling, dtype)

    def _target(self, rows: Rows) -> Array:
        return self._head.target(rows.encoded, len(self.classes_), self.network_.dtype)

    def _validation(self, held: Rows) -> tuple[Any, ...]:
        return self._scaled(held.X), self._target(held), held.weight

    def _held_out(self, validation: Any, classes: Array) -> Rows:
        if not isinstance(validation, tuple) or len(validation) not in (2, 3):
            raise OptionError("validation is a tuple (X, y) or (X, y, sample_weight).")
        X, y, *weight = validation
        rows, _ = prepare(
            self, X, y, weight[0] if weight else None, known=Encoder(classes), reset=False
        )
        return rows

    def _check_start(self, classes: Array, multi_label: bool, always: bool = False) -> None:
        """What is learnt on must be what the weights, if they are kept, were made for."""
        if not (hasattr(self, "network_") and (always or self.warm_start)):
            return
        same = multi_label == self._multi_label and np.array_equal(classes, self.classes_)
        if not same:
            raise OptionError(
                f"The previous fit knows the classes {self.classes_.tolist()}, this data has"
                f" {classes.tolist()}. Fit with warm_start=False, or on the same classes."
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        return tags
