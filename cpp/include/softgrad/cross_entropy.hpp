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
void at_target(const RowSum& log_sum, T target_logit, double temperature, double* hi, double* lo,
               double* slope) {
  if (temperature == 1.0) {
    row_loss<false>(log_sum, target_logit, 1.0, *hi, *lo);
    *slope = target_slope<false>(log_sum, target_logit, 1.0);
  } else {
    row_loss<true>(log_sum, target_logit, temperature, *hi, *lo);
    *slope = target_slope<true>(log_sum, target_logit, temperature);
  }
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

}  // namespace softgrad::SOFTGRAD_ISA
