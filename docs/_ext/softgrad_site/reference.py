"""The reference, generated: a page for every public name, from its docstring.

What is public, ``__all__`` of each module says; which functions are activations and which are
losses, ``softgrad.functions``. A function of the library is an object that carries its derivatives:
it is documented by its class's docstring, followed by its members. After the build every public
name must be found in the index, or the build fails.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from softgrad_site.docstrings import readable
from softgrad_site.pages import write_pages

FOLDER = Path(__file__).resolve().parents[2] / "reference" / "api"

#: Modules other than softgrad itself whose names are public, in the order of the table of contents.
MODULES = (
    "softgrad.network",
    "softgrad.optimize",
    "softgrad.testing",
    "softgrad.doctor",
    "softgrad.derivation",
    "softgrad.estimators",
    "softgrad.data.batches",
    "softgrad.modelfile",
    "softgrad.errors",
)

#: Which group a public name of softgrad belongs to, by the part of the library it comes from.
GROUPS = {
    "estimators": ("classifier", "Classifier and calibration"),
    "report": ("classifier", "Classifier and calibration"),
    "network": ("classifier", "Classifier and calibration"),
    "doctor": ("doctor", "Doctor and derivation"),
    "derivation": ("doctor", "Doctor and derivation"),
    "_threads": ("settings", "Settings"),
    "_info": ("settings", "Settings"),
}


@dataclass
class Group:
    """A page that lists names, each with a page of its own."""

    title: str
    intro: str
    names: list[str] = field(default_factory=list)


def public(module: Any) -> list[str]:
    """The public names of a module, by ``__all__`` or else those that it defines."""
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if not name.startswith("__")]
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
    ]


def is_function_object(value: Any) -> bool:
    """Whether a value is a function of the library with its derivatives."""
    from softgrad._protocol import _Function

    return isinstance(value, _Function)


def modules() -> Iterator[Any]:
    """Those of MODULES that this version has."""
    for name in MODULES:
        if importlib.util.find_spec(name) is not None:
            yield importlib.import_module(name)


def groups() -> dict[str, Group]:
    """All groups by the name of their page."""
    import softgrad as sg
    from softgrad.functions import ACTIVATIONS, LOSSES

    found = {
        "activations": Group(
            "Activations", "``softgrad.functions.ACTIVATIONS`` holds them by name."
        ),
        "losses": Group("Losses", "``softgrad.functions.LOSSES`` holds them by name."),
        "functions": Group("Other functions", ""),
    }
    tables = {"activations": ACTIVATIONS, "losses": LOSSES}
    placed: dict[int, str] = {}
    for name in public(sg):
        value = getattr(sg, name)
        if is_function_object(value):
            key = next((key for key, table in tables.items() if name in table), "functions")
        else:
            part = value.__module__.split(".")[1]
            key, title = GROUPS.get(part, ("more", "More"))
            found.setdefault(key, Group(title, ""))
        found[key].names.append(f"softgrad.{name}")
        placed[id(value)] = name
    for module in modules():
        own = [n for n in public(module) if id(getattr(module, n)) not in placed]
        own = [n for n in own if callable(getattr(module, n))]
        if own:
            key = module.__name__
            intro = "\n".join(readable(inspect.getdoc(module).splitlines()))
            found[key] = Group(module.__name__, intro, [f"{module.__name__}.{n}" for n in own])
            placed.update((id(getattr(module, n)), n) for n in own)
    return {key: group for key, group in found.items() if group.names}


def resolve(name: str) -> Any:
    """The object of a full name."""
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def pages() -> dict[str, str]:
    """The pages of all names and groups."""
    result: dict[str, str] = {}
    for key, group in groups().items():
        result[f"{key}.rst"] = group_page(group)
        result |= {f"{name}.rst": name_page(name) for name in group.names}
    return result


def group_page(group: Group) -> str:
    """A table of names with what each does."""
    rows = []
    for name in group.names:
        rows += [
            f"   * - :doc:`{name.removeprefix('softgrad.')} <{name}>`",
            f"     - {summary(name)}",
        ]
    return "\n".join(
        [
            group.title,
            "=" * len(group.title),
            "",
            group.intro,
            "",
            ".. list-table::",
            "   :widths: 35 65",
            "",
            *rows,
            "",
            ".. toctree::",
            "   :hidden:",
            "",
            *(f"   {name.removeprefix('softgrad.')} <{name}>" for name in group.names),
            "",
        ]
    )


def summary(name: str) -> str:
    """The first paragraph of a docstring, on one line."""
    value = resolve(name)
    doc = inspect.getdoc(type(value) if is_function_object(value) else value) or ""
    first = " ".join(doc.strip().split("\n\n")[0].split())
    return first.replace("|", r"\|").replace("*", r"\*")


def name_page(name: str) -> str:
    """The page of one name."""
    value, title = resolve(name), name.removeprefix("softgrad.")
    head = [title, "=" * len(title), ""]
    if is_function_object(value):
        return "\n".join([*head, *function_lines(name, value)])
    module, _, last = name.rpartition(".")
    kind = "autoclass" if inspect.isclass(value) else "autofunction"
    lines = [f".. currentmodule:: {module}", "", f".. {kind}:: {last}"]
    if inspect.isclass(value):
        lines.append("   :members:")
        if issubclass(value, Enum):
            lines.append("   :undoc-members:")
        if not issubclass(value, (BaseException, Enum)):
            # Members that the library's own mixins bring; scikit-learn documents its own.
            lines.append("   :inherited-members: " + ", ".join(_foreign_bases(value)))
    return "\n".join([*head, *lines, ""])


def _foreign_bases(value: type) -> list[str]:
    return [b.__name__ for b in value.__mro__ if not b.__module__.startswith("softgrad")]


def members(value: Any) -> list[str]:
    """The members of a function object: those of its protocol, or all of its own."""
    from softgrad import _protocol

    if not isinstance(value, (_protocol.Differentiable, _protocol.Loss)):
        own = vars(type(value)).items()
        return [n for n, member in own if inspect.isfunction(member) and not n.startswith("_")]
    names = [
        name
        for base in (_protocol.Differentiable, _protocol.Loss)
        for name, member in vars(base).items()
        if getattr(member, "__isabstractmethod__", False) and hasattr(type(value), name)
    ]
    return list(dict.fromkeys(names))


def function_lines(name: str, value: Any) -> list[str]:
    """A function object: its own call, then its derivatives, as reStructuredText."""
    module, _, last = name.rpartition(".")
    call = f"{last}{_signature(value)}"
    lines = [f".. py:function:: {call}", f"   :module: {module}", ""]
    lines += _indented(_numpydoc(inspect.getdoc(type(value))))
    for member in members(value):
        method = getattr(value, member)
        lines += [
            f".. py:method:: {last}.{member}{_signature(method)}",
            f"   :module: {module}",
            "",
        ]
        lines += _indented(_numpydoc(inspect.getdoc(method)))
    return lines


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def _numpydoc(doc: str | None) -> str:
    from numpydoc.docscrape_sphinx import SphinxDocString

    text = "\n".join(readable((doc or "").splitlines()))
    return str(SphinxDocString(text, config={"show_class_members": False}))


def _indented(text: str) -> list[str]:
    return [*textwrap.indent(text, "   ").splitlines(), ""]


def _skip(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what scikit-learn adds to every estimator for the routing of metadata."""
    routed = name.startswith("set_") and name.endswith("_request")
    return True if routed or name == "get_metadata_routing" else None


def missing(documented: set[str]) -> list[str]:
    """Public names, and members of function objects, that are not among the documented ones."""
    import softgrad as sg

    found: dict[int, str] = {}  # a name that another module passes on has its entry there
    for module in (sg, *modules()):
        for last in public(module):
            value, name = getattr(module, last), f"{module.__name__}.{last}"
            if callable(value):
                found.setdefault(id(value), name)
    wanted = []
    for name in found.values():
        value = resolve(name)
        derivatives = members(value) if is_function_object(value) else []
        wanted += [name, *(f"{name}.{member}" for member in derivatives)]
    return [name for name in wanted if name not in documented]


def _check(app: Any, env: Any) -> None:
    for name in missing(set(env.get_domain("py").objects)):
        from sphinx.util import logging

        logging.getLogger(__name__).warning("%s is public, but has no entry.", name)


def _write_commands(app: Any) -> None:
    from softgrad_site import commands

    write_pages(FOLDER, {"commands.md": commands.page()}, "*.md")


def setup(app: Any) -> None:
    """Write the pages before Sphinx looks for them, and check them after it has read them."""
    app.connect("builder-inited", lambda app: write_pages(FOLDER, pages(), "*.rst"))
    app.connect("builder-inited", _write_commands)
    app.connect("autodoc-skip-member", _skip)
    app.connect("env-check-consistency", _check)
