// Kernels over whole arrays of any layout.
#pragma once

#include "shared_row.hpp"

namespace softgrad {

template <class T>
void normalize(Output output, const Array<const T>& x, const Array<T>& y, double temperature) {
  const Layout &a = x.layout, &b = y.layout;
  if (a.classes == 0) return;
  const bool stream = worth_streaming<T>(b) && static_cast<const T*>(y.data) != x.data;
  if (worth_splitting(a, b)) {
    for (long r = 0; r < a.rows; r++)
      SharedRow<T>(x.data + a.offset(r), a.classes, temperature, output == Output::log_probability)
          .emit(output, y.data + b.offset(r), 1.0, stream);
    return;
  }
  const bool strided = a.class_stride != 1 || b.class_stride != 1;
  const auto kernel = kernels_for<T>().normalize;
  const bool tiled = temperature == 1.0 && worth_tiling(a, b);
  for_bundles<T>(
      a.rows, a.classes, strided, tiled,
      [&](long r, long n, T* scratch) {
        kernel(output, x.rows(r, n), y.rows(r, n), a.classes, temperature, stream, scratch);
      },
      tiled ? rows_before_line(y.data, b) : 0);
}

// `result` is contiguous: one element per row.
template <class T>
void logsumexp(const Array<const T>& x, T* result) {
  const Layout& a = x.layout;
  const Kernels<T>& k = kernels_for<T>();
  const bool strided = a.class_stride != 1, split = worth_splitting(a);
  const auto bundle = [&](long r, long n, T* scratch) {
    T* to[wide_rows];
    for (long i = 0; i < n; i++) to[i] = result + r + i;
    k.logsumexp(x.rows(r, n), to, a.classes, scratch);
  };
  if (!split) return for_bundles<T>(a.rows, a.classes, strided, worth_tiling(a), bundle);
  for (long r = 0; r < a.rows; r++) {
    const SharedRow<T> row(x.data + a.offset(r), a.classes, 1.0, true);
    if (row.special())
      bundle(r, 1, scratch_for<T>(a.classes, strided));
    else
      result[r] = k.logsumexp_of(row.logarithm());
  }
}

template <class T>
void product(Product kind, const Array<const T>& p, const Array<const T>& g, const Array<T>& y,
             double scale) {
  const Layout& a = p.layout;
  if (a.classes == 0) return;
  const bool strided =
      a.class_stride != 1 || g.layout.class_stride != 1 || y.layout.class_stride != 1;
  const bool stream = worth_streaming<T>(y.layout) && y.data != p.data && y.data != g.data;
  if (kind != Product::log_softmax_vjp && worth_splitting(a, g.layout, y.layout)) {
    for (long r = 0; r < a.rows; r++)
      shared_product(kind, p.data + a.offset(r), g.data + g.layout.offset(r),
                     y.data + y.layout.offset(r), a.classes, scale, stream);
    return;
  }
  const auto kernel = kernels_for<T>().product;
  const bool tiled = kind != Product::log_softmax_vjp && worth_tiling(a, g.layout, y.layout);
  for_bundles<T>(
      a.rows, a.classes, strided, tiled,
      [&](long r, long n, T* scratch) {
        kernel(kind, p.rows(r, n), g.rows(r, n), y.rows(r, n), a.classes, scale, stream, scratch);
      },
      tiled ? rows_before_line(y.data, y.layout) : 0);
}

template <class T>
void product_of_logits(const Array<const T>& x, const Array<const T>& g, const Array<T>& y,
                       double temperature) {
  const Layout& a = x.layout;
  if (a.classes == 0) return;
  const auto kernel = kernels_for<T>().product_of_logits;
  const auto bundle = [&](long r, long n, T* scratch) {
    kernel(x.rows(r, n), g.rows(r, n), y.rows(r, n), a.classes, temperature, scratch);
  };
  if (!worth_splitting(a, g.layout, y.layout))
    return for_bundles<T>(a.rows, a.classes, true, false, bundle);
  for (long r = 0; r < a.rows; r++)
    if (!shared_product_of_logits(x.data + a.offset(r), g.data + g.layout.offset(r),
                                  y.data + y.layout.offset(r), a.classes, temperature))
      bundle(r, 1, scratch_for<T>(a.classes, true));
}

template <class T>
void dot(const Array<const T>& p, const Array<const T>& g, T* result) {
  const Layout& a = p.layout;
  const bool strided = a.class_stride != 1 || g.layout.class_stride != 1;
  const auto kernel = kernels_for<T>().dot;
  for_bundles<T>(a.rows, a.classes, strided, false, [&](long r, long n, T* scratch) {
    T* to[bundle_rows];
    for (long i = 0; i < n; i++) to[i] = result + r + i;
    kernel(p.rows(r, n), g.rows(r, n), to, a.classes, scratch);
  });
}

}  // namespace softgrad
