"""The doctor: which mistake is in somebody's softmax, loss or gradient.

From the outside in: `examination` asks and reports. `choosing` finds out what a function is and how
it is called: `conventions` lists the ways, `calling` goes them, `reading` holds what came back, and
`fitting` decides which of the `formulas` that is. `extremes` looks far out. `findings` says what is
wrong, with words from the `catalogue`, the smallest of the `examples`, and the corrected code:
`programs` made of `lines`. `gradients` checks any gradient of anything.
"""

from softgrad.doctor.examination import examine
from softgrad.doctor.report import Example, Finding, Report

__all__ = ["Example", "Finding", "Report", "examine"]
