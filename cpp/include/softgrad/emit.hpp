// Writing a row once its sum is known: probabilities, log-probabilities, or probabilities times a
// factor (a gradient). Element by element, so blocks, heads and tails cannot change any bit.
#pragma once

#include "row_sum.hpp"

namespace softgrad::SOFTGRAD_ISA {

// Asks for the cache lines of sixteen numbers.
template <class T>
SOFTGRAD_INLINE void fetch16(const T* p) {
  __builtin_prefetch(p, 0, 2);
  if (sizeof(T) == 8) __builtin_prefetch(p + 8, 0, 2);
}

// What goes with a row that is being written: `ahead`, if not null, is read next by the caller and
// fetched into the cache on the way, which keeps memory busy meanwhile; element `patch`, if not
// negative, gets `value` whatever the row computes for it.
template <class T>
struct Along {
  const T* ahead = nullptr;
  long patch = -1;
  T value = 0;
};

// y[j] = f(x[j]) for sixteen lanes at a time, in the element type or as doubles. With `stream`,
// aligned stores bypass the caches; a patch is then made before its line leaves.
template <bool as_double, class T, class F>
SOFTGRAD_INLINE void map_row(const T* x, T* y, long n, bool stream, F f,
                             const Along<T>& along = {}) {
  auto load = [](const T* p) {
    if constexpr (as_double)
      return load16d(p);
    else
      return load16(p);
  };
  auto store = [](T* p, const auto& v) {
    if constexpr (as_double)
      store16d(p, v);
    else
      store16(p, v);
  };
  auto part = [&](long j, long k) {
    Tail<T> t(x + j, k, T(0));
    store(t.t, f(load(t.t)));
    copy_head(y + j, t.t, k);
  };
  long j = 0;
  if (stream) {
    long head = long((64 - (reinterpret_cast<std::uintptr_t>(y) & 63)) & 63) / long(sizeof(T));
    if (head > n) head = n;
    if (head) part(0, head), j = head;
    for (; j + 16 <= n; j += 16) {
      if (along.ahead) fetch16(along.ahead + j);
      auto v = f(load(x + j));
      if (static_cast<unsigned long>(along.patch - j) < 16) {
        alignas(64) T t[lanes];
        store(t, v);
        t[along.patch - j] = along.value;
        stream16(y + j, load16(t));
      } else if constexpr (as_double) {
        stream16d(y + j, v);
      } else {
        stream16(y + j, v);
      }
    }
    if (j < n) part(j, n - j);
    if (along.patch >= 0 && (along.patch < head || along.patch >= j)) y[along.patch] = along.value;
    return;
  }
  for (; j + 32 <= n; j += 32) {
    auto a = f(load(x + j));
    auto b = f(load(x + j + 16));
    store(y + j, a);
    store(y + j + 16, b);
  }
  for (; j + 16 <= n; j += 16) store(y + j, f(load(x + j)));
  if (j < n) part(j, n - j);
  if (along.patch >= 0) y[along.patch] = along.value;
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

// y = e * factor for stored exponentials e (one rounding of the exact product, and a 2^-47 error).
SOFTGRAD_INLINE void scale_row(const float* e, float* y, long n, Scale s, bool stream,
                               const Along<float>& along = {}) {
  if (fits_float(s.hi)) {
    const float h = float(s.hi), l = float(s.hi - double(h));
    const vf vh = splat(h), vlow = splat(l);
    map_row<false>(
        e, y, n, stream,
        [&](const F16& a) {
          F16 r;
          SOFTGRAD_EACH_F r.v[i] = fma(a.v[i], vh, a.v[i] * vlow);
          return r;
        },
        along);
  } else {
    const vd h = splat(s.hi);
    map_row<true>(
        e, y, n, stream,
        [&](const D16& a) {
          D16 r;
          SOFTGRAD_EACH_D r.v[i] = a.v[i] * h;
          return r;
        },
        along);
  }
}
SOFTGRAD_INLINE void scale_row(const double* e, double* y, long n, Scale s, bool stream,
                               const Along<double>& along = {}) {
  const vd h = splat(s.hi), l = splat(s.lo);
  map_row<false>(
      e, y, n, stream,
      [&](const D16& a) {
        D16 r;
        SOFTGRAD_EACH_D r.v[i] = fma(a.v[i], h, a.v[i] * l);
        return r;
      },
      along);
}

SOFTGRAD_INLINE void exp_scale_row(const float* x, float* y, long n, const FastExp<float>& exp,
                                   Scale s, bool stream, const Along<float>& along = {}) {
  if (fits_float(s.hi)) {
    const float h = float(s.hi), l = float(s.hi - double(h));
    const vf vh = splat(h), vlow = splat(l);
    map_row<false>(
        x, y, n, stream,
        [&](const F16& a) {
          F16 r;
          SOFTGRAD_EACH_F {
            vf e = exp(a.v[i]);
            r.v[i] = fma(e, vh, e * vlow);
          }
          return r;
        },
        along);
  } else {
    const vd h = splat(s.hi);
    map_row<false>(
        x, y, n, stream,
        [&](const F16& a) {
          D16 r = to_double(apply(exp, a));
          SOFTGRAD_EACH_D r.v[i] *= h;
          return to_float(r);
        },
        along);
  }
}
SOFTGRAD_INLINE void exp_scale_row(const double* x, double* y, long n, const FastExp<double>& exp,
                                   Scale s, bool stream, const Along<double>& along = {}) {
  const vd h = splat(s.hi), l = splat(s.lo);
  map_row<false>(
      x, y, n, stream,
      [&](const D16& a) {
        D16 r;
        SOFTGRAD_EACH_D {
          vd e = exp(a.v[i]);
          r.v[i] = fma(e, h, e * l);
        }
        return r;
      },
      along);
}

// p = e * inverse for exponentials of a CarefulExp.
template <class T>
SOFTGRAD_INLINE vd careful_probability(DD e, vd h, vd l) {
  if constexpr (sizeof(T) == 4)
    return e.hi * h;
  else
    return fma(e.hi, h, fma(e.lo, h, e.hi * l));
}

// (x - max) / T - log, with the rounding errors where the type needs them.
template <class T, bool tempered>
SOFTGRAD_INLINE vd log_probability(const CarefulExp<T, tempered>& exp, vd x, vd log_hi, vd log_lo) {
  Difference d = exp.difference(x);
  if constexpr (sizeof(T) == 4) {
    return d.hi - log_hi;
  } else {
    DD y = two_sum(d.hi, -log_hi);
    vd low = y.lo + (d.lo - log_lo);
    return y.hi + (low == low ? low : vd{});  // infinite differences have no low part
  }
}

template <bool tempered, class T>
SOFTGRAD_INLINE void emit_careful(Output output, const T* x, T* y, long n, const RowSum& r,
                                  double temperature, double factor, bool stream,
                                  const Along<T>& along) {
  using Exp = CarefulExp<T, tempered>;
  const Exp exp = Exp::of(splat(r.max), temperature);
  if (output == Output::log_probability) {
    const vd h = splat(r.log_hi), l = splat(r.log_lo);
    map_row<true>(
        x, y, n, stream,
        [&](const D16& a) {
          D16 o;
          SOFTGRAD_EACH_D o.v[i] = log_probability<T>(exp, a.v[i], h, l);
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
