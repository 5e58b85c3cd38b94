// The numbers of a CSR matrix once more, column by column.
//
// Row by row, the product of the transposed matrix with the residuals adds every row's residual to
// gradients all over memory, and every group of rows needs gradients of its own. Column by column a
// component of the gradient is one chain of fused multiply-adds over the rows, in their order: it
// is written once, whatever the threads, and what is looked up is the far smaller matrix of
// residuals.
#pragma once

#include <cstdint>
#include <vector>

#include "huge_pages.hpp"

namespace softgrad {

struct LinearColumns {
  std::vector<long> start;   // of each column, and the end of the last
  Buffer<std::int32_t> row;  // rising within a column
  Buffer<float> floats;      // the numbers, in the type of the rows
  Buffer<double> doubles;

  template <class X>
  auto& values() {
    if constexpr (sizeof(X) == 4)
      return floats;
    else
      return doubles;
  }
  template <class X>
  const X* values() const {
    return const_cast<LinearColumns*>(this)->values<X>().data();
  }

  // Of a matrix with fewer than 2^31 rows whose indices have been checked.
  template <class X, class I>
  void fill(const X* value, const I* row_start, const I* column, long rows, long features) {
    start.assign(static_cast<std::size_t>(features + 1), 0);
    for (I j = row_start[0]; j < row_start[rows]; j++)
      start[static_cast<std::size_t>(column[j] + 1)]++;
    for (std::size_t d = 1; d < start.size(); d++) start[d] += start[d - 1];
    row.resize(static_cast<std::size_t>(start.back()));
    Buffer<X>& to = values<X>();
    to.resize(row.size());
    std::vector<long> next(start.begin(), start.end() - 1);
    for (long i = 0; i < rows; i++)
      for (I j = row_start[i]; j < row_start[i + 1]; j++) {
        const std::size_t at =
            static_cast<std::size_t>(next[static_cast<std::size_t>(column[j])]++);
        row[at] = static_cast<std::int32_t>(i), to[at] = value[j];
      }
  }
};

}  // namespace softgrad
