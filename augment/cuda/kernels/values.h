/* Part of bodies.h: runs of pixels in all formats but plain RGB bytes. The operations of augment/pixels/pixels.c in the
 * same order, so that both give the same bits. */
#ifndef AN_AUGMENT_CUDA_KERNELS_VALUES_H
#define AN_AUGMENT_CUDA_KERNELS_VALUES_H

#include "augment/cuda/kernels/pixels.h"
#ifndef __CUDACC__
#include "augment/pixels/narrow.h"
#endif
#include "augment/pixels/values.h"

/* The bits of a value in a format's type. */
AN_BODY uint32_t an_value_bits(an_dtype dtype, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (dtype == AN_DTYPE_F32)
        return bits;
    if (dtype == AN_DTYPE_U8)
        return (uint32_t)value;
#ifdef __CUDACC__
    if (dtype == AN_DTYPE_BF16)
        return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    uint16_t half;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
    return half;
#else
    return dtype == AN_DTYPE_BF16 ? an_narrow_bf16(value) : an_narrow_f16(value);
#endif
}

/* What the values of a row of a patch are made of. */
typedef struct {
    const uint32_t *words; /* the run's bytes in the order of the output */
    const float *mean;     /* of its first pixel's red, or grey; NULL: none */
    int32_t step;          /* from one pixel's mean to the next one's */
    const float *scale;    /* of each colour; not multiplied with factor beforehand, as that takes registers */
    float shift[3], factor;
    an_dtype dtype;
    uint32_t count; /* pixels that are in the crop */
} an_decode_line;

/* Colour c of pixel k. */
AN_BODY float an_line_value(const an_decode_line *l, int k, int c)
{
    int i = 3 * k + c;
    float value = (float)(l->words[i / 4] >> (8 * (i % 4)) & 255), mean = 0;
    if (l->dtype == AN_DTYPE_U8)
        return value;
    if (l->mean && (uint32_t)k < l->count) {
        const float *at = l->mean + k * l->step + c;
        AN_TOUCH(at, sizeof *at);
        mean = *at;
    }
    return ((value - mean) + l->shift[c]) * (l->scale[c] * l->factor);
}

/* Value i of a line's values in the order of the output, as bits: of `channels` interleaved ones, or of colour c alone
 * if channels is 1. */
AN_BODY uint32_t an_line_bits(const an_decode_line *l, an_dtype dtype, int channels, int c, int i)
{
    int colour = channels == 1 ? c : i % channels;
    return colour < 3 ? an_value_bits(dtype, an_line_value(l, i / channels, colour)) : 0;
}

/* A whole run, eight bytes at once; to is a multiple of 8. */
AN_BODY void an_line_whole(const an_decode_line *l, uint8_t *to, an_dtype dtype, int size, int channels, int c)
{
    int each = 4 / size;
    AN_UNROLL for (int i = 0; i < AN_RUN * channels; i += 2 * each)
    {
        uint32_t words[2] = {0, 0};
        AN_UNROLL for (int j = 0; j < 2 * each; j++) words[j / each] |= an_line_bits(l, dtype, channels, c, i + j)
                                                                        << (8 * size * (j % each));
        an_put_eight(to + i * size, words[0], words[1]);
    }
}

/* A run of which only some pixels are in the crop, or that is not aligned. */
AN_BODY void an_line_some(const an_decode_line *l, uint8_t *to, int channels, int c)
{
    uint32_t size = an_decode_type_size(l->dtype);
    AN_UNROLL for (int i = 0; i < AN_RUN * channels; i++)
    {
        uint32_t bits = an_line_bits(l, l->dtype, channels, c, i);
        for (uint32_t b = 0; b < size && (uint32_t)(i / channels) < l->count; b++)
            an_put_u8(to + (uint32_t)i * size + b, bits >> (8 * b) & 255);
    }
}

AN_BODY void an_line_put(const an_decode_line *l, uint8_t *to, int whole, int channels, int c)
{
    if (!whole)
        an_line_some(l, to, channels, c);
    else if (l->dtype == AN_DTYPE_F32)
        an_line_whole(l, to, AN_DTYPE_F32, 4, channels, c);
    else if (l->dtype == AN_DTYPE_BF16)
        an_line_whole(l, to, AN_DTYPE_BF16, 2, channels, c);
    else if (l->dtype == AN_DTYPE_F16)
        an_line_whole(l, to, AN_DTYPE_F16, 2, channels, c);
    else
        an_line_whole(l, to, AN_DTYPE_U8, 1, channels, c);
}

/* Grey is a plane of its own. */
AN_BODY void an_line_planes(const an_decode_line *l, uint8_t *to, uint64_t plane, int whole, int channels)
{
    AN_UNROLL for (int c = 0; c < 3; c++)
    {
        if (c == 0 || channels > 1)
            an_line_put(l, to + (uint64_t)c * plane, whole, 1, c);
    }
    if (channels > 3)
        an_line_put(l, to + 3 * plane, whole, 1, 3);
}

/* Puts a run's grey bytes in the places of the red ones. */
AN_BODY void an_run_grey(uint32_t *words)
{
    AN_UNROLL for (int k = 0; k < AN_RUN; k++)
    {
        uint32_t rgb[3], at = 8 * (uint32_t)(3 * k % 4);
        AN_UNROLL for (int c = 0; c < 3; c++) rgb[c] = words[(3 * k + c) / 4] >> (8 * ((3 * k + c) % 4)) & 255;
        words[3 * k / 4] = (words[3 * k / 4] & ~(255u << at)) | AN_GREY_BYTE(rgb[0], rgb[1], rgb[2]) << at;
    }
}

AN_BODY an_decode_line an_line_start(const an_decode_pixels_args *a, const an_decode_patch *p)
{
    const an_image_draw *draw = (const an_image_draw *)a->at.in[0] + p->n;
    int32_t colours = a->format.channels == 1 ? 1 : 3;
    AN_TOUCH(draw, sizeof *draw);
    an_decode_line l = {NULL, NULL, 0, a->scale, {0, 0, 0}, draw->factor, a->format.dtype, p->count};
    l.step = p->sample.flip ? -colours : colours;
    AN_UNROLL for (int c = 0; c < 3; c++) l.shift[c] = draw->shift[c];
    return l;
}

/* The mean of the first pixel in row y of the crop. */
AN_BODY void an_line_mean(const an_decode_pixels_args *a, const an_decode_patch *p, uint32_t y, an_decode_line *l)
{
    int64_t x = p->left + (p->sample.flip ? AN_RUN - 1 : 0);
    l->mean = (const float *)a->at.in[2];
    if (a->mean_side > 1)
        l->mean += ((int64_t)(p->sample.y + y) * a->mean_side + x) * (a->format.channels == 1 ? 1 : 3);
    else
        l->step = 0;
}

AN_BODY void an_body_values(const an_decode_pixels_args *a, uint64_t item)
{
    int whole = a->batch.crop % AN_RUN == 0, planar = a->format.layout == AN_LAYOUT_NCHW || a->format.channels == 1;
    uint32_t words[6], size = an_decode_type_size(a->format.dtype), channels = (uint32_t)a->format.channels;
    uint64_t crop = a->batch.crop, step = planar ? 1 : channels;
    an_decode_patch p;
    if (!an_patch_begin(a, item, &p))
        return;
    an_decode_line l = an_line_start(a, &p);
    uint8_t *to = (uint8_t *)a->at.out[0] + p.n * crop * crop * channels * size;
    l.words = words;
    for (uint32_t y = p.y; y < p.end; y++) {
        uint8_t *row = to + (y * crop + p.first) * step * size;
        an_patch_row(a, &p, y, words);
        if (channels == 1)
            an_run_grey(words);
        if (a->at.in[2])
            an_line_mean(a, &p, y, &l);
        if (planar)
            an_line_planes(&l, row, crop * crop * size, whole, (int)channels);
        else if (channels == 3)
            an_line_put(&l, row, whole, 3, 0);
        else
            an_line_put(&l, row, whole, 4, 0);
    }
}

#endif
