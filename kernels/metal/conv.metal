// What a convolution needs besides the matrix product, and the depthwise one whole.
#include "prelude.h"
#include "../core/network.h"

#define CONV_ENTRIES(suffix, T)                                                                                        \
    kernel void im2col_##suffix(device const T* x AT_BUFFER(0), device T* y AT_BUFFER(1),                               \
                                constant ConvParams& p AT_BUFFER(2), INDEX_ARGUMENT) {                                 \
        im2col_body<T>(x, y, p, index);                                                                                \
    }                                                                                                                  \
    kernel void bias_act_##suffix(device const T* x AT_BUFFER(0), device const float* bias AT_BUFFER(1),                \
                                  device const float* slope AT_BUFFER(2), device const T* residual AT_BUFFER(3),       \
                                  device T* y AT_BUFFER(4), constant int& channels AT_BUFFER(5),                       \
                                  constant int& activation AT_BUFFER(6), constant int& has_residual AT_BUFFER(7),      \
                                  constant long& count AT_BUFFER(8), INDEX_ARGUMENT) {                                 \
        bias_act_body<T>(x, bias, slope, residual, y, channels, activation, has_residual, count, index);               \
    }                                                                                                                  \
    kernel void depthwise_##suffix(device const T* x AT_BUFFER(0), device const float* weight AT_BUFFER(1),             \
                                   device const float* bias AT_BUFFER(2), device const float* slope AT_BUFFER(3),      \
                                   device const T* residual AT_BUFFER(4), device T* y AT_BUFFER(5),                    \
                                   constant ConvParams& p AT_BUFFER(6), INDEX_ARGUMENT) {                              \
        depthwise_body<T>(x, weight, bias, slope, residual, y, p, index);                                              \
    }
FOR_TYPES(CONV_ENTRIES)
