// Matrix products of a block of rows with the weights of a linear model, and the row of its dual.
//
// The columns of the weights (classes) lie in registers, so every logit and every component of the
// gradient is one chain of fused multiply-adds, over the features and over the rows of the block:
// its order, and with it its bits, does not depend on the width of a register.
//
// Weights and gradients are packed in tiles: a tile is some registers of classes wide and holds
// them feature by feature. Classes are padded to a multiple of 32 bytes, of sparse rows to 64.
//
// Errors, with u = 2^-24 or 2^-53: a logit of D features is right to
// (D + 2) u (sum |x_d w_d| + |bias|), a component of the gradient of a block of n rows to
// (n + 2) u sum |x_i r_i|; a fused multiply-add saves one u. Blocks are added in double. Any finite
// numbers; sums that overflow are infinite. Pointers need no more than the alignment of T.
#pragma once

#include "linear_kernels.hpp"
#include "log.hpp"

namespace softgrad::SOFTGRAD_ISA {

// What a tile is made of: registers of T, or the lower half of one where registers are so long that
// few classes would leave most of one empty.
template <class T>
struct Whole {
  using Number = T;
  using Reg = Register<T>;
  using Any = typename LanesOf<T>::any;
  static constexpr int width = LanesOf<T>::width;
};
#if SOFTGRAD_VECTOR_BYTES == 64
template <class T>
struct Half {
  using Number = T;
  static constexpr int width = LanesOf<T>::width / 2;
  typedef T Reg __attribute__((vector_size(32)));
  typedef T Any __attribute__((vector_size(32), aligned(sizeof(T)), may_alias));
};
SOFTGRAD_INLINE Half<float>::Reg fma(Half<float>::Reg a, Half<float>::Reg b, Half<float>::Reg c) {
  return (Half<float>::Reg)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
SOFTGRAD_INLINE Half<double>::Reg fma(Half<double>::Reg a, Half<double>::Reg b,
                                      Half<double>::Reg c) {
  return (Half<double>::Reg)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
#else
template <class T>
using Half = Whole<T>;
#endif

// Accumulators that leave room for a tile's weights and one number of the rows.
constexpr int accumulators = vector_bytes == 64 ? 24 : 12;
template <int registers>
constexpr int most_at_once = accumulators / registers > 16 ? 16 : accumulators / registers;

template <class Of, int registers, int count, class T = typename Of::Number>
SOFTGRAD_INLINE void forward_rows(const T* x, std::ptrdiff_t row_stride, long features,
                                  const T* weight, const T* bias, T* z, std::ptrdiff_t z_stride) {
  using V = typename Of::Reg;
  using Any = typename Of::Any;
  constexpr int width = Of::width;
  V sum[count][registers];
#pragma GCC unroll 24
  for (int i = 0; i < count; i++)
#pragma GCC unroll 4
    for (int r = 0; r < registers; r++) sum[i][r] = *(const Any*)(bias + r * width);
  for (long d = 0; d < features; d++) {
    V w[registers];
#pragma GCC unroll 4
    for (int r = 0; r < registers; r++) w[r] = *(const Any*)(weight + (d * registers + r) * width);
#pragma GCC unroll 24
    for (int i = 0; i < count; i++) {
      const V value = x[i * row_stride + d] - V{};
#pragma GCC unroll 4
      for (int r = 0; r < registers; r++) sum[i][r] = fma(value, w[r], sum[i][r]);
    }
  }
#pragma GCC unroll 24
  for (int i = 0; i < count; i++)
#pragma GCC unroll 4
    for (int r = 0; r < registers; r++) *(Any*)(z + i * z_stride + r * width) = sum[i][r];
}

template <class Of, int registers, class T = typename Of::Number>
void forward_tile(const T* x, std::ptrdiff_t row_stride, long rows, long features, const T* weight,
                  const T* bias, T* z, std::ptrdiff_t z_stride) {
  constexpr int most = most_at_once<registers>;
  long i = 0;
  for (; i + most <= rows; i += most)
    forward_rows<Of, registers, most>(x + i * row_stride, row_stride, features, weight, bias,
                                      z + i * z_stride, z_stride);
  for (; i + 4 <= rows; i += 4)
    forward_rows<Of, registers, 4>(x + i * row_stride, row_stride, features, weight, bias,
                                   z + i * z_stride, z_stride);
  for (; i < rows; i++)
    forward_rows<Of, registers, 1>(x + i * row_stride, row_stride, features, weight, bias,
                                   z + i * z_stride, z_stride);
}

// z_i = bias + weight^T x_i for the classes of one tile: `registers` registers, or for 0 half a
// one.
template <class T>
void forward(const T* x, std::ptrdiff_t row_stride, long rows, long features, const T* weight,
             const T* bias, int registers, T* z, std::ptrdiff_t z_stride) {
  switch (registers) {
    case 0:
      return forward_tile<Half<T>, 1>(x, row_stride, rows, features, weight, bias, z, z_stride);
    case 1:
      return forward_tile<Whole<T>, 1>(x, row_stride, rows, features, weight, bias, z, z_stride);
    case 2:
      return forward_tile<Whole<T>, 2>(x, row_stride, rows, features, weight, bias, z, z_stride);
    default:
      return forward_tile<Whole<T>, 3>(x, row_stride, rows, features, weight, bias, z, z_stride);
  }
}

SOFTGRAD_INLINE void add_to(double* g, vd a) { *(vd_any*)g = *(vd_any*)g + a; }
SOFTGRAD_INLINE void add_to(double* g, vf a) {
  alignas(64) float t[width_f];
  *(vf*)t = a;
#pragma GCC unroll 2
  for (int i = 0; i < 2; i++)
    add_to(g + i * width_d, __builtin_convertvector(*(const vhf_any*)(t + i * width_d), vd));
}
#if SOFTGRAD_VECTOR_BYTES == 64
SOFTGRAD_INLINE void add_to(double* g, Half<float>::Reg a) {
  add_to(g, __builtin_convertvector(a, vd));
}
SOFTGRAD_INLINE void add_to(double* g, Half<double>::Reg a) {
  using Any = Half<double>::Any;
  *(Any*)g = *(Any*)g + a;
}
#endif

template <class Of, int registers, int count, class T = typename Of::Number>
SOFTGRAD_INLINE void backward_features(const T* x, std::ptrdiff_t row_stride, long rows,
                                       const T* residual, std::ptrdiff_t residual_stride,
                                       double* gradient) {
  using V = typename Of::Reg;
  using Any = typename Of::Any;
  constexpr int width = Of::width;
  V sum[count][registers];
#pragma GCC unroll 24
  for (int d = 0; d < count; d++)
#pragma GCC unroll 4
    for (int r = 0; r < registers; r++) sum[d][r] = V{};
  for (long i = 0; i < rows; i++) {
    V b[registers];
#pragma GCC unroll 4
    for (int r = 0; r < registers; r++)
      b[r] = *(const Any*)(residual + i * residual_stride + r * width);
#pragma GCC unroll 24
    for (int d = 0; d < count; d++) {
      const V value = x[i * row_stride + d] - V{};
#pragma GCC unroll 4
      for (int r = 0; r < registers; r++) sum[d][r] = fma(value, b[r], sum[d][r]);
    }
  }
#pragma GCC unroll 24
  for (int d = 0; d < count; d++)
#pragma GCC unroll 4
    for (int r = 0; r < registers; r++) add_to(gradient + (d * registers + r) * width, sum[d][r]);
}

template <class Of, int registers, class T = typename Of::Number>
void backward_tile(const T* x, std::ptrdiff_t row_stride, long rows, long features,
                   const T* residual, std::ptrdiff_t residual_stride, double* gradient) {
  constexpr int width = Of::width;
  constexpr int most = most_at_once<registers>;
  long d = 0;
  auto take = [&]<int count>() {
    for (; d + count <= features; d += count)
      backward_features<Of, registers, count>(x + d, row_stride, rows, residual, residual_stride,
                                              gradient + d * registers * width);
  };
  take.template operator()<most>();
  if constexpr (most > 8) take.template operator()<8>();  // one at a time would wait for each sum
  take.template operator()<4>();
  take.template operator()<2>();
  take.template operator()<1>();
}

// gradient += sum_i x_i residual_i^T for the classes of one tile; `registers` as for `forward`.
template <class T>
void backward(const T* x, std::ptrdiff_t row_stride, long rows, long features, const T* residual,
              std::ptrdiff_t residual_stride, int registers, double* gradient) {
  switch (registers) {
    case 0:
      return backward_tile<Half<T>, 1>(x, row_stride, rows, features, residual, residual_stride,
                                       gradient);
    case 1:
      return backward_tile<Whole<T>, 1>(x, row_stride, rows, features, residual, residual_stride,
                                        gradient);
    case 2:
      return backward_tile<Whole<T>, 2>(x, row_stride, rows, features, residual, residual_stride,
                                        gradient);
    default:
      return backward_tile<Whole<T>, 3>(x, row_stride, rows, features, residual, residual_stride,
                                        gradient);
  }
}

// y = (x - mean) * inverse_scale, rounded to T once; the arithmetic is in double because a mean
// may be millions of deviations away from zero. At most u + 2^-52 of y; mean null: y = T(x).
template <class T, class X>
void standardize(const X* x, long n, const double* mean, const double* inverse_scale, T* y) {
  if (!mean) {
    for (long d = 0; d < n; d++) y[d] = T(x[d]);
    return;
  }
  for (long d = 0; d < n; d++) y[d] = T((double(x[d]) - mean[d]) * inverse_scale[d]);
}

// The weights of columns come from all over memory: they are asked for some columns ahead.
constexpr long columns_ahead = 6;
template <int lines>
SOFTGRAD_INLINE void ask_for(const double* p) {
#pragma GCC unroll 8
  for (int i = 0; i < lines; i++) __builtin_prefetch(p + 8 * i);
}

// The stored numbers of a CSR row: z += sum_j value_j weight[column_j], to
// (stored + 2) 2^-53 (sum |value_j weight_j| + |z|).
template <class X, class Index, int registers>
void sparse_forward_part(const X* value, const Index* column, long stored, const double* weight,
                         std::ptrdiff_t padded, double* z) {
  constexpr int lines = (registers * vector_bytes + 63) / 64;
  vd sum[registers];
#pragma GCC unroll 8
  for (int r = 0; r < registers; r++) sum[r] = *(const vd_any*)(z + r * width_d);
  for (long j = 0; j < stored; j++) {
    const long next = j + columns_ahead < stored ? j + columns_ahead : stored - 1;
    ask_for<lines>(weight + std::ptrdiff_t(column[next]) * padded);
    const double* w = weight + std::ptrdiff_t(column[j]) * padded;
    const vd v = splat(double(value[j]));
#pragma GCC unroll 8
    for (int r = 0; r < registers; r++) sum[r] = fma(v, *(const vd_any*)(w + r * width_d), sum[r]);
  }
#pragma GCC unroll 8
  for (int r = 0; r < registers; r++) *(vd_any*)(z + r * width_d) = sum[r];
}

template <class X, class Index>
void sparse_forward(const X* value, const Index* column, long stored, const double* weight,
                    const double* bias, long padded, double* z) {
  std::memcpy(z, bias, static_cast<std::size_t>(padded) * sizeof(double));
  for (long left = padded / width_d, r = 0; left > 0;) {
    const int registers = left >= 8 ? 8 : left >= 4 ? 4 : static_cast<int>(left);
    const double* w = weight + r * width_d;
    double* to = z + r * width_d;
    switch (registers) {
      case 8:
        sparse_forward_part<X, Index, 8>(value, column, stored, w, padded, to);
        break;
      case 4:
        sparse_forward_part<X, Index, 4>(value, column, stored, w, padded, to);
        break;
      case 3:
        sparse_forward_part<X, Index, 3>(value, column, stored, w, padded, to);
        break;
      case 2:
        sparse_forward_part<X, Index, 2>(value, column, stored, w, padded, to);
        break;
      default:
        sparse_forward_part<X, Index, 1>(value, column, stored, w, padded, to);
    }
    r += registers, left -= registers;
  }
}

// gradient[column_j] += value_j residual, to 2^-52 (|value_j residual| + |gradient|) each.
template <class X, class Index>
void sparse_backward(const X* value, const Index* column, long stored, const double* residual,
                     long padded, double* gradient) {
  for (long j = 0; j < stored; j++) {
    const long next = j + columns_ahead < stored ? j + columns_ahead : stored - 1;
    const double* ahead = gradient + std::ptrdiff_t(column[next]) * padded;
    for (long c = 0; c < padded; c += 8) __builtin_prefetch(ahead + c, 1);
    double* g = gradient + std::ptrdiff_t(column[j]) * padded;
    const vd v = splat(double(value[j]));
    for (long c = 0; c < padded; c += width_d)
      *(vd_any*)(g + c) = fma(v, *(const vd_any*)(residual + c), *(vd_any*)(g + c));
  }
}

// The dual point of a row: alpha = p + change, clipped to nonnegative numbers with sum 1; returns
// KL(alpha || q) for log_q = log q. p + change becomes alpha in place.
//
// p: probabilities; change: sum 0, at most 1e250; log_q: at most 0, or -inf. With n classes alpha
// is right to (n + 8) 2^-53 of alpha, where p + change does not cancel, and the divergence to (n +
// 8) 2^-53 (1 + sum |alpha log alpha| + |alpha log q|). Less than 1e-250 counts as 0.
inline double dual_row(double* p, const double* change, const double* log_q, long classes) {
  double whole = 0;
  for (long c = 0; c < classes; c++) {
    const double a = p[c] + change[c];
    p[c] = a > 1e-250 ? a : 0.0;
    whole += p[c];
  }
  const double inverse = 1.0 / whole;
  D16 part = all16(0.0);
  for (long c = 0; c < classes; c += lanes) {
    const long n = classes - c < lanes ? classes - c : lanes;
    D16 alpha = load_head(p + c, n, 0.0);
    const D16 q = load_head(log_q + c, n, 0.0);
    SOFTGRAD_EACH_D {
      alpha.v[i] = alpha.v[i] * inverse;
      const vd log_alpha = log_dd<true>({maximum(alpha.v[i], splat(1e-260)), vd{}}).hi;
      // -inf * 0 is NaN: a class with q = 0 and alpha = 0 adds nothing.
      part.v[i] = fma(alpha.v[i], log_alpha - maximum(splat(-1e300), q.v[i]), part.v[i]);
    }
    store_head(p + c, alpha, n);
  }
  return sum_lanes(part);
}

}  // namespace softgrad::SOFTGRAD_ISA
