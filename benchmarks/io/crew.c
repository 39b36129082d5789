/* Decoding, samples and memory measured alone: a crew of threads, each with its own buffers, over records in memory. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/program/stop.h"
#include "base/thread.h"
#include "benchmarks/io/bench_io.h"

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
    an_error_state failure;
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

static int record_of(const crew *c, uint64_t index, an_record *out)
{
    if (!c->pack)
        return an_dataset_record(c->dataset, index, out);
    *out = c->pack->records[index];
    return AN_OK;
}

static int sample_one(const crew *c, const bench_tools *tools, const an_record *record, const an_sample_draw *draw,
                      uint8_t *out)
{
    if (!c->config->no_verify) {
        int rc = an_record_verify(record);
        if (rc)
            return rc;
    }
    return an_sampler_make(c->sampler, tools->scratch, record, draw, out);
}

/* Number count of this thread, made of record index. */
static int one_image(const crew *c, const bench_tools *tools, uint64_t index, uint64_t count, uint64_t *bytes)
{
    uint8_t *out = tools->ring + count % RING * tools->sample;
    an_record record;
    an_sample_draw draw;
    uint32_t crop = (uint32_t)c->config->crop;
    if (c->task == CREW_MEMORY) {
        memcpy(out, tools->window, tools->sample);
        *bytes += tools->sample;
        return AN_OK;
    }
    int rc = record_of(c, index, &record);
    if (rc)
        return rc;
    *bytes += record.header.length + AN_RECORD_HEADER_SIZE;
    an_sampler_draw(c->sampler, c->config->seed, 0, index, &draw);
    if (c->task == CREW_SAMPLE)
        return sample_one(c, tools, &record, &draw, out);
    return an_decoder_window(tools->decoder, &record, draw.x, draw.y, crop, crop, tools->window, (size_t)crop * 3);
}

/* Image after image until the crew stops; counted from the end of the warm-up. */
static int work(member *m, const bench_tools *tools)
{
    const crew *c = m->of;
    uint64_t count = c->pack ? c->pack->count : an_dataset_count(c->dataset);
    an_order order = {.kind = AN_ORDER_GLOBAL, .count = count, .seed = c->config->seed};
    uint64_t start = 0, i = (uint64_t)m->number;
    while (!atomic_load_explicit(&c->stop, memory_order_relaxed)) {
        if (!start && atomic_load_explicit(&c->measuring, memory_order_relaxed)) {
            start = an_clock_thread_ns();
            m->images = m->bytes = 0;
        }
        uint64_t record = an_order_at(&order, i % order.count);
        int rc = one_image(c, tools, record, i / (uint64_t)c->threads, &m->bytes);
        if (rc)
            return an_loader_name_error(c->dataset, rc, record);
        m->images++;
        i += (uint64_t)c->threads;
    }
    m->cpu_seconds = start ? (double)(an_clock_thread_ns() - start) * 1e-9 : 0;
    return AN_OK;
}

static int tools_make(bench_tools *tools, const crew *c)
{
    size_t window = (size_t)c->config->crop * (size_t)c->config->crop * 3;
    void *ring = NULL;
    tools->sample = an_sampler_bytes(c->sampler);
    tools->ring_size = tools->sample * RING;
    tools->window = calloc(1, tools->sample > window ? tools->sample : window);
    if (!tools->window)
        return an_error(AN_ENOMEM, "out of memory for a sample");
    int rc = an_pages_alloc(&ring, tools->ring_size);
    if (rc)
        return rc;
    tools->ring = ring;
    rc = an_sample_scratch_create(&tools->scratch, c->sampler);
    if (rc)
        return rc;
    return an_decoder_create(&tools->decoder);
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
    if (!rc)
        rc = work(m, &tools);
    if (rc)
        an_error_save(&m->failure, rc);
    tools_free(&tools);
    return NULL;
}

static void pause_for(double seconds)
{
    uint64_t start = an_clock_ns();
    while (!an_stop_requested() && an_clock_seconds_since(start) < seconds)
        usleep(2000);
}

/* Wait for the threads and add up what they did. */
static int gather(crew *c, int started, bench_result *out)
{
    int rc = AN_OK;
    for (int i = 0; i < started; i++) {
        member *m = &c->members[i];
        pthread_join(m->thread, NULL);
        out->images += m->images;
        out->bytes += m->bytes;
        out->cpu_seconds += m->cpu_seconds;
        if (!rc && m->failure.code)
            rc = an_error_restore(&m->failure);
    }
    return rc;
}

static int start_members(crew *c, int *started)
{
    for (; *started < c->threads; ++*started) {
        member *m = &c->members[*started];
        *m = (member){.of = c, .number = *started};
        int rc = an_thread_start(&m->thread, "an-crew", member_run, m);
        if (rc)
            return rc;
    }
    return AN_OK;
}

static void measure(crew *c, bench_result *out)
{
    pause_for(c->config->warm_up);
    uint64_t start = an_clock_ns();
    atomic_store(&c->measuring, true);
    pause_for(bench_round_seconds(c->config));
    out->seconds = an_clock_seconds_since(start);
}

static int crew_run(crew *c, bench_result *out)
{
    int started = 0;
    *out = (bench_result){.threads = c->threads};
    c->members = calloc((size_t)c->threads, sizeof *c->members);
    if (!c->members)
        return an_error(AN_ENOMEM, "out of memory for %d threads", c->threads);
    int rc = start_members(c, &started);
    if (!rc)
        measure(c, out);
    atomic_store(&c->stop, true);
    int result = gather(c, started, out);
    free(c->members);
    if (rc)
        return rc;
    if (result)
        return result;
    return an_stop_requested() ? AN_STOPPED : AN_OK;
}

static int run_crew(crew *c, bench_result *out)
{
    an_loader_options options = bench_loader_options(c->config, c->dataset, c->threads);
    an_sampler *sampler;
    int rc =
        an_sampler_create(&sampler, &options.sample, an_dataset_side(c->dataset), an_dataset_statistics(c->dataset));
    if (rc)
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
