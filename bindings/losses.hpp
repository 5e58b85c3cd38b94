#pragma once

#include "numpy_api.hpp"

namespace softgrad {

// The losses of entries and of rows, as CPython's fast calls: see losses.cpp.
extern PyMethodDef loss_functions[];

}  // namespace softgrad
