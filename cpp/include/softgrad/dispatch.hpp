// Which instruction set's kernels run.
#pragma once

#include <string>
#include <vector>

#include "kernels.hpp"

namespace softgrad {

// Names of the variants that were built and that this processor can run, slowest first.
std::vector<std::string> available_instruction_sets();
// Makes one of them the active one; false if it is not available.
bool set_instruction_set(const std::string& name);
const KernelTable& active_kernels();

template <class T>
const Kernels<T>& kernels_for();
template <>
inline const Kernels<float>& kernels_for<float>() {
  return active_kernels().f32;
}
template <>
inline const Kernels<double>& kernels_for<double>() {
  return active_kernels().f64;
}

}  // namespace softgrad
