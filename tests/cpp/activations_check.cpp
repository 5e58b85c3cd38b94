// The elementwise functions on odd sizes, layouts and special numbers, in exactly sized memory, and
// on several threads; sparsemax on rows of every kind. Errors proper: tests/cpp/sweep.cpp for
// float, tests/accuracy.
#include <cstring>

#include "check.hpp"
#include "softgrad/elementwise.hpp"
#include "softgrad/sparsemax.hpp"

namespace check {
namespace {

using softgrad::Activation;
using softgrad::Array;
using softgrad::Layout;

template <class T>
T sample(long i) {
  const double special[] = {0.0, -0.0, inf, -inf, nan, 1e30, -1e30, 1e-300};
  return T(i % 5 == 2 ? special[i / 5 % 8] : std::sin(double(i)) * 60);
}

// f, f' and f'' by the plain formulas, for a few functions that need no care in long double.
bool plain(Activation f, Real x, Real* values) {
  const Real e = std::exp(-std::abs(x)), s = (x >= 0 ? 1 : e) / (1 + e);
  const Real slope = e / ((1 + e) * (1 + e)), curvature = -slope * std::tanh(x / 2);
  switch (f) {
    case Activation::sigmoid:
      values[0] = s, values[1] = slope, values[2] = curvature;
      return true;
    case Activation::softplus:
      values[0] = (x > 0 ? x : 0) + std::log1p(e), values[1] = s, values[2] = slope;
      return true;
    case Activation::elu:
      values[0] = x > 0 ? x : Real(0.5) * std::expm1(x);
      values[1] = x > 0 ? 1 : Real(0.5) * e, values[2] = x > 0 ? 0 : Real(0.5) * e;
      return true;
    default:
      return false;
  }
}

template <class T>
void check_kernels(const softgrad::ActivationKernels<T>& kernels, const std::string& name) {
  for (int f = 0; f < softgrad::activation_count; f++)
    for (long n : {0L, 1L, 7L, 15L, 16L, 17L, 33L, 200L})
      for (int order : {0, 1, 2})
        for (bool streamed : {false, true}) {
          context = name + " " + softgrad::activation_names[f] + " n=" + std::to_string(n);
          const std::size_t size = std::size_t(n);
          Exactly<T> x{size}, g{size}, v{size}, y{size}, z{size};
          for (std::size_t i = 0; i < size; i++) x[i] = sample<T>(long(i)), g[i] = 2, v[i] = -1;
          const auto call = [&](const T* a, const T* b, T* to) {
            kernels.map(static_cast<Activation>(f), order, 0.5, x.data(), a, b, to, n, streamed);
          };
          call(nullptr, nullptr, y.data());
          const bool factors = order > 0;
          call(factors ? g.data() : nullptr, order == 2 ? v.data() : nullptr, z.data());
          const T scale = T(order == 0 ? 1 : order == 1 ? 2 : -2);
          for (std::size_t i = 0; i < size; i++) {
            if (!(z[i] == scale * y[i]) && !(std::isnan(z[i]) && std::isnan(y[i])))
              if (std::abs(y[i]) > std::numeric_limits<T>::min()) fail("times g v", z[i], y[i]);
            if (std::isnan(x[i]) != std::isnan(y[i])) fail("NaN", y[i], x[i]);
            Real values[3];
            if (std::isnan(x[i]) || !plain(static_cast<Activation>(f), x[i], values)) continue;
            close<T>("plain formula", y[i], values[order], values[order], 4.01);
          }
        }
  for (long n : {1L, 40L}) {
    Exactly<T> x{std::size_t(n)}, y{std::size_t(n)};
    for (long i = 0; i < n; i++) x[std::size_t(i)] = T(-double(i) * 2.5);
    kernels.exp(x.data(), y.data(), n);
    context = name + " exp";
    for (long i = 0; i < n; i++) {
      const Real wanted = std::exp(Real(x[std::size_t(i)]));
      close<T>("exp", y[std::size_t(i)], wanted, wanted, 1.2);
      x[std::size_t(i)] = T(double(i) / double(n));
    }
    kernels.log1p(x.data(), y.data(), n);
    for (long i = 0; i < n; i++) {
      const Real wanted = std::log1p(Real(x[std::size_t(i)]));
      close<T>("log1p", y[std::size_t(i)], wanted, wanted, 1.5);
    }
  }
}

// g f'(x) by f(x), for the functions that have it.
template <class T>
void check_slopes_of_values(const softgrad::ActivationKernels<T>& kernels,
                            const std::string& name) {
  for (const Activation f : softgrad::activations_by_value)
    for (long n : {0L, 1L, 15L, 16L, 33L, 200L})
      for (bool streamed : {false, true}) {
        context = name + " by value " + softgrad::activation_names[static_cast<int>(f)];
        const std::size_t size = std::size_t(n);
        Exactly<T> y{size}, g{size}, z{size};
        for (std::size_t i = 0; i < size; i++) y[i] = T(std::sin(double(i))), g[i] = T(i) - 7;
        kernels.map(f, softgrad::slope_of_value, 0.5, y.data(), g.data(), nullptr, z.data(), n,
                    streamed);
        for (std::size_t i = 0; i < size; i++) {
          const T slope = f == Activation::tanh ? (1 - y[i]) * (1 + y[i]) : y[i] * (1 - y[i]);
          if (z[i] != slope * g[i]) fail("g f'", double(z[i]), double(slope * g[i]));
        }
      }
}

// A rows x columns array in C order, or a window of a larger one with gaps and reversed rows.
template <class T>
struct Window {
  Exactly<T> memory;
  Layout layout;
  T* first;

  Window(long rows, long columns, bool gaps)
      : memory(std::size_t(gaps ? rows * columns * 3 : rows * columns)) {
    const std::ptrdiff_t shape[2] = {rows, columns};
    const std::ptrdiff_t stride[2] = {gaps ? -3 * columns : columns, gaps ? 3 : 1};
    layout = Layout::of(2, shape, stride, 1);
    first = memory.data() + (gaps ? 3 * columns * (rows - 1) : 0);
  }
  T& at(long row, long column) const {
    return first[layout.offset(row) + column * layout.class_stride];
  }
  Array<const T> input() const { return {first, layout}; }
  Array<T> output() const { return {first, layout}; }
};

template <class T>
void check_layouts(long rows, long columns) {
  context = "elementwise " + std::to_string(rows) + " x " + std::to_string(columns);
  std::vector<T> expected;
  for (bool gaps : {false, true})
    for (int threads : {1, 3}) {
      softgrad::set_num_threads(threads);
      Window<T> x(rows, columns, gaps), g(rows, columns, false), y(rows, columns, gaps);
      for (long i = 0; i < rows; i++)
        for (long j = 0; j < columns; j++)
          x.at(i, j) = T(std::sin(double(i * columns + j)) * 9), g.at(i, j) = T(j % 3);
      const softgrad::ElementwiseCall<T> call = {
          Activation::gelu, 1, 0.0, x.input(), g.input(), {nullptr, {}}, y.output()};
      call.run();
      std::vector<T> result;
      for (long i = 0; i < rows; i++)
        for (long j = 0; j < columns; j++) result.push_back(y.at(i, j));
      if (expected.empty()) expected = result;
      if (std::memcmp(result.data(), expected.data(), result.size() * sizeof(T)) != 0)
        fail("layout or threads change bits", gaps, threads);
      softgrad::sparsemax(x.input(), y.output());
      for (long i = 0; i < rows; i++) {
        Real sum = 0;
        for (long j = 0; j < columns; j++) sum += y.at(i, j);
        if (!(std::abs(sum - 1) < 1e-6 * double(columns))) fail("sparsemax", double(sum), 1);
      }
    }
  softgrad::set_num_threads(0);
}

template <class T>
void check_sparsemax() {
  context = "sparsemax";
  std::mt19937 random(3);
  for (long classes : {1L, 2L, 5L, 33L, 1000L})
    for (int kind = 0; kind < kinds; kind++) {
      Exactly<T> x{std::size_t(classes)}, y{std::size_t(classes)};
      Exactly<double> candidates{std::size_t(classes)};
      for (long j = 0; j < classes; j++) x[std::size_t(j)] = logit<T>(kind, j, classes, random);
      softgrad::sparsemax_row(x.data(), 1, y.data(), 1, classes, candidates.data());
      Real sum = 0;
      for (std::size_t j = 0; j < y.size(); j++) {
        sum += y[j];
        if (y[j] < 0) fail("negative", y[j], 0);
      }
      if (kind < finite_kinds ? !(std::abs(sum - 1) < 1e-5) : !std::isnan(sum))
        fail("sum", double(sum), 1);
    }
}

}  // namespace

void check_activations(const softgrad::KernelTable& table) {
  const std::string name = table.name;
  check_kernels<float>(table.activations().f32, name + " float");
  check_kernels<double>(table.activations().f64, name + " double");
  check_slopes_of_values<float>(table.activations().f32, name + " float");
  check_slopes_of_values<double>(table.activations().f64, name + " double");
  for (const auto& [rows, columns] : {std::pair{1L, 1L}, {3L, 5L}, {70L, 33L}, {1L, 50000L}}) {
    check_layouts<float>(rows, columns);
    check_layouts<double>(rows, columns);
  }
  check_sparsemax<float>();
  check_sparsemax<double>();
}

}  // namespace check
