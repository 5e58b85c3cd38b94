// The kernels of losses of one instruction set; compiled once per set.
#include "softgrad/losses.hpp"

#include "softgrad/kernels.hpp"

namespace softgrad::SOFTGRAD_ISA {

template <class T>
static constexpr LossKernels<T> loss_kernels() {
  return {entries<T>, row_sums<T>, add_strip, row_sum, within<T>, focal_rows<T>, scale_entries<T>, runner_up<T>};
}

const LossTable& loss_table() {
  static constexpr LossTable t = {loss_kernels<float>(), loss_kernels<double>()};
  return t;
}

}  // namespace softgrad::SOFTGRAD_ISA
