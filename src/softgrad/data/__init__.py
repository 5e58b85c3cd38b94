"""Readers of data, each returning a :class:`Dataset` or raising a :class:`DataError`."""

from softgrad.data.dataset import DataError, Dataset
from softgrad.data.labels import check_classes, match_labels
from softgrad.data.read import Layout, read_labelled, read_labelled_for, read_unlabelled
from softgrad.data.split import stratified_split

__all__ = [
    "DataError",
    "Dataset",
    "Layout",
    "check_classes",
    "match_labels",
    "read_labelled",
    "read_labelled_for",
    "read_unlabelled",
    "stratified_split",
]
