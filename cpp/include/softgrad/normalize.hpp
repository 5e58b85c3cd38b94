// softmax and log-softmax of a bundle of rows.
//
//   classes          rows lie       algorithm
//   up to 32         anywhere       sixteen rows in a tile, a lane each, careful exponentials
//   33 to 4096       contiguous     groups of four rows, exponentials kept in the cache
//   33 to 4096       apart          tiles of sixteen rows with the row algorithm's sums
//   more, to 2 MB    contiguous     blocks of 4096, exponentials in the output
//   more             contiguous     two passes over blocks of 4096
//   more             apart          packed into scratch, a few rows at a time; from 32768 classes
//   on
//                                   shared_row.hpp packs block by block instead
// A temperature other than 1 takes the careful exponentials at every size.
#pragma once

#include "tile_sum.hpp"

namespace softgrad::SOFTGRAD_ISA {

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
    LogProbability<T, tempered> log_p[regs_d];
    SOFTGRAD_EACH_D log_p[i] =
        LogProbability<T, tempered>::of(s.exp[i], s.log_hi.v[i], s.log_lo.v[i]);
    for (long c = 0; c < classes; c++) {
      D16 v = load16d(tile + 16 * c);
      SOFTGRAD_EACH_D v.v[i] = log_p[i](v.v[i]);
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

// ---- 33 to 4096 classes that lie apart ---------------------------------------------------------

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

}  // namespace softgrad::SOFTGRAD_ISA
