// The functions of rows, and the list of all functions on arrays. See arrays.hpp.
#include "functions.hpp"

#include <cmath>

#include "activations.hpp"
#include "arrays.hpp"
#include "softgrad/cross_entropy_batch.hpp"

namespace softgrad {
namespace {

PyObject* normalize_call(Output what, const char* name, PyObject* const* args, Py_ssize_t n) {
  if (wrong_count(name, n, 1, 4)) return nullptr;
  if (!is_floats(args[0])) return not_taken();
  PyArrayObject* x = as_array(args[0]);
  int axis = PyArray_NDIM(x) - 1;
  double temperature = 1.0;
  if (n > 1 && !read_axis(args[1], x, &axis)) return not_taken();
  if (n > 2 && !read_temperature(args[2], &temperature)) return not_taken();
  bool failed;
  PyArrayObject* y = output_like(x, n > 3 ? args[3] : nullptr, &failed);
  if (!y) return failed ? nullptr : not_taken();
  return finish(y, [&] {
    WithoutGil release(PyArray_SIZE(x));
    with_type(x, [&]<class T>() {
      normalize<T>(what, input<T>(x, axis), output<T>(y, axis), temperature);
    });
  });
}
PyObject* py_softmax(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return normalize_call(Output::probability, "softmax", args, n);
}
PyObject* py_log_softmax(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return normalize_call(Output::log_probability, "log_softmax", args, n);
}

PyObject* py_logsumexp(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (wrong_count("logsumexp", n, 1, 3)) return nullptr;
  if (!is_floats(args[0])) return not_taken();
  PyArrayObject* x = as_array(args[0]);
  int axis = PyArray_NDIM(x) - 1;
  if (n > 1 && !read_axis(args[1], x, &axis)) return not_taken();
  PyArrayObject* y;
  const bool given = n > 2 && args[2] != Py_None;
  if (given) {
    if (!PyArray_CheckExact(args[2])) return not_taken();
    y = as_array(args[2]);
    if (PyArray_TYPE(y) != PyArray_TYPE(x) || !PyArray_ISBEHAVED(y) ||
        !PyArray_IS_C_CONTIGUOUS(y) || !is_reduced_shape(x, axis, y) || !compatible(y, x))
      return not_taken();
    Py_INCREF(y);
  } else {
    y = reduced_output(x, axis);
    if (!y) return nullptr;
  }
  PyObject* result = finish(y, [&] {
    WithoutGil release(PyArray_SIZE(x));
    with_type(
        x, [&]<class T>() { logsumexp<T>(input<T>(x, axis), static_cast<T*>(PyArray_DATA(y))); });
  });
  return result && !given ? PyArray_Return(as_array(result)) : result;
}

PyObject* product_call(Product kind, const char* name, PyObject* const* args, Py_ssize_t n) {
  if (wrong_count(name, n, 2, 5)) return nullptr;
  if (!is_floats(args[0]) || !is_floats(args[1])) return not_taken();
  PyArrayObject *p = as_array(args[0]), *g = as_array(args[1]);
  if (PyArray_TYPE(p) != PyArray_TYPE(g) || !same_shape(p, g)) return not_taken();
  int axis = PyArray_NDIM(p) - 1;
  double scale = 1.0;
  if (n > 2 && !read_axis(args[2], p, &axis)) return not_taken();
  if (n > 3 && !read_double(args[3], &scale)) return not_taken();
  bool failed;
  PyArrayObject* y = output_like(p, n > 4 ? args[4] : nullptr, &failed);
  if (!y) return failed ? nullptr : not_taken();
  if (!compatible(y, g)) {
    Py_DECREF(y);
    return not_taken();
  }
  return finish(y, [&] {
    WithoutGil release(PyArray_SIZE(p));
    with_type(p, [&]<class T>() {
      product<T>(kind, input<T>(p, axis), input<T>(g, axis), output<T>(y, axis), scale);
    });
  });
}
PyObject* py_softmax_vjp(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return product_call(Product::softmax_vjp, "softmax_vjp", args, n);
}
PyObject* py_center(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return product_call(Product::center, "center", args, n);
}
PyObject* py_log_softmax_vjp(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return product_call(Product::log_softmax_vjp, "log_softmax_vjp", args, n);
}

// softmax_product(x, g, axis, temperature, out)
PyObject* py_softmax_product(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (wrong_count("softmax_product", n, 5, 5)) return nullptr;
  if (!is_floats(args[0]) || !is_floats(args[1])) return not_taken();
  PyArrayObject *x = as_array(args[0]), *g = as_array(args[1]);
  if (PyArray_TYPE(x) != PyArray_TYPE(g) || !same_shape(x, g)) return not_taken();
  int axis;
  double temperature;
  if (!read_axis(args[2], x, &axis) || !read_temperature(args[3], &temperature)) return not_taken();
  bool failed;
  PyArrayObject* y = output_like(x, args[4], &failed);
  if (!y) return failed ? nullptr : not_taken();
  if (!compatible(y, g)) {
    Py_DECREF(y);
    return not_taken();
  }
  return finish(y, [&] {
    WithoutGil release(PyArray_SIZE(x));
    with_type(x, [&]<class T>() {
      product_of_logits<T>(input<T>(x, axis), input<T>(g, axis), output<T>(y, axis), temperature);
    });
  });
}

// log_softmax_product(x, g, axis, out)
PyObject* py_log_softmax_product(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (wrong_count("log_softmax_product", n, 4, 4)) return nullptr;
  if (!is_floats(args[0]) || !is_floats(args[1])) return not_taken();
  PyArrayObject *x = as_array(args[0]), *g = as_array(args[1]);
  if (PyArray_TYPE(x) != PyArray_TYPE(g) || !same_shape(x, g)) return not_taken();
  int axis;
  if (!read_axis(args[2], x, &axis) || !has_log_product(PyArray_DIM(x, axis))) return not_taken();
  bool failed;
  PyArrayObject* y = output_like(x, args[3], &failed);
  if (!y) return failed ? nullptr : not_taken();
  if (!compatible(y, g)) {
    Py_DECREF(y);
    return not_taken();
  }
  return finish(y, [&] {
    WithoutGil release(PyArray_SIZE(x));
    with_type(x, [&]<class T>() {
      log_product_of_logits<T>(input<T>(x, axis), input<T>(g, axis), output<T>(y, axis));
    });
  });
}

PyObject* py_dot(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (wrong_count("dot", n, 2, 3)) return nullptr;
  if (!is_floats(args[0]) || !is_floats(args[1])) return not_taken();
  PyArrayObject *p = as_array(args[0]), *g = as_array(args[1]);
  if (PyArray_TYPE(p) != PyArray_TYPE(g) || !same_shape(p, g)) return not_taken();
  int axis = PyArray_NDIM(p) - 1;
  if (n > 2 && !read_axis(args[2], p, &axis)) return not_taken();
  PyArrayObject* y = reduced_output(p, axis);
  if (!y) return nullptr;
  PyObject* result = finish(y, [&] {
    WithoutGil release(PyArray_SIZE(p));
    with_type(p, [&]<class T>() {
      dot<T>(input<T>(p, axis), input<T>(g, axis), static_cast<T*>(PyArray_DATA(y)));
    });
  });
  return result ? PyArray_Return(as_array(result)) : nullptr;
}

// cross_entropy(x, target, axis, row_weight, class_weight, label_smoothing, temperature,
//               ignore_index, reduction, mode, grad_scale, out)
PyObject* py_cross_entropy(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (wrong_count("cross_entropy", n, 12, 12)) return nullptr;
  if (!is_floats(args[0]) || !PyArray_CheckExact(args[1])) return not_taken();
  PyArrayObject *x = as_array(args[0]), *target = as_array(args[1]);
  int axis;
  if (!read_axis(args[2], x, &axis) || !PyArray_ISBEHAVED_RO(target)) return not_taken();
  const int type = PyArray_TYPE(target);
  const bool indexed =
      PyArray_ISINTEGER(target) && PyArray_ITEMSIZE(target) == 8 && PyArray_ISSIGNED(target);
  if (indexed) {
    if (!is_reduced_shape(x, axis, target) || !PyArray_IS_C_CONTIGUOUS(target)) return not_taken();
  } else if (type != PyArray_TYPE(x) || !same_shape(x, target)) {
    return not_taken();
  }
  const npy_intp classes = PyArray_DIM(x, axis);
  auto doubles = [](PyObject* o, auto&& fits) -> const double* {
    if (!PyArray_CheckExact(o)) return nullptr;
    PyArrayObject* a = as_array(o);
    if (PyArray_TYPE(a) != NPY_FLOAT64 || !PyArray_ISBEHAVED_RO(a) || !PyArray_IS_C_CONTIGUOUS(a) ||
        !fits(a))
      return nullptr;
    return static_cast<const double*>(PyArray_DATA(a));
  };
  const double *row_weight = nullptr, *class_weight = nullptr;
  if (args[3] != Py_None) {
    row_weight = doubles(args[3], [&](PyArrayObject* a) { return is_reduced_shape(x, axis, a); });
    if (!row_weight) return not_taken();
  }
  if (args[4] != Py_None) {
    class_weight = doubles(args[4], [&](PyArrayObject* a) {
      return PyArray_NDIM(a) == 1 && PyArray_DIM(a, 0) == classes;
    });
    if (!class_weight) return not_taken();
  }
  double smoothing, temperature, grad_scale;
  if (!read_double(args[5], &smoothing) || !(smoothing >= 0 && smoothing <= 1) ||
      !read_temperature(args[6], &temperature) || !read_double(args[10], &grad_scale))
    return not_taken();
  std::int64_t ignored = 0;
  const bool ignores = args[7] != Py_None;
  if (ignores) {
    if (!PyLong_CheckExact(args[7])) return not_taken();
    int overflow;
    ignored = PyLong_AsLongLongAndOverflow(args[7], &overflow);
    if (overflow) return not_taken();
  }
  if (!PyLong_CheckExact(args[8]) || !PyLong_CheckExact(args[9])) return not_taken();
  const long reduction = PyLong_AsLong(args[8]), mode = PyLong_AsLong(args[9]);
  if (reduction < 0 || reduction > 2 || mode < 1 || mode > 3) {
    PyErr_Clear();
    return not_taken();
  }
  // Without classes there is nothing that a row could be a member of.
  if (classes == 0) return not_taken();

  PyArrayObject *grad = nullptr, *losses = nullptr;
  bool failed;
  if (mode & 2) {
    grad = output_like(x, args[11], &failed);
    if (!grad) return failed ? nullptr : not_taken();
    if (!compatible(grad, target)) {
      Py_DECREF(grad);
      return not_taken();
    }
  }
  const bool scalar = reduction != 0;
  if ((mode & 1) && !scalar) {
    losses = reduced_output(x, axis);
    if (!losses) {
      Py_XDECREF(grad);
      return nullptr;
    }
  }
  double total = 0;
  bool acceptable = false, no_memory = false;
  try {
    WithoutGil release(PyArray_SIZE(x));
    with_type(x, [&]<class T>() {
      CrossEntropy<T> call;
      call.x = input<T>(x, axis);
      Array<const T> probabilities;
      Array<T> gradient;
      if (indexed) {
        call.index = static_cast<const std::int64_t*>(PyArray_DATA(target));
      } else {
        probabilities = input<T>(target, axis);
        call.target = &probabilities;
      }
      call.row_weight = row_weight, call.class_weight = class_weight;
      call.label_smoothing = smoothing, call.temperature = temperature;
      call.grad_scale = grad_scale;
      call.ignores = ignores, call.ignored = ignored;
      call.reduction = static_cast<Reduction>(reduction);
      if (losses) call.losses = static_cast<T*>(PyArray_DATA(losses));
      if ((mode & 1) && scalar) call.total = &total;
      if (grad) {
        gradient = output<T>(grad, axis);
        call.grad = &gradient;
      }
      acceptable = call.run();
    });
  } catch (const std::bad_alloc&) {
    no_memory = true;
  }
  if (no_memory || !acceptable) {
    Py_XDECREF(grad);
    Py_XDECREF(losses);
    return no_memory ? PyErr_NoMemory() : not_taken();
  }
  PyObject* loss = nullptr;
  if (mode & 1) {
    loss = scalar ? scalar_of(x, total) : PyArray_Return(losses);
    if (!loss) {
      Py_XDECREF(grad);
      return nullptr;
    }
  }
  if (mode == 1) return loss;
  if (mode == 2) return reinterpret_cast<PyObject*>(grad);
  PyObject* both = PyTuple_New(2);
  if (!both) {
    Py_DECREF(loss);
    Py_DECREF(grad);
    return nullptr;
  }
  PyTuple_SET_ITEM(both, 0, loss);
  PyTuple_SET_ITEM(both, 1, reinterpret_cast<PyObject*>(grad));
  return both;
}

}  // namespace

PyMethodDef array_functions[] = {
    fast("softmax", py_softmax),
    fast("log_softmax", py_log_softmax),
    fast("logsumexp", py_logsumexp),
    fast("softmax_vjp", py_softmax_vjp),
    fast("center", py_center),
    fast("log_softmax_vjp", py_log_softmax_vjp),
    fast("softmax_product", py_softmax_product),
    fast("log_softmax_product", py_log_softmax_product),
    fast("dot", py_dot),
    fast("activation", py_activation),
    fast("sparsemax", py_sparsemax),
    fast("cross_entropy", py_cross_entropy),
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace softgrad
