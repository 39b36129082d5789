/* Makes everything that a loader needs before its first batch: checks the options, makes memory for records, starts the
 * threads. */
#include "augment/loader_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/thread.h"

#define THREADS_MAX 1024
#define DEPTH_MAX 4096
#define MAPPED_AHEAD_MAX 4096u
#define WINDOW_MAX 4096u
#define WINDOW_BYTES ((size_t)256 << 20)
#define ITEMS_PER_WORKER 16 /* records waiting beside those in flight */
#define PAYLOADS_AHEAD 4    /* batches */

static int check_range(const char *name, int64_t value, int64_t min, int64_t max)
{
    if (value >= min && value <= max)
        return AN_OK;
    return an_error(AN_EINVAL, "%s %lld is outside %lld..%lld", name, (long long)value, (long long)min, (long long)max);
}

static int check_numbers(const an_loader_options *o)
{
    int rc = check_range("threads", o->threads, 1, THREADS_MAX);
    if (rc)
        return rc;
    rc = check_range("slots", o->slots, 2, AN_LOADER_SLOTS_MAX);
    if (rc)
        return rc;
    rc = o->slots_max ? check_range("slots_max", o->slots_max, o->slots, AN_LOADER_SLOTS_MAX) : AN_OK;
    if (rc)
        return rc;
    rc = check_range("depth", o->depth, 1, DEPTH_MAX);
    if (rc)
        return rc;
    rc = check_range("batch", o->batch, 1, INT32_MAX);
    if (rc)
        return rc;
    rc = check_range("world", o->world, 1, INT32_MAX);
    if (rc)
        return rc;
    return check_range("rank", o->rank, 0, (int64_t)o->world - 1);
}

static int check_order(const an_loader_options *o)
{
    int rc = check_range("order", (int64_t)o->order, AN_ORDER_GLOBAL, AN_ORDER_SEQUENTIAL);
    if (!rc && o->weights && o->order != AN_ORDER_GLOBAL)
        return an_error(AN_EINVAL, "weights choose the records: they need order global");
    if (rc || o->order != AN_ORDER_BLOCK)
        return rc;
    int64_t block = o->block > INT64_MAX ? INT64_MAX : (int64_t)o->block;
    return check_range("order block", block, 1, INT64_MAX - 1);
}

/* What stands alone. The sampler checks its own options, and what depends on the dataset is checked where it is used.
 */
static int check_options(const an_loader_options *o)
{
    if (!o->dataset)
        return an_error(AN_EINVAL, "a loader needs a dataset");
    if (!o->memory_alloc != !o->memory_free)
        return an_error(AN_EINVAL, "memory_alloc and memory_free must be given together");
    int rc = check_numbers(o);
    if (rc)
        return rc;
    rc = check_range("decode", (int64_t)o->decode, AN_DECODE_HOST, AN_DECODE_DEVICE);
    if (rc)
        return rc;
    rc = check_range("last", (int64_t)o->last, AN_LAST_DROP, AN_LAST_PAD);
    if (rc)
        return rc;
    rc = check_range("engine", (int64_t)o->engine, 0, (int64_t)an_reader_engine_count() - 1);
    if (rc)
        return rc;
    return check_order(o);
}

static int take_subset(an_loader *l)
{
    const an_loader_options *o = &l->options;
    uint64_t records = an_dataset_count(o->dataset);
    l->count = o->subset ? o->subset_count : records;
    if (l->count == 0)
        return an_error(AN_EINVAL, "dataset '%s': no records to load", an_dataset_path(o->dataset));
    if (!o->subset)
        return AN_OK;
    size_t bytes;
    int rc = an_size_multiply(l->count, sizeof *l->subset, &bytes);
    if (rc)
        return rc;
    l->subset = malloc(bytes);
    if (!l->subset)
        return an_error(AN_ENOMEM, "out of memory for a subset of %llu records", (unsigned long long)l->count);
    memcpy(l->subset, o->subset, bytes);
    for (uint64_t i = 0; i < l->count; i++)
        if (l->subset[i] >= records)
            return an_error(AN_EINVAL, "dataset '%s' has %llu records, the subset names record %llu",
                            an_dataset_path(o->dataset), (unsigned long long)records, (unsigned long long)l->subset[i]);
    return AN_OK;
}

/* Records that are read in the order of the file: with order block and O_DIRECT a whole block, or as much of one as
 * WINDOW_BYTES holds. Reads through the page cache need no window: see loader_plan.c. */
static int window_size(const an_loader *l, size_t capacity)
{
    if (l->options.order != AN_ORDER_BLOCK || !an_reader_is_direct(l->reader))
        return 1;
    uint64_t window = l->options.block < WINDOW_MAX ? l->options.block : WINDOW_MAX;
    if (window > WINDOW_BYTES / capacity)
        window = WINDOW_BYTES / capacity;
    if (window > l->count)
        window = l->count;
    return window > 0 ? (int)window : 1;
}

/* Memory for the records, unless the reader maps the file and copies nothing. */
static int make_record_memory(an_loader *l, size_t capacity)
{
    int rc = an_size_multiply((size_t)l->item_count, capacity, &l->record_memory_size);
    if (rc)
        return rc;
    rc = an_pages_alloc(&l->record_memory, l->record_memory_size);
    if (rc)
        return rc;
    for (int i = 0; i < l->item_count; i++)
        l->items[i].buffer = (uint8_t *)l->record_memory + (size_t)i * capacity;
    return an_reader_buffers(l->reader, l->record_memory, l->record_memory_size);
}

/* More items where the reader maps the file: nothing is copied, so being a batch ahead costs no memory. Payloads go by
 * so fast that waking the reading thread for each batch would cost a tenth of their time. */
static int items_ahead(const an_loader *l)
{
    uint64_t wanted = (uint64_t)l->options.batch * (l->block_size ? PAYLOADS_AHEAD : 1);
    return (int)(wanted < MAPPED_AHEAD_MAX ? wanted : MAPPED_AHEAD_MAX);
}

static int make_items(an_loader *l)
{
    const an_loader_options *o = &l->options;
    bool mapped = an_reader_is_mapped(l->reader);
    size_t capacity =
        mapped ? 0 : an_loader_whole_pages(an_reader_capacity(l->reader, an_dataset_record_max(o->dataset)));
    l->window = window_size(l, capacity);
    l->item_count = o->depth + ITEMS_PER_WORKER * o->threads;
    if (mapped)
        l->item_count += items_ahead(l);
    l->room_mark = l->item_count / 4;
    l->item_count += l->window - 1; /* these may all be parked */
    l->items = calloc((size_t)l->item_count, sizeof *l->items);
    l->places = calloc((size_t)l->window, sizeof *l->places);
    if (!l->items || !l->places)
        return an_error(AN_ENOMEM, "out of memory for %d records", l->item_count);
    for (int i = 0; i < l->item_count; i++)
        an_loader_list_push(&l->free, &l->items[i]);
    return mapped ? AN_OK : make_record_memory(l, capacity);
}

static int start_worker(an_loader *l, int number)
{
    an_loader_worker *w = &l->workers[number];
    *w = (an_loader_worker){.loader = l, .number = number};
    int rc = an_sample_scratch_create(&w->scratch, l->sampler);
    if (!rc && l->block_size)
        rc = an_loader_payload_worker(l, w);
    if (!rc)
        rc = an_thread_start(&w->thread, "an-decode", an_loader_worker_run, w);
    if (rc) {
        an_sample_scratch_free(w->scratch);
        free(w->sample);
        return rc;
    }
    l->workers_started++;
    return AN_OK;
}

static int start_threads(an_loader *l)
{
    l->workers = calloc((size_t)l->options.threads, sizeof *l->workers);
    if (!l->workers)
        return an_error(AN_ENOMEM, "out of memory for %d threads", l->options.threads);
    for (int i = 0; i < l->options.threads; i++) {
        int rc = start_worker(l, i);
        if (rc)
            return rc;
    }
    int rc = an_thread_start(&l->reading_thread, "an-read", an_loader_reading_run, l);
    l->reading_started = !rc;
    return rc;
}

/* For reading ahead in order block. Without a page cache, or with a subset of the records, there is nothing to read
 * ahead. */
static int open_advice(an_loader *l)
{
    const char *path = an_dataset_file(l->options.dataset);
    if (l->options.order != AN_ORDER_BLOCK || l->subset || an_reader_is_direct(l->reader))
        return AN_OK;
    return an_file_open(&l->advice_fd, path);
}

static int open_reader(an_loader *l)
{
    const an_loader_options *o = &l->options;
    an_reader_options reader = {.engine = o->engine, .depth = o->depth};
    int rc = an_reader_create(&l->reader, an_dataset_file(o->dataset), &reader);
    if (rc)
        return rc;
    l->engine = an_reader_engine_used(l->reader);
    const char *note = an_reader_note(l->reader);
    l->note = note ? strdup(note) : NULL;
    if (note && !l->note)
        return an_error(AN_ENOMEM, "out of memory for a note of %zu bytes", strlen(note));
    return open_advice(l);
}

int an_loader_build(an_loader *l)
{
    const an_loader_options *o = &l->options;
    int rc = check_options(o);
    if (rc)
        return rc;
    l->index = an_dataset_index(o->dataset);
    rc = an_dataset_headers_create(&l->headers, o->dataset);
    if (rc)
        return rc;
    rc = take_subset(l);
    if (rc)
        return rc;
    rc = o->weights ? an_weighted_create(&l->weighted, o->weights, l->count) : AN_OK;
    if (rc)
        return rc;
    rc = an_loader_plan_epochs(l);
    if (rc)
        return rc;
    const an_statistics *statistics = o->statistics ? o->statistics : an_dataset_statistics(o->dataset);
    rc = an_sampler_create(&l->sampler, &o->sample, an_dataset_side(o->dataset), statistics);
    if (rc)
        return rc;
    rc = o->decode == AN_DECODE_DEVICE ? an_loader_payload_check(l) : AN_OK;
    if (rc)
        return rc;
    rc = open_reader(l);
    if (rc)
        return rc;
    rc = make_items(l);
    if (rc)
        return rc;
    rc = an_loader_slots_make(l);
    if (rc)
        return rc;
    return start_threads(l);
}
