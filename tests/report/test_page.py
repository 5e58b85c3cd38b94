"""The report: one file, whole, that needs nothing from elsewhere and cannot be injected into."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import softgrad as sg
from softgrad.data import Dataset
from softgrad.data.batches import ArrayBatches
from softgrad.data.streamed import StreamedData
from softgrad.optimize import GradientCheck
from softgrad.report import HistoryPoint, Run, measure
from softgrad.report.page import render
from softgrad.report.units import bytes_text, seconds_text

VOID = {"meta", "br", "img"}


class Page(HTMLParser):
    """Checks nesting and collects what a page refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href"):
                self.references.append(value)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def run_on(n_classes=3, image=False, name="data", max_iter=1000, labels=None):
    rng = np.random.default_rng(0)
    y = np.arange(120) % n_classes
    X = (rng.random((120, 12)) * 200 + 50 * (np.arange(12) % n_classes == y[:, None])).astype(
        np.uint8
    )
    y = y if labels is None else np.array(labels)[y]
    names = None if image else [f"feature <{i}>" for i in range(12)]
    data = Dataset(name, X, y, names, (3, 4) if image else None, 255.0 if image else 1.0)
    history = []

    def record(progress):
        point = HistoryPoint(
            progress.iteration,
            progress.seconds,
            progress.objective,
            progress.gap,
            progress.certified,
            0.5,
            0.5,
        )
        history.append(point)

    model = sg.SoftmaxRegression(1e-4, max_iter=max_iter, callback=record)
    model.fit(X, y)
    target = np.searchsorted(model.classes_, y)
    return Run(
        model=model,
        C=1.0,
        train=data,
        validation=data,
        metrics=measure(model.predict_log_proba(X), target),
        history=history,
        gradient_check=GradientCheck(1e-12, 20, 1e-7),
        seconds=1.5,
        peak_memory_bytes=200 << 20,
        status="It stopped <early>.",
        interrupted=False,
    )


@pytest.mark.parametrize("n_classes", [2, 3, 20])
@pytest.mark.parametrize("image", [True, False])
def test_a_page_is_whole_and_needs_nothing_else(n_classes, image):
    run = run_on(n_classes, image)
    text = render(run, "1.2.3")
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    for reference in page.references:
        assert reference.startswith("data:image/png;base64,") or reference[1:] in page.ids
    for target in re.findall(r"url\(#([^)]*)\)", text):
        assert target in page.ids
    assert "script" not in page.tags
    assert "@import" not in text
    assert page.tags.count("svg") == (4 if image else 5)
    expected = 0 if not image else (1 if n_classes == 2 else n_classes)
    assert page.tags.count("img") >= expected
    assert f"{run.metrics.accuracy:.2%}" in text
    assert f"{run.metrics.log_loss:.4f}" in text
    assert f"iterations, proven to {run.model.gap_:.0e}" in text


def test_figures_take_the_colours_of_the_page():
    text = render(run_on(), "1")
    assert "#0102" not in text
    for variable in ("ink", "muted", "grid", "accent", "warm", "on-accent"):
        assert f"var(--{variable})" in text
    assert "DejaVu Sans'" not in text.split("</style>", 1)[1]
    assert "prefers-color-scheme: dark" in text


def test_a_run_on_rows_that_were_not_kept():
    run = run_on()
    part = StreamedData(
        name="data",
        batches=ArrayBatches(run.train.X, run.train.y),
        n_rows=9_000,
        n_features=12,
        classes=run.model.classes_,
        sample=run.train,
        deviation=np.ones(12),
        feature_names=run.train.feature_names,
        target_name="label",
    )
    text = render(replace(run, train=part, validation=part), "1")
    assert "9,000 training rows of 12 features" in text
    assert "The red line is that of 120 validation rows." in text
    assert Page(text).tags.count("svg") == 5
    assert "The red line is" not in render(run, "1")


def test_a_gap_that_is_not_known_is_said_and_not_drawn():
    run = run_on()
    unknown = replace(run.history[0], gap=float("nan"))
    run = replace(run, history=[unknown, *run.history[1:]])
    assert "No distance is known where" in render(run, "1")
    assert "No distance is known where" not in render(replace(run, history=run.history[1:]), "1")
    run.model.gap_ = float("nan")
    assert "not known (tolerance 1e-06)" in render(run, "1")
    assert run.as_json()["gap"] is None


def test_names_cannot_inject_markup():
    evil = ["<script>a</script>", "<b>", '"&amp;']
    text = render(run_on(name="<script>x</script>", labels=evil), "1")
    assert "script" not in Page(text).tags
    assert "feature <0>" not in text


def test_a_run_that_did_not_converge_says_so():
    with pytest.warns(match="did not converge"):
        run = run_on(max_iter=2)
    assert "It stopped &lt;early&gt;." in render(run, "1")
    assert "It stopped" not in render(run_on(), "1")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (300 << 20, "300 MiB"),
        (5 << 40, "5120 GiB"),
    ],
)
def test_bytes(size, text):
    assert bytes_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.123, "0.12 s"), (44.4, "44.4 s"), (150, "2 min 30 s")]
)
def test_seconds(seconds, text):
    assert seconds_text(seconds) == text
