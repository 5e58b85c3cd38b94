// Long rows taken at their class blocks: by the threads that share one, and wherever classes lie
// apart, so that no copy of a whole row is needed. The blocks and the order in which they are
// joined are those of the kernels of whole rows, and so are the bits. The functions here and in
// shared_products.hpp and shared_cross_entropy.hpp stand in for the kernels of the same name.
#pragma once

#include <vector>

#include "bundles.hpp"
#include "dispatch.hpp"

namespace softgrad {

template <class... L>
bool are_contiguous(const L&... layouts) {
  return ((layouts.class_stride == 1) && ...);
}
// Whether to take rows at their blocks: with blocks enough in each, where classes lie apart or
// there are fewer rows than threads.
template <class... L>
bool worth_splitting(const Layout& a, const L&... others) {
  return a.classes >= 8 * block_classes &&
         (!are_contiguous(a, others...) || a.rows < get_num_threads());
}

// body(first row, rows) for all rows of such arrays: neighbours together, because they share cache
// lines. Threads share either the bundles or, if these are too few, the blocks of each.
template <class F, class... L>
void for_long_rows(F body, const Layout& a, const L&... others) {
  const bool together =
      !are_contiguous(a, others...) && (a.neighbours() || ... || others.neighbours());
  const long bundle = together ? bundle_rows : 1, bundles = (a.rows + bundle - 1) / bundle;
  const auto run = [&](long i) {
    const long rest = a.rows - i * bundle;
    body(i * bundle, rest < bundle ? rest : bundle);
  };
  if (bundles >= get_num_threads())
    parallel_for(bundles, double(a.rows) * double(a.classes), run);
  else
    for (long i = 0; i < bundles; i++) run(i);
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

// One block of some rows as the kernels of blocks take it: the rows' own memory, or where classes
// lie apart copies in the thread's scratch, at most three at a time.
template <class T>
class Blocks {
 public:
  Blocks(long from, long classes) : from_(from), classes_(classes) {}
  Rows<const T> read(const Rows<const T>& x) {
    const Rows<const T> part = part_of(x);
    if (x.stride == 1) return part;
    const Rows<T> packed = kernels_for<T>().pack(part, classes_, room());
    Rows<const T> r;
    r.stride = 1, r.count = x.count;
    for (long i = 0; i < x.count; i++) r.row[i] = packed.row[i];
    return r;
  }
  // Where results go before `write`.
  Rows<T> place(const Rows<T>& y) {
    Rows<T> part = part_of(y);
    if (y.stride == 1) return part;
    T* to = room();
    for (long i = 0; i < y.count; i++) part.row[i] = to + i * packed_block;
    part.stride = 1;
    return part;
  }
  void write(const Rows<T>& results, const Rows<T>& y) {
    if (y.stride != 1) kernels_for<T>().unpack(results, part_of(y), classes_);
  }

 private:
  template <class U>
  Rows<U> part_of(const Rows<U>& x) const {
    Rows<U> r;
    r.stride = x.stride, r.count = x.count;
    for (long i = 0; i < x.count; i++) r.row[i] = x.row[i] + from_ * x.stride;
    return r;
  }
  T* room() {
    constexpr long each = bundle_rows * packed_block;
    if (!scratch_) scratch_ = static_cast<T*>(thread_scratch(3 * each * sizeof(T)));
    return scratch_ + each * used_++;
  }
  long from_, classes_;
  T* scratch_ = nullptr;
  long used_ = 0;
};

// f(block, first class, classes, row, pointers) for every row and block of arrays of one shape.
template <class T, class F, class... X>
void visit_blocks(long classes, F f, const X&... x) {
  each_block(classes, [&](long b, long from, long n) {
    Blocks<T> blocks(from, n);
    const Rows<const T> rows[] = {blocks.read(x)...};
    for (long i = 0; i < rows[0].count; i++) {
      const T* at[sizeof...(x)];
      for (std::size_t k = 0; k < sizeof...(x); k++) at[k] = rows[k].row[i];
      f(b, from, n, i, at);
    }
  });
}
// The same with a place for results, which are written back.
template <class T, class F, class... X>
void map_blocks(long classes, const Rows<T>& y, F f, const X&... x) {
  each_block(classes, [&](long, long from, long n) {
    Blocks<T> blocks(from, n);
    const Rows<const T> rows[] = {blocks.read(x)...};
    const Rows<T> to = blocks.place(y);
    for (long i = 0; i < y.count; i++) {
      const T* at[sizeof...(x)];
      for (std::size_t k = 0; k < sizeof...(x); k++) at[k] = rows[k].row[i];
      f(from, n, i, at, to.row[i]);
    }
    blocks.write(to, y);
  });
}

// What is known of the blocks of some rows, row by row.
template <class S>
class BlockTable {
 public:
  BlockTable(long rows, long classes)
      : blocks_(blocks_of(classes)), all_(static_cast<std::size_t>(rows * blocks_)) {}
  S* row(long i) { return all_.data() + i * blocks_; }
  long blocks() const { return blocks_; }

 private:
  long blocks_;
  std::vector<S> all_;
};

// The first class of a row with the value `wanted`, which its block `b` holds.
template <class T>
long find_in_block(const Rows<const T>& x, long i, long b, double wanted) {
  long c = b * block_classes;
  while (double(x.row[i][c * x.stride]) != wanted) c++;
  return c;
}
template <class S>
long largest_block(const S* sums, long blocks) {
  long at = 0;
  for (long b = 1; b < blocks; b++)
    if (sums[b].max > sums[at].max) at = b;
  return at;
}

// The sums of rows of logits: for probabilities, for logarithms as well, or careful ones alone.
enum class Sums { probability, logarithm, careful };

template <class T>
class SharedRows {
 public:
  SharedRows(const Rows<const T>& x, long classes, double temperature, Sums kind)
      : x_(x), classes_(classes), temperature_(temperature), sums_(x.count, classes) {
    const Kernels<T>& k = kernels_for<T>();
    const bool fast = temperature == 1.0 && kind != Sums::careful;
    visit_blocks<T>(
        classes,
        [&](long b, long, long n, long i, const T** at) {
          fast ? k.block_sum(at[0], n, sums_.row(i) + b) : k.block_max(at[0], n, sums_.row(i) + b);
        },
        x_);
    bool care[bundle_rows], any = false;
    for (long i = 0; i < x.count; i++) {
      const BlockSum* s = sums_.row(i);
      const long top = largest_block(s, sums_.blocks());
      max_[i] = s[top].max, top_block_[i] = top;
      care[i] = !fast;
      if (fast) {
        sum_[i] = log_sum_[i] = k.join(s, sums_.blocks(), false, kind == Sums::logarithm);
        care[i] = kind == Sums::logarithm && k.needs_care(sum_[i]);
        nan_[i] = false;  // what is not NaN has a sum, whatever its maximum
        for (long b = 0; b < sums_.blocks(); b++) nan_[i] = nan_[i] || s[b].hi != s[b].hi;
      }
      any = any || care[i];
    }
    if (any) be_careful(care);
    for (long i = 0; i < x.count; i++)
      if (!fast) sum_[i] = log_sum_[i];
  }
  bool special(long i) const { return sum_[i].special; }
  const RowSum& logarithm(long i) const { return log_sum_[i]; }
  double max(long i) const { return max_[i]; }
  // Of fast sums: whether there is a NaN among the logits.
  bool any_nan(long i) const { return nan_[i]; }
  // The first class that is a maximum, of a row that is not special.
  long top(long i) const { return find_in_block(x_, i, top_block_[i], max_[i]); }

  // A row with skip[i] < 0 becomes 0.
  void emit(Output output, const Rows<T>& y, const double* factor, bool stream,
            const std::int64_t* skip = nullptr) const {
    map_blocks<T>(
        classes_, y,
        [&](long, long n, long i, const T** at, T* to) {
          if (skip && skip[i] < 0)
            for (long c = 0; c < n; c++) to[c] = T(0);
          else
            kernels_for<T>().emit(output, at[0], to, n,
                                  output == Output::log_probability ? log_sum_[i] : sum_[i],
                                  temperature_, factor ? factor[i] : 1.0, stream && y.stride == 1);
        },
        x_);
  }

 private:
  void be_careful(const bool* care) {
    const Kernels<T>& k = kernels_for<T>();
    visit_blocks<T>(
        classes_,
        [&](long b, long, long n, long i, const T** at) {
          if (care[i] && max_[i] - max_[i] == 0)
            k.careful_block_sum(at[0], n, max_[i], temperature_, sums_.row(i) + b);
        },
        x_);
    for (long i = 0; i < x_.count; i++) {
      if (!care[i]) continue;
      const bool finite = max_[i] - max_[i] == 0;
      if (!finite) sums_.row(i)[0] = {max_[i], 0, 0, 0, 0, 0};
      log_sum_[i] = k.join(sums_.row(i), finite ? sums_.blocks() : 1, true, true);
    }
  }

  const Rows<const T> x_;
  long classes_;
  double temperature_;
  BlockTable<BlockSum> sums_;
  double max_[bundle_rows];
  long top_block_[bundle_rows];
  bool nan_[bundle_rows];
  RowSum sum_[bundle_rows], log_sum_[bundle_rows];
};

template <class T>
void shared_normalize(Output output, const Rows<const T>& x, const Rows<T>& y, long classes,
                      double temperature, bool stream) {
  const Sums kind = output == Output::log_probability ? Sums::logarithm : Sums::probability;
  SharedRows<T>(x, classes, temperature, kind).emit(output, y, nullptr, stream);
}

template <class T>
void shared_logsumexp(const Rows<const T>& x, T* const* result, long classes) {
  const SharedRows<T> rows(x, classes, 1.0, Sums::logarithm);
  for (long i = 0; i < x.count; i++) {
    if (!rows.special(i))
      *result[i] = kernels_for<T>().logsumexp_of(rows.logarithm(i));
    else
      *result[i] = rows.any_nan(i) ? std::numeric_limits<T>::quiet_NaN() : T(rows.max(i));
  }
}

}  // namespace softgrad
