// Every float32 bit pattern through exp, log1p and the elementwise functions with both derivatives,
// against long double. Prints the largest error in ULP of each and where it is; fails above the
// promised one.
//
//   kernel_sweep [stride [function ...]]
//
// goes through every stride-th pattern (default 4099; 1: all, about 20 minutes a function with its
// derivatives and instruction set on one core) of the named functions (default: all).
#include <algorithm>
#include <cmath>
#include <cstring>

#include "../check.hpp"
#include "softgrad/dispatch.hpp"

namespace {

using check::Real;
using softgrad::Activation;

// A result and the size of the terms that it is the sum of.
struct Sum {
  Real value, terms;
};
Sum sum(Real a, Real b = 0, Real c = 0) {
  return {a + b + c, std::abs(a) + std::abs(b) + std::abs(c)};
}

struct Three {
  Sum f[3];
};
Three three(Real f, Real slope, Real curvature) { return {{sum(f), sum(slope), sum(curvature)}}; }

Three logistic(Real x) {
  const Real e = std::exp(-std::abs(x)), s = (x >= 0 ? 1 : e) / (1 + e), d = 1 + e;
  const Real slope = e / (d * d), change = -slope * (x >= 0 ? 1 : -1) * -std::expm1(-std::abs(x));
  return three(s, slope, change / d);
}
// x s(w) with the derivatives of w.
Three gated(Real x, Real w, Real slope, Real curvature) {
  const Three s = logistic(w);
  const Real s0 = s.f[0].value, s1 = s.f[1].value, s2 = s.f[2].value;
  return {{sum(x * s0), sum(s0, x * s1 * slope),
           sum(2 * s1 * slope, x * s2 * slope * slope, x * s1 * curvature)}};
}
Three unit(Real x, Real scale, Real scale_alpha) {
  if (x > 0) return three(scale * x, scale, 0);
  const Real e = scale_alpha * std::exp(x);
  return three(scale_alpha * std::expm1(x), e, e);
}

constexpr double parameter = 0.01;

// By the textbooks' formulas; x is finite, and large |x| are taken at their limit.
Three truth(Activation f, Real x) {
  const Real pi = std::acos(Real(-1)), far = std::clamp(x, Real(-1e4), Real(1e4));
  switch (f) {
    case Activation::identity:
      return three(x, 1, 0);
    case Activation::sigmoid:
      return logistic(x);
    case Activation::log_sigmoid: {
      const Three s = logistic(-x);
      return three(std::min(x, Real(0)) - std::log1p(std::exp(-std::abs(x))), s.f[0].value,
                   -s.f[1].value);
    }
    case Activation::tanh: {
      const Three s = logistic(2 * x);
      return three(std::tanh(x), 4 * s.f[1].value, 8 * s.f[2].value);
    }
    case Activation::relu:
      return three(x > 0 ? x : 0, x > 0, 0);
    case Activation::leaky_relu:
      return three(x > 0 ? x : Real(parameter) * x, x > 0 ? 1 : Real(parameter), 0);
    case Activation::elu:
      return unit(x, 1, parameter);
    case Activation::selu:
      return unit(x, 1.0507009873554804934193349852946L,
                  1.0507009873554804934193349852946L * 1.6732632423543772848170429916717L);
    case Activation::softplus: {
      const Three s = logistic(x);
      return three(std::max(x, Real(0)) + std::log1p(std::exp(-std::abs(x))), s.f[0].value,
                   s.f[1].value);
    }
    case Activation::softsign: {
      const Real a = 1 + std::abs(x);
      return three(x / a, 1 / (a * a), (x > 0 ? -2 : x < 0 ? 2 : 0) / (a * a * a));
    }
    case Activation::gelu: {
      const Real phi = std::exp(-far * far / 2) / std::sqrt(2 * pi);
      const Real cumulative = std::erfc(-far / std::sqrt(Real(2))) / 2;
      return {{sum(x > 0 ? x * cumulative : far * cumulative), sum(cumulative, far * phi),
               sum(2 * phi, -far * far * phi)}};
    }
    case Activation::gelu_tanh: {
      const Real c = 2 * std::sqrt(2 / pi), k = 0.044715L;
      Three r =
          gated(far, c * (far + k * far * far * far), c * (1 + 3 * k * far * far), 6 * c * k * far);
      if (x > 1e4) r.f[0] = sum(x);
      return r;
    }
    case Activation::silu: {
      Three r = gated(far, far, 1, 0);
      if (x > 1e4) r.f[0] = sum(x);
      return r;
    }
    case Activation::mish: {
      if (x > 1e4) return three(x, 1, 0);
      // divided by exp(2x) where x > 0
      const Real e = std::exp(-std::abs(far)), one = x > 0 ? e : 1, n = x > 0 ? 1 : e;
      const Real d = n * n + 2 * n * one + 2 * one * one, t = n * (n + 2 * one) / d;
      const Real t1 = 4 * n * one * one * (one + n) / (d * d);
      const Real rising = 4 * n * one * one * (one + 2 * n) / (d * d);
      const Real falling = -16 * n * n * one * one * (one + n) * (one + n) / (d * d * d);
      return {{sum(far * t), sum(t, far * t1), sum(2 * t1, far * rising, far * falling)}};
    }
  }
  return three(0, 0, 0);
}

struct Worst {
  double error = 0;
  float at = 0;
  void see(float x, float got, Sum wanted) {
    if (std::isinf(got) && std::abs(wanted.value) > 3.4e38L) return;
    const double e = double(std::abs(Real(got) - wanted.value) / check::ulp<float>(wanted.terms));
    if (!(e <= error)) error = e, at = x;  // NaN is the worst
  }
  void report(const char* name, const char* what, double limit) const {
    std::printf("%-12s %-6s %6.3f ULP at %.9g\n", name, what, error, double(at));
    if (!(error <= limit)) check::fail(name, error, limit);
  }
};

constexpr long block = 1 << 14;

// body(numbers, how many) over the floats for which `within` holds.
template <class Within, class Body>
void each_block(unsigned long stride, Within within, Body body) {
  std::vector<float> x;
  auto flush = [&] {
    if (!x.empty()) body(x.data(), long(x.size()));
    x.clear();
  };
  for (unsigned long bits = 0; bits < 1ul << 32; bits += stride) {
    const std::uint32_t pattern = std::uint32_t(bits);
    float value;
    std::memcpy(&value, &pattern, sizeof value);
    if (!std::isfinite(value) || !within(value)) continue;
    x.push_back(value);
    if (long(x.size()) == block) flush();
  }
  flush();
}

bool chosen(int count, char** names, const char* name) {
  return count == 0 ||
         std::any_of(names, names + count, [&](const char* n) { return !std::strcmp(n, name); });
}

void sweep(const softgrad::ActivationKernels<float>& k, unsigned long stride, int count,
           char** names) {
  std::vector<float> y(block);
  if (chosen(count, names, "exp")) {
    Worst worst;
    each_block(
        stride, [](float x) { return x <= 0; },
        [&](const float* x, long n) {
          k.exp(x, y.data(), n);
          for (long i = 0; i < n; i++)
            worst.see(x[i], y[std::size_t(i)], sum(std::exp(Real(x[i]))));
        });
    worst.report("exp", "", 1.2);
  }
  if (chosen(count, names, "log1p")) {
    Worst worst;
    each_block(
        stride, [](float x) { return x >= 0 && x <= 1; },
        [&](const float* x, long n) {
          k.log1p(x, y.data(), n);
          for (long i = 0; i < n; i++)
            worst.see(x[i], y[std::size_t(i)], sum(std::log1p(Real(x[i]))));
        });
    worst.report("log1p", "", 1.5);
  }
  for (int f = 0; f < softgrad::activation_count; f++) {
    const char* name = softgrad::activation_names[f];
    if (!chosen(count, names, name)) continue;
    const Activation function = static_cast<Activation>(f);
    Worst worst[3];
    std::vector<float> results[3] = {y, y, y};
    each_block(
        stride, [](float) { return true; },
        [&](const float* x, long n) {
          for (int order = 0; order < 3; order++)
            k.map(function, order, parameter, x, nullptr, nullptr, results[order].data(), n, false);
          for (long i = 0; i < n; i++) {
            const Three wanted = truth(function, x[i]);
            for (int order = 0; order < 3; order++)
              worst[order].see(x[i], results[order][std::size_t(i)], wanted.f[order]);
          }
        });
    const char* what[] = {"f", "f'", "f''"};
    for (int order = 0; order < 3; order++)
      worst[order].report(name, what[order], order || function == Activation::gelu ? 4 : 3);
  }
}

}  // namespace

int main(int count, char** arguments) {
  const unsigned long stride = count > 1 ? std::strtoul(arguments[1], nullptr, 10) : 4099;
  if (stride == 0) return std::puts("the stride is a number > 0"), 2;
  for (const std::string& name : softgrad::available_instruction_sets()) {
    softgrad::set_instruction_set(name);
    std::printf("--- %s\n", name.c_str());
    check::context = name;
    sweep(softgrad::active_kernels().activations().f32, stride, std::max(count - 2, 0),
          arguments + 2);
  }
  return check::failures ? 1 : 0;
}
