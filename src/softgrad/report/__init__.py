"""Figures, metrics and pages that show a trained model."""

from softgrad.report.metrics import Measured, Metrics, measure
from softgrad.report.run import HistoryPoint, Run

__all__ = ["HistoryPoint", "Measured", "Metrics", "Run", "measure"]
