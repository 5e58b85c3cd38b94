"""A derivation as a LaTeX document that pdflatex compiles with the AMS packages alone."""

from __future__ import annotations

from collections.abc import Iterator

from softgrad.derivation.document import Derivation, Step, Table
from softgrad.derivation.render import parts

_LIMIT = 84
_PREAMBLE = r"""\documentclass[11pt,fleqn]{article}
\usepackage[utf8]{inputenc}
\usepackage{amsmath,amssymb}
\usepackage[a4paper,margin=25mm]{geometry}
\setlength{\parindent}{0pt}
\setlength{\parskip}{6pt}
\setlength{\mathindent}{15pt}
\raggedbottom
\renewcommand{\arraystretch}{1.1}
"""
_SPECIAL = {
    "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}",
    "≠": r"$\neq$", "…": r"\dots{}", "⋮": r"$\vdots$", "✓": r"$\checkmark$", "✗": r"$\times$",
    "○": r"$\circ$", "−": "$-$", "→": r"$\to$", "'": "'",
}  # fmt: skip


def latex(derivation: Derivation) -> str:
    """The whole document; its program in NumPy stands at the end."""
    rows = [
        _PREAMBLE + r"\begin{document}",
        rf"\section*{{{_escaped(derivation.title)}}}",
        _prose(derivation.summary),
    ]
    for number, step in enumerate(derivation.steps, start=1):
        rows += ["", rf"\subsection*{{{number}. {_escaped(step.title)}}}"]
        rows += _step(step, derivation.digits)
    rows += ["", rf"\textbf{{{_escaped(parts.verdict(derivation))}}}"]
    code = derivation.code("numpy").rstrip()
    rows += ["", r"\subsection*{Code}", r"{\footnotesize", r"\begin{verbatim}", code]
    rows += [r"\end{verbatim}", "}", r"\end{document}", ""]
    return "\n".join(rows)


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def _prose(prose: str) -> str:
    return "".join(f"${p}$" if math else _escaped(p) for math, p in parts.pieces(prose))


def _step(step: Step, digits: int) -> Iterator[str]:
    if step.prose:
        yield _prose(step.prose)
    for formula in step.formula_latex:
        for part in parts.fitted(formula, _LIMIT):
            # An empty group gives a leading = or + the space of an operator.
            yield rf"\[ {{}}{part} \]" if part[0] in "=+-" else rf"\[ {part} \]"
    for table in step.numbers:
        yield from _table(table, digits)
    for check in step.check:
        mark = _escaped(parts.mark(check))
        yield rf"\par {{\small {mark}~{_prose(check.what)}: {_number_words(parts.outcome(check))}}}"


def _number_words(text: str) -> str:
    return _escaped(text)


def _table(table: Table, digits: int) -> Iterator[str]:
    if table.caption:
        yield ""
        yield rf"{{\small {_prose(table.caption)}}}\nopagebreak"
    for headers, columns in parts.blocks(table, digits, _LIMIT):
        yield ""
        yield rf"{{\small \begin{{tabular}}{{{'r' * len(headers)}}}"
        yield " & ".join(_prose(h) for h in headers) + r" \\ \hline\rule{0pt}{2.6ex}"
        for k in range(len(columns[0])):
            cells = [_cell(column[k].rstrip()) for column in columns]
            if k in table.bold:
                cells = [rf"\textbf{{{cell}}}" for cell in cells]
            yield " & ".join(cells) + r" \\"
        yield r"\end{tabular}}"


def _cell(text: str) -> str:
    return f"$-${text[1:]}" if text.startswith("-") else _escaped(text)
