// Sums of exponentials of one row: contiguous, block by block.
//
// A row's sum is taken in blocks of block_classes; within a block class c belongs to lane c mod 16,
// two consecutive vectors are added in the logits' type, their sums in double (float32) or with
// their rounding errors (float64), and the lanes by a fixed tree. Blocks are joined in order.
// Relative error of a sum beyond the exponentials': float32 2^-24, float64 2^-54.
#pragma once

#include "kernels.hpp"
#include "log.hpp"

namespace softgrad::SOFTGRAD_ISA {

// A sum below this (in units of 2^bias) may be less than e^2 times its largest term, which is at
// most 1.55 of these units: the logarithm is then below 2, and it and the target's gradient need
// the sum of the others.
constexpr double care_below = 12.0;

// Largest number that is not NaN; -inf if there is none.
template <class T>
SOFTGRAD_INLINE T max_of(const T* x, long n) {
  using V = Lanes<T>;
  const T lowest = -std::numeric_limits<T>::infinity();
  V a = all16(lowest), b = a, c = a, d = a;
  long j = 0;
  for (; j + 64 <= n; j += 64) {
    a = max16(load16(x + j), a);
    b = max16(load16(x + j + 16), b);
    c = max16(load16(x + j + 32), c);
    d = max16(load16(x + j + 48), d);
  }
  for (; j + 16 <= n; j += 16) a = max16(load16(x + j), a);
  if (j < n) b = max16(load_head(x + j, n - j, lowest), b);
  return max_lanes(max16(max16(a, b), max16(c, d)));
}

// The first class with the value `wanted`; 0 if there is none.
template <class T>
SOFTGRAD_INLINE long index_of(const T* p, long n, T wanted) {
  long j = 0;
  while (j + 16 <= n && !any_equal(load16(p + j), wanted)) j += 16;
  for (; j < n; j++)
    if (p[j] == wanted) return j;
  return 0;
}

template <class T>
SOFTGRAD_INLINE bool any_nan(const T* x, long n, std::ptrdiff_t stride) {
  for (long j = 0; j < n; j++)
    if (x[j * stride] != x[j * stride]) return true;
  return false;
}

template <class T>
SOFTGRAD_INLINE Lanes<T> apply(const FastExp<T>& exp, Lanes<T> x) {
  for (int i = 0; i < registers<T>; i++) x.v[i] = exp(x.v[i]);
  return x;
}

// 64 classes.
template <class T>
SOFTGRAD_INLINE void apply4(const FastExp<T>& exp, const T* x, Lanes<T>* y) {
  constexpr int width = lanes / registers<T>;
  Register<T> v[4 * registers<T>];
  for (int i = 0; i < 4 * registers<T>; i += 4) {
    for (int k = i; k < i + 4; k++) v[k] = load_register(x + k * width);
    exp.template in_step<4>(v + i);
  }
  for (int i = 0; i < 4 * registers<T>; i++) y[i / registers<T>].v[i % registers<T>] = v[i];
}

// Totals of quads: plain double for float32, compensated for float64.
template <class T>
struct QuadTotal;
template <>
struct QuadTotal<float> {
  D16 total = all16(0.0);
  SOFTGRAD_INLINE void add(const F16& quad) { total = add16(total, to_double(quad)); }
  SOFTGRAD_INLINE void add(const F16& a, const F16& b, const F16& c, const F16& d) {
    add(add16(a, b));
    add(add16(c, d));
  }
  SOFTGRAD_INLINE void result(double& hi, double& lo) const {
    hi = sum_lanes(total);
    lo = 0;
  }
};
template <>
struct QuadTotal<double> {
  Sum16 total = zero_sum();
  SOFTGRAD_INLINE void add(const D16& pair) { accumulate(total, pair); }
  SOFTGRAD_INLINE void add(const D16& a, const D16& b, const D16& c, const D16& d) {
    add(add16(a, b));
    add(add16(c, d));
  }
  SOFTGRAD_INLINE void result(double& hi, double& lo) const {
    DD s = combine_lanes(total);
    hi = s.hi[0];
    lo = s.lo[0];
  }
};

template <class T>
SOFTGRAD_INLINE FastExp<T> fast_exp(T max, double* exponent) {
  using V = typename FastExp<T>::V;
  V n;
  FastExp<T> exp = FastExp<T>::of(splat(max), &n);
  *exponent = n[0];
  return exp;
}

// The sum of exp over n <= block_classes classes; with `store`, the exponentials go to e. The
// caller may do something that waits for memory `meanwhile`, which is called every 64 classes.
template <bool store, class T, class F>
SOFTGRAD_INLINE void sum_exp(const T* x, T* e, long n, const FastExp<T>& exp, double& hi,
                             double& lo, F&& meanwhile) {
  using V = Lanes<T>;
  QuadTotal<T> total;
  long j = 0;
  for (; j + 64 <= n; j += 64) {
    V quad[4];
    apply4(exp, x + j, quad);
    if (store)
      for (int k = 0; k < 4; k++) store16(e + j + 16 * k, quad[k]);
    total.add(quad[0], quad[1], quad[2], quad[3]);
    meanwhile(j);
  }
  if (j < n) {
    V rest[4];
    for (int k = 0; k < 4; k++) rest[k] = all16(T(0));
    for (int k = 0; j < n; j += 16, k++) {
      const T lowest = -std::numeric_limits<T>::infinity();
      rest[k] = apply(exp, j + 16 <= n ? load16(x + j) : load_head(x + j, n - j, lowest));
      if (store) store_head(e + j, rest[k], j + 16 <= n ? 16 : n - j);
    }
    total.add(rest[0], rest[1], rest[2], rest[3]);
  }
  total.result(hi, lo);
}

SOFTGRAD_INLINE bool finite(double a) { return a - a == 0; }

template <class T>
void block_max(const T* x, long n, BlockSum* sum) {
  sum->max = max_of(x, n);
}

template <bool store, class T, class F>
SOFTGRAD_INLINE void block_sum_into(const T* x, T* e, long n, T max, BlockSum* sum, F&& meanwhile) {
  *sum = {max, 0, 0, 0, 0, 0};
  if (!finite(max)) {  // nothing to add, unless a NaN hides behind -inf
    if (any_nan(x, n, 1)) sum->hi = std::numeric_limits<double>::quiet_NaN();
    return;
  }
  FastExp<T> exp = fast_exp(max, &sum->exponent);
  sum->offset = exp.offset[0];
  sum_exp<store>(x, e, n, exp, sum->hi, sum->lo, meanwhile);
}
template <class T>
void block_sum(const T* x, long n, BlockSum* sum) {
  // What follows a whole block in memory is needed next; along short rows the processor finds that
  // out by itself. (GCC drops a lambda that only fetches as one without effects, unless inlined.)
  const bool whole = n == block_classes;
  auto fetch_next = [&](long j) __attribute__((always_inline)) {
    if (whole)
      for (int k = 0; k < 64; k += 16) fetch16(after(x, n + j + k));
  };
  block_sum_into<false, T>(x, nullptr, n, max_of(x, n), sum, fetch_next);
}

// The sum of exp((x - max) / T) over the classes that are not a maximum, in more than the logits'
// precision, and the number of maxima. NaN passes.
template <class T>
SOFTGRAD_INLINE void tempered_sum(const T* x, long n, double max, double temperature,
                                  BlockSum* sum) {
  using Exp = CarefulExp<T, true>;
  const Exp exp = Exp::of(splat(max), temperature);
  Sum16 total = zero_sum();
  D16 ties = all16(0.0);
  auto step = [&](const D16& v) {
    D16 e, f;
    SOFTGRAD_EACH_D {
      DD y = exp(v.v[i]);
      vl is_max = v.v[i] == exp.max;
      e.v[i] = is_max ? vd{} : y.hi;
      f.v[i] = is_max ? vd{} : y.lo;
      ties.v[i] += is_max ? splat(1.0) : vd{};
    }
    if constexpr (sizeof(T) == 4) {
      total.hi = add16(total.hi, e);
    } else {
      accumulate(total, e);
      total.lo = add16(total.lo, f);
    }
  };
  long j = 0;
  for (; j + 16 <= n; j += 16) step(load16d(x + j));
  if (j < n) step(to_double(load_head(x + j, n - j, -std::numeric_limits<T>::infinity())));
  DD s = combine_lanes(total);
  *sum = {max, 0, 0, s.hi[0] * Exp::unbias, s.lo[0] * Exp::unbias, sum_lanes(ties)};
}

// The same without a temperature, from fast exponentials and what rounding took from them, over
// that of the maximum.
template <class T>
SOFTGRAD_INLINE void sum_beside_max(const T* x, long n, double max, BlockSum* sum) {
  using V = Lanes<T>;
  constexpr T nothing = -std::numeric_limits<T>::infinity();
  constexpr int count = registers<T>;
  const Register<T> top = splat(T(max)), one = splat(T(1));
  // Terms too small for the type may make a sum that is not.
  Register<T> exponent;
  const FastExp<T> exp = FastExp<T>::of(top, &exponent, sizeof(T) == 4 ? 100 : 900);
  Sum16 total = zero_sum();
  V ties = all16(T(0)), low = ties;  // as floats: few enough, and small enough
  auto step = [&]<int many>(Register<T>* v) {
    Register<T> f[many * count];
    for (int k = 0; k < many * count; k++) {
      const auto is_max = v[k] == top;
      ties.v[k % count] += is_max ? one : Register<T>{};
      v[k] = is_max ? splat(nothing) : v[k];
    }
    for (int k = 0; k < many * count; k += many) exp.template in_step<many>(v + k, f + k);
    for (int k = 0; k < many; k++) {
      V e;
      for (int i = 0; i < count; i++) {
        e.v[i] = v[k * count + i];
        low.v[i] += f[k * count + i];
      }
      if constexpr (sizeof(T) == 4)
        total.hi = add16(total.hi, to_double(e));
      else
        accumulate(total, e);
    }
  };
  auto load = [](const V& from, Register<T>* v) {
    for (int i = 0; i < count; i++) v[i] = from.v[i];
  };
  Register<T> v[2 * count];
  long j = 0;
  for (; j + 32 <= n; j += 32) {
    load(load16(x + j), v), load(load16(x + j + 16), v + count);
    step.template operator()<2>(v);
  }
  for (; j < n; j += 16) {
    load(j + 16 <= n ? load16(x + j) : load_head(x + j, n - j, nothing), v);
    step.template operator()<1>(v);
  }
  total.lo = add16(total.lo, to_double(low));
  Register<T> unit = top, unit_low;
  exp.template in_step<1>(&unit, &unit_low);
  const DD largest = fast_two_sum(splat(double(unit[0])), splat(double(unit_low[0])));
  const DD others = multiply(combine_lanes(total), reciprocal(largest));
  *sum = {max, 0, 0, others.hi[0], others.lo[0], sum_lanes(to_double(ties))};
}
template <class T>
void careful_block_sum(const T* x, long n, double max, double temperature, BlockSum* sum) {
  if (temperature == 1.0)
    sum_beside_max(x, n, max, sum);
  else
    tempered_sum(x, n, max, temperature, sum);
}

// logsumexp - max from a sum of fast exponentials; above = max - offset.
template <class T>
SOFTGRAD_INLINE DD log_of_sum(DD total, vd exponent, vd above) {
  const DD log = log_dd<sizeof(T) == 8>(total);
  const vd n = exponent - double(FastExp<T>::bias);
  const DD shifted = add(two_sum(log.hi, n * ln2_hi), -above);
  const vd low = log.lo + (n * ln2_lo - log_of_common<T>);
  return fast_two_sum(shifted.hi, shifted.lo + low);
}

// A whole row from its blocks; its logarithm only if asked for. careful: from careful sums relative
// to the same maximum.
template <class T>
RowSum join(const BlockSum* sums, long blocks, bool careful, bool logarithm) {
  RowSum r{};
  r.careful = careful;
  r.max = sums[0].max;
  for (long b = 1; b < blocks; b++)
    if (sums[b].max > r.max) r.max = sums[b].max;
  r.special = !finite(r.max);
  if (r.special) return r;
  if (careful) {
    DD others = dd(0.0);
    double ties = 0;
    for (long b = 0; b < blocks; b++) {
      others = add(others, dd(sums[b].hi, sums[b].lo));
      ties += sums[b].ties;
    }
    others = add(others, splat(ties - 1.0));
    DD total = two_sum(splat(1.0), others.hi);
    DD inverse = reciprocal({total.hi, total.lo + others.lo});
    constexpr double unbias = CarefulExp<T, false>::unbias;
    r.others_hi = others.hi[0], r.others_lo = others.lo[0];
    r.inverse_hi = inverse.hi[0] * unbias, r.inverse_lo = inverse.lo[0] * unbias;
    if (logarithm) {
      DD log = log1p_dd<sizeof(T) == 8>(others);
      r.log_hi = log.hi[0], r.log_lo = log.lo[0];
    }
    return r;
  }
  double exponent;
  double offset = fast_exp<T>(T(r.max), &exponent).offset[0];
  DD total = dd(sums[0].hi, sums[0].lo);
  if (blocks > 1) {
    total = dd(0.0);
    for (long b = 0; b < blocks; b++) {
      const BlockSum& s = sums[b];
      if (s.max == -infinity) {  // 0, or NaN
        total = add(total, splat(s.hi));
        continue;
      }
      double distance = s.offset - offset;
      if (!(distance > -1e6)) continue;
      DD d = two_sum(splat(s.offset), splat(-offset));
      vd n = splat(s.exponent - exponent);
      DD z = add(two_sum(d.hi, n * ln2_hi), d.lo + n * ln2_lo);
      if (s.exponent == exponent && distance == 0) {
        total = add(total, dd(s.hi, s.lo));
        continue;
      }
      DD factor = exp_dd_biased(z.hi, z.lo);
      DD term = multiply(dd(s.hi, s.lo), factor);
      total = add(total, DD{term.hi * 0x1p-54, term.lo * 0x1p-54});
    }
  }
  DD inverse = reciprocal(total);
  r.inverse_hi = inverse.hi[0], r.inverse_lo = inverse.lo[0];
  r.others_hi = total.hi[0];
  if (!logarithm) return r;
  const DD log = log_of_sum<T>(total, splat(exponent), splat(r.max - offset));
  r.log_hi = log.hi[0], r.log_lo = log.lo[0];
  return r;
}

// Whether the logarithm of a fast sum may lack digits.
template <class T>
SOFTGRAD_INLINE bool lacks_digits(const RowSum& r) {
  constexpr double unit = sizeof(T) == 4 ? 0x1p25 : 0x1p54;
  static_assert(FastExp<T>::bias == (sizeof(T) == 4 ? 25 : 54));
  return !r.special && !r.careful && r.others_hi < care_below * unit;
}
template <class T>
bool needs_care(const RowSum& r) {
  return lacks_digits<T>(r);
}

}  // namespace softgrad::SOFTGRAD_ISA
