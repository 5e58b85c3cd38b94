// softmax, log-softmax and logsumexp of a bundle of rows.
//
//   classes          rows lie            algorithm
//   up to 32         anywhere            sixteen rows in a tile, a lane each, careful exponentials
//   33 to 4096       contiguous          four rows interleaved, exponentials kept in L1
//   33 to 4096       apart               a tile of sixteen rows with the row algorithm's sums
//   more             contiguous          two passes over blocks of 4096
//   more             apart               packed into scratch, a few rows at a time
// A temperature other than 1 takes the careful exponentials at every size.
#pragma once

#include "emit.hpp"
#include "tile.hpp"

namespace softgrad::SOFTGRAD_ISA {

inline long block_count(long classes) { return (classes + block_classes - 1) / block_classes; }
inline long block_length(long classes, long block) {
  long rest = classes - block * block_classes;
  return rest < block_classes ? rest : block_classes;
}

// The row to fetch while another is written: none after a bundle's last, and none where rows are
// too long to wait in a second-level cache.
template <class T>
SOFTGRAD_INLINE const T* row_ahead(const Rows<const T>& x, long i, long classes) {
  return i < x.count && classes * long(sizeof(T)) <= 1L << 19 ? x.row[i] : nullptr;
}

// Sums of one contiguous row.
template <class T>
SOFTGRAD_INLINE RowSum fast_row_sum(const T* x, long classes, bool logarithm, BlockSum* sums) {
  long blocks = block_count(classes);
  for (long b = 0; b < blocks; b++)
    block_sum(x + b * block_classes, block_length(classes, b), sums + b);
  return join<T>(sums, blocks, false, logarithm);
}
template <class T>
SOFTGRAD_INLINE RowSum careful_row_sum(const T* x, long classes, double max, double temperature,
                                       BlockSum* sums) {
  long blocks = block_count(classes);
  if (!finite(max))
    blocks = 1, sums[0] = {max, 0, 0, 0, 0, 0};
  else
    for (long b = 0; b < blocks; b++)
      careful_block_sum(x + b * block_classes, block_length(classes, b), max, temperature,
                        sums + b);
  return join<T>(sums, blocks, true, true);
}
// The sum that a logarithm needs: fast, and careful where the fast one lacks digits.
template <class T>
SOFTGRAD_INLINE RowSum log_row_sum(const T* x, long classes, double temperature, BlockSum* sums) {
  if (temperature != 1.0)
    return careful_row_sum(x, classes, double(max_of(x, classes)), temperature, sums);
  RowSum r = fast_row_sum(x, classes, true, sums);
  return lacks_digits<T>(r) ? careful_row_sum(x, classes, r.max, temperature, sums) : r;
}

// Rows that lie apart, copied next to each other and back.
template <class T>
SOFTGRAD_INLINE Rows<T> pack(const Rows<const T>& x, long classes, T* to) {
  Rows<T> r;
  r.stride = 1, r.count = x.count;
  for (long i = 0; i < x.count; i++) r.row[i] = to + i * classes;
  if (neighbours(x)) {  // a cache line holds one class of all rows
    for (long c = 0; c < classes; c++) {
      const T* from = x.row[0] + c * x.stride;
      __builtin_prefetch(from + 16 * x.stride);
      for (long i = 0; i < bundle_rows; i++) to[i * classes + c] = from[i];
    }
    return r;
  }
  constexpr long strip = 64;
  for (long c0 = 0; c0 < classes; c0 += strip) {
    long c1 = c0 + strip < classes ? c0 + strip : classes;
    for (long i = 0; i < x.count; i++)
      for (long c = c0; c < c1; c++) r.row[i][c] = x.row[i][c * x.stride];
  }
  return r;
}
template <class T>
SOFTGRAD_INLINE void unpack(const Rows<T>& from, const Rows<T>& y, long classes) {
  if (neighbours(y)) {
    for (long c = 0; c < classes; c++) {
      T* to = y.row[0] + c * y.stride;
      for (long i = 0; i < bundle_rows; i++) to[i] = from.row[i][c];
    }
    return;
  }
  constexpr long strip = 64;
  for (long c0 = 0; c0 < classes; c0 += strip) {
    long c1 = c0 + strip < classes ? c0 + strip : classes;
    for (long i = 0; i < y.count; i++)
      for (long c = c0; c < c1; c++) y.row[i][c * y.stride] = from.row[i][c];
  }
}
template <class T>
SOFTGRAD_INLINE Rows<const T> as_const(const Rows<T>& x) {
  Rows<const T> r;
  for (long i = 0; i < x.count; i++) r.row[i] = x.row[i];
  r.stride = x.stride, r.count = x.count;
  return r;
}

template <class T>
struct Regions {
  BlockSum* sums;
  T* work;
  T* packed[3];
  Regions(T* scratch, long classes)
      : sums(reinterpret_cast<BlockSum*>(scratch)), work(scratch + Scratch<T>::blocks(classes)) {
    packed[0] = work + Scratch<T>::work(classes);
    packed[1] = packed[0] + Scratch<T>::packed(classes);
    packed[2] = packed[1] + Scratch<T>::packed(classes);
  }
};

// ---- up to 32 classes -------------------------------------------------------------------------

// float64 probabilities do not need two-part exponentials: fast ones in their stead.
SOFTGRAD_INLINE void probabilities_tiny(double* tile, long classes) {
  const D16 max = tile_max(tile, classes);
  FastExp<double> exp[regs_d];
  vd exponent;
  SOFTGRAD_EACH_D exp[i] = FastExp<double>::of(max.v[i], &exponent);
  Sum16 sum = zero_sum();
  for (long c = 0; c < classes; c++) {
    D16 e = load16(tile + 16 * c);
    SOFTGRAD_EACH_D e.v[i] = exp[i](e.v[i]);
    store16(tile + 16 * c, e);
    accumulate(sum, e);
  }
  D16 h, l;
  SOFTGRAD_EACH_D {
    DD inverse = reciprocal({sum.hi.v[i], sum.lo.v[i]});
    h.v[i] = inverse.hi, l.v[i] = inverse.lo;
  }
  for (long c = 0; c < classes; c++) {
    D16 e = load16(tile + 16 * c);
    SOFTGRAD_EACH_D e.v[i] = fma(e.v[i], h.v[i], e.v[i] * l.v[i]);
    store16(tile + 16 * c, e);
  }
}

template <bool tempered, class T>
SOFTGRAD_INLINE void normalize_tiny(Output output, const Rows<const T>& x, const Rows<T>& y,
                                    long classes, double temperature, bool stream, T* work) {
  T* tile = work;
  double* e = reinterpret_cast<double*>(work + bundle_rows * tiny_classes);
  double* e_low = e + bundle_rows * tiny_classes;
  load_tile(x, classes, tile);
  if constexpr (sizeof(T) == 8 && !tempered) {
    if (output == Output::probability) {
      probabilities_tiny(tile, classes);
      store_tile(tile, y, classes, stream);
      return;
    }
  }
  TinySum<T, tempered> s;
  tiny_sum(tile, classes, temperature, e, e_low, s);
  if (output == Output::log_probability) {
    tiny_log(s);
    for (long c = 0; c < classes; c++) {
      D16 v = load16d(tile + 16 * c);
      SOFTGRAD_EACH_D v.v[i] = log_probability<T>(s.exp[i], v.v[i], s.log_hi.v[i], s.log_lo.v[i]);
      store16d(tile + 16 * c, v);
    }
  } else {
    for (long c = 0; c < classes; c++) {
      D16 v = load16(e + 16 * c), low = sizeof(T) == 8 ? load16(e_low + 16 * c) : all16(0.0);
      SOFTGRAD_EACH_D v.v[i] =
          careful_probability<T>({v.v[i], low.v[i]}, s.inverse_hi.v[i], s.inverse_lo.v[i]);
      store16d(tile + 16 * c, v);
    }
  }
  store_tile(tile, y, classes, stream);
}

// ---- 33 to 4096 classes that lie apart: the row algorithm, a lane per row ---------------------

template <class T>
struct TileSum {
  FastExp<T> exp[sizeof(T) == 4 ? regs_f : regs_d];
  typename LanesOf<T>::type max;
  RowSum row[bundle_rows];
};

template <class T>
SOFTGRAD_INLINE void tile_exponents(TileSum<T>& s, double* exponent, double* offset) {
  using V = typename FastExp<T>::V;
  constexpr int regs = sizeof(T) == 4 ? regs_f : regs_d, width = sizeof(T) == 4 ? width_f : width_d;
  for (int i = 0; i < regs; i++) {
    V n;
    V m = s.max.v[i];
    for (int k = 0; k < width; k++)
      if (!finite(m[k])) m[k] = 0;  // a special row: filled afterwards
    s.exp[i] = FastExp<T>::of(m, &n);
    for (int k = 0; k < width; k++)
      exponent[i * width + k] = n[k], offset[i * width + k] = s.exp[i].offset[k];
  }
}

// Replaces the logits by their exponentials and sums them as sum_exp does for a row.
template <bool store, class T>
SOFTGRAD_INLINE void tile_sum(T* tile, long classes, bool logarithm, TileSum<T>& s, long count) {
  using V = typename LanesOf<T>::type;
  double exponent[bundle_rows], offset[bundle_rows];
  s.max = tile_max(tile, classes);
  tile_exponents(s, exponent, offset);
  constexpr int regs = sizeof(T) == 4 ? regs_f : regs_d;
  auto exp_at = [&](long c) {
    V v = load16(tile + 16 * c);
    for (int i = 0; i < regs; i++) v.v[i] = s.exp[i](v.v[i]);
    if (store) store16(tile + 16 * c, v);
    return v;
  };
  QuadTotal<T> total[lanes];
  for (long c = 0; c < classes; c += 64) {
    for (int l = 0; l < lanes; l++) {
      if (c + l >= classes) break;
      V quad[4];
      for (int k = 0; k < 4; k++)
        quad[k] = c + 16 * k + l < classes ? exp_at(c + 16 * k + l) : all16(T(0));
      total[l].add(quad[0], quad[1], quad[2], quad[3]);
    }
  }
  double hi[bundle_rows], lo[bundle_rows];
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
  alignas(64) T m[lanes];
  store16(m, s.max);
  for (long i = 0; i < count; i++) {
    BlockSum b = {double(m[i]), offset[i], exponent[i], hi[i], lo[i], 0};
    s.row[i] = join<T>(&b, 1, false, logarithm);
  }
}

// The careful sum of one row of a bundle, gathered.
template <class T>
SOFTGRAD_INLINE RowSum gathered_careful_sum(const Rows<const T>& x, long i, long classes,
                                            double max, const Regions<T>& at) {
  T* row = at.work + bundle_rows * classes;
  for (long c = 0; c < classes; c++) row[c] = x.row[i][c * x.stride];
  return careful_row_sum<T>(row, classes, max, 1.0, at.sums);
}

// tile = f(tile, per-row numbers), lane by lane in double.
template <class T, class F>
SOFTGRAD_INLINE void map_tile(T* tile, long classes, F f) {
  for (long c = 0; c < classes; c++) store16d(tile + 16 * c, f(load16d(tile + 16 * c)));
}

template <class T>
SOFTGRAD_INLINE void scale_tile(T* tile, long classes, const Scale* s) {
  alignas(64) T h[lanes], l[lanes];
  bool fits = true;
  for (int i = 0; i < lanes; i++) {
    h[i] = T(s[i].hi);
    l[i] = sizeof(T) == 4 ? T(s[i].hi - double(h[i])) : T(s[i].lo);
    fits = fits && (sizeof(T) == 8 || fits_float(s[i].hi));
  }
  if (fits) {
    auto vh = load16(h), vlow = load16(l);
    constexpr int regs = sizeof(T) == 4 ? regs_f : regs_d;
    for (long c = 0; c < classes; c++) {
      auto v = load16(tile + 16 * c);
      for (int i = 0; i < regs; i++) v.v[i] = fma(v.v[i], vh.v[i], v.v[i] * vlow.v[i]);
      store16(tile + 16 * c, v);
    }
    return;
  }
  // As scale_row decides row by row.
  for (int i = 0; i < lanes; i++) {
    alignas(64) T row[lanes];
    for (long c = 0; c < classes; c++) {
      row[0] = tile[16 * c + i];
      scale_row(row, row, 1, s[i], false);
      tile[16 * c + i] = row[0];
    }
  }
}

template <class T>
SOFTGRAD_INLINE void fill_special(const RowSum* row, const Rows<T>& y, long classes) {
  for (long i = 0; i < y.count; i++)
    if (row[i].special) fill_row(y.row[i], classes, y.stride, std::numeric_limits<T>::quiet_NaN());
}

template <class T>
SOFTGRAD_INLINE void log_tile(T* tile, long classes, const RowSum* row, long count) {
  alignas(64) double m[lanes] = {}, h[lanes] = {}, l[lanes] = {};
  for (long i = 0; i < count; i++) m[i] = row[i].max, h[i] = row[i].log_hi, l[i] = row[i].log_lo;
  D16 max = load16(m), hi = load16(h), lo = load16(l);
  CarefulExp<T, false> exp[regs_d];
  SOFTGRAD_EACH_D exp[i] = CarefulExp<T, false>::of(max.v[i], 1.0);
  map_tile(tile, classes, [&](D16 v) {
    SOFTGRAD_EACH_D v.v[i] = log_probability<T>(exp[i], v.v[i], hi.v[i], lo.v[i]);
    return v;
  });
}

template <class T>
SOFTGRAD_INLINE void normalize_tile(Output output, const Rows<const T>& x, const Rows<T>& y,
                                    long classes, bool stream, const Regions<T>& at) {
  T* tile = at.work;
  TileSum<T> s;
  load_tile(x, classes, tile);
  if (output == Output::log_probability) {
    tile_sum<false>(tile, classes, true, s, x.count);
    for (long i = 0; i < x.count; i++)
      if (lacks_digits<T>(s.row[i]))
        s.row[i] = gathered_careful_sum(x, i, classes, s.row[i].max, at);
    log_tile(tile, classes, s.row, x.count);
  } else {
    tile_sum<true>(tile, classes, false, s, x.count);
    Scale scale[lanes] = {};
    for (long i = 0; i < x.count; i++) scale[i] = scale_of(s.row[i], 1.0);
    for (long i = x.count; i < bundle_rows; i++) scale[i] = {1.0, 0.0};
    scale_tile(tile, classes, scale);
  }
  store_tile(tile, y, classes, stream);
  fill_special(s.row, y, classes);
}

// ---- contiguous rows --------------------------------------------------------------------------

constexpr long interleaved = 4;

template <class T>
SOFTGRAD_INLINE void normalize_rows(Output output, const Rows<const T>& x, const Rows<T>& y,
                                    long classes, double temperature, bool stream,
                                    const Regions<T>& at) {
  if (output == Output::log_probability || temperature != 1.0 || classes > block_classes) {
    for (long i = 0; i < x.count; i++) {
      RowSum r = output == Output::log_probability || temperature != 1.0
                     ? log_row_sum(x.row[i], classes, temperature, at.sums)
                     : fast_row_sum(x.row[i], classes, false, at.sums);
      emit_along<T>(output, x.row[i], y.row[i], classes, r, temperature, 1.0, stream,
                    {row_ahead(x, i + 1, classes)});
    }
    return;
  }
  const long pitch = (classes + 31) / 16 * 16;
  for (long i0 = 0; i0 < x.count; i0 += interleaved) {
    const long k1 = x.count - i0 < interleaved ? x.count - i0 : interleaved;
    T max[interleaved];
    BlockSum sum[interleaved];
    RowSum row[interleaved];
    for (long k = 0; k < k1; k++) max[k] = max_of(x.row[i0 + k], classes);
    for (long k = 0; k < k1; k++)
      block_sum_into<true>(x.row[i0 + k], at.work + k * pitch, classes, max[k], sum + k);
    for (long k = 0; k < k1; k++) row[k] = join<T>(sum + k, 1, false, false);
    for (long k = 0; k < k1; k++) {
      if (row[k].special)
        fill_row(y.row[i0 + k], classes, 1, std::numeric_limits<T>::quiet_NaN());
      else
        scale_row(at.work + k * pitch, y.row[i0 + k], classes, scale_of(row[k], 1.0), stream,
                  Along<T>{row_ahead(x, i0 + k + interleaved, classes)});
    }
  }
}

template <class T>
void normalize(Output output, const Rows<const T>& x, const Rows<T>& y, long classes,
               double temperature, bool stream, T* scratch) {
  const Regions<T> at(scratch, classes);
  if (classes <= tiny_classes) {
    if (temperature == 1.0)
      normalize_tiny<false>(output, x, y, classes, temperature, stream, at.work);
    else
      normalize_tiny<true>(output, x, y, classes, temperature, stream, at.work);
  } else if (x.stride == 1 && y.stride == 1) {
    normalize_rows(output, x, y, classes, temperature, stream, at);
  } else if (classes <= block_classes && temperature == 1.0) {
    normalize_tile(output, x, y, classes, stream, at);
  } else {
    Rows<T> packed = pack(x, classes, at.packed[0]);
    normalize_rows(output, as_const(packed), packed, classes, temperature, false, at);
    unpack(packed, y, classes);
  }
}

// ---- logsumexp --------------------------------------------------------------------------------

template <class T>
SOFTGRAD_INLINE T logsumexp_of(const RowSum& r, const T* x, long classes, std::ptrdiff_t stride) {
  if (r.special)
    return any_nan(x, classes, stride) ? std::numeric_limits<T>::quiet_NaN() : T(r.max);
  if constexpr (sizeof(T) == 4) return T(r.max + r.log_hi);
  DD s = two_sum(splat(r.max), splat(r.log_hi));
  return T(s.hi[0] + (s.lo[0] + r.log_lo));
}

template <class T>
void logsumexp(const Rows<const T>& x, T* const* result, long classes, T* scratch) {
  const Regions<T> at(scratch, classes);
  if (classes <= tiny_classes) {
    T* tile = at.work;
    double* e = reinterpret_cast<double*>(tile + bundle_rows * tiny_classes);
    load_tile(x, classes, tile);
    TinySum<T, false> s;
    tiny_sum(tile, classes, 1.0, e, e + bundle_rows * tiny_classes, s);
    tiny_log(s);
    alignas(64) double m[lanes], h[lanes], l[lanes];
    store16(m, s.max), store16(h, s.log_hi), store16(l, s.log_lo);
    for (long i = 0; i < x.count; i++) {
      RowSum r{};
      r.max = m[i], r.log_hi = h[i], r.log_lo = l[i];
      r.special = !finite(r.max);
      *result[i] = logsumexp_of(r, x.row[i], classes, x.stride);
    }
  } else if (x.stride != 1 && classes <= block_classes) {
    TileSum<T> s;
    load_tile(x, classes, at.work);
    tile_sum<false>(at.work, classes, true, s, x.count);
    for (long i = 0; i < x.count; i++) {
      RowSum r = s.row[i];
      if (lacks_digits<T>(r)) r = gathered_careful_sum(x, i, classes, r.max, at);
      *result[i] = logsumexp_of(r, x.row[i], classes, x.stride);
    }
  } else {
    Rows<const T> rows = x.stride == 1 ? x : as_const(pack(x, classes, at.packed[0]));
    for (long i = 0; i < x.count; i++)
      *result[i] =
          logsumexp_of(log_row_sum(rows.row[i], classes, 1.0, at.sums), rows.row[i], classes, 1);
  }
}

}  // namespace softgrad::SOFTGRAD_ISA
