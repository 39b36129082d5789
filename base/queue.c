/* DESIGN
 *
 * A ring of pointers under one mutex, with a condition variable for the producers and one for the consumers. Each push
 * wakes one consumer and each pop one producer, because exactly one of them can go on; closing wakes all, because all
 * must look. Items leave in the order in which their pushes took the mutex.
 *
 * An item stands for the reading of a record or the packing of an image, beside which a mutex is cheap. It also makes
 * the statistics exact: they change only under it. A wait that is still going on counts too: each side keeps how many
 * threads wait and the sum of the times at which they began, so that an_queue_stats_get can add the time since then.
 *
 * Closing forbids pushes at once. Pops go on until the ring is empty and only then answer AN_END, so nothing that was
 * accepted is lost. */
#include "base/queue.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"

typedef struct {
    pthread_cond_t wake;
    uint64_t waited_ns, threads, start_sum_ns;
} side;

struct an_queue {
    pthread_mutex_t mutex;
    side producers, consumers;
    void **items;
    size_t capacity, first, count;
    bool closed;
    uint64_t pushes, pops, depth_sum;
};

int an_queue_create(an_queue **out, size_t capacity)
{
    *out = NULL;
    if (capacity < 1)
        return an_error(AN_EINVAL, "a queue needs room for at least one item");
    an_queue *queue = calloc(1, sizeof *queue);
    void **items = calloc(capacity, sizeof *items);
    if (!queue || !items) {
        free(queue);
        free(items);
        return an_error(AN_ENOMEM, "out of memory: queue of %zu items", capacity);
    }
    queue->items = items;
    /* With default attributes these only fill in the structs on Linux: they cannot fail. */
    (void)pthread_mutex_init(&queue->mutex, NULL);
    (void)pthread_cond_init(&queue->producers.wake, NULL);
    (void)pthread_cond_init(&queue->consumers.wake, NULL);
    queue->capacity = capacity;
    *out = queue;
    return AN_OK;
}

void an_queue_free(an_queue *queue)
{
    if (!queue)
        return;
    (void)pthread_cond_destroy(&queue->producers.wake);
    (void)pthread_cond_destroy(&queue->consumers.wake);
    (void)pthread_mutex_destroy(&queue->mutex);
    free(queue->items);
    free(queue);
}

/* One wait of one thread; the mutex is held. */
static void wait_once(an_queue *queue, side *mine)
{
    uint64_t start = an_clock_ns();
    mine->threads++;
    mine->start_sum_ns += start;
    pthread_cond_wait(&mine->wake, &queue->mutex);
    mine->threads--;
    mine->start_sum_ns -= start;
    mine->waited_ns += an_clock_ns() - start;
}

static int push_locked(an_queue *queue, void *item, bool block)
{
    while (!queue->closed && queue->count == queue->capacity) {
        if (!block)
            return AN_AGAIN;
        wait_once(queue, &queue->producers);
    }
    if (queue->closed)
        return AN_END;
    queue->items[(queue->first + queue->count) % queue->capacity] = item;
    queue->count++;
    queue->pushes++;
    pthread_cond_signal(&queue->consumers.wake);
    return AN_OK;
}

static int pop_locked(an_queue *queue, void **item, bool block)
{
    size_t depth = queue->count; /* on arrival: a consumer that has to wait found 0 */
    while (!queue->closed && queue->count == 0) {
        if (!block)
            return AN_AGAIN;
        wait_once(queue, &queue->consumers);
    }
    if (queue->count == 0)
        return AN_END;
    *item = queue->items[queue->first];
    queue->first = (queue->first + 1) % queue->capacity;
    queue->count--;
    queue->pops++;
    queue->depth_sum += depth;
    pthread_cond_signal(&queue->producers.wake);
    return AN_OK;
}

static int push(an_queue *queue, void *item, bool block)
{
    pthread_mutex_lock(&queue->mutex);
    int rc = push_locked(queue, item, block);
    pthread_mutex_unlock(&queue->mutex);
    return rc;
}

static int pop(an_queue *queue, void **item, bool block)
{
    *item = NULL;
    pthread_mutex_lock(&queue->mutex);
    int rc = pop_locked(queue, item, block);
    pthread_mutex_unlock(&queue->mutex);
    return rc;
}

int an_queue_push(an_queue *queue, void *item)
{
    return push(queue, item, true);
}

int an_queue_try_push(an_queue *queue, void *item)
{
    return push(queue, item, false);
}

int an_queue_pop(an_queue *queue, void **item)
{
    return pop(queue, item, true);
}

int an_queue_try_pop(an_queue *queue, void **item)
{
    return pop(queue, item, false);
}

void an_queue_close(an_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->closed = true;
    pthread_cond_broadcast(&queue->producers.wake);
    pthread_cond_broadcast(&queue->consumers.wake);
    pthread_mutex_unlock(&queue->mutex);
}

static uint64_t waited_until(const side *one, uint64_t now)
{
    return one->waited_ns + one->threads * now - one->start_sum_ns;
}

void an_queue_stats_get(an_queue *queue, an_queue_stats *out)
{
    pthread_mutex_lock(&queue->mutex);
    uint64_t now = an_clock_ns();
    *out = (an_queue_stats){.pushes = queue->pushes,
                            .pops = queue->pops,
                            .push_wait_ns = waited_until(&queue->producers, now),
                            .pop_wait_ns = waited_until(&queue->consumers, now),
                            .depth_sum = queue->depth_sum};
    pthread_mutex_unlock(&queue->mutex);
}
