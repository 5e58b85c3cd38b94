// Sixteen rows side by side: tile[class * 16 + row].
//
// Few classes leave lanes of a row idle, and classes that lie apart in memory cannot be loaded as a
// vector; a tile gives each row a lane instead. Rows that are neighbours in memory (a softmax over
// the first axis) come up to 64 at a time, as tiles one after the other: their cache lines follow
// one another in memory, which is faster than one line a class, and where the distance of two
// classes is a power of two they do not all fall into one set of the cache. Other rows are moved
// element by element inside the L1 cache.
#pragma once

#include <type_traits>

#include "row_sum.hpp"

namespace softgrad::SOFTGRAD_ISA {

template <class T>
SOFTGRAD_INLINE bool neighbours(const Rows<T>& x) {
  for (long i = 1; i < x.count; i++)
    if (x.row[i] != x.row[0] + i) return false;
  return true;
}

// Rows from `first` on, at most sixteen.
template <class T>
SOFTGRAD_INLINE Rows<T> part_of(const Rows<T>& x, long first) {
  Rows<T> r;
  r.stride = x.stride;
  r.count = x.count - first < bundle_rows ? x.count - first : bundle_rows;
  for (long i = 0; i < r.count; i++) r.row[i] = x.row[first + i];
  return r;
}

// f(c, w, tile) for the classes of `tiles` neighbouring tiles; f moves sixteen numbers.
template <class F>
SOFTGRAD_INLINE void each_line(long tiles, long classes, F f) {
  auto run = [&]<int n>() {
    for (long c = 0; c < classes; c++) {
#pragma GCC unroll 4
      for (int w = 0; w < n; w++) f(c, w);
    }
  };
  static_assert(wide_rows == 4 * bundle_rows);
  if (tiles == 4)
    run.template operator()<4>();
  else if (tiles == 3)
    run.template operator()<3>();
  else if (tiles == 2)
    run.template operator()<2>();
  else if (tiles == 1)
    run.template operator()<1>();
}

// f(row, class, classes, registers) for the squares of a tile of contiguous rows: as many rows as a
// register has numbers and as many classes, or fewer in the last one. Returns the first class of
// those that are not worth a square.
template <class T, class F>
SOFTGRAD_INLINE long each_square(const Rows<T>& x, long classes, F f) {
  if (x.count != bundle_rows || x.stride != 1) return 0;
  constexpr int w = lanes / registers<std::remove_const_t<T>>;
  long c = 0;
  for (; c < classes; c += w) {
    const int n = classes - c < w ? int(classes - c) : w;
    if (n < w && (vector_bytes < 64 || 2 * n <= w)) break;  // masked moves are AVX-512's
    for (int i = 0; i < bundle_rows; i += w) {
      Register<std::remove_const_t<T>> a[w];
      f(i, c, n, a);
    }
  }
  return c < classes ? c : classes;
}

template <class T>
SOFTGRAD_INLINE void gather_tile(const Rows<const T>& x, long classes, T* tile) {
  const std::ptrdiff_t stride = x.stride;
  constexpr int w = lanes / registers<T>;
  const long done = each_square(x, classes, [&](int i, long c, int n, Register<T>* a) {
#pragma GCC unroll 16
    for (int k = 0; k < w; k++) {
      const T* from = x.row[i + k] + c;
      a[k] = n == w ? load_register(from) : load_head(from, n, T(0)).v[0];
    }
    transpose<T>(a);
    for (int k = 0; k < n; k++) store_register(tile + 16 * (c + k) + i, a[k]);
  });
  if (x.count == bundle_rows) {
    const T* p[bundle_rows];
    for (int i = 0; i < bundle_rows; i++) p[i] = x.row[i];
    for (long c = done; c < classes; c++) {
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
SOFTGRAD_INLINE Lanes<T> tile_max(const T* tile, long classes) {
  auto m = all16(-std::numeric_limits<T>::infinity());
  for (long c = 0; c < classes; c++) m = max16(load16(tile + 16 * c), m);
  return m;
}

// At most sixteen rows.
template <class T>
SOFTGRAD_INLINE void load_tile(const Rows<const T>& x, long classes, T* tile) {
  if (x.count == bundle_rows && neighbours(x))
    for (long c = 0; c < classes; c++) store16(tile + 16 * c, load16(x.row[0] + c * x.stride));
  else
    gather_tile(x, classes, tile);
}

// All rows of a bundle, as tiles of sixteen; lanes without a row hold 0. With `max`, the largest
// number of every row that is not NaN, -inf if there is none.
template <class T>
SOFTGRAD_INLINE void load_tiles(const Rows<const T>& x, long classes, T* tiles,
                                Lanes<T>* max = nullptr) {
  using V = Lanes<T>;
  const long whole = neighbours(x) ? x.count / bundle_rows : 0;
  const T* p = x.row[0];
  const std::ptrdiff_t stride = x.stride;
  V most[wide_rows / 16];
  for (int w = 0; w < wide_rows / 16; w++) most[w] = all16(-std::numeric_limits<T>::infinity());
  each_line(whole, classes, [&](long c, int w) {
    const T* from = p + c * stride + 16 * w;
    const V v = load16(from);
    most[w] = max16(v, most[w]);
    store16(tiles + 16 * (w * classes + c), v);
  });
  for (long i = 16 * whole; i < x.count; i += 16) {
    gather_tile(x.count <= bundle_rows ? x : part_of(x, i), classes, tiles + i * classes);
    if (max) most[i / 16] = tile_max(tiles + i * classes, classes);
  }
  if (max)
    for (int w = 0; 16 * w < x.count; w++) max[w] = most[w];
}

template <class T>
SOFTGRAD_INLINE void scatter_tile(const T* tile, const Rows<T>& y, long classes) {
  const std::ptrdiff_t stride = y.stride;
  constexpr int w = lanes / registers<T>;
  const long done = each_square(y, classes, [&](int i, long c, int n, Register<T>* a) {
#pragma GCC unroll 16
    for (int k = 0; k < w; k++) a[k] = load_register(tile + 16 * (c + (k < n ? k : 0)) + i);
    transpose<T>(a);
#pragma GCC unroll 16
    for (int k = 0; k < w; k++) {
      T* to = y.row[i + k] + c;
      if (n == w) {
        store_register(to, a[k]);
      } else {
        Lanes<T> v = all16(T(0));
        v.v[0] = a[k];
        store_head(to, v, n);
      }
    }
  });
  if (y.count == bundle_rows) {
    T* p[bundle_rows];
    for (int i = 0; i < bundle_rows; i++) p[i] = y.row[i];
    for (long c = done; c < classes; c++) {
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
SOFTGRAD_INLINE bool lines_of(const Rows<T>& y) {
  return ((reinterpret_cast<std::uintptr_t>(y.row[0]) | std::uintptr_t(y.stride) * sizeof(T)) &
          63) == 0;
}
// At most sixteen rows.
template <class T>
SOFTGRAD_INLINE void store_tile(const T* tile, const Rows<T>& y, long classes, bool stream) {
  T* p = y.row[0];
  if (!(y.count == bundle_rows && neighbours(y)))
    scatter_tile(tile, y, classes);
  else if (stream && lines_of(y))
    for (long c = 0; c < classes; c++) stream16(p + c * y.stride, load16(tile + 16 * c));
  else
    for (long c = 0; c < classes; c++) store16(p + c * y.stride, load16(tile + 16 * c));
}
// Writes f(lanes, w, c), the sixteen lanes of class c of tile w, to the rows of y.
// `tiles` is overwritten where rows are not neighbours.
template <class T, class F>
SOFTGRAD_INLINE void store_tiles(T* tiles, const Rows<T>& y, long classes, bool stream, F f) {
  const long whole = neighbours(y) ? y.count / bundle_rows : 0;
  T* p = y.row[0];
  const std::ptrdiff_t stride = y.stride;
  if (stream && lines_of(y))
    each_line(whole, classes, [&](long c, int w) {
      stream16(p + c * stride + 16 * w, f(load16(tiles + 16 * (w * classes + c)), w, c));
    });
  else
    each_line(whole, classes, [&](long c, int w) {
      store16(p + c * stride + 16 * w, f(load16(tiles + 16 * (w * classes + c)), w, c));
    });
  for (long i = 16 * whole; i < y.count; i += 16) {
    T* tile = tiles + i * classes;
    for (long c = 0; c < classes; c++)
      store16(tile + 16 * c, f(load16(tile + 16 * c), int(i / 16), c));
    scatter_tile(tile, y.count <= bundle_rows ? y : part_of(y, i), classes);
  }
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
