// Contiguous rows of any length: their sums block by block, and exponentials that wait to be
// scaled.
#pragma once

#include "emit.hpp"

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
// stay in the caches of every thread, that is faster than to compute them again, and faster than to
// keep them elsewhere and stream them.
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

}  // namespace softgrad::SOFTGRAD_ISA
