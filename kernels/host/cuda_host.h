// The part of CUDA's dialect that the kernels use, for a C++ compiler. `__shared__` becomes static and of one thread: a thread runs its blocks one at a time, and tests run in several.
#pragma once
#include "simt.h"

#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static thread_local
#define __launch_bounds__(...)
#define DYNAMIC_SHARED(type, name) static thread_local type name[1 << 16]
#define threadIdx (simt::thread_index())
#define blockIdx (simt::block_index())
#define blockDim (simt::block_size())
#define gridDim (simt::grid_size())
#define __syncthreads() simt::block_barrier()

using std::exp;
using std::floor;
using std::fma;
using std::max;
using std::min;
using std::sqrt;

typedef simt::Half __half;
typedef simt::Bfloat __nv_bfloat16;
static inline __half __float2half_rn(float x) { return __half(x); }
static inline float __half2float(__half x) { return float(x); }
static inline __nv_bfloat16 __float2bfloat16_rn(float x) { return __nv_bfloat16(x); }
static inline float __bfloat162float(__nv_bfloat16 x) { return float(x); }
static inline int __float_as_int(float x) { return simt::bits<int>(x); }
static inline float __int_as_float(int x) { return simt::from_bits(x); }
static inline float __fmul_rn(float a, float b) { return a * b; }
template <class T> static inline T atomicAdd(T* p, T v) {
    T old = *p;
    *p = old + v;
    return old;
}
template <class T> static inline T atomicMax(T* p, T v) {
    T old = *p;
    *p = old > v ? old : v;
    return old;
}
static inline int __dp4a(int a, int b, int c) {
    for (int i = 0; i < 4; ++i) c += int(int8_t(a >> 8 * i)) * int(int8_t(b >> 8 * i));
    return c;
}
// m16n8k32 from its definition: where PTX says that the elements of the fragments lie.
static inline void mma_u8s8(int* c, const unsigned* a, unsigned b0, unsigned b1) {
    unsigned group = simt::lane() / 4, quad = simt::lane() % 4;
    for (unsigned k = 0; k < 4; ++k) {
        unsigned row[4], column[2][2];
        for (int i = 0; i < 4; ++i) row[i] = simt::shuffle(a[i], group * 4 + k);
        for (int i = 0; i < 2; ++i) {
            column[i][0] = simt::shuffle(b0, (2 * quad + i) * 4 + k);
            column[i][1] = simt::shuffle(b1, (2 * quad + i) * 4 + k);
        }
        for (int i = 0; i < 4; ++i)
            for (int half = 0; half < 2; ++half) {
                unsigned x = row[(i >> 1) + 2 * half], y = column[i & 1][half];
                for (int byte = 0; byte < 4; ++byte)
                    c[i] += int(uint8_t(x >> 8 * byte)) * int(int8_t(y >> 8 * byte));
            }
    }
}
