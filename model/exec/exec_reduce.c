#include "model/exec/exec_reduce_private.h"

#include <stdlib.h>

#include "base/error.h"
#include "model/hash.h"

/* One node's gradients. */
typedef struct {
    an_gradient at[AN_OP_GRADIENTS];
    int count;
    uint64_t bytes, layout;
} share;

struct an_reduction {
    an_lanes_work work;
    an_reducer reducer;
    an_gradient gradients[AN_GRAPH_NODES_MAX * AN_OP_GRADIENTS]; /* bucket by bucket */
    an_gradient_bucket buckets[AN_GRAPH_NODES_MAX];
    int bucket_count, gradient_count;
    int bucket_of[AN_GRAPH_NODES_MAX]; /* of a node; -1: it has no weights that learn */
    int last[AN_GRAPH_NODES_MAX];      /* of a bucket: the node that backward reaches last */
    /* Each entry belongs to its device's thread, and between jobs to exec's. */
    bool queued[AN_GRAPH_NODES_MAX]; /* of a bucket, on processors: it has not been waited for */
    bool begun[AN_GRAPH_DEVICES];    /* a stream has buckets that the device does not wait for yet */
};

static int share_take(const an_reduction *r, int node, share *out)
{
    int rc = r->work.api->gradients(r->work.ops[node], out->at, &out->count, &out->layout);
    out->bytes = 0;
    for (int i = 0; i < out->count && !rc; i++)
        out->bytes += out->at[i].count * an_dtype_size(out->at[i].dtype);
    return rc;
}

/* Fills buckets in the order of backward, on each device by itself. They are numbered as they begin. */
static int buckets_fill(an_reduction *r)
{
    int current[AN_GRAPH_DEVICES];
    for (int d = 0; d < AN_GRAPH_DEVICES; d++)
        current[d] = -1;
    for (int i = r->work.graph->count - 1; i >= 0; i--) {
        share own;
        int device = r->work.graph->nodes[i].device, *b = &current[device];
        r->bucket_of[i] = -1;
        if (!r->work.flow[i].learns)
            continue;
        int rc = share_take(r, i, &own);
        if (rc)
            return rc;
        if (*b < 0 || r->buckets[*b].bytes + own.bytes > r->reducer.bucket_bytes)
            r->buckets[ *b = r->bucket_count++] = (an_gradient_bucket){.device = device};
        r->buckets[*b].bytes += own.bytes;
        r->bucket_of[i] = *b;
        r->last[*b] = i;
    }
    return AN_OK;
}

/* Numbers them as they end, which is another order where devices take turns. */
static void buckets_number(an_reduction *r)
{
    an_gradient_bucket begun[AN_GRAPH_NODES_MAX];
    int number[AN_GRAPH_NODES_MAX], ended[AN_GRAPH_NODES_MAX], count = 0;
    for (int i = r->work.graph->count - 1; i >= 0; i--) {
        int b = r->bucket_of[i];
        if (b < 0 || r->last[b] != i)
            continue;
        begun[count] = r->buckets[b];
        ended[count] = i;
        number[b] = count++;
    }
    for (int i = 0; i < r->work.graph->count; i++)
        r->bucket_of[i] = r->bucket_of[i] < 0 ? -1 : number[r->bucket_of[i]];
    for (int b = 0; b < count; b++) {
        r->buckets[b] = begun[b];
        r->last[b] = ended[b];
    }
}

static int node_list(an_reduction *r, int node, uint64_t *layout)
{
    share own;
    an_gradient_bucket *bucket = &r->buckets[r->bucket_of[node]];
    int rc = share_take(r, node, &own);
    if (rc)
        return rc;
    *layout = an_hash_mix(*layout, own.layout);
    for (int i = 0; i < own.count; i++) {
        *layout = an_hash_mix(an_hash_mix(*layout, own.at[i].count), (uint64_t)own.at[i].dtype);
        r->gradients[r->gradient_count++] = own.at[i];
        bucket->count++;
    }
    return AN_OK;
}

/* Lists the gradients of all buckets, one bucket after the other. */
static int gradients_list(an_reduction *r, uint64_t *layout)
{
    int rc = AN_OK;
    for (int b = 0; b < r->bucket_count && !rc; b++) {
        r->buckets[b].gradients = &r->gradients[r->gradient_count];
        *layout = an_hash_mix(*layout, (uint64_t)r->buckets[b].device);
        for (int i = r->work.graph->count - 1; i >= 0 && !rc; i--)
            if (r->bucket_of[i] == b)
                rc = node_list(r, i, layout);
    }
    return rc;
}

static int reduction_open(an_reduction *r)
{
    uint64_t layout = 1;
    int rc = buckets_fill(r);
    if (rc)
        return rc;
    buckets_number(r);
    rc = gradients_list(r, &layout);
    if (rc)
        return rc;
    return r->reducer.open(r->reducer.context, r->buckets, r->bucket_count, layout);
}

int an_reduction_create(an_reduction **out, const an_lanes_work *work, const an_reducer *reducer)
{
    *out = NULL;
    if (!reducer)
        return AN_OK;
    if (!work->api->processors && !work->api->reduce_begin)
        return an_error(AN_EUNSUPPORTED, "devices of kind '%s' cannot train together with those of other processes",
                        work->api->name);
    an_reduction *r = calloc(1, sizeof *r);
    if (!r)
        return an_error(AN_ENOMEM, "out of memory");
    r->work = *work;
    r->reducer = *reducer;
    int rc = reduction_open(r);
    if (rc) {
        free(r);
        return rc;
    }
    *out = r;
    return AN_OK;
}

void an_reduction_free(an_reduction *reduction)
{
    /* What fails now has failed before, or nobody needs it. */
    (void)an_reduction_wait_all(reduction);
    free(reduction);
}

int an_reduction_ready(an_reduction *reduction, int node)
{
    an_reduction *r = reduction;
    int b = r->bucket_of[node], device = r->work.graph->nodes[node].device;
    void *stream = NULL;
    if (b < 0 || r->last[b] != node)
        return AN_OK;
    int rc = r->work.api->processors ? AN_OK : r->work.api->reduce_begin(r->work.devices[device], &stream);
    if (rc)
        return rc;
    rc = r->reducer.queue(r->reducer.context, b, stream);
    if (rc)
        return rc;
    r->queued[b] = r->work.api->processors;
    r->begun[device] = !r->work.api->processors;
    return AN_OK;
}

int an_reduction_end(an_reduction *reduction, int device)
{
    an_reduction *r = reduction;
    int rc = AN_OK;
    for (int i = 0; i < r->work.device_count && !rc; i++) {
        if ((device != AN_LANES_ALL_DEVICES && device != i) || !r->begun[i])
            continue;
        r->begun[i] = false;
        rc = r->work.api->reduce_end(r->work.devices[i]);
    }
    return rc;
}

/* A bucket whose sum failed stays queued, so that whoever asks again is told again. */
static int bucket_wait(an_reduction *r, int bucket)
{
    if (!r->queued[bucket])
        return AN_OK;
    int rc = r->reducer.wait(r->reducer.context, bucket);
    r->queued[bucket] = rc;
    return rc;
}

int an_reduction_wait(an_reduction *reduction, int node)
{
    if (!reduction || reduction->bucket_of[node] < 0)
        return AN_OK;
    return bucket_wait(reduction, reduction->bucket_of[node]);
}

int an_reduction_wait_all(an_reduction *reduction)
{
    int rc = AN_OK;
    for (int b = 0; reduction && b < reduction->bucket_count; b++) {
        int this = bucket_wait(reduction, b);
        rc = rc ? rc : this;
    }
    return rc;
}
