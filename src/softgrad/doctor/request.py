"""What is asked about a callable: the callable itself and the options of the examination."""

from __future__ import annotations

from dataclasses import dataclass

from softgrad.doctor.kinds import Kind
from softgrad.doctor.subject import Subject


@dataclass(frozen=True)
class Request:
    """A subject, the kind that it claims to be, and what is said about it; None is not said."""

    subject: Subject
    claimed: Kind | None = None
    layout: str | None = None
    reduction: str | None = None
    takes: str | None = None
    squared: bool = False  # its loss is the squared error
    ignore_index: int | None = None
    time_limit: float = 10.0
