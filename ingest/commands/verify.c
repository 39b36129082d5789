#include "ingest/commands/verify.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "ingest/commands/each.h"

typedef struct {
    const an_dataset *dataset;
    an_verify_faults *faults;
    pthread_mutex_t lock; /* protects faults */
} verification;

void an_verify_faults_free(an_verify_faults *faults)
{
    for (uint64_t i = 0; i < faults->count; i++)
        free(faults->entries[i].reason);
    free(faults->entries);
    memset(faults, 0, sizeof(*faults));
}

static int add_fault(an_verify_faults *faults, uint64_t index, const char *reason)
{
    if (faults->count == faults->capacity) {
        uint64_t capacity = faults->capacity ? 2 * faults->capacity : 16;
        an_verify_fault *entries = realloc(faults->entries, capacity * sizeof(*entries));
        if (!entries)
            return an_error(AN_ENOMEM, "out of memory for the list of faults");
        faults->entries = entries;
        faults->capacity = capacity;
    }
    char *copy = strdup(reason);
    if (!copy)
        return an_error(AN_ENOMEM, "out of memory for the list of faults");
    faults->entries[faults->count++] = (an_verify_fault){index, copy};
    return AN_OK;
}

/* Other checks need not be made here: when the dataset was opened, every record had a name and a class; and
 * an_each_decode calls an_dataset_record, which compares label and size with the index. */
static int visit(void *context, an_each_worker *worker, uint64_t index)
{
    verification *v = context;
    an_record record;
    int rc = an_each_decode(v->dataset, worker, index, &record);
    if (!rc || rc == AN_ENOMEM)
        return rc;
    char reason[AN_ERROR_MAX];
    snprintf(reason, sizeof(reason), "%s", an_error_message());
    pthread_mutex_lock(&v->lock);
    rc = add_fault(v->faults, index, reason);
    pthread_mutex_unlock(&v->lock);
    return rc;
}

static int by_index(const void *a, const void *b)
{
    uint64_t left = ((const an_verify_fault *)a)->index, right = ((const an_verify_fault *)b)->index;
    return left < right ? -1 : left > right;
}

int an_verify(const an_dataset *dataset, int threads, bool quiet, an_verify_faults *faults)
{
    verification v = {.dataset = dataset, .faults = faults, .lock = PTHREAD_MUTEX_INITIALIZER};
    memset(faults, 0, sizeof(*faults));
    int rc = an_each_record(dataset, threads, "verify", quiet, visit, &v);
    if (faults->count)
        qsort(faults->entries, faults->count, sizeof(*faults->entries), by_index);
    if (rc || faults->count)
        return rc;
    /* Every record is sound by itself. Is each one also the record that was written under its index? */
    rc = an_dataset_verify_headers(dataset);
    return rc ? rc : an_dataset_verify_databases(dataset);
}
