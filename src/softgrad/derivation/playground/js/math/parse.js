// Numbers as people paste them: Python lists, NumPy and torch output, CSV, a column.

const NAMES = /\b(?:np|numpy|torch|jnp|jax)\.\w+/g;
const WORDS = /(?<![\w.])(?!(?:inf|infinity|nan)\b)[A-Za-z_]\w*/gi;
const NUMBER = /[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?|inf(?:inity)?|nan)/gi;

function valueOf(text) {
  const name = text.toLowerCase().replace(/^[-+]/, "");
  if (name.startsWith("inf")) return text.startsWith("-") ? -Infinity : Infinity;
  return name === "nan" ? NaN : Number(text);
}

/** Half a unit of the last digit that was written: what the number may have been before. */
function halfUnit(text) {
  const [digits, exponent] = text.toLowerCase().split("e");
  if (!/\d/.test(digits)) return 0;
  const decimals = digits.includes(".") ? digits.length - digits.indexOf(".") - 1 : 0;
  return 0.5 * 10 ** (Number(exponent ?? 0) - decimals);
}

/** The rows of numbers in a text, each with the half unit of its last digit. */
export function parseRows(text) {
  if (/\.\.\.|…/.test(text)) {
    throw new Error("The text is shortened (…): print the whole array, then paste it.");
  }
  const plain = text
    .replace(/[−–]/g, "-")
    .replace(NAMES, " ")
    .replace(/\w+\s*=\s*<[^>]*>/g, " ")
    .replace(/\w+\s*=\s*'[^']*'/g, " ")
    .replace(WORDS, " ");
  const brackets = [...plain.matchAll(/[[(]([^[\]()]*)[\])]/g)].map((match) => match[1]);
  const groups = brackets.some((group) => /\d|inf|nan/i.test(group)) ? brackets : plain.split(/[\n;]/);
  return groups
    .map((group) => [...group.matchAll(NUMBER)].map(([number]) => number))
    .filter((numbers) => numbers.length)
    .map((numbers) => numbers.map((number) => ({ value: valueOf(number), half: halfUnit(number) })));
}

/** A batch of logits: rows of the same length, 2 to 20 finite numbers each. */
export function parseBatch(text) {
  const rows = parseRows(text).map((row) => row.map(({ value }) => value));
  if (!rows.length) throw new Error("There is no number in this text.");
  const classes = rows[0].length;
  const odd = rows.findIndex((row) => row.length !== classes);
  if (odd > 0) {
    throw new Error(`Row 0 has ${classes} numbers, row ${odd} has ${rows[odd].length}.`);
  }
  if (classes < 2 || classes > 20) throw new Error(`A row has 2 to 20 logits, not ${classes}.`);
  if (rows.length > 64) throw new Error(`A batch has at most 64 rows here, not ${rows.length}.`);
  if (!rows.flat().every(Number.isFinite)) {
    throw new Error("Logits are finite here; use the mask to take a class out.");
  }
  return rows;
}
