// The elementwise functions: value, first and second derivative of each, in one formula a function
// for all arithmetics (activation_math.hpp), and the loop over arrays.
//
// With a = |x| and e = exp(-a) every formula is a quotient of sums of positive numbers, except
// where a derivative itself crosses zero: f' and f'' of gelu, gelu_tanh, silu and mish are accurate
// relative to the size of their terms there. All are defined on the whole line: limits at infinity,
// subnormal results, NaN for NaN. Values are within 3 ULP (gelu and mish: 4), derivatives
// within 4 (f'' without fused multiply-add: 5): tests/cpp/sweep/sweep.cpp goes through all floats,
// tests/accuracy through hard numbers.
//
// At a kink the derivative is the one from the left (relu'(0) = 0, leaky_relu'(0) = slope,
// elu'(0) = alpha), as in PyTorch.
#pragma once

#include "activation_kernels.hpp"
#include "activation_math.hpp"

namespace softgrad::SOFTGRAD_ISA {

constexpr double selu_scale = 1.0507009873554804934, selu_scale_alpha = 1.7580993408473768599;

// What does not depend on x otherwise: NaN for NaN.
template <class R>
SOFTGRAD_INLINE R unless_nan(R x, R r) {
  return x == x ? r : x;
}

// A function is a struct with `Float`, the arithmetic that it needs for float32 (`FloatValue`: that
// of the value, if another), and of<P, order>(x, parameter). Some have the first derivative in
// terms of the value as well, which needs no exponential: of_value<P>(y).
struct Identity {
  using Float = Single;
  template <class P, int order, class R, class S>
  static SOFTGRAD_INLINE R of(R x, S) {
    return order == 0 ? x : unless_nan(x, splat(S(order == 1)));
  }
};

// s = c / (c + c exp(-x)), which c keeps finite: the exponential's own constant and bias; s' = e /
// (1 + e)^2; s'' = -sign(x) s' (1 - e) / (1 + e).
struct Sigmoid {
  using Float = Single;
  template <class P, int order, class R, class S>
  static SOFTGRAD_INLINE R of(R x, S) {
    if constexpr (order == 0) {
      constexpr S c = common_constant<S> * P::unbias;
      return c / (c + common_exponential<P>(-x));
    } else {
      const auto [biased, e, one_minus] = exponential<P>(below(x));
      R s = S(1) + e, d = square_of_sum(s, e);
      if constexpr (order == 1) return biased / d * P::unbias;
      R r = biased * one_minus / (d * s) * P::unbias;
      return x < 0 ? r : -r;
    }
  }
  template <class P, class R>
  static SOFTGRAD_INLINE R of_value(R y) {
    return y * (typename P::S(1) - y);
  }
};

// max(x, 0) + log1p(e); its derivative is the sigmoid.
struct Softplus {
  using Float = Single;
  template <class P, int order, class R, class S>
  static SOFTGRAD_INLINE R of(R x, S parameter) {
    if constexpr (order > 0) {
      return Sigmoid::of<P, order - 1>(x, parameter);
    } else {
      R l = log1p_unit<P>(exponential<P>(below(x)).e);
      return x > 0 ? x + l : l;
    }
  }
};

// -softplus(-x).
struct LogSigmoid {
  using Float = Single;
  template <class P, int order, class R, class S>
  static SOFTGRAD_INLINE R of(R x, S parameter) {
    R r = Softplus::of<P, order>(-x, parameter);
    return order == 1 ? r : -r;
  }
};

// With e = exp(-2a): sign(x) (1 - e) / (1 + e); 4 e / (1 + e)^2; -2 tanh tanh'.
struct Tanh {
  using Float = Single;
  using FloatValue = Short;  // the quotient of two sums has 1.4 ULP in float
  template <class P, int order, class R, class S>
  static SOFTGRAD_INLINE R of(R x, S) {
    const auto [biased, e, one_minus] = exponential<P>(S(2) * below(x));
    R s = S(1) + e;
    if constexpr (order == 0) {
      return with_sign(one_minus / s, x);
    } else {
      R d = square_of_sum(s, e);
      if constexpr (order == 1) return biased / d * (4 * P::unbias);
      R r = biased * one_minus / (d * s) * (8 * P::unbias);
      return x < 0 ? r : -r;
    }
  }
  template <class P, class R>
  static SOFTGRAD_INLINE R of_value(R y) {
    return (typename P::S(1) - y) * (typename P::S(1) + y);
  }
};

struct Relu {
  using Float = Single;
  template <class P, int order, class R, class S>
  static SOFTGRAD_INLINE R of(R x, S) {
    R zero = {};
    if constexpr (order == 0) return maximum(zero, x);  // NaN passes
    return unless_nan(x, x > 0 ? splat(S(order == 1)) : zero);
  }
};

struct LeakyRelu {
  using Float = Single;
  template <class P, int order, class R, class S>
  static SOFTGRAD_INLINE R of(R x, S slope) {
    if constexpr (order == 0) return x > 0 ? x : x * slope;
    return unless_nan(x, order == 1 ? (x > 0 ? splat(S(1)) : splat(slope)) : R{});
  }
};

// scale x, or scale_alpha (exp(x) - 1).
template <class P, int order, class R, class S>
SOFTGRAD_INLINE R exponential_unit(R x, S scale, S scale_alpha) {
  R zero = {};
  const auto [biased, e, one_minus] = exponential<P>(x > 0 ? zero : x);
  if constexpr (order == 0) return x > 0 ? scale * x : x == 0 ? x : -scale_alpha * one_minus;
  R slope = scale_alpha * biased * P::unbias;
  return x > 0 ? (order == 1 ? splat(scale) : zero) : slope;
}
struct Elu {
  using Float = Single;
  template <class P, int order, class R, class S>
  static SOFTGRAD_INLINE R of(R x, S alpha) {
    return exponential_unit<P, order>(x, S(1), alpha);
  }
};
struct Selu {
  using Float = Single;
  template <class P, int order, class R, class S>
  static SOFTGRAD_INLINE R of(R x, S) {
    return exponential_unit<P, order>(x, S(selu_scale), S(selu_scale_alpha));
  }
};

// x u, u^2 and -2 sign(x) u^3 (0 at 0) with u = 1 / (1 + a), corrected by its rounding error.
struct Softsign {
  using Float = Single;
  template <class P, int order, class R, class S>
  static SOFTGRAD_INLINE R of(R x, S) {
    R a = magnitude(x);
    if constexpr (order == 0) {
      a = at_most(a, S(0x1p60));
      return with_sign(a / (S(1) + a), x);
    } else {
      R s = S(1) + a, larger = a > 1 ? a : splat(S(1)), smaller = a > 1 ? splat(S(1)) : a;
      R low = smaller - (s - larger), u = S(1) / s;
      low = s < S(0x1p60) ? low : R{};
      R ul = u * (fma(-u, s, splat(S(1))) - u * low);
      ul = s < S(0x1p60) ? ul : R{};
      R square = fma(u, u, (u + u) * ul);
      if constexpr (order == 1) return square;
      R r = S(2) * fma(square, u, square * ul);
      return x > 0 ? -r : x == 0 ? R{} : r;
    }
  }
};

// x Phi(x), Phi the distribution function of the standard normal: with W from normal_tail,
// Phi(-a) = exp(-a^2/2) W; Phi(x) + x phi(x); phi(x) (2 - x^2).
struct Gelu {
  using Float = std::conditional_t<SOFTGRAD_HAS_FMA, Single, Short>;
  template <class P, int order, class R, class S>
  static SOFTGRAD_INLINE R of(R x, S) {
    constexpr S inverse_sqrt_2pi = 0x1.9884533d43651p-2;
    R a = at_most(magnitude(x), S(P::full ? 39.5 : 16));
    R opposite = S(-0.5) * a, exponent = opposite * a, low = {};
    if constexpr (P::full)
      low = two_product(opposite, a).lo;
    else if constexpr (sizeof(S) == 4)
      low = fma(opposite, a, -exponent);
    const auto [biased, e, one_minus] = exponential<P>(exponent, low);
    if constexpr (order == 2) {
      R factor = S(2) * ((S(1) + exponent) + low);
      return biased * inverse_sqrt_2pi * factor * P::unbias;
    } else {
      R w = normal_tail<P>(a);
      if constexpr (order == 0) {  // max(x, 0) - a Phi(-a)
        R zero = {};
        return fma(biased * w * a, splat(-P::unbias), maximum(zero, x));
      }
      R d = fma(a, splat(-inverse_sqrt_2pi), w);
      return x < 0 ? biased * d * P::unbias : S(1) - e * d;
    }
  }
};

// x s(w) for an odd function w of x, s the sigmoid, in terms of w', x w'' and |w| (+ w_low):
// s(w) + x s'(w) w'; s'(w) (2 w' + x w'' + x w'^2 (1 - 2 s(w))).
template <class P, int order, class R, class... Low>
SOFTGRAD_INLINE R gated(R x, R a, R slope, R slope_squared, R curvature, R w, Low... w_low) {
  using S = typename P::S;
  const auto [biased, e, one_minus] = exponential<P>(-w, -w_low...);
  R s = S(1) + e;
  if constexpr (order == 0) {
    R q = (x < 0 ? a * biased : x) / s;
    return x < 0 ? -q * P::unbias : q;
  } else if constexpr (order == 1) {
    R t = a * slope / s;
    return x < 0 ? biased * (S(1) - t) / s * P::unbias : fma(e, t, splat(S(1))) / s;
  } else {
    R sum = S(2) * slope + (curvature - a * slope_squared * one_minus / s);
    return biased * sum / square_of_sum(s, e) * P::unbias;
  }
}

struct Silu {
  using Float = Single;
  template <class P, int order, class R, class S>
  static SOFTGRAD_INLINE R of(R x, S) {
    R a = at_most(magnitude(x), S(sizeof(S) == 8 ? 820 : 140));
    return gated<P, order>(x, a, splat(S(1)), splat(S(1)), R{}, a);
  }
};

// x s(w) with w = 2 sqrt(2 / pi) (x + 0.044715 x^3): the tanh form is (1 + tanh(w / 2)) / 2.
struct GeluTanh {
  using Float = Short;
  template <class P, int order, class R, class S>
  static SOFTGRAD_INLINE R of(R x, S) {
    constexpr S c1 = 0x1.9884533d43651p+0, c3 = 0x1.2444f2a4d8b4bp-4;
    R a = at_most(magnitude(x), S(P::full ? 24 : 13));
    R square = a * a, curvature = S(6) * c3 * square;
    if constexpr (P::full) {  // an error in w is one of exp(w) times |w|
      constexpr S c1_low = -0x1.cbc0d30ebfd15p-54, c3_low = -0x1.6c843a29d1c70p-61;
      DD s = two_product(a, a), cubic = two_product(s.hi, splat(c3));
      cubic.lo += s.lo * c3 + s.hi * c3_low;
      DD q = two_sum(splat(c1), cubic.hi), slope = add(dd(c1, c1_low), scaled(cubic, 3.0));
      DD w = two_product(a, q.hi);
      R low = w.lo + a * (q.lo + (cubic.lo + c1_low));
      R slope_squared = fma(slope.hi, slope.hi, S(2) * slope.hi * slope.lo);
      return gated<P, order>(x, a, slope.hi, slope_squared, curvature, w.hi, low);
    } else {
      R slope = fma(square, splat(S(3) * c3), splat(c1));
      R w = a * fma(square, splat(c3), splat(c1));
      return gated<P, order>(x, a, slope, slope * slope, curvature, w);
    }
  }
};

// x tanh(softplus(x)). With D = 1 + 2e + 2e^2 (x >= 0) or 2 + 2e + e^2 the factor is (1 + 2e) / D
// or e (2 + e) / D, and its derivative S = 4 e^2 (1 + e) / D^2 or 4 e (1 + e) / D^2.
struct Mish {
  using Float = Single;
  template <class P, int order, class R, class S>
  static SOFTGRAD_INLINE R of(R x, S) {
    R a = at_most(magnitude(x), S(sizeof(S) == 8 ? 820 : 140));
    const auto [biased, e, one_minus] = exponential<P>(-a);
    const auto negative = x < 0;
    R one = splat(S(1)), s = S(1) + e, twice = e + e;
    R numerator = negative ? S(2) + e : S(1) + twice;
    R d = fma(negative ? e : twice, negative ? numerator : s, negative ? one + one : one);
    if constexpr (order == 0) {
      R q = (negative ? a * biased : x) * numerator / d;
      return negative ? -q * P::unbias : q;
    } else if constexpr (order == 1) {
      R t = S(4) * a * s / d;
      R sum = negative ? numerator - t : fma(e * e, t, numerator);
      R q = (negative ? biased : one) * sum / d;
      return negative ? q * P::unbias : q;
    } else {
      R rate = (negative ? one : one + one) + e / s - S(4) * e * (negative ? s : numerator) / d;
      R change = S(4) * (negative ? biased : biased * e) * s / (d * d);
      return change * (S(2) - a * rate) * P::unbias;
    }
  }
};

// --- Over arrays ---------------------------------------------------------------------------------

template <class F>
constexpr bool has_slope_of_value = requires(vf y) { F::template of_value<Single>(y); };

// One register in the arithmetic P, times g and v (factors: 0, 1 or 2 of them).
template <class F, class P, int order, int factors, class R>
SOFTGRAD_INLINE R element(R x, R g, R v, typename P::S parameter) {
  R r;
  if constexpr (order == slope_of_value)
    r = F::template of_value<P>(x);
  else
    r = F::template of<P, order>(x, parameter);
  if constexpr (factors > 0) r = r * g;
  if constexpr (factors > 1) r = r * v;
  return r;
}

template <class F, int order, int factors>
SOFTGRAD_INLINE D16 sixteen(const D16& x, const D16& g, const D16& v, double parameter) {
  D16 y;
  SOFTGRAD_EACH_D y.v[i] = element<F, Full, order, factors>(x.v[i], g.v[i], v.v[i], parameter);
  return y;
}
template <class F, int order>
struct ForFloat {
  using type = typename F::Float;
};
template <class F>
  requires requires { typename F::FloatValue; }
struct ForFloat<F, 0> {
  using type = typename F::FloatValue;
};
template <class F, int order, int factors>
SOFTGRAD_INLINE F16 sixteen(const F16& x, const F16& g, const F16& v, double parameter) {
  if constexpr (std::is_same_v<typename ForFloat<F, order>::type, Single>) {
    const float p = static_cast<float>(parameter);
    F16 y;
    SOFTGRAD_EACH_F y.v[i] = element<F, Single, order, factors>(x.v[i], g.v[i], v.v[i], p);
    return y;
  } else {
    const D16 xd = to_double(x), gd = to_double(g), vd_ = to_double(v);
    D16 y;
    SOFTGRAD_EACH_D
    y.v[i] = element<F, Short, order, factors>(xd.v[i], gd.v[i], vd_.v[i], parameter);
    return to_float(y);
  }
}

template <class F, int order, int factors, class T>
void activation_loop(double parameter, const T* x, const T* g, const T* v, T* y, long n,
                     bool streamed) {
  auto part = [&](long j, long k) {
    const Lanes<T> a = load_head(x + j, k, T(0));
    const Lanes<T> b = factors > 0 ? load_head(g + j, k, T(0)) : a;
    const Lanes<T> c = factors > 1 ? load_head(v + j, k, T(0)) : a;
    store_head(y + j, sixteen<F, order, factors>(a, b, c, parameter), k);
  };
  auto whole = [&](long j) {
    const Lanes<T> a = load16(x + j);
    const Lanes<T> b = factors > 0 ? load16(g + j) : a;
    const Lanes<T> c = factors > 1 ? load16(v + j) : a;
    return sixteen<F, order, factors>(a, b, c, parameter);
  };
  long j = 0;
  if (streamed) {
    j = long((64 - (reinterpret_cast<std::uintptr_t>(y) & 63)) & 63) / long(sizeof(T));
    if (j > n) j = n;
    if (j) part(0, j);
    for (; j + 16 <= n; j += 16) stream16(y + j, whole(j));
    stream_fence();
  }
  for (; j + 16 <= n; j += 16) store16(y + j, whole(j));
  if (j < n) part(j, n - j);
}

template <class F, class T>
void activation_of(int order, double parameter, const T* x, const T* g, const T* v, T* y, long n,
                   bool streamed) {
  if (order == 0)
    activation_loop<F, 0, 0>(parameter, x, g, v, y, n, streamed);
  else if (order == 1 && !g)
    activation_loop<F, 1, 0>(parameter, x, g, v, y, n, streamed);
  else if (order == 1)
    activation_loop<F, 1, 1>(parameter, x, g, v, y, n, streamed);
  else if (order == slope_of_value) {
    if constexpr (has_slope_of_value<F>)
      activation_loop<F, slope_of_value, 1>(parameter, x, g, v, y, n, streamed);
  } else if (!g)
    activation_loop<F, 2, 0>(parameter, x, g, v, y, n, streamed);
  else
    activation_loop<F, 2, 2>(parameter, x, g, v, y, n, streamed);
}

template <class T>
void activation(Activation f, int order, double parameter, const T* x, const T* g, const T* v, T* y,
                long n, bool streamed) {
  using Loop = void (*)(int, double, const T*, const T*, const T*, T*, long, bool);
  static constexpr Loop loops[] = {
      // in the order of the enumeration
      activation_of<Identity, T>, activation_of<Sigmoid, T>, activation_of<LogSigmoid, T>,
      activation_of<Tanh, T>,     activation_of<Relu, T>,    activation_of<LeakyRelu, T>,
      activation_of<Elu, T>,      activation_of<Selu, T>,    activation_of<Softplus, T>,
      activation_of<Softsign, T>, activation_of<Gelu, T>,    activation_of<GeluTanh, T>,
      activation_of<Silu, T>,     activation_of<Mish, T>,
  };
  static_assert(sizeof(loops) / sizeof(loops[0]) == activation_count);
  loops[static_cast<int>(f)](order, parameter, x, g, v, y, n, streamed);
}

// The building blocks by themselves.
struct ExpUnit {
  using Float = Single;
  template <class P, int order, class R, class S>
  static SOFTGRAD_INLINE R of(R x, S) {
    return exponential<P>(x).biased * P::unbias;
  }
};
struct Log1pUnit {
  using Float = Single;
  template <class P, int order, class R, class S>
  static SOFTGRAD_INLINE R of(R x, S) {
    return log1p_unit<P>(x);
  }
};
template <class F, class T>
void building_block(const T* x, T* y, long n) {
  activation_loop<F, 0, 0, T>(0, x, nullptr, nullptr, y, n, false);
}

}  // namespace softgrad::SOFTGRAD_ISA
