/* The loader as a trainer uses it, with a consumer that may take its time. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "augment/payload.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/program/stop.h"
#include "benchmarks/io/bench_io.h"

#define SAMPLES_MAX 4096
#define SAMPLE_EVERY 0.05 /* seconds */

an_loader_options bench_loader_options(const bench_config *config, const an_dataset *dataset, int threads)
{
    return (an_loader_options){
        .dataset = dataset,
        .sample = {.crop = (uint32_t)config->crop,
                   .random_crop = !config->centre,
                   .area_min = config->resized,
                   .flip = !config->no_flip,
                   .jitter = config->jitter,
                   .mean = (an_mean_kind)config->mean,
                   .scale = 1,
                   .format = {(an_dtype)config->dtype, (an_layout)config->layout, config->channels}},
        .engine = (an_reader_engine)config->engine,
        .depth = config->depth,
        .threads = threads,
        .slots = config->slots,
        .batch = (uint32_t)config->batch,
        .seed = config->seed,
        .order = (an_order_kind)config->order,
        .block = config->block,
        .world = 1,
        .last = AN_LAST_DROP,
        .verify = !config->no_verify,
        .epochs = config->epochs,
    };
}

/* Sleep rather than spin: the simulated device leaves the processors to the loader. */
static void compute(double milliseconds)
{
    long ns = (long)(milliseconds * 1e6);
    struct timespec pause = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    if (ns > 0)
        nanosleep(&pause, NULL);
}

static void take_sample(bench_full *out, an_loader *loader)
{
    bench_sample *s = &out->samples[out->sample_count];
    if (out->sample_count == SAMPLES_MAX)
        return;
    an_loader_stats_get(loader, &s->stats);
    s->at = (double)s->stats.elapsed_ns * 1e-9;
    out->sample_count++;
}

/* Processor time of the whole process: workers, reading thread, consumer. */
static double processor_seconds(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage))
        return 0;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

bool bench_decodes_here(const bench_config *config)
{
    return config->decode != AN_DECODE_DEVICE;
}

bool bench_decodes_there(const bench_config *config)
{
    return config->decode == AN_DECODE_DEVICE || (config->decode == BENCH_AUTO && config->devices);
}

/* Payloads lie in a block, whose beginning is the draws. */
static void count_bytes(const an_batch *batch, bench_full *out)
{
    const uint8_t *block = batch->data;
    const an_payload *places = (const void *)(block + an_payload_places_offset(batch->count));
    out->bus_bytes += batch->size;
    for (uint32_t i = 0; batch->data == (const void *)batch->draws && i < batch->count; i++)
        out->payload_bytes += places[i].size;
}

/* A run of the loader. */
typedef struct {
    const bench_config *config;
    const an_loader_options *options;
    const bench_consumer *consumer;
    an_loader *loader;
} loading;

static int take_batch(const loading *l, bench_full *out)
{
    an_batch batch;
    if (an_stop_requested())
        return AN_STOPPED;
    int rc = an_loader_next(l->loader, &batch);
    if (rc)
        return rc;
    count_bytes(&batch, out);
    compute(l->config->compute_ms);
    if (batch.last && l->config->cold)
        bench_drop_cache(l->options->dataset);
    return l->consumer->take(l->consumer->context, l->loader, &batch);
}

/* Take batches until enough of them or of seconds are done; the clock starts after the warm-up. */
static int consume(const loading *l, bench_full *out)
{
    const bench_config *config = l->config;
    uint64_t start = an_clock_ns(), done = 0, next_sample = 0;
    bool counting = config->warm_up <= 0;
    out->result.cpu_seconds = processor_seconds();
    for (;;) {
        int rc = take_batch(l, out);
        if (rc)
            return rc == AN_END ? AN_OK : rc;
        if (!counting && an_clock_seconds_since(start) >= config->warm_up) {
            counting = true;
            an_loader_stats_reset(l->loader);
            out->bus_bytes = out->payload_bytes = 0;
            out->result.cpu_seconds = processor_seconds();
            start = an_clock_ns();
        } else if (counting) {
            done++;
            if (an_clock_ns() >= next_sample) {
                take_sample(out, l->loader);
                next_sample = an_clock_ns() + (uint64_t)(SAMPLE_EVERY * 1e9);
            }
            if (config->batches ? done >= config->batches
                                : !config->epochs && an_clock_seconds_since(start) >= bench_round_seconds(config))
                return AN_OK;
        }
    }
}

/* The rest of the consumer's work is not counted. */
static int run(const loading *l, bench_full *out)
{
    const char *note = an_loader_note(l->loader);
    snprintf(out->note, sizeof out->note, "%s", note ? note : "");
    out->engine = an_loader_engine(l->loader);
    int rc = consume(l, out);
    an_loader_stats_get(l->loader, &out->stats);
    out->result = (bench_result){.threads = l->options->threads,
                                 .seconds = (double)out->stats.elapsed_ns * 1e-9,
                                 .images = out->stats.samples,
                                 .bytes = out->stats.bytes_read,
                                 .cpu_seconds = processor_seconds() - out->result.cpu_seconds};
    if (out->stats.elapsed_ns)
        out->starved = (double)out->stats.consumer_wait_ns / (double)out->stats.elapsed_ns;
    int ended = l->consumer->end(l->consumer->context, l->loader);
    return rc ? rc : ended;
}

int bench_run_loader(const bench_config *config, const an_loader_options *options, const bench_consumer *consumer,
                     bench_full *out)
{
    loading l = {.config = config, .options = options, .consumer = consumer};
    *out = (bench_full){.samples = calloc(SAMPLES_MAX, sizeof *out->samples)};
    if (!out->samples)
        return an_error(AN_ENOMEM, "out of memory for samples");
    int rc = an_loader_create(&l.loader, options);
    if (rc)
        return rc;
    rc = run(&l, out);
    an_loader_free(l.loader);
    return rc;
}

static int give_back(void *context, an_loader *loader, const an_batch *batch)
{
    (void)context;
    return an_loader_release(loader, batch);
}

static int nothing_left(void *context, an_loader *loader)
{
    (void)context, (void)loader;
    return AN_OK;
}

int bench_run_full(const bench_config *config, const an_dataset *dataset, an_decode_place decode, int threads,
                   bench_full *out)
{
    static const bench_consumer consumer = {.take = give_back, .end = nothing_left};
    an_loader_options options = bench_loader_options(config, dataset, threads);
    options.decode = decode;
    return bench_run_loader(config, &options, &consumer, out);
}
