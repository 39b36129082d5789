#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "model/init.h"
#include "support.h"
#include "tests/emu/emulator/emu.h"
#include "tests/emu/runner.h"

const uint32_t runner_labels[BATCH] = {4, 0, 2, 1};
an_sgd runner_sgd = {.rate = 0.001, .momentum = 0.9, .decay = 0.0005, .bias_rate_scale = 2};

an_buffer *runner_notes;

/* Inputs of (byte - 128) / 128, which are exact in bf16. Other means and shifts are tested by test_emu_feed. */
static const float grey[3] = {128, 128, 128};
static const an_conversion conversion = {.mean = grey, .side = 1, .scale = 1 / 128.0};

static uint16_t bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16); /* test values are exact */
}

/* The same images in the format that the exec asks for. */
static void images_fill(runner *r, size_t side)
{
    an_format format = an_exec_input_format(r->exec);
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 9, 0);
    size_t plane = side * side;
    for (size_t n = 0; n < BATCH; n++)
        for (size_t p = 0; p < plane; p++)
            for (size_t c = 0; c < 3; c++) {
                uint8_t byte = (uint8_t)an_rng_below(&rng, 256);
                float value = ((float)byte - 128) / 128;
                bool planar = format.layout == AN_LAYOUT_NCHW;
                size_t to = planar ? (n * 3 + c) * plane + p : (n * plane + p) * 3 + c;
                if (format.dtype == AN_DTYPE_U8)
                    ((uint8_t *)r->pixels)[to] = byte;
                else if (format.dtype == AN_DTYPE_BF16)
                    ((uint16_t *)r->pixels)[to] = bf16(value);
                else
                    ((float *)r->pixels)[to] = value;
            }
}

void runner_make_with(runner *r, const an_graph *graph, const char *devices, an_precision precision, bool columns,
                      an_choices *choices)
{
    an_exec_options options = {.devices = devices,
                               .batch = BATCH,
                               .threads = 1,
                               .training = true,
                               .seed = 11,
                               .precision = precision,
                               .choices = choices,
                               .notes = runner_notes,
                               .conversion = &conversion,
                               .direct = true, /* the CPU beside it rounds as little as it can */
                               .columns = columns};
    void *draws;
    an_test_ok(an_exec_create(&r->exec, graph, &options), devices);
    an_test_ok(an_init_parameters(r->exec, AN_INIT_HE, 5), "init");
    r->size = (size_t)(BATCH * 3 * graph->input_side * graph->input_side) * sizeof(float);
    an_test_ok(an_exec_images_alloc(r->exec, &r->pixels, r->size), "images");
    an_test_ok(an_exec_images_alloc(r->exec, &draws, BATCH * sizeof *r->draws), "draws");
    assert_int_equal(((const char *)r->pixels)[r->size - 1], 0);
    images_fill(r, (size_t)graph->input_side);
    r->draws = draws;
    for (int i = 0; i < BATCH; i++)
        r->draws[i] = AN_IMAGE_DRAW();
    r->images = (an_images){.pixels = r->pixels, .draws = r->draws};
}

void runner_make(runner *r, const an_graph *graph, const char *devices, an_precision precision, bool columns)
{
    runner_make_with(r, graph, devices, precision, columns, NULL);
}

void runner_free(runner *r)
{
    an_exec_images_free(r->exec, r->pixels, r->size);
    an_exec_images_free(r->exec, r->draws, BATCH * sizeof *r->draws);
    an_exec_free(r->exec);
}

double runner_step(runner *r, uint64_t step, uint32_t count)
{
    an_exec_result result;
    an_test_ok(an_exec_step(r->exec, &r->images, runner_labels, count, step, &result), "step");
    an_test_ok(an_exec_update(r->exec, &runner_sgd), "update");
    return result.loss;
}

void runner_compare(an_exec *one, an_exec *two, double tolerance)
{
    assert_int_equal(an_exec_parameter_count(one), an_exec_parameter_count(two));
    for (int p = 0; p < an_exec_parameter_count(one); p++) {
        const an_parameter *info = an_exec_parameter(one, p);
        float *a = an_test_zeros(info->size, sizeof *a), *b = an_test_zeros(info->size, sizeof *b);
        assert_string_equal(info->name, an_exec_parameter(two, p)->name);
        an_test_ok(an_exec_parameter_get(one, p, AN_PARAMETER_VALUE, a), "get");
        an_test_ok(an_exec_parameter_get(two, p, AN_PARAMETER_VALUE, b), "get");
        double *expected = an_test_doubles(a, info->size);
        an_test_close(info->name, b, expected, info->size, tolerance);
        free(a);
        free(b);
        free(expected);
    }
}

void runner_copy(an_exec *from, an_exec *to)
{
    for (int p = 0; p < an_exec_parameter_count(from); p++)
        for (an_parameter_kind kind = AN_PARAMETER_VALUE; kind <= AN_PARAMETER_MOMENTUM; kind++) {
            float *values = an_test_zeros(an_exec_parameter(from, p)->size, sizeof *values);
            an_test_ok(an_exec_parameter_get(from, p, kind, values), "get");
            an_test_ok(an_exec_parameter_set(to, p, kind, values), "set");
            free(values);
        }
}

void runner_no_violations(void)
{
    char text[512];
    if (emu_violations(text, sizeof text))
        fail_msg("the emulator complains: %s", text);
}
