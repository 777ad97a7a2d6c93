// What the shared bodies need of Metal. The library is compiled with safe arithmetic (src/ops/metal.rs): products and sums
// are rounded one by one, as on the CPU, and fused only where the source says fma.
#ifndef CHEHRA_PRELUDE_H
#define CHEHRA_PRELUDE_H
#include <metal_stdlib>
using namespace metal;

#define FN static inline
#define GLOBAL device
#define LOCAL thread
#ifndef SHARED // the host shim has no such storage for an argument
#define SHARED threadgroup
#endif
#define BARRIER() threadgroup_barrier(mem_flags::mem_threadgroup | mem_flags::mem_device)

typedef long wide;

FN int as_bits(float x) { return as_type<int>(x); }
FN float as_float(uint x) { return as_type<float>(x); }
FN float mul_rn(float a, float b) { return a * b; }
FN float to_float(float x) { return x; }
FN float to_float(half x) { return float(x); }
template <typename T> FN T from_float(float x) { return T(x); }

// One entry for each type of number.
#define FOR_TYPES(M) M(f32, float) M(f16, half)
#define AT_BUFFER(n) [[buffer(n)]]
#define INDEX_ARGUMENT uint index [[thread_position_in_grid]]
#endif
