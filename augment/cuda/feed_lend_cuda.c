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

/* Of the calling thread; never used again. */
static uint64_t thread_number(void)
{
    static atomic_uint_fast64_t threads;
    static _Thread_local uint64_t number;
    if (!number)
        number = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) + 1;
    return number;
}

static bool is_user(const an_feed_user *user, cudaStream_t stream)
{
    return user->stream == stream && (stream != cudaStreamPerThread || user->thread == thread_number());
}

/* The stream is in the place's list from now on. */
static int list_user(const an_batch_feed *f, an_feed_place *p, cudaStream_t stream)
{
    for (uint32_t i = 0; i < p->used; i++)
        if (is_user(&p->users[i], stream))
            return AN_OK;
    if (p->used == AN_FEED_STREAMS)
        return an_error(AN_EINVAL, "a batch is used by more than %d streams", AN_FEED_STREAMS);
    an_feed_user *user = &p->users[p->used];
    int rc = user->over ? AN_OK : an_feed_make_event(f, &user->over);
    if (rc)
        return rc;
    user->stream = stream;
    user->thread = thread_number();
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

/* Another thread's default stream has no name here, but its work is the device's. */
static int end_user(const an_batch_feed *f, const an_feed_user *user)
{
    if (!is_user(user, user->stream))
        return an_feed_check(f, cudaDeviceSynchronize(), "wait for the device");
    return an_feed_check(f, cudaEventRecord(user->over, user->stream), "record an event");
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
        int ended = end_user(f, &p->users[i]);
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
