"""The differentiable functions, one module a family.

The functions themselves are in `softgrad`; a module here holds the function's class, and is not
hidden behind the function's name.
"""
