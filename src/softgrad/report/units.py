"""Numbers for people."""

from __future__ import annotations


def count_text(count: int) -> str:
    """12345 as 12,345."""
    return f"{count:,}"


def bytes_text(size: int) -> str:
    """Bytes in the largest binary unit that leaves a number above one."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            return (
                f"{amount:.0f} {unit}" if amount >= 100 or unit == "B" else f"{amount:.1f} {unit}"
            )
        amount /= 1024
    raise AssertionError


def seconds_text(seconds: float) -> str:
    """Seconds with two or three digits; minutes from two of them on."""
    if seconds >= 120:
        return f"{int(seconds) // 60} min {int(seconds) % 60} s"
    return f"{seconds:.1f} s" if seconds >= 10 else f"{seconds:.2f} s"
