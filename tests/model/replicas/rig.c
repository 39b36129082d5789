#include "tests/model/replicas/rig.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "model/graph/graph.h"
#include "tests/model/support.h"

#define ORDER_MAX 1024

typedef struct {
    an_replicas *all;
    an_reducer reducer;
    const an_gradient_bucket *buckets;
    int count;
    uint64_t layout;
    /* What was queued. A rank is at most one step ahead of the others, so every second step may use the same place. */
    char *values[AN_GRAPH_NODES_MAX][2];
    uint64_t queued[AN_GRAPH_NODES_MAX], waited[AN_GRAPH_NODES_MAX];
    int order[ORDER_MAX], told[ORDER_MAX];
    int order_count;
    double number[2]; /* an_replicas_sum */
    uint64_t numbers;
} replica;

struct an_replicas {
    int world;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    replica ranks[REPLICAS_MAX];
    char failure[256];
    int refused; /* bucket */
};

static int failed(const an_replicas *all)
{
    return *all->failure ? an_error(AN_ECORRUPT, "replicas: %s", all->failure) : AN_OK;
}

static void fail_locked(an_replicas *all, const char *reason)
{
    if (!*all->failure)
        strncpy(all->failure, reason, sizeof all->failure - 1);
    pthread_cond_broadcast(&all->changed);
}

static int open_bucket(void *context, const an_gradient_bucket *buckets, int count, uint64_t layout)
{
    replica *r = context;
    pthread_mutex_lock(&r->all->lock);
    r->buckets = buckets;
    r->count = count;
    r->layout = layout;
    for (int b = 0; b < count; b++)
        for (int i = 0; i < 2; i++)
            r->values[b][i] = calloc(1, buckets[b].bytes);
    int rc = failed(r->all);
    pthread_mutex_unlock(&r->all->lock);
    return rc;
}

static size_t size_of(const an_gradient *gradient)
{
    return gradient->count * an_dtype_size(gradient->dtype);
}

/* Takes the values away. */
static void bucket_take(replica *r, int bucket)
{
    char *place = r->values[bucket][r->queued[bucket] % 2];
    for (int i = 0; i < r->buckets[bucket].count; i++) {
        const an_gradient *g = &r->buckets[bucket].gradients[i];
        memcpy(place, g->values, size_of(g));
        memset(g->values, 0xff, size_of(g));
        place += size_of(g);
    }
}

static int queue(void *context, int bucket, void *stream)
{
    replica *r = context;
    an_replicas *all = r->all;
    pthread_mutex_lock(&all->lock);
    if (bucket < 0 || bucket >= r->count || stream || r->queued[bucket] != r->waited[bucket] ||
        r->order_count == ORDER_MAX)
        fail_locked(all, "a bucket is queued that there is not, or that is on its way");
    int rc = failed(all);
    if (!rc) {
        bucket_take(r, bucket);
        r->queued[bucket]++;
        r->order[r->order_count++] = bucket;
        pthread_cond_broadcast(&all->changed);
    }
    pthread_mutex_unlock(&all->lock);
    return rc;
}

static bool all_queued(const an_replicas *all, int bucket, uint64_t number)
{
    bool done = true;
    for (int i = 0; i < all->world; i++)
        done = done && all->ranks[i].queued[bucket] >= number;
    return done;
}

static bool is_untouched(const an_gradient *g)
{
    const unsigned char *bytes = g->values;
    return bytes[0] == 0xff && !memcmp(bytes, bytes + 1, size_of(g) - 1);
}

static void bucket_sum(replica *r, int bucket, int parity)
{
    size_t at = 0;
    for (int i = 0; i < r->buckets[bucket].count; i++) {
        const an_gradient *g = &r->buckets[bucket].gradients[i];
        float *out = g->values;
        if (!is_untouched(g))
            fail_locked(r->all, "gradients were written while they were being added up");
        memset(out, 0, size_of(g));
        for (int k = 0; k < r->all->world; k++) {
            const char *in = r->all->ranks[k].values[bucket][parity] + at;
            for (size_t j = 0; j < g->count; j++) {
                float value;
                memcpy(&value, in + j * sizeof value, sizeof value);
                out[j] = k ? out[j] + value : value;
            }
        }
        at += size_of(g);
    }
}

static int wait_bucket(void *context, int bucket)
{
    replica *r = context;
    an_replicas *all = r->all;
    pthread_mutex_lock(&all->lock);
    uint64_t number = r->queued[bucket];
    if (bucket == all->refused)
        fail_locked(all, "refused");
    if (number == r->waited[bucket])
        fail_locked(all, "a bucket is waited for that was not queued");
    while (!failed(all) && !all_queued(all, bucket, number))
        pthread_cond_wait(&all->changed, &all->lock);
    int rc = failed(all);
    if (!rc) {
        bucket_sum(r, bucket, (int)((number - 1) % 2));
        r->waited[bucket] = number;
        rc = failed(all);
    }
    pthread_mutex_unlock(&all->lock);
    return rc;
}

an_replicas *an_replicas_make(int world, uint64_t bucket_bytes)
{
    an_replicas *all = an_test_zeros(1, sizeof *all);
    all->world = world;
    all->refused = -1;
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->changed, NULL);
    for (int i = 0; i < world; i++) {
        replica *r = &all->ranks[i];
        r->all = all;
        r->reducer = (an_reducer){r, bucket_bytes, open_bucket, queue, wait_bucket, NULL};
    }
    return all;
}

void an_replicas_free(an_replicas *replicas)
{
    for (int i = 0; i < replicas->world; i++)
        for (int b = 0; b < 2 * AN_GRAPH_NODES_MAX; b++)
            free(replicas->ranks[i].values[b / 2][b % 2]);
    pthread_cond_destroy(&replicas->changed);
    pthread_mutex_destroy(&replicas->lock);
    free(replicas);
}

const an_reducer *an_replicas_reducer(an_replicas *replicas, int rank)
{
    return &replicas->ranks[rank].reducer;
}

double an_replicas_sum(an_replicas *replicas, int rank, double own)
{
    replica *r = &replicas->ranks[rank];
    double sum = 0;
    bool done = false;
    pthread_mutex_lock(&replicas->lock);
    r->numbers++;
    r->number[r->numbers % 2] = own;
    pthread_cond_broadcast(&replicas->changed);
    while (!done && !failed(replicas)) {
        done = true;
        for (int i = 0; i < replicas->world; i++)
            done = done && replicas->ranks[i].numbers >= r->numbers;
        if (!done)
            pthread_cond_wait(&replicas->changed, &replicas->lock);
    }
    for (int i = 0; i < replicas->world; i++)
        sum += replicas->ranks[i].number[r->numbers % 2];
    pthread_mutex_unlock(&replicas->lock);
    return done ? sum : NAN;
}

void an_replicas_fail(an_replicas *replicas, const char *reason)
{
    pthread_mutex_lock(&replicas->lock);
    fail_locked(replicas, reason);
    pthread_mutex_unlock(&replicas->lock);
}

void an_replicas_refuse(an_replicas *replicas, int bucket)
{
    pthread_mutex_lock(&replicas->lock);
    replicas->refused = bucket;
    pthread_mutex_unlock(&replicas->lock);
}

const char *an_replicas_failure(an_replicas *replicas)
{
    return *replicas->failure ? replicas->failure : NULL;
}

int an_replicas_buckets(an_replicas *replicas, int rank, const an_gradient_bucket **out)
{
    *out = replicas->ranks[rank].buckets;
    return replicas->ranks[rank].count;
}

uint64_t an_replicas_layout(an_replicas *replicas, int rank)
{
    return replicas->ranks[rank].layout;
}

int an_replicas_queued(an_replicas *replicas, int rank, const int **order)
{
    replica *r = &replicas->ranks[rank];
    int count = r->order_count;
    memcpy(r->told, r->order, sizeof r->told);
    *order = r->told;
    r->order_count = 0;
    return count;
}

int an_replicas_pending(an_replicas *replicas, int rank)
{
    const replica *r = &replicas->ranks[rank];
    int pending = 0;
    for (int b = 0; b < r->count; b++)
        pending += r->queued[b] != r->waited[b];
    return pending;
}

void an_wide_net(an_graph *graph, an_activation activation)
{
    an_node nodes[] = {
        {.name = "input", .kind = AN_OP_INPUT, .channels = 3, .height = WIDE_SIDE, .width = WIDE_SIDE},
        {.name = "conv1", .kind = AN_OP_CONV, .channels = 32, .kernel = 11, .stride = 4, .activation = activation},
        {.name = "pool1", .kind = AN_OP_POOL, .kernel = 3, .stride = 2},
        {.name = "conv2", .kind = AN_OP_CONV, .channels = 32, .kernel = 3, .stride = 1, .activation = activation},
        {.name = "fc3", .kind = AN_OP_DENSE, .channels = 300, .activation = activation},
        {.name = "fc4", .kind = AN_OP_DENSE, .channels = 1000, .activation = activation},
        {.name = "fc5", .kind = AN_OP_DENSE, .channels = SMALL_CLASSES},
        {.name = "loss", .kind = AN_OP_LOSS},
    };
    memset(graph, 0, sizeof *graph);
    for (int i = 0; i < (int)(sizeof nodes / sizeof *nodes); i++) {
        nodes[i].input_count = i > 0;
        nodes[i].inputs[0] = i - 1;
        assert_int_equal(an_graph_add(graph, &nodes[i]), i);
    }
}

void an_replicas_freeze(double scales[AN_GRAPH_NODES_MAX], const an_graph *graph, const char *frozen)
{
    for (int i = 0; i < graph->count; i++)
        scales[graph->nodes[i].layer] = strstr(frozen, graph->nodes[i].name) ? 0 : 1;
}
