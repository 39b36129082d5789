/* Making and freeing what makes batches on a device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "liban/device_parts_private.h"

enum { RECORD_SLOTS = 4 }; /* of the loader: two batches are on their way to the device, and workers fill the others */

void an_lib_line_push(an_lib_line *line, uint32_t number)
{
    line->numbers[(line->first + line->count++) % line->room] = number;
}

uint32_t an_lib_line_pop(an_lib_line *line)
{
    uint32_t number = line->numbers[line->first];
    line->first = (line->first + 1) % line->room;
    line->count--;
    return number;
}

int an_lib_device_prepare_place(an_lib_device *d)
{
    an_lib_place *p = &d->places[d->made];
    size_t each = sizeof *p->batch.indices + sizeof *p->batch.draws + sizeof *p->batch.labels;
    p->memory = p->memory ? p->memory : malloc(d->batch * each);
    return p->memory ? AN_OK : an_error(AN_ENOMEM, "out of memory for the labels of a batch of %u", d->batch);
}

void an_lib_device_add_place(an_lib_device *d)
{
    an_lib_place *p = &d->places[d->made];
    p->batch.indices = p->memory;
    p->batch.draws = (an_image_draw *)(p->batch.indices + d->batch);
    p->batch.labels = (uint32_t *)(p->batch.draws + d->batch);
    p->batch.data = an_batch_feed_samples(d->feed, d->made);
    an_lib_line_push(&d->free, d->made++);
}

/* ---- options ---------------------------------------------------------------------------------------------------- */

/* "cuda" or "cuda:1", as the decoder reads it. */
static int parse_number(const char *name, int *out)
{
    int used = 0;
    *out = 0;
    if (!strcmp(name, "cuda"))
        return AN_OK;
    if (sscanf(name, "cuda:%3d%n", out, &used) == 1 && !name[used] && *out >= 0)
        return AN_OK;
    return an_error(AN_EINVAL, "no device '%s': it must be 'cuda' or 'cuda:0', 'cuda:1'...", name);
}

/* The loader that feeds the device: workers move records, and finish none but those that the device does not take. */
static an_loader_options record_options(const an_loader_options *o, an_batch_feed *feed)
{
    an_loader_options out = *o;
    out.decode = AN_DECODE_DEVICE;
    out.sample.format = (an_format){AN_DTYPE_U8, AN_LAYOUT_NHWC, 3};
    out.sample.mean = AN_MEAN_NONE;
    out.sample.scale = 1;
    memset(out.sample.deviation, 0, sizeof out.sample.deviation);
    out.slots = RECORD_SLOTS;
    out.slots_max = 0;
    out.memory_alloc = an_batch_feed_alloc;
    out.memory_free = an_batch_feed_release;
    out.memory_context = feed;
    return out;
}

/* What the host's loader would do to the decoded bytes, the device does. */
static int create_feed(an_lib_device *d, const char *name, const an_loader_options *o, const an_sampler *sampler)
{
    const an_sample_options *sample = &o->sample;
    float *mean;
    an_batch_feed_options f = {.places = (uint32_t)o->slots,
                               .places_max = d->places_max,
                               .decoder = {.device = name,
                                           .batch = o->batch,
                                           .side = an_dataset_side(o->dataset),
                                           .crop = sample->crop,
                                           .format = sample->format,
                                           .scale = sample->scale}};
    memcpy(f.decoder.deviation, sample->deviation, sizeof f.decoder.deviation);
    an_loader_options records = record_options(o, NULL);
    int rc = an_loader_block_size(&records, &f.block);
    if (rc)
        return rc;
    rc = an_sampler_mean(sampler, &mean, &f.decoder.mean_side);
    if (rc)
        return rc;
    f.decoder.mean = mean;
    rc = an_batch_feed_create(&d->feed, &f);
    free(mean);
    return rc;
}

static int create_loader(an_lib_device *d, const char *name, const an_loader_options *o)
{
    an_sampler *sampler;
    const an_statistics *statistics = o->statistics ? o->statistics : an_dataset_statistics(o->dataset);
    int rc = an_sampler_create(&sampler, &o->sample, an_dataset_side(o->dataset), statistics);
    if (rc)
        return rc;
    d->sample = an_sampler_bytes(sampler);
    rc = create_feed(d, name, o, sampler);
    an_sampler_free(sampler);
    if (rc)
        return rc;
    an_loader_options records = record_options(o, d->feed);
    return an_loader_create(&d->loader, &records);
}

/* ---- making and freeing ----------------------------------------------------------------------------------------- */

/* None of this can fail on Linux. */
static void init_sync(an_lib_device *d)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&d->changed, &monotonic);
    pthread_cond_init(&d->returned, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&d->lock, NULL);
    pthread_mutex_init(&d->borrowing, NULL);
}

static int make_lines(an_lib_device *d)
{
    an_lib_line *const lines[] = {&d->free, &d->sent, &d->ready};
    d->places = calloc(d->places_max, sizeof *d->places);
    d->numbers = calloc(d->places_max, 3 * sizeof *d->numbers);
    if (!d->places || !d->numbers)
        return an_error(AN_ENOMEM, "out of memory for %u batches", d->places_max);
    for (uint32_t i = 0; i < 3; i++)
        *lines[i] = (an_lib_line){.numbers = d->numbers + i * d->places_max, .room = d->places_max};
    return AN_OK;
}

static int build(an_lib_device *d, const char *name, const an_loader_options *o)
{
    int rc = make_lines(d);
    if (rc)
        return rc;
    rc = create_loader(d, name, o);
    for (int i = 0; !rc && i < o->slots; i++) {
        rc = an_lib_device_prepare_place(d);
        if (!rc)
            an_lib_device_add_place(d);
    }
    if (rc)
        return rc;
    rc = an_thread_start(&d->pump, "an-device", an_lib_device_pump, d);
    d->pumping = !rc;
    return rc;
}

static int check(const an_loader_options *o)
{
    if (o->slots < 2 || (o->slots_max && o->slots_max < o->slots))
        return an_error(AN_EINVAL, "%d batches on a device, at most %d: give 2 or more", o->slots, o->slots_max);
    if (o->batch < 1)
        return an_error(AN_EINVAL, "a batch of %u samples", o->batch);
    return AN_OK;
}

int an_lib_device_create(an_lib_device **out, const char *name, const an_loader_options *o)
{
    int number;
    *out = NULL;
    int rc = parse_number(name, &number);
    if (rc)
        return rc;
    rc = check(o);
    if (rc)
        return rc;
    an_lib_device *d = calloc(1, sizeof *d);
    if (!d)
        return an_error(AN_ENOMEM, "out of memory for a loader");
    init_sync(d);
    d->number = number;
    d->dataset = o->dataset;
    d->batch = o->batch;
    d->places_max = (uint32_t)(o->slots_max ? o->slots_max : o->slots);
    rc = build(d, name, o);
    if (rc) {
        an_lib_device_free(d);
        return an_error_prefix(rc, "device '%s'", name);
    }
    *out = d;
    return AN_OK;
}

void an_lib_device_close(an_lib_device *d)
{
    pthread_mutex_lock(&d->lock);
    bool first = !d->stop;
    d->stop = true;
    pthread_cond_broadcast(&d->changed);
    pthread_cond_signal(&d->returned);
    pthread_mutex_unlock(&d->lock);
    if (first && d->loader)
        an_loader_close(d->loader); /* wakes the pump if it waits there */
    pthread_mutex_lock(&d->lock);
    bool pumping = d->pumping;
    d->pumping = false;
    pthread_mutex_unlock(&d->lock);
    if (pumping)
        pthread_join(d->pump, NULL);
}

void an_lib_device_free(an_lib_device *d)
{
    if (!d)
        return;
    an_lib_device_close(d);
    while (d->sent.count) /* their copies read the loader's memory */
        (void)an_batch_feed_wait(d->feed, an_lib_line_pop(&d->sent), NULL);
    an_loader_free(d->loader);
    an_batch_feed_free(d->feed);
    for (uint32_t i = 0; d->places && i < d->places_max; i++)
        free(d->places[i].memory);
    free(d->places);
    free(d->numbers);
    pthread_cond_destroy(&d->changed);
    pthread_cond_destroy(&d->returned);
    pthread_mutex_destroy(&d->lock);
    pthread_mutex_destroy(&d->borrowing);
    free(d);
}

int an_lib_device_number(const an_lib_device *d)
{
    return d->number;
}

an_loader *an_lib_device_loader(an_lib_device *d)
{
    return d->loader;
}
