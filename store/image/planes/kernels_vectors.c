/* The planes kernels in the compiler's own vectors of 16 bytes (vectors_private.h), which need no more than SSE2.
 * kernels_scalar.c says what they compute. */
#include "store/image/planes/dct_constants.h"
#include "store/image/planes/kernels.h"
#include "store/image/planes/vectors_private.h"

#define VECTOR an_vec
#define VEC(operation) an_vec_##operation
#define VEC_ZERO ((an_vec){0})
#include "store/image/planes/lanes_dct_private.h"

static void inverse(const int16_t *coefficients, const int16_t quantisation[64], size_t blocks, uint8_t *samples,
                    size_t stride)
{
    for (size_t b = 0; b < blocks; b++, coefficients += 64, samples += 8) {
        an_vec v[8], out[4];
        for (size_t r = 0; r < 8; r++)
            v[r] = an_vec_mullo_epi16(an_vec_load(coefficients + 8 * r), an_vec_load(quantisation + 8 * r));
        an_dct_lanes_inverse(v, 11);
        an_dct_lanes_transpose(v);
        an_dct_lanes_inverse(v, 18);
        an_dct_lanes_samples(v, out);
        uint8_t *to = samples;
        for (size_t i = 0; i < 4; i++, to += 2 * stride) {
            memcpy(to, &out[i], 8);
            memcpy(to + stride, (const uint8_t *)&out[i] + 8, 8);
        }
    }
}

enum { CHUNK = 64 };

/* 16 of the sums of sum_rows, from sum k on. */
static inline void sum_sixteen(const uint8_t *near, const uint8_t *far, int k, uint16_t *sums)
{
    an_vec n = an_vec_load(near - 1 + k), f = an_vec_load(far - 1 + k);
    an_vec n0 = an_vec_unpacklo_epi8(n, VEC_ZERO), n1 = an_vec_unpackhi_epi8(n, VEC_ZERO);
    an_vec f0 = an_vec_unpacklo_epi8(f, VEC_ZERO), f1 = an_vec_unpackhi_epi8(f, VEC_ZERO);
    an_vec_store(sums + k, (an_vec)((an_vecu16)n0 * 3 + (an_vecu16)f0));
    an_vec_store(sums + k + 8, (an_vec)((an_vecu16)n1 * 3 + (an_vecu16)f1));
}

/* 3 near + far of CHUNK samples and of their two neighbours, in 16 bits: sums[k] belongs to sample k - 1. The last
 * sixteen overlap the ones before, so that nothing beyond the right neighbour is read. */
static inline void sum_rows(const uint8_t *near, const uint8_t *far, uint16_t sums[CHUNK + 2])
{
    for (int k = 0; k < CHUNK; k += 16)
        sum_sixteen(near, far, k, sums);
    sum_sixteen(near, far, CHUNK + 2 - 16, sums);
}

/* Where only the width is doubled, far is near: then all sums are four times as large, and the biases fit that. */
static inline void upsample_chunk(const uint8_t *near, const uint8_t *far, int left_bias, int right_bias, uint8_t *out)
{
    uint16_t sums[CHUNK + 2];
    const an_vecu16 left = (an_vecu16)an_vec_set1_epi16((int16_t)left_bias);
    const an_vecu16 right = (an_vecu16)an_vec_set1_epi16((int16_t)right_bias);
    sum_rows(near, far, sums);
    for (int i = 0; i < CHUNK; i += 8) {
        an_vecu16 before = (an_vecu16)an_vec_load(sums + i), after = (an_vecu16)an_vec_load(sums + i + 2);
        an_vecu16 here = (an_vecu16)an_vec_load(sums + i + 1) * 3;
        an_vecu16 even = (here + before + left) >> 4, odd = (here + after + right) >> 4;
        an_vec_store(out + 2 * i, (an_vec)(even | odd << 8));
    }
}

static void upsample(const uint8_t *near, const uint8_t *far, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i += CHUNK)
        if (far)
            upsample_chunk(near + i, far + i, 8, 7, out + 2 * i);
        else
            upsample_chunk(near + i, near + i, 4, 8, out + 2 * i);
}

/* Eight pixels in 16 bits, not yet clamped. b256 and r256 are 256 times the differences of Cb and Cr from 128, so that
 * the upper half of a product keeps eight fractional bits. A constant above 1 does not fit 16 bits: its whole part is
 * added separately, and only the rest is multiplied. For green, half the constants are multiplied with the doubled
 * differences. */
static inline void convert(an_vec y, an_vec b256, an_vec r256, an_vec rgb[3])
{
    const an_vec half = an_vec_set1_epi16(128), green_half = an_vec_set1_epi32(32768);
    const an_vec red_rest = an_vec_set1_epi16(26345),
                 blue_rest = an_vec_set1_epi16(-14942); /* 91881 - 65536, 116130 - 2 * 65536 */
    const an_vec weights = an_dct_lanes_pair(-11277, -23401);
    an_vec b2 = an_vec_srai_epi16(b256, 7), r2 = an_vec_srai_epi16(r256, 7), r = an_vec_srai_epi16(r256, 8);
    an_vec red = an_vec_srai_epi16(an_vec_add_epi16(an_vec_mulhi_epi16(r256, red_rest), half), 8);
    an_vec blue = an_vec_srai_epi16(an_vec_add_epi16(an_vec_mulhi_epi16(b256, blue_rest), half), 8);
    an_vec low = an_vec_madd_epi16(an_vec_unpacklo_epi16(b2, r2), weights);
    an_vec high = an_vec_madd_epi16(an_vec_unpackhi_epi16(b2, r2), weights);
    low = an_vec_srai_epi32(an_vec_add_epi32(low, green_half), 16);
    high = an_vec_srai_epi32(an_vec_add_epi32(high, green_half), 16);
    rgb[0] = an_vec_add_epi16(y, an_vec_add_epi16(red, r));
    rgb[1] = an_vec_add_epi16(y, an_vec_packs_epi32(low, high));
    rgb[2] = an_vec_add_epi16(y, an_vec_add_epi16(blue, b2));
}

/* Sixteen pixels, 48 bytes, from the first and the second pixels of eight pairs. Two pixels are three 16-bit words: R0
 * G0, B0 R1, G1 B1. They are stored with two more bytes, eight in all, which the next store overwrites. */
static inline void store_pixels(const an_vec first[3], const an_vec second[3], bool flip, uint8_t *rgb)
{
    an_vec red = an_vec_packus_epi16(first[0], second[0]), green = an_vec_packus_epi16(first[1], second[1]);
    an_vec blue = an_vec_packus_epi16(first[2], second[2]);
    an_vec red1 = an_vec_unpackhi_epi64(red, red), green1 = an_vec_unpackhi_epi64(green, green);
    an_vec blue1 = an_vec_unpackhi_epi64(blue, blue);
    an_vec w0 = an_vec_unpacklo_epi8(red, green), w1 = an_vec_unpacklo_epi8(blue, red1);
    an_vec w2 = an_vec_unpacklo_epi8(green1, blue1);
    an_vec w01[2] = {an_vec_unpacklo_epi16(w0, w1), an_vec_unpackhi_epi16(w0, w1)};
    an_vec w2_[2] = {an_vec_unpacklo_epi16(w2, VEC_ZERO), an_vec_unpackhi_epi16(w2, VEC_ZERO)};
    uint64_t pairs[8];
    for (int i = 0; i < 2; i++) {
        an_vec_store(pairs + 4 * i, an_vec_unpacklo_epi32(w01[i], w2_[i]));
        an_vec_store(pairs + 4 * i + 2, an_vec_unpackhi_epi32(w01[i], w2_[i]));
    }
    for (int i = 0; i < 7; i++)
        memcpy(rgb + 6 * i, &pairs[flip ? 7 - i : i], 8);
    memcpy(rgb + 42, &pairs[flip ? 0 : 7], 6);
}

/* Sixteen pixels. When mirrored, the second pixel of each pair comes first. */
static inline void colour_sixteen(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, bool flip, uint8_t *rgb)
{
    const an_vec centre = an_vec_set1_epi8(INT8_MIN), upper = an_vec_set1_epi16(-256), lower = an_vec_set1_epi16(255);
    an_vec luma = an_vec_load(y), b = an_vec_load(cb) ^ centre, r = an_vec_load(cr) ^ centre, even[3], odd[3];
    convert(luma & lower, an_vec_slli_epi16(b, 8), an_vec_slli_epi16(r, 8), even);
    convert(an_vec_srli_epi16(luma, 8), b & upper, r & upper, odd);
    if (flip)
        store_pixels(odd, even, true, rgb);
    else
        store_pixels(even, odd, false, rgb);
}

static void colour(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, size_t n, bool flip, uint8_t *rgb)
{
    size_t whole = n / 16 * 16, rest = n - whole;
    for (size_t i = 0; i < whole; i += 16)
        colour_sixteen(y + i, cb + i, cr + i, flip, flip ? rgb + 3 * (n - i - 16) : rgb + 3 * i);
    if (rest > 0) {
        uint8_t last[48];
        colour_sixteen(y + whole, cb + whole, cr + whole, flip, last);
        memcpy(flip ? rgb : rgb + 3 * whole, flip ? last + 3 * (16 - rest) : last, 3 * rest);
    }
}

const an_planes_kernels *an_planes_kernels_vectors(void)
{
    static const an_planes_kernels kernels = {an_planes_is_light_scalar, inverse, upsample, colour};
    return &kernels;
}
