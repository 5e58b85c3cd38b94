"""What only extreme, masked or weighted inputs show, and what only a second call shows.

Every check compares with what the fitted formula predicts, not with the truth: so a function that
is wrong everywhere is still examined for what else goes wrong far out.
"""

from __future__ import annotations

from softgrad.doctor.arguments import labels, mask, weights
from softgrad.doctor.evidence import Evidence, Examination
from softgrad.doctor.logarithms import confident_and_wrong
from softgrad.doctor.repetition import second_call
from softgrad.doctor.saturation import large_logits


def extremes(examination: Examination) -> list[Evidence]:
    """Everything that ordinary inputs do not show."""
    found: list[Evidence] = []
    fits = [f for f in examination.reading.fits.values() if f is not None]
    # A result of zeros or of noise is the same far out, or no worse.
    steady = not any(f.power.c == 0 or 30 in f.mistakes for f in fits)
    # bfloat16 cannot tell 1001 from 1000.
    kind = examination.reading.observations[0].outcome.kind
    steady = steady and "bfloat16" not in kind
    if steady and examination.takes_logits:
        found += large_logits(examination)
    # A gradient that is built from -y (1 - p) has no logarithm any more.
    # One failure, one name: an overflow or a limit is not seen again as the logarithm of 0.
    same = (11, 12) if examination.kind.binary else (12,)
    if (
        steady
        and not any(e.mistake in same for e in found)
        and ("loss" in examination.reading.fits or 1 not in examination.reading.mistakes)
    ):
        found += confident_and_wrong(examination)
    found += labels(examination)
    masked = mask(examination)
    if not any(e.mistake == 11 for e in found):  # which fails where a masked logit is large as well
        found += masked
    else:
        found += [e for e in masked if e.mistake is not None]
    found += weights(examination)
    found += second_call(examination)
    return found
