"""Names that do not exist: the one that was probably meant, or those to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

_MOST_SHOWN = 8


def no_such_name(name: str, known: Sequence[str], option: str) -> str:
    """The remedy, as a sentence: ``Did you mean 'species'?``"""
    lower = {each.lower(): each for each in reversed(known)}
    close = get_close_matches(name.lower(), lower, n=1, cutoff=0.75)
    if close:
        return f"Did you mean {lower[close[0]]!r}?"
    more = f", ... ({len(known)} in all)" if len(known) > _MOST_SHOWN else ""
    return f"Choose {option} from: {', '.join(known[:_MOST_SHOWN])}{more}."
