/* What the files of the loader share. loader.c makes and frees it and holds the DESIGN, loader_make.c checks options
 * and makes threads, loader_slots.c makes the memory of batches, loader_lend.c serves the callers of an_loader_next,
 * loader_run.c is the threads, loader_epochs.c says what each batch is made of, loader_plan.c what is read next,
 * loader_check.c compares what was read with the index, loader_payload.c makes batches of payloads. */
#ifndef AN_AUGMENT_LOADER_PRIVATE_H
#define AN_AUGMENT_LOADER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "augment/loader.h"
#include "augment/order/weighted.h"
#include "augment/payload.h"
#include "base/error.h"
#include "store/dataset/headers.h"

#define AN_LOADER_SLOTS_MAX 4096

/* What a batch is made of: positions in the order of an epoch from `first` on; where that reaches the epoch's end, it
 * goes on at the beginning of the next one (carried) or of the same (repeated). */
typedef struct {
    uint64_t epoch, step, first, position;
    uint32_t count, carried, repeated;
    bool last;
} an_loader_span;

/* One record on its way from the disk into a batch. */
typedef struct an_loader_item {
    an_read read;
    struct an_loader_item *next;
    uint8_t *buffer;
    uint64_t batch;    /* in order of delivery, from 0 */
    uint64_t record;   /* its number in the dataset */
    uint64_t drawn;    /* the index that its draws have: the record, or with weights its place in the epoch */
    uint32_t position; /* in the batch */
    bool parsed;       /* header_hash holds */
    uint64_t header_hash;
} an_loader_item;

/* Where one record belongs. */
typedef struct {
    uint64_t record, drawn, batch;
    uint32_t position;
} an_loader_place;

typedef struct {
    an_loader_item *head, **tail; /* tail: where the next one is linked */
    int count;
} an_loader_list;

/* Memory for one batch. */
typedef struct {
    an_batch batch;          /* lease is 0 while it is not lent */
    uint32_t missing;        /* samples still to come */
    bool done;               /* nothing is missing: it can be delivered */
    an_payload *places;      /* of a block of payloads; else NULL */
    atomic_size_t used;      /* bytes of the block that are taken */
    uint32_t error_position; /* of the sample whose error is kept: the first in the batch */
    an_error_state error;    /* code 0: none */
    uint64_t error_record;   /* of that sample */
    void *memory;            /* of this slot alone, slot_stride bytes; NULL: it lies in slot_memory */
} an_loader_slot;

typedef struct {
    an_loader *loader;
    an_sample_scratch *scratch;
    uint8_t *sample; /* place for one; NULL where batches are samples */
    pthread_t thread;
    int number;
} an_loader_worker;

struct an_loader {
    an_loader_options options;
    an_sampler *sampler;
    an_reader *reader;
    char *note; /* the reader's, or NULL */
    an_reader_engine engine;
    int advice_fd; /* of the data file, for reading ahead in order block; else -1 */
    const an_index_entry *index;
    an_dataset_headers *headers; /* of the records that were read; under the lock */
    uint64_t *subset;
    an_weighted *weighted; /* NULL: an epoch is a permutation */
    uint64_t count;        /* records of an epoch, all ranks */
    an_epochs epochs;      /* as far as this rank takes part in their steps */
    uint64_t begun;        /* batches from first_position to the end of its epoch; 0 without it */
    uint64_t first; /* number of the step that the first batch behind these belongs to, counted from the beginning of
                       epoch 0 */
    uint64_t total; /* batches to deliver; UINT64_MAX: without end */

    an_loader_item *items;
    int item_count, room_mark;
    int window;              /* records that are read in the order of the file instead of delivery; 1: none */
    an_loader_place *places; /* window of them */
    void *record_memory;
    size_t record_memory_size;

    an_loader_slot *slots; /* slots_max places, slot_count of them made */
    int slots_max;
    an_loader_slot **open; /* batch b, once open and until delivered, lies in *open[b % slots_max] */
    uint8_t *slot_memory;  /* of the first options.slots */
    size_t slot_stride, slot_memory_size;
    size_t slot_draws;  /* where the draws begin in a slot's memory */
    size_t block_size;  /* of a batch of payloads at most; 0: batches are samples */
    bool block_samples; /* a block has room for samples that workers finish */

    pthread_t reading_thread;
    bool reading_started;
    an_loader_worker *workers;
    int workers_started;

    pthread_mutex_t lock;
    pthread_cond_t work, room, delivery;
    an_loader_list free, ready, parked;
    uint64_t delivered; /* batches that were lent so far; the next one that is due */
    uint64_t opened;    /* batches that were given a slot so far */
    int slot_count;     /* slots that are made */
    int lent;           /* of these */
    bool growing;       /* a consumer makes another one, without the lock */
    int workers_waiting, consumers_waiting;
    bool reader_waiting;
    bool stop, closed;             /* closing has begun, and is done */
    bool interrupted;              /* until an_loader_resume */
    uint64_t interruptions;        /* so far: a waiting call notices one that is over before it wakes */
    an_error_state reader_failure; /* the reading thread has ended with it; code 0: none */
    an_error_state failure;        /* that a caller was given, and all later ones get; code 0: none */
    uint64_t failed_record;        /* which it is about; UINT64_MAX: none */
    an_loader_stats stats;
    uint64_t started_ns; /* the first an_loader_next or the last reset; 0: neither yet */
};

/* Lists: first in, first out. */
void an_loader_list_init(an_loader_list *list);
void an_loader_list_push(an_loader_list *list, an_loader_item *it);
an_loader_item *an_loader_list_pop(an_loader_list *list); /* NULL if empty */

/* Slots (loader_slots.c). */
int an_loader_slots_make(an_loader *loader); /* options.slots of them */
void an_loader_slots_free(an_loader *loader);
/* Make one more, for the next batch that has none. The lock is held, but not while memory is made: `growing` keeps
 * others from making one at the same time. */
int an_loader_slots_add(an_loader *loader);
size_t an_loader_whole_pages(size_t size); /* rounded up */

/* Check the options and make everything. What it made before a failure is freed by an_loader_free. */
int an_loader_build(an_loader *loader);

/* Parse what was read for an item and compare it with the index. The payload is not looked at: an_record_verify,
 * an_record_copy. Without the lock. */
int an_loader_parse(const an_loader *loader, an_loader_item *it, an_record *out);
/* Count a record in that an_loader_parse was called for. The lock is held. */
void an_loader_count_in(an_loader *loader, const an_loader_item *it);
/* When an epoch's last batch is complete: does every index lead to the record that was written under it? AN_ECORRUPT.
 * The lock is held. */
int an_loader_check_epoch(an_loader *loader);

/* Give a free slot to the next batch that has none, if there is one. The lock is held, or no thread runs yet. */
void an_loader_open(an_loader *loader, an_loader_slot *s);
/* Give a slot to the next batch, so that its records need not be parked any longer. Returns how many workers to wake.
 * The lock is held. */
int an_loader_take_slot(an_loader *loader, an_loader_slot *s);
/* Does this batch, which was not delivered yet, have a slot that workers may write to? The lock is held. */
bool an_loader_is_open(const an_loader *loader, uint64_t batch);
/* Where the loader begins, and how many batches it will deliver (loader_epochs.c): sets epochs, begun, first and total.
 * AN_EINVAL. */
int an_loader_plan_epochs(an_loader *loader);
an_loader_span an_loader_span_of(const an_loader *loader, uint64_t batch);

/* Nanoseconds from start_ns, or from the last reset of the statistics if that was later, until now. The lock is held.
 */
uint64_t an_loader_since(const an_loader *loader, uint64_t start_ns);
/* How many sleeping workers have something to do. The lock is held. */
int an_loader_workers_wanted(const an_loader *loader);
/* Best called without the lock: the first thing that a worker does when it wakes is to take it. */
void an_loader_wake_workers(an_loader *loader, int count);

/* What the reading thread reads next (loader_plan.c). */
typedef struct {
    an_order order;
    uint64_t batch; /* of the first record that is not yet planned */
    an_loader_span span;
    uint32_t position;
    int planned, next; /* of loader->places */
    uint64_t block;    /* that the last record lay in; UINT64_MAX: none yet */
    bool first;        /* it is the first block of the run, which nobody asked to be read ahead */
    uint64_t ahead;    /* position in the epoch whose block is to be read ahead; UINT64_MAX: none */
} an_loader_plan;

void an_loader_plan_begin(const an_loader *loader, an_loader_plan *plan);
bool an_loader_plan_more(const an_loader *loader, const an_loader_plan *plan); /* something is left to read */
/* Make it the read of the next record. */
void an_loader_plan_aim(an_loader *loader, an_loader_plan *plan, an_loader_item *it);
/* Ask the kernel to read ahead what is due; call it after aiming a few items. */
void an_loader_plan_advise(const an_loader *loader, an_loader_plan *plan);

/* Draw for the item's sample, and note in its batch what is known of it. */
void an_loader_note_sample(const an_loader *loader, const an_loader_item *it, an_loader_slot *s,
                           const an_record *record, an_sample_draw *draw);

/* Blocks of payloads (loader_payload.c). */
int an_loader_payload_check(an_loader *loader); /* its options; sets block_size */
int an_loader_payload_worker(const an_loader *loader, an_loader_worker *w);
void an_loader_payload_open(an_loader_slot *s);  /* for batch.count samples */
void an_loader_payload_close(an_loader_slot *s); /* all payloads are there */
/* Bring an item's payload into its batch. next: the worker's next item, or NULL. */
int an_loader_payload_make(an_loader *loader, an_loader_worker *w, an_loader_item *it, const an_loader_item *next,
                           an_loader_slot *s);

/* Thread functions; the argument is the an_loader, or the worker. */
void *an_loader_reading_run(void *argument);
void *an_loader_worker_run(void *argument);

#endif
