// Unevaluated sums of two doubles, on whole registers: hi + lo with |lo| <= ulp(hi) / 2.
// Source: Muller et al., Handbook of Floating-Point Arithmetic (2nd ed.), sections 4.3 and 4.4.
#pragma once

#include "simd.hpp"

namespace softgrad::SOFTGRAD_ISA {

struct DD {
  vd hi, lo;
};

// s + e == a + b exactly, whatever the order of magnitude (Knuth's TwoSum).
SOFTGRAD_INLINE DD two_sum(vd a, vd b) {
  vd s = a + b;
  vd bb = s - a;
  return {s, (a - (s - bb)) + (b - bb)};
}
// The same for |a| >= |b| or a == 0 (Dekker's Fast2Sum).
SOFTGRAD_INLINE DD fast_two_sum(vd a, vd b) {
  vd s = a + b;
  return {s, b - (s - a)};
}
// p + e == a * b exactly; without a hardware fma by Veltkamp's splitting, for |a|, |b| < 2^996.
SOFTGRAD_INLINE DD two_product(vd a, vd b) {
  vd p = a * b;
#if SOFTGRAD_HAS_FMA
  return {p, fma(a, b, -p)};
#else
  constexpr double splitter = 134217729.0;  // 2^27 + 1
  vd ta = a * splitter, tb = b * splitter;
  vd ah = ta - (ta - a), bh = tb - (tb - b);
  vd al = a - ah, bl = b - bh;
  return {p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
#endif
}
SOFTGRAD_INLINE DD add(DD a, DD b) {
  DD s = two_sum(a.hi, b.hi);
  return fast_two_sum(s.hi, s.lo + (a.lo + b.lo));
}
SOFTGRAD_INLINE DD add(DD a, vd b) {
  DD s = two_sum(a.hi, b);
  return fast_two_sum(s.hi, s.lo + a.lo);
}
SOFTGRAD_INLINE DD multiply(DD a, DD b) {
  DD p = two_product(a.hi, b.hi);
  return fast_two_sum(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}
SOFTGRAD_INLINE DD reciprocal(DD a) {
  vd h = 1.0 / a.hi;
  DD p = two_product(h, a.hi);
  vd residual = ((1.0 - p.hi) - p.lo) - h * a.lo;
  return fast_two_sum(h, residual * h);
}
// a / b in one double, 2^-53 and a little.
SOFTGRAD_INLINE vd divide(DD a, DD b) {
  vd q = a.hi / b.hi;
  DD back = two_product(q, b.hi);
  vd rest = ((a.hi - back.hi) - back.lo) + (a.lo - q * b.lo);
  return q + rest / b.hi;
}
SOFTGRAD_INLINE DD dd(double hi, double lo = 0.0) { return {splat(hi), splat(lo)}; }
SOFTGRAD_INLINE DD negate(DD a) { return {-a.hi, -a.lo}; }

// Sixteen running sums with the rounding errors kept.
struct Sum16 {
  D16 hi, lo;
};
SOFTGRAD_INLINE Sum16 zero_sum() { return {all16(0.0), all16(0.0)}; }
SOFTGRAD_INLINE void accumulate(Sum16& s, const D16& x) {
  SOFTGRAD_EACH_D {
    DD t = two_sum(s.hi.v[i], x.v[i]);
    s.hi.v[i] = t.hi;
    s.lo.v[i] += t.lo;
  }
}
// The lanes combined by the fixed tree of sum_lanes. A register with an infinite or NaN sum has a
// NaN error term; the sum then stands alone.
SOFTGRAD_INLINE DD combine_lanes(const Sum16& s) {
  alignas(64) double h[lanes];
  alignas(64) double l[lanes];
  store16(h, s.hi);
  store16(l, s.lo);
  for (int w = lanes / 2; w; w >>= 1)
    for (int i = 0; i < w; i++) {
      double a = h[i], b = h[i + w], t = a + b, bb = t - a;
      h[i] = t;
      l[i] = (l[i] + l[i + w]) + ((a - (t - bb)) + (b - bb));
    }
  if (!(h[0] + l[0] - h[0] == l[0]) && !(h[0] - h[0] == 0)) return dd(h[0]);
  return fast_two_sum(splat(h[0]), splat(l[0]));
}

}  // namespace softgrad::SOFTGRAD_ISA
