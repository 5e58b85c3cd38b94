"""How much memory the process has used."""

from __future__ import annotations

import sys


def peak_memory_bytes() -> int | None:
    """The largest resident size so far; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
