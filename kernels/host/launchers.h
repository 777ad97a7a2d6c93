// Launchers that both dialects have: one thread an element. LAUNCHER(name) names them, the entries are called as in CUDA.
// AT and SUPPRESS_AT are what an entry is told about its place, COUNTS what a counter is called.
#define OF_TYPE(suffix, T)                                                                                             \
    LAUNCHER(warp_##suffix)(const uchar* pictures, const WarpFace* faces, T* out, const PixelParams* p) {              \
        simt::launch_elements((long long)p->count * p->width * p->height, [&] { warp_##suffix(pictures, faces, out, *p AT); }); \
    }                                                                                                                  \
    LAUNCHER(crop_resize_##suffix)(const uchar* pictures, const CropRegion* regions, T* out, const PixelParams* p) {   \
        simt::launch_elements((long long)p->count * p->width * p->height,                                              \
                              [&] { crop_resize_##suffix(pictures, regions, out, *p AT); });                           \
    }                                                                                                                  \
    LAUNCHER(shrink_##suffix)(const uchar* pictures, const ShrinkPicture* from, T* out, const PixelParams* p) {        \
        simt::launch_elements((long long)p->count * p->width * p->height, [&] { shrink_##suffix(pictures, from, out, *p AT); }); \
    }                                                                                                                  \
    LAUNCHER(im2col_##suffix)(const T* x, T* y, const ConvParams* p) {                                                 \
        long long patch = (long long)p->kernel_y * p->kernel_x * p->channels;                                          \
        simt::launch_elements(patch * p->n * p->out_height * p->out_width, [&] { im2col_##suffix(x, y, *p AT); });     \
    }                                                                                                                  \
    LAUNCHER(bias_act_##suffix)(const T* x, const float* bias, const float* slope, const T* residual, T* y,            \
                                int channels, int activation, int has_residual, long long count) {                     \
        simt::launch_elements(                                                                                         \
            count, [&] { bias_act_##suffix(x, bias, slope, residual, y, channels, activation, has_residual, count AT); }); \
    }                                                                                                                  \
    LAUNCHER(depthwise_##suffix)(const T* x, const float* weight, const float* bias, const float* slope,               \
                                 const T* residual, T* y, const ConvParams* p) {                                       \
        simt::launch_elements((long long)p->n * p->out_height * p->out_width * p->channels,                            \
                              [&] { depthwise_##suffix(x, weight, bias, slope, residual, y, *p AT); });                \
    }                                                                                                                  \
    LAUNCHER(affine_##suffix)(const T* x, const float* scale, const float* shift, T* y, int channels, long long count) { \
        simt::launch_elements(count, [&] { affine_##suffix(x, scale, shift, y, channels, count AT); });                \
    }                                                                                                                  \
    LAUNCHER(scale_channels_##suffix)(const T* x, const T* scale, T* y, int pixels, int channels, long long count) {   \
        simt::launch_elements(count, [&] { scale_channels_##suffix(x, scale, y, pixels, channels, count AT); });       \
    }                                                                                                                  \
    LAUNCHER(sigmoid_##suffix)(const T* x, T* y, long long count) {                                                    \
        simt::launch_elements(count, [&] { sigmoid_##suffix(x, y, count AT); });                                       \
    }                                                                                                                  \
    LAUNCHER(upsample2_add_##suffix)(const T* small_map, const T* x, T* y, int height, int width, int channels,        \
                                     long long count) {                                                                \
        simt::launch_elements(count, [&] { upsample2_add_##suffix(small_map, x, y, height, width, channels, count AT); }); \
    }                                                                                                                  \
    LAUNCHER(max_pool2_##suffix)(const T* x, T* y, int n, int height, int width, int channels) {                       \
        simt::launch_elements((long long)n * (height / 2) * (width / 2) * channels,                                    \
                              [&] { max_pool2_##suffix(x, y, n, height, width, channels AT); });                       \
    }                                                                                                                  \
    LAUNCHER(subsample_##suffix)(const T* x, T* y, int n, int height, int width, int channels, int step) {             \
        long long pixels = (long long)n * ((height + step - 1) / step) * ((width + step - 1) / step);                  \
        simt::launch_elements(pixels * channels, [&] { subsample_##suffix(x, y, n, height, width, channels, step AT); }); \
    }                                                                                                                  \
    LAUNCHER(global_avg_pool_##suffix)(const T* x, T* y, int n, int pixels, int channels) {                            \
        simt::launch_elements((long long)n * channels, [&] { global_avg_pool_##suffix(x, y, n, pixels, channels AT); }); \
    }
FOR_TYPES(OF_TYPE)

LAUNCHER(decode_faces)(const float* heads, const DecodePicture* pictures, float* candidates, uint* counts,
                       const DecodeParams* p) {
    simt::launch_elements((long long)p->pictures * p->rows * p->columns,
                          [&] { decode_faces(heads, pictures, candidates, COUNTS(counts), *p AT); });
}

LAUNCHER(suppress_faces)(const float* candidates, const uint* counts, float* kept, uint* kept_counts, int photos,
                         int capacity, float max_iou, int max_faces) {
    simt::launch({unsigned(photos)}, {256}, true,
                 [&] { suppress_faces(candidates, counts, kept, kept_counts, capacity, max_iou, max_faces SUPPRESS_AT); });
}
