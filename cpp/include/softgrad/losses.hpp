// Losses of strips of entries, and the sums of their rows: the kernels of loss_kernels.hpp.
//
// An entry's result depends on that entry alone, so that it does not matter where strips begin. A
// row's sum is carried with its rounding errors; its order depends on the number of classes only.
#pragma once

#include "emit.hpp"
#include "loss_terms.hpp"
#include "row_sum.hpp"

namespace softgrad::SOFTGRAD_ISA {

template <LossKind kind, class T, bool value, Derivative wanted>
SOFTGRAD_INLINE void strip_of(const LossParameters& how, const T* x, const T* target,
                              const StripFactors& by, double* hi, double* lo, T* derivative,
                              long n) {
  const D16 ones = all16(1.0), positive = all16(how.positive);
  auto step = [&](long j, const D16& a, const D16& t, long count) {
    const D16 w = by.weight ? load16(by.weight + j) : ones;
    const D16 f = by.factor ? load16(by.factor + j) : ones;
    const D16 p = by.positive ? load16(by.positive + j) : positive;
    D16 high, low, out;
    SOFTGRAD_EACH_D {
      const vd factor = by.weight ? w.v[i] * f.v[i] : f.v[i];
      const Term r = loss_term<kind, T, value, wanted>(how, a.v[i], t.v[i], p.v[i], factor);
      if (value) {
        high.v[i] = by.weight ? unless_zero(w.v[i], r.hi) : r.hi;
        low.v[i] = by.weight ? unless_zero(w.v[i], r.lo) : r.lo;
      }
      if (wanted != Derivative::none) out.v[i] = factor == 0.0 ? vd{} : r.by;
    }
    if (value) store16(hi + j, high), store16(lo + j, low);
    if (wanted == Derivative::none) return;
    if (count == 16)
      store16d(derivative + j, out);
    else
      store_head(derivative + j, to_element<T>(out), count);
  };
  long j = 0;
  for (; j + 16 <= n; j += 16) step(j, load16d(x + j), load16d(target + j), 16);
  if (j < n)
    step(j, to_double(load_head(x + j, n - j, T(0))), to_double(load_head(target + j, n - j, T(0))),
         n - j);
}

template <LossKind kind, class T>
void strip_kind(Derivative wanted, const LossParameters& how, const T* x, const T* target,
                const StripFactors& by, double* hi, double* lo, T* derivative, long n) {
  switch (wanted) {
    case Derivative::none:
      return strip_of<kind, T, true, Derivative::none>(how, x, target, by, hi, lo, derivative, n);
    case Derivative::slope:
      if (hi)
        return strip_of<kind, T, true, Derivative::slope>(how, x, target, by, hi, lo, derivative,
                                                          n);
      return strip_of<kind, T, false, Derivative::slope>(how, x, target, by, hi, lo, derivative, n);
    case Derivative::curvature:
      return strip_of<kind, T, false, Derivative::curvature>(how, x, target, by, hi, lo, derivative,
                                                             n);
    case Derivative::target:
      return strip_of<kind, T, false, Derivative::target>(how, x, target, by, hi, lo, derivative,
                                                          n);
  }
}

template <class T>
void entries(LossKind kind, Derivative wanted, const LossParameters& how, const T* x,
             const T* target, const StripFactors& by, double* hi, double* lo, T* derivative,
             long n) {
  using Strip = void (*)(Derivative, const LossParameters&, const T*, const T*, const StripFactors&,
                         double*, double*, T*, long);
  constexpr Strip strips[loss_kinds] = {strip_kind<LossKind::log_probability, T>,
                                        strip_kind<LossKind::probability, T>,
                                        strip_kind<LossKind::divergence, T>,
                                        strip_kind<LossKind::binary, T>,
                                        strip_kind<LossKind::binary_probability, T>,
                                        strip_kind<LossKind::binary_focal, T>,
                                        strip_kind<LossKind::focal_log_probability, T>,
                                        strip_kind<LossKind::squared, T>,
                                        strip_kind<LossKind::half_squared, T>,
                                        strip_kind<LossKind::absolute, T>,
                                        strip_kind<LossKind::huber, T>};
  strips[static_cast<int>(kind)](wanted, how, x, target, by, hi, lo, derivative, n);
}

// Sums with an infinite or NaN part have a NaN error, which is dropped.
SOFTGRAD_INLINE void set_sum(double hi, double lo, double* to_hi, double* to_lo) {
  *to_hi = hi;
  *to_lo = lo == lo ? lo : 0.0;
}

// Up to tiny_classes numbers in their order: in double (float32), or with rounding errors.
template <class T>
SOFTGRAD_INLINE void sum_rows_of_few(const double* hi, const double* lo, long rows, long classes,
                                     double* sum_hi, double* sum_lo) {
  for (long r = 0; r < rows; r++, hi += classes, lo += classes) {
    double sum = hi[0], error = lo[0];
    for (long c = 1; c < classes; c++) {
      const double s = sum + hi[c], b = s - sum;
      error += sizeof(T) == 4 ? lo[c] : ((sum - (s - b)) + (hi[c] - b)) + lo[c];
      sum = s;
    }
    set_sum(sum, error, sum_hi + r, sum_lo + r);
  }
}

inline void add_strip(const double* hi, const double* lo, long n, double* sums_hi,
                      double* sums_lo) {
  Sum16 sum = {load16(sums_hi), load16(sums_lo)};
  long j = 0;
  for (; j + 16 <= n; j += 16) {
    accumulate(sum, load16(hi + j));
    sum.lo = add16(sum.lo, load16(lo + j));
  }
  if (j < n) {
    accumulate(sum, load_head(hi + j, n - j, 0.0));
    sum.lo = add16(sum.lo, load_head(lo + j, n - j, 0.0));
  }
  store16(sums_hi, sum.hi), store16(sums_lo, sum.lo);
}
inline void row_sum(const double* sums_hi, const double* sums_lo, double* hi, double* lo) {
  const DD s = combine_lanes({load16(sums_hi), load16(sums_lo)});
  set_sum(s.hi[0], s.lo[0], hi, lo);
}

template <class T>
void row_sums(const double* hi, const double* lo, long rows, long classes, double* sum_hi,
              double* sum_lo) {
  if (classes <= tiny_classes) return sum_rows_of_few<T>(hi, lo, rows, classes, sum_hi, sum_lo);
  for (long r = 0; r < rows; r++) {
    alignas(64) double sums_hi[lanes] = {}, sums_lo[lanes] = {};
    add_strip(hi + r * classes, lo + r * classes, classes, sums_hi, sums_lo);
    row_sum(sums_hi, sums_lo, sum_hi + r, sum_lo + r);
  }
}

template <class T>
bool within(const T* x, long n, T least, T most, bool nan_passes) {
  using V = Register<T>;
  const V low = splat(least), top = splat(most);
  long j = 0;
  for (; j + 16 <= n; j += 16) {
    const Lanes<T> a = load16(x + j);
    auto bad = (a.v[0] < low) | (a.v[0] > top);
    for (int i = 1; i < registers<T>; i++) bad |= (a.v[i] < low) | (a.v[i] > top);
    if (!nan_passes)
      for (int i = 0; i < registers<T>; i++) bad |= a.v[i] != a.v[i];
    if (any_lane((vi)bad)) return false;  // clang gives comparisons a type that is not vl
  }
  for (; j < n; j++)
    if (x[j] < least || x[j] > most || (!nan_passes && x[j] != x[j])) return false;
  return true;
}

template <class T>
void focal_rows(double gamma, const double* hi, const double* lo, long n, double* value_hi,
                double* value_lo, double* slope) {
  for (long j = 0; j < n; j += 16) {
    alignas(64) double a[lanes] = {}, b[lanes] = {};
    for (long k = 0; k < 16 && j + k < n; k++) a[k] = hi[j + k], b[k] = lo[j + k];
    const D16 high = load16(a), low = load16(b);
    D16 value, by;
    SOFTGRAD_EACH_D {
      const DD surprise = fast_two_sum(high.v[i], low.v[i]);
      const Term t = focal_term<T, true, Derivative::slope>(
          gamma, {surprise.hi, finite_low(surprise.lo)}, splat(1.0));
      value.v[i] = t.hi, by.v[i] = t.by;
    }
    store16(a, value), store16(b, by);
    for (long k = 0; k < 16 && j + k < n; k++)
      value_hi[j + k] = a[k], value_lo[j + k] = 0, slope[j + k] = b[k];
  }
}

template <class T>
void scale_entries(T* y, long n, double factor) {
  map_row<true>(y, y, n, false, [&](D16 v) {
    SOFTGRAD_EACH_D v.v[i] *= factor;
    return v;
  });
}

// The first of n numbers that is the largest: its index, or -1 if n is 0; NaN is passed over.
template <class T>
SOFTGRAD_INLINE long first_largest(const T* x, long n, T* largest) {
  *largest = n ? max_of(x, n) : -std::numeric_limits<T>::infinity();
  for (long j = 0; j < n; j++)
    if (x[j] == *largest) return j;
  return n ? 0 : -1;
}

template <class T>
long runner_up(const T* x, long classes, long target, double margin, double* hi, double* lo) {
  T before, behind;
  long at = first_largest(x, target, &before);
  const long later = first_largest(x + target + 1, classes - target - 1, &behind);
  if (at < 0 || (later >= 0 && behind > before)) at = later < 0 ? -1 : target + 1 + later;
  const double best = double(before > behind ? before : behind);
  double sum = best - double(x[target]);
  if (any_nan(x, classes, 1)) sum = std::numeric_limits<double>::quiet_NaN();
  const DD gap = two_sum(splat(best), splat(-double(x[target])));
  const DD total = two_sum(gap.hi, splat(margin));
  const double low = total.lo[0] + gap.lo[0];
  *hi = sum - sum == 0 ? total.hi[0] : sum;
  *lo = sum - sum == 0 && low == low ? low : 0.0;
  return at;
}

}  // namespace softgrad::SOFTGRAD_ISA
