// Arithmetic of fewer digits, exactly: every operation is done in float64 and rounded once.
//
// A sum, product or quotient of two numbers of 11 or 24 bits that is first rounded to float64's 53
// bits and then to the few is the correctly rounded one (Figueroa 1995: 53 >= 2 x 24 + 2).

/** Significant bits, the exponent of the smallest normal number, the largest finite number. */
export const FORMATS = {
  float64: { bits: 53, exponent: -1022, largest: Number.MAX_VALUE, overflow: 709.782712893384 },
  float32: {
    bits: 24,
    exponent: -126,
    largest: 3.4028234663852886e38,
    overflow: 88.72283905206835,
  },
  bfloat16: {
    bits: 8,
    exponent: -126,
    largest: 3.3895313892515355e38,
    overflow: 88.72283905206835,
  },
  float16: { bits: 11, exponent: -14, largest: 65504, overflow: 11.09 },
};

const word = new DataView(new ArrayBuffer(8));

/** floor(log2 |x|) of a normal float64, from its bits: Math.log2 is not exact at powers of two. */
function exponentOf(x) {
  word.setFloat64(0, x);
  return ((word.getUint16(0) >> 4) & 0x7ff) - 1023;
}

/** To the nearest number of the format, ties to even; beyond the largest, infinity. */
export function roundTo(x, name) {
  if (name === "float64" || !Number.isFinite(x) || x === 0) return x;
  if (name === "float32") return Math.fround(x);
  const { bits, exponent, largest } = FORMATS[name];
  const unit = 2 ** (Math.max(exponentOf(x), exponent) - (bits - 1));
  const steps = Math.abs(x) / unit; // exact: a power of two
  const nearest = steps + 2 ** 52 - 2 ** 52; // float64 itself rounds to an integer, ties to even
  const value = nearest * unit;
  const rounded = value > largest ? Infinity : value;
  return x < 0 ? -rounded : rounded;
}

/** The rounding of a format as a function of one number. */
export function rounder(name) {
  return (x) => roundTo(x, name);
}
