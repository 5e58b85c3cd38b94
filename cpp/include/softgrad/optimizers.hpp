// One step of an optimiser over vectors, number by number: every vector is read and written once
// (the gradient is written where it makes room for the weights as they were).
//
// All operations are correctly rounded, so that a number's bits depend on its own inputs only. NaN
// and infinities take the course of the formulas. The vectors are n numbers each and do not
// overlap. With unit roundoff u the errors are those of the few roundings written here: relative
// to the size of its terms 4 u for d, 3 u for each moment, and 12 u for the change of w.
#pragma once

#include "optimizer_kernels.hpp"
#include "simd.hpp"

namespace softgrad::SOFTGRAD_ISA {

SOFTGRAD_INLINE vf square_root(vf a) {
#if SOFTGRAD_VECTOR_BYTES == 64
  return (vf)_mm512_sqrt_ps((__m512)a);
#elif SOFTGRAD_VECTOR_BYTES == 32
  return (vf)_mm256_sqrt_ps((__m256)a);
#else
  for (int i = 0; i < width_f; i++) a[i] = std::sqrt(a[i]);
  return a;
#endif
}
SOFTGRAD_INLINE vd square_root(vd a) {
#if SOFTGRAD_VECTOR_BYTES == 64
  return (vd)_mm512_sqrt_pd((__m512d)a);
#elif SOFTGRAD_VECTOR_BYTES == 32
  return (vd)_mm256_sqrt_pd((__m256d)a);
#else
  for (int i = 0; i < width_d; i++) a[i] = std::sqrt(a[i]);
  return a;
#endif
}

// Calls body(load, store) for sixteen numbers at a time, and for the rest at the end.
template <class T, class Body>
SOFTGRAD_INLINE void each16(long n, const Body& body) {
  using V = Lanes<T>;
  long i = 0;
  for (; i + lanes <= n; i += lanes)
    body([i](const T* p) { return load16(p + i); }, [i](T* p, const V& a) { store16(p + i, a); });
  if (i < n)
    body([i, n](const T* p) { return load_head(p + i, n - i, T(0)); },
         [i, n](T* p, const V& a) { store_head(p + i, a, n - i); });
}

// d = scale g + decay w;  b = momentum b + d;  w -= size b, or size (d + momentum b) for Nesterov.
template <bool has_velocity, class T>
SOFTGRAD_INLINE void sgd_step(T* w, T* g, T* velocity, long n, const SgdStep& step) {
  const auto size = splat(T(-step.size)), momentum = splat(T(step.momentum));
  const auto decay = splat(T(step.decay)), scale = splat(T(step.scale));
  each16<T>(n, [&](auto load, auto store) {
    Lanes<T> x = load(w), d = load(g), b;
    if constexpr (has_velocity) b = load(velocity);
    if (step.keep) store(g, x);
    for (int k = 0; k < registers<T>; k++) {
      d.v[k] *= scale;
      if (step.decay != 0) d.v[k] = fma(decay, x.v[k], d.v[k]);
      if constexpr (has_velocity) {
        b.v[k] = fma(momentum, b.v[k], d.v[k]);
        d.v[k] = step.nesterov ? fma(momentum, b.v[k], d.v[k]) : b.v[k];
      }
      x.v[k] = fma(size, d.v[k], x.v[k]);
    }
    if constexpr (has_velocity) store(velocity, b);
    store(w, x);
  });
}
template <class T>
void sgd(T* w, T* g, T* velocity, long n, const SgdStep& step) {
  if (velocity)
    sgd_step<true>(w, g, velocity, n, step);
  else
    sgd_step<false>(w, g, velocity, n, step);
}

// d = scale g + decay w;  m += (1 - beta1) (d - m);  v = beta2 v + (1 - beta2) d^2;
// w = shrink w - size m / (inverse_root sqrt(v) + epsilon).
template <class T>
void adam(T* w, T* g, T* m, T* v, long n, const AdamStep& step) {
  const auto size = splat(T(-step.size)), inverse_root = splat(T(step.inverse_root));
  const auto first = splat(T(1 - step.beta1)), beta2 = splat(T(step.beta2));
  const auto second = splat(T(1 - step.beta2)), epsilon = splat(T(step.epsilon));
  const auto decay = splat(T(step.decay)), shrink = splat(T(step.shrink));
  const auto scale = splat(T(step.scale));
  each16<T>(n, [&](auto load, auto store) {
    Lanes<T> x = load(w), d = load(g), mean = load(m), square = load(v);
    if (step.keep) store(g, x);
    for (int k = 0; k < registers<T>; k++) {
      d.v[k] *= scale;
      if (step.decay != 0) d.v[k] = fma(decay, x.v[k], d.v[k]);
      mean.v[k] = fma(first, d.v[k] - mean.v[k], mean.v[k]);
      square.v[k] = fma(second * d.v[k], d.v[k], beta2 * square.v[k]);
      const auto root = fma(inverse_root, square_root(square.v[k]), epsilon);
      x.v[k] = fma(size, mean.v[k] / root, shrink * x.v[k]);
    }
    store(m, mean);
    store(v, square);
    store(w, x);
  });
}

}  // namespace softgrad::SOFTGRAD_ISA
