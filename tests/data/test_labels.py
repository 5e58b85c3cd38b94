"""Labels, and the split into training and validation rows."""

from __future__ import annotations

import numpy as np
import pytest

from softgrad.data import DataError, check_classes, match_labels, stratified_split


def test_labels_are_matched_by_value():
    classes = np.array(["b", "a", "c"])
    assert match_labels(np.array(["c", "b", "a"]), classes, "f").tolist() == [2, 0, 1]
    assert match_labels(np.array([3, 10]), np.array([3, 10]), "f").tolist() == [0, 1]


def test_numbers_and_text_are_compared_as_text():
    assert match_labels(np.array([10, 9]), np.array(["10", "9", "x"]), "f").tolist() == [0, 1]


@pytest.mark.parametrize("label", ["d", "", "aa"])
def test_an_unknown_label_is_named_with_its_row(label):
    with pytest.raises(DataError, match=f"row 2 has the label {label!r}.*it knows a, b"):
        match_labels(np.array(["a", label]), np.array(["a", "b"]), "f")


def test_one_class_and_too_many():
    with pytest.raises(DataError, match="only one class, 7, in 'kind'"):
        check_classes(np.array([7, 7]), "f", "kind")
    with pytest.raises(DataError, match="more classes than its rows can teach: 5 different"):
        check_classes(np.arange(5), "f", "kind")
    check_classes(np.array([0, 0, 1, 1]), "f", "kind")


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5, 0.9])
def test_a_split_keeps_every_row_once_and_every_class(rng, fraction):
    labels = rng.integers(0, 7, 500)
    train, validation = stratified_split(labels, fraction, seed=3)
    assert np.array_equal(np.sort(np.concatenate([train, validation])), np.arange(500))
    counts, kept = np.bincount(labels), np.bincount(labels[validation])
    assert np.abs(kept - fraction * counts).max() <= 1
    assert (np.bincount(labels[train]) > 0).all()


def test_a_split_is_random_and_repeatable(rng):
    labels = rng.integers(0, 3, 300)
    one, again, other = (stratified_split(labels, 0.2, seed)[1] for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.abs(np.diff(one)).max() > 2  # not the first rows of each class
    assert 100 < one.mean() < 200


def test_a_class_of_one_row_is_for_training():
    train, validation = stratified_split(np.array([0] * 50 + [1]), 0.5, seed=0)
    assert 50 in train
    assert 50 not in validation
