// What a convolution needs besides the matrix product, and the depthwise one whole.
#include "prelude.cuh"
#include "../core/network.h"

#define ENTRIES(suffix, T)                                                                                             \
    ENTRY __launch_bounds__(256) im2col_##suffix(const T* x, T* y, ConvParams p) { im2col_body<T>(x, y, p, INDEX); }    \
    ENTRY __launch_bounds__(256) bias_act_##suffix(const T* x, const float* bias, const float* slope,                   \
                                                   const T* residual, T* y, int channels, int activation,              \
                                                   int has_residual, wide count) {                                     \
        bias_act_body<T>(x, bias, slope, residual, y, channels, activation, has_residual, count, INDEX);               \
    }                                                                                                                  \
    ENTRY __launch_bounds__(256) depthwise_##suffix(const T* x, const float* weight, const float* bias,                 \
                                                    const float* slope, const T* residual, T* y, ConvParams p) {       \
        depthwise_body<T>(x, weight, bias, slope, residual, y, p, INDEX);                                              \
    }
FOR_TYPES(ENTRIES)
