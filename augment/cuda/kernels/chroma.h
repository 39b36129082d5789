/* Part of bodies.h: upsampling of chroma as libjpeg-turbo does it (jdsample.c), for the eight pixels of a run.
 *
 * Two values share a word, the first in its lower half, so that one instruction computes with both. Six samples of a
 * row of chroma are the words (0, 2), (1, 3) and (4, 5), of which sample 1 belongs to the run's first pixel. */
#ifndef AN_AUGMENT_CUDA_KERNELS_CHROMA_H
#define AN_AUGMENT_CUDA_KERNELS_CHROMA_H

#include "augment/cuda/kernels/geometry.h"

typedef struct {
    uint32_t even, odd, last;
} an_decode_six;

/* Where a run's samples of one component lie. */
typedef struct {
    const uint8_t *row;    /* the picture's row 0, at column 0 */
    an_decode_place place; /* the same at column base */
    int32_t base, most;    /* columns of the first of the six, and of the picture's last */
} an_decode_chroma;

/* Row `row` of the picture. Beyond its left and right edge the sample at the edge is repeated. */
AN_BODY an_decode_six an_chroma_six(const an_decode_chroma *c, int64_t row, uint32_t stride)
{
    uint32_t words[2] = {0, 0};
    an_decode_six six;
    if (c->base >= 0 && c->base + 5 <= c->most) {
        an_place_eight(&c->place, row * stride, words);
    } else {
        AN_UNROLL for (int k = 0; k < 6; k++)
        {
            int32_t column = c->base + k < 0 ? 0 : c->base + k > c->most ? c->most : c->base + k;
            words[k / 4] |= an_at_u8(c->row + row * stride + column) << (8 * (k % 4));
        }
    }
    six.even = an_pick(words[0], 0, 0x4240);
    six.odd = an_pick(words[0], 0, 0x4341);
    six.last = an_pick(words[1], 0, 0x4140);
    return six;
}

/* a * x + b * y of each sample. */
AN_BODY an_decode_six an_six_mix(const an_decode_six *a, uint32_t x, const an_decode_six *b, uint32_t y)
{
    an_decode_six six = {a->even * x + b->even * y, a->odd * x + b->odd * y, a->last * x + b->last * y};
    return six;
}

/* The sums of an_run_columns are 16 times the sample minus 128, plus 2^15 in the lower half, which keeps that half from
 * borrowing from the upper one. */
#define AN_SUM_BIAS(round) ((uint32_t)((round)-2048) * 0x10001u + 0x8000u)

/* From four times the samples (three times the nearer row plus the other) to the differences from 128 of a run's
 * pixels. Each is three quarters of the nearer sample and a quarter of the other one, rounded by left or right / 16.
 * half: the first pixel is the right one of the two that its sample covers. */
AN_BODY void an_run_columns(const an_decode_six *v, uint32_t left, uint32_t right, uint32_t half, int32_t *out)
{
    uint32_t middle = an_pick(v->even, v->last, 0x5432); /* (2, 4) */
    uint32_t end = an_pick(v->odd, v->last, 0x7632);     /* (3, 5) */
    uint32_t sums[5] = {3 * v->odd + (v->even + left), 3 * v->odd + (middle + right), 3 * middle + (v->odd + left),
                        3 * middle + (end + right), 3 * end + (middle + left)};
    AN_UNROLL for (int k = 0; k < 4; k++)
    {
        uint32_t both = half ? sums[k + 1] : sums[k];
        out[k] = (int32_t)((both << 16) + 0x80000000u) >> 20;
        out[k + 4] = (int32_t)both >> 20;
    }
}

/* The same where samples are only repeated. */
AN_BODY void an_run_repeated(const an_decode_six *v, uint32_t half, int32_t *out)
{
    AN_UNROLL for (int k = 0; k < 8; k++)
    {
        uint32_t i = 1 + ((uint32_t)k + half) / 2; /* 1 to 5 */
        uint32_t word = i == 5 || i == 4 ? v->last : i % 2 ? v->odd : v->even;
        uint32_t upper = i == 5 || i == 2 || i == 3;
        out[k] = (int32_t)(word >> (upper ? 16 : 0) & 0xffff) / 4 - 128;
    }
}

#endif
