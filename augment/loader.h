/* The loader: delivers the images of a dataset as batches, in a given order, ready for a network.
 *
 *     order -> read -> decode and augment -> batch
 *
 * A batch holds the same bytes for any number of threads, any reader engine and any depth.
 *
 * Where a device decodes, the loader delivers payloads instead of samples: a batch is then one block
 * (augment/payload.h) of undecoded records, and workers do nothing but move them and compare their checksums. Order,
 * draws, labels and indices are the same in both modes, and so are the samples that come out of the block. Only where
 * in the block a payload lies depends on timing. What a decoder does not take, resized crops and records of other
 * codecs, is decoded by the workers and lies in the same block as a finished sample.
 *
 * Ownership. The caller owns the loader (an_loader_create, an_loader_free). The loader owns the memory that batches are
 * made in: its slots. an_loader_next lends a slot to the caller, until an_loader_release. An an_batch is a plain value
 * that may be copied; its lease number says which loan it stands for. Batches are delivered in order and may be
 * released in any order. Where slots_max allows it, a loader whose slots are all lent makes another one, and keeps it.
 *
 * Threads. Any thread may call any function at any time, except an_loader_free: by then every other call must have
 * returned. A batch goes to one of the threads that ask for it, and any thread may release it. No function may be
 * called from a signal handler.
 *
 * Failures. Negative codes, with a message in the calling thread (base/error.h). Once an_loader_next has reported that
 * reading or decoding failed, the failure stays: every later call of it, on every thread, gives the same code and
 * message, or AN_STOPPED while the loader is interrupted. Batches that are lent stay valid.
 *
 * An epoch's rest, fewer images than a batch, is left out, delivered as a short batch, or carried over: then a batch
 * holds the rest and the first images of the next epoch. Each sample's place in the order and all that is drawn for it
 * depend on the sample's own epoch. Several ranks that must take equally many batches have AN_LAST_DROP, AN_LAST_EVEN
 * and AN_LAST_PAD, of which the last two show a few images of the epoch again.
 *
 * The state of a training is an epoch and an_batch.position. A loader that is given both goes on there, also with
 * another batch, world or number of threads: the epoch's order is the same, and what is left of it is cut anew.
 *
 * With weights an epoch is as many draws with replacement as there are records. The place of a draw in the epoch takes
 * the role of the record's number in all that is drawn for the sample, so two copies of an image differ.
 *
 * Records are compared with the dataset's index: label, length and size of each one, and, once nearly all were read,
 * whether each is the one that was written under its index. If not, an epoch's last batch is AN_ECORRUPT. */
#ifndef AN_AUGMENT_LOADER_H
#define AN_AUGMENT_LOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "augment/order/order.h"
#include "augment/sample.h"
#include "base/epochs/epochs.h"
#include "store/dataset/dataset.h"
#include "store/reader/reader.h"

/* Who decodes. */
typedef enum {
    AN_DECODE_HOST,  /* the loader's workers: batches are samples */
    AN_DECODE_DEVICE /* whoever takes the batches: they are blocks of payloads */
} an_decode_place;

typedef struct {
    const an_dataset *dataset;       /* must outlive the loader */
    const an_statistics *statistics; /* of the training set; NULL: the dataset's own. Copied as far as needed */
    an_sample_options sample;        /* with AN_DECODE_DEVICE the format must be u8, NHWC, 3 channels */
    an_decode_place decode;
    an_reader_engine engine;
    int depth;      /* reads in flight, 1..4096 */
    int threads;    /* that decode and augment, 1..1024 */
    int slots;      /* batches in memory, those that are lent included, 2..4096 */
    int slots_max;  /* when all slots are lent, one more is made for the next batch, up to this many; 0: slots */
    uint32_t batch; /* samples, 1 or more */
    uint64_t seed;
    an_order_kind order;
    uint64_t block;                   /* records, 1 or more; only for AN_ORDER_BLOCK */
    uint32_t rank, world;             /* batch b of the global order belongs to rank b % world */
    an_last_kind last;                /* what becomes of an epoch's rest; with AN_LAST_CARRY batch x world is at most
                                         an epoch. With AN_LAST_SHORT some ranks may have no part in the last step */
    bool verify;                      /* check every payload's checksum */
    uint64_t first_epoch, first_step; /* where to begin: a step that begins in the epoch */
    uint64_t first_position; /* or: images of the first epoch's order that are done already, all of it at most. Steps
                                are cut and counted from there until the epoch ends. Excludes first_step and
                                AN_LAST_CARRY; 0: the epoch's beginning */
    uint64_t epochs;         /* how many to deliver, the first one included; 0 = without end. Carried batches end with
                                the last one: it may be short */
    const uint64_t *subset;  /* record numbers to use instead of all, copied; NULL: all */
    uint64_t subset_count;   /* of subset; unused if that is NULL */
    const double *weights;   /* one for each record of the subset, or of the dataset: how often it is drawn in relation
                                to the others. Finite, 0 or more, and not all 0; they need AN_ORDER_GLOBAL. Read at
                                creation only; a table of 12 bytes for each is kept. NULL: an epoch shows each record
                                once */
    /* Memory for the slots, so that a backend can give pinned pages. Both or neither; neither: an_pages_alloc. For
     * slots made later, alloc is called by whichever thread asks for a batch, by one at a time. */
    int (*memory_alloc)(void *context, void **out, size_t size);
    void (*memory_free)(void *context, void *memory, size_t size);
    void *memory_context;
    /* Each worker calls this before each sample, or NULL: for tests that disturb the timing. */
    void (*worker_hook)(void *context, int worker);
    void *worker_hook_context;
} an_loader_options;

/* A batch that the loader has lent. The arrays lie in its slot and hold count elements each. */
typedef struct {
    uint64_t lease;       /* identifies the loan among those of all loaders of the process; 0: no batch */
    void *data;           /* samples in options.sample.format; with AN_DECODE_DEVICE a block of payloads */
    size_t size;          /* of data, bytes: what a copy to a device must take */
    uint32_t *labels;     /* classes */
    uint64_t *indices;    /* record numbers */
    an_image_draw *draws; /* what was drawn for each sample; in the memory from memory_alloc, behind data or, in a
                             block of payloads, at its beginning */
    uint32_t count;       /* samples: options.batch, or fewer with AN_LAST_SHORT and AN_LAST_EVEN and at the end of
                             options.epochs */
    uint32_t carried;     /* the last so many of them belong to the next epoch; 0 but with AN_LAST_CARRY */
    uint32_t repeated;    /* the last so many of them are images from the beginning of the epoch's order again, so that
                             ranks or batches are filled; 0 but with AN_LAST_EVEN and AN_LAST_PAD */
    uint64_t position;    /* images of the epoch's order that are done once the batches of this step are, those of all
                             ranks: what first_position takes. The epoch's last step: all of them */
    uint64_t epoch, step; /* step counts those of the epoch from 0; all ranks have the same for batches that belong to
                             one step. AN_LAST_CARRY: the epoch in which the step of all ranks begins */
    bool last;            /* this rank's last batch of the epoch */
} an_batch;

/* Where time went, in nanoseconds summed over the threads named. */
typedef struct {
    uint64_t batches, samples, bytes_read;
    uint64_t consumer_wait_ns;    /* threads waited in an_loader_next: the device starved */
    uint64_t worker_wait_read_ns; /* workers waited for records: reading is the limit */
    uint64_t worker_wait_slot_ns; /* workers waited for a free slot: the consumer is the limit */
    uint64_t worker_busy_ns;      /* workers decoded and augmented */
    uint64_t reader_wait_ns;      /* the reading thread waited for the disk */
    uint64_t reader_blocked_ns;   /* the reading thread waited for free record buffers: decoding is the limit */
    uint64_t elapsed_ns;          /* since the first an_loader_next, or the last an_loader_stats_reset */
    int threads, slots;           /* workers; batches in memory */
} an_loader_stats;

typedef struct an_loader an_loader;

/* Check every option, make all memory, start the threads. AN_EINVAL names the option that is impossible. */
int an_loader_create(an_loader **out, const an_loader_options *options);
/* With AN_DECODE_DEVICE: bytes of a batch at most, to make place for it on a device. Exact where the dataset's manifest
 * says that all records are coef; else there is room for a finished sample for each record. Only the options that say
 * which records are in a batch are looked at, and sample.crop and sample.area_min. AN_EINVAL if that is 4 GiB or more,
 * the most that an offset in a block can express. */
int an_loader_block_size(const an_loader_options *options, size_t *out);

/* Stop the threads, whatever they are doing, and free everything, lent batches included. NULL is fine. */
void an_loader_free(an_loader *loader);

/* Stop the threads and close the files; nothing is delivered any more: calls that wait in an_loader_next, and all later
 * ones, return AN_STOPPED. Lent batches stay as they are until they are released or the loader is freed. Returns when
 * all of that is done; closing again does nothing. */
void an_loader_close(an_loader *loader);
/* Batches that are lent at this moment. */
int an_loader_lent(an_loader *loader);

/* With AN_LAST_CARRY the most: an epoch may have one less. */
uint64_t an_loader_steps_per_epoch(const an_loader *loader);

/* Lend the next batch; waits until it is ready. Whatever else is returned, out->lease is 0.
 * AN_END: the last epoch was delivered.
 * AN_STOPPED: an_loader_interrupt, an_loader_close.
 * AN_EINVAL: all slots are lent, and there are slots_max. The call does not wait for a release then, since the thread
 * that should release may be the one that asks. Nothing has failed: the call can be repeated after a release. It cannot
 * happen if there may be as many slots as batches that all threads together ever hold. AN_ENOMEM, or what memory_alloc
 * returns: there is no memory for another slot; here, too, nothing has failed. Other failures: a record that cannot be
 * read or decoded (the message names it; the batches before it are delivered first), or the file as a whole. */
int an_loader_next(an_loader *loader, an_batch *out);
/* The same, but waits so long at most: AN_AGAIN if the batch is not ready then. Nothing is lost, and the next call
 * gives it. UINT64_MAX: without limit. */
int an_loader_next_within(an_loader *loader, an_batch *out, uint64_t nanoseconds);
/* The same without waiting: AN_AGAIN if the next batch is not ready, or all slots are lent. It makes no slot. */
int an_loader_try_next(an_loader *loader, an_batch *out);

/* Give a batch back: its memory will be overwritten. AN_EINVAL if this loader has not lent it or has it back already;
 * nothing happens then. Cannot fail for a batch that is lent, so callers that know may ignore what it returns. */
int an_loader_release(an_loader *loader, const an_batch *batch);

/* Every call of an_loader_next that is waiting, and every later one and every an_loader_try_next, returns AN_STOPPED
 * until an_loader_resume. Nothing is lost: the loader works on until its slots are full, and the first call after
 * an_loader_resume gives the batch that was due. Lent batches stay lent. */
void an_loader_interrupt(an_loader *loader);
void an_loader_resume(an_loader *loader);

/* Whether an_loader_next has reported a failure that stays. */
bool an_loader_has_failed(an_loader *loader);
/* Whether an_loader_next failed for a record that cannot be read or decoded; *out: which. */
bool an_loader_failed_record(an_loader *loader, uint64_t *out);

void an_loader_stats_get(an_loader *loader, an_loader_stats *out);
void an_loader_stats_reset(an_loader *loader);
const char *an_loader_note(const an_loader *loader); /* the reader's note, or NULL; owned by the loader */
an_reader_engine an_loader_engine(const an_loader *loader);

/* Put "record 7 ('n01440764/x.jpg') of 'data/train': " before this thread's message and return code. */
int an_loader_name_error(const an_dataset *dataset, int code, uint64_t record);

/* Which stage is the limit, from the counters: returns its name ("consumer", "decode" or "read") and writes a sentence
 * that gives the reason. */
const char *an_loader_verdict(const an_loader_stats *stats, char *text, size_t size);

#endif
