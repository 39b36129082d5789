/* Part of bodies.h: from samples to pixels: upsampling and colour as libjpeg-turbo computes them (jdsample.c,
 * jdcolor.c), mirroring, conversion. A thread does a run of eight pixels of the output.
 *
 * Runs may reach beyond the crop at their end, by up to seven pixels, and so do what they read: planes have room for
 * that. Only pixels of the crop are written. */
#ifndef AN_AUGMENT_CUDA_KERNELS_PIXELS_H
#define AN_AUGMENT_CUDA_KERNELS_PIXELS_H

#include "augment/cuda/kernels/geometry.h"

/* A run of the output. */
typedef struct {
    an_decode_sample sample;
    uint32_t n, y, first, count; /* sample, row and column in the crop, pixels in the crop */
    int32_t left;                /* the leftmost pixel in the picture; mirrored, that is the run's last */
} an_decode_run;

AN_BODY an_decode_run an_run_of(const an_decode_pixels_args *a, uint32_t item)
{
    an_decode_run r;
    uint32_t crop = a->batch.crop, line = item / a->runs;
    r.n = line / crop;
    r.y = line - r.n * crop;
    r.first = (item - line * a->runs) * AN_RUN;
    r.count = crop - r.first < AN_RUN ? crop - r.first : AN_RUN;
    r.sample = an_sample_of(&a->batch, a->at.in[0], r.n);
    r.left = (int32_t)(r.sample.x + r.first);
    if (r.sample.flip)
        r.left = (int32_t)(r.sample.x + crop) - AN_RUN - (int32_t)r.first;
    return r;
}

/* Row `row` of a component's plane, at the sample of the picture's column 0. */
AN_BODY const uint8_t *an_plane_row(const an_decode_pixels_args *a, const an_decode_run *r, uint32_t component,
                                    const an_decode_part *part, uint32_t row)
{
    const uint8_t *plane =
        (const uint8_t *)a->at.in[1] + AN_PLANES_MARGIN + an_plane_offset(&a->batch, r->n, component);
    return plane + (int64_t)(row - 8 * part->rows.first) * a->batch.stride - 8 * (int64_t)part->columns.first;
}

/* Eight samples from any address. */
AN_BODY void an_eight_samples(const uint8_t *from, int32_t *out)
{
    uint64_t bytes = an_at_bits(from, 0);
    AN_UNROLL for (int k = 0; k < AN_RUN; k++) out[k] = (int32_t)(bytes >> (8 * k) & 255);
}

/* The samples of chroma rows near and far that a run needs, in columns base to base + 5: near * 3 + far. Beyond the
 * picture's edges the sample at the edge is repeated. */
AN_BODY void an_chroma_columns(const uint8_t *near, const uint8_t *far, int32_t base, int32_t last, int32_t *v)
{
    uint64_t a = an_at_bits(near + base, 0), b = an_at_bits(far + base, 0);
    AN_UNROLL for (int k = 0; k < 6; k++) v[k] = 3 * (int32_t)(a >> (8 * k) & 255) + (int32_t)(b >> (8 * k) & 255);
    AN_UNROLL for (int k = 4; k >= 0; k--) v[k] = base + k < 0 ? v[k + 1] : v[k];
    AN_UNROLL for (int k = 1; k < 6; k++) v[k] = base + k > last ? v[k - 1] : v[k];
}

/* Chroma with half as many columns. */
AN_BODY void an_chroma_halved(const an_decode_pixels_args *a, const an_decode_run *r, uint32_t sampling,
                              uint32_t component, int32_t *out)
{
    an_decode_part part = an_part_of(&a->batch, &r->sample, sampling, 1);
    uint32_t y = r->sample.y + r->y, high = an_halved_high(sampling), near = y >> high, far = near;
    int32_t wide = (int32_t)an_samples_in(a->batch.side, 1), base = (r->left >> 1) - 1, v[6], twice[12];
    if (high) /* the next row on the pixel's other side */
        far = y % 2 ? (near + 1 < (uint32_t)wide ? near + 1 : near) : (near > 0 ? near - 1 : 0);
    if (wide <= 2) /* components of one or two columns are not interpolated */
        far = near;
    an_chroma_columns(an_plane_row(a, r, component, &part, near), an_plane_row(a, r, component, &part, far), base,
                      wide - 1, v);
    AN_UNROLL for (int i = 1; i < 5; i++)
    {
        twice[2 * i - 2] = (3 * v[i] + v[i - 1] + (high ? 8 : 4)) >> 4;
        twice[2 * i - 1] = (3 * v[i] + v[i + 1] + (high ? 7 : 8)) >> 4;
        if (wide <= 2)
            twice[2 * i - 2] = twice[2 * i - 1] = v[i] >> 2;
    }
    twice[8] = wide <= 2 ? v[5] >> 2 : (3 * v[5] + v[4] + (high ? 8 : 4)) >> 4;
    AN_UNROLL for (int k = 0; k < AN_RUN; k++) out[k] = r->left & 1 ? twice[k + 1] : twice[k];
}

AN_BODY void an_run_chroma(const an_decode_pixels_args *a, const an_decode_run *r, uint32_t sampling,
                           uint32_t component, int32_t *out)
{
    if (an_halved_wide(sampling)) {
        an_chroma_halved(a, r, sampling, component, out);
    } else if (sampling == AN_SAMPLING_444) {
        an_decode_part part = an_part_of(&a->batch, &r->sample, sampling, 1);
        an_eight_samples(an_plane_row(a, r, component, &part, r->sample.y + r->y) + r->left, out);
    } else {
        AN_UNROLL for (int k = 0; k < AN_RUN; k++) out[k] = 128;
    }
}

/* YCbCr to RGB with 16 fractional bits: the constants are 1.402, 0.34414, 0.71414 and 1.772. The run's pixels from the
 * left, three bytes each. */
AN_BODY void an_run_colours(const int32_t *y, const int32_t *cb, const int32_t *cr, int32_t *out)
{
    AN_UNROLL for (int k = 0; k < AN_RUN; k++)
    {
        int32_t b = cb[k] - 128, r = cr[k] - 128;
        out[3 * k] = y[k] + ((91881 * r + 32768) >> 16);
        out[3 * k + 1] = y[k] + ((-22554 * b - 46802 * r + 32768) >> 16);
        out[3 * k + 2] = y[k] + ((116130 * b + 32768) >> 16);
    }
}

/* 24 numbers as bytes; mirrored, pixel by pixel. */
AN_BODY void an_run_pack(const int32_t *v, uint32_t flip, uint32_t *words)
{
    AN_UNROLL for (int i = 0; i < 6; i++)
    {
        int k = 4 * i, m[4];
        AN_UNROLL for (int j = 0; j < 4; j++) m[j] = 3 * (AN_RUN - 1 - (k + j) / 3) + (k + j) % 3;
        words[i] = flip ? an_four_bytes(v[m[0]], v[m[1]], v[m[2]], v[m[3]])
                        : an_four_bytes(v[k], v[k + 1], v[k + 2], v[k + 3]);
    }
}

/* The run's pixels in the order of the output, as 24 bytes. */
AN_BODY void an_run_bytes(const an_decode_pixels_args *a, const an_decode_run *r, uint32_t *words)
{
    int32_t y[AN_RUN], cb[AN_RUN], cr[AN_RUN], rgb[3 * AN_RUN];
    if (r->sample.kind == AN_PAYLOAD_PIXELS) {
        const uint8_t *from = r->sample.payload + ((uint64_t)r->y * a->batch.crop + r->first) * 3;
        AN_UNROLL for (int i = 0; i < 6; i++) words[i] = an_at_four(from + 4 * i);
        return;
    }
    uint32_t sampling = an_at_u8(r->sample.payload + 1) & 3;
    an_decode_part part = an_part_of(&a->batch, &r->sample, sampling, 0);
    an_eight_samples(an_plane_row(a, r, 0, &part, r->sample.y + r->y) + r->left, y);
    an_run_chroma(a, r, sampling, 1, cb);
    an_run_chroma(a, r, sampling, 2, cr);
    an_run_colours(y, cb, cr, rgb);
    an_run_pack(rgb, r->sample.flip, words);
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

AN_BODY void an_body_pixels(const an_decode_pixels_args *a, uint64_t item)
{
    an_decode_run r = an_run_of(a, (uint32_t)item);
    uint32_t words[6];
    if (item == 0)
        an_report_fault(a);
    if (r.sample.code)
        return;
    an_run_bytes(a, &r, words);
    uint8_t *to = (uint8_t *)a->at.out[0] + (((uint64_t)r.n * a->batch.crop + r.y) * a->batch.crop + r.first) * 3;
    if (a->batch.crop % AN_RUN == 0) {
        AN_UNROLL for (int i = 0; i < 6; i += 2) an_put_eight(to + 4 * i, words[i], words[i + 1]);
        return;
    }
    AN_UNROLL for (uint32_t i = 0; i < 3 * AN_RUN; i++)
    {
        if (i < 3 * r.count)
            an_put_u8(to + i, words[i / 4] >> (8 * (i % 4)) & 255);
    }
}

#endif
