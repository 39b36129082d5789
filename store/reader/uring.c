/* DESIGN: one io_uring, used by the one thread that submits and waits.
 *
 * submit only fills a submission entry; the kernel learns of it with the next system call. That is in reap, when no
 * completion is ready or a batch has gathered, so that many reads share a system call and yet the device never runs dry
 * while completions wait to be taken. Submission and completion queues hold at least depth entries each, and at most
 * depth reads are in flight: neither overflows. A read that came back short, or must be repeated, is queued again in
 * the same way.
 *
 * Reads of neighbouring records are not joined here. The kernel's block layer does that within a batch, if the batch is
 * in the order of the file (24 kB with O_DIRECT: 1.6 times as fast as at random, and as fast as reads of 384 kB). The
 * caller knows more than a batch of what comes next, so the caller puts reads in that order.
 *
 * close must not return while the kernel may still write into the caller's buffers. If the kernel knows of reads, close
 * queues a request that cancels all of them, and waits until each has completed or was cancelled. That request goes to
 * the kernel together with the reads that were still queued, and after them, so it cancels these too. If the kernel
 * knows of no read, nothing is submitted any more: what is queued goes away with the ring. */
#include <errno.h>
#ifndef typeof
#define typeof __typeof__ /* older headers of liburing use it, and -std=c11 does not have it */
#endif
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/error.h"
#include "store/reader/engine_private.h"

#define BATCH_MAX 16                   /* queued reads that are submitted together, at most */
#define REGISTER_MAX ((size_t)1 << 30) /* the kernel's limit for one registered buffer */
#define RETRY_US 1000
#define CANCEL_MARK NULL /* user data of the request that cancels the others */

/* Headers older than liburing 2.2 lack these. The kernel decides whether it knows them. */
#ifndef IORING_SETUP_COOP_TASKRUN
#define IORING_SETUP_COOP_TASKRUN (1U << 8)
#endif
#ifndef IORING_SETUP_TASKRUN_FLAG
#define IORING_SETUP_TASKRUN_FLAG (1U << 9)
#endif
#ifndef IORING_ASYNC_CANCEL_ANY
#define IORING_ASYNC_CANCEL_ANY (1U << 2)
#endif

typedef struct {
    struct io_uring ring;
    bool open;
    unsigned queued;    /* in the submission queue, unknown to the kernel */
    unsigned submitted; /* known to the kernel, completion not yet seen */
    unsigned batch;
    uint8_t *fixed; /* registered memory, or NULL */
    size_t fixed_size;
} ring_state;

/* COOP_TASKRUN saves interrupts; TASKRUN_FLAG lets a poll see that completions wait for a system call. Kernels
 * before 5.19 have neither. */
static int init_ring(ring_state *s, unsigned entries)
{
    int rc = io_uring_queue_init(entries, &s->ring, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
    return rc == -EINVAL ? io_uring_queue_init(entries, &s->ring, 0) : rc;
}

static int ring_open(an_reader *reader)
{
    ring_state *s = calloc(1, sizeof *s);
    reader->engine = s;
    if (!s)
        return an_error(AN_ENOMEM, "out of memory: opening '%s'", reader->path);
    int rc = init_ring(s, (unsigned)reader->depth + 1); /* one more: the request that cancels */
    if (rc)
        return an_error(AN_EUNSUPPORTED, "io_uring refused (%s)", strerror(-rc));
    s->open = true;
    unsigned batch = (unsigned)reader->depth / 4;
    s->batch = batch < 1 ? 1 : batch < BATCH_MAX ? batch : BATCH_MAX;
    rc = io_uring_register_files(&s->ring, &reader->fd, 1);
    return rc ? an_error(AN_EUNSUPPORTED, "io_uring refused to register a file (%s)", strerror(-rc)) : AN_OK;
}

/* With registered memory the kernel need not pin pages for every O_DIRECT read. Where the limit on locked memory
 * forbids it, reads go on without: slower, not wrong. */
static int ring_buffers(an_reader *reader, void *memory, size_t size)
{
    ring_state *s = reader->engine;
    struct iovec all = {memory, size};
    if (s->fixed || size > REGISTER_MAX || io_uring_register_buffers(&s->ring, &all, 1))
        return AN_OK;
    s->fixed = memory;
    s->fixed_size = size;
    return AN_OK;
}

static bool is_fixed(const ring_state *s, const uint8_t *buffer, uint32_t length)
{
    return s->fixed && buffer >= s->fixed && length <= s->fixed_size &&
           (size_t)(buffer - s->fixed) <= s->fixed_size - length;
}

/* There is always an entry: the queue holds depth + 1. */
static void queue_read(an_reader *reader, an_read *read)
{
    ring_state *s = reader->engine;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&s->ring);
    an_reader_span span = an_reader_span_of(reader, read);
    uint8_t *to = read->buffer + read->done;
    uint32_t length = span.length - read->done;
    if (is_fixed(s, to, length))
        io_uring_prep_read_fixed(sqe, 0, to, length, span.offset + read->done, 0);
    else
        io_uring_prep_read(sqe, 0, to, length, span.offset + read->done);
    io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
    io_uring_sqe_set_data(sqe, read);
    s->queued++;
}

static int ring_submit(an_reader *reader, an_read *read)
{
    queue_read(reader, read);
    return AN_OK;
}

/* Submit what is queued; with wait, return only when there is a completion. It is no failure to be interrupted, or to
 * find the kernel short of resources while reads are under way: the caller takes completions and comes back. */
static int enter(const an_reader *reader, ring_state *s, bool wait)
{
    int rc = io_uring_submit_and_wait(&s->ring, wait ? 1 : 0);
    if (rc >= 0) {
        s->queued -= (unsigned)rc;
        s->submitted += (unsigned)rc;
        return AN_OK;
    }
    if (rc == -EINTR || ((rc == -EAGAIN || rc == -EBUSY) && s->submitted > 0))
        return AN_OK;
    return an_error_errno(-rc, "cannot read '%s' through io_uring", reader->path);
}

/* Take one completion, if there is one. *read is CANCEL_MARK if it is that of the request to cancel. */
static bool next_completion(ring_state *s, an_read **read, int *result)
{
    struct io_uring_cqe *cqe;
    if (io_uring_peek_batch_cqe(&s->ring, &cqe, 1) == 0)
        return false;
    *read = io_uring_cqe_get_data(cqe);
    *result = cqe->res;
    io_uring_cqe_seen(&s->ring, cqe);
    s->submitted--;
    return true;
}

/* The next finished read among the completions; unfinished ones are queued again. */
static int collect(an_reader *reader, an_read **done)
{
    ring_state *s = reader->engine;
    int result;
    while (next_completion(s, done, &result)) {
        if (an_reader_advance(reader, *done, result, &reader->stats))
            return AN_OK;
        queue_read(reader, *done);
    }
    return AN_AGAIN;
}

static int ring_reap(an_reader *reader, bool block, an_read **done)
{
    ring_state *s = reader->engine;
    int rc = s->queued >= s->batch ? enter(reader, s, false) : AN_OK;
    if (!rc)
        rc = collect(reader, done);
    while (rc == AN_AGAIN) {
        if (!block && s->queued == 0)
            return AN_AGAIN;
        rc = enter(reader, s, block);
        if (!rc)
            rc = collect(reader, done);
        if (!block)
            return rc;
    }
    return rc;
}

/* Wait for all submitted reads. If the system call fails, try again: to return would let the kernel write into buffers
 * that the caller then frees. */
static void drain(an_reader *reader, ring_state *s)
{
    an_read *read;
    int result;
    while (s->submitted > 0) {
        while (next_completion(s, &read, &result))
            continue;
        if (s->submitted > 0 && enter(reader, s, true))
            (void)usleep(RETRY_US);
    }
}

static void cancel(an_reader *reader, ring_state *s)
{
    if (s->submitted == 0)
        return;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&s->ring);
    if (sqe) {
        io_uring_prep_cancel(sqe, NULL, IORING_ASYNC_CANCEL_ANY);
        io_uring_sqe_set_data(sqe, CANCEL_MARK);
        s->queued++;
    }
    (void)enter(reader, s, false);
    drain(reader, s);
}

static void ring_close(an_reader *reader)
{
    ring_state *s = reader->engine;
    if (s && s->open) {
        cancel(reader, s);
        io_uring_queue_exit(&s->ring);
    }
    free(s);
    reader->engine = NULL;
}

const an_reader_engine_ops an_reader_uring_ops = {
    .open = ring_open, .close = ring_close, .submit = ring_submit, .reap = ring_reap, .buffers = ring_buffers};
