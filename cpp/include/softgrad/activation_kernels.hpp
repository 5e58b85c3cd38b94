// The elementwise functions as a table of plain functions per instruction set: see activations.hpp.
#pragma once

namespace softgrad {

// The order of `activation_names`, by which Python finds them.
enum class Activation : int {
  identity,
  sigmoid,
  log_sigmoid,
  tanh,
  relu,
  leaky_relu,
  elu,
  selu,
  softplus,
  softsign,
  gelu,
  gelu_tanh,
  silu,
  mish,
};
inline constexpr const char* activation_names[] = {
    "identity", "sigmoid",  "log_sigmoid", "tanh", "relu",      "leaky_relu", "elu",
    "selu",     "softplus", "softsign",    "gelu", "gelu_tanh", "silu",       "mish",
};
inline constexpr int activation_count = sizeof(activation_names) / sizeof(activation_names[0]);

// An order beside 0, 1 and 2: the first derivative in terms of the value, which takes x's place.
inline constexpr int slope_of_value = 3;
// Which functions have it.
inline constexpr Activation activations_by_value[] = {Activation::sigmoid, Activation::tanh};

template <class T>
struct ActivationKernels {
  // y = f(x), f'(x) or f''(x) (order 0, 1, 2), times g and v where they are not null: order 1 may
  // have g, order 2 both or none; slope_of_value has g. `parameter` is the slope of leaky_relu and
  // the alpha of elu. y may be x, g or v. With `stream`, stores bypass the caches.
  void (*map)(Activation f, int order, double parameter, const T* x, const T* g, const T* v, T* y,
              long n, bool stream);
  // exp(x) for x <= 0 and log1p(x) for 0 <= x <= 1, of which the functions are made: for tests.
  void (*exp)(const T* x, T* y, long n);
  void (*log1p)(const T* x, T* y, long n);
};

struct ActivationTable {
  ActivationKernels<float> f32;
  ActivationKernels<double> f64;
};

}  // namespace softgrad
