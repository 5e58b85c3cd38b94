// logsumexp of a bundle of rows: the sums of normalize.hpp without anything written.
#pragma once

#include "normalize.hpp"

namespace softgrad::SOFTGRAD_ISA {

// max + log with one rounding to the type; `log` is that of a sum relative to the maximum.
template <class T>
SOFTGRAD_INLINE vd add_maximum(vd max, DD log) {
  if constexpr (sizeof(T) == 4) return max + log.hi;
  const DD s = two_sum(max, log.hi);
  return s.hi + (s.lo + log.lo);
}

template <class T>
T logsumexp_of_row(const RowSum& r) {
  return T(add_maximum<T>(splat(r.max), dd(r.log_hi, r.log_lo))[0]);
}
template <class T>
SOFTGRAD_INLINE T logsumexp_of(const RowSum& r, const T* x, long classes, std::ptrdiff_t stride) {
  if (r.special)
    return any_nan(x, classes, stride) ? std::numeric_limits<T>::quiet_NaN() : T(r.max);
  return logsumexp_of_row<T>(r);
}

template <class T>
SOFTGRAD_INLINE void logsumexp_tiny(const Rows<const T>& x, T* const* result, long classes,
                                    T* work) {
  T* tile = work;
  double* e = reinterpret_cast<double*>(tile + bundle_rows * tiny_classes);
  load_tile(x, classes, tile);
  TinySum<T, false> s;
  tiny_sum(tile, classes, 1.0, e, e + bundle_rows * tiny_classes, s);
  tiny_log(s);
  D16 value;
  SOFTGRAD_EACH_D value.v[i] = add_maximum<T>(s.max.v[i], {s.log_hi.v[i], s.log_lo.v[i]});
  alignas(64) T v[lanes];
  alignas(64) double max[lanes];
  store16d(v, value), store16(max, s.max);
  for (long i = 0; i < x.count; i++) {
    if (finite(max[i]))
      *result[i] = v[i];
    else
      *result[i] =
          any_nan(x.row[i], classes, x.stride) ? std::numeric_limits<T>::quiet_NaN() : T(max[i]);
  }
}

template <class T>
void logsumexp(const Rows<const T>& x, T* const* result, long classes, T* scratch) {
  const Regions<T> at(scratch, classes);
  if (classes <= tiny_classes) {
    logsumexp_tiny(x, result, classes, at.work);
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
