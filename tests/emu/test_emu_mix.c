/* Mixup and CutMix in a network's input, and their labels in its loss: the CPU and emulated GPUs against the formulas
 * of base/format.h, and against each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/rng.h"
#include "model/cpu/kernels/bf16.h"
#include "model/exec.h"
#include "model/init.h"
#include "small_net.h"
#include "support.h"
#include "tests/emu/emulator/emu.h"

#define BATCH 5 /* the last image of a whole batch has no partner */
#define VALUES (BATCH * SMALL_IMAGE)

static const float colour[3] = {120, 110, 100.5F};
static const uint32_t labels[BATCH] = {4, 0, 2, 1, 3};
static uint8_t bytes[VALUES] __attribute__((aligned(16)));
static float values[VALUES]; /* finished, not mixed, N x C x H x W */
static an_image_draw draws[BATCH];

/* Number n of an image, its channel, row and column, and where it lies in the batch of bytes. */
static size_t byte_at(size_t n, size_t c, size_t at)
{
    return n * SMALL_IMAGE + at * 3 + c;
}

static int set_up(void **state)
{
    (void)state;
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 71, 0);
    size_t plane = SMALL_SIDE * SMALL_SIDE;
    for (size_t i = 0; i < VALUES; i++)
        bytes[i] = (uint8_t)an_rng_below(&rng, 256);
    for (size_t n = 0; n < BATCH; n++) {
        draws[n] = AN_IMAGE_DRAW(.shift = {1.5F, -2, 0.25F}, .flip = n % 2);
        draws[n].factor = n % 2 ? 1 : 0.9F;
        float scale = (float)(1 / 57.3) * draws[n].factor;
        for (size_t c = 0; c < 3; c++)
            for (size_t at = 0; at < plane; at++)
                values[n * SMALL_IMAGE + c * plane + at] =
                    (((float)bytes[byte_at(n, c, at)] - colour[c]) + draws[n].shift[c]) * scale;
    }
    draws[0].share = 0.3F;
    draws[1].share = 0;
    draws[3].share = 0.6F;
    memcpy(draws[3].box, (uint16_t[4]){3, 0, SMALL_SIDE, 7}, sizeof draws[3].box);
    draws[4].share = 0.5F;
    return 0;
}

/* Value i of a batch of count images, mixed from values that were rounded to bf16 or not. */
static float expected(const float *from, size_t i, size_t count)
{
    size_t n = i / SMALL_IMAGE, x = i % SMALL_SIDE, y = i / SMALL_SIDE % SMALL_SIDE;
    const an_image_draw *d = &draws[n];
    if ((n ^ 1) >= count || d->share == 1)
        return from[i];
    float partner = from[(n ^ 1) * SMALL_IMAGE + i % SMALL_IMAGE];
    if (!d->box[2])
        return d->share * from[i] + (1 - d->share) * partner;
    return x >= d->box[0] && x < d->box[2] && y >= d->box[1] && y < d->box[3] ? partner : from[i];
}

static int exec_make(an_exec **out, const char *devices, an_precision precision)
{
    static const double weights[SMALL_CLASSES] = {1, 2, 0.5, 1, 3};
    an_conversion conversion = {.mean = colour, .side = 1, .scale = 1 / 57.3};
    an_exec_options options = {.devices = devices,
                               .batch = BATCH,
                               .threads = 2,
                               .training = true,
                               .seed = 1,
                               .precision = precision,
                               .direct = true,
                               .label_smoothing = 0.1,
                               .class_weights = weights,
                               .conversion = &conversion};
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    int rc = an_exec_create(out, &graph, &options);
    if (rc)
        return rc;
    an_test_ok(an_init_parameters(*out, AN_INIT_HE, 5), "init");
    return AN_OK;
}

/* The batch as this exec takes it. */
static an_images images_for(const an_exec *exec)
{
    static uint16_t narrow[VALUES];
    an_dtype dtype = an_exec_input_format(exec).dtype;
    for (size_t i = 0; i < VALUES; i++)
        narrow[i] = an_bf16_narrow(values[i]);
    const void *pixels = dtype == AN_DTYPE_U8 ? (const void *)bytes : dtype == AN_DTYPE_F32 ? values : (void *)narrow;
    return (an_images){.pixels = pixels, .draws = draws};
}

/* CPUs get values that are rounded already, GPUs round the mixture. */
static void check_input(an_exec *exec, uint32_t count, bool half)
{
    static float from[VALUES], got[VALUES];
    bool early = half && an_exec_input_format(exec).dtype == AN_DTYPE_BF16;
    an_images images = images_for(exec);
    for (size_t i = 0; i < VALUES; i++)
        from[i] = early ? an_bf16_widen(an_bf16_narrow(values[i])) : values[i];
    an_test_ok(an_exec_evaluate(exec, &images, NULL, count, NULL, NULL), "evaluate");
    an_test_ok(an_exec_activation_get(exec, "input", count, got), "input");
    for (size_t i = 0; i < count * SMALL_IMAGE; i++) {
        float wanted = expected(from, i, count);
        wanted = half ? an_bf16_widen(an_bf16_narrow(wanted)) : wanted;
        if (got[i] != wanted)
            fail_msg("image %zu, value %zu: %.9g instead of %.9g", i / SMALL_IMAGE, i % SMALL_IMAGE, (double)got[i],
                     (double)wanted);
    }
}

static void test_inputs_are_mixed(void **state)
{
    (void)state;
    static const char *const devices[] = {"cpu", "cpu,cpu", "cuda:0", "cuda:0,cuda:1"};
    for (size_t i = 0; i < 2 * sizeof devices / sizeof *devices; i++) {
        an_exec *exec;
        bool half = i % 2;
        int rc = exec_make(&exec, devices[i / 2], half ? AN_PRECISION_BF16 : AN_PRECISION_F32);
        if (rc == AN_EUNSUPPORTED && half) /* a processor without bf16 */
            continue;
        an_test_ok(rc, devices[i / 2]);
        for (uint32_t count = BATCH; count > 0; count--)
            check_input(exec, count, half);
        check_input(exec, BATCH, half);
        an_exec_free(exec);
    }
}

/* Loss and weights after steps with mixed images and labels, with smoothing and class weights. */
static void test_devices_agree(void **state)
{
    (void)state;
    static const char *const devices[] = {"cpu,cpu", "cuda:0", "cuda:0,cuda:1"};
    an_sgd sgd = {.rate = 0.001, .momentum = 0.9, .bias_rate_scale = 1};
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        an_exec *one, *other;
        an_exec_result a, b;
        an_test_ok(exec_make(&one, "cpu", AN_PRECISION_F32), "cpu");
        an_test_ok(exec_make(&other, devices[d], AN_PRECISION_F32), devices[d]);
        an_images first = images_for(one), second = images_for(other);
        for (uint64_t step = 0; step < 5; step++) { /* whole batches, which are replayed, and short ones */
            uint32_t count = step == 3 ? 3 : BATCH;
            an_test_ok(an_exec_step(one, &first, labels, count, step, &a), "step");
            an_test_ok(an_exec_step(other, &second, labels, count, step, &b), "step");
            an_test_ok(an_exec_update(one, &sgd), "update");
            an_test_ok(an_exec_update(other, &sgd), "update");
            if (fabs(a.loss - b.loss) > 1e-4 * a.loss)
                fail_msg("%s, step %d: loss %.9g instead of %.9g", devices[d], (int)step, b.loss, a.loss);
        }
        an_exec_free(one);
        an_exec_free(other);
    }
}

/* The loss of a step is that of its mixed targets, computed from the probabilities; an evaluation's is plain. */
static void test_steps_have_mixed_targets(void **state)
{
    (void)state;
    static const double w[SMALL_CLASSES] = {1, 2, 0.5, 1, 3};
    static float p[BATCH * SMALL_CLASSES];
    static const char *const devices[] = {"cpu", "cuda:0"};
    for (size_t d = 0; d < 2; d++) {
        an_exec *exec;
        an_exec_result step, plain;
        double loss = 0, total = 0, cross = 0;
        an_test_ok(exec_make(&exec, devices[d], AN_PRECISION_F32), devices[d]);
        an_images images = images_for(exec);
        an_test_ok(an_exec_step(exec, &images, labels, BATCH, 0, &step), "step");
        an_test_ok(an_exec_activation_get(exec, "loss", BATCH, p), "probabilities");
        for (size_t n = 0; n < BATCH; n++) {
            double share = n < 4 ? (double)draws[n].share : 1;
            uint32_t other = labels[n < 4 ? n ^ 1 : n];
            total += share * w[labels[n]] + (1 - share) * w[other];
            for (uint32_t c = 0; c < SMALL_CLASSES; c++) {
                double q = 0.9 * (share * (c == labels[n]) + (1 - share) * (c == other)) + 0.1 / SMALL_CLASSES;
                loss -= w[c] * q * log((double)p[n * SMALL_CLASSES + c]);
            }
        }
        assert_true(fabs(step.loss / (loss / total) - 1) < 1e-5);
        an_test_ok(an_exec_evaluate(exec, &images, labels, BATCH, p, &plain), "evaluate");
        for (size_t n = 0; n < BATCH; n++)
            cross -= log((double)p[n * SMALL_CLASSES + labels[n]]) / BATCH;
        assert_true(fabs(plain.loss / cross - 1) < 1e-5);
        an_exec_free(exec);
    }
}

static void test_impossible_losses_are_refused(void **state)
{
    (void)state;
    an_exec *exec;
    an_graph graph;
    double weights[SMALL_CLASSES] = {0, 1, 1, 1, 1};
    an_exec_result result;
    an_exec_options options = {.devices = "cpu", .batch = 1, .threads = 1, .training = true, .label_smoothing = 1.5};
    an_small_net(&graph, AN_ACTIVATION_RELU);
    an_test_refused(an_exec_create(&exec, &graph, &options), "label smoothing of 1.5");
    options.label_smoothing = 0;
    options.class_weights = weights;
    weights[3] = -1;
    an_test_refused(an_exec_create(&exec, &graph, &options), "class 3 weighs -1");
    weights[3] = 1;
    an_test_ok(an_exec_create(&exec, &graph, &options), "class weights");
    an_test_refused(an_exec_step(exec, &(an_images){.pixels = values}, &(uint32_t){0}, 1, 0, &result),
                    "weigh 0: use larger batches, or weights above 0");
    an_exec_free(exec);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inputs_are_mixed),         cmocka_unit_test(test_devices_agree),
        cmocka_unit_test(test_steps_have_mixed_targets), cmocka_unit_test(test_impossible_losses_are_refused),
        cmocka_unit_test(test_nothing_was_wrong),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
