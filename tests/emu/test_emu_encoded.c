/* Batches that arrive encoded, with a decoder so simple that what it should do is plain: the pixels lie in the block as
 * they are, behind the draws and a number. That number, if it is not 0, is the position of a damaged sample plus 1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <cuda_runtime.h>

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/rng.h"
#include "model/cuda/kernels/kernels.h"
#include "model/exec.h"
#include "model/graph/lower.h"
#include "model/init.h"
#include "small_net.h"
#include "support.h"
#include "tests/emu/emulator/emu.h"

#define BATCH 4
#define DEVICES AN_GRAPH_DEVICES
#define MEAN_SIDE (SMALL_SIDE + 3)
#define RESULTS (AN_IMAGE_SLOTS * sizeof(uint32_t))

typedef struct {
    an_image_draw draws[BATCH];
    uint32_t damaged, spare[7]; /* pixels begin at a multiple of 16 bytes */
    uint8_t pixels[BATCH * SMALL_IMAGE];
} block;

/* What a decoder keeps, and what it was asked for. */
typedef struct {
    uint32_t *damaged[DEVICES]; /* of each slot, pinned */
    bool asked[DEVICES][AN_IMAGE_SLOTS];
    int queued[DEVICES];
    int refuse; /* the number of the decoding, from 1, that cannot be queued; 0: all can */
} copier;

static int copier_queue(void *context, const an_image_decoding *d)
{
    copier *c = context;
    const char *from = d->block;
    assert_in_range(d->device, 0, DEVICES - 1);
    assert_in_range(d->slot, 0, AN_IMAGE_SLOTS - 1);
    assert_in_range(d->size, offsetof(block, pixels) + d->count * SMALL_IMAGE, sizeof(block));
    assert_true(c->asked[d->device][d->slot]); /* about the decoding before */
    if (++c->queued[d->device] == c->refuse)
        return an_error(AN_EIO, "no decoding today");
    c->asked[d->device][d->slot] = false;
    assert_int_equal(cudaMemcpyAsync(&c->damaged[d->device][d->slot], from + offsetof(block, damaged), sizeof(uint32_t),
                                     cudaMemcpyDeviceToHost, d->stream),
                     cudaSuccess);
    assert_int_equal(cudaMemcpyAsync(d->pixels, from + offsetof(block, pixels), d->count * SMALL_IMAGE,
                                     cudaMemcpyDeviceToDevice, d->stream),
                     cudaSuccess);
    assert_int_equal(cudaSetDevice(0), cudaSuccess); /* whatever device it was */
    return AN_OK;
}

static int copier_result(void *context, int device, int slot, uint32_t *sample)
{
    copier *c = context;
    uint32_t damaged = c->damaged[device][slot];
    assert_false(c->asked[device][slot]);
    c->asked[device][slot] = true;
    if (!damaged)
        return AN_OK;
    *sample = damaged - 1;
    return an_error(AN_ECORRUPT, "a hole in the picture");
}

/* A network, its decoder, and batches in pinned memory. */
typedef struct {
    copier copier;
    an_exec *exec;
    block *blocks; /* three of them */
} feeder;

enum { BLOCKS = 3 };
static const uint32_t labels[BATCH] = {4, 0, 2, 1};
static const an_sgd sgd = {.rate = 0.001, .momentum = 0.9, .decay = 0.0005, .bias_rate_scale = 2};

static void block_fill(block *b, uint64_t seed)
{
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 31, seed);
    memset(b, 0, sizeof *b);
    for (size_t i = 0; i < sizeof b->pixels; i++)
        b->pixels[i] = (uint8_t)an_rng_below(&rng, 256);
    for (int i = 0; i < BATCH; i++)
        b->draws[i] = AN_IMAGE_DRAW(.shift = {(float)an_rng_uniform(&rng), 0.5F, -2},
                                    .x = an_rng_below(&rng, MEAN_SIDE - SMALL_SIDE + 1),
                                    .y = an_rng_below(&rng, MEAN_SIDE - SMALL_SIDE + 1), .flip = an_rng_below(&rng, 2));
    b->draws[0].share = 0.75F;
    b->draws[3].share = 0.5F;
    b->draws[3].box[2] = b->draws[3].box[3] = SMALL_SIDE / 2;
}

static void feeder_make(feeder *f, const char *devices, an_precision precision)
{
    static float mean[MEAN_SIDE * MEAN_SIDE * 3];
    void *memory;
    for (int i = 0; i < MEAN_SIDE * MEAN_SIDE * 3; i++)
        mean[i] = (float)(i % 251);
    an_conversion conversion = {.mean = mean, .side = MEAN_SIDE, .scale = 1 / 60.0};
    an_image_decoder decoder = {
        .context = &f->copier, .size = sizeof(block), .queue = copier_queue, .result = copier_result};
    an_exec_options options = {.devices = devices,
                               .batch = BATCH,
                               .training = true,
                               .seed = 1,
                               .precision = precision,
                               .conversion = &conversion,
                               .decoder = &decoder};
    an_graph graph;
    *f = (feeder){0};
    memset(f->copier.asked, true, sizeof f->copier.asked);
    an_small_net(&graph, AN_ACTIVATION_RELU);
    an_test_ok(an_exec_create(&f->exec, &graph, &options), devices);
    decoder = (an_image_decoder){0}; /* exec has its own copy */
    an_test_ok(an_init_parameters(f->exec, AN_INIT_HE, 5), "init");
    for (int i = 0; i < DEVICES; i++) {
        an_test_ok(an_exec_images_alloc(f->exec, &memory, RESULTS), "results");
        f->copier.damaged[i] = memory;
    }
    an_test_ok(an_exec_images_alloc(f->exec, &memory, BLOCKS * sizeof(block)), "blocks");
    f->blocks = memory;
    for (uint64_t i = 0; i < BLOCKS; i++)
        block_fill(&f->blocks[i], i);
}

static void feeder_free(feeder *f)
{
    an_exec_images_free(f->exec, f->blocks, BLOCKS * sizeof(block));
    for (int i = 0; i < DEVICES; i++)
        an_exec_images_free(f->exec, f->copier.damaged[i], RESULTS);
    an_exec_free(f->exec);
}

static an_images encoded(const feeder *f, int number)
{
    return (an_images){.block = &f->blocks[number], .block_size = sizeof(block)};
}

static an_images plain(const feeder *f, int number)
{
    return (an_images){.pixels = f->blocks[number].pixels, .draws = f->blocks[number].draws};
}

static int step(feeder *f, const an_images *images, uint64_t number)
{
    an_exec_result result;
    int rc = an_exec_step(f->exec, images, labels, BATCH, number, &result);
    if (rc)
        return rc;
    return an_exec_update(f->exec, &sgd);
}

static void no_violations(void)
{
    char text[512];
    if (emu_violations(text, sizeof text))
        fail_msg("the emulator complains: %s", text);
}

static void same_parameters(feeder *one, feeder *two)
{
    for (int p = 0; p < an_exec_parameter_count(one->exec); p++) {
        uint64_t size = an_exec_parameter(one->exec, p)->size;
        float *a = an_test_zeros(size, sizeof *a), *b = an_test_zeros(size, sizeof *b);
        an_test_ok(an_exec_parameter_get(one->exec, p, AN_PARAMETER_VALUE, a), "get");
        an_test_ok(an_exec_parameter_get(two->exec, p, AN_PARAMETER_VALUE, b), "get");
        assert_memory_equal(a, b, size * sizeof *a);
        free(a);
        free(b);
    }
}

/* The first layer's input. */
static void input_of(feeder *f, const an_images *images, uint32_t count, float *out)
{
    memset(out, 0, BATCH * SMALL_IMAGE * sizeof *out);
    an_test_ok(an_exec_evaluate(f->exec, images, NULL, count, NULL, NULL), "evaluate");
    assert_int_equal(an_exec_damaged(f->exec), -1);
    an_test_ok(an_exec_activation_get(f->exec, "input", count, out), "input");
}

static const char *const placements[] = {"cuda:0", "cuda:0,cuda:1", "cuda:0,cuda:0"};
enum { PLACEMENTS = sizeof placements / sizeof *placements };

/* With the draws of its own block, in both slots, by whole and short batches, behind whose draws anything may lie, with
 * batches of pixels between. */
static void test_a_block_becomes_what_its_pixels_would(void **state)
{
    (void)state;
    float *a = an_test_zeros(BATCH * SMALL_IMAGE, sizeof *a), *b = an_test_zeros(BATCH * SMALL_IMAGE, sizeof *b);
    for (int i = 0; i < 2 * PLACEMENTS; i++) {
        feeder f;
        feeder_make(&f, placements[i / 2], i % 2 ? AN_PRECISION_BF16 : AN_PRECISION_F32);
        for (int number = 0; number < 2 * BLOCKS; number++) {
            an_images pixels = plain(&f, number % BLOCKS), whole = encoded(&f, number % BLOCKS);
            uint32_t count = (uint32_t)(BATCH - number / 2);
            input_of(&f, &pixels, count, a);
            memset(&f.blocks[number % BLOCKS].draws[count], 0xFF, (BATCH - count) * sizeof(an_image_draw));
            input_of(&f, &whole, count, b);
            assert_memory_equal(a, b, count * SMALL_IMAGE * sizeof *a);
            if (number % 2)
                input_of(&f, &whole, count, b); /* the slots change over */
        }
        feeder_free(&f);
        no_violations();
    }
    free(a);
    free(b);
}

/* Steps whose blocks are announced or not, as graphs and without: the same weights as from pixels. Nothing but the
 * block is copied to a device, and the host waits for the loss alone. */
static void test_steps(void **state)
{
    (void)state;
    for (int i = 0; i < PLACEMENTS; i++) {
        feeder pixels, blocks;
        feeder_make(&pixels, placements[i], AN_PRECISION_F32);
        feeder_make(&blocks, placements[i], AN_PRECISION_F32);
        uint64_t devices = i ? 2 : 1;
        for (int number = 0; number < 8; number++) {
            an_images a = plain(&pixels, number % BLOCKS), b = encoded(&blocks, number % BLOCKS);
            an_images next = encoded(&blocks, (number + 1) % BLOCKS);
            an_test_ok(step(&pixels, &a, (uint64_t)number), "step of pixels");
            if (number >= 3 && number < 7)
                an_exec_prefetch(blocks.exec, &next, BATCH);
            emu_counters before = emu_count();
            an_test_ok(step(&blocks, &b, (uint64_t)number), "step of a block");
            emu_counters after = emu_count();
            if (number < 4 || number == 7)
                continue;
            assert_int_equal(after.allocations, before.allocations);
            assert_int_equal(after.host_waits - before.host_waits, 1);
            assert_int_equal(after.to_device - before.to_device,
                             devices * sizeof(block) + BATCH * sizeof(an_target_row));
            assert_int_equal(after.graphs - before.graphs, 2);
        }
        same_parameters(&pixels, &blocks);
        for (uint64_t device = 0; device < DEVICES; device++)
            assert_int_equal(blocks.copier.queued[device], device < devices ? 8 : 0);
        feeder_free(&pixels);
        feeder_free(&blocks);
        no_violations();
    }
}

static void check_damaged(feeder *f, int rc, int64_t sample)
{
    assert_int_equal(rc, AN_ECORRUPT);
    assert_string_equal(an_error_message(), "a hole in the picture");
    assert_int_equal(an_exec_damaged(f->exec), sample);
}

/* A damaged sample ends its own step, before the update, although its batch was decoded while the step before ran; and
 * its own evaluation, with labels and without. */
static void test_a_damaged_sample_ends_its_own_step(void **state)
{
    (void)state;
    for (int i = 0; i < PLACEMENTS; i++) {
        feeder f, sound;
        an_exec_result result;
        feeder_make(&f, placements[i], AN_PRECISION_F32);
        feeder_make(&sound, placements[i], AN_PRECISION_F32);
        an_images whole = encoded(&f, 0), damaged = encoded(&f, 1), other = encoded(&sound, 0);
        f.blocks[1].damaged = 1 + 2;
        for (uint64_t number = 0; number < 3; number++) { /* walked, recorded, replayed */
            an_exec_prefetch(f.exec, &damaged, BATCH);
            an_test_ok(step(&f, &whole, number), "the step before");
            an_test_ok(step(&sound, &other, number), "the same");
            an_test_ok(an_exec_wait(f.exec), "wait"); /* the damaged batch is decoded for certain */
            assert_int_equal(an_exec_damaged(f.exec), -1);
            check_damaged(&f, step(&f, &damaged, number + 1), 2);
        }
        check_damaged(&f, an_exec_evaluate(f.exec, &damaged, labels, BATCH, NULL, &result), 2);
        check_damaged(&f, an_exec_evaluate(f.exec, &damaged, NULL, BATCH, NULL, NULL), 2);
        an_test_ok(an_exec_evaluate(f.exec, &whole, labels, BATCH, NULL, &result), "a batch that is whole");
        assert_int_equal(an_exec_damaged(f.exec), -1);
        same_parameters(&f, &sound);
        feeder_free(&f);
        feeder_free(&sound);
        no_violations();
    }
}

/* What is wrong with a batch that was announced and not used is not said of the batch in its place. */
static void test_a_batch_that_is_not_used_fails_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < PLACEMENTS; i++) {
        feeder f;
        feeder_make(&f, placements[i], AN_PRECISION_F32);
        an_images whole = encoded(&f, 0), damaged = encoded(&f, 1), pixels = plain(&f, 2);
        f.blocks[1].damaged = 1;
        for (uint64_t number = 0; number < 6; number += 2) {
            an_exec_prefetch(f.exec, &damaged, BATCH);
            an_test_ok(step(&f, &whole, number), "the step before");
            an_test_ok(an_exec_evaluate(f.exec, number ? &whole : &pixels, labels, BATCH, NULL, NULL), "another batch");
            check_damaged(&f, step(&f, &damaged, number + 1), 0);
        }
        feeder_free(&f);
        no_violations();
    }
}

/* Not counting the wait for a free slot, which the loss of the step that used it orders as well. */
static void test_a_missing_wait_is_noticed(void **state)
{
    (void)state;
    feeder f;
    int caught = 0;
    feeder_make(&f, "cuda:0", AN_PRECISION_F32);
    an_exec_replay_set(f.exec, false);
    for (uint64_t number = 0; number < 2; number++) {
        an_images images = encoded(&f, 0);
        an_test_ok(step(&f, &images, number), "step");
    }
    no_violations();
    for (int wait = 1; wait <= 2; wait++) {
        an_images images = encoded(&f, wait);
        emu_drop_wait(wait);
        an_test_ok(step(&f, &images, 2), "step");
        emu_drop_wait(0);
        caught += emu_violations(NULL, 0) > 0;
    }
    assert_int_equal(caught, 1);
    feeder_free(&f);
    no_violations();
}

static void test_what_is_refused(void **state)
{
    (void)state;
    feeder f;
    an_exec *exec;
    an_graph graph;
    an_exec_result result;
    an_image_decoder decoder = {.size = sizeof(block)};
    an_exec_options options = {.devices = "cpu", .batch = BATCH, .threads = 1, .decoder = &decoder};
    an_small_net(&graph, AN_ACTIVATION_RELU);
    an_test_refused(an_exec_create(&exec, &graph, &options), "device 'cpu' takes finished images");
    feeder_make(&f, "cuda:0", AN_PRECISION_F32);
    an_images images = encoded(&f, 0);
    images.block_size++;
    an_exec_prefetch(f.exec, &images, BATCH); /* a hint that is of no use */
    an_images good = encoded(&f, 0);
    an_test_ok(step(&f, &good, 0), "step");
    an_test_refused(step(&f, &images, 0), "an encoded batch of 4 images in");
    images.block_size = BATCH * sizeof(an_image_draw) - 1;
    an_test_refused(step(&f, &images, 0), "it must be 160 to");
    f.blocks[0].draws[3].y = MEAN_SIDE - SMALL_SIDE + 1;
    an_test_refused(step(&f, &good, 0), "image 3 lies at");
    f.blocks[0].draws[3].y = 0;
    f.copier.refuse = f.copier.queued[0] + 1;
    assert_int_equal(step(&f, &good, 0), AN_EIO);
    assert_string_equal(an_error_message(), "input: no decoding today");
    assert_int_equal(an_exec_damaged(f.exec), -1);
    an_test_ok(step(&f, &good, 0), "the next one");
    options.devices = "cuda:0";
    options.decoder = NULL;
    an_test_ok(an_exec_create(&exec, &graph, &options), "without a decoder");
    assert_int_equal(an_exec_evaluate(exec, &good, labels, BATCH, NULL, &result), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "made without a decoder"));
    an_exec_free(exec);
    feeder_free(&f);
    no_violations();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_block_becomes_what_its_pixels_would),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_a_damaged_sample_ends_its_own_step),
        cmocka_unit_test(test_a_batch_that_is_not_used_fails_nothing),
        cmocka_unit_test(test_a_missing_wait_is_noticed),
        cmocka_unit_test(test_what_is_refused),
    };
    (void)emu_violations(NULL, 0); /* from now on collected, and asked for by each test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
