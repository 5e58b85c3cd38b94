// 33 to 4096 classes that lie apart: the row algorithm in tiles, a lane per row.
#pragma once

#include "packing.hpp"
#include "row_blocks.hpp"

namespace softgrad::SOFTGRAD_ISA {

template <class T>
struct TileSum {
  FastExp<T> exp[registers<T>];
  Lanes<T> exponent, offset;

  // Of rows with maxima `max`. A row without a finite one is special, and filled in afterwards.
  static SOFTGRAD_INLINE TileSum of(const Lanes<T>& max) {
    TileSum s;
    for (int i = 0; i < registers<T>; i++) {
      const Register<T> m = max.v[i];
      s.exp[i] = FastExp<T>::of(m - m == 0 ? m : Register<T>{}, &s.exponent.v[i]);
      s.offset.v[i] = s.exp[i].offset;
    }
    return s;
  }
  SOFTGRAD_INLINE Lanes<T> operator()(Lanes<T> x) const {
    for (int i = 0; i < registers<T>; i++) x.v[i] = exp[i](x.v[i]);
    return x;
  }
};

// The lanes' sums of a tile, one for each of a row's sixteen lanes, by the fixed tree of a row's
// lanes: hi and lo of every row.
template <class T>
SOFTGRAD_INLINE void combine_tile(QuadTotal<T>* total, double* hi, double* lo) {
  for (int w = lanes / 2; w; w >>= 1)
    for (int l = 0; l < w; l++) {
      if constexpr (sizeof(T) == 4) {
        total[l].total = add16(total[l].total, total[l + w].total);
      } else {
        SOFTGRAD_EACH_D {
          DD t = two_sum(total[l].total.hi.v[i], total[l + w].total.hi.v[i]);
          total[l].total.hi.v[i] = t.hi;
          total[l].total.lo.v[i] = (total[l].total.lo.v[i] + total[l + w].total.lo.v[i]) + t.lo;
        }
      }
    }
  if constexpr (sizeof(T) == 4) {
    store16(hi, total[0].total);
    store16(lo, all16(0.0));
  } else {
    SOFTGRAD_EACH_D {
      DD t = fast_two_sum(total[0].total.hi.v[i], total[0].total.lo.v[i]);
      total[0].total.hi.v[i] = t.hi, total[0].total.lo.v[i] = t.lo;
    }
    store16(hi, total[0].total.hi);
    store16(lo, total[0].total.lo);
  }
}

// Sums the exponentials of a tile with maxima `max` as sum_exp does for a row; with `store` they
// replace the logits.
template <bool store, class T>
SOFTGRAD_INLINE void tile_sum(T* tile, const Lanes<T>& max, long classes, bool logarithm,
                              long count, RowSum* row) {
  using V = Lanes<T>;
  const TileSum<T> exp = TileSum<T>::of(max);
  auto exp_at = [&](long c) {
    const V v = exp(load16(tile + 16 * c));
    if (store) store16(tile + 16 * c, v);
    return v;
  };
  QuadTotal<T> total[lanes];
  long c = 0;
  for (; c + 64 <= classes; c += 64)
    for (int l = 0; l < lanes; l++)
      total[l].add(exp_at(c + l), exp_at(c + 16 + l), exp_at(c + 32 + l), exp_at(c + 48 + l));
  for (int l = 0; c + l < classes && l < lanes; l++) {
    V quad[4];
    for (int k = 0; k < 4; k++)
      quad[k] = c + 16 * k + l < classes ? exp_at(c + 16 * k + l) : all16(T(0));
    total[l].add(quad[0], quad[1], quad[2], quad[3]);
  }
  double hi[bundle_rows], lo[bundle_rows];
  combine_tile(total, hi, lo);
  alignas(64) T m[lanes], offset[lanes], exponent[lanes];
  store16(m, max), store16(offset, exp.offset), store16(exponent, exp.exponent);
  for (long i = 0; i < count; i++) {
    BlockSum b = {double(m[i]), double(offset[i]), double(exponent[i]), hi[i], lo[i], 0};
    row[i] = join<T>(&b, 1, false, logarithm);
  }
}
template <bool store, class T>
SOFTGRAD_INLINE void sum_tiles(T* tiles, const Lanes<T>* max, long classes, bool logarithm,
                               long count, RowSum* row) {
  for (long i = 0; i < count; i += bundle_rows)
    tile_sum<store>(tiles + i * classes, max[i / 16], classes, logarithm,
                    count - i < bundle_rows ? count - i : bundle_rows, row + i);
}

// The careful sum of one row whose classes lie apart.
template <class T>
SOFTGRAD_INLINE RowSum gathered_careful_sum(const T* x, std::ptrdiff_t stride, long classes,
                                            double max, const Regions<T>& at) {
  for (long c = 0; c < classes; c++) at.work[c] = x[c * stride];
  return careful_row_sum<T>(at.work, classes, max, 1.0, at.sums);
}

// Scales the exponentials of tiles on their way to y.
template <class T>
SOFTGRAD_INLINE void store_scaled(T* tiles, const Rows<T>& y, long classes, const Scale* s,
                                  bool stream) {
  using V = Lanes<T>;
  alignas(64) T h[wide_rows] = {}, l[wide_rows] = {};
  bool fits = true;
  for (long i = 0; i < y.count; i++) {
    h[i] = T(s[i].hi);
    l[i] = sizeof(T) == 4 ? T(s[i].hi - double(h[i])) : T(s[i].lo);
    fits = fits && (sizeof(T) == 8 || fits_float(s[i].hi));
  }
  if (fits) {
    V vh[wide_rows / 16], vlow[wide_rows / 16];
    for (int w = 0; w < wide_rows / 16; w++)
      vh[w] = load16(h + 16 * w), vlow[w] = load16(l + 16 * w);
    store_tiles(tiles, y, classes, stream, [&](V v, int w, long) {
      for (int i = 0; i < registers<T>; i++)
        v.v[i] = fma(v.v[i], vh[w].v[i], v.v[i] * vlow[w].v[i]);
      return v;
    });
    return;
  }
  // As scale_row decides row by row.
  for (long i = 0; i < y.count; i++)
    for (long c = 0; c < classes; c++) {
      alignas(64) T e[1] = {tiles[16 * (i / 16 * classes + c) + i % 16]};
      scale_row(e, e, 1, s[i], false);
      y.row[i][c * y.stride] = e[0];
    }
}

template <class T>
SOFTGRAD_INLINE void fill_special(const RowSum* row, const Rows<T>& y, long classes) {
  for (long i = 0; i < y.count; i++)
    if (row[i].special) fill_row(y.row[i], classes, y.stride, std::numeric_limits<T>::quiet_NaN());
}

template <class T>
SOFTGRAD_INLINE void store_logs(T* tiles, const Rows<T>& y, long classes, const RowSum* row,
                                bool stream) {
  alignas(64) double m[wide_rows] = {}, h[wide_rows] = {}, l[wide_rows] = {};
  for (long i = 0; i < y.count; i++) m[i] = row[i].max, h[i] = row[i].log_hi, l[i] = row[i].log_lo;
  constexpr int tiles_max = wide_rows / 16;
  LogProbability<T, false> log_p[tiles_max][regs_d];
  for (int w = 0; w < tiles_max; w++) {
    const D16 max = load16(m + 16 * w), hi = load16(h + 16 * w), lo = load16(l + 16 * w);
    SOFTGRAD_EACH_D {
      const auto exp = CarefulExp<T, false>::of(max.v[i], 1.0);
      log_p[w][i] = LogProbability<T, false>::of(exp, hi.v[i], lo.v[i]);
    }
  }
  store_tiles(tiles, y, classes, stream, [&](const auto& x, int w, long) {
    D16 v = to_double(x);
    SOFTGRAD_EACH_D v.v[i] = log_p[w][i](v.v[i]);
    return to_element<T>(v);
  });
}

}  // namespace softgrad::SOFTGRAD_ISA
