"""The bench: dragging, typing, keys, target, temperature, mask, weights, batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import softgrad as sg
from tests.playground.in_page import settle, state, until


def probabilities(page: Any) -> list[float]:
    """The numbers beside the bars, as the reader sees them."""
    settle(page)
    return [float(text) for text in page.locator(".lines .p-value").all_inner_texts()]


def drag(page: Any, element: Any, share: float) -> None:
    box = element.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * (share + 0.5) / 2, y, steps=3)
    page.mouse.move(box["x"] + box["width"] * share, y, steps=3)
    page.mouse.up()


def test_typing_a_logit(page: Any) -> None:
    field = page.get_by_role("textbox", name="Logit of class 2")
    field.fill("3.25")
    assert probabilities(page) == sg.softmax([2.0, 1.0, 3.25, -1.0]).round(4).tolist()
    field.fill("3.x")
    assert field.get_attribute("aria-invalid") == "true"
    assert state(page)["logits"] == [[2, 1, 3.25, -1]]
    field.blur()
    assert field.input_value() == "3.25"
    field.fill("-1e3")
    assert probabilities(page)[2] == 0


def test_dragging_a_logit(page: Any) -> None:
    track = page.get_by_role("slider", name="Logit of class 1")
    drag(page, track, 0.9)
    (logits,) = state(page)["logits"]
    assert logits[1] == 4  # 0.9 of the way from -5 to 5
    assert [logits[0], *logits[2:]] == [2, 0.1, -1]
    assert probabilities(page) == sg.softmax(logits).round(4).tolist()
    assert track.get_attribute("aria-valuenow") == "4"


def test_dragging_a_bar_sets_the_probability(page: Any) -> None:
    drag(page, page.get_by_role("slider", name="Probability of class 3"), 0.75)
    (logits,) = state(page)["logits"]
    assert logits[:3] == [2, 1, 0.1]
    np.testing.assert_allclose(sg.softmax(logits)[3], 0.75, atol=0.01)


def test_arrow_keys(page: Any) -> None:
    track = page.get_by_role("slider", name="Logit of class 0")
    track.focus()
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowUp", "ArrowLeft", "PageDown"):
        page.keyboard.press(key)
        settle(page)
    assert state(page)["logits"][0][0] == 2.1
    page.keyboard.press("End")
    assert state(page)["logits"][0][0] == 5
    bar = page.get_by_role("slider", name="Probability of class 1")
    bar.focus()
    before = float(bar.get_attribute("aria-valuenow"))
    page.keyboard.press("ArrowUp")
    settle(page)
    np.testing.assert_allclose(float(bar.get_attribute("aria-valuenow")), before + 0.01, atol=1e-3)


def test_every_number_has_a_name_for_a_screen_reader(page: Any) -> None:
    track = page.get_by_role("slider", name="Logit of class 0")
    assert track.get_attribute("aria-valuetext") == "2, probability 0.638"
    page.get_by_role("textbox", name="Logit of class 0").fill("-3")
    until(page, "document.getElementById('live').textContent.includes('Class 0: logit −3')")


def test_two_to_twenty_classes(page: Any) -> None:
    more, fewer = (
        page.get_by_role("button", name=f"One class {word}") for word in ("more", "fewer")
    )
    for _ in range(16):
        more.click()
        settle(page)
    assert more.is_disabled()
    assert len(probabilities(page)) == 20
    assert page.locator(".heat td[data-i]").count() == 400
    for _ in range(18):
        fewer.click()
        settle(page)
    assert fewer.is_disabled()
    assert probabilities(page) == sg.softmax([2.0, 1.0]).round(4).tolist()


def test_target_and_temperature(page: Any) -> None:
    page.get_by_role("button", name="Make class 2 the target").click()
    page.get_by_label("Temperature, as a number").fill("2.5")
    settle(page)
    loss = sg.cross_entropy([2.0, 1.0, 0.1, -1.0], 2, temperature=2.5)
    assert page.locator(".tile", has_text="Loss L").locator("b").inner_text() == f"{loss:.3f}"
    assert (
        probabilities(page) == sg.softmax([2.0, 1.0, 0.1, -1.0], temperature=2.5).round(4).tolist()
    )
    page.get_by_label("Temperature", exact=True).fill("0")
    assert state(page)["temperature"] == 1


def test_soft_target(page: Any) -> None:
    page.get_by_role("radio", name="Soft").click()
    for c, share in enumerate(("0.1", "0.2", "0.7", "0")):
        page.get_by_role("textbox", name=f"Target probability of class {c}").fill(share)
        settle(page)
    y = np.array([0.1, 0.2, 0.7, 0.0])
    loss, grad = sg.cross_entropy.value_and_grad([2.0, 1.0, 0.1, -1.0], y)
    assert f"{loss:.5f}" in page.locator("#loss .lead").inner_text()
    shown = page.locator("#loss .gradient tbody td:nth-child(5)").all_inner_texts()
    assert [float(text.replace("−", "-")) for text in shown] == grad.round(4).tolist()
    page.get_by_role("textbox", name="Target probability of class 3").fill("0.5")
    settle(page)
    assert "sums to 1.5" in page.locator("#bench .warning").inner_text()


def test_mask_and_weights(page: Any) -> None:
    page.get_by_role("button", name="Mask and weights").click()
    page.get_by_role("checkbox", name="Class 1 takes part").uncheck()
    page.get_by_role("textbox", name="Weight of class 0").fill("3")
    settle(page)
    x, where = np.array([2.0, 1.0, 0.1, -1.0]), np.array([True, False, True, True])
    options: dict[str, Any] = {"where": where, "class_weight": [3.0, 1.0, 1.0, 1.0]}
    grad = sg.cross_entropy.grad(x, 0, reduction="none", **options)
    shown = page.locator("#loss .gradient tbody td:nth-child(5)").all_inner_texts()
    assert [float(text.replace("−", "-")) for text in shown] == grad.round(4).tolist()
    assert page.locator(".lines .p-value").nth(1).inner_text() == "masked"
    # A masked class is no target, here as in the library.
    page.get_by_role("button", name="Make class 1 the target").click()
    settle(page)
    assert "refuses" in page.locator("#bench .warning").inner_text()
    assert page.locator(".tile", has_text="Loss L").locator("b").inner_text() == "∞"


def test_a_batch_is_pasted_and_its_rows_are_switched(page: Any) -> None:
    page.get_by_text("Paste a batch").click()
    box = page.get_by_label("A batch of logits")
    use = page.get_by_role("button", name="Use these")
    for wrong, words in (
        ("1 2 3\n4 5", "row 1 has 2"),
        ("hello", "no number"),
        ("5", "2 to 20"),
        ("1 inf", "finite"),
    ):
        box.fill(wrong)
        use.click()
        assert words in page.locator(".paste-batch .error").inner_text()
    assert state(page)["logits"] == [[2, 1, 0.1, -1]]
    box.fill("tensor([[1.5, -0.25, 3.0],\n        [0.0, 2e-1, -7.0]])")
    use.click()
    x = np.array([[1.5, -0.25, 3.0], [0.0, 0.2, -7.0]])
    assert state(page)["logits"] == x.tolist()
    assert probabilities(page) == sg.softmax(x[0]).round(4).tolist()
    page.get_by_role("button", name="Next row").click()
    assert probabilities(page) == sg.softmax(x[1]).round(4).tolist()
    mean = page.locator(".tile", has_text="Batch loss").locator("b").inner_text()
    assert float(mean) == round(float(sg.cross_entropy(x, [2, 1])), len(mean.split(".")[1]))
    page.get_by_role("button", name="Remove row").click()
    assert state(page)["logits"] == x[:1].tolist()


def test_dragging_with_a_finger(open_page: Callable[..., Any]) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True)
    track = page.get_by_role("slider", name="Logit of class 0")
    box = track.bounding_box()
    page.touchscreen.tap(box["x"] + 0.1 * box["width"], box["y"] + box["height"] / 2)
    assert state(page)["logits"][0][0] == -4
