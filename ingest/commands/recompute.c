#include "ingest/commands/recompute.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/thread.h"
#include "ingest/commands/each.h"

typedef struct {
    const an_dataset *dataset;
    an_statistics_sums *sums; /* one for each thread, used by that thread only */
} recomputation;

static int visit(void *context, an_each_worker *worker, uint64_t index)
{
    recomputation *r = context;
    an_record record;
    int rc = an_each_decode(r->dataset, worker, index, &record);
    if (rc)
        return an_error_prefix(rc, "record %llu", (unsigned long long)index);
    return an_statistics_sums_add(&r->sums[worker->thread], &worker->image);
}

int an_recompute(const an_dataset *dataset, int threads, bool quiet, an_statistics *out)
{
    threads = threads ? threads : an_thread_cpu_count();
    recomputation r = {.dataset = dataset, .sums = calloc((size_t)threads, sizeof(*r.sums))};
    int rc = r.sums ? AN_OK : an_error(AN_ENOMEM, "out of memory for %d threads", threads);
    for (int i = 0; i < threads && !rc; i++)
        rc = an_statistics_sums_init(&r.sums[i], an_dataset_side(dataset));
    if (!rc)
        rc = an_each_record(dataset, threads, "stats", quiet, visit, &r);
    for (int i = 1; i < threads && !rc; i++)
        an_statistics_sums_merge(&r.sums[0], &r.sums[i]);
    if (!rc)
        rc = an_statistics_compute(&r.sums[0], out);
    for (int i = 0; i < threads && r.sums; i++)
        an_statistics_sums_free(&r.sums[i]);
    free(r.sums);
    return rc;
}
