// What the kernel checks share: rows in exactly sized heap memory, the naive formulas in long
// double, and comparison in units in the last place.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "softgrad/kernels.hpp"

namespace check {

using Real = long double;
constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

inline long failures = 0;
inline std::string context;

inline void fail(const char* what, double got, double wanted) {
  if (++failures <= 40)
    std::printf("FAILED %s: %s: %.17g, wanted %.17g\n", context.c_str(), what, got, wanted);
}

// The distance between floating point numbers of type T at the magnitude of x.
template <class T>
Real ulp(Real x) {
  int exponent;
  std::frexp(x, &exponent);
  const int bits = std::numeric_limits<T>::digits, lowest = std::numeric_limits<T>::min_exponent;
  if (x == 0 || exponent < lowest) exponent = lowest;
  return std::ldexp(Real(1), exponent - bits);
}

template <class T>
void close(const char* what, Real got, Real wanted, Real terms, double limit) {
  if (std::isnan(wanted) ? std::isnan(got) : got == wanted) return;
  if (std::abs(got - wanted) <= limit * ulp<T>(std::abs(terms))) return;
  fail(what, double(got), double(wanted));
}

// An array of exactly n elements on the heap, so that the address sanitizer sees one too many.
template <class T>
class Exactly {
 public:
  explicit Exactly(std::size_t n) : n_(n), data_(static_cast<T*>(std::malloc(n * sizeof(T)))) {}
  T* data() const { return data_.get(); }
  std::size_t size() const { return n_; }
  T& operator[](std::size_t i) const { return data_.get()[i]; }

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::size_t n_;
  std::unique_ptr<T, Free> data_;
};

template <class T>
class Scratch {
 public:
  Scratch(long classes, bool strided)
      : memory_(static_cast<T*>(std::aligned_alloc(64, bytes(classes, strided)))) {}
  ~Scratch() { std::free(memory_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* data() const { return memory_; }

 private:
  static std::size_t bytes(long classes, bool strided) {
    return (softgrad::Scratch<T>::size(classes, strided) * sizeof(T) + 63) / 64 * 64;
  }
  T* memory_;
};

// Where the rows of a bundle lie.
enum class Place { own_memory, unaligned, columns, backwards };
constexpr Place places[] = {Place::own_memory, Place::unaligned, Place::columns, Place::backwards};

template <class T>
class Bundle {
 public:
  Bundle(long rows, long classes, Place place) : classes_(classes) {
    const std::size_t n = std::size_t(rows), c = std::size_t(classes);
    rows_.count = rows;
    rows_.stride = 1;
    if (place == Place::columns || place == Place::backwards) {
      memory_.emplace_back(n * c);
      T* base = memory_[0].data();
      const bool back = place == Place::backwards;
      rows_.stride = back ? -rows : rows;
      for (long i = 0; i < rows; i++)
        rows_.row[i] = back ? base + (classes - 1) * rows + i : base + i;
      if (rows == 1 && !back) rows_.stride = 1;
    } else {
      const std::size_t shift = place == Place::unaligned ? 1 : 0;
      for (std::size_t i = 0; i < n; i++) {
        memory_.emplace_back(c + shift);
        rows_.row[i] = memory_[i].data() + shift;
      }
    }
    for (long i = 0; i < rows; i++)
      for (long j = 0; j < classes; j++) at(i, j) = T(nan);
  }
  T& at(long i, long j) const { return rows_.row[i][j * rows_.stride]; }
  long count() const { return rows_.count; }
  const softgrad::Rows<T>& rows() const { return rows_; }
  softgrad::Rows<const T> as_const() const {
    softgrad::Rows<const T> r;
    r.stride = rows_.stride, r.count = rows_.count;
    for (long i = 0; i < rows_.count; i++) r.row[i] = rows_.row[i];
    return r;
  }
  long classes() const { return classes_; }

 private:
  long classes_;
  std::vector<Exactly<T>> memory_;
  softgrad::Rows<T> rows_;
};

// One row of each kind in turn; the kinds from 7 on have no finite maximum.
constexpr int finite_kinds = 7, kinds = 10;
template <class T>
T logit(int kind, long j, long classes, std::mt19937& random) {
  std::normal_distribution<double> normal;
  const double v = normal(random);
  switch (kind) {
    case 0:
      return T(v);
    case 1:
      return T(v * 30 - 60);
    case 2:
      return T(j == classes / 2 ? 42.5 : v);
    case 3:
      return T(j % 3);
    case 4:
      return T(1e4 + 3 * v);
    case 5:
      return T(1e30 * (1 + double(j % 3) / 1024));
    case 6:
      return T(j % 2 && j != classes / 2 ? -inf : v);
    case 7:
      return T(j == classes / 2 ? nan : v);
    case 8:
      return T(j == classes / 2 ? inf : v);
    default:
      return T(-inf);
  }
}

template <class T>
std::vector<int> fill_logits(const Bundle<T>& x, std::mt19937& random) {
  std::vector<int> kind(std::size_t(x.count()));
  for (long i = 0; i < x.count(); i++) {
    const int k = int(random() % kinds);
    kind[std::size_t(i)] = k;
    for (long j = 0; j < x.classes(); j++) x.at(i, j) = logit<T>(k, j, x.classes(), random);
  }
  return kind;
}

template <class T>
void fill_normal(const Bundle<T>& x, std::mt19937& random) {
  std::normal_distribution<double> normal;
  for (long i = 0; i < x.count(); i++)
    for (long j = 0; j < x.classes(); j++) x.at(i, j) = T(normal(random));
}

// Probabilities, their logarithms and the logsumexp of one row, by the plain formulas.
struct Truth {
  std::vector<Real> p, log_p;
  Real max = -inf, logsumexp = -inf;

  template <class T>
  Truth(const Bundle<T>& x, long i, double temperature) {
    const long n = x.classes();
    bool undefined = false;
    for (long j = 0; j < n; j++) {
      max = std::max(max, Real(x.at(i, j)));
      undefined |= std::isnan(x.at(i, j));
    }
    p.assign(std::size_t(n), nan), log_p.assign(std::size_t(n), nan);
    if (undefined || std::isinf(max)) {
      logsumexp = undefined ? Real(nan) : max;
      return;
    }
    Real others = 0;  // the sum without one maximum
    long ties = -1;
    std::vector<Real> shifted(std::size_t(n), 0);
    for (long j = 0; j < n; j++) {
      Real& s = shifted[std::size_t(j)];
      s = (Real(x.at(i, j)) - max) / temperature;
      if (s == 0)
        ties++;
      else
        others += std::exp(s);
    }
    others += Real(ties);
    logsumexp = max / temperature + std::log1p(others);
    for (std::size_t j = 0; j < shifted.size(); j++) {
      p[j] = std::exp(shifted[j]) / (1 + others);
      log_p[j] = shifted[j] - std::log1p(others);
    }
  }
};

void check_rows(const softgrad::KernelTable& table);
void check_batches();
void check_activations(const softgrad::KernelTable& table);
void check_losses();
void check_linear(const softgrad::KernelTable& table);
void check_optimizers(const softgrad::KernelTable& table);

}  // namespace check
