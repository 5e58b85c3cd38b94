// Cross-entropy along long rows, block by block.
#pragma once

#include <atomic>

#include "shared_row.hpp"

namespace softgrad {

template <class T>
void shared_cross_entropy(const Rows<const T>& x, const std::int64_t* target, const double* factor,
                          double* loss_hi, double* loss_lo, const Rows<T>* y, long classes,
                          double temperature, bool stream) {
  const SharedRows<T> rows(x, classes, temperature, Sums::logarithm);
  double slope[bundle_rows];
  for (long i = 0; i < x.count; i++) {
    double hi = 0, lo = 0;
    if (target[i] >= 0 && rows.special(i))
      hi = lo = std::numeric_limits<double>::quiet_NaN();
    else if (target[i] >= 0)
      kernels_for<T>().at_target(rows.logarithm(i), x.row[i][target[i] * x.stride], temperature,
                                 &hi, &lo, slope + i);
    if (loss_hi) loss_hi[i] = hi, loss_lo[i] = lo;
  }
  if (!y) return;
  rows.emit(Output::probability, *y, factor, stream, target);
  for (long i = 0; i < x.count; i++)
    if (target[i] >= 0 && !rows.special(i))
      y->row[i][target[i] * y->stride] = T(slope[i] * factor[i]);
}

// `how` for the classes from `from` on.
inline DenseTarget of_block(DenseTarget how, long from) {
  if (how.class_weight) how.class_weight += from;
  return how;
}

template <class T>
void shared_cross_entropy_dense(const Rows<const T>& x, const Rows<const T>* target,
                                const std::int64_t* index, const DenseTarget& how,
                                const double* factor, double* loss_hi, double* loss_lo,
                                const Rows<T>* y, long classes, double temperature) {
  const Kernels<T>& k = kernels_for<T>();
  const SharedRows<T> rows(x, classes, temperature, Sums::careful);
  bool none[bundle_rows];  // an index that takes no part, or a row without a finite maximum
  long top[bundle_rows] = {};
  for (long i = 0; i < x.count; i++) {
    none[i] = (!target && index[i] < 0) || rows.special(i);
    if (!none[i]) top[i] = rows.top(i);
  }
  BlockTable<DenseSums> sums(x.count, classes);
  const auto sum_block = [&](long b, long from, long n, long i, const T* logits, const T* wanted) {
    if (!none[i])
      sums.row(i)[b] = k.dense_sums(logits, wanted, n, rows.logarithm(i), of_block(how, from),
                                    top[i] - from, loss_hi != nullptr, temperature);
  };
  if (target)
    visit_blocks<T>(
        classes,
        [&](long b, long from, long n, long i, const T** at) {
          sum_block(b, from, n, i, at[0], at[1]);
        },
        x, *target);
  else
    visit_blocks<T>(
        classes,
        [&](long b, long from, long n, long i, const T** at) {
          sum_block(b, from, n, i, at[0], nullptr);
        },
        x);
  DenseRow row[bundle_rows] = {};
  for (long i = 0; i < x.count; i++) {
    double hi = 0, lo = 0;
    if (!none[i]) {
      const DensePlace<T> place = {x.row[i],
                                   target ? target->row[i] : nullptr,
                                   x.stride,
                                   target ? target->stride : 0,
                                   target ? -1 : index[i],
                                   top[i]};
      row[i] = k.join_dense(sums.row(i), sums.blocks(), rows.logarithm(i), place, how,
                            factor ? factor[i] : 1.0, temperature);
      hi = row[i].loss_hi, lo = row[i].loss_lo;
    } else if (target || index[i] >= 0) {
      hi = lo = std::numeric_limits<double>::quiet_NaN();
    }
    if (loss_hi) loss_hi[i] = hi, loss_lo[i] = lo;
  }
  if (!y) return;
  const auto write = [&](long from, long n, long i, const T* logits, const T* wanted, T* to) {
    if (!none[i]) {
      k.dense_write(logits, wanted, to, n, rows.logarithm(i), of_block(how, from), row[i].mass,
                    factor ? factor[i] : 1.0, temperature);
      return;
    }
    const bool undefined = target || index[i] >= 0;
    for (long c = 0; c < n; c++) to[c] = undefined ? std::numeric_limits<T>::quiet_NaN() : T(0);
  };
  if (target)
    map_blocks<T>(
        classes, *y,
        [&](long from, long n, long i, const T** at, T* to) {
          write(from, n, i, at[0], at[1], to);
        },
        x, *target);
  else
    map_blocks<T>(
        classes, *y,
        [&](long from, long n, long i, const T** at, T* to) {
          write(from, n, i, at[0], nullptr, to);
        },
        x);
  for (long i = 0; i < x.count; i++) {
    if (row[i].at_top) y->row[i][top[i] * y->stride] = T(row[i].top_slope);
    if (row[i].at_index) y->row[i][index[i] * y->stride] = T(row[i].index_slope);
  }
}

// sum y' of one row; false if a probability is negative or not finite.
template <class T>
bool mass_of_row(const Rows<const T>& target, const DenseTarget& how, long classes, double* mass) {
  if (classes <= block_classes) {
    double lo;
    const bool acceptable =
        kernels_for<T>().target_mass(target.row[0], target.stride, classes, how, mass, &lo);
    *mass += lo;
    return acceptable;
  }
  std::vector<RowTotal> blocks(static_cast<std::size_t>(blocks_of(classes)));
  std::atomic<bool> acceptable{true};
  each_block(classes, [&](long b, long from, long n) {
    double hi, lo;
    const T* at = target.row[0] + from * target.stride;
    if (!kernels_for<T>().target_mass(at, target.stride, n, of_block(how, from), &hi, &lo))
      acceptable.store(false);
    blocks[static_cast<std::size_t>(b)].add(hi, lo);
  });
  *mass = total_of(blocks);
  return acceptable.load();
}

}  // namespace softgrad
