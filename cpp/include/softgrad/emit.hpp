// Writing a row once its sum is known: probabilities, log-probabilities, or probabilities times a
// factor (a gradient). Element by element, so blocks, heads and tails cannot change any bit.
#pragma once

#include "row_sum.hpp"

namespace softgrad::SOFTGRAD_ISA {

// What goes with a row that is being written: `ahead`, if not null, is read next by the caller and
// fetched into the cache on the way, which keeps memory busy meanwhile; element `patch`, if not
// negative, gets `value` whatever the row computes for it.
template <class T>
struct Along {
  const T* ahead = nullptr;
  long patch = -1;
  T value = 0;
};

// y[j] = f(x[j]) over a row, sixteen lanes at a time, in the element type or as doubles. It goes in
// steps, so that a caller can compute something else between them: stores that wait for memory then
// cost nothing. With `stream`, aligned stores bypass the caches; a patch is then made before its
// line leaves.
template <bool as_double, class T, class F>
class RowMap {
 public:
  static constexpr long step = 64;

  RowMap() = default;
  SOFTGRAD_INLINE RowMap(const T* x, T* y, long n, bool stream, F f, const Along<T>& along)
      : x_(x), y_(y), n_(n), stream_(stream), f_(f), along_(along) {
    if (!stream) return;
    long head = long((64 - (reinterpret_cast<std::uintptr_t>(y) & 63)) & 63) / long(sizeof(T));
    if (head > n) head = n;
    if (head) part(head);
  }
  // Maps the next elements, if there are as many as a step has.
  SOFTGRAD_INLINE void advance() {
    if (j_ + step > n_) return;
#pragma GCC unroll 4
    for (int k = 0; k < step / 16; k++) vector();
  }
  SOFTGRAD_INLINE void finish() {
    while (j_ + step <= n_) advance();
    while (j_ + 16 <= n_) vector();
    if (j_ < n_) part(n_ - j_);
  }

 private:
  static SOFTGRAD_INLINE auto load(const T* p) {
    if constexpr (as_double)
      return load16d(p);
    else
      return load16(p);
  }
  template <class V>
  static SOFTGRAD_INLINE void store(T* p, const V& v) {
    if constexpr (as_double)
      store16d(p, v);
    else
      store16(p, v);
  }
  SOFTGRAD_INLINE void part(long k) {
    const Lanes<T> x = load_head(x_ + j_, k, T(0));
    Lanes<T> y;
    if constexpr (as_double)
      y = to_element<T>(f_(to_double(x)));
    else
      y = f_(x);
    store_head(y_ + j_, y, k);
    if (along_.patch >= j_ && along_.patch < j_ + k) y_[along_.patch] = along_.value;
    j_ += k;
  }
  SOFTGRAD_INLINE void vector() {
    const T* ahead = along_.ahead;
    if (ahead) fetch16(ahead + j_);
    const auto v = f_(load(x_ + j_));
    T* to = y_ + j_;
    if (static_cast<unsigned long>(along_.patch - j_) < 16) {
      alignas(64) T t[lanes];
      store(t, v);
      t[along_.patch - j_] = along_.value;
      write(to, load16(t));
    } else if constexpr (as_double) {
      write(to, to_element<T>(v));
    } else {
      write(to, v);
    }
    j_ += 16;
  }
  SOFTGRAD_INLINE void write(T* to, const Lanes<T>& v) {
    if (stream_)
      stream16(to, v);
    else
      store16(to, v);
  }

  const T* x_ = nullptr;
  T* y_ = nullptr;
  long n_ = 0, j_ = 0;
  bool stream_ = false;
  F f_;
  Along<T> along_;
};
template <bool as_double, class T, class F>
SOFTGRAD_INLINE void map_row(const T* x, T* y, long n, bool stream, F f,
                             const Along<T>& along = {}) {
  RowMap<as_double, T, F> map(x, y, n, stream, f, along);
  map.finish();
}

template <class T>
SOFTGRAD_INLINE void fill_row(T* y, long n, std::ptrdiff_t stride, T value) {
  for (long j = 0; j < n; j++) y[j * stride] = value;
}

// The factor from biased exponentials to factor * probability, split for one fma.
struct Scale {
  double hi, lo;
};
SOFTGRAD_INLINE Scale scale_of(const RowSum& r, double factor) {
  if (factor == 1.0) return {r.inverse_hi, r.inverse_lo};
  DD s = multiply(dd(r.inverse_hi, r.inverse_lo), dd(factor));
  return {s.hi[0], s.lo[0]};
}
// float: whether the split factor is far enough from underflow to be held in floats.
SOFTGRAD_INLINE bool fits_float(double hi) {
  double a = hi < 0 ? -hi : hi;
  return a > 0x1p-100 && a < 0x1p100;
}

// The factor in the element type: e * factor is the exact product rounded once, with an error of
// 2^-47 (float32) or 2^-105 before that.
template <class T>
struct Factor {
  Register<T> h, l;

  static SOFTGRAD_INLINE Factor of(Scale s) {
    const T h = T(s.hi);
    return {splat(h), splat(sizeof(T) == 4 ? T(s.hi - double(h)) : T(s.lo))};
  }
  SOFTGRAD_INLINE Register<T> times(Register<T> e) const { return fma(e, h, e * l); }
  SOFTGRAD_INLINE Lanes<T> operator()(Lanes<T> e) const {
    for (int i = 0; i < registers<T>; i++) e.v[i] = times(e.v[i]);
    return e;
  }
};
// Whether the element type holds it.
template <class T>
SOFTGRAD_INLINE bool fits(Scale s) {
  return sizeof(T) == 8 || fits_float(s.hi);
}
// Where it does not, in double.
struct WideFactor {
  vd h;
  SOFTGRAD_INLINE D16 operator()(D16 e) const {
    SOFTGRAD_EACH_D e.v[i] *= h;
    return e;
  }
};

// y = e * factor for stored exponentials e.
template <class T>
using ScaledRow = RowMap<false, T, Factor<T>>;
template <class T>
SOFTGRAD_INLINE void scale_row(const T* e, T* y, long n, Scale s, bool stream,
                               const Along<T>& along = {}) {
  if (fits<T>(s))
    map_row<false>(e, y, n, stream, Factor<T>::of(s), along);
  else
    map_row<true>(e, y, n, stream, WideFactor{splat(s.hi)}, along);
}
// The same in steps; what does not fit is done at once.
template <class T>
SOFTGRAD_INLINE ScaledRow<T> start_scaling(const T* e, T* y, long n, Scale s, bool stream,
                                           const Along<T>& along) {
  if (fits<T>(s)) return ScaledRow<T>(e, y, n, stream, Factor<T>::of(s), along);
  scale_row(e, y, n, s, stream, along);
  return {};
}

// y = exp(x) * factor.
template <class T>
SOFTGRAD_INLINE void exp_scale_row(const T* x, T* y, long n, const FastExp<T>& exp, Scale s,
                                   bool stream, const Along<T>& along = {}) {
  if (fits<T>(s)) {
    const auto factor = Factor<T>::of(s);
    map_row<false>(
        x, y, n, stream, [&](const Lanes<T>& a) { return factor(apply(exp, a)); }, along);
  } else {
    const WideFactor factor = {splat(s.hi)};
    map_row<false>(
        x, y, n, stream,
        [&](const Lanes<T>& a) { return to_element<T>(factor(to_double(apply(exp, a)))); }, along);
  }
}

// p = e * inverse for exponentials of a CarefulExp.
template <class T>
SOFTGRAD_INLINE vd careful_probability(DD e, vd h, vd l) {
  if constexpr (sizeof(T) == 4)
    return e.hi * h;
  else
    return fma(e.hi, h, fma(e.lo, h, e.hi * l));
}

// (x - max) / T - log for a row, or for a row in each lane.
template <class T, bool tempered>
struct LogProbability {
  CarefulExp<T, tempered> exp;
  vd log_hi, log_lo;

  static SOFTGRAD_INLINE LogProbability of(const CarefulExp<T, tempered>& exp, vd hi, vd lo) {
    return {exp, hi, lo};
  }
  SOFTGRAD_INLINE vd operator()(vd x) const {
    const Difference d = exp.difference(x);
    if constexpr (sizeof(T) == 4) return d.hi - log_hi;
    const DD y = two_sum(d.hi, -log_hi);
    const vd low = y.lo + (d.lo - log_lo);
    return y.hi + (low == low ? low : vd{});  // infinite differences have no low part
  }
};
// float64 without a temperature: x - (max + log). The sum is kept in two parts, so that a logarithm
// far below the maximum keeps its digits.
template <>
struct LogProbability<double, false> {
  vd hi, lo;

  static SOFTGRAD_INLINE LogProbability of(const CarefulExp<double, false>& exp, vd log_hi,
                                           vd log_lo) {
    const DD s = two_sum(exp.max, log_hi);
    return {s.hi, s.lo + log_lo};
  }
  SOFTGRAD_INLINE vd operator()(vd x) const {
    const DD y = two_sum(x, -hi);
    const vd low = y.lo - lo;
    return y.hi + (low == low ? low : vd{});
  }
};

template <bool tempered, class T>
SOFTGRAD_INLINE void emit_careful(Output output, const T* x, T* y, long n, const RowSum& r,
                                  double temperature, double factor, bool stream,
                                  const Along<T>& along) {
  using Exp = CarefulExp<T, tempered>;
  const Exp exp = Exp::of(splat(r.max), temperature);
  if (output == Output::log_probability) {
    const auto log_p = LogProbability<T, tempered>::of(exp, splat(r.log_hi), splat(r.log_lo));
    map_row<true>(
        x, y, n, stream,
        [&](const D16& a) {
          D16 o;
          SOFTGRAD_EACH_D o.v[i] = log_p(a.v[i]);
          return o;
        },
        along);
    return;
  }
  Scale s = scale_of(r, factor);
  const vd h = splat(s.hi), l = splat(s.lo);
  map_row<true>(
      x, y, n, stream,
      [&](const D16& a) {
        D16 o;
        SOFTGRAD_EACH_D o.v[i] = careful_probability<T>(exp(a.v[i]), h, l);
        return o;
      },
      along);
}

template <class T>
SOFTGRAD_INLINE void emit_along(Output output, const T* x, T* y, long n, const RowSum& r,
                                double temperature, double factor, bool stream,
                                const Along<T>& along) {
  if (r.special) {
    fill_row(y, n, 1, std::numeric_limits<T>::quiet_NaN());
    return;
  }
  if (temperature != 1.0) {
    emit_careful<true>(output, x, y, n, r, temperature, factor, stream, along);
  } else if (output == Output::log_probability || r.careful) {
    emit_careful<false>(output, x, y, n, r, temperature, factor, stream, along);
  } else {
    double exponent;
    exp_scale_row(x, y, n, fast_exp<T>(T(r.max), &exponent), scale_of(r, factor), stream, along);
  }
}

template <class T>
void emit(Output output, const T* x, T* y, long n, const RowSum& r, double temperature,
          double factor, bool stream) {
  emit_along<T>(output, x, y, n, r, temperature, factor, stream, {});
}

}  // namespace softgrad::SOFTGRAD_ISA
