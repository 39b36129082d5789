/* Decoding on a device: alone, and behind the loader that delivers undecoded records. */
#include "augment/feed.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/program/stop.h"
#include "benchmarks/io/bench_io.h"

/* Batches on the device: with their samples they are more than its caches hold. */
#define PLACES 8
/* Batches in memory: two are on their way to the device, and workers fill the others. */
#define SLOTS_MIN 4

static int open_feed(const bench_config *config, const an_loader_options *loader, an_batch_feed **out)
{
    an_batch_feed_options options = {.places = PLACES,
                                     .decoder = {.device = config->devices,
                                                 .batch = loader->batch,
                                                 .side = an_dataset_side(loader->dataset),
                                                 .crop = loader->sample.crop,
                                                 .format = loader->sample.format,
                                                 .scale = 1}};
    int rc = an_loader_block_size(loader, &options.block);
    if (!rc)
        rc = an_batch_feed_create(out, &options);
    if (rc == AN_EUNSUPPORTED) /* it is this machine that lacks something, not the data */
        rc = AN_EIO;
    return rc ? an_error_prefix(rc, "--devices %s", config->devices) : AN_OK;
}

static void use_memory_of(an_batch_feed *feed, an_loader_options *options)
{
    options->memory_alloc = an_batch_feed_alloc;
    options->memory_free = an_batch_feed_release;
    options->memory_context = feed;
    if (options->slots < SLOTS_MIN)
        options->slots = SLOTS_MIN;
}

int bench_check_device(const bench_config *config, const an_dataset *dataset)
{
    an_loader_options loader = bench_loader_options(config, dataset, 1);
    an_batch_feed *feed = NULL;
    int rc = open_feed(config, &loader, &feed);
    an_batch_feed_free(feed);
    return rc;
}

/* Waits for a place. The feed does not say which record was damaged. */
static int wait_for(an_batch_feed *feed, uint32_t place, const an_dataset *dataset)
{
    int rc = an_batch_feed_wait(feed, place, NULL);
    if (rc != AN_ECORRUPT && rc != AN_EUNSUPPORTED)
        return rc;
    return an_error_prefix(rc, "'%s' (an-ingest verify names the record)", an_dataset_path(dataset));
}

/* ---- decoding alone --------------------------------------------------------------------------------------------- */

/* A batch into each place. Returns how many images they are. */
static int fill(an_batch_feed *feed, an_loader *loader, const an_dataset *dataset, uint64_t *images)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        an_batch batch;
        int rc = an_loader_next(loader, &batch);
        if (rc)
            return rc;
        rc = an_batch_feed_put(feed, i, batch.data, batch.size, batch.count);
        if (!rc)
            rc = wait_for(feed, i, dataset);
        int released = an_loader_release(loader, &batch);
        if (rc || released)
            return rc ? rc : released;
        *images += batch.count;
    }
    return AN_OK;
}

/* Decode each place again and again; as many rounds of all places are counted as end within the time. */
static int repeat(an_batch_feed *feed, double seconds, uint64_t *rounds)
{
    uint64_t start = an_clock_ns();
    int rc = AN_OK;
    *rounds = 0;
    while (!rc && !an_stop_requested() && an_clock_seconds_since(start) < seconds) {
        for (uint32_t i = 0; !rc && i < PLACES; i++) {
            rc = an_batch_feed_wait(feed, i, NULL);
            if (!rc)
                rc = an_batch_feed_again(feed, i);
        }
        ++*rounds;
    }
    for (uint32_t i = 0; !rc && i < PLACES; i++)
        rc = an_batch_feed_wait(feed, i, NULL);
    return rc;
}

static int measure_decode(const bench_config *config, an_batch_feed *feed, an_loader *loader, const an_dataset *dataset,
                          bench_result *out)
{
    uint64_t images = 0, rounds;
    int rc = fill(feed, loader, dataset, &images);
    if (!rc)
        rc = repeat(feed, config->warm_up, &rounds);
    if (rc)
        return rc == AN_END ? an_error(AN_EINVAL, "--epochs %llu give fewer than the %d batches that are decoded",
                                       (unsigned long long)config->epochs, PLACES)
                            : rc;
    uint64_t start = an_clock_ns(), cpu = an_clock_thread_ns();
    rc = repeat(feed, bench_round_seconds(config), &rounds);
    *out = (bench_result){.threads = 1,
                          .seconds = an_clock_seconds_since(start),
                          .images = images * rounds,
                          .cpu_seconds = (double)(an_clock_thread_ns() - cpu) * 1e-9};
    if (rc)
        return rc;
    return an_stop_requested() ? AN_STOPPED : AN_OK;
}

static int run_decode(const bench_config *config, an_loader_options options, an_batch_feed *feed, bench_result *out)
{
    an_loader *loader;
    options.epochs = 0;
    options.last = AN_LAST_DROP;
    int rc = an_loader_create(&loader, &options);
    if (rc)
        return rc;
    rc = measure_decode(config, feed, loader, options.dataset, out);
    an_loader_free(loader);
    return rc;
}

/* ---- behind the loader ------------------------------------------------------------------------------------------ */

/* The batch that is being copied and decoded, and the place where. */
typedef struct {
    an_batch_feed *feed;
    const an_dataset *dataset;
    an_batch batch; /* lease 0: none */
    uint32_t place;
} sending;

static int finish_sending(sending *s, an_loader *loader)
{
    if (!s->batch.lease)
        return AN_OK;
    int rc = wait_for(s->feed, s->place, s->dataset);
    int released = an_loader_release(loader, &s->batch);
    s->batch.lease = 0;
    return rc ? rc : released;
}

/* Queue this batch, then wait for the one before it. */
static int send(void *context, an_loader *loader, const an_batch *batch)
{
    sending *s = context;
    uint32_t place = (s->place + 1) % PLACES;
    int rc = an_batch_feed_put(s->feed, place, batch->data, batch->size, batch->count);
    int finished = finish_sending(s, loader);
    s->batch = *batch;
    s->place = place;
    return rc ? rc : finished;
}

static int end(void *context, an_loader *loader)
{
    return finish_sending(context, loader);
}

static int run_behind_loader(const bench_config *config, const an_loader_options *options, an_batch_feed *feed,
                             bench_full *out)
{
    sending s = {.feed = feed, .dataset = options->dataset};
    const bench_consumer consumer = {.take = send, .end = end, .context = &s};
    return bench_run_loader(config, options, &consumer, out);
}

int bench_run_device(const bench_config *config, const an_dataset *dataset, int threads, bench_device *out)
{
    an_loader_options options = bench_loader_options(config, dataset, threads);
    an_batch_feed *feed = NULL;
    *out = (bench_device){0};
    options.decode = AN_DECODE_DEVICE;
    int rc = open_feed(config, &options, &feed);
    if (rc)
        return rc;
    use_memory_of(feed, &options);
    out->memory = an_batch_feed_memory(feed);
    rc = run_decode(config, options, feed, &out->decode);
    if (!rc)
        rc = run_behind_loader(config, &options, feed, &out->full);
    an_batch_feed_free(feed);
    return rc;
}
