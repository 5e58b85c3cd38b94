"""A derivation as HTML: MathML for formulas, no script, nothing from the network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from softgrad.derivation.document import Check, Derivation, Step, Table
from softgrad.derivation.notation import mathml
from softgrad.derivation.render import parts

_LIMIT = 84
# Colours are mixed from the text's own: a notebook may be dark where the system is light.
_STYLE = """
.sg-frame { container-type: inline-size; }
.sg-derivation { max-width: 52rem; margin: 0 auto; line-height: 1.55;
  font: 16px/1.55 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  --line: color-mix(in srgb, currentColor 20%, transparent);
  --muted: color-mix(in srgb, currentColor 70%, transparent);
  --panel: color-mix(in srgb, currentColor 6%, transparent);
  --good: color-mix(in srgb, #1a9b58 72%, currentColor);
  --bad: color-mix(in srgb, #dd3f35 72%, currentColor); }
.sg-derivation h2 { font-size: 1.6em; line-height: 1.2; margin: 0 0 .3em; letter-spacing: -.01em; }
.sg-derivation h3 { font-size: 1.1em; margin: 2em 0 .4em; }
.sg-derivation p { margin: .4em 0; max-width: 70ch; }
.sg-derivation .formula { overflow-x: auto; overflow-y: hidden; padding: .3em 0 .3em 1.5em;
  font-size: 1.05em; }
.sg-derivation .wide { overflow-x: auto; margin: .7em 0 .7em 1.5em; }
.sg-derivation table { border-collapse: collapse; font-size: .93em; margin: 0;
  font-variant-numeric: tabular-nums; color: inherit; }
.sg-derivation caption { text-align: left; color: var(--muted); padding: 0 0 .3em;
  white-space: nowrap; }
.sg-derivation tr { background: none; }
.sg-derivation th, .sg-derivation td { text-align: right; padding: .18em .8em; border: 0;
  white-space: nowrap; }
.sg-derivation thead th { border-bottom: 1px solid var(--line); font-weight: 500;
  color: var(--muted); }
.sg-derivation tbody th { font-weight: 400; color: var(--muted); }
.sg-derivation tr.bold td, .sg-derivation tr.bold th { font-weight: 700; color: inherit; }
.sg-derivation ul { list-style: none; padding: 0; margin: .5em 0; font-size: .9em;
  color: var(--muted); }
.sg-derivation .yes { color: var(--good); } .sg-derivation .no { color: var(--bad);
  font-weight: 700; }
.sg-derivation .verdict { margin-top: 2em; font-weight: 600; }
.sg-derivation details { margin: .6em 0; }
.sg-derivation summary { cursor: pointer; }
.sg-derivation .number { white-space: nowrap; }
.sg-derivation pre { background: var(--panel); border: 1px solid var(--line); border-radius: 8px;
  padding: .9em 1.1em; overflow-x: auto; font-size: .85em; line-height: 1.45; color: inherit; }
@container (max-width: 30rem) {
  .sg-derivation .formula { padding-left: 0; font-size: 1em; }
  .sg-derivation .wide { margin-left: 0; } .sg-derivation caption { white-space: normal; }
  .sg-derivation table { font-size: .82em; }
  .sg-derivation th, .sg-derivation td { padding: .18em .35em; } }
"""
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 0; padding: 2.5rem 1.25rem 4rem; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""
_PROGRAMS = {"numpy": "NumPy", "torch": "PyTorch", "jax": "JAX"}


def html(derivation: Derivation, page: bool = True) -> str:
    """A page of its own, or the element alone for a notebook cell."""
    body = "\n".join(_body(derivation))
    return _PAGE.format(title=escape(derivation.title), body=body) if page else body


def _body(derivation: Derivation) -> Iterator[str]:
    yield f'<div class="sg-frame"><div class="sg-derivation"><style>{_STYLE}</style>'
    yield f"<h2>{escape(derivation.title)}</h2>"
    yield f"<p>{_prose(derivation.summary)}</p>"
    for number, step in enumerate(derivation.steps, start=1):
        yield f"<section><h3>{number}. {escape(step.title)}</h3>"
        yield from _step(step, derivation.digits)
        yield "</section>"
    tone = "yes" if derivation.passed else "no"
    yield f'<p class="verdict {tone}">{escape(parts.verdict(derivation))}</p>'
    for name, title in _PROGRAMS.items():
        code = escape(derivation.code(name))
        yield f"<details><summary>{title}</summary><pre><code>{code}</code></pre></details>"
    yield "</div></div>"


def _prose(prose: str) -> str:
    return "".join(mathml(p) if math else escape(p) for math, p in parts.pieces(prose))


def _step(step: Step, digits: int) -> Iterator[str]:
    if step.prose:
        yield f"<p>{_prose(step.prose)}</p>"
    for formula in step.formula_latex:
        for part in parts.fitted(formula, _LIMIT):
            yield f'<div class="formula">{mathml(part, display=True)}</div>'
    for table in step.numbers:
        yield from _table(table, digits)
    if step.check:
        yield "<ul>"
        for check in step.check:
            tone = "yes" if check.passed else "no"
            sign = f'<span class="{tone}">{parts.mark(check)}</span>'
            yield f"<li>{sign} {_prose(check.what)}: {_outcome(check)}</li>"
        yield "</ul>"


def _outcome(check: Check) -> str:
    """In words; a line may not break within 1.2e-13."""
    text = escape(parts.outcome(check))
    return re.sub(r"-?[0-9.]+e-?[0-9]+", r'<span class="number">\g<0></span>', text)


def _table(table: Table, digits: int) -> Iterator[str]:
    for at, (headers, columns) in enumerate(parts.blocks(table, digits, _LIMIT)):
        yield '<div class="wide"><table>'
        if table.caption and at == 0:
            yield f"<caption>{_prose(table.caption)}</caption>"
        cells = "".join(f'<th scope="col">{_prose(h)}</th>' for h in headers)
        yield f"<thead><tr>{cells}</tr></thead><tbody>"
        for k in range(len(columns[0])):
            label, *rest = (_cell(column[k].rstrip()) for column in columns)
            numbers = "".join(f"<td>{cell}</td>" for cell in rest)
            tone = ' class="bold"' if k in table.bold else ""
            yield f'<tr{tone}><th scope="row">{label}</th>{numbers}</tr>'
        yield "</tbody></table></div>"


def _cell(text: str) -> str:
    return escape(f"−{text[1:]}" if text.startswith("-") else text)
