"""Estimators with the API of scikit-learn."""

from softgrad.estimators.neural_net import NeuralNetClassifier
from softgrad.estimators.softmax_regression import FitProgress, SoftmaxRegression
from softgrad.estimators.temperature import TemperatureFit, TemperatureScaling, fit_temperature

__all__ = [
    "FitProgress",
    "NeuralNetClassifier",
    "SoftmaxRegression",
    "TemperatureFit",
    "TemperatureScaling",
    "fit_temperature",
]
