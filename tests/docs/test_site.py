"""What makes the site: formulas, generated pages, no page that nothing runs."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def test_formulas_are_mathml_with_a_space_after_a_function() -> None:
    pytest.importorskip("latex2mathml")
    mathml = import_module("softgrad_site.mathml").mathml
    text = mathml(r"\log p + \log(1 + s)", "inline")
    assert text.startswith("<math")
    assert text.count("<mspace") == 1
    assert text.index("log") < text.index("<mspace") < text.index("<mi>p</mi>")


def test_pages_are_written_only_where_they_change(tmp_path: Path) -> None:
    write_pages = import_module("softgrad_site.pages").write_pages
    write_pages(tmp_path, {"1.md": "a", "2.md": "b"}, "[0-9]*.md")
    (tmp_path / "by hand.md").write_text("c")
    before = (tmp_path / "1.md").stat().st_mtime_ns
    write_pages(tmp_path, {"1.md": "a"}, "[0-9]*.md")
    assert (tmp_path / "1.md").stat().st_mtime_ns == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.md", "by hand.md"]


def test_examples_are_ones_that_run() -> None:
    """A block of Python without prompts would be run by nobody."""
    written = [path for path in DOCS.rglob("*.md") if path.parent.name != "mistakes"]
    assert len(written) > 20
    for path in written:
        blocks = re.findall(r"^```python\n(.*?)^```", path.read_text(), re.S | re.M)
        for block in blocks:
            assert block.startswith(">>> "), f"{path.name}: {block.splitlines()[0]}"
            assert block.endswith("\n\n"), f"{path.name}: no blank line ends the example's output"


def test_every_drawing_is_used_and_every_one_used_exists() -> None:
    used = {n for p in DOCS.rglob("*.md") for n in re.findall(r"\{drawing\} (\w+)", p.read_text())}
    assert used == {path.stem for path in (DOCS / "_figures").glob("*.py")}
