// What the shared bodies need of CUDA. Compiled by nvcc with -fmad=false: products and sums are rounded one by one, as on
// the CPU, and fused only where the source says fma.
#pragma once
#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define DYNAMIC_SHARED(type, name) extern __shared__ type name[]
#else
#include "../host/cuda_host.h"
#endif
#define FN static __device__ __forceinline__
#define GLOBAL
#define LOCAL
#define SHARED
#define BARRIER() __syncthreads()
#define ENTRY extern "C" __global__ void

typedef long long wide;
typedef unsigned char uchar;
typedef unsigned int uint;

FN int as_bits(float x) { return __float_as_int(x); }
FN float as_float(uint x) { return __int_as_float((int)x); }
FN float mul_rn(float a, float b) { return __fmul_rn(a, b); }

FN float to_float(float x) { return x; }
FN float to_float(__half x) { return __half2float(x); }
FN float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }
template <typename T> FN T from_float(float x);
template <> __device__ __forceinline__ float from_float<float>(float x) { return x; }
template <> __device__ __forceinline__ __half from_float<__half>(float x) { return __float2half_rn(x); }
template <> __device__ __forceinline__ __nv_bfloat16 from_float<__nv_bfloat16>(float x) { return __float2bfloat16_rn(x); }

// The element of one thread where blocks are one-dimensional.
#define INDEX ((wide)blockIdx.x * blockDim.x + threadIdx.x)
// One entry for each type of number.
#define FOR_TYPES(M) M(f32, float) M(f16, __half) M(bf16, __nv_bfloat16)
