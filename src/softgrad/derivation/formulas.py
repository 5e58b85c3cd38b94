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
    parts: dict[str, str] = field(default_factory=dict)  # of the Jacobian, by a
    note: str = ""


@dataclass(frozen=True)
class LossFormula:
    """L(a, y) of a row and its derivative by a, entry by entry. ``let`` names parts of both.

    ``of_p`` and ``slope_of_p`` are the same loss by the probabilities that its link gives, and
    ``cancelled`` is what their chain rule leaves: an expression, and in ``shortest`` the same for
    targets that sum to 1; ``multiplied`` is the line before it. ``derived`` are constants that
    follow from options.

    ``factor`` multiplies what the library's function returns: a loss with a temperature of its own
    is given z = x / T, and has its factor T^2 from here.
    """

    value: str
    slope: str
    let: dict[str, str] = field(default_factory=dict)
    link: str | None = None
    of_p: str = ""
    slope_of_p: str = ""
    cancelled: str = ""
    shortest: str = ""
    multiplied: str = ""
    derived: dict[str, str] = field(default_factory=dict)
    factor: str = "1"
    fixed: dict[str, str] = field(default_factory=dict)
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
        "diag(s) - outer(s, u)",
        r"J = \operatorname{diag}(s) - \frac{s s^\top}{n}",
        r"\begin{cases} s_i - \frac{s_i}{n} & \text{if } i = j \\ "
        r"-\frac{s_i s_j}{n} & \text{if } i \ne j \end{cases}",
        parts={"s": "where(a > 0, one(a), 0 * a)", "u": "s / sum(s)"},
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
        slope_of_p="-ratio(y, p)",
        cancelled="p * sum(y) - y",
        shortest="p - y",
    ),
    "nll": LossFormula("-sum(y * a)", "-y"),
    "categorical_cross_entropy": LossFormula("-sum(xlogy(y, a))", "-ratio(y, a)"),
    "binary_cross_entropy": LossFormula(
        "sum(softplus(a) - y * a)",
        "sigmoid(a) - y",
        link="sigmoid",
        of_p="-sum(xlogy(y, p) + xlogy(1 - y, 1 - p))",
        slope_of_p="ratio(1 - y, 1 - p) - ratio(y, p)",
        cancelled="p - y",
        multiplied="(1 - y) * p - y * (1 - p)",
    ),
    "binary_cross_entropy_probabilities": LossFormula(
        "-sum(xlogy(y, a) + xlogy(1 - y, 1 - a))", "ratio(1 - y, 1 - a) - ratio(y, a)"
    ),
    "focal": LossFormula(
        "-sum(y * (1 - p)**gamma * log_softmax(a))",
        "p * sum(w) - w",
        let={
            "p": "softmax(a)",
            "w": "y * (1 - p)**(gamma - 1) * (1 - p - gamma * xlogy(p, p))",
        },
        link="softmax",
        of_p="-sum((1 - p)**gamma * xlogy(y, p))",
        slope_of_p="y * (gamma * (1 - p)**(gamma - 1) * log(p) - (1 - p)**gamma / p)",
        cancelled="p * sum(w) - w",
    ),
    "sigmoid_focal": LossFormula(
        "alpha * sum(y * q**gamma * softplus(-a)) + beta * sum((1 - y) * p**gamma * softplus(a))",
        "beta * (1 - y) * p**gamma * (p + gamma * q * softplus(a))"
        " - alpha * y * q**gamma * (q + gamma * p * softplus(-a))",
        let={"p": "sigmoid(a)", "q": "sigmoid(-a)"},
        link="sigmoid",
        of_p="-alpha * sum((1 - p)**gamma * xlogy(y, p))"
        " - beta * sum(p**gamma * xlogy(1 - y, 1 - p))",
        slope_of_p="alpha * (gamma * (1 - p)**(gamma - 1) * xlogy(y, p)"
        " - (1 - p)**gamma * ratio(y, p))"
        " + beta * (p**gamma * ratio(1 - y, 1 - p)"
        " - gamma * p**(gamma - 1) * xlogy(1 - y, 1 - p))",
        derived={"beta": "1 - alpha"},
    ),
    "squared_error": LossFormula("sum((a - y)**2)", "2 * (a - y)"),
    "half_squared_error": LossFormula("sum((a - y)**2) / 2", "a - y"),
    "absolute_error": LossFormula("sum(abs(a - y))", "sign(a - y)"),
    "huber": LossFormula(
        "sum(where(abs(d) <= delta, d**2 / 2, delta * (abs(d) - delta / 2)))",
        "where(abs(d) <= delta, d, delta * sign(d))",
        let={"d": "a - y"},
    ),
    "kl_divergence": LossFormula("sum(xlogy(y, y) - y * a)", "-y"),
    "multiclass_hinge": LossFormula(
        "maximum(m, 0)",
        "where(m > 0, r - y, 0)",
        let={"m": "margin + rival(a, y) - sum(y * a)", "r": "winner(a, y)"},
        note=r"$t$ is the target's class, and $r$ is one-hot at the best of the others.",
    ),
    "distillation": LossFormula(
        "T**2 * sum(xlogy(y, y) - y * log_softmax(a))",
        "T**2 * (sum(y) * softmax(a) - y)",
        link="softmax",
        of_p="T**2 * sum(xlogy(y, y) - xlogy(y, p))",
        slope_of_p="-(T**2 * ratio(y, p))",
        cancelled="T**2 * (p * sum(y) - y)",
        shortest="T**2 * (p - y)",
        factor="T**2",
        fixed={"teacher": "probabilities"},
        note="The target is the teacher's probabilities at the same temperature.",
    ),
}
