"""Estimators with the API of scikit-learn."""

from softgrad.estimators.softmax_regression import FitProgress, SoftmaxRegression
from softgrad.estimators.temperature import TemperatureFit, TemperatureScaling, fit_temperature

__all__ = [
    "FitProgress",
    "SoftmaxRegression",
    "TemperatureFit",
    "TemperatureScaling",
    "fit_temperature",
]
