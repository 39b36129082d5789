/* Decoding batches on a device, through the module: the samples are those of the host's decoder, damage is reported,
 * and work is ordered by its stream alone. On a real device; tests/emu runs the same on an emulated one. Skipped where
 * there is no device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cuda_runtime_api.h>

#include "base/error.h"
#include "base/rng.h"
#include "tests/augment/cuda/payloads.h"
#include "tests/store/message.h"

static const an_format rgb = {AN_DTYPE_U8, AN_LAYOUT_NHWC, 3};

/* A decoder with what its batches need on the device. */
typedef struct {
    an_batch_decoder_options options;
    an_batch_decoder *decoder;
    cudaStream_t stream;
    void *block, *samples; /* on the device */
    size_t room;           /* of block */
    uint32_t batch;
} bench;

static void ok(cudaError_t status)
{
    if (status != cudaSuccess)
        fail_msg("CUDA: %s", cudaGetErrorString(status));
}

static void bench_make(bench *b, const an_batch_decoder_options *options, size_t room)
{
    *b = (bench){.options = *options, .room = room, .batch = options->batch};
    b->options.device = "cuda:0";
    int rc = an_batch_decoder_create(&b->decoder, &b->options);
    if (rc)
        fail_msg("%s", an_error_message());
    assert_int_equal(an_batch_decoder_bytes(b->decoder), payload_sample_bytes(options));
    assert_true(an_batch_decoder_memory(b->decoder) > 0);
    ok(cudaSetDevice(0));
    ok(cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking));
    ok(cudaMalloc(&b->block, room));
    ok(cudaMalloc(&b->samples, payload_sample_bytes(options) * b->batch));
    ok(cudaMemsetAsync(b->samples, 0xA5, payload_sample_bytes(options) * b->batch, b->stream));
}

static void bench_free(bench *b)
{
    an_batch_decoder_free(b->decoder);
    ok(cudaFree(b->block));
    ok(cudaFree(b->samples));
    ok(cudaStreamDestroy(b->stream));
}

/* Copies a batch to the device, decodes it and fetches the samples, which the caller frees. */
static uint8_t *bench_decode(bench *b, const payload_batch *batch)
{
    size_t size, each = payload_sample_bytes(&b->options);
    uint8_t *block = payload_batch_block(batch, &size), *made = malloc(each * batch->count);
    assert_true(made && size <= b->room);
    ok(cudaMemcpyAsync(b->block, block, size, cudaMemcpyHostToDevice, b->stream));
    int rc = an_batch_decoder_queue(b->decoder, b->block, size, batch->count, b->samples, b->stream);
    if (rc)
        fail_msg("%s", an_error_message());
    ok(cudaMemcpyAsync(made, b->samples, each * batch->count, cudaMemcpyDeviceToHost, b->stream));
    ok(cudaStreamSynchronize(b->stream));
    free(block);
    return made;
}

/* Where the samples of a sound batch first differ from the host's, if they do. */
static void compare(bench *b, const payload_batch *batch)
{
    size_t each = payload_sample_bytes(&b->options);
    uint8_t *made = bench_decode(b, batch), *expected = malloc(each);
    uint32_t fault = UINT32_MAX;
    int rc = an_batch_decoder_result(b->decoder, &fault);
    if (rc)
        fail_msg("sample %u: %s", fault, an_error_message());
    assert_non_null(expected);
    for (uint32_t i = 0; i < batch->count; i++) {
        const an_payload *place = &batch->places[i];
        const uint8_t *payload = batch->bytes.data + place->offset;
        assert_int_equal(payload_expect(&b->options, payload, place->size, &batch->draws[i], expected), AN_OK);
        for (size_t k = 0; k < each; k++)
            if (made[i * each + k] != expected[k])
                fail_msg("side %u crop %u format %d %d %d sample %u (sampling %d, x %u y %u flip %u): byte %zu is %d, "
                         "not %d",
                         b->options.side, b->options.crop, (int)b->options.format.dtype, (int)b->options.format.layout,
                         b->options.format.channels, i, payload[1], batch->draws[i].x, batch->draws[i].y,
                         batch->draws[i].flip, k, made[i * each + k], expected[k]);
    }
    free(made);
    free(expected);
}

/* Payloads of all samplings; count is a multiple of their number. */
static void fill(payload_batch *batch, uint32_t count, uint32_t side, uint32_t crop, int quality, an_rng *rng)
{
    payload_batch_start(batch, count);
    for (uint32_t i = 0; i < count; i++) {
        an_buffer payload = {0};
        payload_make((payload_kind)(i % SAMPLINGS), side, quality, an_rng_u32(rng), &payload);
        payload_batch_add(batch, AN_PAYLOAD_COEF, payload.data, payload.size, payload_draw(rng, side, crop));
        an_buffer_free(&payload);
    }
}

static void check_size(uint32_t side, uint32_t crop, int quality, an_format format, const float *mean)
{
    an_batch_decoder_options o = {.batch = 8, .side = side, .crop = crop, .format = format, .scale = 1};
    an_rng rng = an_rng_make(5, AN_RNG_TEST, side, crop);
    bench b;
    o.mean = mean;
    o.mean_side = mean ? side : 0;
    if (format.dtype != AN_DTYPE_U8)
        o.scale = 1 / 57.3;
    for (int c = 0; c < 3 && crop % 2 && format.dtype != AN_DTYPE_U8; c++)
        o.deviation[c] = 1 + 0.3 * c;
    bench_make(&b, &o, (size_t)16 << 20);
    for (int round = 0; round < 2; round++) {
        payload_batch batch;
        fill(&batch, 8, side, crop, quality, &rng);
        compare(&b, &batch);
        payload_batch_end(&batch);
    }
    bench_free(&b);
}

static void test_sizes(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {{1, 1},   {2, 2},   {3, 1},    {8, 8},     {9, 5},     {16, 16},  {17, 12},
                                        {33, 32}, {64, 56}, {100, 99}, {256, 224}, {256, 256}, {520, 448}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_size(sizes[i][0], sizes[i][1], 90, rgb, NULL);
}

static void test_qualities(void **state)
{
    (void)state;
    for (int quality = 1; quality <= 100; quality += 9)
        check_size(72, 56, quality, rgb, NULL);
}

static void test_formats(void **state)
{
    (void)state;
    static float mean[48 * 48 * 3];
    an_rng rng = an_rng_make(4, AN_RNG_TEST, 0, 0);
    for (size_t i = 0; i < sizeof mean / sizeof *mean; i++)
        mean[i] = (float)(100 + 40 * an_rng_uniform(&rng));
    for (int i = 0; i < 4 * 2 * 3; i++) {
        static const int channels[] = {1, 3, 4};
        an_format format = {(an_dtype)(i % 4), (an_layout)(i / 4 % 2), channels[i / 8]};
        check_size(48, 40, 90, format, i % 4 ? mean : NULL);
        check_size(48, 37, 90, format, NULL);
    }
}

/* The first damaged sample of a batch is told, once, and the batches after it are sound again. */
static void test_damage(void **state)
{
    (void)state;
    enum { SIDE = 64, CROP = 56 };
    an_batch_decoder_options o = {.batch = 8, .side = SIDE, .crop = CROP, .format = rgb, .scale = 1};
    an_rng rng = an_rng_make(6, AN_RNG_TEST, 0, 0);
    payload_batch batch;
    uint32_t fault = UINT32_MAX;
    bench b;
    bench_make(&b, &o, (size_t)1 << 20);
    fill(&batch, 8, SIDE, CROP, 90, &rng);
    compare(&b, &batch);
    uint8_t *third = batch.bytes.data + batch.places[3].offset, *last = batch.bytes.data + batch.places[7].offset;
    uint8_t kept[8];
    memcpy(kept, third, sizeof kept);
    last[3] = 1;   /* must be 0 */
    third[4] ^= 1; /* the width */
    free(bench_decode(&b, &batch));
    assert_int_equal(an_batch_decoder_result(b.decoder, &fault), AN_ECORRUPT);
    assert_int_equal(fault, 3);
    assert_message("coef payload of 65x64 pixels where 64x64 are declared");
    assert_int_equal(an_batch_decoder_result(b.decoder, &fault), AN_OK);
    memcpy(third, kept, sizeof kept);
    free(bench_decode(&b, &batch));
    assert_int_equal(an_batch_decoder_result(b.decoder, &fault), AN_ECORRUPT);
    assert_int_equal(fault, 7);
    assert_message("coef payload has a damaged header");
    last[3] = 0;
    compare(&b, &batch);
    payload_batch_end(&batch);
    bench_free(&b);
}

static void test_limits(void **state)
{
    (void)state;
    an_batch_decoder_options o = {.batch = 2, .side = 16, .crop = 8, .format = rgb, .scale = 1};
    an_batch_decoder *none = NULL;
    bench b;
    bench_make(&b, &o, 4096);
    assert_int_equal(an_batch_decoder_queue(b.decoder, b.block, 4096, 3, b.samples, b.stream), AN_EINVAL);
    assert_int_equal(an_batch_decoder_queue(b.decoder, b.block, 8, 2, b.samples, b.stream), AN_EINVAL);
    bench_free(&b);
    o.device = "cuda:0";
    o.crop = 17;
    assert_int_equal(an_batch_decoder_create(&none, &o), AN_EINVAL);
    o.crop = 8;
    o.format.dtype = AN_DTYPE_F32;
    o.deviation[0] = o.deviation[1] = 50;
    assert_int_equal(an_batch_decoder_create(&none, &o), AN_EINVAL);
    assert_message("deviation 0 is impossible");
    o.deviation[2] = 50;
    o.format.channels = 2;
    assert_int_equal(an_batch_decoder_create(&none, &o), AN_EINVAL);
    assert_message("2 channels");
    o.format.channels = 3;
    o.device = "cuda:99";
    assert_int_equal(an_batch_decoder_create(&none, &o), AN_EUNSUPPORTED);
    assert_message("no cuda:99");
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),  cmocka_unit_test(test_qualities), cmocka_unit_test(test_formats),
        cmocka_unit_test(test_damage), cmocka_unit_test(test_limits),
    };
    an_batch_decoder_options o = {.device = "cuda:0", .batch = 1, .side = 8, .crop = 8, .format = rgb, .scale = 1};
    an_batch_decoder *decoder;
    int rc = an_batch_decoder_create(&decoder, &o);
    if (rc) {
        fprintf(stderr, "%s\n", an_error_message());
        return rc == AN_EUNSUPPORTED ? 77 : 1;
    }
    an_batch_decoder_free(decoder);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
