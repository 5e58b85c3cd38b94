// Exponentials of a row, relative to the row's maximum.
//
// FastExp     exp(x - max) * 2^bias / exp(frac(max)) times a constant, one register in, one out, in
//             the type of the logits. x itself is reduced (n = rint(8 x log2 e), two-part ln 2), so
//             that no rounded difference x - max enters; the integer exponents are offset by the
//             row's largest. Where |max| > limit the difference x - max is exact for every x that
//             still counts (both are multiples of ulp(limit / 2) and less than 2^24, 2^53 of them
//             apart), and is used. At most 0.6 ULP; 0 where x - max is below
//             float32:  -104.3, 2^bias = 2^25
//             float64:  -745.8, 2^bias = 2^54
//             The bias keeps every value that can round to a nonzero probability a normal number:
//             subnormal probabilities are rounded once, by the final multiplication. What rounding
//             takes from an exponential can be had as well: the sum of both is within 2^-27
//             (float32) or 2^-55.5.
// CarefulExp  exp((x - max) / T) with more digits than the type of the logits, for logarithms,
//             confident rows and temperatures. float32: in double, 2^-39. float64: two doubles,
//             2^-56.
//
// Doubles reduce to |r| <= ln2 / 16 and look 2^(k / 8) up: one permutation of a register, or of two
// halves, costs less than the coefficients that a longer polynomial needs.
//
// The polynomials are minimax fits of exp (Remez exchange, relative error): float32 on |r| <= ln2 /
// 2 degree 6, 2^-28.3; float64 on |r| <= ln2 / 16 degree 5, 2^-41.6, and degree 7, 2^-58.3.
// tools/fit_polynomials.py recomputes them.
#pragma once

#include "double_double.hpp"

namespace softgrad::SOFTGRAD_ISA {

constexpr double ln2 = 0.69314718055994530942;
constexpr double log2e = 1.4426950408889634074;
// ln 2 in two parts; the first has 32 bits, so that n * ln2_hi is exact for |n| < 2^21.
constexpr double ln2_hi = 0x1.62e42feep-1, ln2_lo = 0x1.a39ef35793c76p-33;
constexpr double round_d = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer
constexpr float round_f = 12582912.0f;          // 1.5 * 2^23

typedef std::uint32_t vui __attribute__((vector_size(vector_bytes)));
typedef std::uint64_t vul __attribute__((vector_size(vector_bytes)));

// 2^(k / 8), as two doubles.
alignas(64) inline constexpr double eighths[8] = {
    0x1.0000000000000p+0, 0x1.172b83c7d517bp+0, 0x1.306fe0a31b715p+0, 0x1.4bfdad5362a27p+0,
    0x1.6a09e667f3bcdp+0, 0x1.8ace5422aa0dbp+0, 0x1.ae89f995ad3adp+0, 0x1.d5818dcfba487p+0};
alignas(64) inline constexpr double eighths_low[8] = {0x0.0p+0,
                                                      -0x1.19041b9d78a76p-55,
                                                      0x1.6f46ad23182e4p-55,
                                                      0x1.d4397afec42e2p-56,
                                                      -0x1.bdd3413b26456p-54,
                                                      0x1.6e9f156864b27p-54,
                                                      0x1.7a1cd345dcc81p-54,
                                                      0x1.2ed02d75b3707p-55};
// Half of them: the power of two beside them is then a normal number where 2^54 exp(z) is not.
alignas(64) inline constexpr double half_eighths[8] = {
    eighths[0] / 2, eighths[1] / 2, eighths[2] / 2, eighths[3] / 2,
    eighths[4] / 2, eighths[5] / 2, eighths[6] / 2, eighths[7] / 2};
alignas(64) inline constexpr double half_eighths_low[8] = {
    eighths_low[0] / 2, eighths_low[1] / 2, eighths_low[2] / 2, eighths_low[3] / 2,
    eighths_low[4] / 2, eighths_low[5] / 2, eighths_low[6] / 2, eighths_low[7] / 2};
// q with exp r = 1 + r + r^2 q(r), |r| <= ln2 / 16.
SOFTGRAD_INLINE vd exp_rest(vd r, vd r2) {
  const vd a = fma(r, splat(0x1.555555555512fp-3), splat(0x1.000000000010bp-1));
  const vd b = fma(r, splat(0x1.11111125d8730p-7), splat(0x1.555555480e05ep-5));
  const vd c = fma(r, splat(0x1.a0163c085815bp-13), splat(0x1.6c1cbda3d4c00p-10));
  return fma(r2, fma(r2, c, b), a);
}
// 2^(floor(k / 8) - shift) for a number t to which round_d has been added: k in its low bits.
SOFTGRAD_INLINE vd whole_power(vd t, vul shift) { return (vd)((((vul)t >> 3) - shift) << 52); }

// 2^(k / 8) times a factor c for which all eight lie so close to a number of the type (2^-28.4,
// 2^-57) that they need no low part. Probabilities do not see the factor, being quotients of such
// exponentials. As bit patterns from which k has been taken at the place where the upper bits of a
// number n = 8 m + k, shifted there, make the exponent: the sum of both is c 2^(n / 8).
template <class T, class Bits>
struct Eighths {
  alignas(64) T parts[64 / sizeof(T)];

  constexpr explicit Eighths(const T (&powers)[8]) {
    constexpr int place = sizeof(T) == 4 ? 20 : 49;
    for (Bits k = 0; k < 64 / sizeof(T); k++)
      parts[k] = __builtin_bit_cast(T, __builtin_bit_cast(Bits, powers[k % 8]) - (k % 8 << place));
  }
};
inline constexpr Eighths<float, std::uint32_t> common_eighths_f({0x1.16747cp+0f, 0x1.2fa848p+0f,
                                                                 0x1.4b2404p+0f, 0x1.691c8ap+0f,
                                                                 0x1.89cb7cp+0f, 0x1.ad6fb4p+0f,
                                                                 0x1.d44dbcp+0f, 0x1.feb052p+0f});
inline constexpr Eighths<double, std::uint64_t> common_eighths_d(
    {0x1.00000095f7efcp+0, 0x1.172b846b5fcbdp+0, 0x1.306fe15573682p+0, 0x1.4bfdae15ded10p+0,
     0x1.6a09e73c0a228p+0, 0x1.8ace5509f2838p+0, 0x1.ae89fa91e4837p+0, 0x1.d5818ee2c567bp+0});
// The logarithm of the factor that all exponentials of FastExp<T> have in common.
template <class T>
constexpr double log_of_common = sizeof(T) == 4 ? 0x1.58634e9c17ee2p-4 : 0x1.2befdf282572fp-25;

// The factor itself.
template <class T>
constexpr T common_constant = sizeof(T) == 4 ? T(0x1.16747cp+0) : T(0x1.00000095f7efcp+0);

// c 2^(n / 8) for the integer n in the low bits of t.
SOFTGRAD_INLINE vf common_power(vf t) {
  return (vf)((vui)pick(common_eighths_f.parts, t) + ((vui)t << 20));
}
SOFTGRAD_INLINE vd common_power(vd t) {
  return (vd)((vul)pick(common_eighths_d.parts, t) + ((vul)t << 49));
}

// What FastExp needs to know of the type.
template <class T>
struct FastExpOf;
template <>
struct FastExpOf<float> {
  static constexpr int bias = 25, least = -126;  // least: exponent of the normal numbers
  static constexpr float limit = 512.0f, log2e = 1.44269504088896341f, round = round_f;
  // ln 2 / 8 in two parts; the first has 9 bits, so that n times it is exact.
  static constexpr float ln2 = 0.693147180559945f, high = 0x1.63p-4f, low = -0x1.bd0106p-16f;
  static SOFTGRAD_INLINE vf rest(vf r, vf r2) {
    const vf q = fma(r, splat(0x1.554908p-5f), splat(0x1.555c7ap-3f));
    return fma(fma(q, r, splat(0.5f)), r2, r);
  }
};
template <>
struct FastExpOf<double> {
  static constexpr int bias = 54, least = -1022;
  static constexpr double limit = 2048.0, log2e = softgrad::SOFTGRAD_ISA::log2e, round = round_d;
  static constexpr double ln2 = softgrad::SOFTGRAD_ISA::ln2, high = ln2_hi / 8, low = ln2_lo / 8;
  static SOFTGRAD_INLINE vd rest(vd r, vd r2) { return fma(exp_rest(r, r2), r2, r); }
};

template <class T>
struct FastExp {
  using V = Register<T>;
  using Of = FastExpOf<T>;
  static constexpr int bias = Of::bias;
  V offset, lowest;
  V round;  // adding it rounds to an integer and offsets the exponent

  // For rows with maximum m (finite), lane by lane, and their largest exponents. A sum that is
  // wanted below the range of the type may have a larger bias.
  static SOFTGRAD_INLINE FastExp of(V m, V* exponent, int biased_by = bias) {
    FastExp r;
    V zero = {};
    V magnitude = m < 0 ? -m : m;
    r.offset = magnitude > Of::limit ? m : zero;
    V n = fma(m - r.offset, splat(Of::log2e), splat(Of::round)) - Of::round;
    r.round = Of::round - T(8) * (n - T(biased_by));
    r.lowest = (n - T(biased_by - Of::least)) * Of::ln2;
    *exponent = n;
    return r;
  }
  SOFTGRAD_INLINE V operator()(V x) const {
    in_step<1>(&x);
    return x;
  }
  // n registers at a time, step by step: one after the other, their chains of dependent
  // instructions would fill the processor's scheduler, which then sees too few of them to hide the
  // latency. `low`, if not null, gets what rounding takes from the exponentials.
  template <int n>
  SOFTGRAD_INLINE void in_step(V* x, V* low = nullptr) const {
    V t[n], q[n], r[n], p[n], s[n];
#define SOFTGRAD_EACH _Pragma("GCC unroll 4") for (int i = 0; i < n; i++)
    SOFTGRAD_EACH x[i] = x[i] - offset;
    SOFTGRAD_EACH t[i] = fma(x[i], splat(T(8) * Of::log2e), round);
    SOFTGRAD_EACH q[i] = t[i] - round;
    SOFTGRAD_EACH r[i] = fma(q[i], splat(-Of::high), x[i]);  // exact
    SOFTGRAD_EACH r[i] = fma(q[i], splat(-Of::low), r[i]);
    SOFTGRAD_EACH p[i] = Of::rest(r[i], r[i] * r[i]);
    SOFTGRAD_EACH s[i] = common_power(t[i]);
    SOFTGRAD_EACH {
      const V from = x[i];
      x[i] = fma_above(from, lowest, p[i], s[i], s[i]);
      if (low) low[i] = fma_above(from, lowest, p[i], s[i], s[i] - x[i]);
    }
#undef SOFTGRAD_EACH
  }
};

// exp(z) for two doubles z = hi + lo <= 0, times 2^54; at most 2^-56; 0 below -746.5.
SOFTGRAD_INLINE DD exp_dd_biased(vd zh, vd zl) {
  zh = maximum(splat(-1078 * ln2), zh);
  vd t = fma(zh, splat(8 * log2e), splat(round_d));
  vd n = t - round_d;
  vd r1 = fma(n, splat(-ln2_hi / 8), zh);  // exact
  vd nl = n * (ln2_lo / 8);
  vd r = r1 - nl;
  vd rl = ((r1 - r) - nl) + zl;
  vd r2 = r * r;
  // exp(r + rl) = 1 + p + rl (1 + p); |p| <= 0.0443, so that its rounding and that of s p cost
  // 2^-58 each beside 1.
  vd p = fma(exp_rest(r, r2), r2, r);
  vd s = pick(half_eighths, t);
  vd l = fma(s, p, fma(s, fma(rl, p, rl), pick(half_eighths_low, t)));
  vd e = s + l;
  vd f = (s - e) + l;
  vd scale = whole_power(t, ((vul)splat(round_d) >> 3) - (1023 + 55));
  return {e * scale, f * scale};
}

// exp(y ln 2) for y <= 0, at most 2^-39; below -1000 as at -1000. exp2_short(0) is exactly 1.
SOFTGRAD_INLINE vd exp2_short(vd y) {
  y = maximum(splat(-1000.0), y);
  constexpr double round_eighths = round_d / 8;  // adding it rounds to eighths
  vd t = y + round_eighths;
  vd f = y - (t - round_eighths);
  vd p = splat(0x1.5d810c809e695p-10);
  p = fma(p, f, splat(0x1.3b31bdb4ab370p-7));
  p = fma(p, f, splat(0x1.c6b08dda21afbp-5));
  p = fma(p, f, splat(0x1.ebfbdfd568da2p-3));
  p = fma(p, f, splat(0x1.62e42fefa1f0ap-1));
  p = fma(p, f, splat(1.0));
  return p * (vd)((vul)pick(eighths, t) + ((vul)t >> 3 << 52));
}

// (x - max) / T, and whether x is a maximum.
struct Difference {
  vd hi, lo;
  vl is_max;
};

template <class T, bool tempered>
struct CarefulExp;

template <bool tempered>
struct CarefulExp<float, tempered> {
  vd max, inverse, rate;

  static SOFTGRAD_INLINE CarefulExp of(vd m, double temperature) {
    return {m, splat(1.0 / temperature), splat(log2e / temperature)};
  }
  SOFTGRAD_INLINE Difference difference(vd x) const {
    vd d = x - max;
    return {tempered ? d * inverse : d, vd{}, d == 0.0};
  }
  // exp; only `hi` is used. NaN passes.
  SOFTGRAD_INLINE DD operator()(vd x) const { return {exp2_short((x - max) * rate), vd{}}; }
  static constexpr double unbias = 1.0;
};

template <bool tempered>
struct CarefulExp<double, tempered> {
  vd max, lowest, inverse, inverse_low;

  static SOFTGRAD_INLINE CarefulExp of(vd m, double temperature) {
    double inverse = 1.0 / temperature;
    DD product = two_product(splat(inverse), splat(temperature));
    double inverse_low = ((1.0 - product.hi[0]) - product.lo[0]) / temperature;
    // Below `lowest` the exponential is 0. Where 800 T is less than an ulp of the maximum, the next
    // number below the maximum is already too far away.
    vd below = m - 800.0 * temperature;
    vd next = m * (m > 0 ? splat(1.0 - 0x1p-53) : splat(1.0 + 0x1p-52));
    return {m, below < m ? below : next, splat(inverse), splat(inverse_low)};
  }
  SOFTGRAD_INLINE Difference difference(vd x) const {
    DD d = two_sum(x, -max);
    vl is_max = d.hi == 0.0;
    if (!tempered) return {d.hi, d.lo, is_max};
    DD z = two_product(d.hi, inverse);
    vd low = z.lo + (d.hi * inverse_low + d.lo * inverse);
    vl ordinary = z.hi > -1e300;
    return {z.hi, ordinary ? low : vd{}, is_max};
  }
  // exp times 2^54 as two doubles. NaN passes.
  SOFTGRAD_INLINE DD operator()(vd x) const {
    Difference d = difference(maximum(lowest, x));
    return exp_dd_biased(d.hi, d.lo);
  }
  static constexpr double unbias = 0x1p-54;
};

}  // namespace softgrad::SOFTGRAD_ISA
