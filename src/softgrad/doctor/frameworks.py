"""Which framework a function was written for: by the modules that its code names."""

from __future__ import annotations

import functools
import inspect
import sys
from typing import Any

#: Packages that have arrays of their own.
_ARRAYS = frozenset({"numpy", "scipy", "softgrad"})


def is_module(target: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(target, torch.nn.Module)


def is_autograd(target: Any) -> bool:
    """Whether it is a subclass of torch.autograd.Function."""
    torch = sys.modules.get("torch")
    return (
        torch is not None
        and inspect.isclass(target)
        and issubclass(target, torch.autograd.Function)
    )


def frameworks(target: Any) -> tuple[str, ...]:
    """The frameworks to try, the likeliest first: by the modules that the code refers to."""
    used = _modules_used(target)
    torch = ("torch", "torch+grad", "torch32") if "torch" in sys.modules else ()
    jax = ("jax",) if "jax" in sys.modules else ()
    if "torch" in used or is_module(target):
        return (*torch, "numpy")
    if "jax" in used:
        return (*jax, "numpy")
    if used & _ARRAYS:
        return ("numpy", "list")
    if used:  # such as math alone: written for lists, in which a slice is a copy
        return ("list", "numpy")
    return ("numpy", "list", *torch[:2], *jax)


def _modules_used(target: Any, depth: int = 3, seen: set[int] | None = None) -> set[str]:
    """The names of the packages that a function's code, and the code that it calls, names."""
    seen = set() if seen is None else seen
    if id(target) in seen or depth < 0:
        return set()
    seen.add(id(target))
    found: set[str] = set()
    module = (getattr(target, "__module__", "") or "").split(".")[0]
    if module in ("torch", "jax", "numpy", "scipy", "softgrad"):
        found.add(module)
    if isinstance(target, functools.partial):
        return found | _modules_used(target.func, depth, seen)
    if inspect.isclass(target):
        members = [m for m in vars(target).values() if inspect.isfunction(m)]
        return found.union(*(_modules_used(m, depth, seen) for m in members), set())
    function = inspect.unwrap(getattr(target, "__func__", target))
    function = function if hasattr(function, "__code__") else type(target).__call__
    code = getattr(function, "__code__", None)
    if code is None:
        return found
    inner = [c for c in code.co_consts if inspect.iscode(c)]
    names = {n for c in (code, *inner) for n in (*c.co_names, *c.co_freevars)}
    cells = function.__closure__ or ()
    closure = {
        name: cell.cell_contents
        for name, cell in zip(code.co_freevars, cells, strict=False)
        if _filled(cell)
    }
    for name in names:
        value = closure.get(name, function.__globals__.get(name))
        if inspect.ismodule(value):
            found.add(value.__name__.split(".")[0])
        elif callable(value):
            found |= _modules_used(value, depth - 1, seen)
        elif type(value).__module__.split(".")[0] in ("torch", "jax", "jaxlib"):
            found.add(type(value).__module__.split(".")[0].replace("jaxlib", "jax"))
    return found


def _filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
