// What is done to each element.
#include "prelude.cuh"
#include "../core/network.h"

#define ENTRIES(suffix, T)                                                                                             \
    ENTRY __launch_bounds__(256) affine_##suffix(const T* x, const float* scale, const float* shift, T* y,              \
                                                 int channels, wide count) {                                           \
        affine_body<T>(x, scale, shift, y, channels, count, INDEX);                                                    \
    }                                                                                                                  \
    ENTRY __launch_bounds__(256) scale_channels_##suffix(const T* x, const T* scale, const T* base, T* y, int pixels,   \
                                                         int channels, int has_base, wide count) {                     \
        scale_channels_body<T>(x, scale, base, y, pixels, channels, has_base, count, INDEX);                           \
    }                                                                                                                  \
    ENTRY __launch_bounds__(256) to_f32_##suffix(const T* x, float* y, wide count) {                                    \
        cast_body<T, float>(x, y, count, INDEX);                                                                       \
    }                                                                                                                  \
    ENTRY __launch_bounds__(256) from_f32_##suffix(const float* x, T* y, wide count) {                                  \
        cast_body<float, T>(x, y, count, INDEX);                                                                       \
    }                                                                                                                  \
    ENTRY __launch_bounds__(256) sigmoid_##suffix(const T* x, T* y, wide count) {                                       \
        sigmoid_body<T>(x, y, count, INDEX);                                                                           \
    }                                                                                                                  \
    ENTRY __launch_bounds__(256) upsample2_add_##suffix(const T* small_map, const T* x, T* y, int height, int width,    \
                                                        int channels, wide count) {                                    \
        upsample2_add_body<T>(small_map, x, y, height, width, channels, count, INDEX);                                 \
    }
FOR_TYPES(ENTRIES)
