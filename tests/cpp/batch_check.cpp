// Whole arrays of any layout, on one thread and on several: the results have the same bits.
#include <cstring>

#include "check.hpp"
#include "softgrad/batch.hpp"
#include "softgrad/cross_entropy_batch.hpp"

namespace check {
namespace {

using softgrad::Array;
using softgrad::Layout;

template <class T>
Array<const T> as_const(const Array<T>& a) {
  return {a.data, a.layout};
}

// The mean over rows with weights for the classes, and its gradient.
template <class T>
void probability_targets(const Array<const T>& x, const Array<const T>& target, const Array<T>& out,
                         double* total) {
  Exactly<double> weight{std::size_t(x.layout.classes)};
  for (std::size_t c = 0; c < weight.size(); c++) weight[c] = double(c % 3);
  softgrad::CrossEntropy<T> loss{};
  loss.x = x, loss.target = &target, loss.total = total, loss.grad = &out;
  loss.class_weight = weight.data();
  if (!loss.run()) fail("probabilities refused", 0, 1);
}

// The bits of all results for logits of shape (rows, classes) seen along `axis`.
template <class T>
std::vector<T> results(long rows, long classes, int axis, int threads) {
  softgrad::set_num_threads(threads);
  std::mt19937 random(7);
  std::normal_distribution<double> normal(0, 6);
  const std::size_t n = std::size_t(rows * classes);
  Exactly<T> x(n), g(n), y(n), each{std::size_t(rows)};
  Exactly<std::int64_t> target{std::size_t(rows)};
  const std::ptrdiff_t shape[2] = {axis ? rows : classes, axis ? classes : rows};
  const std::ptrdiff_t stride[2] = {shape[1], 1};
  const Layout layout = Layout::of(2, shape, stride, axis);
  for (long i = 0; i < rows; i++) {
    target[std::size_t(i)] = std::int64_t(random() % std::uint64_t(classes));
    for (long j = 0; j < classes; j++) {
      const std::size_t at = std::size_t(axis ? i * classes + j : j * rows + i);
      x[at] = T(normal(random)), g[at] = T(normal(random)), y[at] = T(nan);
    }
  }
  const Array<const T> logits = {x.data(), layout}, cotangent = {g.data(), layout};
  const Array<T> out = {y.data(), layout};
  std::vector<T> all;
  auto keep = [&] {
    for (long i = 0; i < rows; i++)
      for (long j = 0; j < classes; j++)
        all.push_back(y[std::size_t(axis ? i * classes + j : j * rows + i)]);
  };
  softgrad::normalize(softgrad::Output::log_probability, logits, out, 1.0);
  keep();
  softgrad::normalize(softgrad::Output::probability, logits, out, 0.7);
  keep();
  softgrad::normalize(softgrad::Output::probability, logits, out, 1.0);
  keep();
  softgrad::dot(as_const(out), cotangent, each.data());
  all.insert(all.end(), each.data(), each.data() + rows);
  Exactly<T> p(n);
  const Array<T> probability = {p.data(), layout};
  std::memcpy(p.data(), y.data(), n * sizeof(T));
  softgrad::product(softgrad::Product::log_softmax_vjp, as_const(probability), cotangent, out, 2.0);
  keep();
  softgrad::product(softgrad::Product::softmax_vjp, as_const(probability), cotangent, out, 2.0);
  keep();
  for (const double temperature : {1.0, 0.7}) {
    softgrad::product_of_logits(logits, cotangent, out, temperature);
    keep();
  }
  if (softgrad::has_log_product(logits.layout.classes)) {
    softgrad::log_product_of_logits(logits, cotangent, out);
    keep();
  }
  softgrad::logsumexp(logits, each.data());
  all.insert(all.end(), each.data(), each.data() + rows);
  double total = nan;
  softgrad::CrossEntropy<T> loss{};
  loss.x = logits, loss.index = target.data(), loss.total = &total, loss.grad = &out;
  if (!loss.run()) fail("cross entropy refused", 0, 1);
  keep();
  all.push_back(T(total));
  loss.total = nullptr, loss.losses = each.data(), loss.label_smoothing = 0.1;
  loss.reduction = softgrad::Reduction::none;
  if (!loss.run()) fail("smoothed cross entropy refused", 0, 1);
  keep();
  all.insert(all.end(), each.data(), each.data() + rows);
  probability_targets(logits, as_const(probability), out, &total);
  keep();
  all.push_back(T(total));
  target[std::size_t(rows - 1)] = classes;
  if (loss.run()) fail("label out of range accepted", 1, 0);
  softgrad::set_num_threads(0);
  return all;
}

template <class T>
void same(const char* what, const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) != 0)
    fail(what, 0, 0);
}

template <class T>
void check_batch(long rows, long classes) {
  context = std::to_string(rows) + " x " + std::to_string(classes);
  const std::vector<T> one = results<T>(rows, classes, 1, 1);
  same("two threads", results<T>(rows, classes, 1, 2), one);
  same("five threads", results<T>(rows, classes, 1, 5), one);
  same("first axis", results<T>(rows, classes, 0, 1), one);
  same("first axis, two threads", results<T>(rows, classes, 0, 2), one);
}

}  // namespace

void check_batches() {
  const long shapes[][2] = {{1, 1},     {3, 5},     {9000, 3},  {2500, 33},
                            {70, 1000}, {17, 4097}, {1, 40001}, {19, 33001}};
  for (const auto& shape : shapes) {
    check_batch<float>(shape[0], shape[1]);
    check_batch<double>(shape[0], shape[1]);
  }
}

}  // namespace check
