#include "softgrad/parallel.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define SOFTGRAD_HAVE_FORK 1
#endif

namespace softgrad {
namespace {

std::atomic<int> fixed_threads{0};
thread_local int own_threads = 0;
std::atomic<bool> threads_used{false};
std::atomic<bool> orphaned{false};  // a forked child whose parent had threads

#ifdef SOFTGRAD_HAVE_FORK
const int register_fork_handler = [] {
  return pthread_atfork(nullptr, nullptr, [] {
    if (threads_used.load()) orphaned.store(true);
  });
}();
#endif

struct Buffer {
  void* data = nullptr;
  std::size_t size = 0;
  void release() {
    std::free(data);
    data = nullptr, size = 0;
  }
  ~Buffer() { std::free(data); }
};

}  // namespace

bool has_openmp() {
#ifdef _OPENMP
  return true;
#else
  return false;
#endif
}

void set_num_threads(int n) { fixed_threads.store(n < 0 ? 0 : n); }

int set_own_threads(int n) {
  const int before = own_threads;
  own_threads = n < 0 ? 0 : n;
  return before;
}

int get_num_threads() {
#ifdef _OPENMP
  if (orphaned.load(std::memory_order_relaxed)) return 1;
  if (own_threads > 0) return own_threads;
  const int fixed = fixed_threads.load(std::memory_order_relaxed);
  const int n = fixed > 0 ? fixed : omp_get_max_threads();
  return n < 1 ? 1 : n;
#else
  return 1;
#endif
}

void parallel_for(long pieces, double work, const std::function<void(long)>& body) {
#ifdef _OPENMP
  if (pieces > 1 && work >= 2.0 * parallel_grain && !omp_in_parallel()) {
    long threads = get_num_threads();
    if (threads > pieces) threads = pieces;
    const double most = work / parallel_grain;
    if (static_cast<double>(threads) > most) threads = static_cast<long>(most);
    if (threads > 1) {
      threads_used.store(true, std::memory_order_relaxed);
      std::atomic<bool> out_of_memory{false};
#pragma omp parallel for schedule(static) num_threads(static_cast<int>(threads))
      for (long i = 0; i < pieces; i++) {
        try {
          body(i);
        } catch (const std::bad_alloc&) {
          out_of_memory.store(true);
        }
      }
      if (out_of_memory.load()) throw std::bad_alloc();
      return;
    }
  }
#endif
  (void)work;
  for (long i = 0; i < pieces; i++) body(i);
}

void* thread_scratch(std::size_t bytes) {
  constexpr std::size_t kept = std::size_t(16) << 20;
  thread_local Buffer buffer;
  if (buffer.size > kept && bytes <= kept) buffer.release();
  if (bytes > buffer.size) {
    buffer.release();
    const std::size_t rounded = (bytes + 4095) / 4096 * 4096;
    buffer.data = std::aligned_alloc(4096, rounded);
    if (!buffer.data) throw std::bad_alloc();
    buffer.size = rounded;
  }
  return buffer.data;
}

}  // namespace softgrad
