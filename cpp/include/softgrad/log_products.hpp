// The vector-Jacobian product of log-softmax from the logits themselves, for rows of one block:
//     y = g - p sum g,    p = softmax(x).
//
// The exponentials wait in the cache, and their sum and that of g make the one factor that they
// need; the probabilities are never written. At a class m with more than half of the probability
// the result is q sum g - (sum of the other g), q the sum of the other probabilities, and does not
// cancel. Error: at most 3 ULP of |g_j| + p_j sum |g|.
#pragma once

#include "products.hpp"

namespace softgrad::SOFTGRAD_ISA {

// The sum of all numbers given, in double (float32) or with rounding errors (float64).
template <class T>
class RunningSum {
 public:
  SOFTGRAD_INLINE void add(const T* g, long n) {
    long j = 0;
    for (; j + 16 <= n; j += 16) accumulate_as<T>(sum_, load16d(g + j));
    if (j < n) accumulate_as<T>(sum_, to_double(load_head(g + j, n - j, T(0))));
  }
  SOFTGRAD_INLINE DD total() const { return combine_lanes(sum_); }

 private:
  Sum16 sum_ = zero_sum();
};

// y = g - e factor for stored exponentials e.
template <class T>
SOFTGRAD_INLINE void subtract_scaled(const T* e, const T* g, T* y, long n, Scale s,
                                     const T* x_ahead, const T* g_ahead) {
  using V = Lanes<T>;
  auto run = [&](auto f) {
    long j = 0;
    for (; j + 16 <= n; j += 16) {
      if (x_ahead) fetch16(x_ahead + j), fetch16(g_ahead + j);
      store16(y + j, f(load16(e + j), load16(g + j)));
    }
    if (j < n)
      store_head(y + j, f(load_head(e + j, n - j, T(0)), load_head(g + j, n - j, T(0))), n - j);
  };
  if (fits<T>(s)) {
    const auto factor = Factor<T>::of({-s.hi, -s.lo});
    run([&](const V& u, V v) {
      for (int i = 0; i < registers<T>; i++)
        v.v[i] = fma(u.v[i], factor.h, fma(u.v[i], factor.l, v.v[i]));
      return v;
    });
  } else {
    const vd h = splat(-s.hi);
    run([&](const V& u, const V& v) {
      const D16 a = to_double(u);
      D16 b = to_double(v);
      SOFTGRAD_EACH_D b.v[i] = fma(a.v[i], h, b.v[i]);
      return to_element<T>(b);
    });
  }
}

template <class T>
SOFTGRAD_INLINE void log_products(const Rows<const T>& x, const Rows<const T>& g, const Rows<T>& y,
                                  long classes, const Regions<T>& at) {
  const long pitch = (classes + 31) / 16 * 16;
  for (long i0 = 0; i0 < x.count; i0 += group_size) {
    const long count = x.count - i0 < group_size ? x.count - i0 : group_size;
    BlockSum sum[group_size];
    DD total[group_size];
    for (long k = 0; k < count; k++) {
      const T *u = x.row[i0 + k], *v = g.row[i0 + k];
      RunningSum<T> running;
      block_sum_into<true>(u, at.work + k * pitch, classes, max_of(u, classes), sum + k,
                           [&](long j) __attribute__((always_inline)) { running.add(v + j, 64); });
      const long done = finite(sum[k].max) ? classes / 64 * 64 : 0;
      running.add(v + done, classes - done);
      total[k] = running.total();
    }
    for (long k = 0; k < count; k++) {
      const long i = i0 + k;
      const T *u = x.row[i], *v = g.row[i], *e = at.work + k * pitch;
      const RowSum r = join<T>(sum + k, 1, false, false);
      if (r.special) {
        fill_row(y.row[i], classes, 1, std::numeric_limits<T>::quiet_NaN());
        continue;
      }
      double exponent;
      const double most = double(fast_exp<T>(T(r.max), &exponent)(splat(T(r.max)))[0]);
      double all = plain<T>(total[k]), at_top = 0;
      long top = -1;
      if (most * r.inverse_hi > 0.5) {
        top = index_of(u, classes, T(r.max));
        const BlockTotals t = block_totals(e, v, classes, top);
        all = plain<T>(add(dd(t.total, t.total_low), splat(double(v[top]))));
        at_top = ((t.mass + t.mass_low) * r.inverse_hi * all - t.total) - t.total_low;
      }
      subtract_scaled(e, v, y.row[i], classes, scale_of(r, all),
                      row_ahead(x, i + group_size, classes), row_ahead(g, i + group_size, classes));
      if (top >= 0) y.row[i][top] = T(at_top);
    }
  }
}

// 33 to 4096 classes; up to sixteen rows, scratch as for rows that lie apart.
template <class T>
void log_product_of_logits(const Rows<const T>& x, const Rows<const T>& g, const Rows<T>& y,
                           long classes, T* scratch) {
  const Regions<T> at(scratch, classes);
  if (x.stride == 1 && g.stride == 1 && y.stride == 1) {
    log_products(x, g, y, classes, at);
    return;
  }
  const Rows<const T> xs = as_const(pack(x, classes, at.packed[0]));
  const Rows<T> ys = pack(g, classes, at.packed[1]);
  log_products(xs, as_const(ys), ys, classes, at);
  unpack(ys, y, classes);
}

}  // namespace softgrad::SOFTGRAD_ISA
