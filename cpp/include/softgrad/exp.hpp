// Exponentials of a row, relative to the row's maximum.
//
// FastExp     exp(x - max) * 2^bias / exp(frac(max)), one register in, one out, in the type of the
//             logits. x itself is reduced (n = rint(x log2 e), two-part ln 2), so that no rounded
//             difference x - max enters; the integer exponents are offset by the row's largest n.
//             Where |max| > limit the difference x - max is exact for every x that still counts
//             (both are multiples of ulp(limit / 2) and less than 2^24, 2^53 of them apart), and is
//             used. float32:  at most 0.9 ULP, 2^bias = 2^24, x - max in [-104.7, 0]; below: 0
//             float64:  at most 0.6 ULP, 2^bias = 2^54, x - max in [-746.5, 0]; below: 0
//             The bias keeps every value that can round to a nonzero probability a normal number:
//             subnormal probabilities are rounded once, by the final multiplication.
// CarefulExp  exp((x - max) / T) with more digits than the type of the logits, for logarithms,
//             confident rows and temperatures. float32: in double, 2^-39. float64: two doubles,
//             2^-56.
//
// The polynomials are minimax fits of exp on |r| <= ln2 / 2 (Remez exchange, relative error):
// degree 6 2^-28.3, degree 8 (of 2^f) 2^-39.7, degree 11 2^-57.9. benchmarks/fit_exp.py recomputes
// them.
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

template <class T>
struct FastExp;

template <>
struct FastExp<float> {
  using V = vf;
  static constexpr int bias = 24;
  static constexpr float limit = 512.0f;
  vf offset, lowest;
  vi shift;

  // The offset, lowest argument and exponent shift of rows with maximum m (finite), lane by lane.
  static SOFTGRAD_INLINE FastExp of(vf m, vf* exponent) {
    FastExp r;
    vf zero = {};
    vf magnitude = m < 0 ? -m : m;
    r.offset = magnitude > limit ? m : zero;
    vf t = fma(m - r.offset, splat(1.44269504088896341f), splat(round_f));
    vf n = t - round_f;
    r.shift = (vi)((vui)t - (127 + bias));
    r.lowest = (n - float(127 + bias)) * 0.693147180559945f;
    *exponent = n;
    return r;
  }
  SOFTGRAD_INLINE vf operator()(vf x) const {
    in_step<1>(&x);
    return x;
  }
  // n registers at a time, step by step: one after the other, their chains of dependent
  // instructions would fill the processor's scheduler, which then sees too few of them to hide the
  // latency.
  template <int n>
  SOFTGRAD_INLINE void in_step(vf* x) const {
    vf t[n], r[n], q[n], p[n], h[n];
#define SOFTGRAD_EACH _Pragma("GCC unroll 4") for (int i = 0; i < n; i++)
    SOFTGRAD_EACH x[i] = maximum(lowest, x[i] - offset);
    SOFTGRAD_EACH t[i] = fma(x[i], splat(1.44269504088896341f), splat(round_f));
    SOFTGRAD_EACH q[i] = t[i] - round_f;
    SOFTGRAD_EACH r[i] = fma(q[i], splat(-0x1.63p-1f), x[i]);      // exact
    SOFTGRAD_EACH r[i] = fma(q[i], splat(0x1.bd0106p-13f), r[i]);  // ln2 = 0x1.63p-1 - that
    SOFTGRAD_EACH p[i] = fma(splat(0x1.6a23d0p-10f), r[i], splat(0x1.123a20p-7f));
    SOFTGRAD_EACH p[i] = fma(p[i], r[i], splat(0x1.5558f2p-5f));
    SOFTGRAD_EACH p[i] = fma(p[i], r[i], splat(0x1.555492p-3f));
    SOFTGRAD_EACH p[i] = fma(p[i], r[i], splat(0x1.fffffcp-2f));
    SOFTGRAD_EACH h[i] = 1.0f + r[i];
    SOFTGRAD_EACH p[i] = h[i] + fma(p[i], r[i] * r[i], (1.0f - h[i]) + r[i]);
    SOFTGRAD_EACH x[i] = p[i] * (vf)(((vui)t[i] - (vui)shift) << 23);
#undef SOFTGRAD_EACH
  }
};

template <>
struct FastExp<double> {
  using V = vd;
  static constexpr int bias = 54;
  static constexpr double limit = 2048.0;
  vd offset, lowest;
  vl shift;

  static SOFTGRAD_INLINE FastExp of(vd m, vd* exponent) {
    FastExp r;
    vd zero = {};
    vd magnitude = m < 0 ? -m : m;
    r.offset = magnitude > limit ? m : zero;
    vd t = fma(m - r.offset, splat(log2e), splat(round_d));
    vd n = t - round_d;
    r.shift = (vl)((vul)t - (1023 + bias));
    r.lowest = (n - double(1023 + bias)) * ln2;
    *exponent = n;
    return r;
  }
  SOFTGRAD_INLINE vd operator()(vd x) const {
    x = maximum(lowest, x - offset);
    vd t = fma(x, splat(log2e), splat(round_d));
    vd n = t - round_d;
    vd r1 = fma(n, splat(-ln2_hi), x);  // exact
    vd r = fma(n, splat(-ln2_lo), r1);
    vd rl = fma(n, splat(-ln2_lo), r1 - r);
    vd p = splat(0x1.ad7f3ee5d2f80p-26);
    p = fma(p, r, splat(0x1.28ad9b8648615p-22));
    p = fma(p, r, splat(0x1.71df25b30d420p-19));
    p = fma(p, r, splat(0x1.a01999e26209fp-16));
    p = fma(p, r, splat(0x1.a01a012a0f35cp-13));
    p = fma(p, r, splat(0x1.6c16c18438b11p-10));
    p = fma(p, r, splat(0x1.1111111127d0ep-7));
    p = fma(p, r, splat(0x1.555555555083ep-5));
    p = fma(p, r, splat(0x1.55555555554f9p-3));
    p = fma(p, r, splat(0x1.000000000000ap-1));
    vd h = 1.0 + r;
    p = h + (fma(p, r * r, rl) + ((1.0 - h) + r));
    return p * (vd)(((vul)t - (vul)shift) << 52);
  }
  // One after the other: in step they would need more registers than there are.
  template <int n>
  SOFTGRAD_INLINE void in_step(vd* x) const {
    for (int i = 0; i < n; i++) x[i] = (*this)(x[i]);
  }
};

// exp(z) for two doubles z = hi + lo <= 0, times 2^54; at most 2^-56; 0 below -746.5.
SOFTGRAD_INLINE DD exp_dd_biased(vd zh, vd zl) {
  zh = maximum(splat(-1077 * ln2), zh);
  vd t = fma(zh, splat(log2e), splat(round_d));
  vd n = t - round_d;
  vd r1 = fma(n, splat(-ln2_hi), zh);  // exact
  vd nl = n * ln2_lo;
  vd r = r1 - nl;
  vd rl = ((r1 - r) - nl) + zl;
  vd p = splat(0x1.ad7f3ee5d2f80p-26);
  p = fma(p, r, splat(0x1.28ad9b8648615p-22));
  p = fma(p, r, splat(0x1.71df25b30d420p-19));
  p = fma(p, r, splat(0x1.a01999e26209fp-16));
  p = fma(p, r, splat(0x1.a01a012a0f35cp-13));
  p = fma(p, r, splat(0x1.6c16c18438b11p-10));
  p = fma(p, r, splat(0x1.1111111127d0ep-7));
  p = fma(p, r, splat(0x1.555555555083ep-5));
  p = fma(p, r, splat(0x1.55555555554f9p-3));
  p = fma(p, r, splat(0x1.000000000000ap-1));
  vd h = 1.0 + r;
  vd l = fma(p, r * r, (1.0 - h) + r);
  l = fma(rl, h + l, l);  // exp(r + rl) = exp(r) (1 + rl): |rl| <= 2^-43
  vd e = h + l;
  vd f = (h - e) + l;
  vd scale = (vd)(((vul)t - ((vul)splat(round_d) - (1023 + 54))) << 52);
  return {e * scale, f * scale};
}

// exp(y ln 2) for y <= 0, at most 2^-39; below -1000 as at -1000. exp2_short(0) is exactly 1.
SOFTGRAD_INLINE vd exp2_short(vd y) {
  y = maximum(splat(-1000.0), y);
  vd t = y + (round_d + 1023.0);
  vd f = y - (t - (round_d + 1023.0));
  vd p = splat(0x1.616a274db4374p-20);
  p = fma(p, f, splat(0x1.00c5a38ddfd83p-16));
  p = fma(p, f, splat(0x1.430ae9c2549d8p-13));
  p = fma(p, f, splat(0x1.5d87708e26a2ep-10));
  p = fma(p, f, splat(0x1.3b2ab5dbc76f7p-7));
  p = fma(p, f, splat(0x1.c6b08da65b437p-5));
  p = fma(p, f, splat(0x1.ebfbdff8e1717p-3));
  p = fma(p, f, splat(0x1.62e42fefa39efp-1));
  p = fma(p, f, splat(1.0));
  return p * (vd)((vul)t << 52);
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
