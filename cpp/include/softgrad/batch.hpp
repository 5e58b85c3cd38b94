// Kernels over whole arrays of any layout.
#pragma once

#include <algorithm>

#include "shared_products.hpp"

namespace softgrad {

template <class T>
void normalize(Output output, const Array<const T>& x, const Array<T>& y, double temperature) {
  const Layout &a = x.layout, &b = y.layout;
  if (a.classes == 0) return;
  const bool stream = worth_streaming<T>(b) && static_cast<const T*>(y.data) != x.data;
  if (worth_splitting(a, b)) {
    const auto rows = [&](long r, long n) {
      shared_normalize(output, x.rows(r, n), y.rows(r, n), a.classes, temperature, stream);
    };
    return for_long_rows(rows, a, b);
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
  const auto bundle = [&](long r, long n, T* scratch) {
    T* to[wide_rows];
    for (long i = 0; i < n; i++) to[i] = result + r + i;
    if (scratch)
      k.logsumexp(x.rows(r, n), to, a.classes, scratch);
    else
      shared_logsumexp(x.rows(r, n), to, a.classes);
  };
  if (worth_splitting(a)) return for_long_rows([&](long r, long n) { bundle(r, n, nullptr); }, a);
  for_bundles<T>(a.rows, a.classes, a.class_stride != 1, worth_tiling(a), bundle);
}

template <class T>
void product(Product kind, const Array<const T>& p, const Array<const T>& g, const Array<T>& y,
             double scale) {
  const Layout& a = p.layout;
  if (a.classes == 0) return;
  const bool strided = !are_contiguous(a, g.layout, y.layout);
  const bool stream = worth_streaming<T>(y.layout) && y.data != p.data && y.data != g.data;
  if (worth_splitting(a, g.layout, y.layout)) {
    const auto rows = [&](long r, long n) {
      shared_product(kind, p.rows(r, n), g.rows(r, n), y.rows(r, n), a.classes, scale, stream);
    };
    return for_long_rows(rows, a, g.layout, y.layout);
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
  const auto rows = [&](long r, long n) {
    bool left[bundle_rows];
    shared_product_of_logits(x.rows(r, n), g.rows(r, n), y.rows(r, n), a.classes, temperature,
                             left);
    for (long i = 0; i < n; i++)
      if (left[i]) bundle(r + i, 1, scratch_for<T>(a.classes, true));
  };
  for_long_rows(rows, a, g.layout, y.layout);
}

// g - p sum g with p = softmax(x), where classes are few enough for its kernel.
inline bool has_log_product(long classes) {
  return classes > tiny_classes && classes <= block_classes;
}
template <class T>
void log_product_of_logits(const Array<const T>& x, const Array<const T>& g, const Array<T>& y) {
  const long classes = x.layout.classes;
  const auto kernel = kernels_for<T>().log_product_of_logits;
  for_bundles<T>(x.layout.rows, classes, !are_contiguous(x.layout, g.layout, y.layout), false,
                 [&](long r, long n, T* scratch) {
                   kernel(x.rows(r, n), g.rows(r, n), y.rows(r, n), classes, scratch);
                 });
}

template <class T>
void dot(const Array<const T>& p, const Array<const T>& g, T* result) {
  const Layout& a = p.layout;
  if (a.classes == 0) {
    std::fill(result, result + a.rows, T(0));
    return;
  }
  const auto kernel = kernels_for<T>().dot;
  const auto bundle = [&](long r, long n, T* scratch) {
    T* to[bundle_rows];
    for (long i = 0; i < n; i++) to[i] = result + r + i;
    if (scratch)
      kernel(p.rows(r, n), g.rows(r, n), to, a.classes, scratch);
    else
      shared_dot(p.rows(r, n), g.rows(r, n), to, a.classes);
  };
  if (worth_splitting(a, g.layout))
    return for_long_rows([&](long r, long n) { bundle(r, n, nullptr); }, a, g.layout);
  for_bundles<T>(a.rows, a.classes, !are_contiguous(a, g.layout), false, bundle);
}

}  // namespace softgrad
