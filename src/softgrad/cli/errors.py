"""How commands end, which exceptions are the user's to mend, and how they read on one line."""

from __future__ import annotations

from typing import Any

from softgrad.errors import SoftgradError

BAD_INPUT = 2
READER_GONE = 1  # as Typer does
DIVERGED = 1
INTERRUPTED = 130  # what shells report for Ctrl-C


class TrainingInterruptedError(SoftgradError):
    """Training ended with Ctrl-C and there is a model; the message says where it is."""


class TrainingDivergedError(SoftgradError):
    """The loss became nan or infinite; the message says which weights were kept, and where."""


def one_line(error: Exception) -> str | None:
    """Cause and remedy on one line; None for what can only be a fault in the program."""
    if hasattr(error, "format_message"):  # the parser's own errors
        return _usage(error)
    if isinstance(error, MemoryError):
        return (
            "Not enough memory. Train with --stream, which reads Parquet, CSV and NPZ files in"
            " parts, or use fewer rows, or uint8 or float32 arrays in an NPZ file."
        )
    if isinstance(error, SoftgradError):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror is not None:
        file = f"{error.filename}: " if error.filename else ""
        return f"{file}{error.strerror}. Check the path, the permissions and the free space."
    return None


def _usage(error: Any) -> str:
    message = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "softgrad"
    return f"{message}. See {command} --help."
