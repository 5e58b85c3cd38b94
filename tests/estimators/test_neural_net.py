"""NeuralNetClassifier: scikit-learn's checks, and what only it promises."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import softgrad as sg
from softgrad.estimators import NeuralNetClassifier
from softgrad.functions import ACTIVATIONS, LOSSES
from softgrad.network import Activation, Linear, Sequential, Status, WithOptions, train
from softgrad.optimize import SGD, Adam, AdamW, Cosine, OneCycle

LEARNABLE = sorted(set(LOSSES) - {"distillation"})


@parametrize_with_checks([NeuralNetClassifier()])
@pytest.mark.filterwarnings("default")
def test_every_check_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture
def iris():
    return load_iris(return_X_y=True)


def small(**options):
    given = {"hidden": (8,), "epochs": 30, "learning_rate": 0.02, "random_state": 0}
    return NeuralNetClassifier(**(given | options))


def same(a, b, X):
    return a.predict_proba(X).tobytes() == b.predict_proba(X).tobytes()


# --- What is trained ---------------------------------------------------------------------------


def test_it_is_the_network_that_a_user_would_write(iris):
    """The same layers, scaled rows and seeds, given to ``train`` by hand."""
    X, y = iris
    model = small(hidden=(7, 5), activation="tanh", batch_size=32, epochs=5).fit(X, y)
    scaled = StandardScaler().fit_transform(X)
    assert np.allclose(model._scaling.rows(X, np.dtype(float)), scaled, rtol=1e-12, atol=1e-12)
    net = Sequential(
        [Linear(4, 7), sg.tanh, Linear(7, 5), sg.tanh, Linear(5, 3)],
        loss=sg.cross_entropy,
        dtype=np.float64,
        seed=0,
    )
    train(net, scaled, y, optimizer=Adam(0.02), epochs=5, batch_size=32, seed=0)
    z = net.forward(scaled)
    assert np.allclose(model.decision_function(X), z, rtol=1e-9, atol=1e-9)
    assert np.allclose(model.predict_proba(X), sg.softmax(z), rtol=1e-9, atol=0)
    assert model.history_["loss"][-1] == pytest.approx(log_loss(y, model.predict_proba(X)), rel=0.2)


@pytest.mark.parametrize("loss", LEARNABLE)
@pytest.mark.parametrize("labels", [2, 3])
def test_every_loss_learns(iris, loss, labels):
    X, y = iris
    X, y = X[y < labels], np.array(["a", "b", "c"])[y[y < labels]]
    model = small(loss=loss, epochs=80).fit(X, y)
    assert model.score(X, y) > 0.9
    p = model.predict_proba(X)
    assert p.shape == (len(X), labels)
    assert np.allclose(p.sum(axis=1), 1.0, rtol=0, atol=1e-12)
    assert (model.classes_[p.argmax(axis=1)] == model.predict(X)).all()
    assert np.allclose(np.exp(model.predict_log_proba(X)), p, rtol=1e-12, atol=0)
    decision = model.decision_function(X)
    if labels == 2:
        assert np.allclose(sg.sigmoid(decision), p[:, 1], rtol=1e-12, atol=0)
    else:
        assert np.allclose(sg.softmax(decision), p, rtol=1e-12, atol=0)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_by_name_and_as_an_object(iris, activation):
    X, y = iris
    by_name = small(activation=activation, epochs=3).fit(X, y)
    assert same(by_name, small(activation=ACTIVATIONS[activation], epochs=3).fit(X, y), X)
    assert repr(by_name.network_.layers[1]) == activation


def test_options_of_activation_and_loss(iris):
    X, y = iris
    model = small(
        activation=Activation(sg.elu, alpha=0.3), loss=WithOptions(sg.focal, gamma=3.0)
    ).fit(X, y)
    assert repr(model.network_.layers[1]) == "Activation(elu, alpha=0.3)"
    assert repr(model.network_.loss) == "WithOptions(focal, gamma=3.0)"


def test_label_smoothing_reaches_the_loss(iris):
    X, y = iris
    model = small(label_smoothing=0.3, epochs=100).fit(X, y)
    assert repr(model.network_.loss) == "WithOptions(cross_entropy, label_smoothing=0.3)"
    # The best that can be is a confidence of 1 - 0.3 + 0.3 / 3 everywhere.
    plain = small(epochs=100).fit(X, y)
    confidence = [m.predict_proba(X).max(axis=1).mean() for m in (model, plain)]
    assert confidence[0] < 0.82
    assert confidence[1] > 0.9


@pytest.mark.parametrize(
    ("options", "optimizer"),
    [
        ({}, Adam(0.02)),
        ({"optimizer": "adamw", "weight_decay": 0.1}, AdamW(0.02, weight_decay=0.1)),
        ({"optimizer": "sgd"}, SGD(0.02, momentum=0.9, nesterov=True)),
        ({"optimizer": "sgd", "momentum": 0.0}, SGD(0.02)),
        ({"schedule": "cosine"}, Adam(Cosine(0.02, steps=15))),
        ({"schedule": "one-cycle"}, Adam(OneCycle(0.02, steps=15))),
    ],
)
def test_optimizers_and_schedules_by_name(iris, options, optimizer):
    X, y = iris
    named = small(epochs=5, batch_size=50, **options).fit(X, y)
    given = small(epochs=5, batch_size=50, learning_rate=None, optimizer=optimizer).fit(X, y)
    assert same(named, given, X)


def test_unscaled_features_are_standardized(iris):
    X, y = iris
    units = np.array([1e-6, 1.0, 1e3, 1e9])
    model, other = small().fit(X, y), small().fit(X * units + 7 * units, y)
    assert np.allclose(
        model.predict_proba(X), other.predict_proba(X * units + 7 * units), rtol=1e-5
    )
    without = small(standardize=None).fit(X, y)
    assert (without.mean_ == 0).all()
    assert (without.scale_ == 1).all()
    constant = small().fit(np.column_stack([X, np.full(len(X), 0.1)]), y)
    assert constant.scale_[4] == 1.0


def test_pixels_share_a_scale():
    X, y = load_digits(return_X_y=True)
    pixels = X.astype(np.uint8)
    model = small(epochs=10, batch_size=32).fit(pixels, y)
    assert len(set(model.scale_)) == len(set(model.mean_)) == 1
    assert model.scale_[0] == pytest.approx(pixels.std(), rel=1e-12)
    assert model.mean_[0] == pytest.approx(pixels.mean(), rel=1e-12)
    assert model.network_.dtype == np.float32
    assert model.score(pixels, y) > 0.9


@pytest.mark.parametrize("convert", [sparse.csr_matrix, sparse.csr_array, sparse.coo_matrix])
def test_sparse_rows_are_the_dense_ones(iris, convert):
    X, y = iris
    X = np.where(X > 2, X, 0.0)
    model = small(epochs=5, standardize=None).fit(convert(X), y)
    dense = small(epochs=5, standardize=None).fit(X, y)
    assert np.allclose(model.predict_proba(convert(X)), dense.predict_proba(X), rtol=1e-9)
    scaled = small().fit(convert(X), y)  # divided, not centred
    assert (scaled.mean_ == 0).all()
    assert scaled.scale_[0] == pytest.approx(np.sqrt((X**2).mean()), rel=1e-12)
    assert np.allclose(scaled.predict_proba(convert(X)), scaled.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_type_of_the_computation(iris, dtype):
    X, y = iris
    assert small(epochs=1).fit(X.astype(dtype), y).network_.dtype == dtype
    assert small(epochs=1, dtype=dtype).fit(X, y).predict_proba(X).dtype == dtype


# --- Weights -----------------------------------------------------------------------------------


def test_class_weights_are_sample_weights(iris, rng):
    X, y = iris
    s = rng.random(len(y)) + 0.1
    by_class = {0: 2.0, 1: 0.5}
    model = small(class_weight=by_class, epochs=5).fit(X, y, s)
    weights = s * np.array([2.0, 0.5, 1.0])[y]
    assert np.allclose(
        model.predict_proba(X), small(epochs=5).fit(X, y, weights).predict_proba(X), rtol=1e-9
    )
    few = np.concatenate([np.arange(50), [50, 60, 100, 120]])
    balanced = small(class_weight="balanced", epochs=5).fit(X[few], y[few])
    counted = len(few) / (3 * np.bincount(y[few]))[y[few]]
    other = small(epochs=5).fit(X[few], y[few], counted)
    assert np.allclose(balanced.predict_proba(X), other.predict_proba(X), rtol=1e-9)


def test_rows_of_weight_zero_do_not_count(iris):
    X, y = iris
    s = (np.arange(len(y)) % 3 > 0).astype(float)
    model = small(epochs=20, batch_size=200).fit(X, y, s)
    without = small(epochs=20, batch_size=200).fit(X[s > 0], y[s > 0])
    assert np.allclose(model.predict_proba(X), without.predict_proba(X), rtol=1e-8)


# --- Repeating, stopping, going on --------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits(iris):
    X, y = iris
    options = {"dropout": 0.2, "early_stopping": True, "batch_size": 16}
    first = small(**options).fit(X, y)
    assert same(first, small(**options).fit(X, y), X)
    assert not same(first, small(**options | {"random_state": 1}).fit(X, y), X)
    assert same(first, clone(first).fit(X, y), X)


def test_early_stopping_keeps_the_best_weights(iris):
    X, y = iris
    seen = []
    model = small(
        epochs=300,
        early_stopping=True,
        patience=4,
        learning_rate=0.1,
        validation_fraction=0.3,
        on_epoch=lambda p: seen.append(p.validation_loss),
    ).fit(X, y)
    assert model.status_ is Status.EARLY
    assert model.n_epochs_ == len(seen) < 300
    assert model.best_epoch_ == 1 + int(np.argmin(seen)) == len(seen) - 4
    short = small(
        epochs=model.best_epoch_, early_stopping=True, learning_rate=0.1, validation_fraction=0.3
    ).fit(X, y)
    assert same(model, short, X)


def test_validation_rows_of_ones_own(iris):
    X, y = iris
    model = small(learning_rate=0.5, epochs=60).fit(X[::2], y[::2], validation=(X[1::2], y[1::2]))
    losses = model.history_["validation_loss"]
    assert model.n_epochs_ == 60
    assert losses[model.best_epoch_ - 1] == min(losses) < losses[-1]
    found = log_loss(y[1::2], model.predict_proba(X[1::2]))
    assert found == pytest.approx(min(losses), rel=1e-9)
    with pytest.raises(ValueError, match="label 'x' in row 1"):
        small().fit(X, np.array(["a", "b", "c"])[y], validation=(X[:2], np.array(["a", "x"])))


def test_a_fit_goes_on_from_a_state_bit_for_bit(iris):
    X, y = iris
    options = {"batch_size": 16, "dropout": 0.1, "schedule": "cosine", "epochs": 8}
    states = []

    def stop(progress):
        states.append(progress.state())
        return progress.step == 37

    small(on_step=stop, **options).fit(X[::2], y[::2], validation=(X[1::2], y[1::2]))
    assert len(states) == 37
    model = small(**options)
    model.fit(X[::2], y[::2], validation=(X[1::2], y[1::2]), state=states[-1])
    whole = small(**options).fit(X[::2], y[::2], validation=(X[1::2], y[1::2]))
    assert same(model, whole, X)
    assert model.history_ == whole.history_
    with pytest.raises(ValueError, match="another architecture"):
        small(hidden=(9,), **options).fit(X[::2], y[::2], state=states[-1])


def test_an_interrupted_fit_keeps_the_best_weights(iris):
    X, y = iris
    best = {}

    def interrupt(progress):
        if progress.epoch == 5:
            best.update(progress.state())
            raise KeyboardInterrupt

    model = small(on_epoch=interrupt, learning_rate=0.5)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y, validation=(X[::2], y[::2]))
    assert model.status_ is Status.STOPPED
    assert model.n_epochs_ == 5
    assert (model.network_.parameters[0] == best["best/0.weight"]).all()
    assert model.predict(X).shape == y.shape


@pytest.mark.parametrize("step", [2, 14])
def test_an_interrupted_epoch_is_kept_as_far_as_it_went(iris, step):
    X, y = iris  # ten steps an epoch

    def interrupt(progress):
        if progress.step == step:
            raise KeyboardInterrupt

    model = small(on_step=interrupt, batch_size=15)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.n_epochs_ == step // 10
    assert model.best_epoch_ == 0
    stopped = small(on_step=lambda p: p.step == step, batch_size=15).fit(X, y)
    assert same(model, stopped, X)


def test_warm_start_goes_on_from_the_weights(iris):
    X, y = iris
    model = small(warm_start=True, epochs=5).fit(X, y)
    loss = model.history_["loss"][-1]
    scale = model.scale_.copy()
    model.fit(X * 2, y)
    assert (model.scale_ == scale).all()
    model = small(warm_start=True, epochs=5).fit(X, y).fit(X, y)
    assert model.history_["loss"][-1] < 0.9 * loss
    with pytest.raises(ValueError, match="knows the classes"):
        model.fit(X[:100], y[:100])


def test_partial_fit_learns_from_chunks_and_remembers(iris):
    X, y = iris
    chunks = [slice(i, None, 5) for i in range(5)]
    model = small(batch_size=10)
    for _ in range(10):
        for chunk in chunks:
            model.partial_fit(X[chunk], y[chunk], classes=[0, 1, 2])
    assert model.score(X, y) > 0.93
    assert model.n_epochs_ == 50
    assert int(model._memory["steps"]) == 50 * 3
    again = small(batch_size=10)
    for _ in range(10):
        for chunk in chunks:
            again.partial_fit(X[chunk], y[chunk], classes=[0, 1, 2])
    assert same(model, again, X)
    assert model.partial_fit(X[:3], y[:3]).n_epochs_ == 51
    fitted = small().fit(X, y)
    before = fitted.predict_proba(X)
    fitted.partial_fit(X[:40], y[:40])
    assert 0 < np.abs(fitted.predict_proba(X) - before).max() < 0.5


def test_a_chunk_that_diverged_does_not_spoil_the_next_ones(iris):
    X, y = iris
    model = small(optimizer="sgd", learning_rate=1e60, activation="identity", batch_size=16)
    with pytest.warns(ConvergenceWarning, match="first bad layer"):
        model.partial_fit(X, y, classes=[0, 1, 2])
    model.network_.initialize(0)
    model.set_params(learning_rate=0.01)
    for _ in range(20):
        model.partial_fit(X, y)
    assert model.status_ is Status.FINISHED
    assert model.score(X, y) > 0.95


def test_partial_fit_refuses_what_it_cannot_know(iris):
    X, y = iris
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        small().partial_fit(X, y)
    with pytest.raises(ValueError, match="needs all labels at once"):
        small(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="never knows"):
        small(schedule="cosine").partial_fit(X, y, classes=[0, 1, 2])
    model = small().partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="not the same as on the first call"):
        model.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="label 3 in row 0"):
        model.partial_fit(X, y + 3)


# --- Columns of labels --------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["auto", "sigmoid_focal", "squared_error", "huber"])
def test_columns_of_labels(loss):
    X, Y = make_multilabel_classification(300, n_classes=4, random_state=0)
    model = small(loss=loss, epochs=60).fit(X, Y)
    p = model.predict_proba(X)
    assert p.shape == Y.shape
    assert model.classes_.tolist() == [0, 1, 2, 3]
    assert ((p > 0.5) == model.predict(X)).all()
    assert np.allclose(sg.sigmoid(model.decision_function(X)), p, rtol=1e-12, atol=0)
    assert np.allclose(np.exp(model.predict_log_proba(X)), p, rtol=1e-12, atol=0)
    base = np.maximum(Y.mean(axis=0), 1 - Y.mean(axis=0)).mean()
    assert (model.predict(X) == Y).mean() > base + 0.05
    chunked = small(loss=loss).partial_fit(X[:100], Y[:100]).partial_fit(X[100:], Y[100:])
    assert chunked.predict(X).shape == Y.shape


def test_weights_of_labels_are_those_of_their_losses():
    X, Y = make_multilabel_classification(100, n_classes=4, random_state=0)
    weighted = small(class_weight={1: 5.0, 3: 0.0}).fit(X, Y)
    loss = WithOptions(sg.binary_cross_entropy, class_weight=[1.0, 5.0, 1.0, 0.0])
    assert same(weighted, small(loss=loss).fit(X, Y), X)
    assert not same(weighted, small().fit(X, Y), X)
    chunk = small(class_weight={1: 5.0, 3: 0.0}).partial_fit(X, Y)
    assert same(chunk, small(loss=loss).partial_fit(X, Y), X)
    with pytest.raises(ValueError, match=r"names the label 4; y has the columns 0 to 3"):
        small(class_weight={4: 1.0}).fit(X, Y)


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "nll", "multiclass_hinge"])
def test_losses_of_classes_refuse_columns_of_labels(loss):
    X, Y = make_multilabel_classification(40, n_classes=3, random_state=0)
    with pytest.raises(ValueError, match="chooses one class for each row"):
        small(loss=loss).fit(X, Y)
    with pytest.raises(ValueError, match="a row may have several"):
        small(class_weight="balanced").fit(X, Y)


# --- What is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("stored", [np.asarray, sparse.csr_matrix])
def test_the_first_bad_number_is_named(iris, bad, stored):
    X, y = iris
    X = X.copy()
    X[120, 2] = X[140, 1] = bad
    what = "NaN" if np.isnan(bad) else "infinity"
    with pytest.raises(ValueError, match=f"contains {what}: row 120, column 2"):
        small().fit(stored(X), y)
    model = small(epochs=1).fit(stored(load_iris().data), y)
    with pytest.raises(ValueError, match=f"contains {what}: row 120, column 2"):
        model.predict(stored(X))


def test_names_of_features_are_checked_and_told(iris):
    pandas = pytest.importorskip("pandas")
    X, y = iris
    frame = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    model = small(epochs=1).fit(frame, y)
    assert model.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["b", "a", "c", "d"]])
    frame.loc[7, "c"] = np.nan
    with pytest.raises(ValueError, match=r"row 7, column 2 \('c'\)"):
        model.fit(frame, y)


REFUSED = {
    "hidden": ({"hidden": (8, 0)}, "at least 1"),
    "hidden text": ({"hidden": "8"}, "such as"),
    "activation": ({"activation": "rellu"}, "accepted are identity"),
    "loss": ({"loss": "crossentropy"}, "accepted are auto"),
    "distillation": ({"loss": "distillation"}, "logits of a teacher"),
    "optimizer": ({"optimizer": "lbfgs"}, "accepted are adam"),
    "two rates": ({"optimizer": Adam(0.1)}, "learning_rate is given beside"),
    "two schedules": ({"schedule": Cosine(0.1, steps=9)}, "learning_rate is given beside"),
    "momentum": ({"momentum": 0.5}, "belongs to optimizer='sgd'"),
    "rate": ({"learning_rate": 0.0}, "above 0"),
    "batch_size": ({"batch_size": 0}, "at least 1"),
    "epochs": ({"epochs": 2.5}, "whole number"),
    "patience": ({"patience": 0}, "patience"),
    "dropout": ({"dropout": 1.0}, "below 1"),
    "weight_decay": ({"weight_decay": -1}, "at least 0"),
    "clip_norm": ({"clip_norm": 0.0}, "above 0"),
    "smoothing": ({"label_smoothing": 1.5}, "at most 1"),
    "no smoothing": ({"label_smoothing": 0.1, "loss": "huber"}, "has no label_smoothing"),
    "standardize": ({"standardize": "columns"}, "accepted are 'auto'"),
    "dtype": ({"dtype": "float16"}, "accepted are 'auto'"),
    "fraction": ({"early_stopping": True, "validation_fraction": 0.0}, "above 0"),
    "seed": ({"random_state": -1}, "Seed must be"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_options_out_of_range(iris, what):
    options, message = REFUSED[what]
    with pytest.raises((ValueError, TypeError), match=message):
        small(**options).fit(*iris)


def test_shapes_and_labels(iris):
    X, y = iris
    for bad_X, bad_y, message in (
        (X[:0], y[:0], "0 sample"),
        (X[:, :0], y, "0 feature"),
        (X, y[:-1], "inconsistent"),
        (X, np.zeros(150), "only one class"),
        (X, np.stack([y, y], axis=1), "several columns that are not 0 and 1"),
        (X, y + 0.5, "continuous"),
    ):
        with pytest.raises(ValueError, match=message):
            small().fit(bad_X, bad_y)
    with pytest.raises(ValueError, match="expecting 4 features"):
        small(epochs=1).fit(X, y).predict(X[:, :3])
    with pytest.raises(ValueError, match="at least one non-zero"):
        small().fit(X, y, np.zeros(150))


def test_a_loss_that_is_no_longer_finite_ends_the_training(iris):
    X, y = iris
    model = small(optimizer="sgd", learning_rate=1e200, activation="identity", batch_size=16)
    with pytest.warns(ConvergenceWarning, match=r"epoch 1, batch \d.* first bad layer is layer"):
        model.fit(X, y)
    assert model.status_ is Status.NOT_FINITE
    assert np.isfinite(model.network_.vector).all()
    assert np.isfinite(model.predict_proba(X)).all()


# --- With the rest of scikit-learn --------------------------------------------------------------


def test_inside_pipelines_searches_and_routing(iris):
    X, y = iris
    search = GridSearchCV(small(epochs=5), {"hidden": [(4,), (8, 4)], "activation": ["relu"]}, cv=2)
    assert make_pipeline(StandardScaler(), search).fit(X, y).score(X, y) > 0.5
    with config_context(enable_metadata_routing=True):
        model = (
            small(epochs=5)
            .set_fit_request(sample_weight=True)
            .set_score_request(sample_weight=False)
        )
        scores = cross_val_score(model, X, y, cv=2, params={"sample_weight": np.ones(len(y))})
    assert len(scores) == 2


def test_verbose_prints_a_line_an_epoch(iris, capsys):
    small(verbose=1, epochs=3).fit(*iris, validation=iris)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("epoch   3/3  loss 0.")
    assert "validation loss" in lines[2]


def test_the_gradient_check_sees_a_wrong_gradient(iris, monkeypatch):
    X, y = iris
    for activation in ("relu", "gelu"):
        assert small(activation=activation).check_gradient(X, y).passed
    monkeypatch.setattr(type(sg.gelu), "vjp", lambda self, x, g, **_: np.asarray(g) * 1.001)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not small(activation="gelu").check_gradient(X, y).passed
