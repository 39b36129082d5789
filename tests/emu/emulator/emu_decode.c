/* The kernels of the decoder of batches, compiled for the host from the source that the device runs, and the memory
 * that their arguments describe. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "model/cuda/kernels/kernels.h"
#include "tests/emu/emulator/emu_private.h"

#define AN_TOUCH(at, size) emu_touch(at, size)
#include "augment/cuda/kernels/host.h"

_Static_assert(sizeof(an_decode_places) == sizeof(an_kernel_places), "places of both libraries look alike");
_Static_assert(offsetof(an_decode_places, items) == offsetof(an_kernel_places, items), "and so do their items");

#define RUN_WARP(name, type)                                                                                           \
    static void run_##name(const void *args, uint64_t items)                                                           \
    {                                                                                                                  \
        an_decode_room room;                                                                                           \
        for (uint64_t i = 0; i < items; i++) {                                                                         \
            memset(&room, 0xA5, sizeof room);                                                                          \
            an_body_##name((const type *)args, i, &room);                                                              \
        }                                                                                                              \
    }
#define RUN_THREAD(name, type)                                                                                         \
    static void run_##name(const void *args, uint64_t items)                                                           \
    {                                                                                                                  \
        for (uint64_t i = 0; i < items; i++)                                                                           \
            an_body_##name((const type *)args, i);                                                                     \
    }
AN_DECODE_KERNELS(RUN_WARP, RUN_THREAD)

#define ENTRY(name, type) {"an_decode_" #name, sizeof(type), run_##name},
const emu_kernel emu_decode_kernels[EMU_DECODE_KERNELS] = {AN_DECODE_KERNELS(ENTRY, ENTRY)};

static void add(emu_extents *list, const void *at, uint64_t size, bool write)
{
    if (!at)
        return;
    if (list->count == EMU_EXTENTS)
        abort();
    list->each[list->count++] = (emu_extent){at, size, write};
}

static uint64_t planes_size(const an_decode_batch *b)
{
    return (uint64_t)b->count * 3 * b->span * 8 * b->stride + 2 * AN_PLANES_MARGIN;
}

static void rows_extents(emu_extents *list, const an_decode_rows_args *a)
{
    add(list, a->at.in[0], a->batch.size, false);
    add(list, a->at.out[0], planes_size(&a->batch), true);
    add(list, a->at.out[1], sizeof(uint64_t), true);
    add(list, a->at.out[2], a->batch.count * sizeof(an_decode_detail), true);
}

static void pixels_extents(emu_extents *list, const an_decode_pixels_args *a)
{
    uint64_t pixels = (uint64_t)a->batch.count * a->batch.crop * a->batch.crop;
    uint64_t colours = a->format.channels == 1 ? 1 : 3;
    uint64_t mean = (uint64_t)a->mean_side * a->mean_side * colours * sizeof(float);
    add(list, a->at.in[0], a->batch.size, false);
    add(list, a->at.in[1], planes_size(&a->batch), false);
    add(list, a->at.in[2], mean, false);
    add(list, a->at.in[3], a->batch.count * sizeof(an_decode_detail), false);
    add(list, a->at.out[0], pixels * (uint64_t)a->format.channels * an_decode_type_size(a->format.dtype), true);
    add(list, a->at.out[1], sizeof(uint64_t), true);
    add(list, a->at.out[2], sizeof(an_decode_report), true);
}

static void values_extents(emu_extents *list, const an_decode_pixels_args *a)
{
    pixels_extents(list, a);
}

void emu_decode_extents(emu_extents *list, const char *kernel, const void *args)
{
#define EXTENTS(name, type)                                                                                            \
    if (!strcmp(kernel, "an_decode_" #name))                                                                           \
        name##_extents(list, (const type *)args);
    AN_DECODE_KERNELS(EXTENTS, EXTENTS)
}
