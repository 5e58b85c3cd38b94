"""Solvers and checks over callables. Nothing here knows of models."""

from softgrad.optimize.finite_differences import GradientCheck, check_gradient
from softgrad.optimize.lbfgs import Iterate, Solution, Status, minimize_lbfgs

__all__ = ["GradientCheck", "Iterate", "Solution", "Status", "check_gradient", "minimize_lbfgs"]
