// What the Metal kernels use of their dialect, for clang's C++ for OpenCL: a language with Metal's address spaces, so that
// a pointer into the wrong memory is an error (kernels/build/msl-check.sh). Declarations alone: nothing is run.
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
#define device __global
// Structures are copied out of Metal's constant memory, which OpenCL does not allow.
#define constant const __global
#define threadgroup __local
#define thread __private
#define kernel __kernel
#define __HAVE_BFLOAT__ 1
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
struct uint2 {
    uint x, y;
};
struct ulong2 {
    ulong x, y;
    ulong2(ulong x, ulong y);
};
struct bfloat {
    ushort bits;
    bfloat() = default;
    explicit bfloat(float);
    operator float() const;
};
struct atomic_word {
    uint value;
};
#define atomic_uint atomic_word
enum memory_order { memory_order_relaxed };

namespace metal {
namespace precise {
float exp(float);
float sqrt(float);
} // namespace precise
float floor(float);
float fma(float, float, float);
int min(int, int);
uint min(uint, uint);
template <class T> T as_type(float);
template <class T> T as_type(uint);
template <> int as_type<int>(float);
template <> float as_type<float>(uint);
enum class mem_flags { mem_none = 0, mem_device = 1, mem_threadgroup = 2 };
mem_flags operator|(mem_flags, mem_flags);
void threadgroup_barrier(mem_flags);
uint atomic_fetch_add_explicit(device atomic_uint*, uint, memory_order);
template <class T, int R, int C> struct simdgroup_matrix {
    T part[2];
};
typedef simdgroup_matrix<float, 8, 8> simdgroup_float8x8;
template <class T, int R, int C> simdgroup_matrix<T, R, C> make_filled_simdgroup_matrix(T);
template <class T>
void simdgroup_load(thread simdgroup_matrix<T, 8, 8>&, const threadgroup T*, ulong, ulong2 = ulong2(0, 0),
                    bool = false);
template <class T> void simdgroup_store(simdgroup_matrix<T, 8, 8>, threadgroup T*, ulong);
template <class T>
void simdgroup_multiply_accumulate(thread simdgroup_matrix<T, 8, 8>&, simdgroup_matrix<T, 8, 8>,
                                   simdgroup_matrix<T, 8, 8>, simdgroup_matrix<T, 8, 8>);
} // namespace metal
