// What is done to each element.
#include "prelude.h"
#include "../core/network.h"

#define POINTWISE_ENTRIES(suffix, T)                                                                                   \
    kernel void affine_##suffix(device const T* x AT_BUFFER(0), device const float* scale AT_BUFFER(1),                 \
                                device const float* shift AT_BUFFER(2), device T* y AT_BUFFER(3),                      \
                                constant int& channels AT_BUFFER(4), constant long& count AT_BUFFER(5),                \
                                INDEX_ARGUMENT) {                                                                      \
        affine_body<T>(x, scale, shift, y, channels, count, index);                                                    \
    }                                                                                                                  \
    kernel void scale_channels_##suffix(device const T* x AT_BUFFER(0), device const T* scale AT_BUFFER(1),             \
                                        device const T* base AT_BUFFER(2), device T* y AT_BUFFER(3),                   \
                                        constant int& pixels AT_BUFFER(4), constant int& channels AT_BUFFER(5),        \
                                        constant int& has_base AT_BUFFER(6), constant long& count AT_BUFFER(7),        \
                                        INDEX_ARGUMENT) {                                                              \
        scale_channels_body<T>(x, scale, base, y, pixels, channels, has_base, count, index);                           \
    }                                                                                                                  \
    kernel void to_f32_##suffix(device const T* x AT_BUFFER(0), device float* y AT_BUFFER(1),                           \
                                constant long& count AT_BUFFER(2), INDEX_ARGUMENT) {                                   \
        cast_body<T, float>(x, y, count, index);                                                                       \
    }                                                                                                                  \
    kernel void from_f32_##suffix(device const float* x AT_BUFFER(0), device T* y AT_BUFFER(1),                         \
                                  constant long& count AT_BUFFER(2), INDEX_ARGUMENT) {                                 \
        cast_body<float, T>(x, y, count, index);                                                                       \
    }                                                                                                                  \
    kernel void sigmoid_##suffix(device const T* x AT_BUFFER(0), device T* y AT_BUFFER(1),                              \
                                 constant long& count AT_BUFFER(2), INDEX_ARGUMENT) {                                  \
        sigmoid_body<T>(x, y, count, index);                                                                           \
    }                                                                                                                  \
    kernel void upsample2_add_##suffix(device const T* small_map AT_BUFFER(0), device const T* x AT_BUFFER(1),          \
                                       device T* y AT_BUFFER(2), constant int& height AT_BUFFER(3),                    \
                                       constant int& width AT_BUFFER(4), constant int& channels AT_BUFFER(5),          \
                                       constant long& count AT_BUFFER(6), INDEX_ARGUMENT) {                            \
        upsample2_add_body<T>(small_map, x, y, height, width, channels, count, index);                                 \
    }
FOR_TYPES(POINTWISE_ENTRIES)
