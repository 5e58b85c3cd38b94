"""Solvers over callables, optimisers over vectors, and a check of the gradients they follow."""

from softgrad.optimize.finite_differences import GradientCheck, check_gradient
from softgrad.optimize.first_order import SGD, Adam, AdamW, Optimizer, clip_scale
from softgrad.optimize.lbfgs import minimize_lbfgs
from softgrad.optimize.newton import CurvedFunction, minimize_newton
from softgrad.optimize.schedules import (
    Constant,
    Cosine,
    Exponential,
    OneCycle,
    Schedule,
    Step,
    WarmUp,
)
from softgrad.optimize.solution import Iterate, Solution, Status

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "CurvedFunction",
    "Exponential",
    "GradientCheck",
    "Iterate",
    "OneCycle",
    "Optimizer",
    "Schedule",
    "Solution",
    "Status",
    "Step",
    "WarmUp",
    "check_gradient",
    "clip_scale",
    "minimize_lbfgs",
    "minimize_newton",
]
