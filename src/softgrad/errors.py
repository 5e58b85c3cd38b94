"""The exceptions of softgrad.

Each is also a ``ValueError`` or a ``TypeError``, so that callers need not know them; all of them
are a ``SoftgradError``, so that callers can tell them from the errors of their own code.
"""

from __future__ import annotations

__all__ = [
    "AxisError",
    "DtypeError",
    "InputError",
    "MaskError",
    "MissingExtraError",
    "OptionError",
    "OptionTypeError",
    "OutError",
    "OutTypeError",
    "ShapeError",
    "SoftgradError",
    "TargetError",
    "WeightError",
]


class SoftgradError(Exception):
    """Anything that softgrad refuses."""


class DtypeError(SoftgradError, TypeError):
    """An array of a type that has no place in the computation: complex, object, text."""


class InputError(SoftgradError, ValueError):
    """Numbers that are not what a function takes, such as logits where it takes probabilities."""


class ShapeError(SoftgradError, ValueError):
    """Arrays whose shapes do not belong together."""


class AxisError(SoftgradError, ValueError):
    """A class axis that the array does not have, or one named twice."""


class OptionError(SoftgradError, ValueError):
    """An option outside its range, or options that contradict each other."""


class OptionTypeError(SoftgradError, TypeError):
    """An option of the wrong type."""


class OutError(SoftgradError, ValueError):
    """An ``out`` array of another shape or type than the result, or a read-only one."""


class OutTypeError(SoftgradError, TypeError):
    """An ``out`` that is not an array."""


class MaskError(SoftgradError, TypeError):
    """A ``where`` mask that is not boolean."""


class MissingExtraError(SoftgradError, ImportError):
    """An optional package that is not installed; the message says how to get it."""


class TargetError(SoftgradError, ValueError):
    """A target that is neither class indices nor probabilities of the logits' classes."""


class WeightError(SoftgradError, ValueError):
    """Sample or class weights that are negative or not finite."""
