"""Estimators with the API of scikit-learn."""

from softgrad.estimators.softmax_regression import FitProgress, SoftmaxRegression

__all__ = ["FitProgress", "SoftmaxRegression"]
