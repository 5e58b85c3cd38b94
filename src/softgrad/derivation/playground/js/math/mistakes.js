// The catalogue of mistakes, by number: the same numbers as the doctor's.

export const MISTAKES = {
  1: [
    "Only the diagonal of the Jacobian",
    "Raising one logit lowers every other probability, so the terms −pᵢpⱼ belong to the derivative; with them every row sums to 0.",
    "J = np.diag(p) - np.outer(p, p)",
  ],
  2: [
    "Jacobian built from the logits",
    "The derivative is a function of the probabilities p; the formula was fed x.",
    "p = softmax(x); J = np.diag(p) - np.outer(p, p)",
  ],
  3: [
    "The whole batch flattened into one row",
    "reshape(-1, 1) mixes the rows: an N·C × N·C matrix couples rows that never met.",
    "J = np.einsum('ni,ij->nij', p, np.eye(C)) - np.einsum('ni,nj->nij', p, p)",
  ],
  4: [
    "An upstream gradient of ones",
    "Probabilities always sum to 1, so the derivative of their sum is 0 (J·1 = 0).",
    "dx = p * (g - (p * g).sum(-1, keepdims=True))  # g = dL/dp",
  ],
  5: [
    "The softmax derivative applied twice",
    "p − y already is the gradient by the logits; multiplying by the Jacobian again makes it vanish where the model is sure.",
    "dlogits = (p - y) / N",
  ],
  6: [
    "p − y used with the squared loss",
    "p − y belongs to cross-entropy, where the Jacobian cancels. With the squared loss it does not.",
    "dlogits = J @ (2 * (p - y))",
  ],
  7: [
    "Normalised over the whole batch",
    "The sum runs over all rows, so the batch sums to 1 and no row does.",
    "e / e.sum(axis=-1, keepdims=True)",
  ],
  8: [
    "Normalised over the wrong axis",
    "Columns sum to 1 instead of rows: every row depends on every other one.",
    "e / e.sum(axis=-1, keepdims=True)",
  ],
  9: [
    "One maximum for the whole batch",
    "Rows far below the largest one underflow to 0/0.",
    "x - x.max(axis=-1, keepdims=True)",
  ],
  10: [
    "A sum without keepdims",
    "With as many rows as classes the shapes fit by accident, and each column is divided by another row's sum.",
    "e.sum(axis=-1, keepdims=True)",
  ],
  11: [
    "No shift by the maximum",
    "exp overflows to inf, and inf/inf is NaN.",
    "np.exp(x - x.max(axis=-1, keepdims=True))",
  ],
  12: [
    "Clipped logits",
    "Above the clip all logits tie, and their gradient is gone.",
    "x - x.max(axis=-1, keepdims=True)  # instead of np.clip",
  ],
  13: [
    "Logarithm of a softmax",
    "A probability that underflows to 0 has the logarithm −inf, and 0·inf is NaN.",
    "logp = x - logsumexp(x)",
  ],
  14: [
    "log(p + ε), or p clipped at ε",
    "Below ε the loss stops growing and its gradient fades, just where the row is most wrong.",
    "loss = logsumexp(x) - x[y]",
  ],
  15: [
    "Softmax applied twice",
    "Probabilities lie between 0 and 1, so a second softmax can only give nearly equal ones: the loss has a floor.",
    "cross_entropy(logits, y)  # not softmax(logits)",
  ],
  16: [
    "Probabilities handed to a loss of log-probabilities",
    "The loss is −p instead of −log p: never below −1, and negative.",
    "nll(log_softmax(x), y)",
  ],
  17: [
    "Binary cross-entropy over classes",
    "Each class is judged as a yes/no question of its own; the classes of one row exclude each other.",
    "cross_entropy(logits, y)",
  ],
  18: [
    "Missing 1/N",
    "The sum over the batch where the mean was meant: too large by exactly N.",
    "dlogits = (p - y) / N",
  ],
  19: [
    "Mean over N·C",
    "A row is one sample, not C of them: too small by exactly C.",
    "loss.sum() / N  # not .mean() over all N*C numbers",
  ],
  20: [
    "Weighted mean divided by N",
    "The weighted mean divides by the weights that took part.",
    "(w * loss).sum() / w.sum()",
  ],
  21: ["Wrong sign", "y − p climbs the loss.", "dlogits = (p - y) / N"],
  22: [
    "Missing 1/T",
    "z = x/T, so the chain rule brings a factor 1/T.",
    "dlogits = (p - y) / T / N",
  ],
  23: [
    "Distillation without T²",
    "The soft gradients shrink as 1/T²; the factor T² keeps their share.",
    "loss = T**2 * cross_entropy(logits / T, softmax(teacher / T))",
  ],
  24: ["Labels that start at 1", "The target is one class off.", "cross_entropy(logits, y - 1)"],
  25: [
    "Label −1 wraps around",
    "Index −1 is the last class in Python, which then learns the padding.",
    "cross_entropy(logits, y, ignore_index=-1)",
  ],
  26: [
    "Softmax over one unit",
    "One number divided by itself is 1, whatever the logit.",
    "sigmoid(x), or two units",
  ],
  27: [
    "Mask by multiplying, or by adding −1e4",
    "A masked logit of 0 still has exp(0) = 1 in the sum.",
    "x = np.where(mask, x, -np.inf)",
  ],
  28: [
    "argmax inside the loss",
    "argmax is piecewise constant: its derivative is 0.",
    "use p itself, not argmax(p)",
  ],
  29: [
    "Computed in place on the cached probabilities",
    "p[y] −= 1 was applied to an array that is used again.",
    "d = p.copy(); d[np.arange(N), y] -= 1",
  ],
  30: [
    "Finite differences in float32",
    "The difference of two losses keeps few digits: the noise is one unit of the loss over 2h.",
    "check in float64, with h about 1e-5",
  ],
};
