// The elementwise functions over whole arrays of any layout, in pieces that are shared out to
// threads. Each number is computed by itself: pieces and layouts cannot change a bit.
#pragma once

#include <cstring>

#include "batch.hpp"

namespace softgrad {

// f^(order)(x) g v into y. Arrays of one shape, as rows along one axis; g and v may have no data.
// y may be one of the others, or lie apart from it.
template <class T>
struct ElementwiseCall {
  Activation function;
  int order;
  double parameter;
  Array<const T> x, g, v;
  Array<T> y;

  void run() const {
    if (x.layout.rows == 0 || x.layout.classes == 0) return;
    if (x.layout.rows == 1 && unit(x) && unit(g) && unit(v) && y.layout.class_stride == 1)
      run_flat();
    else
      run_rows();
  }

 private:
  static bool unit(const Array<const T>& a) { return !a.data || a.layout.class_stride == 1; }

  void run_flat() const {
    constexpr long piece = 1L << 14;
    const long n = x.layout.classes;
    const auto kernel = kernels_of();
    const bool in_place = y.data == x.data || y.data == g.data || y.data == v.data;
    const bool streamed = !in_place && double(n) * sizeof(T) > elementwise_stream_bytes;
    each_piece((n + piece - 1) / piece, double(n), [&](long i) {
      const long at = i * piece;
      kernel(function, order, parameter, x.data + at, g.data ? g.data + at : nullptr,
             v.data ? v.data + at : nullptr, y.data + at, n - at < piece ? n - at : piece,
             streamed);
    });
  }

  // Strips of numbers are gathered, computed and scattered.
  void run_rows() const {
    constexpr long strip = 1024;
    const long rows = x.layout.rows, classes = x.layout.classes, n = rows * classes;
    const auto kernel = kernels_of();
    each_piece((n + strip - 1) / strip, double(n), [&](long i) {
      T a[strip], b[strip], c[strip];
      const long at = i * strip, count = n - at < strip ? n - at : strip;
      gather(x, at, count, a);
      if (g.data) gather(g, at, count, b);
      if (v.data) gather(v, at, count, c);
      kernel(function, order, parameter, a, g.data ? b : nullptr, v.data ? c : nullptr, a, count,
             false);
      each_run(y.layout, at, count, [&](std::ptrdiff_t offset, long from, long k) {
        T* to = y.data + offset;
        const std::ptrdiff_t stride = y.layout.class_stride;
        for (long j = 0; j < k; j++) to[j * stride] = a[from + j];
      });
    });
  }

  // body(offset in the array, position in the strip, length) for the parts of rows in a strip.
  template <class F>
  static void each_run(const Layout& layout, long at, long count, F body) {
    for (long from = 0; from < count;) {
      const long row = (at + from) / layout.classes, first = (at + from) % layout.classes;
      long k = layout.classes - first;
      if (k > count - from) k = count - from;
      body(layout.offset(row) + first * layout.class_stride, from, k);
      from += k;
    }
  }
  static void gather(const Array<const T>& a, long at, long count, T* to) {
    each_run(a.layout, at, count, [&](std::ptrdiff_t offset, long from, long k) {
      const T* p = a.data + offset;
      const std::ptrdiff_t stride = a.layout.class_stride;
      if (stride == 1)
        std::memcpy(to + from, p, static_cast<std::size_t>(k) * sizeof(T));
      else
        for (long j = 0; j < k; j++) to[from + j] = p[j * stride];
    });
  }

  static auto kernels_of() {
    const ActivationTable& table = active_kernels().activations();
    if constexpr (sizeof(T) == 4)
      return table.f32.map;
    else
      return table.f64.map;
  }
  // Outputs larger than the caches keep are written past them.
  static constexpr double elementwise_stream_bytes = 8e6;
};

}  // namespace softgrad
