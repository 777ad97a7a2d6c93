// Overlapping candidates reduced to the best of each group, best first: src/face/decode.rs, `suppress`. One block of threads
// works on one photo; the order in which candidates came in makes no difference.
#ifndef CHEHRA_SUPPRESS_H
#define CHEHRA_SUPPRESS_H

// Candidates that one block can sort.
#define MOST_CANDIDATES 1024

FN void suppress_body(GLOBAL const float* faces, GLOBAL float* kept, GLOBAL uint* kept_count, SHARED int* order,
                      SHARED int* gone, int count, float max_iou, int max_faces, int me, int threads) {
    for (int i = me; i < count; i += threads) {
        int rank = 0;
        for (int j = 0; j < count; ++j) {
            rank += j != i && comes_before(faces, j, i);
        }
        order[rank] = i;
        gone[i] = 0; // by rank, as all below
    }
    BARRIER();
    int found = 0;
    for (int rank = 0; rank < count && found < max_faces; ++rank) {
        if (!gone[rank]) {
            GLOBAL const float* best = faces + (wide)order[rank] * FACE_VALUES;
            for (int other = rank + 1 + me; other < count; other += threads) {
                if (iou(best, faces + (wide)order[other] * FACE_VALUES) > max_iou) {
                    gone[other] = 1;
                }
            }
            for (int k = me; k < FACE_VALUES; k += threads) {
                kept[(wide)found * FACE_VALUES + k] = best[k];
            }
            ++found;
        }
        BARRIER();
    }
    if (me == 0) {
        *kept_count = (uint)found;
    }
}
#endif
