/* What the bf16 Winograd kernels share: the matrix product, and windows of an image as vectors of 16 channels. */
#ifndef AN_MODEL_CPU_KERNELS_WINOGRAD_BF16_PRIVATE_H
#define AN_MODEL_CPU_KERNELS_WINOGRAD_BF16_PRIVATE_H

#include "model/cpu/kernels/simd_private.h"
#include "model/cpu/kernels/winograd_private.h"

#define AN_WINOGRAD_BF16_POSITIONS 16

/* A product of bf16 matrices, AN_WINOGRAD_ROWS x width vectors of floats. The sum runs over pairs: an element of a is
 * two neighbouring values, a vector of b 16 times two. Steps are in values. */
typedef struct {
    const uint16_t *a, *b;
    size_t a_row, a_pair;
    size_t b_vector, b_pair;
    size_t pairs;
    float *c;
    size_t c_row;
    bool add; /* onto what is in c */
} an_winograd_product;

void an_winograd_multiply(const an_winograd_product *product, int width);

void an_winograd_bf16_weights(const an_winograd *plan, const float *master, void *transformed);
void an_winograd_bf16_gradient(const an_winograd *plan, const an_winograd_gradient_args *args);

/* Where the pixels of a window of an image of 16-channel blocks lie; what is outside is masked and reads as zero. */
typedef struct {
    size_t image;                /* number of the image */
    size_t row[4], column[4];    /* in values, from the block's first */
    uint16_t below[4], right[4]; /* masks: all ones inside */
} an_winograd_window;

/* The window of side pixels whose first pixel is y, x. */
static inline void an_winograd_window_set(an_winograd_window *w, size_t image, int y, int x, int height, int width,
                                          int side)
{
    w->image = image;
    for (int i = 0; i < side; i++) {
        bool down = y + i >= 0 && y + i < height, across = x + i >= 0 && x + i < width;
        w->row[i] = down ? (size_t)(y + i) * (size_t)width * AN_SIMD_LANES : 0;
        w->column[i] = across ? (size_t)(x + i) * AN_SIMD_LANES : 0;
        w->below[i] = down ? 0xffff : 0;
        w->right[i] = across ? 0xffff : 0;
    }
}

/* Interleaves the values of two vectors. */
static inline AN_SIMD_TARGET __m512i an_winograd_pair(__m256i first, __m256i second)
{
    return _mm512_or_si512(_mm512_cvtepu16_epi32(first), _mm512_slli_epi32(_mm512_cvtepu16_epi32(second), 16));
}

static inline AN_SIMD_TARGET __m512 an_winograd_pixel(const uint16_t *plane, const an_winograd_window *w, int i, int j)
{
    __mmask16 mask = (__mmask16)(w->below[i] & w->right[j]);
    return an_simd_widen(_mm256_maskz_loadu_epi16(mask, plane + w->row[i] + w->column[j]));
}

/* V of a window of 4x4 pixels. */
static inline AN_SIMD_TARGET void an_winograd_source(const uint16_t *plane, const an_winograd_window *w,
                                                     __m512 v[AN_WINOGRAD_BF16_POSITIONS])
{
    AN_SIMD_UNROLL
    for (int j = 0; j < 4; j++) {
        __m512 d0 = an_winograd_pixel(plane, w, 0, j), d1 = an_winograd_pixel(plane, w, 1, j);
        __m512 d2 = an_winograd_pixel(plane, w, 2, j), d3 = an_winograd_pixel(plane, w, 3, j);
        v[j] = d0 - d2;
        v[4 + j] = d1 + d2;
        v[8 + j] = d2 - d1;
        v[12 + j] = d1 - d3;
    }
    AN_SIMD_UNROLL
    for (int i = 0; i < 16; i += 4) {
        __m512 d0 = v[i], d1 = v[i + 1], d2 = v[i + 2], d3 = v[i + 3];
        v[i] = d0 - d2;
        v[i + 1] = d1 + d2;
        v[i + 2] = d2 - d1;
        v[i + 3] = d1 - d3;
    }
}

/* dM of a window of 2x2 pixels. */
static inline AN_SIMD_TARGET void an_winograd_slope(const uint16_t *plane, const an_winograd_window *w,
                                                    __m512 m[AN_WINOGRAD_BF16_POSITIONS])
{
    AN_SIMD_UNROLL
    for (int j = 0; j < 2; j++) {
        __m512 y0 = an_winograd_pixel(plane, w, 0, j), y1 = an_winograd_pixel(plane, w, 1, j);
        m[j] = y0;
        m[4 + j] = y0 + y1;
        m[8 + j] = y0 - y1;
        m[12 + j] = -y1;
    }
    AN_SIMD_UNROLL
    for (int i = 0; i < 16; i += 4) {
        __m512 y0 = m[i], y1 = m[i + 1];
        m[i + 1] = y0 + y1;
        m[i + 2] = y0 - y1;
        m[i + 3] = -y1;
    }
}

#endif
