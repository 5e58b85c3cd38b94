"""The formula of every activation and every loss, with its first derivative.

`softgrad.functions` computes; this table says the same in symbols. The tests compare each line with
the function of its name, and refuse a function without a line.

An activation maps x to a, a loss compares a with the target y. A loss of logits contains the
activation that turns them into probabilities p: its ``link``.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Elementwise:
    """a = f(x) for every number by itself. ``let`` names parts that occur in both."""

    value: str
    slope: str
    let: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Rowwise:
    """a = f(x) for a row: ``jacobian`` as an expression, ``entries`` as LaTeX, for i = j or not."""

    value: str
    jacobian: str
    matrix: str
    entries: str
    let: dict[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class LossFormula:
    """L(a, y) of a row and its derivative by a, entry by entry.

    ``of_p`` and ``slope_of_p`` are the same loss by the probabilities that its link gives;
    ``cancelled`` is what their chain rule leaves, in LaTeX.
    """

    value: str
    slope: str
    let: dict[str, str] = field(default_factory=dict)
    link: str | None = None
    of_p: str = ""
    slope_of_p: str = ""
    cancelled: str = ""
    note: str = ""


ACTIVATIONS: dict[str, Elementwise | Rowwise] = {
    "identity": Elementwise("x", "1"),
    "sigmoid": Elementwise("1 / (1 + exp(-x))", "a * (1 - a)"),
    "log_sigmoid": Elementwise("-log1p(exp(-x))", "1 / (1 + exp(x))"),
    "tanh": Elementwise("tanh(x)", "1 - a**2"),
    "relu": Elementwise("where(x > 0, x, 0)", "where(x > 0, 1, 0)"),
    "leaky_relu": Elementwise(
        "where(x > 0, x, negative_slope * x)", "where(x > 0, 1, negative_slope)"
    ),
    "elu": Elementwise("where(x > 0, x, alpha * (exp(x) - 1))", "where(x > 0, 1, alpha * exp(x))"),
    "selu": Elementwise(
        "where(x > 0, scale * x, scale * alpha * (exp(x) - 1))",
        "where(x > 0, scale, scale * alpha * exp(x))",
        constants={
            "alpha": "1.6732632423543772848170429916717",
            "scale": "1.0507009873554804934193349852946",
        },
    ),
    "softplus": Elementwise("log1p(exp(x))", "1 / (1 + exp(-x))"),
    "softsign": Elementwise("x / (1 + abs(x))", "1 / (1 + abs(x))**2"),
    "gelu": Elementwise(
        "x * Phi(x)",
        "Phi(x) + x * phi(x)",
        note=r"$\Phi$ is the distribution function of the standard normal distribution, "
        r"$\varphi(x) = \frac{1}{\sqrt{2 \pi}} e^{-x^2/2}$ its density.",
    ),
    "gelu_tanh": Elementwise(
        "x / 2 * (1 + t)",
        "(1 + t) / 2 + x / 2 * (1 - t**2) * sqrt(2 / pi) * (1 + 3 * kappa * x**2)",
        let={"t": "tanh(sqrt(2 / pi) * (x + kappa * x**3))"},
        constants={"kappa": "0.044715"},
    ),
    "silu": Elementwise("x * s", "s * (1 + x * (1 - s))", let={"s": "sigmoid(x)"}),
    "mish": Elementwise("x * t", "t + x * (1 - t**2) * sigmoid(x)", let={"t": "tanh(softplus(x))"}),
    "softmax": Rowwise(
        "exp(x - max(x)) / sum(exp(x - max(x)))",
        "diag(a) - outer(a, a)",
        r"J = \operatorname{diag}(a) - a a^\top",
        r"\begin{cases} a_i (1 - a_i) & \text{if } i = j \\ -a_i a_j & \text{if } i \ne j "
        r"\end{cases}",
    ),
    "softmin": Rowwise(
        "exp(min(x) - x) / sum(exp(min(x) - x))",
        "outer(a, a) - diag(a)",
        r"J = a a^\top - \operatorname{diag}(a)",
        r"\begin{cases} -a_i (1 - a_i) & \text{if } i = j \\ a_i a_j & \text{if } i \ne j "
        r"\end{cases}",
        note=r"Softmin is softmax of $-x$: every derivative changes its sign.",
    ),
    "log_softmax": Rowwise(
        "x - max(x) - log(sum(exp(x - max(x))))",
        "eye(x) - outer(one(x), exp(a))",
        r"J = I - \mathbf{1} p^\top",
        r"\begin{cases} 1 - p_j & \text{if } i = j \\ -p_j & \text{if } i \ne j \end{cases}",
        note=r"Here $p_j = e^{a_j}$ is the softmax itself.",
    ),
    "sparsemax": Rowwise(
        "maximum(x - threshold(x), 0)",
        "diag(s) - outer(s, s) / sum(s)",
        r"J = \operatorname{diag}(s) - \frac{s s^\top}{n}",
        r"\begin{cases} s_i - \frac{s_i}{n} & \text{if } i = j \\ "
        r"-\frac{s_i s_j}{n} & \text{if } i \ne j \end{cases}",
        let={"s": "where(a > 0, one(a), 0 * a)"},
        note=r"The threshold $\tau(x)$ makes the entries sum to 1. $s_i = 1$ where $a_i > 0$ and 0 "
        r"elsewhere; $n = \sum_k s_k$ is the size of this support.",
    ),
}

LOSSES: dict[str, LossFormula] = {
    "cross_entropy": LossFormula(
        "-sum(y * log_softmax(a))",
        "sum(y) * softmax(a) - y",
        link="softmax",
        of_p="-sum(xlogy(y, p))",
        slope_of_p="-(y / p)",
        cancelled=r"p_j \sum_k y_k - y_j = p_j - y_j",
    ),
    "squared_error": LossFormula("sum((a - y)**2)", "2 * (a - y)"),
}
