// What networks are made of besides matrix products: the bodies shared by CUDA, Metal and the host.
//
// References: src/ops/conv.rs, src/ops/pointwise.rs, src/ops/pool.rs. Tensors are (n, height, width, channels); sums and
// products are floats whatever the tensors are made of. One thread gives one element, neighbours along the channels; or, where
// the channels are a multiple of LANES, so many of them: then working out where an element lies, which costs more than the
// element, is done once for all, and they move in one access. Threads beyond the last element do nothing.
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

// Neighbouring channels that one thread gives.
#define LANES 8

template <typename T, int N> struct alignas(N == 1 ? sizeof(T) : 16) Lanes {
    T at[N];
};

template <typename T, int N> FN Lanes<T, N> lanes(GLOBAL const T* x, wide from) {
    return *(GLOBAL const Lanes<T, N>*)(x + from);
}

template <typename T, int N> FN void put_lanes(GLOBAL T* y, wide from, Lanes<T, N> value) {
    *(GLOBAL Lanes<T, N>*)(y + from) = value;
}

// Rows of patches: (n * out_height * out_width, kernel_y * kernel_x * channels).
template <typename T, int N> FN void im2col_lanes(GLOBAL const T* x, GLOBAL T* y, ConvParams p, wide index) {
    int patch = p.kernel_y * p.kernel_x * p.channels, groups = patch / N;
    if (index >= (wide)p.n * p.out_height * p.out_width * groups) {
        return;
    }
    wide row = index / groups;
    int at = (int)(index % groups) * N, channel = at % p.channels, tap = at / p.channels;
    int ox = (int)(row % p.out_width), oy = (int)(row / p.out_width % p.out_height);
    wide image = row / p.out_width / p.out_height;
    int ix = ox * p.stride + tap % p.kernel_x - p.pad_left, iy = oy * p.stride + tap / p.kernel_x - p.pad_top;
    Lanes<T, N> value;
    if (ix >= 0 && ix < p.width && iy >= 0 && iy < p.height) {
        value = lanes<T, N>(x, ((image * p.height + iy) * p.width + ix) * p.channels + channel);
    } else {
        for (int k = 0; k < N; ++k) {
            value.at[k] = from_float<T>(0.0f);
        }
    }
    put_lanes<T, N>(y, index * N, value);
}

template <typename T> FN void im2col_body(GLOBAL const T* x, GLOBAL T* y, ConvParams p, wide index) {
    if (p.channels % LANES == 0) {
        im2col_lanes<T, LANES>(x, y, p, index);
    } else {
        im2col_lanes<T, 1>(x, y, p, index);
    }
}

// activation(x + bias) + residual.
template <typename T, int N>
FN void bias_act_lanes(GLOBAL const T* x, GLOBAL const float* bias, GLOBAL const float* slope, GLOBAL const T* residual,
                       GLOBAL T* y, int channels, int activation, int has_residual, wide count, wide index) {
    wide from = index * N;
    if (from >= count) {
        return;
    }
    int channel = (int)(from % channels);
    Lanes<T, N> in = lanes<T, N>(x, from), added = in, out;
    if (has_residual) {
        added = lanes<T, N>(residual, from);
    }
    for (int k = 0; k < N; ++k) {
        float value = activated(to_float(in.at[k]) + bias[channel + k], activation, slope, channel + k);
        out.at[k] = from_float<T>(has_residual ? value + to_float(added.at[k]) : value);
    }
    put_lanes<T, N>(y, from, out);
}

template <typename T>
FN void bias_act_body(GLOBAL const T* x, GLOBAL const float* bias, GLOBAL const float* slope, GLOBAL const T* residual,
                      GLOBAL T* y, int channels, int activation, int has_residual, wide count, wide index) {
    if (channels % LANES == 0) {
        bias_act_lanes<T, LANES>(x, bias, slope, residual, y, channels, activation, has_residual, count, index);
    } else {
        bias_act_lanes<T, 1>(x, bias, slope, residual, y, channels, activation, has_residual, count, index);
    }
}

// Every channel filtered by itself; weights (kernel_y, kernel_x, channels). The sum runs from the bias over rows and columns
// upwards, each step rounded once.
template <typename T, int N>
FN void depthwise_lanes(GLOBAL const T* x, GLOBAL const float* weight, GLOBAL const float* bias,
                        GLOBAL const float* slope, GLOBAL const T* residual, GLOBAL T* y, ConvParams p, wide index) {
    int groups = p.channels / N;
    if (index >= (wide)p.n * p.out_height * p.out_width * groups) {
        return;
    }
    int channel = (int)(index % groups) * N;
    wide pixel = index / groups;
    int ox = (int)(pixel % p.out_width), oy = (int)(pixel / p.out_width % p.out_height);
    wide image = pixel / p.out_width / p.out_height;
    float sum[N];
    for (int k = 0; k < N; ++k) {
        sum[k] = bias[channel + k];
    }
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
            Lanes<T, N> value = lanes<T, N>(x, ((image * p.height + iy) * p.width + ix) * p.channels + channel);
            GLOBAL const float* factors = weight + (dy * p.kernel_x + dx) * p.channels + channel;
            for (int k = 0; k < N; ++k) {
                sum[k] = fma(to_float(value.at[k]), factors[k], sum[k]);
            }
        }
    }
    wide to = index * N;
    Lanes<T, N> out;
    for (int k = 0; k < N; ++k) {
        float value = activated(sum[k], p.activation, slope, channel + k);
        out.at[k] = from_float<T>(p.residual ? value + to_float(residual[to + k]) : value);
    }
    put_lanes<T, N>(y, to, out);
}

template <typename T>
FN void depthwise_body(GLOBAL const T* x, GLOBAL const float* weight, GLOBAL const float* bias,
                       GLOBAL const float* slope, GLOBAL const T* residual, GLOBAL T* y, ConvParams p, wide index) {
    if (p.channels % LANES == 0) {
        depthwise_lanes<T, LANES>(x, weight, bias, slope, residual, y, p, index);
    } else {
        depthwise_lanes<T, 1>(x, weight, bias, slope, residual, y, p, index);
    }
}

template <typename T, int N>
FN void affine_lanes(GLOBAL const T* x, GLOBAL const float* scale, GLOBAL const float* shift, GLOBAL T* y, int channels,
                     wide count, wide index) {
    wide from = index * N;
    if (from >= count) {
        return;
    }
    int channel = (int)(from % channels);
    Lanes<T, N> in = lanes<T, N>(x, from), out;
    for (int k = 0; k < N; ++k) {
        out.at[k] = from_float<T>(fma(to_float(in.at[k]), scale[channel + k], shift[channel + k]));
    }
    put_lanes<T, N>(y, from, out);
}

template <typename T>
FN void affine_body(GLOBAL const T* x, GLOBAL const float* scale, GLOBAL const float* shift, GLOBAL T* y, int channels,
                    wide count, wide index) {
    if (channels % LANES == 0) {
        affine_lanes<T, LANES>(x, scale, shift, y, channels, count, index);
    } else {
        affine_lanes<T, 1>(x, scale, shift, y, channels, count, index);
    }
}

// base + x * scale, one factor per image and channel; without a base the product alone.
template <typename T>
FN void scale_channels_body(GLOBAL const T* x, GLOBAL const T* scale, GLOBAL const T* base, GLOBAL T* y, int pixels,
                            int channels, int has_base, wide count, wide index) {
    if (index >= count) {
        return;
    }
    wide image = index / channels / pixels;
    float product = mul_rn(to_float(x[index]), to_float(scale[image * channels + index % channels]));
    y[index] = from_float<T>(has_base ? to_float(base[index]) + product : product);
}

// The same numbers in another type.
template <typename From, typename To> FN void cast_body(GLOBAL const From* x, GLOBAL To* y, wide count, wide index) {
    if (index < count) {
        y[index] = from_float<To>(to_float(x[index]));
    }
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
