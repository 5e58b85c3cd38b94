"""Readers of data, each returning a :class:`Dataset` or raising a :class:`DataError`."""

from softgrad.data.dataset import DataError, Dataset
from softgrad.data.labels import check_classes, match_labels
from softgrad.data.parts import labelled_parts, matched_parts, unlabelled_parts
from softgrad.data.read import Layout, read_labelled, read_labelled_for, read_unlabelled
from softgrad.data.split import stratified_split

__all__ = [
    "DataError",
    "Dataset",
    "Layout",
    "check_classes",
    "labelled_parts",
    "match_labels",
    "matched_parts",
    "read_labelled",
    "read_labelled_for",
    "read_unlabelled",
    "stratified_split",
    "unlabelled_parts",
]
