"""What a callable can claim to be, and which argument plays which role.

A *kind* names a claim. Its roles are the arguments in the usual order:

    x  logits           y  target            g  cotangent        T  temperature
    teacher  logits of the teacher           labels, alpha  hard part of a distillation
    X  features         W, b  weights        lr  step size

Other roles are recognised by name only: sample or class weights, a mask, an index to ignore, an
axis, the number of classes, what is to be off (a penalty, a smoothing), the reduction.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from softgrad.errors import OptionError


@dataclass(frozen=True)
class Kind:
    """A claim: its name, the family it belongs to, its roles, and words that give it away."""

    name: str
    family: str  # rows, jacobian, vjp, loss, grad, both, distillation, layer or step
    roles: tuple[str, ...]
    pattern: str
    says: str
    binary: bool = False

    @property
    def has_target(self) -> bool:
        return "y" in self.roles

    @property
    def takes_either(self) -> bool:
        """Whether such functions are written for logits as well as for probabilities."""
        families = ("jacobian", "vjp", "loss", "grad", "both")
        return self.family in families and not self.name.startswith("nll")


_GRAD = r"(grad|backward|deriv|bwd|delta|prime|_d$|^d_?)"
_BCE = r"(bce|binary|logistic|sigmoid_cross)"

#: In the order in which names are tried: the more special first.
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "distillation_grad",
            "distillation",
            ("x", "teacher", "T"),
            rf"(distil|\bkd|kd_).*{_GRAD}|{_GRAD}.*(distil|kd)",
            "the gradient of a distillation loss",
        ),
        Kind(
            "distillation",
            "distillation",
            ("x", "teacher", "T"),
            r"distil|^kd|_kd|teacher",
            "a distillation loss",
        ),
        Kind(
            "train_step",
            "step",
            ("W", "b", "X", "y", "lr"),
            r"train|update|sgd|(^|_)step",
            "one training step of a softmax layer",
        ),
        Kind(
            "softmax_layer_grad",
            "layer",
            ("X", "W", "b", "y"),
            r"layer|linear|regression|dense",
            "the weight gradients of a softmax layer",
        ),
        Kind(
            "binary_cross_entropy_grad",
            "grad",
            ("x", "y"),
            rf"{_BCE}.*{_GRAD}|{_GRAD}.*{_BCE}",
            "the gradient of a binary cross-entropy",
            binary=True,
        ),
        Kind(
            "binary_cross_entropy",
            "loss",
            ("x", "y"),
            _BCE,
            "a binary cross-entropy",
            binary=True,
        ),
        Kind(
            "cross_entropy_value_and_grad",
            "both",
            ("x", "y"),
            r"(value|loss|forward)_?and_?(its_)?(grad|backward)|loss_grad|svm_loss|softmax_loss",
            "a cross-entropy with its gradient",
        ),
        Kind(
            "cross_entropy_grad",
            "grad",
            ("x", "y"),
            rf"(ce|xent|cross|loss|nll|mse|square).*{_GRAD}|{_GRAD}.*(ce|xent|cross|loss|nll)",
            "the gradient of a cross-entropy by the logits",
        ),
        Kind(
            "cross_entropy",
            "loss",
            ("x", "y"),
            r"cross|entropy|xent|(^|_)ce(?![a-z])|loss|cost",
            "a cross-entropy",
        ),
        Kind("nll", "loss", ("x", "y"), r"nll|neg.*log.*lik", "a negative log-likelihood"),
        Kind(
            "softmax_jacobian",
            "jacobian",
            ("x",),
            rf"jac|softmax.*{_GRAD}|{_GRAD}.*softmax",
            "the Jacobian of softmax",
        ),
        Kind("softmax_vjp", "vjp", ("x", "g"), r"vjp|pullback", "the vjp of softmax"),
        Kind(
            "softmax_backward",
            "vjp",
            ("x", "g"),
            rf"{_GRAD}",
            "the backward pass of softmax",
        ),
        Kind(
            "sigmoid_grad",
            "grad",
            ("x",),
            rf"(sigmoid|logistic|expit).*{_GRAD}|{_GRAD}.*(sigmoid|logistic|expit)",
            "the derivative of the sigmoid",
            binary=True,
        ),
        Kind("sigmoid", "rows", ("x",), r"sigmoid|logistic|expit", "a sigmoid", binary=True),
        Kind("logsumexp", "rows", ("x",), r"log_?sum_?exp|lse", "a logsumexp"),
        Kind("log_softmax", "rows", ("x",), r"log_?soft|log_?prob", "a log-softmax"),
        Kind("softmax", "rows", ("x",), r"(?<!log)(?<!log_)(soft|prob)|normali[sz]e", "a softmax"),
    )
}
_FIRST = ("sigmoid_grad", "sigmoid", "binary_cross_entropy_grad", "binary_cross_entropy")

_LOGITS = "x z zs logit logits score scores input inputs inp in_ xs eta activations student "
_LOGITS += "student_logits s_logits logits_s z_s zs_ preact u"
_PROBABILITIES = "p s ps probs prob proba probabilities softmax sm y_hat yhat pred preds "
_PROBABILITIES += "predictions y_pred output outputs out a A S P sig softmax_output q value"
_ROLE_NAMES = {
    "x": _LOGITS + " " + _PROBABILITIES + " logp log_p log_probs logprobs lp log_prob",
    "y": "y t target targets tgt label labels y_true ytrue Y T_ true truth classes onehot one_hot "
    "gt y_onehot ys index indices correct",
    "g": "g grad dout dy dL dl upstream grad_output grad_out v delta dp ds cotangent d_out dA da "
    "dprobs error dvalues gy gout dS dL_dp dLdp gradient G",
    "teacher": "teacher teacher_logits t_logits logits_t z_t zt teacher_scores soft_targets t "
    "soft_target",
    "T": "T temperature temp tau",
    "labels": "labels label y target targets hard y_true hard_labels",
    "alpha": "alpha lam lambda_ weight_soft",
    "X": "X x inputs input features data xb X_batch x_batch batch Xb",
    "W": "W w weights weight theta Theta kernel params",
    "b": "b bias biases B",
    "lr": "lr learning_rate eta step_size alpha rate step",
}
_OPTION_NAMES = {
    "w": "w weight weights sample_weight sample_weights",
    "cw": "class_weight class_weights",
    "T": "T temperature temp tau",
    "mask": "mask where valid attention_mask attn_mask keep",
    "ignore": "ignore_index ignore pad pad_index padding_idx pad_idx padding_index pad_id",
    "axis": "axis dim",
    "classes": "num_classes n_classes C K k classes n_class nclasses",
    "samples": "N n m batch_size n_samples",
    "off": "reg reg_strength l2 l2_reg lam lambda_ lambd lmbda regularization weight_decay decay "
    "label_smoothing smoothing momentum dropout",
    "reduction": "reduction reduce",
}


def named_role(kind: Kind, parameter: str) -> str | None:
    """The role that a parameter's name gives it in this kind of function."""
    wanted = (*kind.roles, *(("labels", "alpha") if kind.family == "distillation" else ()))
    names = dict.fromkeys(wanted)
    options = [role for role in _OPTION_NAMES if role not in wanted]
    for role in names:
        if parameter in _ROLE_NAMES[role].split():
            return str(role)
    if kind.name == "sigmoid_grad" and parameter in _ROLE_NAMES["g"].split():
        return "g"
    for role in options:
        if parameter in _OPTION_NAMES[role].split():
            return role
    plain = parameter.lower().strip("_")
    found: str | None = next((r for r in names if plain in _ROLE_NAMES[r].split()), None)
    return found


def means_probabilities(parameter: str | None) -> bool | None:
    """Whether a name says probabilities (True) or logits (False); None if it says neither."""
    if parameter is None:
        return None
    if parameter in _PROBABILITIES.split() or "prob" in parameter.lower():
        return True
    if parameter in _LOGITS.split() or "logit" in parameter.lower():
        return False
    return None


def find_kind(name: str) -> Kind:
    """The kind of this name; an error lists all."""
    if name not in KINDS:
        raise OptionError(f"kind={name!r}; accepted are {', '.join(sorted(KINDS))}, or None.")
    return KINDS[name]


def kinds_of_name(name: str) -> list[Kind]:
    """The kinds that a function's name suggests, the likeliest first."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    ordered = [*(KINDS[k] for k in _FIRST), *KINDS.values()]
    found = [kind for kind in ordered if re.search(kind.pattern, words)]
    return list(dict.fromkeys(found))
