"""Formulas, written once in LaTeX and set three ways: LaTeX, MathML, and letters of a terminal."""

from softgrad.derivation.notation.layout import inline, lines
from softgrad.derivation.notation.mathml import mathml
from softgrad.derivation.notation.parse import parse

__all__ = ["inline", "lines", "mathml", "parse"]
