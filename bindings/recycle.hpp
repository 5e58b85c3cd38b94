// Memory of large outputs, kept for the next one.
//
// A fresh array of many megabytes costs as much in page faults as the computation that fills it.
// Arrays returned by softgrad above recycle_from bytes therefore come from a small pool: when such
// an array dies its pages stay mapped, marked as free to take by the system (MADV_FREE), and the
// next output of about the same size reuses them. The pool holds at most recycle_limit() bytes.
#pragma once

#include <cstddef>

#include "numpy_api.hpp"

namespace softgrad {

constexpr std::size_t recycle_from = std::size_t(1) << 20;
std::size_t recycle_limit();
void set_recycle_limit(std::size_t bytes);  // 0: keep nothing; what is over the limit is released

// A new C-contiguous array; null with an exception set when memory runs out.
PyArrayObject* new_array(int ndim, const npy_intp* shape, int type);

}  // namespace softgrad
