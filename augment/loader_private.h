/* What the two halves of the loader share: loader.c makes it and serves the consumer, loader_run.c is its threads. The
 * DESIGN stands in loader.c. */
#ifndef AN_AUGMENT_LOADER_PRIVATE_H
#define AN_AUGMENT_LOADER_PRIVATE_H

#include <pthread.h>

#include "augment/loader.h"
#include "base/error.h"

typedef struct item {
    an_read read;
    struct item *next;
    uint8_t *buffer;
    uint64_t batch;    /* in order of delivery */
    uint64_t record;   /* its number in the dataset */
    uint32_t position; /* in the batch */
} item;

/* Where one record belongs. */
typedef struct {
    uint64_t record, batch;
    uint32_t position;
} an_place;

typedef struct {
    item *head, **tail; /* tail: where the next one is linked */
    int count;
} item_list;

typedef struct {
    an_batch batch;
    uint32_t missing; /* samples still to come */
    bool done;
    uint32_t error_position; /* of the sample whose error is kept: the first in the batch */
    an_error_state error;    /* code 0: none */
} slot;

typedef struct {
    an_loader *loader;
    an_sample_scratch *scratch;
    pthread_t thread;
    int number;
} worker;

struct an_loader {
    an_loader_options options;
    an_sampler *sampler;
    an_reader *reader;
    int advice_fd; /* of the data file, for reading ahead in order block; else -1 */
    const an_index_entry *index;
    uint64_t *subset;
    uint64_t count;           /* records of an epoch, all ranks */
    uint64_t steps_per_epoch; /* of this rank */
    uint64_t total;           /* batches to deliver; UINT64_MAX: without end */

    item *items;
    int item_count, room_mark;
    int window;       /* records that are read in the order of the file instead of delivery; 1: none */
    an_place *places; /* window of them */
    void *record_memory;
    size_t record_memory_size;

    slot *slots;
    uint8_t *slot_memory;
    size_t slot_stride, slot_memory_size;

    pthread_t reading_thread;
    bool reading_started;
    worker *workers;
    int workers_started;

    pthread_mutex_t lock;
    pthread_cond_t work, room, delivery;
    item_list free, ready, parked;
    uint64_t delivered, released; /* batches */
    int workers_waiting;
    bool reader_waiting, consumer_waiting, stop;
    an_error_state failure; /* of the reader as a whole; code 0: none */
    an_loader_stats stats;
    uint64_t started_ns; /* the first an_loader_next or the last reset; 0: neither yet */
};

/* An empty list; first in, first out. */
void an_item_list_init(item_list *list);
void an_item_list_push(item_list *list, item *it);
item *an_item_list_pop(item_list *list); /* NULL if empty */

/* Everything after the locks; what it made before a failure is freed by an_loader_free. */
int an_loader_build(an_loader *loader);

/* A batch's slot becomes its own, empty. The lock is held, or no thread runs yet. */
void an_loader_open(an_loader *loader, uint64_t batch);
/* A batch may be written: its slot is its own. The lock is held. */
bool an_loader_is_open(const an_loader *loader, uint64_t batch);
uint64_t an_loader_epoch_of(const an_loader *loader, uint64_t batch);
uint64_t an_loader_first_of(const an_loader *loader, uint64_t batch); /* position in the epoch of its first sample */
uint32_t an_loader_count_of(const an_loader *loader, uint64_t batch);
uint64_t an_loader_since(const an_loader *loader, uint64_t start_ns); /* as far as the statistics go back; lock held */
int an_loader_workers_wanted(const an_loader *loader);     /* how many sleep while there is work for them; lock held */
void an_loader_wake_workers(an_loader *loader, int count); /* better without the lock, which they want first */

/* What the reading thread reads next (loader_plan.c). */
typedef struct {
    an_order order;
    uint64_t batch; /* of the first record that is not yet planned */
    uint32_t position;
    int planned, next; /* of loader->places */
    uint64_t block;    /* that the last record lay in; UINT64_MAX: none yet */
    bool first;        /* block of the run: it was not read ahead */
    uint64_t ahead;    /* position in the epoch whose block is to be read ahead; UINT64_MAX: none */
} an_loader_plan;

void an_loader_plan_begin(const an_loader *loader, an_loader_plan *plan);
bool an_loader_plan_more(const an_loader *loader, const an_loader_plan *plan); /* something is left to read */
void an_loader_plan_aim(an_loader *loader, an_loader_plan *plan, item *it);    /* at the next record */
void an_loader_plan_advise(const an_loader *loader, an_loader_plan *plan);     /* the kernel, after a few of them */

/* Thread functions; the argument is the an_loader, or the worker. */
void *an_loader_reading_run(void *argument);
void *an_loader_worker_run(void *argument);

#endif
