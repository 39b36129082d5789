/* Replicas: several execs, each with a share of a batch and a thread, against one exec with the whole batch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/thread.h"
#include "model/init.h"
#include "tests/model/replicas/rig.h"
#include "tests/model/small_net.h"
#include "tests/model/support.h"
#include "tests/model/update_rig.h"

#define BATCH 16
#define STEPS 4
#define PARAMETERS 12 /* of the small network */

static const uint32_t labels[BATCH] = {4, 0, 2, 1, 3, 3, 0, 4, 1, 1, 2, 4, 0, 3, 2, 1};
static const double class_weights[SMALL_CLASSES] = {1, 0.25, 3, 0.5, 2};

typedef struct {
    const char *name, *devices;
    an_small_net_make *net; /* NULL: an_small_net */
    int world, parts;
    an_sgd sgd;
    uint64_t bucket_bytes;
    double smoothing;
    bool weighted, mixed, columns;
    const char *frozen;
} form;

#define USUAL .rate = 0.02, .momentum = 0.9, .decay = 0.01, .bias_rate_scale = 2, .bias_decay = 0.001
static const form forms[] = {
    {.name = "plain", .devices = "cpu", .world = 2, .sgd = {USUAL}},
    {.name = "in buckets", .devices = "cpu", .world = 4, .sgd = {USUAL}, .bucket_bytes = 20000},
    {.name = "two devices", .devices = "cpu,cpu", .world = 2, .sgd = {USUAL}, .bucket_bytes = 1 << 20},
    {.name = "halves", .devices = "cpu", .columns = true, .world = 2, .sgd = {USUAL}},
    {.name = "accumulated", .devices = "cpu", .world = 2, .parts = 2, .sgd = {USUAL, .nesterov = true}},
    {.name = "two devices, accumulated", .devices = "cpu,cpu", .world = 2, .parts = 4, .sgd = {USUAL}},
    {.name = "clipped", .devices = "cpu,cpu", .world = 2, .sgd = {USUAL, .clip = 0.5}, .bucket_bytes = 20000},
    {.name = "averages", .devices = "cpu", .world = 4, .sgd = {USUAL, .average = 0.7, .clip = 0.5}},
    {.name = "weights", .devices = "cpu", .world = 4, .sgd = {USUAL}, .weighted = true, .smoothing = 0.1},
    {.name = "mixed", .devices = "cpu", .world = 4, .sgd = {USUAL}, .weighted = true, .mixed = true, .smoothing = 0.1},
    {.name = "trust", .devices = "cpu,cpu", .world = 2, .sgd = {USUAL, .trust = 0.01}, .bucket_bytes = 20000},
    {.name = "wide", .devices = "cpu", .net = an_wide_net, .world = 2, .sgd = {USUAL}, .bucket_bytes = 200000},
    {.name = "frozen", .devices = "cpu", .world = 2, .sgd = {USUAL}, .frozen = "conv1 fc5", .bucket_bytes = 1 << 20},
};
#define FORMS (sizeof forms / sizeof *forms)

/* The whole batch's images and draws, which all replicas read. */
typedef struct {
    float *images[STEPS]; /* small ones lie in the place of large ones */
    an_image_draw draws[BATCH];
} batches;

/* One exec and its results. */
typedef struct {
    const form *f;
    const batches *data;
    an_replicas *all; /* NULL: it has the whole batch */
    int rank;
    an_exec *exec;
    double losses[STEPS], norm; /* of the last step's gradient */
    uint32_t top1[STEPS];
    float *gradients[PARAMETERS]; /* of the last step */
    uint64_t checksum;
    int rc;
    char message[256];
} member;

static int share_of(const member *m)
{
    return m->all ? BATCH / m->f->world : BATCH;
}

static an_exec_options options_of(const member *m)
{
    return (an_exec_options){.devices = m->f->devices,
                             .batch = share_of(m),
                             .threads = 1,
                             .training = true,
                             .seed = 3,
                             .columns = m->f->columns,
                             .averages = m->f->sgd.average > 0,
                             .label_smoothing = m->f->smoothing,
                             .class_weights = m->f->weighted ? class_weights : NULL,
                             .parts = m->f->parts,
                             .reducer = m->all ? an_replicas_reducer(m->all, m->rank) : NULL};
}

static an_images images_of(const member *m, int step)
{
    int first = m->rank * share_of(m), size = m->f->net ? WIDE_IMAGE : SMALL_IMAGE;
    return (an_images){.pixels = m->data->images[step] + first * size,
                       .draws = m->f->mixed ? m->data->draws + first : NULL};
}

static int member_make(member *m)
{
    an_graph graph;
    double scales[AN_GRAPH_NODES_MAX];
    an_exec_options options = options_of(m);
    an_small_net_make *make = m->f->net ? m->f->net : an_small_net;
    make(&graph, AN_ACTIVATION_RELU);
    an_replicas_freeze(scales, &graph, m->f->frozen ? m->f->frozen : "");
    options.rate_scales = scales;
    int rc = an_exec_create(&m->exec, &graph, &options);
    return rc ? rc : an_init_parameters(m->exec, AN_INIT_HE, 5);
}

static int member_step(member *m, int step)
{
    an_exec_result result;
    double weight;
    const uint32_t count = (uint32_t)share_of(m), *own = labels + m->rank * share_of(m);
    an_images images = images_of(m, step);
    int rc = an_exec_weight(m->exec, &images, own, count, &weight);
    if (rc)
        return rc;
    if (m->all)
        an_exec_share(m->exec, (uint32_t)m->rank * count, an_replicas_sum(m->all, m->rank, weight));
    rc = an_exec_step(m->exec, &images, own, count, (uint64_t)step, &result);
    m->losses[step] = result.loss;
    m->top1[step] = result.top1;
    return rc;
}

/* Asks for what waits for all buckets, so only once: other updates wait as they go. */
static int gradients_take(member *m)
{
    for (int p = 0; p < an_exec_parameter_count(m->exec); p++) {
        m->gradients[p] = calloc(an_exec_parameter(m->exec, p)->size, sizeof(float));
        int rc = an_exec_parameter_get(m->exec, p, AN_PARAMETER_GRADIENT, m->gradients[p]);
        if (rc)
            return rc;
    }
    return an_exec_gradient_norm(m->exec, &m->norm);
}

static int member_train(member *m)
{
    int rc = member_make(m);
    for (int step = 0; step < STEPS && !rc; step++) {
        rc = member_step(m, step);
        if (!rc && step == STEPS - 1)
            rc = gradients_take(m);
        if (!rc)
            rc = an_exec_update(m->exec, &m->f->sgd);
    }
    return rc ? rc : an_exec_checksum(m->exec, &m->checksum);
}

static void *member_main(void *argument)
{
    member *m = argument;
    m->rc = member_train(m);
    snprintf(m->message, sizeof m->message, "%s", m->rc ? an_error_message() : "");
    if (m->rc && m->all)
        an_replicas_fail(m->all, m->message);
    return NULL;
}

static void members_run(member *members, int count)
{
    pthread_t threads[REPLICAS_MAX];
    for (int i = 0; i < count; i++)
        assert_int_equal(an_thread_start(&threads[i], "replica", member_main, &members[i]), AN_OK);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < count; i++)
        if (members[i].rc)
            fail_msg("%s, rank %d: %s", members[i].f->name, i, members[i].message);
}

static void member_free(member *m)
{
    an_exec_free(m->exec);
    for (int p = 0; p < PARAMETERS; p++)
        free(m->gradients[p]);
}

static void data_make(batches *data)
{
    for (uint64_t i = 0; i < STEPS; i++)
        data->images[i] = an_test_random(BATCH * (size_t)WIDE_IMAGE, i);
    for (int i = 0; i < BATCH; i++)
        data->draws[i] = (an_image_draw){.factor = 1, .share = i % 4 < 2 ? 0.7F : 1};
}

static void data_free(batches *data)
{
    for (int i = 0; i < STEPS; i++)
        free(data->images[i]);
}

static void losses_check(const member *whole, const member *members)
{
    const form *f = whole->f;
    for (int step = 0; step < STEPS; step++) {
        double loss = 0;
        uint32_t top1 = 0;
        for (int i = 0; i < f->world; i++) {
            loss += members[i].losses[step];
            top1 += members[i].top1[step];
        }
        if (!(fabs(loss - whole->losses[step]) <= 1e-6 * whole->losses[step]))
            fail_msg("%s, step %d: loss %.9g, expected %.9g", f->name, step, loss, whole->losses[step]);
        assert_int_equal(top1, whole->top1[step]);
    }
}

static void parameters_check(const member *whole, const member *own)
{
    an_parameter_kind last = whole->f->sgd.average > 0 ? AN_PARAMETER_AVERAGE : AN_PARAMETER_MOMENTUM;
    for (int p = 0; p < an_exec_parameter_count(whole->exec); p++) {
        const an_parameter *info = an_exec_parameter(whole->exec, p);
        double *expected = an_test_doubles(whole->gradients[p], info->size);
        an_test_close(info->name, own->gradients[p], expected, info->size, 1e-5);
        free(expected);
        for (int kind = AN_PARAMETER_VALUE; kind <= (int)last; kind++) {
            float *a = an_update_parameter(whole->exec, p, (an_parameter_kind)kind);
            float *b = an_update_parameter(own->exec, p, (an_parameter_kind)kind);
            expected = an_test_doubles(a, info->size);
            an_test_close(info->name, b, expected, info->size, 1e-5);
            free(a);
            free(b);
            free(expected);
        }
    }
    assert_true(fabs(own->norm - whole->norm) <= 1e-5 * whole->norm);
}

static void check_form(const form *f, const batches *data)
{
    member whole = {.f = f, .data = data}, members[REPLICAS_MAX];
    an_replicas *all = an_replicas_make(f->world, f->bucket_bytes);
    members_run(&whole, 1);
    for (int i = 0; i < f->world; i++)
        members[i] = (member){.f = f, .data = data, .all = all, .rank = i};
    members_run(members, f->world);
    assert_null(an_replicas_failure(all));
    losses_check(&whole, members);
    for (int i = 0; i < f->world; i++) {
        parameters_check(&whole, &members[i]);
        assert_true(members[i].checksum == members[0].checksum);
        assert_true(an_replicas_layout(all, i) == an_replicas_layout(all, 0));
        assert_int_equal(an_replicas_pending(all, i), 0);
    }
    for (int i = 0; i < f->world; i++)
        member_free(&members[i]);
    member_free(&whole);
    an_replicas_free(all);
}

static void test_shares_are_the_whole(void **state)
{
    (void)state;
    batches data;
    data_make(&data);
    for (size_t i = 0; i < FORMS; i++)
        check_form(&forms[i], &data);
    data_free(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares_are_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
