/* The memory that a launch of each kernel touches, computed from its arguments as kernels.h describes them. The
 * emulator checks these extents against the buffers when the launch is queued, and emu_bodies.c checks that the kernel
 * stays within them when it runs. */
#include <stdlib.h>
#include <string.h>

#include "model/cuda/kernels/kernels.h"
#include "tests/emu/emulator/emu_private.h"

static size_t size_of(an_stored stored)
{
    return stored == AN_STORED_F32 ? 4 : 2;
}

/* Bytes first up to end of a place; nothing if the place is NULL. */
static void part_add(emu_extents *list, const void *at, uint64_t first, uint64_t end, bool write)
{
    if (!at || first == end)
        return;
    if (list->count == EMU_EXTENTS)
        abort();
    list->each[list->count++] = (emu_extent){(const char *)at + first, end - first, write};
}

static void out_add(emu_extents *list, const void *at, uint64_t size)
{
    part_add(list, at, 0, size, true);
}

static void in_add(emu_extents *list, const void *at, uint64_t size)
{
    part_add(list, at, 0, size, false);
}

static void blocks_extents(emu_extents *list, const an_convert_args *a, uint64_t blocks)
{
    uint64_t images = blocks / a->rows.by / a->columns.by;
    uint64_t copies = a->mean_side ? 8 : 4;
    out_add(list, a->at.out[0], blocks * a->groups.by * 16);
    in_add(list, a->at.in[0], images * (uint64_t)a->h * (uint64_t)a->w * 3);
    in_add(list, a->at.in[1], images * sizeof(an_image_draw));
    in_add(list, a->at.in[2], copies * a->mean_plane * sizeof(float));
}

static void convert_extents(emu_extents *list, const an_convert_args *a)
{
    blocks_extents(list, a, a->at.items / a->groups.by);
}

static void convert_mixed_extents(emu_extents *list, const an_convert_args *a)
{
    convert_extents(list, a);
}

static void convert_pairs_extents(emu_extents *list, const an_convert_args *a)
{
    blocks_extents(list, a, a->at.items / 2);
}

static void activate_extents(emu_extents *list, const an_activate_args *a)
{
    out_add(list, a->at.out[0], a->at.items * size_of(a->stored));
}

static void activation_extents(emu_extents *list, const an_activation_args *a)
{
    uint64_t size = a->at.items * (uint64_t)a->group * size_of(a->stored);
    out_add(list, a->at.out[0], size);
    in_add(list, a->at.in[0], size);
}

static void activation_back_extents(emu_extents *list, const an_activation_back_args *args)
{
    const an_activation_args *a = &args->forward;
    uint64_t size = a->at.items * (uint64_t)a->group * size_of(a->stored);
    out_add(list, a->at.out[0], size);
    in_add(list, a->at.in[0], size);
    in_add(list, a->at.in[1], size);
}

static void slope_extents(emu_extents *list, const an_slope_args *a)
{
    uint64_t size = a->rows * (uint64_t)a->channels * size_of(a->stored);
    out_add(list, a->at.out[0], size);
    out_add(list, a->at.out[1], (uint64_t)a->chunks * (uint64_t)a->channels * sizeof(float));
    if (a->activation)
        in_add(list, a->at.in[0], size);
}

static void bias_extents(emu_extents *list, const an_bias_args *a)
{
    out_add(list, a->at.out[0], (uint64_t)a->slices * (uint64_t)a->channels * size_of(a->stored));
    in_add(list, a->at.in[0], (uint64_t)a->chunks * (uint64_t)a->channels * sizeof(float));
}

static void pool_extents(emu_extents *list, const an_pool_args *a)
{
    uint64_t outputs = a->at.items * (uint64_t)a->group;
    uint64_t inputs = outputs / ((uint64_t)a->oh * (uint64_t)a->ow) * (uint64_t)a->h * (uint64_t)a->w;
    out_add(list, a->at.out[0], outputs * size_of(a->stored));
    out_add(list, a->at.out[1], outputs);
    in_add(list, a->at.in[0], inputs * size_of(a->stored));
}

static void pool_back_extents(emu_extents *list, const an_pool_back_args *args)
{
    const an_pool_args *a = &args->pool;
    uint64_t inputs = a->at.items * (uint64_t)a->group;
    uint64_t outputs = inputs / ((uint64_t)a->h * (uint64_t)a->w) * (uint64_t)a->oh * (uint64_t)a->ow;
    out_add(list, a->at.out[0], inputs * size_of(a->stored));
    in_add(list, a->at.in[0], outputs * size_of(a->stored));
    if (!a->average)
        in_add(list, a->at.in[1], outputs);
}

static void lrn_extents(emu_extents *list, const an_lrn_args *a)
{
    uint64_t values = a->at.items * (uint64_t)a->group;
    out_add(list, a->at.out[0], values * size_of(a->stored));
    out_add(list, a->at.out[1], values * sizeof(float));
    in_add(list, a->at.in[0], values * size_of(a->stored));
}

static void lrn_back_extents(emu_extents *list, const an_lrn_back_args *args)
{
    const an_lrn_args *a = &args->lrn;
    uint64_t values = a->at.items * (uint64_t)a->group;
    out_add(list, a->at.out[0], values * size_of(a->stored));
    in_add(list, a->at.in[0], values * size_of(a->stored));
    in_add(list, a->at.in[1], values * sizeof(float));
    in_add(list, a->at.in[2], values * size_of(a->stored));
}

/* Values of x or of y. */
static uint64_t peaks_values(const an_peaks_args *a, int h, int w)
{
    return (uint64_t)a->n * (uint64_t)h * (uint64_t)w * (uint64_t)a->channels;
}

static size_t peaks_size(const an_peaks_args *a)
{
    return a->group == 4 ? 4 : 2;
}

static void peaks_extents(emu_extents *list, const an_peaks_args *a)
{
    uint64_t outputs = peaks_values(a, a->oh, a->ow);
    out_add(list, a->at.out[0], outputs * peaks_size(a));
    out_add(list, a->at.out[1], outputs);
    in_add(list, a->at.in[0], peaks_values(a, a->h, a->w) * peaks_size(a));
}

static void lrn_peaks_extents(emu_extents *list, const an_peaks_args *a)
{
    peaks_extents(list, a);
}

static void lrn_peaks_back_extents(emu_extents *list, const an_peaks_back_args *args)
{
    const an_peaks_args *a = &args->peaks;
    uint64_t inputs = peaks_values(a, a->h, a->w) * peaks_size(a), outputs = peaks_values(a, a->oh, a->ow);
    out_add(list, a->at.out[0], inputs);
    out_add(list, a->at.out[1], (uint64_t)args->chunks * (uint64_t)a->channels * sizeof(float));
    in_add(list, a->at.in[0], inputs);
    in_add(list, a->at.in[1], outputs * peaks_size(a));
    in_add(list, a->at.in[2], outputs);
}

static void peaks_back_extents(emu_extents *list, const an_peaks_back_args *args)
{
    an_peaks_back_args read = *args;
    if (!args->activation)
        read.peaks.at.in[0] = NULL;
    lrn_peaks_back_extents(list, &read);
}

static void numbers_extents(emu_extents *list, const an_numbers_args *a)
{
    out_add(list, a->at.out[0], a->at.items * sizeof(uint32_t));
}

static void dropout_extents(emu_extents *list, const an_dropout_args *a)
{
    out_add(list, a->at.out[0], a->at.items * size_of(a->to));
    out_add(list, a->at.out[1], a->at.items);
    in_add(list, a->at.in[0], a->at.items * size_of(a->from));
    if (a->threshold)
        in_add(list, a->at.in[1], 4 * sizeof(uint32_t));
}

static void dropout_back_extents(emu_extents *list, const an_dropout_back_args *a)
{
    out_add(list, a->at.out[0], a->at.items * size_of(a->stored));
    in_add(list, a->at.in[0], a->at.items * size_of(a->stored));
    in_add(list, a->at.in[1], a->at.items);
}

static void loss_extents(emu_extents *list, const an_loss_args *a)
{
    uint64_t values = a->at.items * (uint64_t)a->classes;
    out_add(list, a->at.out[0], values * sizeof(float));
    in_add(list, a->at.in[0], values * size_of(a->stored));
    if (!a->at.in[1])
        return;
    out_add(list, a->at.out[1], a->at.items * sizeof(an_row_result));
    in_add(list, a->at.in[1], a->at.items * sizeof(an_target_row));
    in_add(list, a->at.in[2], (uint64_t)a->classes * sizeof(float));
}

static void loss_back_extents(emu_extents *list, const an_loss_back_args *a)
{
    uint64_t rows = a->at.items / (uint64_t)a->classes, counted = a->count < rows ? a->count : rows;
    out_add(list, a->at.out[0], a->at.items * size_of(a->stored));
    in_add(list, a->at.in[0], counted * (uint64_t)a->classes * sizeof(float));
    in_add(list, a->at.in[1], counted * sizeof(an_target_row));
    in_add(list, a->at.in[2], (uint64_t)a->classes * sizeof(float));
}

static void canonical_extents(emu_extents *list, const an_canonical_args *a)
{
    uint64_t size = a->at.items * sizeof(float), stored = size / (uint64_t)a->i * (uint64_t)a->stored_i;
    out_add(list, a->at.out[0], size);
    out_add(list, a->at.out[1], size);
    in_add(list, a->at.in[0], stored);
    in_add(list, a->at.in[1], stored);
    if (!a->at.in[2])
        return;
    out_add(list, a->at.out[2], size);
    in_add(list, a->at.in[2], stored);
}

/* From the first row's first channel to the last row's last one. */
static void window_part(emu_extents *list, const void *at, uint64_t rows, int row, int offset, int channels,
                        size_t size, bool write)
{
    uint64_t first = (uint64_t)offset, end = (rows - 1) * (uint64_t)row + first + (uint64_t)channels;
    part_add(list, at, first * size, end * size, write);
}

static void window_extents(emu_extents *list, const an_window_args *a)
{
    uint64_t rows = a->at.items / (uint64_t)a->channels;
    window_part(list, a->at.in[0], rows, a->from_channels, a->from_offset, a->channels, size_of(a->from), false);
    window_part(list, a->at.out[0], rows, a->to_channels, a->to_offset, a->channels, size_of(a->to), true);
}

static void sgd_extents(emu_extents *list, const an_sgd_args *a)
{
    for (int i = 0; i < a->count; i++) {
        const an_sgd_tensor *t = &a->tensors[i];
        uint64_t end = i + 1 < a->count ? t[1].first : a->at.items, items = end - t->first;
        out_add(list, t->at.out[0], items * sizeof(float));
        out_add(list, t->at.out[1], items * sizeof(float));
        out_add(list, t->at.out[2], items * size_of(t->stored));
        in_add(list, t->at.in[0], items * size_of(t->gradient));
    }
}

static void sgd_more_extents(emu_extents *list, const an_sgd_args *a)
{
    sgd_extents(list, a);
    in_add(list, a->at.in[0], sizeof(an_norm_result));
    for (int i = 0; i < a->count; i++) {
        const an_sgd_tensor *t = &a->tensors[i];
        uint64_t end = i + 1 < a->count ? t[1].first : a->at.items;
        out_add(list, t->at.out[3], (end - t->first) * sizeof(float));
    }
}

static void sgd_trust_extents(emu_extents *list, const an_sgd_args *a)
{
    sgd_more_extents(list, a);
    for (int i = 0; i < a->count; i++)
        in_add(list, a->tensors[i].at.in[1], sizeof(an_trust_result));
}

static void norm_extents(emu_extents *list, const an_norm_args *a)
{
    out_add(list, a->at.out[0], a->at.items * sizeof(double));
    for (int i = 0; i < a->count; i++)
        in_add(list, a->tensors[i].at.in[0], a->tensors[i].at.items * size_of(a->tensors[i].stored));
}

static void norm_total_extents(emu_extents *list, const an_norm_total_args *a)
{
    in_add(list, a->at.in[0], a->sums * sizeof(double));
    out_add(list, a->at.out[0], a->at.items * sizeof(an_norm_result));
}

static void trust_extents(emu_extents *list, const an_trust_args *a)
{
    const double *sums = a->at.in[0];
    for (uint64_t i = 0; i < a->at.items; i++) {
        const an_trust_tensor *t = &a->tensors[i];
        in_add(list, sums + t->weights, t->count * sizeof *sums);
        in_add(list, sums + t->gradient, t->count * sizeof *sums);
    }
    in_add(list, a->at.in[1], sizeof(an_norm_result));
    out_add(list, a->at.out[0], a->at.items * sizeof(an_trust_result));
}

static void exchange_extents(emu_extents *list, const an_exchange_args *a)
{
    out_add(list, a->at.out[0], a->at.items * sizeof(float));
    out_add(list, a->at.out[1], a->at.items * sizeof(float));
    out_add(list, a->at.out[2], a->at.items * size_of(a->stored));
}

static uint64_t form_values(const an_arrange_args *a, uint64_t outputs)
{
    return outputs * (uint64_t)a->rows * (uint64_t)a->columns * (uint64_t)a->form.channels;
}

static uint64_t plain_values(const an_arrange_args *a, uint64_t outputs)
{
    return outputs * (uint64_t)a->h * (uint64_t)a->w * (uint64_t)a->channels;
}

static void arrange_extents(emu_extents *list, const an_arrange_args *a)
{
    uint64_t outputs = a->at.items / form_values(a, 1);
    out_add(list, a->at.out[0], a->at.items * size_of(a->stored));
    in_add(list, a->at.in[0], plain_values(a, outputs) * sizeof(float));
}

static void restore_extents(emu_extents *list, const an_arrange_args *a)
{
    uint64_t outputs = a->at.items / plain_values(a, 1);
    out_add(list, a->at.out[0], a->at.items * size_of(a->stored));
    in_add(list, a->at.in[0], form_values(a, outputs) * size_of(a->stored));
}

/* Bytes from a frame's first pixel of the tensor to its last one. */
static void frame_part(emu_extents *list, const an_frame_args *a, uint64_t images, const void *frame, bool write)
{
    uint64_t row = (uint64_t)a->frame_w, first = (uint64_t)a->pad * row + (uint64_t)a->pad;
    uint64_t last =
        (images * (uint64_t)a->frame_h - (uint64_t)(a->frame_h - a->h - a->pad) - 1) * row + (uint64_t)(a->pad + a->w);
    uint64_t pixel = (uint64_t)a->channels * size_of(a->stored);
    part_add(list, frame, first * pixel, last * pixel, write);
}

static void frame_extents(emu_extents *list, const an_frame_args *a)
{
    uint64_t values = a->at.items * (uint64_t)a->group;
    uint64_t images = values / ((uint64_t)a->h * (uint64_t)a->w * (uint64_t)a->channels);
    part_add(list, a->back ? a->at.out[0] : a->at.in[0], 0, values * size_of(a->stored), a->back);
    frame_part(list, a, images, a->back ? a->at.in[0] : a->at.out[0], !a->back);
}

static void fill_extents(emu_extents *list, const an_fill_args *a)
{
    out_add(list, a->at.out[0], a->at.items * size_of(a->stored));
}

static void proof_conv_extents(emu_extents *list, const an_proof_conv_args *a)
{
    uint64_t x = (uint64_t)a->n * (uint64_t)a->h * (uint64_t)a->w,
             y = (uint64_t)a->n * (uint64_t)a->oh * (uint64_t)a->ow;
    uint64_t window = (uint64_t)a->kernel * (uint64_t)a->kernel, channels = (uint64_t)(a->c / a->groups);
    size_t size = size_of(a->stored);
    out_add(list, a->at.out[0], a->at.items * sizeof(an_proof_point));
    in_add(list, a->at.in[0], ((x - 1) * (uint64_t)a->x_row + (uint64_t)a->c) * size);
    in_add(list, a->at.in[1], (uint64_t)a->k * window * channels * size);
    in_add(list, a->at.in[2], ((y - 1) * (uint64_t)a->y_row + (uint64_t)a->k) * size);
    in_add(list, a->at.in[3], (uint64_t)a->k * size);
}

static void proof_weights_extents(emu_extents *list, const an_proof_conv_args *a)
{
    proof_conv_extents(list, a);
}

static void proof_product_extents(emu_extents *list, const an_proof_product_args *a)
{
    out_add(list, a->at.out[0], a->at.items * sizeof(an_proof_point));
    in_add(list, a->at.in[0], (uint64_t)(a->m * a->k) * size_of(a->stored));
    in_add(list, a->at.in[1], (uint64_t)(a->k * a->n) * size_of(a->stored));
    in_add(list, a->at.in[2], (uint64_t)a->m * size_of(a->stored_d));
    in_add(list, a->at.in[3], (uint64_t)(a->m * a->n) * size_of(a->stored_d));
}

static void proof_compare_extents(emu_extents *list, const an_proof_compare_args *a)
{
    out_add(list, a->at.out[0], a->at.items * sizeof(float));
    in_add(list, a->at.in[0], a->values * size_of(a->stored));
    in_add(list, a->at.in[1], a->at.items * sizeof(an_proof_point));
}

static void proof_digest_extents(emu_extents *list, const an_proof_digest_args *a)
{
    out_add(list, a->at.out[0], a->at.items * sizeof(an_proof_digest));
    in_add(list, a->at.in[0], a->values * size_of(a->stored));
}

void emu_extents_of(emu_extents *list, const char *kernel, const void *args)
{
    list->count = 0;
#define EXTENTS(name, type)                                                                                            \
    if (!strcmp(kernel, "an_device_" #name))                                                                           \
        name##_extents(list, (const type *)args);
    AN_KERNELS(EXTENTS, EXTENTS)
    emu_decode_extents(list, kernel, args);
}
