#include "softgrad/dispatch.hpp"

#include <atomic>

namespace softgrad {
namespace {

std::vector<const KernelTable*> runnable() {
  std::vector<const KernelTable*> tables = {&baseline::table()};
#if defined(__x86_64__) && (defined(SOFTGRAD_HAVE_AVX2) || defined(SOFTGRAD_HAVE_AVX512))
  __builtin_cpu_init();
#endif
#ifdef SOFTGRAD_HAVE_AVX2
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("bmi2"))
    tables.push_back(&avx2::table());
#endif
#ifdef SOFTGRAD_HAVE_AVX512
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("bmi2"))
    tables.push_back(&avx512::table());
#endif
  return tables;
}

std::atomic<const KernelTable*>& active() {
  static std::atomic<const KernelTable*> table = runnable().back();
  return table;
}

}  // namespace

std::vector<std::string> available_instruction_sets() {
  std::vector<std::string> names;
  for (const KernelTable* t : runnable()) names.emplace_back(t->name);
  return names;
}

bool set_instruction_set(const std::string& name) {
  for (const KernelTable* t : runnable())
    if (name == t->name) {
      active().store(t);
      return true;
    }
  return false;
}

const KernelTable& active_kernels() { return *active().load(std::memory_order_relaxed); }

}  // namespace softgrad
