// kernels/metal/*.metal for the CPU, launched by name: the one text that Metal's compiler is given (src/ops/gpu/msl.rs).
#define CHEHRA_METAL
#include MSL_SOURCE
#undef SHARED
#undef device
#undef constant
#undef threadgroup
#undef thread
#undef kernel
#undef exp
#undef sqrt
#include "launch.h"

extern "C" int metal_launch(const char* name, const launcher::Given* given, int count, unsigned across, unsigned down,
                            unsigned threads) {
    static const std::vector<launcher::Entry> entries = {FOR_TYPES(ENTRIES_OF) PLAIN(decode_faces) PLAIN(upright)
                                                             WITH_BARRIERS(suppress_faces) WITH_BARRIERS(search)};
    return launcher::launch(entries, name, given, count, across, down, threads);
}
