// Losses over whole arrays of any layout: rows are shared out to threads in the fixed groups of
// batch.hpp, entries go to the kernels in strips: several short rows, or a part of a long one.
#pragma once

#include <algorithm>
#include <cstring>

#include "batch.hpp"
#include "loss_kernels.hpp"

namespace softgrad {

template <class T>
const LossKernels<T>& loss_kernels_for() {
  const LossTable& table = active_kernels().losses();
  if constexpr (sizeof(T) == 4)
    return table.f32;
  else
    return table.f64;
}

// What all losses of rows have in common: weights, a divisor, and where the results go.
template <class T>
struct RowLoss {
  Array<const T> x;
  const double* row_weight = nullptr;  // a row of weight 0 is 0 whatever it holds
  double divisor = 1;                  // of the total and of derivatives; 0: nothing took part
  double grad_scale = 1;
  T* losses = nullptr;      // one per row, or
  double* total = nullptr;  // their sum over the divisor
  const Array<T>* derivative = nullptr;

  double scale() const { return divisor == 0 ? 0.0 : grad_scale / divisor; }
  double weight(long row) const { return row_weight ? row_weight[row] : 1.0; }
  bool wants_loss() const { return losses || total; }

  // body(first row, end, deliver) for each group of rows, where deliver(row, hi, lo) takes its
  // loss.
  template <class F>
  void run(double work, F body) const {
    const long rows = x.layout.rows, group = group_rows(x.layout.classes);
    const long groups = (rows + group - 1) / group;
    std::vector<RowTotal> sums(total ? static_cast<std::size_t>(groups) : 0);
    each_piece(groups, double(rows) * double(x.layout.classes) * work, [&](long g) {
      auto deliver = [&](long r, double hi, double lo) {
        const double w = weight(r);
        if (w == 0) {
          hi = lo = 0;
        } else if (w != 1.0) {
          const double p = w * hi, error = std::fma(w, hi, -p) + w * lo;
          hi = p, lo = error == error ? error : 0.0;
        }
        if (losses) losses[r] = T(hi + lo);
        if (total) sums[static_cast<std::size_t>(g)].add(r, 1, &hi, &lo);
      };
      const long end = (g + 1) * group;
      body(g * group, end < rows ? end : rows, deliver);
    });
    if (total) *total = divisor == 0 ? 0.0 : total_of(sums) / divisor;
  }
};

// Rows in a strip, and where they are read from and written to: directly where they follow one
// another in memory, else by way of a buffer.
template <class T>
bool rows_follow(const Layout& a) {
  return a.class_stride == 1 && (a.dims == 0 || (a.dims == 1 && a.stride[0] == a.classes));
}
template <class T>
void each_entry(const Array<T>& a, long row, long count, long from, long n, auto body) {
  Rows<T> r;
  for (long first = 0; first < count; first += wide_rows) {
    const long some = count - first < wide_rows ? count - first : wide_rows;
    a.layout.fill(a.data, row + first, some, r);
    const bool side_by_side = r.stride > 1 || r.stride < -1;
    if (side_by_side && some > 1)
      for (long c = 0; c < n; c++)
        for (long i = 0; i < some; i++) body((first + i) * n + c, r.row[i][(from + c) * r.stride]);
    else
      for (long i = 0; i < some; i++)
        for (long c = 0; c < n; c++) body((first + i) * n + c, r.row[i][(from + c) * r.stride]);
  }
}
template <class T>
void fill_row_with(T* y, long n, std::ptrdiff_t stride, T value) {
  if (stride == 1 && value == T(0))
    std::memset(y, 0, static_cast<std::size_t>(n) * sizeof(T));
  else if (stride == 1)
    std::fill_n(y, n, value);
  else
    for (long c = 0; c < n; c++) y[c * stride] = value;
}
template <class T>
T* place(const Array<T>& a, long row, long count, long from, T* buffer) {
  const Layout& l = a.layout;
  if (count > 1 ? rows_follow<T>(l) : l.class_stride == 1) return a.data + l.offset(row) + from;
  return buffer;
}

template <class T>
struct ElementLoss : RowLoss<T> {
  LossKind kind;
  LossParameters how;
  const Array<const T>* target = nullptr;           // of x's shape, or
  const std::int64_t* index = nullptr;              // one per row: 1 at that class, 0 elsewhere
  const Array<const std::uint8_t>* mask = nullptr;  // 0: the entry takes no part
  const double* class_weight = nullptr;
  const double* positive = nullptr;  // per class
  Derivative wanted = Derivative::none;

  // False if a class index of a row that weighs something is out of range; some results may have
  // been written then.
  bool run() const;

 private:
  bool gathers() const { return index && how.keep == 1 && how.spread == 0; }
  struct Buffers;
  void strip(long row, long count, long from, long n, Buffers& b) const;
  template <class F>
  void group(long begin, long end, F deliver, Buffers& b) const;
  template <class F>
  void gathered_group(long begin, long end, F deliver, Buffers& b) const;
};

template <class T>
struct ElementLoss<T>::Buffers {
  alignas(64) T x[strip_length], target[strip_length], out[strip_length];
  alignas(64) double weight[strip_length], positive[strip_length], factor[strip_length];
  alignas(64) double hi[strip_length], lo[strip_length];
  double sum_hi[strip_length], sum_lo[strip_length];
  long pattern = 0;  // rows whose class weights and positive weights are laid out
};

// `count` rows of n entries, or (count = 1) n entries of a row from class `from` on.
template <class T>
void ElementLoss<T>::strip(long row, long count, long from, long n, Buffers& b) const {
  const long size = count * n;
  const T* x = place(this->x, row, count, from, static_cast<const T*>(b.x));
  if (x == b.x) each_entry(this->x, row, count, from, n, [&](long k, const T& v) { b.x[k] = v; });
  const T* y = b.target;
  if (index) {
    std::fill_n(b.target, size, T(0));
    for (long i = 0; i < count; i++)
      if (index[row + i] >= from && index[row + i] < from + n)
        b.target[i * n + index[row + i] - from] = T(1);
  } else {
    y = place(*target, row, count, from, static_cast<const T*>(b.target));
    if (y == b.target)
      each_entry(*target, row, count, from, n, [&](long k, const T& v) { b.target[k] = v; });
  }
  const bool part = n < this->x.layout.classes;
  if (part || mask || b.pattern < count) {
    for (long i = 0; i < count; i++)
      for (long c = 0; c < n; c++) {
        if (class_weight || mask) b.weight[i * n + c] = class_weight ? class_weight[from + c] : 1.0;
        if (positive) b.positive[i * n + c] = positive[from + c];
      }
    b.pattern = part || mask ? 0 : count;
  }
  if (mask)
    each_entry(*mask, row, count, from, n, [&](long k, const std::uint8_t& v) {
      if (!v) b.weight[k] = 0;
    });
  const bool weighs = class_weight || mask;
  T* out = nullptr;
  if (this->derivative) {
    const double scale = this->scale();
    if (this->row_weight)
      for (long i = 0; i < count; i++)
        std::fill_n(b.factor + i * n, n, this->row_weight[row + i] * scale);
    out = place(*this->derivative, row, count, from, b.out);
  }
  const StripFactors by = {weighs ? b.weight : nullptr, positive ? b.positive : nullptr,
                           this->derivative ? b.factor : nullptr};
  const bool value = this->wants_loss();
  loss_kernels_for<T>().entries(kind, wanted, how, x, y, by, value ? b.hi : nullptr,
                                value ? b.lo : nullptr, out, size);
  if (out == b.out)
    each_entry(*this->derivative, row, count, from, n, [&](long k, T& v) { v = b.out[k]; });
}

template <class T>
template <class F>
void ElementLoss<T>::group(long begin, long end, F deliver, Buffers& b) const {
  const long classes = this->x.layout.classes;
  const LossKernels<T>& k = loss_kernels_for<T>();
  const bool value = this->wants_loss();
  if (classes <= strip_length) {
    const long most = strip_length / classes;
    for (long r = begin; r < end; r += most) {
      const long count = end - r < most ? end - r : most;
      strip(r, count, 0, classes, b);
      if (!value) continue;
      const double *hi = b.hi, *lo = b.lo;
      if (classes > 1) {
        k.row_sums(b.hi, b.lo, count, classes, b.sum_hi, b.sum_lo);
        hi = b.sum_hi, lo = b.sum_lo;
      }
      for (long i = 0; i < count; i++) deliver(r + i, hi[i], lo[i]);
    }
    return;
  }
  for (long r = begin; r < end; r++) {
    alignas(64) double sums_hi[16] = {}, sums_lo[16] = {};
    for (long c = 0; c < classes; c += strip_length) {
      const long n = classes - c < strip_length ? classes - c : strip_length;
      strip(r, 1, c, n, b);
      if (value) k.add_strip(b.hi, b.lo, n, sums_hi, sums_lo);
    }
    if (!value) continue;
    double hi, lo;
    k.row_sum(sums_hi, sums_lo, &hi, &lo);
    deliver(r, hi, lo);
  }
}

// A target of one class and a loss that has no other term: only that entry of a row is computed.
template <class T>
template <class F>
void ElementLoss<T>::gathered_group(long begin, long end, F deliver, Buffers& b) const {
  const long classes = this->x.layout.classes;
  const bool value = this->wants_loss();
  const double scale = this->scale();
  std::fill_n(b.target, strip_length, T(1));
  for (long r = begin; r < end; r += strip_length) {
    const long count = end - r < strip_length ? end - r : strip_length;
    for (long i = 0; i < count; i++) {
      const std::int64_t t = index[r + i];
      const bool takes_part = t >= 0 && t < classes && this->weight(r + i) != 0;
      const Layout& l = this->x.layout;
      b.x[i] = takes_part ? this->x.data[l.offset(r + i) + t * l.class_stride] : T(1);
      b.weight[i] = !takes_part ? 0.0 : class_weight ? class_weight[t] : 1.0;
      b.factor[i] = this->weight(r + i) * scale;
    }
    loss_kernels_for<T>().entries(kind, wanted, how, b.x, b.target, {b.weight, nullptr, b.factor},
                                  value ? b.hi : nullptr, value ? b.lo : nullptr, b.out, count);
    if (value)
      for (long i = 0; i < count; i++) deliver(r + i, b.hi[i], b.lo[i]);
    if (!this->derivative) continue;
    const Layout& l = this->derivative->layout;
    for (long i = 0; i < count; i++) {
      T* to = this->derivative->data + l.offset(r + i);
      fill_row_with(to, classes, l.class_stride, T(0));
      if (b.weight[i] != 0) to[index[r + i] * l.class_stride] = b.out[i];
    }
  }
}

template <class T>
bool ElementLoss<T>::run() const {
  const long classes = this->x.layout.classes, rows = this->x.layout.rows;
  if (index)
    for (long r = 0; r < rows; r++)
      if ((index[r] < 0 || index[r] >= classes) && this->weight(r) != 0) return false;
  if (rows == 0 || classes == 0) {
    if (this->total) *this->total = 0;
    for (long r = 0; this->losses && r < rows; r++) this->losses[r] = T(0);
    return true;
  }
  const bool gathered = gathers();
  this->RowLoss<T>::run(gathered ? 1.0 : 4.0, [&](long begin, long end, auto deliver) {
    Buffers& b = *static_cast<Buffers*>(thread_scratch(sizeof(Buffers)));
    b.pattern = 0;
    std::fill_n(b.factor, strip_length, this->scale());
    if (gathered)
      gathered_group(begin, end, deliver, b);
    else
      group(begin, end, deliver, b);
  });
  return true;
}

// The focal loss of class indices: the cross-entropy's own kernels give log p of the target and the
// gradient p - [target], which is then scaled by -d loss / d log p. A factor above 4 would show how
// subnormal probabilities were rounded; such rows are computed again with their factor.
template <class T>
struct FocalLoss : RowLoss<T> {
  const std::int64_t* index;
  double gamma = 0;

  void run() const {
    const Layout& a = this->x.layout;
    const bool strided =
        a.class_stride != 1 || (this->derivative && this->derivative->layout.class_stride != 1);
    const std::size_t bytes = Scratch<T>::size(a.classes, strided) * sizeof(T);
    const long bundle = std::min(bundle_rows, Scratch<T>::packed_rows(a.classes));
    this->RowLoss<T>::run(2.0, [&](long begin, long end, auto deliver) {
      T* scratch = static_cast<T*>(thread_scratch(bytes));
      for (long r = begin; r < end; r += bundle) {
        const long n = end - r < bundle ? end - r : bundle;
        double value[bundle_rows], low[bundle_rows];
        for (bool again : {false, true}) part(r, n, again, value, low, scratch);
        for (long i = 0; i < n; i++) deliver(r + i, value[i], low[i]);
      }
    });
  }

 private:
  bool is_computed_again(long row) const {
    const double factor = this->weight(row) * this->scale() * (1 + gamma);
    return this->derivative && !(factor <= 4 && factor >= -4);
  }
  // Those of n rows that are computed once, or those that are computed again.
  void part(long first, long n, bool again, double* value, double* low, T* scratch) const {
    const Kernels<T>& k = kernels_for<T>();
    const LossKernels<T>& l = loss_kernels_for<T>();
    const long classes = this->x.layout.classes;
    Rows<const T> x = this->x.rows(first, n);
    Rows<T> out;
    if (this->derivative) out = this->derivative->rows(first, n);
    long from[bundle_rows], count = 0;
    std::int64_t at[bundle_rows];
    double ones[bundle_rows], hi[bundle_rows], lo[bundle_rows];
    for (long i = 0; i < n; i++) {
      if (is_computed_again(first + i) != again) continue;
      x.row[count] = x.row[i];
      if (this->derivative) out.row[count] = out.row[i];
      at[count] = this->weight(first + i) == 0 ? -1 : index[first + i];
      ones[count] = 1.0;
      from[count++] = i;
    }
    if (count == 0) return;
    x.count = out.count = count;
    const bool writes = this->derivative && !again;
    k.cross_entropy(x, at, ones, hi, lo, writes ? &out : nullptr, classes, 1.0, false, scratch);
    double v[bundle_rows], e[bundle_rows], slope[bundle_rows];
    l.focal_rows(gamma, hi, lo, count, v, e, slope);
    for (long i = 0; i < count; i++) {
      value[from[i]] = v[i], low[from[i]] = e[i];
      slope[i] = -slope[i] * (this->weight(first + from[i]) * this->scale());
    }
    if (again) k.cross_entropy(x, at, slope, nullptr, nullptr, &out, classes, 1.0, false, scratch);
    if (!writes) return;
    for (long i = 0; i < count; i++) {
      if (out.stride == 1)
        l.scale(out.row[i], classes, slope[i]);
      else
        for (long c = 0; c < classes; c++)
          out.row[i][c * out.stride] = T(double(out.row[i][c * out.stride]) * slope[i]);
    }
  }
};

// max(0, margin + max_{j != y} x_j - x_y).
template <class T>
struct HingeLoss : RowLoss<T> {
  const std::int64_t* index;
  double margin = 1;

  void run() const {
    const Layout& a = this->x.layout;
    const LossKernels<T>& k = loss_kernels_for<T>();
    const double scale = this->scale();
    this->RowLoss<T>::run(1.0, [&](long begin, long end, auto deliver) {
      T* packed = static_cast<T*>(thread_scratch(static_cast<std::size_t>(a.classes) * sizeof(T)));
      for (long r = begin; r < end; r++) {
        const double w = this->weight(r);
        double hi = 0, lo = 0;
        long rival = -1;
        if (w != 0) {
          const T* x = this->x.data + a.offset(r);
          if (a.class_stride != 1) {
            for (long c = 0; c < a.classes; c++) packed[c] = x[c * a.class_stride];
            x = packed;
          }
          rival = k.runner_up(x, a.classes, index[r], margin, &hi, &lo);
          if (hi + lo <= 0) hi = lo = 0, rival = -1;
        }
        deliver(r, hi, lo);
        if (!this->derivative) continue;
        const Layout& l = this->derivative->layout;
        T* to = this->derivative->data + l.offset(r);
        const T rest = hi != hi ? T(hi) : T(0);
        fill_row_with(to, a.classes, l.class_stride, rest);
        if (rival < 0 || hi != hi) continue;
        to[rival * l.class_stride] = T(w * scale);
        to[index[r] * l.class_stride] = T(-(w * scale));
      }
    });
  }
};

}  // namespace softgrad
