// What networks are made of besides matrix products: the bodies shared by CUDA, Metal and the host.
//
// References: src/ops/conv.rs, src/ops/pointwise.rs, src/ops/pool.rs. Tensors are (n, height, width, channels); sums and
// products are floats whatever the tensors are made of. One thread gives one element, neighbours along the channels.
#ifndef CHEHRA_NETWORK_H
#define CHEHRA_NETWORK_H

// Geometry of a convolution, and what follows it.
struct ConvParams {
    int n, height, width, channels; // of the input
    int out_height, out_width;
    int kernel_y, kernel_x, stride;
    int pad_top, pad_left;
    int activation; // 0 none, 1 ReLU, 2 PReLU
    int residual;   // 1: added behind the activation
};

FN float activated(float x, int activation, GLOBAL const float* slope, int channel) {
    if (activation == 0 || x > 0.0f) {
        return x;
    }
    return activation == 1 ? 0.0f : slope[channel] * x;
}

// Rows of patches: (n * out_height * out_width, kernel_y * kernel_x * channels). One thread, one element.
template <typename T> FN void im2col_body(GLOBAL const T* x, GLOBAL T* y, ConvParams p, wide index) {
    int patch = p.kernel_y * p.kernel_x * p.channels;
    if (index >= (wide)p.n * p.out_height * p.out_width * patch) {
        return;
    }
    wide row = index / patch;
    int at = (int)(index % patch), channel = at % p.channels, tap = at / p.channels;
    int ox = (int)(row % p.out_width), oy = (int)(row / p.out_width % p.out_height);
    wide image = row / p.out_width / p.out_height;
    int ix = ox * p.stride + tap % p.kernel_x - p.pad_left, iy = oy * p.stride + tap / p.kernel_x - p.pad_top;
    bool inside = ix >= 0 && ix < p.width && iy >= 0 && iy < p.height;
    y[index] = inside ? x[((image * p.height + iy) * p.width + ix) * p.channels + channel] : from_float<T>(0.0f);
}

// activation(x + bias) + residual.
template <typename T>
FN void bias_act_body(GLOBAL const T* x, GLOBAL const float* bias, GLOBAL const float* slope, GLOBAL const T* residual,
                      GLOBAL T* y, int channels, int activation, int has_residual, wide count, wide index) {
    if (index >= count) {
        return;
    }
    int channel = (int)(index % channels);
    float value = activated(to_float(x[index]) + bias[channel], activation, slope, channel);
    y[index] = from_float<T>(has_residual ? value + to_float(residual[index]) : value);
}

// Every channel filtered by itself; weights (kernel_y, kernel_x, channels). The sum runs from the bias over rows and columns
// upwards, each step rounded once.
template <typename T>
FN void depthwise_body(GLOBAL const T* x, GLOBAL const float* weight, GLOBAL const float* bias,
                       GLOBAL const float* slope, GLOBAL const T* residual, GLOBAL T* y, ConvParams p, wide index) {
    if (index >= (wide)p.n * p.out_height * p.out_width * p.channels) {
        return;
    }
    int channel = (int)(index % p.channels);
    wide pixel = index / p.channels;
    int ox = (int)(pixel % p.out_width), oy = (int)(pixel / p.out_width % p.out_height);
    wide image = pixel / p.out_width / p.out_height;
    float sum = bias[channel];
    for (int dy = 0; dy < p.kernel_y; ++dy) {
        int iy = oy * p.stride + dy - p.pad_top;
        if (iy < 0 || iy >= p.height) {
            continue;
        }
        for (int dx = 0; dx < p.kernel_x; ++dx) {
            int ix = ox * p.stride + dx - p.pad_left;
            if (ix < 0 || ix >= p.width) {
                continue;
            }
            float value = to_float(x[((image * p.height + iy) * p.width + ix) * p.channels + channel]);
            sum = fma(value, weight[(dy * p.kernel_x + dx) * p.channels + channel], sum);
        }
    }
    sum = activated(sum, p.activation, slope, channel);
    y[index] = from_float<T>(p.residual ? sum + to_float(residual[index]) : sum);
}

template <typename T>
FN void affine_body(GLOBAL const T* x, GLOBAL const float* scale, GLOBAL const float* shift, GLOBAL T* y, int channels,
                    wide count, wide index) {
    if (index >= count) {
        return;
    }
    int channel = (int)(index % channels);
    y[index] = from_float<T>(fma(to_float(x[index]), scale[channel], shift[channel]));
}

// One factor per image and channel.
template <typename T>
FN void scale_channels_body(GLOBAL const T* x, GLOBAL const T* scale, GLOBAL T* y, int pixels, int channels, wide count,
                            wide index) {
    if (index >= count) {
        return;
    }
    wide image = index / channels / pixels;
    y[index] = from_float<T>(to_float(x[index]) * to_float(scale[image * channels + index % channels]));
}

template <typename T> FN void sigmoid_body(GLOBAL const T* x, GLOBAL T* y, wide count, wide index) {
    if (index < count) {
        y[index] = from_float<T>(1.0f / (1.0f + exp(-to_float(x[index]))));
    }
}

// y + small, each pixel of small repeated 2x2; sides are those of small.
template <typename T>
FN void upsample2_add_body(GLOBAL const T* small_map, GLOBAL const T* x, GLOBAL T* y, int height, int width,
                           int channels, wide count, wide index) {
    if (index >= count) {
        return;
    }
    int channel = (int)(index % channels);
    wide pixel = index / channels;
    int column = (int)(pixel % (2 * width)), row = (int)(pixel / (2 * width) % (2 * height));
    wide image = pixel / (2 * width) / (2 * height);
    wide at = ((image * height + row / 2) * width + column / 2) * channels + channel;
    y[index] = from_float<T>(to_float(x[index]) + to_float(small_map[at]));
}

FN float larger(float a, float b) { return a > b || !(b == b) ? a : b; }

// The largest of each 2x2; sides are those of the input, `index` counts outputs.
template <typename T>
FN void max_pool2_body(GLOBAL const T* x, GLOBAL T* y, int n, int height, int width, int channels, wide index) {
    int out_height = height / 2, out_width = width / 2;
    if (index >= (wide)n * out_height * out_width * channels) {
        return;
    }
    int channel = (int)(index % channels);
    wide pixel = index / channels;
    int column = (int)(pixel % out_width), row = (int)(pixel / out_width % out_height);
    wide image = pixel / out_width / out_height;
    wide at = ((image * height + 2 * row) * width + 2 * column) * channels + channel, below = at + (wide)width * channels;
    float upper = larger(to_float(x[at]), to_float(x[at + channels]));
    float lower = larger(to_float(x[below]), to_float(x[below + channels]));
    y[index] = from_float<T>(larger(upper, lower));
}

// Every step-th row and column; `index` counts outputs.
template <typename T>
FN void subsample_body(GLOBAL const T* x, GLOBAL T* y, int n, int height, int width, int channels, int step, wide index) {
    int out_height = (height + step - 1) / step, out_width = (width + step - 1) / step;
    if (index >= (wide)n * out_height * out_width * channels) {
        return;
    }
    int channel = (int)(index % channels);
    wide pixel = index / channels;
    int column = (int)(pixel % out_width), row = (int)(pixel / out_width % out_height);
    wide image = pixel / out_width / out_height;
    y[index] = x[((image * height + (wide)row * step) * width + (wide)column * step) * channels + channel];
}

// The mean over all pixels, rows and columns ascending; `index` counts images and channels.
template <typename T>
FN void global_avg_pool_body(GLOBAL const T* x, GLOBAL T* y, int n, int pixels, int channels, wide index) {
    if (index >= (wide)n * channels) {
        return;
    }
    wide image = index / channels;
    GLOBAL const T* at = x + image * pixels * channels + index % channels;
    float sum = 0.0f;
    for (int pixel = 0; pixel < pixels; ++pixel, at += channels) {
        sum += to_float(*at);
    }
    y[index] = from_float<T>(sum / (float)pixels);
}
#endif
