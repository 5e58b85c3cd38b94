// The border between NumPy arrays and the kernels of losses: strict, as functions.cpp is.
#include "losses.hpp"

#include <cmath>
#include <limits>

#include "arrays.hpp"
#include "softgrad/losses_batch.hpp"

namespace softgrad {
namespace {

bool read_number(PyObject* o, long least, long most, long* value) {
  if (!PyLong_CheckExact(o)) return false;
  int overflow;
  *value = PyLong_AsLongAndOverflow(o, &overflow);
  return !overflow && *value >= least && *value <= most;
}

// Doubles of the shape that `fits` accepts, or None.
template <class F>
bool read_doubles(PyObject* o, F fits, const double** data) {
  *data = nullptr;
  if (o == Py_None) return true;
  if (!PyArray_CheckExact(o)) return false;
  PyArrayObject* a = as_array(o);
  if (PyArray_TYPE(a) != NPY_FLOAT64 || !PyArray_ISBEHAVED_RO(a) || !PyArray_IS_C_CONTIGUOUS(a) ||
      !fits(a))
    return false;
  *data = static_cast<const double*>(PyArray_DATA(a));
  return true;
}

bool read_index(PyObject* o, PyArrayObject* x, int axis, const std::int64_t** index) {
  PyArrayObject* a = as_array(o);
  if (!PyArray_ISINTEGER(a) || PyArray_ITEMSIZE(a) != 8 || !PyArray_ISSIGNED(a) ||
      !PyArray_ISBEHAVED_RO(a) || !PyArray_IS_C_CONTIGUOUS(a) || !is_reduced_shape(x, axis, a))
    return false;
  *index = static_cast<const std::int64_t*>(PyArray_DATA(a));
  return true;
}

// What every loss of rows is asked for, and what it returns.
struct Call {
  PyArrayObject* x;
  int axis;
  long loss = 0;  // 0: not wanted; 1: the total over the divisor; 2: one per row
  const double* row_weight = nullptr;
  double divisor = 1, grad_scale = 1;
  PyArrayObject *losses = nullptr, *derivative = nullptr;
  double total = 0;
  bool failed = false;

  // loss, row_weight, divisor, grad_scale and axis; false: not taken.
  bool read(PyObject* array, PyObject* which_axis, PyObject* wanted, PyObject* weight, PyObject* by,
            PyObject* scale) {
    if (!is_floats(array)) return false;
    x = as_array(array);
    return read_axis(which_axis, x, &axis) && read_number(wanted, 0, 2, &loss) &&
           read_doubles(
               weight, [&](PyArrayObject* a) { return is_reduced_shape(x, axis, a); },
               &row_weight) &&
           read_double(by, &divisor) && read_double(scale, &grad_scale);
  }
  // Makes the outputs; false: not taken, or failed.
  bool make(bool derived, PyObject* out, PyArrayObject* other) {
    if (derived) {
      derivative = output_like(x, out, &failed);
      if (!derivative || !compatible(derivative, other)) return false;
    }
    if (loss == 2) {
      losses = reduced_output(x, axis);
      failed = losses == nullptr;
    }
    return !failed;
  }
  PyObject* refuse() {
    Py_CLEAR(derivative);
    Py_CLEAR(losses);
    return failed ? nullptr : not_taken();
  }
  template <class T, class L>
  void into(L& call, Array<T>& out) {
    call.x = input<T>(x, axis);
    call.row_weight = row_weight, call.divisor = divisor, call.grad_scale = grad_scale;
    if (loss == 1) call.total = &total;
    if (losses) call.losses = static_cast<T*>(PyArray_DATA(losses));
    if (derivative) {
      out = output<T>(derivative, axis);
      call.derivative = &out;
    }
  }
  // body.operator()<T>() without the GIL; false, with an exception set: no memory.
  template <class F>
  bool compute(F body) {
    try {
      WithoutGil release(PyArray_SIZE(x));
      with_type(x, body);
    } catch (const std::bad_alloc&) {
      failed = true;
    }
    if (failed) PyErr_NoMemory();
    return !failed;
  }
  PyObject* result() {
    PyObject* gradient = reinterpret_cast<PyObject*>(derivative);
    if (!loss) return gradient;
    PyObject* value = loss == 1 ? scalar_of(x, total) : PyArray_Return(losses);
    if (!value || !gradient) {
      if (!value) Py_XDECREF(gradient);
      return value;
    }
    PyObject* both = PyTuple_New(2);
    if (!both) {
      Py_DECREF(value);
      Py_DECREF(gradient);
      return nullptr;
    }
    PyTuple_SET_ITEM(both, 0, value);
    PyTuple_SET_ITEM(both, 1, gradient);
    return both;
  }
};

// element_loss(kind, derivative, loss, x, target, axis, mask, row_weight, class_weight, positive,
//              keep, spread, negative, parameter, divisor, grad_scale, out)
PyObject* py_element_loss(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (wrong_count("element_loss", n, 17, 17)) return nullptr;
  long kind, wanted;
  Call call;
  if (!read_number(args[0], 0, loss_kinds - 1, &kind) || !read_number(args[1], 0, 3, &wanted) ||
      !call.read(args[3], args[5], args[2], args[7], args[14], args[15]) ||
      !PyArray_CheckExact(args[4]) || (!wanted && !call.loss) || (wanted > 1 && call.loss))
    return not_taken();
  PyArrayObject *x = call.x, *target = as_array(args[4]);
  const std::int64_t* index = nullptr;
  if (PyArray_ISINTEGER(target)) {
    if (!read_index(args[4], x, call.axis, &index)) return not_taken();
  } else if (PyArray_TYPE(target) != PyArray_TYPE(x) || !PyArray_ISBEHAVED_RO(target) ||
             !same_shape(x, target)) {
    return not_taken();
  }
  PyArrayObject* mask = nullptr;
  if (args[6] != Py_None) {
    if (!PyArray_CheckExact(args[6])) return not_taken();
    mask = as_array(args[6]);
    if (PyArray_TYPE(mask) != NPY_BOOL || !same_shape(x, mask)) return not_taken();
  }
  const npy_intp classes = PyArray_DIM(x, call.axis);
  auto per_class = [&](PyArrayObject* a) {
    return PyArray_NDIM(a) == 1 && PyArray_DIM(a, 0) == classes;
  };
  const double *class_weight, *positive = nullptr;
  LossParameters how;
  double parameter;
  if (!read_doubles(args[8], per_class, &class_weight) ||
      (!read_double(args[9], &how.positive) && !read_doubles(args[9], per_class, &positive)) ||
      !read_double(args[10], &how.keep) || !read_double(args[11], &how.spread) ||
      !read_double(args[12], &how.negative) || !read_double(args[13], &parameter))
    return not_taken();
  how.gamma = how.delta = parameter;
  if (!call.make(wanted != 0, args[16], target)) return call.refuse();
  bool acceptable = true;
  if (!call.compute([&]<class T>() {
        ElementLoss<T> loss;
        Array<T> out;
        Array<const T> wants;
        Array<const std::uint8_t> taking_part;
        call.into<T>(loss, out);
        loss.kind = static_cast<LossKind>(kind), loss.how = how;
        loss.wanted = static_cast<Derivative>(wanted);
        loss.index = index, loss.class_weight = class_weight, loss.positive = positive;
        if (!index) {
          wants = input<T>(target, call.axis);
          loss.target = &wants;
        }
        if (mask) {
          taking_part = input<std::uint8_t>(mask, call.axis);
          loss.mask = &taking_part;
        }
        acceptable = loss.run();
      }))
    return call.refuse();
  return acceptable ? call.result() : call.refuse();
}

// The losses of class indices that are no sum over entries.
// focal_loss, hinge_loss(derivative, loss, x, index, axis, row_weight, parameter, divisor,
//                        grad_scale, out)
template <template <class> class Loss>
PyObject* index_loss(const char* name, PyObject* const* args, Py_ssize_t n) {
  if (wrong_count(name, n, 10, 10)) return nullptr;
  long wanted;
  Call call;
  const std::int64_t* index = nullptr;
  double parameter;
  if (!read_number(args[0], 0, 1, &wanted) ||
      !call.read(args[2], args[4], args[1], args[5], args[7], args[8]) || (!wanted && !call.loss) ||
      !PyArray_CheckExact(args[3]) || !read_index(args[3], call.x, call.axis, &index) ||
      !read_double(args[6], &parameter))
    return not_taken();
  const npy_intp rows = PyArray_SIZE(as_array(args[3]));
  const npy_intp classes = PyArray_DIM(call.x, call.axis);
  for (npy_intp r = 0; r < rows; r++)
    if ((index[r] < 0 || index[r] >= classes) && !(call.row_weight && call.row_weight[r] == 0))
      return not_taken();
  if (!call.make(wanted != 0, args[9], as_array(args[3]))) return call.refuse();
  if (!call.compute([&]<class T>() {
        Loss<T> loss;
        Array<T> out;
        call.into<T>(loss, out);
        loss.index = index;
        if constexpr (requires { loss.gamma; })
          loss.gamma = parameter;
        else
          loss.margin = parameter;
        loss.run();
      }))
    return call.refuse();
  return call.result();
}
PyObject* py_focal_loss(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return index_loss<FocalLoss>("focal_loss", args, n);
}
PyObject* py_hinge_loss(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return index_loss<HingeLoss>("hinge_loss", args, n);
}

// within(x, least, most, nan_passes): whether all numbers of a contiguous array are in least..most.
PyObject* py_within(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (wrong_count("within", n, 4, 4)) return nullptr;
  double least, most;
  if (!is_floats(args[0]) || !read_double(args[1], &least) || !read_double(args[2], &most) ||
      !PyBool_Check(args[3]))
    return not_taken();
  PyArrayObject* x = as_array(args[0]);
  if (!PyArray_IS_C_CONTIGUOUS(x) && !PyArray_IS_F_CONTIGUOUS(x)) return not_taken();
  const bool nan_passes = args[3] == Py_True;
  bool yes = true;
  with_type(x, [&]<class T>() {
    WithoutGil release(PyArray_SIZE(x));
    constexpr double largest = std::numeric_limits<T>::max();
    const T from = static_cast<T>(least < -largest ? -largest : least);
    const T to = static_cast<T>(most > largest ? largest : most);
    yes = loss_kernels_for<T>().within(static_cast<const T*>(PyArray_DATA(x)), PyArray_SIZE(x),
                                       from, to, nan_passes);
  });
  return PyBool_FromLong(yes);
}

}  // namespace

PyMethodDef loss_functions[] = {
    fast("element_loss", py_element_loss), fast("focal_loss", py_focal_loss),
    fast("hinge_loss", py_hinge_loss),     fast("within", py_within),
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace softgrad
