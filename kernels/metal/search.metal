// Exact integer search: every stored code times every probe, only rows within reach written out.
#include "prelude.h"
#include "../core/search.h"

// Four signed codes times four.
FN int dot4(uint a, uint b, int sum) {
    for (int i = 0; i < 4; ++i) {
        sum += int(char(a >> (8 * i))) * int(char(b >> (8 * i)));
    }
    return sum;
}

// One thread a row (x) and eight probes (y). Limits stay as they are.
kernel void search(device const uint* codes AT_BUFFER(0), device const float* scales AT_BUFFER(1),
                   device const float* residuals AT_BUFFER(2), device const uint* probes AT_BUFFER(3),
                   device const SearchReach* reaches AT_BUFFER(4), device const uint* limits AT_BUFFER(5),
                   device SearchHit* hits AT_BUFFER(6), device atomic_uint* count AT_BUFFER(7),
                   constant SearchParams& s AT_BUFFER(8), uint2 at [[thread_position_in_grid]]) {
    int row = int(at.x), first = int(at.y) * 8;
    if (row >= s.rows || first >= s.probes) {
        return;
    }
    device const uint* own = codes + wide(row / 16) * s.words * 16 + row % 16;
    int sums[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    for (int k = 0; k < s.words; ++k) {
        uint code = own[k * 16] ^ 0x80808080u;
        for (int i = 0; i < 8; ++i) {
            sums[i] = dot4(code, probes[wide(min(first + i, s.probes - 1)) * s.words + k], sums[i]);
        }
    }
    for (int i = 0; i < 8 && first + i < s.probes; ++i) {
        SearchReach reach = reaches[first + i];
        float least = search_value(limits[first + i]) - reach.slack;
        if (search_most(sums[i], reach, scales[row], residuals[row]) >= least) {
            uint slot = atomic_fetch_add_explicit(count, 1u, memory_order_relaxed);
            if (slot < s.capacity) {
                SearchHit hit = {uint(first + i), uint(s.first_row + row), sums[i]};
                hits[slot] = hit;
            }
        }
    }
}
