// Sixteen virtual lanes on vectors of 16, 32 or 64 bytes.
//
// Every kernel is written for sixteen lanes; the instruction set only decides how many registers
// hold them. Sums therefore take the same order everywhere, and with a fused multiply-add the
// results have the same bits on every instruction set. Every fma is written out (the build turns
// contraction off); without a hardware fma it is a multiplication and an addition, which changes
// last bits only: no kernel relies on fma for exactness except through two_product below.
//
// Include only from kernels.cpp: everything lives in the namespace of one instruction set.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define SOFTGRAD_INLINE inline __attribute__((always_inline))

namespace softgrad::SOFTGRAD_ISA {

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define SOFTGRAD_VECTOR_BYTES 64
#elif defined(__AVX2__) && defined(__FMA__)
#define SOFTGRAD_VECTOR_BYTES 32
#else
#define SOFTGRAD_VECTOR_BYTES 16
#endif
#if defined(__FMA__) || defined(__aarch64__) || defined(__ARM_FEATURE_FMA)
#define SOFTGRAD_HAS_FMA 1
#else
#define SOFTGRAD_HAS_FMA 0
#endif

constexpr int vector_bytes = SOFTGRAD_VECTOR_BYTES;
constexpr int lanes = 16;

// One hardware register of floats, doubles and their integer bit patterns. `vhf` is half a
// register of floats: what one register of doubles converts to.
typedef float vf __attribute__((vector_size(vector_bytes)));
typedef double vd __attribute__((vector_size(vector_bytes)));
typedef std::int32_t vi __attribute__((vector_size(vector_bytes)));
typedef std::int64_t vl __attribute__((vector_size(vector_bytes)));
typedef float vhf __attribute__((vector_size(vector_bytes / 2)));
typedef float vf_any __attribute__((vector_size(vector_bytes), aligned(4), may_alias));
typedef double vd_any __attribute__((vector_size(vector_bytes), aligned(8), may_alias));
typedef float vhf_any __attribute__((vector_size(vector_bytes / 2), aligned(4), may_alias));

constexpr int width_f = vector_bytes / 4;
constexpr int width_d = vector_bytes / 8;
constexpr int regs_f = lanes / width_f;
constexpr int regs_d = lanes / width_d;

constexpr double infinity = std::numeric_limits<double>::infinity();

SOFTGRAD_INLINE vf splat(float a) { return a - vf{}; }
SOFTGRAD_INLINE vd splat(double a) { return a - vd{}; }

SOFTGRAD_INLINE vd fma(vd a, vd b, vd c) {
#if SOFTGRAD_VECTOR_BYTES == 64
  return (vd)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif SOFTGRAD_VECTOR_BYTES == 32
  return (vd)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif SOFTGRAD_HAS_FMA
  vd r;
  for (int i = 0; i < width_d; i++) r[i] = __builtin_fma(a[i], b[i], c[i]);
  return r;
#else
  return a * b + c;
#endif
}
SOFTGRAD_INLINE vf fma(vf a, vf b, vf c) {
#if SOFTGRAD_VECTOR_BYTES == 64
  return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif SOFTGRAD_VECTOR_BYTES == 32
  return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif SOFTGRAD_HAS_FMA
  vf r;
  for (int i = 0; i < width_f; i++) r[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return r;
#else
  return a * b + c;
#endif
}

// max(a, b) that returns b when either is NaN: maximum(new, best) skips NaN, while
// maximum(bound, x) lets NaN through. The operand order is the contract.
SOFTGRAD_INLINE vf maximum(vf a, vf b) {
#if SOFTGRAD_VECTOR_BYTES == 64
  return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif SOFTGRAD_VECTOR_BYTES == 32
  return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__x86_64__)
  return (vf)_mm_max_ps((__m128)a, (__m128)b);
#else
  return a > b ? a : b;
#endif
}
SOFTGRAD_INLINE vd maximum(vd a, vd b) {
#if SOFTGRAD_VECTOR_BYTES == 64
  return (vd)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif SOFTGRAD_VECTOR_BYTES == 32
  return (vd)_mm256_max_pd((__m256d)a, (__m256d)b);
#elif defined(__x86_64__)
  return (vd)_mm_max_pd((__m128d)a, (__m128d)b);
#else
  return a > b ? a : b;
#endif
}

// fma(a, b, c), and 0 where x <= lowest, whatever a, b and c are there. NaN in x is above.
SOFTGRAD_INLINE vf fma_above(vf x, vf lowest, vf a, vf b, vf c) {
#if SOFTGRAD_VECTOR_BYTES == 64
  const __mmask16 above = _mm512_cmp_ps_mask((__m512)x, (__m512)lowest, _CMP_NLE_UQ);
  return (vf)_mm512_maskz_fmadd_ps(above, (__m512)a, (__m512)b, (__m512)c);
#else
  return (vf)(~(x <= lowest) & (vi)fma(a, b, c));
#endif
}
SOFTGRAD_INLINE vd fma_above(vd x, vd lowest, vd a, vd b, vd c) {
#if SOFTGRAD_VECTOR_BYTES == 64
  const __mmask8 above = _mm512_cmp_pd_mask((__m512d)x, (__m512d)lowest, _CMP_NLE_UQ);
  return (vd)_mm512_maskz_fmadd_pd(above, (__m512d)a, (__m512d)b, (__m512d)c);
#else
  return (vd)(~(x <= lowest) & (vl)fma(a, b, c));
#endif
}

// table[k mod 8] for the integers k in the low bits of t; the table begins on a cache line. That of
// floats holds its eight numbers twice.
SOFTGRAD_INLINE vf pick(const float* table, vf t) {
#if SOFTGRAD_VECTOR_BYTES == 64
  return (vf)_mm512_permutexvar_ps((__m512i)t, _mm512_load_ps(table));
#elif SOFTGRAD_VECTOR_BYTES == 32
  return (vf)_mm256_permutevar8x32_ps(_mm256_load_ps(table), (__m256i)t);
#else
  vf r;
  for (int i = 0; i < width_f; i++) r[i] = table[((vi)t)[i] & 7];
  return r;
#endif
}
SOFTGRAD_INLINE vd pick(const double* table, vd t) {
#if SOFTGRAD_VECTOR_BYTES == 64
  return (vd)_mm512_permutexvar_pd((__m512i)t, _mm512_load_pd(table));
#elif SOFTGRAD_VECTOR_BYTES == 32
  // A double as two floats, whose numbers in half of the table are 2 k and 2 k + 1 mod 8.
  __m256i k = _mm256_castps_si256(_mm256_moveldup_ps((__m256)t));
  k = _mm256_or_si256(_mm256_add_epi32(k, k), _mm256_set1_epi64x(1LL << 32));
  const float* half = reinterpret_cast<const float*>(table);
  const __m256 a = _mm256_permutevar8x32_ps(_mm256_load_ps(half), k);
  const __m256 b = _mm256_permutevar8x32_ps(_mm256_load_ps(half + 8), k);
  const __m256d upper = (__m256d)((vl)t << 61);  // sign: bit 2 of k
  return (vd)_mm256_blendv_pd((__m256d)a, (__m256d)b, upper);
#else
  vd r;
  for (int i = 0; i < width_d; i++) r[i] = table[((vl)t)[i] & 7];
  return r;
#endif
}

// Stores that bypass the caches; p aligned to the register.
SOFTGRAD_INLINE void stream(float* p, vf a) {
#if SOFTGRAD_VECTOR_BYTES == 64
  _mm512_stream_ps(p, (__m512)a);
#elif SOFTGRAD_VECTOR_BYTES == 32
  _mm256_stream_ps(p, (__m256)a);
#elif defined(__x86_64__)
  _mm_stream_ps(p, (__m128)a);
#else
  *(vf_any*)p = a;
#endif
}
SOFTGRAD_INLINE void stream(double* p, vd a) {
#if SOFTGRAD_VECTOR_BYTES == 64
  _mm512_stream_pd(p, (__m512d)a);
#elif SOFTGRAD_VECTOR_BYTES == 32
  _mm256_stream_pd(p, (__m256d)a);
#elif defined(__x86_64__)
  _mm_stream_pd(p, (__m128d)a);
#else
  *(vd_any*)p = a;
#endif
}
SOFTGRAD_INLINE void stream_fence() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

// Sixteen lanes. Loads and stores go register by register: copying the struct with memcpy makes
// GCC bounce it through the stack.
struct F16 {
  vf v[regs_f];
};
struct D16 {
  vd v[regs_d];
};

// Element types know their register, their sixteen lanes, and how many registers these take.
template <class T>
struct LanesOf;
template <>
struct LanesOf<float> {
  using type = F16;
  using reg = vf;
  using any = vf_any;  // the register at any address
  static constexpr int width = width_f;
};
template <>
struct LanesOf<double> {
  using type = D16;
  using reg = vd;
  using any = vd_any;
  static constexpr int width = width_d;
};
template <class T>
using Lanes = typename LanesOf<T>::type;
template <class T>
using Register = typename LanesOf<T>::reg;
template <class T>
constexpr int registers = sizeof(T) == 4 ? regs_f : regs_d;

#define SOFTGRAD_EACH_F _Pragma("GCC unroll 4") for (int i = 0; i < regs_f; i++)
#define SOFTGRAD_EACH_D _Pragma("GCC unroll 8") for (int i = 0; i < regs_d; i++)

SOFTGRAD_INLINE F16 all16(float a) {
  F16 r;
  SOFTGRAD_EACH_F r.v[i] = splat(a);
  return r;
}
SOFTGRAD_INLINE D16 all16(double a) {
  D16 r;
  SOFTGRAD_EACH_D r.v[i] = splat(a);
  return r;
}
SOFTGRAD_INLINE F16 load16(const float* p) {
  F16 r;
  SOFTGRAD_EACH_F r.v[i] = *(const vf_any*)(p + i * width_f);
  return r;
}
SOFTGRAD_INLINE D16 load16(const double* p) {
  D16 r;
  SOFTGRAD_EACH_D r.v[i] = *(const vd_any*)(p + i * width_d);
  return r;
}
SOFTGRAD_INLINE void store16(float* p, const F16& a) {
  SOFTGRAD_EACH_F*(vf_any*)(p + i * width_f) = a.v[i];
}
SOFTGRAD_INLINE void store16(double* p, const D16& a) {
  SOFTGRAD_EACH_D*(vd_any*)(p + i * width_d) = a.v[i];
}
SOFTGRAD_INLINE void stream16(float* p, const F16& a) {
  SOFTGRAD_EACH_F stream(p + i * width_f, a.v[i]);
}
SOFTGRAD_INLINE void stream16(double* p, const D16& a) {
  SOFTGRAD_EACH_D stream(p + i * width_d, a.v[i]);
}

// Asks for the cache lines of sixteen numbers, into the second level.
template <class T>
SOFTGRAD_INLINE void fetch16(const T* p) {
  __builtin_prefetch(p, 0, 2);
  if (sizeof(T) == 8) __builtin_prefetch(p + 8, 0, 2);
}

// An address to fetch from, which may lie outside of the array.
template <class T>
SOFTGRAD_INLINE const T* after(const T* p, long n) {
  return reinterpret_cast<const T*>(reinterpret_cast<std::uintptr_t>(p) +
                                    static_cast<std::uintptr_t>(n) * sizeof(T));
}

// One register.
SOFTGRAD_INLINE vf load_register(const float* p) { return *(const vf_any*)p; }
SOFTGRAD_INLINE vd load_register(const double* p) { return *(const vd_any*)p; }
SOFTGRAD_INLINE void store_register(float* p, vf a) { *(vf_any*)p = a; }
SOFTGRAD_INLINE void store_register(double* p, vd a) { *(vd_any*)p = a; }

// Sixteen numbers of memory as doubles, and back with one rounding.
// (GCC 12 builds __builtin_convertvector from halves of the register.)
SOFTGRAD_INLINE D16 load16d(const float* p) {
  D16 r;
  SOFTGRAD_EACH_D {
#if SOFTGRAD_VECTOR_BYTES == 64
    r.v[i] = (vd)_mm512_cvtps_pd(_mm256_loadu_ps(p + i * width_d));
#elif SOFTGRAD_VECTOR_BYTES == 32
    r.v[i] = (vd)_mm256_cvtps_pd(_mm_loadu_ps(p + i * width_d));
#else
    vhf h = *(const vhf_any*)(p + i * width_d);
    r.v[i] = __builtin_convertvector(h, vd);
#endif
  }
  return r;
}
SOFTGRAD_INLINE D16 load16d(const double* p) { return load16(p); }

SOFTGRAD_INLINE F16 to_float(const D16& a) {
  F16 r;
#if SOFTGRAD_VECTOR_BYTES == 64
  r.v[0] = (vf)_mm512_castpd_ps(
      _mm512_insertf64x4(_mm512_castps_pd(_mm512_castps256_ps512(_mm512_cvtpd_ps((__m512d)a.v[0]))),
                         _mm256_castps_pd(_mm512_cvtpd_ps((__m512d)a.v[1])), 1));
#elif SOFTGRAD_VECTOR_BYTES == 32
  for (int i = 0; i < 2; i++)
    r.v[i] = (vf)_mm256_set_m128(_mm256_cvtpd_ps((__m256d)a.v[2 * i + 1]),
                                 _mm256_cvtpd_ps((__m256d)a.v[2 * i]));
#else
  alignas(64) float t[lanes];
  SOFTGRAD_EACH_D*(vhf_any*)(t + i * width_d) = __builtin_convertvector(a.v[i], vhf);
  r = load16(t);
#endif
  return r;
}
SOFTGRAD_INLINE D16 to_double(const F16& a) {
  D16 r;
#if SOFTGRAD_VECTOR_BYTES == 64
  r.v[0] = (vd)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)a.v[0]));
  r.v[1] = (vd)_mm512_cvtps_pd(
      _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd((__m512)a.v[0]), 1)));
#elif SOFTGRAD_VECTOR_BYTES == 32
  for (int i = 0; i < 2; i++) {
    r.v[2 * i] = (vd)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)a.v[i]));
    r.v[2 * i + 1] = (vd)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)a.v[i], 1));
  }
#else
  alignas(64) float t[lanes];
  store16(t, a);
  r = load16d(t);
#endif
  return r;
}
SOFTGRAD_INLINE D16 to_double(const D16& a) { return a; }
SOFTGRAD_INLINE void store16d(float* p, const D16& a) {
#if SOFTGRAD_VECTOR_BYTES >= 32
  store16(p, to_float(a));
#else
  SOFTGRAD_EACH_D*(vhf_any*)(p + i * width_d) = __builtin_convertvector(a.v[i], vhf);
#endif
}
SOFTGRAD_INLINE void store16d(double* p, const D16& a) { store16(p, a); }
// Doubles rounded to the element type.
template <class T>
SOFTGRAD_INLINE auto to_element(const D16& a) {
  if constexpr (sizeof(T) == 4)
    return to_float(a);
  else
    return a;
}

template <class V, class T>
SOFTGRAD_INLINE V load_head_by_lanes(const T* p, long n, T fill) {
  alignas(64) T t[lanes];
#pragma GCC unroll 1
  for (long k = 0; k < lanes; k++) t[k] = k < n ? p[k] : fill;
  return load16(t);
}
template <class V, class T>
SOFTGRAD_INLINE void store_head_by_lanes(T* p, const V& a, long n) {
  alignas(64) T t[lanes];
  store16(t, a);
  for (long k = 0; k < n; k++) p[k] = t[k];
}
// The first n <= 16 numbers of memory; the other lanes hold `fill`. And back.
SOFTGRAD_INLINE F16 load_head(const float* p, long n, float fill) {
#if SOFTGRAD_VECTOR_BYTES == 64
  const __mmask16 mask = static_cast<__mmask16>((1u << n) - 1);
  return {{(vf)_mm512_mask_loadu_ps((__m512)splat(fill), mask, p)}};
#else
  return load_head_by_lanes<F16>(p, n, fill);
#endif
}
SOFTGRAD_INLINE D16 load_head(const double* p, long n, double fill) {
#if SOFTGRAD_VECTOR_BYTES == 64
  const unsigned mask = (1u << n) - 1;
  const __m512d other = (__m512d)splat(fill);
  return {{(vd)_mm512_mask_loadu_pd(other, static_cast<__mmask8>(mask & 255), p),
           (vd)_mm512_mask_loadu_pd(other, static_cast<__mmask8>(mask >> 8), p + 8)}};
#else
  return load_head_by_lanes<D16>(p, n, fill);
#endif
}
SOFTGRAD_INLINE void store_head(float* p, const F16& a, long n) {
#if SOFTGRAD_VECTOR_BYTES == 64
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), (__m512)a.v[0]);
#else
  store_head_by_lanes(p, a, n);
#endif
}
SOFTGRAD_INLINE void store_head(double* p, const D16& a, long n) {
#if SOFTGRAD_VECTOR_BYTES == 64
  const unsigned mask = (1u << n) - 1;
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>(mask & 255), (__m512d)a.v[0]);
  _mm512_mask_storeu_pd(p + 8, static_cast<__mmask8>(mask >> 8), (__m512d)a.v[1]);
#else
  store_head_by_lanes(p, a, n);
#endif
}

// The numbers of two registers in turn: a perfect shuffle, whose first half is `low`.
template <int half, class R, int... k>
SOFTGRAD_INLINE R interleave(R a, R b, std::integer_sequence<int, k...>) {
  constexpr int w = sizeof...(k);
  return __builtin_shufflevector(a, b, ((half * w + k) / 2 + (k % 2 ? w : 0))...);
}
// w registers of w numbers, transposed by log2(w) perfect shuffles.
template <class T>
SOFTGRAD_INLINE void transpose(Register<T>* a) {
  constexpr int w = lanes / registers<T>;
  using Order = std::make_integer_sequence<int, w>;
  for (int round = 1; round < w; round *= 2) {
    Register<T> b[w];
#pragma GCC unroll 8
    for (int i = 0; i < w / 2; i++) {
      b[2 * i] = interleave<0>(a[i], a[i + w / 2], Order{});
      b[2 * i + 1] = interleave<1>(a[i], a[i + w / 2], Order{});
    }
#pragma GCC unroll 16
    for (int i = 0; i < w; i++) a[i] = b[i];
  }
}

// The lanes combined by a fixed tree (0+8, 1+9, ...; then 4, 2, 1).
SOFTGRAD_INLINE double sum_lanes(const D16& a) {
  alignas(64) double t[lanes];
  store16(t, a);
  for (int w = lanes / 2; w; w >>= 1)
    for (int i = 0; i < w; i++) t[i] = t[i] + t[i + w];
  return t[0];
}
template <class T, class V>
SOFTGRAD_INLINE T max_lanes_of(const V& a) {
  alignas(64) T t[lanes];
  store16(t, a);
  for (int w = lanes / 2; w; w >>= 1)
    for (int i = 0; i < w; i++) t[i] = t[i] > t[i + w] ? t[i] : t[i + w];
  return t[0];
}
SOFTGRAD_INLINE float max_lanes(const F16& a) {
#if SOFTGRAD_VECTOR_BYTES == 64
  return _mm512_reduce_max_ps((__m512)a.v[0]);
#else
  return max_lanes_of<float>(a);
#endif
}
SOFTGRAD_INLINE double max_lanes(const D16& a) {
#if SOFTGRAD_VECTOR_BYTES == 64
  return _mm512_reduce_max_pd(_mm512_max_pd((__m512d)a.v[0], (__m512d)a.v[1]));
#else
  return max_lanes_of<double>(a);
#endif
}

// Whether any lane of a comparison's result is set.
SOFTGRAD_INLINE bool any_lane(vi a) {
#if SOFTGRAD_VECTOR_BYTES == 64
  return _mm512_movepi32_mask((__m512i)a) != 0;
#elif SOFTGRAD_VECTOR_BYTES == 32
  return _mm256_movemask_ps((__m256)a) != 0;
#elif defined(__x86_64__)
  return _mm_movemask_ps((__m128)a) != 0;
#else
  for (int i = 0; i < width_f; i++)
    if (a[i]) return true;
  return false;
#endif
}
SOFTGRAD_INLINE bool any_lane(vl a) { return any_lane((vi)a); }
SOFTGRAD_INLINE bool any_equal(const F16& a, float b) {
  vi r = {};
  SOFTGRAD_EACH_F r |= a.v[i] == splat(b);
  return any_lane(r);
}
SOFTGRAD_INLINE bool any_equal(const D16& a, double b) {
  vl r = {};
  SOFTGRAD_EACH_D r |= a.v[i] == splat(b);
  return any_lane(r);
}

SOFTGRAD_INLINE F16 max16(const F16& a, const F16& b) {
  F16 r;
  SOFTGRAD_EACH_F r.v[i] = maximum(a.v[i], b.v[i]);
  return r;
}
SOFTGRAD_INLINE D16 max16(const D16& a, const D16& b) {
  D16 r;
  SOFTGRAD_EACH_D r.v[i] = maximum(a.v[i], b.v[i]);
  return r;
}
SOFTGRAD_INLINE F16 add16(const F16& a, const F16& b) {
  F16 r;
  SOFTGRAD_EACH_F r.v[i] = a.v[i] + b.v[i];
  return r;
}
SOFTGRAD_INLINE D16 add16(const D16& a, const D16& b) {
  D16 r;
  SOFTGRAD_EACH_D r.v[i] = a.v[i] + b.v[i];
  return r;
}

}  // namespace softgrad::SOFTGRAD_ISA
