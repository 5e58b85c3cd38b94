"""Fits the polynomials of exp.hpp and activation_math.hpp: python tools/fit_polynomials.py

Minimax by the exchange algorithm of Remez, in relative error, at 200 bits. Prints the largest error
and the coefficients, highest first, rounded to the type that computes with them.
"""

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

mpmath.mp.prec = 260
Function = Callable[[Any], Any]


def remez(f: Function, low: Any, high: Any, degree: int, weight: Function) -> tuple[list[Any], Any]:
    """Coefficients c, lowest first, that minimise the largest |p(x) - f(x)| weight(x)."""
    count = degree + 2

    def points(number: int) -> list[Any]:
        middle, half = (low + high) / 2, (high - low) / 2
        return [middle - half * mpmath.cos(mpmath.pi * k / number) for k in range(number + 1)]

    nodes = points(count - 1)
    for _ in range(12):
        system = mpmath.matrix(count, count)
        right = mpmath.matrix(count, 1)
        for i, x in enumerate(nodes):
            for j in range(degree + 1):
                system[i, j] = x**j
            system[i, degree + 1] = (-1) ** i / weight(x)
            right[i] = f(x)
        solution = mpmath.lu_solve(system, right)
        coefficients = [solution[j] for j in range(degree + 1)]
        extrema: list[tuple[Any, Any]] = []
        for x in points(40 * count):
            error = (mpmath.polyval(coefficients[::-1], x) - f(x)) * weight(x)
            if extrema and mpmath.sign(error) == mpmath.sign(extrema[-1][1]):
                extrema[-1] = max(extrema[-1], (x, error), key=lambda pair: abs(pair[1]))
            else:
                extrema.append((x, error))
        sizes = [abs(error) for _, error in extrema]
        if len(extrema) < count or max(sizes) < 1.02 * min(sizes):
            break
        while len(extrema) > count:
            extrema.pop(0 if abs(extrema[0][1]) < abs(extrema[-1][1]) else -1)
        nodes = [x for x, _ in extrema]
    return coefficients, max(sizes)


def log1p_rest(z: Any) -> Any:
    """G with log1p f = f - f^2/2 + s (f^2/2 + s^2 G(s^2)), s = f / (2 + f)."""
    if z < mpmath.mpf(10) ** -9:
        return mpmath.mpf(2) / 3 + 2 * z / 5
    s = mpmath.sqrt(z)
    return (2 * mpmath.atanh(s) / s - 2) / z


def exp_rest(r: Any) -> Any:
    """q with exp r = 1 + r + r^2 q(r)."""
    if abs(r) < mpmath.mpf(10) ** -8:
        return mpmath.mpf(1) / 2 + r / 6 + r * r / 24
    return (mpmath.exp(r) - 1 - r) / r**2


def exp_weight(r: Any) -> Any:
    """The weight of an error of `exp_rest`, and a little beside 0."""
    return r * r / mpmath.exp(r) + mpmath.mpf(10) ** -6


def exp2_slope(f: Any) -> Any:
    """q with 2^f = 1 + f q(f)."""
    log2 = mpmath.log(2)
    if abs(f) < mpmath.mpf(10) ** -20:
        return log2 + f * log2**2 / 2
    return (2**f - 1) / f


def print_eighths() -> None:
    """2^(k / 8) as two doubles, and times the factor for which one double does."""
    factor = 1 + mpmath.mpf(157253372) / mpmath.mpf(2) ** 52
    powers = [mpmath.mpf(2) ** (mpmath.mpf(k) / 8) for k in range(8)]
    for power in powers:
        high = float(power)
        common = power * factor
        error = abs(float(common) / common - 1)
        size = f"2^{float(mpmath.log(error, 2)):.1f}" if error else "0"
        print("   ", high.hex(), float(power - high).hex(), float(common).hex(), "off by", size)
    print("    log of the factor", float(mpmath.log(factor)).hex())
    factor = mpmath.mpf(float.fromhex("0x1.16747bf8p+0"))
    for power in powers:
        single = float(np.float32(float(power * factor)))
        error = mpmath.log(abs(single / (power * factor) - 1), 2)
        print("   ", single.hex(), f"off by 2^{float(error):.1f}")
    print("    log of the factor, float32", float(mpmath.log(factor)).hex())


def normal_tail(centre: int) -> Function:
    """(a + centre) Phi(-a) exp(a^2 / 2) as a function of t = (a - centre) / (a + centre)."""

    def f(t: Any) -> Any:
        a = centre * (1 + t) / (1 - t)
        return (a + centre) * mpmath.exp(a * a / 2) * mpmath.erfc(a / mpmath.sqrt(2)) / 2

    return f


def report(
    name: str, f: Function, low: Any, high: Any, degree: int, weight: Function, single: bool
) -> None:
    coefficients, error = remez(f, mpmath.mpf(low), mpmath.mpf(high), degree, weight)
    print(f"{name}: degree {degree}, 2^{float(mpmath.log(error, 2)):.1f}")
    for c in reversed(coefficients):
        print("   ", float(np.float32(float(c)) if single else c).hex())


def main() -> None:
    for name, degree in (("Single", 3), ("Short", 4), ("Full", 7)):
        single = name == "Single"
        report(f"log1p, {name}", log1p_rest, 0, 0.0405, degree, lambda _: mpmath.mpf(1.5), single)
    print("2^(k / 8):")
    print_eighths()
    small = mpmath.mpf(10) ** -8
    half = mpmath.log(2) / 16 * mpmath.mpf("1.0001")
    report("exp, eighths", exp_rest, -half, half, 5, lambda r: r * r / mpmath.exp(r) + small, False)
    wider = mpmath.log(2) / 16 * mpmath.mpf("1.001")
    report("exp, eighths, float32", exp_rest, -wider, wider, 2, exp_weight, True)
    report("2^f, eighths", exp2_slope, -1 / 16, 1 / 16, 4, lambda f: abs(f) / 2**f + small, False)
    half = mpmath.log(2) / 2 * mpmath.mpf("1.0001")
    report("exp, float32", exp_rest, -half, half, 4, lambda r: r * r / mpmath.exp(r) + small, True)
    small = mpmath.mpf(10) ** -6
    report("exp, Short", exp_rest, -half, half, 6, lambda r: r * r / mpmath.exp(r) + small, False)
    for name, centre, top, degree in (
        ("Single", 4, 14.5, 9),
        ("Short", 5, 15.0, 11),
        ("Full", 5, 39.5, 22),
    ):
        f, high = normal_tail(centre), (mpmath.mpf(top) - centre) / (top + centre)
        report(
            f"normal tail, {name}", f, -1, high, degree, lambda t, f=f: 1 / f(t), name == "Single"
        )


if __name__ == "__main__":
    main()
