"""The plain formulas, written to be read and to be trusted rather than to be fast.

Three modules say in float64 NumPy what the compiled kernels compute, with the same names and
options as the public functions, so that any result can be checked against them:

- `rows`: softmax, log_softmax, logsumexp and their derivatives,
- `activations`: the elementwise functions,
- `losses`: the cross-entropy, its gradient, its Hessian and the gradient of its target.

They round at every step, as any such formula does.  `exact` says the same in arbitrary precision
(it needs mpmath, which nothing else here does) and is what "within 3 ULP" is measured against.
"""
