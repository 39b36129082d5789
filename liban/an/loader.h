/* The loader: batches of a dataset's images in a given order, decoded and augmented by threads of its own, ready to be
 * handed to a network.
 *
 *     liban_loader_options options = LIBAN_LOADER_OPTIONS_INIT;
 *     options.batch = 256;
 *     rc = liban_loader_create(&loader, dataset, &options);
 *     while ((rc = liban_loader_next(loader, &batch)) == LIBAN_OK) {    one epoch; LIBAN_END ends it
 *         ... batch->images, batch->labels ...
 *         liban_batch_release(batch);
 *     }
 *
 * Everything random is a function of (seed, epoch, record): batches hold the same bytes for any number of threads, and
 * the ranks of any world share one global order.
 *
 * Ownership. The caller owns the loader. A batch is lent until liban_batch_release; batches may be released in any
 * order, by any thread, also after liban_loader_free: the memory of a batch lives until it is released.
 *
 * Threads. Any thread may call any function at any time, but for liban_loader_free: by then every other call for the
 * loader must have returned. One thread's epoch is every thread's epoch.
 *
 * Failures. A record that cannot be read or decoded fails the batch that it belongs to: the batches before it are
 * delivered first, then every call fails with the same message, until the loader is sent elsewhere.
 * liban_loader_failed_record says which record it was. */
#ifndef LIBAN_LOADER_H
#define LIBAN_LOADER_H

#include <stdbool.h>

#include <an/dataset.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { LIBAN_U8, LIBAN_F32, LIBAN_BF16, LIBAN_F16 } liban_dtype;
typedef enum { LIBAN_NHWC, LIBAN_NCHW } liban_layout;

typedef enum {
    LIBAN_ORDER_GLOBAL,    /* a uniform permutation of everything */
    LIBAN_ORDER_BLOCK,     /* blocks of neighbours in random order, shuffled within: for disks */
    LIBAN_ORDER_SEQUENTIAL /* as stored */
} liban_order;

/* What becomes of an epoch's rest: fewer samples than a batch for every rank. Whichever it is, every rank has the same
 * number of batches. */
typedef enum {
    LIBAN_LAST_DROP,  /* it is left out */
    LIBAN_LAST_SHORT, /* it is dealt out to all ranks alike, in one smaller batch each. Where it cannot be divided, up
                         to world - 1 samples of the epoch's beginning are shown again */
    LIBAN_LAST_PAD    /* it is filled up to whole batches with the epoch's first samples */
} liban_last;

typedef enum {
    LIBAN_MEAN_NONE,
    LIBAN_MEAN_GIVEN,   /* options.mean_given */
    LIBAN_MEAN_DATASET, /* the dataset's, one for each channel */
    LIBAN_MEAN_PIXEL    /* the dataset's mean image, cropped and mirrored like the image */
} liban_mean;

typedef enum {
    LIBAN_DEVIATION_NONE,
    LIBAN_DEVIATION_GIVEN,  /* options.deviation_given */
    LIBAN_DEVIATION_DATASET /* the dataset's */
} liban_deviation;

/* From this epoch on, crops have this side. */
typedef struct {
    uint64_t epoch;
    uint32_t crop; /* pixels */
} liban_crop_change;

typedef struct {
    uint32_t version; /* LIBAN_LOADER_OPTIONS_VERSION */

    uint32_t batch;       /* samples of this rank's batches, 1 or more */
    uint32_t rank, world; /* this process of how many */
    uint64_t seed;
    uint64_t epoch;    /* where to begin */
    uint64_t position; /* samples of that epoch's global order that are done: see liban_loader_state */
    int order;         /* liban_order */
    uint64_t block;    /* records, 1 or more; for LIBAN_ORDER_BLOCK */
    int last;          /* liban_last */

    /* Which records make an epoch; copied. NULL: all, each once. */
    const uint64_t *indices; /* record numbers, repetitions allowed */
    uint64_t index_count;
    /* One for each record, or for each of indices: an epoch is then as many draws with replacement, with probabilities
     * in proportion. 0 or more, finite, not all 0. Needs LIBAN_ORDER_GLOBAL. Copied. */
    const double *weights;
    uint64_t weight_count;

    /* The image: decoded, cropped, mirrored, then value = (byte - mean + colour jitter) / deviation. */
    uint32_t crop;                         /* pixels of its side, at most the dataset's */
    const liban_crop_change *crop_changes; /* ascending; copied */
    size_t crop_change_count;
    bool centre;    /* the centre crop instead of one at a random place */
    double resized; /* above 0: random resized crops that cover at least this share of the image; 0: off */
    bool mirror;    /* left to right, with probability 1/2 */
    int mean;       /* liban_mean; mean and deviation need a float type */
    double mean_given[3];
    int deviation; /* liban_deviation */
    double deviation_given[3];
    double jitter;        /* deviation of PCA colour jitter; 0.1 in the AlexNet paper; 0: off */
    int dtype, layout;    /* liban_dtype, liban_layout */
    int channels;         /* 3: RGB; 1: grey */
    double mixup, cutmix; /* alpha; 0: off. Drawn, not applied: see liban_batch */

    /* How it works; none of these changes a byte. */
    int threads;        /* that decode; 0: as many as the process may use processors */
    int slots;          /* batches in memory at the start, 2 or more; 0: 4 */
    int slots_max;      /* if more are lent than slots, memory for more is made up to this number; 0: 64 */
    int depth;          /* reads in flight; 0: 32 */
    const char *engine; /* "auto", "uring", "uring-direct", "pread", "mmap"; NULL: auto */
    bool verify;        /* compare every payload with its checksum */

    /* Where batches lie. NULL: ordinary memory. "cuda:0": records of codec coef are decoded on that device and the
     * images are born there, records of other codecs and resized crops are decoded by the threads; needs the module
     * an_decode_cuda.so and the driver. slots and slots_max count batches on the device. Labels, indices, shares and
     * boxes lie on the host, and memory_alloc is not used. */
    const char *device;
    /* Memory for batches on the host, so that it can be pinned. Both or neither; aligned as malloc's is, or better.
     * memory_alloc may be called by whichever thread asks for a batch, memory_free by whichever releases the last one,
     * also after liban_loader_free. Neither may call for the loader. */
    int (*memory_alloc)(void *context, void **out, size_t size); /* 0, or a LIBAN_E code */
    void (*memory_free)(void *context, void *memory, size_t size);
    void *memory_context;
} liban_loader_options;

#define LIBAN_LOADER_OPTIONS_VERSION 1
#define LIBAN_LOADER_OPTIONS_INIT                                                                                      \
    {                                                                                                                  \
        .version = LIBAN_LOADER_OPTIONS_VERSION, .batch = 128, .world = 1, .seed = 1, .crop = 224, .mirror = true,     \
        .dtype = LIBAN_U8, .layout = LIBAN_NCHW, .channels = 3, .verify = true                                         \
    }

typedef struct liban_loader liban_loader;

/* A batch that is lent. Arrays have count elements. Read-only but for images. */
typedef struct {
    void *images;       /* count samples in the loader's dtype and layout, without padding; on a device: there */
    size_t images_size; /* bytes */
    uint32_t count;     /* samples */
    uint32_t repeated;  /* the last so many samples were shown before in this epoch (LIBAN_LAST_SHORT and PAD) */
    uint32_t crop;      /* pixels of a sample's side */
    uint32_t channels;
    int dtype, layout;
    int64_t *labels;   /* classes */
    uint64_t *indices; /* record numbers */
    /* With mixup or cutmix, else NULL. Sample i is mixed with its partner, sample i ^ 1, if the batch holds that:
     * mixup, where the box is empty: share * own + (1 - share) * partner; CutMix: the partner's pixels in the box,
     * x0, y0, x1, y1 (excluded) in pixels of the crop. In both cases share is the weight of the own label. */
    float *shares;
    uint16_t (*boxes)[4];
    uint64_t epoch, step; /* both from 0; step counts this epoch's batches as if it had begun at position 0 with this
                             batch size and world, rounded up */
    uint64_t position;    /* samples of the epoch's global order that are done with this step, all ranks together */
    bool last;            /* the epoch's last */
    int device;           /* -1: the host; else the number of the CUDA device */
} liban_batch;

/* options may be freed afterwards. LIBAN_EINVAL names the option. */
LIBAN_API int liban_loader_create(liban_loader **out, liban_dataset *dataset, const liban_loader_options *options);
/* Stop the threads and free everything but the batches that are lent. NULL is fine. */
LIBAN_API void liban_loader_free(liban_loader *loader);
/* The same, but the loader stays for questions (statistics, verdict, state): next returns LIBAN_INTERRUPTED. */
LIBAN_API void liban_loader_close(liban_loader *loader);

/* Lend the next batch; waits until it is ready. LIBAN_END: the epoch is over, and the next call begins the next one,
 * whose batches are made ready meanwhile. LIBAN_INTERRUPTED. LIBAN_EINVAL: slots_max batches are lent; the call can be
 * repeated after a release. */
LIBAN_API int liban_loader_next(liban_loader *loader, liban_batch **out);
/* The same, but LIBAN_AGAIN if the batch is not ready after this time. */
LIBAN_API int liban_loader_next_within(liban_loader *loader, liban_batch **out, uint64_t nanoseconds);
/* Give a batch back, once: it may be lent again under the same address. LIBAN_EINVAL if it is not lent, which can be
 * told as long as its memory is there: not after liban_loader_free, nor behind a change of crops or place. */
LIBAN_API int liban_batch_release(liban_batch *batch);

/* For batches on a device. stream is a cudaStream_t of that device, NULL its default stream. Work that is queued on the
 * stream after this call sees the finished images; and the batch's memory is used again, after its release, only when
 * the work is done that the stream has been given by then. Neither makes the host wait, but for a thread's own default
 * stream (cudaStreamPerThread) when another thread releases the batch: then the release waits for the device. Call it
 * for every stream that uses the images, 16 at most. Until the release the stream must exist, and it must not be
 * captured into a graph when this is called and when the batch is released. LIBAN_EINVAL: it is no stream of the
 * device, there are more than 16, or the batch lies on the host.
 *
 * A batch on a device is lent when it is known to be sound, so damage is told as for batches on the host: for the batch
 * that has it, with the record. */
LIBAN_API int liban_batch_use(liban_batch *batch, void *stream);

/* Every call of next that waits, and every later one, returns LIBAN_INTERRUPTED until liban_loader_resume. No batch is
 * lost. Not for signal handlers. */
LIBAN_API void liban_loader_interrupt(liban_loader *loader);
LIBAN_API void liban_loader_resume(liban_loader *loader);

/* For programs that bring the module of devices along: its file. Otherwise an_decode_cuda.so is looked for in the
 * folder an beside this library. What the environment variable AN_DECODE_MODULE names goes before both. To be called
 * before the first loader with a device is made; any thread. LIBAN_EINVAL: the path is too long. */
LIBAN_API int liban_device_module(const char *file);

LIBAN_API uint64_t
liban_loader_steps(const liban_loader *loader); /* batches of a whole epoch, the same for all ranks */

/* A place in the training's data. It does not depend on rank, world, batch size or number of threads, so a training may
 * go on with others: an epoch is then still every sample once. */
typedef struct {
    uint32_t version; /* LIBAN_LOADER_STATE_VERSION */
    int32_t order;
    uint64_t block, seed;
    uint64_t epoch, position; /* the next batch begins here; position counts samples of the epoch's global order */
    uint64_t records;         /* of an epoch */
    uint64_t fingerprint;     /* of the dataset */
    uint64_t sampling;        /* hash of indices and weights; 0: none */
} liban_loader_state;

#define LIBAN_LOADER_STATE_VERSION 1

/* Behind the last batch that was lent. */
LIBAN_API void liban_loader_state_get(liban_loader *loader, liban_loader_state *out);
/* Go there. LIBAN_EINVAL names the member that does not belong to this loader's data. */
LIBAN_API int liban_loader_state_set(liban_loader *loader, const liban_loader_state *state);
/* The beginning of this epoch is next. Costs nothing where that is so already, unless the loader has failed: then it
 * tries again, as liban_loader_state_set does. */
LIBAN_API int liban_loader_set_epoch(liban_loader *loader, uint64_t epoch);

/* Where time went, in nanoseconds summed over the threads named. */
typedef struct {
    uint64_t batches, samples, bytes_read;
    uint64_t consumer_wait_ns;    /* threads waited in next: whoever trains starved */
    uint64_t worker_wait_read_ns; /* workers waited for records */
    uint64_t worker_wait_slot_ns; /* workers waited for a released batch */
    uint64_t worker_busy_ns;      /* workers decoded and augmented */
    uint64_t reader_wait_ns;      /* the reading thread waited for the disk */
    uint64_t reader_blocked_ns;   /* the reading thread waited for workers */
    uint64_t elapsed_ns;          /* since the first next */
    int threads, slots;           /* workers; batches in memory */
} liban_loader_stats;

LIBAN_API void liban_loader_stats_get(liban_loader *loader, liban_loader_stats *out);
/* Which stage is the limit: "consumer", "decode" or "read". Writes a sentence with the reason to text. */
LIBAN_API const char *liban_loader_verdict(liban_loader *loader, char *text, size_t size);
/* What the reader has to say about its engine, or NULL. Belongs to the loader, until its next call. */
LIBAN_API const char *liban_loader_note(liban_loader *loader);
/* The record that next failed for. LIBAN_ENOTFOUND if it has not failed, or not for a record. */
LIBAN_API int liban_loader_failed_record(liban_loader *loader, uint64_t *out);

#ifdef __cplusplus
}
#endif

#endif
