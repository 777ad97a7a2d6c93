// Exact integer search: every stored code times every probe on the matrix units, only rows within reach written out.
//
// Apple's matrix units multiply floats. Codes lie between -127 and 127 and there are at most 1024 of them, so no sum exceeds
// 2^24 and floats hold each exactly: these are the integers of the CPU.
#include "prelude.h"
#include "../core/search.h"

#define TILE_ROWS 64   // of a group of threads: 16 for each of its four simdgroups
#define TILE_PROBES 32 // of a group of threads
#define TILE_WORDS 8   // of four codes, taken at a time
#define PITCH 36       // floats from one row of a tile to the next: 32 and four that keep rows in different banks

// One group a tile of rows (x) and probes (y), 128 threads. Limits stay as they are.
kernel void search(device const uint* codes AT_BUFFER(0), device const float* scales AT_BUFFER(1),
                   device const float* residuals AT_BUFFER(2), device const uint* probes AT_BUFFER(3),
                   device const int* starts AT_BUFFER(4), device const SearchReach* reaches AT_BUFFER(5),
                   device const uint* limits AT_BUFFER(6), device SearchHit* hits AT_BUFFER(7),
                   device atomic_uint* count AT_BUFFER(8), constant SearchParams& s AT_BUFFER(9),
                   uint2 group [[threadgroup_position_in_grid]], uint at [[thread_index_in_threadgroup]]) {
    threadgroup float left[TILE_ROWS * PITCH];
    threadgroup float right[TILE_PROBES * PITCH];
    (void)starts; // codes are made signed here, so sums start from zero
    int first_row = int(group.x) * TILE_ROWS, first = int(group.y) * TILE_PROBES, quarter = int(at / 32);
    int blocks = (s.rows + 15) / 16;
    simdgroup_float8x8 sums[2][4];
    for (int m = 0; m < 2; ++m) {
        for (int n = 0; n < 4; ++n) {
            sums[m][n] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
        }
    }
    for (int k = 0; k < s.words; k += TILE_WORDS) {
        // Words of a block of 16 rows lie word by word: neighbouring threads read neighbouring ones.
        int lane = int(at % 16), word = int(at / 16);
        for (int j = 0; j < TILE_ROWS / 16; ++j) {
            int block = first_row / 16 + j;
            uint four = block < blocks ? codes[(wide(block) * s.words + k + word) * 16 + lane] : 0x80808080u;
            for (int c = 0; c < 4; ++c) {
                left[(j * 16 + lane) * PITCH + word * 4 + c] = float(int((four >> (8 * c)) & 255u) - 128);
            }
        }
        for (int i = int(at); i < TILE_PROBES * TILE_WORDS; i += 128) {
            int probe = i / TILE_WORDS, own = i % TILE_WORDS;
            uint four = first + probe < s.probes ? probes[wide(first + probe) * s.words + k + own] : 0u;
            for (int c = 0; c < 4; ++c) {
                right[probe * PITCH + own * 4 + c] = float(int(char(four >> (8 * c))));
            }
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (int step = 0; step < TILE_WORDS * 4; step += 8) {
            simdgroup_float8x8 a[2], b[4];
            for (int m = 0; m < 2; ++m) {
                simdgroup_load(a[m], left + (quarter * 16 + m * 8) * PITCH + step, PITCH);
            }
            for (int n = 0; n < 4; ++n) {
                simdgroup_load(b[n], right + n * 8 * PITCH + step, PITCH, ulong2(0, 0), true);
            }
            for (int m = 0; m < 2; ++m) {
                for (int n = 0; n < 4; ++n) {
                    simdgroup_multiply_accumulate(sums[m][n], a[m], b[n], sums[m][n]);
                }
            }
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    // The tiles are done with: their place takes the sums, a row of them a row.
    for (int m = 0; m < 2; ++m) {
        for (int n = 0; n < 4; ++n) {
            simdgroup_store(sums[m][n], left + (quarter * 16 + m * 8) * PITCH + n * 8, PITCH);
        }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (int i = int(at); i < TILE_ROWS * TILE_PROBES; i += 128) {
        int row = first_row + i / TILE_PROBES, probe = first + i % TILE_PROBES;
        if (row >= s.rows || probe >= s.probes) {
            continue;
        }
        int sum = int(left[i / TILE_PROBES * PITCH + i % TILE_PROBES]);
        SearchReach reach = reaches[probe];
        if (search_most(sum, reach, scales[row], residuals[row]) >= search_value(limits[probe]) - reach.slack) {
            uint slot = atomic_fetch_add_explicit(count, 1u, memory_order_relaxed);
            if (slot < s.capacity) {
                SearchHit hit = {uint(probe), uint(s.first_row + row), sum};
                hits[slot] = hit;
            }
        }
    }
}
