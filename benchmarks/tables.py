"""Results as Markdown that also reads well in a terminal."""

from collections.abc import Iterable, Sequence

from . import overhead
from .targets import TARGETS, Result, Verdict, judge


def table(header: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """A Markdown table whose columns line up: ``words`` on the left, figures on the right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def draw(line: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        return "| " + " | ".join(cells) + " |"

    rule = [
        "-" * width if column < words else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    return "\n".join([draw(lines[0]), draw(rule), *map(draw, lines[1:])])


def duration(seconds: float) -> str:
    """A time with three digits in the unit that suits it."""
    if seconds >= 1:
        return f"{seconds:.3g} s"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds * 1e6:.3g} µs"


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


def overview(results: Sequence[Result], peer: str, dtype: str) -> str:
    """How many times faster than one peer on one thread: shapes down, functions across."""
    chosen = [r for r in results if (r.dtype, r.threads) == (dtype, 1)]
    cells = {(r.shape, r.function): ratio(r.speedup(peer)) for r in chosen}
    functions = list(dict.fromkeys(r.function for r in chosen if r.speedup(peer) is not None))
    shapes = dict.fromkeys(r.shape for r in chosen)
    rows = [[str(shape), *(cells[shape, function] for function in functions)] for shape in shapes]
    return f"### Times as fast as {peer}, {dtype}, one thread\n\n" + table(
        [dtype, *functions], rows
    )


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


def _case(result: Result) -> str:
    return f"{result.function} {result.shape}"


def verdicts(results: Sequence[Result]) -> str:
    """Each target with the case that comes out worst, then every case that falls short."""
    judged = judge(results)
    rows = []
    for target in TARGETS:
        for dtype in dict.fromkeys(v.result.dtype for v in judged):
            cases = [v for v in judged if v.target is target and v.result.dtype == dtype]
            if not cases:
                continue
            worst = min(cases, key=lambda v: v.margin)
            met = f"{sum(v.met for v in cases)} of {len(cases)}"
            rows.append(
                [
                    target.what,
                    dtype,
                    str(worst.result.shape),
                    ratio(worst.ratio),
                    _verdict(worst),
                    met,
                ]
            )
    header = ["target", "dtype", "worst case", "ratio", "met there", "cases met"]
    text = "### Targets\n\n" + table(header, rows, words=3)
    short = sorted((v for v in judged if not v.met), key=lambda v: v.margin)
    if short:
        missed = [
            [v.target.what, v.result.dtype, _case(v.result), ratio(v.ratio), _verdict(v)]
            for v in short
        ]
        header = ["target", "dtype", "case", "ratio", "by"]
        text += "\n\n### Where a target is missed\n\n" + table(header, missed, words=3)
    return text
