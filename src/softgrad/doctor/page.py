"""A report as HTML: a fragment for notebooks, and a page that needs nothing else."""

from __future__ import annotations

import html
import re
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

from softgrad.doctor.report import Example, Finding, Report, headline, label, lines_of

_STYLE = """
.sg-doctor {
  --card: #ffffff; --ink: #1b2230; --muted: #5d6879; --grid: #dde2ea; --code: #f2f4f7;
  --good: #1a7f4b; --bad: #b3261e; --accent: #2563c9;
  color: var(--ink); font: 15.5px/1.55 ui-sans-serif, system-ui, "Segoe UI", Roboto,
    "DejaVu Sans", sans-serif;
}
@media (prefers-color-scheme: dark) {
  .sg-doctor {
    --card: #1a202a; --ink: #e8ecf3; --muted: #9aa6b8; --grid: #313a48; --code: #12161d;
    --good: #5bd197; --bad: #ff8a80; --accent: #6ea2ff;
  }
}
.sg-doctor * { box-sizing: border-box; }
.sg-doctor section {
  background: var(--card); border: 1px solid var(--grid); border-radius: 12px;
  padding: 18px 22px 20px; margin-top: 14px; overflow-wrap: break-word;
}
.sg-doctor h2 { font-size: 22px; line-height: 1.25; margin: 0 0 10px; letter-spacing: -0.01em; }
.sg-doctor h3 { font-size: 17px; line-height: 1.35; margin: 0 0 2px; }
.sg-doctor h4 {
  font-size: 12.5px; letter-spacing: .04em; text-transform: uppercase; color: var(--muted);
  font-weight: 600; margin: 16px 0 4px;
}
.sg-doctor p { margin: 0 0 4px; max-width: 76ch; }
.sg-doctor .good { color: var(--good); } .sg-doctor .bad { color: var(--bad); }
.sg-doctor .tag { color: var(--muted); font-size: 13.5px; }
.sg-doctor table { border-collapse: collapse; margin: 4px 0 0; background: none; color: inherit; }
.sg-doctor th {
  text-align: left; font-weight: 500; color: var(--muted); padding: 2px 20px 2px 0;
  vertical-align: top; white-space: nowrap; font-size: 14px;
}
.sg-doctor td {
  padding: 2px 0; text-align: left; vertical-align: top; overflow-wrap: anywhere;
}
.sg-doctor tr { background: none; }
.sg-doctor pre, .sg-doctor .number {
  font: 13.5px/1.5 ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace;
}
.sg-doctor .number { white-space: pre-wrap; }
.sg-doctor pre {
  background: var(--code); color: inherit; border: 1px solid var(--grid); border-radius: 8px;
  padding: 10px 12px; margin: 4px 0 0; overflow-x: auto; white-space: pre;
}
.sg-doctor pre i { color: var(--muted); }
.sg-doctor pre b { color: var(--accent); font-weight: 500; }
.sg-doctor details summary { cursor: pointer; color: var(--muted); font-size: 14.5px; }
""".strip()

_WORDS = r"\b(def|return|for|in|if|else|import|from|and|or|not|lambda|None|True|False)\b"


def document(report: Report) -> str:
    """One HTML file."""
    page = files("softgrad.doctor").joinpath("page.html").read_text("utf-8")
    return Template(page).substitute(
        title=html.escape(f"softgrad doctor: {headline(report)}"), fragment=fragment(report)
    )


def fragment(report: Report) -> str:
    """What a notebook shows."""
    blocks = [_summary(report)]
    count = len(report.findings)
    for number, finding in enumerate(report.findings, 1):
        blocks.append(_finding(finding, f"{number}. " if count > 1 else ""))
    if report.remarks or report.notes:
        blocks.append(_remarks(report))
    if report.code and not report.healthy:
        kind = html.escape(report.kind)
        blocks.append(f"<section><h3>A right {kind}, to copy</h3>{_code(report.code)}</section>")
    return f'<style>{_STYLE}</style><div class="sg-doctor">{"".join(blocks)}</div>'


def _summary(report: Report) -> str:
    mark, style = ("✔", "good") if report.healthy else ("✘", "bad")
    kind = report.kind + (" (guessed)" if report.guessed else "")
    rows = "".join(
        f"<tr><th>{html.escape(key)}</th><td>{html.escape(value)}</td></tr>"
        for key, value in {"kind": kind, **report.understood}.items()
    )
    head = html.escape(headline(report))
    title = f'<h2><span class="{style}">{mark}</span> {head}</h2>'
    return f"<section>{title}<table>{rows}</table></section>"


def _finding(finding: Finding, number: str) -> str:
    parts = [
        f"<h3>{number}{html.escape(finding.title)}</h3>",
        f'<p class="tag">{html.escape(label(finding))}</p>',
    ]
    if finding.example is not None:
        parts.append(f"<h4>Smallest input that shows it</h4>{_example(finding.example)}")
    if finding.note:
        parts.append(f'<p class="tag">{html.escape(finding.note)}</p>')
    if finding.structure:
        parts.append(f"<h4>How it differs</h4><p>{html.escape(finding.structure)}</p>")
    if finding.why:
        parts.append(f"<h4>Why it is wrong</h4><p>{html.escape(finding.why)}</p>")
    if finding.fix:
        parts.append(f"<h4>Corrected</h4>{_code(finding.fix)}")
    return f"<section>{''.join(parts)}</section>"


def _remarks(report: Report) -> str:
    parts = []
    if report.remarks:
        parts.append("<h3>Not wrong as it stands, but</h3>")
    for finding in report.remarks:
        tag = html.escape(label(finding).split(",")[0])
        text = html.escape(finding.note or finding.why)
        parts.append(f'<p>{text} <span class="tag">({tag})</span></p>')
    parts += [f'<p class="tag">Note: {html.escape(note)}</p>' for note in report.notes]
    return f"<section>{''.join(parts)}</section>"


def _example(example: Example) -> str:
    rows = [_row(name, value, "") for name, value in example.inputs.items()]
    rows += [_row("expected", example.expected, "good"), _row("actual", example.actual, "bad")]
    return f"<table>{''.join(rows)}</table>"


def _row(name: str, value: Any, style: str) -> str:
    text = lines_of(np.asarray(value) if isinstance(value, list) else value, 0)
    return (
        f'<tr><th>{html.escape(name)}</th><td class="number {style}">{html.escape(text)}</td></tr>'
    )


def _code(code: str) -> str:
    lines = []
    for line in code.splitlines():
        body, mark, comment = line.partition("#")
        text = re.sub(_WORDS, r"<b>\1</b>", html.escape(body))
        lines.append(text + (f"<i>#{html.escape(comment)}</i>" if mark else ""))
    return "<pre>" + "\n".join(lines) + "</pre>"
