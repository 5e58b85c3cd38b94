#pragma once

#include "numpy_api.hpp"
#include "softgrad/activation_kernels.hpp"

namespace softgrad {

// activation(function, order, parameter, x, g, v, out): f(x), f'(x) or f''(x), times g and v; order
// 3: g f'(x), with f(x) in the place of x.
PyObject* py_activation(PyObject*, PyObject* const* args, Py_ssize_t n);
// sparsemax(x, axis, out)
PyObject* py_sparsemax(PyObject*, PyObject* const* args, Py_ssize_t n);

}  // namespace softgrad
