/* Images are copied to the device as bytes and converted there, to the same bits as the loader's own conversion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "augment/sample.h"
#include "base/rng.h"
#include "model/exec.h"
#include "model/init.h"
#include "small_net.h"
#include "support.h"
#include "tests/emu/emulator/emu.h"

#define AN_BODY static inline __attribute__((unused))
#define AN_LANES 1
#define AN_LANE 0
#define AN_LANES_SUM(x) (x)
#define AN_LANES_MAX(x) (x)
#include "model/cuda/kernels/bodies.h"

#define BATCH 4
#define SIDE 28 /* of the records; the crops are SMALL_SIDE */
#define PIXELS (SIDE * SIDE * 3)

/* A training set: records, and statistics that are not round numbers. */
typedef struct {
    uint8_t records[BATCH][PIXELS];
    float mean_image[PIXELS];
    an_statistics statistics;
} training_set;

static void set_make(training_set *s)
{
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 21, 0);
    for (size_t n = 0; n < BATCH; n++)
        for (size_t i = 0; i < PIXELS; i++)
            s->records[n][i] = (uint8_t)an_rng_below(&rng, 256);
    for (size_t i = 0; i < PIXELS; i++)
        s->mean_image[i] = (float)(an_rng_uniform(&rng) * 255);
    s->statistics = (an_statistics){.side = SIDE,
                                    .images = BATCH,
                                    .mean = {123.4567, 117.001, 104.3},
                                    .eigenvalue = {7012.3, 911.1, 77.7},
                                    .eigenvector = {{0.58, 0.57, 0.58}, {0.7, 0, -0.7}, {0.41, -0.81, 0.42}},
                                    .mean_image = s->mean_image};
}

/* How images become inputs. */
typedef struct {
    an_mean_kind mean;
    double jitter, scale;
} recipe;

static const recipe recipes[] = {
    {AN_MEAN_PIXEL, 0.1, 1 / 57.3}, {AN_MEAN_PIXEL, 0, 1}, {AN_MEAN_CHANNEL, 0.1, 1 / 57.3}, {AN_MEAN_NONE, 0, 1}};
#define RECIPES (sizeof recipes / sizeof *recipes)

static void sampler_make(an_sampler **out, const training_set *s, const recipe *r, an_format format)
{
    bool bytes = format.dtype == AN_DTYPE_U8;
    an_sample_options options = {.crop = SMALL_SIDE,
                                 .random_crop = true,
                                 .flip = true,
                                 .jitter = r->jitter,
                                 .mean = bytes ? AN_MEAN_NONE : r->mean,
                                 .scale = bytes ? 1 : r->scale,
                                 .format = format};
    an_test_ok(an_sampler_create(out, &options, SIDE, &s->statistics), "sampler");
}

/* The batch in a format, as the loader makes it, and what was drawn. */
static void batch_make(const training_set *s, const recipe *r, an_format format, void *out, an_image_draw draws[BATCH])
{
    an_sampler *sampler;
    an_sample_scratch *scratch;
    sampler_make(&sampler, s, r, format);
    an_test_ok(an_sample_scratch_create(&scratch, sampler), "scratch");
    for (uint32_t i = 0; i < BATCH; i++) {
        an_record record = {.header = {.codec = AN_CODEC_RGB, .width = SIDE, .height = SIDE, .length = PIXELS},
                            .payload = s->records[i]};
        an_sample_draw draw;
        an_sampler_draw(sampler, 5, 2, i, &draw);
        draws[i] = an_sample_image_draw(&draw);
        an_test_ok(an_sampler_make(sampler, scratch, &record, &draw, (uint8_t *)out + i * an_sampler_bytes(sampler)),
                   "sample");
    }
    an_sample_scratch_free(scratch);
    an_sampler_free(sampler);
}

/* Finished on the CPU: canonical floats, rounded as the precision stores them. */
static void batch_expected(const training_set *s, const recipe *r, bool half, float out[BATCH * SMALL_IMAGE])
{
    an_image_draw draws[BATCH];
    batch_make(s, r, (an_format){half ? AN_DTYPE_BF16 : AN_DTYPE_F32, AN_LAYOUT_NCHW, 3}, out, draws);
    for (size_t i = BATCH * SMALL_IMAGE; half && i-- > 0;) {
        uint32_t bits = (uint32_t)((const uint16_t *)(const void *)out)[i] << 16;
        memcpy(&out[i], &bits, sizeof bits);
    }
}

typedef struct {
    an_exec *exec;
    void *pixels;
    an_image_draw *draws;
    an_images images;
} feeder;

static void feeder_make(feeder *f, const training_set *s, const recipe *r, const char *devices, an_precision precision)
{
    float colour[3];
    an_conversion conversion = {.mean = NULL, .side = 1, .scale = r->scale};
    for (int c = 0; c < 3; c++)
        colour[c] = (float)s->statistics.mean[c];
    if (r->mean != AN_MEAN_NONE)
        conversion.mean = r->mean == AN_MEAN_PIXEL ? s->mean_image : colour;
    if (r->mean == AN_MEAN_PIXEL)
        conversion.side = SIDE;
    an_exec_options options = {.devices = devices,
                               .batch = BATCH,
                               .threads = 1,
                               .training = true,
                               .seed = 1,
                               .precision = precision,
                               .conversion = &conversion};
    an_graph graph;
    void *draws;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    an_test_ok(an_exec_create(&f->exec, &graph, &options), devices);
    an_test_ok(an_init_parameters(f->exec, AN_INIT_PAPER, 5), "init");
    an_test_ok(an_exec_images_alloc(f->exec, &f->pixels, BATCH * SMALL_IMAGE), "pixels");
    an_test_ok(an_exec_images_alloc(f->exec, &draws, BATCH * sizeof *f->draws), "draws");
    f->draws = draws;
    f->images = (an_images){.pixels = f->pixels, .draws = f->draws};
    batch_make(s, r, an_exec_input_format(f->exec), f->pixels, f->draws);
}

static void feeder_free(feeder *f)
{
    an_exec_images_free(f->exec, f->pixels, BATCH * SMALL_IMAGE);
    an_exec_images_free(f->exec, f->draws, BATCH * sizeof *f->draws);
    an_exec_free(f->exec);
}

/* The input of the first layer. */
static void feeder_input(feeder *f, const an_images *images, uint32_t count, float *out)
{
    an_test_ok(an_exec_evaluate(f->exec, images, NULL, count, NULL, NULL), "evaluate");
    an_test_ok(an_exec_activation_get(f->exec, "input", count, out), "input");
}

static void no_violations(void)
{
    char text[512];
    if (emu_violations(text, sizeof text))
        fail_msg("the emulator complains: %s", text);
}

static void check_recipe(const training_set *s, const recipe *r, const char *devices, an_precision precision)
{
    feeder f;
    float *got = an_test_zeros(BATCH * SMALL_IMAGE, sizeof *got);
    float *expected = an_test_zeros(BATCH * SMALL_IMAGE, sizeof *expected);
    feeder_make(&f, s, r, devices, precision);
    batch_expected(s, r, precision == AN_PRECISION_BF16, expected);
    for (uint32_t count = BATCH; count > 1; count--) { /* both places on the device, and short batches */
        memset(got, 0, BATCH * SMALL_IMAGE * sizeof *got);
        feeder_input(&f, &f.images, count, got);
        assert_memory_equal(got, expected, count * SMALL_IMAGE * sizeof *got);
    }
    feeder_free(&f);
    free(got);
    free(expected);
    no_violations();
}

static void test_devices_convert_as_the_loader_does(void **state)
{
    (void)state;
    training_set *s = an_test_zeros(1, sizeof *s);
    set_make(s);
    for (size_t i = 0; i < RECIPES; i++) {
        check_recipe(s, &recipes[i], "cuda:0", AN_PRECISION_F32);
        check_recipe(s, &recipes[i], "cuda:0", AN_PRECISION_BF16);
    }
    check_recipe(s, &recipes[0], "cuda:0,cuda:1", AN_PRECISION_F32);
    free(s);
}

/* A crop place, mirroring or shift that is not the image's own changes this image, and no other. */
static void test_a_wrong_draw_shows(void **state)
{
    (void)state;
    training_set *s = an_test_zeros(1, sizeof *s);
    feeder f;
    float *right = an_test_zeros(BATCH * SMALL_IMAGE, sizeof *right), *got = an_test_zeros(BATCH * SMALL_IMAGE, 4);
    set_make(s);
    feeder_make(&f, s, &recipes[0], "cuda:0", AN_PRECISION_F32);
    feeder_input(&f, &f.images, BATCH, right);
    for (int wrong = 0; wrong < 4; wrong++) {
        an_image_draw kept = f.draws[1];
        f.draws[1].x ^= wrong == 0;
        f.draws[1].y ^= wrong == 1;
        f.draws[1].flip ^= wrong == 2;
        f.draws[1].shift[2] += wrong == 3;
        feeder_input(&f, &f.images, BATCH, got);
        for (size_t i = 0; i < BATCH; i++)
            assert_int_equal(memcmp(got + i * SMALL_IMAGE, right + i * SMALL_IMAGE, SMALL_IMAGE * sizeof *got) != 0,
                             i == 1);
        f.draws[1] = kept;
    }
    feeder_free(&f);
    free(right);
    free(got);
    free(s);
    no_violations();
}

/* A batch without draws is neither shifted nor mirrored, even after a batch that had draws. */
static void test_batches_without_draws(void **state)
{
    (void)state;
    training_set *s = an_test_zeros(1, sizeof *s);
    feeder f;
    float *a = an_test_zeros(BATCH * SMALL_IMAGE, sizeof *a), *b = an_test_zeros(BATCH * SMALL_IMAGE, sizeof *b);
    set_make(s);
    feeder_make(&f, s, &recipes[0], "cuda:0", AN_PRECISION_F32);
    for (int i = 0; i < 2; i++)
        feeder_input(&f, &f.images, BATCH, a);
    feeder_input(&f, &(an_images){.pixels = f.pixels}, BATCH, a);
    for (int i = 0; i < BATCH; i++)
        f.draws[i] = AN_IMAGE_DRAW();
    feeder_input(&f, &f.images, BATCH, b);
    assert_memory_equal(a, b, BATCH * SMALL_IMAGE * sizeof *a);
    feeder_free(&f);
    free(a);
    free(b);
    free(s);
    no_violations();
}

/* A prefetched batch brings its own draws; the same pixels with other draws are another batch. */
static void test_announced_draws(void **state)
{
    (void)state;
    training_set *s = an_test_zeros(1, sizeof *s);
    static const uint32_t labels[BATCH] = {4, 0, 2, 1};
    feeder f;
    an_exec_result result;
    float *a = an_test_zeros(BATCH * SMALL_IMAGE, sizeof *a), *b = an_test_zeros(BATCH * SMALL_IMAGE, sizeof *b);
    set_make(s);
    feeder_make(&f, s, &recipes[0], "cuda:0,cuda:1", AN_PRECISION_F32);
    feeder_input(&f, &f.images, BATCH, a);
    feeder_input(&f, &(an_images){.pixels = f.pixels}, BATCH, b);
    assert_memory_not_equal(a, b, BATCH * SMALL_IMAGE * sizeof *a);
    for (int same = 0; same < 2; same++) {
        float *got = an_test_zeros(BATCH * SMALL_IMAGE, sizeof *got);
        an_exec_prefetch(f.exec, &f.images, BATCH);
        an_test_ok(an_exec_step(f.exec, &f.images, labels, BATCH, 0, &result), "step");
        uint64_t before = emu_count().to_device;
        feeder_input(&f, same ? &f.images : &(an_images){.pixels = f.pixels}, BATCH, got);
        assert_memory_equal(got, same ? a : b, BATCH * SMALL_IMAGE * sizeof *got);
        assert_int_equal(emu_count().to_device - before, same ? 0 : 2 * BATCH * SMALL_IMAGE);
        free(got);
    }
    feeder_free(&f);
    free(a);
    free(b);
    free(s);
    no_violations();
}

/* The channels that are added for tensor cores are zero, whatever the memory held before. */
static void test_spare_channels_are_zero(void **state)
{
    (void)state;
    uint8_t pixels[2 * 2 * 3];
    float colour[4 * 8] = {1, 2, 3, 1, 2, 3}, out[4 * 4] __attribute__((aligned(16)));
    memset(pixels, 200, sizeof pixels);
    for (int half = 0; half < 2; half++) {
        an_convert_args args = {.at = {.out = {out}, .in = {pixels, NULL, colour}, .items = 4},
                                .h = 2,
                                .w = 2,
                                .row = 6,
                                .image_bytes = 12,
                                .side = 1,
                                .rows = an_divisor_of(2),
                                .columns = an_divisor_of(2),
                                .groups = an_divisor_of(1),
                                .line = an_divisor_of(3),
                                .mean_plane = 8,
                                .scale = 1,
                                .stored = half ? AN_STORED_BF16 : AN_STORED_F32};
        uint64_t channels = half ? 8 : 4;
        memset(out, 0xFF, sizeof out);
        for (uint64_t i = 0; i < args.at.items; i++)
            an_body_convert(&args, i);
        for (uint64_t i = 0; i < 4 * channels; i++) {
            int c = (int)(i % channels);
            assert_true(an_load(out, args.stored, i) == (c < 3 ? 199 - c : 0));
        }
    }
}

/* Images of h x w pixels as blocks of 4 x 4 pixels that begin pad pixels above and to the left of them. */
#define PAIR_IMAGES 3
#define PAIR_SIDE 24 /* at most, of the images; the mean image has two pixels more */
typedef struct {
    int h, w, pad, rows, columns;
    bool mean; /* a mean image, and draws; else one mean, and none */
} block_case;

static const block_case block_cases[] = {{20, 16, 0, 6, 5, true}, {20, 16, 4, 7, 6, true},  {18, 20, 0, 5, 6, true},
                                         {17, 24, 4, 7, 8, true}, {19, 20, 8, 7, 9, false}, {24, 20, 0, 6, 5, false}};

static an_convert_args blocks_args(const block_case *c, const uint8_t *pixels, const an_image_draw *draws,
                                   const float *mean, an_stored stored)
{
    int mean_side = PAIR_SIDE + 2;
    return (an_convert_args){.at = {.in = {pixels, c->mean ? draws : NULL, mean}},
                             .h = c->h,
                             .w = c->w,
                             .row = 3 * c->w,
                             .image_bytes = (uint32_t)(3 * c->h * c->w),
                             .side = 4,
                             .pad = c->pad,
                             .rows = an_divisor_of((uint32_t)c->rows),
                             .columns = an_divisor_of((uint32_t)c->columns),
                             .groups = an_divisor_of(stored == AN_STORED_F32 ? 12 : 6),
                             .line = an_divisor_of(12),
                             .mean_side = c->mean ? mean_side : 0,
                             .mean_plane = (uint32_t)(c->mean ? 3 * mean_side * mean_side : 3 * PAIR_SIDE),
                             .words = 1,
                             .scale = 1 / 57.3F,
                             .stored = stored};
}

/* What value i of an image's blocks is of that image when it is mixed with its partner, whose value there is given. */
static float mixed_value(const block_case *c, const an_image_draw *draw, size_t i, float own, float partner)
{
    int block = (int)(i / 48), pixel = (int)(i % 48 / 3);
    int y = block / c->columns * 4 + pixel / 4 - c->pad, x = block % c->columns * 4 + pixel % 4 - c->pad;
    if (!draw->box[2])
        return draw->share * own + (1 - draw->share) * partner;
    return x >= draw->box[0] && x < draw->box[2] && y >= draw->box[1] && y < draw->box[3] ? partner : own;
}

/* The kernel for batches with mixed images against mixtures of what the other one makes of them. plain: their values.
 */
static void check_mixed_blocks(const block_case *c, an_convert_args args, an_image_draw draws[PAIR_IMAGES],
                               const float *plain)
{
    enum { MOST = PAIR_IMAGES * 9 * 9 * 48 };
    static float out[MOST] __attribute__((aligned(16)));
    size_t image = (size_t)(c->rows * c->columns * 48);
    args.at.out[0] = out;
    args.at.items = PAIR_IMAGES * image / 4;
    args.images = PAIR_IMAGES;
    draws[0].share = 0.3F;
    draws[1].share = 0.9F;
    memcpy(draws[1].box, (uint16_t[4]){2, 3, 9, 8}, sizeof draws[1].box);
    draws[2].share = 0.5F; /* it has no partner */
    for (uint64_t i = 0; i < args.at.items; i++)
        an_body_convert_mixed(&args, i);
    for (size_t i = 0; i < 2 * image; i++) {
        size_t n = i / image, partner = (n ^ 1) * image + i % image;
        assert_true(out[i] == mixed_value(c, &draws[n], i % image, plain[i], plain[partner]));
    }
    assert_memory_equal(out + 2 * image, plain + 2 * image, image * sizeof *out);
    for (int n = 0; n < PAIR_IMAGES; n++) {
        draws[n].share = 1;
        memset(draws[n].box, 0, sizeof draws[n].box);
    }
}

/* The kernel for blocks of 4 x 4 pixels gives the bits of the one for all shapes: also where images end within a block,
 * and where blocks lie outside. */
static void test_pairs_of_rows_have_the_same_bits(void **state)
{
    (void)state;
    static uint8_t pixels[PAIR_IMAGES * PAIR_SIDE * PAIR_SIDE * 3] __attribute__((aligned(16)));
    static float mean[8 * 3 * (PAIR_SIDE + 2) * (PAIR_SIDE + 2)] __attribute__((aligned(16)));
    enum { MOST = PAIR_IMAGES * 9 * 9 * 48 };
    static float out[2][MOST] __attribute__((aligned(16)));
    an_image_draw draws[PAIR_IMAGES] = {AN_IMAGE_DRAW(.shift = {1.5F, -2.25F, 0.3F}, .x = 1, .y = 2),
                                        AN_IMAGE_DRAW(.shift = {-0.1F, 0.2F, 7}, .x = 2, .y = 0, .flip = 1),
                                        AN_IMAGE_DRAW(.shift = {0, 0, -3.3F}, .x = 0, .y = 1)};
    an_rng rng = an_rng_make(4, AN_RNG_TEST, 22, 0);
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)an_rng_below(&rng, 256);
    for (size_t i = 0; i < sizeof mean / sizeof *mean; i++)
        mean[i] = (float)(an_rng_uniform(&rng) * 255);
    for (size_t k = 0; k < 2 * sizeof block_cases / sizeof *block_cases; k++) {
        const block_case *c = &block_cases[k / 2];
        an_convert_args args = blocks_args(c, pixels, draws, mean, k % 2 ? AN_STORED_BF16 : AN_STORED_F32);
        size_t blocks = (size_t)(PAIR_IMAGES * c->rows * c->columns), size = blocks * 48 * (k % 2 ? 2 : 4);
        assert_true(an_convert_suits_pairs(&args));
        memset(out, 0xFF, sizeof out);
        for (int pairs = 0; pairs < 2; pairs++) {
            args.at.out[0] = out[pairs];
            args.at.items = blocks * (pairs ? 2 : args.groups.by);
            for (uint64_t i = 0; i < args.at.items; i++) {
                if (pairs)
                    an_body_convert_pairs(&args, i);
                else
                    an_body_convert(&args, i);
            }
        }
        assert_memory_equal(out[0], out[1], size);
        if (k % 2 == 0 && c->mean)
            check_mixed_blocks(c, args, draws, out[0]);
    }
}

static void test_impossible_conversions_are_refused(void **state)
{
    (void)state;
    training_set *s = an_test_zeros(1, sizeof *s);
    feeder f;
    an_exec *exec;
    an_graph graph;
    set_make(s);
    an_conversion small = {.mean = s->mean_image, .side = SMALL_SIDE - 1, .scale = 1};
    an_conversion nothing = {.mean = s->mean_image, .side = SIDE, .scale = 0};
    an_exec_options options = {.devices = "cuda:0", .batch = BATCH, .threads = 1, .conversion = &small};
    an_small_net(&graph, AN_ACTIVATION_RELU);
    an_test_refused(an_exec_create(&exec, &graph, &options), "mean image of 18 pixels for images of 19");
    options.conversion = &nothing;
    an_test_refused(an_exec_create(&exec, &graph, &options), "multiplied with 0");
    feeder_make(&f, s, &recipes[0], "cuda:0", AN_PRECISION_F32);
    f.draws[2].x = SIDE - SMALL_SIDE + 1;
    an_test_refused(an_exec_evaluate(f.exec, &f.images, NULL, BATCH, NULL, NULL), "image 2 lies at 10,");
    an_test_ok(an_exec_evaluate(f.exec, &f.images, NULL, 2, NULL, NULL), "the others");
    feeder_free(&f);
    free(s);
    no_violations();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_devices_convert_as_the_loader_does),
        cmocka_unit_test(test_a_wrong_draw_shows),
        cmocka_unit_test(test_batches_without_draws),
        cmocka_unit_test(test_announced_draws),
        cmocka_unit_test(test_spare_channels_are_zero),
        cmocka_unit_test(test_pairs_of_rows_have_the_same_bits),
        cmocka_unit_test(test_impossible_conversions_are_refused),
    };
    (void)emu_violations(NULL, 0); /* from now on collected, and asked for by each test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
