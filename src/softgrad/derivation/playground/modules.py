"""ES modules as one script: browsers do not import from files that are opened from a disk.

Every module becomes a function of its own, so that its private names stay private, and is called in
the order of the imports. Only the forms that the sources use are understood; anything else raises.
"""

from __future__ import annotations

import posixpath
import re
from importlib.resources.abc import Traversable

_IMPORT = re.compile(r'^import (?:\{([^}]*)\}|\* as (\w+)) from "(\.[^"]+)";$', re.M)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.M)
# Other forms of JavaScript's; not the "import numpy as np" inside a text.
_LEFT_OVER = re.compile(r"^(?:import\b.*[\"'{*(]|export\b).*$", re.M)


def bundle(folder: Traversable, entry: str) -> str:
    """Return one script that runs ``entry`` and all that it imports, each module once."""
    done: dict[str, str] = {}
    _collect(folder, entry, done, ())
    body = "\n".join(done.values())
    return f'"use strict";\nconst modules = {{}};\n{body}'


def _collect(
    folder: Traversable, path: str, done: dict[str, str], importers: tuple[str, ...]
) -> None:
    if path in importers:
        raise ValueError(f"Modules import each other in a circle: {' -> '.join(importers)}.")
    if path in done:
        return
    source = folder.joinpath(*path.split("/")).read_text("utf-8")
    for *_, relative in _IMPORT.findall(source):
        _collect(folder, _resolve(path, relative), done, (*importers, path))
    done[path] = _as_function(source, path)


def _resolve(importer: str, relative: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(importer), relative))


def _as_function(source: str, path: str) -> str:
    """The module as a function call whose result is the object of its exports."""

    def imported(match: re.Match[str]) -> str:
        names, whole, relative = match.groups()
        target = whole or f"{{ {names.strip().rstrip(',').replace(' as ', ': ')} }}"
        return f'const {target} = modules["{_resolve(path, relative)}"];'

    names = _EXPORT.findall(source)
    code = _EXPORT.sub("", _IMPORT.sub(imported, source))
    left = _LEFT_OVER.search(code)
    if left:
        raise ValueError(f"{path}: {left.group().strip()!r} is not a form that can be put inline.")
    return f'modules["{path}"] = (() => {{\n{code}\nreturn {{ {", ".join(names)} }};\n}})();'
