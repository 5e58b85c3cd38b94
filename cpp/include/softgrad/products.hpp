// Products with the Jacobian of softmax, from its probabilities.
//
// J = diag(p) - p p^T is symmetric, so its vector-Jacobian and Jacobian-vector products are the
// same p (g - p.g). With m the class of the largest probability,
//     g_j - p.g = (g_j - g_m) - sum_i p_i (g_i - g_m),
// and the term i = m vanishes: nothing cancels when p_m is close to 1, and a constant g gives 0.
// Error: at most 3 ULP of |p_j| (|g_j - g_m| + sum_i p_i |g_i - g_m|), and of the result at j = m
// when the other terms have one sign.
#pragma once

#include "normalize.hpp"

namespace softgrad::SOFTGRAD_ISA {

// Running sums in double (float32) or with rounding errors (float64).
template <class T>
SOFTGRAD_INLINE void accumulate_as(Sum16& s, const D16& v) {
  if constexpr (sizeof(T) == 4)
    s.hi = add16(s.hi, v);
  else
    accumulate(s, v);
}

template <class T, class F>
SOFTGRAD_INLINE void visit_pair(const T* p, const T* g, long n, F f) {
  long j = 0;
  for (; j + 16 <= n; j += 16) f(load16d(p + j), load16d(g + j));
  if (j < n) f(to_double(load_head(p + j, n - j, T(0))), to_double(load_head(g + j, n - j, T(0))));
}
template <class T>
SOFTGRAD_INLINE double plain(DD s) {
  return s.hi[0] + s.lo[0];
}

// The mean of g under p, less a reference: sum p (g - reference). Products are added four (float32)
// or two (float64) at a time in the element type, each sum with one rounding a product, and
// totalled in double (float32) or with rounding errors (float64): memory and not arithmetic is the
// limit. Error: at most 4 u (float32), 2 u (float64) of sum p |g - reference|, u the unit roundoff.
template <class T>
constexpr long products_added = sizeof(T) == 4 ? 4 : 2;

// sum + p (g - reference), where the first product of a sum starts it.
template <bool centred, class T, class R>
SOFTGRAD_INLINE void add_product(bool first, Lanes<T>& sum, const Lanes<T>& p, const Lanes<T>& g,
                                 R reference) {
  for (int i = 0; i < registers<T>; i++) {
    const auto d = centred ? g.v[i] - reference(i) : g.v[i];
    sum.v[i] = first ? p.v[i] * d : fma(p.v[i], d, sum.v[i]);
  }
}

template <bool centred, class T>
SOFTGRAD_INLINE void mean_of(const T* p, const T* g, long n, T reference, double& mean,
                             double& mean_low, T* max) {
  using V = Lanes<T>;
  const auto r = splat(reference);
  const T lowest = -std::numeric_limits<T>::infinity();
  QuadTotal<T> total;
  V sum, most = all16(lowest);
  auto step = [&](bool first, const V& u, const V& v) {
    if (!centred) most = max16(u, most);
    add_product<centred, T>(first, sum, u, v, [&](int) { return r; });
  };
  constexpr long stride = 16 * products_added<T>;
  long j = 0;
  for (; j + stride <= n; j += stride) {
    step(true, load16(p + j), load16(g + j));
#pragma GCC unroll 4
    for (long k = 16; k < stride; k += 16) step(false, load16(p + j + k), load16(g + j + k));
    total.add(sum);
  }
  if (j < n) {
    sum = all16(T(0));
    for (; j + 16 <= n; j += 16) step(false, load16(p + j), load16(g + j));
    if (j < n) step(false, load_head(p + j, n - j, T(0)), load_head(g + j, n - j, T(0)));
    total.add(sum);
  }
  total.result(mean, mean_low);
  if (!centred) *max = max_lanes(most);
}

template <class T>
BlockMean block_mean(const T* p, const T* g, long n, bool centred, double reference) {
  BlockMean r;
  T max = 0;
  if (centred)
    mean_of<true>(p, g, n, T(reference), r.mean, r.mean_low, &max);
  else
    mean_of<false>(p, g, n, T(0), r.mean, r.mean_low, &max);
  r.max = double(max);
  return r;
}
SOFTGRAD_INLINE RowMean row_mean(double reference, double mean, double mean_low, double max) {
  return {reference, mean, mean_low == mean_low ? mean_low : 0.0, max};
}
// Blocks in their order; an infinite or NaN sum has no low part.
template <class T>
RowMean join_means(const BlockMean* blocks, long count, double reference) {
  DD sum = dd(blocks[0].mean, blocks[0].mean_low);
  double max = blocks[0].max;
  for (long b = 1; b < count; b++) {
    const DD s = add(sum, dd(blocks[b].mean, blocks[b].mean_low));
    sum = finite(s.hi[0]) ? s : dd(sum.hi[0] + blocks[b].mean);
    max = blocks[b].max > max ? blocks[b].max : max;
  }
  return row_mean(reference, sum.hi[0], sum.lo[0], max);
}

// A reference and sum p (g - reference) for a row. The reference is g at the class with more than
// half of the probability, and 0 where there is none: then nothing cancels that the plain sum would
// lose, and a shift by a large g_m of a small p_m would itself cost digits. Few rows have such a
// class, or few classes: one pass finds the plain mean and whether a second one is needed.
template <class T>
SOFTGRAD_INLINE RowMean mean_of_row(const T* p, const T* g, long classes, BlockMean* means) {
  static_assert(sizeof(BlockMean) <= sizeof(BlockSum));  // whose place they take in the scratch
  const long blocks = block_count(classes);
  auto pass = [&](bool centred, double reference) {
    for (long b = 0; b < blocks; b++) {
      const long from = b * block_classes;
      means[b] = block_mean(p + from, g + from, block_length(classes, b), centred, reference);
    }
    return join_means<T>(means, blocks, reference);
  };
  const RowMean mean = pass(false, 0.0);
  if (!(mean.max > 0.5)) return mean;
  return pass(true, double(g[index_of(p, classes, T(mean.max))]));
}

// ((g - reference) - mean) [p] scale. What rounding takes from the differences is kept: with p the
// result is rounded once (float64), or twice (float32). `plain`: reference 0, scale 1 and a mean
// that is far from overflow, so that the differences are finite where g is; the same without p, and
// with it p g - p mean, the second product with its rounding error (Kahan): at most 1.5 ULP. (C.-P.
// Jeannerod, N. Louvet, J.-M. Muller, Further analysis of Kahan's algorithm for the accurate
// computation of 2 x 2 determinants, Mathematics of Computation 82 (2013).)
template <bool plain, bool with_p>
SOFTGRAD_INLINE vd centred_once(vd p, vd g, vd reference, vd mean, vd mean_low, vd scale) {
  if constexpr (plain && with_p && SOFTGRAD_HAS_FMA) {
    const vd back = p * mean;
    return fma(p, g, -back) - fma(p, mean_low, fma(p, mean, -back));
  }
  if constexpr (plain) {
    DD d = two_sum(g, -mean);
    vd low = d.lo - mean_low;
    return with_p ? fma(p, d.hi, p * low) : d.hi + low;
  }
  DD a = two_sum(g, -reference);
  DD d = two_sum(a.hi, -mean);
  vd low = d.lo + (a.lo - mean_low);
  low = low == low ? low : vd{};
  d.hi *= scale, low *= scale;  // before p, whose product may be subnormal
  return with_p ? fma(p, d.hi, p * low) : d.hi + low;
}
template <bool plain, bool with_p>
SOFTGRAD_INLINE vf centred_once(vf p, vf g, vf reference, vf mean, vf mean_low, vf scale) {
  if constexpr (plain && with_p && SOFTGRAD_HAS_FMA) {
    const vf back = p * mean;
    return fma(p, g, -back) - fma(p, mean_low, fma(p, mean, -back));
  }
  vf a = plain ? g : g - reference, d = a - mean, b = d - a;
  vf low = ((a - (d - b)) - (mean + b)) - mean_low;
  if (!plain) {
    low = low == low ? low : vf{};
    d *= scale, low *= scale;
  }
  return with_p ? fma(p, d, p * low) : d + low;
}
template <class T>
SOFTGRAD_INLINE bool is_plain(const RowMean& c, double scale) {
  constexpr double large = sizeof(T) == 4 ? 1e30 : 1e290;  // adding it to no finite g overflows
  return c.reference == 0 && c.mean > -large && c.mean < large && scale == 1.0;
}

// What the element type does not hold of the mean.
template <class T>
SOFTGRAD_INLINE T low_part(const RowMean& c) {
  return T((c.mean - double(T(c.mean))) + c.mean_low);
}

template <bool with_p, bool plain, class T>
SOFTGRAD_INLINE void write_product(const T* p, const T* g, T* y, long n, const RowMean& c,
                                   double scale_by, bool stream, const T* p_ahead,
                                   const T* g_ahead) {
  const auto reference = splat(T(c.reference)), mean = splat(T(c.mean));
  const auto mean_low = splat(low_part<T>(c));
  const auto scale = splat(T(scale_by));
  auto f = [&](const auto& u, auto v) {
    for (int i = 0; i < registers<T>; i++)
      v.v[i] = centred_once<plain, with_p>(u.v[i], v.v[i], reference, mean, mean_low, scale);
    return v;
  };
  auto part = [&](long j, long k) {
    store_head(y + j, f(load_head(p + j, k, T(0)), load_head(g + j, k, T(0))), k);
  };
  long j = 0;
  if (stream) {
    long head = long((64 - (reinterpret_cast<std::uintptr_t>(y) & 63)) & 63) / long(sizeof(T));
    if (head > n) head = n;
    if (head) part(0, head), j = head;
    for (; j + 16 <= n; j += 16) {
      if (p_ahead) fetch16(p_ahead + j), fetch16(g_ahead + j);
      stream16(y + j, f(load16(p + j), load16(g + j)));
    }
  } else {
    for (; j + 16 <= n; j += 16) store16(y + j, f(load16(p + j), load16(g + j)));
  }
  if (j < n) part(j, n - j);
}

template <class T>
SOFTGRAD_INLINE void write_product_of(Product kind, const T* p, const T* g, T* y, long n,
                                      const RowMean& mean, double scale, bool stream,
                                      const T* p_ahead, const T* g_ahead) {
  const bool plain = is_plain<T>(mean, scale);
  auto write = [&]<bool with_p, bool plain_mean>() {
    write_product<with_p, plain_mean>(p, g, y, n, mean, scale, stream, p_ahead, g_ahead);
  };
  if (kind == Product::softmax_vjp)
    plain ? write.template operator()<true, true>() : write.template operator()<true, false>();
  else
    plain ? write.template operator()<false, true>() : write.template operator()<false, false>();
}
template <class T>
void write_product_block(Product kind, const T* p, const T* g, T* y, long n, const RowMean& mean,
                         double scale, bool stream) {
  write_product_of<T>(kind, p, g, y, n, mean, scale, stream, nullptr, nullptr);
}

// Sums of g and of p over one block, without class `without` if that is not negative.
template <class T>
BlockTotals block_totals(const T* p, const T* g, long n, long without) {
  Sum16 mass = zero_sum(), total = zero_sum();
  D16 most = all16(-infinity);
  long at = 0;
  visit_pair(p, g, n, [&](D16 u, D16 v) {
    most = max16(u, most);
    if (at <= without && without < at + 16) {
      alignas(64) double a[lanes], b[lanes];
      store16(a, u), store16(b, v);
      a[without - at] = 0, b[without - at] = 0;
      u = load16(a), v = load16(b);
    }
    accumulate_as<T>(mass, u);
    accumulate_as<T>(total, v);
    at += 16;
  });
  const DD sum = combine_lanes(total), share = combine_lanes(mass);
  return {sum.hi[0], sum.lo[0], share.hi[0], share.lo[0], max_lanes(most)};
}
// Sums of blocks in their order; an infinite or NaN sum has no low part.
SOFTGRAD_INLINE DD add_block(DD sum, double hi, double lo) {
  const DD s = add(sum, dd(hi, lo));
  return finite(s.hi[0]) ? s : dd(sum.hi[0] + hi);
}
// `g_top`: that of the class which the blocks were taken without, 0 if there is none.
template <class T>
LogProductRow join_totals(const BlockTotals* blocks, long count, double g_top) {
  DD total = dd(blocks[0].total, blocks[0].total_low),
     mass = dd(blocks[0].mass, blocks[0].mass_low);
  double max = blocks[0].max;
  for (long b = 1; b < count; b++) {
    total = add_block(total, blocks[b].total, blocks[b].total_low);
    mass = add_block(mass, blocks[b].mass, blocks[b].mass_low);
    max = blocks[b].max > max ? blocks[b].max : max;
  }
  const double sum = plain<T>(add(total, splat(g_top)));
  return {sum, (plain<T>(mass) * sum - total.hi[0]) - total.lo[0], max};
}
template <class T>
void write_log_product(const T* p, const T* g, T* y, long n, double sum, double scale) {
  const vd s = splat(-sum), by = splat(scale);
  auto f = [&](D16 u, D16 v) {
    SOFTGRAD_EACH_D v.v[i] = fma(u.v[i], s, v.v[i]) * by;
    return v;
  };
  long j = 0;
  for (; j + 16 <= n; j += 16) store16d(y + j, f(load16d(p + j), load16d(g + j)));
  if (j < n) {
    const D16 u = to_double(load_head(p + j, n - j, T(0)));
    const D16 v = to_double(load_head(g + j, n - j, T(0)));
    store_head(y + j, to_element<T>(f(u, v)), n - j);
  }
}
// g - p sum g; at a p_m above 1/2 as q sum g - (sum of the other g), q the sum of the other p. Few
// rows have such a class, and need their sums a second time, without it.
template <class T>
SOFTGRAD_INLINE void log_softmax_vjp_row(const T* p, const T* g, T* y, long classes, double scale,
                                         BlockTotals* totals) {
  static_assert(sizeof(BlockTotals) <= sizeof(BlockSum));  // whose place they take in the scratch
  const long blocks = block_count(classes);
  auto pass = [&](long without, double g_top) {
    for (long b = 0; b < blocks; b++) {
      const long from = b * block_classes;
      totals[b] = block_totals(p + from, g + from, block_length(classes, b), without - from);
    }
    return join_totals<T>(totals, blocks, g_top);
  };
  LogProductRow row = pass(-1, 0.0);
  long top = -1;
  if (row.max > 0.5) {
    top = index_of(p, classes, T(row.max));
    row = pass(top, double(g[top]));
  }
  for (long b = 0; b < blocks; b++) {
    const long from = b * block_classes;
    write_log_product(p + from, g + from, y + from, block_length(classes, b), row.sum, scale);
  }
  if (top >= 0) y[top] = T(row.at_top * scale);
}

// Few classes: a lane per row, classes in order.
template <class T>
SOFTGRAD_INLINE void product_tiny(Product kind, const Rows<const T>& p, const Rows<const T>& g,
                                  const Rows<T>& y, long classes, double scale, bool stream,
                                  T* work) {
  T *pt = work, *gt = work + bundle_rows * tiny_classes;
  load_tile(p, classes, pt);
  load_tile(g, classes, gt);
  D16 best = load16d(pt), reference = load16d(gt), top = all16(0.0);
  for (long c = 1; c < classes; c++) {
    D16 u = load16d(pt + 16 * c), v = load16d(gt + 16 * c);
    SOFTGRAD_EACH_D {
      vl more = u.v[i] > best.v[i];
      best.v[i] = more ? u.v[i] : best.v[i];
      reference.v[i] = more ? v.v[i] : reference.v[i];
      top.v[i] = more ? splat(double(c)) : top.v[i];
    }
  }
  const vd by = splat(scale);
  if (kind != Product::log_softmax_vjp) {
    SOFTGRAD_EACH_D reference.v[i] = best.v[i] > 0.5 ? reference.v[i] : vd{};
    Sum16 mean = zero_sum();
    for (long c = 0; c < classes; c++) {
      D16 u = load16d(pt + 16 * c), v = load16d(gt + 16 * c);
      SOFTGRAD_EACH_D {
        if constexpr (sizeof(T) == 4) {
          mean.hi.v[i] += u.v[i] * (v.v[i] - reference.v[i]);
        } else {
          DD t = two_product(u.v[i], v.v[i] - reference.v[i]);
          DD sum = two_sum(mean.hi.v[i], t.hi);
          mean.hi.v[i] = sum.hi;
          mean.lo.v[i] += sum.lo + t.lo;
        }
      }
    }
    for (long c = 0; c < classes; c++) {
      D16 u = load16d(pt + 16 * c), v = load16d(gt + 16 * c);
      SOFTGRAD_EACH_D {
        v.v[i] = kind == Product::softmax_vjp
                     ? centred_once<false, true>(u.v[i], v.v[i], reference.v[i], mean.hi.v[i],
                                                 mean.lo.v[i], by)
                     : centred_once<false, false>(u.v[i], v.v[i], reference.v[i], mean.hi.v[i],
                                                  mean.lo.v[i], by);
      }
      store16d(gt + 16 * c, v);
    }
  } else {
    Sum16 mass = zero_sum(), others = zero_sum();
    for (long c = 0; c < classes; c++) {
      D16 u = load16d(pt + 16 * c), v = load16d(gt + 16 * c);
      SOFTGRAD_EACH_D {
        vl is_top = top.v[i] == double(c);
        u.v[i] = is_top ? vd{} : u.v[i];
        v.v[i] = is_top ? vd{} : v.v[i];
      }
      accumulate_as<T>(mass, u);
      accumulate_as<T>(others, v);
    }
    D16 sum, at_top;
    SOFTGRAD_EACH_D {
      DD all = add(DD{others.hi.v[i], others.lo.v[i]}, reference.v[i]);
      sum.v[i] = all.hi + all.lo;
      vd q = mass.hi.v[i] + mass.lo.v[i];
      at_top.v[i] = (q * sum.v[i] - others.hi.v[i]) - others.lo.v[i];
    }
    for (long c = 0; c < classes; c++) {
      D16 u = load16d(pt + 16 * c), v = load16d(gt + 16 * c);
      SOFTGRAD_EACH_D {
        vl is_top = top.v[i] == double(c);
        is_top &= best.v[i] > 0.5;
        v.v[i] = (is_top ? at_top.v[i] : fma(u.v[i], -sum.v[i], v.v[i])) * by;
      }
      store16d(gt + 16 * c, v);
    }
  }
  store_tile(gt, y, classes, stream);
}

// 33 to 4096 classes that lie apart: mean_of and write_product, a lane per row.
template <bool centred, class T>
SOFTGRAD_INLINE void tile_mean(const T* p, const T* g, long classes, const Lanes<T>& reference,
                               double* mean, double* mean_low) {
  using V = Lanes<T>;
  constexpr long added = products_added<T>;
  QuadTotal<T> total[lanes];
  auto step = [&](bool first, V& sum, long c) {
    add_product<centred, T>(first, sum, load16(p + 16 * c), load16(g + 16 * c),
                            [&](int i) { return reference.v[i]; });
  };
  long c = 0;
  for (; c + 16 * added <= classes; c += 16 * added)
    for (int l = 0; l < lanes; l++) {
      V sum;
      step(true, sum, c + l);
#pragma GCC unroll 4
      for (long k = 1; k < added; k++) step(false, sum, c + 16 * k + l);
      total[l].add(sum);
    }
  for (int l = 0; c + l < classes && l < lanes; l++) {
    V sum = all16(T(0));
    for (long k = 0; c + 16 * k + l < classes; k++) step(false, sum, c + 16 * k + l);
    total[l].add(sum);
  }
  combine_tile(total, mean, mean_low);
}

template <class T>
SOFTGRAD_INLINE void product_tiles(bool with_p, const Rows<const T>& p, const Rows<const T>& g,
                                   const Rows<T>& y, long classes, double scale_by, bool stream,
                                   const Regions<T>& at) {
  using V = Lanes<T>;
  constexpr int most = wide_rows / 16;
  T *ps = at.packed[0], *gs = at.packed[1];
  V largest[most];
  load_tiles(p, classes, ps, largest);
  load_tiles(g, classes, gs);
  V reference[most], mean[most], mean_low[most], is_plain_row[most];
  bool all_plain = true;
  for (int w = 0; w * 16 < p.count; w++) {
    const T *pt = ps + 16 * w * classes, *gt = gs + 16 * w * classes;
    double hi[lanes], lo[lanes];
    alignas(64) T max[lanes], at_max[lanes] = {}, h[lanes], l[lanes], one_plain[lanes];
    store16(max, largest[w]);
    bool any = false;
    for (int i = 0; i < lanes; i++) {
      if (!(max[i] > T(0.5))) continue;
      long c = 0;
      while (pt[16 * c + i] != max[i]) c++;
      at_max[i] = gt[16 * c + i], any = true;
    }
    reference[w] = load16(at_max);
    if (any)
      tile_mean<true>(pt, gt, classes, reference[w], hi, lo);
    else
      tile_mean<false>(pt, gt, classes, reference[w], hi, lo);
    for (int i = 0; i < lanes; i++) {
      const RowMean c = row_mean(double(at_max[i]), hi[i], lo[i], double(max[i]));
      one_plain[i] = T(is_plain<T>(c, scale_by));
      all_plain = all_plain && one_plain[i] != 0;
      h[i] = T(c.mean), l[i] = low_part<T>(c);
    }
    mean[w] = load16(h), mean_low[w] = load16(l), is_plain_row[w] = load16(one_plain);
  }
  const auto scale = splat(T(scale_by));
  // Neighbours need not be of one kind.
  auto write = [&]<bool with, bool plain>() {
    store_tiles(gs, y, classes, stream, [&](V v, int w, long c) {
      const V u = load16(ps + 16 * (w * classes + c));
      for (int i = 0; i < registers<T>; i++) {
        const auto once = [&]<bool simple>() {
          return centred_once<simple, with>(u.v[i], v.v[i], reference[w].v[i], mean[w].v[i],
                                            mean_low[w].v[i], scale);
        };
        const auto r = once.template operator()<true>();
        if constexpr (plain)
          v.v[i] = r;
        else
          v.v[i] = is_plain_row[w].v[i] != 0 ? r : once.template operator()<false>();
      }
      return v;
    });
  };
  if (with_p)
    all_plain ? write.template operator()<true, true>() : write.template operator()<true, false>();
  else
    all_plain ? write.template operator()<false, true>()
              : write.template operator()<false, false>();
}

template <class T>
void product(Product kind, const Rows<const T>& p, const Rows<const T>& g, const Rows<T>& y,
             long classes, double scale, bool stream, T* scratch) {
  const Regions<T> at(scratch, classes);
  if (classes <= tiny_classes) {
    product_tiny(kind, p, g, y, classes, scale, stream, at.work);
    return;
  }
  const bool apart = p.stride != 1 || g.stride != 1 || y.stride != 1;
  if (apart && classes <= block_classes && kind != Product::log_softmax_vjp) {
    product_tiles(kind == Product::softmax_vjp, p, g, y, classes, scale, stream, at);
    return;
  }
  Rows<const T> ps = p, gs = g;
  Rows<T> ys = y;
  if (apart) {
    ps = as_const(pack(p, classes, at.packed[0]));
    gs = as_const(pack(g, classes, at.packed[1]));
    ys.stride = 1;
    for (long i = 0; i < y.count; i++) ys.row[i] = at.packed[2] + i * packed_pitch<T>(classes);
    stream = false;
  }
  for (long i = 0; i < p.count; i++) {
    const T *u = ps.row[i], *v = gs.row[i];
    if (kind == Product::log_softmax_vjp) {
      log_softmax_vjp_row(u, v, ys.row[i], classes, scale, reinterpret_cast<BlockTotals*>(at.sums));
      continue;
    }
    const RowMean mean = mean_of_row(u, v, classes, reinterpret_cast<BlockMean*>(at.sums));
    write_product_of(kind, u, v, ys.row[i], classes, mean, scale, stream,
                     row_ahead(ps, i + 1, classes), row_ahead(gs, i + 1, classes));
  }
  if (apart) unpack(ys, y, classes);
}

// sum p g over one block, in double or with rounding errors.
template <class T>
BlockMean block_dot(const T* p, const T* g, long n) {
  Sum16 sum = zero_sum();
  visit_pair(p, g, n, [&](D16 u, D16 v) {
    if constexpr (sizeof(T) == 4) {
      SOFTGRAD_EACH_D v.v[i] = u.v[i] * v.v[i];
      sum.hi = add16(sum.hi, v);
    } else {
      SOFTGRAD_EACH_D {
        DD t = two_product(u.v[i], v.v[i]);
        v.v[i] = t.hi;
        sum.lo.v[i] += t.lo;
      }
      accumulate(sum, v);
    }
  });
  const DD s = combine_lanes(sum);
  return {s.hi[0], s.lo[0], 0.0};
}
template <class T>
void dot(const Rows<const T>& p, const Rows<const T>& g, T* const* result, long classes,
         T* scratch) {
  const Regions<T> at(scratch, classes);
  const bool apart = p.stride != 1 || g.stride != 1;
  Rows<const T> ps = p, gs = g;
  if (apart) {
    ps = as_const(pack(p, classes, at.packed[0]));
    gs = as_const(pack(g, classes, at.packed[1]));
  }
  BlockMean* const sums = reinterpret_cast<BlockMean*>(at.sums);
  const long blocks = block_count(classes);
  for (long i = 0; i < p.count; i++) {
    for (long b = 0; b < blocks; b++) {
      const long from = b * block_classes;
      sums[b] = block_dot(ps.row[i] + from, gs.row[i] + from, block_length(classes, b));
    }
    const RowMean sum = join_means<T>(sums, blocks, 0.0);
    *result[i] = T(sum.mean + sum.mean_low);
  }
}

}  // namespace softgrad::SOFTGRAD_ISA
