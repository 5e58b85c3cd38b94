"""Paste your gradient: every mistake is made here, in NumPy, and named by the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import softgrad as sg
from softgrad.doctor.catalogue import MISTAKES
from tests.playground.in_page import go, settle

X = np.array([[2.0, -1.0, 0.5], [0.3, 1.7, -2.2], [-0.4, 0.9, 3.1], [1.2, 0.1, -0.7]])
Y = np.array([0, 1, 1, 0])
HOT = np.eye(3)[Y]
SQUARE, SQUARE_Y = X[:3], np.array([2, 1, 0])


def address(x: Any, y: Any, **more: Any) -> str:
    rows = ";".join(",".join(map(repr, row)) for row in np.asarray(x).tolist())
    fields = {"view": "check", "x": rows, "y": ",".join(map(str, y)), **more}
    return "&".join(f"{key}={value}" for key, value in fields.items())


def softmax(x: Any, axis: int = -1) -> Any:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def jacobians(p: Any) -> Any:
    return np.einsum("ni,ij->nij", p, np.eye(p.shape[1])) - np.einsum("ni,nj->nij", p, p)


P = softmax(X)
J = jacobians(P)
Q = softmax(P)
E = P - HOT


def through(upstream: Any, p: Any = P) -> Any:
    """g^T J of every row."""
    return np.einsum("ni,nij->nj", upstream, jacobians(p))


def diagnose(page: Any, numbers: Any) -> list[set[Any]]:
    """Paste an array; the mistakes of each explanation, a tag for what is no mistake."""
    box = page.get_by_role("textbox", name="Your numbers")
    box.fill("")
    box.fill(np.array2string(np.asarray(numbers), precision=8, separator=", ", threshold=10**6))
    settle(page)
    diagnosis = page.locator(".diagnosis")
    if "good" in (diagnosis.get_attribute("class") or ""):
        return [{"right"}]
    findings = diagnosis.locator(".finding")
    if findings.count() == 0:
        loose = diagnosis.locator("[data-mistake]")
        return [{int(node.get_attribute("data-mistake")) for node in loose.all()} or {"unknown"}]
    return [
        {
            int(node.get_attribute("data-mistake"))
            for node in finding.locator("[data-mistake]").all()
        }
        for finding in findings.all()
    ]


#: what was done: (numbers, the mistakes that explain them)
GRADIENTS: dict[str, tuple[Any, list[set[int]]]] = {
    "diagonal only": (-HOT * (1 - P) / 4, [{1}]),
    "Jacobian of the logits": (
        np.stack([-HOT[n] / P[n] @ (np.diag(X[n]) - np.outer(X[n], X[n])) for n in range(4)]) / 4,
        [{2}],
    ),
    "ones upstream": (through(np.ones((4, 3))).round(12), [{4}]),
    "derivative twice, elementwise": (E * P * (1 - P) / 4, [{5}]),
    "derivative twice": (through(E) / 4, [{5}]),
    "sum over the batch": ((np.exp(X) / np.exp(X).sum() - HOT) / 4, [{7}]),
    "wrong axis": ((softmax(X, 0) - HOT) / 4, [{8}]),
    "log(p + eps)": (through(-HOT / (P + 1e-3)) / 4, [{14}]),
    "softmax twice, p - y": ((Q - HOT) / 4, [{15}]),
    "softmax twice, differentiated": (through(Q - HOT) / 4, [{15}]),
    "probabilities for log-probabilities": (through(-HOT) / 4, [{16}]),
    "binary cross-entropy of softmax": (through((P - HOT) / (P * (1 - P))) / 4, [{17}]),
    "sigmoid instead of softmax": ((1 / (1 + np.exp(-X)) - HOT) / 4, [{17}]),
    "no 1/N": (E, [{18}]),
    "mean over N C": (E / 12, [{19}]),
    "y - p": (-E / 4, [{21}]),
    "labels one too high": ((P - np.eye(3)[Y + 1]) / 4, [{24}]),
    "the last class": ((P - np.eye(3)[[2, 2, 2, 2]]) / 4, [{25}]),
    "softmax over one unit": ((1 - HOT) / 4, [{26}]),
    "argmax": ((np.eye(3)[P.argmax(1)] - HOT) / 4, [{28}]),
    "in place, a second time": ((P - 2 * HOT) / 4, [{29}]),
    "wrong axis and no 1/N": (softmax(X, 0) - HOT, [{8, 18}]),
    "derivative twice and the sign": (-through(E) / 4, [{5, 21}]),
    "diagonal only and mean over N C": (-HOT * (1 - P) / 12, [{1, 19}]),
    "the sign and no 1/N": (-E, [{18, 21}]),
    "right": (E / 4, [{"right"}]),
}


def test_every_wrong_gradient_is_named(open_page: Callable[..., Any]) -> None:
    page = open_page(address(X, Y))
    found = {name: diagnose(page, numbers) for name, (numbers, _) in GRADIENTS.items()}
    assert found == {name: wanted for name, (_, wanted) in GRADIENTS.items()}


def test_jacobians_and_losses(open_page: Callable[..., Any]) -> None:
    page = open_page(address(X, Y) + "&row=2")
    row, p = X[2], P[2]
    flat = P.ravel()
    surprise = -np.log(P[range(4), Y])
    cases: dict[str, tuple[Any, list[set[Any]]]] = {
        "right": (np.diag(p) - np.outer(p, p), [{"right"}]),
        "diagonal": (np.diag(p * (1 - p)), [{1}]),
        "diagonal as a vector": (p * (1 - p), [{1}]),
        "of the logits": (np.diag(row) - np.outer(row, row), [{2}]),
        "flattened batch": (np.diag(flat) - np.outer(flat, flat), [{3}]),
        "sign": (np.outer(p, p) - np.diag(p), [{21}]),
        "softmax twice": (jacobians(Q)[2] @ J[2], [{15}]),
        "of log_softmax": (np.eye(3) - p, [set()]),
        "loss": (surprise.mean(), [{"right"}]),
        "loss, sum": (surprise.sum(), [{18}]),
        "loss, mean over N C": (surprise.mean() / 3, [{19}]),
        "loss, sign": (-surprise.mean(), [{21}]),
        "loss of a double softmax": (-np.log(Q[range(4), Y]).mean(), [{15}]),
        "loss of probabilities": (-P[range(4), Y].mean(), [{16}]),
        "binary loss": (
            -(np.log(P) * HOT + np.log(1 - P) * (1 - HOT)).sum(1).mean(),
            [{17}],
        ),
        "loss, eps": (-np.log(P[range(4), Y] + 1e-3).mean(), [{14}]),
        "a row of the batch": (E[2], [{"right"}]),
    }
    found = {name: diagnose(page, numbers) for name, (numbers, _) in cases.items()}
    assert found == {name: wanted for name, (_, wanted) in cases.items()}


def test_mistakes_that_need_a_problem_of_their_own(open_page: Callable[..., Any]) -> None:
    found, wanted = {}, {}
    page = open_page(address(X, Y))

    def ask(name: str, where: str, numbers: Any, expected: list[set[Any]]) -> None:
        go(page, where)
        found[name] = diagnose(page, numbers)
        wanted[name] = expected

    # 6: the squared loss
    squared = address(X, Y, kind="squared")
    ask("p - y for the squared loss", squared, E / 4, [{6}])
    ask("the squared loss, right", squared, 2 * through(E) / 4, [{"right"}])
    # 9, 11, 13: overflow and underflow
    far = np.array([[1000.0, 1001.0, 999.5], [0.0, 1.0, 2.0]])
    with np.errstate(all="ignore"):
        e = np.exp(far - far.max())
        ask(
            "one maximum for all",
            address(far, [0, 2]),
            (e / e.sum(1, keepdims=True) - np.eye(3)[[0, 2]]) / 2,
            [{9}],
        )
        e = np.exp(far)
        ask(
            "no shift",
            address(far, [0, 2]),
            (e / e.sum(1, keepdims=True) - np.eye(3)[[0, 2]]) / 2,
            [{11}],
        )
        wide = np.array([[0.0, 800.0, 1.0], [0.5, 1.0, 2.0]])
        p = softmax(wide)
        upstream = np.where(np.eye(3)[[0, 2]] == 1, -1 / p, 0.0)
        ask("log of softmax", address(wide, [0, 2]), through(upstream, p) / 2, [{13}])
    # 10: as many rows as classes
    e = np.exp(SQUARE - SQUARE.max(1, keepdims=True))
    hot = np.eye(3)[SQUARE_Y]
    ask("no keepdims", address(SQUARE, SQUARE_Y), (e / e.sum(1) - hot) / 3, [{10}])
    # 12: clipped logits
    tall = np.array([[60.0, 55.0, 0.0], [1.0, 57.0, 58.0]])
    ask(
        "clipped at 50",
        address(tall, [0, 1]),
        (softmax(np.clip(tall, -50, 50)) - np.eye(3)[[0, 1]]) / 2,
        [{12}],
    )
    # 20: class weights 1, 2, 5
    w = np.array([1.0, 2.0, 5.0])
    weighted = address(SQUARE, SQUARE_Y, w="1,2,5")
    right = sg.cross_entropy.grad(SQUARE, SQUARE_Y, class_weight=w)
    ask("weighted mean over N", weighted, right * w.sum() / 3, [{20}])
    ask("weighted, right", weighted, right, [{"right"}])
    # 22, 23: temperature
    cool = address(X, Y, temperature=2.5)
    warm = softmax(X / 2.5) - HOT
    ask("no 1/T", cool, warm / 4, [{22}])
    ask("no 1/T, sign", cool, -warm / 4, [{21, 22}])
    ask(
        "distillation without T^2",
        address(X, Y, temperature=2.5, kind="distillation"),
        warm / 2.5 / 4,
        [{23}],
    )
    # 27: the mask
    masked = X.copy()
    masked[:, 2] = 0.0
    ask("mask by multiplying", address(X, Y, mask="110"), (softmax(masked) - HOT) / 4, [{27}])
    assert found == wanted


def test_finite_differences_in_float32_are_noise_not_a_mistake(
    open_page: Callable[..., Any],
) -> None:
    x, h = X[0], 1e-4

    def loss(z: Any) -> Any:
        z = z.astype(np.float32)
        return np.log(np.exp(z - z.max()).sum(dtype=np.float32)) + z.max() - z[0]

    steps = np.eye(3) * h
    measured = np.array([(float(loss(x + s)) - float(loss(x - s))) / (2 * h) for s in steps])
    page = open_page(address(X[:1], [0]))
    box = page.get_by_role("textbox", name="Your numbers")
    box.fill(", ".join(map(repr, measured.tolist())))
    page.locator('[data-mistake="30"]').wait_for()


def test_what_is_not_in_the_catalogue_is_said_to_be(open_page: Callable[..., Any]) -> None:
    page = open_page(address(X, Y))
    diagnosis = page.locator(".diagnosis")
    assert diagnose(page, E / 4 * 1.37) == [{"unknown"}]
    assert "1.37000 times" in diagnosis.inner_text()
    bent = E / 4
    bent = bent + np.array([0.0, 0.02, 0.0])
    assert diagnose(page, bent) == [{"unknown"}]
    assert "all of class 1" in diagnosis.inner_text()
    diagnose(page, [1.0, 2.0])
    assert "2 numbers" in diagnosis.inner_text()
    page.get_by_role("textbox", name="Your numbers").fill("[0.1, ..., 0.3]")
    diagnosis.get_by_text("shortened").wait_for()


def test_what_these_logits_cannot_show_is_named(open_page: Callable[..., Any]) -> None:
    """One row and temperature 1: a right gradient says nothing about 1/N or 1/T."""
    page = open_page(address(X[:1], [0]))
    assert diagnose(page, E[0]) == [{"right"}]
    text = page.locator(".diagnosis").inner_text()
    for number in (7, 11):
        assert f"{number} ({MISTAKES[number].title.lower()})" in text


PASTED = [
    "tensor([[-0.2447,  0.0900],\n        [ 0.1, -1.5e-05]], grad_fn=<DivBackward0>)",
    "np.float64(-0.2447) np.float64(0.09)\n0.1 −1.5e-5",
    "[[-.2447, .09], [1e-1, -0.000015]]",
    "-0.2447;0.09;0.1;-1.5E-05",
    "(-0.2447, 0.09, 0.1, -1.5e-05)",
    "array([-0.2447, 0.09, 0.1, -1.5e-05], dtype=float32)",
]


def test_numbers_as_people_paste_them(page: Any) -> None:
    for text in PASTED:
        values = page.evaluate("text => softgrad.parseRows(text).flat().map(n => n.value)", text)
        assert values == [-0.2447, 0.09, 0.1, -1.5e-05], text


def test_what_is_left_unfinished_is_named(page: Any) -> None:
    """No mistakes of the catalogue, but what people take for the gradient on their way to it."""
    go(page, address(X[:1], Y[:1]))
    p, y = P[0], HOT[0]
    loss = -np.log(p[Y[0]])
    for numbers, words in (
        (p, "y has not been subtracted"),
        (-y / p, "the Jacobian of softmax is still to be multiplied"),
        (2 * through(E)[0], "squared loss"),
        (loss / np.log(2), "Bits in place of nats"),
        (loss / np.log(10), "log₁₀"),
    ):
        diagnose(page, numbers)
        assert words in page.locator(".diagnosis .finding").inner_text()
        assert page.locator(".diagnosis .finding").count() == 1
