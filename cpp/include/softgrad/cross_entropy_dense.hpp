// Cross-entropy with target probabilities, label smoothing and class weights, a row at a time.
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

template <bool tempered, class T>
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
  const auto exp = CarefulExp<T, tempered>::of(splat(r.max), temperature);
  const vd log_hi = splat(r.log_hi), log_lo = splat(r.log_lo);
  long top = 0;
  while (top < classes && !(double(x[top]) == r.max)) top++;

  // Per class: y', -log p, and their product with its rounding error.
  auto visit = [&](auto&& body) {
    long j = 0;
    for (; j + 16 <= classes; j += 16) {
      D16 v = all16(0.0), w = v;
      if (target) v = load16d(target + j);
      if (how.class_weight) w = load16(how.class_weight + j);
      body(j, 16L, load16d(x + j),
           smoothed(target ? &v : nullptr, how.class_weight ? &w : nullptr, how));
    }
    if (j < classes) {
      const long n = classes - j;
      const D16 logits = to_double(load_head(x + j, n, T(0)));
      D16 v = all16(0.0), w = v;
      if (target) v = to_double(load_head(target + j, n, T(0)));
      if (how.class_weight) w = load_head(how.class_weight + j, n, 0.0);
      v = smoothed(target ? &v : nullptr, how.class_weight ? &w : nullptr, how);
      alignas(64) double t[lanes];
      store16(t, v);
      for (long k = n; k < lanes; k++) t[k] = 0;
      body(j, n, logits, load16(t));
    }
  };
  const double hit =
      index < 0 ? 0.0 : how.keep * (how.class_weight ? how.class_weight[index] : 1.0);
  Sum16 mass = zero_sum(), hits = zero_sum(), everywhere = zero_sum();
  auto term = [&](vd weight, vd logit) {
    Difference d = exp.difference(logit);
    DD a = two_sum(log_hi, -d.hi);
    vd low = a.lo + (log_lo - d.lo);
    low = low == low ? low : vd{};
    DD product = two_product(weight, a.hi);
    vd error = product.lo + weight * low;
    vl none = weight == 0.0;  // 0 * inf counts as 0
    vl wild = error != error;
    return DD{none ? vd{} : product.hi, (none | wild) ? vd{} : error};
  };
  // loss = keep * sum w y (-log p) + spread * sum w (-log p): each sum exact, the factors in two
  // parts.
  const bool spreads = how.spread != 0;
  visit([&](long j, long n, D16 logits, D16 weights) {
    auto collect = [&](Sum16& sum, const D16& w) {
      D16 products;
      SOFTGRAD_EACH_D {
        DD t = term(w.v[i], logits.v[i]);
        products.v[i] = t.hi;
        sum.lo.v[i] += t.lo;
      }
      accumulate(sum, products);
    };
    if (loss_hi && (target || spreads)) {
      alignas(64) double w[lanes] = {}, y[lanes] = {};
      for (long k = 0; k < n; k++) {
        w[k] = how.class_weight ? how.class_weight[j + k] : 1.0;
        y[k] = target ? w[k] * double(target[j + k]) : 0.0;
      }
      if (target) collect(hits, load16(y));
      if (spreads) collect(everywhere, load16(w));
    }
    if (j <= top && top < j + 16) {  // the maximum's share is kept apart
      alignas(64) double t[lanes];
      store16(t, weights);
      t[top - j] = 0;
      weights = load16(t);
    }
    accumulate(mass, weights);
  });
  double top_raw = target ? double(target[top]) * how.keep + how.spread : how.spread;
  double top_share = top_raw * (how.class_weight ? how.class_weight[top] : 1.0);
  DD rest = combine_lanes(mass);
  if (index >= 0 && index == top) top_share += hit;
  if (index >= 0 && index != top) rest = add(rest, splat(hit));
  const DD whole = add(rest, splat(top_share));
  if (loss_hi) {
    DD hit_sum = combine_lanes(hits);
    if (index >= 0)
      hit_sum =
          term(splat(how.class_weight ? how.class_weight[index] : 1.0), splat(double(x[index])));
    const auto scaled = [](DD sum, double factor, double factor_low) {
      DD r = multiply(sum, dd(factor, factor_low));
      return r.lo[0] == r.lo[0] ? r : dd((sum.hi * factor)[0]);
    };
    DD total = scaled(hit_sum, how.keep, how.keep_low);
    if (spreads) {
      const DD rest_of = scaled(combine_lanes(everywhere), how.spread, how.spread_low);
      const DD sum = add(total, rest_of);
      total = sum.lo[0] == sum.lo[0] ? sum : dd((total.hi + rest_of.hi)[0]);
    }
    *loss_hi = total.hi[0], *loss_lo = total.lo[0];
  }
  if (!y) return;
  const vd ih = splat(r.inverse_hi), il = splat(r.inverse_lo);
  auto slope = [&](vd logit, vd weight) {
    vd p = careful_probability<T>(exp(logit), ih, il);
    return fma(p, whole.hi, -weight) * factor;
  };
  constexpr double unbias = CarefulExp<T, tempered>::unbias;
  vd q = complement(splat(r.others_hi), splat(r.others_lo), ih / unbias, il / unbias);
  // p_top * whole - y'_top with p_top = 1 - q, for p_top > 1/2: below that nothing cancels.
  double top_slope = ((rest.hi - q * whole.hi)[0] + rest.lo[0]) * factor;
  double index_slope = 0;
  const bool at_index = index >= 0 && (index != top || r.others_hi >= 1);
  if (at_index) {
    double w = hit + how.spread * (how.class_weight ? how.class_weight[index] : 1.0);
    index_slope = slope(splat(double(x[index])), splat(w))[0];
  }
  visit([&](long j, long n, D16 logits, D16 weights) {
    D16 g;
    SOFTGRAD_EACH_D g.v[i] = slope(logits.v[i], weights.v[i]);
    if (n == 16) {
      store16d(y + j, g);
    } else {
      store_head(y + j, to_element<T>(g), n);
    }
  });
  if (r.others_hi < 1) y[top] = T(top_slope);
  if (at_index) y[index] = T(index_slope);
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
    if (temperature == 1.0)
      dense_row<false>(rows.row[i], from, t, how, f, hi, lo, to, classes, temperature, at.sums);
    else
      dense_row<true>(rows.row[i], from, t, how, f, hi, lo, to, classes, temperature, at.sums);
  }
  if (y && apart) unpack(out, *y, classes);
}

template <class T>
bool target_mass(const Rows<const T>& target, const DenseTarget& how, double* mass, long classes) {
  for (long i = 0; i < target.count; i++) {
    double sum = 0, error = 0;
    for (long c = 0; c < classes; c++) {
      double y = double(target.row[i][c * target.stride]);
      if (!(y >= 0 && y < infinity)) return false;
      double v = how.keep * y + how.spread;
      if (how.class_weight) v *= how.class_weight[c];
      double t = sum + v, b = t - sum;
      error += (sum - (t - b)) + (v - b);
      sum = t;
    }
    mass[i] = sum + error;
  }
  return true;
}

}  // namespace softgrad::SOFTGRAD_ISA
