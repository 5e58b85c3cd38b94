// Kernels of losses, as a table of plain functions per instruction set: see losses.hpp.
#pragma once

#include <cstdint>

namespace softgrad {

// A loss that is a sum of one number l(x, y) per entry. The names say what x is.
enum class LossKind : int {
  log_probability,        // -y x
  probability,            // -y log x
  divergence,             // y (log y - x)
  binary,                 // -P y log s(x) - N (1 - y) log s(-x), s the logistic function
  binary_probability,     // -P y log x - N (1 - y) log(1 - x)
  binary_focal,           // -P y s(-x)^gamma log s(x) - N (1 - y) s(x)^gamma log s(-x)
  focal_log_probability,  // -y (1 - exp x)^gamma x
  squared,                // (x - y)^2
  half_squared,           // (x - y)^2 / 2
  absolute,               // |x - y|
  huber                   // (x - y)^2 / 2 up to |x - y| = delta, then delta (|x - y| - delta / 2)
};
constexpr int loss_kinds = 11;

// Which derivative of l is written: by x, by x twice, or by the target before it was smoothed.
enum class Derivative : int { none, slope, curvature, target };

struct LossParameters {
  double keep = 1, spread = 0;  // y = keep * target + spread
  double positive = 1, negative = 1;
  double gamma = 0;
  double delta = 1;
};

constexpr long strip_length = 512;  // entries a call of `entries` takes at most

// One number per entry of a strip, each null or of the strip's length rounded up to 16.
struct StripFactors {
  const double* weight;    // of l and its derivatives; an entry of weight 0 is 0 whatever it holds
  const double* positive;  // P; null: LossParameters::positive
  const double* factor;    // of the derivative
};

template <class T>
struct LossKernels {
  // l of n entries as hi + lo (null: not wanted; both rounded up to 16 numbers) and a derivative.
  void (*entries)(LossKind, Derivative, const LossParameters&, const T* x, const T* target,
                  const StripFactors&, double* hi, double* lo, T* derivative, long n);
  // Sums of `rows` rows of `classes` <= strip_length numbers that follow one another.
  void (*row_sums)(const double* hi, const double* lo, long rows, long classes, double* sum_hi,
                   double* sum_lo);
  // Adds a strip of one long row to its sixteen running sums, which `row_sum` combines.
  void (*add_strip)(const double* hi, const double* lo, long n, double* sums_hi, double* sums_lo);
  void (*row_sum)(const double* sums_hi, const double* sums_lo, double* hi, double* lo);
  // Whether n numbers are in least..most; NaN if it passes.
  bool (*within)(const T* x, long n, T least, T most, bool nan_passes);
  // What `entries` gives for focal_log_probability at x = -(hi + lo), y = 1, of n <= 64 rows.
  void (*focal_rows)(double gamma, const double* hi, const double* lo, long n, double* value_hi,
                     double* value_lo, double* slope);
  // y *= factor, rounded once.
  void (*scale)(T* y, long n, double factor);
  // margin + max_{j != target} x_j - x_target as hi + lo, and the first such j (-1: none).
  long (*runner_up)(const T* x, long classes, long target, double margin, double* hi, double* lo);
};

struct LossTable {
  LossKernels<float> f32;
  LossKernels<double> f64;
};

}  // namespace softgrad
