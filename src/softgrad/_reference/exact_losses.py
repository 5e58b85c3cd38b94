"""The losses of one row in arbitrary precision, as the textbooks write them.

`exact(name, x, y)` returns the loss of a row x, its gradient, its Hessian and its gradient by the
target y, which is one number a class. Each comes with the size of the terms that it is the sum of:
where these cancel, no floating point formula can do better than an ULP of them. A divergence takes
the difference log y - x first, and carries it in extended precision: its terms count a sixteenth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mpmath  # type: ignore[import-untyped,import-not-found,unused-ignore]
import numpy as np

from softgrad._reference.exact import Exact, Floats, Row, bits, number


class Sum(NamedTuple):
    """Results, and the sum of the magnitudes of the terms of each."""

    value: Any
    terms: Any


class Derivatives(NamedTuple):
    """Of one row: a number, a number a class, a square matrix, a number a class."""

    value: Sum
    grad: Sum
    hessian: Sum
    grad_target: Sum


Terms = list[Any]
Options = dict[str, Any]
#: The terms of l, dl/dx, d2l/dx2 and dl/dy of one entry.
Entry = Callable[[Any, Any, Options], tuple[Terms, Terms, Terms, Terms]]

ONE, ZERO = mpmath.mpf(1), mpmath.mpf(0)


def _times(a: Any, f: Callable[[], Any]) -> Any:
    """a f(), and 0 where a is 0 whatever the other would be."""
    return ZERO if a == 0 else a * f()


def _log(x: Any) -> Any:
    return mpmath.log(x) if x else -mpmath.inf


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


def _softplus(x: Any) -> Any:
    return mpmath.log1p(mpmath.exp(x)) if x < 1e5 else x + mpmath.exp(-x)


def _nll(x: Any, y: Any, o: Options) -> tuple[Terms, Terms, Terms, Terms]:
    return [_times(y, lambda: -x)], [-y], [ZERO], [-x]


def _categorical(x: Any, y: Any, o: Options) -> tuple[Terms, Terms, Terms, Terms]:
    slope, curvature = _times(y, lambda: -_over(1, x)), _times(y, lambda: _over(1, x * x))
    return [_times(y, lambda: -_log(x))], [slope], [curvature], [-_log(x)]


def _over(a: Any, b: Any) -> Any:
    return a / b if b else mpmath.inf


def _divergence(x: Any, y: Any, o: Options) -> tuple[Terms, Terms, Terms, Terms]:
    value = _times(y, lambda: mpmath.log(y) - x)
    size = (abs(_times(y, lambda: mpmath.log(y))) + abs(y * x)) / 32
    return [value, size, -size], [-y], [ZERO], [_log(y) - x, ONE]


def _binary(x: Any, y: Any, o: Options) -> tuple[Terms, Terms, Terms, Terms]:
    yes, p, q = mpmath.mpf(o.get("pos_weight", 1)), _sigmoid(x), _sigmoid(-x)
    a, b, size = yes * y, 1 - y, _softplus(-abs(x))
    value = [_times(a, lambda: _softplus(-x)), _times(b, lambda: _softplus(x))]
    by_target = [(yes - 1) * size, -x if x > 0 else -x * yes]
    return value, [-a * q, b * p], [(a + b) * p * q], by_target


def _binary_probability(x: Any, y: Any, o: Options) -> tuple[Terms, Terms, Terms, Terms]:
    a, b = mpmath.mpf(o.get("pos_weight", 1)) * y, 1 - y
    return (
        [_times(a, lambda: -_log(x)), _times(b, lambda: -_log(1 - x))],
        [_times(a, lambda: -_over(1, x)), _times(b, lambda: _over(1, 1 - x))],
        [_times(a, lambda: _over(1, x * x)), _times(b, lambda: _over(1, (1 - x) ** 2))],
        [_log(1 - x), -_log(x) * mpmath.mpf(o.get("pos_weight", 1))],
    )


def _sigmoid_focal(x: Any, y: Any, o: Options) -> tuple[Terms, Terms, Terms, Terms]:
    g, alpha = mpmath.mpf(o.get("gamma", 2)), o.get("alpha", 0.25)
    yes, no = (ONE, ONE) if alpha is None else (mpmath.mpf(alpha), 1 - mpmath.mpf(alpha))

    def one(z: Any) -> tuple[Any, Any, Terms]:
        p, q, a = _sigmoid(z), _sigmoid(-z), _softplus(-z)
        power = mpmath.exp(-g * _softplus(z))
        parts = [p * power * t for t in (g * g * p * a, (2 * g + 1) * q, -g * q * a)]
        return power * a, -power * (g * p * a + q), parts

    (v1, d1, h1), (v0, d0, h0) = one(x), one(-x)
    a, b = yes * y, no * (1 - y)
    curvature = [a * h for h in h1] + [b * h for h in h0]
    return [a * v1, b * v0], [a * d1, -b * d0], curvature, [yes * v1, -no * v0]


def _squared(x: Any, y: Any, o: Options) -> tuple[Terms, Terms, Terms, Terms]:
    return [(x - y) ** 2], [2 * (x - y)], [2 * ONE], [2 * (y - x)]


def _half_squared(x: Any, y: Any, o: Options) -> tuple[Terms, Terms, Terms, Terms]:
    return [(x - y) ** 2 / 2], [x - y], [ONE], [y - x]


def _absolute(x: Any, y: Any, o: Options) -> tuple[Terms, Terms, Terms, Terms]:
    return [abs(x - y)], [mpmath.sign(x - y)], [ZERO], [mpmath.sign(y - x)]


def _huber(x: Any, y: Any, o: Options) -> tuple[Terms, Terms, Terms, Terms]:
    d, delta = x - y, mpmath.mpf(o.get("delta", 1))
    if abs(d) <= delta:
        return [d * d / 2], [d], [ONE], [-d]
    slope = delta * mpmath.sign(d)
    return [delta * (abs(d) - delta / 2)], [slope], [ZERO], [-slope]


ENTRIES: dict[str, Entry] = {
    "nll": _nll,
    "categorical_cross_entropy": _categorical,
    "kl_divergence": _divergence,
    "binary_cross_entropy": _binary,
    "binary_cross_entropy_probabilities": _binary_probability,
    "sigmoid_focal": _sigmoid_focal,
    "squared_error": _squared,
    "half_squared_error": _half_squared,
    "absolute_error": _absolute,
    "huber": _huber,
}


def _sums(columns: Sequence[Terms]) -> Sum:
    """One number for each list of terms."""
    return Sum(
        np.array([mpmath.fsum(terms) for terms in columns], dtype=object),
        np.array([mpmath.fsum(terms, absolute=True) for terms in columns], dtype=object),
    )


def _of_entries(name: str, x: Floats, y: Floats, options: Options) -> Derivatives:
    pairs = zip(number(x), number(y), strict=True)
    parts = [ENTRIES[name](a, b, options) for a, b in pairs]
    value, grad, curvature, grad_target = (_sums(column) for column in zip(*parts, strict=True))
    hessian = Sum(np.diag(curvature.value), np.diag(curvature.terms))
    whole = Sum(mpmath.fsum(value.value), mpmath.fsum(value.terms))
    return Derivatives(whole, grad, hessian, grad_target)


def _plain(values: Any) -> Sum:
    """Results that no terms cancel in."""
    return Sum(values, abs(values))


def _array(values: Any) -> Exact:
    return np.array(list(values), dtype=object)


class _Surprises(NamedTuple):
    """A loss sum_c phi_c(u_c) of u = log softmax(x / T)."""

    row: Row
    value: Sum
    slope: Exact  # a = phi'
    curvature: Sequence[Exact]  # the terms of phi''
    grad_target: Sum

    def derivatives(self) -> Derivatives:
        """The gradient (a - p S) / T with S = sum a; the Hessian likewise, by the chain rule.

        Where all but one a is 0, a - p S is a (1 - p) there, without a difference.
        """
        p, a, t = self.row.softmax, self.slope, self.row.temperature
        total, size = mpmath.fsum(a), mpmath.fsum(a, absolute=True)
        others = _array(mpmath.fsum(np.delete(p, k)) for k in range(len(p)))
        alone = abs(a) == size
        grad = np.where(alone, a * others, a - p * total)
        terms = np.where(alone, abs(a * others), abs(a) + p * size)
        change = -np.outer(np.ones(len(p), dtype=int), p)  # of u_c by x_j
        np.fill_diagonal(change, others)
        covariance = p[:, None] * change
        curved = [covariance * -total]
        curved += [(change.T * bend) @ change for bend in self.curvature]
        sizes = [abs(covariance) * size]
        sizes += [(abs(change.T) * abs(bend)) @ abs(change) for bend in self.curvature]
        hessian = Sum(sum(curved) / t**2, sum(sizes) / t**2)
        return Derivatives(self.value, Sum(grad / t, terms / t), hessian, self.grad_target)


def _cross_entropy(x: Floats, y: Floats, options: Options) -> Derivatives:
    row, target = Row(x, temperature=options.get("temperature", 1.0)), number(y)
    u = row.log_softmax
    taken = [ZERO if y_c == 0 else -y_c * u_c for y_c, u_c in zip(target, u, strict=True)]
    value = Sum(mpmath.fsum(taken), mpmath.fsum(taken, absolute=True))
    return _Surprises(row, value, -target, [], _plain(-u)).derivatives()


def _focal(x: Floats, y: Floats, options: Options) -> Derivatives:
    """phi(u) = -(1 - p)^g u."""
    row, target, g = Row(x), number(y), mpmath.mpf(options.get("gamma", 2))
    p, u = row.softmax, row.log_softmax
    q = _array(mpmath.fsum(np.delete(p, k)) for k in range(len(p)))
    power = _array(q_c**g for q_c in q)
    odds = p / q
    slope = -power * (1 - odds * u * g)
    bends = [power * odds * (2 * g), power * odds * u * g, power * odds * odds * -u * (g * (g - 1))]
    value = _plain(mpmath.fsum(target * power * -u))
    curvature = [target * bend for bend in bends]
    return _Surprises(row, value, target * slope, curvature, _plain(power * -u)).derivatives()


def _distillation(x: Floats, y: Floats, options: Options) -> Derivatives:
    """T^2 D(t || p) of a teacher's logits y."""
    heat = options.get("temperature", 1.0)
    row, teacher = Row(x, temperature=heat), Row(y, temperature=heat)
    t, scale = teacher.softmax, row.temperature**2
    difference = teacher.log_softmax - row.log_softmax
    size = abs(teacher.log_softmax) + abs(row.log_softmax)
    mean, spread = mpmath.fsum(t * difference), mpmath.fsum(t * size)
    by_logits = Sum(
        t * (difference - mean) * row.temperature, t * (size + spread) * row.temperature
    )
    value = Sum(mean * scale, spread * scale)
    return _Surprises(row, value, t * -scale, [], by_logits).derivatives()


def _hinge(x: Floats, y: Floats, options: Options) -> Derivatives:
    """max(0, margin + the largest other - x_y), for a target of one 1."""
    z, at = number(x), int(np.argmax(y))
    rival = max((k for k in range(len(z)) if k != at), key=lambda k: z[k])
    parts = [mpmath.mpf(options.get("margin", 1)), z[rival], -z[at]]
    grad = _array(ZERO for _ in z)
    if mpmath.fsum(parts) > 0:
        grad[rival], grad[at] = ONE, -ONE
    nothing = np.full((len(z), len(z)), ZERO)
    value = Sum(max(mpmath.fsum(parts), ZERO), mpmath.fsum(parts, absolute=True))
    return Derivatives(value, _plain(grad), _plain(nothing), _plain(grad))


ROWS = {
    "cross_entropy": _cross_entropy,
    "focal": _focal,
    "multiclass_hinge": _hinge,
    "distillation": _distillation,
}


def exact(name: str, x: Floats, y: Floats, **options: Any) -> Derivatives:
    """One row's loss with its derivatives, each with the size of its terms."""
    with mpmath.workprec(2 * bits(x)):
        if name in ROWS:
            return ROWS[name](x, y, options)
        return _of_entries(name, x, y, options)
