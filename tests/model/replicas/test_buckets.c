/* How exec uses a reducer: which gradients share a bucket, when buckets are queued and waited for, what happens when
 * the reducer fails. And what else replicas ask of an exec: steps without images, checksums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "model/cpu/onednn.h"
#include "model/exec/exec_reduce_private.h"
#include "model/init.h"
#include "tests/model/replicas/rig.h"
#include "tests/model/small_net.h"
#include "tests/model/support.h"
#include "tests/model/update_rig.h"

#define BATCH 8

static const uint32_t labels[BATCH] = {4, 0, 2, 1, 3, 3, 0, 4};
static const an_sgd sgd = {.rate = 0.02, .momentum = 0.9, .decay = 0.01, .bias_rate_scale = 2};
static const an_sgd clipped = {.rate = 0.02, .momentum = 0.9, .decay = 0.01, .bias_rate_scale = 2, .clip = 0.1};

static an_exec_options options_for(const char *devices, an_replicas *all)
{
    return (an_exec_options){.devices = devices,
                             .batch = BATCH,
                             .threads = 1,
                             .training = true,
                             .seed = 3,
                             .reducer = all ? an_replicas_reducer(all, 0) : NULL};
}

static an_exec *exec_make(an_small_net_make *net, const an_exec_options *options)
{
    an_exec *exec;
    an_graph graph;
    net(&graph, AN_ACTIVATION_RELU);
    an_test_ok(an_exec_create(&exec, &graph, options), options->devices);
    an_test_ok(an_init_parameters(exec, AN_INIT_HE, 5), "init");
    return exec;
}

static int step_try(an_exec *exec, uint64_t number, uint32_t count, an_exec_result *result)
{
    float *images = an_test_random(BATCH * (size_t)WIDE_IMAGE, number);
    int rc = an_exec_step(exec, &(an_images){.pixels = images}, labels, count, number, result);
    free(images);
    return rc;
}

static void step(an_exec *exec, uint64_t number)
{
    an_exec_result result;
    an_test_ok(step_try(exec, number, BATCH, &result), "step");
}

static void fails(int rc, const char *reason)
{
    assert_int_equal(rc, AN_ECORRUPT);
    if (!strstr(an_error_message(), reason))
        fail_msg("message '%s' does not say '%s'", an_error_message(), reason);
}

/* ---- what is in a bucket ---- */

/* The number of the parameter that a range belongs to, after parameters_name. */
static int parameter_of(const an_gradient *gradient)
{
    const float *values = gradient->values;
    for (uint64_t i = 0; i < gradient->count; i++)
        if (values[i] > 0)
            return (int)values[i] - 1;
    return -1;
}

/* Sets each gradient to the number of its parameter, from 1. */
static void parameters_name(an_exec *exec)
{
    for (int p = 0; p < an_exec_parameter_count(exec); p++) {
        uint64_t size = an_exec_parameter(exec, p)->size;
        float *values = an_test_zeros(size, sizeof *values);
        for (uint64_t i = 0; i < size; i++)
            values[i] = (float)(p + 1);
        an_test_ok(an_exec_parameter_set(exec, p, AN_PARAMETER_GRADIENT, values), "set");
        free(values);
    }
}

/* The layers of each bucket, in the order of their gradients: "0:fc6 1:fc5,conv4". Each must have all of its own. */
static void buckets_tell(an_exec *exec, an_replicas *all, char *out, size_t size)
{
    const an_gradient_bucket *buckets;
    int count = an_replicas_buckets(all, 0, &buckets);
    *out = 0;
    parameters_name(exec);
    for (int b = 0; b < count; b++) {
        char last[32] = "";
        uint64_t bytes = 0;
        for (int i = 0; i < buckets[b].count; i++) {
            const an_gradient *g = &buckets[b].gradients[i];
            const an_parameter *info = an_exec_parameter(exec, parameter_of(g));
            char name[32], *text = out + strlen(out);
            snprintf(name, sizeof name, "%.*s", (int)strcspn(info->name, "."), info->name);
            assert_int_equal(info->bias, i % 2);
            assert_int_equal(g->dtype, AN_DTYPE_F32);
            bytes += g->count * sizeof(float);
            if (!*last)
                snprintf(text, size - (size_t)(text - out), "%s%d:%s", b ? " " : "", buckets[b].device, name);
            else if (strcmp(last, name) != 0)
                snprintf(text, size - (size_t)(text - out), ",%s", name);
            memcpy(last, name, sizeof last);
        }
        assert_true(bytes == buckets[b].bytes);
    }
}

typedef struct {
    const char *devices;
    an_small_net_make *net;
    uint64_t bucket_bytes;
    const char *frozen;
    bool columns;
    const char *expected;
} division;

static void check_division(const division *d)
{
    char found[512];
    an_replicas *all = an_replicas_make(1, d->bucket_bytes);
    double scales[AN_GRAPH_NODES_MAX];
    an_graph graph;
    an_exec_options options = options_for(d->devices, all);
    d->net(&graph, AN_ACTIVATION_RELU);
    an_replicas_freeze(scales, &graph, d->frozen);
    options.rate_scales = scales;
    options.columns = d->columns;
    an_exec *exec = exec_make(d->net, &options);
    buckets_tell(exec, all, found, sizeof found);
    assert_string_equal(found, d->expected);
    an_exec_free(exec);
    an_replicas_free(all);
}

static void test_layers_share_buckets(void **state)
{
    static const division divisions[] = {
        {"cpu", an_wide_net, 0, "", false, "0:fc5 0:fc4 0:fc3 0:conv2 0:conv1"},
        {"cpu", an_wide_net, UINT64_MAX, "", false, "0:fc5,fc4,fc3,conv2,conv1"},
        {"cpu", an_wide_net, 200000, "", false, "0:fc5 0:fc4 0:fc3 0:conv2,conv1"},
        {"cpu", an_wide_net, 200000, "conv1 conv2", false, "0:fc5 0:fc4 0:fc3"},
        {"cpu", an_wide_net, UINT64_MAX, "conv2 fc5", false, "0:fc4,fc3,conv1"},
        {"cpu", an_small_net, 0, "", false, "0:fc6 0:fc5 0:conv4 0:conv3 0:conv2 0:conv1"},
        {"cpu", an_small_net, 0, "", true,
         "0:fc6 0:fc5 0:fc5 0:conv4 0:conv4 0:conv3 0:conv3 0:conv2 0:conv2 0:conv1 0:conv1"},
        {"cpu,cpu", an_small_net, 0, "", false,
         "0:fc6 1:fc5 0:fc5 1:conv4 0:conv4 1:conv3 0:conv3 1:conv2 0:conv2 1:conv1 0:conv1"},
        {"cpu,cpu", an_small_net, UINT64_MAX, "", false,
         "1:fc5,conv4,conv3,conv2,conv1 0:fc6,fc5,conv4,conv3,conv2,conv1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof divisions / sizeof *divisions; i++)
        check_division(&divisions[i]);
}

/* A bucket may be filled to the last byte. */
static void test_buckets_hold_what_they_may(void **state)
{
    (void)state;
    const an_gradient_bucket *buckets;
    an_replicas *all = an_replicas_make(1, 0);
    an_exec_options options = options_for("cpu", all);
    an_exec *exec = exec_make(an_wide_net, &options);
    int count = an_replicas_buckets(all, 0, &buckets);
    uint64_t both = buckets[count - 1].bytes + buckets[count - 2].bytes, layout = an_replicas_layout(all, 0);
    an_exec_free(exec);
    an_replicas_free(all);
    for (uint64_t less = 0; less < 2; less++) {
        all = an_replicas_make(1, both - less);
        options = options_for("cpu", all);
        exec = exec_make(an_wide_net, &options);
        assert_int_equal(an_replicas_buckets(all, 0, &buckets), count - 1 + (int)less);
        assert_true((an_replicas_layout(all, 0) == layout) == (less == 1));
        an_exec_free(exec);
        an_replicas_free(all);
    }
}

/* Orders in memory and shapes, all of which differ. */
static void test_orders_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        dnnl_dim_t dims[4];
        dnnl_format_tag_t tag;
    } orders[] = {{{32, 32, 3, 3}, dnnl_nchw},    {{32, 32, 3, 3}, dnnl_nhwc},       {{32, 32, 3, 3}, dnnl_nChw16c},
                  {{32, 32, 3, 3}, dnnl_nChw8c},  {{32, 32, 3, 3}, dnnl_OIhw16i16o}, {{32, 32, 3, 3}, dnnl_OIhw16o16i},
                  {{32, 16, 6, 3}, dnnl_nChw16c}, {{32, 16, 3, 6}, dnnl_nChw16c},    {{32, 18, 3, 3}, dnnl_nChw16c}};
    enum { ORDERS = sizeof orders / sizeof *orders };
    uint64_t hashes[2 * ORDERS];
    for (int i = 0; i < 2 * ORDERS; i++) {
        an_desc desc = an_desc_make(4, orders[i / 2].dims, i % 2 ? dnnl_bf16 : dnnl_f32, orders[i / 2].tag);
        an_desc same = an_desc_make(4, orders[i / 2].dims, i % 2 ? dnnl_bf16 : dnnl_f32, orders[i / 2].tag);
        hashes[i] = an_desc_hash(&desc);
        assert_true(an_desc_size(&desc) > 0);
        assert_true(hashes[i] == an_desc_hash(&same));
        for (int k = 0; k < i; k++)
            assert_true(hashes[i] != hashes[k]);
    }
}

/* ---- when they are queued and waited for ---- */

typedef struct {
    const char *devices;
    int parts;
    bool columns;
    an_precision precision;
} way;

static const way ways[] = {
    {.devices = "cpu"},
    {.devices = "cpu", .columns = true},
    {.devices = "cpu", .parts = 4},
    {.devices = "cpu", .precision = AN_PRECISION_BF16},
    {.devices = "cpu,cpu"},
    {.devices = "cpu,cpu", .parts = 2, .precision = AN_PRECISION_BF16},
};
#define WAYS (sizeof ways / sizeof *ways)

static an_exec *way_make(const way *w, an_replicas *all)
{
    an_exec_options options = options_for(w->devices, all);
    options.parts = w->parts;
    options.columns = w->columns;
    options.precision = w->precision;
    return exec_make(an_small_net, &options);
}

/* All buckets once, those of a device in order. */
static void check_order(an_replicas *all)
{
    const an_gradient_bucket *buckets;
    const int *order;
    int count = an_replicas_buckets(all, 0, &buckets), last[2] = {-1, -1};
    assert_int_equal(an_replicas_queued(all, 0, &order), count);
    for (int i = 0; i < count; i++) {
        int device = buckets[order[i]].device;
        assert_true(order[i] > last[device]);
        last[device] = order[i];
    }
}

/* A single replica, whose sums are what it had when it queued them: if that is the same as without a reducer, all of it
 * was there. */
static void check_alone(const way *w)
{
    an_replicas *all = an_replicas_make(1, 20000);
    an_exec *plain = way_make(w, NULL), *alone = way_make(w, all);
    for (uint64_t i = 0; i < 4; i++) {
        double norms[2];
        step(plain, i);
        step(alone, i);
        if (i == 1) {
            an_update_same(alone, AN_PARAMETER_GRADIENT, plain, AN_PARAMETER_GRADIENT);
            an_test_ok(an_exec_gradient_norm(plain, &norms[0]), "norm");
            an_test_ok(an_exec_gradient_norm(alone, &norms[1]), "norm");
            assert_true(norms[0] == norms[1]);
        }
        an_test_ok(an_exec_update(plain, i == 2 ? &clipped : &sgd), "update");
        an_test_ok(an_exec_update(alone, i == 2 ? &clipped : &sgd), "update");
        an_update_same(alone, AN_PARAMETER_VALUE, plain, AN_PARAMETER_VALUE);
        an_update_same(alone, AN_PARAMETER_MOMENTUM, plain, AN_PARAMETER_MOMENTUM);
        assert_int_equal(an_replicas_pending(all, 0), 0);
        check_order(all);
    }
    assert_null(an_replicas_failure(all));
    an_exec_free(plain);
    an_exec_free(alone);
    an_replicas_free(all);
}

static void test_one_replica_is_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++)
        check_alone(&ways[i]);
}

/* An update waits for a bucket when it comes to its layers, in the order in which backward queued them: those that were
 * before it have been updated. Norms need all of them first. */
static void check_laziness(const an_sgd *own, int refused, int changed)
{
    const an_gradient_bucket *buckets;
    an_replicas *all = an_replicas_make(1, 200000);
    an_exec_options options = options_for("cpu", all);
    an_exec *exec = exec_make(an_wide_net, &options);
    options.reducer = NULL;
    an_exec *before = exec_make(an_wide_net, &options);
    assert_int_equal(an_replicas_buckets(all, 0, &buckets), 4);
    step(exec, 0);
    an_replicas_refuse(all, refused);
    fails(an_exec_update(exec, own), "replicas: refused");
    for (int p = 0; p < 10; p++) { /* from conv1 to fc5 */
        uint64_t size = an_exec_parameter(exec, p)->size;
        float *a = an_update_parameter(exec, p, AN_PARAMETER_VALUE);
        float *b = an_update_parameter(before, p, AN_PARAMETER_VALUE);
        assert_true((memcmp(a, b, size * sizeof *a) != 0) == (p / 2 >= 5 - changed));
        free(a);
        free(b);
    }
    an_exec_free(exec);
    an_exec_free(before);
    an_replicas_free(all);
}

static void test_updates_go_as_sums_arrive(void **state)
{
    (void)state;
    const an_sgd trusting = {.rate = 0.02, .momentum = 0.9, .decay = 0.01, .bias_rate_scale = 2, .trust = 0.01};
    for (int refused = 0; refused < 4; refused++) {
        check_laziness(&sgd, refused, refused);
        check_laziness(&clipped, refused, 0);
        check_laziness(&trusting, refused, 0);
    }
}

/* Evaluations and refused steps queue nothing; a step, an update and the end of an exec wait for what a step queued. */
static void check_between(const way *w)
{
    const int *order;
    uint32_t wrong[BATCH] = {SMALL_CLASSES};
    float *images = an_test_random(BATCH * (size_t)SMALL_IMAGE, 1);
    an_replicas *all = an_replicas_make(1, 20000);
    an_exec *plain = way_make(w, NULL), *exec = way_make(w, all);
    an_exec_result result;
    an_test_ok(an_exec_evaluate(exec, &(an_images){.pixels = images}, labels, BATCH, NULL, &result), "evaluation");
    an_test_refused(an_exec_step(exec, &(an_images){.pixels = images}, wrong, BATCH, 0, &result), "label 5");
    assert_int_equal(an_replicas_queued(all, 0, &order), 0);
    step(exec, 0);
    assert_true(an_replicas_pending(all, 0) > 0);
    an_test_ok(an_exec_evaluate(exec, &(an_images){.pixels = images}, labels, BATCH, NULL, &result), "evaluation");
    step(exec, 1);
    step(plain, 1);
    an_test_ok(an_exec_update(exec, &sgd), "update");
    an_test_ok(an_exec_update(exec, &sgd), "again"); /* with the same gradients: there is nothing to wait for */
    an_test_ok(an_exec_update(plain, &sgd), "update");
    an_test_ok(an_exec_update(plain, &sgd), "again");
    an_update_same(exec, AN_PARAMETER_VALUE, plain, AN_PARAMETER_VALUE);
    step(exec, 2);
    an_exec_free(exec);
    assert_int_equal(an_replicas_pending(all, 0), 0);
    assert_null(an_replicas_failure(all));
    an_exec_free(plain);
    an_replicas_free(all);
    free(images);
}

static void test_nothing_is_left_behind(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++)
        check_between(&ways[i]);
}

static void test_networks_for_evaluation_have_no_buckets(void **state)
{
    (void)state;
    const an_gradient_bucket *buckets;
    an_replicas *all = an_replicas_make(1, 0);
    an_exec_options options = options_for("cpu", all);
    options.training = false;
    an_exec *exec = exec_make(an_small_net, &options);
    assert_int_equal(an_replicas_buckets(all, 0, &buckets), 0);
    an_exec_free(exec);
    an_replicas_free(all);
}

/* ---- devices that queue their work ---- */

/* Four layers with weights on two devices, A and B. Calls are written down: o for the bytes of a bucket and its device,
 * b and e for reduce_begin and reduce_end, q for a bucket and its stream, w for wait. */
static char calls[256];

typedef struct {
    char name; /* the first member, so that a device and its stream may be told by it */
} fake;

static void called(char what, int number, char device)
{
    size_t used = strlen(calls);
    snprintf(calls + used, sizeof calls - used, "%c%d%c ", what, number, device);
}

static int fake_gradients(an_op *op, an_gradient out[AN_OP_GRADIENTS], int *count, uint64_t *layout)
{
    out[0] = (an_gradient){op, 100, AN_DTYPE_BF16};
    *count = 1;
    *layout = 7;
    return AN_OK;
}

static int fake_begin(an_backend *backend, void **stream)
{
    called('b', 0, ((fake *)(void *)backend)->name);
    *stream = backend;
    return AN_OK;
}

static int fake_end(an_backend *backend)
{
    called('e', 0, ((fake *)(void *)backend)->name);
    return AN_OK;
}

static int fake_open(void *context, const an_gradient_bucket *buckets, int count, uint64_t layout)
{
    (void)layout;
    for (int b = 0; b < count; b++)
        called('o', (int)buckets[b].bytes, ((fake *)context)[buckets[b].device].name);
    return AN_OK;
}

static int fake_queue(void *context, int bucket, void *stream)
{
    (void)context;
    called('q', bucket, ((fake *)stream)->name);
    return AN_OK;
}

static int fake_wait(void *context, int bucket)
{
    (void)context;
    called('w', bucket, '-');
    return AN_OK;
}

/* A reducer that gives memory and adds nothing up. */
typedef struct {
    void *memory[64];
    size_t sizes[64];
    int count, inside, outside; /* inside: gradients that lie in its memory */
} giver;

static int give(void *context, size_t size, void **out)
{
    giver *g = context;
    int rc = an_pages_alloc(out, size);
    if (rc || g->count == 64)
        return AN_ENOMEM;
    g->memory[g->count] = *out;
    g->sizes[g->count++] = size;
    return AN_OK;
}

static int given_open(void *context, const an_gradient_bucket *buckets, int count, uint64_t layout)
{
    giver *g = context;
    (void)layout;
    for (int b = 0; b < count; b++) {
        for (int i = 0; i < buckets[b].count; i++) {
            bool found = false;
            for (int k = 0; k < g->count; k++)
                found = found || (buckets[b].gradients[i].values == g->memory[k] &&
                                  buckets[b].gradients[i].count * sizeof(float) <= g->sizes[k]);
            g->inside += found;
            g->outside += !found;
        }
    }
    return AN_OK;
}

static int given_queue(void *context, int bucket, void *stream)
{
    (void)context, (void)bucket, (void)stream;
    return AN_OK;
}

static int given_wait(void *context, int bucket)
{
    (void)context, (void)bucket;
    return AN_OK;
}

/* Gradients, also gathered ones, lie in the reducer's memory, which stays when the exec is gone. */
static void test_reducers_give_memory(void **state)
{
    (void)state;
    for (int parts = 1; parts <= 2; parts++) {
        giver g = {.count = 0};
        an_reducer reducer = {&g, 400, given_open, given_queue, given_wait, give};
        an_exec_options options = options_for("cpu", NULL);
        options.reducer = &reducer;
        options.parts = parts;
        an_exec *exec = exec_make(an_small_net, &options);
        step(exec, 1);
        an_test_ok(an_exec_update(exec, &sgd), "update");
        assert_true(g.inside > 0);
        assert_int_equal(g.outside, 0);
        an_exec_free(exec);
        float sum = 0;
        for (int k = 0; k < g.count; k++) {
            const float *values = g.memory[k];
            for (size_t i = 0; i < g.sizes[k] / sizeof(float); i++)
                sum += fabsf(values[i]);
            an_pages_free(g.memory[k], g.sizes[k]);
        }
        assert_true(sum > 0);
    }
}

static void test_devices_that_queue(void **state)
{
    (void)state;
    static fake devices[2] = {{'A'}, {'B'}}, ops[5];
    an_backend *backends[] = {(an_backend *)(void *)&devices[0], (an_backend *)(void *)&devices[1]};
    an_op *places[5];
    an_graph graph = {.count = 5, .nodes = {[2] = {.device = 1}, [3] = {.device = 1}}};
    an_flow flow[5] = {[1] = {.learns = true}, [2] = {.learns = true}, [3] = {.learns = true}, [4] = {.learns = true}};
    an_backend_api api = {
        .name = "fake", .gradients = fake_gradients, .reduce_begin = fake_begin, .reduce_end = fake_end};
    an_lanes_work work = {&graph, flow, &api, places, backends, 2, NULL};
    an_reducer reducer = {devices, 400, fake_open, fake_queue, fake_wait, NULL};
    an_reduction *r;
    for (int i = 0; i < 5; i++)
        places[i] = (an_op *)(void *)&ops[i];
    *calls = 0;
    an_test_ok(an_reduction_create(&r, &work, &reducer), "reduction");
    assert_string_equal(calls, "o400B o400A ");
    for (int turn = 0; turn < 2; turn++) {
        *calls = 0;
        for (int i = 4; i >= 0; i--)
            an_test_ok(an_reduction_ready(r, i), "ready");
        assert_string_equal(calls, "b0B q0B b0A q1A ");
        an_test_ok(an_reduction_end(r, turn ? AN_LANES_ALL_DEVICES : 1), "end");
        an_test_ok(an_reduction_end(r, AN_LANES_ALL_DEVICES), "end");
        an_test_ok(an_reduction_end(r, AN_LANES_ALL_DEVICES), "nothing is queued");
        assert_string_equal(calls, turn ? "b0B q0B b0A q1A e0A e0B " : "b0B q0B b0A q1A e0B e0A ");
        an_test_ok(an_reduction_wait(r, 4), "devices wait by themselves");
        an_test_ok(an_reduction_wait_all(r), "the same");
        assert_null(strchr(calls, 'w'));
    }
    an_reduction_free(r);
    api.reduce_begin = NULL;
    assert_int_equal(an_reduction_create(&r, &work, &reducer), AN_EUNSUPPORTED);
    assert_non_null(strstr(an_error_message(), "devices of kind 'fake' cannot train together"));
    assert_null(r);
}

/* ---- failures ---- */

static void check_failures(const way *w)
{
    double norm;
    float *values;
    an_exec_result result;
    an_replicas *all = an_replicas_make(1, 20000);
    an_exec *exec = way_make(w, all);
    step(exec, 0);
    an_replicas_fail(all, "lost");
    fails(an_exec_update(exec, &sgd), "replicas: lost");
    fails(an_exec_update(exec, &sgd), "replicas: lost");
    fails(an_exec_update(exec, &clipped), "replicas: lost");
    fails(an_exec_gradient_norm(exec, &norm), "replicas: lost");
    values = an_test_zeros(an_exec_parameter(exec, 0)->size, sizeof *values);
    fails(an_exec_parameter_get(exec, 0, AN_PARAMETER_GRADIENT, values), "conv1.weight: replicas: lost");
    an_test_ok(an_exec_parameter_get(exec, 0, AN_PARAMETER_VALUE, values), "values are there");
    fails(step_try(exec, 1, BATCH, &result), "replicas: lost");
    free(values);
    an_exec_free(exec);
    an_replicas_free(all);
}

/* The reducer fails while a step queues. */
static void check_failing_queue(const way *w)
{
    const int *order;
    an_exec_result result;
    an_replicas *all = an_replicas_make(1, 20000);
    an_exec *exec = way_make(w, all);
    step(exec, 0);
    an_test_ok(an_exec_update(exec, &sgd), "update");
    (void)an_replicas_queued(all, 0, &order);
    an_replicas_fail(all, "cut off");
    fails(step_try(exec, 1, BATCH, &result), "replicas: cut off");
    assert_int_equal(an_replicas_queued(all, 0, &order), 0);
    an_exec_free(exec);
    an_replicas_free(all);
}

static void test_failures_come_through(void **state)
{
    (void)state;
    an_exec *exec;
    an_graph graph;
    for (size_t i = 0; i < WAYS; i++) {
        check_failures(&ways[i]);
        check_failing_queue(&ways[i]);
    }
    an_replicas *all = an_replicas_make(1, 0);
    an_exec_options options = options_for("cpu", all);
    an_small_net(&graph, AN_ACTIVATION_RELU);
    an_replicas_fail(all, "not the same buckets");
    fails(an_exec_create(&exec, &graph, &options), "replicas: not the same buckets");
    an_replicas_free(all);
}

/* ---- a share without images ---- */

typedef struct {
    const char *name;
    double smoothing;
    bool weighted, bf16;
    const char *devices;
    int parts;
} loss_form;

static void check_nothing(const loss_form *f)
{
    static const float black[BATCH * SMALL_IMAGE];
    static const double weights[SMALL_CLASSES] = {0, 0.25, 3, 0.5, 2};
    static const an_image_draw draws[2] = {{.factor = 1, .share = 0.7F}, {.factor = 1, .share = 0.2F}};
    an_exec_options options = options_for(f->devices, NULL);
    an_exec_result result;
    options.label_smoothing = f->smoothing;
    options.class_weights = f->weighted ? weights : NULL;
    options.parts = f->parts;
    options.precision = f->bf16 ? AN_PRECISION_BF16 : AN_PRECISION_F32;
    an_exec *exec = exec_make(an_small_net, &options);
    step(exec, 0); /* there are gradients, and values of another batch in its further rows */
    an_exec_share(exec, BATCH, INFINITY);
    for (uint32_t label = 0; label < SMALL_CLASSES; label++)
        for (uint32_t count = 1; count <= 2; count++) {
            an_images images = {.pixels = black, .draws = draws};
            const uint32_t both[] = {label, 3};
            an_test_ok(an_exec_step(exec, &images, both, count, label, &result), f->name);
            assert_true(result.loss == 0);
            for (int p = 0; p < an_exec_parameter_count(exec); p++) {
                float *values = an_update_parameter(exec, p, AN_PARAMETER_GRADIENT);
                for (uint64_t i = 0; i < an_exec_parameter(exec, p)->size; i++)
                    if (values[i] != 0)
                        fail_msg("%s: %s has a gradient of %g", f->name, an_exec_parameter(exec, p)->name,
                                 (double)values[i]);
                free(values);
            }
        }
    an_exec_free(exec);
}

static void test_no_images_no_gradient(void **state)
{
    static const loss_form forms[] = {
        {"plain", 0, false, false, "cpu", 0},           {"smoothed", 0.1, false, false, "cpu", 0},
        {"weighted", 0, true, false, "cpu", 0},         {"both", 0.1, true, false, "cpu,cpu", 0},
        {"in parts", 0.1, true, false, "cpu", 2},       {"only smoothing", 1, true, false, "cpu", 0},
        {"two devices", 0, false, false, "cpu,cpu", 4}, {"bf16", 0.1, true, true, "cpu", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        check_nothing(&forms[i]);
}

/* ---- weights of shares, checksums ---- */

static void test_weights_of_labels(void **state)
{
    (void)state;
    static const double weights[SMALL_CLASSES] = {1, 0.25, 3, 0.5, 2};
    static const float black[BATCH * SMALL_IMAGE];
    an_image_draw draws[BATCH];
    double weight;
    an_exec_options options = options_for("cpu", NULL);
    an_exec *plain = exec_make(an_small_net, &options);
    options.class_weights = weights;
    an_exec *exec = exec_make(an_small_net, &options);
    for (int i = 0; i < BATCH; i++)
        draws[i] = (an_image_draw){.factor = 1, .share = i < 2 ? 0.75F : 1};
    an_images mixed = {.pixels = black, .draws = draws}, images = {.pixels = black};
    an_test_ok(an_exec_weight(plain, &mixed, labels, BATCH, &weight), "weight");
    assert_true(weight == BATCH);
    an_test_ok(an_exec_weight(exec, &images, labels, 3, &weight), "weight");
    assert_true(weight == 2 + 1 + 3);
    an_test_ok(an_exec_weight(exec, &mixed, labels, 1, &weight), "weight"); /* its partner is not in the batch */
    assert_true(weight == 2);
    draws[0].share = 0.25F;
    an_test_ok(an_exec_weight(exec, &mixed, labels, 3, &weight), "weight");
    assert_true(weight == (0.25 * 2 + 0.75 * 1) + (0.75 * 1 + 0.25 * 2) + 3);
    an_test_refused(an_exec_weight(exec, &images, labels, 0, &weight), "0 samples");
    an_test_refused(an_exec_weight(exec, &images, (const uint32_t[]){SMALL_CLASSES}, 1, &weight), "label 5");
    an_exec_free(plain);
    an_exec_free(exec);
}

static uint64_t checksum_of(an_exec *exec)
{
    uint64_t hash;
    an_test_ok(an_exec_checksum(exec, &hash), "checksum");
    return hash;
}

static void parameter_change(an_exec *exec, int number, uint64_t place, uint32_t flip)
{
    float *values = an_update_parameter(exec, number, AN_PARAMETER_VALUE);
    uint32_t bits;
    memcpy(&bits, &values[place], sizeof bits);
    bits ^= flip;
    memcpy(&values[place], &bits, sizeof bits);
    an_test_ok(an_exec_parameter_set(exec, number, AN_PARAMETER_VALUE, values), "set");
    free(values);
}

static int layout_open(void *context, const an_gradient_bucket *buckets, int count, uint64_t layout)
{
    (void)buckets;
    (void)count;
    *(uint64_t *)context = layout;
    return AN_OK;
}

static int nothing(void *context, int bucket)
{
    (void)context;
    (void)bucket;
    return AN_OK;
}

static int nothing_queued(void *context, int bucket, void *stream)
{
    (void)stream;
    return nothing(context, bucket);
}

static an_reducer layout_reducer(uint64_t *layout)
{
    return (an_reducer){.context = layout, .open = layout_open, .queue = nothing_queued, .wait = nothing};
}

/* fc4 of the wide network takes more than one of the pieces that are hashed one by one. */
static void check_checksum(an_small_net_make *net, const char *devices, int threads)
{
    uint64_t layouts[2];
    an_reducer reducers[] = {layout_reducer(&layouts[0]), layout_reducer(&layouts[1])};
    an_exec_options options = options_for(devices, NULL);
    options.reducer = &reducers[0];
    an_exec *exec = exec_make(net, &options);
    an_exec *twin = exec_make(net, &options);
    options.threads = threads;
    options.reducer = &reducers[1];
    an_exec *other = exec_make(net, &options);
    uint64_t hash = checksum_of(exec);
    assert_true(checksum_of(exec) == hash);
    assert_true(checksum_of(twin) == hash);
    if (layouts[0] == layouts[1]) /* oneDNN may choose other orders for other numbers of threads */
        assert_true(checksum_of(other) == hash);
    for (int p = 0; p < an_exec_parameter_count(exec); p++) {
        uint64_t size = an_exec_parameter(exec, p)->size;
        const uint64_t places[] = {0, size / 2, size - 1};
        for (int i = 0; i < 3; i++) {
            uint32_t flip = (uint32_t)1 << (i * 11);
            parameter_change(exec, p, places[i], flip);
            assert_true(checksum_of(exec) != hash);
            parameter_change(exec, p, places[i], flip);
            assert_true(checksum_of(exec) == hash);
        }
    }
    step(exec, 0);
    assert_true(checksum_of(exec) == hash);
    an_test_ok(an_exec_update(exec, &sgd), "update");
    assert_true(checksum_of(exec) != hash);
    an_exec_free(exec);
    an_exec_free(twin);
    an_exec_free(other);
}

static void test_checksums_see_each_bit(void **state)
{
    (void)state;
    check_checksum(an_small_net, "cpu", 2);
    check_checksum(an_small_net, "cpu,cpu", 4);
    check_checksum(an_wide_net, "cpu", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers_share_buckets),
        cmocka_unit_test(test_buckets_hold_what_they_may),
        cmocka_unit_test(test_orders_are_told_apart),
        cmocka_unit_test(test_one_replica_is_none),
        cmocka_unit_test(test_updates_go_as_sums_arrive),
        cmocka_unit_test(test_nothing_is_left_behind),
        cmocka_unit_test(test_networks_for_evaluation_have_no_buckets),
        cmocka_unit_test(test_reducers_give_memory),
        cmocka_unit_test(test_devices_that_queue),
        cmocka_unit_test(test_failures_come_through),
        cmocka_unit_test(test_no_images_no_gradient),
        cmocka_unit_test(test_weights_of_labels),
        cmocka_unit_test(test_checksums_see_each_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
