// kernels/metal/*.metal for the CPU, with a launcher for each entry.
#include "../metal/faces.metal"
#include "../metal/conv.metal"
#include "../metal/pointwise.metal"
#include "../metal/pool.metal"
#include "../metal/search.metal"
#undef SHARED
#undef device
#undef constant
#undef threadgroup
#undef thread
#undef kernel

static uint at() { return simt::block_index().x * simt::block_size().x + simt::thread_index().x; }
// CUDA's entries ask where they are; Metal's are told, and take scalars by reference.
#define AT , at()
#define COUNTS(p) reinterpret_cast<atomic_uint*>(p)
#define SUPPRESS_AT , simt::block_index().x, simt::thread_index().x, simt::block_size().x
#define LAUNCHER(name) extern "C" void metal_##name
#include "launchers.h"

LAUNCHER(upright)(const uchar* stored, uchar* out, const UprightPicture* pictures, unsigned count, unsigned most) {
    simt::launch({(most + 255) / 256, count}, {256}, false, [&] {
        uint2 place = {at(), simt::block_index().y};
        upright(stored, out, pictures, place);
    });
}

LAUNCHER(search)(const uint* codes, const float* scales, const float* residuals, const uint* probes, const int*,
                 const SearchReach* reaches, uint* limits, SearchHit* hits, uint* count, const SearchParams* s, unsigned) {
    simt::launch({unsigned(s->rows + 31) / 32, unsigned(s->probes + 7) / 8}, {32}, false, [&] {
        uint2 place = {at(), simt::block_index().y};
        search(codes, scales, residuals, probes, reaches, limits, hits, COUNTS(count), *s, place);
    });
}
