// kernels/cuda/*.cu for the CPU, launched by name.
#include "../cuda/faces.cu"
#undef ENTRIES
#include "../cuda/conv.cu"
#undef ENTRIES
#include "../cuda/pointwise.cu"
#undef ENTRIES
#include "../cuda/pool.cu"
#include "../cuda/search.cu"
#undef ENTRIES
#include "launch.h"

extern "C" int cuda_launch(const char* name, const launcher::Given* given, int count, unsigned across, unsigned down,
                           unsigned threads) {
    static const std::vector<launcher::Entry> entries = {FOR_TYPES(ENTRIES_OF) PLAIN(decode_faces) PLAIN(upright)
                                                             WITH_BARRIERS(suppress_faces) WITH_BARRIERS(search_mma)
                                                                 WITH_BARRIERS(search_dp4a)};
    return launcher::launch(entries, name, given, count, across, down, threads);
}
