"""Derivations worked with the reader's own numbers, and the playground page."""
