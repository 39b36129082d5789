/* Measures reading alone: uses the reader as the loader's reading thread does, but drops what was read. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/program/stop.h"
#include "benchmarks/io/bench_io.h"

#define PAGE 4096u

void bench_drop_cache(const an_dataset *dataset)
{
    const char *kind;
    int fd = an_file_open_kind(an_dataset_file(dataset), O_RDONLY, &kind);
    if (fd < 0)
        return;
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

typedef struct {
    const bench_config *config;
    const an_dataset *dataset;
    an_reader *reader;
    an_read *reads;
    void *memory;
    size_t memory_size;
    an_order order;
    uint32_t length; /* instead of the records', or 0 */
    uint64_t position;
    uint64_t block, next; /* where blocks are read in the order of the file: the last one, its next record */
    uint64_t images, bytes;
    unsigned touched; /* so that touching mapped pages is not optimised away */
} reading;

static int reading_open(reading *r)
{
    an_reader_options options = {.engine = (an_reader_engine)r->config->engine, .depth = r->config->depth};
    int rc = an_reader_create(&r->reader, an_dataset_file(r->dataset), &options);
    if (rc)
        return rc;
    uint32_t longest = r->length ? r->length : an_dataset_record_max(r->dataset);
    size_t capacity = an_reader_capacity(r->reader, longest);
    capacity = (capacity + PAGE - 1) / PAGE * PAGE;
    r->memory_size = capacity * (size_t)options.depth;
    r->reads = calloc((size_t)options.depth, sizeof *r->reads);
    if (!r->reads)
        return an_error(AN_ENOMEM, "out of memory for %d reads", options.depth);
    rc = an_pages_alloc(&r->memory, r->memory_size);
    if (rc)
        return rc;
    for (int i = 0; i < options.depth; i++)
        r->reads[i].buffer = (uint8_t *)r->memory + (size_t)i * capacity;
    return an_reader_buffers(r->reader, r->memory, r->memory_size);
}

static void reading_close(reading *r)
{
    an_reader_free(r->reader);
    an_pages_free(r->memory, r->memory_size);
    free(r->reads);
}

/* As the loader reads: with order block and O_DIRECT, each block from its first record to its last. */
static uint64_t reading_record(reading *r, uint64_t place)
{
    uint64_t record = an_order_at(&r->order, place);
    if (r->order.kind != AN_ORDER_BLOCK || !an_reader_is_direct(r->reader))
        return record;
    if (place == 0 || record / r->order.block != r->block) {
        r->block = record / r->order.block;
        r->next = r->block * r->order.block;
    }
    return r->next++;
}

static int reading_submit(reading *r, an_read *read)
{
    uint64_t place = r->position++ % r->order.count;
    r->order.epoch = r->position / r->order.count;
    if (place == 0 && r->config->cold)
        bench_drop_cache(r->dataset);
    uint64_t record = reading_record(r, place);
    const an_index_entry *entry = &an_dataset_index(r->dataset)[record];
    uint64_t end = an_dataset_file_size(r->dataset), offset = entry->offset;
    if (r->length && offset + r->length > end)
        offset = end - r->length;
    *read = (an_read){.offset = offset,
                      .length = r->length ? r->length : entry->length,
                      .buffer = read->buffer,
                      .user = (void *)(uintptr_t)record};
    return an_reader_submit(r->reader, read);
}

static int reading_finish(reading *r, an_read *done)
{
    if (done->status)
        return an_loader_name_error(r->dataset, an_reader_read_error(r->reader, done), (uintptr_t)done->user);
    for (uint32_t i = 0; an_reader_is_mapped(r->reader) && i < done->length; i += PAGE)
        r->touched += done->data[i];
    r->images++;
    r->bytes += done->length;
    return AN_OK;
}

/* Wait for a read and submit another in its place. */
static int reading_turn(reading *r)
{
    an_read *done;
    int rc = an_reader_wait(r->reader, &done);
    if (rc)
        return rc;
    rc = reading_finish(r, done);
    if (rc)
        return rc;
    return reading_submit(r, done);
}

/* The clock is looked at after each read: from the page cache there is always one more. */
static int reading_pass(reading *r, double seconds)
{
    uint64_t start = an_clock_ns();
    while (!an_stop_requested() && an_clock_seconds_since(start) < seconds) {
        int rc = reading_turn(r);
        if (rc)
            return rc;
    }
    return AN_OK;
}

static int reading_measure(reading *r, bench_result *out)
{
    for (int i = 0; i < r->config->depth; i++) {
        int rc = reading_submit(r, &r->reads[i]);
        if (rc)
            return rc;
    }
    int rc = reading_pass(r, r->config->warm_up);
    if (rc)
        return rc;
    r->images = r->bytes = 0;
    uint64_t start = an_clock_ns(), cpu = an_clock_thread_ns();
    rc = reading_pass(r, bench_round_seconds(r->config));
    *out = (bench_result){.threads = 1,
                          .seconds = an_clock_seconds_since(start),
                          .images = r->images,
                          .bytes = r->bytes,
                          .cpu_seconds = (double)(an_clock_thread_ns() - cpu) * 1e-9};
    if (rc)
        return rc;
    return an_stop_requested() ? AN_STOPPED : AN_OK;
}

int bench_run_read(const bench_config *config, const an_dataset *dataset, uint32_t length, bench_result *out)
{
    reading r = {.config = config,
                 .dataset = dataset,
                 .length = length < an_dataset_file_size(dataset) ? length : 0,
                 .order = {.kind = (an_order_kind)config->order,
                           .count = an_dataset_count(dataset),
                           .block = config->block,
                           .seed = config->seed}};
    int rc = reading_open(&r);
    if (!rc)
        rc = reading_measure(&r, out);
    reading_close(&r);
    return rc;
}
