/* bench_replica: what adding up gradients costs a training step of replicas on processors. mpirun starts it, a process
 * for each replica. In turns, in the same processes: rank 0 steps alone with its share of the batch while the others
 * sleep; all step at the same time, each for itself; all step as replicas. So the three share the machine's mood. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/program/log.h"
#include "base/program/options.h"
#include "base/rng.h"
#include "model/exec.h"
#include "model/init.h"
#include "model/nets/alexnet.h"
#include "train/group/group.h"

#define ROUNDS_MAX 64
#define RANKS_MAX 1024

typedef struct {
    int batch, side, classes, rounds, steps, threads, precision, transport;
    double bucket;
    const char *devices;
} config;

static const char *const precisions[] = {"fp32", "bf16", NULL};

static const an_option options[] = {{.name = "batch",
                                     .type = AN_OPTION_INT,
                                     .metavar = "N",
                                     .min = 1,
                                     .max = 65536,
                                     .initial = "64",
                                     .offset = offsetof(config, batch),
                                     .help = "samples in a step of all ranks together"},
                                    {.name = "side",
                                     .type = AN_OPTION_INT,
                                     .metavar = "PIXELS",
                                     .min = 64,
                                     .max = 1024,
                                     .initial = "224",
                                     .offset = offsetof(config, side),
                                     .help = "of the crop"},
                                    {.name = "classes",
                                     .type = AN_OPTION_INT,
                                     .metavar = "N",
                                     .min = 1,
                                     .max = 100000,
                                     .initial = "1000",
                                     .offset = offsetof(config, classes),
                                     .help = "outputs"},
                                    {.name = "rounds",
                                     .type = AN_OPTION_INT,
                                     .metavar = "N",
                                     .min = 1,
                                     .max = ROUNDS_MAX,
                                     .initial = "7",
                                     .offset = offsetof(config, rounds),
                                     .help = "of which medians are printed"},
                                    {.name = "steps",
                                     .type = AN_OPTION_INT,
                                     .metavar = "N",
                                     .min = 1,
                                     .max = 1000,
                                     .initial = "2",
                                     .offset = offsetof(config, steps),
                                     .help = "with their updates, of each kind in a round"},
                                    {.name = "threads",
                                     .type = AN_OPTION_INT,
                                     .metavar = "N",
                                     .min = 0,
                                     .max = 1024,
                                     .initial = "1",
                                     .offset = offsetof(config, threads),
                                     .help = "a device; 0: all processors"},
                                    {.name = "devices",
                                     .type = AN_OPTION_STRING,
                                     .metavar = "LIST",
                                     .initial = "cpu",
                                     .offset = offsetof(config, devices),
                                     .help = "of each rank: cpu or cpu,cpu"},
                                    {.name = "precision",
                                     .type = AN_OPTION_CHOICE,
                                     .choices = precisions,
                                     .initial = "fp32",
                                     .offset = offsetof(config, precision),
                                     .help = "of the step"},
                                    {.name = "transport",
                                     .type = AN_OPTION_CHOICE,
                                     .choices = precisions,
                                     .initial = "fp32",
                                     .offset = offsetof(config, transport),
                                     .help = "of the gradients on their way"},
                                    {.name = "bucket",
                                     .type = AN_OPTION_DOUBLE,
                                     .metavar = "MB",
                                     .min = 0,
                                     .max = 1e6,
                                     .initial = "25",
                                     .offset = offsetof(config, bucket),
                                     .help = "layers that follow each other share a bucket of at most this"},
                                    {0}};

static const an_options spec = {.program = "bench_replica",
                                .usage = "",
                                .summary = "Times a training step of AlexNet on replicas beside one that is alone, "
                                           "under mpirun: mpirun -np 2 --bind-to core bench_replica",
                                .options = options};

typedef enum { ALONE, APART, TOGETHER, KINDS } kind;

typedef struct {
    const config *c;
    an_group *group;
    an_exec *own, *shared; /* without and with the reducer */
    void *images;
    size_t image_bytes;
    uint32_t *labels;
    int share; /* samples of this rank */
    uint64_t step;
    double seconds[KINDS][ROUNDS_MAX]; /* a step, of the slowest rank that took part */
    double cpu[KINDS][ROUNDS_MAX];     /* of rank 0's process */
    double update[KINDS][ROUNDS_MAX];  /* of these, rank 0's updates */
    double updating;                   /* since that was last taken */
    double waited[ROUNDS_MAX], sent;   /* of rank 0 */
} bench;

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static int exec_make(an_exec **out, const bench *b, const an_reducer *reducer)
{
    const config *c = b->c;
    an_alexnet_options alexnet = an_alexnet_defaults();
    an_graph graph;
    alexnet.input = c->side;
    alexnet.classes = c->classes;
    an_exec_options run = {.devices = c->devices,
                           .batch = b->share,
                           .threads = c->threads,
                           .training = true,
                           .precision = c->precision ? AN_PRECISION_BF16 : AN_PRECISION_F32,
                           .reducer = reducer};
    int rc = an_alexnet_build(&alexnet, &graph);
    if (rc)
        return rc;
    rc = an_exec_create(out, &graph, &run);
    if (rc)
        return rc;
    return an_init_parameters(*out, AN_INIT_HE, 1);
}

static int images_make(bench *b)
{
    const config *c = b->c;
    b->image_bytes = (size_t)b->share * 3 * (size_t)c->side * (size_t)c->side * (c->precision ? 2 : 4);
    b->labels = calloc((size_t)b->share, sizeof *b->labels);
    if (!b->labels)
        return an_error(AN_ENOMEM, "out of memory");
    int rc = an_pages_alloc(&b->images, b->image_bytes);
    if (rc)
        return rc;
    an_rng rng = an_rng_make(1, AN_RNG_TEST, (uint64_t)an_group_rank(b->group), 0);
    uint16_t *words = b->images; /* both halves of a float alike: small numbers in f32 and in bf16 */
    for (size_t i = 0; i < b->image_bytes / 2; i++)
        words[i] = (uint16_t)(0x3f00 + an_rng_below(&rng, 0x80));
    for (int i = 0; i < b->share; i++)
        b->labels[i] = an_rng_below(&rng, (uint32_t)c->classes);
    return AN_OK;
}

static int bench_make(bench *b)
{
    const config *c = b->c;
    const an_reducer *reducer;
    an_group_options group = {0};
    int rc = an_group_open(&b->group, &group);
    if (rc)
        return rc;
    int world = an_group_world(b->group);
    if (world == 1)
        return an_error(AN_EINVAL, "there is one process only: start it with mpirun -np 2");
    if (world > RANKS_MAX)
        return an_error(AN_EINVAL, "%d ranks are too many: up to %d", world, RANKS_MAX);
    if (c->batch % world)
        return an_error(AN_EINVAL, "--batch %d cannot be divided among %d ranks", c->batch, world);
    b->share = c->batch / world;
    an_group_reduce_options reduce = {.processors = true,
                                      .devices = c->devices,
                                      .bf16 = c->transport,
                                      .deterministic = true,
                                      .bucket_bytes = (uint64_t)(c->bucket * 1e6)};
    rc = an_group_reducer(b->group, &reduce, &reducer);
    if (rc)
        return rc;
    rc = exec_make(&b->own, b, NULL);
    if (rc)
        return rc;
    rc = exec_make(&b->shared, b, reducer);
    if (rc)
        return rc;
    an_exec_share(b->shared, (uint32_t)(an_group_rank(b->group) * b->share), c->batch);
    return images_make(b);
}

static int steps_run(bench *b, an_exec *exec)
{
    an_images images = {.pixels = b->images};
    an_sgd sgd = {.rate = 1e-6, .momentum = 0.9, .decay = 0.0005, .bias_rate_scale = 1, .bias_decay = 0.0005};
    for (int i = 0; i < b->c->steps; i++) {
        an_exec_result result;
        int rc = an_exec_step(exec, &images, b->labels, (uint32_t)b->share, b->step++, &result);
        if (rc)
            return rc;
        uint64_t start = an_clock_ns();
        rc = an_exec_update(exec, &sgd);
        if (rc)
            return rc;
        b->updating += an_clock_seconds_since(start);
    }
    return AN_OK;
}

/* All ranks call it; those that do not take part wait asleep. */
static int kind_run(bench *b, kind what, int round)
{
    int world = an_group_world(b->group);
    double own = 0, all[RANKS_MAX];
    int rc = an_group_barrier(b->group);
    if (rc)
        return rc;
    b->updating = 0;
    uint64_t cpu = an_clock_process_ns(), start = an_clock_ns();
    if (what != ALONE || an_group_rank(b->group) == 0) {
        rc = steps_run(b, what == TOGETHER ? b->shared : b->own);
        if (rc)
            return rc;
        own = an_clock_seconds_since(start) / b->c->steps;
    }
    b->cpu[what][round] = (double)(an_clock_process_ns() - cpu) * 1e-9 / b->c->steps;
    b->update[what][round] = b->updating / b->c->steps;
    rc = an_group_gather(b->group, &own, sizeof own, all);
    if (rc)
        return rc;
    b->seconds[what][round] = 0;
    for (int rank = 0; rank < world; rank++)
        b->seconds[what][round] = all[rank] > b->seconds[what][round] ? all[rank] : b->seconds[what][round];
    return AN_OK;
}

static int round_run(bench *b, int round)
{
    uint64_t sent;
    for (kind what = ALONE; what < TOGETHER; what++) {
        int rc = kind_run(b, what, round);
        if (rc)
            return rc;
    }
    an_group_reduced(b->group, &b->waited[round], &sent); /* forgets what was before */
    int rc = kind_run(b, TOGETHER, round);
    if (rc)
        return rc;
    an_group_reduced(b->group, &b->waited[round], &sent);
    b->waited[round] /= b->c->steps;
    b->sent = (double)sent / b->c->steps;
    return AN_OK;
}

static int report(bench *b)
{
    static const char *const names[] = {"alone", "apart", "together"};
    double seconds[KINDS];
    an_buffer ranks = {0};
    if (an_group_rank(b->group))
        return AN_OK;
    int rc = an_group_describe(b->group, &ranks);
    if (rc)
        return rc;
    printf("{\"ranks\": \"%.*s\", \"share\": %d, \"rounds\": %d, \"steps\": %d", (int)ranks.size,
           (const char *)ranks.data, b->share, b->c->rounds, b->c->steps);
    an_buffer_free(&ranks);
    for (kind what = ALONE; what < KINDS; what++) {
        seconds[what] = median(b->seconds[what], b->c->rounds);
        printf(", \"%s_ms\": %.2f, \"%s_cpu_ms\": %.2f, \"%s_update_ms\": %.2f", names[what], seconds[what] * 1e3,
               names[what], median(b->cpu[what], b->c->rounds) * 1e3, names[what],
               median(b->update[what], b->c->rounds) * 1e3);
    }
    printf(", \"waited_ms\": %.2f, \"sent_mb\": %.2f, \"together_to_alone\": %.4f, \"together_to_apart\": %.4f}\n",
           median(b->waited, b->c->rounds) * 1e3, b->sent / 1e6, seconds[TOGETHER] / seconds[ALONE],
           seconds[TOGETHER] / seconds[APART]);
    return AN_OK;
}

static int bench_run(const config *c)
{
    static bench b;
    b.c = c;
    int rc = bench_make(&b);
    if (!rc)
        rc = round_run(&b, 0); /* touches memory, generates code: not counted */
    for (int i = 0; i < c->rounds && !rc; i++)
        rc = round_run(&b, i);
    if (!rc)
        rc = report(&b);
    if (rc)
        rc = an_group_fail(b.group, rc);
    bool speaks = an_group_speaks(b.group);
    if (rc < 0 && speaks)
        an_log(AN_LOG_ERROR, "%s", an_error_message());
    an_exec_free(b.own);
    an_exec_free(b.shared);
    an_group_close(b.group);
    an_pages_free(b.images, b.image_bytes);
    free(b.labels);
    return rc;
}

int main(int argc, char **argv)
{
    config c;
    char **arguments;
    an_log_init("bench_replica", AN_LOG_INFO);
    int rc = an_options_init(&spec, &c);
    if (!rc)
        rc = an_options_parse(&spec, argc, argv, &c, &arguments);
    if (rc < 0)
        an_log(AN_LOG_ERROR, "%s", an_error_message());
    if (!rc)
        rc = bench_run(&c);
    return an_error_exit_code(rc);
}
