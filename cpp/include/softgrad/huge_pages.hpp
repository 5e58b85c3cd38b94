// Vectors that lie in huge pages where they are large: rows of weights that are looked up all over
// memory would else cost a walk through the page tables each.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace softgrad {

template <class T>
struct HugePages {
  using value_type = T;
  static constexpr std::size_t page = std::size_t(1) << 21;

  HugePages() = default;
  template <class U>
  HugePages(const HugePages<U>&) {}

  T* allocate(std::size_t n) {
    if (n > (static_cast<std::size_t>(-1) - page) / sizeof(T)) throw std::bad_alloc();
    const std::size_t bytes = n * sizeof(T);
#ifdef __linux__
    if (bytes >= 2 * page) {
      const std::size_t whole = (bytes + page - 1) / page * page;
      void* data = std::aligned_alloc(page, whole);
      if (!data) throw std::bad_alloc();
      madvise(data, whole, MADV_HUGEPAGE);
      return static_cast<T*>(data);
    }
#endif
    void* data = std::malloc(bytes ? bytes : 1);
    if (!data) throw std::bad_alloc();
    return static_cast<T*>(data);
  }
  void deallocate(T* data, std::size_t) { std::free(data); }
  template <class U>
  bool operator==(const HugePages<U>&) const {
    return true;
  }
};

template <class T>
using Buffer = std::vector<T, HugePages<T>>;

}  // namespace softgrad
