"""The thing that is examined: a function, or a class with forward and backward."""

from __future__ import annotations

import copy
import inspect
import itertools
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from softgrad.doctor.calling import Convention
from softgrad.doctor.kinds import KINDS, Kind, kinds_of_name, means_probabilities, named_role

_FORWARD = ("forward", "__call__", "call", "predict", "loss")
_BACKWARD = ("backward", "grad", "gradient", "bprop", "backprop", "backward_pass")
_OUTPUTS = ("output", "out", "probs", "p", "loss")
_INPUT_GRADIENTS = ("dinputs", "dinput", "grad_input", "dx", "dX", "input_gradient", "grad")
_UNEXPECTED = 0.6
_UNDECIDED = 1.2
_UNLIKELY = 1.5
_LAST_RESORT = 2.5


@dataclass
class Subject:
    """A callable with its name, the names of its parameters, and its source where there is one."""

    function: Callable[..., Any]
    name: str
    required: tuple[str, ...] | None  # None: the signature is not known
    optional: tuple[str, ...] = ()
    keyword_only: frozenset[str] = frozenset()
    text: str = ""  # docstring, comments and code
    frameworks: tuple[str, ...] = ("numpy", "list")
    two_phases: str = ""  # "vjp" or "both" for a class with forward and backward
    again: Callable[..., Any] | None = None  # runs backward twice, for such a class

    @property
    def shown(self) -> str:
        names = [*(self.required or ("...",)), *(f"{n}=" for n in self.optional[:4])]
        return f"{self.name}({', '.join(names)})"


def subject_of(target: Any, claimed: Kind | None = None) -> Subject:
    """Look at a callable without calling it."""
    if _is_autograd(target):
        return _function(target.apply, target.__name__, target)
    forward = _method(target, _FORWARD)
    backward = _method(target, _BACKWARD)
    phases = forward and backward and not (forward == "__call__" and backward != "backward")
    if phases and not _is_module(target) and _weights_of(target, claimed):
        return _layer(target, forward, backward)
    if phases and not _is_module(target):
        if claimed is not None and claimed.family in ("rows", "loss", "jacobian"):
            return _forward_only(target, forward)
        return _two_phases(target, forward, backward)
    if inspect.isclass(target):
        made: Any = target()
        return _function(made, target.__name__, target)
    name = getattr(target, "__name__", type(target).__name__)
    return _function(target, name, target)


def _function(function: Callable[..., Any], name: str, source: Any) -> Subject:
    inspected = function
    if _is_module(function):
        inspected = function.forward  # type: ignore[attr-defined]
    if _is_autograd(source):
        inspected = lambda x, *rest: None  # noqa: E731
    required, optional, keyword_only = _parameters(inspected)
    if _is_autograd(source):
        required, optional = None, ()
    return Subject(
        function,
        name,
        required,
        optional,
        keyword_only,
        _text(source),
        _frameworks(source),
    )


_WEIGHTS = ("W", "w", "weights", "weight", "theta", "params")
_BIASES = ("b", "bias", "biases")


def _weights_of(target: Any, claimed: Kind | None) -> bool:
    """Whether a class is a layer of its own: made from two sizes, with weights inside."""
    if claimed is not None and claimed.family != "layer":
        return False
    if not inspect.isclass(target):
        return any(hasattr(target, name) for name in _WEIGHTS)
    required, _, _ = _parameters(target)
    return claimed is not None or len(required or ()) == 2


def _layer(target: Any, forward: str, backward: str) -> Subject:
    """A class with weights as a function of features, weights and target."""

    def run(X: Any, W: Any, b: Any, y: Any) -> Any:
        layer = target(*W.shape) if inspect.isclass(target) else copy.deepcopy(target)
        weight = next((n for n in _WEIGHTS if hasattr(layer, n)), "W")
        bias = next((n for n in _BIASES if hasattr(layer, n)), "")
        turned = np.shape(getattr(layer, weight, W)) == W.shape[::-1]
        setattr(layer, weight, W.T if turned else W)
        if bias:
            flat = np.ndim(getattr(layer, bias)) < 2
            setattr(layer, bias, b if flat else b.reshape(np.shape(getattr(layer, bias))))
        first, _, _ = _parameters(getattr(layer, forward))
        last, _, _ = _parameters(getattr(layer, backward))
        given = (X, y)[: len(first or (X,))]
        value = getattr(layer, forward)(*given)
        back = {0: (), 1: (y,), 2: (X, y)}.get(len(last or ()), (y,))
        result = getattr(layer, backward)(*(() if len(given) == 2 and not last else back))
        found = _gradients(layer, weight, bias) or result
        found = found if isinstance(found, tuple) else (found,)
        upright = tuple(g.T if turned and np.shape(g) == W.shape[::-1] else g for g in found)
        return (*upright, float(value)) if len(given) == 2 and np.ndim(value) == 0 else upright

    cls = target if inspect.isclass(target) else type(target)
    return Subject(
        run, cls.__name__, ("X", "W", "b", "y"), (), frozenset(), _text(cls), ("numpy",), "layer"
    )


def _gradients(layer: Any, weight: str, bias: str) -> tuple[Any, ...]:
    """The gradients that a layer keeps as attributes."""
    held = {**vars(layer), **getattr(layer, "grads", {})}
    found = []
    for name in filter(None, (weight, bias)):
        spellings = (f"d{name}", f"grad_{name}", f"{name}_grad", f"g{name}", f"d_{name}", name)
        options = [held[s] for s in spellings if s in held and s != name]
        if not options and name in getattr(layer, "grads", {}):
            options = [layer.grads[name]]
        found += options[:1]
    return tuple(found)


def _forward_only(target: Any, forward: str) -> Subject:
    bound = getattr(target() if inspect.isclass(target) else target, forward)
    name = target.__name__ if inspect.isclass(target) else type(target).__name__
    subject = _function(bound, name, bound)
    cls = target if inspect.isclass(target) else type(target)
    subject.text, subject.frameworks = _text(cls), _frameworks(cls)
    return subject


def _two_phases(target: Any, forward: str, backward: str) -> Subject:
    def make() -> Any:
        return target() if inspect.isclass(target) else copy.deepcopy(target)

    sample = make()
    first, _, _ = _parameters(getattr(sample, forward))
    second, _, _ = _parameters(getattr(sample, backward))
    names, last = list(first or ("x",)), list(second or ())
    count = len(names)
    loss = count >= 2
    takes = last if not loss else []

    def run(*arguments: Any) -> Any:
        layer = make()
        value = _or_kept(getattr(layer, forward)(*arguments[:count]), layer, _OUTPUTS)
        if isinstance(value, np.ndarray):
            value = value.copy()  # backward may write to it
        result = getattr(layer, backward)(*_back(arguments, count, last))
        return value, _or_kept(result, layer, _INPUT_GRADIENTS)

    def twice(*arguments: Any) -> Any:
        layer = make()
        getattr(layer, forward)(*arguments[:count])
        given = _back(arguments, count, last)
        results = []
        for _ in range(2):
            result = getattr(layer, backward)(*copy.deepcopy(given))
            results.append(copy.deepcopy(_or_kept(result, layer, _INPUT_GRADIENTS)))
        return tuple(results)

    name = target.__name__ if inspect.isclass(target) else type(target).__name__
    cls = target if inspect.isclass(target) else type(target)
    parameters = tuple(dict.fromkeys([*names, *takes]))
    return Subject(
        run,
        name,
        parameters,
        (),
        frozenset(),
        _text(cls),
        _frameworks(cls),
        "both" if loss else "vjp",
        twice,
    )


def _or_kept(result: Any, layer: Any, names: tuple[str, ...]) -> Any:
    """A result, or what a method that returns nothing has left as an attribute."""
    if result is not None:
        return result
    return next((getattr(layer, name) for name in names if hasattr(layer, name)), None)


def _back(arguments: tuple[Any, ...], count: int, last: list[str]) -> tuple[Any, ...]:
    """What backward is given: the cotangent; for a loss 1, or the target if it asks for it."""
    rest = arguments[count:]
    if rest or not last:
        return rest
    if any(name in ("y", "t", "target", "targets", "labels", "y_true", "Y") for name in last):
        pair = arguments[:count]
        return pair if len(last) >= 2 else pair[-1:]
    return (1.0,) if len(last) == 1 else arguments[:count]


def _method(target: Any, names: tuple[str, ...]) -> str:
    for name in names:
        if name == "__call__" and inspect.isclass(target) and name not in vars(target):
            continue
        if inspect.isfunction(getattr(target, name, None)) or inspect.ismethod(
            getattr(target, name, None)
        ):
            return name
    return ""


def _is_module(target: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(target, torch.nn.Module)


def _is_autograd(target: Any) -> Any:
    torch = sys.modules.get("torch")
    return (
        torch is not None
        and inspect.isclass(target)
        and issubclass(target, torch.autograd.Function)
    )


def _parameters(
    function: Callable[..., Any],
) -> tuple[tuple[str, ...] | None, tuple[str, ...], frozenset[str]]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return None, (), frozenset()
    kinds = inspect.Parameter
    if any(p.kind is kinds.VAR_POSITIONAL for p in parameters):
        return None, (), frozenset()
    usable = [p for p in parameters if p.kind is not kinds.VAR_KEYWORD]
    required = tuple(p.name for p in usable if p.default is kinds.empty)
    optional = tuple(p.name for p in usable if p.default is not kinds.empty)
    only = frozenset(p.name for p in usable if p.kind is kinds.KEYWORD_ONLY)
    return required, optional, only


def _text(target: Any) -> str:
    try:
        source = inspect.getsource(target)
    except (OSError, TypeError):
        source = ""
    return f"{inspect.getdoc(target) or ''}\n{source}"


def _frameworks(target: Any) -> tuple[str, ...]:
    """The frameworks to try, the likeliest first: by the modules that the code refers to."""
    used = _modules_used(target)
    torch = ("torch", "torch+grad", "torch32") if "torch" in sys.modules else ()
    jax = ("jax",) if "jax" in sys.modules else ()
    if "torch" in used or _is_module(target):
        return (*torch, "numpy")
    if "jax" in used:
        return (*jax, "numpy")
    if used:
        return ("numpy", "list")
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


# --- Conventions ----------------------------------------------------------------------------------


def candidates(subject: Subject, claimed: Kind | None) -> list[Kind]:
    """The kinds to try: the claimed one, or what name and number of arguments allow."""
    if claimed is not None:
        return [claimed]
    named = kinds_of_name(subject.name)
    if subject.two_phases == "layer":
        return [KINDS["softmax_layer_grad"]]
    if subject.two_phases:
        wanted = "both" if subject.two_phases == "both" else "vjp"
        fitting = [KINDS["sigmoid_grad"]] if "sigmoid" in subject.name.lower() else []
        fitting += [k for k in KINDS.values() if k.family == wanted]
        return sorted(fitting, key=lambda k: k.name == "softmax_vjp")
    rest = [k for k in KINDS.values() if k not in named]
    return [k for k in (*named, *rest) if _bindings(subject, k)]


def conventions(subject: Subject, kind: Kind, layout: str | None) -> Iterator[Convention]:
    """All ways to call the function that its signature allows, the likeliest first."""
    for (binding, cost), takes_pair in itertools.product(_bindings(subject, kind), [_takes(kind)]):
        first = dict(binding).get("x")
        for takes in takes_pair:
            extra = cost + _cost_of_takes(kind, takes, first)
            for place, target in itertools.product(_layouts(kind, layout), _targets(kind)):
                more = extra + _cost_of_layout(subject, kind, place, layout, target)
                for framework in subject.frameworks:
                    arguments = tuple(
                        (
                            role,
                            name
                            if name in subject.keyword_only or _option(subject, name)
                            else None,
                        )
                        for role, name in binding
                    )
                    yield Convention(arguments, framework, place, target, takes, True, more)
                    if any(role == "mask" for role, _ in arguments):
                        yield Convention(
                            arguments, framework, place, target, takes, False, more + 0.1
                        )


def _option(subject: Subject, name: str | None) -> bool:
    return name is not None and name in subject.optional


def _takes(kind: Kind) -> tuple[str, ...]:
    if kind.name == "nll":
        return ("log-probabilities", "logits", "probabilities")
    if kind.takes_either:
        return ("logits", "probabilities")
    return ("logits",)


def _cost_of_takes(kind: Kind, takes: str, name: str | None) -> float:
    if kind.name == "nll":
        if takes == "log-probabilities":
            return 0.0
        return _UNEXPECTED if takes == "logits" or means_probabilities(name) else _UNLIKELY
    if takes == "logits":
        return 0.0
    return {True: 0.0, False: _UNLIKELY, None: _UNEXPECTED}[means_probabilities(name)]


def _layouts(kind: Kind, layout: str | None) -> tuple[str, ...]:
    if layout is not None and not kind.binary:
        return {"C": ("row",), "CN": ("CN",), "NC": ("NC", "NCT", "1NC")}[layout]
    if kind.binary:
        return ("N", "N1", "scalar")
    if kind.family in ("layer", "step"):
        return ("NC", "NCT", "CN")
    return ("NC", "row") if kind.family == "jacobian" else ("NC", "1NC", "CN", "row")


def _cost_of_layout(
    subject: Subject, kind: Kind, place: str, layout: str | None, target: str
) -> float:
    """What speaks against columns as examples, or against a function of single rows.

    A function of one row that takes a batch without complaint, and one that works down the
    columns, are wrong for the usual batch (N, C). With class indices the layouts can be told apart;
    otherwise only a mean over the right axis or the author's own words say that another is meant.
    """
    if target == "column":
        return _LAST_RESORT
    if place in ("NC", "N") or (layout is not None and not kind.binary):
        return 0.0
    if kind.binary or kind.family in ("layer", "step"):
        return {"N1": 0.1, "scalar": 0.2, "NCT": 0.1, "CN": 0.2}[place]
    if place == "1NC":
        return 0.4
    words = {
        "row": r"1-?d\b|one[- ]dim|\bvector|single (row|example|sample)|one (row|example|sample)"
        r"|\((C|K|n|c|k),?\)",
        "CN": r"\((C|K|c|k), ?(N|m|n)\)|classes? ?[x×*,] ?(samples?|examples?|batch)|column",
    }
    if re.search(words[place], re.sub(r"\w+\(", "", subject.text), re.IGNORECASE):
        return 0.3
    if kind.has_target and target == "index":
        return _UNEXPECTED
    return _UNDECIDED if kind.has_target and place == "CN" else _UNLIKELY


def _targets(kind: Kind) -> tuple[str, ...]:
    if kind.binary:
        return ("float", "index") if kind.has_target else ("float",)
    return ("index", "one-hot", "column", "one-hot integers") if kind.has_target else ("index",)


Binding = tuple[tuple[tuple[str, str | None], ...], float]


def _bindings(subject: Subject, kind: Kind) -> list[Binding]:
    """Which parameter plays which role, with what speaks against it."""
    options = _named_options(subject, kind)
    with_all = _bindings_with(subject, kind, options)
    plain = [pair for pair in options if pair[0] == "axis"]
    if plain == options:
        return with_all
    without = _bindings_with(subject, kind, plain)
    return [*with_all, *((binding, cost + _LAST_RESORT) for binding, cost in without)]


def _bindings_with(subject: Subject, kind: Kind, extra: list[tuple[str, str]]) -> list[Binding]:
    if subject.required is None:
        plain = tuple((role, None) for role in kind.roles)
        return [(plain, 0.0), ((*plain, ("axis", None)), 0.1)]
    result: list[Binding] = []
    roles = list(kind.roles)
    if kind.name == "sigmoid_grad" and len(subject.required) == 2:
        roles = ["x", "g"]
    required = list(subject.required)
    missing = [r for r in roles if r in ("T", "b", "lr") or (kind.family == "vjp" and r == "g")]
    for count in range(len(missing) + 1):
        for left in itertools.combinations(missing, count):
            wanted = [r for r in roles if r not in left]
            assigned = _assign(required, wanted, kind, subject.optional)
            if assigned is not None:
                result.append(((*assigned, *_without(extra, assigned)), 0.3 * count))
    result.sort(key=lambda pair: pair[1])
    swapped = []
    if result and len(roles) == 2 and "x" in roles:
        first, cost = result[0]
        pair = [role for role, _ in first if role in roles]
        names = [named_role(kind, n) for n in required[:2]]
        if len(pair) == 2 and not (names[0] == pair[0] and names[1] == pair[1]):
            other = dict(zip(pair, reversed(pair), strict=True))
            swapped = [(tuple((other.get(r, r), n) for r, n in first), cost + 0.2)]
        elif len(pair) == 2:
            other = dict(zip(pair, reversed(pair), strict=True))
            swapped = [(tuple((other.get(r, r), n) for r, n in first), cost + 0.9)]
    return [*result[:2], *swapped]


def _without(
    extra: list[tuple[str, str]], assigned: list[tuple[str, str | None]]
) -> list[tuple[str, str | None]]:
    taken = {role for role, _ in assigned}
    return [(role, name) for role, name in extra if role not in taken]


def _named_options(subject: Subject, kind: Kind) -> list[tuple[str, str]]:
    """Optional parameters that are always passed: the axis, the temperature, a mixing weight."""
    always = ("axis", "T", "alpha")
    return [
        (r, n)
        for n in subject.optional
        if (r := named_role(kind, n)) in always and not (r == "T" and kind.binary)
    ]


def _assign(
    required: list[str], wanted: list[str], kind: Kind, optional: tuple[str, ...]
) -> list[tuple[str, str | None]] | None:
    """Roles for the required parameters, in their order; optional ones may play a wanted role."""
    roles: list[str | None] = []
    for name in required:
        role = named_role(kind, name)
        roles.append(role if role not in roles else None)
    open_roles = [r for r in wanted if r not in roles]
    by_option = []
    for name in optional:
        role = named_role(kind, name)
        if role in open_roles and role not in ("x", "y"):
            by_option.append((role, name))
            open_roles.remove(role)
    for i, role in enumerate(roles):
        if role is None or (role in kind.roles and role not in wanted):
            if not open_roles:
                return None
            roles[i] = open_roles.pop(0)
    if open_roles:
        return None
    pairs: list[tuple[str, str | None]] = list(zip(map(str, roles), required, strict=True))
    return [*pairs, *by_option]


def option_name(subject: Subject, kind: Kind, role: str) -> str | None:
    """The optional parameter that plays this role."""
    return next((n for n in subject.optional if named_role(kind, n) == role), None)
