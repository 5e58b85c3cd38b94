"""Every public name has its entry in the reference, with a text."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any

import pytest

import softgrad as sg
from softgrad._protocol import Loss

NumpyDocString = pytest.importorskip("numpydoc.docscrape").NumpyDocString
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
        "f(x) = argmin of what is the sum of the rows,",
        "with tau",
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
        "    f(x) = argmin of what is the sum of the rows,",
        "    with tau",
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


def _sections(name: str) -> Any:
    value = reference.resolve(name)
    return NumpyDocString(inspect.getdoc(type(value) if name in OBJECTS else value) or "")


def _arguments(name: str) -> list[str]:
    return [p for p in inspect.signature(reference.resolve(name)).parameters if p != "self"]


#: What a person calls or makes; results, which the library makes, describe their fields in words.
FUNCTIONS = [name for name in PAGES if not inspect.isclass(reference.resolve(name))]
ESTIMATORS = ["SoftmaxRegression", "NeuralNetClassifier", "TemperatureScaling"]
MADE = [*FUNCTIONS, *(f"softgrad.{name}" for name in ESTIMATORS)]
RETURN_NOTHING = {"set_num_threads", "num_threads", "show_info", "save_model", "assert_gradient"}
#: Those that accept whatever they are given, or leave it to a function of the caller's.
RAISE_NOTHING = {"get_num_threads", "info", "show_info", "check_gradient", "clip_scale"}
RAISE_NOTHING |= {"minimize_lbfgs", "minimize_newton", "split_batches"}


@pytest.mark.parametrize("name", MADE)
def test_a_docstring_has_all_its_parts(name: str) -> None:
    last, sections = name.rpartition(".")[2], _sections(name)
    assert sections["Summary"], "no sentence that says what it does"
    described = {part.strip() for p in sections["Parameters"] for part in p.name.split(",")}
    assert set(_arguments(name)) - {part.lstrip("*") for part in described} == set()
    if name in FUNCTIONS and last not in RETURN_NOTHING:
        assert sections["Returns"] or sections["Yields"]
    if name in FUNCTIONS and last not in RAISE_NOTHING:
        assert sections["Raises"]
    assert sections["Examples"]


@pytest.mark.parametrize("name", OBJECTS)
def test_a_function_states_its_formula_its_accuracy_and_its_source(name: str) -> None:
    doc, sections = inspect.getdoc(type(reference.resolve(name))) or "", _sections(name)
    head = "\n".join(docstrings.readable(doc.splitlines())).partition("Parameters")[0]
    assert ".. code-block:: text" in head, "no formula"
    assert re.search(r"ULP|exact", doc), "no accuracy"
    assert sections["References"], "no source"
