/* Stages measured alone. Decode and sample run a crew of threads over records in memory; read runs the reader as the
 * loader's reading thread does, with nobody behind it. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/program/stop.h"
#include "base/rng.h"
#include "base/thread.h"
#include "benchmarks/io/bench_io.h"

#define PAGE 4096u

double bench_rate(const bench_result *result)
{
    return result->seconds > 0 ? (double)result->images / result->seconds : 0;
}

double bench_cost(const bench_result *result)
{
    return result->images ? result->threads * result->seconds / (double)result->images : 0;
}

double bench_round_seconds(const bench_config *config)
{
    return config->seconds / config->rounds;
}

void bench_drop_cache(const an_dataset *dataset)
{
    int fd = open(an_dataset_file(dataset), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

/* ---- crews ------------------------------------------------------------------------------------------------------ */

typedef struct crew crew;

/* What each member does with an image. */
typedef enum {
    CREW_DECODE, /* the window into one small buffer */
    CREW_SAMPLE, /* the whole sample into memory of a batch's size */
    CREW_MEMORY  /* a finished sample copied there */
} crew_task;

#define RING 128 /* samples: more than the caches hold, like a batch */

typedef struct {
    crew *of;
    pthread_t thread;
    int number;
    uint64_t images, bytes;
    double cpu_seconds;
    an_error_state error;
} member;

struct crew {
    const bench_config *config;
    const an_dataset *dataset;
    const bench_pack *pack; /* NULL: the dataset's records */
    const an_sampler *sampler;
    crew_task task;
    int threads;
    atomic_bool measuring, stop;
    member *members;
};

typedef struct {
    an_sample_scratch *scratch;
    an_decoder *decoder;
    uint8_t *ring, *window;
    size_t ring_size, sample;
} bench_tools;

static int one_image(crew *c, const bench_tools *tools, uint64_t index, uint64_t count, uint64_t *bytes)
{
    uint8_t *out = tools->ring + count % RING * tools->sample;
    an_record record;
    an_sample_draw draw;
    uint32_t crop = (uint32_t)c->config->crop;
    int rc = AN_OK;
    if (c->task == CREW_MEMORY) {
        memcpy(out, tools->window, tools->sample);
        *bytes += tools->sample;
        return AN_OK;
    }
    if (c->pack)
        record = c->pack->records[index];
    else
        rc = an_dataset_record(c->dataset, index, &record);
    if (rc == AN_OK && c->task == CREW_SAMPLE && !c->config->no_verify)
        rc = an_record_verify(&record);
    if (rc != AN_OK)
        return rc;
    *bytes += record.header.length + AN_RECORD_HEADER_SIZE;
    an_sampler_draw(c->sampler, c->config->seed, 0, index, &draw);
    if (c->task == CREW_SAMPLE)
        return an_sampler_make(c->sampler, tools->scratch, &record, &draw, out);
    return an_decoder_window(tools->decoder, &record, draw.x, draw.y, crop, crop, tools->window, (size_t)crop * 3);
}

static int work(member *m, const bench_tools *tools)
{
    crew *c = m->of;
    uint64_t count = c->pack ? c->pack->count : an_dataset_count(c->dataset);
    an_order order = {.kind = AN_ORDER_GLOBAL, .count = count, .seed = c->config->seed};
    uint64_t start = 0;
    int rc = AN_OK;
    for (uint64_t i = (uint64_t)m->number; rc == AN_OK && !atomic_load_explicit(&c->stop, memory_order_relaxed);
         i += (uint64_t)c->threads) {
        if (!start && atomic_load_explicit(&c->measuring, memory_order_relaxed)) {
            start = an_clock_thread_ns();
            m->images = m->bytes = 0;
        }
        uint64_t record = an_order_at(&order, i % order.count);
        rc = one_image(c, tools, record, i / (uint64_t)c->threads, &m->bytes);
        if (rc != AN_OK)
            an_loader_name_error(c->dataset, rc, record);
        m->images++;
    }
    m->cpu_seconds = start ? (double)(an_clock_thread_ns() - start) * 1e-9 : 0;
    return rc;
}

static int tools_make(bench_tools *tools, const crew *c)
{
    size_t window = (size_t)c->config->crop * (size_t)c->config->crop * 3;
    void *ring = NULL;
    tools->sample = an_sampler_bytes(c->sampler);
    tools->ring_size = tools->sample * RING;
    tools->window = calloc(1, tools->sample > window ? tools->sample : window);
    int rc = tools->window ? an_pages_alloc(&ring, tools->ring_size) : an_error(AN_ENOMEM, "out of memory");
    tools->ring = ring;
    if (rc == AN_OK)
        rc = an_sample_scratch_create(&tools->scratch, c->sampler);
    return rc == AN_OK ? an_decoder_create(&tools->decoder) : rc;
}

static void tools_free(bench_tools *tools)
{
    an_decoder_free(tools->decoder);
    an_sample_scratch_free(tools->scratch);
    an_pages_free(tools->ring, tools->ring ? tools->ring_size : 0);
    free(tools->window);
}

static void *member_run(void *argument)
{
    member *m = argument;
    bench_tools tools = {0};
    int rc = tools_make(&tools, m->of);
    if (rc == AN_OK)
        rc = work(m, &tools);
    if (rc != AN_OK)
        an_error_save(&m->error, rc);
    tools_free(&tools);
    return NULL;
}

static void pause_for(double seconds)
{
    uint64_t start = an_clock_ns();
    while (!an_stop_requested() && an_clock_seconds_since(start) < seconds)
        usleep(2000);
}

static int gather(crew *c, int started, bench_result *out)
{
    int rc = AN_OK;
    for (int i = 0; i < started; i++) {
        member *m = &c->members[i];
        pthread_join(m->thread, NULL);
        out->images += m->images;
        out->bytes += m->bytes;
        out->cpu_seconds += m->cpu_seconds;
        if (rc == AN_OK && m->error.code)
            rc = an_error_restore(&m->error);
    }
    return rc;
}

static int crew_run(crew *c, bench_result *out)
{
    int started = 0, rc = AN_OK;
    *out = (bench_result){.threads = c->threads};
    c->members = calloc((size_t)c->threads, sizeof *c->members);
    if (!c->members)
        return an_error(AN_ENOMEM, "out of memory for %d threads", c->threads);
    for (; rc == AN_OK && started < c->threads; started += rc == AN_OK) {
        c->members[started] = (member){.of = c, .number = started};
        rc = an_thread_start(&c->members[started].thread, "an-crew", member_run, &c->members[started]);
    }
    pause_for(c->config->warm_up);
    uint64_t start = an_clock_ns();
    atomic_store(&c->measuring, true);
    pause_for(bench_round_seconds(c->config));
    out->seconds = an_clock_seconds_since(start);
    atomic_store(&c->stop, true);
    int result = gather(c, started, out);
    free(c->members);
    if (rc == AN_OK)
        rc = result;
    return rc == AN_OK && an_stop_requested() ? AN_STOPPED : rc;
}

static int run_crew(crew *c, bench_result *out)
{
    an_loader_options options = bench_loader_options(c->config, c->dataset, c->threads);
    an_sampler *sampler;
    int rc =
        an_sampler_create(&sampler, &options.sample, an_dataset_side(c->dataset), an_dataset_statistics(c->dataset));
    if (rc != AN_OK)
        return rc;
    c->sampler = sampler;
    rc = crew_run(c, out);
    an_sampler_free(sampler);
    return rc;
}

int bench_run_decode(const bench_config *config, const an_dataset *dataset, int threads, bench_result *out)
{
    crew c = {.config = config, .dataset = dataset, .threads = threads};
    return run_crew(&c, out);
}

int bench_run_sample(const bench_config *config, const an_dataset *dataset, const bench_pack *pack, int threads,
                     bench_result *out)
{
    crew c = {.config = config, .dataset = dataset, .pack = pack, .task = CREW_SAMPLE, .threads = threads};
    return run_crew(&c, out);
}

int bench_run_memory(const bench_config *config, const an_dataset *dataset, int threads, bench_result *out)
{
    crew c = {.config = config, .dataset = dataset, .task = CREW_MEMORY, .threads = threads};
    return run_crew(&c, out);
}

/* ---- read ------------------------------------------------------------------------------------------------------- */

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
    if (rc != AN_OK)
        return rc;
    uint32_t longest = r->length ? r->length : an_dataset_record_max(r->dataset);
    size_t capacity = an_reader_capacity(r->reader, longest);
    capacity = (capacity + PAGE - 1) / PAGE * PAGE;
    r->memory_size = capacity * (size_t)options.depth;
    r->reads = calloc((size_t)options.depth, sizeof *r->reads);
    if (!r->reads)
        return an_error(AN_ENOMEM, "out of memory for %d reads", options.depth);
    rc = an_pages_alloc(&r->memory, r->memory_size);
    if (rc == AN_OK)
        rc = an_reader_buffers(r->reader, r->memory, r->memory_size);
    for (int i = 0; rc == AN_OK && i < options.depth; i++)
        r->reads[i].buffer = (uint8_t *)r->memory + (size_t)i * capacity;
    return rc;
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
    if (r->order.kind != AN_ORDER_BLOCK || an_reader_engine_used(r->reader) != AN_READER_URING_DIRECT)
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
    if (done->status != AN_OK)
        return an_loader_name_error(r->dataset, an_reader_read_error(r->reader, done), (uintptr_t)done->user);
    for (uint32_t i = 0; an_reader_engine_used(r->reader) == AN_READER_MMAP && i < done->length; i += PAGE)
        r->touched += done->data[i];
    r->images++;
    r->bytes += done->length;
    return AN_OK;
}

/* Each completed read is finished and its place filled again; the clock is looked at after each, since from the page
 * cache there is always one more. */
static int reading_pass(reading *r, double seconds)
{
    uint64_t start = an_clock_ns();
    int rc = AN_OK;
    while (rc == AN_OK && !an_stop_requested() && an_clock_seconds_since(start) < seconds) {
        an_read *done;
        rc = an_reader_wait(r->reader, &done);
        if (rc == AN_OK)
            rc = reading_finish(r, done);
        if (rc == AN_OK)
            rc = reading_submit(r, done);
    }
    return rc;
}

static int reading_measure(reading *r, bench_result *out)
{
    int rc = AN_OK;
    for (int i = 0; rc == AN_OK && i < r->config->depth; i++)
        rc = reading_submit(r, &r->reads[i]);
    if (rc == AN_OK)
        rc = reading_pass(r, r->config->warm_up);
    r->images = r->bytes = 0;
    uint64_t start = an_clock_ns(), cpu = an_clock_thread_ns();
    if (rc == AN_OK)
        rc = reading_pass(r, bench_round_seconds(r->config));
    *out = (bench_result){.threads = 1,
                          .seconds = an_clock_seconds_since(start),
                          .images = r->images,
                          .bytes = r->bytes,
                          .cpu_seconds = (double)(an_clock_thread_ns() - cpu) * 1e-9};
    return rc == AN_OK && an_stop_requested() ? AN_STOPPED : rc;
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
    if (rc == AN_OK)
        rc = reading_measure(&r, out);
    reading_close(&r);
    return rc;
}
