"""Solvers over callables, and a check of the gradients that they follow."""

from softgrad.optimize.finite_differences import GradientCheck, check_gradient
from softgrad.optimize.newton import CurvedFunction, minimize_newton
from softgrad.optimize.solution import Iterate, Solution, Status

__all__ = [
    "CurvedFunction",
    "GradientCheck",
    "Iterate",
    "Solution",
    "Status",
    "check_gradient",
    "minimize_newton",
]
