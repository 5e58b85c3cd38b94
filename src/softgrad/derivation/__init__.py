"""Derivations worked with the user's own numbers, every step checked; the playground."""

from softgrad.derivation._explain import explain
from softgrad.derivation.document import Check, Column, Derivation, Step, Table

__all__ = ["Check", "Column", "Derivation", "Step", "Table", "explain"]
