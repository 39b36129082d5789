/* A bounded first-in, first-out queue of pointers between threads, with counters of the time spent waiting.
 *
 * Any number of threads may push and pop at once. The queue owns none of the items. Its counters say how long consumers
 * waited for an item and producers for room, which shows the side that is too slow. The loader, whose counters the
 * verdict of an-train and an-bench-io comes from, does not use this queue: see augment/loader.h. */
#ifndef AN_BASE_QUEUE_H
#define AN_BASE_QUEUE_H

#include <stddef.h>
#include <stdint.h>

typedef struct an_queue an_queue;

typedef struct {
    uint64_t pushes, pops;
    uint64_t push_wait_ns; /* producers blocked on a full queue, summed over threads; waits under way included */
    uint64_t pop_wait_ns;  /* consumers blocked on an empty queue, likewise */
    uint64_t depth_sum;    /* items that each pop found on arrival, summed: depth_sum / pops is the mean occupancy */
} an_queue_stats;

/* The caller frees. capacity >= 1. */
int an_queue_create(an_queue **out, size_t capacity);
void an_queue_free(an_queue *queue); /* NULL is fine; no thread may be inside */

int an_queue_push(an_queue *queue, void *item);     /* blocks; AN_END if closed */
int an_queue_try_push(an_queue *queue, void *item); /* AN_AGAIN if full, AN_END if closed */
int an_queue_pop(an_queue *queue, void **item);     /* blocks; AN_END once closed and drained */
int an_queue_try_pop(an_queue *queue, void **item); /* AN_AGAIN if empty, AN_END once closed and drained */

/* No more pushes; waiters wake. What is queued can still be popped. Idempotent. */
void an_queue_close(an_queue *queue);

void an_queue_stats_get(an_queue *queue, an_queue_stats *out);

#endif
