/* bench_step: how much of what oneDNN's primitives give does a training step keep? Interleaved in one run: a step, the
 * optimiser's update, and every primitive of the network alone, in every way known to be good somewhere. The sum takes
 * the fastest way of each operation; it contains neither dropout, loss nor the optimiser, which oneDNN does not have.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/program/log.h"
#include "base/program/options.h"
#include "base/rng.h"
#include "bench_step.h"
#include "model/init.h"
#include "model/nets/alexnet.h"

#define ROUNDS_MAX 64

typedef struct {
    int batch, side, classes, rounds, precision, threads;
    const char *devices;
    bool layers, step_only;
} config;

static const char *const precisions[] = {"fp32", "bf16", NULL};

static const an_option options[] = {{.name = "batch",
                                     .type = AN_OPTION_INT,
                                     .metavar = "N",
                                     .min = 1,
                                     .max = 4096,
                                     .initial = "128",
                                     .offset = offsetof(config, batch),
                                     .help = "samples in a step"},
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
                                    {.name = "precision",
                                     .type = AN_OPTION_CHOICE,
                                     .choices = precisions,
                                     .initial = "fp32",
                                     .offset = offsetof(config, precision),
                                     .help = "of step and primitives"},
                                    {.name = "devices",
                                     .type = AN_OPTION_STRING,
                                     .metavar = "LIST",
                                     .initial = "cpu",
                                     .offset = offsetof(config, devices),
                                     .help = "placement of the step: cpu or cpu,cpu"},
                                    {.name = "threads",
                                     .type = AN_OPTION_INT,
                                     .metavar = "N",
                                     .min = 0,
                                     .max = 1024,
                                     .initial = "0",
                                     .offset = offsetof(config, threads),
                                     .help = "a device; 0: all processors"},
                                    {.name = "layers",
                                     .type = AN_OPTION_FLAG,
                                     .offset = offsetof(config, layers),
                                     .help = "print kernels and times layer by layer"},
                                    {.name = "step-only",
                                     .type = AN_OPTION_FLAG,
                                     .offset = offsetof(config, step_only),
                                     .help = "leave the primitives out: to compare placements or programs in turns"},
                                    {0}};

static const an_options spec = {.program = "bench_step",
                                .usage = "",
                                .summary = "Times a training step of AlexNet and oneDNN's own primitives for it.",
                                .options = options};

typedef struct {
    const config *c;
    an_exec *exec;
    an_bench_primitives *primitives;
    void *images;
    size_t image_bytes;
    uint32_t *labels;
    double step[ROUNDS_MAX], step_cpu[ROUNDS_MAX], update[ROUNDS_MAX], update_cpu[ROUNDS_MAX];
} bench;

double an_bench_cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double an_bench_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static int bench_make(bench *b)
{
    const config *c = b->c;
    an_alexnet_options alexnet = an_alexnet_defaults();
    an_graph graph, fused;
    alexnet.input = c->side;
    alexnet.classes = c->classes;
    an_exec_options run = {.devices = c->devices,
                           .batch = c->batch,
                           .threads = c->threads,
                           .training = true,
                           .precision = c->precision ? AN_PRECISION_BF16 : AN_PRECISION_F32};
    int rc = an_alexnet_build(&alexnet, &graph);
    if (rc)
        return rc;
    rc = an_graph_fuse(&graph, &fused);
    if (rc)
        return rc;
    rc = an_exec_create(&b->exec, &graph, &run);
    if (rc)
        return rc;
    rc = an_init_parameters(b->exec, AN_INIT_HE, 1);
    if (rc)
        return rc;
    if (!c->step_only)
        rc = an_bench_primitives_create(&b->primitives, &fused, c->batch, c->precision);
    if (rc)
        return rc;
    b->image_bytes = (size_t)c->batch * 3 * (size_t)c->side * (size_t)c->side * (c->precision ? 2 : 4);
    b->labels = calloc((size_t)c->batch, sizeof *b->labels);
    if (!b->labels)
        return an_error(AN_ENOMEM, "out of memory");
    rc = an_pages_alloc(&b->images, b->image_bytes);
    if (rc)
        return rc;
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 0, 0);
    uint16_t *words = b->images; /* both halves of a float alike: small numbers in f32 and in bf16 */
    for (size_t i = 0; i < b->image_bytes / 2; i++)
        words[i] = (uint16_t)(0x3f00 + an_rng_below(&rng, 0x80));
    for (int i = 0; i < c->batch; i++)
        b->labels[i] = an_rng_below(&rng, (uint32_t)c->classes);
    return AN_OK;
}

static int round_run(bench *b, int round)
{
    an_exec_result result;
    an_sgd sgd = {.rate = 1e-4, .momentum = 0.9, .decay = 0.0005, .bias_rate_scale = 1, .bias_decay = 0.0005};
    uint64_t start = an_clock_ns();
    double cpu = an_bench_cpu_seconds();
    an_images images = {.pixels = b->images};
    int rc = an_exec_step(b->exec, &images, b->labels, (uint32_t)b->c->batch, (uint64_t)round, &result);
    if (rc)
        return rc;
    b->step[round] = an_clock_seconds_since(start);
    b->step_cpu[round] = an_bench_cpu_seconds() - cpu;
    start = an_clock_ns();
    cpu = an_bench_cpu_seconds();
    rc = an_exec_update(b->exec, &sgd);
    if (rc)
        return rc;
    b->update[round] = an_clock_seconds_since(start);
    b->update_cpu[round] = an_bench_cpu_seconds() - cpu;
    return b->primitives ? an_bench_primitives_round(b->primitives) : AN_OK;
}

static void layers_print(const bench *b)
{
    for (int i = 0; i < an_exec_layer_count(b->exec); i++) {
        an_exec_layer layer;
        an_exec_layer_get(b->exec, i, &layer);
        double runs = layer.runs ? (double)layer.runs : 1;
        printf("%-10s device %d  forward %8.2f ms  backward %8.2f ms  update %7.2f ms\n", layer.name, layer.device,
               layer.forward * 1e3 / runs, layer.backward * 1e3 / runs, layer.update * 1e3 / runs);
    }
}

static void time_print(const char *what, double seconds, double cpu)
{
    printf("%-11s %9.1f ms  (%.1f ms of processor time)\n", what, seconds * 1e3, cpu * 1e3);
}

static void times_print(bench *b)
{
    int rounds = b->c->rounds;
    double step = an_bench_median(b->step, rounds), step_cpu = an_bench_median(b->step_cpu, rounds);
    double update = an_bench_median(b->update, rounds), update_cpu = an_bench_median(b->update_cpu, rounds);
    time_print("step", step, step_cpu);
    time_print("update", update, update_cpu);
    time_print("together", step + update, step_cpu + update_cpu);
    printf("images      %9.1f a second\n", b->c->batch / (step + update));
}

static int primitives_print(bench *b)
{
    an_buffer ways = {0};
    double sum, sum_cpu;
    int rc = an_bench_primitives_sum(b->primitives, &sum, &sum_cpu, &ways);
    if (!rc) {
        if (b->c->layers)
            printf("%s\n", (const char *)ways.data);
        printf("primitives  %9.1f ms  (%.1f ms of processor time): %.3f x the step, by processor time %.3f x\n",
               sum * 1e3, sum_cpu * 1e3, sum / an_bench_median(b->step, b->c->rounds),
               sum_cpu / an_bench_median(b->step_cpu, b->c->rounds));
    }
    an_buffer_free(&ways);
    return rc;
}

static int report(bench *b)
{
    an_buffer kernels = {0};
    int rc = an_exec_describe(b->exec, &kernels);
    if (!rc && b->c->layers) {
        printf("%s\n", (const char *)kernels.data);
        layers_print(b);
    }
    an_buffer_free(&kernels);
    times_print(b);
    return !rc && b->primitives ? primitives_print(b) : rc;
}

static int bench_run(const config *c)
{
    static bench b;
    b.c = c;
    int rc = bench_make(&b);
    if (!rc)
        rc = round_run(&b, 0); /* touches memory, generates code: not counted */
    if (!rc) {
        if (b.primitives)
            an_bench_primitives_restart(b.primitives);
        an_exec_layers_reset(b.exec);
    }
    for (int i = 0; i < c->rounds && !rc; i++)
        rc = round_run(&b, i);
    if (!rc)
        rc = report(&b);
    an_bench_primitives_free(b.primitives);
    an_exec_free(b.exec);
    an_pages_free(b.images, b.image_bytes);
    free(b.labels);
    return rc;
}

int main(int argc, char **argv)
{
    config c;
    char **arguments;
    an_log_init("bench_step", AN_LOG_INFO);
    int rc = an_options_init(&spec, &c);
    if (!rc)
        rc = an_options_parse(&spec, argc, argv, &c, &arguments);
    if (!rc)
        rc = bench_run(&c);
    if (rc < 0)
        an_log(AN_LOG_ERROR, "%s", an_error_message());
    return an_error_exit_code(rc);
}
