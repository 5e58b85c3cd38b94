"""The page's mathematics beside the library's, to 1e-12."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import softgrad as sg
from softgrad.estimators import SoftmaxRegression
from tests.playground.in_page import call, evaluate

RNG = np.random.default_rng(7)
NAN, INF = np.nan, np.inf

#: name: logits, target, options of sg.cross_entropy
GOLDEN: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "ordinary": (
        [[2.0, 1.0, 0.1, -1.0], [0.3, -2.0, 1.7, 4.0], [9.0, 8.5, 3.0, 9.5]],
        [0, 3, 1],
        {},
    ),
    "square": (RNG.normal(size=(4, 4)) * 3, [3, 0, 1, 1], {"reduction": "sum"}),
    "confident": (
        [[40.0, 0.0, -3.0], [0.5, 800.0, 1.0], [37.43, 0.0, 36.0]],
        [0, 1, 0],
        {"reduction": "none"},
    ),
    "confidently wrong": ([[40.0, 0.0, -3.0], [0.5, 800.0, 1.0]], [2, 0], {}),
    "large offset": ([[1000.0, 1001.0, 1002.5], [-5000.0, -5001.25, -4999.0]], [2, 0], {}),
    "ties": ([[3.0, 3.0, 3.0, 1.0, 3.0], [0.0, 0.0, 0.0, 0.0, 0.0]], [3, 4], {}),
    "twenty classes": (RNG.normal(size=(5, 20)) * 12, [19, 0, 7, 7, 3], {}),
    "temperature": (RNG.normal(size=(4, 3)) * 5, [0, 2, 1, 1], {"temperature": 2.5}),
    "cold": (RNG.normal(size=(3, 5)), [0, 4, 2], {"temperature": 0.05, "reduction": "sum"}),
    "masked": (
        [[2.0, 90.0, 0.1, -1.0], [0.3, -2.0, 1.7, 4.0]],
        [0, 2],
        {"where": [True, False, True, True]},
    ),
    "weights": (RNG.normal(size=(4, 3)) * 2, [0, 1, 2, 1], {"class_weight": [1.0, 2.0, 5.0]}),
    "weights, none": (
        RNG.normal(size=(4, 3)),
        [0, 1, 2, 1],
        {"class_weight": [0.0, 2.0, 0.5], "reduction": "none"},
    ),
    "nothing weighs": (RNG.normal(size=(2, 3)), [0, 0], {"class_weight": [0.0, 2.0, 0.5]}),
    "sample weights": (RNG.normal(size=(3, 4)), [0, 3, 1], {"sample_weight": [1.0, 0.0, 2.5]}),
    "soft target": (RNG.normal(size=(3, 4)) * 3, RNG.dirichlet(np.ones(4), size=3), {}),
    "one-hot as a soft target": (
        [[40.0, 0.0, 1.0], [0.0, 2.0, 39.0]],
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
        {},
    ),
    "soft target of any sum": (
        RNG.normal(size=(2, 3)),
        [[0.5, 0.2, 0.0], [2.0, 0.0, 1.0]],
        {"temperature": 3.0},
    ),
    "everything": (
        RNG.normal(size=(5, 6)) * 4,
        RNG.dirichlet(np.ones(6), size=5) * [1, 0, 1, 1, 1, 1],
        {
            "temperature": 0.7,
            "where": [True, False, True, True, True, True],
            "class_weight": [1.0, 9.0, 0.25, 3.0, 0.0, 1.5],
        },
    ),
}


def close(got: Any, wanted: Any, size: Any = None) -> None:
    """Equal to 1e-12 of each number, or of the terms that it is a difference of."""
    got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
    assert got.shape == wanted.shape
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(got[~finite], wanted[~finite])
    scale = np.abs(wanted) if size is None else np.maximum(np.abs(wanted), size)
    error = np.abs(got[finite] - wanted[finite])
    assert np.all(error <= 1e-12 * np.broadcast_to(scale, wanted.shape)[finite])


def in_page(page: Any, logits: Any, target: Any, options: dict[str, Any]) -> dict[str, Any]:
    names = {"where": "mask", "class_weight": "classWeight", "sample_weight": "sampleWeight"}
    renamed = {names.get(key, key): value for key, value in options.items()}
    return call(page, "crossEntropyBatch", np.asarray(logits), target, renamed)  # type: ignore[no-any-return]


def test_golden_cases(page: Any) -> None:
    for logits, target, options in GOLDEN.values():
        x = np.asarray(logits, np.float64)
        y = np.asarray(target)
        shape = {key: options[key] for key in ("temperature", "where") if key in options}
        page_says = in_page(page, x, target, options)

        close([row["p"] for row in page_says["rows"]], sg.softmax(x, **shape))
        close([row["logP"] for row in page_says["rows"]], sg.log_softmax(x, **shape))
        z = x / options.get("temperature", 1.0)
        lse = sg.logsumexp(z, where=options.get("where"))
        close([row["lse"] for row in page_says["rows"]], lse, size=1e-3 * np.abs(z).max())
        for n, row in enumerate(x):
            jacobian = evaluate(
                page,
                f"softgrad.jacobian(softgrad.softmaxRow({row.tolist()}, "
                f"{{temperature: {options.get('temperature', 1.0)}, mask: "
                f"{'null' if 'where' not in options else str(options['where']).lower()}}}))",
            )
            close(jacobian, sg.softmax.jacobian(x, **shape)[n])

        loss, grad = sg.cross_entropy.value_and_grad(x, y, **options)
        close(page_says["loss"], loss)
        # A soft target's gradient is a true difference: measured beside its terms.
        soft = y.dtype.kind == "f" and not np.all(np.isin(y, (0.0, 1.0)))
        close(page_says["grad"], grad, size=np.abs(grad).max() if soft else None)
        close(page_says["hessian"], sg.cross_entropy.hessian(x, y, **options))


def test_the_confident_rows_of_the_golden_cases_are_ones_that_the_naive_formula_loses() -> None:
    x = np.array(GOLDEN["confident"][0])
    p = np.exp(x - x.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    exact = sg.cross_entropy(x, np.array(GOLDEN["confident"][1]), reduction="none")
    assert np.all(-np.log(p[[0, 1], [0, 1]]) == 0)
    assert np.all(exact[:1] > 0)


def test_rows_that_hold_what_is_not_finite(page: Any) -> None:
    rows = [[0.0, -INF, 1.0], [-INF, -INF, -INF], [NAN, 0.0, 1.0], [INF, 0.0, 1.0]]
    for row in rows:
        got = call(page, "softmaxRow", row)
        close(got["p"], sg.softmax(row))
        close(got["lse"], sg.logsumexp(row))
    nothing = call(page, "softmaxRow", [1.0, NAN], {"mask": [False, False]})
    assert nothing["p"] == [0, 0]
    assert nothing["lse"] == -INF


def test_sigmoid_and_entropy(page: Any) -> None:
    from scipy.stats import entropy

    for x in (-800.0, -712.0, -37.0, -1.25, 0.0, 0.3, 30.0, 800.0):
        close(call(page, "sigmoid", x), sg.sigmoid(x))
    p = RNG.dirichlet(np.ones(7) * 0.3)
    close(call(page, "entropy", p), entropy(p))
    assert call(page, "entropy", [1.0, 0.0]) == 0


@pytest.mark.parametrize("name", ["float16", "float32", "bfloat16"])
def test_rounding_is_that_of_the_format(page: Any, name: str) -> None:
    """Against NumPy's and ml_dtypes' own conversions, bit for bit."""
    dtype: Any = (
        np.dtype(getattr(pytest.importorskip("ml_dtypes"), name))
        if name == "bfloat16"
        else np.dtype(name)
    )
    rng = np.random.default_rng(3)
    values = np.concatenate(
        [
            rng.normal(size=2000) * 10.0 ** rng.integers(-12, 7, size=2000),
            np.ldexp(rng.integers(1, 2**13, size=2000), rng.integers(-28, 6, size=2000)),
            [
                0.0,
                65504.0,
                65519.99,
                65520.0,
                1e5,
                -65520.0,
                2.0**-24,
                2.0**-25,
                1.5 * 2.0**-25,
                6.1e-5,
            ],
            [3.4028234663852886e38, 3.4028235677973366e38, 1e39, 3.3961e38, 2.0**-149, 1e-46],
            [INF, -INF, 1 + 2.0**-11, 1 + 3 * 2.0**-11, 1 + 2.0**-24, 1 + 2.0**-9],
        ]
    )
    with np.errstate(over="ignore"):
        wanted = values.astype(dtype).astype(np.float64)
    got = evaluate(
        page,
        f"{values.tolist()}.map(x => softgrad.roundTo(x, '{name}'))".replace("inf", "Infinity"),
    )
    np.testing.assert_array_equal(np.array(got, np.float64), wanted)


def test_the_emulated_formula_is_the_one_that_numpy_computes(page: Any) -> None:
    """The textbook softmax and p - y in float32 and float16, step by step."""
    x = (RNG.normal(size=(3, 5)) * 3).astype(np.float16).astype(np.float64)
    masses = np.eye(5)[[0, 3, 3]]
    for dtype in (np.float32, np.float16):
        broken = call(page, "compute", x, masses, 1, None, {"dtype": np.dtype(dtype).name})
        for n in range(3):
            row = x[n].astype(dtype)
            # exp in float64, rounded once, as the page has it: NumPy's own may be off by an ULP.
            e = np.exp((row - row.max()).astype(np.float64)).astype(dtype)
            total = dtype(0)
            for value in e:
                total = dtype(total + value)
            p = (e / total).astype(dtype)
            np.testing.assert_array_equal(np.array(broken[n]["p"]), p.astype(np.float64))
            grad = p - masses[n].astype(dtype)
            np.testing.assert_array_equal(np.array(broken[n]["grad"]), grad.astype(np.float64))


def test_the_broken_formulas_are_right_when_nothing_is_broken(page: Any) -> None:
    x = RNG.normal(size=(3, 4))
    y = np.array([0, 3, 1])
    mask, weight = [True, True, False, True], np.array([1.0, 2.0, 1.0, 0.5])
    masses = np.eye(4)[y] * weight
    right = call(page, "compute", x, masses, 2.0, mask)
    options: dict[str, Any] = {
        "temperature": 2.0,
        "where": mask,
        "class_weight": weight,
        "reduction": "none",
    }
    loss, grad = sg.cross_entropy.value_and_grad(x, y, **options)
    np.testing.assert_allclose([row["loss"] for row in right], loss, rtol=1e-13)
    np.testing.assert_allclose([row["grad"] for row in right], grad, rtol=1e-12, atol=1e-15)
    jacobian = sg.softmax.jacobian(x, temperature=2.0, where=mask)
    np.testing.assert_allclose([row["jacobian"] for row in right], jacobian, rtol=1e-12)


def points_of(X: Any, y: Any) -> list[dict[str, Any]]:
    """Points of the plane with their classes, as the page holds them."""
    pairs = zip(X, y, strict=True)
    return [{"x": float(a), "y": float(b), "c": int(c)} for (a, b), c in pairs]


def test_gradient_of_the_network(page: Any) -> None:
    """Against PyTorch's automatic differentiation, for both models and both activations."""
    torch = pytest.importorskip("torch")
    points = points_of(RNG.normal(size=(9, 2)), RNG.integers(0, 3, 9))
    for model, activation in (("linear", "tanh"), ("hidden", "tanh"), ("hidden", "relu")):
        network = call(page, "initialNetwork", {"model": model, "width": 5, "seed": 3}, 3)
        for layer in network:
            layer["W"] = (np.array(layer["W"]) + RNG.normal(size=np.shape(layer["W"]))).tolist()
            layer["b"] = RNG.normal(size=np.shape(layer["b"])).tolist()
        result = call(page, "lossAndGrad", network, points, activation)
        tensors = [
            {key: torch.tensor(layer[key], dtype=torch.float64, requires_grad=True) for key in "Wb"}
            for layer in network
        ]
        h = torch.tensor([[p["x"], p["y"]] for p in points], dtype=torch.float64)
        for k, layer in enumerate(tensors):
            h = h @ layer["W"].T + layer["b"]
            if k + 1 < len(tensors):
                h = getattr(torch, activation)(h)
        loss = torch.nn.functional.cross_entropy(h, torch.tensor([p["c"] for p in points]))
        loss.backward()
        close(result["loss"], loss.item())
        for mine, theirs in zip(result["grad"], tensors, strict=True):
            for key in "Wb":
                wanted = theirs[key].grad.numpy()
                close(mine[key], wanted, size=np.abs(wanted).max())


def test_softmax_regression_ends_where_the_library_does(page: Any) -> None:
    """On drawn points that overlap: the same minimum by descent and by Newton's method."""
    X = RNG.normal(size=(60, 2)) * 0.4
    y = (X @ [[1.0, -1.0, 0.3], [0.2, 0.5, -1.0]] + RNG.gumbel(size=(60, 3)) * 0.5).argmax(1)
    points = points_of(X, y)
    loss = page.evaluate(
        """points => {
            let network = softgrad.initialNetwork({model: "linear"}, 3), at = null;
            for (let k = 0; k < 4000; k++) {
                at = softgrad.lossAndGrad(network, points, "tanh");
                network = softgrad.descend(network, at.grad, 2.0);
            }
            return at.loss;
        }""",
        points,
    )
    model = SoftmaxRegression(C=np.inf).fit(X, y)
    least = sg.cross_entropy(model.decision_function(X), y)
    assert loss == pytest.approx(least, rel=1e-4)
