/* Runs, and the handles of their batches. */
#include "liban/run_private.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "liban/common_private.h"
#include "liban/dataset_private.h"

/* What a caller holds is the handle's first member. Handles are used again and freed with their run only, so that a
 * second release is noticed. */
typedef struct handle {
    liban_batch shown;
    an_batch lent;
    an_lib_run *run;
    struct handle *next;
    bool out; /* it is lent */
} handle;

struct an_lib_run {
    an_lib_run_options options;
    liban_dataset *dataset;
    an_lib_source source;
    pthread_mutex_t lock;
    handle *idle; /* under the lock */
    int holders;  /* under the lock: the owner, and batches that are lent */
};

static int host_alloc(void *context, void **out, size_t size)
{
    *out = NULL;
    const an_lib_run_options *o = &((an_lib_run *)context)->options;
    int rc = o->memory_alloc(o->memory_context, out, size);
    if (rc < 0)
        return an_error(rc, "memory_alloc gave no memory: %zu bytes for batches", size);
    if (rc > 0) /* an errno, perhaps; as an outcome it would mean something else */
        return an_error(LIBAN_EINVAL, "memory_alloc returned %d: it must return 0 or a LIBAN_E code", rc);
    return *out ? LIBAN_OK : an_error(LIBAN_EINVAL, "memory_alloc returned 0, but gave NULL");
}

static void host_free(void *context, void *memory, size_t size)
{
    const an_lib_run_options *o = &((an_lib_run *)context)->options;
    o->memory_free(o->memory_context, memory, size);
}

static void handle_free(handle *h)
{
    free(h->shown.labels);
    free(h->shown.shares);
    free(h->shown.boxes);
    free(h);
}

static void run_free(an_lib_run *run)
{
    an_lib_source_free(&run->source);
    while (run->idle) {
        handle *h = run->idle;
        run->idle = h->next;
        handle_free(h);
    }
    an_lib_dataset_drop(run->dataset);
    pthread_mutex_destroy(&run->lock);
    free(run);
}

int an_lib_run_create(an_lib_run **out, liban_dataset *dataset, const an_lib_run_options *options)
{
    *out = NULL;
    an_lib_run *run = calloc(1, sizeof *run);
    if (!run)
        return an_error(LIBAN_ENOMEM, "out of memory for a loader");
    run->options = *options;
    run->dataset = dataset;
    run->holders = 1;
    an_lib_dataset_hold(dataset);
    pthread_mutex_init(&run->lock, NULL); /* cannot fail on Linux */
    an_loader_options loader = options->loader;
    if (options->memory_alloc) {
        loader.memory_alloc = host_alloc;
        loader.memory_free = host_free;
        loader.memory_context = run;
    }
    int rc = an_lib_source_create(&run->source, options->device, &loader);
    if (rc) {
        run_free(run);
        return rc;
    }
    *out = run;
    return LIBAN_OK;
}

static void drop(an_lib_run *run)
{
    pthread_mutex_lock(&run->lock);
    bool last = --run->holders == 0;
    pthread_mutex_unlock(&run->lock);
    if (last)
        run_free(run);
}

void an_lib_run_retire(an_lib_run *run, an_loader_stats *stats)
{
    an_loader_stats counted;
    an_lib_source_close(&run->source);
    an_lib_source_stats_get(&run->source, &counted);
    an_lib_stats_add(stats, &counted);
    drop(run);
}

an_lib_source *an_lib_run_source(an_lib_run *run)
{
    return &run->source;
}

uint32_t an_lib_run_crop(const an_lib_run *run)
{
    return run->options.loader.sample.crop;
}

void an_lib_stats_add(an_loader_stats *to, const an_loader_stats *more)
{
    to->batches += more->batches;
    to->samples += more->samples;
    to->bytes_read += more->bytes_read;
    to->consumer_wait_ns += more->consumer_wait_ns;
    to->worker_wait_read_ns += more->worker_wait_read_ns;
    to->worker_wait_slot_ns += more->worker_wait_slot_ns;
    to->worker_busy_ns += more->worker_busy_ns;
    to->reader_wait_ns += more->reader_wait_ns;
    to->reader_blocked_ns += more->reader_blocked_ns;
    to->elapsed_ns += more->elapsed_ns;
    to->threads = more->threads;
    to->slots = more->slots;
}

/* ---- handles ---------------------------------------------------------------------------------------------------- */

static bool is_mixing(const an_lib_run *run)
{
    const an_sample_options *sample = &run->options.loader.sample;
    return sample->mixup > 0 || sample->cutmix > 0;
}

static int handle_make(an_lib_run *run, handle **out)
{
    size_t batch = run->options.loader.batch;
    handle *h = calloc(1, sizeof *h);
    if (!h)
        return an_error(LIBAN_ENOMEM, "out of memory for a batch");
    h->run = run;
    h->shown.labels = calloc(batch, sizeof *h->shown.labels);
    if (is_mixing(run)) {
        h->shown.shares = calloc(batch, sizeof *h->shown.shares);
        h->shown.boxes = calloc(batch, sizeof *h->shown.boxes);
    }
    if (!h->shown.labels || (is_mixing(run) && (!h->shown.shares || !h->shown.boxes))) {
        handle_free(h);
        return an_error(LIBAN_ENOMEM, "out of memory for a batch of %zu", batch);
    }
    *out = h;
    return LIBAN_OK;
}

/* A handle that is not lent. */
static int handle_take(an_lib_run *run, handle **out)
{
    pthread_mutex_lock(&run->lock);
    handle *h = run->idle;
    if (h)
        run->idle = h->next;
    pthread_mutex_unlock(&run->lock);
    *out = h;
    return h ? LIBAN_OK : handle_make(run, out);
}

static void handle_put(an_lib_run *run, handle *h)
{
    pthread_mutex_lock(&run->lock);
    h->next = run->idle;
    run->idle = h;
    pthread_mutex_unlock(&run->lock);
}

/* A run that begins within an epoch counts steps from there. */
static uint64_t steps_before(const an_loader_options *o, uint64_t epoch)
{
    uint64_t step = (uint64_t)o->batch * o->world;
    return epoch == o->first_epoch ? o->first_position / step + (o->first_position % step ? 1 : 0) : 0;
}

/* Say in liban's terms what the loader has lent. */
static void handle_show(handle *h)
{
    const an_loader_options *o = &h->run->options.loader;
    const an_batch *lent = &h->lent;
    liban_batch *shown = &h->shown;
    shown->images = lent->data;
    shown->images_size = lent->size;
    shown->count = lent->count;
    shown->crop = o->sample.crop;
    shown->channels = (uint32_t)o->sample.format.channels;
    shown->dtype = (int)o->sample.format.dtype;
    shown->layout = (int)o->sample.format.layout;
    shown->indices = lent->indices;
    shown->repeated = lent->repeated;
    shown->position = lent->position;
    shown->epoch = lent->epoch;
    shown->step = lent->step + steps_before(o, lent->epoch);
    shown->last = lent->last;
    shown->device = an_lib_source_device(&h->run->source);
    for (uint32_t i = 0; i < lent->count; i++)
        shown->labels[i] = lent->labels[i];
    for (uint32_t i = 0; shown->shares && i < lent->count; i++) {
        shown->shares[i] = lent->draws[i].share;
        memcpy(shown->boxes[i], lent->draws[i].box, sizeof shown->boxes[i]);
    }
}

int an_lib_run_next(an_lib_run *run, uint64_t nanoseconds, liban_batch **out)
{
    handle *h;
    int rc = handle_take(run, &h); /* first: what is lent must not be lost */
    if (rc)
        return rc;
    rc = an_lib_source_next_within(&run->source, &h->lent, nanoseconds);
    if (rc) {
        handle_put(run, h);
        return rc;
    }
    handle_show(h);
    pthread_mutex_lock(&run->lock);
    h->out = true;
    run->holders++;
    pthread_mutex_unlock(&run->lock);
    *out = &h->shown;
    return LIBAN_OK;
}

int liban_batch_release(liban_batch *batch)
{
    if (!batch)
        return an_error(LIBAN_EINVAL, "no batch to release");
    handle *h = (handle *)batch;
    an_lib_run *run = h->run;
    int rc = an_lib_check_process(run->options.process, "batch");
    if (rc)
        return rc;
    pthread_mutex_lock(&run->lock);
    bool out = h->out;
    h->out = false;
    pthread_mutex_unlock(&run->lock);
    if (!out)
        return an_error(LIBAN_EINVAL, "cannot release a batch that is not lent");
    rc = an_lib_source_release(&run->source, &h->lent);
    handle_put(run, h);
    drop(run);
    return rc;
}

int liban_batch_use(liban_batch *batch, void *stream)
{
    if (!batch)
        return an_error(LIBAN_EINVAL, "no batch to use");
    handle *h = (handle *)batch;
    int rc = an_lib_check_process(h->run->options.process, "batch");
    return rc ? rc : an_lib_source_use(&h->run->source, &h->lent, stream);
}
