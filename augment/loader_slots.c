/* The memory of batches. options.slots of them are made at creation, in one piece; those that are made later, when all
 * are lent, have a piece each. The DESIGN stands in loader.c. */
#include <stdalign.h>
#include <stdlib.h>

#include "augment/loader_private.h"
#include "base/buffer.h"

#define PAGE 4096u

static size_t round_up(size_t size, size_t to)
{
    return (size + to - 1) / to * to;
}

size_t an_loader_whole_pages(size_t size)
{
    return round_up(size, PAGE);
}

static int default_alloc(void *context, void **out, size_t size)
{
    (void)context;
    return an_pages_alloc(out, size);
}

static void default_free(void *context, void *memory, size_t size)
{
    (void)context;
    an_pages_free(memory, size);
}

/* A slot's bytes, and where the draws begin in it. */
static int set_size(an_loader *l)
{
    uint32_t batch = l->options.batch;
    l->slot_draws = 0;
    l->slot_stride = round_up(l->block_size, PAGE);
    if (l->block_size)
        return AN_OK;
    int rc = an_size_multiply(an_sampler_bytes(l->sampler), batch, &l->slot_draws);
    if (rc)
        return rc;
    l->slot_draws = round_up(l->slot_draws, alignof(an_image_draw));
    l->slot_stride = round_up(l->slot_draws + batch * sizeof(an_image_draw), PAGE);
    return AN_OK;
}

/* The arrays of a slot in its memory. */
static int fill_slot(an_loader *l, an_loader_slot *s, uint8_t *memory)
{
    uint32_t batch = l->options.batch;
    s->batch.data = memory;
    s->batch.draws = (void *)(memory + l->slot_draws);
    s->batch.labels = calloc(batch, sizeof *s->batch.labels);
    s->batch.indices = calloc(batch, sizeof *s->batch.indices);
    if (s->batch.labels && s->batch.indices)
        return AN_OK;
    return an_error(AN_ENOMEM, "out of memory for a batch of %u", batch);
}

static void empty_slot(const an_loader *l, an_loader_slot *s)
{
    free(s->batch.labels);
    free(s->batch.indices);
    if (s->memory)
        l->options.memory_free(l->options.memory_context, s->memory, l->slot_stride);
    *s = (an_loader_slot){0};
}

static int make_memory(an_loader *l)
{
    const an_loader_options *o = &l->options;
    void *memory = NULL;
    int rc = an_size_multiply(l->slot_stride, (size_t)o->slots, &l->slot_memory_size);
    if (rc)
        return rc;
    rc = o->memory_alloc(o->memory_context, &memory, l->slot_memory_size);
    if (rc)
        return an_error_prefix(rc, "%d slots with a batch of %u each", o->slots, o->batch);
    l->slot_memory = memory;
    return AN_OK;
}

int an_loader_slots_make(an_loader *l)
{
    an_loader_options *o = &l->options;
    if (!o->memory_alloc) {
        o->memory_alloc = default_alloc;
        o->memory_free = default_free;
    }
    l->slots_max = o->slots_max ? o->slots_max : o->slots;
    l->slots = calloc((size_t)l->slots_max, sizeof *l->slots);
    l->open = calloc((size_t)l->slots_max, sizeof(an_loader_slot *));
    if (!l->slots || !l->open)
        return an_error(AN_ENOMEM, "out of memory for %d slots", l->slots_max);
    int rc = set_size(l);
    if (rc)
        return rc;
    rc = make_memory(l);
    if (rc)
        return rc;
    while (l->slot_count < o->slots) {
        an_loader_slot *s = &l->slots[l->slot_count];
        rc = fill_slot(l, s, l->slot_memory + (size_t)l->slot_count++ * l->slot_stride);
        if (rc)
            return rc;
        an_loader_open(l, s);
    }
    return AN_OK;
}

void an_loader_slots_free(an_loader *l)
{
    for (int i = 0; i < l->slot_count; i++)
        empty_slot(l, &l->slots[i]);
    if (l->slot_memory)
        l->options.memory_free(l->options.memory_context, l->slot_memory, l->slot_memory_size);
    free(l->slots);
    free(l->open);
}

/* A slot with memory of its own. Without the lock. */
static int make_one(an_loader *l, an_loader_slot *s)
{
    const an_loader_options *o = &l->options;
    void *memory;
    int rc = o->memory_alloc(o->memory_context, &memory, l->slot_stride);
    if (rc)
        return an_error_prefix(rc, "another slot with a batch of %u", o->batch);
    s->memory = memory;
    rc = fill_slot(l, s, memory);
    if (rc)
        empty_slot(l, s);
    return rc;
}

int an_loader_slots_add(an_loader *l)
{
    an_loader_slot *s = &l->slots[l->slot_count];
    l->growing = true;
    pthread_mutex_unlock(&l->lock);
    int rc = make_one(l, s);
    pthread_mutex_lock(&l->lock);
    l->growing = false;
    pthread_cond_broadcast(&l->delivery);
    if (rc)
        return rc;
    l->slot_count++;
    if (!l->stop)
        an_loader_wake_workers(l, an_loader_take_slot(l, s));
    return AN_OK;
}
