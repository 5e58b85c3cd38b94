"""CSV: one row a line, with or without a line of column names."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from softgrad.data.cells import is_missing, is_number, refuse_cell
from softgrad.data.compressed import DAMAGED, opened
from softgrad.data.dataset import DataError, Dataset, check_numbers
from softgrad.data.labels import parse_labels
from softgrad.data.names import no_such_name

_DELIMITERS = ",;\t|"
_ROWS_AT_A_TIME = 2048


def read_csv(
    path: Path,
    target: str | None = None,
    *,
    columns: Sequence[str] | None = None,
    drop: Sequence[str] = (),
) -> Dataset:
    """A table. ``target`` names the column of labels, ``columns`` the features (or: the rest).

    A table without a header numbers its columns from 1; -1 is the last.
    """
    parts = list(csv_parts(path, target, columns=columns, drop=drop))
    first = parts[0]
    y = None
    if target is not None:
        texts = [text for part in parts for text in part.labels.tolist()]
        y = parse_labels(texts, first.target_name, first.name)
    return replace(first, X=np.concatenate([part.X for part in parts]), y=y)


def csv_parts(
    path: Path,
    target: str | None = None,
    *,
    columns: Sequence[str] | None = None,
    drop: Sequence[str] = (),
) -> Iterator[Dataset]:
    """The same, some rows at a time; the labels are texts, for only all of them tell their type."""
    name = path.name
    n_rows = 0
    with _readable(path) as file:
        head, rows = _head(_Lines(file), name, target, [*drop, *(columns or ())])
        layout = Layout(name, head.names, head.has_header, target, columns, drop)
        while batch := list(islice(rows, _ROWS_AT_A_TIME)):
            X, texts = _parse(batch, layout)
            check_numbers(X, name, layout.features, n_rows)
            n_rows += len(X)
            yield Dataset(
                name=name,
                X=X,
                y=None if layout.target is None else np.array(texts),
                feature_names=layout.features,
                target_name=layout.target_name,
            )
    if n_rows == 0:
        raise DataError(f"{name} has a header but no rows. Add rows of data.")


def read_csv_texts(
    path: Path, text: str, target: str | None = None, option: str | None = "--text"
) -> Dataset:
    """The column of texts, and the column of labels where ``target`` names one.

    ``option`` named the column of texts; None: a model did.
    """
    parts = list(csv_text_parts(path, text, target, option))
    first = parts[0]
    y = None
    if target is not None:
        labels = [label for part in parts for label in part.labels.tolist()]
        y = parse_labels(labels, first.target_name, first.name)
    texts = np.concatenate([part.texts for part in parts])
    return replace(first, X=np.empty((len(texts), 0)), y=y, texts=texts)


def csv_text_parts(
    path: Path, text: str, target: str | None = None, option: str | None = "--text"
) -> Iterator[Dataset]:
    """The same, some rows at a time; the labels are texts, for only all of them tell their type."""
    name = path.name
    n_rows = 0
    with _readable(path) as file:
        head, rows = _head(_Lines(file), name, target, [text])
        layout = Layout(name, head.names, head.has_header, target, None, (), None, text, option)
        assert layout.text is not None
        while batch := list(islice(rows, _ROWS_AT_A_TIME)):
            for line, cells in batch:
                _check_width(line, cells, layout)
                if not cells[layout.text]:
                    raise DataError(
                        f"{name}: line {line}, column {head.names[layout.text]!r} has no text."
                        " Remove the line or fill it in."
                    )
            labels = None
            if layout.target is not None:
                labels = np.array([cells[layout.target] for _, cells in batch])
            n_rows += len(batch)
            yield Dataset(
                name=name,
                X=np.empty((len(batch), 0)),
                y=labels,
                feature_names=[head.names[layout.text]],
                target_name=layout.target_name,
                texts=np.array([cells[layout.text] for _, cells in batch], dtype=object),
            )
    if n_rows == 0:
        raise DataError(f"{name} has a header but no rows. Add rows of data.")


@dataclass(frozen=True)
class Head:
    """The names of the columns, and how to read what follows them.

    ``lines`` are to be skipped before the first row.
    """

    names: list[str]
    has_header: bool
    delimiter: str
    lines: int


def csv_head(path: Path, target: str | None = None, named: Sequence[str] = ()) -> Head:
    """The names of the columns, for a reader of its own; target and other columns as wanted."""
    with _readable(path) as file:
        return _head(_Lines(file), path.name, target, named)[0]


class Layout:
    """Which column is the label, which the weight, and which are the features."""

    def __init__(
        self,
        name: str,
        header: list[str],
        has_header: bool,
        target: str | None,
        columns: Sequence[str] | None,
        drop: Sequence[str],
        weight: str | None = None,
        text: str | None = None,
        text_option: str | None = "--text",
    ) -> None:
        self.name = name
        self.header = header
        self.has_header = has_header
        duplicate = next((column for column in header if header.count(column) > 1), None)
        if duplicate is not None:
            raise DataError(f"{name}: two columns are called {duplicate!r}. Rename one of them.")
        self.target = None if target is None else self.position(target, "--target")
        self.weight = None if weight is None else self.position(weight, "weight")
        self.text = None if text is None else self.position(text, text_option)
        if self.text is not None and self.text == self.target:
            raise DataError(f"{name}: --text and --target both name {text!r}. Choose two columns.")
        self.of_model = columns is not None
        dropped = {self.position(column, "--drop") for column in drop}
        if self.target in dropped:
            raise DataError(f"{name}: --drop and --target both name {target!r}. Omit the --drop.")
        if columns is None:
            taken = dropped | {self.target, self.weight}
            self.indices = [i for i in range(len(header)) if i not in taken]
        else:
            self.indices = [self.position(column, None) for column in columns]
        self.features = [header[i] for i in self.indices]
        self.target_name = "label" if self.target is None else header[self.target]
        if not self.indices and self.text is None:
            raise DataError(f"{name}: no column is left as a feature. Keep at least one.")

    def position(self, column: str, option: str | None) -> int:
        if column in self.header:
            return self.header.index(column)
        count = len(self.header)
        if option is not None and not self.has_header and column.lstrip("-").isdigit():
            number = int(column)
            if 1 <= number <= count:
                return number - 1
            if -count <= number <= -1:
                return count + number
        if option is None:
            raise DataError(
                f"{self.name} lacks the column {column!r}, which the model was trained on."
                f" It has: {', '.join(self.header[:8])}{', ...' if count > 8 else ''}."
            )
        unnamed = (
            "" if self.has_header else " Its first line holds values, so columns are numbered."
        )
        raise DataError(
            f"{self.name} has no column {column!r}.{unnamed}"
            f" {no_such_name(column, self.header, option)}"
        )


@contextmanager
def _readable(path: Path) -> Iterator[IO[str]]:
    """The file as text; what is wrong with it as text or as CSV ends as a :class:`DataError`."""
    try:
        with opened(path) as file:
            yield file
    except UnicodeDecodeError:
        raise DataError(
            f"{path.name} is not a text file in UTF-8. Save it as CSV in UTF-8;"
            " NPZ and IDX files are recognised by their names."
        ) from None
    except DAMAGED:
        raise DataError(
            f"{path.name} is truncated or damaged inside its compression."
            " Copy or compress it again."
        ) from None
    except csv.Error as error:
        raise DataError(
            f"{path.name} is not a well-formed CSV file: {error}. Export it again."
        ) from None


class _Lines:
    """Every row that is not blank, with its line number, counted from the first not blank."""

    def __init__(self, file: Iterable[str]) -> None:
        lines = iter(file)
        self.blank = 0
        first = next(lines, "")
        while first and not first.strip():
            self.blank += 1
            first = next(lines, "")
        self.delimiter = ","
        if any(map(first.count, _DELIMITERS)):
            self.delimiter = max(_DELIMITERS, key=first.count)
        self._reader = csv.reader(_chain(first, lines), delimiter=self.delimiter, strict=True)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        for cells in self._reader:
            if cells and any(cell.strip() for cell in cells):
                yield self._reader.line_num, [cell.strip() for cell in cells]


def _head(
    lines: _Lines, name: str, target: str | None, named: Sequence[str]
) -> tuple[Head, Iterator[tuple[int, list[str]]]]:
    """The names, and the rows after them."""
    rows = iter(lines)
    first = next(rows, None)
    if first is None:
        raise DataError(f"{name} is empty. Give a CSV file with one row for each example.")
    second = next(rows, None)
    rest = rows if second is None else _chain(second, rows)
    line, cells = first
    if _are_names(cells, None if second is None else second[1], target, named):
        return Head(cells, True, lines.delimiter, lines.blank + line), rest
    names = [str(i + 1) for i in range(len(cells))]
    return Head(names, False, lines.delimiter, lines.blank), _chain(first, rest)


def _are_names(
    cells: list[str], below: list[str] | None, target: str | None, named: Sequence[str]
) -> bool:
    """Whether the first line holds names of columns.

    Names may be numbers, such as years, and values may be text, such as the classes. Where a line
    has both, a text above a number is a name; else it is names if the user calls columns so.
    """
    numbers = [is_number(cell) for cell in cells]
    if not any(numbers):
        return True
    if all(numbers):
        return False
    if below is not None and any(
        not (number or is_missing(cell)) and is_number(under)
        for cell, number, under in zip(cells, numbers, below, strict=False)
    ):
        return True
    if target is not None and target in cells and not is_number(target):
        return True
    wanted = [*named, *([] if target is None else [target])]
    return bool(wanted) and all(name in cells for name in wanted)


def _parse(
    batch: list[tuple[int, list[str]]], layout: Layout
) -> tuple[npt.NDArray[np.float64], list[str]]:
    """The features of some lines, and the texts of the target."""
    for line, cells in batch:
        _check_width(line, cells, layout)
    texts = []
    if layout.target is not None:
        texts = [cells[layout.target] for _, cells in batch]
    try:
        X = np.array([[float(cells[i]) for i in layout.indices] for _, cells in batch])
    except ValueError:
        raise _first_bad_cell(batch, layout) from None
    return X, texts


def _check_width(line: int, cells: list[str], layout: Layout) -> None:
    width = len(layout.header)
    if len(cells) != width:
        raise DataError(
            f"{layout.name}: line {line} has {len(cells)} values, the first line has {width}."
            " Complete the line, or quote values that hold the separator."
        )


def _first_bad_cell(batch: list[tuple[int, list[str]]], layout: Layout) -> DataError:
    line, index = next(
        (line, i) for line, cells in batch for i in layout.indices if not is_number(cells[i])
    )
    columns = {layout.header[i]: [cells[i] for _, cells in batch] for i in layout.indices}
    text = next(cells[index] for number, cells in batch if number == line)
    where, column = f"{layout.name}: line {line}", layout.header[index]
    return refuse_cell(where, column, text, columns, of_model=layout.of_model)


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest
