"""The differentiable functions, one module a family.

The functions themselves are in `softgrad`; a module here holds the function's class, and is not
hidden behind the function's name.
"""

from softgrad.functions.activations import sigmoid
from softgrad.functions.losses import cross_entropy
from softgrad.functions.softmax import log_softmax, softmax

ACTIVATIONS = {"sigmoid": sigmoid, "softmax": softmax, "log_softmax": log_softmax}
LOSSES = {"cross_entropy": cross_entropy}
