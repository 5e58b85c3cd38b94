// softmax, log-softmax and logsumexp of a bundle of rows.
//
//   classes          rows lie            algorithm
//   up to 32         anywhere            sixteen rows in a tile, a lane each, careful exponentials
//   33 to 4096       contiguous          groups of four rows, exponentials kept in the cache
//   33 to 4096       apart               tiles of sixteen rows with the row algorithm's sums
//   more, to 2 MB    contiguous          blocks of 4096, exponentials kept in the output
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

// The row to fetch while another is written, which may be one of the next bundle: none after a last
// bundle, and none where rows are too long to wait in a second-level cache.
template <class T>
SOFTGRAD_INLINE const T* row_ahead(const Rows<const T>& x, long i, long classes) {
  if (classes * long(sizeof(T)) > 1L << 19) return nullptr;
  if (i < x.count) return x.row[i];
  return x.count == bundle_rows ? after(x.row[x.count - 1], (i - x.count + 1) * classes) : nullptr;
}

// Sums of one contiguous row. With `store`, the exponentials go to e, those of each block relative
// to its own maximum.
template <bool store = false, class T>
SOFTGRAD_INLINE RowSum fast_row_sum(const T* x, long classes, bool logarithm, BlockSum* sums,
                                    T* e = nullptr) {
  long blocks = block_count(classes);
  for (long b = 0; b < blocks; b++) {
    const T* from = x + b * block_classes;
    const long n = block_length(classes, b);
    if (store)
      block_sum_into<true>(from, e + b * block_classes, n, max_of(from, n), sums + b, [](long) {});
    else
      block_sum(from, n, sums + b);
  }
  return join<T>(sums, blocks, false, logarithm);
}

// Rows of more than one block whose exponentials wait in the output itself: while logits and output
// stay in the caches of every thread, that is faster than to compute them again.
template <class T>
SOFTGRAD_INLINE bool worth_keeping(const T* x, const T* y, long classes) {
  return classes > block_classes && classes * long(sizeof(T)) <= 1L << 21 && x != y;
}
// Scales them: e of a block is that of the row times a power of two, which goes into the factor.
// Bits as those of emit: the products are the same numbers, and where an exponential of the row
// leaves the normal numbers, the result of either is 0 (a factor above 1 could lift it, one below 0
// give it a sign; both are left to emit). The last block is still closest.
template <class T>
SOFTGRAD_INLINE void emit_kept(const T* x, T* y, long classes, const RowSum& r,
                               const BlockSum* sums, double factor) {
  if (r.special || !(factor > 0 && factor <= 1)) {
    emit_along<T>(Output::probability, x, y, classes, r, 1.0, factor, false, {});
    return;
  }
  double exponent;
  const FastExp<T> exp = fast_exp<T>(T(r.max), &exponent);
  const Scale whole = scale_of(r, factor);
  for (long b = block_count(classes) - 1; b >= 0; b--) {
    const long from = b * block_classes, n = block_length(classes, b);
    const double power = __builtin_ldexp(1.0, int(sums[b].exponent - exponent));
    const Scale scale = {whole.hi * power, whole.lo * power};
    const bool same = finite(sums[b].max) && sums[b].offset == double(exp.offset[0]);
    if (same && fits_float(whole.hi) && fits_float(scale.hi))
      scale_row(y + from, y + from, n, scale, false);
    else
      exp_scale_row(x + from, y + from, n, exp, whole, false);
  }
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
// The sums that logarithms need: fast, and careful where a fast one lacks digits. Those of short
// rows are finished together, which hides their latency.
constexpr long group_size = 4;
template <class T>
SOFTGRAD_INLINE void log_row_sums(const T* const* x, long count, long classes, double temperature,
                                  BlockSum* sums, RowSum* row) {
  BlockSum one[group_size];
  const bool together = classes <= block_classes && temperature == 1.0;
  if (together)
    for (long k = 0; k < count; k++) block_sum(x[k], classes, one + k);
  for (long k = 0; k < count; k++) {
    if (temperature != 1.0) {
      row[k] = careful_row_sum(x[k], classes, double(max_of(x[k], classes)), temperature, sums);
      continue;
    }
    row[k] = together ? join<T>(one + k, 1, false, true) : fast_row_sum(x[k], classes, true, sums);
    if (lacks_digits<T>(row[k]))
      row[k] = careful_row_sum(x[k], classes, row[k].max, temperature, sums);
  }
}

// Rows that lie apart, copied next to each other and back.
template <class T>
SOFTGRAD_INLINE Rows<T> pack(const Rows<const T>& x, long classes, T* to) {
  Rows<T> r;
  r.stride = 1, r.count = x.count;
  for (long i = 0; i < x.count; i++) r.row[i] = to + i * classes;
  if (x.count == bundle_rows && neighbours(x)) {  // a cache line holds one class of all rows
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
  if (y.count == bundle_rows && neighbours(y)) {
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
  FastExp<T> exp[registers<T>];
  Lanes<T> max;
};

template <class T>
SOFTGRAD_INLINE void tile_exponents(TileSum<T>& s, double* exponent, double* offset) {
  using V = typename FastExp<T>::V;
  constexpr int width = lanes / registers<T>;
  for (int i = 0; i < registers<T>; i++) {
    V n;
    V m = s.max.v[i];
    for (int k = 0; k < width; k++)
      if (!finite(m[k])) m[k] = 0;  // a special row: filled afterwards
    s.exp[i] = FastExp<T>::of(m, &n);
    for (int k = 0; k < width; k++)
      exponent[i * width + k] = n[k], offset[i * width + k] = s.exp[i].offset[k];
  }
}

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
  double exponent[bundle_rows], offset[bundle_rows];
  TileSum<T> s;
  s.max = max;
  tile_exponents(s, exponent, offset);
  auto exp_at = [&](long c) {
    V v = load16(tile + 16 * c);
    for (int i = 0; i < registers<T>; i++) v.v[i] = s.exp[i](v.v[i]);
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
  alignas(64) T m[lanes];
  store16(m, s.max);
  for (long i = 0; i < count; i++) {
    BlockSum b = {double(m[i]), offset[i], exponent[i], hi[i], lo[i], 0};
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
  D16 hi[tiles_max], lo[tiles_max];
  CarefulExp<T, false> exp[tiles_max][regs_d];
  for (int w = 0; w < tiles_max; w++) {
    const D16 max = load16(m + 16 * w);
    hi[w] = load16(h + 16 * w), lo[w] = load16(l + 16 * w);
    SOFTGRAD_EACH_D exp[w][i] = CarefulExp<T, false>::of(max.v[i], 1.0);
  }
  store_tiles(tiles, y, classes, stream, [&](const auto& x, int w, long) {
    D16 v = to_double(x);
    SOFTGRAD_EACH_D v.v[i] = log_probability<T>(exp[w][i], v.v[i], hi[w].v[i], lo[w].v[i]);
    return to_element<T>(v);
  });
}

template <class T>
SOFTGRAD_INLINE void normalize_tiles(Output output, const Rows<const T>& x, const Rows<T>& y,
                                     long classes, bool stream, const Regions<T>& at) {
  T* tiles = at.packed[0];
  RowSum row[wide_rows];
  Lanes<T> max[wide_rows / 16];
  load_tiles(x, classes, tiles, max);
  if (output == Output::log_probability) {
    sum_tiles<false>(tiles, max, classes, true, x.count, row);
    for (long i = 0; i < x.count; i++)
      if (lacks_digits<T>(row[i]))
        row[i] = gathered_careful_sum(x.row[i], x.stride, classes, row[i].max, at);
    store_logs(tiles, y, classes, row, stream);
  } else {
    sum_tiles<true>(tiles, max, classes, false, x.count, row);
    Scale scale[wide_rows];
    for (long i = 0; i < x.count; i++) scale[i] = scale_of(row[i], 1.0);
    store_scaled(tiles, y, classes, scale, stream);
  }
  fill_special(row, y, classes);
}

// ---- contiguous rows --------------------------------------------------------------------------

// Rows up to block_classes: exponentials go to a buffer in the cache. The sums of a group of rows
// are finished together, which hides their latency, and a group is scaled and written while the
// exponentials of the next one are computed, which hides the memory's.
template <class T>
class RowPipeline {
 public:
  RowPipeline(long classes, bool stream, T* work)
      : classes_(classes), stream_(stream), work_(work) {}

  // The sums of `count` rows; their exponentials wait in the buffer until `write`.
  template <class X>
  SOFTGRAD_INLINE void sum(const X& rows, long count, BlockSum* sums) {
    T max[group_size];
    turn_ ^= 1;
    for (long k = 0; k < count; k++) max[k] = max_of(rows[k], classes_);
    for (long k = 0; k < count; k++) {
      ScaledRow<T> row = pending_[k];
      block_sum_into<true>(rows[k], kept(k), classes_, max[k], sums + k,
                           [&](long) { row.advance(); });
      row.finish();
      pending_[k] = {};
    }
    finish();
  }
  // To be written with the next group.
  SOFTGRAD_INLINE void write(long k, T* y, Scale s, const Along<T>& along) {
    pending_[k] = start_scaling<T>(kept(k), y, classes_, s, stream_, along);
  }
  SOFTGRAD_INLINE void finish() {
    for (ScaledRow<T>& row : pending_) {
      row.finish();
      row = {};
    }
  }

 private:
  T* kept(long k) const {
    const long pitch = (classes_ + 31) / 16 * 16;
    return work_ + (turn_ * group_size + k) * pitch;
  }
  long classes_;
  bool stream_;
  T* work_;
  long turn_ = 0;
  ScaledRow<T> pending_[group_size];
};

template <class T>
SOFTGRAD_INLINE void normalize_rows(Output output, const Rows<const T>& x, const Rows<T>& y,
                                    long classes, double temperature, bool stream,
                                    const Regions<T>& at) {
  if (output == Output::log_probability || temperature != 1.0 || classes > block_classes) {
    const bool long_softmax = output == Output::probability && temperature == 1.0;
    RowSum row[group_size];
    for (long i = 0; i < x.count; i++) {
      const long k = i % group_size, rest = x.count - i;
      if (long_softmax && worth_keeping<T>(x.row[i], y.row[i], classes)) {
        const RowSum r = fast_row_sum<true>(x.row[i], classes, false, at.sums, y.row[i]);
        emit_kept(x.row[i], y.row[i], classes, r, at.sums, 1.0);
        continue;
      }
      if (long_softmax)
        row[k] = fast_row_sum(x.row[i], classes, false, at.sums);
      else if (k == 0)
        log_row_sums(x.row + i, rest < group_size ? rest : group_size, classes, temperature,
                     at.sums, row);
      emit_along<T>(output, x.row[i], y.row[i], classes, row[k], temperature, 1.0, stream,
                    {row_ahead(x, i + group_size, classes)});
    }
    return;
  }
  RowPipeline<T> rows(classes, stream, at.work);
  for (long i0 = 0; i0 < x.count; i0 += group_size) {
    const long count = x.count - i0 < group_size ? x.count - i0 : group_size;
    BlockSum sum[group_size];
    RowSum row[group_size];
    rows.sum(x.row + i0, count, sum);
    for (long k = 0; k < count; k++) row[k] = join<T>(sum + k, 1, false, false);
    for (long k = 0; k < count; k++) {
      const long i = i0 + k;
      if (row[k].special)
        fill_row(y.row[i], classes, 1, std::numeric_limits<T>::quiet_NaN());
      else
        rows.write(k, y.row[i], scale_of(row[k], 1.0), {row_ahead(x, i + 2 * group_size, classes)});
    }
  }
  rows.finish();
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
    normalize_tiles(output, x, y, classes, stream, at);
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
    T* tiles = at.packed[0];
    RowSum row[wide_rows];
    Lanes<T> max[wide_rows / 16];
    load_tiles(x, classes, tiles, max);
    sum_tiles<false>(tiles, max, classes, true, x.count, row);
    for (long i = 0; i < x.count; i++) {
      if (lacks_digits<T>(row[i]))
        row[i] = gathered_careful_sum(x.row[i], x.stride, classes, row[i].max, at);
      *result[i] = logsumexp_of(row[i], x.row[i], classes, x.stride);
    }
  } else {
    Rows<const T> rows = x.stride == 1 ? x : as_const(pack(x, classes, at.packed[0]));
    for (long i = 0; i < x.count; i += group_size) {
      const long count = x.count - i < group_size ? x.count - i : group_size;
      RowSum row[group_size];
      log_row_sums(rows.row + i, count, classes, 1.0, at.sums, row);
      for (long k = 0; k < count; k++)
        *result[i + k] = logsumexp_of(row[k], rows.row[i + k], classes, 1);
    }
  }
}

}  // namespace softgrad::SOFTGRAD_ISA
