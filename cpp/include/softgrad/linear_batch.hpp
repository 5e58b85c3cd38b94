// Passes over the rows of a linear model: loss and gradient, Hessian product, optimality gap.
//
//   logits  z_i = W^T x_i + b          x_i the stored row, or (row - mean) * inverse_scale
//   loss        = sum_i s_i CE(z_i, y_i)
//   gradient    = sum_i s_i (softmax(z_i) - onehot(y_i)) (x_i, 1)^T
//
// The rows are read once per pass, in blocks that stay in the cache: a block becomes logits, the
// logits become residuals in place, the residuals are multiplied with the same block. With one
// output the model is binary: the logits are (0, z).
//
// Blocks, the groups of blocks that threads share, and the order in which groups are added depend
// on the shape of the data alone.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "dispatch.hpp"
#include "huge_pages.hpp"
#include "linear_columns.hpp"
#include "parallel.hpp"

namespace softgrad {

enum class Numbers { u8, f32, f64 };

struct LinearRows {
  Numbers numbers = Numbers::f64;
  const void* values = nullptr;     // dense: row by row; CSR: the stored numbers
  std::ptrdiff_t row_stride = 0;    // dense, in numbers
  const void* row_start = nullptr;  // CSR; null: dense
  const void* column = nullptr;
  bool wide_index = false;                 // CSR: int64 rather than int32
  const LinearColumns* columns = nullptr;  // CSR: the same matrix by columns, where that pays
  long rows = 0, features = 0;
  const double* mean = nullptr;  // dense: what standardizes the rows, or null
  const double* inverse_scale = nullptr;
  const std::int64_t* target = nullptr;
  const double* weight = nullptr;  // of each row, or null for ones
  long outputs = 0;                // weight vectors; 1: binary

  bool sparse() const { return row_start != nullptr; }
  long classes() const { return outputs == 1 ? 2 : outputs; }
  long stored(long from, long to) const {
    return wide_index ? static_cast<long>(static_cast<const std::int64_t*>(row_start)[to] -
                                          static_cast<const std::int64_t*>(row_start)[from])
                      : static_cast<const std::int32_t*>(row_start)[to] -
                            static_cast<const std::int32_t*>(row_start)[from];
  }
};

// Sum of doubles with the rounding errors carried along: at most 2^-53 of the result plus
// n 2^-105 sum |a| for n terms. Not finite where a term is not.
struct Total {
  double hi = 0, lo = 0;
  void add(double a) {
    const double sum = hi + a, part = sum - hi;
    lo += (hi - (sum - part)) + (a - part);
    hi = sum;
  }
  double value() const { return hi + lo; }
};

// How the rows of a pass are cut.
struct LinearCut {
  long block, group, groups;

  // Rows of a dense block: its numbers and its logits fit half of a level 2 cache.
  static LinearCut of(const LinearRows& d) {
    constexpr long bytes = 1L << 18, most_groups = 16;
    LinearCut c;
    if (d.sparse()) {
      c.block = 64;
    } else {
      const long row = 8 * (d.features + 1);
      c.block = std::clamp<long>(bytes / row / 48 * 48, 48, 192);
    }
    // A group pays for its own gradient only if it has many times the gradient's numbers.
    long least = std::max<long>(256, 8 * d.outputs);
    if (d.sparse() && d.rows > 0) {
      const double per_row = std::max(1.0, double(d.stored(0, d.rows)) / double(d.rows));
      least = std::max(least, static_cast<long>(4.0 * double(d.features) / per_row));
    }
    c.group = std::max((least + c.block - 1) / c.block,
                       (d.rows + c.block * most_groups - 1) / (c.block * most_groups)) *
              c.block;
    c.groups = d.rows == 0 ? 0 : (d.rows + c.group - 1) / c.group;
    return c;
  }
};

// Memory that passes over the same rows use again: fresh pages would cost more than a pass over
// sparse rows.
struct LinearWorkspace {
  std::vector<Buffer<double>> gradients;  // of the groups
  Buffer<double> residuals;               // of all rows, where the matrix is there by columns
  Buffer<double> doubles[2];
  Buffer<float> floats[2];
  template <class T>
  Buffer<T>& packed(int i) {
    if constexpr (sizeof(T) == 4)
      return floats[i];
    else
      return doubles[i];
  }
};

// Weights (features + 1, outputs), row by row, the last row the bias; packed for T.
//
// They lie in the caller's memory, which must not be packed into again while these are in use.
// The tiles fit the registers of one instruction set, whose kernels are kept with them: another
// thread may make another set the active one at any time.
template <class T>
class PackedWeights {
 public:
  PackedWeights(Buffer<T>& memory, const double* weights, long features, long outputs, bool sparse)
      : kernels(active()), data(memory) {
    const long unit = static_cast<long>((sparse ? 64 : 32) / sizeof(T));
    padded = (outputs + unit - 1) / unit * unit;
    const long width = sparse ? padded : kernels.width;
    long first = 0;
    for (long left = padded / width; left > 0;) {
      const long registers = sparse ? 1 : left > 4 ? 3 : left == 4 ? 2 : left;
      tiles.push_back({first, registers, registers * width});
      first += registers * width, left -= registers;
    }
    if (first < padded) tiles.push_back({first, 0, kernels.half});
    data.resize(static_cast<std::size_t>((features + 1) * padded));
    T* to = data.data();
    for (const Tile& t : tiles)
      for (long d = 0; d < features; d++)
        for (long c = t.first; c < t.first + t.columns; c++)
          *to++ = c < outputs ? static_cast<T>(weights[d * outputs + c]) : T(0);
    for (long c = 0; c < padded; c++)
      *to++ = c < outputs ? static_cast<T>(weights[features * outputs + c]) : T(0);
    bias = data.data() + features * padded;
  }
  static const LinearKernels<T>& active() {
    if constexpr (sizeof(T) == 4)
      return active_kernels().linear().f32;
    else
      return active_kernels().linear().f64;
  }

  struct Tile {
    long first, registers, columns;
  };
  const LinearKernels<T>& kernels;
  std::vector<Tile> tiles;
  Buffer<T>& data;
  const T* bias;
  long padded;
};

// Adds packed gradients (as PackedWeights packs weights) to rows of outputs.
template <class T>
void unpack_add(const PackedWeights<T>& like, const double* packed, long features, long outputs,
                double* gradient) {
  for (const auto& t : like.tiles)
    for (long d = 0; d < features; d++, packed += t.columns)
      for (long c = t.first; c < std::min(outputs, t.first + t.columns); c++)
        gradient[d * outputs + c] += packed[c - t.first];
  for (long c = 0; c < outputs; c++) gradient[features * outputs + c] += packed[c];
}

// The sums of one group of rows.
struct LinearSums {
  double* gradient = nullptr;  // packed; then the bias
  Total loss, divergence;
  std::vector<double> log_probability;
};

// Calls visit.template operator()<X, Index>(kernels) for the types of a CSR matrix.
template <class F>
void with_sparse(const LinearRows& d, F visit) {
  const LinearTable& t = active_kernels().linear();
  if (d.numbers == Numbers::f32)
    d.wide_index ? visit(t.csr_f32_i64) : visit(t.csr_f32_i32);
  else
    d.wide_index ? visit(t.csr_f64_i64) : visit(t.csr_f64_i32);
}

// One block of rows in the hands of one thread.
template <class T>
class LinearBlock {
 public:
  static constexpr long rows_ahead = 48;  // a multiple of the rows that `forward` takes at once
  static long number_bytes(const LinearRows& d) {
    return d.numbers == Numbers::u8 ? 1 : d.numbers == Numbers::f32 ? 4 : 8;
  }
  LinearBlock(const LinearRows& rows, long block, long padded)
      : d(rows),
        padded(padded),
        far(!rows.sparse() && rows.rows * rows.features * number_bytes(rows) > 1L << 20) {
    if (!d.sparse()) x.resize(static_cast<std::size_t>(block * d.features));
  }
  void take(long start, long count) {
    first = start, n = count, squared = false;
    if (d.sparse()) return;
    const LinearKernels<T>& k = PackedWeights<T>::active();
    for (long i = 0; i < n; i++) {
      T* to = x.data() + i * d.features;
      const std::ptrdiff_t at = (first + i) * d.row_stride;
      switch (d.numbers) {
        case Numbers::u8:
          k.standardize_u8(static_cast<const std::uint8_t*>(d.values) + at, d.features, d.mean,
                           d.inverse_scale, to);
          break;
        case Numbers::f32:
          k.standardize_f32(static_cast<const float*>(d.values) + at, d.features, d.mean,
                            d.inverse_scale, to);
          break;
        case Numbers::f64:
          k.standardize_f64(static_cast<const double*>(d.values) + at, d.features, d.mean,
                            d.inverse_scale, to);
      }
    }
  }
  // z (n, padded) = the rows times the weights, plus the bias.
  void logits(const PackedWeights<T>& w, T* z) const {
    if constexpr (sizeof(T) == 8) {
      if (d.sparse()) {
        with_sparse(d, [&]<class X, class I>(const SparseKernels<X, I>& k) {
          const I* start = static_cast<const I*>(d.row_start);
          for (long i = 0; i < n; i++) {
            const I from = start[first + i];
            k.forward(static_cast<const X*>(d.values) + from,
                      static_cast<const I*>(d.column) + from,
                      static_cast<long>(start[first + i + 1] - from), w.data.data(), w.bias, padded,
                      z + i * padded);
          }
        });
        return;
      }
    }
    const T* data = w.data.data();
    for (const auto& t : w.tiles) {
      for (long i = 0; i < n; i += rows_ahead) {
        const long some = std::min(rows_ahead, n - i);
        if (far && t.first == 0) ask_for_next(i, i + some);
        w.kernels.forward(x.data() + i * d.features, d.features, some, d.features, data,
                          w.bias + t.first, static_cast<int>(t.registers), z + t.first + i * padded,
                          padded);
      }
      data += d.features * t.columns;
    }
  }
  // Some rows of the block after this one, while the processor is busy with this one: memory would
  // be idle until `take`.
  void ask_for_next(long from, long to) const {
    const long bytes = number_bytes(d);
    to = std::min(to, d.rows - first - n);
    for (long i = from; i < to; i++) {
      const char* row = static_cast<const char*>(d.values) + (first + n + i) * d.row_stride * bytes;
      for (long b = 0; b < d.features * bytes; b += 64) __builtin_prefetch(row + b, 0, 2);
    }
  }
  // gradient += the rows times the residuals (n, padded); the bias is their sum.
  void accumulate(const PackedWeights<T>& w, const T* residual, double* gradient) const {
    double* bias = gradient + d.features * padded;
    for (long i = 0; i < n; i++)
      for (long c = 0; c < padded; c++) bias[c] += double(residual[i * padded + c]);
    if constexpr (sizeof(T) == 8) {
      if (d.sparse()) {
        with_sparse(d, [&]<class X, class I>(const SparseKernels<X, I>& k) {
          const I* start = static_cast<const I*>(d.row_start);
          std::vector<X> squares;
          for (long i = 0; i < n; i++) {
            const I from = start[first + i];
            const X* value = static_cast<const X*>(d.values) + from;
            const long stored = static_cast<long>(start[first + i + 1] - from);
            if (squared) {
              squares.resize(static_cast<std::size_t>(stored));
              for (long j = 0; j < stored; j++) squares[j] = value[j] * value[j];
              value = squares.data();
            }
            k.backward(value, static_cast<const I*>(d.column) + from, stored, residual + i * padded,
                       padded, gradient);
          }
        });
        return;
      }
    }
    for (const auto& t : w.tiles) {
      w.kernels.backward(x.data(), d.features, n, d.features, residual + t.first, padded,
                         static_cast<int>(t.registers), gradient);
      gradient += d.features * t.columns;
    }
  }

  // From now on the block holds the squares of its numbers (until the next take), rounded to T, or
  // to float for float rows of a sparse matrix: |x| at most 1e19 in float, 1e154 in double.
  void square() {
    for (T& v : x) v *= v;
    squared = true;
  }

  const LinearRows& d;
  const long padded;
  const bool far;  // rows do not stay in the cache from one pass to the next
  long first = 0, n = 0;
  bool squared = false;
  std::vector<T> x;
};

// Rows of `classes` numbers `stride` apart, sixteen at a time, as the row kernels take them.
template <class T, class F>
void bundles(T* z, std::ptrdiff_t stride, long n, F visit) {
  for (long i = 0; i < n; i += bundle_rows) {
    Rows<T> r;
    r.stride = 1, r.count = std::min(bundle_rows, n - i);
    for (long k = 0; k < r.count; k++) r.row[k] = z + (i + k) * stride;
    visit(r, i);
  }
}
template <class T>
Rows<const T> read_only(const Rows<T>& r) {
  Rows<const T> c;
  c.stride = r.stride, c.count = r.count;
  for (long k = 0; k < r.count; k++) c.row[k] = r.row[k];
  return c;
}

// Work of a pass as parallel_for counts it: eight multiplications and additions are one element.
inline double linear_work(const LinearRows& d, long padded) {
  const double numbers =
      d.sparse() ? double(d.rows ? d.stored(0, d.rows) : 0) : double(d.rows) * double(d.features);
  return numbers * double(padded) / 8;
}

// A matrix by columns takes memory, gradients for every group do: the former where it is less.
inline bool columns_pay(const LinearRows& d, long outputs) {
  if (!d.sparse() || d.rows == 0 || d.rows >= 1L << 31) return false;
  const double padded = 8.0 * std::ceil(double(outputs) / 8.0),
               stored = double(d.stored(0, d.rows));
  const double number = d.numbers == Numbers::f32 ? 4.0 : 8.0;
  const double by_columns =
      stored * (number + 4.0) + 8.0 * double(d.features) + 8.0 * padded * double(d.rows);
  return by_columns <= 8.0 * padded * double(d.features) * double(LinearCut::of(d).groups);
}

// What is left of the sums of the groups of a pass, in their order.
inline void add_sums(const std::vector<LinearSums>& parts, LinearSums* sums) {
  for (const LinearSums& part : parts) {
    sums->loss.add(part.loss.hi), sums->loss.add(part.loss.lo);
    sums->divergence.add(part.divergence.hi), sums->divergence.add(part.divergence.lo);
    for (std::size_t c = 0; c < part.log_probability.size(); c++)
      sums->log_probability[c] += part.log_probability[c];
  }
}

// gradient (features, outputs) += the transposed matrix times the residuals (rows, padded), each
// component one chain over the rows: right to (n + 2) 2^-53 sum |x r|. `squared`: its squares.
inline void add_by_columns(const LinearRows& d, const double* residual, long padded, bool squared,
                           double* gradient) {
  constexpr long chunk = 256;
  const std::vector<long>& start = d.columns->start;
  const LinearTable& table = active_kernels().linear();
  auto add = [&]<class X>(const SparseKernels<X, std::int32_t>& kernels, X) {
    parallel_for((d.features + chunk - 1) / chunk, linear_work(d, padded), [&](long piece) {
      const std::vector<double> zeros(static_cast<std::size_t>(padded));
      std::vector<double> sum(zeros);
      std::vector<X> squares;
      const long stop = std::min(d.features, (piece + 1) * chunk);
      for (long f = piece * chunk; f < stop; f++) {
        const long from = start[static_cast<std::size_t>(f)];
        const long stored = start[static_cast<std::size_t>(f + 1)] - from;
        if (stored == 0) continue;
        const X* value = d.columns->values<X>() + from;
        if (squared) {
          squares.resize(static_cast<std::size_t>(stored));
          for (long j = 0; j < stored; j++)
            squares[static_cast<std::size_t>(j)] = value[j] * value[j];
          value = squares.data();
        }
        kernels.forward(value, d.columns->row.data() + from, stored, residual, zeros.data(), padded,
                        sum.data());
        double* to = gradient + f * d.outputs;
        for (long c = 0; c < d.outputs; c++) to[c] += sum[static_cast<std::size_t>(c)];
      }
    });
  };
  if (d.numbers == Numbers::f32)
    add(table.csr_f32_i32, 0.0F);
  else
    add(table.csr_f64_i32, 0.0);
}

// A pass (see `linear_pass`) over rows that are there by columns too.
template <class Work>
void column_pass(const LinearRows& d, const PackedWeights<double>& like, Work work,
                 LinearWorkspace& memory, double* gradient, LinearSums* sums) {
  const LinearCut cut = LinearCut::of(d);
  const long padded = like.padded;
  std::vector<LinearSums> parts(static_cast<std::size_t>(cut.groups));
  std::vector<std::vector<double>> bias(parts.size());
  std::vector<char> squared(parts.size());
  memory.residuals.resize(static_cast<std::size_t>(d.rows * padded));
  parallel_for(cut.groups, linear_work(d, padded), [&](long g) {
    const std::size_t at = static_cast<std::size_t>(g);
    LinearSums& part = parts[at];
    part.log_probability.assign(static_cast<std::size_t>(d.classes()), 0.0);
    bias[at].assign(static_cast<std::size_t>(padded), 0.0);
    LinearBlock<double> block(d, cut.block, padded);
    auto state = work.state(cut.block);
    const long stop = std::min(d.rows, (g + 1) * cut.group);
    for (long i = g * cut.group; i < stop; i += cut.block) {
      block.take(i, std::min(cut.block, stop - i));
      const double* residual = work.residuals(block, state, part);
      std::copy_n(residual, block.n * padded, memory.residuals.data() + i * padded);
      for (long k = 0; k < block.n; k++)
        for (long c = 0; c < padded; c++)
          bias[at][static_cast<std::size_t>(c)] += residual[k * padded + c];
    }
    squared[at] = block.squared;
  });
  add_by_columns(d, memory.residuals.data(), padded, !squared.empty() && squared[0], gradient);
  for (const std::vector<double>& part : bias)
    for (long c = 0; c < d.outputs; c++)
      gradient[d.features * d.outputs + c] += part[static_cast<std::size_t>(c)];
  add_sums(parts, sums);
}

// A pass: `work.state(block)` is made once per group, `work.residuals` turns a block of rows into
// residuals, whose product with the rows is added to `gradient` (features + 1, outputs) and whose
// sums are added to `sums`. Error of a sum over n rows in blocks of b, besides that of the
// residuals: at most ((b + 3) u + (n / b + 16) 2^-53) sum_i |s_i x_id r_ic|, u = 2^-24 or 2^-53.
// Each group has its own (features + 1) x padded doubles, kept in `memory` for the next pass.
template <class T, class Work>
void linear_pass(const LinearRows& d, const PackedWeights<T>& like, Work work,
                 LinearWorkspace& memory, double* gradient, LinearSums* sums) {
  if constexpr (sizeof(T) == 8)
    if (d.columns) return column_pass(d, like, work, memory, gradient, sums);
  const LinearCut cut = LinearCut::of(d);
  const std::size_t size = static_cast<std::size_t>((d.features + 1) * like.padded);
  std::vector<LinearSums> parts(static_cast<std::size_t>(cut.groups));
  if (memory.gradients.size() < parts.size()) memory.gradients.resize(parts.size());
  parallel_for(cut.groups, linear_work(d, like.padded), [&](long g) {
    LinearSums& part = parts[static_cast<std::size_t>(g)];
    Buffer<double>& own = memory.gradients[static_cast<std::size_t>(g)];
    own.assign(size, 0.0);
    part.gradient = own.data();
    part.log_probability.assign(static_cast<std::size_t>(d.classes()), 0.0);
    LinearBlock<T> block(d, cut.block, like.padded);
    auto state = work.state(cut.block);
    const long stop = std::min(d.rows, (g + 1) * cut.group);
    for (long i = g * cut.group; i < stop; i += cut.block) {
      block.take(i, std::min(cut.block, stop - i));
      block.accumulate(like, work.residuals(block, state, part), part.gradient);
    }
  });
  for (const LinearSums& part : parts)
    unpack_add(like, part.gradient, d.features, d.outputs, gradient);
  add_sums(parts, sums);
}

// The numbers one thread needs for a block, with the binary model spelled out as two classes.
template <class T>
struct LinearState {
  LinearState(const LinearRows& d, long block, long padded, int matrices)
      : classes(d.classes()),
        stride(d.outputs == 1 ? 2 : padded),
        z(static_cast<std::size_t>(matrices * block * std::max<long>(padded, 2))),
        wide(d.outputs == 1 ? static_cast<std::size_t>(matrices * block * 2) : 0),
        hi(static_cast<std::size_t>(block)),
        lo(static_cast<std::size_t>(block)),
        scratch(Scratch<T>::size(classes, false) + 64) {
    const std::uintptr_t at = reinterpret_cast<std::uintptr_t>(scratch.data());
    aligned = scratch.data() + (64 - at % 64) % 64 / sizeof(T);
  }
  LinearState(const LinearState&) = delete;  // `aligned` points into it
  LinearState& operator=(const LinearState&) = delete;
  long classes, stride;
  std::vector<T> z, wide;
  std::vector<double> hi, lo;
  std::vector<T> scratch;
  T* aligned;
};

// (0, z) for every row of a binary block, and back.
template <class T>
T* spread_binary(const T* z, long padded, long n, T* wide) {
  for (long i = 0; i < n; i++) wide[2 * i] = 0, wide[2 * i + 1] = z[i * padded];
  return wide;
}
template <class T>
void gather_binary(const T* wide, long padded, long n, T* z) {
  for (long i = 0; i < n; i++) {
    z[i * padded] = wide[2 * i + 1];
    for (long c = 1; c < padded; c++) z[i * padded + c] = 0;
  }
}
template <class T>
void weigh(const LinearBlock<T>& block, T* residual) {
  if (!block.d.weight) return;
  for (long i = 0; i < block.n; i++) {
    const T s = static_cast<T>(block.d.weight[block.first + i]);
    for (long c = 0; c < block.padded; c++) residual[i * block.padded + c] *= s;
  }
}

// Loss and gradient; the probabilities are kept for Hessian products where `probabilities` is
// given, (rows, outputs) in float32.
//
// With u = 2^-24 or 2^-53 and e_i the largest error of a logit of row i (see linear.hpp; numbers
// and weights are rounded to T first, which adds 4 u): a loss is right to 2 e_i + 3 u loss, a
// residual to 2 e_i p + 10 u (p + y), a kept probability to as much and 2^-24 p. A target's
// probability is kept as 1 + (p - 1), to u absolutely.
template <class T>
struct LossWork {
  const LinearRows& d;
  const PackedWeights<T>& w;
  float* probabilities;

  LinearState<T> state(long block) const { return {d, block, w.padded, 1}; }
  const T* residuals(const LinearBlock<T>& b, LinearState<T>& s, LinearSums& sums) const {
    T* z = s.z.data();
    b.logits(w, z);
    T* rows = d.outputs == 1 ? spread_binary(z, w.padded, b.n, s.wide.data()) : z;
    const std::int64_t* target = d.target + b.first;
    double ones[bundle_rows];
    std::fill(ones, ones + bundle_rows, 1.0);
    bundles(rows, s.stride, b.n, [&](const Rows<T>& r, long i) {
      kernels_for<T>().cross_entropy(read_only(r), target + i, ones, s.hi.data() + i,
                                     s.lo.data() + i, &r, s.classes, 1.0, false, s.aligned);
    });
    for (long i = 0; i < b.n; i++) {
      const double weight = d.weight ? d.weight[b.first + i] : 1.0;
      sums.loss.add(weight * s.hi[static_cast<std::size_t>(i)]);
      sums.loss.lo += weight * s.lo[static_cast<std::size_t>(i)];
    }
    if (d.outputs == 1) gather_binary(rows, w.padded, b.n, z);
    if (probabilities)
      for (long i = 0; i < b.n; i++) {
        float* p = probabilities + (b.first + i) * d.outputs;
        for (long c = 0; c < d.outputs; c++) p[c] = static_cast<float>(z[i * w.padded + c]);
        const long y = d.outputs == 1 ? target[i] - 1 : target[i];
        if (y >= 0) p[y] = static_cast<float>(T(1) + z[i * w.padded + y]);
      }
    weigh(b, z);
    return z;
  }
};

// sum_i s_i (diag p_i - p_i p_i^T) (direction^T x_i) (x_i, 1)^T
//
// With v = direction^T x_i and e_i, f_i the largest errors of the logits z_i and of v: a residual
// is right to p (2 f_i + (8 e_i + 52 u) max |v|). Kept probabilities stand for themselves (no e_i);
// as products.hpp shifts v, those whose sum is 1 + t have 2 |t| p max |v| more.
template <class T>
struct CurvatureWork {
  const LinearRows& d;
  const PackedWeights<T>& direction;
  const float* probabilities;  // as LossWork keeps them, or
  const PackedWeights<T>* at;  // the weights to compute them from

  LinearState<T> state(long block) const { return {d, block, direction.padded, 2}; }
  const T* residuals(const LinearBlock<T>& b, LinearState<T>& s, LinearSums&) const {
    const long padded = direction.padded;
    T *u = s.z.data(), *p = u + b.n * padded;
    b.logits(direction, u);
    if (d.outputs == 1) {
      if (probabilities) {
        for (long i = 0; i < b.n; i++) p[i * padded] = T(probabilities[b.first + i]);
      } else {
        b.logits(*at, p);
        bundles(spread_binary(p, padded, b.n, s.wide.data()), 2, b.n,
                [&](const Rows<T>& r, long) { normalize(r, s); });
        gather_binary(s.wide.data(), padded, b.n, p);
      }
      for (long i = 0; i < b.n; i++) u[i * padded] *= p[i * padded] * (T(1) - p[i * padded]);
    } else {
      if (probabilities) {
        for (long i = 0; i < b.n; i++)
          for (long c = 0; c < d.outputs; c++)
            p[i * padded + c] = T(probabilities[(b.first + i) * d.outputs + c]);
      } else {
        b.logits(*at, p);
        bundles(p, padded, b.n, [&](const Rows<T>& r, long) { normalize(r, s); });
      }
      bundles(u, padded, b.n, [&](const Rows<T>& r, long i) {
        Rows<const T> prob;
        prob.stride = 1, prob.count = r.count;
        for (long k = 0; k < r.count; k++) prob.row[k] = p + (i + k) * padded;
        kernels_for<T>().product(Product::softmax_vjp, prob, read_only(r), r, d.outputs, 1.0, false,
                                 s.aligned);
      });
    }
    weigh(b, u);
    return u;
  }
  static void normalize(const Rows<T>& r, LinearState<T>& s) {
    kernels_for<T>().normalize(Output::probability, read_only(r), r, s.classes, 1.0, false,
                               s.aligned);
  }
};

// Sums over the rows that the diagonal of the Hessian consists of, with q = s p (1 - p):
// sum q x (and sum q as its bias), or sum q x^2. Error of q: s p (2 e_i + 16 u) as for LossWork.
template <class T>
struct MomentWork {
  const LinearRows& d;
  const PackedWeights<T>& at;
  const float* probabilities;  // or null: computed from the weights
  bool squares;

  LinearState<T> state(long block) const { return {d, block, at.padded, 1}; }
  const T* residuals(LinearBlock<T>& b, LinearState<T>& s, LinearSums&) const {
    T* p = s.z.data();
    const long padded = at.padded;
    if (probabilities) {
      std::fill(p, p + b.n * padded, T(0));
      for (long i = 0; i < b.n; i++)
        for (long c = 0; c < d.outputs; c++)
          p[i * padded + c] = T(probabilities[(b.first + i) * d.outputs + c]);
    } else {
      b.logits(at, p);
      T* rows = d.outputs == 1 ? spread_binary(p, padded, b.n, s.wide.data()) : p;
      bundles(rows, s.stride, b.n,
              [&](const Rows<T>& r, long) { CurvatureWork<T>::normalize(r, s); });
      if (d.outputs == 1) gather_binary(rows, padded, b.n, p);
    }
    for (long i = 0; i < b.n * padded; i++) p[i] *= T(1) - p[i];
    weigh(b, p);
    if (squares) b.square();
    return p;
  }
};

// The dual point alpha = p + (diag p - p p^T) step^T x at p = softmax(W^T x + b), clipped to
// probabilities, against q = softmax((W + step)^T x + b + step_b):
// divergence = sum s KL(alpha || q), loss = sum s CE of q, log_probability = sum s log q,
// gradient = sum s (alpha - onehot(y)) (x, 1)^T.
//
// With v = step^T x, e the errors of the logits of both products together and n classes: alpha is
// right to (4 e + (n + 30) 2^-53) 4 (1 + max |v|) (p + alpha), log q to 2 e and 1 ULP. A log q
// below -1e300 counts as that.
struct DualWork {
  const LinearRows& d;
  const PackedWeights<double>&at, &step;

  LinearState<double> state(long block) const { return {d, block, at.padded, 3}; }
  const double* residuals(const LinearBlock<double>& b, LinearState<double>& s,
                          LinearSums& sums) const {
    const long padded = at.padded, classes = s.classes;
    double *z = s.z.data(), *u = z + b.n * padded, *q = u + b.n * padded;
    b.logits(at, z);
    b.logits(step, u);
    double *p = z, *v = u;
    if (d.outputs == 1) {
      p = spread_binary(z, padded, b.n, s.wide.data());
      v = spread_binary(u, padded, b.n, s.wide.data() + 2 * b.n);
    }
    const Kernels<double>& k = kernels_for<double>();
    std::vector<double>& sum = sums.log_probability;
    const std::int64_t* target = d.target + b.first;
    bundles(p, s.stride, b.n, [&](const Rows<double>& r, long i) {
      Rows<double> change, fresh;
      change.stride = fresh.stride = 1, change.count = fresh.count = r.count;
      for (long j = 0; j < r.count; j++) {
        change.row[j] = v + (i + j) * s.stride;
        fresh.row[j] = q + j * s.stride;
        for (long c = 0; c < classes; c++) fresh.row[j][c] = r.row[j][c] + change.row[j][c];
      }
      k.normalize(Output::log_probability, read_only(fresh), fresh, classes, 1.0, false, s.aligned);
      k.normalize(Output::probability, read_only(r), r, classes, 1.0, false, s.aligned);
      k.product(Product::softmax_vjp, read_only(r), read_only(change), change, classes, 1.0, false,
                s.aligned);
      for (long j = 0; j < r.count; j++) {
        const long y = target[i + j];
        const double weight = d.weight ? d.weight[b.first + i + j] : 1.0;
        const double* log_q = fresh.row[j];
        const double kl =
            active_kernels().linear().dual_row(r.row[j], change.row[j], log_q, classes);
        sums.divergence.add(weight * kl);
        sums.loss.add(-weight * log_q[y]);
        for (long c = 0; c < classes; c++)
          sum[static_cast<std::size_t>(c)] += weight * std::max(log_q[c], -1e300);
        r.row[j][y] -= 1.0;
      }
    });
    if (d.outputs == 1) gather_binary(p, padded, b.n, z);
    weigh(b, z);
    return z;
  }
};

}  // namespace softgrad
