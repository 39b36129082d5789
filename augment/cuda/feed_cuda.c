/* Feeds on CUDA devices (augment/feed.h).
 *
 * DESIGN. Two streams: one copies, one decodes. An event of each place, arrived, says that its block is there, and the
 * stream that decodes waits for it; another, made, says that its samples are, and the stream that copies waits for
 * that before it overwrites the block. So a copy runs beside the decoding of another place, and the host waits only
 * where it is asked to.
 *
 * Streams that use samples wait for made. When the loan ends, an event is recorded on each of them, and the stream that
 * decodes waits for these events before it overwrites the samples. The block is the feed's alone, so the copy of the
 * place's next block need not wait for them.
 *
 * Each place has a report of its own, so that damage is told of the batch that has it, whatever is decoded meanwhile.
 */
#include "augment/cuda/feed_private.h"

#include "base/error.h"

int an_feed_check(const an_batch_feed *f, cudaError_t status, const char *attempt)
{
    if (status == cudaSuccess)
        return AN_OK;
    (void)cudaGetLastError();
    return an_error(status == cudaErrorMemoryAllocation ? AN_ENOMEM : AN_EINTERNAL, "cannot %s on cuda:%d: %s", attempt,
                    f->device, cudaGetErrorString(status));
}

int an_feed_enter(const an_batch_feed *f, int *before)
{
    int rc = an_feed_check(f, cudaGetDevice(before), "ask for the current device");
    return rc ? rc : an_feed_check(f, cudaSetDevice(f->device), "use the device");
}

int an_feed_leave(const an_batch_feed *f, int before, int rc)
{
    int end = an_feed_check(f, cudaSetDevice(before), "go back to another device");
    return rc ? rc : end;
}

int an_feed_check_place(const an_batch_feed *f, uint32_t place)
{
    uint32_t places = f->places;
    return place < places ? AN_OK : an_error(AN_EINVAL, "place %u of a feed that has %u", place, places);
}

static int decode(an_batch_feed *f, an_feed_place *p)
{
    int rc = an_feed_await_users(f, p);
    if (rc)
        return rc;
    rc = an_decode_queue(f->decoder, p->block, p->size, p->count, p->samples, p->report, f->decoding);
    return rc ? rc : an_feed_check(f, cudaEventRecord(p->made, f->decoding), "record an event");
}

/* The block may still be decoded. */
static int await_block(an_batch_feed *f, const an_feed_place *p)
{
    return p->count ? an_feed_check(f, cudaStreamWaitEvent(f->copying, p->made, 0), "wait for a batch") : AN_OK;
}

static int copy(an_batch_feed *f, an_feed_place *p, const void *block)
{
    int rc =
        an_feed_check(f, cudaMemcpyAsync(p->block, block, p->size, cudaMemcpyHostToDevice, f->copying), "copy a batch");
    if (rc)
        return rc;
    rc = an_feed_check(f, cudaEventRecord(p->arrived, f->copying), "record an event");
    return rc ? rc : an_feed_check(f, cudaStreamWaitEvent(f->decoding, p->arrived, 0), "wait for a copy");
}

static int queue(an_batch_feed *f, an_feed_place *p, const void *block, size_t size, uint32_t count)
{
    int rc = await_block(f, p);
    if (rc)
        return rc;
    p->size = size;
    p->count = count;
    rc = copy(f, p, block);
    return rc ? rc : decode(f, p);
}

static int put(an_batch_feed *f, uint32_t place, const void *block, size_t size, uint32_t count)
{
    int before, rc = an_feed_check_place(f, place);
    if (rc)
        return rc;
    if (size > f->room || count < 1)
        return an_error(AN_EINVAL, "a block of %zu bytes with %u samples, where a feed takes %zu", size, count,
                        f->room);
    rc = an_feed_enter(f, &before);
    return rc ? rc : an_feed_leave(f, before, queue(f, &f->place[place], block, size, count));
}

static int again(an_batch_feed *f, uint32_t place)
{
    int before, rc = an_feed_check_place(f, place);
    if (rc)
        return rc;
    if (!f->place[place].count)
        return an_error(AN_EINVAL, "place %u holds no batch", place);
    rc = an_feed_enter(f, &before);
    return rc ? rc : an_feed_leave(f, before, decode(f, &f->place[place]));
}

/* Whether a place is done, or when it is: status is what an event's query or wait returned. */
static int told(an_batch_feed *f, an_feed_place *p, cudaError_t status, uint32_t *sample)
{
    uint32_t unwanted;
    if (status == cudaErrorNotReady) {
        (void)cudaGetLastError();
        return AN_AGAIN;
    }
    int rc = an_feed_check(f, status, "wait for a batch");
    return rc ? rc : an_decode_result(f->decoder, p->report, sample ? sample : &unwanted);
}

static int wait_for(an_batch_feed *f, uint32_t place, uint32_t *sample)
{
    int rc = an_feed_check_place(f, place);
    if (rc)
        return rc;
    an_feed_place *p = &f->place[place];
    return told(f, p, p->count ? cudaEventSynchronize(p->made) : cudaSuccess, sample);
}

static int done(an_batch_feed *f, uint32_t place, uint32_t *sample)
{
    int rc = an_feed_check_place(f, place);
    if (rc)
        return rc;
    an_feed_place *p = &f->place[place];
    return told(f, p, p->count ? cudaEventQuery(p->made) : cudaSuccess, sample);
}

static int fetch(const an_batch_feed *f, const an_feed_place *p, void *samples)
{
    size_t size = an_decoder_cuda.bytes(f->decoder) * p->count;
    int rc = an_feed_check(f, cudaMemcpyAsync(samples, p->samples, size, cudaMemcpyDeviceToHost, f->copying),
                           "copy samples");
    return rc ? rc : an_feed_check(f, cudaStreamSynchronize(f->copying), "copy samples");
}

static int read_samples(an_batch_feed *f, uint32_t place, void *samples)
{
    int before, rc = wait_for(f, place, NULL);
    if (rc)
        return rc;
    rc = an_feed_enter(f, &before);
    return rc ? rc : an_feed_leave(f, before, fetch(f, &f->place[place], samples));
}

const an_feed_api an_feed_cuda = {.create = an_feed_create,
                                  .free = an_feed_free,
                                  .memory = an_feed_memory,
                                  .alloc = an_feed_alloc,
                                  .release = an_feed_release,
                                  .grow = an_feed_grow,
                                  .put = put,
                                  .again = again,
                                  .wait = wait_for,
                                  .done = done,
                                  .read = read_samples,
                                  .samples = an_feed_samples,
                                  .use = an_feed_use,
                                  .unuse = an_feed_unuse};
