/* The loader: order -> read -> decode and augment -> batch slots. The same bytes in every batch for any number of
 * threads, any engine and any depth. */
#ifndef AN_AUGMENT_LOADER_H
#define AN_AUGMENT_LOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "augment/order.h"
#include "augment/sample.h"
#include "store/dataset/dataset.h"
#include "store/reader/reader.h"

typedef struct {
    const an_dataset *dataset;       /* must outlive the loader */
    const an_statistics *statistics; /* of the training set; NULL: the dataset's own */
    an_sample_options sample;
    an_reader_engine engine;
    int depth;      /* reads in flight */
    int threads;    /* decode workers */
    int slots;      /* batches in memory, >= 2 */
    uint32_t batch; /* samples */
    uint64_t seed;
    an_order_kind order;
    uint64_t block;
    uint32_t rank, world;             /* batch b of the global order belongs to rank b % world */
    bool drop_last;                   /* training: an incomplete last batch is dropped; else it is delivered short */
    bool verify;                      /* check every payload's checksum */
    uint64_t first_epoch, first_step; /* where to begin */
    uint64_t epochs;                  /* how many to deliver; 0 = without end */
    const uint64_t *subset;           /* record numbers to use instead of all, or NULL; copied */
    uint64_t subset_count;
    /* Memory for slots, so that a backend can give pinned pages; NULL: an_pages_alloc. */
    int (*memory_alloc)(void *context, void **out, size_t size);
    void (*memory_free)(void *context, void *memory, size_t size);
    void *memory_context;
    /* Called by each worker before each sample, or NULL: for tests that disturb the timing. */
    void (*worker_hook)(void *context, int worker);
    void *worker_hook_context;
} an_loader_options;

typedef struct {
    void *data;           /* count samples in options.sample.format */
    uint32_t *labels;     /* count */
    uint64_t *indices;    /* record numbers, count */
    an_image_draw *draws; /* count; in the slots' memory, behind data */
    uint32_t count;       /* samples: options.batch, or fewer at an epoch's end without drop_last */
    uint64_t epoch, step; /* step counts within the epoch from 0 */
    bool last;            /* last batch of its epoch */
} an_batch;

/* Where time went, in nanoseconds summed over the threads named. */
typedef struct {
    uint64_t batches, samples, bytes_read;
    uint64_t consumer_wait_ns;    /* an_loader_next blocked: the device starved */
    uint64_t worker_wait_read_ns; /* workers waited for record bytes: reading is the limit */
    uint64_t worker_wait_slot_ns; /* workers waited for a free slot: the consumer is the limit */
    uint64_t worker_busy_ns;      /* decode and augment */
    uint64_t reader_wait_ns;      /* the reading thread waited for the device */
    uint64_t reader_blocked_ns;   /* the reading thread waited for free record buffers: decoding is the limit */
    uint64_t elapsed_ns;          /* since the first an_loader_next, or the last stats reset */
    int threads;
} an_loader_stats;

typedef struct an_loader an_loader;

/* Starts the threads. Every option is checked: AN_EINVAL names it. */
int an_loader_create(an_loader **out, const an_loader_options *options);
/* Stops at any moment, whatever is in flight. NULL is fine. */
void an_loader_free(an_loader *loader);

uint64_t an_loader_steps_per_epoch(const an_loader *loader);

/* The next batch in order; blocks. AN_END after the last epoch. An unreadable or damaged record is an error that names
 * it. The batch belongs to the caller until an_loader_release; batches are released in the order they came. */
int an_loader_next(an_loader *loader, an_batch **out);
int an_loader_try_next(an_loader *loader, an_batch **out); /* AN_AGAIN if none is ready */
void an_loader_release(an_loader *loader, an_batch *batch);

void an_loader_stats_get(an_loader *loader, an_loader_stats *out);
void an_loader_stats_reset(an_loader *loader);
const char *an_loader_note(const an_loader *loader); /* the reader's note, or NULL */
an_reader_engine an_loader_engine(const an_loader *loader);

/* Put "record 7 ('n01440764/x.jpg') of 'data/train': " before this thread's message and return code. */
int an_loader_name_error(const an_dataset *dataset, int code, uint64_t record);

/* The binding stage in one sentence, and its name ("consumer", "decode", "read"), from the counters. */
const char *an_loader_verdict(const an_loader_stats *stats, char *text, size_t size);

#endif
