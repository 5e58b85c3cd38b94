// Numbers as people paste them: Python lists, NumPy and torch output, CSV, a column.

const NAMES = /\b(?:np|numpy|torch|jnp|jax)\.\w+/g;
const WORDS = /(?<![\w.])(?!(?:inf|infinity|nan)\b)[A-Za-z_]\w*/gi;
const NUMBER = /[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?|inf(?:inity)?|nan)/gi;

function valueOf(text) {
  const name = text.toLowerCase().replace(/^[-+]/, "");
  if (name.startsWith("inf")) return text.startsWith("-") ? -Infinity : Infinity;
  return name === "nan" ? NaN : Number(text);
}

function decimalsOf(text) {
  const [digits] = text.toLowerCase().split("e");
  return digits.includes(".") ? digits.length - digits.indexOf(".") - 1 : 0;
}

/** Half a unit of the last digit that is shown: what a number may have been before rounding. */
function halfUnit(text, decimals) {
  const [digits, exponent] = text.toLowerCase().split("e");
  // Whole numbers alone were hardly rounded to be that.
  if (!/\d/.test(digits) || decimals === 0) return 0;
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
  // A row is the innermost pair of square brackets, else a tuple, else a line.
  const within = (pattern) => [...plain.matchAll(pattern)].map((match) => match[1]);
  const lists = within(/\[([^[\]]*)\]/g);
  const tuples = within(/\(([^()]*,[^()]*)\)/g);
  const groups = lists.length ? lists : tuples.length ? tuples : plain.split(/[\n;]/);
  const rows = groups
    .map((group) => [...group.matchAll(NUMBER)].map(([number]) => number))
    .filter((numbers) => numbers.length);
  // All are shown to as many decimals as the longest: NumPy writes 0. and 0.5 beside 0.12345678.
  const decimals = Math.max(0, ...rows.flat().map(decimalsOf));
  return rows.map((numbers) =>
    numbers.map((number) => ({ value: valueOf(number), half: halfUnit(number, decimals) })),
  );
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
