// sparsemax: the Euclidean projection of a row onto the probabilities.
//
// p_i = max(z_i - tau, 0) with tau such that they sum to 1. tau is found exactly (but for rounding)
// by C. Michelot's iteration: tau = (sum of the candidates - 1) / their number, and what does not
// exceed it is no candidate any more; the first candidates are those within 1 of the maximum.
// Numbers are taken relative to the maximum, in double, summed in the order of the row with the
// rounding errors kept: at most 1 ULP of the larger of p_i and max z - z_i.
// Source: A. F. T. Martins, R. F. Astudillo, From softmax to sparsemax (ICML 2016), algorithm 1;
// C. Michelot, A finite algorithm for finding the projection of a point onto the canonical simplex
// of R^n, Journal of Optimization Theory and Applications 50 (1986).
#pragma once

#include <limits>

#include "batch.hpp"

namespace softgrad {

// One row; `candidates` has room for as many numbers. NaN or +inf in the row, or nothing but -inf:
// all NaN.
template <class T>
void sparsemax_row(const T* x, std::ptrdiff_t x_stride, T* y, std::ptrdiff_t y_stride, long n,
                   double* candidates) {
  const double infinite = std::numeric_limits<double>::infinity();
  double max = -infinite;
  bool undefined = false;
  for (long i = 0; i < n; i++) {
    const double z = static_cast<double>(x[i * x_stride]);
    undefined |= z != z;
    max = z > max ? z : max;
  }
  if (undefined || max == infinite || max == -infinite) {
    for (long i = 0; i < n; i++) y[i * y_stride] = std::numeric_limits<T>::quiet_NaN();
    return;
  }
  long count = 0;
  for (long i = 0; i < n; i++) {
    const double z = static_cast<double>(x[i * x_stride]) - max;
    if (z > -1.0) candidates[count++] = z;
  }
  double tau, low;
  for (;;) {
    double sum = -1.0, rest = 0.0;  // TwoSum
    for (long i = 0; i < count; i++) {
      const double a = sum, b = candidates[i], s = a + b, t = s - a;
      rest += (a - (s - t)) + (b - t);
      sum = s;
    }
    const double number = static_cast<double>(count);
    tau = (sum + rest) / number;
    low = std::fma(-tau, number, sum) + rest;  // what the division left, times their number
    low /= number;
    long kept = 0;
    for (long i = 0; i < count; i++)
      if ((candidates[i] - tau) - low > 0.0) candidates[kept++] = candidates[i];
    if (kept == count) break;
    count = kept;
  }
  for (long i = 0; i < n; i++) {
    const double p = ((static_cast<double>(x[i * x_stride]) - max) - tau) - low;
    y[i * y_stride] = p > 0.0 ? static_cast<T>(p) : T(0);
  }
}

// Rows of any layout; y may be x.
template <class T>
void sparsemax(const Array<const T>& x, const Array<T>& y) {
  const long rows = x.layout.rows, classes = x.layout.classes;
  const long group = group_rows(classes);
  each_piece((rows + group - 1) / group, 8.0 * double(rows) * double(classes), [&](long i) {
    double* candidates = static_cast<double*>(
        thread_scratch((static_cast<std::size_t>(classes) + 1) * sizeof(double)));
    const long end = (i + 1) * group < rows ? (i + 1) * group : rows;
    for (long r = i * group; r < end; r++)
      sparsemax_row(x.data + x.layout.offset(r), x.layout.class_stride, y.data + y.layout.offset(r),
                    y.layout.class_stride, classes, candidates);
  });
}

}  // namespace softgrad
