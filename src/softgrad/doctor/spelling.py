"""The right formulas, line by line, as the author of a function would write them.

In their names, their framework, their layout and targets, for their reduction. Here are the names,
the target and the probabilities; `lines` has the losses and derivatives made of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from softgrad.doctor.calling import Convention

_MODULES = {"jax": "jnp", "torch": "torch", "torch+grad": "torch", "torch32": "torch"}
_USUAL = Convention(tuple((role, None) for role in ("x", "y")))


@dataclass(frozen=True)
class Spelling:
    """How somebody writes: names by role, and what the function is to do.

    ``reduction`` is mean, sum or none; ``constant`` a factor of a squared error; ``skipped`` the
    condition for the labels that take part, where some do not.
    """

    convention: Convention = _USUAL
    names: Mapping[str, str] = field(default_factory=dict)
    reduction: str = "mean"
    squared: float = 0.0  # the factor of |p - y|^2 where that is the loss
    of_log: bool = False  # a backward pass of log_softmax
    by_p: bool = False  # a gradient by the probabilities
    divergence: bool = True  # of a distillation: KL, else the entropy -sum q log p
    alpha_on_soft: bool = True
    mask: str = "kept"  # what True or 1 means in one: kept or dropped
    kept: str = ""  # which labels take part, where not all do: "{y} >= 0"

    # --- Names ------------------------------------------------------------------------------------

    def name(self, role: str) -> str:
        usual = {"labels": "labels", "teacher": "teacher", "mask": "mask"}
        return self.names.get(role, usual.get(role, role))

    def free(self, name: str) -> str:
        """A name for what is computed, that no argument has."""
        return f"{name}_" if name in self.names.values() else name

    @property
    def x(self) -> str:
        return self.name("x")

    @property
    def y(self) -> str:
        return self.name("labels" if self.convention.takes_role("labels") else "y")

    @property
    def g(self) -> str:
        return self.name("g")

    @property
    def T(self) -> str:
        fixed = self.convention.temperature
        return self.name("T") if fixed == 1.0 else f"{fixed:g}"

    @property
    def heated(self) -> bool:
        return self.convention.takes_role("T") or self.convention.temperature != 1.0

    @property
    def np(self) -> str:
        return _MODULES.get(self.convention.framework, "np")

    @property
    def axis(self) -> str:
        if "axis" in self.names:
            return self.names["axis"]
        return "0" if self.convention.layout in ("CN", "C1") else "-1"

    @property
    def keep(self) -> str:
        """The axis of the classes, and that it stays."""
        if self.np == "torch":
            return f"dim={self.axis}, keepdim=True"
        return f"axis={self.axis}, keepdims=True"

    @property
    def along(self) -> str:
        return f"dim={self.axis}" if self.np == "torch" else f"axis={self.axis}"

    def top(self, x: str) -> str:
        """The maximum of each row."""
        return f"{x}.amax({self.keep})" if self.np == "torch" else f"{x}.max({self.keep})"

    # --- Sizes and targets ------------------------------------------------------------------------

    @property
    def rows(self) -> str:
        """How many rows there are."""
        p = self.p
        if self.convention.layout == "CN":
            return f"{p}.shape[1]"
        if self.convention.nested:
            return f"math.prod({p}.shape[:-1])"
        return f"len({p})"

    @property
    def per_row(self) -> str:
        """The division that makes a mean of a sum."""
        if self.reduction != "mean" or self.convention.single:
            return ""
        return f" / {self.kept_name}.sum()" if self.kept else f" / {self.rows}"

    @property
    def kept_name(self) -> str:
        return self.free("keep")

    @property
    def indexed(self) -> bool:
        return self.convention.target in ("index", "index from 1", "column")

    @cached_property
    def Y(self) -> str:
        """The one-hot target."""
        made = self.indexed or self.convention.smoothing
        return self.free("Y") if made else self.y

    @cached_property
    def Y_lines(self) -> str:
        """How it is made from the target; empty if it is the argument."""
        return self._target_beside(self.p)

    def _target_beside(self, array: str) -> str:
        y, layout = self.y, self.convention.layout
        size = f"{array}.shape[{self.axis}]"
        lines = []
        if self.indexed:
            index = y
            if self.kept:
                lines.append(f"{self.kept_name} = {self.kept.format(y=y)}")
                index = f"{self.np}.where({self.kept_name}, {y}, 0)"
            if self.convention.target == "column":
                index = f"{y}.reshape(-1)"
            hot = f"{self.np}.eye({size})[{index}]"
            if self.np == "torch":
                hot = f"torch.eye({size})[{index}].to({array})"
            hot += {"CN": ".T", "C1": "[:, None]"}.get(layout, "")
            lines.append(f"{self.Y} = {hot}     # one-hot")
        if self.convention.smoothing:
            s = f"{self.convention.smoothing:g}"
            of = self.Y if self.indexed else y
            share = f"{s} / {size}"
            if self.convention.smoothed_over == "others":
                share = f"{s} * (1 - {of}) / ({size} - 1)"
            lines.append(f"{self.Y} = (1 - {s}) * {of} + {share}")
        return "\n".join(lines)

    # --- Probabilities ----------------------------------------------------------------------------

    @property
    def source(self) -> str:
        """The logits over the temperature."""
        inside = self.convention.takes_role("X") or self.heated
        return self.free("z") if inside else self.x

    @property
    def source_lines(self) -> str:
        name = self.name
        if not self.convention.takes_role("X"):
            return f"{self.source} = {self.x} / {self.T}" if self.heated else ""
        X, W, layout = name("X"), name("W"), self.convention.layout
        product = {
            "CN": f"{W} @ {X}",
            "NCT": f"{X} @ {W}.T",
            "NCF": f"{X} @ {W}.reshape({X}.shape[1], -1)",
        }.get(layout, f"{X} @ {W}")
        if self.convention.takes_role("b"):
            product += f" + {name('b')}"
        return f"{self.source} = {product}"

    @property
    def p(self) -> str:
        return self.x if self.convention.takes == "probabilities" else self.free("p")

    @property
    def log_p(self) -> str:
        return self.x if self.convention.takes == "log-probabilities" else self.free("log_p")

    @property
    def p_lines(self) -> str:
        if self.convention.takes == "probabilities":
            return ""
        if self.convention.takes == "log-probabilities":
            return f"{self.p} = {self.np}.exp({self.x})"
        return joined(self.source_lines, self.softmax_lines)

    @property
    def softmax_lines(self) -> str:
        z, p, e = self.source, self.p, self.free("e")
        if self.np == "torch":
            return f"{p} = torch.softmax({z}, {self.along})"
        if self.np == "jnp":
            return f"{p} = jax.nn.softmax({z}, {self.along})"
        return f"{e} = np.exp({z} - {self.top(z)})\n{p} = {e} / {e}.sum({self.keep})"

    @property
    def log_p_lines(self) -> str:
        if self.convention.takes == "log-probabilities":
            return ""
        if self.convention.takes == "probabilities":
            return f"{self.log_p} = {self.np}.log({self.p})"
        z, log_p, s = self.source, self.log_p, self.free("z")
        if self.np == "torch":
            line = f"{log_p} = torch.log_softmax({z}, {self.along})"
        elif self.np == "jnp":
            line = f"{log_p} = jax.nn.log_softmax({z}, {self.along})"
        else:
            line = (
                f"{s} = {z} - {self.top(z)}\n{log_p} = {s} - np.log(np.exp({s}).sum({self.keep}))"
            )
        return joined(self.source_lines, line)

    @property
    def lse_lines(self) -> str:
        x, m = self.x, self.free("m")
        if self.np == "torch":
            return f"lse = torch.logsumexp({x}, {self.along})"
        if self.np == "jnp":
            return f"lse = jax.nn.logsumexp({x}, {self.along})"
        return (
            f"{m} = {x}.max({self.keep})\n"
            f"lse = ({m} + np.log(np.exp({x} - {m}).sum({self.keep}))).squeeze({self.axis})"
        )


def joined(*lines: str) -> str:
    """Lines under one another, without the empty ones."""
    return "\n".join(line for line in lines if line)
