// The border between NumPy arrays and the kernels.
//
// Strict: exact ndarrays of native, aligned float32 or float64. Whatever a function does not take
// it answers with NotImplemented, and Python's general path converts or explains. Nothing is
// converted here. The calls use CPython's fast-call convention and NumPy's C API: a call costs 0.1
// us.
#pragma once

#include <cstddef>
#include <new>

#include "numpy_api.hpp"
#include "recycle.hpp"
#include "softgrad/batch.hpp"

namespace softgrad {

using std::ptrdiff_t;

// Releases the GIL for work that is worth it.
class WithoutGil {
 public:
  explicit WithoutGil(npy_intp elements) {
    if (elements >= 4096) state_ = PyEval_SaveThread();
  }
  ~WithoutGil() {
    if (state_) PyEval_RestoreThread(state_);
  }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* state_ = nullptr;
};

inline PyObject* not_taken() {
  Py_INCREF(Py_NotImplemented);
  return Py_NotImplemented;
}

inline bool is_floats(PyObject* o) {
  if (!PyArray_CheckExact(o)) return false;
  PyArrayObject* a = reinterpret_cast<PyArrayObject*>(o);
  const int type = PyArray_TYPE(a);
  return (type == NPY_FLOAT32 || type == NPY_FLOAT64) && PyArray_ISBEHAVED_RO(a) &&
         PyArray_NDIM(a) > 0;
}
inline PyArrayObject* as_array(PyObject* o) { return reinterpret_cast<PyArrayObject*>(o); }

inline bool same_shape(PyArrayObject* a, PyArrayObject* b) {
  return PyArray_NDIM(a) == PyArray_NDIM(b) &&
         PyArray_CompareLists(PyArray_DIMS(a), PyArray_DIMS(b), PyArray_NDIM(a));
}
// `b` has the shape of `a` without `axis`.
inline bool is_reduced_shape(PyArrayObject* a, int axis, PyArrayObject* b) {
  const int n = PyArray_NDIM(a);
  if (PyArray_NDIM(b) != n - 1) return false;
  for (int d = 0, k = 0; d < n; d++)
    if (d != axis && PyArray_DIM(a, d) != PyArray_DIM(b, k++)) return false;
  return true;
}

inline bool read_axis(PyObject* o, PyArrayObject* a, int* axis) {
  if (!PyLong_CheckExact(o)) return false;
  int overflow;
  const long v = PyLong_AsLongAndOverflow(o, &overflow);
  const int n = PyArray_NDIM(a);
  if (overflow || v < -n || v >= n) return false;
  *axis = static_cast<int>(v < 0 ? v + n : v);
  return true;
}
inline bool read_double(PyObject* o, double* value) {
  if (PyFloat_CheckExact(o)) {
    *value = PyFloat_AS_DOUBLE(o);
    return true;
  }
  if (!PyLong_CheckExact(o)) return false;
  *value = PyLong_AsDouble(o);
  if (*value == -1.0 && PyErr_Occurred()) {
    PyErr_Clear();
    return false;
  }
  return true;
}
inline bool read_temperature(PyObject* o, double* value) {
  return read_double(o, value) && *value >= 1e-150 && *value <= 1e150;
}

// Whether two arrays may be read and written in the same call: apart, or the very same elements.
inline bool compatible(PyArrayObject* out, PyArrayObject* in) {
  if (PyArray_SIZE(out) == 0) return true;
  auto extent = [](PyArrayObject* a, char** low, char** high) {
    *low = *high = PyArray_BYTES(a);
    for (int d = 0; d < PyArray_NDIM(a); d++) {
      const npy_intp span = (PyArray_DIM(a, d) - 1) * PyArray_STRIDE(a, d);
      (span < 0 ? *low : *high) += span;
    }
    *high += PyArray_ITEMSIZE(a);
  };
  char *a, *b, *c, *d;
  extent(out, &a, &b);
  extent(in, &c, &d);
  if (b <= c || d <= a) return true;
  return PyArray_BYTES(out) == PyArray_BYTES(in) && PyArray_TYPE(out) == PyArray_TYPE(in) &&
         same_shape(out, in) &&
         PyArray_CompareLists(PyArray_STRIDES(out), PyArray_STRIDES(in), PyArray_NDIM(in));
}

// No two elements of an output share memory (a broadcast view would).
inline bool elements_apart(PyArrayObject* a) {
  for (int d = 0; d < PyArray_NDIM(a); d++)
    if (PyArray_DIM(a, d) > 1 && PyArray_STRIDE(a, d) == 0) return false;
  return true;
}

// The output of the shape and type of `like`: `given`, or a new one. Null: not acceptable
// (`*failed` false) or an exception is set.
inline PyArrayObject* output_like(PyArrayObject* like, PyObject* given, bool* failed) {
  *failed = false;
  if (given == Py_None || !given) {
    PyArrayObject* a = new_array(PyArray_NDIM(like), PyArray_DIMS(like), PyArray_TYPE(like));
    *failed = a == nullptr;
    return a;
  }
  if (!is_floats(given)) return nullptr;
  PyArrayObject* a = as_array(given);
  if (PyArray_TYPE(a) != PyArray_TYPE(like) || !same_shape(a, like) || !PyArray_ISWRITEABLE(a) ||
      !compatible(a, like) || !elements_apart(a))
    return nullptr;
  Py_INCREF(a);
  return a;
}
// A new array of the shape of `a` without `axis`.
inline PyArrayObject* reduced_output(PyArrayObject* a, int axis) {
  npy_intp dims[NPY_MAXDIMS];
  int k = 0;
  for (int d = 0; d < PyArray_NDIM(a); d++)
    if (d != axis) dims[k++] = PyArray_DIM(a, d);
  return new_array(k, dims, PyArray_TYPE(a));
}

template <class T>
Layout layout_of(PyArrayObject* a, int axis) {
  const int n = PyArray_NDIM(a);
  ptrdiff_t strides[NPY_MAXDIMS], shape[NPY_MAXDIMS];
  for (int d = 0; d < n; d++) {
    shape[d] = PyArray_DIM(a, d);
    strides[d] = PyArray_STRIDE(a, d) / ptrdiff_t(sizeof(T));
  }
  return Layout::of(n, shape, strides, axis);
}
template <class T>
Array<const T> input(PyArrayObject* a, int axis) {
  return {static_cast<const T*>(PyArray_DATA(a)), layout_of<T>(a, axis)};
}
template <class T>
Array<T> output(PyArrayObject* a, int axis) {
  return {static_cast<T*>(PyArray_DATA(a)), layout_of<T>(a, axis)};
}

// Calls body.template operator()<float or double>() for the array's type.
template <class F>
void with_type(PyArrayObject* a, F body) {
  if (PyArray_TYPE(a) == NPY_FLOAT32)
    body.template operator()<float>();
  else
    body.template operator()<double>();
}
template <class F>
PyObject* finish(PyArrayObject* result, F compute) {
  try {
    compute();
  } catch (const std::bad_alloc&) {
    Py_DECREF(result);
    return PyErr_NoMemory();
  }
  return reinterpret_cast<PyObject*>(result);
}

inline bool wrong_count(const char* name, Py_ssize_t given, Py_ssize_t least, Py_ssize_t most) {
  if (given >= least && given <= most) return false;
  PyErr_Format(PyExc_TypeError, "%s takes %zd to %zd positional arguments, got %zd", name, least,
               most, given);
  return true;
}

inline PyObject* scalar_of(PyArrayObject* like, double value) {
  if (PyArray_TYPE(like) == NPY_FLOAT32) {
    float v = static_cast<float>(value);
    return PyArray_Scalar(&v, PyArray_DESCR(like), nullptr);
  }
  return PyArray_Scalar(&value, PyArray_DESCR(like), nullptr);
}

inline PyMethodDef fast(const char* name, PyObject* (*f)(PyObject*, PyObject* const*, Py_ssize_t)) {
  return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f)), METH_FASTCALL,
          nullptr};
}

}  // namespace softgrad
