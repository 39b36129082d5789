/* The planes kernels in portable C: the reference for the other tiers. The loops over eight columns are written so that
 * compilers vectorise them. The arithmetic is libjpeg-turbo's: jidctint.c (Loeffler, Ligtenberg, Moschytz, "Practical
 * fast 1-D DCT algorithms with 11 multiplications", ICASSP 1989), jdsample.c and jdcolor.c. */
#include <stdlib.h>
#include <string.h>

#include "store/image/planes/dct_constants.h"
#include "store/image/planes/dct_range.h"
#include "store/image/planes/kernels.h"

/* A block before and after each pass: 16-bit values, written in pairs. */
typedef union {
    int16_t rows[8][8];
    uint32_t pairs[8][4];
} square;

/* a * x + b * y in 32 bits. */
static inline uint32_t rotate(int16_t a, int x, int16_t b, int y)
{
    return (uint32_t)(a * x) + (uint32_t)(b * y);
}

/* Two results, each shifted down to 16 bits, side by side in one word: the first half of the transposition. */
static inline uint32_t join(uint32_t first, uint32_t second, int bits)
{
    uint32_t upper = bits < 16 ? second << (16 - bits) : (uint32_t)((int32_t)second >> (bits - 16));
    return ((uint32_t)((int32_t)first >> bits) & 0xffff) | (upper & 0xffff0000u);
}

/* One dimension of the inverse DCT, for eight columns at once. The result is transposed. */
static inline void inverse_columns(const square *in, square *out, int bits)
{
    uint32_t pairs[4][8];
    const uint32_t round = 1u << (bits - 1);
    for (int c = 0; c < 8; c++) {
        const int16_t r0 = in->rows[0][c], r1 = in->rows[1][c], r2 = in->rows[2][c], r3 = in->rows[3][c];
        const int16_t r4 = in->rows[4][c], r5 = in->rows[5][c], r6 = in->rows[6][c], r7 = in->rows[7][c];
        uint32_t sum = ((uint32_t)(int16_t)(r0 + r4) << 13) + round;
        uint32_t difference = ((uint32_t)(int16_t)(r0 - r4) << 13) + round;
        uint32_t e3 = rotate(r2, F_0_541 + F_0_765, r6, F_0_541);
        uint32_t e2 = rotate(r2, F_0_541, r6, F_0_541 - F_1_847);

        int16_t s3 = (int16_t)(r7 + r3), s4 = (int16_t)(r5 + r1);
        uint32_t z3 = rotate(s3, F_1_175 - F_1_961, s4, F_1_175);
        uint32_t z4 = rotate(s3, F_1_175, s4, F_1_175 - F_0_390);
        uint32_t o0 = rotate(r7, F_0_298 - F_0_899, r1, -F_0_899) + z3;
        uint32_t o1 = rotate(r5, F_2_053 - F_2_562, r3, -F_2_562) + z4;
        uint32_t o2 = rotate(r5, -F_2_562, r3, F_3_072 - F_2_562) + z3;
        uint32_t o3 = rotate(r7, -F_0_899, r1, F_1_501 - F_0_899) + z4;

        pairs[0][c] = join(sum + e3 + o3, difference + e2 + o2, bits);
        pairs[1][c] = join(difference - e2 + o1, sum - e3 + o0, bits);
        pairs[2][c] = join(sum - e3 - o0, difference - e2 - o1, bits);
        pairs[3][c] = join(difference + e2 - o2, sum + e3 - o3, bits);
    }
    for (int c = 0; c < 8; c++)
        for (int k = 0; k < 4; k++)
            out->pairs[c][k] = pairs[k][c];
}

static inline int16_t clamp(int16_t v)
{
    v = v < 0 ? 0 : v;
    return v > 255 ? 255 : v;
}

static void inverse_block(const int16_t *coefficients, const int16_t quantisation[64], uint8_t *restrict samples,
                          size_t stride)
{
    square in, half, out;
    for (int r = 0; r < 8; r++)
        for (int c = 0; c < 8; c++)
            in.rows[r][c] = (int16_t)(coefficients[8 * r + c] * quantisation[8 * r + c]);
    inverse_columns(&in, &half, 11);
    inverse_columns(&half, &out, 18);
    for (int r = 0; r < 8; r++, samples += stride)
        for (int c = 0; c < 8; c++)
            samples[c] = (uint8_t)clamp((int16_t)(out.rows[r][c] + 128));
}

static void inverse(const int16_t *coefficients, const int16_t quantisation[64], size_t blocks, uint8_t *samples,
                    size_t stride)
{
    for (size_t b = 0; b < blocks; b++)
        inverse_block(coefficients + 64 * b, quantisation, samples + 8 * b, stride);
}

enum { CHUNK = 32 };

/* Upsample a chunk of samples. A loop of fixed length, which runs into the slack behind the row, is vectorised best.
 * Where only the width is doubled, far is near: then all sums are four times as large, and the biases fit that. */
static inline void upsample_chunk(const uint8_t *near, const uint8_t *far, int left_bias, int right_bias, uint8_t *out)
{
    uint8_t samples[2 * CHUNK];
    for (int i = 0; i < CHUNK; i++) {
        int16_t left = (int16_t)(3 * near[i - 1] + far[i - 1]), right = (int16_t)(3 * near[i + 1] + far[i + 1]);
        int16_t here = (int16_t)(3 * (3 * near[i] + far[i]));
        samples[2 * i] = (uint8_t)((int16_t)(here + left + left_bias) >> 4);
        samples[2 * i + 1] = (uint8_t)((int16_t)(here + right + right_bias) >> 4);
    }
    memcpy(out, samples, sizeof samples);
}

static void upsample(const uint8_t *near, const uint8_t *far, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i += CHUNK)
        if (far)
            upsample_chunk(near + i, far + i, 8, 7, out + 2 * i);
        else
            upsample_chunk(near + i, near + i, 4, 8, out + 2 * i);
}

/* a * b / 65536, rounded down. */
static inline int16_t high_product(int16_t a, int16_t b)
{
    return (int16_t)((int32_t)a * b >> 16);
}

/* Two bytes in the order that they have in memory, as one number. */
static inline uint16_t two_bytes(int16_t first, int16_t second)
{
    return (uint16_t)(first | second << 8);
}

/* Convert a chunk to pixels of four bytes: R, G, B, 0. All arithmetic is in 16 bits, so that a vector holds many
 * values. A constant above 1 does not fit that with 16 fractional bits: its whole part is added separately, and only
 * the rest is multiplied. The differences from 128 are scaled by 256, so that the upper half of a product keeps eight
 * fractional bits. Green is the sum of two products, whose lower eight bits matter, too: `rest`. */
static inline void convert(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, uint16_t pixels[2 * CHUNK])
{
    for (int i = 0; i < CHUNK; i++) {
        int16_t b = (int16_t)(cb[i] - 128), r = (int16_t)(cr[i] - 128);
        int16_t b256 = (int16_t)(b * 256), r256 = (int16_t)(r * 256);
        int16_t red = (int16_t)((int16_t)(high_product(r256, 26345) + 128) >> 8);   /* 91881 - 65536 */
        int16_t blue = (int16_t)((int16_t)(high_product(b256, -14942) + 128) >> 8); /* 116130 - 2 * 65536 */
        int16_t rest = (int16_t)(((b * -22554) & 255) + ((r * 18734) & 255));       /* -46802 + 65536 */
        int16_t upper = (int16_t)(high_product(b256, -22554) + high_product(r256, 18734));
        int16_t green = (int16_t)((int16_t)(upper + (rest >> 8) + 128) >> 8);
        pixels[2 * i] = two_bytes(clamp((int16_t)(y[i] + red + r)), clamp((int16_t)(y[i] + green - r)));
        pixels[2 * i + 1] = two_bytes(clamp((int16_t)(y[i] + blue + 2 * b)), 0);
    }
}

/* Each pixel is stored as four bytes, the last of which the next pixel overwrites. Eight at a time, so that the loop is
 * unrolled. */
static inline void store_eight(const uint8_t *pixels, ptrdiff_t step, uint8_t *rgb)
{
    for (int i = 0; i < 8; i++)
        memcpy(rgb + 3 * i, pixels + step * i, 4);
}

static inline void store_pixels(const uint16_t pixels[2 * CHUNK], size_t count, bool flip, uint8_t *rgb)
{
    const uint8_t *from = (const uint8_t *)(flip ? pixels + 2 * (count - 1) : pixels);
    const ptrdiff_t step = flip ? -4 : 4;
    size_t left = count;
    for (; left > 8; left -= 8, rgb += 24, from += 8 * step) {
        if (flip)
            store_eight(from, -4, rgb);
        else
            store_eight(from, 4, rgb);
    }
    for (; left > 0; left--, rgb += 3, from += step)
        memcpy(rgb, from, 3);
}

static void colour(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, size_t n, bool flip, uint8_t *rgb)
{
    uint16_t pixels[2 * CHUNK];
    for (size_t i = 0; i < n; i += CHUNK) {
        size_t count = n - i < CHUNK ? n - i : CHUNK;
        convert(y + i, cb + i, cr + i, pixels);
        store_pixels(pixels, count, flip, flip ? rgb + 3 * (n - i - count) : rgb + 3 * i);
    }
}

bool an_planes_is_light_scalar(const int16_t *coefficients, const int16_t quantisation[64], size_t blocks)
{
    for (size_t b = 0; b < blocks; b++, coefficients += 64) {
        int32_t weight = 0;
        for (size_t i = 0; i < 64; i++)
            weight += abs(coefficients[i]) * quantisation[i];
        if (weight > AN_DCT_SAFE_WEIGHT)
            return false;
    }
    return true;
}

const an_planes_kernels *an_planes_kernels_scalar(void)
{
    static const an_planes_kernels kernels = {an_planes_is_light_scalar, inverse, upsample, colour};
    return &kernels;
}
