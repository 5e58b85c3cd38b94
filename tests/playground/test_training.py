"""The training view: drawing, training, regions, arrows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.playground.in_page import settle, state, until


def figure(page: Any, name: str) -> str:
    return page.locator(".train .versus > div", has_text=name).locator("b").inner_text()  # type: ignore[no-any-return]


def loss(page: Any) -> float:
    return float(figure(page, "Loss"))


@pytest.mark.parametrize(
    ("where", "least"),
    [
        ("data=blobs", 0.5),
        ("data=moons&model=hidden", 0.5),
        ("data=spirals&model=hidden&width=16&rate=1", 1.05),
    ],
)
def test_training_lowers_the_loss(open_page: Callable[..., Any], where: str, least: float) -> None:
    page = open_page(f"view=train&{where}")
    before = loss(page)
    page.get_by_role("button", name="Train", exact=True).click()
    until(page, f"parseFloat(document.querySelector('.train .versus b').textContent) < {least}")
    page.get_by_role("button", name="Pause").click()
    settle(page)
    assert loss(page) < before
    assert state(page)["steps"] == int(figure(page, "Steps")) > 0
    assert page.locator(".train .curve").get_attribute("d").count("L") > 3


def test_a_step_is_one_of_gradient_descent(open_page: Callable[..., Any]) -> None:
    page = open_page("view=train&data=moons&model=hidden&rate=0.3")
    page.get_by_role("button", name="One step").click()
    settle(page)
    wanted = page.evaluate(
        """() => {
            const state = softgrad.state();
            const points = softgrad.pointsOf(state);
            let network = softgrad.initialNetwork(state, 2);
            const at = () => softgrad.lossAndGrad(network, points, "tanh");
            for (let k = 0; k < 3; k++) network = softgrad.descend(network, at().grad, 0.3);
            return at().loss;
        }"""
    )
    page.get_by_role("button", name="One step").click()
    page.get_by_role("button", name="One step").click()
    settle(page)
    assert figure(page, "Steps") == "3"
    assert loss(page) == pytest.approx(wanted, abs=6e-4)
    page.get_by_role("button", name="Start again").click()
    settle(page)
    assert figure(page, "Steps") == "0"


def test_points_are_drawn_and_erased(open_page: Callable[..., Any]) -> None:
    page = open_page("view=train&data=.")
    assert figure(page, "Loss") == "–"
    canvas = page.locator("canvas.plane")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()

    def at(x: float, y: float) -> tuple[float, float]:
        return box["x"] + (x + 1) / 2 * box["width"], box["y"] + (1 - y) / 2 * box["height"]

    for c, x in enumerate((-0.6, 0.6)):
        page.get_by_role("radio", name=f"Draw class {c}").click()
        page.mouse.move(*at(x, -0.5))
        page.mouse.down()
        page.mouse.move(*at(x, 0.5), steps=12)
        page.mouse.up()
    points = state(page)["data"]
    assert {p["c"] for p in points} == {0, 1}
    assert all((p["x"] > 0) == (p["c"] == 1) for p in points)
    assert 10 <= len(points) <= 30
    for _ in range(3):
        page.get_by_role("button", name="One step").click()
    settle(page)
    assert loss(page) < 0.693
    page.get_by_role("radio", name="Erase").click()
    page.mouse.click(*at(0.6, 0.0))
    assert len(state(page)["data"]) < len(points)


def test_points_by_keyboard(open_page: Callable[..., Any]) -> None:
    page = open_page("view=train&data=.")
    page.locator("canvas.plane").focus()
    for key in (
        "1",
        "ArrowRight",
        "Shift+ArrowUp",
        "Enter",
        "0",
        "ArrowLeft",
        "ArrowLeft",
        "Enter",
    ):
        page.keyboard.press(key)
    points = state(page)["data"]
    assert [(round(p["x"], 2), round(p["y"], 2), p["c"]) for p in points] == [
        (0.05, 0.2, 1),
        (-0.05, 0.2, 0),
    ]
    page.keyboard.press("Delete")
    assert len(state(page)["data"]) == 1


def test_the_plane_shows_regions_and_arrows(open_page: Callable[..., Any]) -> None:
    """After training, the colour at a blob's middle is that of its class; before, all are alike."""
    page = open_page("view=train&data=blobs&steps=300")
    tint = """(point) => {
        const canvas = document.querySelector("canvas.plane");
        const at = point.map((v, d) => Math.round(((d ? -v : v) + 1) / 2 * canvas.width));
        const pixel = new OffscreenCanvas(1, 1).getContext("2d");
        pixel.drawImage(canvas, -at[0], -at[1]);
        const [r, g, b] = pixel.getImageData(0, 0, 1, 1).data;
        return [r, g, b].indexOf(Math.max(r, g, b));
    }"""
    corners = [
        [0.95, 0.3],
        [-0.95, 0.9],
        [-0.2, -0.97],
    ]  # blue, red and green, away from all points
    assert [page.evaluate(tint, corner) for corner in corners] == [2, 0, 1]
    assert "the weights of each class" in page.locator(".plane-side").inner_text()
    zoom = page.locator(".plane-side").inner_text()
    assert "times as long" in zoom
    page.get_by_role("button", name="Start again").click()
    settle(page)
    same = [page.evaluate(tint, corner) for corner in corners]
    assert len(set(same)) == 1


def test_less_motion_where_it_is_asked_for(open_page: Callable[..., Any]) -> None:
    page = open_page("view=train", reduced_motion="reduce")
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.quiet')).transitionDuration")
        == "0s, 0s"
    )
    page.evaluate(
        """() => {
            window.seen = [];
            const figures = document.querySelector(".train .versus");
            const note = () => window.seen.push(figures.querySelectorAll("b")[2].textContent);
            new MutationObserver(note).observe(figures, { childList: true, subtree: true });
        }"""
    )
    page.get_by_role("button", name="Train", exact=True).click()
    until(page, "new Set(window.seen).size >= 2")
    # From picture to picture it is 80 steps, not 4.
    assert all(int(steps) % 80 == 0 for steps in page.evaluate("window.seen"))
    page.get_by_role("button", name="Pause").click()
    assert loss(page) < 1.0
