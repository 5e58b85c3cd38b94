"""The file as a whole: alone, shareable, for every screen and reader; the command."""

from __future__ import annotations

import re
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from softgrad.cli.app import run
from softgrad.derivation.playground.modules import bundle
from tests.playground.in_page import settle, state, until

VIEWS = ["explore", "break", "predict", "check", "copy", "train"]
TWENTY = ",".join(str(k / 4 - 2) for k in range(20))


def test_the_command_writes_the_page(tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "my page.html"
    assert run(["playground", "--out", str(out), "--no-open"]) == 0
    assert capsys.readouterr() == (f"wrote {out}\n", "")
    assert out.read_text("utf-8").startswith("<!doctype html>")
    for wrong, words in (
        (tmp_path, "is a folder"),
        (tmp_path / "no" / "page.html", "There is no folder"),
    ):
        assert run(["playground", "--out", str(wrong), "--no-open"]) == 2
        assert words in capsys.readouterr().err


def test_the_command_opens_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    assert run(["playground"]) == 0
    path = Path(capsys.readouterr().out.removeprefix("wrote ").strip())
    assert opened == [path.as_uri()]
    assert path.is_file()
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    assert run(["playground", "--out", str(tmp_path / "p.html")]) == 0
    assert "open the file yourself" in capsys.readouterr().out


def test_the_page_needs_nothing_from_elsewhere(page_file: Path) -> None:
    text = page_file.read_text("utf-8")
    assert "default-src 'none'" in text
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", text.split("<script")[0])
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert "softgrad 1.2.3." in text
    assert len(text) < 400_000


def test_modules_become_one_script(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text(
        'import { b as c } from "./deep/b.js";\n'
        'import * as all from "./deep/b.js";\nlog(c, all.b);\n'
    )
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.js").write_text(
        "const hidden = 1;\nexport const b = hidden;\nexport function f() {}\n"
    )
    script = bundle(tmp_path, "a.js")
    assert script.index('modules["deep/b.js"]') < script.index('modules["a.js"]')
    assert script.count("const hidden") == 1
    assert 'const { b: c } = modules["deep/b.js"]' in script
    assert "return { b, f }" in script
    (tmp_path / "deep" / "b.js").write_text('import { a } from "../a.js";\n')
    with pytest.raises(ValueError, match="circle"):
        bundle(tmp_path, "a.js")
    (tmp_path / "c.js").write_text("export default 3;\n")
    with pytest.raises(ValueError, match="export default"):
        bundle(tmp_path, "c.js")


# --- The address ----------------------------------------------------------------------------------


def test_the_address_holds_everything(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.get_by_role("button", name="One class more").click()
    page.get_by_role("textbox", name="Logit of class 4").fill("0.123456789")
    settle(page)
    page.get_by_role("button", name="Add a row").click()
    page.get_by_role("radio", name="Soft").click()
    page.get_by_role("button", name="Mask and weights").click()
    page.get_by_role("checkbox", name="Class 1 takes part").uncheck()
    page.get_by_role("textbox", name="Weight of class 0").fill("2.5")
    page.get_by_label("Temperature, as a number").fill("0.75")
    page.locator(".heat td[data-i='2'][data-j='3']").hover()
    page.get_by_label("First class").select_option("3")
    page.get_by_role("radio", name="float32").click()
    page.get_by_role("tab", name="Break it").click()
    page.get_by_role("switch", name="Double softmax").click()
    page.get_by_role("tab", name="Check yours").click()
    page.get_by_role("textbox", name="Your numbers").fill("[0.1, −2 & 3%]")
    page.get_by_role("radio", name="sum").click()
    page.get_by_role("tab", name="Train").click()
    page.get_by_role("radio", name="One hidden layer").click()
    page.locator("canvas.plane").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="One step").click()
    mine = state(page)
    until(page, "location.hash.includes('steps=1')")
    address = page.evaluate("location.hash")
    other = open_page(address.removeprefix("#"))
    assert state(other) == mine
    assert (
        other.locator(".train .versus").inner_text() == page.locator(".train .versus").inner_text()
    )


def test_an_address_that_is_set_is_not_overwritten(page: Any) -> None:
    """By one that was about to be saved for an earlier change."""
    page.evaluate(
        """async () => {
            const box = document.querySelector(".number.logit");
            box.value = "7";
            box.dispatchEvent(new Event("input"));
            await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
            location.hash = "x=1,2,3&y=1";
            document.getElementById("share").click();  // saves at once, before hashchange
        }"""
    )
    settle(page)
    assert state(page)["logits"] == [[1, 2, 3]]
    assert state(page)["index"] == [1]


def test_share_copies_the_address(open_page: Callable[..., Any]) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("textbox", name="Logit of class 0").fill("7")
    page.get_by_role("button", name="Share", exact=True).click()
    # What is announced stays; the button says so for a moment only.
    page.locator("#live", has_text="is copied").wait_for(state="attached")
    assert "#x=7,1,0.1,-1&y=0" in page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("button", name="Reset").click()
    assert state(page)["logits"] == [[2, 1, 0.1, -1]]


def test_an_address_that_cannot_be_read_is_no_error(open_page: Callable[..., Any]) -> None:
    bad = (
        "x=1,two&y=9&temperature=-1&mask=0000&w=1&view=nowhere&pair=0,0"
        "&data=%E0%A4%A&rate=0&step=&row=7&q=1;2"
    )
    page = open_page(bad)
    assert state(page) == page.evaluate("softgrad.decode('').state")
    assert page.evaluate("text => softgrad.decode(text).refused.length", bad) == 11
    page.get_by_text("could not be read in full").wait_for(state="attached")


# --- Readers and screens --------------------------------------------------------------------------


def test_everything_has_a_name(open_page: Callable[..., Any]) -> None:
    page = open_page()
    for view in VIEWS:
        page.locator(f"#tab-{view}").click()
        settle(page)
        nameless = page.evaluate(
            """() => {
                const named = node => node.getAttribute("aria-label")
                    || node.getAttribute("aria-labelledby") || node.textContent.trim()
                    || [...node.labels ?? []].some(label => label.textContent.trim());
                const all = "button, input, select, textarea, [tabindex='0'], [role=img]";
                return [...document.querySelectorAll(all)]
                    .filter(node => node.getClientRects().length && !named(node))
                    .map(node => node.outerHTML.slice(0, 120));
            }"""
        )
        assert nameless == [], view
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(node => node.id)")
    assert len(ids) == len(set(ids))
    referred = page.evaluate(
        "['aria-labelledby', 'aria-controls'].flatMap(name =>"
        " [...document.querySelectorAll(`[${name}]`)].map(node => node.getAttribute(name)))"
    )
    assert set(referred) <= set(ids)
    assert page.locator("h1").count() == 1


def test_the_whole_page_by_keyboard(page: Any) -> None:
    page.locator("#tab-explore").focus()
    page.keyboard.press("End")
    assert state(page)["view"] == "train"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert state(page)["view"] == "break"
    assert page.evaluate("document.activeElement.id") == "tab-break"
    page.get_by_role("switch", name="Diagonal only").focus()
    page.keyboard.press("Space")
    assert state(page)["breaks"] == ["diagonal"]
    page.locator("#tab-break").focus()
    page.keyboard.press("ArrowLeft")
    page.get_by_role("radio", name="float64").focus()
    page.keyboard.press("ArrowRight")
    assert state(page)["precision"] == "float32"
    # Tab goes from the tabs through the bench: nothing holds the focus.
    page.locator("#theme").focus()
    visited = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        name = "(node => node.getAttribute('aria-label') ?? node.textContent)"
        visited.add(page.evaluate(f"{name}(document.activeElement)"))
    assert {"Logit of class 0", "Probability of class 3", "Temperature", "Add a row"} <= visited


@pytest.mark.parametrize("width", [390, 320, 820])
def test_narrow_screens_do_not_scroll_sideways(open_page: Callable[..., Any], width: int) -> None:
    page = open_page(
        f"x={TWENTY};{TWENTY}&y=3,4&w={','.join(['1'] * 20)}&break=double",
        viewport={"width": width, "height": 844},
    )
    for view in VIEWS:
        page.locator(f"#tab-{view}").click()
        settle(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view


@pytest.mark.parametrize("width", [320, 375, 430])
def test_all_tabs_fit_on_a_phone(open_page: Callable[..., Any], width: int) -> None:
    page = open_page(viewport={"width": width, "height": 800})
    room, needed = page.evaluate(
        "(tabs => [tabs.clientWidth, tabs.scrollWidth])(document.getElementById('tabs'))"
    )
    assert needed <= room


def test_only_one_voice_speaks_of_a_change(page: Any) -> None:
    """What changes with every logit is no live region: a screen reader would never be done."""
    voices = page.locator("main :is([aria-live], output, [role=status], [role=alert]):visible")
    assert voices.evaluate_all("nodes => nodes.map(node => node.textContent).join('')") == ""
    page.get_by_role("slider", name="Logit of class 0").press("ArrowRight")
    page.locator("#live", has_text="Class 0: logit 2.1, probability").wait_for(state="attached")
    assert voices.evaluate_all("nodes => nodes.map(node => node.textContent).join('')") == ""


def test_light_and_dark(open_page: Callable[..., Any]) -> None:
    page = open_page(color_scheme="dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(colour) == "rgb(18, 22, 29)"
    page.get_by_role("button", name="Light colours").click()
    assert page.evaluate(colour) == "rgb(246, 247, 249)"
    page.emulate_media(color_scheme="light")
    page.get_by_role("button", name="Dark colours").click()
    assert page.evaluate(colour) == "rgb(18, 22, 29)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(open_page: Callable[..., Any], scheme: str) -> None:
    """Contrast of the colours that carry text, as WCAG 2.1 has it: 4.5 at least."""
    page = open_page(color_scheme=scheme)
    pairs = [
        ("ink", "card"),
        ("muted", "card"),
        ("muted", "page"),
        ("muted", "sunken"),
        ("accent", "card"),
        ("accent", "accent-soft"),
        ("on-accent", "accent"),
        ("warm-ink", "card"),
        ("good", "good-soft"),
        ("warm-ink", "warm-soft"),
        ("bad", "card"),
        ("ink", "lit"),
    ]
    ratio = """([a, b]) => {
        const node = document.body.appendChild(document.createElement("i"));
        const light = name => {
            node.style.color = `var(--${name})`;
            const linear = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
            const [r, g, b] = getComputedStyle(node).color.match(/[\\d.]+/g)
                .map(v => linear(Number(v) / 255));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
        return (x + 0.05) / (y + 0.05);
    }"""
    poor = {
        pair: round(value, 2) for pair in pairs if (value := page.evaluate(ratio, list(pair))) < 4.5
    }
    assert poor == {}
