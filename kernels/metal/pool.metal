// Many pixels to one.
#include "prelude.h"
#include "../core/network.h"

#define POOL_ENTRIES(suffix, T)                                                                                        \
    kernel void max_pool2_##suffix(device const T* x AT_BUFFER(0), device T* y AT_BUFFER(1),                            \
                                   constant int& n AT_BUFFER(2), constant int& height AT_BUFFER(3),                    \
                                   constant int& width AT_BUFFER(4), constant int& channels AT_BUFFER(5),              \
                                   INDEX_ARGUMENT) {                                                                   \
        max_pool2_body<T>(x, y, n, height, width, channels, index);                                                    \
    }                                                                                                                  \
    kernel void subsample_##suffix(device const T* x AT_BUFFER(0), device T* y AT_BUFFER(1),                            \
                                   constant int& n AT_BUFFER(2), constant int& height AT_BUFFER(3),                    \
                                   constant int& width AT_BUFFER(4), constant int& channels AT_BUFFER(5),              \
                                   constant int& step AT_BUFFER(6), INDEX_ARGUMENT) {                                  \
        subsample_body<T>(x, y, n, height, width, channels, step, index);                                              \
    }                                                                                                                  \
    kernel void global_avg_pool_##suffix(device const T* x AT_BUFFER(0), device T* y AT_BUFFER(1),                      \
                                         constant int& n AT_BUFFER(2), constant int& pixels AT_BUFFER(3),              \
                                         constant int& channels AT_BUFFER(4), INDEX_ARGUMENT) {                        \
        global_avg_pool_body<T>(x, y, n, pixels, channels, index);                                                     \
    }
FOR_TYPES(POOL_ENTRIES)
