"""softmax.vjp of given probabilities: 3 ULP of its terms, against exact rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

import softgrad as sg

LIMIT = 3.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [3, 10, 32, 33, 64, 100, 1000, 4097])
def test_three_ulp_of_the_terms(dtype: type[np.floating], classes: int) -> None:
    rng = np.random.default_rng(classes)
    for scale in (0.1, 1.0, 10.0, 25.0):
        x = (rng.normal(size=classes) * scale).astype(dtype)
        p = sg.softmax(x)
        leader = int(np.argmax(p))
        for g in (rng.normal(size=classes), np.eye(classes)[leader], np.eye(classes)[classes // 2]):
            g = g.astype(dtype)
            result = sg.softmax.vjp(x, g, value=p)
            ps, gs = [Fraction(float(a)) for a in p], [Fraction(float(a)) for a in g]
            shift = gs[leader] if ps[leader] > Fraction(1, 2) else Fraction(0)
            ds = [a - shift for a in gs]
            mean = sum(a * b for a, b in zip(ps, ds, strict=True))
            size = sum(a * abs(b) for a, b in zip(ps, ds, strict=True))
            smallest = Fraction(float(np.finfo(dtype).smallest_normal))
            for j in [leader, *rng.integers(0, classes, size=20)]:
                terms = max(ps[j], smallest) * (abs(ds[j]) + size)
                unit = Fraction(float(np.spacing(dtype(float(terms)))))
                error = abs(Fraction(float(result[j])) - ps[j] * (ds[j] - mean)) / unit
                assert error <= LIMIT, f"{float(error):.2f} ULP at class {j}, scale {scale}"
