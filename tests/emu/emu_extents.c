/* The memory that a launch of each kernel touches, computed from its arguments as kernels.h describes them. The
 * emulator checks these extents against the buffers when the launch is queued, and emu_bodies.c checks that the kernel
 * stays within them when it runs. */
#include <stdlib.h>
#include <string.h>

#include "model/cuda/kernels/kernels.h"
#include "tests/emu/emu_private.h"

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

static void convert_extents(emu_extents *list, const an_convert_args *a)
{
    uint64_t bytes = a->at.items * 8, pixels = bytes / size_of(a->stored) / (uint64_t)a->channels;
    uint64_t images = pixels / ((uint64_t)a->h * (uint64_t)a->w), side = (uint64_t)a->mean_side;
    out_add(list, a->at.out[0], bytes);
    in_add(list, a->at.in[0], pixels * 3);
    in_add(list, a->at.in[1], images * sizeof(an_image_draw));
    in_add(list, a->at.in[2], side * side * 3 * sizeof(float));
}

static void activate_extents(emu_extents *list, const an_activate_args *a)
{
    out_add(list, a->at.out[0], a->at.items * size_of(a->stored));
}

static void slope_extents(emu_extents *list, const an_slope_args *a)
{
    uint64_t size = a->rows * (uint64_t)a->channels * size_of(a->stored);
    out_add(list, a->at.out[0], size);
    out_add(list, a->at.out[1], a->at.items * sizeof(float));
    if (a->activation)
        in_add(list, a->at.in[0], size);
}

static void bias_extents(emu_extents *list, const an_bias_args *a)
{
    out_add(list, a->at.out[0], a->at.items * size_of(a->stored));
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
    in_add(list, a->at.in[1], a->at.items * sizeof(uint32_t));
}

static void loss_back_extents(emu_extents *list, const an_loss_back_args *a)
{
    uint64_t rows = a->at.items / (uint64_t)a->classes, counted = a->count < rows ? a->count : rows;
    out_add(list, a->at.out[0], a->at.items * size_of(a->stored));
    in_add(list, a->at.in[0], counted * (uint64_t)a->classes * sizeof(float));
    in_add(list, a->at.in[1], counted * sizeof(uint32_t));
}

static void canonical_extents(emu_extents *list, const an_canonical_args *a)
{
    uint64_t size = a->at.items * sizeof(float), stored = size / (uint64_t)a->i * (uint64_t)a->stored_i;
    out_add(list, a->at.out[0], size);
    out_add(list, a->at.out[1], size);
    in_add(list, a->at.in[0], stored);
    in_add(list, a->at.in[1], stored);
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

void emu_extents_of(emu_extents *list, const char *kernel, const void *args)
{
    list->count = 0;
#define EXTENTS(name, type)                                                                                            \
    if (!strcmp(kernel, "an_device_" #name))                                                                           \
        name##_extents(list, (const type *)args);
    AN_KERNELS(EXTENTS, EXTENTS)
}
