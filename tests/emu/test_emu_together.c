/* Everything that a training step can be asked for at once: mixed images and labels, smoothing, class weights, parts,
 * clipping, Nesterov's momentum, averages, a frozen layer, images that are announced, and batches that are short. The
 * CPU, two of its devices and emulated GPUs come to the same weights, momenta and averages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "model/exec.h"
#include "model/init.h"
#include "small_net.h"
#include "support.h"
#include "tests/emu/emulator/emu.h"

#define BATCH 8
#define PARTS 2
#define VALUES (BATCH * SMALL_IMAGE)
#define BATCHES 2 /* different ones, in turn */

static const float colour[3] = {120, 110, 100.5F};
static const uint32_t labels[BATCH] = {4, 0, 2, 1, 3, 3, 0, 4};
/* Of each step: whole ones are replayed, short ones end within a part, or before the second. */
static const uint32_t counts[] = {8, 8, 8, 5, 8, 3, 8, 7};
#define STEPS (sizeof counts / sizeof *counts)

static uint8_t bytes[BATCHES][VALUES] __attribute__((aligned(16)));
static float values[BATCHES][VALUES]; /* finished, not mixed, N x C x H x W */
static an_image_draw draws[BATCHES][BATCH];

static void image_make(size_t b, size_t n)
{
    size_t plane = SMALL_SIDE * SMALL_SIDE;
    an_image_draw *draw = &draws[b][n];
    *draw = AN_IMAGE_DRAW(.shift = {1.5F, -2, 0.25F});
    draw->factor = n % 2 ? 1 : 0.9F;
    draw->share = (float)(1 + (3 * n + b) % 8) / 8; /* one is whole */
    if ((n + b) % 3 == 0)
        memcpy(draw->box, (uint16_t[4]){3, 0, SMALL_SIDE, 7}, sizeof draw->box);
    float scale = (float)(1 / 57.3) * draw->factor;
    for (size_t c = 0; c < 3; c++)
        for (size_t at = 0; at < plane; at++)
            values[b][n * SMALL_IMAGE + c * plane + at] =
                (((float)bytes[b][n * SMALL_IMAGE + at * 3 + c] - colour[c]) + draw->shift[c]) * scale;
}

static int set_up(void **state)
{
    (void)state;
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 73, 0);
    for (size_t b = 0; b < BATCHES; b++) {
        for (size_t i = 0; i < VALUES; i++)
            bytes[b][i] = (uint8_t)an_rng_below(&rng, 256);
        for (size_t n = 0; n < BATCH; n++)
            image_make(b, n);
    }
    return 0;
}

static an_exec *exec_make(const char *devices)
{
    static const double weights[SMALL_CLASSES] = {1, 2, 0.5, 1, 3};
    double scales[AN_GRAPH_NODES_MAX];
    an_conversion conversion = {.mean = colour, .side = 1, .scale = 1 / 57.3};
    an_exec_options options = {.devices = devices,
                               .batch = BATCH,
                               .threads = 2,
                               .training = true,
                               .seed = 1,
                               .direct = true,
                               .label_smoothing = 0.1,
                               .class_weights = weights,
                               .conversion = &conversion,
                               .rate_scales = scales,
                               .averages = true,
                               .parts = PARTS};
    an_graph graph;
    an_exec *exec;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    for (int i = 0; i < AN_GRAPH_NODES_MAX; i++)
        scales[i] = 1;
    for (int i = 0; i < graph.count; i++)
        if (strcmp(graph.nodes[i].name, "conv2") == 0)
            scales[graph.nodes[i].layer] = 0;
    an_test_ok(an_exec_create(&exec, &graph, &options), devices);
    an_test_ok(an_init_parameters(exec, AN_INIT_HE, 5), "init");
    return exec;
}

/* A batch as this exec takes it. */
static an_images images_for(const an_exec *exec, uint64_t step)
{
    size_t b = step % BATCHES;
    bool raw = an_exec_input_format(exec).dtype == AN_DTYPE_U8;
    return (an_images){.pixels = raw ? (const void *)bytes[b] : values[b], .draws = draws[b]};
}

/* The next batch is announced, validation comes in between with the averages. */
static void step(an_exec *exec, uint64_t number, an_exec_result *out, double *norm, double *validation)
{
    an_sgd sgd = {.rate = 0.002,
                  .momentum = 0.9,
                  .decay = 0.01,
                  .bias_rate_scale = 2,
                  .nesterov = true,
                  .clip = 0.5,
                  .average = 0.7};
    an_images images = images_for(exec, number), next = images_for(exec, number + 1);
    an_exec_result plain;
    if (number + 1 < STEPS)
        an_exec_prefetch(exec, &next, counts[number + 1]);
    an_test_ok(an_exec_step(exec, &images, labels, counts[number], number, out), "step");
    an_test_ok(an_exec_update(exec, &sgd), "update");
    an_test_ok(an_exec_gradient_norm(exec, norm), "norm");
    *validation = 0;
    if (number % 3 != 2)
        return;
    an_test_ok(an_exec_average_use(exec, true), "averages");
    an_test_ok(an_exec_evaluate(exec, &images, labels, 7, NULL, &plain), "evaluate");
    an_test_ok(an_exec_average_use(exec, false), "weights");
    *validation = plain.loss;
}

static void near(const char *what, const char *devices, uint64_t number, double got, double wanted)
{
    if (fabs(got - wanted) > 1e-4 * fabs(wanted))
        fail_msg("%s, step %d: %s %.9g instead of %.9g", devices, (int)number, what, got, wanted);
}

/* Whether all of a kind of a parameter is the same but for rounding. */
static void parameter_compare(an_exec *one, an_exec *other, int number, an_parameter_kind kind)
{
    const an_parameter *p = an_exec_parameter(one, number);
    float *wanted = an_test_zeros(p->size, sizeof *wanted), *got = an_test_zeros(p->size, sizeof *got);
    an_test_ok(an_exec_parameter_get(one, number, kind, wanted), p->name);
    an_test_ok(an_exec_parameter_get(other, number, kind, got), p->name);
    double *exact = an_test_doubles(wanted, p->size);
    an_test_close(p->name, got, exact, p->size, 1e-3);
    free(exact);
    free(wanted);
    free(got);
}

static void test_devices_agree(void **state)
{
    (void)state;
    static const char *const devices[] = {"cpu,cpu", "cuda:0", "cuda:0,cuda:1"};
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        an_exec *one = exec_make("cpu"), *other = exec_make(devices[d]);
        for (uint64_t i = 0; i < STEPS; i++) {
            an_exec_result a, b;
            double norms[2], plain[2];
            step(one, i, &a, &norms[0], &plain[0]);
            step(other, i, &b, &norms[1], &plain[1]);
            near("loss", devices[d], i, b.loss, a.loss);
            near("norm", devices[d], i, norms[1], norms[0]);
            near("validation", devices[d], i, plain[1], plain[0]);
            assert_int_equal(b.top1, a.top1);
            assert_true(norms[0] > 0.5); /* it is clipped */
        }
        for (int i = 0; i < an_exec_parameter_count(one); i++)
            for (int kind = AN_PARAMETER_VALUE; kind <= AN_PARAMETER_GRADIENT; kind++)
                parameter_compare(one, other, i, (an_parameter_kind)kind);
        an_exec_free(one);
        an_exec_free(other);
    }
}

static void test_nothing_was_wrong(void **state)
{
    (void)state;
    char text[512];
    if (emu_violations(text, sizeof text))
        fail_msg("the emulator complains: %s", text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_devices_agree), cmocka_unit_test(test_nothing_was_wrong)};
    return cmocka_run_group_tests(tests, set_up, NULL);
}
