// Assembles softgrad._native. The functions on arrays are in functions.cpp.
#define SOFTGRAD_IMPORTS_NUMPY
#include "numpy_api.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdlib>

#include "activations.hpp"
#include "functions.hpp"
#include "linear.hpp"
#include "losses.hpp"
#include "optimizers.hpp"
#include "recycle.hpp"
#include "softgrad/dispatch.hpp"
#include "softgrad/parallel.hpp"

namespace nb = nanobind;

namespace {

std::string choices() {
  std::string all;
  for (const std::string& name : softgrad::available_instruction_sets())
    all += (all.empty() ? "" : ", ") + name;
  return all;
}

void choose(const std::string& name, const char* source) {
  if (!softgrad::set_instruction_set(name))
    throw nb::import_error(
        (std::string(source) + " is '" + name +
         "', which this build or processor does not have; choose one of: " + choices())
            .c_str());
}

}  // namespace

NB_MODULE(_native, m) {
  if (_import_array() < 0) throw nb::python_error();
  if (const char* wanted = std::getenv("SOFTGRAD_INSTRUCTION_SET"); wanted && *wanted)
    choose(wanted, "SOFTGRAD_INSTRUCTION_SET");
  for (PyMethodDef* functions : {softgrad::array_functions, softgrad::loss_functions})
    if (PyModule_AddFunctions(m.ptr(), functions) < 0) throw nb::python_error();

  nb::list names;
  for (const char* name : softgrad::activation_names) names.append(name);
  m.attr("activations") = nb::tuple(names);  // what `activation` is told by its position
  softgrad::add_linear(m);
  softgrad::add_optimizers(m);

  m.attr("openmp") = softgrad::has_openmp();
  m.def("set_num_threads", &softgrad::set_num_threads);
  m.def("set_own_threads", &softgrad::set_own_threads);
  m.def("get_num_threads", &softgrad::get_num_threads);
  m.def("instruction_set", [] { return std::string(softgrad::active_kernels().name); });
  m.def("available_instruction_sets", &softgrad::available_instruction_sets);
  m.def("set_instruction_set", [](const std::string& name) {
    if (!softgrad::set_instruction_set(name))
      throw nb::value_error(
          ("no instruction set '" + name + "' here; choose one of: " + choices()).c_str());
  });
  m.def("recycle_limit", &softgrad::recycle_limit);
  m.def("set_recycle_limit", &softgrad::set_recycle_limit);
}
