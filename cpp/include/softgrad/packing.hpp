// What a kernel has its scratch for, and rows that lie apart packed into it.
#pragma once

#include "tile.hpp"

namespace softgrad::SOFTGRAD_ISA {

// Rows that lie apart, copied next to each other and back: neighbours in squares, as many classes
// as a register has numbers at a time, others in strips.
template <class T>
SOFTGRAD_INLINE long packed_pitch(long classes) {
  const long whole = (classes + 15) / 16 * 16;
  return whole * sizeof(T) % 4096 == 0 ? whole + 16 : whole;  // else all rows share a cache set
}
template <class T>
SOFTGRAD_INLINE Rows<T> pack(const Rows<const T>& x, long classes, T* to) {
  Rows<T> r;
  r.stride = 1, r.count = x.count;
  for (long i = 0; i < x.count; i++) r.row[i] = to + i * packed_pitch<T>(classes);
  long done = 0;
  if (x.count == bundle_rows && neighbours(x)) {
    constexpr int w = lanes / registers<T>;
    for (; done + w <= classes; done += w)
      for (int i = 0; i < bundle_rows; i += w) {
        Register<T> a[w];
#pragma GCC unroll 16
        for (int k = 0; k < w; k++) a[k] = load_register(x.row[i] + (done + k) * x.stride);
        transpose<T>(a);
#pragma GCC unroll 16
        for (int k = 0; k < w; k++) store_register(r.row[i + k] + done, a[k]);
      }
  }
  constexpr long strip = 64;
  for (long c0 = done; c0 < classes; c0 += strip) {
    long c1 = c0 + strip < classes ? c0 + strip : classes;
    for (long i = 0; i < x.count; i++)
      for (long c = c0; c < c1; c++) r.row[i][c] = x.row[i][c * x.stride];
  }
  return r;
}
template <class T>
SOFTGRAD_INLINE void unpack(const Rows<T>& from, const Rows<T>& y, long classes) {
  long done = 0;
  if (y.count == bundle_rows && neighbours(y)) {
    constexpr int w = lanes / registers<T>;
    for (; done + w <= classes; done += w)
      for (int i = 0; i < bundle_rows; i += w) {
        Register<T> a[w];
#pragma GCC unroll 16
        for (int k = 0; k < w; k++) a[k] = load_register(from.row[i + k] + done);
        transpose<T>(a);
#pragma GCC unroll 16
        for (int k = 0; k < w; k++) store_register(y.row[i] + (done + k) * y.stride, a[k]);
      }
  }
  constexpr long strip = 64;
  for (long c0 = done; c0 < classes; c0 += strip) {
    long c1 = c0 + strip < classes ? c0 + strip : classes;
    for (long i = 0; i < y.count; i++)
      for (long c = c0; c < c1; c++) y.row[i][c * y.stride] = from.row[i][c];
  }
}
template <class T>
SOFTGRAD_INLINE Rows<const T> as_const(const Rows<T>& x) {
  Rows<const T> r;
  for (long i = 0; i < x.count; i++) r.row[i] = x.row[i];
  r.stride = x.stride, r.count = x.count;
  return r;
}

template <class T>
Rows<T> pack_block(const Rows<const T>& x, long n, T* to) {
  static_assert(packed_block >= block_classes + 16);
  return pack(x, n, to);
}
template <class T>
void unpack_block(const Rows<T>& from, const Rows<T>& y, long n) {
  unpack(from, y, n);
}

template <class T>
struct Regions {
  BlockSum* sums;
  T* work;
  T* packed[3];
  Regions(T* scratch, long classes)
      : sums(reinterpret_cast<BlockSum*>(scratch)), work(scratch + Scratch<T>::blocks(classes)) {
    packed[0] = work + Scratch<T>::work(classes);
    packed[1] = packed[0] + Scratch<T>::packed(classes);
    packed[2] = packed[1] + Scratch<T>::packed(classes);
  }
};

}  // namespace softgrad::SOFTGRAD_ISA
