// Sixteen rows side by side: tile[class * 16 + row].
//
// Few classes leave lanes of a row idle, and classes that lie apart in memory cannot be loaded as a
// vector; a tile gives each row a lane instead. Rows that are neighbours in memory (a softmax over
// the first axis) are moved a cache line at a time, others element by element inside the L1 cache.
#pragma once

#include "row_sum.hpp"

namespace softgrad::SOFTGRAD_ISA {

template <class T>
SOFTGRAD_INLINE bool neighbours(const Rows<T>& x) {
  if (x.count != bundle_rows) return false;
  for (long i = 1; i < bundle_rows; i++)
    if (x.row[i] != x.row[0] + i) return false;
  return true;
}

template <class T>
SOFTGRAD_INLINE void load_tile(const Rows<const T>& x, long classes, T* tile) {
  const std::ptrdiff_t stride = x.stride;
  if (neighbours(x)) {
    const T* p = x.row[0];
    for (long c = 0; c < classes; c++, p += stride) {
      __builtin_prefetch(p + 16 * stride);
      store16(tile + 16 * c, load16(p));
    }
  } else if (x.count == bundle_rows) {
    const T* p[bundle_rows];
    for (int i = 0; i < bundle_rows; i++) p[i] = x.row[i];
    for (long c = 0; c < classes; c++) {
      T* to = tile + 16 * c;
#pragma GCC unroll 16
      for (int i = 0; i < bundle_rows; i++) to[i] = p[i][c * stride];
    }
  } else {
    for (long c = 0; c < classes; c++) {
      for (long i = 0; i < x.count; i++) tile[16 * c + i] = x.row[i][c * stride];
      for (long i = x.count; i < bundle_rows; i++) tile[16 * c + i] = T(0);
    }
  }
}

template <class T>
SOFTGRAD_INLINE void store_tile(const T* tile, const Rows<T>& y, long classes, bool stream) {
  const std::ptrdiff_t stride = y.stride;
  if (neighbours(y)) {
    T* p = y.row[0];
    bool aligned =
        ((reinterpret_cast<std::uintptr_t>(p) | std::uintptr_t(stride) * sizeof(T)) & 63) == 0;
    if (stream && aligned)
      for (long c = 0; c < classes; c++, p += stride) stream16(p, load16(tile + 16 * c));
    else
      for (long c = 0; c < classes; c++, p += stride) store16(p, load16(tile + 16 * c));
  } else if (y.count == bundle_rows) {
    T* p[bundle_rows];
    for (int i = 0; i < bundle_rows; i++) p[i] = y.row[i];
    for (long c = 0; c < classes; c++) {
      const T* from = tile + 16 * c;
#pragma GCC unroll 16
      for (int i = 0; i < bundle_rows; i++) p[i][c * stride] = from[i];
    }
  } else {
    for (long c = 0; c < classes; c++)
      for (long i = 0; i < y.count; i++) y.row[i][c * stride] = tile[16 * c + i];
  }
}

template <class T>
SOFTGRAD_INLINE typename LanesOf<T>::type tile_max(const T* tile, long classes) {
  auto m = all16(-std::numeric_limits<T>::infinity());
  for (long c = 0; c < classes; c++) m = max16(load16(tile + 16 * c), m);
  return m;
}

// Rows of a tile after the careful sum over few classes: a lane per row.
template <class T, bool tempered>
struct TinySum {
  CarefulExp<T, tempered> exp[regs_d];
  D16 max, others_hi, others_lo, log_hi, log_lo, inverse_hi, inverse_lo;
};

// One register of rows at a time; e keeps the exponentials (two parts for float64).
template <class T, bool tempered>
SOFTGRAD_INLINE void tiny_sum(const T* tile, long classes, double temperature, double* e,
                              double* e_low, TinySum<T, tempered>& s) {
  using Exp = CarefulExp<T, tempered>;
  s.max = to_double(tile_max(tile, classes));
  SOFTGRAD_EACH_D s.exp[i] = Exp::of(s.max.v[i], temperature);
  D16 hi = all16(0.0), lo = hi, ties = hi;
  for (long c = 0; c < classes; c++) {
    D16 x = load16d(tile + 16 * c);
    D16 eh, el;
    SOFTGRAD_EACH_D {
      DD y = s.exp[i](x.v[i]);
      vl is_max = x.v[i] == s.max.v[i];
      eh.v[i] = y.hi, el.v[i] = y.lo;
      ties.v[i] += is_max ? splat(1.0) : vd{};
      if constexpr (sizeof(T) == 4) {
        hi.v[i] += is_max ? vd{} : y.hi;
      } else {
        DD t = two_sum(hi.v[i], is_max ? vd{} : y.hi);
        hi.v[i] = t.hi;
        lo.v[i] += t.lo + (is_max ? vd{} : y.lo);
      }
    }
    store16(e + 16 * c, eh);
    if constexpr (sizeof(T) == 8) store16(e_low + 16 * c, el);
  }
  SOFTGRAD_EACH_D {
    const vd unusual = s.max.v[i] - s.max.v[i];  // NaN where the row has no finite maximum
    if constexpr (sizeof(T) == 4) {
      vd others = hi.v[i] + (ties.v[i] - 1.0) + unusual;
      s.others_hi.v[i] = others, s.others_lo.v[i] = vd{};
      s.inverse_hi.v[i] = 1.0 / (1.0 + others), s.inverse_lo.v[i] = vd{};
    } else {
      DD others =
          add(DD{hi.v[i] * Exp::unbias, lo.v[i] * Exp::unbias}, (ties.v[i] - 1.0) + unusual);
      s.others_hi.v[i] = others.hi, s.others_lo.v[i] = others.lo;
      DD total = two_sum(splat(1.0), others.hi);
      DD inverse = reciprocal({total.hi, total.lo + others.lo});
      s.inverse_hi.v[i] = inverse.hi * Exp::unbias, s.inverse_lo.v[i] = inverse.lo * Exp::unbias;
    }
  }
}
template <class T, bool tempered>
SOFTGRAD_INLINE void tiny_log(TinySum<T, tempered>& s) {
  SOFTGRAD_EACH_D {
    DD log = log1p_dd<sizeof(T) == 8>({s.others_hi.v[i], s.others_lo.v[i]});
    s.log_hi.v[i] = log.hi, s.log_lo.v[i] = log.lo;
  }
}

}  // namespace softgrad::SOFTGRAD_ISA
