"""Files of formats that are not read: which one it is, and what to do with it."""

from __future__ import annotations

from pathlib import Path

from softgrad.data.dataset import DataError

_SPREADSHEET = "is a spreadsheet. Save it as CSV (in UTF-8)."
_PICKLE = "is a pickle, which can run code when it is read. Save it as CSV, Parquet or NPZ."
_BY_SUFFIX = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods", ".numbers"), _SPREADSHEET),
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), _PICKLE),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), "is JSON. Convert it to CSV or Parquet."),
    **dict.fromkeys((".arff", ".mat", ".h5", ".hdf5"), "is not read. Convert it to CSV or NPZ."),
    **dict.fromkeys((".feather", ".arrow"), "is an Arrow file. Convert it to Parquet."),
    ".softgrad": "is a model, not data. Give a CSV, Parquet, NPZ, IDX or svmlight file.",
}
_ARRAY = (
    "is a single NumPy array. Save features and labels together: np.savez('data.npz', X=X, y=y)."
)


def refuse_foreign(path: Path) -> None:
    """Raise :class:`DataError` for a file whose name or first bytes tell such a format."""
    with path.open("rb") as file:
        start = file.read(6)
    what = _ARRAY if start == b"\x93NUMPY" else _BY_SUFFIX.get(path.suffix.lower())
    if what is not None:
        raise DataError(f"{path.name} {what}")
