#include "train/setup/decode_choice.h"

#include "base/clock.h"
#include "base/error.h"
#include "train/setup/data.h"

#define SECONDS 0.5
#define PASSES_MIN 2  /* batches of either measurement, however long they take */
#define STEP_PASSES 3 /* a step is a forward pass and two backward ones of about its length */
#define DRAIN_SECONDS 0.1

an_decode_place an_decode_rule(const an_decode_rates *rates)
{
    return rates->host >= AN_DECODE_MARGIN * rates->network ? AN_DECODE_HOST : AN_DECODE_DEVICE;
}

static int take(an_loader *loader, uint64_t *images)
{
    an_batch batch;
    int rc = an_loader_next(loader, &batch);
    if (rc)
        return rc;
    *images += batch.count;
    return an_loader_release(loader, &batch);
}

/* The fastest evaluation of one batch. The first one warms up. */
static int time_batch(const an_batch *batch, an_exec *exec, double *rate)
{
    uint64_t begin = an_clock_ns();
    const an_images images = an_train_images(batch);
    double best = 0;
    for (int i = 0; i <= PASSES_MIN || an_clock_seconds_since(begin) < SECONDS; i++) {
        uint64_t start = an_clock_ns();
        int rc = an_exec_evaluate(exec, &images, NULL, batch->count, NULL, NULL);
        if (rc)
            return rc;
        double took = an_clock_seconds_since(start);
        if (i == 1 || (i > 1 && took < best))
            best = took;
    }
    *rate = best > 0 ? batch->count / (STEP_PASSES * best) : 0;
    return AN_OK;
}

static int measure_network(an_loader *loader, an_exec *exec, double *rate)
{
    an_batch batch;
    int rc = an_loader_next(loader, &batch);
    if (rc)
        return rc;
    rc = time_batch(&batch, exec, rate);
    int released = an_loader_release(loader, &batch);
    return rc ? rc : released;
}

/* What is taken first was made before, so it is not counted. The workers' own time is: waits for the disk are none of
 * decoding. */
static int measure_host(an_loader *loader, double *rate)
{
    an_loader_stats stats;
    uint64_t images = 0, start = an_clock_ns();
    int rc = AN_OK;
    for (int i = 0; !rc && (i < PASSES_MIN || an_clock_seconds_since(start) < DRAIN_SECONDS); i++)
        rc = take(loader, &images);
    an_loader_stats_reset(loader);
    images = 0;
    start = an_clock_ns();
    for (int i = 0; !rc && (i < PASSES_MIN || an_clock_seconds_since(start) < SECONDS); i++)
        rc = take(loader, &images);
    if (rc)
        return rc;
    an_loader_stats_get(loader, &stats);
    *rate = stats.worker_busy_ns ? (double)images * stats.threads * 1e9 / (double)stats.worker_busy_ns : 0;
    return AN_OK;
}

int an_decode_measure(an_loader *loader, an_exec *exec, an_decode_rates *out)
{
    *out = (an_decode_rates){0};
    int rc = measure_network(loader, exec, &out->network);
    return rc ? rc : measure_host(loader, &out->host);
}
