"""Measurements of softgrad beside its peers: ``speed`` and ``accuracy``."""
