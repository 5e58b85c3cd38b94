"""The words of a class: those that bring its own texts their logit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

import softgrad as sg
from softgrad.data.text import TextFeatures
from softgrad.report.page import render
from softgrad.report.words import column_deviation, mistakes_table, top_words, words_table
from tests.report.test_page import Page, run_on

TEXTS = ["the red <fish>", "blue <sky>", "the green <tree>", "<fish>", "a <sky>", "tree"] * 20


def run_on_texts(n_classes):
    labels = np.array(["fish", "sky", "tree & <co>"])[np.arange(120) % 3]
    keep = np.arange(120) % 3 < n_classes
    texts, labels = np.array(TEXTS, dtype=object)[keep], labels[keep]
    features = TextFeatures.learn(texts, "message")
    run = run_on(n_classes)
    data = replace(
        run.train,
        X=features.rows(texts),
        y=labels,
        texts=texts,
        feature_names=features.vocabulary,
        unit=1.0,
    )
    model = sg.SoftmaxRegression(1.0).fit(data.X, labels)
    wrong = replace(data, y=np.roll(labels, 1))
    return replace(run, model=model, train=data, validation=wrong)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_words_of_each_class(n_classes):
    run = run_on_texts(n_classes)
    rows = words_table(run, [str(label) for label in run.model.classes_]).split("<tr>")[1:]
    assert len(rows) == n_classes
    for row, word, other in zip(
        rows, ["fish", "sky", "tree"], ["sky", "fish", "sky"], strict=False
    ):
        words = row.split("<td>")[1].split("</td>")[0].split(", ")
        assert word in words[:3]
        assert other not in words


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_page_of_texts_is_whole(n_classes):
    text = render(run_on_texts(n_classes), "1")
    page = Page(text)
    assert "<h2>Words</h2>" in text
    assert "<h2>Surest mistakes</h2>" in text
    assert not {"fish", "sky", "tree", "co"} & set(page.tags)


def test_rare_words_do_not_come_first():
    run = run_on_texts(3)
    texts = [*run.train.texts[:-3], "unicorn", *run.train.texts[-2:]]  # instead of a fish
    features = TextFeatures.learn(texts, "message")
    data = replace(run.train, X=features.rows(texts), feature_names=features.vocabulary)
    model = sg.SoftmaxRegression(1.0).fit(data.X, data.y)
    model.coef_[0] = np.isin(features.vocabulary, ["fish", "unicorn"])
    model.coef_[0, features.vocabulary.index("unicorn")] = 5.0
    table = words_table(replace(run, model=model, train=data), ["fish", "sky", "tree"])
    fish = table.split("<td>")[1].split("</td>")[0].split(", ")
    assert fish == ["fish", "unicorn"]


def test_only_words_that_speak_for_a_class():
    effects = np.array([[0.0, 2.0, -1.0, 1.0], [-1.0, 0.0, 0.0, 0.0]])
    assert top_words(effects, ["a", "b", "c", "d"], 3) == [["b", "d"], []]


def test_deviation_of_sparse_and_dense_columns(rng):
    X = rng.random((50, 6)) * (rng.random((50, 6)) < 0.4)
    expected = X.std(axis=0)
    assert column_deviation(X) == pytest.approx(expected)
    assert column_deviation(sparse.csr_matrix(X)) == pytest.approx(expected)


def test_long_texts_are_cut():
    assert len(mistakes_table([("x" * 1000, "a", "b", "99%")])) < 400
