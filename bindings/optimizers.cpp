// One step of an optimiser, in place, over contiguous vectors of one type.
//
// A number depends on the numbers at its own place only, so that threads may share a vector out in
// any way. Types, sizes and overlaps are checked here; the GIL is released meanwhile.
#include "optimizers.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include "numpy_api.hpp"
#include "softgrad/dispatch.hpp"
#include "softgrad/parallel.hpp"

namespace nb = nanobind;

namespace softgrad {
namespace {

constexpr long piece = 1 << 14;  // numbers of each vector

// Contiguous vectors of the same type and length: the second is the gradient, which is written only
// where it makes room for the weights as they were; the others always are.
class Vectors {
 public:
  Vectors(const std::vector<nb::handle>& objects, bool keep) {
    for (const nb::handle& o : objects) {
      if (!PyArray_Check(o.ptr())) throw nb::type_error("a vector is not an array");
      PyArrayObject* a = reinterpret_cast<PyArrayObject*>(o.ptr());
      const bool written = keep || arrays_.size() != 1;
      if (PyArray_NDIM(a) != 1 || !PyArray_ISBEHAVED_RO(a) || !PyArray_IS_C_CONTIGUOUS(a) ||
          (PyArray_TYPE(a) != NPY_FLOAT && PyArray_TYPE(a) != NPY_DOUBLE))
        throw nb::type_error("a vector is not contiguous float32 or float64");
      if (written && !PyArray_ISWRITEABLE(a)) throw nb::value_error("a vector is read-only");
      if (!arrays_.empty() && (PyArray_TYPE(a) != PyArray_TYPE(arrays_[0]) ||
                               PyArray_DIM(a, 0) != PyArray_DIM(arrays_[0], 0)))
        throw nb::value_error("the vectors differ in type or length");
      for (PyArrayObject* other : arrays_)
        if (overlap(a, other)) throw nb::value_error("two vectors share memory");
      arrays_.push_back(a);
    }
  }
  bool single() const { return PyArray_TYPE(arrays_[0]) == NPY_FLOAT; }
  long size() const { return static_cast<long>(PyArray_DIM(arrays_[0], 0)); }
  template <class T>
  T* data(std::size_t i) const {
    return static_cast<T*>(PyArray_DATA(arrays_[i]));
  }

 private:
  static bool overlap(PyArrayObject* a, PyArrayObject* b) {
    const auto first = reinterpret_cast<std::uintptr_t>(PyArray_DATA(a));
    const auto second = reinterpret_cast<std::uintptr_t>(PyArray_DATA(b));
    const auto bytes = [](PyArrayObject* x) {
      return static_cast<std::uintptr_t>(PyArray_NBYTES(x));
    };
    return first < second + bytes(b) && second < first + bytes(a);
  }
  std::vector<PyArrayObject*> arrays_;
};

// Calls body(start, length) for every piece, on the threads.
template <class Body>
void in_pieces(long n, int vectors, const Body& body) {
  nb::gil_scoped_release release;
  const long pieces = (n + piece - 1) / piece;
  parallel_for(pieces, static_cast<double>(n) * vectors, [&](long i) {
    const long start = i * piece, rest = n - start;
    body(start, rest < piece ? rest : piece);
  });
}

template <class T>
void run_sgd(const OptimizerKernels<T>& k, const Vectors& v, bool velocity, const SgdStep& step) {
  T *w = v.data<T>(0), *g = v.data<T>(1), *b = velocity ? v.data<T>(2) : nullptr;
  in_pieces(v.size(), velocity ? 3 : 2, [&](long start, long n) {
    k.sgd(w + start, g + start, b ? b + start : nullptr, n, step);
  });
}
template <class T>
void run_adam(const OptimizerKernels<T>& k, const Vectors& v, const AdamStep& step) {
  T *w = v.data<T>(0), *g = v.data<T>(1), *m = v.data<T>(2), *s = v.data<T>(3);
  in_pieces(v.size(), 4, [&](long start, long n) {
    k.adam(w + start, g + start, m + start, s + start, n, step);
  });
}

void sgd_step(nb::object w, nb::object g, nb::object velocity, double size, double momentum,
              bool nesterov, double decay, double scale, bool keep) {
  std::vector<nb::handle> given = {w, g};
  if (!velocity.is_none()) given.push_back(velocity);
  const Vectors vectors(given, keep);
  const SgdStep step = {size, momentum, decay, scale, nesterov, keep};
  const OptimizerTable& table = active_kernels().optimizers();
  if (vectors.single())
    run_sgd(table.f32, vectors, given.size() == 3, step);
  else
    run_sgd(table.f64, vectors, given.size() == 3, step);
}

void adam_step(nb::object w, nb::object g, nb::object m, nb::object v, double size,
               double inverse_root, double beta1, double beta2, double epsilon, double decay,
               double shrink, double scale, bool keep) {
  const Vectors vectors({w, g, m, v}, keep);
  const AdamStep step = {size, inverse_root, beta1, beta2, epsilon, decay, shrink, scale, keep};
  const OptimizerTable& table = active_kernels().optimizers();
  if (vectors.single())
    run_adam(table.f32, vectors, step);
  else
    run_adam(table.f64, vectors, step);
}

}  // namespace

void add_optimizers(nb::module_& m) {
  m.def("sgd_step", &sgd_step, nb::arg("w"), nb::arg("g"), nb::arg("velocity").none(),
        nb::arg("size"), nb::arg("momentum"), nb::arg("nesterov"), nb::arg("decay"),
        nb::arg("scale"), nb::arg("keep") = false);
  m.def("adam_step", &adam_step, nb::arg("w"), nb::arg("g"), nb::arg("m"), nb::arg("v"),
        nb::arg("size"), nb::arg("inverse_root"), nb::arg("beta1"), nb::arg("beta2"),
        nb::arg("epsilon"), nb::arg("decay"), nb::arg("shrink"), nb::arg("scale"),
        nb::arg("keep") = false);
}

}  // namespace softgrad
