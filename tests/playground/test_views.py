"""What the views show of the numbers on the bench."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import softgrad as sg
from tests.playground.in_page import go, settle, state

X = [2.0, 1.0, 0.1, -1.0]
SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


def number(text: str) -> float:
    return float(text.replace("−", "-").replace("∞", "inf"))


# --- Explore --------------------------------------------------------------------------------------


def test_every_symbol_of_the_formula_is_bound_to_its_number(page: Any) -> None:
    page.locator(".heat td").first.wait_for()
    symbols = page.locator("#formula .math:not(.numeric) .sym")
    seen = {}
    for symbol in symbols.all():
        symbol.hover()
        key = symbol.get_attribute("data-sym")
        lit = page.locator("#formula .lit")
        assert {node.get_attribute("data-sym") for node in lit.all()} == {key}
        seen[key] = page.locator("#formula .readout").inner_text()
        label = symbol.get_attribute("aria-label").translate(SUBSCRIPTS)
        assert label.startswith(seen[key].split("=")[0].strip())
    p, total = sg.softmax(X), np.exp(np.array(X) - 2).sum()
    for key, value in {
        "p_i": p[0],
        "p_j": p[1],
        "sum": total,
        "m": 2,
        "T": 1,
        "x_i": 2,
        "g": p[0] - 1,
    }.items():
        assert number(seen[key].split("=")[1].split()[0]) == round(value, 4 if value < 1 else 3), (
            key
        )
    assert {"delta", "d", "L", "y_c", "logp", "z_i", "z_j", "y_i"} <= set(seen)
    symbols.first.focus()
    assert page.locator("#formula .numeric .lit").first.inner_text() == "0.6381"


def test_the_loss_is_written_out(page: Any) -> None:
    """From p where its digits are seen, else as it is computed."""
    line = page.locator("#formula .numeric").nth(2)
    for where, text in {
        "x=2,1,0.1,-1&y=0": "0.4493=−log 0.6381",
        "x=2,1,0.1,-1&q=0.7,0.3,0,0": "0.7493=−0.7log 0.6381−0.3log 0.2347",
        "x=40,0,-3&y=0": f"4.46e−18=−(−4.46e−18)as log(1 + {4.46e-18})",
        "x=40,0,-3&y=1": "40=−(−40)as z − m − log Σ",
    }.items():
        go(page, where)
        shown = "".join(line.inner_text().split())
        assert shown.startswith("".join(text.replace("-", "−").split())), shown


def test_cards_outside_of_the_window_follow(open_page: Callable[..., Any]) -> None:
    """They are drawn a frame later than the others, and not at all while a logit is dragged."""
    page = open_page(viewport={"width": 1280, "height": 420})
    page.get_by_role("textbox", name="Logit of class 0").fill("3.5")
    settle(page)
    nats = sg.cross_entropy([[3.5, 1.0, 0.1, -1.0]], [0])
    assert page.evaluate("document.querySelector('#loss .lead b').textContent") == f"{nats:.6f}"
    share = float(sg.sigmoid(2.5))
    assert f"{share:.4f}" in page.evaluate("document.querySelector('#sigmoid').textContent")


def test_jacobian(page: Any) -> None:
    cells = page.locator(".heat td[data-i]")
    shown = np.array([number(text) for text in cells.all_inner_texts()]).reshape(4, 4)
    np.testing.assert_array_equal(shown, sg.softmax.jacobian(X).round(3))
    assert page.locator(".heat td.sum").all_inner_texts() == ["0"] * 4
    detail = page.locator(".cell-detail")
    cells.nth(6).hover()
    settle(page)
    assert "i ≠ j" in detail.inner_text()
    assert f"−{-sg.softmax.jacobian(X)[1, 2]:.5f}" in detail.inner_text()
    cells.nth(5).focus()
    settle(page)
    assert "i = j" in detail.inner_text()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
        settle(page)
    assert (state(page)["i"], state(page)["j"]) == (1, 3)


def test_finite_differences_agree_until_their_digits_run_out(page: Any) -> None:
    verdict = page.locator("#differences .verdict")
    assert verdict.inner_text().startswith("Agrees to")
    formula, measured = (
        [number(t) for t in page.locator(f"#differences tbody td:nth-child({k})").all_inner_texts()]
        for k in (2, 3)
    )
    assert formula == measured == sg.cross_entropy.grad(X, 0).round(5).tolist()
    page.get_by_label("Step size, power of ten").fill("-12")
    settle(page)
    assert "rounding of the loss shows" in verdict.inner_text()
    page.get_by_label("Step size, power of ten").fill("0")
    settle(page)
    assert "loss bends" in verdict.inner_text()
    page.get_by_label("Step size, power of ten").fill("-5")
    page.get_by_role("radio", name="float16").click()
    settle(page)
    assert verdict.inner_text().startswith("Disagrees")


def test_entropy_and_sigmoid(page: Any) -> None:
    p = sg.softmax(X)
    nats = -float(np.sum(p * np.log(p)))
    text = page.locator("#entropy").inner_text()
    assert f"{nats:.4f} nats = {nats / np.log(2):.3f} bits" in text
    assert "log 4 = 1.386" in text
    page.get_by_label("First class").select_option("2")
    page.get_by_label("Second class").select_option("0")
    settle(page)
    share = float(sg.sigmoid(0.1 - 2.0))
    np.testing.assert_allclose(p[2] / (p[2] + p[0]), share, rtol=1e-14)
    assert f"{share:.4f}" in page.locator("#sigmoid .math").inner_text()
    assert f"{share * (1 - share):.4f}" in page.locator("#sigmoid > .note").last.inner_text()


# --- Break it -------------------------------------------------------------------------------------


def test_every_break_shows_its_symptom(open_page: Callable[..., Any]) -> None:
    page = open_page("view=break")
    symptoms = {}
    for box in page.locator(".break").all():
        box.get_by_role("button", name="Show me").click()
        settle(page)
        toggle = box.get_by_role("switch")
        name = toggle.get_attribute("aria-label")
        assert toggle.get_attribute("aria-checked") == "true"
        assert page.locator("#broken .off").count() > 0
        symptoms[name] = box.locator(".symptom").inner_text()
        toggle.click()
        settle(page)
        assert page.locator("#broken .off").count() == 0, f"{name}: right again once it is off"
    assert list(symptoms) == [
        "No max shift",
        "float32",
        "float16",
        "Wrong axis",
        "Diagonal only",
        "Double softmax",
        "Log of softmax",
    ]
    assert "exp(1002) is infinite" in symptoms["No max shift"]
    assert "digits cancelled" in symptoms["float32"]
    assert "0 in float16" in symptoms["float16"]
    assert "instead of 1" in symptoms["Wrong axis"]
    assert "instead of 0; 3 of 4 logits get no gradient" in symptoms["Diagonal only"]
    assert "1.461" in symptoms["Double softmax"]
    assert "∞ instead of 800" in symptoms["Log of softmax"]


def test_breaks_on_the_readers_own_numbers(open_page: Callable[..., Any]) -> None:
    """Against the same mistakes made in NumPy."""
    x = np.array([[2.0, -1.0, 0.5], [0.3, 1.7, -2.2]])
    page = open_page("view=break&x=2,-1,0.5;0.3,1.7,-2.2&y=0,1&row=1")
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    twice = np.exp(p) / np.exp(p).sum(1, keepdims=True)
    over_rows = np.exp(x) / np.exp(x).sum(0)
    half = sg.softmax(x[1].astype(np.float16)).astype(np.float64)
    wanted = {
        "Wrong axis": over_rows[1],
        "Double softmax": twice[1],
        "No max shift": p[1],
        "float16": half,
        "Diagonal only": p[1],
    }
    for name, values in wanted.items():
        page.get_by_role("switch", name=name).click()
        settle(page)
        shown = [
            number(t)
            for t in page.locator(".compare tbody tr:not(.total) td:nth-child(3)").all_inner_texts()
        ]
        np.testing.assert_allclose(shown, values, atol=6e-4 if name == "float16" else 5.1e-5)
        if name == "Diagonal only":
            grad = [
                number(t)
                for t in page.locator(
                    ".compare tbody tr:not(.total) td:nth-child(5)"
                ).all_inner_texts()
            ]
            np.testing.assert_allclose(grad, [0, p[1, 1] - 1, 0], atol=5.1e-5)
        page.get_by_role("switch", name=name).click()
    page.get_by_role("switch", name="float16").click()
    page.get_by_role("switch", name="float32").click()
    assert state(page)["breaks"] == ["float32"]  # a number has one format


# --- Predict --------------------------------------------------------------------------------------


def test_questions_are_answered_and_revealed(open_page: Callable[..., Any]) -> None:
    page = open_page("view=predict")
    reveal = page.locator(".reveal")
    assert reveal.inner_text() == ""
    page.get_by_role("button", name="It falls").click()
    assert reveal.inner_text().startswith("Not quite. It stays as it is.")
    assert "0 of 1 right" in page.locator("#predict").inner_text()
    assert page.get_by_role("button", name="It rises").is_disabled()
    page.get_by_role("button", name="Next question").click()
    settle(page)
    assert reveal.inner_text() == ""
    guess = page.get_by_label("Your prediction")
    guess.fill(str(round(float(sg.softmax([3.0, 1.0, 0.1, -1.0])[0]), 2)))
    page.get_by_role("button", name="Reveal").click()
    assert reveal.inner_text().startswith("Right.")
    assert "1 of 2 right" in page.locator("#predict").inner_text()


def test_the_answers_are_those_of_the_library(open_page: Callable[..., Any]) -> None:
    """Every question, on rows with and without a mask and a temperature."""
    page = open_page("view=predict")
    for where in (
        "x=2,1,0.1,-1&y=0",
        "x=0.5,3,-1,0&y=0&temperature=2&mask=1011",
        "x=1,2,0,0.3,4&y=3",
    ):
        go(page, f"{where}&view=predict")
        current = state(page)
        x, temperature = np.array(current["logits"][0]), current["temperature"]
        options: dict[str, Any] = {"temperature": temperature}
        if current["mask"]:
            options["where"] = np.array(current["mask"])
        p = sg.softmax(x, **options)
        order = [c for c in np.argsort(-p, kind="stable") if p[c] > 0]
        total = int(page.locator("#predict .tag").inner_text().split(" of ")[1])
        answers = {}
        for _ in range(total):
            text = page.locator(".question").inner_text()
            slide = page.get_by_label("Your prediction")
            if slide.count():
                page.get_by_role("button", name="Reveal").click()
                answers[text] = number(
                    page.locator(".reveal").inner_text().split("it is ")[1].split()[0].rstrip(".")
                )
            else:
                page.locator(".answer").first.click()
                answers[text] = page.locator(".answer.correct").inner_text()
            page.get_by_role("button", name="Next question").click()
            settle(page)
        assert len(answers) == total >= 8
        by_start = lambda start: next(v for k, v in answers.items() if k.startswith(start))  # noqa: B023, E731
        assert by_start("Every logit rises") == "It stays as it is"
        assert by_start("Double the temperature") == "It rises"
        assert by_start("What do all entries of the gradient") == "To 0"
        raised = x.copy()
        raised[order[0]] += 1
        top = sg.softmax(raised, **options)[order[0]]
        np.testing.assert_allclose(by_start(f"Raise x{'₀₁₂₃₄'[order[0]]} by 1"), top, rtol=6e-4)
        grad = sg.cross_entropy.grad(x, current["index"][0], reduction="none", **options)
        other = next(c for c in order if c != current["index"][0])
        np.testing.assert_allclose(by_start(f"Class {other} is not"), grad[other], rtol=6e-4)
        after = sg.cross_entropy(x - 0.5 * grad, current["index"][0], **options)
        np.testing.assert_allclose(by_start("One step"), after, rtol=6e-4)
