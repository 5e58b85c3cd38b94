// Losses of one entry, l(x, y), with their derivatives by x and by y, a register at a time.
//
// Everything is computed in double. For float32 the results are rounded once more; for float64 the
// logarithms, powers and differences that would lose digits are carried as two doubles. No term is
// a difference of close numbers unless the loss itself is one: a soft target between 0 and 1 of a
// binary loss, and the divergence, cancel, and their errors are relative to their terms.
//
//             value        slope        curvature    by target      domain of x
// all kinds   3 ULP        3 ULP        4 ULP        3 ULP          what the kind says, and NaN
//
// (binary_focal: each with one term; focal_log_probability: gamma / 2 ULP more.)
// A coefficient of 0 makes its term 0, also where the other factor is infinite.
#pragma once

#include "log.hpp"
#include "loss_kernels.hpp"

namespace softgrad::SOFTGRAD_ISA {

// 1 - exp(-a) for 0 <= a <= ln 2, by the series of expm1.
SOFTGRAD_INLINE vd one_minus_exp(vd a) {
  vd p = splat(0x1p0 / 1307674368000.0);  // 1/15!
  constexpr double inverse_factorial[] = {
      1.0 / 87178291200.0, 1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0,
      1.0 / 362880.0,      1.0 / 40320.0,      1.0 / 5040.0,      1.0 / 720.0,      1.0 / 120.0,
      1.0 / 24.0,          1.0 / 6.0,          1.0 / 2.0};
  vd x = -a;
  for (double c : inverse_factorial) p = fma(p, x, splat(c));
  return -fma(p, x * x, x);
}

// c * v, 0 where c is 0.
SOFTGRAD_INLINE vd unless_zero(vd c, vd v) { return c == 0.0 ? vd{} : c * v; }
SOFTGRAD_INLINE vd finite_low(vd low) { return low == low ? low : vd{}; }

// log u of any two doubles u >= 0: log 0 = -inf, log inf = inf, NaN below 0. Relative error as
// log_dd.
template <bool full>
SOFTGRAD_INLINE DD log_any(DD u) {
  vl small = u.hi < 0x1p-800, large = u.hi > 0x1p800;
  vd factor = small ? splat(0x1p300) : large ? splat(0x1p-300) : splat(1.0);
  vd k = small ? splat(-300.0) : large ? splat(300.0) : vd{};
  DD r = log_dd<full>({u.hi * factor, u.lo * factor});
  if (full) {
    DD head = two_sum(k * ln2_hi, r.hi);
    r = fast_two_sum(head.hi, head.lo + (r.lo + k * ln2_lo));
  } else {
    r.hi = fma(k, splat(ln2), r.hi);
  }
  vl regular = (u.hi > 0.0) & (u.hi < infinity);
  vd special = u.hi == 0.0  ? splat(-infinity)
               : u.hi > 0.0 ? u.hi
                            : splat(std::numeric_limits<double>::quiet_NaN());
  return {regular ? r.hi : special, regular ? r.lo : vd{}};
}

// What the logistic function and its logarithms are made of, with e = exp(-|x|).
//
// log(1 + e) = 2 artanh s, where s = e / (2 + e), or (e - 1) / (e + 3) and ln 2 more where e is
// above sqrt(2) - 1: |s| <= 0.1716, as in log.hpp. One division serves s and 1 / (1 + e).
template <class T>
struct LogOdds {
  static constexpr bool full = sizeof(T) == 8;
  static constexpr double unbias = full ? 0x1p-54 : 1.0;
  vl negative;                     // x < 0
  vd size;                         // |x|
  DD e;                            // times 1 / unbias
  DD total;                        // 1 + e
  vd inverse;                      // 1 / total
  vl upper;                        // e > sqrt(2) - 1
  vd above, below, below_inverse;  // s = above / below

  static SOFTGRAD_INLINE LogOdds of(vd x) {
    LogOdds r;
    r.negative = x < 0.0;
    r.size = r.negative ? -x : x;
    if constexpr (full)
      r.e = exp_dd_biased(-r.size, vd{});
    else
      r.e = {exp2_short(r.size * -log2e), vd{}};
    const vd e = r.e.hi * unbias;
    r.total = fast_two_sum(splat(1.0), e);
    r.total.lo += r.e.lo * unbias;
    r.upper = e > 0.41421356;
    r.above = e - (r.upper ? splat(1.0) : vd{});
    r.below = e + (r.upper ? splat(3.0) : splat(2.0));
    const vd both = 1.0 / (r.total.hi * r.below);
    r.inverse = both * r.below;
    r.below_inverse = both * r.total.hi;
    if constexpr (full) {
      const DD back = two_product(r.inverse, r.total.hi);
      const vd rest = ((1.0 - back.hi) - back.lo) - r.inverse * r.total.lo;
      r.inverse = fma(r.inverse, rest, r.inverse);
    }
    return r;
  }
  // log(1 + e) = softplus(-|x|) in one double: 2^-36 (float32), 1 ULP (float64).
  SOFTGRAD_INLINE vd softplus_of_minus_size() const {
    vd s = above * below_inverse, q = s * s, low = {};
    constexpr double tail[] = {2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15, 2.0 / 13};
    constexpr double head[] = {2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5, 2.0 / 3};
    vd p = splat(full ? 2.0 / 23 : 2.0 / 13);
    if constexpr (full) {
      // What rounding took from e - 1, from e + 2 and from e itself.
      const vd e_hi = e.hi * unbias, e_lo = e.lo * unbias;
      const vd shift = upper ? splat(1.0) : vd{}, added = upper ? splat(3.0) : splat(2.0);
      const vd above_low = (e_hi - (above + shift)) + e_lo;
      const vd below_low = (e_hi - (below - added)) + e_lo;
      const DD back = two_product(s, below);
      low = ((((above - back.hi) - back.lo) + above_low) - s * below_low) * below_inverse;
      for (double c : tail) p = fma(p, q, splat(c));
    }
    for (double c : head) p = fma(p, q, splat(c));
    const vd tiny = fma(s * q, p, 2.0 * low);
    const vd least = fma(splat(2.0), s, tiny);
    return upper ? ln2 + (2.0 * s + (tiny + 0x1.abc9e3b39803fp-56)) : least;
  }
  // The same as two doubles.
  SOFTGRAD_INLINE DD small_softplus() const {
    if constexpr (full)
      return log1p_dd<true>({e.hi * unbias, e.lo * unbias});
    else
      return {softplus_of_minus_size(), vd{}};
  }
  SOFTGRAD_INLINE DD large_softplus(DD small) const {
    DD r = two_sum(size, small.hi);
    r.lo = finite_low(r.lo + small.lo);
    return r;
  }
  SOFTGRAD_INLINE vd large() const { return inverse; }  // s(|x|)
  SOFTGRAD_INLINE vd small_biased() const {             // s(-|x|) / unbias
    return fma(e.hi, inverse, e.lo * inverse);
  }
  SOFTGRAD_INLINE vd slope_biased() const { return small_biased() * inverse; }  // s'(x) / unbias
};

// exp(-gamma a) for a >= 0, times 1 / LogOdds<T>::unbias.
template <class T>
SOFTGRAD_INLINE vd power(double gamma, DD a) {
  if constexpr (sizeof(T) == 4) {
    return exp2_short(unless_zero(splat(-gamma), a.hi) * log2e);
  } else {
    if (gamma == 0) return splat(0x1p54);
    DD z = two_product(splat(-gamma), a.hi);
    return exp_dd_biased(z.hi, finite_low(fma(splat(-gamma), a.lo, z.lo))).hi;
  }
}

struct Term {
  vd hi, lo;  // l
  vd by;      // the derivative, times `factor`
};

// -log(p) (1 - p)^gamma, and its derivatives by log p, for log p = -(hi + lo) <= 0.
template <class T, bool value, Derivative wanted>
SOFTGRAD_INLINE Term focal_term(double gamma, DD surprise, vd factor) {
  constexpr bool full = sizeof(T) == 8;
  constexpr double unbias = LogOdds<T>::unbias;
  vd a = surprise.hi;
  DD e;
  if constexpr (full)
    e = exp_dd_biased(-a, -surprise.lo);
  else
    e = {exp2_short(a * -log2e), vd{}};
  const vd p = e.hi * unbias, p_low = e.lo * unbias;
  // 1 - p: the difference, which is exact but for the error of p, or a - a^2 / 2 + ... where p is
  // close to 1.
  DD far = two_sum(splat(1.0), -p);
  DD q = {far.hi, far.lo - p_low};
  const vd rest = one_minus_exp(a) - a;
  DD near = fast_two_sum(a, rest + surprise.lo);
  vl close = p > 0.75;
  q = {close ? near.hi : q.hi, close ? near.lo : q.lo};
  DD log_q = log_any<full>(q);
  const vd raised = power<T>(gamma, {-log_q.hi, -log_q.lo});
  const vd inverse = 1.0 / q.hi;
  const vl certain = q.hi == 0.0;
  const vd ratio = certain ? splat(1.0) : unless_zero(p, a) * inverse;
  Term r{};
  if (value) r.hi = unless_zero(a, raised) * unbias;
  if (wanted == Derivative::slope)
    r.by = -(factor * raised * fma(splat(gamma), ratio, splat(1.0))) * unbias;
  if (wanted == Derivative::curvature) {
    const vd inner = (2.0 - a) + (gamma - 1.0) * ratio;
    const vd by = factor * gamma * raised * (p * inverse) * inner * unbias;
    r.by = (certain | (p == 0.0)) ? vd{} : by;
  }
  if (wanted == Derivative::target) r.by = factor * (unless_zero(a, raised) * unbias);
  return r;
}

// l and a derivative for weights of 1; `factor` multiplies the derivative.
template <LossKind kind, class T, bool value, Derivative wanted>
SOFTGRAD_INLINE Term loss_term(const LossParameters& how, vd x, vd target, vd positive, vd factor) {
  constexpr bool full = sizeof(T) == 8;
  constexpr bool slope = wanted == Derivative::slope, curvature = wanted == Derivative::curvature,
                 by_target = wanted == Derivative::target;
  const vd y = fma(target, splat(how.keep), splat(how.spread));
  const double negative = how.negative;
  const vl none = y == 0.0;
  Term r{};
  if constexpr (kind == LossKind::log_probability) {
    if (value) r.hi = none ? vd{} : -(y * x);
    if (slope) r.by = -(y * factor);
    if (by_target) r.by = (none & (x == -infinity)) ? vd{} : (factor * how.keep) * -x;
  } else if constexpr (kind == LossKind::probability) {
    if (value || by_target) {
      const vd log = log_any<full>({x, vd{}}).hi;
      r.hi = none ? vd{} : -(y * log);
      if (by_target) r.by = (none & (x == 0.0)) ? vd{} : (factor * how.keep) * -log;
    }
    if (slope) r.by = none ? vd{} : -(y * factor) / x;
    if (curvature) r.by = none ? vd{} : (y * factor) / x / x;
  } else if constexpr (kind == LossKind::divergence) {
    if (value || by_target) {
      const DD log = log_any<full>({y, vd{}});
      DD d = two_sum(log.hi, -x);
      d.lo = finite_low(d.lo + log.lo);
      const DD product = two_product(y, d.hi);
      r.hi = none ? vd{} : product.hi;
      r.lo = none ? vd{} : finite_low(fma(y, d.lo, product.lo));
      const vd by = factor * (d.hi + (d.lo + 1.0));
      if (by_target) r.by = none ? (x == -infinity ? vd{} : splat(-infinity)) : by;
    }
    if (slope) r.by = -(y * factor);
  } else if constexpr (kind == LossKind::binary || kind == LossKind::binary_focal) {
    const LogOdds<T> odds = LogOdds<T>::of(x);
    constexpr double unbias = LogOdds<T>::unbias;
    const vd yes = positive * y, no = negative * (1.0 - y);
    const vd at_small = odds.negative ? no : yes;  // the coefficient of softplus(-|x|)
    const vd at_large = odds.negative ? yes : no;
    if constexpr (kind == LossKind::binary) {
      if (value || by_target) {
        const vd small = odds.softplus_of_minus_size();
        if (value) r.hi = unless_zero(at_small, small) + unless_zero(at_large, odds.size + small);
        if (by_target) {  // P softplus(-x) - N softplus(x), where x = softplus(x) - softplus(-x)
          const vd side = odds.negative ? positive : splat(-negative);
          r.by =
              (factor * how.keep) * fma(positive - negative, small, unless_zero(side, odds.size));
        }
      }
      if (slope) {
        const vd big = odds.negative ? -yes : no, little = odds.negative ? no : -yes;
        r.by = (big * factor) * odds.large() + ((little * factor) * odds.small_biased()) * unbias;
      }
      if (curvature) r.by = (((yes + no) * factor) * odds.slope_biased()) * unbias;
    } else {
      const DD small = odds.small_softplus(), large = odds.large_softplus(small);
      const double g = how.gamma;
      const vd rare = power<T>(g, large);    // s(-|x|)^gamma, biased
      const vd common = power<T>(g, small);  // s(|x|)^gamma, biased
      const vd s_small = odds.small_biased() * unbias, s_large = odds.large();
      // Softplus times power, of the class that x speaks for and of the one it speaks against.
      const vd correct = unless_zero(small.hi, rare) * unbias;
      const vd wrong = unless_zero(large.hi, common) * unbias;
      if (value) r.hi = unless_zero(at_small, correct) + unless_zero(at_large, wrong);
      if (slope) {
        const vd c = rare * fma(splat(g), s_large * small.hi, s_small) * unbias;
        const vd w = common * fma(splat(g), unless_zero(s_small, large.hi), s_large) * unbias;
        const vd sum = unless_zero(at_large * factor, w) - unless_zero(at_small * factor, c);
        r.by = odds.negative ? -sum : sum;
      }
      if (curvature) {
        const double first = g * g, second = 2 * g + 1;
        const vd c = (rare * unbias) * s_large *
                     (first * (s_large * small.hi) + second * s_small - g * (s_small * small.hi));
        // Biased until the end: a subnormal s(-|x|) has lost digits that its softplus would show.
        const vd little = odds.small_biased(), tail = unless_zero(little, large.hi);
        const vd inner =
            little * (first * (tail * unbias) + second * s_large) - g * (s_large * tail);
        const vd w = ((common * unbias) * inner) * unbias;
        r.by = unless_zero(at_small * factor, c) + unless_zero(at_large * factor, w);
      }
      if (by_target) {
        const vd a = unless_zero(odds.negative ? splat(negative) : positive, correct);
        const vd b = unless_zero(odds.negative ? positive : splat(negative), wrong);
        r.by = (factor * how.keep) * (odds.negative ? b - a : a - b);
      }
    }
  } else if constexpr (kind == LossKind::binary_probability) {
    const vd yes = positive * y, no = negative * (1.0 - y);
    const DD other = two_sum(splat(1.0), -x);
    if (value || by_target) {
      const vd log_yes = log_any<full>({x, vd{}}).hi, log_no = log_any<full>(other).hi;
      r.hi = -(unless_zero(yes, log_yes) + unless_zero(no, log_no));
      if (by_target)
        r.by = (factor * how.keep) *
               (unless_zero(splat(negative), log_no) - unless_zero(positive, log_yes));
    }
    const vd from_yes = yes == 0.0 ? vd{} : (yes * factor) / x;
    const vd from_no = no == 0.0 ? vd{} : (no * factor) / other.hi;
    if (slope) r.by = from_no - from_yes;
    if (curvature) {
      const vd a = yes == 0.0 ? vd{} : from_yes / x, b = no == 0.0 ? vd{} : from_no / other.hi;
      r.by = a + b;
    }
  } else if constexpr (kind == LossKind::focal_log_probability) {
    const Term t = focal_term<T, value, wanted>(how.gamma, {-x, vd{}}, factor);
    if (value) r.hi = unless_zero(y, t.hi);
    if (slope || curvature) r.by = unless_zero(y, t.by);
    if (by_target) r.by = (none & (x == -infinity)) ? vd{} : t.by * how.keep;
  } else {
    const vd d = x - y, size = d < 0.0 ? -d : d;
    if constexpr (kind == LossKind::squared || kind == LossKind::half_squared) {
      constexpr double scale = kind == LossKind::squared ? 1.0 : 0.5;
      if (value) r.hi = (scale * d) * d;
      if (slope) r.by = (2 * scale * d) * factor;
      if (curvature) r.by = d == d ? 2 * scale * factor : d;
      if (by_target) r.by = (-2 * scale * d) * factor;
    } else {
      constexpr bool smooth = kind == LossKind::huber;
      const double delta = smooth ? how.delta : 0.0;
      const vd one = d > 0.0 ? splat(1.0) : d < 0.0 ? splat(-1.0) : d;  // the sign; NaN stays
      const vl inner = size <= delta;
      if constexpr (smooth) {
        if (value) r.hi = inner ? 0.5 * d * d : delta * (size - 0.5 * delta);
        const vd by = inner ? d : delta * one;
        if (slope) r.by = by * factor;
        if (by_target) r.by = -by * factor;
        if (curvature) r.by = inner ? factor : d == d ? vd{} : d;
      } else {
        if (value) r.hi = size;
        if (slope) r.by = one * factor;
        if (by_target) r.by = -one * factor;
        if (curvature) r.by = d == d ? vd{} : d;
      }
    }
  }
  return r;
}

}  // namespace softgrad::SOFTGRAD_ISA
