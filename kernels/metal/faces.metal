// Aligned faces, resized surroundings, shrunk pictures, and the detector's boxes reduced to faces.
#include "prelude.h"
#include "../core/faces.h"
#include "../core/suppress.h"

#define FACE_ENTRIES(suffix, T)                                                                                        \
    kernel void warp_##suffix(device const uchar* pictures AT_BUFFER(0), device const WarpFace* faces AT_BUFFER(1),     \
                              device T* out AT_BUFFER(2), constant PixelParams& p AT_BUFFER(3), INDEX_ARGUMENT) {      \
        warp_body<T>(pictures, faces, out, p, index);                                                                  \
    }                                                                                                                  \
    kernel void crop_resize_##suffix(device const uchar* pictures AT_BUFFER(0),                                        \
                                     device const CropRegion* regions AT_BUFFER(1), device T* out AT_BUFFER(2),        \
                                     constant PixelParams& p AT_BUFFER(3), INDEX_ARGUMENT) {                           \
        crop_resize_body<T>(pictures, regions, out, p, index);                                                         \
    }                                                                                                                  \
    kernel void shrink_##suffix(device const uchar* pictures AT_BUFFER(0),                                             \
                                device const ShrinkPicture* from AT_BUFFER(1), device T* out AT_BUFFER(2),             \
                                constant PixelParams& p AT_BUFFER(3), INDEX_ARGUMENT) {                                \
        shrink_body<T>(pictures, from, out, p, index);                                                                 \
    }
FOR_TYPES(FACE_ENTRIES)

kernel void upright(device const uchar* stored AT_BUFFER(0), device uchar* out AT_BUFFER(1),
                    constant UprightPicture& p AT_BUFFER(2), INDEX_ARGUMENT) {
    upright_body(stored, out, p, index);
}

// One thread a cell: candidates go into the list of their photo, `counts` says how many there would be.
kernel void decode_faces(device const float* heads AT_BUFFER(0), device const DecodePicture* pictures AT_BUFFER(1),
                         device float* candidates AT_BUFFER(2), device atomic_uint* counts AT_BUFFER(3),
                         constant DecodeParams& p AT_BUFFER(4), INDEX_ARGUMENT) {
    int cells = p.rows * p.columns;
    if (wide(index) >= wide(p.pictures) * cells) {
        return;
    }
    DecodePicture d = pictures[index / cells];
    int cell = int(index % cells);
    float face[FACE_VALUES];
    if (!decode_cell(heads + wide(index) * CELL_VALUES, d, p, cell / p.columns, cell % p.columns, face)) {
        return;
    }
    uint slot = atomic_fetch_add_explicit(&counts[d.photo], 1u, memory_order_relaxed);
    if (slot < uint(p.capacity)) {
        device float* to = candidates + (wide(d.photo) * p.capacity + slot) * FACE_VALUES;
        for (int k = 0; k < FACE_VALUES; ++k) {
            to[k] = face[k];
        }
    }
}

// One group of threads a photo.
kernel void suppress_faces(device const float* candidates AT_BUFFER(0), device const uint* counts AT_BUFFER(1),
                           device float* kept AT_BUFFER(2), device uint* kept_counts AT_BUFFER(3),
                           constant int& capacity AT_BUFFER(4), constant float& max_iou AT_BUFFER(5),
                           constant int& max_faces AT_BUFFER(6), uint photo [[threadgroup_position_in_grid]],
                           uint at [[thread_position_in_threadgroup]], uint threads [[threads_per_threadgroup]]) {
    threadgroup int order[MOST_CANDIDATES];
    threadgroup int gone[MOST_CANDIDATES];
    int count = min(int(counts[photo]), min(capacity, MOST_CANDIDATES));
    suppress_body(candidates + wide(photo) * capacity * FACE_VALUES, kept + wide(photo) * max_faces * FACE_VALUES,
                  kept_counts + photo, order, gone, count, max_iou, max_faces, int(at), int(threads));
}
