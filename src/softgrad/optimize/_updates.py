"""One step of an optimiser over vectors, in blocks that stay in the cache."""

from __future__ import annotations

import numpy as np

from softgrad._typing import Array

_BLOCK = 1 << 12  # numbers: five vectors of them fit the first-level cache


def sgd(
    w: Array,
    g: Array,
    velocity: Array | None,
    size: float,
    momentum: float,
    nesterov: bool,
    decay: float,
    scale: float,
) -> None:
    """b = momentum b + scale g + decay w; w -= size b, or for Nesterov size (g + momentum b)."""
    kind = w.dtype.type
    step = np.empty(min(_BLOCK, w.size), w.dtype)
    for start in range(0, w.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        wb, gb = w[part], g[part]
        d = step[: wb.size]
        np.multiply(gb, kind(scale), out=d)
        if decay:
            d += kind(decay) * wb
        if velocity is not None:
            b = velocity[part]
            b *= kind(momentum)
            b += d
            if nesterov:
                d += kind(momentum) * b
            else:
                d[...] = b
        d *= kind(size)
        wb -= d


def adam(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    size: float,
    inverse_root: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    *,
    decay: float,
    shrink: float,
    scale: float,
) -> None:
    """w = shrink w - size m / (inverse_root sqrt(v) + epsilon), with the moments of one more g."""
    kind = w.dtype.type
    step, root = np.empty((2, min(_BLOCK, w.size)), w.dtype)
    for start in range(0, w.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        wb, mb, vb = w[part], m[part], v[part]
        d, r = step[: wb.size], root[: wb.size]
        np.multiply(g[part], kind(scale), out=d)
        if decay:
            d += kind(decay) * wb
        np.subtract(d, mb, out=r)
        r *= kind(1.0 - beta1)
        mb += r
        d *= d
        d *= kind(1.0 - beta2)
        vb *= kind(beta2)
        vb += d
        np.sqrt(vb, out=r)
        r *= kind(inverse_root)
        r += kind(epsilon)
        np.divide(mb, r, out=d)
        d *= kind(size)
        if shrink != 1.0:
            wb *= kind(shrink)
        wb -= d
