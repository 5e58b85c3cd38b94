// The elementwise functions of one instruction set; compiled once per set.
#include "softgrad/activations.hpp"
#include "softgrad/kernels.hpp"

namespace softgrad::SOFTGRAD_ISA {

template <class T>
static constexpr ActivationKernels<T> activation_kernels() {
  return {activation<T>, building_block<ExpUnit, T>, building_block<Log1pUnit, T>};
}

const ActivationTable& activation_table() {
  static constexpr ActivationTable t = {activation_kernels<float>(), activation_kernels<double>()};
  return t;
}

}  // namespace softgrad::SOFTGRAD_ISA
