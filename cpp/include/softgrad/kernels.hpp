// What the bindings call: one table of plain functions per element type and instruction set.
//
// A kernel works on a bundle of at most sixteen rows of logits given by pointers and one class
// stride, so every memory layout reaches the same arithmetic. Where the rows of all arrays are
// neighbours in memory (each begins one element after the one before: a softmax over the first
// axis), the classes are 33 to 4096 and the temperature is 1, a bundle of normalize, logsumexp,
// cross_entropy, softmax_vjp and center may have up to Scratch<T>::tile_rows(classes) rows: whole
// cache lines side by side. Which algorithm runs depends on the number of classes and on the values
// of a row, never on its neighbours: row i has the same bits in every bundle. Kernels neither
// allocate nor throw nor know of threads; `scratch` comes from the caller, aligned to 64 bytes and
// Scratch<T>::size(...) elements long; bundles whose stride is not 1 have at most
// Scratch<T>::packed_rows(classes) rows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "activation_kernels.hpp"
#include "linear_kernels.hpp"
#include "optimizer_kernels.hpp"

namespace softgrad {

constexpr long bundle_rows = 16;   // rows in a bundle
constexpr long wide_rows = 64;     // rows in a bundle of neighbours
constexpr long tiny_classes = 32;  // up to here a lane holds a row
constexpr long block_classes =
    4096;  // a row is summed block by block; threads split a row only here

constexpr long packed_block = block_classes + 16;  // room for a block of a packed row

template <class T>
struct Rows {
  T* row[wide_rows];
  std::ptrdiff_t stride;  // elements between classes
  long count;             // rows in use
};

// What is known of one block of a row, and of a whole row.
struct BlockSum {
  double max;     // largest logit that is not NaN; -inf if there is none
  double offset;  // exponentials are exp(x - offset) * 2^(bias - exponent) times a constant
  double exponent;
  double hi, lo;  // their sum
  double ties;    // careful sums: classes equal to the maximum, which are not in the sum
};
struct RowSum {
  double max;
  bool special;                   // no finite maximum: all -inf, or +inf present
  bool careful;                   // `others` is known to full relative accuracy
  double others_hi, others_lo;    // sum of exp((x - max) / T) over all classes but one maximum
  double log_hi, log_lo;          // logsumexp - max / T
  double inverse_hi, inverse_lo;  // factor that turns exponentials of `emit` into probabilities
};

// The same for a product with given probabilities: sums of p (g - reference).
struct BlockMean {
  double mean, mean_low;
  double max;  // largest p
};
struct RowMean {
  double reference, mean, mean_low, max;
};
// The same for log_softmax_vjp: sums of g and of p, perhaps without the largest p's class.
struct BlockTotals {
  double total, total_low, mass, mass_low;
  double max;  // largest p
};
struct LogProductRow {
  double sum;     // of all g
  double at_top;  // what the class left out gets
  double max;
};
// The same for a product from logits: sums over one block of exponentials e relative to the row's
// maximum, and of e (g - reference); and what they say of the whole row.
struct LogitMoments {
  double mass_hi, mass_lo, moment_hi, moment_lo;
  double most;  // largest |g - reference|
};
struct LogitRow {
  double max, temperature, reference;
  double mean_hi, mean_lo;      // of g - reference
  double factor_hi, factor_lo;  // from exponentials to probabilities, over T
  bool usable;                  // not: no such sums, see products_of_logits.hpp
};

enum class Output : int { probability, log_probability };
enum class Product : int { softmax_vjp, center, log_softmax_vjp };

struct DenseTarget {
  const double* class_weight;           // per class, or null for ones
  double keep, spread;                  // y' = weight * (keep * y + spread)
  double keep_low = 0, spread_low = 0;  // what rounding took from them
};

// Sums of one block of such a row: of y' without the class of the maximum, and what the loss is
// made of, of w y (-log p) and w (-log p).
struct DenseSums {
  double mass_hi, mass_lo, hits_hi, hits_lo, spread_hi, spread_lo;
};
// Where its special classes are found.
template <class T>
struct DensePlace {
  const T *x, *target;  // target: null if there is an index
  std::ptrdiff_t stride, target_stride;
  std::int64_t index;
  long top;  // class of the maximum
};
struct DenseRow {
  double loss_hi, loss_lo;
  double mass;                    // sum y'
  bool at_top, at_index;          // whether these classes have a slope of their own:
  double top_slope, index_slope;  // times the factor
};

template <class T>
struct Kernels {
  // y = softmax(x / T) or log softmax(x / T).
  // softmax: at most 3 ULP; log_softmax: at most 1 ULP.
  void (*normalize)(Output, const Rows<const T>& x, const Rows<T>& y, long classes,
                    double temperature, bool stream, T* scratch);
  // log sum exp x; at most 1 ULP of max(|max|, |result|).
  void (*logsumexp)(const Rows<const T>& x, T* const* result, long classes, T* scratch);
  // loss[i] = -log softmax(x / T)[target], as hi + lo (null: not wanted), and
  // y = factor[i] * (softmax(x / T) - onehot(target)) (y null: not wanted). target[i] < 0: both 0.
  void (*cross_entropy)(const Rows<const T>& x, const std::int64_t* target, const double* factor,
                        double* loss_hi, double* loss_lo, const Rows<T>* y, long classes,
                        double temperature, bool stream, T* scratch);
  // The same for a row of target probabilities y' (see DenseTarget), or for `index` if target is
  // null. loss = sum y' (-log p); y = factor[i] * (p sum y' - y').
  void (*cross_entropy_dense)(const Rows<const T>& x, const Rows<const T>* target,
                              const std::int64_t* index, const DenseTarget& how,
                              const double* factor, double* loss_hi, double* loss_lo,
                              const Rows<T>* y, long classes, double temperature, T* scratch);
  // sum y' over one block of a row; false if a probability is negative or not finite.
  bool (*target_mass)(const T* target, std::ptrdiff_t stride, long n, const DenseTarget& how,
                      double* hi, double* lo);
  // softmax_vjp: scale p (g - p.g); center: scale (g - p.g); log_softmax_vjp: scale (g - p sum g).
  void (*product)(Product, const Rows<const T>& p, const Rows<const T>& g, const Rows<T>& y,
                  long classes, double scale, bool stream, T* scratch);
  // p (g - p.g) / T with p = softmax(x / T) from the logits, at most 1 ULP; up to sixteen rows,
  // scratch as for rows that lie apart.
  void (*product_of_logits)(const Rows<const T>& x, const Rows<const T>& g, const Rows<T>& y,
                            long classes, double temperature, T* scratch);
  // g - p sum g with p = softmax(x) from the logits, for 33 to 4096 classes; rows and scratch as
  // above.
  void (*log_product_of_logits)(const Rows<const T>& x, const Rows<const T>& g, const Rows<T>& y,
                                long classes, T* scratch);
  void (*dot)(const Rows<const T>& p, const Rows<const T>& g, T* const* result, long classes,
              T* scratch);

  // Pieces of one long row, for threads that share it. Where `how` is said of a block, its weights
  // are those of the block's classes.
  void (*block_sum)(const T* x, long n, BlockSum* sum);
  void (*careful_block_sum)(const T* x, long n, double max, double temperature, BlockSum* sum);
  void (*block_max)(const T* x, long n, BlockSum* sum);
  RowSum (*join)(const BlockSum* sums, long blocks, bool careful, bool logarithm);
  bool (*needs_care)(const RowSum&);
  void (*emit)(Output, const T* x, T* y, long n, const RowSum&, double temperature, double factor,
               bool stream);
  T (*logsumexp_of)(const RowSum&);  // of a row that is not special
  // loss = hi + lo and p_t - 1 of a row that is not special
  void (*at_target)(const RowSum&, T target_logit, double temperature, double* hi, double* lo,
                    double* slope);
  BlockMean (*block_mean)(const T* p, const T* g, long n, bool centred, double reference);
  RowMean (*join_means)(const BlockMean*, long blocks, double reference);
  void (*write_product)(Product, const T* p, const T* g, T* y, long n, const RowMean&, double scale,
                        bool stream);
  LogitMoments (*logit_moments)(const T* x, const T* g, long n, double max, double reference,
                                double temperature);
  LogitRow (*join_moments)(const LogitMoments*, long blocks, double max, double reference,
                           double temperature);
  void (*logit_write)(const T* x, const T* g, T* y, long n, const LogitRow&);
  BlockTotals (*block_totals)(const T* p, const T* g, long n, long without);
  LogProductRow (*join_totals)(const BlockTotals*, long blocks, double g_top);
  void (*write_log_product)(const T* p, const T* g, T* y, long n, double sum, double scale);
  BlockMean (*block_dot)(const T* p, const T* g, long n);  // joined by join_means
  DenseSums (*dense_sums)(const T* x, const T* target, long n, const RowSum&,
                          const DenseTarget& how, long without, bool loss, double temperature);
  DenseRow (*join_dense)(const DenseSums*, long blocks, const RowSum&, const DensePlace<T>&,
                         const DenseTarget& how, double factor, double temperature);
  void (*dense_write)(const T* x, const T* target, T* y, long n, const RowSum&,
                      const DenseTarget& how, double mass, double factor, double temperature);
  // A block of at most sixteen rows whose classes lie apart, copied next to each other and back;
  // packed_block elements a row.
  Rows<T> (*pack)(const Rows<const T>& x, long n, T* to);
  void (*unpack)(const Rows<T>& from, const Rows<T>& y, long n);
};

// Scratch of a kernel call: block sums of one row, then a working area, then (for classes that lie
// apart) packed rows. Sizes in elements, each region a multiple of 64 bytes.
template <class T>
struct Scratch {
  static constexpr std::size_t round_up(std::size_t n) { return (n + 63) / 64 * 64; }
  static constexpr std::size_t blocks(long classes) {
    return round_up((static_cast<std::size_t>(classes) / block_classes + 1) * sizeof(BlockSum) /
                    sizeof(T));
  }
  static constexpr std::size_t work(long classes) {
    std::size_t row =
        static_cast<std::size_t>(classes < block_classes ? classes : block_classes) + 64;
    return round_up((bundle_rows + 1) * row + 8 * bundle_rows * tiny_classes);
  }
  // Rows packed at a time: many for cache lines shared by neighbours, few where rows are long.
  static constexpr long packed_rows(long classes) {
    long n = (1L << 18) / (classes + 1);
    return n < 1 ? 1 : n > bundle_rows ? bundle_rows : n;
  }
  // Neighbouring rows in a bundle: as many as keep two arrays of tiles in a second-level cache.
  static constexpr long tile_rows(long classes) {
    long n = (1L << 16) / classes / bundle_rows * bundle_rows;
    return n < bundle_rows ? bundle_rows : n > wide_rows ? wide_rows : n;
  }
  static constexpr std::size_t packed(long classes) {
    const long rows = classes > tiny_classes && classes <= block_classes ? tile_rows(classes)
                                                                         : packed_rows(classes);
    return round_up(static_cast<std::size_t>(rows) * (static_cast<std::size_t>(classes) + 64));
  }
  static constexpr std::size_t size(long classes, bool strided) {
    return blocks(classes) + work(classes) + (strided ? 3 * packed(classes) : 0);
  }
};

struct LossTable;  // loss_kernels.hpp

struct KernelTable {
  const char* name;
  Kernels<float> f32;
  Kernels<double> f64;
  const LinearTable& (*linear)();
  const ActivationTable& (*activations)();
  const LossTable& (*losses)();
  const OptimizerTable& (*optimizers)();
};

namespace baseline {
const KernelTable& table();
const LinearTable& linear_table();
const ActivationTable& activation_table();
const LossTable& loss_table();
const OptimizerTable& optimizer_table();
}  // namespace baseline
#ifdef SOFTGRAD_HAVE_AVX2
namespace avx2 {
const KernelTable& table();
const LinearTable& linear_table();
const ActivationTable& activation_table();
const LossTable& loss_table();
const OptimizerTable& optimizer_table();
}  // namespace avx2
#endif
#ifdef SOFTGRAD_HAVE_AVX512
namespace avx512 {
const KernelTable& table();
const LinearTable& linear_table();
const ActivationTable& activation_table();
const LossTable& loss_table();
const OptimizerTable& optimizer_table();
}  // namespace avx512
#endif

}  // namespace softgrad
