#pragma once

#include "numpy_api.hpp"

namespace softgrad {

// The functions on arrays, as CPython's fast calls: see functions.cpp.
extern PyMethodDef array_functions[];

}  // namespace softgrad
