// Rows of a linear model as the passes of linear_batch.hpp read them.
//
// Everything that could make a pass read outside an array is checked once, when the object is made;
// a pass itself checks only the shapes of the few arrays that it is given. The arrays are kept, not
// copied: targets and the indices of a sparse matrix must stay as they were checked.
//
// Rows that will be read `often` may be kept by columns too, where that takes less memory than it
// saves: see linear_columns.hpp.
//
// A pass releases the GIL and calls nothing of Python meanwhile. Several threads may use one object
// at once: the first one has its workspace, the others allocate their own. The workspace lives as
// long as the object, (features + 1) x padded doubles for each of at most 16 groups of rows.
#include "linear.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>

#include <atomic>
#include <optional>
#include <string>

#include "numpy_api.hpp"
#include "softgrad/linear_batch.hpp"

namespace nb = nanobind;

namespace softgrad {
namespace {

PyArrayObject* array_of(nb::handle o, int type, int dims, const char* name) {
  if (!PyArray_Check(o.ptr()))
    throw nb::type_error((std::string(name) + " is not an array").c_str());
  PyArrayObject* a = reinterpret_cast<PyArrayObject*>(o.ptr());
  if (PyArray_NDIM(a) != dims || !PyArray_ISBEHAVED_RO(a) ||
      (type >= 0 && !PyArray_EquivTypenums(PyArray_TYPE(a), type)))
    throw nb::type_error((std::string(name) + " has the wrong type or number of axes").c_str());
  return a;
}
PyArrayObject* contiguous(nb::handle o, int type, int dims, const char* name) {
  PyArrayObject* a = array_of(o, type, dims, name);
  if (!PyArray_IS_C_CONTIGUOUS(a))
    throw nb::type_error((std::string(name) + " is not C-contiguous").c_str());
  return a;
}
void expect(bool holds, const char* what) {
  if (!holds) throw nb::value_error(what);
}
template <class T>
T* data_of(PyArrayObject* a) {
  return static_cast<T*>(PyArray_DATA(a));
}

Numbers numbers_of(PyArrayObject* a) {
  switch (PyArray_TYPE(a)) {
    case NPY_UINT8:
      return Numbers::u8;
    case NPY_FLOAT32:
      return Numbers::f32;
    case NPY_FLOAT64:
      return Numbers::f64;
  }
  throw nb::type_error("the rows are neither uint8 nor float32 nor float64");
}

template <class I>
void check_csr(const I* start, const I* column, long rows, long features, long stored) {
  expect(start[0] >= 0, "CSR: the first row starts before the stored numbers");
  for (long i = 0; i < rows; i++) expect(start[i] <= start[i + 1], "CSR: indptr decreases");
  expect(start[rows] <= stored, "CSR: indptr points behind the stored numbers");
  bool inside = true;
  for (long j = static_cast<long>(start[0]); j < static_cast<long>(start[rows]); j++)
    inside &= column[j] >= 0 && column[j] < features;
  expect(inside, "CSR: a column index is outside the matrix");
}

class PyLinearRows {
 public:
  PyLinearRows(nb::object values, nb::object row_start, nb::object column, long features,
               nb::object mean, nb::object inverse_scale, nb::object target, nb::object weight,
               long outputs, bool often)
      : kept_{values, row_start, column, mean, inverse_scale, target, weight} {
    expect(outputs >= 1 && features >= 0, "no outputs");
    // so that the size of packed parameters in bytes is a number
    constexpr long most = 1L << 56;
    expect(outputs < most && features < most / (outputs + 16), "too many parameters");
    d_.features = features, d_.outputs = outputs;
    if (row_start.is_none()) {
      PyArrayObject* x = array_of(values, -1, 2, "X");
      d_.numbers = numbers_of(x);
      d_.rows = PyArray_DIM(x, 0);
      expect(PyArray_DIM(x, 1) == features, "X has another number of features");
      const npy_intp item = PyArray_ITEMSIZE(x);
      expect((features <= 1 || PyArray_STRIDE(x, 1) == item) && PyArray_STRIDE(x, 0) % item == 0,
             "the numbers of a row do not lie side by side");
      d_.row_stride = PyArray_STRIDE(x, 0) / item;
      d_.values = PyArray_DATA(x);
    } else {
      PyArrayObject* v = contiguous(values, -1, 1, "data");
      d_.numbers = numbers_of(v);
      expect(d_.numbers != Numbers::u8, "CSR data must be float32 or float64");
      const bool wide =
          PyArray_EquivTypenums(PyArray_TYPE(array_of(row_start, -1, 1, "indptr")), NPY_INT64);
      const int type = wide ? NPY_INT64 : NPY_INT32;
      PyArrayObject* s = contiguous(row_start, type, 1, "indptr");
      PyArrayObject* c = contiguous(column, type, 1, "indices");
      expect(PyArray_DIM(s, 0) >= 1 && PyArray_DIM(c, 0) == PyArray_DIM(v, 0),
             "CSR: data, indices and indptr do not fit");
      d_.rows = PyArray_DIM(s, 0) - 1;
      d_.wide_index = wide;
      d_.row_start = PyArray_DATA(s), d_.column = PyArray_DATA(c), d_.values = PyArray_DATA(v);
      if (wide)
        check_csr(data_of<std::int64_t>(s), data_of<std::int64_t>(c), d_.rows, features,
                  PyArray_DIM(v, 0));
      else
        check_csr(data_of<std::int32_t>(s), data_of<std::int32_t>(c), d_.rows, features,
                  PyArray_DIM(v, 0));
    }
    auto per = [](nb::handle o, long n, const char* name) -> const double* {
      if (o.is_none()) return nullptr;
      PyArrayObject* a = contiguous(o, NPY_FLOAT64, 1, name);
      expect(PyArray_DIM(a, 0) == n, "an array has the wrong length");
      return data_of<double>(a);
    };
    d_.mean = per(mean, features, "mean");
    d_.inverse_scale = per(inverse_scale, features, "inverse_scale");
    expect((d_.mean == nullptr) == (d_.inverse_scale == nullptr), "mean and scale belong together");
    expect(!d_.mean || !d_.sparse(), "sparse rows are not standardized");
    d_.weight = per(weight, d_.rows, "weight");
    PyArrayObject* y = contiguous(target, NPY_INT64, 1, "target");
    expect(PyArray_DIM(y, 0) == d_.rows, "there is not one target for each row");
    d_.target = data_of<std::int64_t>(y);
    bool inside = true;
    for (long i = 0; i < d_.rows; i++) inside &= d_.target[i] >= 0 && d_.target[i] < d_.classes();
    expect(inside, "a target is not the index of a class");
    if (often && columns_pay(d_, outputs)) {
      fill_columns();
      d_.columns = &columns_;
    }
  }

  double loss_and_grad(nb::object weights, nb::object gradient, nb::object probabilities,
                       bool single) const {
    const double* w = parameters(weights, false);
    double* g = parameters(gradient, true);
    expect(!single || !d_.sparse(), "sparse rows are computed in double");
    float* p = probabilities.is_none() ? nullptr : kept_probabilities(probabilities, true);
    LinearSums sums = empty();
    {
      nb::gil_scoped_release release;
      if (single)
        run_loss<float>(w, g, p, &sums);
      else
        run_loss<double>(w, g, p, &sums);
    }
    return sums.loss.value();
  }

  void hessian_product(nb::object direction, nb::object product, nb::object probabilities,
                       nb::object at, bool single) const {
    const double* v = parameters(direction, false);
    double* out = parameters(product, true);
    const float* p = probabilities.is_none() ? nullptr : kept_probabilities(probabilities, false);
    const double* w = at.is_none() ? nullptr : parameters(at, false);
    expect(!single || !d_.sparse(), "sparse rows are computed in double");
    expect(p || w, "a Hessian product needs the probabilities or the weights");
    nb::gil_scoped_release release;
    if (single)
      run_curvature<float>(v, out, p, w);
    else
      run_curvature<double>(v, out, p, w);
  }

  void moments(nb::object at, nb::object probabilities, nb::object sums, bool squares) const {
    const double* w = parameters(at, false);
    double* out = parameters(sums, true);
    const float* p = probabilities.is_none() ? nullptr : kept_probabilities(probabilities, false);
    nb::gil_scoped_release release;
    if (d_.sparse())
      run_moments<double>(w, p, out, squares);
    else
      run_moments<float>(w, p, out, squares);
  }

  std::pair<double, double> dual(nb::object at, nb::object step, nb::object gradient,
                                 nb::object log_probability) const {
    const double *w = parameters(at, false), *v = parameters(step, false);
    double* g = parameters(gradient, true);
    PyArrayObject* l = contiguous(log_probability, NPY_FLOAT64, 1, "log_probability");
    expect(PyArray_DIM(l, 0) == d_.classes() && PyArray_ISWRITEABLE(l), "log_probability");
    LinearSums sums = empty();
    {
      nb::gil_scoped_release release;
      const Lease memory(*this);
      const auto a = packed<double>(*memory, 0, w), b = packed<double>(*memory, 1, v);
      linear_pass<double>(d_, a, DualWork{d_, a, b}, *memory, g, &sums);
    }
    for (long c = 0; c < d_.classes(); c++)
      data_of<double>(l)[c] += sums.log_probability[static_cast<std::size_t>(c)];
    return {sums.divergence.value(), sums.loss.value()};
  }

 private:
  // The object's workspace, or one of its own where another thread uses that.
  class Lease {
   public:
    explicit Lease(const PyLinearRows& rows) : busy_(rows.busy_) {
      mine_ = !busy_.test_and_set(std::memory_order_acquire);
      memory_ = mine_ ? &rows.workspace_ : &own_;
    }
    ~Lease() {
      if (mine_) busy_.clear(std::memory_order_release);
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    LinearWorkspace& operator*() const { return *memory_; }
    LinearWorkspace* operator->() const { return memory_; }

   private:
    std::atomic_flag& busy_;
    bool mine_;
    LinearWorkspace own_;
    LinearWorkspace* memory_;
  };
  template <class T>
  PackedWeights<T> packed(LinearWorkspace& memory, int i, const double* weights) const {
    return {memory.packed<T>(i), weights, d_.features, d_.outputs, d_.sparse()};
  }

  template <class T>
  void run_loss(const double* w, double* g, float* p, LinearSums* sums) const {
    const Lease memory(*this);
    const auto at = packed<T>(*memory, 0, w);
    linear_pass<T>(d_, at, LossWork<T>{d_, at, p}, *memory, g, sums);
  }
  template <class T>
  void run_curvature(const double* v, double* out, const float* p, const double* w) const {
    const Lease memory(*this);
    const auto direction = packed<T>(*memory, 0, v);
    std::optional<PackedWeights<T>> at;
    if (!p) at.emplace(memory->packed<T>(1), w, d_.features, d_.outputs, d_.sparse());
    LinearSums sums = empty();
    linear_pass<T>(d_, direction, CurvatureWork<T>{d_, direction, p, at ? &*at : nullptr}, *memory,
                   out, &sums);
  }
  template <class T>
  void run_moments(const double* w, const float* p, double* out, bool squares) const {
    const Lease memory(*this);
    const auto at = packed<T>(*memory, 0, w);
    LinearSums sums = empty();
    linear_pass<T>(d_, at, MomentWork<T>{d_, at, p, squares}, *memory, out, &sums);
  }
  LinearSums empty() const {
    LinearSums s;
    s.log_probability.assign(static_cast<std::size_t>(d_.classes()), 0.0);
    return s;
  }
  void fill_columns() {
    auto fill = [&](auto value, auto index) {
      columns_.fill(static_cast<const decltype(value)*>(d_.values),
                    static_cast<const decltype(index)*>(d_.row_start),
                    static_cast<const decltype(index)*>(d_.column), d_.rows, d_.features);
    };
    const bool f32 = d_.numbers == Numbers::f32;
    if (d_.wide_index)
      f32 ? fill(0.0F, std::int64_t()) : fill(0.0, std::int64_t());
    else
      f32 ? fill(0.0F, std::int32_t()) : fill(0.0, std::int32_t());
  }
  double* parameters(nb::handle o, bool written) const {
    PyArrayObject* a = contiguous(o, NPY_FLOAT64, 2, "parameters");
    expect(PyArray_DIM(a, 0) == d_.features + 1 && PyArray_DIM(a, 1) == d_.outputs,
           "parameters have the shape (features + 1, outputs)");
    expect(!written || PyArray_ISWRITEABLE(a), "the result is read-only");
    return data_of<double>(a);
  }
  float* kept_probabilities(nb::handle o, bool written) const {
    PyArrayObject* a = contiguous(o, NPY_FLOAT32, 2, "probabilities");
    expect(PyArray_DIM(a, 0) == d_.rows && PyArray_DIM(a, 1) == d_.outputs,
           "probabilities have the shape (rows, outputs)");
    expect(!written || PyArray_ISWRITEABLE(a), "probabilities are read-only");
    return data_of<float>(a);
  }

  mutable std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  mutable LinearWorkspace workspace_;
  nb::object kept_[7];
  LinearColumns columns_;
  LinearRows d_;
};

}  // namespace

void add_linear(nb::module_& m) {
  nb::class_<PyLinearRows>(m, "LinearRows")
      .def(nb::init<nb::object, nb::object, nb::object, long, nb::object, nb::object, nb::object,
                    nb::object, long, bool>(),
           nb::arg("values"), nb::arg("row_start").none(), nb::arg("column").none(),
           nb::arg("features"), nb::arg("mean").none(), nb::arg("inverse_scale").none(),
           nb::arg("target"), nb::arg("weight").none(), nb::arg("outputs"),
           nb::arg("often") = false)
      .def("loss_and_grad", &PyLinearRows::loss_and_grad, nb::arg("weights"), nb::arg("gradient"),
           nb::arg("probabilities").none(), nb::arg("single"))
      .def("hessian_product", &PyLinearRows::hessian_product, nb::arg("direction"),
           nb::arg("product"), nb::arg("probabilities").none(), nb::arg("at").none(),
           nb::arg("single"))
      .def("moments", &PyLinearRows::moments, nb::arg("at"), nb::arg("probabilities").none(),
           nb::arg("sums"), nb::arg("squares"))
      .def("dual", &PyLinearRows::dual, nb::arg("at"), nb::arg("step"), nb::arg("gradient"),
           nb::arg("log_probability"));
}

}  // namespace softgrad
