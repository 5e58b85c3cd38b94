// Cross-entropy with target probabilities, label smoothing and class weights, a row at a time,
// block by block.
#pragma once

#include "cross_entropy.hpp"

namespace softgrad::SOFTGRAD_ISA {

// weight * (keep * y + spread) for sixteen classes; no target: weight * spread.
SOFTGRAD_INLINE D16 smoothed(const D16* target, const D16* weight, const DenseTarget& how) {
  D16 y = all16(how.spread);
  SOFTGRAD_EACH_D {
    if (target) y.v[i] = fma(target->v[i], splat(how.keep), splat(how.spread));
    if (weight) y.v[i] *= weight->v[i];
  }
  return y;
}

// f(j, n, x, y') for the classes j .. j + n of a block, n <= 16; y' is 0 beyond n.
template <class T, class F>
SOFTGRAD_INLINE void visit_dense(const T* x, const T* target, long n, const DenseTarget& how, F f) {
  long j = 0;
  for (; j + 16 <= n; j += 16) {
    D16 v = all16(0.0), w = v;
    if (target) v = load16d(target + j);
    if (how.class_weight) w = load16(how.class_weight + j);
    f(j, 16L, load16d(x + j),
      smoothed(target ? &v : nullptr, how.class_weight ? &w : nullptr, how));
  }
  if (j == n) return;
  const long rest = n - j;
  D16 v = all16(0.0), w = v;
  if (target) v = to_double(load_head(target + j, rest, T(0)));
  if (how.class_weight) w = load_head(how.class_weight + j, rest, 0.0);
  alignas(64) double t[lanes];
  store16(t, smoothed(target ? &v : nullptr, how.class_weight ? &w : nullptr, how));
  for (long k = rest; k < lanes; k++) t[k] = 0;
  f(j, rest, to_double(load_head(x + j, rest, T(0))), load16(t));
}

// weight (-log p) with its rounding error.
template <bool tempered, class T>
struct DenseTerm {
  CarefulExp<T, tempered> exp;
  vd log_hi, log_lo;

  static SOFTGRAD_INLINE DenseTerm of(const RowSum& r, double temperature) {
    return {CarefulExp<T, tempered>::of(splat(r.max), temperature), splat(r.log_hi),
            splat(r.log_lo)};
  }
  SOFTGRAD_INLINE DD operator()(vd weight, vd logit) const {
    Difference d = exp.difference(logit);
    DD a = two_sum(log_hi, -d.hi);
    vd low = a.lo + (log_lo - d.lo);
    low = low == low ? low : vd{};
    DD product = two_product(weight, a.hi);
    vd error = product.lo + weight * low;
    vl none = weight == 0.0;  // 0 * inf counts as 0
    vl wild = error != error;
    return {none ? vd{} : product.hi, (none | wild) ? vd{} : error};
  }
};

// loss = keep * sum w y (-log p) + spread * sum w (-log p): each sum exact, the factors in two
// parts. The maximum's share (class `without`) is kept out of the mass.
template <bool tempered, class T>
SOFTGRAD_INLINE DenseSums dense_sums_of(const T* x, const T* target, long n, const RowSum& r,
                                        const DenseTarget& how, long without, bool loss,
                                        double temperature) {
  const auto term = DenseTerm<tempered, T>::of(r, temperature);
  const bool spreads = how.spread != 0;
  Sum16 mass = zero_sum(), hits = zero_sum(), everywhere = zero_sum();
  visit_dense(x, target, n, how, [&](long j, long count, D16 logits, D16 weights) {
    auto collect = [&](Sum16& sum, const D16& w) {
      D16 products;
      SOFTGRAD_EACH_D {
        DD t = term(w.v[i], logits.v[i]);
        products.v[i] = t.hi;
        sum.lo.v[i] += t.lo;
      }
      accumulate(sum, products);
    };
    if (loss && (target || spreads)) {
      alignas(64) double w[lanes] = {}, y[lanes] = {};
      for (long k = 0; k < count; k++) {
        w[k] = how.class_weight ? how.class_weight[j + k] : 1.0;
        y[k] = target ? w[k] * double(target[j + k]) : 0.0;
      }
      if (target) collect(hits, load16(y));
      if (spreads) collect(everywhere, load16(w));
    }
    if (j <= without && without < j + 16) {
      alignas(64) double t[lanes];
      store16(t, weights);
      t[without - j] = 0;
      weights = load16(t);
    }
    accumulate(mass, weights);
  });
  const DD m = combine_lanes(mass), h = combine_lanes(hits), e = combine_lanes(everywhere);
  return {m.hi[0], m.lo[0], h.hi[0], h.lo[0], e.hi[0], e.lo[0]};
}
template <class T>
DenseSums dense_sums(const T* x, const T* target, long n, const RowSum& r, const DenseTarget& how,
                     long without, bool loss, double temperature) {
  return temperature == 1.0 ? dense_sums_of<false>(x, target, n, r, how, without, loss, temperature)
                            : dense_sums_of<true>(x, target, n, r, how, without, loss, temperature);
}

// factor (p mass - y').
template <bool tempered, class T>
struct DenseSlope {
  CarefulExp<T, tempered> exp;
  vd inverse_hi, inverse_lo;
  double mass, factor;

  static SOFTGRAD_INLINE DenseSlope of(const RowSum& r, double mass, double factor,
                                       double temperature) {
    return {CarefulExp<T, tempered>::of(splat(r.max), temperature), splat(r.inverse_hi),
            splat(r.inverse_lo), mass, factor};
  }
  SOFTGRAD_INLINE vd operator()(vd logit, vd weight) const {
    const vd p = careful_probability<T>(exp(logit), inverse_hi, inverse_lo);
    return fma(p, splat(mass), -weight) * factor;
  }
};

// The row of these blocks, in their order.
template <bool tempered, class T>
SOFTGRAD_INLINE DenseRow join_dense_of(const DenseSums* blocks, long count, const RowSum& r,
                                       const DensePlace<T>& at, const DenseTarget& how,
                                       double factor, double temperature) {
  auto total_of = [&](double DenseSums::* hi, double DenseSums::* lo) {
    DD sum = dd(blocks[0].*hi, blocks[0].*lo);
    for (long b = 1; b < count; b++) {
      const DD s = add(sum, dd(blocks[b].*hi, blocks[b].*lo));
      sum = finite(s.hi[0]) ? s : dd(sum.hi[0] + blocks[b].*hi);
    }
    return sum;
  };
  auto weight_of = [&](std::int64_t c) { return how.class_weight ? how.class_weight[c] : 1.0; };
  auto logit_of = [&](std::int64_t c) { return splat(double(at.x[c * at.stride])); };
  const long top = at.top;
  const std::int64_t index = at.target ? -1 : at.index;
  DenseRow row = {};

  const double hit = index < 0 ? 0.0 : how.keep * weight_of(index);
  const double top_raw =
      at.target ? double(at.target[top * at.target_stride]) * how.keep + how.spread : how.spread;
  double top_share = top_raw * weight_of(top);
  DD rest = total_of(&DenseSums::mass_hi, &DenseSums::mass_lo);
  if (index >= 0 && index == top) top_share += hit;
  if (index >= 0 && index != top) rest = add(rest, splat(hit));
  row.mass = add(rest, splat(top_share)).hi[0];

  DD hits = total_of(&DenseSums::hits_hi, &DenseSums::hits_lo);
  if (index >= 0)
    hits = DenseTerm<tempered, T>::of(r, temperature)(splat(weight_of(index)), logit_of(index));
  const auto scaled = [](DD sum, double by, double by_low) {
    DD s = multiply(sum, dd(by, by_low));
    return s.lo[0] == s.lo[0] ? s : dd((sum.hi * by)[0]);
  };
  DD loss = scaled(hits, how.keep, how.keep_low);
  if (how.spread != 0) {
    const DD rest_of =
        scaled(total_of(&DenseSums::spread_hi, &DenseSums::spread_lo), how.spread, how.spread_low);
    const DD sum = add(loss, rest_of);
    loss = sum.lo[0] == sum.lo[0] ? sum : dd((loss.hi + rest_of.hi)[0]);
  }
  row.loss_hi = loss.hi[0], row.loss_lo = loss.lo[0];

  // p_top * mass - y'_top with p_top = 1 - q, for p_top > 1/2: below that nothing cancels.
  row.at_top = r.others_hi < 1;
  if (row.at_top) {
    constexpr double unbias = CarefulExp<T, tempered>::unbias;
    const vd q = complement(splat(r.others_hi), splat(r.others_lo), splat(r.inverse_hi / unbias),
                            splat(r.inverse_lo / unbias));
    row.top_slope = ((rest.hi - q * row.mass)[0] + rest.lo[0]) * factor;
  }
  row.at_index = index >= 0 && !(index == top && row.at_top);
  if (row.at_index) {
    const double weight = hit + how.spread * weight_of(index);
    const auto slope = DenseSlope<tempered, T>::of(r, row.mass, factor, temperature);
    row.index_slope = slope(logit_of(index), splat(weight))[0];
  }
  return row;
}
template <class T>
DenseRow join_dense(const DenseSums* blocks, long count, const RowSum& r, const DensePlace<T>& at,
                    const DenseTarget& how, double factor, double temperature) {
  return temperature == 1.0 ? join_dense_of<false>(blocks, count, r, at, how, factor, temperature)
                            : join_dense_of<true>(blocks, count, r, at, how, factor, temperature);
}

template <bool tempered, class T>
SOFTGRAD_INLINE void dense_write_of(const T* x, const T* target, T* y, long n, const RowSum& r,
                                    const DenseTarget& how, double mass, double factor,
                                    double temperature) {
  const auto slope = DenseSlope<tempered, T>::of(r, mass, factor, temperature);
  visit_dense(x, target, n, how, [&](long j, long count, D16 logits, D16 weights) {
    D16 g;
    SOFTGRAD_EACH_D g.v[i] = slope(logits.v[i], weights.v[i]);
    if (count == 16)
      store16d(y + j, g);
    else
      store_head(y + j, to_element<T>(g), count);
  });
}
template <class T>
void dense_write(const T* x, const T* target, T* y, long n, const RowSum& r, const DenseTarget& how,
                 double mass, double factor, double temperature) {
  temperature == 1.0 ? dense_write_of<false>(x, target, y, n, r, how, mass, factor, temperature)
                     : dense_write_of<true>(x, target, y, n, r, how, mass, factor, temperature);
}

template <class T>
SOFTGRAD_INLINE void dense_row(const T* x, const T* target, std::int64_t index,
                               const DenseTarget& how, double factor, double* loss_hi,
                               double* loss_lo, T* y, long classes, double temperature,
                               BlockSum* sums) {
  const RowSum r = careful_row_sum(x, classes, double(max_of(x, classes)), temperature, sums);
  if (r.special) {
    if (loss_hi) *loss_hi = *loss_lo = std::numeric_limits<double>::quiet_NaN();
    if (y) fill_row(y, classes, 1, std::numeric_limits<T>::quiet_NaN());
    return;
  }
  const long top = index_of(x, classes, T(r.max)), blocks = block_count(classes);
  // f(block, first class, classes, target, how) for all blocks.
  auto each = [&](auto f) {
    for (long b = 0; b < blocks; b++) {
      const long from = b * block_classes;
      DenseTarget here = how;
      if (how.class_weight) here.class_weight += from;
      f(b, from, block_length(classes, b), target ? target + from : nullptr, here);
    }
  };
  DenseSums* const parts = reinterpret_cast<DenseSums*>(sums);
  static_assert(sizeof(DenseSums) <= sizeof(BlockSum));  // whose place they take in the scratch
  each([&](long b, long from, long n, const T* wanted, const DenseTarget& here) {
    parts[b] =
        dense_sums(x + from, wanted, n, r, here, top - from, loss_hi != nullptr, temperature);
  });
  const DenseRow row =
      join_dense<T>(parts, blocks, r, {x, target, 1, 1, index, top}, how, factor, temperature);
  if (loss_hi) *loss_hi = row.loss_hi, *loss_lo = row.loss_lo;
  if (!y) return;
  each([&](long, long from, long n, const T* wanted, const DenseTarget& here) {
    dense_write(x + from, wanted, y + from, n, r, here, row.mass, factor, temperature);
  });
  if (row.at_top) y[top] = T(row.top_slope);
  if (row.at_index) y[index] = T(row.index_slope);
}

template <class T>
void cross_entropy_dense(const Rows<const T>& x, const Rows<const T>* target,
                         const std::int64_t* index, const DenseTarget& how, const double* factor,
                         double* loss_hi, double* loss_lo, const Rows<T>* y, long classes,
                         double temperature, T* scratch) {
  const Regions<T> at(scratch, classes);
  const bool apart = x.stride != 1 || (target && target->stride != 1) || (y && y->stride != 1);
  Rows<T> packed, out;
  Rows<const T> rows = x, wanted;
  if (target) wanted = *target;
  if (apart) {
    packed = pack(x, classes, at.packed[0]);
    rows = as_const(packed);
    if (target) wanted = as_const(pack(*target, classes, at.packed[1]));
  }
  if (y) out = apart ? packed : *y;
  for (long i = 0; i < x.count; i++) {
    const std::int64_t t = target ? -1 : index[i];
    double* hi = loss_hi ? loss_hi + i : nullptr;
    double* lo = loss_hi ? loss_lo + i : nullptr;
    T* to = y ? out.row[i] : nullptr;
    if (!target && t < 0) {
      if (hi) *hi = *lo = 0;
      if (to) fill_row(to, classes, 1, T(0));
      continue;
    }
    const T* from = target ? wanted.row[i] : nullptr;
    const double f = factor ? factor[i] : 1.0;
    dense_row(rows.row[i], from, t, how, f, hi, lo, to, classes, temperature, at.sums);
  }
  if (y && apart) unpack(out, *y, classes);
}

template <class T>
bool target_mass(const T* target, std::ptrdiff_t stride, long n, const DenseTarget& how, double* hi,
                 double* lo) {
  Sum16 mass = zero_sum();
  vl bad = {};
  auto add = [&](long j, long count) {
    alignas(64) T y[lanes] = {};
    alignas(64) double w[lanes] = {}, share[lanes];
    D16 v, weights = all16(0.0);
    if (stride == 1 && count == 16) {
      v = load16d(target + j);
    } else {
      for (long k = 0; k < count; k++) y[k] = target[(j + k) * stride];
      v = load16d(y);
    }
    SOFTGRAD_EACH_D bad |= ~((v.v[i] >= 0.0) & (v.v[i] < infinity));
    if (how.class_weight) {
      for (long k = 0; k < count; k++) w[k] = how.class_weight[j + k];
      weights = load16(w);
    }
    v = smoothed(&v, how.class_weight ? &weights : nullptr, how);
    if (count < 16) {
      store16(share, v);
      for (long k = count; k < lanes; k++) share[k] = 0;
      v = load16(share);
    }
    accumulate(mass, v);
  };
  long j = 0;
  for (; j + 16 <= n; j += 16) add(j, 16);
  if (j < n) add(j, n - j);
  const DD sum = combine_lanes(mass);
  *hi = sum.hi[0], *lo = sum.lo[0];
  return !any_lane(bad);
}

}  // namespace softgrad::SOFTGRAD_ISA
