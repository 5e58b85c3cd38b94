"""Parquet and CSV files of any size, read in batches by pyarrow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.data.batches.cache import BatchCache
from softgrad.data.batches.convert import as_weights
from softgrad.data.batches.protocol import Batch
from softgrad.data.dataset import DataError
from softgrad.data.labels import parse_labels
from softgrad.data.table import Layout, csv_head

_BATCH_ROWS = 65_536
_READ_BYTES = 4 << 20  # of a CSV file at a time, and of a Parquet column
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_MISSING = ["", "NA", "N/A", "n/a", "na", "NULL", "null", "None", "none", "?"]


def import_pyarrow(what: str) -> Any:
    """pyarrow, or one line that says how to get it."""
    try:
        import pyarrow
    except ImportError:
        raise DataError(
            f"{what} needs pyarrow. Install it with: pip install softgrad[parquet]."
        ) from None
    return pyarrow


class ParquetBatches:
    """A Parquet file: one column of classes, the others numbers.

    Parameters
    ----------
    path : str or Path
    target : str or None
        The column of classes: integers, booleans or text. None: every label is 0.
    columns : sequence of str or None
        The features, in this order; by default all other columns as they stand.
    drop : sequence of str
        Columns to leave out, besides an index that pandas has stored.
    weight : str or None
        A column of sample weights.
    text, text_option : str or None
        A column of texts, which is no feature; :meth:`column` gives it. The option of the command
        line that named it, for messages.
    batch_rows : int
        Rows of a batch, at most. No result depends on it.

    Raises
    ------
    DataError
        For files and columns that cannot be used; names the file, and where there is one, the row
        and the column.

    Notes
    -----
    Columns that are all uint8 or all float32 give X in that type, everything else float64.

    Examples
    --------
    >>> from softgrad.data.batches import ParquetBatches, scan
    >>> summary = scan(ParquetBatches("flights.parquet", "carrier"))    # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | Path,
        target: str | None,
        *,
        columns: Sequence[str] | None = None,
        drop: Sequence[str] = (),
        weight: str | None = None,
        text: str | None = None,
        text_option: str | None = "--text",
        batch_rows: int = _BATCH_ROWS,
    ) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self.batch_rows = batch_rows
        self._pyarrow = import_pyarrow("Parquet")
        with self._open() as file:
            schema = file.schema_arrow
            self.n_rows: int | None = int(file.metadata.num_rows)
        names = list(schema.names)
        # The rows' numbers, which pandas stores after rows were taken out, are no feature.
        drop = [*drop, *(n for n in names if _PANDAS_INDEX.fullmatch(n) and n != target)]
        layout = Layout(self.name, names, True, target, columns, drop, weight, text, text_option)
        self.target, self.weight = target, weight
        self.feature_names: list[str] | None = layout.features
        self._features = layout.features
        self.n_features = len(layout.features)
        types = self._pyarrow.types
        for feature in self._features:
            kind = schema.field(feature).type
            if not (
                types.is_integer(kind)
                or types.is_floating(kind)
                or types.is_boolean(kind)
                or types.is_decimal(kind)
                or types.is_null(kind)
            ):
                raise DataError(
                    f"{self.name}: column {feature!r} holds {kind}, which is not a number."
                    f" Encode the column as numbers, or leave it out with --drop {feature!r}."
                )
        stored = {schema.field(feature).type for feature in self._features}
        self.dtype: type[np.generic] = np.float64
        if len(stored) == 1:
            only = stored.pop()
            if types.is_uint8(only):
                self.dtype = np.uint8
            elif types.is_float32(only) or types.is_float16(only):
                self.dtype = np.float32
        if self.n_rows == 0:
            raise DataError(f"{self.name} has columns but no rows. Add rows of data.")

    def __iter__(self) -> Iterator[Batch]:
        extra = [column for column in (self.target, self.weight) if column is not None]
        first_row = 0
        with self._open() as file:
            try:
                for part in file.iter_batches(self.batch_rows, columns=[*self._features, *extra]):
                    if part.num_rows == 0:
                        continue
                    yield self._batch(part, first_row)
                    first_row += part.num_rows
            except (self._pyarrow.ArrowInvalid, OSError) as error:
                raise self._damaged(error) from None

    def column(self, column: str) -> Iterator[Any]:
        """A column of any type, in pyarrow's arrays."""
        with self._open() as file:
            for part in file.iter_batches(self.batch_rows, columns=[column]):
                yield part.column(0)

    def _open(self) -> Any:
        import pyarrow.parquet

        try:
            # Buffered reading: a row group is then read in parts, not whole.
            return pyarrow.parquet.ParquetFile(self.path, buffer_size=_READ_BYTES, pre_buffer=False)
        except FileNotFoundError:
            raise DataError(
                f"There is no file {str(self.path)!r}. Check the name and the folder."
            ) from None
        except (pyarrow.ArrowInvalid, OSError) as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> DataError:
        what = " ".join(str(error).split())[:100]
        return DataError(
            f"{self.name} is damaged or not a Parquet file ({what}). Copy or export it again."
        )

    def _batch(self, part: Any, first_row: int) -> Batch:
        X = _matrix(part, self._features, self.dtype, self.name, first_row)
        y = np.zeros(part.num_rows, dtype=np.int64)
        if self.target is not None:
            y = arrow_labels(part.column(self.target), self.target, self.name, first_row)
        weights = None
        if self.weight is not None:
            column = _numbers(part, self.weight, self.name, first_row)
            weights = as_weights(column, self.name, part.num_rows, first_row)
        return Batch(X, y, weights)


class CsvBatches:
    """A CSV file: one column of classes, the others numbers; with or without a line of names.

    Separator, header and the names of columns are understood as by the command line. The first
    iteration reads the column of classes once more, to see whether all of it is integers. What it
    has parsed is kept as plain numbers in a temporary file for the next ones, where the disk has
    room for it.

    Parameters
    ----------
    path : str or Path
    target : str
        The column of classes; in a table without names the columns are 1, 2, ... and -1 the last.
    columns, drop, weight
        As for :class:`ParquetBatches`.
    read_bytes : int
        How much of the file is read at a time. No result depends on it.
    cache : bool
        False: parse the file again at every iteration.

    Raises
    ------
    DataError
        For files and cells that cannot be used; names the file, and where there is one, the row
        and the column.

    Examples
    --------
    >>> from softgrad.data.batches import CsvBatches, scan
    >>> summary = scan(CsvBatches("flights.csv", "carrier"))    # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | Path,
        target: str,
        *,
        columns: Sequence[str] | None = None,
        drop: Sequence[str] = (),
        weight: str | None = None,
        read_bytes: int = _READ_BYTES,
        cache: bool = True,
    ) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self._pyarrow = import_pyarrow("CSV in batches")
        self.read_bytes = read_bytes
        self._head = csv_head(self.path, target, [*drop, *(columns or ())])
        layout = Layout(
            self.name, self._head.names, self._head.has_header, target, columns, drop, weight
        )
        self._columns = self._head.names
        self._features = layout.features
        assert layout.target is not None
        self.target = self._columns[layout.target]
        self.weight = None if layout.weight is None else self._columns[layout.weight]
        self.feature_names: list[str] | None = layout.features
        self.n_features = len(layout.features)
        self.n_rows: int | None = None
        self._classes: dict[str, Any] | None = None
        self._cache = BatchCache() if cache else None
        self._cached: tuple[int, int] | None = None  # the file as it was

    def __iter__(self) -> Iterator[Batch]:
        if self._classes is None:
            self._classes = self._read_classes()
        labels = np.array(list(self._classes.values()))
        if self._cache is not None and self._cache.complete and self._cached == self._stamp():
            for kept in self._cache:
                yield Batch(kept.X, labels[kept.codes], kept.weight)
            return
        for batch, codes in self._parsed():
            yield Batch(batch.X, labels[codes], batch.sample_weight)

    def _parsed(self) -> Iterator[tuple[Batch, npt.NDArray[np.int64]]]:
        """The file itself; what was read goes into the cache."""
        assert self._classes is not None
        assert self.n_rows is not None
        position = {text: code for code, text in enumerate(self._classes)}
        # Two passes at once must not write into one file: each begins with one of its own.
        cache, stamp = BatchCache() if self._cache is not None else None, self._stamp()
        if cache is not None:
            cache.begin(self.n_rows, self.n_features, weighted=self.weight is not None)
        numbers = [*self._features, *([self.weight] if self.weight else [])]
        first_row = 0
        for part in self._parts(numbers):
            X = _matrix(part, self._features, np.float64, self.name, first_row)
            encoded = self._trimmed(part).dictionary_encode()
            of_text = [position[text] for text in encoded.dictionary.to_pylist()]
            codes = np.array(of_text, np.int64)[encoded.indices.to_numpy()]
            weights = None
            if self.weight is not None:
                column = _numbers(part, self.weight, self.name, first_row)
                weights = as_weights(column, self.name, part.num_rows, first_row)
            if cache is not None:
                cache.add(X, codes, weights)
            yield Batch(X, codes, weights), codes
            first_row += part.num_rows
        if cache is not None:
            cache.end()
            self._cache, self._cached = cache, stamp

    def _stamp(self) -> tuple[int, int]:
        """Changes when the file does."""
        found = self.path.stat()
        return found.st_mtime_ns, found.st_size

    def _read_classes(self) -> dict[str, Any]:
        """The label that every text of the target stands for."""
        import pyarrow.compute

        texts: dict[str, None] = {}
        n_rows = 0
        for part in self._parts([]):
            column = self._trimmed(part)
            for text in column.unique().to_pylist():
                if not text:
                    row = int(pyarrow.compute.index(column, text).as_py())
                    raise DataError(
                        f"{self.name}: row {n_rows + row + 1} has no label in column"
                        f" {self.target!r}. Remove the row or fill in its class."
                    )
                texts[text] = None
            n_rows += part.num_rows
        if n_rows == 0:
            raise DataError(f"{self.name} has a header but no rows. Add rows of data.")
        self.n_rows = n_rows
        labels = parse_labels(list(texts), self.target, self.name)
        return dict(zip(texts, labels.tolist(), strict=True))

    def _trimmed(self, part: Any) -> Any:
        import pyarrow.compute

        return pyarrow.compute.utf8_trim_whitespace(part.column(self.target))

    def _parts(self, numbers: Sequence[str]) -> Iterator[Any]:
        import pyarrow
        import pyarrow.csv

        types = dict.fromkeys(numbers, pyarrow.float64()) | {self.target: pyarrow.string()}
        options = {
            # Threads would lose the number of the row from messages.
            "read_options": pyarrow.csv.ReadOptions(
                use_threads=False,
                block_size=self.read_bytes,
                skip_rows=self._head.lines,
                column_names=self._columns,
            ),
            "parse_options": pyarrow.csv.ParseOptions(
                delimiter=self._head.delimiter, newlines_in_values=True
            ),
            "convert_options": pyarrow.csv.ConvertOptions(
                column_types=types,
                include_columns=[*numbers, self.target],
                null_values=_MISSING,
            ),
        }
        try:
            with pyarrow.csv.open_csv(self.path, **options) as reader:
                for part in reader:
                    if part.num_rows:
                        yield part
        except pyarrow.ArrowInvalid as error:
            if "Empty CSV file" in str(error):
                return
            raise self._refused(str(error)) from None

    def _refused(self, message: str) -> DataError:
        """pyarrow's words in ours."""
        message = " ".join(message.split())
        row = re.search(r"Row #(\d+)", message)
        where = f"row {int(row[1]) - self._head.lines}" if row else "a row"
        width = re.search(r"Expected (\d+) columns, got (\d+)", message)
        if width:
            return DataError(
                f"{self.name}: {where} has {width[2]} values, the first line has {width[1]}."
                " Complete the line, or quote values that hold the separator."
            )
        cell = re.search(r"CSV column #(\d+).*invalid value '(.*)'", message)
        if cell:
            column = self._columns[int(cell[1])]
            return DataError(
                f"{self.name}: {where}, column {column!r} holds {cell[2]!r}, which is not a"
                " number. Encode the column as numbers, or leave it out with"
                f" --drop {column!r}."
            )
        if "UTF8" in message:
            return DataError(f"{self.name} is not a text file in UTF-8. Save it as CSV in UTF-8.")
        return DataError(
            f"{self.name} is not a well-formed CSV file: {message[:100]}. Export it again."
        )


def arrow_labels(column: Any, target: str, name: str, first_row: int) -> npt.NDArray[Any]:
    """A column of classes as integers, booleans or text."""
    import pyarrow

    types = pyarrow.types
    _refuse_missing(column, target, name, first_row, "no label")
    kind = column.type
    if types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if types.is_integer(kind):
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.int64)
    if types.is_boolean(kind):
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=bool)
    if types.is_floating(kind):
        values = np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
        if np.isfinite(values).all() and (values == np.rint(values)).all():
            return values.astype(np.int64)
        raise DataError(
            f"{name}: column {target!r} holds measurements, not classes."
            " Choose another --target, or bin it into classes first."
        )
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        encoded = column.dictionary_encode()
        values = np.array(encoded.dictionary.to_pylist())
        labels: npt.NDArray[Any] = values[encoded.indices.to_numpy()]
        return labels
    raise DataError(
        f"{name}: column {target!r} holds {kind}, which are not classes. Use integers or text."
    )


def _matrix(
    part: Any, features: Sequence[str], dtype: type[np.generic], name: str, first_row: int
) -> npt.NDArray[Any]:
    X = np.empty((part.num_rows, len(features)), dtype)
    for j, feature in enumerate(features):
        X[:, j] = _numbers(part, feature, name, first_row)
    return X


def _numbers(part: Any, column: str, name: str, first_row: int) -> npt.NDArray[Any]:
    import pyarrow

    values = part.column(column)
    _refuse_missing(values, column, name, first_row, "no value")
    if pyarrow.types.is_decimal(values.type):
        values = values.cast(pyarrow.float64())
    numbers: npt.NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return numbers


def _refuse_missing(values: Any, column: str, name: str, first_row: int, what: str) -> None:
    if values.null_count:
        row = int(np.argmax(values.is_null().to_numpy(zero_copy_only=False)))
        raise DataError(
            f"{name}: row {first_row + row + 1}, column {column!r} has {what}."
            " Remove the row or fill it in."
        )
