// Exact integer search: every stored code times every probe on the matrix units (`search_mma`, m16n8k32 in 8 bits, from
// compute capability 8.0) or four products at a time (`search_dp4a`).
//
// A block keeps a panel of probes in shared memory and passes over its share of the rows. The stored layout is what a matrix
// unit takes: word (k / 4, lane) of a block of 16 templates is one register of the A fragment, so codes go from memory to
// registers as they lie. With `top` each block keeps, per probe, the best lower ends it has seen; the last of them is a
// similarity that so many rows surely reach, and raises the probe's limit for everybody. Whatever order blocks run in, a
// limit never rises above what the answers need: they are the same, only the number of hits is not.
#include "prelude.cuh"
#include "../core/search.h"

#define PROBES 64   // in a panel
#define THREADS 256 // in a block
#define PENDING 512 // rows of one step that may raise limits
#define MOST_TOP 32 // longest running list

// 16 x 32 unsigned codes times 32 x 8 signed ones, added to 16 x 8 sums.
#ifdef __CUDACC__
FN void mma_u8s8(int* c, const uint* a, uint b0, uint b1) {
    asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#endif

struct Pending {
    int probe;
    float least;
};

// What the blocks of both kernels keep about their panel.
struct Panel {
    SearchReach reach[PROBES];
    float least[PROBES]; // limit - slack
    float limit[PROBES];
    float best[PROBES][MOST_TOP]; // ascending
    Pending pending[PENDING];
    uint waiting;
};

FN void panel_load(Panel& panel, const SearchReach* reaches, const uint* limits, int first, int here) {
    int p = threadIdx.x;
    if (p < PROBES) {
        SearchReach none = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
        panel.reach[p] = p < here ? reaches[first + p] : none;
        panel.limit[p] = p < here ? search_value(limits[first + p]) : 0.0f;
        // No number reaches that of a probe that is not there.
        panel.least[p] = p < here ? panel.limit[p] - panel.reach[p].slack : as_float(0x7f800000u);
        for (int k = 0; k < MOST_TOP; ++k) {
            panel.best[p][k] = as_float(0xff800000u);
        }
    }
    if (p == 0) {
        panel.waiting = 0;
    }
}

// Takes a sum that reaches what its probe asks.
FN void panel_offer(Panel& panel, SearchParams s, int probe, int first, int row, int sum, float scale, float residual,
                    SearchHit* hits, uint* count) {
    float most = search_most(sum, panel.reach[probe], scale, residual);
    if (!(most >= panel.least[probe])) {
        return;
    }
    uint slot = atomicAdd(count, 1u);
    if (slot < s.capacity) {
        SearchHit hit = {(uint)(first + probe), (uint)(s.first_row + row), sum};
        hits[slot] = hit;
    }
    if (s.top > 0) {
        uint place = atomicAdd(&panel.waiting, 1u);
        if (place < PENDING) {
            Pending pending = {probe, search_least(sum, panel.reach[probe], scale, most)};
            panel.pending[place] = pending;
        }
    }
}

// Raises limits by what was offered since; every thread of the block comes here.
FN void panel_settle(Panel& panel, SearchParams s, uint* limits, int first, int here) {
    __syncthreads();
    int p = threadIdx.x, waiting = (int)min(panel.waiting, (uint)PENDING);
    if (p < here && waiting > 0) {
        float* best = panel.best[p];
        for (int i = 0; i < waiting; ++i) {
            float least = panel.pending[i].least;
            if (panel.pending[i].probe != p || !(least > best[0])) {
                continue;
            }
            int k = 0;
            for (; k + 1 < s.top && best[k + 1] < least; ++k) {
                best[k] = best[k + 1];
            }
            best[k] = least;
        }
        float limit = panel.limit[p] > best[0] ? panel.limit[p] : best[0];
        uint key = search_key(limit), known = atomicMax(&limits[first + p], key);
        panel.limit[p] = search_value(known > key ? known : key);
        panel.least[p] = panel.limit[p] - panel.reach[p].slack;
    }
    __syncthreads();
    if (p == 0) {
        panel.waiting = 0;
    }
    __syncthreads();
}

// Grid: (any number of blocks over the rows, panels). Shared memory: PROBES * (words + 4) words.
ENTRY __launch_bounds__(THREADS) search_mma(const uint* codes, const float* scales, const float* residuals,
                                            const uint* probes, const int* starts, const SearchReach* reaches,
                                            uint* limits, SearchHit* hits, uint* count, SearchParams s) {
    DYNAMIC_SHARED(uint, tile);
    __shared__ Panel panel;
    __shared__ int start[PROBES];
    // Rows of the panel lie four banks apart, so that the eight of a fragment never meet.
    int first = blockIdx.y * PROBES, here = min(PROBES, s.probes - first), pitch = s.words + 4;
    for (int i = threadIdx.x; i < PROBES * s.words; i += THREADS) {
        int p = i / s.words, word = i % s.words;
        tile[p * pitch + word] = p < here ? probes[(wide)(first + p) * s.words + word] : 0u;
    }
    if (threadIdx.x < PROBES) {
        start[threadIdx.x] = (int)threadIdx.x < here ? starts[first + threadIdx.x] : 0;
    }
    panel_load(panel, reaches, limits, first, here);
    __syncthreads();

    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane / 4, quad = lane % 4;
    for (wide base = (wide)blockIdx.x * THREADS; base < s.rows; base += (wide)gridDim.x * THREADS) {
        int row0 = (int)base + warp * 32;
        if (row0 < s.rows) {
            int sums[2][PROBES / 8][4];
#pragma unroll
            for (int n = 0; n < PROBES / 8; ++n) {
#pragma unroll
                for (int c = 0; c < 4; ++c) {
                    sums[0][n][c] = sums[1][n][c] = start[n * 8 + 2 * quad + (c & 1)];
                }
            }
            const uint* upper = codes + (wide)(row0 / 16) * s.words * 16;
            // The second block of a last, single one is not there.
            const uint* lower = row0 + 16 < s.rows ? upper + (wide)s.words * 16 : upper;
            for (int k = 0; k < s.words; k += 8) {
                int at = (k + quad) * 16 + group;
                uint a[2][4] = {{upper[at], upper[at + 8], upper[at + 64], upper[at + 72]},
                                {lower[at], lower[at + 8], lower[at + 64], lower[at + 72]}};
#pragma unroll
                for (int n = 0; n < PROBES / 8; ++n) {
                    const uint* b = tile + (n * 8 + group) * pitch + k + quad;
                    uint b0 = b[0], b1 = b[4];
                    mma_u8s8(sums[0][n], a[0], b0, b1);
                    mma_u8s8(sums[1][n], a[1], b0, b1);
                }
            }
#pragma unroll
            for (int part = 0; part < 4; ++part) {
                int m = part / 2, high = part % 2, row = row0 + 16 * m + 8 * high + group;
                if (row >= s.rows) {
                    continue;
                }
                float scale = scales[row], residual = residuals[row];
#pragma unroll
                for (int n = 0; n < PROBES / 8; ++n) {
#pragma unroll
                    for (int c = 0; c < 2; ++c) {
                        panel_offer(panel, s, n * 8 + 2 * quad + c, first, row, sums[m][n][2 * high + c], scale,
                                    residual, hits, count);
                    }
                }
            }
        }
        if (s.top > 0) {
            panel_settle(panel, s, limits, first, here);
        }
    }
}

// The same without matrix units: one thread a row, eight probes at a time. Shared memory as above.
ENTRY __launch_bounds__(THREADS) search_dp4a(const uint* codes, const float* scales, const float* residuals,
                                             const uint* probes, const int* starts, const SearchReach* reaches,
                                             uint* limits, SearchHit* hits, uint* count, SearchParams s) {
    DYNAMIC_SHARED(uint, tile);
    __shared__ Panel panel;
    (void)starts; // codes are made signed here, so sums start from zero
    int first = blockIdx.y * PROBES, here = min(PROBES, s.probes - first);
    for (int i = threadIdx.x; i < here * s.words; i += THREADS) {
        tile[i] = probes[(wide)first * s.words + i];
    }
    panel_load(panel, reaches, limits, first, here);
    __syncthreads();
    for (wide base = (wide)blockIdx.x * THREADS; base < s.rows; base += (wide)gridDim.x * THREADS) {
        int row = (int)base + (int)threadIdx.x;
        if (row < s.rows) {
            const uint* at = codes + (wide)(row / 16) * s.words * 16 + row % 16;
            float scale = scales[row], residual = residuals[row];
            for (int p = 0; p < here; p += 8) {
                int sums[8] = {0, 0, 0, 0, 0, 0, 0, 0};
                for (int k = 0; k < s.words; ++k) {
                    int code = (int)(at[k * 16] ^ 0x80808080u);
#pragma unroll
                    for (int i = 0; i < 8; ++i) {
                        sums[i] = __dp4a(code, (int)tile[min(p + i, here - 1) * s.words + k], sums[i]);
                    }
                }
#pragma unroll
                for (int i = 0; i < 8; ++i) {
                    if (p + i < here) {
                        panel_offer(panel, s, p + i, first, row, sums[i], scale, residual, hits, count);
                    }
                }
            }
        }
        if (s.top > 0) {
            panel_settle(panel, s, limits, first, here);
        }
    }
}
