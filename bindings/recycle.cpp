#include "recycle.hpp"

#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <unordered_map>

#if defined(__linux__)
#include <sys/mman.h>
#define SOFTGRAD_RECYCLES 1
#endif

namespace softgrad {

#ifdef SOFTGRAD_RECYCLES
namespace {

constexpr std::size_t huge_page = std::size_t(2) << 20;
constexpr std::size_t colours = 32, colour_step = 128 + 4096 / colours;
void* mapping_of(void* data) {
  return reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(data) / huge_page * huge_page);
}

struct Block {
  void* data;
  std::size_t size;
};

struct Pool {
  std::mutex mutex;
  std::unordered_map<void*, std::size_t> live;  // size of each block in use
  std::deque<Block> idle;                       // oldest first
  std::size_t idle_bytes = 0, colour = 0;
  std::size_t limit = std::size_t(512) << 20;
};
Pool& pool() {
  static Pool* p = new Pool;  // never destroyed: arrays may outlive the module
  return *p;
}

void trim(Pool& p, std::size_t limit) {
  while (p.idle_bytes > limit) {
    Block b = p.idle.front();
    p.idle.pop_front();
    p.idle_bytes -= b.size;
    munmap(mapping_of(b.data), b.size);
  }
}

void* take(void*, std::size_t bytes) {
  const std::size_t size = (bytes + colours * colour_step + huge_page - 1) / huge_page * huge_page;
  Pool& p = pool();
  std::lock_guard<std::mutex> lock(p.mutex);
  for (auto it = p.idle.rbegin(); it != p.idle.rend(); ++it)
    if (it->size >= size && it->size <= size + size / 4) {
      void* data = it->data;
      p.idle_bytes -= it->size;
      p.live[data] = it->size;
      p.idle.erase(std::next(it).base());
      return data;
    }
  // Mapped with room to begin on a huge page. Arrays that all began at the same offset in a page
  // would collide in the cache and stall loads behind stores (4 KiB aliasing), so each begins
  // elsewhere.
  char* raw = static_cast<char*>(
      mmap(nullptr, size + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (raw == MAP_FAILED) {
    trim(p, 0);
    raw = static_cast<char*>(mmap(nullptr, size + huge_page, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (raw == MAP_FAILED) return nullptr;
  }
  const std::size_t head =
      (huge_page - reinterpret_cast<std::uintptr_t>(raw) % huge_page) % huge_page;
  if (head) munmap(raw, head);
  if (head != huge_page) munmap(raw + head + size, huge_page - head);
  madvise(raw + head, size, MADV_HUGEPAGE);
  p.colour = (p.colour + 11) % colours;
  char* data = raw + head + p.colour * colour_step;
  p.live[data] = size;
  return data;
}

void give_back(void*, void* data, std::size_t) {
  if (!data) return;
  Pool& p = pool();
  std::lock_guard<std::mutex> lock(p.mutex);
  const auto it = p.live.find(data);
  const std::size_t size = it->second;
  p.live.erase(it);
  if (size > p.limit) {
    munmap(mapping_of(data), size);
    return;
  }
  madvise(mapping_of(data), size, MADV_FREE);
  p.idle.push_back({data, size});
  p.idle_bytes += size;
  trim(p, p.limit);
}

void* take_zeroed(void* context, std::size_t count, std::size_t each) {
  void* data = take(context, count * each);
  if (data) std::memset(data, 0, count * each);
  return data;
}

void* resize(void* context, void* data, std::size_t bytes) {
  std::size_t old;
  {
    std::lock_guard<std::mutex> lock(pool().mutex);
    old = pool().live[data];
  }
  void* fresh = take(context, bytes);
  if (!fresh) return nullptr;
  old -= static_cast<std::size_t>(static_cast<char*>(data) - static_cast<char*>(mapping_of(data)));
  std::memcpy(fresh, data, old < bytes ? old : bytes);
  give_back(context, data, 0);
  return fresh;
}

PyObject* handler() {
  static PyDataMem_Handler h = {
      "softgrad_recycled", 1, {nullptr, take, take_zeroed, resize, give_back}};
  static PyObject* capsule = PyCapsule_New(&h, "mem_handler", nullptr);
  return capsule;
}

}  // namespace

std::size_t recycle_limit() {
  std::lock_guard<std::mutex> lock(pool().mutex);
  return pool().limit;
}
void set_recycle_limit(std::size_t bytes) {
  std::lock_guard<std::mutex> lock(pool().mutex);
  pool().limit = bytes;
  trim(pool(), bytes);
}
#else
std::size_t recycle_limit() { return 0; }
void set_recycle_limit(std::size_t) {}
#endif

PyArrayObject* new_array(int ndim, const npy_intp* shape, int type) {
  npy_intp* dims = const_cast<npy_intp*>(shape);
#ifdef SOFTGRAD_RECYCLES
  const std::size_t item = type == NPY_FLOAT32 ? 4 : 8;
  if (std::size_t(PyArray_MultiplyList(dims, ndim)) * item >= recycle_from && recycle_limit() > 0) {
    PyObject* before = PyDataMem_SetHandler(handler());
    if (!before) return nullptr;
    PyArrayObject* a = reinterpret_cast<PyArrayObject*>(PyArray_EMPTY(ndim, dims, type, 0));
    PyObject* ours = PyDataMem_SetHandler(before);
    Py_DECREF(before);
    Py_XDECREF(ours);
    return a;
  }
#endif
  return reinterpret_cast<PyArrayObject*>(PyArray_EMPTY(ndim, dims, type, 0));
}

}  // namespace softgrad
