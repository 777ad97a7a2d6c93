// The gallery's integer scan: the bodies shared by CUDA, Metal and the host. Reference: src/gallery/dot, src/gallery/exact.rs.
//
// Stored codes lie as on the CPU, [block of 16 templates][codes / 4][16][4], each byte code + 128. Sums are exact in 32 bits,
// so every kernel gives the integers of the CPU. What may be near enough is told by the same floats in the same order, each
// step rounded once; scores are never written out, only those rows.
#ifndef CHEHRA_SEARCH_H
#define CHEHRA_SEARCH_H

struct SearchParams {
    int probes;
    int words;     // of four codes in a row, a multiple of 16
    int rows;      // in this chunk
    int first_row; // number of the chunk's first row
    int top;       // how many best rows per probe raise its limit; 0: limits stay
    uint capacity; // of the list of hits
};

// What a probe asks of a sum: sum * (scale * row_scale) + row_residual * grown >= limit - slack.
struct SearchReach {
    float scale;
    float grown;    // 1 + residual
    float slack;    // residual and the rounding of a scan
    float residual;
    float rounding;
};

// A row that may be near enough.
struct SearchHit {
    uint probe;
    uint row;
    int sum;
};

FN float search_most(int sum, SearchReach r, float row_scale, float row_residual) {
    return mul_rn((float)sum, mul_rn(r.scale, row_scale)) + mul_rn(row_residual, r.grown);
}

// The similarity is at least this.
FN float search_least(int sum, SearchReach r, float row_scale, float most) {
    float whole = (most + r.residual) + r.rounding;
    return mul_rn(2.0f, mul_rn((float)sum, mul_rn(r.scale, row_scale))) - whole;
}

// Floats as unsigned integers of the same order, for a limit that only rises.
FN uint search_key(float value) {
    uint bits = (uint)as_bits(value);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

FN float search_value(uint key) { return as_float(key >> 31 ? key ^ 0x80000000u : ~key); }
#endif
