#pragma once

#include <nanobind/nanobind.h>

namespace softgrad {

// Adds the class LinearRows: see linear.cpp.
void add_linear(nanobind::module_& m);

}  // namespace softgrad
