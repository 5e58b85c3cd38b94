"""Every public name has its entry in the reference, with a text."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

import softgrad as sg
from softgrad._protocol import Loss

reference = import_module("softgrad_site.reference")
docstrings = import_module("softgrad_site.docstrings")

PAGES = [name for group in reference.groups().values() for name in group.names]
OBJECTS = [name for name in PAGES if reference.is_function_object(reference.resolve(name))]


def test_every_public_name_has_a_page() -> None:
    public = {f"softgrad.{name}" for name in sg.__all__ if not name.startswith("__")}
    assert public <= set(PAGES)


@pytest.mark.parametrize("package", ["network", "optimize", "testing"])
def test_every_name_of_a_package_has_a_page(package: str) -> None:
    module = import_module(f"softgrad.{package}")
    pages = {id(reference.resolve(name)) for name in PAGES}
    assert [name for name in module.__all__ if id(getattr(module, name)) not in pages] == []


def test_every_page_is_in_the_table_of_contents() -> None:
    folder = reference.FOLDER.parent
    contents = (folder / "index.md").read_text() + (folder / "packages.md").read_text()
    assert [key for key in reference.groups() if f"\napi/{key}\n" not in contents] == []


def test_activations_and_losses_are_where_the_library_says() -> None:
    from softgrad.functions import ACTIVATIONS, LOSSES

    groups = reference.groups()
    for key, table in (("activations", ACTIVATIONS), ("losses", LOSSES)):
        assert {name.removeprefix("softgrad.") for name in groups[key].names} == set(table)


@pytest.mark.parametrize("name", PAGES)
def test_it_says_what_it_is(name: str) -> None:
    value = reference.resolve(name)
    own = type(value) if name in OBJECTS else value
    doc = own.__doc__  # an inherited one would not be about it
    assert doc, f"{name} has no docstring"
    assert not doc.startswith(f"{own.__name__}("), f"{name} has only what dataclass wrote"


@pytest.mark.parametrize("name", OBJECTS)
def test_the_derivatives_are_there_too(name: str) -> None:
    value = reference.resolve(name)
    members = reference.members(value)
    assert {"vjp", "jvp", "hvp"} <= set(members)
    assert any(member.startswith("jacobian") for member in members)
    assert ("grad" in members) == isinstance(value, Loss)
    for member in members:
        assert inspect.getdoc(getattr(value, member)), f"{name}.{member} has no docstring"


def test_a_name_without_an_entry_is_found() -> None:
    everything = set(PAGES) | {
        f"{name}.{member}"
        for name in OBJECTS
        for member in reference.members(reference.resolve(name))
    }
    assert reference.missing(everything) == []
    assert reference.missing(everything - {"softgrad.softmax.vjp"}) == ["softgrad.softmax.vjp"]
    assert "softgrad.SoftmaxRegression" in reference.missing(set())


def test_formulas_become_literal_blocks_and_the_rest_does_not() -> None:
    doc = [
        "x + 1 of each number",
        "",
        "p (g - sum p g) / T",
        "",
        "It is a sentence, |a| <= 1, that ends here.",
        "",
        "    r = |a| * b",
        "",
        "Parameters",
        "----------",
        "x : |y| of *rows",
        "",
        "Examples",
        "--------",
        ">>> print(2 | 1, *[3])",
    ]
    assert docstrings.readable(doc) == [
        "x + 1 of each number",
        "",
        ".. code-block:: text",
        "",
        "    p (g - sum p g) / T",
        "",
        r"It is a sentence, \|a\| <= 1, that ends here.",
        "",
        ".. code-block:: text",
        "",
        "    r = |a| * b",
        "",
        "Parameters",
        "----------",
        r"x : \|y\| of \*rows",
        "",
        "Examples",
        "--------",
        ">>> print(2 | 1, *[3])",
    ]


def test_an_initial_in_a_reference_begins_no_list() -> None:
    doc = ["f", "", "References", "----------", "I. Goodfellow, Deep Learning", "(2016)."]
    assert docstrings.readable(doc)[-3:] == [r"\I. Goodfellow, Deep Learning", "(2016).", ""]
