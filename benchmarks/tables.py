"""Results as Markdown that also reads well in a terminal."""

from collections.abc import Iterable, Sequence

from . import overhead
from .targets import TARGETS, Result, Verdict, judge


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns line up; the first column to the left, the others to the right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def draw(line: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        return "| " + " | ".join([first, *others]) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([draw(lines[0]), draw(rule), *map(draw, lines[1:])])


def duration(seconds: float) -> str:
    """A time with three digits in the unit that suits it."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            break
    return f"{seconds * factor:.3g} {unit}"


def ratio(value: float | None) -> str:
    """A factor, or a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def speeds(results: Sequence[Result], peers: Sequence[str]) -> str:
    """One table for each dtype and number of threads: times faster than each peer."""
    parts = []
    for dtype, threads in dict.fromkeys((r.dtype, r.threads) for r in results):
        chosen = [r for r in results if (r.dtype, r.threads) == (dtype, threads)]
        present = [p for p in peers if any(p in r.seconds for r in chosen)]
        several = any(r.scaling() is not None for r in chosen)
        header = ["function", "shape", "softgrad", *present, "out= / limit"]
        rows = []
        for r in chosen:
            row = [r.function, str(r.shape), duration(r.seconds["softgrad"])]
            row += [ratio(r.speedup(peer)) for peer in present]
            row.append(ratio(r.over_limit()))
            if several:
                row.append(ratio(r.scaling()))
            rows.append(row)
        if several:
            header.append("two / one")
        noun = "thread" if threads == 1 else "threads"
        parts.append(f"### {dtype}, {threads} {noun}\n\n{table(header, rows)}")
    return "\n\n".join(parts)


def overheads(seconds: dict[str, dict[str, float]]) -> str:
    """Time of a call on ten numbers."""
    libraries = list(dict.fromkeys(name for times in seconds.values() for name in times))
    rows = []
    for function, times in seconds.items():
        allowed = overhead.TARGETS[function]
        met = "yes" if times["softgrad"] <= allowed else "no"
        row = [function, *(duration(times[n]) if n in times else "–" for n in libraries)]
        rows.append([*row, duration(allowed), met])
    return "### A call on ten numbers\n\n" + table(["function", *libraries, "target", "met"], rows)


def _verdict(verdict: Verdict) -> str:
    percent = abs(verdict.margin - 1) * 100
    return f"yes, {percent:.0f} % to spare" if verdict.met else f"no, {percent:.0f} % short"


def _where(result: Result) -> str:
    return f"{result.function} {result.shape}"


def verdicts(results: Sequence[Result]) -> str:
    """Each target with the case that comes out worst, then every case that falls short."""
    judged = judge(results)
    rows = []
    for target in TARGETS:
        for dtype in dict.fromkeys(v.result.dtype for v in judged):
            of_this = [v for v in judged if v.target is target and v.result.dtype == dtype]
            if not of_this:
                continue
            worst = min(of_this, key=lambda v: v.margin)
            reached = f"{sum(v.met for v in of_this)} of {len(of_this)}"
            rows.append(
                [
                    target.what,
                    dtype,
                    reached,
                    _where(worst.result),
                    ratio(worst.ratio),
                    _verdict(worst),
                ]
            )
    text = "### Targets\n\n" + table(
        ["target", "dtype", "cases met", "worst case", "ratio", "met there"], rows
    )
    short = [v for v in judged if not v.met]
    if short:
        missed = [
            [v.target.what, v.result.dtype, _where(v.result), ratio(v.ratio), _verdict(v)]
            for v in sorted(short, key=lambda v: v.margin)
        ]
        text += "\n\n### Where a target is missed\n\n" + table(
            ["target", "dtype", "case", "ratio", "by"], missed
        )
    return text
