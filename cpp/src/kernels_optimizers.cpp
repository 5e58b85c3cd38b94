// The kernels of optimisers of one instruction set; compiled once per set.
#include "softgrad/optimizers.hpp"

#include "softgrad/kernels.hpp"

namespace softgrad::SOFTGRAD_ISA {

const OptimizerTable& optimizer_table() {
  static constexpr OptimizerTable t = {{sgd<float>, adam<float>}, {sgd<double>, adam<double>}};
  return t;
}

}  // namespace softgrad::SOFTGRAD_ISA
