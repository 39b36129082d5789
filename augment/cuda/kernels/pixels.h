/* Part of bodies.h: from samples to pixels: chroma, colour as libjpeg-turbo computes it (jdcolor.c), mirroring. A
 * thread does a patch of the output: runs of AN_RUN pixels in AN_PATCH rows, one below the other.
 *
 * Runs may reach beyond the crop at their end, by up to seven pixels, and so do what they read: planes have room for
 * that. Only pixels of the crop are written. */
#ifndef AN_AUGMENT_CUDA_KERNELS_PIXELS_H
#define AN_AUGMENT_CUDA_KERNELS_PIXELS_H

#include "augment/cuda/kernels/chroma.h"

typedef struct {
    an_decode_sample sample;
    uint32_t n, y, first, count; /* sample; row and column in the crop; pixels of a run that are in the crop */
    uint32_t end;                /* the patch's last row, plus one */
    int32_t left;                /* the run's leftmost pixel in the picture; mirrored, that is its last one */
    uint32_t sampling;
    const uint8_t *pixels; /* of finished ones: the first of the patch */
    an_decode_place luma;  /* of the picture's row 0 */
    an_decode_chroma chroma[2];
    an_decode_six above[2], below[2]; /* rows of chroma around row y, if its height is halved; else the row: above */
} an_decode_patch;

/* The sample of a component in the picture's row and column 0. It may lie before the plane's first one. */
AN_BODY const uint8_t *an_plane_origin(const an_decode_pixels_args *a, const an_decode_patch *p, uint32_t component)
{
    an_decode_part part = an_part_of(&a->batch, &p->sample, p->sampling, component);
    const uint8_t *plane =
        (const uint8_t *)a->at.in[1] + AN_PLANES_MARGIN + an_plane_offset(&a->batch, p->n, component);
    return plane - 8 * ((int64_t)part.rows.first * a->batch.stride + part.columns.first);
}

AN_BODY void an_patch_start(const an_decode_pixels_args *a, uint32_t item, an_decode_patch *p)
{
    uint32_t crop = a->batch.crop, patch = item / a->runs;
    p->n = patch / a->patches;
    p->y = (patch - p->n * a->patches) * AN_PATCH;
    p->end = crop - p->y < AN_PATCH ? crop : p->y + AN_PATCH;
    p->first = (item - patch * a->runs) * AN_RUN;
    p->count = crop - p->first < AN_RUN ? crop - p->first : AN_RUN;
    p->sample = an_sample_of(&a->batch, a->at.in[0], p->n);
    p->left = (int32_t)(p->sample.x + p->first);
    if (p->sample.flip)
        p->left = (int32_t)(p->sample.x + crop) - AN_RUN - (int32_t)p->first;
}

/* Whether libjpeg-turbo only repeats chroma's samples: components of one or two columns. */
AN_BODY int an_patch_repeats(const an_decode_patch *p)
{
    return p->chroma[0].most < 2;
}

/* The two rows of chroma around row y of the picture; beyond the picture's edges the row at the edge is repeated. */
AN_BODY void an_patch_chroma(const an_decode_pixels_args *a, an_decode_patch *p, uint32_t y, int fresh)
{
    int32_t above = ((int32_t)y - 1) >> 1, below = above + 1, most = (int32_t)an_samples_in(a->batch.side, 1) - 1;
    AN_UNROLL for (int c = 0; c < 2; c++)
    {
        if (fresh)
            p->above[c] = an_chroma_six(&p->chroma[c], above < 0 ? 0 : above, a->batch.stride);
        else
            p->above[c] = p->below[c];
        p->below[c] = an_chroma_six(&p->chroma[c], below > most ? most : below, a->batch.stride);
    }
}

/* Finds a patch's samples. */
AN_BODY void an_patch_planes(const an_decode_pixels_args *a, an_decode_patch *p)
{
    p->sampling = an_at_u8(p->sample.payload + 1) & 3;
    p->luma = an_place_at(an_plane_origin(a, p, 0) + p->left);
    AN_UNROLL for (int c = 0; c < 2; c++)
    {
        an_decode_chroma *chroma = &p->chroma[c];
        uint32_t halved = an_halved_wide(p->sampling);
        chroma->row = an_plane_origin(a, p, (uint32_t)c + 1);
        chroma->base = halved ? (p->left >> 1) - 1 : p->left;
        chroma->most = (int32_t)an_samples_in(a->batch.side, halved) - 1;
        chroma->place = an_place_at(chroma->row + chroma->base);
    }
    if (an_halved_high(p->sampling))
        an_patch_chroma(a, p, p->sample.y + p->y, 1);
}

/* Eight bytes as differences from 128. */
AN_BODY void an_run_plain(const uint32_t *words, int32_t *out)
{
    AN_UNROLL for (int k = 0; k < AN_RUN; k++) out[k] = (int32_t)(words[k / 4] >> (8 * (k % 4)) & 255) - 128;
}

/* Chroma of row y of the picture, as differences from 128. */
AN_BODY void an_patch_differences(const an_decode_pixels_args *a, an_decode_patch *p, uint32_t y, int32_t *cb,
                                  int32_t *cr)
{
    uint32_t high = an_halved_high(p->sampling), half = (uint32_t)p->left & 1;
    uint32_t left = high ? AN_SUM_BIAS(8) : AN_SUM_BIAS(4), right = high ? AN_SUM_BIAS(7) : AN_SUM_BIAS(8);
    int repeats = an_patch_repeats(p);
    AN_UNROLL for (int c = 0; c < 2; c++)
    {
        int32_t *out = c ? cr : cb;
        an_decode_six v;
        if (!high)
            p->above[c] = p->below[c] = an_chroma_six(&p->chroma[c], y, a->batch.stride);
        if (repeats) { /* the nearer row alone */
            v = an_six_mix(&p->above[c], y % 2 || !high ? 4 : 0, &p->below[c], y % 2 || !high ? 0 : 4);
            an_run_repeated(&v, half, out);
        } else {
            v = an_six_mix(&p->above[c], y % 2 ? 3 : 1, &p->below[c], y % 2 ? 1 : 3);
            an_run_columns(&v, left, right, half, out);
        }
    }
}

AN_BODY void an_patch_row_chroma(const an_decode_pixels_args *a, an_decode_patch *p, uint32_t y, int32_t *cb,
                                 int32_t *cr)
{
    uint32_t words[2] = {0x80808080u, 0x80808080u};
    if (an_halved_wide(p->sampling)) {
        an_patch_differences(a, p, y, cb, cr);
        return;
    }
    if (p->sampling == AN_SAMPLING_444)
        an_place_eight(&p->chroma[0].place, (int64_t)y * a->batch.stride, words);
    an_run_plain(words, cb);
    if (p->sampling == AN_SAMPLING_444)
        an_place_eight(&p->chroma[1].place, (int64_t)y * a->batch.stride, words);
    an_run_plain(words, cr);
}

/* YCbCr to RGB with 16 fractional bits: the constants are 1.402, 0.34414, 0.71414 and 1.772. The run's pixels from the
 * left, three numbers each. */
AN_BODY void an_run_colours(const uint32_t *luma, const int32_t *cb, const int32_t *cr, int32_t *out)
{
    AN_UNROLL for (uint32_t k = 0; k < AN_RUN; k++)
    {
        int32_t y = (int32_t)an_pick(luma[k / 4], 0x80, 0x7045 | k % 4 << 8); /* y * 65536 + 32768 */
        out[3 * k] = (y + 91881 * cr[k]) >> 16;
        out[3 * k + 1] = (y - 22554 * cb[k] - 46802 * cr[k]) >> 16;
        out[3 * k + 2] = (y + 116130 * cb[k]) >> 16;
    }
}

/* 24 numbers as bytes; mirrored, pixel by pixel. */
AN_BODY void an_run_pack(const int32_t *v, uint32_t flip, uint32_t *words)
{
    if (!flip) {
        AN_UNROLL for (int i = 0; i < 24; i += 4) words[i / 4] = an_four_bytes(v[i], v[i + 1], v[i + 2], v[i + 3]);
        return;
    }
    AN_UNROLL for (int i = 0; i < 24; i += 4)
    {
        int m[4];
        AN_UNROLL for (int j = 0; j < 4; j++) m[j] = 3 * (AN_RUN - 1 - (i + j) / 3) + (i + j) % 3;
        words[i / 4] = an_four_bytes(v[m[0]], v[m[1]], v[m[2]], v[m[3]]);
    }
}

/* The pixels of row y of the crop in the order of the output, as 24 bytes. Rows come one after another. */
AN_BODY void an_patch_row(const an_decode_pixels_args *a, an_decode_patch *p, uint32_t y, uint32_t *words)
{
    uint32_t luma[2], row = p->sample.y + y;
    int32_t cb[AN_RUN], cr[AN_RUN], rgb[3 * AN_RUN];
    if (p->sample.kind == AN_PAYLOAD_PIXELS) {
        const uint8_t *from = p->sample.payload + ((uint64_t)y * a->batch.crop + p->first) * 3;
        AN_UNROLL for (int i = 0; i < 6; i++) words[i] = an_at_four(from + 4 * i);
        return;
    }
    an_place_eight(&p->luma, (int64_t)row * a->batch.stride, luma);
    if (an_halved_high(p->sampling) && row % 2 && y > p->y)
        an_patch_chroma(a, p, row, 0);
    an_patch_row_chroma(a, p, row, cb, cr);
    an_run_colours(luma, cb, cr, rgb);
    an_run_pack(rgb, p->sample.flip, words);
}

/* The first item tells the host of the batch's first fault and clears it for the next batch. A fault that the host has
 * not looked at yet stays. */
AN_BODY void an_report_fault(const an_decode_pixels_args *a)
{
    uint64_t *fault = (uint64_t *)a->at.out[1];
    an_decode_report *report = (an_decode_report *)a->at.out[2];
    AN_TOUCH(fault, sizeof *fault);
    if (*fault == AN_DECODE_NONE)
        return;
    AN_TOUCH(report, sizeof *report);
    if (report->fault == AN_DECODE_NONE) {
        const an_decode_detail *detail = (const an_decode_detail *)a->at.in[3] + (*fault >> 32);
        AN_TOUCH(detail, sizeof *detail);
        report->detail = *detail;
        AN_FENCE();
        report->fault = *fault;
    }
    *fault = AN_DECODE_NONE;
}

/* Begins a patch; false if its sample is damaged in a way that leaves nothing to read. */
AN_BODY int an_patch_begin(const an_decode_pixels_args *a, uint64_t item, an_decode_patch *p)
{
    if (item == 0)
        an_report_fault(a);
    an_patch_start(a, (uint32_t)item, p);
    if (p->sample.code)
        return 0;
    if (p->sample.kind == AN_PAYLOAD_COEF)
        an_patch_planes(a, p);
    return 1;
}

AN_BODY void an_body_pixels(const an_decode_pixels_args *a, uint64_t item)
{
    uint32_t crop = a->batch.crop, words[6];
    an_decode_patch p;
    if (!an_patch_begin(a, item, &p))
        return;
    uint8_t *to = (uint8_t *)a->at.out[0] + (((uint64_t)p.n * crop + p.y) * crop + p.first) * 3;
    for (uint32_t y = p.y; y < p.end; y++, to += 3 * (uint64_t)crop) {
        an_patch_row(a, &p, y, words);
        if (crop % AN_RUN == 0) {
            AN_UNROLL for (int i = 0; i < 6; i += 2) an_put_eight(to + 4 * i, words[i], words[i + 1]);
            continue;
        }
        AN_UNROLL for (uint32_t i = 0; i < 3 * AN_RUN; i++)
        {
            if (i < 3 * p.count)
                an_put_u8(to + i, words[i / 4] >> (8 * (i % 4)) & 255);
        }
    }
}

#endif
