// kernels/cuda/*.cu for the CPU, with a launcher for each entry: the same grids as src/ops/cuda.
#include "../cuda/faces.cu"
#undef ENTRIES
#include "../cuda/conv.cu"
#undef ENTRIES
#include "../cuda/pointwise.cu"
#undef ENTRIES
#include "../cuda/pool.cu"
#include "../cuda/search.cu"
#define AT
#define SUPPRESS_AT
#define COUNTS(p) p
#define LAUNCHER(name) extern "C" void cuda_##name
#include "launchers.h"

LAUNCHER(upright)(const uchar* stored, uchar* out, const UprightPicture* pictures, unsigned count, unsigned most) {
    simt::launch({(most + 255) / 256, count}, {256}, false, [&] { upright(stored, out, pictures); });
}

#define SEARCH(name)                                                                                                   \
    LAUNCHER(name)(const uint* codes, const float* scales, const float* residuals, const uint* probes,                  \
                   const int* starts, const SearchReach* reaches, uint* limits, SearchHit* hits, uint* count,          \
                   const SearchParams* s, unsigned blocks) {                                                           \
        simt::launch({blocks, unsigned(s->probes + PROBES - 1) / PROBES}, {THREADS}, true, [&] {                       \
            name(codes, scales, residuals, probes, starts, reaches, limits, hits, count, *s);                          \
        });                                                                                                            \
    }
SEARCH(search_mma)
SEARCH(search_dp4a)
