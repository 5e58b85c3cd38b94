// Kernels over whole arrays of any layout: rows are cut into fixed groups, groups are shared out to
// threads, bundles of sixteen rows go to a kernel. Sums across rows follow the groups, so they do
// not depend on threads or layout.
#pragma once

#include <atomic>
#include <cmath>
#include <vector>

#include "dispatch.hpp"
#include "parallel.hpp"

namespace softgrad {

// An array seen as rows along one axis. Strides in elements; rows in C order of the other axes.
struct Layout {
  static constexpr int max_dims = 64;
  long classes = 0, rows = 1;
  std::ptrdiff_t class_stride = 1;
  int dims = 0;  // axes of the rows, merged where memory allows
  long shape[max_dims];
  std::ptrdiff_t stride[max_dims];

  static Layout of(int ndim, const std::ptrdiff_t* shape, const std::ptrdiff_t* stride, int axis) {
    Layout a;
    a.classes = shape[axis];
    a.class_stride = shape[axis] == 1 ? 1 : stride[axis];
    for (int d = 0; d < ndim; d++) {
      if (d == axis) continue;
      a.rows *= shape[d];
      if (shape[d] == 1) continue;
      if (a.dims && a.stride[a.dims - 1] == shape[d] * stride[d]) {
        a.shape[a.dims - 1] *= shape[d];
        a.stride[a.dims - 1] = stride[d];
      } else {
        a.shape[a.dims] = shape[d];
        a.stride[a.dims++] = stride[d];
      }
    }
    return a;
  }
  std::ptrdiff_t offset(long row) const {
    if (dims == 1) return row * stride[0];
    std::ptrdiff_t at = 0;
    for (int d = dims - 1; d >= 0; d--) {
      at += (row % shape[d]) * stride[d];
      row /= shape[d];
    }
    return at;
  }
  // Whether each row begins one element after the one before.
  bool neighbours() const { return dims == 1 && stride[0] == 1; }
  template <class T>
  void fill(T* data, long row, long count, Rows<T>& r) const {
    r.stride = class_stride, r.count = count;
    if (dims <= 1) {
      const std::ptrdiff_t step = dims ? stride[0] : 0;
      for (long i = 0; i < count; i++) r.row[i] = data + (row + i) * step;
    } else {
      for (long i = 0; i < count; i++) r.row[i] = data + offset(row + i);
    }
  }
};

template <class T>
struct Array {
  T* data;
  Layout layout;
  Rows<T> rows(long row, long count) const {
    Rows<T> r;
    layout.fill(data, row, count, r);
    return r;
  }
};

// Rows in a group: fixed by the number of classes alone.
inline long group_rows(long classes) {
  if (classes > block_classes) return 1;
  const long n = 65536 / (classes < 16 ? 16 : classes) / bundle_rows * bundle_rows;
  return n < bundle_rows ? bundle_rows : n;
}

// Outputs larger than this are written past the caches.
constexpr double stream_bytes = 3e6;
template <class T>
bool worth_streaming(const Layout& a) {
  return double(a.rows) * double(a.classes) * sizeof(T) > stream_bytes &&
         a.classes * sizeof(T) >= 1024;
}

// parallel_for without its cost where the work is too small for it.
template <class F>
void each_piece(long pieces, double work, F&& body) {
  if (work < 2.0 * parallel_grain) {
    for (long i = 0; i < pieces; i++) body(i);
  } else {
    parallel_for(pieces, work, body);
  }
}

// Whether a kernel that can takes more neighbouring rows at a time than a bundle has.
template <class... L>
bool worth_tiling(const Layout& a, const L&... others) {
  return a.classes > tiny_classes && a.classes <= block_classes && a.neighbours() &&
         (others.neighbours() && ...);
}

// Neighbouring rows before the first one at the beginning of a cache line, where the lines of all
// classes begin at the same row: tiles that follow are written a line at a time.
template <class T>
long rows_before_line(const T* y, const Layout& a) {
  constexpr std::uintptr_t line = 64;
  if (static_cast<std::uintptr_t>(a.class_stride) * sizeof(T) % line != 0) return 0;
  const std::uintptr_t past = reinterpret_cast<std::uintptr_t>(y) % line;
  const long before = static_cast<long>((line - past) % line / sizeof(T));
  return before < a.rows ? before : 0;
}

// body(first row, rows, scratch) over all rows in bundles; `tiled`: see worth_tiling. `lead` rows
// make a bundle of their own before the others.
template <class T, class F>
void for_bundles(long rows, long classes, bool strided, bool tiled, F body, long lead = 0) {
  if (rows == 0) return;
  long group = group_rows(classes), bundle = bundle_rows;
  if (strided) {
    if (group < bundle_rows) group = bundle_rows;
    if (classes > tiny_classes) bundle = Scratch<T>::packed_rows(classes);
    if (bundle < bundle_rows) group = bundle;
    if (tiled) bundle = Scratch<T>::tile_rows(classes);
  } else if (group == 1) {  // long rows: several in a row where threads have enough to share
    group = rows / (4 * get_num_threads());
    group = group < 1 ? 1 : group > bundle_rows ? bundle_rows : group;
  }
  const long leads = lead > 0, groups = leads + (rows - lead + group - 1) / group;
  const std::size_t bytes = Scratch<T>::size(classes, strided) * sizeof(T);
  each_piece(groups, double(rows) * double(classes), [&](long g) {
    T* scratch = static_cast<T*>(thread_scratch(bytes));
    const long after = lead + (g + 1 - leads) * group, begin = after > group ? after - group : 0;
    const long end = after < rows ? after : rows;
    for (long r = begin; r < end; r += bundle)
      body(r, end - r < bundle ? end - r : bundle, scratch);
  });
}

// One long contiguous row shared by threads at its class blocks.
template <class T>
bool worth_splitting(const Layout& a) {
  return a.class_stride == 1 && a.classes >= 8 * block_classes && a.rows < get_num_threads();
}
template <class T>
class SharedRow {
 public:
  SharedRow(const T* x, long classes, double temperature, bool logarithm)
      : x_(x),
        classes_(classes),
        temperature_(temperature),
        sums_(static_cast<std::size_t>((classes + block_classes - 1) / block_classes)) {
    const Kernels<T>& k = kernels_for<T>();
    if (temperature == 1.0) {
      each([&](long b, const T* p, long n) { k.block_sum(p, n, &sums_[b]); });
      sum_ = k.join(sums_.data(), blocks(), false, logarithm);
      log_sum_ = sum_;
      if (logarithm && k.needs_care(sum_)) log_sum_ = careful(sum_.max);
    } else {
      each([&](long b, const T* p, long n) { k.block_max(p, n, &sums_[b]); });
      double max = sums_[0].max;
      for (const BlockSum& s : sums_) max = s.max > max ? s.max : max;
      sum_ = log_sum_ = careful(max);
    }
  }
  void emit(Output output, T* y, double factor, bool stream) const {
    const RowSum& r = output == Output::log_probability ? log_sum_ : sum_;
    each([&](long b, const T* p, long n) {
      kernels_for<T>().emit(output, p, y + b * block_classes, n, r, temperature_, factor, stream);
    });
  }

 private:
  long blocks() const { return static_cast<long>(sums_.size()); }
  template <class F>
  void each(F body) const {
    constexpr long run = 4;  // blocks a piece
    const long pieces = (blocks() + run - 1) / run;
    parallel_for(pieces, double(classes_), [&](long piece) {
      for (long b = piece * run; b < (piece + 1) * run && b < blocks(); b++) {
        const long from = b * block_classes, rest = classes_ - from;
        body(b, x_ + from, rest < block_classes ? rest : block_classes);
      }
    });
  }
  RowSum careful(double max) {
    const Kernels<T>& k = kernels_for<T>();
    if (max - max != 0) {
      sums_[0] = {max, 0, 0, 0, 0, 0};
      return k.join(sums_.data(), 1, true, true);
    }
    each([&](long b, const T* p, long n) {
      k.careful_block_sum(p, n, max, temperature_, &sums_[b]);
    });
    return k.join(sums_.data(), blocks(), true, true);
  }

  const T* x_;
  long classes_;
  double temperature_;
  mutable std::vector<BlockSum> sums_;
  RowSum sum_, log_sum_;
};

template <class T>
void normalize(Output output, const Array<const T>& x, const Array<T>& y, double temperature) {
  const Layout &a = x.layout, &b = y.layout;
  if (a.classes == 0) return;
  const bool stream = worth_streaming<T>(b) && static_cast<const T*>(y.data) != x.data;
  if (worth_splitting<T>(a) && b.class_stride == 1) {
    for (long r = 0; r < a.rows; r++)
      SharedRow<T>(x.data + a.offset(r), a.classes, temperature, output == Output::log_probability)
          .emit(output, y.data + b.offset(r), 1.0, stream);
    return;
  }
  const bool strided = a.class_stride != 1 || b.class_stride != 1;
  const auto kernel = kernels_for<T>().normalize;
  const bool tiled = temperature == 1.0 && worth_tiling(a, b);
  for_bundles<T>(
      a.rows, a.classes, strided, tiled,
      [&](long r, long n, T* scratch) {
        kernel(output, x.rows(r, n), y.rows(r, n), a.classes, temperature, stream, scratch);
      },
      tiled ? rows_before_line(y.data, b) : 0);
}

// `result` is contiguous: one element per row.
template <class T>
void logsumexp(const Array<const T>& x, T* result) {
  const Layout& a = x.layout;
  const auto kernel = kernels_for<T>().logsumexp;
  const bool strided = a.class_stride != 1;
  for_bundles<T>(a.rows, a.classes, strided, worth_tiling(a), [&](long r, long n, T* scratch) {
    T* to[wide_rows];
    for (long i = 0; i < n; i++) to[i] = result + r + i;
    kernel(x.rows(r, n), to, a.classes, scratch);
  });
}

template <class T>
void product(Product kind, const Array<const T>& p, const Array<const T>& g, const Array<T>& y,
             double scale) {
  const Layout& a = p.layout;
  if (a.classes == 0) return;
  const bool strided =
      a.class_stride != 1 || g.layout.class_stride != 1 || y.layout.class_stride != 1;
  const bool stream = worth_streaming<T>(y.layout) && y.data != p.data && y.data != g.data;
  const auto kernel = kernels_for<T>().product;
  const bool tiled = kind != Product::log_softmax_vjp && worth_tiling(a, g.layout, y.layout);
  for_bundles<T>(
      a.rows, a.classes, strided, tiled,
      [&](long r, long n, T* scratch) {
        kernel(kind, p.rows(r, n), g.rows(r, n), y.rows(r, n), a.classes, scale, stream, scratch);
      },
      tiled ? rows_before_line(y.data, y.layout) : 0);
}

template <class T>
void product_of_logits(const Array<const T>& x, const Array<const T>& g, const Array<T>& y,
                       double temperature) {
  const Layout& a = x.layout;
  if (a.classes == 0) return;
  const auto kernel = kernels_for<T>().product_of_logits;
  for_bundles<T>(a.rows, a.classes, true, false, [&](long r, long n, T* scratch) {
    kernel(x.rows(r, n), g.rows(r, n), y.rows(r, n), a.classes, temperature, scratch);
  });
}

template <class T>
void dot(const Array<const T>& p, const Array<const T>& g, T* result) {
  const Layout& a = p.layout;
  const bool strided = a.class_stride != 1 || g.layout.class_stride != 1;
  const auto kernel = kernels_for<T>().dot;
  for_bundles<T>(a.rows, a.classes, strided, false, [&](long r, long n, T* scratch) {
    T* to[bundle_rows];
    for (long i = 0; i < n; i++) to[i] = result + r + i;
    kernel(p.rows(r, n), g.rows(r, n), to, a.classes, scratch);
  });
}

// The sum of one number per row (as hi + lo) with the rounding errors kept: row r goes to lane
// r mod 16, so that the order is the same however the rows arrive in bundles.
class RowTotal {
 public:
  void add(long first, long count, const double* hi, const double* lo) {
    long at = 0;
    if (first % bundle_rows == 0)
      for (; at + bundle_rows <= count; at += bundle_rows)
        for (int i = 0; i < bundle_rows; i++) add_lane(i, hi[at + i], lo[at + i]);
    for (; at < count; at++) add_lane((first + at) % bundle_rows, hi[at], lo[at]);
  }
  void add(double hi, double lo) { add_lane(0, hi, lo); }
  // The lanes by a fixed tree.
  void collect(double& hi, double& lo) {
    for (long w = bundle_rows / 2; w; w >>= 1)
      for (long i = 0; i < w; i++) add_lane(i, hi_[i + w], lo_[i + w]);
    hi = hi_[0], lo = lo_[0];
  }
  double value() {
    double hi, lo;
    collect(hi, lo);
    const double s = hi + lo;
    return s == s ? s : hi;  // infinite sums have no low part
  }

 private:
  void add_lane(long i, double hi, double lo) {
    const double s = hi_[i] + hi, b = s - hi_[i];
    lo_[i] += ((hi_[i] - (s - b)) + (hi - b)) + lo;
    hi_[i] = s;
  }
  double hi_[bundle_rows] = {}, lo_[bundle_rows] = {};
};
inline double total_of(std::vector<RowTotal>& groups) {
  RowTotal all;
  for (RowTotal& group : groups) {
    double hi, lo;
    group.collect(hi, lo);
    all.add(hi, lo);
  }
  return all.value();
}

enum class Reduction : int { none = 0, sum = 1, mean = 2 };

template <class T>
struct CrossEntropy {
  Array<const T> x;
  const std::int64_t* index = nullptr;     // one per row, or
  const Array<const T>* target = nullptr;  // probabilities
  const double* row_weight = nullptr;
  const double* class_weight = nullptr;
  double label_smoothing = 0, temperature = 1, grad_scale = 1;
  bool ignores = false;
  std::int64_t ignored = 0;
  Reduction reduction = Reduction::mean;

  T* losses = nullptr;      // reduction none: one per row
  double* total = nullptr;  // sum or mean
  const Array<T>* grad = nullptr;

  // False if a target is not acceptable; nothing has been written then.
  bool run() const;
};

template <class T>
bool CrossEntropy<T>::run() const {
  const Layout& a = x.layout;
  const long classes = a.classes, rows = a.rows;
  const Kernels<T>& k = kernels_for<T>();
  const bool dense = target || label_smoothing != 0;
  DenseTarget how = {class_weight, 1.0 - label_smoothing,
                     classes ? label_smoothing / double(classes) : 0.0};
  how.keep_low = (1.0 - how.keep) - label_smoothing;
  if (classes)
    how.spread_low = -std::fma(how.spread, double(classes), -label_smoothing) / double(classes);
  const long group = group_rows(classes);
  const long groups = (rows + group - 1) / group;
  double spread_mass = 0;  // sum of the smoothing's share over classes
  if (!target && label_smoothing != 0)
    for (long c = 0; c < classes; c++)
      spread_mass += how.spread * (class_weight ? class_weight[c] : 1.0);

  // First the targets: are they acceptable, and what is the mean to be divided by?
  std::atomic<bool> acceptable{true};
  const bool weighed = reduction == Reduction::mean;
  double divisor = 1;
  if (index && !row_weight && !class_weight) {
    std::atomic<long> taking_part{0};
    each_piece(groups, double(rows), [&](long g) {
      const long end = (g + 1) * group < rows ? (g + 1) * group : rows;
      long bad = 0, skipped = 0;
      for (long r = g * group; r < end; r++) {
        const std::int64_t t = index[r];
        const bool skip = ignores && t == ignored;
        skipped += skip;
        bad += !skip && static_cast<std::uint64_t>(t) >= static_cast<std::uint64_t>(classes);
      }
      if (bad) acceptable.store(false);
      taking_part.fetch_add(end - g * group - skipped);
    });
    if (weighed) divisor = double(taking_part.load());
  } else {
    std::vector<RowTotal> weights(weighed ? static_cast<std::size_t>(groups) : 0);
    each_piece(groups, double(rows) * (target ? double(classes) : 1.0), [&](long g) {
      const long end = (g + 1) * group < rows ? (g + 1) * group : rows;
      for (long r = g * group; r < end; r++) {
        double mass = 1.0;
        if (target) {
          Rows<const T> row = target->rows(r, 1);
          if (!k.target_mass(row, how, &mass, classes)) acceptable.store(false);
          if (!class_weight) mass = 1.0;
        } else {
          const std::int64_t t = index[r];
          if (ignores && t == ignored) continue;
          if (t < 0 || t >= classes) {
            acceptable.store(false);
            continue;
          }
          if (class_weight) mass = how.keep * class_weight[t] + spread_mass;
        }
        if (row_weight) mass *= row_weight[r];
        const double zero = 0;
        if (weighed) weights[static_cast<std::size_t>(g)].add(r, 1, &mass, &zero);
      }
    });
    if (weighed) divisor = total_of(weights);
  }
  if (!acceptable.load()) return false;
  const bool nothing = divisor == 0;
  const double scale = nothing ? 0.0 : grad_scale / (divisor * temperature);

  const bool strided = a.class_stride != 1 || (grad && grad->layout.class_stride != 1) ||
                       (target && target->layout.class_stride != 1);
  const bool stream = grad && worth_streaming<T>(grad->layout) && grad->data != x.data;
  const bool want_loss = losses || total;
  const bool plain = !row_weight && !class_weight && !ignores;
  std::vector<RowTotal> sums(total ? static_cast<std::size_t>(groups) : 0);
  const bool tiled =
      !dense && temperature == 1.0 && (grad ? worth_tiling(a, grad->layout) : worth_tiling(a));
  for_bundles<T>(rows, classes, strided, tiled, [&](long r, long n, T* scratch) {
    double weight[wide_rows], factor[wide_rows], hi[wide_rows], lo[wide_rows];
    std::int64_t at[wide_rows];
    for (long i = 0; i < n; i++) weight[i] = 1.0, factor[i] = scale;
    if (index)
      for (long i = 0; i < n; i++) at[i] = index[r + i];
    if (!plain)
      for (long i = 0; i < n; i++) {
        if (index && ignores && at[i] == ignored) at[i] = -1;
        if (row_weight) weight[i] = row_weight[r + i];
        if (class_weight && !dense && at[i] >= 0) weight[i] *= class_weight[at[i]];
        factor[i] = weight[i] * scale;
      }
    Rows<T> out;
    if (grad) out = grad->rows(r, n);
    if (dense) {
      Rows<const T> wanted;
      if (target) wanted = target->rows(r, n);
      k.cross_entropy_dense(x.rows(r, n), target ? &wanted : nullptr, at, how, factor,
                            want_loss ? hi : nullptr, want_loss ? lo : nullptr,
                            grad ? &out : nullptr, classes, temperature, scratch);
    } else {
      k.cross_entropy(x.rows(r, n), at, factor, want_loss ? hi : nullptr, want_loss ? lo : nullptr,
                      grad ? &out : nullptr, classes, temperature, stream, scratch);
    }
    if (!plain)
      for (long i = 0; i < n; i++) {
        if (weight[i] == 0) {  // takes no part, whatever it holds
          if (want_loss) hi[i] = lo[i] = 0;
          if (grad)
            for (long c = 0; c < classes; c++) out.row[i][c * out.stride] = T(0);
        } else if (want_loss && weight[i] != 1.0) {
          const double p = weight[i] * hi[i];
          const double error = std::fma(weight[i], hi[i], -p) + weight[i] * lo[i];
          hi[i] = p, lo[i] = error == error ? error : 0.0;
        }
      }
    if (losses)
      for (long i = 0; i < n; i++) losses[r + i] = T(hi[i] + lo[i]);
    if (total) {
      if (group >= bundle_rows)
        sums[static_cast<std::size_t>(r / group)].add(r, n, hi, lo);
      else
        for (long i = 0; i < n; i++) sums[static_cast<std::size_t>(r + i)].add(hi[i], lo[i]);
    }
  });
  if (total) *total = nothing ? 0.0 : total_of(sums) / divisor;
  return true;
}

}  // namespace softgrad
