/* Samples that are lent to those who work on the device. The DESIGN stands in feed_cuda.c. */
#include "augment/cuda/feed_private.h"
#include "base/error.h"

void *an_feed_samples(const an_batch_feed *f, uint32_t place)
{
    return an_feed_check_place(f, place) ? NULL : f->place[place].samples;
}

static int check_stream(const an_batch_feed *f, cudaStream_t stream)
{
    int device;
    cudaError_t status = cudaStreamGetDevice(stream, &device);
    if (status == cudaErrorInvalidResourceHandle) {
        (void)cudaGetLastError();
        return an_error(AN_EINVAL, "%p is no stream", (void *)stream);
    }
    int rc = an_feed_check(f, status, "ask for a stream's device");
    if (!rc && device != f->device)
        rc = an_error(AN_EINVAL, "a stream of cuda:%d, where the images are on cuda:%d", device, f->device);
    return rc;
}

/* The stream is in the place's list from now on. */
static int list_user(const an_batch_feed *f, an_feed_place *p, cudaStream_t stream)
{
    for (uint32_t i = 0; i < p->used; i++)
        if (p->users[i].stream == stream)
            return AN_OK;
    if (p->used == AN_FEED_STREAMS)
        return an_error(AN_EINVAL, "a batch is used by more than %d streams", AN_FEED_STREAMS);
    an_feed_user *user = &p->users[p->used];
    int rc = user->over ? AN_OK : an_feed_make_event(f, &user->over);
    if (rc)
        return rc;
    user->stream = stream;
    p->used++;
    return AN_OK;
}

static int use(const an_batch_feed *f, an_feed_place *p, void *handle)
{
    cudaStream_t stream = handle ? handle : cudaStreamLegacy; /* the same, by name */
    int rc = check_stream(f, stream);
    if (rc)
        return rc;
    rc = list_user(f, p, stream);
    return rc ? rc : an_feed_check(f, cudaStreamWaitEvent(stream, p->made, 0), "let a stream wait for a batch");
}

int an_feed_use(an_batch_feed *f, uint32_t place, void *stream)
{
    int before, rc = an_feed_check_place(f, place);
    if (rc)
        return rc;
    if (!f->place[place].count)
        return an_error(AN_EINVAL, "place %u holds no batch", place);
    rc = an_feed_enter(f, &before);
    return rc ? rc : an_feed_leave(f, before, use(f, &f->place[place], stream));
}

int an_feed_unuse(an_batch_feed *f, uint32_t place)
{
    int before, rc = an_feed_check_place(f, place);
    if (rc || !f->place[place].used)
        return rc;
    const an_feed_place *p = &f->place[place];
    rc = an_feed_enter(f, &before);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < p->used; i++) {
        int ended = an_feed_check(f, cudaEventRecord(p->users[i].over, p->users[i].stream), "record an event");
        rc = rc ? rc : ended;
    }
    return an_feed_leave(f, before, rc);
}

int an_feed_await_users(an_batch_feed *f, an_feed_place *p)
{
    int rc = AN_OK;
    for (uint32_t i = 0; !rc && i < p->used; i++)
        rc = an_feed_check(f, cudaStreamWaitEvent(f->decoding, p->users[i].over, 0), "wait for a batch's user");
    if (!rc)
        p->used = 0;
    return rc;
}
