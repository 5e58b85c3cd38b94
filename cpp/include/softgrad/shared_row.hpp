// One long contiguous row shared by threads at its class blocks. The blocks and the order in which
// they are joined are those of the kernels of whole rows, and so are the bits.
#pragma once

#include <vector>

#include "bundles.hpp"
#include "dispatch.hpp"

namespace softgrad {

// Whether there are fewer rows than threads, and blocks enough in each.
template <class... L>
bool worth_splitting(const Layout& a, const L&... others) {
  return a.class_stride == 1 && ((others.class_stride == 1) && ...) &&
         a.classes >= 8 * block_classes && a.rows < get_num_threads();
}
inline long blocks_of(long classes) { return (classes + block_classes - 1) / block_classes; }

// body(block, first class, classes) for all blocks of a row.
template <class F>
void each_block(long classes, F body) {
  constexpr long run = 4;  // blocks a piece
  const long blocks = blocks_of(classes), pieces = (blocks + run - 1) / run;
  parallel_for(pieces, double(classes), [&](long piece) {
    for (long b = piece * run; b < (piece + 1) * run && b < blocks; b++) {
      const long from = b * block_classes, rest = classes - from;
      body(b, from, rest < block_classes ? rest : block_classes);
    }
  });
}

// The sums of a row of logits. `logarithm`: whether they have to do for logarithms.
template <class T>
class SharedRow {
 public:
  SharedRow(const T* x, long classes, double temperature, bool logarithm)
      : x_(x),
        classes_(classes),
        temperature_(temperature),
        sums_(static_cast<std::size_t>(blocks_of(classes))) {
    const Kernels<T>& k = kernels_for<T>();
    if (temperature == 1.0) {
      each_block(classes_,
                 [&](long b, long from, long n) { k.block_sum(x_ + from, n, &sums_[b]); });
      sum_ = k.join(sums_.data(), blocks(), false, logarithm);
      log_sum_ = sum_;
      if (logarithm && k.needs_care(sum_)) log_sum_ = careful(sum_.max);
    } else {
      each_block(classes_,
                 [&](long b, long from, long n) { k.block_max(x_ + from, n, &sums_[b]); });
      double max = sums_[0].max;
      for (const BlockSum& s : sums_) max = s.max > max ? s.max : max;
      sum_ = log_sum_ = careful(max);
    }
  }
  bool special() const { return sum_.special; }
  const RowSum& logarithm() const { return log_sum_; }
  void emit(Output output, T* y, double factor, bool stream) const {
    const RowSum& r = output == Output::log_probability ? log_sum_ : sum_;
    each_block(classes_, [&](long, long from, long n) {
      kernels_for<T>().emit(output, x_ + from, y + from, n, r, temperature_, factor, stream);
    });
  }

 private:
  long blocks() const { return static_cast<long>(sums_.size()); }
  RowSum careful(double max) {
    const Kernels<T>& k = kernels_for<T>();
    if (max - max != 0) {
      sums_[0] = {max, 0, 0, 0, 0, 0};
      return k.join(sums_.data(), 1, true, true);
    }
    each_block(classes_, [&](long b, long from, long n) {
      k.careful_block_sum(x_ + from, n, max, temperature_, &sums_[b]);
    });
    return k.join(sums_.data(), blocks(), true, true);
  }

  const T* x_;
  long classes_;
  double temperature_;
  std::vector<BlockSum> sums_;
  RowSum sum_, log_sum_;
};

// Cross-entropy with a class index, as Kernels::cross_entropy computes it; false, and nothing done,
// if the row has no finite maximum.
template <class T>
bool shared_cross_entropy(const T* x, std::int64_t target, double factor, double* loss_hi,
                          double* loss_lo, T* y, long classes, double temperature, bool stream) {
  const SharedRow<T> row(x, classes, temperature, true);
  if (row.special()) return false;
  double hi, lo, slope;
  kernels_for<T>().at_target(row.logarithm(), x[target], temperature, &hi, &lo, &slope);
  if (loss_hi) *loss_hi = hi, *loss_lo = lo;
  if (!y) return true;
  row.emit(Output::probability, y, factor, stream);
  y[target] = T(slope * factor);
  return true;
}

// softmax_vjp and center of given probabilities.
template <class T>
void shared_product(Product kind, const T* p, const T* g, T* y, long classes, double scale,
                    bool stream) {
  const Kernels<T>& k = kernels_for<T>();
  std::vector<BlockMean> means(static_cast<std::size_t>(blocks_of(classes)));
  const long blocks = blocks_of(classes);
  auto pass = [&](bool centred, double reference) {
    each_block(classes, [&](long b, long from, long n) {
      means[b] = k.block_mean(p + from, g + from, n, centred, reference);
    });
    return k.join_means(means.data(), blocks, reference);
  };
  RowMean mean = pass(false, 0.0);
  if (mean.max > 0.5) {
    long top = 0;
    while (double(p[top]) != mean.max) top++;
    mean = pass(true, double(g[top]));
  }
  each_block(classes, [&](long, long from, long n) {
    k.write_product(kind, p + from, g + from, y + from, n, mean, scale, stream);
  });
}

// The product from logits; false, and nothing written, if the row is not for that algorithm.
template <class T>
bool shared_product_of_logits(const T* x, const T* g, T* y, long classes, double temperature) {
  const Kernels<T>& k = kernels_for<T>();
  const long blocks = blocks_of(classes);
  std::vector<BlockSum> tops(static_cast<std::size_t>(blocks));
  each_block(classes, [&](long b, long from, long n) { k.block_max(x + from, n, &tops[b]); });
  long at = 0;
  for (long b = 1; b < blocks; b++)
    if (tops[b].max > tops[at].max) at = b;
  const double max = tops[at].max;
  if (max - max != 0) return false;
  long top = at * block_classes;
  while (double(x[top]) != max) top++;
  const double reference = double(g[top]);
  std::vector<LogitMoments> moments(static_cast<std::size_t>(blocks));
  each_block(classes, [&](long b, long from, long n) {
    moments[b] = k.logit_moments(x + from, g + from, n, max, reference, temperature);
  });
  const LogitRow row = k.join_moments(moments.data(), blocks, max, reference, temperature);
  if (!row.usable) return false;
  each_block(classes,
             [&](long, long from, long n) { k.logit_write(x + from, g + from, y + from, n, row); });
  return true;
}

}  // namespace softgrad
