"""Networks in model files: the same predictions, the same training, nothing that runs code."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_multilabel_classification

import softgrad as sg
from softgrad.modelfile import ModelFileError, TrainedOn, load_model, save_model
from softgrad.network import Activation, WithOptions
from softgrad.optimize import AdamW, Cosine, WarmUp

OPTIONS = {
    "plain": {},
    "objects": {
        "learning_rate": None,
        "activation": Activation(sg.elu, alpha=0.5),
        "loss": WithOptions(sg.focal, gamma=3.0),
        "optimizer": AdamW(WarmUp(Cosine(0.01, steps=100), 5), weight_decay=0.1),
    },
    "functions": {"activation": sg.mish, "loss": sg.squared_error},
    "weights": {"class_weight": {"a": 2.0, "b": 0.5, "c": 1.0}, "dropout": 0.2},
    "numpy": {"hidden": [np.int64(3), 4], "random_state": np.int64(5)},
}


def trained(**options):
    X, y = load_iris(return_X_y=True)
    given = {"hidden": (5, 4), "epochs": 3, "random_state": 0, "learning_rate": 0.01} | options
    return X, np.array(["a", "b", "c"])[y], sg.NeuralNetClassifier(**given)


@pytest.mark.parametrize("what", OPTIONS)
def test_a_loaded_network_predicts_and_trains_as_the_saved_one(tmp_path, what):
    X, y, model = trained(**OPTIONS[what])
    model.fit(X, y, validation=(X[::3], y[::3]))
    about = TrainedOn("iris", 150, "kind", ["w", "x", "y", "z"])
    save_model(model, tmp_path / "m", about)
    loaded, trained_on = load_model(tmp_path / "m")
    assert trained_on == about
    assert loaded.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
    assert loaded.predict(X).tolist() == model.predict(X).tolist()
    assert loaded.history_ == model.history_
    assert (loaded.n_epochs_, loaded.best_epoch_) == (3, model.best_epoch_)
    assert loaded.status_ is model.status_
    save_model(loaded, tmp_path / "n", about)
    assert (tmp_path / "n").read_bytes() == (tmp_path / "m").read_bytes()
    again = loaded.fit(X, y, validation=(X[::3], y[::3]))
    assert again.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()


def test_columns_of_labels(tmp_path):
    X, Y = make_multilabel_classification(60, n_classes=3, random_state=0)
    model = sg.NeuralNetClassifier((4,), epochs=2, random_state=0).fit(X, Y)
    save_model(model, tmp_path / "m", TrainedOn("labels", 60))
    loaded, _ = load_model(tmp_path / "m")
    assert loaded.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()


def altered(path, change):
    """The file with another header."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(parts["softgrad.json"])
    change(header)
    parts["softgrad.json"] = json.dumps(header).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


CHANGES = {
    "width": lambda h: h["network"]["layers"][0].update(outputs=6),
    "layer": lambda h: h["network"]["layers"][0].update(layer="os.system"),
    "function": lambda h: h["network"]["layers"][1].update(function="show_info"),
    "loss": lambda h: h["network"]["loss"].update(loss="info"),
    "no loss": lambda h: h["network"].update(loss=None),
    "object": lambda h: h["parameters"].update(optimizer={"object": "Popen", "fields": {}}),
    "option": lambda h: h["parameters"].update(hiden=(3,)),
    "status": lambda h: h.update(status="GREAT"),
    "missing": lambda h: h.pop("history"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_header_that_does_not_fit_is_refused(tmp_path, what):
    X, y, model = trained()
    save_model(model.fit(X, y), tmp_path / "m", TrainedOn("iris", 150))
    load_model(tmp_path / "m")
    altered(tmp_path / "m", CHANGES[what])
    with pytest.raises(ModelFileError, match=r"do not fit|truncated"):
        load_model(tmp_path / "m")


def test_every_truncation_is_refused(tmp_path):
    X, y, model = trained()
    save_model(model.fit(X, y), tmp_path / "m", TrainedOn("iris", 150))
    content = (tmp_path / "m").read_bytes()
    for length in range(0, len(content), 301):
        (tmp_path / "t").write_bytes(content[:length])
        with pytest.raises(ModelFileError, match="truncated"):
            load_model(tmp_path / "t")


def test_objects_from_elsewhere_cannot_be_saved(tmp_path):
    from softgrad.optimize.schedules import Schedule

    class Mine(Schedule):
        def __call__(self, step, /):
            return 0.01

    X, y, model = trained(schedule=Mine(), learning_rate=None)
    with pytest.raises(TypeError, match=r"schedule=.* cannot be saved"):
        save_model(model.fit(X, y), tmp_path / "m", TrainedOn("iris", 150))
    assert list(tmp_path.iterdir()) == []
