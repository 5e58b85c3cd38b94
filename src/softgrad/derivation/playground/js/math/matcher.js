// "Paste your gradient": which formula gives the numbers that were pasted?
//
// Every known-wrong formula is evaluated on the reader's problem, alone and times each known-wrong
// factor. The explanation with the fewest mistakes wins; what these numbers cannot tell apart is said.

import { readingsOf } from "./readings.js";

const RELATIVE = 3e-6; // numbers may come from float32

/**
 * Compare pasted numbers with the truth and with the bank.
 *
 * Returns {shape, verdict: "right" | "mistake" | "unknown" | "count", findings, blind, error, notes}.
 */
export function match(pasted, problem) {
  const values = pasted.flat();
  const readings = readingsOf(values.length, problem);
  if (!readings.length)
    return { verdict: "count", findings: [], blind: [], ...sizes(values, problem) };
  const results = readings.map((reading) => judge(values, reading));
  const rank = { right: 0, mistake: 1, unknown: 2 };
  results.sort((a, b) => rank[a.verdict] - rank[b.verdict] || cost(a) - cost(b));
  return results[0];
}

function cost(result) {
  return result.findings[0]?.mistakes.length ?? 0;
}

function sizes(values, { logits }) {
  const [n, c] = [logits.length, logits[0].length];
  return { count: values.length, expected: [1, c, n * c, c * c, (n * c) ** 2] };
}

// --- Comparison -----------------------------------------------------------------------------------

function fits(pasted, values) {
  const scale = Math.max(0, ...values.filter(Number.isFinite).map(Math.abs));
  return pasted.every(({ value, half }, i) => {
    const wanted = values[i];
    if (Number.isNaN(value) || Number.isNaN(wanted))
      return Number.isNaN(value) && Number.isNaN(wanted);
    if (!Number.isFinite(value) || !Number.isFinite(wanted)) return value === wanted;
    return Math.abs(value - wanted) <= 1.02 * half + RELATIVE * scale;
  });
}

function same(a, b) {
  return (
    fits(
      a.map((value) => ({ value, half: 0 })),
      b,
    ) &&
    fits(
      b.map((value) => ({ value, half: 0 })),
      a,
    )
  );
}

function judge(pasted, reading) {
  const { truth, candidates, shape } = reading;
  const resolved = pasted.some(
    ({ half }) => half <= 0.02 * Math.max(...truth.map(Math.abs), 1e-300),
  );
  const right = candidates.find(({ mistakes }) => !mistakes.length);
  const remarks = candidates.filter(({ mistakes, remark }) => !mistakes.length && remark);
  const base = {
    shape,
    expected: truth,
    got: pasted.map(({ value }) => value),
    columns: reading.columns,
    resolved,
  };
  const agreed = [right, ...remarks].find((candidate) => fits(pasted, candidate.values));
  if (agreed) {
    const blind = candidates.filter((c) => c.mistakes.length === 1 && fits(pasted, c.values));
    return {
      ...base,
      verdict: "right",
      remark: agreed.remark,
      findings: [],
      blind: numbers(blind),
    };
  }
  const hits = candidates.filter(
    (c) => c.mistakes.length && !same(c.values, truth) && fits(pasted, c.values),
  );
  if (hits.length) {
    const fewest = Math.min(...hits.map(({ mistakes }) => mistakes.length));
    const findings = distinct(hits.filter(({ mistakes }) => mistakes.length === fewest));
    return { ...base, verdict: "mistake", findings, blind: [] };
  }
  return { ...base, verdict: "unknown", findings: [], blind: [], ...structure(base) };
}

function numbers(candidates) {
  return [...new Set(candidates.map(({ mistakes }) => mistakes[0]))]
    .filter((n) => typeof n === "number")
    .sort((a, b) => a - b);
}

function distinct(hits) {
  const seen = new Set();
  return hits.filter(({ mistakes }) => {
    const key = mistakes.join();
    return !seen.has(key) && seen.add(key);
  });
}

/** What can be said of numbers that no formula explains. */
function structure({ got, expected, columns }) {
  const ratios = got.map((v, i) => v / expected[i]);
  const usable = ratios.filter((r, i) => Math.abs(expected[i]) > 1e-9 && Number.isFinite(r));
  const spread = (list) => Math.max(...list) - Math.min(...list);
  if (usable.length === got.length && usable.length > 1) {
    const middle = usable.reduce((a, b) => a + b, 0) / usable.length;
    if (spread(usable) <= 1e-3 * Math.abs(middle)) return { structure: "ratio", ratio: middle };
    if (Math.abs(middle - 1) < 0.1 && spread(usable) < 0.4 && quantum(got)) {
      return { structure: "noise", quantum: quantum(got) };
    }
  }
  const wrong = got.map(
    (v, i) => !(Math.abs(v - expected[i]) <= 1e-3 * Math.max(...expected.map(Math.abs))),
  );
  const rows = new Set();
  const classes = new Set();
  wrong.forEach((bad, i) => {
    if (!bad) return;
    rows.add(Math.floor(i / columns));
    classes.add(i % columns);
  });
  return {
    structure: "cells",
    rows: [...rows],
    classes: [...classes],
    cells: wrong.filter(Boolean).length,
  };
}

/** The unit that all numbers are multiples of: one ULP of a float32 loss over 2h, h a power of ten. */
function quantum(values) {
  for (let k = 1; k <= 8; k++) {
    for (const width of [2 * 10 ** -k, 10 ** -k]) {
      for (let e = -30; e <= -14; e++) {
        const unit = 2 ** e / width;
        const steps = values.map((v) => v / unit);
        const whole = steps.every((s) => Math.abs(s - Math.round(s)) < 0.02);
        if (whole && steps.some((s) => Math.abs(s) >= 1 && Math.abs(s) < 5000)) return unit;
      }
    }
  }
  return null;
}
