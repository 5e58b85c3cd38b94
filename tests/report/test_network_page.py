"""The report of a network: whole, well-formed, and true to the run."""

from __future__ import annotations

import numpy as np
import pytest

import softgrad as sg
from softgrad.data import Dataset
from softgrad.network import Status
from softgrad.report import measure
from softgrad.report.network_run import NetworkRun
from softgrad.report.page import render
from tests.report.test_page import Page


def run_on(image=False, name="data", **options):
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    X = (rng.random((120, 12)) * 200 + 50 * (np.arange(12) % 3 == y[:, None])).astype(np.uint8)
    names = None if image else [f"feature <{i}>" for i in range(12)]
    data = Dataset(name, X, y, names, (3, 4) if image else None, 255.0 if image else 1.0)
    given = {"hidden": (6,), "epochs": 4, "random_state": 0} | options
    model = sg.NeuralNetClassifier(**given)
    check = model.check_gradient(X, y)
    model.fit(X, y, validation=(X, y))
    return NetworkRun(
        model=model,
        train=data,
        validation=data,
        metrics=measure(model.predict_log_proba(X), y),
        gradient_check=check,
        seconds=1.25,
        peak_memory_bytes=1 << 20,
        interrupted=False,
    )


@pytest.mark.parametrize("image", [True, False])
@pytest.mark.parametrize("hidden", [(), (6,), (6, 5)])
def test_the_page_is_well_formed_and_whole(image, hidden):
    run = run_on(image, hidden=hidden, name="<script>alert(1)</script>")
    text = render(run, "9.9")
    page = Page(text)
    assert len(set(page.ids)) == len(page.ids)
    assert all(r.startswith(("#", "data:image/png")) for r in page.references)
    assert "<script" not in text
    assert run.architecture in text
    assert "Learning curve" in text
    shown = text.count("weights of unit")
    assert shown == (hidden[0] if image and hidden else 0)
    assert ("First layer" in text) == image


def test_options_and_the_end_are_told():
    run = run_on(optimizer="sgd", learning_rate=0.25, dropout=0.1, activation=sg.mish)
    text = render(run, "9.9")
    for words in ("mish", "sgd, learning rate 0.25, schedule constant", "Dropout", "12-6-3"):
        assert words in text
    best = run.model.best_epoch_
    assert f"the weights are those of epoch {best}" in text
    assert 'class="warning"' not in text


@pytest.mark.parametrize(
    ("status", "words"),
    [(Status.STOPPED, "Interrupted after 4 epochs"), (Status.NOT_FINITE, "Stopped after 4 epochs")],
)
def test_a_training_that_was_cut_short_says_so_on_top(status, words):
    run = run_on()
    run.model.status_, run.model.message_ = status, "Layer 2 went bad."
    text = render(run, "9.9")
    warning = text[text.index('class="warning"') :]
    assert words in warning[:300]
    if status is Status.NOT_FINITE:
        assert "Layer 2 went bad." in warning[:300]


def test_without_a_finished_epoch_there_is_no_curve():
    run = run_on()
    run.model.history_ = {name: [] for name in run.model.history_}
    run.model.best_epoch_ = 0
    text = render(run, "9.9")
    Page(text)
    assert "Learning curve" not in text
