/* Making and freeing feeds and their memory. The DESIGN stands in feed_cuda.c. */
#include <stdlib.h>
#include <string.h>

#include "augment/cuda/feed_private.h"
#include "base/error.h"

int an_feed_make_event(const an_batch_feed *f, cudaEvent_t *out)
{
    return an_feed_check(f, cudaEventCreateWithFlags(out, cudaEventDisableTiming | cudaEventBlockingSync),
                         "make an event");
}

static int fill_place(an_batch_feed *f, an_feed_place *p)
{
    int rc = an_feed_check(f, cudaMalloc(&p->block, f->room), "allocate memory for a block");
    if (rc)
        return rc;
    rc = an_feed_check(f, cudaMalloc(&p->samples, f->samples), "allocate memory for samples");
    if (rc)
        return rc;
    rc = an_feed_make_event(f, &p->arrived);
    return rc ? rc : an_feed_make_event(f, &p->made);
}

static void drop_event(cudaEvent_t event)
{
    if (event)
        (void)cudaEventDestroy(event);
}

static void empty_place(an_feed_place *p)
{
    (void)cudaFree(p->block);
    (void)cudaFree(p->samples);
    drop_event(p->arrived);
    drop_event(p->made);
    for (uint32_t i = 0; i < AN_FEED_STREAMS; i++)
        drop_event(p->users[i].over);
    *p = (an_feed_place){0};
}

static int make_place(an_batch_feed *f)
{
    uint32_t number = f->places;
    an_feed_place *p = &f->place[number];
    int rc = fill_place(f, p);
    if (rc) {
        empty_place(p);
        return rc;
    }
    p->report = &f->reports[number];
    *p->report = (an_decode_report){.fault = AN_DECODE_NONE};
    f->memory += f->room + f->samples;
    f->places = number + 1;
    return AN_OK;
}

static int make_streams(an_batch_feed *f)
{
    int rc = an_feed_check(f, cudaStreamCreateWithFlags(&f->copying, cudaStreamNonBlocking), "make a stream");
    return rc ? rc : an_feed_check(f, cudaStreamCreateWithFlags(&f->decoding, cudaStreamNonBlocking), "make a stream");
}

static int make_reports(an_batch_feed *f)
{
    size_t size = f->places_max * sizeof *f->reports;
    unsigned flags = cudaHostAllocMapped | cudaHostAllocPortable;
    return an_feed_check(f, cudaHostAlloc((void **)&f->reports, size, flags), "allocate pinned memory");
}

static int make_memory(an_batch_feed *f, uint32_t places)
{
    int rc = make_streams(f);
    if (!rc)
        rc = make_reports(f);
    for (uint32_t i = 0; !rc && i < places; i++)
        rc = make_place(f);
    return rc;
}

static int make(an_batch_feed *f, const an_batch_feed_options *options)
{
    int before, rc = an_decoder_cuda.create(&f->decoder, &options->decoder);
    if (rc)
        return rc;
    f->device = an_decode_device(f->decoder);
    f->memory = an_decoder_cuda.memory(f->decoder);
    f->samples = an_decoder_cuda.bytes(f->decoder) * options->decoder.batch;
    rc = an_feed_enter(f, &before);
    return rc ? rc : an_feed_leave(f, before, make_memory(f, options->places));
}

static void drop_memory(an_batch_feed *f)
{
    (void)cudaDeviceSynchronize();
    for (uint32_t i = 0; f->place && i < f->places; i++)
        empty_place(&f->place[i]);
    (void)cudaFreeHost(f->reports);
    if (f->copying)
        (void)cudaStreamDestroy(f->copying);
    if (f->decoding)
        (void)cudaStreamDestroy(f->decoding);
}

void an_feed_free(an_batch_feed *f)
{
    int before;
    if (!f)
        return;
    int rc = f->decoder ? an_feed_enter(f, &before) : AN_OK;
    if (f->decoder)
        drop_memory(f);
    if (f->decoder && !rc)
        (void)cudaSetDevice(before);
    an_decoder_cuda.free(f->decoder);
    free(f->place);
    free(f);
}

int an_feed_create(an_batch_feed **out, const an_batch_feed_options *options)
{
    uint32_t most = options->places_max ? options->places_max : options->places;
    *out = NULL;
    if (options->places < 1 || options->block < 1 || most < options->places)
        return an_error(AN_EINVAL, "%u places, at most %u, for blocks of %zu bytes", options->places, most,
                        options->block);
    an_batch_feed *f = calloc(1, sizeof *f);
    if (!f)
        return an_error(AN_ENOMEM, "out of memory for a feed");
    f->places_max = most;
    f->room = options->block;
    f->place = calloc(most, sizeof *f->place);
    int rc = f->place ? make(f, options) : an_error(AN_ENOMEM, "out of memory for %u places", most);
    if (rc) {
        an_feed_free(f);
        return rc;
    }
    *out = f;
    return AN_OK;
}

int an_feed_grow(an_batch_feed *f)
{
    int before;
    if (f->places == f->places_max)
        return an_error(AN_EINVAL, "a feed of at most %u places has them all", f->places_max);
    int rc = an_feed_enter(f, &before);
    return rc ? rc : an_feed_leave(f, before, make_place(f));
}

uint64_t an_feed_memory(const an_batch_feed *f)
{
    return f->memory;
}

int an_feed_alloc(void *context, void **out, size_t size)
{
    const an_batch_feed *f = context;
    int before, rc = an_feed_enter(f, &before);
    if (rc)
        return rc;
    rc = an_feed_check(f, cudaHostAlloc(out, size, cudaHostAllocPortable), "allocate pinned memory");
    if (!rc)
        memset(*out, 0, size);
    return an_feed_leave(f, before, rc);
}

void an_feed_release(void *context, void *pinned, size_t size)
{
    (void)context, (void)size;
    (void)cudaFreeHost(pinned);
}
