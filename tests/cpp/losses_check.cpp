// The kernels of losses and their driver: every kind, derivative, layout and weight, in exactly
// sized memory, against the plain formulas in long double.
#include "check.hpp"
#include "softgrad/losses_batch.hpp"

namespace check {
namespace {

using softgrad::Array;
using softgrad::Derivative;
using softgrad::ElementLoss;
using softgrad::Layout;
using softgrad::LossKind;
using softgrad::LossParameters;

struct Plain {
  Real value, slope, terms;  // terms: the size of what the slope is the sum of
};

Real times(Real c, Real v) { return c == 0 ? Real(0) : c * v; }
Real softplus(Real x) { return std::max(x, Real(0)) + std::log1p(std::exp(-std::abs(x))); }
Real logistic(Real x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

Plain plain(LossKind kind, const LossParameters& how, Real x, Real y, Real positive) {
  const Real d = x - y, g = how.gamma, yes = positive * y, no = how.negative * (1 - y);
  const Real p = logistic(x), q = logistic(-x);
  switch (kind) {
    case LossKind::log_probability:
      return {times(y, -x), -y, y};
    case LossKind::probability:
      return {times(y, -std::log(x)), y == 0 ? 0 : -y / x, y == 0 ? 0 : y / x};
    case LossKind::divergence:
      return {times(y, std::log(y) - x), -y, y};
    case LossKind::binary:
      return {times(yes, softplus(-x)) + times(no, softplus(x)), no * p - yes * q,
              no * p + yes * q};
    case LossKind::binary_probability:
      return {times(yes, -std::log(x)) + times(no, -std::log1p(-x)),
              times(no, 1 / (1 - x)) - times(yes, 1 / x),
              times(no, 1 / (1 - x)) + times(yes, 1 / x)};
    case LossKind::binary_focal: {
      const Real rare = std::exp(-g * softplus(x)), common = std::exp(-g * softplus(-x));
      const Real a = yes * rare * (g * p * softplus(-x) + q);
      const Real b = no * common * (g * q * softplus(x) + p);
      return {yes * rare * softplus(-x) + no * common * softplus(x), b - a, a + b};
    }
    case LossKind::focal_log_probability: {
      const Real r = -std::expm1(x), e = std::exp(x), power = std::pow(r, g);
      const Real slope = -y * power * (1 - g * e * x / r);
      return {-y * power * x, slope, std::abs(slope)};
    }
    case LossKind::squared:
      return {d * d, 2 * d, std::abs(2 * d)};
    case LossKind::half_squared:
      return {d * d / 2, d, std::abs(d)};
    case LossKind::absolute:
      return {std::abs(d), Real((d > 0) - (d < 0)), 1};
    case LossKind::huber: {
      const Real size = std::abs(d), delta = how.delta;
      if (size <= delta) return {d * d / 2, d, size};
      return {delta * (size - delta / 2), d > 0 ? delta : -delta, delta};
    }
  }
  return {};
}

double input_of(LossKind kind, std::mt19937& random) {
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> unit(1e-3, 0.999);
  if (kind == LossKind::probability || kind == LossKind::binary_probability) return unit(random);
  if (kind == LossKind::focal_log_probability || kind == LossKind::divergence)
    return -std::abs(normal(random)) * 3 - 1e-3;
  return normal(random) * 4;
}

// Results of one loss, in the order of rows.
template <class T>
struct Results {
  double total = 0;
  std::vector<T> losses, derivative;
};

template <class T>
struct Problem {
  LossKind kind;
  LossParameters how;
  long rows, classes;
  bool indexed, weighed, masked;
  std::vector<T> x, y;
  std::vector<std::uint8_t> mask;
  std::vector<std::int64_t> index;
  std::vector<double> row_weight, class_weight, positive;

  Problem(LossKind kind_, long rows_, long classes_, bool indexed_, bool weighed_, bool masked_,
          std::mt19937& random)
      : kind(kind_),
        rows(rows_),
        classes(classes_),
        indexed(indexed_),
        weighed(weighed_),
        masked(masked_) {
    how.gamma = kind == LossKind::huber ? 0 : 2.0;
    how.delta = 0.75;
    how.negative = 0.5;
    std::uniform_real_distribution<double> unit(0, 1);
    for (long i = 0; i < rows * classes; i++) {
      x.push_back(T(input_of(kind, random)));
      y.push_back(T(random() % 3 ? unit(random) : double(random() % 2)));
      mask.push_back(std::uint8_t(random() % 4 != 0));
    }
    for (long i = 0; i < rows; i++) {
      index.push_back(std::int64_t(random() % std::uint64_t(classes)));
      row_weight.push_back(random() % 4 ? unit(random) + 0.1 : 0.0);
    }
    for (long c = 0; c < classes; c++) {
      class_weight.push_back(unit(random) + 0.5);
      positive.push_back(unit(random) * 3);
    }
  }
  T target(long i, long c) const {
    if (indexed) return T(index[std::size_t(i)] == c);
    return y[std::size_t(i * classes + c)];
  }
  double weight(long i, long c) const {
    const double w = weighed ? class_weight[std::size_t(c)] : 1.0;
    return masked && !mask[std::size_t(i * classes + c)] ? 0.0 : w;
  }

  // The classes last or first, in exactly sized memory.
  template <class A>
  static Array<A> in_memory(Exactly<std::remove_const_t<A>>& memory, long rows, long classes,
                            bool first) {
    const std::ptrdiff_t shape[] = {first ? classes : rows, first ? rows : classes};
    const std::ptrdiff_t stride[] = {shape[1], 1};
    return {memory.data(), Layout::of(2, shape, stride, first ? 0 : 1)};
  }
  template <class A>
  void fill(Exactly<A>& to, const std::vector<A>& from, bool first) const {
    for (long i = 0; i < rows; i++)
      for (long c = 0; c < classes; c++)
        to[std::size_t(first ? c * rows + i : i * classes + c)] =
            from[std::size_t(i * classes + c)];
  }

  Results<T> run(Derivative wanted, bool want_loss, bool total, bool first, int threads) const {
    softgrad::set_num_threads(threads);
    const std::size_t n = std::size_t(rows * classes);
    Exactly<T> xs{n}, ys{n}, out{n}, losses{std::size_t(rows)};
    Exactly<std::uint8_t> masks{n};
    fill(xs, x, first), fill(ys, y, first), fill(masks, mask, first);
    ElementLoss<T> loss;
    loss.kind = kind, loss.how = how, loss.wanted = wanted;
    loss.x = in_memory<const T>(xs, rows, classes, first);
    const Array<const T> wants = in_memory<const T>(ys, rows, classes, first);
    const Array<const std::uint8_t> takes =
        in_memory<const std::uint8_t>(masks, rows, classes, first);
    const Array<T> derivative = in_memory<T>(out, rows, classes, first);
    if (indexed)
      loss.index = index.data();
    else
      loss.target = &wants;
    if (masked) loss.mask = &takes;
    if (weighed) {
      loss.row_weight = row_weight.data(), loss.class_weight = class_weight.data();
      loss.positive = positive.data();
    }
    loss.divisor = 3.0;
    Results<T> r;
    if (want_loss && total) loss.total = &r.total;
    if (want_loss && !total) loss.losses = losses.data();
    if (wanted != Derivative::none) loss.derivative = &derivative;
    if (!loss.run()) fail("refused", 0, 1);
    for (long i = 0; i < rows; i++) {
      if (want_loss && !total) r.losses.push_back(losses[std::size_t(i)]);
      for (long c = 0; wanted != Derivative::none && c < classes; c++)
        r.derivative.push_back(out[std::size_t(first ? c * rows + i : i * classes + c)]);
    }
    softgrad::set_num_threads(0);
    return r;
  }

  void check() const {
    const Results<T> r = run(Derivative::slope, true, false, false, 1);
    for (long i = 0; i < rows; i++) {
      const Real s = weighed ? row_weight[std::size_t(i)] : 1.0;
      Real sum = 0, size = 0;
      for (long c = 0; c < classes; c++) {
        const Real w = weight(i, c);
        const Plain e = plain(kind, how, x[std::size_t(i * classes + c)], target(i, c),
                              weighed ? positive[std::size_t(c)] : how.positive);
        sum += w * s * e.value, size += w * s * std::abs(e.value);
        close<T>("slope", r.derivative[std::size_t(i * classes + c)], w * s * e.slope / 3,
                 w * s * e.terms / 3, 5);
      }
      close<T>("loss", r.losses[std::size_t(i)], sum, size, 5);
    }
    for (Derivative wanted :
         {Derivative::none, Derivative::slope, Derivative::curvature, Derivative::target}) {
      const bool loss = wanted == Derivative::none || wanted == Derivative::slope;
      const Results<T> one = run(wanted, loss, true, false, 1);
      same(one, run(wanted, loss, true, true, 1));
      same(one, run(wanted, loss, true, false, 3));
      same(one, run(wanted, loss, true, true, 2));
    }
  }
  static void same(const Results<T>& a, const Results<T>& b) {
    if (a.total != b.total && a.total == a.total) fail("total of another layout", b.total, a.total);
    for (std::size_t i = 0; i < a.derivative.size(); i++)
      if (a.derivative[i] != b.derivative[i] && a.derivative[i] == a.derivative[i])
        fail("derivative of another layout", b.derivative[i], a.derivative[i]);
  }
};

template <class T>
void check_type(const char* type) {
  std::mt19937 random(3);
  const long shapes[][2] = {{1, 1}, {40, 1}, {7, 3}, {37, 17}, {5, 40}, {3, 513}, {2, 4100}};
  for (int kind = 0; kind < softgrad::loss_kinds; kind++)
    for (const auto& shape : shapes)
      for (int variant = 0; variant < 6; variant++) {
        const LossKind k = static_cast<LossKind>(kind);
        const bool of_classes = k == LossKind::log_probability || k == LossKind::probability ||
                                k == LossKind::focal_log_probability;
        const bool indexed = variant >= 4;
        if (indexed && !of_classes) continue;
        context = std::string(type) + " loss " + std::to_string(kind) + " rows " +
                  std::to_string(shape[0]) + " classes " + std::to_string(shape[1]) + " variant " +
                  std::to_string(variant);
        Problem<T>(k, shape[0], shape[1], indexed, variant % 2 == 1, variant == 2 || variant == 3,
                   random)
            .check();
      }
}

// Focal and hinge: both layouts, and a gradient in place of the logits.
template <class T, class Loss>
void check_index_loss(const char* name) {
  std::mt19937 random(4);
  for (const auto& shape : {std::pair<long, long>{1, 1}, {5, 3}, {40, 10}, {17, 33}, {3, 5000}}) {
    const auto [rows, classes] = shape;
    context = std::string(name) + " " + std::to_string(rows) + " x " + std::to_string(classes);
    const std::size_t n = std::size_t(rows * classes);
    std::vector<T> x;
    std::vector<std::int64_t> index;
    for (std::size_t i = 0; i < n; i++) x.push_back(T(input_of(LossKind::squared, random)));
    for (long i = 0; i < rows; i++)
      index.push_back(std::int64_t(random() % std::uint64_t(classes)));
    double totals[2];
    std::vector<T> gradients[2];
    for (bool first : {false, true}) {
      Exactly<T> memory{n};
      for (long i = 0; i < rows; i++)
        for (long c = 0; c < classes; c++)
          memory[std::size_t(first ? c * rows + i : i * classes + c)] =
              x[std::size_t(i * classes + c)];
      Loss loss;
      loss.x = Problem<T>::template in_memory<const T>(memory, rows, classes, first);
      const Array<T> out = Problem<T>::template in_memory<T>(memory, rows, classes, first);
      loss.index = index.data(), loss.total = &totals[first], loss.derivative = &out;
      loss.run();
      for (long i = 0; i < rows; i++) {
        Real sum = 0, size = 0;
        for (long c = 0; c < classes; c++) {
          const T g = memory[std::size_t(first ? c * rows + i : i * classes + c)];
          gradients[first].push_back(g);
          sum += g, size += std::abs(Real(g));
        }
        if (!(std::abs(sum) <= Real(1e-5) * size)) fail("sum of a gradient", double(sum), 0);
      }
    }
    if (totals[0] != totals[1] || gradients[0] != gradients[1]) fail("layouts", 0, 0);
  }
}

}  // namespace

void check_losses() {
  check_type<float>("float");
  check_type<double>("double");
  check_index_loss<float, softgrad::FocalLoss<float>>("focal float");
  check_index_loss<double, softgrad::FocalLoss<double>>("focal double");
  check_index_loss<float, softgrad::HingeLoss<float>>("hinge float");
  check_index_loss<double, softgrad::HingeLoss<double>>("hinge double");
}

}  // namespace check
