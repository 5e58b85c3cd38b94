// exp, log1p and the tail of the normal distribution on whole registers, for the formulas of
// activations.hpp, in three arithmetics:
//
// Single  float32 in float registers
// Full    float64 in double registers
// Short   float32 in double registers with polynomials good to 2^-33: for formulas that float
//         registers cannot hold to 3 ULP; twice the work
//
// A result below the smallest normal number must be rounded once. Exponentials therefore carry a
// factor 2^bias, and formulas multiply by `unbias` = 2^-bias last.
//
// The polynomials are minimax fits (Remez exchange); tools/fit_polynomials.py recomputes them.
#pragma once

#include "exp.hpp"

namespace softgrad::SOFTGRAD_ISA {

struct Single {
  using R = vf;
  using S = float;
  static constexpr int bias = 64;
  static constexpr S unbias = 0x1p-64f;
  static constexpr bool full = false;
};
struct Full {
  using R = vd;
  using S = double;
  static constexpr int bias = 128;
  static constexpr S unbias = 0x1p-128;
  static constexpr bool full = true;
};
struct Short {
  using R = vd;
  using S = double;
  static constexpr int bias = 0;
  static constexpr S unbias = 1.0;
  static constexpr bool full = false;
};

// c[0] + c[1] x + ..., highest coefficient first in the list.
template <class R, class S, int n>
SOFTGRAD_INLINE R polynomial(R x, const S (&c)[n]) {
  R p = splat(c[0]);
#pragma GCC unroll 32
  for (int i = 1; i < n; i++) p = fma(p, x, splat(c[i]));
  return p;
}

template <class R>
struct Exponential {
  R biased;     // exp(x) 2^bias
  R e;          // exp(x); its last digits are lost where it is subnormal
  R one_minus;  // 1 - exp(x), relative to itself
};

// min(x, bound); NaN passes.
template <class S>
SOFTGRAD_INLINE vf at_most(vf x, S bound) {
#if SOFTGRAD_VECTOR_BYTES == 64
  return (vf)_mm512_min_ps((__m512)splat(float(bound)), (__m512)x);
#elif SOFTGRAD_VECTOR_BYTES == 32
  return (vf)_mm256_min_ps((__m256)splat(float(bound)), (__m256)x);
#else
  return -maximum(splat(-float(bound)), -x);
#endif
}
template <class S>
SOFTGRAD_INLINE vd at_most(vd x, S bound) {
#if SOFTGRAD_VECTOR_BYTES == 64
  return (vd)_mm512_min_pd((__m512d)splat(double(bound)), (__m512d)x);
#elif SOFTGRAD_VECTOR_BYTES == 32
  return (vd)_mm256_min_pd((__m256d)splat(double(bound)), (__m256d)x);
#else
  return -maximum(splat(-double(bound)), -x);
#endif
}

// exp(x) for x <= 0, and exp(x + low) for |low| <= ulp(x). 0 below -132 (Single) or -797 (Full),
// exp(-693) below that (Short). NaN passes.
// Single: exp at most 1.1 ULP, 1 - exp 1.3; Full: 0.6 and 1.3; Short: 2^-39.
template <class P, class... Low>
SOFTGRAD_INLINE Exponential<vf> exponential(vf x, Low... low)
  requires std::is_same_v<P, Single>
{
  constexpr int lowest = -127 - Single::bias;  // whose power of two is 0 here
  x = maximum(splat(float(lowest * ln2)), x);
  vf t = fma(x, splat(1.44269504088896341f), splat(round_f));
  vf n = t - round_f;
  vf r = fma(n, splat(-0x1.63p-1f), x);   // exact
  r = fma(n, splat(0x1.bd0106p-13f), r);  // ln2 = 0x1.63p-1 - that
  r = (r + ... + low);
  vf q = polynomial(
      r, {0x1.6a23d0p-10f, 0x1.123a20p-7f, 0x1.5558f2p-5f, 0x1.555492p-3f, 0x1.fffffcp-2f});
  vf p = fma(q, r * r, r);  // exp(r) - 1
  vf scale = (vf)(((vui)t - (0x4b400000u + lowest)) << 23);
  vf unit = scale * Single::unbias;
  vf biased = fma(p, scale, scale);
  return {biased, biased * Single::unbias, fma(-unit, p, 1.0f - unit)};
}

template <class P, class... Low>
SOFTGRAD_INLINE Exponential<vd> exponential(vd x, Low... low)
  requires std::is_same_v<P, Full>
{
  constexpr int lowest = -1023 - Full::bias;
  x = maximum(splat(lowest * ln2), x);
  vd t = fma(x, splat(log2e), splat(round_d));
  vd n = t - round_d;
  vd r1 = fma(n, splat(-ln2_hi), x);  // exact
  vd r = fma(n, splat(-ln2_lo), r1);
  vd rl = fma(n, splat(-ln2_lo), r1 - r);
  vd q = polynomial(
      r, {0x1.ad7f3ee5d2f80p-26, 0x1.28ad9b8648615p-22, 0x1.71df25b30d420p-19,
          0x1.a01999e26209fp-16, 0x1.a01a012a0f35cp-13, 0x1.6c16c18438b11p-10, 0x1.1111111127d0ep-7,
          0x1.555555555083ep-5, 0x1.55555555554f9p-3, 0x1.000000000000ap-1});
  vd h = 1.0 + r;
  if constexpr (sizeof...(low) > 0) rl = (rl + ... + low) * fma(q, r * r, h);
  vd rest = fma(q, r * r, rl);
  vd p = h + (rest + ((1.0 - h) + r));
  vd scale = (vd)(((vul)t - ((vul)splat(round_d) + std::uint64_t(std::int64_t(lowest)))) << 52);
  vd unit = scale * Full::unbias;
  vd biased = p * scale;
  return {biased, biased * Full::unbias, fma(-unit, r + rest, 1.0 - unit)};
}

template <class P, class... Low>
SOFTGRAD_INLINE Exponential<vd> exponential(vd x, Low... low)
  requires std::is_same_v<P, Short>
{
  x = maximum(splat(-1000 * ln2), x);
  vd t = fma(x, splat(log2e), splat(round_d));
  vd r = (fma(t - round_d, splat(-ln2), x) + ... + low);
  vd q = polynomial(
      r, {0x1.9e88ae91162d1p-16, 0x1.a1855e287bbefp-13, 0x1.6c18d39eb520cp-10, 0x1.1110a26108afep-7,
          0x1.5555541e2505ap-5, 0x1.5555557dd1ce5p-3, 0x1.000000005df03p-1});
  vd p = fma(q, r * r, r);
  vd unit = (vd)(((vul)t - ((vul)splat(round_d) - 1023)) << 52);
  vd e = fma(unit, p, unit);
  return {e, e, fma(-unit, p, 1.0 - unit)};
}

// exp(x) 2^-bias times the constant of common_power, for quotients that do not see it: at most 0.6
// ULP, for x of both signs. It neither overflows nor leaves the normal numbers: below
// (bias - 125) ln 2 (Single) or (bias - 1021) ln 2 it stays as there, above (bias + 125) ln 2 or
// (bias + 1021) ln 2 too. NaN passes.
template <class P, class R>
SOFTGRAD_INLINE R common_exponential(R x) {
  using S = typename P::S;
  using Of = FastExpOf<S>;
  constexpr int range = -1 - Of::least;
  constexpr S round = Of::round - S(8 * P::bias);
  x = at_most(maximum(splat(S((P::bias - range) * ln2)), x), S((P::bias + range) * ln2));
  R t = fma(x, splat(S(8) * Of::log2e), splat(round));
  R n = t - round;
  R r = fma(n, splat(-Of::low), fma(n, splat(-Of::high), x));  // the inner one is exact
  R s = common_power(t);
  return fma(Of::rest(r, r * r), s, s);
}

// log1p(e) for 0 <= e <= 1: with f = e, or f = (e - 1) / 2 and ln 2 more, and s = f / (2 + f),
// log1p f = f - f^2/2 + s (f^2/2 + s^2 G(s^2)), which is f where f is small.
// Single and Full: at most 1.2 ULP; Short: 2^-36.
template <class P, class R = typename P::R>
SOFTGRAD_INLINE R log1p_unit(R e) {
  using S = typename P::S;
  auto upper = e > S(0.5);
  R f = upper ? S(0.5) * (e - S(1)) : e;
  R s = f / (f + S(2));
  R z = s * s, half = S(0.5) * f * f, g;
  S hi, lo;
  if constexpr (sizeof(S) == 4) {
    g = polynomial(z, {0x1.e6d3b8p-3f, 0x1.2429b0p-2f, 0x1.999a74p-2f, 0x1.555556p-1f});
    hi = 0x1.62e430p-1f, lo = -0x1.05c610p-29f;
  } else if constexpr (P::full) {
    g = polynomial(z, {0x1.172c24e745ecap-3, 0x1.0e7962e3a0f9fp-3, 0x1.3b2ac9f04a9b4p-3,
                       0x1.745ca5edcdbd0p-3, 0x1.c71c72f4555afp-3, 0x1.24924923ce020p-2,
                       0x1.9999999999fb0p-2, 0x1.5555555555555p-1});
    hi = ln2_hi, lo = ln2_lo;
  } else {
    g = polynomial(z, {0x1.963d68b251ee0p-3, 0x1.c5e2b9c2224ccp-3, 0x1.2494948aa1ec0p-2,
                       0x1.9999969a3d9c3p-2, 0x1.55555555a574fp-1});
    hi = ln2, lo = 0;
  }
  R zero = {};
  R rest = half - fma(s, fma(z, g, half), upper ? zero + lo : zero);
  R y = f - rest;
  return upper ? hi + y : y;
}

// Phi(-a) exp(a^2 / 2) for a >= 0, the tail of the normal distribution over its density (without
// 1 / sqrt(2 pi)): P((a - 5) / (a + 5)) / (a + 5). Full: at most 2 ULP for a <= 39.5; Short: 2^-33
// for a <= 15; Single, with 4 for 5 and a fused multiply-add: at most 2 ULP for a <= 14.5. (A
// change of variables after M. M. Shepherd, J. G. Laframboise, Chebyshev approximation of (1 + 2x)
// exp(x^2) erfc x, Mathematics of Computation 36 (1981).)
template <class P>
SOFTGRAD_INLINE vf normal_tail(vf a)
  requires std::is_same_v<P, Single>
{
  vf u = 1.0f / (a + 4.0f);
  // 1 - (a + 4) u, with the roundings of the sum and of the quotient: 1 - 4u is exact up to a = 4,
  // and above within 2^-25, which counts for a third of that in the result.
  vf ul = u * fma(-u, a, fma(u, splat(-4.0f), splat(1.0f)));
  vf t = fma(ul, splat(-8.0f), fma(u, splat(-8.0f), splat(1.0f)));
  vf p = polynomial(
      t, {-0x1.14c66p-13f, 0x1.781e56p-13f, 0x1.9b8bdap-10f, -0x1.cc65a0p-9f, -0x1.ed2d1cp-8f,
          0x1.eed404p-5f, -0x1.7ep-3f, 0x1.8c6d9ep-2f, -0x1.373e38p-1f, 0x1.82b4bcp-1f});
  return fma(p, u, p * ul);
}
template <class P>
SOFTGRAD_INLINE vd normal_tail(vd a)
  requires(!std::is_same_v<P, Single>)
{
  if constexpr (P::full) {
    DD s = two_sum(a, splat(5.0));
    vd u = 1.0 / s.hi;
    DD back = two_product(u, s.hi);
    vd ul = u * (((1.0 - back.hi) - back.lo) - u * s.lo);
    vd t = fma(u, splat(-10.0), splat(1.0)) - 10.0 * ul;
    vd q = polynomial(t, {-0x1.587dd521d1a07p-32, 0x1.8241fc4ecfb22p-30,  0x1.11441915ef533p-27,
                          -0x1.1a60b0d31466ap-27, -0x1.1b6eb71fe47acp-24, 0x1.5e5ce9bede4c6p-25,
                          0x1.d0c18df6b6f81p-22,  -0x1.68369992abff4p-22, -0x1.73a31f7dde4c7p-19,
                          0x1.0b1e0d07a96bbp-18,  0x1.17dc7272213d1p-16,  -0x1.a17079464a9aap-15,
                          -0x1.f2144797bcb9dp-15, 0x1.1daf1c3047a90p-11,  -0x1.a2503823ef7cbp-11,
                          -0x1.88590ea264c84p-9,  0x1.54b4d4f4ff3c7p-6,   -0x1.1b1c254c9ed97p-4,
                          0x1.51f6329f0114ap-3,   -0x1.410ed5f8759e1p-2,  0x1.fb31653876fa0p-2,
                          -0x1.54ad03f27ca17p-1});
    // The last step keeps its rounding errors.
    DD product = two_product(t, q), p = two_sum(splat(0x1.89d3abe1f95aep-1), product.hi);
    return fma(p.hi, u, p.hi * ul + (p.lo + product.lo) * u);
  } else {
    vd u = 1.0 / (a + 5.0);
    vd t = fma(u, splat(-10.0), splat(1.0));
    vd p = polynomial(t, {-0x1.d00c18acdde5bp-15, -0x1.6be19fbb21192p-15, 0x1.22ce9b66496c6p-11,
                          -0x1.a5334743e9dadp-11, -0x1.88e7a5a820c5ep-9, 0x1.54b85b1031f6dp-6,
                          -0x1.1b1b5c1cb48dep-4, 0x1.51f62a4eac203p-3, -0x1.410ed9805aaf6p-2,
                          0x1.fb31655e6d2aep-2, -0x1.54ad03e9cbaf2p-1, 0x1.89d3abe1d14dfp-1});
    return p * u;
  }
}

// a times a number of few bits.
SOFTGRAD_INLINE DD scaled(DD a, double few_bits) {
  DD p = two_product(a.hi, splat(few_bits));
  return {p.hi, p.lo + a.lo * few_bits};
}
SOFTGRAD_INLINE vf magnitude(vf x) { return (vf)((vui)x & 0x7fffffffu); }
SOFTGRAD_INLINE vd magnitude(vd x) { return (vd)((vul)x & 0x7ffffffffffffffful); }
// -|x|.
SOFTGRAD_INLINE vf below(vf x) { return (vf)((vui)x | 0x80000000u); }
SOFTGRAD_INLINE vd below(vd x) { return (vd)((vul)x | 0x8000000000000000ul); }
// r >= 0 with the sign of x, of zeros too.
SOFTGRAD_INLINE vf with_sign(vf r, vf x) { return (vf)((vui)r | ((vui)x & 0x80000000u)); }
SOFTGRAD_INLINE vd with_sign(vd r, vd x) { return (vd)((vul)r | ((vul)x & 0x8000000000000000ul)); }
// s^2 for s = 1 + e rounded: with what the rounding took, 0 <= e <= 1.
template <class R>
SOFTGRAD_INLINE R square_of_sum(R s, R e) {
  R low = e - (s - 1);
  return fma(s, s, (s + s) * low);
}

}  // namespace softgrad::SOFTGRAD_ISA
