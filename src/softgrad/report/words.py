"""What a classifier of texts goes by: the words that speak most for each class."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from softgrad.data import Dataset
from softgrad.report.run import Run

Float = npt.NDArray[np.float64]

WORDS_NOTE = (
    "The words and pairs of words that speak most for each class: what a word adds to the class's"
    " logit, on average over the texts of the class."
)
_WORDS = 8
_LONGEST_TEXT = 160


def top_words(effects: Float, words: list[str], count: int = _WORDS) -> list[list[str]]:
    """For every row of ``effects`` (K, D) the words of its largest positive entries."""
    order = np.argsort(-effects, axis=1, kind="stable")[:, :count]
    return [
        [words[index] for index in row if effects[k, index] > 0.0] for k, row in enumerate(order)
    ]


def words_table(run: Run, classes: list[str]) -> str:
    """A row for each class."""
    train = run.train
    assert isinstance(train, Dataset)  # texts are never read in parts
    coef = run.model.coef_
    if len(coef) == 1:
        coef = np.concatenate((-coef, coef))
    effects = coef * _class_means(run.model.classes_, train)
    words = top_words(effects, train.feature_names or [])
    body = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(', '.join(own))}</td></tr>"
        for name, own in zip(classes, words, strict=True)
    )
    return f'<div class="scroll"><table>{body}</table></div>'


def mistakes_table(mistakes: list[tuple[str, str, str, str]]) -> str:
    """Text, true class, predicted class and how sure."""
    body = "".join(
        f"<tr><td>{escape(_shortened(text))}</td><td><b>{escape(true)}</b> taken for"
        f" <b>{escape(predicted)}</b>, {escape(sure)} sure</td></tr>"
        for text, true, predicted, sure in mistakes
    )
    return f'<div class="scroll"><table>{body}</table></div>'


def column_deviation(X: Any) -> Float:
    """Standard deviation of every column of an array or of CSR."""
    if isinstance(X, np.ndarray):
        deviation: Float = X.std(axis=0, dtype=np.float64)
        return deviation
    mean = np.asarray(X.mean(axis=0)).ravel()
    squares = np.asarray(X.multiply(X).mean(axis=0)).ravel()
    spread: Float = np.sqrt(np.maximum(squares - mean**2, 0.0))
    return spread


def _class_means(classes: npt.NDArray[Any], train: Dataset) -> Float:
    """The mean row of the training texts of each class (K, D)."""
    target = np.searchsorted(classes, train.labels)
    share = 1.0 / np.bincount(target)[target]
    shape = (len(classes), train.n_rows)
    members = sparse.csr_matrix((share, (target, np.arange(shape[1]))), shape)
    means: Float = (members @ train.X).toarray()
    return means


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
