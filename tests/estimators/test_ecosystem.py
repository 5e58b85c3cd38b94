"""The estimators among scikit-learn's own tools, data frames and pickles."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

import softgrad as sg

NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


@pytest.fixture
def iris():
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(150)
    return X[order], y[order]


@pytest.mark.parametrize(
    "model", [sg.SoftmaxRegression(0.1), sg.TemperatureScaling(GaussianNB(), cv=3)]
)
def test_weights_are_routed_through_a_pipeline(iris, model):
    X, y = iris
    weight = np.where(y == 0, 10.0, 0.1)
    with config_context(enable_metadata_routing=True):
        routed = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False),
            clone(model).set_fit_request(sample_weight=True),
        )
        routed.fit(X, y, sample_weight=weight)
        refused = make_pipeline(StandardScaler(), clone(model))
        with pytest.raises(ValueError, match="sample_weight"):
            refused.fit(X, y, sample_weight=weight)
    direct = clone(model).fit(StandardScaler().fit_transform(X), y, sample_weight=weight)
    expected = direct.predict_proba(StandardScaler().fit_transform(X))
    assert routed.predict_proba(X).tobytes() == expected.tobytes()
    plain = make_pipeline(StandardScaler(), clone(model)).fit(X, y)
    assert (plain.predict_proba(X) != expected).any()


def test_weights_are_routed_through_cross_validation_to_fit_and_score(iris):
    X, y = iris
    weight = np.random.default_rng(1).random(150)
    with config_context(enable_metadata_routing=True):
        model = sg.SoftmaxRegression(0.01)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        model.set_partial_fit_request(sample_weight=True, classes=True)
        found = cross_validate(model, X, y, params={"sample_weight": weight}, cv=[SPLIT])
    train, test = SPLIT
    by_hand = sg.SoftmaxRegression(0.01).fit(X[train], y[train], weight[train])
    assert found["test_score"][0] == by_hand.score(X[test], y[test], weight[test])


SPLIT = (np.arange(100), np.arange(100, 150))


def test_searches_and_wrappers(iris):
    X, y = iris
    search = GridSearchCV(sg.SoftmaxRegression(), {"C": [1e-3, 1.0]}, cv=3).fit(X, y)
    assert search.best_params_ == {"C": 1.0}
    assert cross_val_score(sg.SoftmaxRegression(), X, y).mean() > 0.95
    wrapped = OneVsRestClassifier(sg.SoftmaxRegression(0.1)).fit(X, y)
    assert wrapped.score(X, y) > 0.9
    assert get_tags(sg.SoftmaxRegression()).input_tags.sparse


@pytest.mark.parametrize("n_classes", [2, 3])
def test_balanced_counts_weights(n_classes):
    """A row of weight 3 balances like three rows."""
    X, y = load_wine(return_X_y=True)
    X, y = X[y < n_classes], y[y < n_classes]
    weight = np.random.default_rng(0).integers(1, 4, len(y))
    weighted = sg.SoftmaxRegression(0.01, class_weight="balanced", tol=1e-8)
    repeated = clone(weighted)
    weighted.fit(X, y, sample_weight=weight)
    repeated.fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    size = np.abs(repeated.coef_).max()
    assert np.abs(weighted.coef_ - repeated.coef_).max() < 1e-5 * size


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_carry_names_and_their_order_is_checked(iris, library):
    frames = pytest.importorskip(library)
    X, y = iris
    frame = frames.DataFrame(dict(zip(NAMES, X.T, strict=True)))
    model = sg.SoftmaxRegression(0.1).fit(frame, y)
    assert model.feature_names_in_.tolist() == NAMES
    plain = sg.SoftmaxRegression(0.1).fit(X, y)
    assert model.coef_.tobytes() == plain.coef_.tobytes()
    assert model.predict_proba(frame).tobytes() == plain.predict_proba(X).tobytes()
    with pytest.raises(ValueError, match="same order"):
        model.predict(frame[NAMES[::-1]])
    with pytest.raises(ValueError, match="unseen at fit time"):
        model.predict(frame.rename(**rename(library)))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    stream = sg.SoftmaxRegression().partial_fit(frame, y, [0, 1, 2])
    with pytest.raises(ValueError, match="same order"):
        stream.partial_fit(frame[NAMES[::-1]], y)
    scaled = sg.TemperatureScaling(sg.SoftmaxRegression(), cv=3).fit(frame, y)
    assert scaled.feature_names_in_.tolist() == NAMES


def rename(library):
    mapping = {NAMES[0]: "other"}
    return {"columns": mapping} if library == "pandas" else {"mapping": mapping}


@pytest.mark.parametrize("convert", [sparse.csc_matrix, sparse.csc_array, sparse.coo_matrix])
def test_other_sparse_formats_become_csr_once(iris, convert, monkeypatch):
    X, y = iris
    csr = sg.SoftmaxRegression(0.1).fit(sparse.csr_matrix(X), y)
    conversions = []
    for kind in (sparse.csc_matrix, sparse.csc_array, sparse.coo_matrix):
        original = kind.tocsr

        def counting(self, *args, original=original, **options):
            conversions.append(type(self))
            return original(self, *args, **options)

        monkeypatch.setattr(kind, "tocsr", counting)
    model = sg.SoftmaxRegression(0.1).fit(convert(X), y)
    assert len(conversions) == 1
    assert model.coef_.tobytes() == csr.coef_.tobytes()
    assert model.predict(convert(X)).tolist() == csr.predict(sparse.csr_matrix(X)).tolist()


@pytest.mark.parametrize(
    "model", [sg.SoftmaxRegression(0.1), sg.TemperatureScaling(sg.SoftmaxRegression(0.1), cv=3)]
)
def test_pickles_and_copies(iris, model):
    X, y = iris
    fitted = clone(model).fit(X, y)
    for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert other.predict_log_proba(X).tobytes() == fitted.predict_log_proba(X).tobytes()
        assert other.get_params().keys() == fitted.get_params().keys()
    again = pickle.loads(pickle.dumps(fitted)).fit(X, y)
    assert again.predict_log_proba(X).tobytes() == fitted.predict_log_proba(X).tobytes()
