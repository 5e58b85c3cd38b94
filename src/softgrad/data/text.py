"""Texts as numbers: TF-IDF of words and pairs of words, by scikit-learn.

    x_j = (1 + log count_j) * idf_j,  divided by ||x||      idf_j = log((1 + N) / (1 + n_j)) + 1

for every word or pair j of the N training texts (n_j of them hold it; of more than 50,000 texts at
least two must). What is
learnt is a list of words and an array of numbers, which a model file stores as such.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.data.dataset import DataError, Dataset

Float = npt.NDArray[np.float64]

_FEW_TEXTS = 50_000  # up to here words of a single text are kept: they cost little, help a little
_DEFAULTS = {
    "ngram_range": [1, 2],
    "sublinear_tf": True,
    "lowercase": True,
    "token_pattern": r"(?u)\b\w+\b",  # scikit-learn's own drops words of one letter
}


@dataclass(frozen=True, eq=False)
class TextFeatures:
    """How texts of ``column`` become rows: ``vocabulary`` (D words) and ``idf`` (D,).

    Examples
    --------
    >>> from softgrad.data.text import TextFeatures
    >>> features = TextFeatures.learn(["red fish", "blue fish", "red sky"], "text")
    >>> features.vocabulary
    ['blue', 'blue fish', 'fish', 'red', 'red fish', 'red sky', 'sky']
    >>> features.rows(["fish and fish"]).toarray()
    array([[0., 0., 1., 0., 0., 0., 0.]])
    """

    column: str
    vocabulary: list[str]
    idf: Float
    options: dict[str, Any] = field(default_factory=lambda: dict(_DEFAULTS))

    @classmethod
    def learn(cls, texts: Any, column: str, name: str = "the texts") -> TextFeatures:
        """Vocabulary and idf of training texts; :class:`DataError` where there are no words."""
        vectorizer = _vectorizer(_DEFAULTS, min_df=1 if len(texts) <= _FEW_TEXTS else 2)
        try:
            vectorizer.fit(texts)
        except ValueError:
            raise DataError(
                f"{name}: column {column!r} holds no words. Choose the column of texts with --text."
            ) from None
        words = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.get)
        return cls(column, [str(word) for word in words], vectorizer.idf_)

    def rows(self, texts: Any) -> Any:
        """Texts as CSR (N, D) of float64; words outside the vocabulary do not count."""
        return self._restored.transform(texts)

    def encode(self, data: Dataset) -> Dataset:
        """The data set with its texts as numbers."""
        X = self.rows(data.texts)
        return replace(data, X=X, feature_names=self.vocabulary)

    @cached_property
    def _restored(self) -> Any:
        words = {word: index for index, word in enumerate(self.vocabulary)}
        vectorizer = _vectorizer(self.options, vocabulary=words)
        vectorizer.idf_ = self.idf
        return vectorizer


def _vectorizer(options: dict[str, Any], **more: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    named = options | {"ngram_range": tuple(options["ngram_range"])}
    return TfidfVectorizer(**named, **more)
