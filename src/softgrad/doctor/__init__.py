"""The doctor: which mistake is in somebody's softmax, loss or gradient.

From the outside in: `examination` asks and reports, `extremes` looks far out, `fitting` decides
which of the `formulas` a function computes, `subject` and `calling` find out how it is called.
`catalogue` says what is to be said about each mistake. `gradients` checks any gradient of anything.
"""

from softgrad.doctor.examination import examine
from softgrad.doctor.report import Example, Finding, Report

__all__ = ["Example", "Finding", "Report", "examine"]
