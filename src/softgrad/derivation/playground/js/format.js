// Numbers as people read them.

const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉";

/** About `digits` significant digits; exponents only where zeros would be counted otherwise. */
export function num(x, digits = 4) {
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  if (x === 0) return "0";
  const size = Math.abs(x);
  const short = String(x); // a number that was typed is shown as it was typed
  if (short.replace("-", "").length <= digits + 1 && size < 1e6) return minus(short);
  if (size < 1e-4 || size >= 1e6) return power(x, Math.max(digits - 2, 1));
  const decimals = Math.max(0, digits - Math.floor(Math.log10(size)) - 1);
  return minus(x.toFixed(decimals));
}

/** With a fixed number of decimals, unless nothing would be left. */
export function fixed(x, decimals = 4) {
  if (!Number.isFinite(x) || x === 0) return x === 0 ? (0).toFixed(decimals) : num(x);
  if (Math.abs(x) < 0.5 * 10 ** -decimals || Math.abs(x) >= 1e6) return power(x, 1);
  return minus(x.toFixed(decimals));
}

/** 1.2 × 10⁻⁷ in the short form 1.2e−7. */
export function power(x, decimals = 1) {
  return minus(x.toExponential(decimals).replace("e+", "e"));
}

/** With its sign, as differences are read. */
export function signed(x, decimals = 4) {
  return x > 0 ? `+${fixed(x, decimals)}` : fixed(x, decimals);
}

export function minus(text) {
  return text.replace(/-/g, "−");
}

/** The shortest text that reads back as the same number. */
export function exact(x) {
  return String(x);
}

/** An index below the line: p₁₂. */
export function sub(index) {
  return String(index).replace(/\d/g, (digit) => SUBSCRIPTS[digit]);
}

export function plural(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}
