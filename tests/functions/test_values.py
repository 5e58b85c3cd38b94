"""Every member against the plain formulas, for every axis, mask, layout and type."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import softgrad as sg
from softgrad._reference.row_losses import MULTI_LABEL, REGRESSION
from softgrad.functions import ACTIVATIONS
from softgrad.functions import LOSSES as LOSS_OF
from tests.support.members import BY_NAME, Array, Member, names, row_shape


def is_loss(member: Member) -> bool:
    return bool(member.loss)


def of_classes(member: Member) -> bool:
    """A loss of a distribution over classes: a masked class cannot be the target."""
    return is_loss(member) and member.loss not in (*MULTI_LABEL, *REGRESSION)


SOFTMAX = ("cross_entropy", "focal", "distillation")


def of_probabilities(member: Member) -> bool:
    """Its x is mapped into 0..1 first, which rounds: see test_losses.py for half precision."""
    return is_loss(member) and LOSS_OF[member.loss].takes == "probabilities"


ROWS = names(lambda member: member.has_axis)
MASKED = names(lambda member: "where" in member.options and not of_classes(member))
LOSSES = names(lambda member: is_loss(member))

#: Relative to the largest entry of the result: many roundings in the reference, few here.
TOLERANCE = {"float32": 3e-6, "float64": 5e-14}


def assert_close(result: Any, expected: Any, dtype: Any) -> None:
    """Equal but for rounding, relative to the largest number; never all zeros by tolerance."""
    result, expected = np.asarray(result), np.asarray(expected)
    assert result.shape == expected.shape
    assert result.dtype == dtype
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.isfinite(result), finite)
    np.testing.assert_array_equal(result[~finite], expected[~finite].astype(dtype))
    if finite.any():
        size = np.max(np.abs(expected[finite]))
        scale = TOLERANCE.get(np.dtype(dtype).name, 3e-2)
        assert np.max(np.abs(result[finite] - expected[finite])) <= scale * size


def example(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any = "float64") -> Array:
    return np.asarray(rng.normal(size=shape) * 1.5).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("shape", [(4, 3), (3, 3), (2, 3, 5), (1, 7), (6, 1), (5, 40), (2, 200)])
def test_last_axis(name: str, shape: tuple[int, ...], dtype: str, rng: Any) -> None:
    member, x = BY_NAME[name], example(rng, shape, dtype)
    companions = member.make_companions(rng, x)
    assert_close(member(x, *companions), member.expected(x, *companions), dtype)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_every_axis(name: str, axis: int, rng: Any) -> None:
    member, x = BY_NAME[name], example(rng, (4, 3, 5))
    companions = member.make_companions(rng, x, axis)
    result = member(x, *companions, axis=axis)
    assert_close(result, member.expected(x, *companions, axis=axis), "float64")


@pytest.mark.parametrize("name", [n for n in ROWS if not of_classes(BY_NAME[n])])
@pytest.mark.parametrize("axis", [None, (0,), (0, 1), (1, 2), (-1, 0), (2, 0), (0, 1, 2)])
def test_several_axes(name: str, axis: Any, rng: Any) -> None:
    member, x = BY_NAME[name], example(rng, (4, 3, 5))
    companions = member.make_companions(rng, x, axis)
    result = member(x, *companions, axis=axis)
    assert_close(result, member.expected(x, *companions, axis=axis), "float64")


@pytest.mark.parametrize("name", names(lambda member: "temperature" in member.options))
@pytest.mark.parametrize("temperature", [0.25, 3.0, 7])
def test_temperature(name: str, temperature: float, rng: Any) -> None:
    member, x = BY_NAME[name], example(rng, (4, 5))
    companions = member.make_companions(rng, x)
    result = member(x, *companions, temperature=temperature)
    assert_close(result, member.expected(x, *companions, temperature=temperature), "float64")


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("axis", [-1, 0, (0, 2), None])
@pytest.mark.parametrize("poison", [0.0, np.nan, np.inf, -np.inf])
def test_masked_entries_take_no_part_whatever_they_hold(
    name: str, axis: Any, poison: float, rng: Any
) -> None:
    member, x = BY_NAME[name], example(rng, (4, 3, 5))
    where = rng.random(x.shape) < 0.7
    where[1] = False  # whole rows, whichever axis
    where[:, :, 2] = False
    companions = member.make_companions(rng, x, axis)
    expected = member.expected(x, *companions, axis=axis, where=where)
    x[~where] = poison
    result = member(x, *companions, axis=axis, where=where)
    assert_close(result, expected, "float64")


@pytest.mark.parametrize("name", MASKED)
def test_a_mask_broadcasts(name: str, rng: Any) -> None:
    member, x = BY_NAME[name], example(rng, (4, 3, 5))
    companions = member.make_companions(rng, x)
    where = np.array([True, False, True, True, False])
    result = member(x, *companions, where=where)
    full = np.broadcast_to(where, x.shape)
    np.testing.assert_array_equal(result, member(x, *companions, where=full))
    assert_close(result, member.expected(x, *companions, where=full), "float64")


@pytest.mark.parametrize("name", names(of_classes))
def test_masked_classes_of_a_loss(name: str, rng: Any) -> None:
    """Masked classes have no probability, and label smoothing gives them none."""
    member, x = BY_NAME[name], example(rng, (6, 5))
    where = np.ones(x.shape, dtype=bool)
    where[::2, 1] = False
    where[3, :2] = False
    target = np.array([0, 1, 2, 4, 3, 1])
    if member.target == "probabilities":
        target = np.where(where, rng.random(x.shape), 0.0)
    companions = member.make_companions(rng, x)
    if member.target != "values":
        companions = (target, *companions[1:])
    x[~where] = np.nan
    clean = np.where(where, x, 0.0)
    for options in ({}, {"label_smoothing": 0.2}, {"temperature": 2.0}):
        if not options.keys() <= set(LOSS_OF[member.loss].options):
            continue
        expected = member.expected(clean, *companions, where=where, **options)
        result = member(x, *companions, where=where, **options)
        assert_close(result, expected, "float64")


def sign_of(name: str) -> float:
    """What is special for logits is special for costs with the sign changed."""
    return -1.0 if name.startswith("softmin") else 1.0


@pytest.mark.parametrize(
    "name", [n for n in ROWS if not BY_NAME[n].loss or BY_NAME[n].loss in SOFTMAX]
)
def test_rows_without_a_finite_maximum_are_nan_alone(name: str, rng: Any) -> None:
    """NaN, +inf and all -inf: NaN in that row only; the other rows keep their bits."""
    member, x = BY_NAME[name], example(rng, (7, 5))
    companions = member.make_companions(rng, x)
    per_row = "mean" not in name and "sum]" not in name
    clean = np.asarray(member(x, *companions))
    x[1, 2] = np.nan
    x[3, 0] = np.inf * sign_of(name)
    x[5] = -np.inf * sign_of(name)
    result = np.asarray(member(x, *companions))
    if per_row:
        good = [0, 2, 4, 6]
        np.testing.assert_array_equal(result[good], clean[good])
    if name == "logsumexp":
        np.testing.assert_array_equal(result[[1, 3, 5]], [np.nan, np.inf, -np.inf])
    elif "grad_target" in name or not per_row:
        pass  # -log p of NaN rows, and sums over all rows: below
    else:
        assert np.isnan(result[[1, 3, 5]]).all()
    if not per_row and np.ndim(result) == 0:
        assert np.isnan(result)


@pytest.mark.parametrize("name", names(lambda member: not is_loss(member)))
def test_minus_infinity_in_a_row(name: str, rng: Any) -> None:
    """Some logits of -inf: probability 0, derivative 0, and no NaN."""
    member, x = BY_NAME[name], example(rng, (6, 5))
    x[::2, 3] = -np.inf * sign_of(name)
    x[1, :4] = -np.inf * sign_of(name)
    companions = member.make_companions(rng, x)
    result = member(x, *companions)
    assert not np.isnan(result).any()
    assert_close(result, member.expected(x, *companions), "float64")


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8", "bool"])
@pytest.mark.parametrize("name", names())
def test_integers_and_bools_become_float64(name: str, dtype: str, rng: Any) -> None:
    member, x = BY_NAME[name], rng.integers(0, 9, size=(4, 5)).astype(dtype)
    companions = member.make_companions(rng, x)
    assert_close(member(x, *companions), member.expected(x, *companions), "float64")


def half_types() -> list[Any]:
    types: list[Any] = [np.dtype("float16")]
    try:
        import ml_dtypes
    except ImportError:
        return types
    return [*types, np.dtype(ml_dtypes.bfloat16)]


@pytest.mark.parametrize("dtype", half_types(), ids=str)
@pytest.mark.parametrize("name", names(lambda member: not of_probabilities(member)))
def test_half_precision_is_computed_in_float32(name: str, dtype: Any, rng: Any) -> None:
    member, x = BY_NAME[name], example(rng, (4, 5), dtype)
    companions = member.make_companions(rng, x)
    wide = [c.astype("float32") if c.dtype == dtype else c for c in companions]
    result = np.asarray(member(x, *companions))
    assert result.dtype == dtype
    expected = np.asarray(member(x.astype("float32"), *wide)).astype(dtype)
    np.testing.assert_array_equal(result.astype("float32"), expected.astype("float32"))


@pytest.mark.parametrize("name", names())
def test_lists_and_other_byte_orders(name: str, rng: Any) -> None:
    member, x = BY_NAME[name], example(rng, (4, 5))
    companions = member.make_companions(rng, x)
    expected = member(x, *companions)
    from_lists = member(x.tolist(), *(c.tolist() for c in companions))
    np.testing.assert_array_equal(from_lists, expected)
    swapped = [c.astype(c.dtype.newbyteorder()) for c in companions]
    result = np.asarray(member(x.astype(x.dtype.newbyteorder()), *swapped))
    np.testing.assert_array_equal(result, expected)
    assert result.dtype.isnative


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0, 4), (0, 0, 2)])
def test_no_rows(name: str, shape: tuple[int, ...], rng: Any) -> None:
    member, x = BY_NAME[name], np.zeros(shape)
    companions = member.make_companions(rng, x)
    result = np.asarray(member(x, *companions))
    assert result.dtype == np.float64
    if member.result == "scalar":
        assert result == 0.0
    else:
        assert result.shape == member.expected(x, *companions).shape


@pytest.mark.parametrize("name", [name for name in ROWS if name not in LOSSES])
def test_no_classes(name: str, rng: Any) -> None:
    member, x = BY_NAME[name], np.zeros((3, 0))
    companions = member.make_companions(rng, x)
    result = np.asarray(member(x, *companions))
    if name == "logsumexp":
        np.testing.assert_array_equal(result, [-np.inf] * 3)
    elif name == "logsumexp.jvp":
        np.testing.assert_array_equal(result, [0.0] * 3)
    else:
        assert result.size == 0
        assert result.shape[:2] == (3, 0)


@pytest.mark.parametrize("name", [name for name in ROWS if name not in LOSSES])
def test_zero_dimensions(name: str, rng: Any) -> None:
    """A number is one row of one class, for every axis that it could have."""
    member, x = BY_NAME[name], np.array(1.5)
    companions = member.make_companions(rng, x, None)
    result = np.asarray(member(x, *companions, axis=None))
    np.testing.assert_array_equal(result, member(x, *companions))
    np.testing.assert_array_equal(result, member(1.5, *companions, axis=0))
    expected = np.asarray(member.expected(x.reshape(1), *_one_entry(member, companions)))
    assert result.size == 1
    assert result.item() == expected.item()


def _one_entry(member: Member, companions: tuple[Array, ...]) -> list[Array]:
    kinds = member.companions
    return [c if k == "one a row" else c.reshape(1) for k, c in zip(kinds, companions, strict=True)]


def test_sigmoid_of_zero_dimensions() -> None:
    for name in names(lambda member: not member.has_axis):
        member = BY_NAME[name]
        companions = [np.array(0.5)] * len(member.companions)
        result = member(np.array(1.5), *companions)
        assert np.shape(result) == ()
        assert_close(result, member.expected(1.5, *companions), "float64")


@pytest.mark.parametrize("name", names())
def test_results_are_fresh_and_writable(name: str, rng: Any) -> None:
    """Never a view of an argument, never the same memory twice."""
    member, x = BY_NAME[name], example(rng, (4, 5))
    companions = member.make_companions(rng, x)
    first, second = member(x, *companions), member(x, *companions)
    if isinstance(first, np.ndarray) and first.ndim:
        assert first.flags.writeable
        for other in (second, x, *companions):
            assert not np.shares_memory(first, other)
    else:
        assert isinstance(first, np.floating)


@pytest.mark.parametrize("name", names(lambda member: member.result == "a row each"))
def test_one_row_gives_a_numpy_scalar(name: str, rng: Any) -> None:
    member = BY_NAME[name]
    for dtype in ("float32", "float64"):
        x = example(rng, (5,), dtype)
        result = member(x, *member.make_companions(rng, x))
        assert isinstance(result, np.floating)
        assert result.dtype == dtype


@pytest.mark.parametrize(
    "name", [n for n in names() if n.startswith("logsumexp") and "jac" not in n]
)
@pytest.mark.parametrize("axis", [0, -1, (0, 2), None])
def test_logsumexp_keeps_dimensions(name: str, axis: Any, rng: Any) -> None:
    member, x = BY_NAME[name], example(rng, (4, 3, 5))
    companions = member.make_companions(rng, x, axis)
    kept = tuple(
        c.reshape(np.sum(x, axis=axis, keepdims=True).shape) if kind == "one a row" else c
        for kind, c in zip(member.companions, companions, strict=True)
    )
    result = np.asarray(member(x, *kept, axis=axis, keepdims=True))
    plain = np.asarray(member(x, *companions, axis=axis))
    if member.result == "a row each":
        assert result.shape == np.sum(x, axis=axis, keepdims=True).shape
    np.testing.assert_array_equal(result.reshape(plain.shape), plain)
    assert row_shape(x, axis) == plain.shape or member.result == "like x"


DERIVATIVE = re.compile(r"\.(vjp|jvp|hvp|jacobian)")
VALUED = [
    n for n in names() if DERIVATIVE.search(n) and not BY_NAME[n].loss and n != "softmax.vjp of p"
]
# From the logits these keep more digits than softmax(x), sigmoid(x) or tanh(x), rounded, can hold.
MORE_DIGITS = {
    f"{name}.{member}": 8.0
    for name in ("softmax", "softmin")
    for member in ("vjp", "jvp", "jacobian")
} | {f"{name}.{member}": 8.0 for name in ("sigmoid", "tanh") for member in ("vjp", "jvp")}


@pytest.mark.parametrize("name", VALUED)
def test_results_hardly_depend_on_whether_the_value_is_passed(name: str, rng: Any) -> None:
    member, function = BY_NAME[name], BY_NAME[DERIVATIVE.sub("", name)]
    x = example(rng, (6, 5))
    options: list[dict[str, Any]] = [{}]
    if member.has_axis:
        where = np.array([True, True, False, True, True])
        options += [{"axis": 0}, {"where": where}, {"axis": None}]
    if "temperature" in member.options:
        options += [{"temperature": 2.0}]
    for chosen in options:
        companions = member.make_companions(rng, x, chosen.get("axis", -1))
        value = np.asarray(function(x, **chosen))
        keep = value.copy()
        value.setflags(write=False)
        expected = member(x, *companions, **chosen)
        result = member(x, *companions, value=value, **chosen)
        largest = np.max(np.abs(expected), initial=0.0)
        tolerance = MORE_DIGITS.get(name, 0.0) * np.spacing(largest)
        np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)
        np.testing.assert_array_equal(value, keep)


@pytest.mark.parametrize("name", ["softmax.vjp", "softmax.jvp", "softmax.hvp", "softmax.jacobian"])
def test_the_probabilities_are_taken_instead_of_computed(name: str, rng: Any) -> None:
    """Work saved shows: another value gives another result."""
    member, x = BY_NAME[name], example(rng, (6, 5))
    companions = member.make_companions(rng, x)
    other = BY_NAME["softmax"](x + np.arange(5.0))
    expected = member(x + np.arange(5.0), *companions, value=other)
    np.testing.assert_array_equal(member(x, *companions, value=other), expected)
    np.testing.assert_allclose(expected, member(x + np.arange(5.0), *companions), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_the_slope_in_terms_of_the_value(name: str, dtype: str, rng: Any) -> None:
    """Of whatever value is passed, in any layout, into any output; without one it keeps digits."""
    function: Any = ACTIVATIONS[name]
    x, g = (rng.normal(size=(70, 40)).astype(dtype) for _ in range(2))
    y = (function(x) / 2).astype(dtype)  # not the value at x
    slope = y * (1 - y) if name == "sigmoid" else (1 - y) * (1 + y)
    np.testing.assert_array_equal(function.vjp(x, g, value=y), slope * g)
    np.testing.assert_array_equal(function.jvp(x.T, g.T, value=y.T), (slope * g).T)
    np.testing.assert_array_equal(function.vjp(x[::2], g[::2], value=y[::2]), (slope * g)[::2])
    out = g.copy()
    assert function.vjp(x, out, value=y, out=out) is out
    np.testing.assert_array_equal(out, slope * g)
    np.testing.assert_array_equal(function.jacobian(x, value=y), function.jacobian(x))
    far, one = np.full(3, 40, dtype), np.ones(3, dtype)
    assert np.all(function.vjp(far, one, value=function(far)) == 0)
    assert np.all(function.vjp(far, one) > 0)
    half = x.astype("float16")
    expected = function.vjp(half, half)
    np.testing.assert_array_equal(function.vjp(half, half, value=function(half)), expected)


@pytest.mark.parametrize("axis", [-1, 0])
def test_softmin_is_softmax_of_the_negative(axis: int, rng: Any) -> None:
    """Bit for bit, with and without the value, and never written to the input."""
    x, g = rng.normal(size=(2, 6, 5))
    x.setflags(write=False)
    options: Any = {"axis": axis, "temperature": 1.7}
    p = sg.softmin(x, **options)
    np.testing.assert_array_equal(p, sg.softmax(-x, **options))
    out = np.empty_like(x)
    assert sg.softmin(x, out=out, **options) is out
    np.testing.assert_array_equal(out, p)
    expected = -sg.softmax.vjp(-x, g, value=p, **options)
    np.testing.assert_array_equal(sg.softmin.vjp(x, g, value=p, **options), expected)
    assert sg.softmin.vjp(x, g, value=p, out=out, **options) is out
    np.testing.assert_array_equal(out, expected)
