// Aligned faces, resized surroundings, shrunk pictures, and the detector's boxes reduced to faces.
#include "prelude.cuh"
#include "../core/faces.h"

#define ENTRIES(suffix, T)                                                                                             \
    ENTRY __launch_bounds__(256)                                                                                       \
        warp_##suffix(const uchar* pictures, const WarpFace* faces, T* out, PixelParams p) {                           \
        warp_body<T>(pictures, faces, out, p, INDEX);                                                                  \
    }                                                                                                                  \
    ENTRY __launch_bounds__(256)                                                                                       \
        crop_resize_##suffix(const uchar* pictures, const CropRegion* regions, T* out, PixelParams p) {                \
        crop_resize_body<T>(pictures, regions, out, p, INDEX);                                                         \
    }                                                                                                                  \
    ENTRY __launch_bounds__(256)                                                                                       \
        shrink_##suffix(const uchar* pictures, const ShrinkPicture* from, T* out, PixelParams p) {                     \
        shrink_body<T>(pictures, from, out, p, INDEX);                                                                 \
    }
FOR_TYPES(ENTRIES)

ENTRY __launch_bounds__(256) upright(const uchar* stored, uchar* out, UprightPicture p) {
    upright_body(stored, out, p, INDEX);
}

// One thread a cell: candidates go into the list of their photo, `counts` says how many there would be.
ENTRY __launch_bounds__(256) decode_faces(const float* heads, const DecodePicture* pictures, float* candidates,
                                          uint* counts, DecodeParams p) {
    wide index = INDEX;
    int cells = p.rows * p.columns;
    if (index >= (wide)p.pictures * cells) {
        return;
    }
    DecodePicture d = pictures[index / cells];
    int cell = (int)(index % cells);
    float face[FACE_VALUES];
    if (!decode_cell(heads + index * CELL_VALUES, d, p, cell / p.columns, cell % p.columns, face)) {
        return;
    }
    uint slot = atomicAdd(&counts[d.photo], 1u);
    if (slot < (uint)p.capacity) {
        float* to = candidates + ((wide)d.photo * p.capacity + slot) * FACE_VALUES;
        for (int k = 0; k < FACE_VALUES; ++k) {
            to[k] = face[k];
        }
    }
}

#include "../core/suppress.h"

// One block a photo.
ENTRY __launch_bounds__(256) suppress_faces(const float* candidates, const uint* counts, float* kept, uint* kept_counts,
                                            int capacity, float max_iou, int max_faces) {
    __shared__ int order[MOST_CANDIDATES];
    __shared__ int gone[MOST_CANDIDATES];
    int photo = blockIdx.x, count = min((int)counts[photo], min(capacity, MOST_CANDIDATES));
    suppress_body(candidates + (wide)photo * capacity * FACE_VALUES, kept + (wide)photo * max_faces * FACE_VALUES,
                  kept_counts + photo, order, gone, count, max_iou, max_faces, (int)threadIdx.x, (int)blockDim.x);
}
