// Cross-entropy over whole arrays: targets and weights, reduction, gradient.
#pragma once

#include <atomic>

#include "shared_cross_entropy.hpp"

namespace softgrad {

enum class Reduction : int { none = 0, sum = 1, mean = 2 };

template <class T>
struct CrossEntropy {
  Array<const T> x;
  const std::int64_t* index = nullptr;     // one per row, or
  const Array<const T>* target = nullptr;  // probabilities
  const double* row_weight = nullptr;
  const double* class_weight = nullptr;
  double label_smoothing = 0, temperature = 1, grad_scale = 1;
  bool ignores = false;
  std::int64_t ignored = 0;
  Reduction reduction = Reduction::mean;

  T* losses = nullptr;      // reduction none: one per row
  double* total = nullptr;  // sum or mean
  const Array<T>* grad = nullptr;

  // False if a target is not acceptable; nothing has been written then.
  bool run() const;
};

template <class T>
bool CrossEntropy<T>::run() const {
  const Layout& a = x.layout;
  const long classes = a.classes, rows = a.rows;
  const Kernels<T>& k = kernels_for<T>();
  const bool dense = target || label_smoothing != 0;
  DenseTarget how = {class_weight, 1.0 - label_smoothing,
                     classes ? label_smoothing / double(classes) : 0.0};
  how.keep_low = (1.0 - how.keep) - label_smoothing;
  if (classes)
    how.spread_low = -std::fma(how.spread, double(classes), -label_smoothing) / double(classes);
  const long group = group_rows(classes);
  const long groups = (rows + group - 1) / group;
  double spread_mass = 0;  // sum of the smoothing's share over classes
  if (!target && label_smoothing != 0)
    for (long c = 0; c < classes; c++)
      spread_mass += how.spread * (class_weight ? class_weight[c] : 1.0);

  // Every array of rows; what there is none of is like the logits.
  const Layout &b = grad ? grad->layout : a, &c = target ? target->layout : a;
  const bool split = worth_splitting(a, b, c);

  // First the targets: are they acceptable, and what is the mean to be divided by?
  std::atomic<bool> acceptable{true};
  const bool weighed = reduction == Reduction::mean;
  double divisor = 1;
  if (index && !row_weight && !class_weight) {
    std::atomic<long> taking_part{0};
    each_piece(groups, double(rows), [&](long g) {
      const long end = (g + 1) * group < rows ? (g + 1) * group : rows;
      long bad = 0, skipped = 0;
      for (long r = g * group; r < end; r++) {
        const std::int64_t t = index[r];
        const bool skip = ignores && t == ignored;
        skipped += skip;
        bad += !skip && static_cast<std::uint64_t>(t) >= static_cast<std::uint64_t>(classes);
      }
      if (bad) acceptable.store(false);
      taking_part.fetch_add(end - g * group - skipped);
    });
    if (weighed) divisor = double(taking_part.load());
  } else {
    std::vector<RowTotal> weights(weighed ? static_cast<std::size_t>(groups) : 0);
    const auto weigh = [&](long g) {
      const long end = (g + 1) * group < rows ? (g + 1) * group : rows;
      for (long r = g * group; r < end; r++) {
        double mass = 1.0;
        if (target) {
          if (!mass_of_row(target->rows(r, 1), how, classes, &mass)) acceptable.store(false);
          if (!class_weight) mass = 1.0;
        } else {
          const std::int64_t t = index[r];
          if (ignores && t == ignored) continue;
          if (t < 0 || t >= classes) {
            acceptable.store(false);
            continue;
          }
          if (class_weight) mass = how.keep * class_weight[t] + spread_mass;
        }
        if (row_weight) mass *= row_weight[r];
        const double zero = 0;
        if (weighed) weights[static_cast<std::size_t>(g)].add(r, 1, &mass, &zero);
      }
    };
    if (target && split)  // threads share the blocks of each row
      for (long g = 0; g < groups; g++) weigh(g);
    else
      each_piece(groups, double(rows) * (target ? double(classes) : 1.0), weigh);
    if (weighed) divisor = total_of(weights);
  }
  if (!acceptable.load()) return false;
  const bool nothing = divisor == 0;
  const double scale = nothing ? 0.0 : grad_scale / (divisor * temperature);

  const bool stream = grad && worth_streaming<T>(grad->layout) && grad->data != x.data;
  const bool want_loss = losses || total;
  const bool plain = !row_weight && !class_weight && !ignores;
  std::vector<RowTotal> sums(total ? static_cast<std::size_t>(groups) : 0);
  const bool tiled = !dense && temperature == 1.0 && worth_tiling(a, b);
  const auto bundle = [&](long r, long n, T* scratch) {
    double weight[wide_rows], factor[wide_rows], hi[wide_rows], lo[wide_rows];
    std::int64_t at[wide_rows];
    for (long i = 0; i < n; i++) weight[i] = 1.0, factor[i] = scale;
    if (index)
      for (long i = 0; i < n; i++) at[i] = index[r + i];
    if (!plain)
      for (long i = 0; i < n; i++) {
        if (index && ignores && at[i] == ignored) at[i] = -1;
        if (row_weight) weight[i] = row_weight[r + i];
        if (class_weight && !dense && at[i] >= 0) weight[i] *= class_weight[at[i]];
        factor[i] = weight[i] * scale;
      }
    Rows<T> out;
    if (grad) out = grad->rows(r, n);
    const Rows<T>* const outs = grad ? &out : nullptr;
    double *const his = want_loss ? hi : nullptr, *const los = want_loss ? lo : nullptr;
    if (dense) {
      Rows<const T> wanted;
      if (target) wanted = target->rows(r, n);
      const Rows<const T>* const wanted_rows = target ? &wanted : nullptr;
      if (split)
        shared_cross_entropy_dense(x.rows(r, n), wanted_rows, at, how, factor, his, los, outs,
                                   classes, temperature);
      else
        k.cross_entropy_dense(x.rows(r, n), wanted_rows, at, how, factor, his, los, outs, classes,
                              temperature, scratch);
    } else if (split) {
      shared_cross_entropy(x.rows(r, n), at, factor, his, los, outs, classes, temperature, stream);
    } else {
      k.cross_entropy(x.rows(r, n), at, factor, his, los, outs, classes, temperature, stream,
                      scratch);
    }
    if (!plain)
      for (long i = 0; i < n; i++) {
        if (weight[i] == 0) {  // takes no part, whatever it holds
          if (want_loss) hi[i] = lo[i] = 0;
          if (grad)
            for (long c = 0; c < classes; c++) out.row[i][c * out.stride] = T(0);
        } else if (want_loss && weight[i] != 1.0) {
          const double p = weight[i] * hi[i];
          const double error = std::fma(weight[i], hi[i], -p) + weight[i] * lo[i];
          hi[i] = p, lo[i] = error == error ? error : 0.0;
        }
      }
    if (losses)
      for (long i = 0; i < n; i++) losses[r + i] = T(hi[i] + lo[i]);
    if (total) {
      if (group >= bundle_rows)
        sums[static_cast<std::size_t>(r / group)].add(r, n, hi, lo);
      else
        for (long i = 0; i < n; i++) sums[static_cast<std::size_t>(r + i)].add(hi[i], lo[i]);
    }
  };
  if (split)
    for_long_rows([&](long r, long n) { bundle(r, n, nullptr); }, a, b, c);
  else
    for_bundles<T>(rows, classes, !are_contiguous(a, b, c), tiled, bundle);
  if (total) *total = nothing ? 0.0 : total_of(sums) / divisor;
  return true;
}

}  // namespace softgrad
