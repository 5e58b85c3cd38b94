// Kernels of optimisers, as a table of plain functions per instruction set: see optimizers.hpp.
#pragma once

namespace softgrad {

// What one step does; the same for all parameters of a call. With `keep` the weights as they were
// take the gradient's place: a way back without memory of its own.
struct SgdStep {
  double size, momentum, decay, scale;
  bool nesterov, keep;
};
struct AdamStep {
  double size;          // with the correction of the first moment's bias
  double inverse_root;  // the correction of the second one's
  double beta1, beta2, epsilon;
  double decay, shrink, scale;
  bool keep;
};

template <class T>
struct OptimizerKernels {
  void (*sgd)(T* w, T* g, T* velocity, long n, const SgdStep& step);
  void (*adam)(T* w, T* g, T* m, T* v, long n, const AdamStep& step);
};

struct OptimizerTable {
  OptimizerKernels<float> f32;
  OptimizerKernels<double> f64;
};

}  // namespace softgrad
