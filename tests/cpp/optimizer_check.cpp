// The kernels of optimisers against plain loops in long double, at sizes around a register.
#include <cstring>
#include <map>

#include "check.hpp"

namespace check {
namespace {

template <class T>
Exactly<T> numbers(long n, std::mt19937& random, double scale, bool positive = false) {
  std::normal_distribution<double> normal;
  Exactly<T> a{std::size_t(n)};
  for (std::size_t i = 0; i < a.size(); i++) {
    const double x = scale * normal(random);
    a[i] = T(positive ? x * x : x);
  }
  return a;
}

template <class T>
Exactly<T> copy(const Exactly<T>& a) {
  Exactly<T> b{a.size()};
  if (a.size()) std::memcpy(b.data(), a.data(), a.size() * sizeof(T));
  return b;
}

void near(const char* what, Real got, Real wanted, Real bound) {
  if (!(std::abs(got - wanted) <= bound)) fail(what, double(got), double(wanted));
}

// What sets with a fused multiply-add computed: all of them must agree in every bit.
std::map<std::string, std::vector<unsigned char>>& seen() {
  static std::map<std::string, std::vector<unsigned char>> results;
  return results;
}
template <class T>
void same_bits(const std::string& key, bool fused, const Exactly<T>& a) {
  if (!fused || !a.size()) return;
  std::vector<unsigned char> bytes(a.size() * sizeof(T));
  std::memcpy(bytes.data(), a.data(), bytes.size());
  const auto [at, first] = seen().try_emplace(key, bytes);
  if (!first && at->second != bytes) fail("bits differ between instruction sets", 0, 0);
}

template <class T>
void check_sgd(const softgrad::OptimizerKernels<T>& k, bool fused, long n, bool velocity,
               bool nesterov, double decay, bool keep) {
  std::mt19937 random(static_cast<unsigned>(n));
  const softgrad::SgdStep step = {0.1, velocity ? 0.9 : 0.0, decay, 0.5, nesterov, keep};
  const Exactly<T> w = numbers<T>(n, random, 1), g = numbers<T>(n, random, 3);
  const Exactly<T> b = numbers<T>(n, random, 2), w0 = copy(w), b0 = copy(b), g0 = copy(g);
  k.sgd(w.data(), g.data(), velocity ? b.data() : nullptr, n, step);
  const Real u = std::numeric_limits<T>::epsilon();
  for (std::size_t i = 0; i < std::size_t(n); i++) {
    Real d = Real(T(step.scale)) * g0[i] + Real(T(decay)) * w0[i];
    Real size = std::abs(g0[i]) + std::abs(w0[i]) + std::abs(Real(b0[i]));
    if (velocity) {
      const Real momentum = T(step.momentum), v = momentum * b0[i] + d;
      near("velocity", b[i], v, 4 * u * size);
      d = nesterov ? d + momentum * v : v;
      size *= 2;
    }
    near("sgd keeps", g[i], keep ? w0[i] : g0[i], 0);
    near("sgd", w[i], w0[i] - Real(T(step.size)) * d, 4 * u * size);
  }
  const std::string key = "sgd " + std::to_string(n) + " " + std::to_string(sizeof(T)) +
                          (velocity ? "v" : "") + (nesterov ? "n" : "") + std::to_string(decay);
  same_bits(key, fused, w);
}

template <class T>
void check_adam(const softgrad::OptimizerKernels<T>& k, bool fused, long n, double decay,
                double shrink, bool keep) {
  std::mt19937 random(static_cast<unsigned>(n + 1));
  const softgrad::AdamStep step = {0.01, 1.5, 0.9, 0.99, 1e-3, decay, shrink, 0.5, keep};
  const Exactly<T> w = numbers<T>(n, random, 1), g = numbers<T>(n, random, 3);
  const Exactly<T> m = numbers<T>(n, random, 2), v = numbers<T>(n, random, 2, true);
  const Exactly<T> w0 = copy(w), g0 = copy(g), m0 = copy(m), v0 = copy(v);
  k.adam(w.data(), g.data(), m.data(), v.data(), n, step);
  const Real u = std::numeric_limits<T>::epsilon();
  for (std::size_t i = 0; i < std::size_t(n); i++) {
    const Real d = Real(T(step.scale)) * g0[i] + Real(T(decay)) * w0[i];
    const Real size = std::abs(g0[i]) + std::abs(w0[i]) + std::abs(Real(m0[i]));
    const Real mean = m0[i] + Real(T(1 - step.beta1)) * (d - m0[i]);
    const Real square = Real(T(step.beta2)) * v0[i] + Real(T(1 - step.beta2)) * d * d;
    near("adam keeps", g[i], keep ? w0[i] : g0[i], 0);
    near("first moment", m[i], mean, 4 * u * size);
    near("second moment", v[i], square, 8 * u * (size * size + v0[i]));
    // from the moments that were stored, so that their errors do not count twice
    const Real root = Real(T(step.inverse_root)) * std::sqrt(Real(v[i])) + Real(T(step.epsilon));
    const Real wanted = Real(T(shrink)) * w0[i] - Real(T(step.size)) * m[i] / root;
    near("adam", w[i], wanted, 6 * u * (std::abs(w0[i]) + std::abs(m[i] / root)));
  }
  const std::string key = "adam " + std::to_string(n) + " " + std::to_string(sizeof(T)) +
                          std::to_string(decay) + std::to_string(shrink);
  same_bits(key, fused, w);
}

template <class T>
void check_optimizers_of(const softgrad::OptimizerKernels<T>& k, const std::string& name) {
  const bool fused = name != "baseline";
  for (long n : {0L, 1L, 7L, 15L, 16L, 17L, 31L, 33L, 160L, 1001L}) {
    context = name + ", optimizers of " + std::to_string(n);
    for (double decay : {0.0, 0.3})
      for (bool keep : {false, true}) {
        check_sgd<T>(k, fused, n, false, false, decay, keep);
        check_sgd<T>(k, fused, n, true, false, decay, keep);
        check_sgd<T>(k, fused, n, true, true, decay, keep);
        check_adam<T>(k, fused, n, decay, decay == 0.0 ? 0.97 : 1.0, keep);
      }
  }
}

}  // namespace

void check_optimizers(const softgrad::KernelTable& table) {
  check_optimizers_of(table.optimizers().f32, table.name);
  check_optimizers_of(table.optimizers().f64, table.name);
}

}  // namespace check
