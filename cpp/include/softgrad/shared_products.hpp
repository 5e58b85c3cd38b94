// Products with the Jacobians of softmax and log-softmax along long rows, block by block.
#pragma once

#include "shared_row.hpp"

namespace softgrad {

// softmax_vjp and center of given probabilities: as mean_of_row and write_product.
template <class T>
void shared_centred(Product kind, const Rows<const T>& p, const Rows<const T>& g, const Rows<T>& y,
                    long classes, double scale, bool stream) {
  const Kernels<T>& k = kernels_for<T>();
  BlockTable<BlockMean> means(p.count, classes);
  RowMean mean[bundle_rows] = {};
  bool centred[bundle_rows] = {}, any = false;
  auto pass = [&](bool again) {
    visit_blocks<T>(
        classes,
        [&](long b, long, long n, long i, const T** at) {
          if (centred[i] == again)
            means.row(i)[b] = k.block_mean(at[0], at[1], n, again, mean[i].reference);
        },
        p, g);
    for (long i = 0; i < p.count; i++)
      if (centred[i] == again)
        mean[i] = k.join_means(means.row(i), means.blocks(), mean[i].reference);
  };
  pass(false);
  for (long i = 0; i < p.count; i++) {
    if (!(mean[i].max > 0.5)) continue;
    const long block = largest_block(means.row(i), means.blocks());
    const long top = find_in_block(p, i, block, mean[i].max);
    mean[i].reference = double(g.row[i][top * g.stride]);
    centred[i] = any = true;
  }
  if (any) pass(true);
  map_blocks<T>(
      classes, y,
      [&](long, long n, long i, const T** at, T* to) {
        k.write_product(kind, at[0], at[1], to, n, mean[i], scale, stream && y.stride == 1);
      },
      p, g);
}

// log_softmax_vjp: as log_softmax_vjp_row.
template <class T>
void shared_log_vjp(const Rows<const T>& p, const Rows<const T>& g, const Rows<T>& y, long classes,
                    double scale) {
  const Kernels<T>& k = kernels_for<T>();
  BlockTable<BlockTotals> totals(p.count, classes);
  LogProductRow row[bundle_rows];
  long top[bundle_rows];
  for (long i = 0; i < p.count; i++) top[i] = -1;
  auto pass = [&](bool again) {
    visit_blocks<T>(
        classes,
        [&](long b, long from, long n, long i, const T** at) {
          if (!again || top[i] >= 0)
            totals.row(i)[b] = k.block_totals(at[0], at[1], n, top[i] - from);
        },
        p, g);
    for (long i = 0; i < p.count; i++)
      if (!again || top[i] >= 0)
        row[i] = k.join_totals(totals.row(i), totals.blocks(),
                               again ? double(g.row[i][top[i] * g.stride]) : 0.0);
  };
  pass(false);
  bool any = false;
  for (long i = 0; i < p.count; i++) {
    if (!(row[i].max > 0.5)) continue;
    top[i] = find_in_block(p, i, largest_block(totals.row(i), totals.blocks()), row[i].max);
    any = true;
  }
  if (any) pass(true);
  map_blocks<T>(
      classes, y,
      [&](long, long n, long i, const T** at, T* to) {
        k.write_log_product(at[0], at[1], to, n, row[i].sum, scale);
      },
      p, g);
  for (long i = 0; i < p.count; i++)
    if (top[i] >= 0) y.row[i][top[i] * y.stride] = T(row[i].at_top * scale);
}

template <class T>
void shared_product(Product kind, const Rows<const T>& p, const Rows<const T>& g, const Rows<T>& y,
                    long classes, double scale, bool stream) {
  if (kind == Product::log_softmax_vjp)
    shared_log_vjp(p, g, y, classes, scale);
  else
    shared_centred(kind, p, g, y, classes, scale, stream);
}

template <class T>
void shared_dot(const Rows<const T>& p, const Rows<const T>& g, T* const* result, long classes) {
  const Kernels<T>& k = kernels_for<T>();
  BlockTable<BlockMean> sums(p.count, classes);
  visit_blocks<T>(
      classes,
      [&](long b, long, long n, long i, const T** at) {
        sums.row(i)[b] = k.block_dot(at[0], at[1], n);
      },
      p, g);
  for (long i = 0; i < p.count; i++) {
    const RowMean sum = k.join_means(sums.row(i), sums.blocks(), 0.0);
    *result[i] = T(sum.mean + sum.mean_low);
  }
}

// The product from logits. Rows that are not for that algorithm are left, and their numbers are
// true in `left`.
template <class T>
void shared_product_of_logits(const Rows<const T>& x, const Rows<const T>& g, const Rows<T>& y,
                              long classes, double temperature, bool* left) {
  const Kernels<T>& k = kernels_for<T>();
  BlockTable<BlockSum> tops(x.count, classes);
  visit_blocks<T>(
      classes,
      [&](long b, long, long n, long i, const T** at) { k.block_max(at[0], n, tops.row(i) + b); },
      x);
  double max[bundle_rows], reference[bundle_rows] = {};
  for (long i = 0; i < x.count; i++) {
    const long block = largest_block(tops.row(i), tops.blocks());
    max[i] = tops.row(i)[block].max;
    left[i] = max[i] - max[i] != 0;
    if (!left[i]) reference[i] = double(g.row[i][find_in_block(x, i, block, max[i]) * g.stride]);
  }
  BlockTable<LogitMoments> moments(x.count, classes);
  visit_blocks<T>(
      classes,
      [&](long b, long, long n, long i, const T** at) {
        if (!left[i])
          moments.row(i)[b] = k.logit_moments(at[0], at[1], n, max[i], reference[i], temperature);
      },
      x, g);
  LogitRow row[bundle_rows];
  Rows<const T> xs = x, gs = g;
  Rows<T> ys = y;
  xs.count = gs.count = ys.count = 0;
  for (long i = 0; i < x.count; i++) {
    if (left[i]) continue;
    const LogitRow r =
        k.join_moments(moments.row(i), moments.blocks(), max[i], reference[i], temperature);
    left[i] = !r.usable;
    if (left[i]) continue;
    xs.row[xs.count++] = x.row[i], gs.row[gs.count++] = g.row[i];
    row[ys.count] = r, ys.row[ys.count++] = y.row[i];
  }
  if (ys.count == 0) return;
  map_blocks<T>(
      classes, ys,
      [&](long, long n, long i, const T** at, T* to) {
        k.logit_write(at[0], at[1], to, n, row[i]);
      },
      xs, gs);
}

}  // namespace softgrad
