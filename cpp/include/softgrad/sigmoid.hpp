// The logistic function s(x) = 1 / (1 + exp(-x)) and its derivatives, element by element.
//
// With e = exp(-|x|): s = 1 / (1 + e) or e / (1 + e), s' = e / (1 + e)^2,
// s'' = -sign(x) s' (1 - e) / (1 + e). No difference cancels: 1 - e is -expm1(-|x|) near 0.
// s and s' at most 1 ULP, s'' 3 ULP, on all of R, subnormal results included; NaN gives NaN.
#pragma once

#include "emit.hpp"

namespace softgrad::SOFTGRAD_ISA {

// 1 - exp(-a) for a >= 0 with e = exp(-a): the difference where e <= 1/2, else the series of expm1.
SOFTGRAD_INLINE vd one_minus_exp(vd a, vd e) {
  vd p = splat(0x1p0 / 1307674368000.0);  // 1/15!
  constexpr double inverse_factorial[] = {
      1.0 / 87178291200.0, 1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0,
      1.0 / 362880.0,      1.0 / 40320.0,      1.0 / 5040.0,      1.0 / 720.0,      1.0 / 120.0,
      1.0 / 24.0,          1.0 / 6.0,          1.0 / 2.0};
  vd x = -a;
  for (double c : inverse_factorial) p = fma(p, x, splat(c));
  vd series = -fma(p, x * x, x);
  return e > 0.5 ? series : 1.0 - e;
}

template <int order, class T>
SOFTGRAD_INLINE D16 sigmoid16(D16 x) {
  SOFTGRAD_EACH_D {
    vd v = x.v[i];
    vd a = v < 0.0 ? v : -v;  // -|x|; NaN stays
    DD biased;
    double unbias;
    if constexpr (sizeof(T) == 4) {
      biased = {exp2_short(a * log2e), vd{}};
      unbias = 1.0;
    } else {
      biased = exp_dd_biased(a, vd{});
      unbias = 0x1p-54;
    }
    vd e = biased.hi * unbias;
    DD s = fast_two_sum(splat(1.0), e);
    s.lo += biased.lo * unbias;
    vd r;
    if (order == 0) {
      r = v < 0.0 ? divide(biased, s) * unbias : divide(dd(1.0), s);
    } else {
      r = divide(biased, multiply(s, s)) * unbias;
      if (order == 2) {
        vd tanh_half = divide({one_minus_exp(-a, e), vd{}}, s);
        r *= v < 0.0 ? tanh_half : -tanh_half;
      }
    }
    x.v[i] = v == v ? r : v;
  }
  return x;
}

template <int order, class T>
SOFTGRAD_INLINE void sigmoid_order(const T* x, T* y, long n) {
  map_row<true>(x, y, n, false, [](const D16& v) { return sigmoid16<order, T>(v); });
}

template <class T>
void sigmoid(int order, const T* x, T* y, long n) {
  if (order == 0)
    sigmoid_order<0>(x, y, n);
  else if (order == 1)
    sigmoid_order<1>(x, y, n);
  else
    sigmoid_order<2>(x, y, n);
}

}  // namespace softgrad::SOFTGRAD_ISA
