"""Losses, gradients, layers and distillation, spelled as the author of a function would.

The catalogue puts these lines together to what is shown as the corrected code of a mistake,
`programs` to a whole function.
"""

from __future__ import annotations

import re
from dataclasses import replace

from softgrad.doctor.spelling import Spelling, joined


class Lines(Spelling):
    """A way of spelling with everything that is made of probabilities and targets."""

    # --- Losses and gradients ---------------------------------------------------------------------

    def _picked(self, of: str) -> str:
        """The entry of the target in each row."""
        y, layout = self.y, self.convention.layout
        rows = f"{self.np}.arange(len({y}))"
        if self.convention.target == "column":
            return f"{of}[{rows}, {y}.reshape(-1)]"
        if self.convention.nested:
            if self.np == "torch":
                return f"torch.take_along_dim({of}, {y}[..., None], dim=-1)[..., 0]"
            return f"{self.np}.take_along_axis({of}, {y}[..., None], axis=-1)[..., 0]"
        if self.kept:
            kept = self.kept_name
            return f"{of}[{kept}, {y}[{kept}]]"
        return {
            "CN": f"{of}[{y}, {rows}]",
            "row": f"{of}[{y}]",
            "C1": f"{of}[{y}, 0]",
        }.get(layout, f"{of}[{rows}, {y}]")

    def reduced(self, losses: str) -> str:
        if self.convention.single or self.reduction == "none":
            return losses
        return f"{losses}.{self.reduction}()"

    @property
    def loss(self) -> str:
        """The loss of the rows, reduced."""
        single = "" if self.convention.layout == "row" else self.along
        if self.squared:
            size = f"(({self.p} - {self.Y}) ** 2).sum({single})"
            factor = "" if self.squared == 1 else f"{self.squared:g} * "
            return factor + self.reduced(size)
        if "w" in self.names:
            return self._weighted_loss
        if self.convention.relative:
            ratio = f"{self.np}.log({self.Y}) - {self.log_p}"
            return self.reduced(f"({self.Y} * ({ratio})).sum({single})")
        if self.indexed and not self.convention.smoothing:
            return f"-{self.reduced(self._picked(self.log_p))}"
        if self.convention.layout == "C1":
            single = ""
        return f"-{self.reduced(f'({self.Y} * {self.log_p}).sum({single})')}"

    @property
    def losses(self) -> str:
        """One loss a row, without weights."""
        names = {role: name for role, name in self.names.items() if role != "w"}
        return replace(self, names=names, reduction="none").loss

    @property
    def losses_line(self) -> str:
        """One loss a row by name, where the weights are still to come."""
        return f"{self.free('losses')} = {self.losses}" if "w" in self.names else ""

    @property
    def _weighted_loss(self) -> str:
        w, losses = self.name("w"), self.free("losses")
        if self.reduction == "none":
            return f"{w} * {losses}"
        total = f"({w} * {losses}).sum()"
        return f"{total} / {w}.sum()" if self.reduction == "mean" else total

    @property
    def loss_line(self) -> str:
        return f"{self.free('loss')} = {self.loss}"

    @property
    def target_lines(self) -> str:
        """What a loss needs of the target, up to the losses of the rows where they have weights."""
        return joined(self._target_of_loss, self.losses_line)

    @property
    def _target_of_loss(self) -> str:
        if self.squared:
            return self.Y_lines
        if not self.indexed or self.convention.smoothing:
            return self._target_beside(self.log_p)
        return f"{self.kept_name} = {self.kept.format(y=self.y)}" if self.kept else ""

    @property
    def loss_lines(self) -> str:
        before = self.p_lines if self.squared else self.log_p_lines
        return joined(before, self.target_lines, self.loss_line)

    @property
    def grad(self) -> str:
        """The gradient by the first argument."""
        p, Y = self.p, self.Y
        if self.squared:
            d = self.free("d")
            inner = f"{p} * ({d} - ({p} * {d}).sum({self.keep}))"
            return f"{2 * self.squared:g} * {inner}{self.per_row}"
        if self.by_p:
            return f"-{Y} / {p}{self.per_row}"
        d = f"{p} - {Y}"
        if self.kept:
            d = f"{self.kept_name}[:, None] * ({d})"
        if "w" in self.names:
            w = self.name("w")
            w = w if self.convention.layout == "CN" else f"{w}[:, None]"
            d = f"{w} * {d}" if self.kept else f"{w} * ({d})"
            cooled = f" / {self.T}" if self.heated else ""
            mean = f" / {self.name('w')}.sum()" if self.reduction == "mean" else ""
            return f"{d}{cooled}{mean}"
        if self.heated and self.per_row:
            return f"({d}) / ({self.T} * {self.per_row[3:]})"
        if self.heated:
            return f"({d}) / {self.T}"
        if not self.per_row:
            return d
        return f"{d}{self.per_row}" if self.kept else f"({d}){self.per_row}"

    @property
    def difference_lines(self) -> str:
        d = f"{self.free('d')} = {self.p} - {self.Y}" if self.squared else ""
        return joined(self.Y_lines, d)

    @property
    def grad_line(self) -> str:
        return joined(self.difference_lines, f"{self.free('grad')} = {self.grad}")

    @property
    def square_lines(self) -> str:
        return replace(self, squared=self.squared or 1.0).grad_line

    @property
    def vjp(self) -> str:
        g, p = self.g, self.p
        if self.of_log:
            return f"{g} - {p} * {g}.sum({self.keep})"
        cooled = f" / {self.T}" if self.heated else ""
        return f"{p} * ({g} - ({p} * {g}).sum({self.keep})){cooled}"

    @property
    def vjp_line(self) -> str:
        return f"grad_{self.x} = {self.vjp}"

    @property
    def jacobian_lines(self) -> str:
        p, np, layout = self.p, self.np, self.convention.layout
        cooled = f" / {self.T}" if self.heated else ""
        if layout in ("row", "C1"):
            flat = f"{p}[:, 0]" if layout == "C1" else p
            J = f"{np}.diag({flat}) - {np}.outer({flat}, {flat})"
            return f"J = ({J}){cooled}" if cooled else f"J = {J}"
        rows = f"{p} = {p}.T" if layout == "CN" else ""
        J = f"{p}[..., :, None] * {np}.eye({p}.shape[-1]) - {p}[..., :, None] * {p}[..., None, :]"
        return joined(rows, f"J = ({J}){cooled}" if cooled else f"J = {J}")

    # --- Layers -----------------------------------------------------------------------------------

    # --- Weights and masks ------------------------------------------------------------------------

    @property
    def weighted(self) -> Lines:
        """The same, with a weight for each row."""
        return replace(self, names={"w": "w", **self.names})

    @property
    def mask_line(self) -> str:
        """Masked logits become -inf."""
        x, mask, dropped = self.x, self.name("mask"), self.mask.startswith("dropped")
        if self.np == "torch":
            where = f"{mask}.bool()" if dropped else f"~{mask}.bool()"
            return f"{x} = {x}.masked_fill({where}, -torch.inf)"
        yes, no = (f"-{self.np}.inf", x) if dropped else (x, f"-{self.np}.inf")
        return f"{x} = {self.np}.where({mask}, {yes}, {no})"

    @property
    def dz_line(self) -> str:
        return joined(self.difference_lines, f"dz = {self.grad}")

    @property
    def dW(self) -> str:
        X, layout = self.name("X"), self.convention.layout
        return {"CN": f"dz @ {X}.T", "NCT": f"dz.T @ {X}", "NCF": f"({X}.T @ dz).reshape(-1)"}.get(
            layout, f"{X}.T @ dz"
        )

    @property
    def db(self) -> str:
        columns = self.convention.layout == "CN"
        axis = ("dim=" if self.np == "torch" else "axis=") + ("1" if columns else "0")
        keep = ", keepdim=True" if self.np == "torch" else ", keepdims=True"
        return f"dz.sum({axis}{keep if columns else ''})"

    @property
    def dX(self) -> str:
        W = self.name("W")
        return {"CN": f"{W}.T @ dz", "NCT": f"dz @ {W}"}.get(
            self.convention.layout,
            f"dz @ {W}.reshape({self.name('X')}.shape[1], -1).T"
            if self.convention.layout == "NCF"
            else f"dz @ {W}.T",
        )

    @property
    def layer_lines(self) -> str:
        db = f"db = {self.db}" if self.convention.takes_role("b") else ""
        return joined(self.dz_line, f"dW = {self.dW}", db)

    @property
    def step_lines(self) -> str:
        W, b, lr = self.name("W"), self.name("b"), self.name("lr")
        db = f"{b} -= {lr} * {self.db}" if self.convention.takes_role("b") else ""
        return joined(self.dz_line, f"{W} -= {lr} * {self.dW}", db)

    # --- Yes or no --------------------------------------------------------------------------------

    @property
    def s(self) -> str:
        return self.x if self.convention.takes == "probabilities" else self.free("s")

    @property
    def s_lines(self) -> str:
        x, s, e = self.x, self.s, self.free("e")
        if self.convention.takes == "probabilities":
            return ""
        if self.np == "torch":
            return f"{s} = torch.sigmoid({x})"
        if self.np == "jnp":
            return f"{s} = jax.nn.sigmoid({x})"
        return f"{e} = np.exp(-np.abs({x}))\n{s} = np.where({x} >= 0, 1, {e}) / (1 + {e})"

    @property
    def binary_loss(self) -> str:
        x, y, np = self.x, self.y, self.np
        if self.convention.takes == "probabilities":
            losses = f"-({y} * {np}.log({x}) + (1 - {y}) * {np}.log(1 - {x}))"
        elif self.squared:
            losses = f"({self.s} - {y}) ** 2"
        else:
            plus = f"torch.nn.functional.softplus({x})"
            plus = plus if np == "torch" else f"{np}.logaddexp(0, {x})"
            losses = f"{plus} - {x} * {y}"
        wrapped = losses if self.reduction == "none" or self.convention.single else f"({losses})"
        return self.reduced(wrapped)

    @property
    def binary_line(self) -> str:
        return f"{self.free('loss')} = {self.binary_loss}"

    @property
    def binary_grad(self) -> str:
        s, y = self.s, self.y
        single = self.convention.single or self.reduction != "mean"
        rows = "" if single else f" / len({self.x})"
        if self.squared:
            return f"{2 * self.squared:g} * ({s} - {y}) * {s} * (1 - {s}){rows}"
        if self.by_p:
            return f"({s} - {y}) / ({s} * (1 - {s})){rows}"
        return f"({s} - {y}){rows}" if rows else f"{s} - {y}"

    @property
    def binary_grad_lines(self) -> str:
        return joined(self.s_lines, f"{self.free('grad')} = {self.binary_grad}")

    # --- Distillation -----------------------------------------------------------------------------

    @property
    def of_teacher(self) -> Lines:
        """How the teacher's probabilities are written: q and log_q."""
        names = {**self.names, "x": self.name("teacher")}
        return replace(self, names=names)

    def _teachers(self, lines: str) -> str:
        """Lines for p and z as those for q and v."""
        renamed = lines
        for ours, theirs in ((self.log_p, "log_q"), (self.p, "q"), (self.source, "v")):
            renamed = re.sub(rf"\b{ours}\b", theirs, renamed)
        return renamed

    @property
    def log_q_lines(self) -> str:
        return self._teachers(self.of_teacher.log_p_lines)

    @property
    def q_lines(self) -> str:
        return self._teachers(self.of_teacher.p_lines)

    @property
    def at_1(self) -> Lines:
        """The same without temperature, as the hard term has it."""
        arguments = tuple(pair for pair in self.convention.arguments if pair[0] != "T")
        cold = replace(self.convention, arguments=arguments, temperature=1.0)
        return replace(self, convention=cold)

    @property
    def shares(self) -> tuple[str, str]:
        """What the soft and the hard term are multiplied by."""
        alpha = self.name("alpha")
        return (alpha, f"(1 - {alpha})") if self.alpha_on_soft else (f"(1 - {alpha})", alpha)

    @property
    def distillation(self) -> str:
        q, T = f"{self.np}.exp(log_q)", self.T
        inner = f"{q} * (log_q - {self.log_p})" if self.divergence else f"-{q} * {self.log_p}"
        single = "" if self.convention.layout in ("row", "C1") else self.along
        soft = f"{T}**2 * {self.reduced(f'({inner}).sum({single})')}"
        if not self.convention.takes_role("labels"):
            return soft
        of_soft, of_hard = self.shares
        return f"{of_soft} * {soft} + {of_hard} * hard"

    @property
    def distillation_line(self) -> str:
        return f"loss = {self.distillation}"

    @property
    def distillation_lines(self) -> str:
        hard = ""
        if self.convention.takes_role("labels"):
            cold = self.at_1
            hard = joined(cold.log_p_lines, cold.target_lines, f"hard = {cold.loss}")
        return joined(hard, self.log_p_lines, self.log_q_lines)

    @property
    def distillation_grad(self) -> str:
        soft = f"{self.T} * ({self.p} - q)"
        if not self.convention.takes_role("labels"):
            return f"{soft}{self.per_row}"
        of_soft, of_hard = self.shares
        return f"({of_soft} * {soft} + {of_hard} * hard){self.per_row}"

    @property
    def distillation_grad_lines(self) -> str:
        hard = ""
        if self.convention.takes_role("labels"):
            cold = self.at_1
            hard = joined(cold.p_lines, cold.Y_lines, f"hard = {cold.p} - {cold.Y}")
        return joined(hard, self.p_lines, self.q_lines)
