// What the shared bodies need of Metal. Products and sums are rounded one by one, as on the CPU, and fused only where the
// source says fma; exp and sqrt are the exact ones; infinities and NaN are what they are (src/ops/gpu/metal.rs turns the
// compiler's fast arithmetic off, and the pragmas say it again where the compiler knows them).
#ifndef CHEHRA_PRELUDE_H
#define CHEHRA_PRELUDE_H
#include <metal_stdlib>
#pragma METAL fp math_mode(safe)
#pragma METAL fp contract(off)
using namespace metal;
#define exp(x) precise::exp(x)
#define sqrt(x) precise::sqrt(x)

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

// One entry for each type of number; bf16 from MSL 3.1 on (macOS 14).
#ifdef __HAVE_BFLOAT__
FN float to_float(bfloat x) { return float(x); }
#define FOR_TYPES(M) M(f32, float) M(f16, half) M(bf16, bfloat)
#else
#define FOR_TYPES(M) M(f32, float) M(f16, half)
#endif
#define AT_BUFFER(n) [[buffer(n)]]
#define INDEX_ARGUMENT uint index [[thread_position_in_grid]]
#endif
