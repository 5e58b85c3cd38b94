// The product of softmax's Jacobian with a vector, from the logits themselves:
//     y = p (g - p.g) / T,    p = softmax(x / T).
//
// From rounded probabilities an entry such as -p_i p_j carries the errors of both. Here the
// exponentials keep more digits than the type holds (CarefulExp), and each entry is rounded once.
// With m a class of the largest logit, and sums over the exponentials e,
//     g_j - p.g = (g_j - g_m) - (sum_i e_i (g_i - g_m)) / sum_i e_i:
// the term i = m vanishes, so nothing cancels where p_m is close to 1, and a constant g gives 0.
// Error: at most 1 ULP of p_j (|g_j - g_m| + sum_i p_i |g_i - g_m|), for at most 2^26 classes.
// Rows without a finite maximum, with NaN, or with a g too large for this (1e280) go the way of
// given probabilities, products.hpp.
#pragma once

#include "products.hpp"

namespace softgrad::SOFTGRAD_ISA {

// What the entries of a row share, lane by lane.
struct LogitProduct {
  vd reference;  // g_m
  DD mean;       // sum p (g - g_m)
  DD factor;     // from biased exponentials to probabilities, over T
};

// Running sums of e and e (g - g_m), and the largest |g - g_m|.
struct MomentSums {
  DD mass = dd(0.0), moment = dd(0.0);
  vd most = {};
};

template <class T>
SOFTGRAD_INLINE void add_moment(MomentSums& s, DD e, vd g, vd reference) {
  if constexpr (sizeof(T) == 4) {
    s.mass.hi += e.hi;
    s.moment.hi += e.hi * (g - reference);
  } else {
    const DD d = two_sum(g, -reference);
    const vd size = d.hi < 0.0 ? -d.hi : d.hi;
    s.most = maximum(size, s.most);
    const DD mass = two_sum(s.mass.hi, e.hi), t = two_product(e.hi, d.hi);
    const DD moment = two_sum(s.moment.hi, t.hi);
    s.mass = {mass.hi, s.mass.lo + (mass.lo + e.lo)};
    s.moment = {moment.hi, s.moment.lo + (moment.lo + (t.lo + fma(e.hi, d.lo, e.lo * d.hi)))};
  }
}

SOFTGRAD_INLINE LogitProduct finish_moments(const MomentSums& s, vd reference, double unbias,
                                            double temperature) {
  const DD mass = fast_two_sum(s.mass.hi, s.mass.lo);
  const DD inverse = reciprocal({mass.hi * unbias, mass.lo * unbias});
  const DD mean = multiply(fast_two_sum(s.moment.hi * unbias, s.moment.lo * unbias), inverse);
  return {reference, mean, multiply(inverse, reciprocal(dd(temperature)))};
}

// e (g - g_m - mean) factor; e is biased by 1 / unbias, which is taken back last, where it is
// exact.
template <class T>
SOFTGRAD_INLINE vd logit_product(const LogitProduct& r, DD e, vd g, double unbias) {
  if constexpr (sizeof(T) == 4) {
    return e.hi * (((g - r.reference) - r.mean.hi) * r.factor.hi);
  } else {
    const DD a = two_sum(g, -r.reference), b = two_sum(a.hi, -r.mean.hi);
    const DD c = multiply({b.hi, b.lo + (a.lo - r.mean.lo)}, r.factor);
    const DD p = two_product(e.hi, c.hi);
    return (p.hi + (p.lo + fma(e.hi, c.lo, e.lo * c.hi))) * unbias;
  }
}

constexpr double largest_difference = 1e280;
SOFTGRAD_INLINE bool usable(double mass, double moment, double most) {
  return finite(mass) && finite(moment) && most < largest_difference;
}

// One contiguous row; false, and nothing written, if it is not for this algorithm.
template <bool tempered, class T>
SOFTGRAD_INLINE bool logit_product_row(const T* x, const T* g, T* y, long classes,
                                       double temperature) {
  using Exp = CarefulExp<T, tempered>;
  const T max = max_of(x, classes);
  if (!finite(max)) return false;
  const vd reference = splat(double(g[index_of(x, classes, max)]));
  const Exp exp = Exp::of(splat(double(max)), temperature);
  MomentSums sums[regs_d];
  auto visit = [&](auto f) {
    long j = 0;
    for (; j + 16 <= classes; j += 16) f(j, 16, load16d(x + j), load16d(g + j));
    if (j < classes) {
      const long n = classes - j;
      f(j, n, to_double(load_head(x + j, n, -std::numeric_limits<T>::infinity())),
        to_double(load_head(g + j, n, T(0))));
    }
  };
  visit([&](long, long, const D16& u, const D16& v) {
    SOFTGRAD_EACH_D add_moment<T>(sums[i], exp(u.v[i]), v.v[i], reference);
  });
  Sum16 mass, moment;
  D16 most;
  SOFTGRAD_EACH_D {
    mass.hi.v[i] = sums[i].mass.hi, mass.lo.v[i] = sums[i].mass.lo;
    moment.hi.v[i] = sums[i].moment.hi, moment.lo.v[i] = sums[i].moment.lo;
    most.v[i] = sums[i].most;
  }
  MomentSums row;
  row.mass = combine_lanes(mass), row.moment = combine_lanes(moment);
  if (!usable(row.mass.hi[0], row.moment.hi[0], max_lanes(most))) return false;
  const LogitProduct product = finish_moments(row, reference, Exp::unbias, temperature);
  visit([&](long j, long n, const D16& u, const D16& v) {
    D16 o;
    SOFTGRAD_EACH_D o.v[i] = logit_product<T>(product, exp(u.v[i]), v.v[i], Exp::unbias);
    store_head(y + j, to_element<T>(o), n);
  });
  return true;
}

// The same product by way of the probabilities, which go to p.
template <class T>
SOFTGRAD_INLINE void product_by_probabilities(const T* x, const T* g, T* y, T* p, long classes,
                                              double temperature, T* scratch) {
  Rows<const T> from{{x}, 1, 1}, probability{{p}, 1, 1}, cotangent{{g}, 1, 1};
  Rows<T> to{{p}, 1, 1}, result{{y}, 1, 1};
  normalize<T>(Output::probability, from, to, classes, temperature, false, scratch);
  product<T>(Product::softmax_vjp, probability, cotangent, result, classes, 1.0 / temperature,
             false, scratch);
}

// Few classes: a lane per row. x and g are tiles, the result replaces g's; a bit for each row that
// is not for this algorithm is returned.
template <bool tempered, class T>
SOFTGRAD_INLINE unsigned logit_product_tile(const T* xt, T* gt, long classes, double temperature) {
  using Exp = CarefulExp<T, tempered>;
  D16 max = load16d(xt), reference = load16d(gt);
  for (long c = 1; c < classes; c++) {
    const D16 u = load16d(xt + 16 * c), v = load16d(gt + 16 * c);
    SOFTGRAD_EACH_D {
      const vl more = u.v[i] > max.v[i];
      max.v[i] = more ? u.v[i] : max.v[i];
      reference.v[i] = more ? v.v[i] : reference.v[i];
    }
  }
  Exp exp[regs_d];
  MomentSums sums[regs_d];
  SOFTGRAD_EACH_D exp[i] = Exp::of(max.v[i], temperature);
  for (long c = 0; c < classes; c++) {
    const D16 u = load16d(xt + 16 * c), v = load16d(gt + 16 * c);
    SOFTGRAD_EACH_D add_moment<T>(sums[i], exp[i](u.v[i]), v.v[i], reference.v[i]);
  }
  LogitProduct product[regs_d];
  D16 mass, moment, most;
  SOFTGRAD_EACH_D {
    product[i] = finish_moments(sums[i], reference.v[i], Exp::unbias, temperature);
    mass.v[i] = sums[i].mass.hi, moment.v[i] = sums[i].moment.hi, most.v[i] = sums[i].most;
  }
  alignas(64) double top[lanes], m[lanes], d[lanes], s[lanes];
  store16(top, max), store16(m, mass), store16(d, moment), store16(s, most);
  unsigned left = 0;
  for (int i = 0; i < lanes; i++)
    left |= unsigned(!(finite(top[i]) && usable(m[i], d[i], s[i]))) << i;
  for (long c = 0; c < classes; c++) {
    const D16 u = load16d(xt + 16 * c);
    D16 v = load16d(gt + 16 * c);
    SOFTGRAD_EACH_D v.v[i] = logit_product<T>(product[i], exp[i](u.v[i]), v.v[i], Exp::unbias);
    store16d(gt + 16 * c, v);
  }
  return left;
}

template <bool tempered, class T>
SOFTGRAD_INLINE void logit_product_tiny(const Rows<const T>& x, const Rows<const T>& g,
                                        const Rows<T>& y, long classes, double temperature,
                                        T* scratch) {
  const Regions<T> at(scratch, classes);
  T *xt = at.packed[0], *gt = at.packed[1];
  load_tile(x, classes, xt);
  load_tile(g, classes, gt);
  const unsigned left = logit_product_tile<tempered>(xt, gt, classes, temperature);
  T special[bundle_rows][tiny_classes], xs[tiny_classes], gs[tiny_classes];
  auto each_left = [&](auto f) {
    for (long i = 0; i < x.count; i++)
      if (left >> i & 1) f(i);
  };
  each_left([&](long i) {  // before the results are written, which may replace x or g
    for (long c = 0; c < classes; c++)
      xs[c] = x.row[i][c * x.stride], gs[c] = g.row[i][c * g.stride];
    product_by_probabilities(xs, gs, special[i], at.packed[2], classes, temperature, scratch);
  });
  store_tile(gt, y, classes, false);
  each_left([&](long i) {
    for (long c = 0; c < classes; c++) y.row[i][c * y.stride] = special[i][c];
  });
}

template <class T>
void product_of_logits(const Rows<const T>& x, const Rows<const T>& g, const Rows<T>& y,
                       long classes, double temperature, T* scratch) {
  const bool tempered = temperature != 1.0;
  if (classes <= tiny_classes) {
    tempered ? logit_product_tiny<true>(x, g, y, classes, temperature, scratch)
             : logit_product_tiny<false>(x, g, y, classes, temperature, scratch);
    return;
  }
  const Regions<T> at(scratch, classes);
  const bool apart = x.stride != 1 || g.stride != 1 || y.stride != 1;
  Rows<const T> xs = x, gs = g;
  Rows<T> ys = y;
  if (apart) {
    xs = as_const(pack(x, classes, at.packed[0]));
    ys = pack(g, classes, at.packed[1]);
    gs = as_const(ys);
  }
  for (long i = 0; i < x.count; i++) {
    const T *u = xs.row[i], *v = gs.row[i];
    T* w = ys.row[i];
    const bool done = tempered ? logit_product_row<true>(u, v, w, classes, temperature)
                               : logit_product_row<false>(u, v, w, classes, temperature);
    if (!done) product_by_probabilities(u, v, w, at.packed[2], classes, temperature, scratch);
  }
  if (apart) unpack(ys, y, classes);
}

}  // namespace softgrad::SOFTGRAD_ISA
