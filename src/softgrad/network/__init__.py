"""Networks: any activation with any loss, their derivatives, and training.

    from softgrad.network import Sequential, Linear, Dropout, train
    from softgrad.optimize import Adam, Cosine

    net = Sequential(
        [Linear(784, 256), sg.relu, Dropout(0.1), Linear(256, 10)],
        loss=sg.cross_entropy,  # or WithOptions(sg.huber, delta=2.0)
        dtype=np.float32,                      # or float64
        seed=0,                                # of the initial weights
    )
    net.forward(X)                             # outputs, shape (rows, 10)
    net.parameters[0] = W                      # a list of the network's own arrays
    net.vector                                 # the same numbers as one vector
    loss, gradients = net.value_and_grad(X, target, sample_weight=s, class_weight=w)
    net.input_grad(X, target)                  # gradient by X
    net.hvp(X, target, direction)              # Hessian times a direction, a list like parameters
    net.per_sample_gradients(X, target)        # every row's loss, and its gradients
    net.gradcheck(X, target).passed            # against finite differences
    net.evaluate(X, target)                    # loss, accuracy
    net.state(), net.load_state(state)         # names -> arrays: parameters and statistics
    net.config(), Sequential.from_config(c)    # the architecture as JSON-able values
    net.copy(), net.astype(np.float64)

    result = train(
        net, X, y,                             # or a stream of (X, y[, weight]); memory maps; CSR
        optimizer=Adam(Cosine(1e-3, steps=4690)),
        epochs=10, batch_size=128, seed=0,
        validation=(Xv, yv), patience=3,       # early stopping, best weights kept
        clip_norm=1.0,
        on_step=f, on_epoch=g,                 # called with a Progress; return True to end
        state=None,                            # a Progress.state() to go on from, bit for bit
    )
    result.status, result.message              # Status.FINISHED, EARLY, STOPPED or NOT_FINITE
    result.history["validation_loss"]          # also loss, accuracy, validation_accuracy
    result.state                               # names -> arrays, as from Progress.state()

    train_lbfgs(net, X, y)                     # all rows at once
    find_step_size(net, X, y).suggestion       # the learning-rate finder

Layers: ``Linear``, ``Dropout``, ``BatchNorm``, ``LayerNorm``, ``Activation(function, **options)``;
a bare function of the library means ``Activation(function)``. Layers are descriptions and hold no
numbers: one object may stand in several networks.

What is shown of a training while it runs is in ``Progress``: epoch, epochs, batch, batches, step,
loss, accuracy, step_size, rate (rows/s), elapsed, remaining (s), batch_loss, validation_loss,
validation_accuracy, best_epoch; and ``state()``, the checkpoint. Exceptions raised by a callback
(KeyboardInterrupt too) pass through and leave the weights where they are.
"""

from softgrad.network.activation import Activation
from softgrad.network.dropout import Dropout
from softgrad.network.full_batch import train_lbfgs
from softgrad.network.layer import Layer
from softgrad.network.linear import Linear
from softgrad.network.normalization import BatchNorm, LayerNorm
from softgrad.network.objective import WithOptions
from softgrad.network.progress import Progress, Status, TrainingResult
from softgrad.network.sequential import Sequential
from softgrad.network.step_size import StepSizeSearch, find_step_size
from softgrad.network.training import train

__all__ = [
    "Activation",
    "BatchNorm",
    "Dropout",
    "Layer",
    "LayerNorm",
    "Linear",
    "Progress",
    "Sequential",
    "Status",
    "StepSizeSearch",
    "TrainingResult",
    "WithOptions",
    "find_step_size",
    "train",
    "train_lbfgs",
]
