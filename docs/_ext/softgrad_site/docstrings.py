"""The docstrings' formulas, which are plain text, shown as such.

A docstring is written to be read in a terminal: formulas stand in paragraphs of their own, such as

    p (g - sum p g) / T

Here these paragraphs become literal blocks. What follows the first heading is numpydoc's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_OPERATOR = re.compile(r"[=/^(+*|<>-]")
_DEFINITION = re.compile(r"\s*[\w']+(\([^)]*\))?(_\w+)? = \S")  # f(x) = ..., words or not
_MARKUP = re.compile(r"(\||(?<![\w*])\*(?=[\w.])(?![\w.]*\*))")
_PROSE = re.compile(r"[.:;!?]$|``|`|\b(is|are|the|of|and|if|with)\b \w+ \w+ \w+")


def is_formula(paragraph: list[str]) -> bool:
    """Whether a paragraph is a formula, and not a sentence or an example."""
    text = " ".join(line.strip() for line in paragraph)
    if text.startswith((">>>", ":", "..", "- ", "* ")):
        return False
    if _DEFINITION.match(paragraph[0]):
        return True
    indented = all(line.startswith("    ") for line in paragraph)
    return indented or (bool(_OPERATOR.search(text)) and not _PROSE.search(text))


def paragraphs(lines: list[str]) -> Iterator[list[str]]:
    """Runs of lines that are not blank."""
    run: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            run.append(line)
        elif run:
            yield run
            run = []


def readable(lines: list[str]) -> list[str]:
    """The docstring's lines with its formulas as literal blocks."""
    heads = [i for i, line in enumerate(lines[1:]) if re.fullmatch(r"\s*-{3,}\s*", line)]
    end = heads[0] if heads else len(lines)
    result: list[str] = []
    in_block = False
    for i, paragraph in enumerate(paragraphs(lines[:end])):
        formula = i > 0 and is_formula(paragraph)
        if formula and not in_block:
            result += [".. code-block:: text", ""]
        if formula:
            shift = min(len(line) - len(line.lstrip()) for line in paragraph)
            result += ["    " + line[shift:] for line in paragraph]
        else:
            result += _plain(paragraph)
        result.append("")
        in_block = formula
    examples = next((i for i, line in enumerate(lines) if line.strip() == "Examples"), len(lines))
    rest = _plain(_references_apart(lines[end:examples]))
    return [*result, *rest, *lines[max(end, examples) :]]


def _references_apart(lines: list[str]) -> list[str]:
    """A paragraph for each reference: one ends where a line ends with a full stop."""
    heading = next((i for i, line in enumerate(lines) if line.strip() == "References"), len(lines))
    apart = list(lines[: heading + 2])
    for line in lines[heading + 2 :]:
        # An initial, "I. Goodfellow", would begin a numbered list.
        line = re.sub(r"^(\s*)([A-Z]\. )", r"\1\\\2", line)
        apart += [line, ""] if line.endswith(".") else [line]
    return apart


def _plain(lines: list[str]) -> list[str]:
    """Lines in which absolute values and products are no markup; examples are left alone."""
    if any(line.lstrip().startswith(">>>") for line in lines):
        return lines
    return [_MARKUP.sub(r"\\\1", line) for line in lines]


def _process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = readable(lines)


def _trim(app: Any, doctree: Any) -> None:
    """Examples end with a blank line, for doctest; the page does without."""
    from docutils import nodes

    for block in doctree.findall(nodes.literal_block):
        text = block.astext().rstrip()
        block.rawsource = text
        block.children[:] = [nodes.Text(text)]


def setup(app: Any) -> None:
    """Take each docstring before numpydoc does."""
    app.connect("doctree-read", _trim)
    app.connect("autodoc-process-docstring", _process, priority=100)
