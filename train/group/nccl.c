/* DESIGN. A bucket's gradients are added up in place, in one group of calls, so that NCCL starts one kernel for all of
 * them. Within a capture the calls become nodes of the graph.
 *
 * A rank that is gone leaves the others' kernels waiting on their devices, and whoever waits for the device with them.
 * Aborting the communicators ends these kernels. That call itself waits for the device, so a thread of its own makes
 * it, and is left behind if it does not come back. `calling` keeps the abort from freeing what queue is about to use;
 * but a call that does not come back keeps it for PATIENCE only. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"
#include "base/thread.h"
#include "train/group/nccl_private.h"

#define PATIENCE 1 /* second */

typedef _Atomic(an_nccl_comm *) shared_comm;

struct an_nccl_sum {
    const an_nccl *nccl;
    an_nccl_members members;
    an_reducer reducer;
    const an_gradient_bucket *buckets;
    an_nccl_shape shape;
    bool compared;
    shared_comm comms[AN_NCCL_DEVICES]; /* NULL: not made yet */
    atomic_bool stopped;
    pthread_mutex_t calling;
    pthread_t aborter;
    bool aborting; /* it was started */
};

static struct timespec in_seconds(int seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    return until;
}

static int bucket_check(const an_nccl_sum *sum, const an_gradient_bucket *bucket)
{
    if (bucket->device < 0 || bucket->device >= sum->members.devices)
        return an_error(AN_EINTERNAL, "gradients on device %d of %d", bucket->device, sum->members.devices);
    for (int i = 0; i < bucket->count; i++)
        if (bucket->gradients[i].dtype != AN_DTYPE_F32)
            return an_error(AN_EINTERNAL, "gradients that are not fp32 cannot be added up in fp32");
    return AN_OK;
}

static int open_buckets(void *context, const an_gradient_bucket *buckets, int count, uint64_t layout)
{
    an_nccl_sum *sum = context;
    int rc = AN_OK;
    sum->buckets = buckets;
    sum->compared = false;
    sum->shape = (an_nccl_shape){.layout = layout, .buckets = (uint64_t)count};
    for (int i = 0; i < count && !rc; i++) {
        rc = bucket_check(sum, &buckets[i]);
        sum->shape.bytes += buckets[i].bytes;
    }
    return rc;
}

static int comm_make(an_nccl_sum *sum, int device)
{
    an_nccl_comm *comm = NULL;
    char subject[64];
    an_nccl_result result =
        sum->nccl->CommInitRank(&comm, sum->members.world, sum->members.ids[device], sum->members.rank);
    if (result) {
        snprintf(subject, sizeof subject, "cannot connect device %d of the ranks", device);
        return an_nccl_failed(sum->nccl, result, subject);
    }
    atomic_store(&sum->comms[device], comm);
    return AN_OK;
}

/* What the first call for a device has to do before it. */
static int prepare(an_nccl_sum *sum, int device)
{
    int rc = sum->compared ? AN_OK : sum->members.compare(sum->members.context, &sum->shape);
    if (rc)
        return rc;
    sum->compared = true;
    return atomic_load(&sum->comms[device]) ? AN_OK : comm_make(sum, device);
}

static int bucket_reduce(const an_nccl_sum *sum, const an_gradient_bucket *bucket, an_nccl_comm *comm, void *stream)
{
    const an_nccl *nccl = sum->nccl;
    an_nccl_result result = nccl->GroupStart();
    if (result)
        return an_nccl_failed(nccl, result, "cannot begin to add up gradients");
    for (int i = 0; i < bucket->count && !result; i++) {
        const an_gradient *g = &bucket->gradients[i];
        result = nccl->AllReduce(g->values, g->values, (size_t)g->count, AN_NCCL_FLOAT32, AN_NCCL_SUM, comm, stream);
    }
    an_nccl_result ended = nccl->GroupEnd();
    result = result ? result : ended;
    return result ? an_nccl_failed(nccl, result, "cannot add up gradients") : AN_OK;
}

static int check_going(const an_nccl_sum *sum)
{
    return atomic_load(&sum->stopped)
               ? an_error(AN_EINTERNAL, "gradients are no longer added up: another rank has failed")
               : AN_OK;
}

static int queue_locked(an_nccl_sum *sum, int number, void *stream)
{
    const an_gradient_bucket *bucket = &sum->buckets[number];
    int rc = check_going(sum); /* also before a communicator is made, which would wait for ranks that are gone */
    if (!rc)
        rc = prepare(sum, bucket->device);
    if (!rc)
        rc = check_going(sum);
    return rc ? rc : bucket_reduce(sum, bucket, atomic_load(&sum->comms[bucket->device]), stream);
}

static int queue(void *context, int bucket, void *stream)
{
    an_nccl_sum *sum = context;
    pthread_mutex_lock(&sum->calling);
    int rc = queue_locked(sum, bucket, stream);
    pthread_mutex_unlock(&sum->calling);
    return rc;
}

int an_nccl_sum_make(an_nccl_sum **out, const an_nccl *nccl, const an_nccl_members *members)
{
    an_nccl_sum *sum = calloc(1, sizeof *sum);
    if (!sum)
        return an_error(AN_ENOMEM, "out of memory");
    sum->nccl = nccl;
    sum->members = *members;
    sum->reducer =
        (an_reducer){.context = sum, .bucket_bytes = members->bucket_bytes, .open = open_buckets, .queue = queue};
    pthread_mutex_init(&sum->calling, NULL);
    *out = sum;
    return AN_OK;
}

const an_reducer *an_nccl_sum_reducer(const an_nccl_sum *sum)
{
    return &sum->reducer;
}

/* Failures are ignored: nothing is left that could make use of them. */
static void comms_destroy(an_nccl_sum *sum)
{
    for (int i = 0; i < AN_NCCL_DEVICES; i++)
        if (atomic_load(&sum->comms[i]))
            (void)sum->nccl->CommDestroy(atomic_load(&sum->comms[i]));
}

void an_nccl_sum_free(an_nccl_sum *sum)
{
    if (!sum)
        return;
    struct timespec until = in_seconds(2 * PATIENCE);
    if (sum->aborting && pthread_timedjoin_np(sum->aborter, NULL, &until)) {
        pthread_detach(sum->aborter); /* it is caught in NCCL and keeps using the memory */
        return;
    }
    if (!atomic_load(&sum->stopped)) /* to destroy what should have been aborted may wait for ever */
        comms_destroy(sum);
    pthread_mutex_destroy(&sum->calling);
    free(sum);
}

int an_nccl_sum_check(an_nccl_sum *sum)
{
    int rc = AN_OK;
    for (int i = 0; i < AN_NCCL_DEVICES && !rc && !atomic_load(&sum->stopped); i++) {
        an_nccl_comm *comm = atomic_load(&sum->comms[i]);
        an_nccl_result state = AN_NCCL_SUCCESS;
        an_nccl_result result = comm ? sum->nccl->CommGetAsyncError(comm, &state) : AN_NCCL_SUCCESS;
        result = result ? result : state;
        if (result && result != AN_NCCL_IN_PROGRESS)
            rc = an_nccl_failed(sum->nccl, result, "adding up gradients failed");
    }
    return rc;
}

static void *abort_main(void *context)
{
    an_nccl_sum *sum = context;
    struct timespec until = in_seconds(PATIENCE);
    bool locked = !pthread_mutex_timedlock(&sum->calling, &until);
    for (int i = 0; i < AN_NCCL_DEVICES; i++)
        if (atomic_load(&sum->comms[i]))
            (void)sum->nccl->CommAbort(atomic_load(&sum->comms[i])); /* there is no other way left */
    if (locked)
        pthread_mutex_unlock(&sum->calling);
    return NULL;
}

void an_nccl_sum_stop(an_nccl_sum *sum)
{
    if (atomic_exchange(&sum->stopped, true))
        return;
    sum->aborting = !an_thread_start(&sum->aborter, "nccl-abort", abort_main, sum);
}
