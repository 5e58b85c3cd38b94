"""All the ways in which a function may want to be called, the likeliest first.

A convention says which parameter plays which role, in which layout, with which targets. What
speaks against one is its cost, in the same unit as a mistake: of two explanations the cheaper is
taken.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from softgrad.doctor.calling import Convention
from softgrad.doctor.kinds import KINDS, Kind, kinds_of_name, means_probabilities, named_role
from softgrad.doctor.subject import Subject

_UNEXPECTED = 0.6
_UNDECIDED = 1.2
_UNLIKELY = 1.5
_LAST_RESORT = 2.5


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
    # Without a word for it nobody asks a yes/no question.
    rest = sorted((k for k in KINDS.values() if k not in named), key=lambda k: k.binary)
    return [k for k in (*named, *rest) if _bindings(subject, k)]


def conventions(subject: Subject, kind: Kind, layout: str | None) -> Iterator[Convention]:
    """All ways to call the function that its signature allows."""
    for binding, cost in _bindings(subject, kind):
        by_name = (*subject.keyword_only, *subject.optional)
        arguments = tuple((role, name if name in by_name else None) for role, name in binding)
        masks = (True, False) if "mask" in dict(binding) else (True,)
        for takes, place, target, framework, mask in itertools.product(
            _takes(subject, kind),
            _layouts(kind, layout),
            _targets(kind),
            subject.frameworks,
            masks,
        ):
            against = _cost_of_takes(kind, takes, dict(binding).get("x"))
            against += _cost_of_layout(subject, kind, place, layout, target)
            against += 0.0 if mask else 0.1
            yield Convention(arguments, framework, place, target, takes, mask, cost + against)


def _takes(subject: Subject, kind: Kind) -> tuple[str, ...]:
    if kind.name == "nll":
        return ("log-probabilities", "logits", "probabilities")
    if kind.family == "vjp" and "log" in subject.name.lower():
        return ("log-probabilities", "logits")  # the backward pass of log_softmax
    if kind.takes_either:
        return ("logits", "probabilities")
    return ("logits",)


def _cost_of_takes(kind: Kind, takes: str, name: str | None) -> float:
    if kind.name == "nll":
        # An "output" or a "pred" is often a logarithm; what is called "probs" is none.
        if name is not None and re.search(r"^ps?$|(?<!log_)(?<!log)prob|softmax", name.lower()):
            return {"probabilities": 0.0, "logits": _UNEXPECTED}.get(takes, _UNDECIDED)
        if takes == "log-probabilities":
            return 0.0
        return _UNEXPECTED if takes == "logits" or means_probabilities(name) else _UNLIKELY
    if takes == "logits":
        return 0.0
    if takes == "log-probabilities":
        return 0.1
    return {True: 0.0, False: _UNLIKELY, None: _UNEXPECTED}[means_probabilities(name)]


def _layouts(kind: Kind, layout: str | None) -> tuple[str, ...]:
    if layout is not None and not kind.binary:
        return {
            "C": ("row", "C1"),
            "CN": ("CN",),
            "NC": ("NC", "NCT", "NCF", "1NC", "11NC"),
        }[layout]
    if kind.binary:
        return ("N", "N1", "scalar")
    if kind.family in ("layer", "step"):
        return ("NC", "NCT", "NCF", "CN")
    if kind.family == "jacobian":
        return ("NC", "CN", "row", "C1")
    return ("NC", "1NC", "11NC", "CN", "row", "C1")


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
        return {"N1": 0.1, "scalar": 0.2, "NCT": 0.1, "NCF": 0.3, "CN": 0.2}[place]
    if place in ("1NC", "11NC"):
        return 0.4
    if re.search(_ROWS_ARE_EXAMPLES, subject.text, re.IGNORECASE):
        return _LAST_RESORT
    if re.search(_WORDS[place], re.sub(r"\w+\(", "", subject.text), re.IGNORECASE):
        return 0.3
    if place == "C1":
        return _LAST_RESORT
    if kind.has_target and target == "index":
        return _UNEXPECTED
    return _UNDECIDED if kind.has_target and place == "CN" else _UNLIKELY


def _targets(kind: Kind) -> tuple[str, ...]:
    if kind.binary:
        return ("float", "index") if kind.has_target else ("float",)
    return ("index", "one-hot", "column", "one-hot integers") if kind.has_target else ("index",)


_CLASSES = r"(C|K|c|k|n_?classes|num_classes|classes|n_c)"
_EXAMPLES = r"(N|m|n|n_?samples|num_samples|batch_?size|examples)"
#: What authors say of layouts other than (N, C).
_WORDS = {
    "row": r"1-?d\b|one[- ]dim|\bvector|single (row|example|sample)|one (row|example|sample)"
    rf"|\({_CLASSES},?\)",
    "C1": rf"\({_CLASSES}, ?1\)|column vector|column of",
    "CN": rf"\({_CLASSES}, ?{_EXAMPLES}\)|classes? ?[x×*,] ?(samples?|examples?|batch)|column",
}

#: What they say where each row is an example.
_ROWS_ARE_EXAMPLES = (
    r"(examples?|samples?|observations?) (per|in (each|every|a)|a) row"
    r"|(each|every) row (is|holds) (an|one|a) (example|sample|observation)"
    r"|rows are (the )?(examples|samples|observations)"
)

Binding = tuple[tuple[tuple[str, str | None], ...], float]


def _bindings(subject: Subject, kind: Kind) -> list[Binding]:
    """Which parameter plays which role, with what speaks against it."""
    options = _named_options(subject, kind)
    with_all = _bindings_with(subject, kind, options)
    found = list(with_all)
    for kept in (("axis", "off"), ()):
        fewer = [pair for pair in options if pair[0] in kept]
        if fewer != options:
            without = _bindings_with(subject, kind, fewer)
            found += [(binding, cost + _LAST_RESORT) for binding, cost in without]
            options = fewer
    return found


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
            swapped = [(tuple((other.get(r, r), n) for r, n in first), cost + _LAST_RESORT)]
    return [*result[:2], *swapped]


def _without(
    extra: list[tuple[str, str]], assigned: list[tuple[str, str | None]]
) -> list[tuple[str, str | None]]:
    taken = {role for role, _ in assigned}
    return [(role, name) for role, name in extra if role not in taken]


def _named_options(subject: Subject, kind: Kind) -> list[tuple[str, str]]:
    """Optional parameters that are always passed: axis, temperature, mixing weight, no penalty."""
    always = ("axis", "T", "alpha", "off")
    return [
        (r, n)
        for n in subject.optional
        if (r := named_role(kind, n)) in always and not (r == "T" and kind.binary)
    ]


def _assign(
    required: list[str], wanted: list[str], kind: Kind, optional: tuple[str, ...]
) -> list[tuple[str, str | None]] | None:
    """Roles for the required parameters, in their order; optional ones may play a wanted role."""
    named: list[str | None] = []
    for name in required:
        role = named_role(kind, name)
        named.append(role if role not in named else None)
    assigned = _filled(named, required, wanted, kind, optional)
    if assigned is None:
        # A name such as k, the number of classes elsewhere, may be that of a target.
        only = [role if role in kind.roles else None for role in named]
        assigned = _filled(only, required, wanted, kind, optional)
    return assigned


def _filled(
    named: list[str | None],
    required: list[str],
    wanted: list[str],
    kind: Kind,
    optional: tuple[str, ...],
) -> list[tuple[str, str | None]] | None:
    """The parameters without a role take what is still wanted, in the usual order."""
    roles = list(named)
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
