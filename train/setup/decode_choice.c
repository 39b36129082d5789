#include "train/setup/decode_choice.h"

#include "base/clock.h"
#include "base/error.h"
#include "train/setup/data.h"
#include "train/setup/step_time.h"

#define SECONDS 0.2
#define PASSES_MIN 2 /* batches, however long they take */
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

static int measure_network(an_loader *loader, an_exec *exec, double *rate)
{
    an_batch batch;
    double seconds = 0;
    int rc = an_loader_next(loader, &batch);
    if (rc)
        return rc;
    rc = an_step_time(exec, &(an_step_batch){an_train_images(&batch), batch.labels, batch.count}, &seconds);
    *rate = rc ? 0 : batch.count / seconds;
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
