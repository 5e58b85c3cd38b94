// Loops over independent pieces of work on OpenMP threads, and memory for them.
//
// The number of threads is OpenMP's (so threadpoolctl and OMP_NUM_THREADS govern it) unless
// set_num_threads fixed one. Small work stays on the calling thread. After a fork the child of a
// process that has used threads runs on one: the OpenMP runtime's threads did not survive.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace softgrad {

void set_num_threads(int n);  // 0: follow OpenMP
// For the calling thread alone, and first; 0: as the process does. Returns what was set before.
int set_own_threads(int n);
int get_num_threads();
bool has_openmp();

// Work (in elements touched) below this is not worth waking a thread for.
constexpr long parallel_grain = 1L << 15;

// Calls body(piece) for 0 <= piece < pieces, each once; `work` is the total in elements. A
// std::bad_alloc in a piece is thrown again in the calling thread.
void parallel_for(long pieces, double work, const std::function<void(long)>& body);

// Memory of at least n bytes, aligned to 64, of the calling thread; small ones are kept for the
// next call. Valid until the next call of this function in the same thread.
void* thread_scratch(std::size_t bytes);

}  // namespace softgrad
