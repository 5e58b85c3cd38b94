"""Which classes take part, before anything else."""

from __future__ import annotations

import numpy as np

from softgrad.derivation.document import Check, Step
from softgrad.derivation.masking import Mask
from softgrad.derivation.steps.work import COMPARED, Work

_IN_A_SUM = (
    "A masked logit stands for minus infinity, whatever it holds: its exponential is 0 and adds "
    "nothing to the sum, its probability is 0, and nothing moves when it moves. So its gradient is "
    "0, and so are its row and its column in the Jacobian."
)
_ALONE = (
    "A masked entry is left out, whatever it holds: its value counts as 0, the loss has no term "
    "for it, and its gradient is 0."
)
_FORMULA_IN_A_SUM = (
    r"x_k = -\infty \quad \Rightarrow \quad \exp(x_k) = 0, \quad p_k = 0, \quad "
    r"\frac{\partial p_i}{\partial x_k} = 0, \quad \frac{\partial L}{\partial x_k} = 0"
)
_FORMULA_ALONE = r"\frac{\partial L}{\partial x_k} = 0"


def masked(w: Work, mask: Mask) -> Step:
    """What becomes of masked classes, and how the others are counted from here on."""
    out, left = mask.masked, mask.classes
    which = f"class {out[0]}" if len(out) == 1 else f"the classes {', '.join(map(str, out))}"
    numbered = ", ".join(f"{new} is class {old}" for new, old in enumerate(left))
    again = (
        ""
        if left == list(range(len(left)))
        else f" From here on they are counted anew: {numbered}."
    )
    return Step(
        "The mask: classes that take no part",
        f"The mask takes out {which}. {_ALONE if w.pair.elementwise else _IN_A_SUM} The steps are "
        f"those of the classes that are left.{again}",
        (_FORMULA_ALONE if w.pair.elementwise else _FORMULA_IN_A_SUM,),
        check=_against_library(w, mask),
    )


def _against_library(w: Work, mask: Mask) -> tuple[Check, ...]:
    """The library with ``where=``, its masked logits being anything, beside the shorter row."""
    if "where" not in w.pair.function.options:
        return ()
    short = np.array([float(v) for v in w.z])
    options = {**w.pair.activation_options, "where": mask.keep}
    found = np.asarray(w.pair.function(mask.fill(short, np.nan), **options))
    exact = np.array([float(v) for v in w.a])
    difference = float(np.max(np.abs(mask.drop(found) - exact)))
    room = 1e-12 * float(np.max(np.abs(exact)) + np.max(np.abs(short)) + 1)
    what = "the library with where= against the shorter row"
    return (Check(what, difference, room, difference <= room, method=COMPARED),)
