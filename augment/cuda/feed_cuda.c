/* Feeds on CUDA devices (augment/feed.h).
 *
 * DESIGN. Two streams: one copies, one decodes. An event of each place says that its block has arrived, and the stream
 * that decodes waits for it; another says that its samples are made, and the host waits for that before it overwrites
 * the place. So the host never waits for anything else, and a copy runs beside the decoding of another place. */
#include <cuda_runtime_api.h>
#include <stdlib.h>
#include <string.h>

#include "augment/cuda/decoder_cuda.h"
#include "base/error.h"

typedef struct {
    void *block, *samples;
    size_t size;    /* of the block that lies there */
    uint32_t count; /* its samples; 0: none yet */
    cudaEvent_t arrived, made;
} feed_place;

struct an_batch_feed {
    an_batch_decoder *decoder;
    int device;
    uint64_t memory;
    uint32_t places;
    size_t room; /* for a block */
    feed_place *place;
    cudaStream_t copying, decoding;
};

static int check(const an_batch_feed *f, cudaError_t status, const char *attempt)
{
    if (status == cudaSuccess)
        return AN_OK;
    (void)cudaGetLastError();
    return an_error(status == cudaErrorMemoryAllocation ? AN_ENOMEM : AN_EINTERNAL, "cannot %s on cuda:%d: %s", attempt,
                    f->device, cudaGetErrorString(status));
}

static int enter(const an_batch_feed *f)
{
    return check(f, cudaSetDevice(f->device), "use the device");
}

static int make_event(const an_batch_feed *f, cudaEvent_t *out)
{
    return check(f, cudaEventCreateWithFlags(out, cudaEventDisableTiming | cudaEventBlockingSync), "make an event");
}

static int make_place(an_batch_feed *f, feed_place *p, size_t samples)
{
    int rc = check(f, cudaMalloc(&p->block, f->room), "allocate memory for a block");
    if (rc)
        return rc;
    rc = check(f, cudaMalloc(&p->samples, samples), "allocate memory for samples");
    if (rc)
        return rc;
    f->memory += f->room + samples;
    rc = make_event(f, &p->arrived);
    return rc ? rc : make_event(f, &p->made);
}

static int make_streams(an_batch_feed *f)
{
    int rc = check(f, cudaStreamCreateWithFlags(&f->copying, cudaStreamNonBlocking), "make a stream");
    return rc ? rc : check(f, cudaStreamCreateWithFlags(&f->decoding, cudaStreamNonBlocking), "make a stream");
}

static int make(an_batch_feed *f, const an_batch_feed_options *options)
{
    int rc = an_decoder_cuda.create(&f->decoder, &options->decoder);
    if (rc)
        return rc;
    f->device = an_decode_device(f->decoder);
    f->memory = an_decoder_cuda.memory(f->decoder);
    rc = enter(f);
    if (!rc)
        rc = make_streams(f);
    for (uint32_t i = 0; !rc && i < f->places; i++)
        rc = make_place(f, &f->place[i], an_decoder_cuda.bytes(f->decoder) * options->decoder.batch);
    return rc;
}

static void release(an_batch_feed *f)
{
    if (!f)
        return;
    if (f->decoder) {
        (void)cudaSetDevice(f->device);
        (void)cudaDeviceSynchronize();
    }
    for (uint32_t i = 0; f->place && i < f->places; i++) {
        (void)cudaFree(f->place[i].block);
        (void)cudaFree(f->place[i].samples);
        if (f->place[i].arrived)
            (void)cudaEventDestroy(f->place[i].arrived);
        if (f->place[i].made)
            (void)cudaEventDestroy(f->place[i].made);
    }
    if (f->copying)
        (void)cudaStreamDestroy(f->copying);
    if (f->decoding)
        (void)cudaStreamDestroy(f->decoding);
    an_decoder_cuda.free(f->decoder);
    free(f->place);
    free(f);
}

static int create(an_batch_feed **out, const an_batch_feed_options *options)
{
    *out = NULL;
    if (options->places < 1 || options->block < 1)
        return an_error(AN_EINVAL, "%u places for blocks of %zu bytes", options->places, options->block);
    an_batch_feed *f = calloc(1, sizeof *f);
    if (!f)
        return an_error(AN_ENOMEM, "out of memory for a feed");
    f->places = options->places;
    f->room = options->block;
    f->place = calloc(options->places, sizeof *f->place);
    int rc = f->place ? make(f, options) : an_error(AN_ENOMEM, "out of memory for %u places", options->places);
    if (rc) {
        release(f);
        return rc;
    }
    *out = f;
    return AN_OK;
}

static uint64_t memory(const an_batch_feed *f)
{
    return f->memory;
}

static int alloc_pinned(void *context, void **out, size_t size)
{
    an_batch_feed *f = context;
    int rc = enter(f);
    if (!rc)
        rc = check(f, cudaHostAlloc(out, size, cudaHostAllocPortable), "allocate pinned memory");
    if (!rc)
        memset(*out, 0, size);
    return rc;
}

static void free_pinned(void *context, void *pinned, size_t size)
{
    (void)context, (void)size;
    (void)cudaFreeHost(pinned);
}

static int check_place(const an_batch_feed *f, uint32_t place)
{
    return place < f->places ? AN_OK : an_error(AN_EINVAL, "place %u of a feed that has %u", place, f->places);
}

/* Wait until a place is not used any more. */
static int settle(an_batch_feed *f, const feed_place *p)
{
    return p->count ? check(f, cudaEventSynchronize(p->made), "wait for a batch") : AN_OK;
}

static int decode(an_batch_feed *f, feed_place *p)
{
    int rc = an_decoder_cuda.queue(f->decoder, p->block, p->size, p->count, p->samples, f->decoding);
    return rc ? rc : check(f, cudaEventRecord(p->made, f->decoding), "record an event");
}

static int copy(an_batch_feed *f, feed_place *p, const void *block)
{
    int rc = check(f, cudaMemcpyAsync(p->block, block, p->size, cudaMemcpyHostToDevice, f->copying), "copy a batch");
    if (rc)
        return rc;
    rc = check(f, cudaEventRecord(p->arrived, f->copying), "record an event");
    return rc ? rc : check(f, cudaStreamWaitEvent(f->decoding, p->arrived, 0), "wait for a copy");
}

static int put(an_batch_feed *f, uint32_t place, const void *block, size_t size, uint32_t count)
{
    int rc = check_place(f, place);
    if (rc)
        return rc;
    if (size > f->room || count < 1)
        return an_error(AN_EINVAL, "a block of %zu bytes with %u samples, where a feed takes %zu", size, count,
                        f->room);
    feed_place *p = &f->place[place];
    rc = enter(f);
    if (!rc)
        rc = settle(f, p);
    if (rc)
        return rc;
    p->size = size;
    p->count = count;
    rc = copy(f, p, block);
    return rc ? rc : decode(f, p);
}

static int again(an_batch_feed *f, uint32_t place)
{
    int rc = check_place(f, place);
    if (rc)
        return rc;
    if (!f->place[place].count)
        return an_error(AN_EINVAL, "place %u holds no batch", place);
    rc = enter(f);
    return rc ? rc : decode(f, &f->place[place]);
}

static int wait_for(an_batch_feed *f, uint32_t place)
{
    uint32_t sample;
    int rc = check_place(f, place);
    if (!rc)
        rc = enter(f);
    if (!rc)
        rc = settle(f, &f->place[place]);
    return rc ? rc : an_decoder_cuda.result(f->decoder, &sample);
}

static int read_samples(an_batch_feed *f, uint32_t place, void *samples)
{
    int rc = wait_for(f, place);
    if (rc)
        return rc;
    const feed_place *p = &f->place[place];
    size_t size = an_decoder_cuda.bytes(f->decoder) * p->count;
    rc = check(f, cudaMemcpyAsync(samples, p->samples, size, cudaMemcpyDeviceToHost, f->copying), "copy samples");
    return rc ? rc : check(f, cudaStreamSynchronize(f->copying), "copy samples");
}

const an_feed_api an_feed_cuda = {.create = create,
                                  .free = release,
                                  .memory = memory,
                                  .alloc = alloc_pinned,
                                  .release = free_pinned,
                                  .put = put,
                                  .again = again,
                                  .wait = wait_for,
                                  .read = read_samples};
