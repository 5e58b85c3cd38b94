// The elementwise functions and sparsemax. See arrays.hpp.
#include "activations.hpp"

#include "arrays.hpp"
#include "softgrad/elementwise.hpp"
#include "softgrad/sparsemax.hpp"

namespace softgrad {
namespace {

// An int in 0..most.
bool read_small(PyObject* o, int most, int* value) {
  if (!PyLong_CheckExact(o)) return false;
  int overflow;
  const long v = PyLong_AsLongAndOverflow(o, &overflow);
  if (overflow || v < 0 || v > most) return false;
  *value = static_cast<int>(v);
  return true;
}

// An array seen as rows along its last axis, or as one row where `flat` says that all have their
// numbers in the same order without gaps.
template <class T>
Layout elementwise_layout(PyArrayObject* a, bool flat) {
  if (!flat) return layout_of<T>(a, PyArray_NDIM(a) - 1);
  const ptrdiff_t shape = PyArray_SIZE(a), stride = 1;
  return Layout::of(1, &shape, &stride, 0);
}

bool has_slope_of_value(int function) {
  for (const Activation f : activations_by_value)
    if (static_cast<int>(f) == function) return true;
  return false;
}

}  // namespace

PyObject* py_activation(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (wrong_count("activation", n, 4, 7)) return nullptr;
  int function, order;
  double parameter;
  if (!read_small(args[0], activation_count - 1, &function) ||
      !read_small(args[1], slope_of_value, &order) || !read_double(args[2], &parameter) ||
      !is_floats(args[3]))
    return not_taken();
  PyArrayObject *x = as_array(args[3]), *factor[2] = {nullptr, nullptr};
  for (int k = 0; k < 2; k++) {
    if (n <= 4 + k || args[4 + k] == Py_None) continue;
    if (!is_floats(args[4 + k])) return not_taken();
    factor[k] = as_array(args[4 + k]);
    if (PyArray_TYPE(factor[k]) != PyArray_TYPE(x) || !same_shape(factor[k], x)) return not_taken();
  }
  // Order 1 has one factor or none, order 2 both or none, the slope of a value one.
  if (order == slope_of_value && (!factor[0] || !has_slope_of_value(function))) return not_taken();
  if ((factor[0] && order == 0) || (factor[1] != nullptr) != (factor[0] && order == 2))
    return not_taken();
  bool failed;
  PyArrayObject* y = output_like(x, n > 6 ? args[6] : nullptr, &failed);
  if (!y) return failed ? nullptr : not_taken();
  bool c_order = PyArray_IS_C_CONTIGUOUS(x) && PyArray_IS_C_CONTIGUOUS(y);
  bool f_order = PyArray_IS_F_CONTIGUOUS(x) && PyArray_IS_F_CONTIGUOUS(y);
  for (PyArrayObject* a : factor) {
    if (!a) continue;
    if (!compatible(y, a)) {
      Py_DECREF(y);
      return not_taken();
    }
    c_order = c_order && PyArray_IS_C_CONTIGUOUS(a);
    f_order = f_order && PyArray_IS_F_CONTIGUOUS(a);
  }
  return finish(y, [&] {
    WithoutGil release(PyArray_SIZE(x));
    with_type(x, [&]<class T>() {
      const bool flat = c_order || f_order;
      auto in = [&](PyArrayObject* a) -> Array<const T> {
        if (!a) return {nullptr, {}};
        return {static_cast<const T*>(PyArray_DATA(a)), elementwise_layout<T>(a, flat)};
      };
      const Array<T> to = {static_cast<T*>(PyArray_DATA(y)), elementwise_layout<T>(y, flat)};
      const ElementwiseCall<T> call = {static_cast<Activation>(function),
                                       order,
                                       parameter,
                                       in(x),
                                       in(factor[0]),
                                       in(factor[1]),
                                       to};
      call.run();
    });
  });
}

PyObject* py_sparsemax(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (wrong_count("sparsemax", n, 1, 3)) return nullptr;
  if (!is_floats(args[0])) return not_taken();
  PyArrayObject* x = as_array(args[0]);
  int axis = PyArray_NDIM(x) - 1;
  if (n > 1 && !read_axis(args[1], x, &axis)) return not_taken();
  bool failed;
  PyArrayObject* y = output_like(x, n > 2 ? args[2] : nullptr, &failed);
  if (!y) return failed ? nullptr : not_taken();
  return finish(y, [&] {
    WithoutGil release(PyArray_SIZE(x));
    with_type(x, [&]<class T>() { sparsemax<T>(input<T>(x, axis), output<T>(y, axis)); });
  });
}

}  // namespace softgrad
