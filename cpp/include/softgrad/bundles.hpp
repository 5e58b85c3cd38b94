// Rows shared out: fixed groups of them go to threads, bundles of sixteen to a kernel. What is
// summed across rows follows the groups, so it does not depend on threads or layout.
#pragma once

#include <cmath>
#include <vector>

#include "layout.hpp"
#include "parallel.hpp"

namespace softgrad {

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

template <class T>
T* scratch_for(long classes, bool strided) {
  return static_cast<T*>(thread_scratch(Scratch<T>::size(classes, strided) * sizeof(T)));
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
  each_piece(groups, double(rows) * double(classes), [&](long g) {
    T* scratch = scratch_for<T>(classes, strided);
    const long after = lead + (g + 1 - leads) * group, begin = after > group ? after - group : 0;
    const long end = after < rows ? after : rows;
    for (long r = begin; r < end; r += bundle)
      body(r, end - r < bundle ? end - r : bundle, scratch);
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

}  // namespace softgrad
