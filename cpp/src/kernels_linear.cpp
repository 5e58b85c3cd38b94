// The kernels of linear models of one instruction set; compiled once per set.
#include "softgrad/linear.hpp"

#include "softgrad/kernels.hpp"

namespace softgrad::SOFTGRAD_ISA {

template <class T>
static constexpr LinearKernels<T> linear_kernels() {
  return {LanesOf<T>::width,
          Half<T>::width,
          forward<T>,
          backward<T>,
          standardize<T, std::uint8_t>,
          standardize<T, float>,
          standardize<T, double>};
}
template <class X, class Index>
static constexpr SparseKernels<X, Index> sparse_kernels() {
  return {sparse_forward<X, Index>, sparse_backward<X, Index>};
}

const LinearTable& linear_table() {
  static constexpr LinearTable t = {linear_kernels<float>(),
                                    linear_kernels<double>(),
                                    sparse_kernels<float, std::int32_t>(),
                                    sparse_kernels<float, std::int64_t>(),
                                    sparse_kernels<double, std::int32_t>(),
                                    sparse_kernels<double, std::int64_t>(),
                                    dual_row};
  return t;
}

}  // namespace softgrad::SOFTGRAD_ISA
