#pragma once

#include <nanobind/nanobind.h>

namespace softgrad {

// Adds sgd_step and adam_step: see optimizers.cpp.
void add_optimizers(nanobind::module_& m);

}  // namespace softgrad
