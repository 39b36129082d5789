/* Part of bodies.h: runs of pixels in all formats but plain RGB bytes. The operations of augment/pixels/pixels.c in the
 * same order, so that both give the same bits. */
#ifndef AN_AUGMENT_CUDA_KERNELS_VALUES_H
#define AN_AUGMENT_CUDA_KERNELS_VALUES_H

#include "augment/cuda/kernels/pixels.h"
#ifndef __CUDACC__
#include "augment/pixels/narrow.h"
#endif

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

/* n values that are neighbours in memory, as words of four bytes, two by two; to is a multiple of 8. */
AN_BODY void an_values_whole(uint8_t *to, an_dtype dtype, const float *v, int n, int size)
{
    int each = 4 / size;
    AN_UNROLL for (int i = 0; i < n; i += 2 * each)
    {
        uint32_t words[2] = {0, 0};
        AN_UNROLL for (int j = 0; j < 2 * each; j++) words[j / each] |= an_value_bits(dtype, v[i + j])
                                                                        << (8 * size * (j % each));
        an_put_eight(to + i * size, words[0], words[1]);
    }
}

/* Of n values the first count. */
AN_BODY void an_values_some(uint8_t *to, an_dtype dtype, const float *v, int n, int count, int size)
{
    AN_UNROLL for (int i = 0; i < n; i++)
    {
        uint32_t bits = an_value_bits(dtype, v[i]);
        for (int b = 0; b < size && i < count; b++)
            an_put_u8(to + i * size + b, bits >> (8 * b) & 255);
    }
}

AN_BODY void an_values_put(uint8_t *to, an_dtype dtype, const float *v, int n, int count, int whole)
{
    if (!whole)
        an_values_some(to, dtype, v, n, count, (int)an_decode_type_size(dtype));
    else if (dtype == AN_DTYPE_F32)
        an_values_whole(to, dtype, v, n, 4);
    else if (dtype == AN_DTYPE_BF16)
        an_values_whole(to, AN_DTYPE_BF16, v, n, 2);
    else if (dtype == AN_DTYPE_F16)
        an_values_whole(to, AN_DTYPE_F16, v, n, 2);
    else
        an_values_whole(to, AN_DTYPE_U8, v, n, 1);
}

/* Colour c of the run's eight pixels. */
AN_BODY void an_run_colour(const an_decode_pixels_args *a, const an_decode_run *r, const uint32_t *words, int c,
                           float *out)
{
    const float *mean = (const float *)a->at.in[2];
    const an_image_draw *draw = (const an_image_draw *)a->at.in[0] + r->n;
    float shift = draw->shift[c];
    AN_UNROLL for (int k = 0; k < AN_RUN; k++)
    {
        int i = 3 * k + c;
        float value = (float)(words[i / 4] >> (8 * (i % 4)) & 255), middle = 0;
        int32_t x = r->left + (r->sample.flip ? AN_RUN - 1 - k : k);
        if (mean && (uint32_t)k < r->count) {
            const float *at = mean + c;
            if (a->mean_side > 1)
                at += ((uint64_t)(r->sample.y + r->y) * a->mean_side + (uint64_t)x) * 3;
            AN_TOUCH(at, sizeof *at);
            middle = *at;
        }
        out[k] = a->format.dtype == AN_DTYPE_U8 ? value : ((value - middle) + shift) * a->scale;
    }
}

AN_BODY void an_run_planes(const an_decode_pixels_args *a, const an_decode_run *r, const uint32_t *words, int whole)
{
    uint32_t crop = a->batch.crop;
    for (int c = 0; c < a->format.channels; c++) {
        float v[AN_RUN] = {0};
        uint64_t at = (((uint64_t)r->n * (uint32_t)a->format.channels + (uint32_t)c) * crop + r->y) * crop + r->first;
        if (c == 0)
            an_run_colour(a, r, words, 0, v);
        else if (c == 1)
            an_run_colour(a, r, words, 1, v);
        else if (c == 2)
            an_run_colour(a, r, words, 2, v);
        an_values_put((uint8_t *)a->at.out[0] + at * an_decode_type_size(a->format.dtype), a->format.dtype, v, AN_RUN,
                      (int)r->count, whole);
    }
}

AN_BODY void an_run_interleaved(const an_decode_pixels_args *a, const an_decode_run *r, const uint32_t *words,
                                int whole, int channels)
{
    float colours[3][AN_RUN], v[4 * AN_RUN];
    uint64_t at = (((uint64_t)r->n * a->batch.crop + r->y) * a->batch.crop + r->first) * (uint32_t)channels;
    AN_UNROLL for (int c = 0; c < 3; c++) an_run_colour(a, r, words, c, colours[c]);
    AN_UNROLL for (int k = 0; k < AN_RUN; k++) AN_UNROLL for (int c = 0; c < channels; c++) v[k * channels + c] =
        c < 3 ? colours[c][k] : 0;
    an_values_put((uint8_t *)a->at.out[0] + at * an_decode_type_size(a->format.dtype), a->format.dtype, v,
                  AN_RUN * channels, (int)r->count * channels, whole);
}

AN_BODY void an_body_values(const an_decode_pixels_args *a, uint64_t item)
{
    an_decode_run r = an_run_of(a, (uint32_t)item);
    uint32_t words[6];
    int whole = a->batch.crop % AN_RUN == 0;
    if (item == 0)
        an_report_fault(a);
    if (r.sample.code)
        return;
    an_run_bytes(a, &r, words);
    if (a->format.layout == AN_LAYOUT_NCHW)
        an_run_planes(a, &r, words, whole);
    else if (a->format.channels == 3)
        an_run_interleaved(a, &r, words, whole, 3);
    else
        an_run_interleaved(a, &r, words, whole, 4);
}

#endif
