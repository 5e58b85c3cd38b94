// Arrays of any memory layout, seen as rows along one axis.
#pragma once

#include "kernels.hpp"

namespace softgrad {

// An array seen as rows along one axis. Strides in elements; rows in C order of the other axes.
struct Layout {
  static constexpr int max_dims = 64;
  long classes = 0, rows = 1;
  std::ptrdiff_t class_stride = 1;
  int dims = 0;  // axes of the rows, merged where memory allows
  long shape[max_dims];
  std::ptrdiff_t stride[max_dims];

  static Layout of(int ndim, const std::ptrdiff_t* shape, const std::ptrdiff_t* stride, int axis) {
    Layout a;
    a.classes = shape[axis];
    a.class_stride = shape[axis] == 1 ? 1 : stride[axis];
    for (int d = 0; d < ndim; d++) {
      if (d == axis) continue;
      a.rows *= shape[d];
      if (shape[d] == 1) continue;
      if (a.dims && a.stride[a.dims - 1] == shape[d] * stride[d]) {
        a.shape[a.dims - 1] *= shape[d];
        a.stride[a.dims - 1] = stride[d];
      } else {
        a.shape[a.dims] = shape[d];
        a.stride[a.dims++] = stride[d];
      }
    }
    return a;
  }
  std::ptrdiff_t offset(long row) const {
    if (dims == 1) return row * stride[0];
    std::ptrdiff_t at = 0;
    for (int d = dims - 1; d >= 0; d--) {
      at += (row % shape[d]) * stride[d];
      row /= shape[d];
    }
    return at;
  }
  // Whether each row begins one element after the one before.
  bool neighbours() const { return dims == 1 && stride[0] == 1; }
  template <class T>
  void fill(T* data, long row, long count, Rows<T>& r) const {
    r.stride = class_stride, r.count = count;
    if (dims <= 1) {
      const std::ptrdiff_t step = dims ? stride[0] : 0;
      for (long i = 0; i < count; i++) r.row[i] = data + (row + i) * step;
    } else {
      for (long i = 0; i < count; i++) r.row[i] = data + offset(row + i);
    }
  }
};

template <class T>
struct Array {
  T* data;
  Layout layout;
  Rows<T> rows(long row, long count) const {
    Rows<T> r;
    layout.fill(data, row, count, r);
    return r;
  }
};

}  // namespace softgrad
