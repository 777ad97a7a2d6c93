// From pictures to network input, and from the detector's output to faces: the bodies shared by CUDA, Metal and the host.
//
// References: src/face/align.rs (warp), src/face/crop.rs (crop_resize), src/face/resize.rs (shrink), src/face/decode.rs
// (decode, suppress). Pictures lie one behind the other in one buffer of bytes, red, green, blue; results are (n, height,
// width, 3). A dialect's prelude defines FN, GLOBAL, SHARED, wide (a 64-bit integer) and the conversions of numbers.
#ifndef CHEHRA_FACES_H
#define CHEHRA_FACES_H

// How a pixel leaves: (value - mean) * factor, red or blue first.
struct PixelParams {
    int count;      // results
    int width;      // of a result
    int height;     // of a result
    int blue_first; // 0 or 1
    float mean;
    float factor;
};

// One face to warp. Positions are in squares of `square` pixels, whole part and rest apart: in one float a picture 8,000
// pixels wide would leave a thousandth of a pixel.
struct WarpFace {
    wide offset; // of the picture's first byte
    int width;   // of the picture
    int height;  // of the picture
    int square;  // pixels averaged in each direction
    int left;    // whole part of where output (0, 0) lies
    int top;
    float x; // the rest of it
    float y;
    float a; // scale times cosine, from output to squares
    float b; // scale times sine
    int reserved;
};

// A region to resize.
struct CropRegion {
    wide offset;      // of the picture's first byte
    int picture_width;
    int left;
    int top;
    int width;
    int height;
    int reserved;
};

// A picture to shrink into the upper left corner of a result.
struct ShrinkPicture {
    wide offset; // of the picture's first byte
    int width;
    int height;
    int fit_width;
    int fit_height;
};

// A stored picture to turn upright, by its EXIF orientation (EXIF 2.32, tag 0x0112). Reference: src/photo/orient.rs.
struct UprightPicture {
    wide from;  // first byte of the stored picture
    wide to;    // first byte of the upright one
    int width;  // of the upright one
    int height; // of the upright one
    int orientation;
    int reserved;
};

// One pixel of one upright picture. From 5 on rows become columns, and the stored picture is as wide as this one is high.
FN void upright_body(GLOBAL const uchar* stored, GLOBAL uchar* upright, UprightPicture p, wide index) {
    if (index >= (wide)p.width * p.height) {
        return;
    }
    int x = (int)(index % p.width), y = (int)(index / p.width), o = p.orientation;
    int over = p.width - 1 - x, under = p.height - 1 - y, stride = o < 5 ? p.width : p.height;
    int column = o < 5 ? (o == 2 || o == 3 ? over : x) : (o == 7 || o == 8 ? under : y);
    int row = o < 5 ? (o == 3 || o == 4 ? under : y) : (o == 6 || o == 7 ? over : x);
    GLOBAL const uchar* at = stored + p.from + ((wide)row * stride + column) * 3;
    GLOBAL uchar* to = upright + p.to + index * 3;
    to[0] = at[0];
    to[1] = at[1];
    to[2] = at[2];
}

struct Rgb {
    float r, g, b;
};

FN Rgb black() {
    Rgb rgb;
    rgb.r = 0.0f;
    rgb.g = 0.0f;
    rgb.b = 0.0f;
    return rgb;
}

FN float between(float low, float high, float part) { return low + (high - low) * part; }

FN Rgb between(Rgb low, Rgb high, float part) {
    Rgb rgb;
    rgb.r = between(low.r, high.r, part);
    rgb.g = between(low.g, high.g, part);
    rgb.b = between(low.b, high.b, part);
    return rgb;
}

// One result's pixel in its order of colours.
template <typename T> FN void put_pixel(GLOBAL T* out, wide index, PixelParams p, Rgb rgb) {
    float first = p.blue_first ? rgb.b : rgb.r, last = p.blue_first ? rgb.r : rgb.b;
    out[index * 3] = from_float<T>((first - p.mean) * p.factor);
    out[index * 3 + 1] = from_float<T>((rgb.g - p.mean) * p.factor);
    out[index * 3 + 2] = from_float<T>((last - p.mean) * p.factor);
}

// The mean of a square of pixels, those beyond the picture's border black.
FN Rgb warp_square(GLOBAL const uchar* picture, WarpFace f, int x, int y) {
    if (x < 0 || y < 0 || x >= (f.width + f.square - 1) / f.square || y >= (f.height + f.square - 1) / f.square) {
        return black();
    }
    int left = x * f.square, right = min(left + f.square, f.width);
    int top = y * f.square, bottom = min(top + f.square, f.height);
    uint r = 0, g = 0, b = 0;
    for (int row = top; row < bottom; ++row) {
        GLOBAL const uchar* at = picture + ((wide)row * f.width + left) * 3;
        for (int column = left; column < right; ++column, at += 3) {
            r += at[0];
            g += at[1];
            b += at[2];
        }
    }
    float weight = 1.0f / (float)(f.square * f.square);
    Rgb rgb;
    rgb.r = (float)r * weight;
    rgb.g = (float)g * weight;
    rgb.b = (float)b * weight;
    return rgb;
}

// One pixel of one aligned face.
template <typename T>
FN void warp_body(GLOBAL const uchar* pictures, GLOBAL const WarpFace* faces, GLOBAL T* out, PixelParams p, wide index) {
    int area = p.width * p.height;
    if (index >= (wide)p.count * area) {
        return;
    }
    WarpFace f = faces[index / area];
    int rest = (int)(index % area);
    float x = (float)(rest % p.width), y = (float)(rest / p.width);
    float sx = (f.x - f.b * y) + f.a * x, sy = (f.y + f.a * y) + f.b * x;
    float left = floor(sx), top = floor(sy);
    int column = f.left + (int)left, row = f.top + (int)top;
    GLOBAL const uchar* picture = pictures + f.offset;
    Rgb upper = between(warp_square(picture, f, column, row), warp_square(picture, f, column + 1, row), sx - left);
    Rgb lower =
        between(warp_square(picture, f, column, row + 1), warp_square(picture, f, column + 1, row + 1), sx - left);
    put_pixel(out, index, p, between(upper, lower, sy - top));
}

// Two neighbouring source positions and how far from the first to the second, in exact integers.
struct Tap {
    int low, high;
    float part;
};

FN Tap tap(int index, int from, int to) {
    wide at = (wide)(2 * index + 1) * from - to, last = (wide)(from - 1) * 2 * to;
    at = at < 0 ? 0 : (at > last ? last : at);
    Tap t;
    t.low = (int)(at / (2 * to));
    t.high = t.low + 1 < from ? t.low + 1 : from - 1;
    t.part = (float)(at % (2 * to)) / (float)(2 * to);
    return t;
}

FN Rgb crop_pixel(GLOBAL const uchar* picture, CropRegion c, int column, int row) {
    GLOBAL const uchar* at = picture + ((wide)(c.top + row) * c.picture_width + c.left + column) * 3;
    Rgb rgb;
    rgb.r = (float)at[0];
    rgb.g = (float)at[1];
    rgb.b = (float)at[2];
    return rgb;
}

// One pixel of one resized region: bilinear between pixel centres, without averaging.
template <typename T>
FN void crop_resize_body(GLOBAL const uchar* pictures, GLOBAL const CropRegion* regions, GLOBAL T* out, PixelParams p,
                         wide index) {
    int area = p.width * p.height;
    if (index >= (wide)p.count * area) {
        return;
    }
    CropRegion c = regions[index / area];
    int rest = (int)(index % area);
    Tap across = tap(rest % p.width, c.width, p.width), down = tap(rest / p.width, c.height, p.height);
    GLOBAL const uchar* picture = pictures + c.offset;
    Rgb upper = between(crop_pixel(picture, c, across.low, down.low), crop_pixel(picture, c, across.high, down.low),
                        across.part);
    Rgb lower = between(crop_pixel(picture, c, across.low, down.high), crop_pixel(picture, c, across.high, down.high),
                        across.part);
    put_pixel(out, index, p, between(upper, lower, down.part));
}

// The source rows or columns that an output row or column averages; all but the first and last weigh 1.
struct Span {
    int first, count;
    float head, tail;
};

FN Span span(int index, int from, int to) {
    wide start = (wide)index * from, end = (wide)(index + 1) * from;
    wide first = start / to, last = (end - 1) / to;
    wide head = (first + 1) * to, tail = last * to;
    Span s;
    s.first = (int)first;
    s.count = (int)(last - first + 1);
    s.head = (float)((head < end ? head : end) - start) / (float)to;
    s.tail = (float)(end - (tail > start ? tail : start)) / (float)to;
    return s;
}

FN float span_weight(Span s, int nth) { return nth == 0 ? s.head : (nth + 1 == s.count ? s.tail : 1.0f); }

// One pixel of one shrunk picture: the mean of the area it covers, zero in the padding.
template <typename T>
FN void shrink_body(GLOBAL const uchar* pictures, GLOBAL const ShrinkPicture* from, GLOBAL T* out, PixelParams p,
                    wide index) {
    int area = p.width * p.height;
    if (index >= (wide)p.count * area) {
        return;
    }
    ShrinkPicture s = from[index / area];
    int rest = (int)(index % area), x = rest % p.width, y = rest / p.width;
    if (x >= s.fit_width || y >= s.fit_height) {
        for (int channel = 0; channel < 3; ++channel) {
            out[index * 3 + channel] = from_float<T>(0.0f);
        }
        return;
    }
    Span across = span(x, s.width, s.fit_width), down = span(y, s.height, s.fit_height);
    GLOBAL const uchar* picture = pictures + s.offset + ((wide)down.first * s.width + across.first) * 3;
    Rgb mean = black();
    for (int column = 0; column < across.count; ++column) {
        Rgb sum = black();
        for (int row = 0; row < down.count; ++row) {
            GLOBAL const uchar* at = picture + ((wide)row * s.width + column) * 3;
            float weight = span_weight(down, row);
            sum.r += weight * (float)at[0];
            sum.g += weight * (float)at[1];
            sum.b += weight * (float)at[2];
        }
        float weight = span_weight(across, column);
        mean.r += weight * sum.r;
        mean.g += weight * sum.g;
        mean.b += weight * sum.b;
    }
    float share = (float)((wide)s.fit_width * s.fit_height) / (float)((wide)s.width * s.height);
    mean.r *= share;
    mean.g *= share;
    mean.b *= share;
    put_pixel(out, index, p, mean);
}

// How one picture of a detector's batch lies in its photo.
struct DecodePicture {
    int photo; // whose list of candidates it fills
    float ratio_x;
    float ratio_y;
    float inside_width;
    float inside_height;
};

struct DecodeParams {
    int pictures;
    int rows;
    int columns;
    int stride;
    int capacity; // candidates per photo
    float min_score;
};

// Floats of a candidate or a face: left, top, width, height, ten of landmarks, score.
#define FACE_VALUES 15
// Values per cell of the detector: face, overlap, four of the box, ten of landmarks.
#define CELL_VALUES 16

FN float in_unit(float x) { return x < 0.0f ? 0.0f : (x > 1.0f ? 1.0f : x); }
FN bool is_number(float x) { return x - x == 0.0f; }

// The candidate of one cell, if it is one: `face` takes its values.
FN bool decode_cell(GLOBAL const float* cell, DecodePicture d, DecodeParams p, int row, int column, LOCAL float* face) {
    float cls = 1.0f / (1.0f + exp(-cell[0])), obj = 1.0f / (1.0f + exp(-cell[1]));
    float score = sqrt(in_unit(cls) * in_unit(obj));
    if (!(score >= p.min_score)) {
        return false;
    }
    float stride = (float)p.stride, left = (float)column, top = (float)row;
    float x = (left + cell[2]) * stride, y = (top + cell[3]) * stride;
    float width = exp(cell[4]) * stride, height = exp(cell[5]) * stride;
    if (!(x >= 0.0f && x < d.inside_width && y >= 0.0f && y < d.inside_height) || !is_number(width * height)) {
        return false;
    }
    for (int k = 0; k < 5; ++k) {
        float px = cell[6 + 2 * k], py = cell[7 + 2 * k];
        if (!is_number(px) || !is_number(py)) {
            return false;
        }
        face[4 + 2 * k] = ((left + px) * stride + 0.5f) * d.ratio_x - 0.5f;
        face[5 + 2 * k] = ((top + py) * stride + 0.5f) * d.ratio_y - 0.5f;
    }
    face[0] = ((x - width / 2.0f) + 0.5f) * d.ratio_x - 0.5f;
    face[1] = ((y - height / 2.0f) + 0.5f) * d.ratio_y - 0.5f;
    face[2] = width * d.ratio_x;
    face[3] = height * d.ratio_y;
    face[14] = score;
    return true;
}

// Floats as integers of the same order.
FN int order_key(float value) {
    int bits = as_bits(value);
    return bits ^ (int)((uint)(bits >> 31) >> 1);
}

// Whether face `i` comes before face `j`: by score, then by position; equal ones by index.
FN bool comes_before(GLOBAL const float* faces, int i, int j) {
    GLOBAL const float* a = faces + (wide)i * FACE_VALUES;
    GLOBAL const float* b = faces + (wide)j * FACE_VALUES;
    int x = order_key(a[14]), y = order_key(b[14]);
    if (x != y) {
        return x > y;
    }
    for (int k = 0; k < 4; ++k) {
        x = order_key(a[k]);
        y = order_key(b[k]);
        if (x != y) {
            return x < y;
        }
    }
    return i < j;
}

FN float overlap(GLOBAL const float* a, GLOBAL const float* b, int axis) {
    float a_end = a[axis] + a[axis + 2], b_end = b[axis] + b[axis + 2];
    float end = a_end < b_end ? a_end : b_end, start = a[axis] > b[axis] ? a[axis] : b[axis];
    return end - start > 0.0f ? end - start : 0.0f;
}

// Intersection over union of two boxes.
FN float iou(GLOBAL const float* a, GLOBAL const float* b) {
    float common = overlap(a, b, 0) * overlap(a, b, 1);
    float all = a[2] * a[3] + b[2] * b[3] - common;
    return all > 0.0f ? common / all : 0.0f;
}
#endif
