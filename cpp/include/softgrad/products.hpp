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

template <class T>
SOFTGRAD_INLINE long argmax_of(const T* p, long n, T* max) {
  *max = max_of(p, n);
  long j = 0;
  while (j + 16 <= n && !any_equal(load16(p + j), *max)) j += 16;
  for (; j < n; j++)
    if (p[j] == *max) return j;
  return 0;  // all NaN
}

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
  if (j < n) f(load16d(Tail<T>(p + j, n - j, T(0)).t), load16d(Tail<T>(g + j, n - j, T(0)).t));
}
template <class T>
SOFTGRAD_INLINE double plain(DD s) {
  return s.hi[0] + s.lo[0];
}

// sum p (g - reference) and, where asked, sum p over one block. float32 multiplies and adds quads
// in float and totals in double, so that memory and not arithmetic is the limit.
template <bool with_mass>
SOFTGRAD_INLINE void block_mean(const float* p, const float* g, long n, float reference,
                                double& mean, double& mean_low, double& mass) {
  const vf r = splat(reference);
  QuadTotal<float> means, masses;
  F16 sum, weight;
  auto step = [&](bool first, const F16& u, const F16& v) {
    SOFTGRAD_EACH_F {
      sum.v[i] = first ? u.v[i] * (v.v[i] - r) : fma(u.v[i], v.v[i] - r, sum.v[i]);
      if (with_mass) weight.v[i] = first ? u.v[i] : weight.v[i] + u.v[i];
    }
  };
  long j = 0;
  for (; j + 64 <= n; j += 64) {
    step(true, load16(p + j), load16(g + j));
    step(false, load16(p + j + 16), load16(g + j + 16));
    step(false, load16(p + j + 32), load16(g + j + 32));
    step(false, load16(p + j + 48), load16(g + j + 48));
    means.add(sum);
    if (with_mass) masses.add(weight);
  }
  if (j < n) {
    sum = weight = all16(0.0f);
    for (; j + 16 <= n; j += 16) step(false, load16(p + j), load16(g + j));
    if (j < n)
      step(false, load16(Tail<float>(p + j, n - j, 0.0f).t),
           load16(Tail<float>(g + j, n - j, 0.0f).t));
    means.add(sum);
    if (with_mass) masses.add(weight);
  }
  double low;
  means.result(mean, mean_low);
  masses.result(mass, low);
}
template <bool with_mass>
SOFTGRAD_INLINE void block_mean(const double* p, const double* g, long n, double reference,
                                double& mean, double& mean_low, double& mass) {
  const vd r = splat(reference);
  Sum16 means = zero_sum(), masses = zero_sum();
  visit_pair(p, g, n, [&](D16 u, D16 v) {
    SOFTGRAD_EACH_D {
      DD t = two_product(u.v[i], v.v[i] - r);
      v.v[i] = t.hi;
      means.lo.v[i] += t.lo;
    }
    accumulate(means, v);
    if (with_mass) accumulate(masses, u);
  });
  const DD sum = combine_lanes(means);
  mean = sum.hi[0], mean_low = sum.lo[0];
  mass = with_mass ? plain<double>(combine_lanes(masses)) : 0;
}

// A reference and sum p (g - reference) for a row, block by block. The reference is g at the class
// with more than half of the probability, and 0 where there is none: then nothing cancels that the
// plain sum would lose, and a shift by a large g_m of a small p_m would itself cost digits.
struct Centre {
  double reference, mean, mean_low;
};
template <class T>
SOFTGRAD_INLINE Centre centre_of(const T* p, const T* g, long classes) {
  const bool many = classes > block_classes;
  double reference = 0;
  DD total = dd(0.0), weight = dd(0.0);
  for (long b = 0; b < block_count(classes); b++) {
    const long from = b * block_classes, n = block_length(classes, b);
    T max;
    const long top = argmax_of(p + from, n, &max);
    const T block_reference = max > T(0.5) ? g[from + top] : T(0);
    double mean, mean_low, mass;
    if (many)
      block_mean<true>(p + from, g + from, n, block_reference, mean, mean_low, mass);
    else
      block_mean<false>(p + from, g + from, n, block_reference, mean, mean_low, mass);
    if (max > T(0.5)) {  // the earlier classes move to it
      total = add(total, two_product(splat(reference - double(block_reference)), weight.hi));
      reference = double(block_reference);
    } else if (reference != 0) {
      total = add(total, two_product(splat(-reference), splat(mass)));
    }
    total = many ? add(total, dd(mean, mean_low)) : dd(mean, mean_low);
    weight = add(weight, splat(mass));
  }
  const double low = total.lo[0];
  return {reference, total.hi[0], low == low ? low : 0.0};
}

// ((g - reference) - mean) [p]. What rounding takes from the differences is kept: with p the result
// is rounded once (float64), or twice (float32).
SOFTGRAD_INLINE vd centred_once(bool with_p, vd p, vd g, vd reference, vd mean, vd mean_low,
                                vd scale) {
  DD a = two_sum(g, -reference);
  DD d = two_sum(a.hi, -mean);
  vd low = d.lo + (a.lo - mean_low);
  low = low == low ? low : vd{};
  d.hi *= scale, low *= scale;  // before p, whose product may be subnormal
  return with_p ? fma(p, d.hi, p * low) : d.hi + low;
}
SOFTGRAD_INLINE vf centred_once(bool with_p, vf p, vf g, vf reference, vf mean, vf mean_low,
                                vf scale) {
  vf a = g - reference, d = a - mean, b = d - a;
  vf low = ((a - (d - b)) - (mean + b)) - mean_low;
  low = low == low ? low : vf{};
  d *= scale, low *= scale;
  return with_p ? fma(p, d, p * low) : d + low;
}

template <bool with_p, class T>
SOFTGRAD_INLINE void write_product(const T* p, const T* g, T* y, long n, Centre c, double scale_by,
                                   bool stream, const T* p_ahead, const T* g_ahead) {
  const auto reference = splat(T(c.reference)), mean = splat(T(c.mean));
  const auto mean_low = splat(T((c.mean - double(T(c.mean))) + c.mean_low));
  const auto scale = splat(T(scale_by));
  constexpr int registers = sizeof(T) == 4 ? regs_f : regs_d;
  auto f = [&](const auto& u, auto v) {
    for (int i = 0; i < registers; i++) {
      v.v[i] = centred_once(with_p, u.v[i], v.v[i], reference, mean, mean_low, scale);
    }
    return v;
  };
  auto part = [&](long j, long k) {
    Tail<T> u(p + j, k, T(0)), v(g + j, k, T(0));
    store16(v.t, f(load16(u.t), load16(v.t)));
    copy_head(y + j, v.t, k);
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

// g - p sum g; at a p_m above 1/2 as q sum g - (sum of the other g), q the sum of the other p.
template <class T>
SOFTGRAD_INLINE void log_softmax_vjp_row(const T* p, const T* g, T* y, long classes, double scale) {
  T max;
  const long top = argmax_of(p, classes, &max);
  Sum16 mass = zero_sum(), total = zero_sum();
  long at = 0;
  visit_pair(p, g, classes, [&](D16 u, D16 v) {
    if (at <= top && top < at + 16) {
      alignas(64) double a[lanes], b[lanes];
      store16(a, u), store16(b, v);
      a[top - at] = 0, b[top - at] = 0;
      u = load16(a), v = load16(b);
    }
    accumulate_as<T>(mass, u);
    accumulate_as<T>(total, v);
    at += 16;
  });
  const DD others = combine_lanes(total);
  const double q = plain<T>(combine_lanes(mass));
  const double g_top = double(g[top]);
  const double sum = plain<T>(add(others, splat(g_top)));
  const double at_top = (q * sum - others.hi[0]) - others.lo[0];
  const vd s = splat(-sum), by = splat(scale);
  auto f = [&](D16 u, D16 v) {
    SOFTGRAD_EACH_D v.v[i] = fma(u.v[i], s, v.v[i]) * by;
    return v;
  };
  long j = 0;
  for (; j + 16 <= classes; j += 16) store16d(y + j, f(load16d(p + j), load16d(g + j)));
  if (j < classes) {
    Tail<T> u(p + j, classes - j, T(0)), v(g + j, classes - j, T(0));
    store16d(v.t, f(load16d(u.t), load16d(v.t)));
    copy_head(y + j, v.t, classes - j);
  }
  if (max > T(0.5)) y[top] = T(at_top * scale);
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
        v.v[i] = centred_once(kind == Product::softmax_vjp, u.v[i], v.v[i], reference.v[i],
                              mean.hi.v[i], mean.lo.v[i], by);
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

template <class T>
void product(Product kind, const Rows<const T>& p, const Rows<const T>& g, const Rows<T>& y,
             long classes, double scale, bool stream, T* scratch) {
  const Regions<T> at(scratch, classes);
  if (classes <= tiny_classes) {
    product_tiny(kind, p, g, y, classes, scale, stream, at.work);
    return;
  }
  const bool apart = p.stride != 1 || g.stride != 1 || y.stride != 1;
  Rows<const T> ps = p, gs = g;
  Rows<T> ys = y;
  if (apart) {
    ps = as_const(pack(p, classes, at.packed[0]));
    gs = as_const(pack(g, classes, at.packed[1]));
    ys.stride = 1;
    for (long i = 0; i < y.count; i++) ys.row[i] = at.packed[2] + i * classes;
    stream = false;
  }
  for (long i = 0; i < p.count; i++) {
    const T *u = ps.row[i], *v = gs.row[i];
    if (kind == Product::log_softmax_vjp) {
      log_softmax_vjp_row(u, v, ys.row[i], classes, scale);
      continue;
    }
    const Centre c = centre_of(u, v, classes);
    if (kind == Product::softmax_vjp)
      write_product<true>(u, v, ys.row[i], classes, c, scale, stream, row_ahead(ps, i + 1, classes),
                          row_ahead(gs, i + 1, classes));
    else
      write_product<false>(u, v, ys.row[i], classes, c, scale, stream,
                           row_ahead(ps, i + 1, classes), row_ahead(gs, i + 1, classes));
  }
  if (apart) unpack(ys, y, classes);
}

// sum p g, in double or with rounding errors.
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
  for (long i = 0; i < p.count; i++) {
    Sum16 sum = zero_sum();
    visit_pair(ps.row[i], gs.row[i], classes, [&](D16 u, D16 v) {
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
    DD s = combine_lanes(sum);
    *result[i] = T(sizeof(T) == 4 ? s.hi[0] : s.hi[0] + s.lo[0]);
  }
}

}  // namespace softgrad::SOFTGRAD_ISA
