// Natural logarithm of a number given as two doubles.
//
// u = 2^k m with m in [sqrt(1/2), sqrt(2)), s = f / (2 + f) with f = m - 1, and
// log m = 2 artanh s = 2 s + s^3 (2/3 + 2/5 s^2 + ...), |s| <= 0.1716.
// log1p(t) is log_dd of 1 + t as two doubles: f is then t itself where t is small.
//
// log_dd<true>   result as two doubles, at most 2^-57 relative; u in [2^-900, 2^900]
// log_dd<false>  result.hi alone, at most 2^-36 relative: enough for float32
#pragma once

#include "exp.hpp"

namespace softgrad::SOFTGRAD_ISA {

template <bool full>
SOFTGRAD_INLINE DD log_dd(DD u) {
  constexpr std::uint64_t sqrt_half = 0x3fe6a09e667f3bcd;
  vl bits = (vl)u.hi;
  vl k = (vl)((vul)bits - sqrt_half) >> 52;
  vd scale = (vd)((1023 - (vul)k) << 52);  // 2^-k
  vd mh = u.hi * scale, ml = u.lo * scale;
  vd kd = (vd)((vul)k + (vul)splat(round_d)) - round_d;
  DD f = two_sum(mh - 1.0, ml);
  DD d = fast_two_sum(splat(2.0), f.hi);
  d.lo = d.lo + f.lo;
  vd s = f.hi / d.hi;
  vd q = s * s;
  if (!full) {
    vd p = splat(2.0 / 15);
    p = fma(p, q, splat(2.0 / 13));
    p = fma(p, q, splat(2.0 / 11));
    p = fma(p, q, splat(2.0 / 9));
    p = fma(p, q, splat(2.0 / 7));
    p = fma(p, q, splat(2.0 / 5));
    p = fma(p, q, splat(2.0 / 3));
    return {fma(kd, splat(ln2), fma(s * q, p, 2.0 * s)), vd{}};
  }
  DD back = two_product(s, d.hi);
  vd sl = (((f.hi - back.hi) - back.lo) + (f.lo - s * d.lo)) / d.hi;
  vd p = splat(2.0 / 23);
  p = fma(p, q, splat(2.0 / 21));
  p = fma(p, q, splat(2.0 / 19));
  p = fma(p, q, splat(2.0 / 17));
  p = fma(p, q, splat(2.0 / 15));
  p = fma(p, q, splat(2.0 / 13));
  p = fma(p, q, splat(2.0 / 11));
  p = fma(p, q, splat(2.0 / 9));
  p = fma(p, q, splat(2.0 / 7));
  p = fma(p, q, splat(2.0 / 5));
  p = fma(p, q, splat(2.0 / 3));
  DD head = two_sum(kd * ln2_hi, 2.0 * s);  // kd * ln2_hi is exact
  return fast_two_sum(head.hi, head.lo + (s * q * p + (2.0 * sl + kd * ln2_lo)));
}

template <bool full>
SOFTGRAD_INLINE DD log1p_dd(DD t) {
  DD u = two_sum(splat(1.0), t.hi);
  return log_dd<full>({u.hi, u.lo + t.lo});
}

}  // namespace softgrad::SOFTGRAD_ISA
