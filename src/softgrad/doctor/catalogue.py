"""The mistakes that people make with softmax and its gradient, each with its reason and its cure.

`why` is two sentences with the formula. `fix` is the corrected line or lines, by the family of
function that they belong to ("" for all others): what is right is spelled in the names, layout and
framework of whoever made the mistake, or in the usual ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from softgrad.doctor.calling import Convention
from softgrad.doctor.lines import Lines
from softgrad.doctor.spelling import joined

Cure = Callable[[Lines], str]


def _lines(*names: str) -> Cure:
    """Some of the lines that a spelling has."""
    return lambda s: joined(*(getattr(s, name) for name in names))


def _averaged(cure: Cure) -> Cure:
    return lambda s: cure(replace(s, reduction="mean"))


def _kept(cure: Cure) -> Cure:
    return lambda s: cure(replace(s, kept=s.kept or "{y} >= 0"))


def _weighted(cure: Cure) -> Cure:
    return lambda s: cure(s.weighted)


def _from_0(cure: Cure) -> Cure:
    note = "in 0..C-1: subtract 1 once, where the labels are read"
    return lambda s: joined(f"# {s.y} {note}", cure(s))


_STABLE = _lines("p_lines")
_LOG_P = _lines("log_p_lines")
_LSE = _lines("lse_lines")
_LOSS = _lines("loss_lines")
_LOSS_LINE = _lines("target_lines", "loss_line")
_GRAD = _lines("grad_line")
_VJP = _lines("vjp_line")
_JACOBIAN = _lines("jacobian_lines")
_LAYER = _lines("layer_lines")
_STEP = _lines("step_lines")
_BINARY = _lines("binary_line")
_BINARY_GRAD = _lines("binary_grad_lines")
_SIGMOID = _lines("s_lines")
_KD = _lines("distillation_line")
_KD_GRAD: Cure = lambda s: f"grad = {s.distillation_grad}"  # noqa: E731
#: By the way the probabilities are normalised.
_NORMALISED: dict[str, Cure] = {
    "vjp": _lines("p_lines", "vjp_line"),
    "jacobian": _lines("p_lines", "jacobian_lines"),
    "loss": _LOSS,
    "log_softmax": _LOG_P,
    "logsumexp": _LSE,
}
#: The arguments that functions of a family usually have.
_ARGUMENTS = {
    "vjp": ("x", "g"),
    "jacobian": ("x",),
    "rows": ("x",),
    "layer": ("X", "W", "b", "y"),
    "step": ("W", "b", "X", "y", "lr"),
    "distillation": ("x", "teacher", "T"),
    "distillation_grad": ("x", "teacher", "T"),
}
_WITH_T = (22, 23)


@dataclass(frozen=True)
class Mistake:
    """A row of the catalogue."""

    number: int
    title: str
    why: str
    cures: Mapping[str, Cure] = field(default_factory=dict)

    def cure(self, families: tuple[str, ...], spelling: Lines) -> str:
        """The corrected lines for the first of these families that has some of its own."""
        found = next((self.cures[f] for f in families if f in self.cures), self.cures[""])
        return found(spelling)

    @cached_property
    def fix(self) -> dict[str, str]:
        """The corrected lines of every family in the usual names, rows being examples."""
        found = {}
        for family, cure in self.cures.items():
            roles = _ARGUMENTS.get(family, ("x", "y"))
            roles = (*roles, "T") if self.number in _WITH_T and "T" not in roles else roles
            found[family] = cure(Lines(Convention(tuple((role, None) for role in roles))))
        return found

    def fix_for(self, family: str) -> str:
        """The corrected lines for a family of functions, in the usual names."""
        return self.fix.get(family, self.fix.get("", ""))


def _entry(number: int, title: str, why: str, cure: Cure, **others: Cure) -> Mistake:
    return Mistake(number, title, why, {"": cure, **others})


MISTAKES: dict[int, Mistake] = {
    m.number: m
    for m in (
        _entry(
            1,
            "The derivative is only the diagonal, p (1 - p)",
            "Every probability depends on every logit, because all share one sum: "
            "dp_i/dx_j = p_i ([i = j] - p_j). The diagonal p (1 - p) leaves out -p_i p_j, so the "
            "rows no longer sum to 0.",
            _VJP,
            jacobian=_JACOBIAN,
            grad=_GRAD,
            both=_GRAD,
            layer=_LAYER,
            step=_STEP,
        ),
        _entry(
            2,
            "The derivative is built from the input x instead of p",
            "The derivative of softmax is diag(p) - p p^T in its output p = softmax(x). Here the "
            "logits x themselves stand where p belongs.",
            _lines("p_lines", "vjp_line"),
            jacobian=_lines("p_lines", "jacobian_lines"),
            grad=_lines("p_lines", "grad_line"),
            both=_lines("p_lines", "grad_line"),
            layer=_lines("p_lines", "layer_lines"),
            step=_lines("p_lines", "step_lines"),
        ),
        _entry(
            3,
            "The whole batch is reshaped into one column",
            "reshape(-1, 1) joins the rows of a batch into one vector, so diag(p) - p p^T becomes "
            "(N C, N C) and mixes rows that have nothing to do with each other. A batch has one "
            "C x C Jacobian a row: shape (N, C, C).",
            _JACOBIAN,
        ),
        _entry(
            4,
            "The upstream gradient is constant, so the result is 0",
            "The probabilities of a row sum to 1 whatever the logits are, hence J 1 = 0: with ones "
            "as the cotangent the gradient is exactly 0 or 1e-17. Pass the gradient of the loss "
            "by p instead.",
            lambda s: f"{s.g} = dloss_dp     # not ones\n{s.vjp_line}",
            grad=_GRAD,
            both=_GRAD,
            layer=_LAYER,
            step=_STEP,
            jacobian=_JACOBIAN,
        ),
        _entry(
            5,
            "The softmax derivative is applied twice",
            "p - y is already the derivative of the loss by the logits: in J (-y / p) = p - y the "
            "Jacobian is contained. Multiplying by p (1 - p) or by J again makes the gradient far "
            "too small.",
            _VJP,
            grad=_GRAD,
            both=_GRAD,
            distillation=_KD_GRAD,
            layer=_LAYER,
            step=_STEP,
        ),
        _entry(
            6,
            "p - y is used as the gradient of a squared loss",
            "p - y belongs to the cross-entropy alone. The squared loss |p - y|^2 has the gradient "
            "2 J (p - y) = 2 p (d - sum p d) with d = p - y.",
            lambda s: joined(
                s.square_lines, "# or keep p - y and return the cross-entropy as the loss"
            ),
        ),
        _entry(
            7,
            "The sum runs over the whole batch",
            "Each row has its own sum: p_ij = exp(x_ij) / sum_k exp(x_ik). Without an axis the "
            "whole batch sums to 1, and every row depends on all others.",
            _STABLE,
            **_NORMALISED,
        ),
        _entry(
            8,
            "The wrong axis is normalised",
            "Rows are examples and columns classes, so the sum runs along the classes: "
            "p_ij = exp(x_ij) / sum_k exp(x_ik). Here the columns sum to 1: changing one example "
            "changes the others.",
            _STABLE,
            **_NORMALISED,
        ),
        _entry(
            9,
            "One maximum for the whole batch",
            "A row far below the largest of all rows becomes exp(-large) = 0 throughout, and 0 / 0 "
            "is NaN. Each row needs its own maximum: exp(x - max x of the row).",
            _STABLE,
            **_NORMALISED,
        ),
        _entry(
            10,
            "A maximum or a sum without keepdims",
            "x - x.max(axis=1) takes (N, C) minus (N,): an error if N and C differ, and silently "
            "column j minus the maximum of row j if they are equal. keepdims=True keeps the "
            "shape (N, 1), which belongs to the rows.",
            _STABLE,
            **_NORMALISED,
        ),
        _entry(
            11,
            "No shift by the maximum",
            "exp(x) overflows above 709 (float32: above 88), and inf / inf is NaN. "
            "softmax(x) = softmax(x - max x) is the same number and cannot overflow.",
            _STABLE,
            **_NORMALISED,
            binary=_SIGMOID,
        ),
        _entry(
            12,
            "The logits are clipped",
            "Logits beyond the limit become equal, so their probabilities tie and their gradients "
            "vanish. The shift x - max x keeps exp from overflowing without changing p.",
            _STABLE,
            **_NORMALISED,
            binary=_BINARY,
        ),
        _entry(
            13,
            "The logarithm of a softmax",
            "p rounds to 0 where x lies far below the maximum, and log 0 is -inf. "
            "log p = (x - max x) - log sum exp(x - max x) needs no small number.",
            _LOSS,
            log_softmax=_LOG_P,
            binary=_BINARY,
            distillation=_LOG_P,
        ),
        _entry(
            14,
            "The probabilities are kept away from 0 by a small number",
            "-log(p + eps) cannot exceed -log eps (16.1 for 1e-7) and its gradient is 0 exactly "
            "where the model is most wrong. From the logits no eps is needed: "
            "log p = x - logsumexp(x).",
            _LOSS,
            log_softmax=_LOG_P,
            binary=_BINARY,
            distillation=_LOG_P,
            grad=_GRAD,
        ),
        _entry(
            15,
            "Softmax is applied twice",
            "softmax(softmax(x)) sees numbers between 0 and 1 only, so no class can exceed "
            "e / (e + C - 1) and the loss has a floor (1.461 for ten classes). Apply softmax once: "
            "a loss that takes logits must not be given probabilities.",
            lambda s: joined(s.p_lines, "# once: a loss that takes logits is given x, not p"),
            loss=_LOSS,
            log_softmax=_LOG_P,
            logsumexp=_LSE,
        ),
        _entry(
            16,
            "Probabilities where log-probabilities are expected",
            "The negative log-likelihood is -log p_y; here it is -p_y, which lies between -1 and 0 "
            "and flattens where it should be steep. Give it log_softmax(x).",
            _LOSS,
            log_softmax=_LOG_P,
            grad=_GRAD,
            both=_lines("target_lines", "loss_line", "grad_line"),
        ),
        _entry(
            17,
            "A binary cross-entropy summed over softmax outputs",
            "One of C classes is -log p_y; the terms -log(1 - p_j) of the other classes punish the "
            "same error again. At equal logits the loss should be log C and is not.",
            _LOSS,
            grad=_GRAD,
            both=_lines("target_lines", "loss_line", "grad_line"),
            binary=_BINARY,
        ),
        _entry(
            18,
            "The 1/N of the mean is missing",
            "The mean of N losses has the gradient (p - y) / N. Without 1/N it is the gradient of "
            "the sum: N times too large, so the right step size changes with the batch.",
            _averaged(_GRAD),
            loss=_averaged(_LOSS_LINE),
            layer=_averaged(_LAYER),
            step=_averaged(_STEP),
            distillation=_averaged(_KD_GRAD),
        ),
        _entry(
            19,
            "The mean is taken over N x C numbers",
            "A row has one loss, however many classes it has: the mean divides by N. np.mean over "
            "all entries divides by N C and makes it C times too small.",
            _averaged(_GRAD),
            loss=_averaged(_LOSS_LINE),
            both=_averaged(_lines("target_lines", "loss_line", "grad_line")),
            layer=_averaged(_LAYER),
            step=_averaged(_STEP),
            distillation=_averaged(_KD),
            distillation_grad=_averaged(_KD_GRAD),
        ),
        _entry(
            20,
            "A weighted mean is divided by N",
            "The weighted mean is sum_i w_i l_i / sum_i w_i. Divided by N it changes with the "
            "scale of the weights, by the factor sum(w) / N.",
            _weighted(_GRAD),
            loss=_weighted(_LOSS_LINE),
            both=_weighted(_lines("target_lines", "loss_line", "grad_line")),
        ),
        _entry(
            21,
            "The sign is wrong",
            "The gradient of -log p_y by the logits is p - y: negative at the target, so that a "
            "step against it raises p_y. With y - p the loss rises at every step.",
            _GRAD,
            loss=_LOSS_LINE,
            vjp=_VJP,
            jacobian=_JACOBIAN,
            layer=_LAYER,
            step=_STEP,
            rows=_STABLE,
            log_softmax=_LOG_P,
            logsumexp=_LSE,
            distillation=_KD,
            distillation_grad=_KD_GRAD,
        ),
        _entry(
            22,
            "The 1/T of the temperature is missing in the gradient",
            "With p = softmax(x / T) the chain rule brings a factor 1/T: d(-log p_y)/dx = "
            "(p - y) / T. Without it the gradient is T times too large.",
            _GRAD,
            vjp=_VJP,
            jacobian=_JACOBIAN,
            distillation=_KD_GRAD,
            layer=_LAYER,
            step=_STEP,
        ),
        _entry(
            23,
            "The distillation loss lacks its T^2",
            "The gradient of the soft term fades as 1/T^2, because both p and q flatten with T. "
            "Multiplied by T^2 its share stays the same at every temperature: "
            "T^2 sum q log(q / p).",
            _KD,
            distillation_grad=_KD_GRAD,
        ),
        _entry(
            24,
            "Labels are taken to run from 1 to C",
            "Class indices start at 0: y - 1 turns class 0 into -1, which Python reads as the last "
            "class. Every label trains its neighbour.",
            lambda s: joined(
                f"# {s.y} in 0..C-1: subtract 1 once, where the labels are read", s.grad_line
            ),
            loss=lambda s: joined(
                f"# {s.y} in 0..C-1: subtract 1 once, where the labels are read", s.loss_line
            ),
        ),
        _entry(
            25,
            "A negative label wraps around to the last classes",
            "log_p[i, -1] is the last class in Python, so rows marked -1 teach the model that "
            "class instead of being left out. Leave them out; divide by the number of rows left.",
            _kept(_GRAD),
            loss=_kept(_LOSS_LINE),
            layer=_kept(_LAYER),
            step=_kept(_STEP),
        ),
        _entry(
            26,
            "Softmax over a single unit",
            "One class alone has the probability exp(x) / exp(x) = 1, whatever x is. A yes/no "
            "question takes the sigmoid 1 / (1 + exp(-x)).",
            _SIGMOID,
            loss=_BINARY,
            grad=_BINARY_GRAD,
        ),
        _entry(
            27,
            "The mask multiplies by 0 or adds a finite number",
            "A logit of 0 is not absent: exp(0) = 1 still takes its share, and -1e4 is too little "
            "against larger logits. Only -inf before the softmax gives exp(-inf) = 0.",
            _lines("mask_line", "p_lines"),
            log_softmax=_lines("mask_line", "log_p_lines"),
        ),
        _entry(
            28,
            "argmax inside the loss",
            "argmax jumps from class to class and is flat in between, so its derivative is 0 "
            "wherever it exists. Use -log p_y, which decreases as the right class gains.",
            _GRAD,
            loss=_LOSS,
            rows=_STABLE,
        ),
        _entry(
            29,
            "Computed in place on numbers that are needed again",
            "grad = p makes no copy, so grad[i, y] -= 1 also changes the cached or given array, "
            "and the next call sees p - y where it expects p. Copy first.",
            lambda s: joined("# new arrays, not p -= ... on what was given or kept", s.grad_line),
            rows=lambda s: joined("# new arrays, not x -= ...", s.p_lines),
            vjp=lambda s: joined("# new arrays, not g -= ...", s.vjp_line),
            log_softmax=lambda s: joined("# new arrays, not x -= ...", s.log_p_lines),
            loss=lambda s: joined("# new arrays, not x -= ...", s.loss_lines),
            layer=lambda s: joined("# new arrays, not p -= ...", s.layer_lines),
        ),
        _entry(
            30,
            "Finite differences in float32",
            "(f(x + h) - f(x - h)) / 2h divides the rounding error of f, 1e-7 in float32, by h: "
            "for h = 1e-4 nothing but noise is left in the third digit. Use float64 and h = 1e-5, "
            "or softgrad.check_grad.",
            lambda s: "x, h = x.astype(np.float64), 1e-5\nslope = (f(x + h) - f(x - h)) / (2 * h)",
        ),
    )
}
