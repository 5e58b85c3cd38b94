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
    s.moment.hi = fma(e.hi, g - reference, s.moment.hi);
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

SOFTGRAD_INLINE LogitProduct finish_moments(DD mass, DD moment, vd reference, double unbias,
                                            double temperature) {
  const DD inverse = reciprocal({mass.hi * unbias, mass.lo * unbias});
  const DD mean = multiply({moment.hi * unbias, moment.lo * unbias}, inverse);
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

// ---- contiguous rows, block by block ------------------------------------------------------------

// Room for the exponentials of a row between its two passes; null where they are computed anew.
struct KeptExponentials {
  double *hi = nullptr, *lo = nullptr;

  SOFTGRAD_INLINE KeptExponentials from(long first) const {
    return hi ? KeptExponentials{hi + first, lo + first} : *this;
  }
};
// They are kept where they fit into half of a second-level cache; `free` has room for two doubles a
// class.
template <class T>
SOFTGRAD_INLINE KeptExponentials keep_exponentials(long classes, T* free) {
  const long whole = (classes + 15) / 16 * 16;
  if (whole * long(sizeof(T)) > 1L << 18) return {};
  double* const hi = reinterpret_cast<double*>(free);
  return {hi, hi + whole};
}

// f(j, n, exponentials, g) for the classes j .. j + n of a block, n <= 16.
template <class T, class Exp, class F>
SOFTGRAD_INLINE void visit_exponentials(const T* x, const T* g, long n, const Exp& exp, F f) {
  auto visit = [&](long j, long count, const D16& logits, const D16& cotangents) {
    D16 hi, lo;
    SOFTGRAD_EACH_D {
      const DD e = exp(logits.v[i]);
      hi.v[i] = e.hi, lo.v[i] = e.lo;
    }
    f(j, count, hi, lo, cotangents);
  };
  long j = 0;
  for (; j + 16 <= n; j += 16) visit(j, 16, load16d(x + j), load16d(g + j));
  if (j < n)
    visit(j, n - j, to_double(load_head(x + j, n - j, -std::numeric_limits<T>::infinity())),
          to_double(load_head(g + j, n - j, T(0))));
}
template <class T, class F>
SOFTGRAD_INLINE void visit_kept(const KeptExponentials& kept, const T* g, long n, F f) {
  auto visit = [&](long j, long count, const D16& cotangents) {
    f(j, count, load16(kept.hi + j), sizeof(T) == 8 ? load16(kept.lo + j) : all16(0.0), cotangents);
  };
  long j = 0;
  for (; j + 16 <= n; j += 16) visit(j, 16, load16d(g + j));
  if (j < n) visit(j, n - j, to_double(load_head(g + j, n - j, T(0))));
}

template <bool tempered, class T>
SOFTGRAD_INLINE LogitMoments block_moments(const T* x, const T* g, long n, double max,
                                           double reference, double temperature,
                                           const KeptExponentials& kept) {
  const auto exp = CarefulExp<T, tempered>::of(splat(max), temperature);
  const vd g_m = splat(reference);
  MomentSums sums[regs_d];
  auto add = [&]<bool keep>() {
    visit_exponentials(x, g, n, exp, [&](long j, long, const D16& hi, const D16& lo, const D16& v) {
      if (keep) store16(kept.hi + j, hi);
      if (keep && sizeof(T) == 8) store16(kept.lo + j, lo);
      SOFTGRAD_EACH_D add_moment<T>(sums[i], {hi.v[i], lo.v[i]}, v.v[i], g_m);
    });
  };
  kept.hi ? add.template operator()<true>() : add.template operator()<false>();
  Sum16 mass, moment;
  D16 most;
  SOFTGRAD_EACH_D {
    mass.hi.v[i] = sums[i].mass.hi, mass.lo.v[i] = sums[i].mass.lo;
    moment.hi.v[i] = sums[i].moment.hi, moment.lo.v[i] = sums[i].moment.lo;
    most.v[i] = sums[i].most;
  }
  const DD a = combine_lanes(mass), b = combine_lanes(moment);
  return {a.hi[0], a.lo[0], b.hi[0], b.lo[0], max_lanes(most)};
}
template <class T>
LogitMoments logit_moments(const T* x, const T* g, long n, double max, double reference,
                           double temperature) {
  return temperature == 1.0 ? block_moments<false>(x, g, n, max, reference, 1.0, {})
                            : block_moments<true>(x, g, n, max, reference, temperature, {});
}

// The row of these blocks, in their order.
template <class T>
LogitRow join_moments(const LogitMoments* moments, long blocks, double max, double reference,
                      double temperature) {
  DD mass = dd(0.0), moment = mass;
  double most = 0;
  for (long b = 0; b < blocks; b++) {
    const LogitMoments& m = moments[b];
    mass = add(mass, dd(m.mass_hi, m.mass_lo));
    moment = add(moment, dd(m.moment_hi, m.moment_lo));
    most = m.most > most ? m.most : most;
  }
  LogitRow row = {max, temperature, reference, 0, 0, 0, 0, false};
  row.usable = usable(mass.hi[0], moment.hi[0], most);
  if (!row.usable) return row;
  const LogitProduct product =
      finish_moments(mass, moment, splat(reference), CarefulExp<T, false>::unbias, temperature);
  row.mean_hi = product.mean.hi[0], row.mean_lo = product.mean.lo[0];
  row.factor_hi = product.factor.hi[0], row.factor_lo = product.factor.lo[0];
  return row;
}

template <bool tempered, class T>
SOFTGRAD_INLINE void write_block(const T* x, const T* g, T* y, long n, const LogitRow& row,
                                 const KeptExponentials& kept) {
  using Exp = CarefulExp<T, tempered>;
  const LogitProduct product = {splat(row.reference), dd(row.mean_hi, row.mean_lo),
                                dd(row.factor_hi, row.factor_lo)};
  auto write = [&](long j, long count, const D16& hi, const D16& lo, const D16& v) {
    D16 o;
    SOFTGRAD_EACH_D o.v[i] = logit_product<T>(product, DD{hi.v[i], lo.v[i]}, v.v[i], Exp::unbias);
    if (count == 16)
      store16d(y + j, o);
    else
      store_head(y + j, to_element<T>(o), count);
  };
  if (kept.hi)
    visit_kept(kept, g, n, write);
  else
    visit_exponentials(x, g, n, Exp::of(splat(row.max), row.temperature), write);
}
template <class T>
void logit_write(const T* x, const T* g, T* y, long n, const LogitRow& row) {
  row.temperature == 1.0 ? write_block<false>(x, g, y, n, row, {})
                         : write_block<true>(x, g, y, n, row, {});
}

// False, and nothing written, if the row is not for this algorithm.
template <bool tempered, class T>
SOFTGRAD_INLINE bool logit_product_row(const T* x, const T* g, T* y, long classes,
                                       double temperature, const Regions<T>& at,
                                       const KeptExponentials& kept) {
  const T max = max_of(x, classes);
  if (!finite(max)) return false;
  const double reference = double(g[index_of(x, classes, max)]);
  LogitMoments* moments = reinterpret_cast<LogitMoments*>(at.sums);
  static_assert(sizeof(LogitMoments) <= sizeof(BlockSum));
  const long blocks = block_count(classes);
  for (long b = 0; b < blocks; b++) {
    const long from = b * block_classes;
    moments[b] = block_moments<tempered>(x + from, g + from, block_length(classes, b), double(max),
                                         reference, temperature, kept.from(from));
  }
  const LogitRow row = join_moments<T>(moments, blocks, double(max), reference, temperature);
  if (!row.usable) return false;
  for (long b = 0; b < blocks; b++) {
    const long from = b * block_classes;
    write_block<tempered>(x + from, g + from, y + from, block_length(classes, b), row,
                          kept.from(from));
  }
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
SOFTGRAD_INLINE unsigned logit_product_tile(const T* xt, T* gt, long classes, double temperature,
                                            double* e) {
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
  double* e_low = e + bundle_rows * tiny_classes;
  Exp exp[regs_d];
  MomentSums sums[regs_d];
  SOFTGRAD_EACH_D exp[i] = Exp::of(max.v[i], temperature);
  for (long c = 0; c < classes; c++) {
    const D16 u = load16d(xt + 16 * c), v = load16d(gt + 16 * c);
    D16 hi, lo;
    SOFTGRAD_EACH_D {
      const DD y = exp[i](u.v[i]);
      hi.v[i] = y.hi, lo.v[i] = y.lo;
      add_moment<T>(sums[i], y, v.v[i], reference.v[i]);
    }
    store16(e + 16 * c, hi);
    if (sizeof(T) == 8) store16(e_low + 16 * c, lo);
  }
  LogitProduct product[regs_d];
  D16 mass, moment, most;
  SOFTGRAD_EACH_D {
    const MomentSums& r = sums[i];
    product[i] =
        finish_moments(fast_two_sum(r.mass.hi, r.mass.lo), fast_two_sum(r.moment.hi, r.moment.lo),
                       reference.v[i], Exp::unbias, temperature);
    mass.v[i] = sums[i].mass.hi, moment.v[i] = sums[i].moment.hi, most.v[i] = sums[i].most;
  }
  alignas(64) double top[lanes], m[lanes], d[lanes], s[lanes];
  store16(top, max), store16(m, mass), store16(d, moment), store16(s, most);
  unsigned left = 0;
  for (int i = 0; i < lanes; i++)
    left |= unsigned(!(finite(top[i]) && usable(m[i], d[i], s[i]))) << i;
  for (long c = 0; c < classes; c++) {
    const D16 hi = load16(e + 16 * c), lo = sizeof(T) == 8 ? load16(e_low + 16 * c) : all16(0.0);
    D16 v = load16d(gt + 16 * c);
    SOFTGRAD_EACH_D v.v[i] = logit_product<T>(product[i], {hi.v[i], lo.v[i]}, v.v[i], Exp::unbias);
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
  const unsigned left = logit_product_tile<tempered>(xt, gt, classes, temperature,
                                                     reinterpret_cast<double*>(at.work));
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
  // Short rows fit into the working area, long ones only where nothing is packed.
  const KeptExponentials kept = classes <= block_classes ? keep_exponentials(classes, at.work)
                                : apart                  ? KeptExponentials{}
                                                         : keep_exponentials(classes, at.packed[0]);
  for (long i = 0; i < x.count; i++) {
    const T *u = xs.row[i], *v = gs.row[i];
    T* w = ys.row[i];
    const bool done = tempered ? logit_product_row<true>(u, v, w, classes, temperature, at, kept)
                               : logit_product_row<false>(u, v, w, classes, temperature, at, kept);
    if (!done) product_by_probabilities(u, v, w, at.packed[2], classes, temperature, scratch);
  }
  if (apart) unpack(ys, y, classes);
}

}  // namespace softgrad::SOFTGRAD_ISA
