// Many pixels to one.
#include "prelude.cuh"
#include "../core/network.h"

#define ENTRIES(suffix, T)                                                                                             \
    ENTRY __launch_bounds__(256) max_pool2_##suffix(const T* x, T* y, int n, int height, int width, int channels) {     \
        max_pool2_body<T>(x, y, n, height, width, channels, INDEX);                                                    \
    }                                                                                                                  \
    ENTRY __launch_bounds__(256) subsample_##suffix(const T* x, T* y, int n, int height, int width, int channels,       \
                                                    int step) {                                                        \
        subsample_body<T>(x, y, n, height, width, channels, step, INDEX);                                              \
    }                                                                                                                  \
    ENTRY __launch_bounds__(256) global_avg_pool_##suffix(const T* x, T* y, int n, int pixels, int channels) {          \
        global_avg_pool_body<T>(x, y, n, pixels, channels, INDEX);                                                     \
    }
FOR_TYPES(ENTRIES)
