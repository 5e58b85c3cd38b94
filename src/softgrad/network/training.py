"""Training: mini-batches, an optimiser, early stopping, and a state to go on from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from softgrad import _checks
from softgrad._threads import alone
from softgrad._typing import Array, ArrayLike
from softgrad.errors import OptionError, ShapeError, SoftgradError
from softgrad.functions._one_thread_each import blas_on_one_thread
from softgrad.network.diagnosis import diagnose, diagnose_validation
from softgrad.network.dropout import Dropout
from softgrad.network.linear import positive
from softgrad.network.minibatches import ArraySource, Minibatch, Source, StreamSource
from softgrad.network.progress import NAN, Progress, Status, TrainingResult
from softgrad.network.sequential import Sequential
from softgrad.optimize.first_order import Adam, Optimizer, clip_scale

_CURVES = ("loss", "accuracy", "validation_loss", "validation_accuracy")

# Multiplications in the largest product of a step: below, a second thread was measured to gain
# between -13 and +7 % on an idle machine; twice as many gain 30 %.
_SMALL_PRODUCT = 8_000_000

Callback = Callable[[Progress], object]


def train(
    net: Sequential,
    X: Any,
    y: Any = None,
    *,
    sample_weight: ArrayLike | None = None,
    class_weight: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    optimizer: Optimizer | None = None,
    epochs: int = 10,
    batch_size: int = 128,
    shuffle: bool = True,
    seed: int = 0,
    clip_norm: float | None = None,
    validation: tuple[Any, ...] | None = None,
    patience: int | None = None,
    min_improvement: float = 0.0,
    on_step: Callback | None = None,
    on_epoch: Callback | None = None,
    state: Mapping[str, Array] | None = None,
    memory: Mapping[str, Array] | None = None,
) -> TrainingResult:
    """Train a network in place, by mini-batches.

    Parameters
    ----------
    net : Sequential
        With a loss. Its weights are where training starts, and what it moves.
    X : array, memory map or CSR (rows, features); or a stream
        A stream is any object whose iteration gives (X, y) or (X, y, weight) again and again, such
        as the sources of ``softgrad.data.batches``; then without ``y``.
    y : array_like
        One target a row, as the network's loss takes them.
    sample_weight : array_like (rows,), optional
    class_weight : array_like (classes,), optional
    classes : array_like, optional
        For a stream of labels: the sorted classes, whose indices are the targets.
    optimizer : Optimizer
        By default ``Adam()``. Weight decay applies to matrices only, not to biases and scales.
    epochs : int
        In all, those of a resumed state included.
    batch_size : int
    shuffle : bool
        Whether every epoch has its own order (of a stream: within blocks of 64 batches).
    seed : int
        Of order and dropout. The same seed, data and number of BLAS threads give the same bits.
    clip_norm : float, optional
        The largest norm of a gradient; longer ones are shortened to it.
    validation : tuple (X, y) or (X, y, sample_weight), optional
        Evaluated after every epoch; the weights with the lowest loss on it are kept at the end.
    patience : int, optional
        End after so many epochs without a lower validation loss.
    min_improvement : float
        By how much the validation loss must fall to count as lower for ``patience``.
    on_step, on_epoch : callable, optional
        Called with a ``Progress``; returning True ends the training.
    state : mapping, optional
        What ``Progress.state()`` returned: training goes on from there, bit for bit as if it had
        never stopped. Data and options must be those of that training.
    memory : mapping, optional
        What the optimiser remembers of other data: ``TrainingResult.memory`` of the chunk before.

    Returns
    -------
    TrainingResult
        Where the loss stops being finite, training ends with the last good weights, those before
        the step that spoilt it, and a message that names the batch and the first layer that went
        bad.

    Raises
    ------
    ValueError
        If shapes, labels or options do not fit; for a state of another architecture or run.

    Examples
    --------
    >>> import numpy as np, softgrad as sg
    >>> from softgrad.network import Linear, Sequential, train
    >>> from softgrad.optimize import Adam
    >>> X = np.random.default_rng(0).normal(size=(256, 2))
    >>> y = (X[:, 0] * X[:, 1] > 0).astype(int)
    >>> net = Sequential([Linear(2, 16), sg.sigmoid, Linear(16, 2)], loss=sg.cross_entropy, seed=0)
    >>> result = train(net, X, y, optimizer=Adam(0.05), epochs=60, batch_size=32)
    >>> result.status
    <Status.FINISHED: 'all epochs were run'>
    >>> net.evaluate(X, y)[1] > 0.95
    True
    """
    if y is None:
        known = None if classes is None else np.asarray(classes)
        source: Source = StreamSource(
            X,
            classes=known,
            batch_size=positive(batch_size, "batch_size"),
            shuffle=shuffle,
            seed=seed,
            merge_last=bool(net.statistic_names),
        )
        if sample_weight is not None:
            raise OptionError("The weights of a stream come with its batches: (X, y, weight).")
    else:
        check_labels(net, y)
        source = ArraySource(
            X,
            y,
            sample_weight,
            batch_size=positive(batch_size, "batch_size"),
            shuffle=shuffle,
            seed=seed,
            merge_last=bool(net.statistic_names),
        )
    if validation is not None:
        _check_validation(net, validation)
    if patience is not None:
        positive(patience, "patience")
        if validation is None:
            raise OptionError("patience needs validation rows: validation=(X, y).")
    run = _Run(
        net,
        source,
        optimizer=optimizer or Adam(),
        seed=seed,
        class_weight=class_weight,
        clip_norm=clip_norm,
        epochs=positive(epochs, "epochs"),
        validation=validation,
        patience=patience,
        min_improvement=min_improvement,
    )
    if memory is not None:
        run.remember(memory)
    if state is not None:
        run.resume(state)
    with _threads_of_products(net, batch_size):
        return run.go(on_step, on_epoch)


def _threads_of_products(net: Sequential, batch_size: int) -> AbstractContextManager[None]:
    """BLAS's setting for this training: one thread where the products are small.

    More gain nothing there, and have to wait for each other several times a step: beside other busy
    processes a step took forty times as long.
    """
    widest = max((math.prod(p.shape) for p in net.parameters if p.ndim == 2), default=0)
    return blas_on_one_thread() if batch_size * widest < _SMALL_PRODUCT else nullcontext()


def check_labels(net: Sequential, y: Any) -> None:
    """Refuse class indices that the network has no unit for, before any step is made."""
    y = np.asarray(y)
    bound = net.loss
    if bound is None or y.dtype.kind not in "iu" or y.ndim != 1 or not net.outputs:
        return
    if "indices" in bound.loss.targets and not bound.loss.multi_label:
        ignored = _checks.ignore_index(bound.options.get("ignore_index"))
        _checks.class_indices(y, net.outputs, ignored)


def _check_validation(net: Sequential, validation: tuple[Any, ...]) -> None:
    """Refuse rows and labels that would end the training after its first epoch."""
    if len(validation) not in (2, 3):
        raise ShapeError("validation is a tuple (X, y) or (X, y, sample_weight).")
    try:
        X, y = validation[:2]
        # The rules for training rows hold here too.
        source = ArraySource(X, y, *validation[2:], batch_size=1, shuffle=False, seed=0)
        net.rows(source.X[:1])
        check_labels(net, y)
    except SoftgradError as error:
        raise type(error)(f"validation: {error}") from None


class _Run:
    """One training: what it was asked for, and where it stands."""

    def __init__(
        self,
        net: Sequential,
        source: Source,
        *,
        optimizer: Optimizer,
        seed: int,
        class_weight: ArrayLike | None,
        clip_norm: float | None,
        epochs: int,
        validation: tuple[Any, ...] | None,
        patience: int | None,
        min_improvement: float,
    ) -> None:
        self.net, self.source, self.optimizer, self.seed = net, source, optimizer, seed
        self.class_weight, self.validation, self.patience = class_weight, validation, patience
        self.epochs, self.min_improvement = epochs, min_improvement
        if clip_norm is not None:
            clip_norm = _checks.number(clip_norm, "clip_norm", "a number > 0", lambda a: a > 0.0)
        self.clip_norm = clip_norm
        self.random = any(isinstance(a, Dropout) and a.rate > 0.0 for a in net.layers)
        self.memory = optimizer.start(net.vector)
        self.gradient = np.empty_like(net.vector)
        self.epoch, self.batch = 0, 0  # done
        self.sums = np.zeros(3)  # of this epoch: loss x rows, right x rows, rows
        self.curves: dict[str, list[float]] = {name: [] for name in _CURVES}
        self.best_epoch, self.waited, self.lowest = 0, 0, math.inf
        self.best: dict[str, Array] = {}

    # --- The state as a value -------------------------------------------------------------------

    def snapshot(self) -> dict[str, Array]:
        """Everything that the next step depends on, by name."""
        return {name: array.copy() for name, array in self._state().items()}

    def _state(self) -> dict[str, Array]:
        state = {f"network/{name}": a for name, a in self.net.numbers.items()}
        state |= {f"optimizer/{name}": a for name, a in self.memory.items()}
        state |= {f"best/{name}": a for name, a in self.best.items()}
        state |= {f"history/{name}": np.array(c) for name, c in self.curves.items()}
        counts = (self.epoch, self.batch, self.best_epoch, self.waited)
        state["training/position"] = np.array(counts, np.int64)
        state["training/sums"] = np.array([*self.sums, self.lowest])
        state["training/run"] = np.array(self._identity(), np.int64)
        return state

    def _identity(self) -> tuple[int, ...]:
        # A stream need not have counted its rows yet.
        rows = self.source.n_rows if isinstance(self.source, ArraySource) else None
        return (self.seed, self.source.batch_size, -1 if rows is None else rows)

    def resume(self, state: Mapping[str, Array]) -> None:
        """Take the place of the run that this is the snapshot of."""
        if "training/run" not in state:
            raise OptionError("This is no state of a training: it has no 'training/run'.")
        names = ("seed", "batch_size", "number of rows")
        for name, saved, own in zip(
            names, state["training/run"].tolist(), self._identity(), strict=True
        ):
            if saved != own:
                raise OptionError(
                    f"The state is of a training with {name} {saved}, not {own}: going on would "
                    "be another training. Start from net.load_state instead if that is meant."
                )
        self.net.load_state(_under(state, "network/"))
        self.remember(_under(state, "optimizer/"))
        self.best = {name: a.copy() for name, a in _under(state, "best/").items()}
        self.curves = {name: state[f"history/{name}"].tolist() for name in _CURVES}
        self.epoch, self.batch, self.best_epoch, self.waited = (
            int(n) for n in state["training/position"]
        )
        *sums, lowest = state["training/sums"]
        self.sums, self.lowest = np.array(sums), float(lowest)

    def remember(self, memory: Mapping[str, Array]) -> None:
        """Take what an optimiser of this kind has remembered."""
        for name in sorted({*memory, *self.memory}):
            saved, own = memory.get(name), self.memory.get(name)
            if saved is None or own is None:
                raise OptionError(
                    f"The state's optimiser remembers {sorted(memory)}, "
                    f"{type(self.optimizer).__name__} remembers {sorted(self.memory)}."
                )
            if saved.shape != own.shape:
                raise ShapeError(
                    f"The optimiser remembers {name} of shape {saved.shape}; this network needs "
                    f"{own.shape}: it was saved from another architecture."
                )
        self.memory = {name: a.copy() for name, a in memory.items()}

    # --- The loop -------------------------------------------------------------------------------

    def go(self, on_step: Callback | None, on_epoch: Callback | None) -> TrainingResult:
        self.started, self.rows_done, self.steps_done = time.perf_counter(), 0, 0
        # A state saved after the last batch of an epoch still lacks that epoch's end.
        while self.epoch < self.epochs:
            if self.patience is not None and self.waited >= self.patience:
                return self._end(Status.EARLY)
            for batch in self.source.epoch(self.epoch, self.batch):
                statistics = [array.copy() for array in self.net.statistics]
                loss, accuracy = self._gradient(batch)
                if not math.isfinite(loss):
                    message = self._diagnose(batch, loss)
                    self._go_back(statistics)
                    return self._end(Status.NOT_FINITE, message)
                size = self._update()
                self._count(batch, loss, accuracy)
                if on_step is not None and on_step(self._progress(size, loss)) is True:
                    return self._end(Status.STOPPED)
            status = self._end_of_epoch(on_epoch)
            if status is not None:
                return status
        return self._end(Status.FINISHED)

    def _gradient(self, batch: Minibatch) -> tuple[float, float]:
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # reported when the loss shows it
                loss, accuracy = self.net.value_and_grad_vector(
                    batch.X,
                    batch.target,
                    self.gradient,
                    sample_weight=batch.sample_weight,
                    class_weight=self.class_weight,
                    training=True,
                    rng=self._rng(),
                    only_finite=True,
                )
        except SoftgradError as error:
            raise type(error)(f"{self._place()}: {error}") from None
        return float(loss), accuracy

    def _place(self) -> str:
        return f"epoch {self.epoch + 1}, batch {self.batch + 1}"

    def _rng(self) -> np.random.Generator | None:
        """The generator of this step's dropout, which depends on the seed and the step alone."""
        if not self.random:
            return None
        return np.random.default_rng([self.seed, 2, self.epoch, self.batch])

    @alone
    def _update(self) -> float:
        scale = 1.0 if self.clip_norm is None else clip_scale(self.gradient, self.clip_norm)
        size = self.optimizer.step_size_at(self.memory)
        with np.errstate(over="ignore", invalid="ignore"):
            self.optimizer.step(
                self.net.vector,
                self.gradient,
                self.memory,
                decayed=self.net.decayed,
                scale=scale,
                keep=True,
            )
        return size

    def _go_back(self, statistics: list[Array]) -> None:
        """Undo the last step: it left the weights as they were in the gradient's place."""
        if self.steps_done:
            np.copyto(self.net.vector, self.gradient)
        for own, before in zip(self.net.statistics, statistics, strict=True):
            np.copyto(own, before)

    def _count(self, batch: Minibatch, loss: float, accuracy: float) -> None:
        rows = len(batch.target)
        self.sums += (loss * rows, accuracy * rows, rows)
        self.batch += 1
        self.steps_done += 1
        self.rows_done += rows

    def _end_of_epoch(self, on_epoch: Callback | None) -> TrainingResult | None:
        """Validation, history and callback; a result if the training ends here."""
        batches, (loss, accuracy) = self.batch, self._means()
        validation = (NAN, NAN)
        if self.validation is not None:
            Xv, yv, *weight = self.validation
            weights = {"sample_weight": weight[0] if weight else None}
            with np.errstate(over="ignore", invalid="ignore"):
                validation = self.net.evaluate(Xv, yv, class_weight=self.class_weight, **weights)
        least, most = self.net.vector.min(initial=0.0), self.net.vector.max(initial=0.0)
        if not (math.isfinite(least) and math.isfinite(most)):  # NaN is both
            self._go_back(self.net.statistics)
            return self._end(
                Status.NOT_FINITE,
                f"The weights were no longer finite after the last batch of epoch {self.epoch + 1}."
                " Use a smaller step size, or clip_norm.",
            )
        if self.validation is not None and not math.isfinite(validation[0]):
            with np.errstate(all="ignore"):
                cause = diagnose_validation(self.net, self.validation[0])
            self._go_back(self.net.statistics)
            return self._end(
                Status.NOT_FINITE,
                f"The validation loss became {validation[0]} after epoch {self.epoch + 1}: {cause}",
            )
        for name, number in zip(_CURVES, (loss, accuracy, *validation), strict=True):
            self.curves[name].append(number)
        self.epoch, self.batch, self.sums = self.epoch + 1, 0, np.zeros(3)
        if self.validation is not None:
            self._compare(validation[0])
        if on_epoch is not None:
            size = self.optimizer.step_size_at(self.memory)
            progress = self._progress(size, NAN, (loss, accuracy, *validation), batches)
            if on_epoch(progress) is True:
                return self._end(Status.STOPPED)
        return None

    def _compare(self, loss: float) -> None:
        """Keep the weights of the lowest validation loss; count the epochs without progress."""
        reference = self.lowest
        if loss < self.lowest:
            self.lowest, self.best_epoch = loss, self.epoch
            for name, array in self.net.numbers.items():
                if name in self.best:
                    np.copyto(self.best[name], array)
                else:
                    self.best[name] = array.copy()
        self.waited = 0 if loss < reference - self.min_improvement else self.waited + 1

    def _means(self) -> tuple[float, float]:
        total = self.sums[2]
        if not total:
            return NAN, NAN
        return float(self.sums[0] / total), float(self.sums[1] / total)

    # --- Reports --------------------------------------------------------------------------------

    def _progress(
        self,
        size: float,
        batch_loss: float,
        epoch: tuple[float, ...] | None = None,
        batches: int | None = None,
    ) -> Progress:
        elapsed = time.perf_counter() - self.started
        steps = self.source.steps
        loss, accuracy, *validation = (*self._means(), NAN, NAN) if epoch is None else epoch
        done = self.epoch * (steps or 0) + self.batch
        remaining = None
        if steps is not None:
            remaining = elapsed / max(self.steps_done, 1) * (self.epochs * steps - done)
        return Progress(
            epoch=self.epoch if epoch is not None else self.epoch + 1,
            epochs=self.epochs,
            batch=batches if batches is not None else self.batch,
            batches=steps,
            step=int(self.memory["steps"]),
            loss=loss,
            accuracy=accuracy,
            step_size=size,
            rate=self.rows_done / max(elapsed, 1e-9),
            elapsed=elapsed,
            remaining=remaining,
            batch_loss=batch_loss,
            validation_loss=validation[0],
            validation_accuracy=validation[1],
            best_epoch=self.best_epoch,
            snapshot=self.snapshot,
        )

    def _diagnose(self, batch: Minibatch, loss: float) -> str:
        with np.errstate(all="ignore"):
            cause = diagnose(self.net, batch.X, self._rng())
        return f"The loss became {loss} in {self._place()}: {cause}"

    def _end(self, status: Status, message: str | None = None) -> TrainingResult:
        # What this run alone has used goes to the result as it is; the network lives on.
        del self.gradient
        self.net.release()
        state = self._state()
        state |= {f"network/{name}": a for name, a in self.net.state().items()}
        if self.best and status is not Status.STOPPED:
            self.net.load_state(self.best)
        return TrainingResult(
            status=status,
            message=message or f"{status.value[0].upper()}{status.value[1:]}.",
            epochs=self.epoch,
            steps=int(self.memory["steps"]),
            best_epoch=self.best_epoch if status is not Status.STOPPED else 0,
            history=self.curves,
            state=state,
            memory=_under(state, "optimizer/"),
        )


def _under(state: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {k.removeprefix(prefix): a for k, a in state.items() if k.startswith(prefix)}
