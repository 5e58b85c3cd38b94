"""The text around a body: imports, a function with its signature, a class with its methods."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Mapping
from keyword import iskeyword
from typing import Any

from softgrad.doctor.spelling import Spelling, joined
from softgrad.doctor.subject import LayerText, Phases, Subject

_IMPORTS = {
    "np": "import numpy as np",
    "torch": "import torch",
    "jnp": "import jax\nimport jax.numpy as jnp",
}
#: What a docstring says of arrays that are not (N, C).
_LAYOUTS = {
    "CN": "classes in rows, examples in columns: (C, N)",
    "row": "one row of classes, (C,)",
    "C1": "one column of classes, (C, 1)",
    "1NC": "(batch, N, C), classes on the last axis",
    "11NC": "(batch, heads, N, C), classes on the last axis",
}

#: Lines, and the expressions of what is returned, by name.
Body = tuple[str, Mapping[str, str]]


def function(subject: Subject, s: Spelling, otherwise: str, lines: str, result: str) -> str:
    """A function of the subject's name and parameters."""
    body = folded(lines, f"return {result}" if result else "")
    heading = joined(_docstring(s), _left_out(subject, body))
    named = subject.name if _usable(subject.name) else otherwise
    return with_imports(s, definition(named, _signature(subject, s), joined(heading, body)))


def definition(name: str, signature: str, body: str) -> str:
    return f"def {name}({signature}):\n{textwrap.indent(body, '    ')}"


def two_methods(
    subject: Subject, phases: Phases, s: Spelling, first: tuple[str, str], last: tuple[str, str]
) -> str:
    """A class: lines and result of its forward, then of its backward pass."""
    kept = sorted(
        name for name in _assigned(first[0]) if re.search(rf"\b{name}\b", last[0] + last[1])
    )
    kept += [n for n in phases.first if _lost(n, phases, last) and n not in kept]
    if phases.base == "torch.autograd.Function":
        methods = _of_context(phases, kept, first, last)
    else:
        keep = "\n".join(f"self.{name} = {name}" for name in kept)
        load = "\n".join(f"{name} = self.{name}" for name in kept)
        methods = [
            _method(phases.forward, phases.first, joined(first[0], keep), first[1], phases.output),
            _method(phases.backward, phases.last, joined(load, last[0]), last[1], phases.gradient),
        ]
    return _class(subject, phases, s, [m for m in methods if m])


def one_method(subject: Subject, phases: Phases, s: Spelling, lines: str, result: str) -> str:
    """A class with a forward pass alone."""
    method = _method(phases.forward, phases.first, lines, result, phases.output)
    return _class(subject, phases, s, [method])


def layer(
    subject: Subject, text: LayerText, s: Spelling, first: tuple[str, str], last: tuple[str, str]
) -> str:
    """The two methods of a layer: lines and result of each; what is around them stays."""
    needed = dict.fromkeys([*_assigned(first[0]), *text.first])
    behind = last[0] + "\n" + last[1]
    kept = [n for n in needed if n not in text.last and re.search(rf"(?<![.\w]){n}\b", behind)]
    keep = "\n".join(f"self.{name} = {name}" for name in kept)
    load = "\n".join(f"{name} = self.{name}" for name in kept)
    methods = []
    for name, names, lines, result in (
        (text.forward, text.first, joined(first[0], keep), first[1]),
        (text.backward, text.last, joined(load, last[0]), last[1]),
    ):
        body = folded(lines, f"return {result}") if result else lines
        methods.append(definition(name, ", ".join(("self", *names)), body))
    rest = "# Everything else in the class stays as it is."
    body = "\n\n".join([rest, *methods])
    return with_imports(s, f"class {subject.name}:\n{textwrap.indent(body, '    ')}")


def with_imports(s: Spelling, code: str) -> str:
    wanted = ["import math"] if "math." in code else []
    wanted.append(_IMPORTS[s.np])
    text = "\n".join(wanted)
    if "jax." not in code:
        text = text.replace("import jax\n", "")
    return text + "\n\n\n" + code


def folded(lines: str, last: str) -> str:
    """``name = value`` and ``return name`` as one line."""
    *before, final = lines.split("\n")
    name, equals, value = final.partition(" = ")
    if equals and last == f"return {name}" and "     #" not in value:
        return joined(*before, f"return {value}")
    return joined(*before, final, last)


def _usable(name: str) -> bool:
    return name.isidentifier() and not iskeyword(name)


# --- Classes --------------------------------------------------------------------------------------


def _class(subject: Subject, phases: Phases, s: Spelling, methods: list[str]) -> str:
    base = f"({phases.base})" if phases.base else ""
    name = subject.name if _usable(subject.name) else "Softmax"
    doc = _docstring(s)
    body = "\n\n".join([doc, *methods] if doc else methods)
    return with_imports(s, f"class {name}{base}:\n{textwrap.indent(body, '    ')}")


def _method(name: str, names: tuple[str, ...], lines: str, result: str, kept: str) -> str:
    """``kept``: the attribute in which the result is left, where nothing is returned."""
    last = f"self.{kept} = {result}" if kept else f"return {result}"
    return definition(name, ", ".join(("self", *names)), folded(lines, last))


def _of_context(
    phases: Phases, kept: list[str], first: tuple[str, str], last: tuple[str, str]
) -> list[str]:
    """The static methods of a torch.autograd.Function."""
    keep = f"ctx.save_for_backward({', '.join(kept)})" if kept else ""
    comma = "," if len(kept) == 1 else ""
    load = f"{', '.join(kept)}{comma} = ctx.saved_tensors" if kept else ""
    rest = ", None" * (len(phases.first) - 1)
    return [
        f"@staticmethod\n{definition(name, ', '.join(('ctx', *names)), folded(lines, result))}"
        for name, names, lines, result in (
            ("forward", phases.first, joined(first[0], keep), f"return {first[1]}"),
            ("backward", phases.last, joined(load, last[0]), f"return {last[1]}{rest}"),
        )
    ]


def _assigned(lines: str) -> list[str]:
    """The names that lines give a value."""
    return list(dict.fromkeys(re.findall(r"^(\w+) = ", lines, re.MULTILINE)))


def _lost(name: str, phases: Phases, last: tuple[str, str]) -> bool:
    """Whether backward needs an argument that only forward was given."""
    needed = re.search(rf"\b{name}\b", last[0] + "\n" + last[1]) is not None
    return needed and name not in phases.last


# --- Functions ------------------------------------------------------------------------------------


def _docstring(s: Spelling) -> str:
    """What is to be known of the arguments, where it is not the usual."""
    c = s.convention
    parts = []
    if c.layout in _LAYOUTS:
        parts.append(f"{s.x}: {_LAYOUTS[c.layout]}")
    if c.layout in ("CN", "C1") and (c.takes_role("y") and not s.indexed):
        parts.append(f"{s.y}: one-hot, likewise")
    if not parts:
        return ""
    return f'"""{"; ".join(parts)}."""'


def _left_out(subject: Subject, body: str) -> str:
    """The options that the body does not heed are said, not silently dropped."""
    unheeded = [n for n in subject.optional if not re.search(rf"\b{n}\b", body)]
    return f"# Not taken into account: {', '.join(unheeded)}." if unheeded else ""


def _signature(subject: Subject, s: Spelling) -> str:
    """The parameters as they are, with their defaults, and a cotangent where one was forgotten."""
    defaults: dict[str, Any] = {}
    if subject.optional:
        try:
            parameters = inspect.signature(subject.function).parameters
            defaults = {name: p.default for name, p in parameters.items()}
        except (ValueError, TypeError):
            defaults = {}
    usual = tuple(s.name(role) for role in s.convention.roles)
    names = (*(usual if subject.required is None else subject.required), *subject.optional)
    plain = [n for n in names if n not in subject.keyword_only]
    named = [n for n in names if n in subject.keyword_only]
    shown = [_parameter(n, subject, defaults) for n in plain]
    if named:
        shown += ["*", *(_parameter(n, subject, defaults) for n in named)]
    return ", ".join(shown)


def _parameter(name: str, subject: Subject, defaults: Mapping[str, Any]) -> str:
    if name not in subject.optional:
        return name
    value = defaults.get(name)
    plain = value is None or isinstance(value, bool | int | float | str | tuple)
    return f"{name}={value!r}" if plain else f"{name}=None"
