// Kernels of linear models, as a table of plain functions per instruction set: see linear.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

namespace softgrad {

template <class T>
struct LinearKernels {
  int width;  // numbers in a register
  int half;   // in the smallest tile: half a register of 64 bytes, else a whole one
  void (*forward)(const T* x, std::ptrdiff_t row_stride, long rows, long features, const T* weight,
                  const T* bias, int registers, T* z, std::ptrdiff_t z_stride);
  void (*backward)(const T* x, std::ptrdiff_t row_stride, long rows, long features,
                   const T* residual, std::ptrdiff_t residual_stride, int registers,
                   double* gradient);
  void (*standardize_u8)(const std::uint8_t* x, long n, const double* mean,
                         const double* inverse_scale, T* y);
  void (*standardize_f32)(const float* x, long n, const double* mean, const double* inverse_scale,
                          T* y);
  void (*standardize_f64)(const double* x, long n, const double* mean, const double* inverse_scale,
                          T* y);
};

template <class X, class Index>
struct SparseKernels {
  void (*forward)(const X* value, const Index* column, long stored, const double* weight,
                  const double* bias, long padded, double* z);
  void (*backward)(const X* value, const Index* column, long stored, const double* residual,
                   long padded, double* gradient);
};

struct LinearTable {
  LinearKernels<float> f32;
  LinearKernels<double> f64;
  SparseKernels<float, std::int32_t> csr_f32_i32;
  SparseKernels<float, std::int64_t> csr_f32_i64;
  SparseKernels<double, std::int32_t> csr_f64_i32;
  SparseKernels<double, std::int64_t> csr_f64_i64;
  double (*dual_row)(double* p, const double* change, const double* log_q, long classes);
};

}  // namespace softgrad
