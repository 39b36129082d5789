/* DESIGN: a few worker threads that call pread.
 *
 * There are two queues of `depth` items: todo (submit -> workers) and done (workers -> reap). At most depth reads are
 * in flight, so no push ever blocks. A worker owns a read from the moment it takes it out of one queue until it puts it
 * into the other. close sets `stopping`, after which workers pass reads on without reading (status AN_STOPPED, which
 * nobody sees); then it closes todo and joins the workers. A worker inside pread finishes that call first, so no buffer
 * is written to after close. The counters of short reads and retries are atomic, because several workers add to them;
 * reap copies them into the reader's. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/queue.h"
#include "base/thread.h"
#include "store/reader/engine_private.h"

#define THREADS_MAX 8

typedef struct {
    an_queue *todo, *done;
    pthread_t threads[THREADS_MAX];
    int thread_count;
    atomic_bool stopping;
    atomic_uint_fast64_t short_reads, retries;
} pool;

/* Call pread until the span is there, or an error says that it will not be. */
static void read_all(an_reader *reader, an_read *read)
{
    pool *p = reader->engine;
    an_reader_span span = an_reader_span_of(reader, read);
    an_reader_stats stats = {0};
    ssize_t got;
    do {
        got = pread(reader->fd, read->buffer + read->done, span.length - read->done, (off_t)(span.offset + read->done));
    } while (!an_reader_advance(reader, read, got < 0 ? -errno : got, &stats));
    atomic_fetch_add_explicit(&p->short_reads, stats.short_reads, memory_order_relaxed);
    atomic_fetch_add_explicit(&p->retries, stats.retries, memory_order_relaxed);
}

static void *work(void *argument)
{
    an_reader *reader = argument;
    pool *p = reader->engine;
    void *item;
    while (!an_queue_pop(p->todo, &item)) {
        an_read *read = item;
        if (atomic_load(&p->stopping))
            read->status = AN_STOPPED;
        else
            read_all(reader, read);
        (void)an_queue_push(p->done, read); /* has room for all reads and is not closed before the threads have ended */
    }
    return NULL;
}

static int pool_open(an_reader *reader)
{
    pool *p = calloc(1, sizeof *p);
    reader->engine = p;
    if (!p)
        return an_error(AN_ENOMEM, "out of memory: opening '%s'", reader->path);
    int rc = an_queue_create(&p->todo, (size_t)reader->depth);
    if (!rc)
        rc = an_queue_create(&p->done, (size_t)reader->depth);
    int threads = reader->depth < THREADS_MAX ? reader->depth : THREADS_MAX;
    while (!rc && p->thread_count < threads) {
        rc = an_thread_start(&p->threads[p->thread_count], "read", work, reader);
        p->thread_count += !rc;
    }
    return rc;
}

static void pool_close(an_reader *reader)
{
    pool *p = reader->engine;
    if (!p)
        return;
    atomic_store(&p->stopping, true);
    if (p->todo)
        an_queue_close(p->todo);
    for (int i = 0; i < p->thread_count; i++)
        (void)pthread_join(p->threads[i], NULL); /* fails only for what is no thread of this process */
    an_queue_free(p->todo);
    an_queue_free(p->done);
    free(p);
    reader->engine = NULL;
}

static int pool_submit(an_reader *reader, an_read *read)
{
    pool *p = reader->engine;
    return an_queue_try_push(p->todo, read);
}

static int pool_reap(an_reader *reader, bool block, an_read **done)
{
    pool *p = reader->engine;
    void *item;
    int rc = block ? an_queue_pop(p->done, &item) : an_queue_try_pop(p->done, &item);
    if (rc)
        return rc;
    *done = item;
    reader->stats.short_reads = atomic_load_explicit(&p->short_reads, memory_order_relaxed);
    reader->stats.retries = atomic_load_explicit(&p->retries, memory_order_relaxed);
    return AN_OK;
}

const an_reader_engine_ops an_reader_pread_ops = {
    .open = pool_open, .close = pool_close, .submit = pool_submit, .reap = pool_reap};
