// Softmax cross-entropy of a bundle of rows, with its gradient by the logits.
//
// loss = (max - x_t) / T + log(sum), and d loss / d x_j = (p_j - [j = t]) / T. Neither cancels: the
// logarithm is log1p of the sum without the maximum where that matters, and the gradient of a
// target that is the maximum is minus the sum of the other probabilities, never p - 1. The logits
// are read once and the gradient is written once (rows up to 4096 classes; longer rows are read a
// second time from cache or memory).
#pragma once

#include "normalize.hpp"

namespace softgrad::SOFTGRAD_ISA {

// others / (1 + others): the probability of all classes but one maximum.
SOFTGRAD_INLINE vd complement(vd others_hi, vd others_lo, vd inverse_hi, vd inverse_lo) {
  return fma(others_hi, inverse_hi, fma(others_hi, inverse_lo, others_lo * inverse_hi));
}

template <bool tempered, class T>
SOFTGRAD_INLINE void row_loss(const RowSum& r, T target_logit, double temperature, double& hi,
                              double& lo) {
  auto exp = CarefulExp<T, tempered>::of(splat(r.max), temperature);
  Difference d = exp.difference(splat(double(target_logit)));
  DD s = two_sum(splat(r.log_hi), -d.hi);
  hi = s.hi[0];
  lo = s.lo[0] + (r.log_lo - d.lo[0]);
  if (!(lo == lo)) lo = 0;  // infinite loss, or NaN in hi already
}

// p_t - 1. `log_sum` may be careful where `sum`, which scales the gradient, is fast.
template <bool tempered, class T>
SOFTGRAD_INLINE double target_slope(const RowSum& log_sum, T target_logit, double temperature) {
  const RowSum& r = log_sum;
  constexpr double unbias = CarefulExp<T, tempered>::unbias;
  if (r.careful && double(target_logit) == r.max)
    return -complement(splat(r.others_hi), splat(r.others_lo), splat(r.inverse_hi / unbias),
                       splat(r.inverse_lo / unbias))[0];
  double p;
  if (r.careful) {
    auto exp = CarefulExp<T, tempered>::of(splat(r.max), temperature);
    p = careful_probability<T>(exp(splat(double(target_logit))), splat(r.inverse_hi),
                               splat(r.inverse_lo))[0];
  } else {
    double exponent;
    auto e = fast_exp<T>(T(r.max), &exponent)(splat(target_logit))[0];
    p = double(e) * r.inverse_hi;
  }
  return p - 1.0;
}

template <class T>
struct LossOut {
  double *hi, *lo;
  SOFTGRAD_INLINE void set(long i, double h, double l) const {
    if (hi) hi[i] = h, lo[i] = l;
  }
};

template <bool tempered, class T>
SOFTGRAD_INLINE void cross_entropy_tiny(const Rows<const T>& x, const std::int64_t* target,
                                        const double* factor, const LossOut<T>& loss,
                                        const Rows<T>* y, long classes, double temperature,
                                        bool stream, T* work) {
  T* tile = work;
  double* e = reinterpret_cast<double*>(work + bundle_rows * tiny_classes);
  double* e_low = e + bundle_rows * tiny_classes;
  alignas(64) double xt[lanes] = {}, et[lanes] = {}, el[lanes] = {}, f[lanes] = {};
  alignas(64) double slope[lanes], hi[lanes], lo[lanes];
  load_tile(x, classes, tile);
  for (long i = 0; i < x.count; i++) xt[i] = double(tile[16 * (target[i] < 0 ? 0 : target[i]) + i]);
  TinySum<T, tempered> s;
  tiny_sum(tile, classes, temperature, e, e_low, s);
  if (loss.hi) {
    tiny_log(s);
    D16 v = load16(xt);
    D16 h, l;
    SOFTGRAD_EACH_D {
      Difference d = s.exp[i].difference(v.v[i]);
      DD sum = two_sum(s.log_hi.v[i], -d.hi);
      h.v[i] = sum.hi;
      vd low = sum.lo + (s.log_lo.v[i] - d.lo);
      l.v[i] = low == low ? low : vd{};
    }
    store16(hi, h), store16(lo, l);
    for (long i = 0; i < x.count; i++) {
      if (target[i] < 0)
        loss.set(i, 0, 0);
      else
        loss.set(i, hi[i], lo[i]);
    }
  }
  if (!y) return;
  for (long i = 0; i < x.count; i++) {
    long t = target[i] < 0 ? 0 : target[i];
    et[i] = e[16 * t + i];
    if (sizeof(T) == 8) el[i] = e_low[16 * t + i];
    f[i] = target[i] < 0 ? 0.0 : factor[i];
  }
  constexpr double unbias = CarefulExp<T, tempered>::unbias;
  D16 logit = load16(xt), eh = load16(et), elow = load16(el), by = load16(f);
  D16 sh, sl, out;
  SOFTGRAD_EACH_D {
    vd p = careful_probability<T>({eh.v[i], elow.v[i]}, s.inverse_hi.v[i], s.inverse_lo.v[i]);
    vd q = complement(s.others_hi.v[i], s.others_lo.v[i], s.inverse_hi.v[i] / unbias,
                      s.inverse_lo.v[i] / unbias);
    out.v[i] = (logit.v[i] == s.max.v[i] ? -q : p - 1.0) * by.v[i];
    if constexpr (sizeof(T) == 4) {
      sh.v[i] = s.inverse_hi.v[i] * by.v[i], sl.v[i] = vd{};
    } else {
      DD k = multiply({s.inverse_hi.v[i], s.inverse_lo.v[i]}, {by.v[i], vd{}});
      sh.v[i] = k.hi, sl.v[i] = k.lo;
    }
  }
  store16(slope, out);
  for (long c = 0; c < classes; c++) {
    D16 v = load16(e + 16 * c), low = sizeof(T) == 8 ? load16(e_low + 16 * c) : all16(0.0);
    SOFTGRAD_EACH_D v.v[i] = careful_probability<T>({v.v[i], low.v[i]}, sh.v[i], sl.v[i]);
    store16d(tile + 16 * c, v);
  }
  for (long i = 0; i < x.count; i++) {
    if (target[i] >= 0)
      tile[16 * target[i] + i] = T(slope[i]);
    else
      fill_row(tile + i, classes, 16, T(0));  // 0 * NaN is not 0
  }
  store_tile(tile, *y, classes, stream);
}

template <class T>
SOFTGRAD_INLINE void cross_entropy_tiles(const Rows<const T>& x, const std::int64_t* target,
                                         const double* factor, const LossOut<T>& loss,
                                         const Rows<T>* y, long classes, bool stream,
                                         const Regions<T>& at) {
  T* tiles = at.packed[0];
  RowSum row[wide_rows];
  Scale scale[wide_rows];
  T xt[wide_rows];
  double slope[wide_rows];
  Lanes<T> max[wide_rows / 16];
  load_tiles(x, classes, tiles, max);
  for (long i = 0; i < x.count; i++)
    xt[i] = tiles[16 * (i / 16 * classes + (target[i] < 0 ? 0 : target[i])) + i % 16];
  if (y)
    sum_tiles<true>(tiles, max, classes, true, x.count, row);
  else
    sum_tiles<false>(tiles, max, classes, true, x.count, row);
  for (long i = 0; i < x.count; i++) {
    if (target[i] < 0) {
      loss.set(i, 0, 0);
      scale[i] = {1.0, 0.0};
      continue;
    }
    RowSum r = row[i];
    if (lacks_digits<T>(r)) r = gathered_careful_sum(x.row[i], x.stride, classes, r.max, at);
    double hi, lo;
    row_loss<false>(r, xt[i], 1.0, hi, lo);
    if (r.special) hi = lo = std::numeric_limits<double>::quiet_NaN();
    loss.set(i, hi, lo);
    if (!y) continue;
    scale[i] = scale_of(row[i], factor[i]);
    slope[i] = target_slope<false>(r, xt[i], 1.0) * factor[i];
  }
  if (!y) return;
  store_scaled(tiles, *y, classes, scale, stream);
  for (long i = 0; i < x.count; i++) {
    if (target[i] < 0)
      fill_row(y->row[i], classes, y->stride, T(0));
    else if (row[i].special)
      fill_row(y->row[i], classes, y->stride, std::numeric_limits<T>::quiet_NaN());
    else
      y->row[i][target[i] * y->stride] = T(slope[i]);
  }
}

template <bool tempered, class T>
SOFTGRAD_INLINE void cross_entropy_rows(const Rows<const T>& x, const std::int64_t* target,
                                        const double* factor, const LossOut<T>& loss,
                                        const Rows<T>* y, long classes, double temperature,
                                        bool stream, const Regions<T>& at) {
  const bool kept = !tempered && y && classes <= block_classes;
  RowPipeline<T> rows(classes, stream, at.work);
  const long group = kept || !y ? group_size : 1;  // long rows one by one, while they are in cache
  for (long i0 = 0; i0 < x.count; i0 += group) {
    const long k1 = x.count - i0 < group ? x.count - i0 : group;
    bool in_output = false;
    BlockSum sum[group_size];
    RowSum row[group_size], log_row[group_size];
    double slope[group_size] = {};
    if (kept)
      rows.sum(x.row + i0, k1, sum);
    else if (!y)
      log_row_sums(x.row + i0, k1, classes, temperature, at.sums, log_row);
    for (long k = 0; k < k1; k++) {
      const long i = i0 + k, t = target[i];
      const T* from = x.row[i];
      if (t < 0) {
        loss.set(i, 0, 0);
        continue;
      }
      if (!y) {
        row[k] = log_row[k];
      } else if (kept) {
        row[k] = log_row[k] = join<T>(sum + k, 1, false, true);
        if (lacks_digits<T>(row[k]))
          log_row[k] = careful_row_sum(from, classes, row[k].max, 1.0, at.sums);
      } else {
        in_output = !tempered && worth_keeping<T>(from, y->row[i], classes);
        if (tempered)
          row[k] =
              careful_row_sum(from, classes, double(max_of(from, classes)), temperature, at.sums);
        else if (in_output)
          row[k] = fast_row_sum<true>(from, classes, true, at.sums, y->row[i]);
        else
          row[k] = fast_row_sum(from, classes, true, at.sums);
        log_row[k] = row[k];
        if (!tempered && lacks_digits<T>(row[k])) {
          log_row[k] = careful_row_sum(from, classes, row[k].max, 1.0, at.sums);
          in_output = false;  // the sums of its blocks are gone
        }
      }
      double hi, lo;
      row_loss<tempered>(log_row[k], from[t], temperature, hi, lo);
      if (row[k].special) hi = lo = std::numeric_limits<double>::quiet_NaN();
      loss.set(i, hi, lo);
      if (y) slope[k] = target_slope<tempered>(log_row[k], from[t], temperature) * factor[i];
    }
    if (!y) continue;
    for (long k = 0; k < k1; k++) {
      const long i = i0 + k, t = target[i];
      T* to = y->row[i];
      if (t < 0) {
        fill_row(to, classes, 1, T(0));
      } else if (row[k].special) {
        fill_row(to, classes, 1, std::numeric_limits<T>::quiet_NaN());
      } else if (kept) {
        rows.write(k, to, scale_of(row[k], factor[i]),
                   {row_ahead(x, i + 2 * group_size, classes), t, T(slope[k])});
      } else if (in_output) {
        emit_kept(x.row[i], to, classes, row[k], at.sums, factor[i]);
        to[t] = T(slope[k]);
      } else {
        emit_along(Output::probability, x.row[i], to, classes, row[k], temperature, factor[i],
                   stream, Along<T>{row_ahead(x, i + 1, classes), t, T(slope[k])});
      }
    }
  }
  rows.finish();
}

template <class T>
void cross_entropy(const Rows<const T>& x, const std::int64_t* target, const double* factor,
                   double* loss_hi, double* loss_lo, const Rows<T>* y, long classes,
                   double temperature, bool stream, T* scratch) {
  const Regions<T> at(scratch, classes);
  const LossOut<T> loss = {loss_hi, loss_lo};
  if (classes <= tiny_classes) {
    if (temperature == 1.0)
      cross_entropy_tiny<false>(x, target, factor, loss, y, classes, temperature, stream, at.work);
    else
      cross_entropy_tiny<true>(x, target, factor, loss, y, classes, temperature, stream, at.work);
    return;
  }
  const bool contiguous = x.stride == 1 && (!y || y->stride == 1);
  if (!contiguous && classes <= block_classes && temperature == 1.0) {
    cross_entropy_tiles(x, target, factor, loss, y, classes, stream, at);
    return;
  }
  Rows<T> packed;
  if (!contiguous) packed = pack(x, classes, at.packed[0]);
  const Rows<const T> rows = contiguous ? x : as_const(packed);
  const Rows<T>* to = !y ? nullptr : contiguous ? y : &packed;
  if (temperature == 1.0)
    cross_entropy_rows<false>(rows, target, factor, loss, to, classes, temperature,
                              stream && contiguous, at);
  else
    cross_entropy_rows<true>(rows, target, factor, loss, to, classes, temperature,
                             stream && contiguous, at);
  if (y && !contiguous) unpack(packed, *y, classes);
}

// ---- target probabilities, label smoothing, class weights -------------------------------------

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
