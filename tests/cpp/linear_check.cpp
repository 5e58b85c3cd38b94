// The kernels and the passes of linear models against plain loops in long double: sizes around the
// borders of tiles, blocks and groups, every storage of the rows, one thread and several. Sets with
// a fused multiply-add must agree in every bit.
#include <cstring>
#include <map>
#include <optional>

#include "check.hpp"
#include "softgrad/linear_batch.hpp"

namespace check {
namespace {

using softgrad::CurvatureWork;
using softgrad::DualWork;
using softgrad::LinearRows;
using softgrad::LinearSums;
using softgrad::LinearWorkspace;
using softgrad::LossWork;
using softgrad::MomentWork;
using softgrad::Numbers;
using softgrad::PackedWeights;

// Half the distance from 1 to the next number: what one rounding may cost.
template <class T>
constexpr double unit = std::numeric_limits<T>::epsilon() / 2;

void within(const char* what, Real got, Real wanted, Real bound) {
  if (!(std::abs(got - wanted) <= bound)) fail(what, double(got), double(wanted));
}

double normal(std::mt19937& random) { return std::normal_distribution<double>()(random); }

template <class T>
Exactly<T> normals(long n, std::mt19937& random, double scale = 1) {
  Exactly<T> a{std::size_t(n)};
  for (std::size_t i = 0; i < a.size(); i++) a[i] = T(scale * normal(random));
  return a;
}

// --- kernels -----------------------------------------------------------------------------------

template <class T>
void check_tile(const softgrad::LinearKernels<T>& k, long rows, long features, int registers,
                std::mt19937& random) {
  const long columns = registers ? registers * k.width : k.half, x_stride = features + 2,
             z_stride = columns + 3;
  const Exactly<T> x = normals<T>(rows ? (rows - 1) * x_stride + features : 0, random);
  const Exactly<T> w = normals<T>(features * columns, random), bias = normals<T>(columns, random);
  const Exactly<T> r = normals<T>(rows ? (rows - 1) * z_stride + columns : 0, random);
  const Exactly<T> z = normals<T>(rows ? (rows - 1) * z_stride + columns : 0, random, nan);
  k.forward(x.data(), x_stride, rows, features, w.data(), bias.data(), registers, z.data(),
            z_stride);
  for (long i = 0; i < rows; i++)
    for (long c = 0; c < columns; c++) {
      Real sum = bias[std::size_t(c)], size = std::abs(sum);
      for (long d = 0; d < features; d++) {
        const Real term = Real(x[std::size_t(i * x_stride + d)]) * w[std::size_t(d * columns + c)];
        sum += term, size += std::abs(term);
      }
      // without a fused multiply-add the product is rounded too
      within("forward", z[std::size_t(i * z_stride + c)], sum, Real(features + 2) * unit<T> * size);
    }
  Exactly<double> g{std::size_t(features * columns)};
  for (std::size_t j = 0; j < g.size(); j++) g[j] = 1;
  k.backward(x.data(), x_stride, rows, features, r.data(), z_stride, registers, g.data());
  for (long d = 0; d < features; d++)
    for (long c = 0; c < columns; c++) {
      Real sum = 0, size = 0;
      for (long i = 0; i < rows; i++) {
        const Real term = Real(x[std::size_t(i * x_stride + d)]) * r[std::size_t(i * z_stride + c)];
        sum += term, size += std::abs(term);
      }
      within("backward", g[std::size_t(d * columns + c)], 1 + sum,
             Real(rows + 2) * unit<T> * size + unit<double> * (1 + size));
    }
}

template <class T>
void check_tiles(const softgrad::LinearKernels<T>& k, const std::string& name) {
  std::mt19937 random(3);
  for (int registers : {0, 1, 2, 3})
    for (long rows : {0, 1, 3, 4, 5, 7, 8, 9, 11, 12, 13, 15, 16, 17, 49})
      for (long features : {0, 1, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 25}) {
        context = name + " tile rows=" + std::to_string(rows) + " D=" + std::to_string(features) +
                  " registers=" + std::to_string(registers);
        check_tile(k, rows, features, registers, random);
      }
}

template <class T, class X>
void check_standardize(void (*kernel)(const X*, long, const double*, const double*, T*), long n,
                       std::mt19937& random) {
  Exactly<X> x{std::size_t(n)};
  const Exactly<double> mean = normals<double>(n, random, 100);
  const Exactly<double> inverse = normals<double>(n, random);
  for (std::size_t j = 0; j < x.size(); j++) x[j] = X(random() % 256);
  Exactly<T> y{std::size_t(n)};
  kernel(x.data(), n, nullptr, nullptr, y.data());
  for (std::size_t j = 0; j < x.size(); j++) within("converted", y[j], Real(x[j]), 0);
  kernel(x.data(), n, mean.data(), inverse.data(), y.data());
  for (std::size_t j = 0; j < x.size(); j++) {
    const Real wanted = (Real(x[j]) - mean[j]) * inverse[j];
    within("standardized", y[j], wanted, std::abs(wanted) * (unit<T> + 2.01 * unit<double>));
  }
}

// One row of p + change against q: see dual_row.
void check_dual_row(const softgrad::LinearTable& table, long classes, std::mt19937& random) {
  const std::size_t n = std::size_t(classes);
  Exactly<double> p(n), change(n), log_q(n);
  Real sum_p = 0, sum_q = 0, mean_change = 0;
  for (std::size_t c = 0; c < n; c++) {
    p[c] = std::exp(4 * normal(random)), log_q[c] = 3 * normal(random);
    sum_p += p[c], sum_q += std::exp(Real(log_q[c]));
  }
  for (std::size_t c = 0; c < n; c++) {
    p[c] = double(p[c] / sum_p), log_q[c] = double(log_q[c] - std::log(sum_q));
    change[c] = p[c] * normal(random), mean_change += change[c];
  }
  for (std::size_t c = 0; c < n; c++) change[c] -= double(p[c] * mean_change);
  if (classes > 3) log_q[n - 2] = -inf, p[n - 2] = change[n - 2] = 0;
  std::vector<Real> alpha(n);
  Real whole = 0, divergence = 0, size = 1;
  for (std::size_t c = 0; c < n; c++) {
    alpha[c] = std::max(Real(p[c]) + change[c], Real(0));
    whole += alpha[c];
  }
  for (Real& a : alpha) a /= whole;
  for (std::size_t c = 0; c < n; c++)
    if (alpha[c] > 0) {
      divergence += alpha[c] * (std::log(alpha[c]) - log_q[c]);
      size += alpha[c] * (std::abs(std::log(alpha[c])) + std::abs(Real(log_q[c])));
    }
  const double got = table.dual_row(p.data(), change.data(), log_q.data(), classes);
  const double relative = double(classes + 8) * unit<double>;
  within("divergence", got, divergence, relative * size);
  for (std::size_t c = 0; c < n; c++) within("dual point", p[c], alpha[c], relative * alpha[c]);
}

void check_kernels(const softgrad::LinearTable& table, const std::string& name) {
  check_tiles(table.f32, name + " float");
  check_tiles(table.f64, name + " double");
  std::mt19937 random(4);
  for (long n : {0, 1, 2, 3, 7, 8, 15, 16, 17, 33, 100}) {
    context = name + " standardize D=" + std::to_string(n);
    check_standardize(table.f32.standardize_u8, n, random);
    check_standardize(table.f32.standardize_f32, n, random);
    check_standardize(table.f32.standardize_f64, n, random);
    check_standardize(table.f64.standardize_u8, n, random);
    check_standardize(table.f64.standardize_f32, n, random);
    check_standardize(table.f64.standardize_f64, n, random);
  }
  for (long classes : {2, 3, 8, 15, 16, 17, 31, 33, 100, 1000}) {
    context = name + " dual_row C=" + std::to_string(classes);
    check_dual_row(table, classes, random);
  }
}

// --- rows --------------------------------------------------------------------------------------

enum class Store { u8, f32, f64, csr_f32_i32, csr_f32_i64, csr_f64_i32, csr_f64_i64 };
constexpr Store stores[] = {Store::u8,          Store::f32,         Store::f64,
                            Store::csr_f32_i32, Store::csr_f32_i64, Store::csr_f64_i32,
                            Store::csr_f64_i64};
constexpr const char* store_names[] = {"u8",          "f32",         "f64",        "csr f32 i32",
                                       "csr f32 i64", "csr f64 i32", "csr f64 i64"};

struct Shape {
  long rows, features, outputs;
};

// Rows in exactly sized memory, and the same numbers as a matrix in long double.
struct Problem {
  Problem(const Shape& shape, Store store, int variety)
      : random(unsigned(shape.rows * 31 + shape.features * 7 + shape.outputs) + unsigned(variety)),
        target(std::size_t(shape.rows)),
        weight(std::size_t(shape.rows)),
        mean(std::size_t(shape.features)),
        inverse_scale(std::size_t(shape.features)),
        w((shape.features + 1) * shape.outputs),
        step((shape.features + 1) * shape.outputs) {
    d.rows = shape.rows, d.features = shape.features, d.outputs = shape.outputs;
    x.assign(std::size_t(d.rows * d.features), 0);
    s.assign(std::size_t(d.rows), 1);
    switch (store) {
      case Store::u8:
        dense<std::uint8_t>(Numbers::u8, variety);
        break;
      case Store::f32:
        dense<float>(Numbers::f32, variety);
        break;
      case Store::f64:
        dense<double>(Numbers::f64, variety);
        break;
      case Store::csr_f32_i32:
        csr<float, std::int32_t>(Numbers::f32, variety);
        break;
      case Store::csr_f32_i64:
        csr<float, std::int64_t>(Numbers::f32, variety);
        break;
      case Store::csr_f64_i32:
        csr<double, std::int32_t>(Numbers::f64, variety);
        break;
      case Store::csr_f64_i64:
        csr<double, std::int64_t>(Numbers::f64, variety);
        break;
    }
  }

  // Rows side by side, with gaps, or backwards; standardized or not.
  template <class X>
  void dense(Numbers numbers, int variety) {
    const bool standardized = variety & 1;
    const double centre = numbers == Numbers::u8 ? 128 : 3,
                 spread = numbers == Numbers::u8 ? 40 : 2;
    const long gap = variety % 3 == 1 ? 3 : 0, stride = d.features + gap;
    Exactly<X>& all = hold<X>(d.rows ? (d.rows - 1) * stride + d.features : 0);
    for (std::size_t j = 0; j < all.size(); j++) all[j] = gap ? X(77) : X(0);
    const bool backwards = variety % 3 == 2 && d.rows;
    d.row_stride = backwards ? -stride : stride;
    const X* first = all.data() + (backwards ? (d.rows - 1) * stride : 0);
    d.numbers = numbers, d.values = first;
    for (std::size_t j = 0; j < mean.size(); j++) {
      mean[j] = centre + normal(random), inverse_scale[j] = (1 + 0.1 * normal(random)) / spread;
    }
    if (standardized) d.mean = mean.data(), d.inverse_scale = inverse_scale.data();
    for (long i = 0; i < d.rows; i++)
      for (long f = 0; f < d.features; f++) {
        const double drawn = centre + spread * normal(random);
        X& to = const_cast<X&>(first[i * d.row_stride + f]);
        to = X(numbers == Numbers::u8 ? std::clamp(std::floor(drawn), 0.0, 255.0) : drawn);
        x[std::size_t(i * d.features + f)] =
            standardized ? (Real(to) - mean[std::size_t(f)]) * inverse_scale[std::size_t(f)]
                         : Real(to);
      }
    finish(variety, standardized ? 1 : centre);
  }

  // Empty rows, full rows and others; what lies before the first row must not be read. By columns
  // too, or not.
  template <class X, class I>
  void csr(Numbers numbers, int variety) {
    const long before = variety % 2 ? 2 : 0;
    std::vector<X> values(static_cast<std::size_t>(before), X(nan));
    std::vector<I> columns(values.size(), std::numeric_limits<I>::max());
    Exactly<I>& start = hold<I>(d.rows + 1);
    start[0] = I(before);
    for (long i = 0; i < d.rows; i++) {
      for (long f = d.features - 1; f >= 0; f--) {
        const bool stored = i % 7 == 2 || (i % 5 != 3 && random() % 4 == 0);
        if (!stored) continue;
        values.push_back(X(2 * normal(random)));
        columns.push_back(I(f));
        x[std::size_t(i * d.features + f)] = values.back();
      }
      start[std::size_t(i + 1)] = I(values.size());
    }
    Exactly<X>& value = hold<X>(long(values.size()));
    Exactly<I>& column = hold<I>(long(columns.size()));
    for (std::size_t j = 0; j < values.size(); j++) value[j] = values[j], column[j] = columns[j];
    d.numbers = numbers, d.values = value.data(), d.row_start = start.data();
    d.column = column.data(), d.wide_index = sizeof(I) == 8;
    if (variety % 4 >= 2) {
      by_columns.fill(value.data(), start.data(), column.data(), d.rows, d.features);
      d.columns = &by_columns;
    }
    finish(variety, 1);
  }

  void finish(int variety, double magnitude) {
    const double scale = 1 / (magnitude * std::sqrt(double(d.features + 1)));
    w = normals<double>((d.features + 1) * d.outputs, random, 1.5 * scale);
    step = normals<double>((d.features + 1) * d.outputs, random, 2 * scale);
    for (std::size_t i = 0; i < target.size(); i++)
      target[i] = std::int64_t(random() % std::uint64_t(d.classes()));
    d.target = target.data();
    if (variety % 4 < 2) return;
    for (std::size_t i = 0; i < weight.size(); i++)
      weight[i] = i % 9 == 4 ? 0 : 0.1 + double(random() % 1000) / 300, s[i] = weight[i];
    d.weight = weight.data();
  }

  template <class X>
  Exactly<X>& hold(long n) {
    auto p = std::make_shared<Exactly<X>>(std::size_t(n));
    held.push_back(p);
    return *p;
  }
  // Feature f of row i to a power; the last one is the bias.
  Real number(long i, long f, int power) const {
    if (f == d.features) return 1;
    const Real v = x[std::size_t(i * d.features + f)];
    return power == 2 ? v * v : v;
  }

  LinearRows d;
  softgrad::LinearColumns by_columns;
  std::mt19937 random;
  std::vector<std::shared_ptr<void>> held;
  std::vector<Real> x, s;
  Exactly<std::int64_t> target;
  Exactly<double> weight, mean, inverse_scale, w, step;
};

// --- the same in plain loops -------------------------------------------------------------------

// Logits of all classes, what rounding may change of any logit of a row, and probabilities.
struct PlainLogits {
  PlainLogits(const Problem& problem, const Exactly<double>& w)
      : classes(problem.d.classes()), features(problem.d.features) {
    const LinearRows& d = problem.d;
    const std::size_t n = std::size_t(d.rows * classes);
    z.assign(n, 0), p.assign(n, 0), lse.assign(std::size_t(d.rows), 0), size = lse, most = lse;
    for (long i = 0; i < d.rows; i++) {
      Real highest = d.outputs == 1 ? 0 : -inf;
      for (long o = 0; o < d.outputs; o++) {
        Real sum = w[std::size_t(d.features * d.outputs + o)], terms = std::abs(sum);
        for (long f = 0; f < d.features; f++) {
          const Real term = problem.number(i, f, 1) * w[std::size_t(f * d.outputs + o)];
          sum += term, terms += std::abs(term);
        }
        at(z, i, d.outputs == 1 ? 1 : o) = sum;
        highest = std::max(highest, sum);
        Real& b = size[std::size_t(i)];
        b = std::max(b, terms);
        Real& m = most[std::size_t(i)];
        m = std::max(m, std::abs(sum));
      }
      Real sum = 0;
      for (long c = 0; c < classes; c++) sum += std::exp(at(z, i, c) - highest);
      lse[std::size_t(i)] = highest + std::log(sum);
      for (long c = 0; c < classes; c++) at(p, i, c) = std::exp(at(z, i, c) - lse[std::size_t(i)]);
    }
  }
  Real& at(std::vector<Real>& a, long i, long c) const { return a[std::size_t(i * classes + c)]; }
  Real at(const std::vector<Real>& a, long i, long c) const {
    return a[std::size_t(i * classes + c)];
  }
  // What the error of the logits does to a probability, relative to it.
  Real relative(long i, double rounding) const { return 2.01 * bound(i, rounding) + 8 * rounding; }
  // Of any logit of a row.
  Real bound(long i, double rounding) const {
    return Real(features + 6) * rounding * size[std::size_t(i)];
  }

  long classes, features;
  std::vector<Real> z, p, lse, size, most;
};

// Residuals of the outputs, each with its error bound, and their product with the rows.
struct PlainSums {
  explicit PlainSums(const Problem& p)
      : problem(p), r(std::size_t(p.d.rows * p.d.outputs)), bound(r) {}
  void set(long i, long o, Real value, Real error) {
    r[std::size_t(i * problem.d.outputs + o)] = value;
    bound[std::size_t(i * problem.d.outputs + o)] = error;
  }
  // `got` is the sums added to ones.
  void compare(const char* what, const Exactly<double>& got, double rounding, int power = 1) const {
    const LinearRows& d = problem.d;
    const long block = softgrad::LinearCut::of(d).block;
    const Real relative = Real(block + 10) * rounding + Real(d.rows + 10) * unit<double>;
    std::vector<Real> sum(got.size(), 0), error(got.size(), unit<double>);
    for (long i = 0; i < d.rows; i++) {
      const Real* value = r.data() + i * d.outputs;
      const Real* doubt = bound.data() + i * d.outputs;
      for (long f = 0; f <= d.features; f++) {
        const Real factor = problem.s[std::size_t(i)] * problem.number(i, f, power);
        if (factor == 0) continue;
        Real *to = sum.data() + f * d.outputs, *error_to = error.data() + f * d.outputs;
        for (long o = 0; o < d.outputs; o++) {
          to[o] += factor * value[o];
          error_to[o] += std::abs(factor) * (doubt[o] + relative * std::abs(value[o]));
        }
      }
    }
    for (std::size_t j = 0; j < got.size(); j++)
      within(what, Real(got[j]) - 1, sum[j], error[j] * 1.01);
  }
  const Problem& problem;
  std::vector<Real> r, bound;
};

// --- passes ------------------------------------------------------------------------------------

struct Bits {
  std::vector<unsigned char> all;
  template <class T>
  void add(const Exactly<T>& a) {
    const auto* from = reinterpret_cast<const unsigned char*>(a.data());
    all.insert(all.end(), from, from + a.size() * sizeof(T));
  }
  void add(double a) {
    Exactly<double> one(1);
    one[0] = a;
    add(one);
  }
};

// All passes over one problem, on a number of threads, in memory that is fresh or was used before.
class Passes {
 public:
  Passes(const Problem& p, LinearWorkspace& m, bool compare)
      : problem(p), d(p.d), memory(m), compare_(compare) {}

  Bits run() {
    if (!d.sparse()) single();
    loss<double>();
    curvature<double>(true);
    curvature<double>(false);
    for (bool squares : {false, true}) moments<double>(squares);
    dual();
    return std::move(bits);
  }

 private:
  void single() {
    loss<float>();
    curvature<float>(true);
    curvature<float>(false);
    for (bool squares : {false, true}) moments<float>(squares);
  }
  template <class T>
  PackedWeights<T> packed(int i, const Exactly<double>& w) {
    return {memory.packed<T>(i), w.data(), d.features, d.outputs, d.sparse()};
  }
  Exactly<double> ones() const {
    Exactly<double> g{std::size_t((d.features + 1) * d.outputs)};
    for (std::size_t j = 0; j < g.size(); j++) g[j] = 1;
    return g;
  }
  Exactly<float> probabilities() const {
    Exactly<float> p{std::size_t(d.rows * d.outputs)};
    for (std::size_t j = 0; j < p.size(); j++) p[j] = float(nan);
    return p;
  }
  LinearSums sums() const {
    LinearSums s;
    s.log_probability.assign(std::size_t(d.classes()), 0.0);
    return s;
  }
  const PlainLogits& logits(std::optional<PlainLogits>& of, const Exactly<double>& w) const {
    if (!of) of.emplace(problem, w);
    return *of;
  }
  long class_of(long output) const { return d.outputs == 1 ? 1 : output; }

  // Loss and gradient; leaves the probabilities in `kept`.
  template <class T>
  double pass(const Exactly<double>& w, const Exactly<double>& gradient,
              const Exactly<float>* keep) {
    LinearSums total = sums();
    const PackedWeights<T> at = packed<T>(0, w);
    softgrad::linear_pass<T>(d, at, LossWork<T>{d, at, keep ? keep->data() : nullptr}, memory,
                             gradient.data(), &total);
    return total.loss.value();
  }
  template <class T>
  void loss() {
    const Exactly<double> g = ones(), same = ones();
    const double value = pass<T>(problem.w, g, &kept);
    const double again = pass<T>(problem.w, same, nullptr);
    if (std::memcmp(&value, &again, sizeof value) ||
        std::memcmp(g.data(), same.data(), g.size() * sizeof(double)))
      fail("keeping probabilities changed a bit", again, value);
    bits.add(g), bits.add(kept), bits.add(value);
    if (!compare_) return;
    const PlainLogits& plain = logits(before, problem.w);
    PlainSums gradient(problem);
    Real wanted = 0, error = 1e-300;
    for (long i = 0; i < d.rows; i++) {
      const long y = long(d.target[i]);
      const Real row = plain.lse[std::size_t(i)] - plain.at(plain.z, i, y);
      wanted += problem.s[std::size_t(i)] * row;
      error += problem.s[std::size_t(i)] * (2.01 * plain.bound(i, unit<T>) + 4 * unit<T> * row);
      for (long o = 0; o < d.outputs; o++) {
        const long c = class_of(o);
        const Real p = plain.at(plain.p, i, c), own = c == y ? 1 : 0;
        const Real e = p * plain.relative(i, unit<T>) + 10 * unit<T> * (p + own);
        gradient.set(i, o, p - own, e);
        within("kept probability", kept[std::size_t(i * d.outputs + o)], p,
               e + unit<float> * p + 1e-40);
      }
    }
    within("loss", value, wanted, error);
    gradient.compare("gradient", g, unit<T>);
  }

  // The probabilities of a row as a pass that is given `kept` or the weights sees them.
  Real probability(const PlainLogits& plain, bool given, long i, long c) const {
    if (!given) return plain.at(plain.p, i, c);
    if (d.outputs > 1) return kept[std::size_t(i * d.outputs + c)];
    const Real p = kept[std::size_t(i)];
    return c ? p : 1 - p;
  }
  template <class T>
  void curvature(bool given) {
    const Exactly<double> g = ones();
    {
      const PackedWeights<T> direction = packed<T>(0, problem.step), at = packed<T>(1, problem.w);
      LinearSums total = sums();
      softgrad::linear_pass<T>(
          d, direction,
          CurvatureWork<T>{d, direction, given ? kept.data() : nullptr, given ? nullptr : &at},
          memory, g.data(), &total);
    }
    bits.add(g);
    if (!compare_) return;
    const PlainLogits &plain = logits(before, problem.w), &u = logits(change, problem.step);
    PlainSums product(problem);
    for (long i = 0; i < d.rows; i++) {
      Real pu = 0, missing = 1;  // kept probabilities are rounded: their sum is not quite 1
      for (long c = 0; c < u.classes; c++) {
        pu += probability(plain, given, i, c) * u.at(u.z, i, c);
        missing -= probability(plain, given, i, c);
      }
      const Real change = given ? 0 : plain.relative(i, unit<T>), most = u.most[std::size_t(i)];
      for (long o = 0; o < d.outputs; o++) {
        const long c = class_of(o);
        const Real p = probability(plain, given, i, c);
        product.set(i, o, p * (u.at(u.z, i, c) - pu),
                    p * (2.01 * u.bound(i, unit<T>) +
                         (4 * change + 20 * unit<T> + 2 * std::abs(missing)) * most));
      }
    }
    product.compare(given ? "Hessian product, kept" : "Hessian product", g, unit<T>);
  }

  template <class T>
  void moments(bool squares) {
    for (bool given : {true, false}) {
      const Exactly<double> g = ones();
      {
        const PackedWeights<T> at = packed<T>(0, problem.w);
        LinearSums total = sums();
        softgrad::linear_pass<T>(d, at,
                                 MomentWork<T>{d, at, given ? kept.data() : nullptr, squares},
                                 memory, g.data(), &total);
      }
      bits.add(g);
      if (!compare_) continue;
      const PlainLogits& plain = logits(before, problem.w);
      PlainSums moment(problem);
      // float32 numbers of a sparse row are squared in float32
      const double rounding = d.numbers == Numbers::f32 ? unit<float> : unit<T>;
      for (long i = 0; i < d.rows; i++)
        for (long o = 0; o < d.outputs; o++) {
          const Real p = probability(plain, given, i, class_of(o));
          const Real change = given ? 0 : plain.relative(i, unit<T>);
          moment.set(i, o, p * (1 - p), p * (change + 8 * unit<T>)+4 * rounding * p * (1 - p));
        }
      moment.compare(squares ? "second moment" : "first moment", g, unit<T>, squares ? 2 : 1);
    }
  }

  void dual() {
    const Exactly<double> g = ones();
    LinearSums total = sums();
    {
      const PackedWeights<double> at = packed<double>(0, problem.w);
      const PackedWeights<double> step = packed<double>(1, problem.step);
      softgrad::linear_pass<double>(d, at, DualWork{d, at, step}, memory, g.data(), &total);
    }
    bits.add(g), bits.add(total.loss.value()), bits.add(total.divergence.value());
    for (double v : total.log_probability) bits.add(v);
    if (!compare_) return;
    Exactly<double> end{problem.w.size()};
    for (std::size_t j = 0; j < end.size(); j++) end[j] = problem.w[j] + problem.step[j];
    const PlainLogits &at = logits(before, problem.w), &u = logits(change, problem.step);
    const PlainLogits after(problem, end);
    PlainSums gradient(problem);
    const std::size_t classes = std::size_t(u.classes);
    std::vector<Real> logs(classes, 0), alpha(classes);
    Real loss = 0, divergence = 0, error = 1e-300, size = 1e-300;
    for (long i = 0; i < d.rows; i++) {
      const Real s = problem.s[std::size_t(i)], most = u.most[std::size_t(i)];
      const Real logit = 4 * (at.bound(i, unit<double>) + u.bound(i, unit<double>));
      // of alpha, relative to the probability it came from times (1 + most)
      const Real relative = logit + Real(u.classes + 30) * unit<double>;
      Real pu = 0, whole = 0, row = 0, row_size = 1;
      for (long c = 0; c < u.classes; c++) pu += at.at(at.p, i, c) * u.at(u.z, i, c);
      for (long c = 0; c < u.classes; c++) {
        const Real p = at.at(at.p, i, c);
        alpha[std::size_t(c)] = std::max(Real(0), p + p * (u.at(u.z, i, c) - pu));
        whole += alpha[std::size_t(c)];
      }
      for (long c = 0; c < u.classes; c++) {
        const Real a = alpha[std::size_t(c)] /= whole;
        const Real log_q = after.at(after.z, i, c) - after.lse[std::size_t(i)];
        logs[std::size_t(c)] += s * log_q;
        if (a > 0) row += a * (std::log(a) - log_q);
        row_size += at.at(at.p, i, c) * std::abs(log_q) + std::abs(log_q) * a;
        if (c == d.target[i]) loss -= s * log_q;
        size += s * (std::abs(log_q) * 30 * unit<double> + logit);
      }
      divergence += s * row;
      error += s * relative * 20 * (1 + most) * (1 + most) * row_size;
      for (long o = 0; o < d.outputs; o++) {
        const long c = class_of(o);
        const Real own = c == d.target[i] ? 1 : 0, p = at.at(at.p, i, c);
        const Real a = alpha[std::size_t(c)];
        gradient.set(i, o, a - own, relative * 4 * (1 + most) * (p + a) + 4 * unit<double> * own);
      }
    }
    within("dual loss", total.loss.value(), loss, size);
    within("dual divergence", total.divergence.value(), divergence, error);
    for (std::size_t c = 0; c < classes; c++)
      within("sum of log probabilities", total.log_probability[c], logs[c],
             size + Real(d.rows) * unit<double> * std::abs(logs[c]));
    gradient.compare("dual gradient", g, unit<double>);
  }

  const Problem& problem;
  const LinearRows& d;
  LinearWorkspace& memory;
  bool compare_;
  Exactly<float> kept = probabilities();
  std::optional<PlainLogits> before, change;
  Bits bits;
};

std::vector<Shape> shapes() {
  std::vector<Shape> all;
  // blocks have 192 rows here, or 64 in a sparse matrix; groups begin at 384 or 256
  for (long rows : {0, 1, 2, 17, 64, 65, 191, 192, 193, 385}) all.push_back({rows, 17, 3});
  for (long features : {0, 1, 15, 16, 17, 25}) all.push_back({49, features, 9});
  for (long outputs : {1, 2, 3, 8, 9, 16, 17, 24, 25, 32, 33, 40, 48, 49, 64, 65, 100})
    all.push_back({21, 5, outputs});
  // several groups, enough work for several threads
  all.push_back({1700, 40, 1});
  all.push_back({961, 25, 17});
  all.push_back({961, 9, 100});
  all.push_back({290, 401, 2});  // blocks of 48 rows
  return all;
}

// Per case the bits of the first set with a fused multiply-add.
std::map<std::string, std::vector<unsigned char>>& fused_bits() {
  static std::map<std::string, std::vector<unsigned char>> bits;
  return bits;
}

}  // namespace

void check_linear(const softgrad::KernelTable& table) {
  const std::string name = table.name;
  check_kernels(table.linear(), name);
  const bool fused = name == "avx2" || name == "avx512";
  LinearWorkspace used;  // by all cases in turn
  int variety = 0;
  for (const Shape& shape : shapes())
    for (Store store : stores) {
      // many rows cost the plain loops much, and index types are no matter of the shape
      const bool repeated = store == Store::csr_f32_i64 || store == Store::csr_f64_i32;
      variety++;
      if (shape.rows > 60 && repeated) continue;
      const std::string what =
          std::string(store_names[int(store)]) + " rows=" + std::to_string(shape.rows) +
          " D=" + std::to_string(shape.features) + " outputs=" + std::to_string(shape.outputs) +
          " variety=" + std::to_string(variety % 12);
      context = name + " " + what;
      const Problem problem(shape, store, variety % 12);
      const auto known = fused_bits().find(what);
      softgrad::set_num_threads(1);
      LinearWorkspace fresh;
      const bool verified = fused && known != fused_bits().end();
      const std::vector<unsigned char> one = Passes(problem, fresh, !verified).run().all;
      if (verified && one != known->second) fail("another set had other bits", 0, 0);
      if (fused && !verified) fused_bits()[what] = one;
      for (int threads : {2, 5}) {
        if (threads > 2 && shape.rows < 900) continue;
        softgrad::set_num_threads(threads);
        if (Passes(problem, used, false).run().all != one) fail("threads changed bits", threads, 1);
      }
    }
  softgrad::set_num_threads(0);
}

}  // namespace check
