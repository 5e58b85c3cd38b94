"""The steps of a derivation, one module a part of it."""
