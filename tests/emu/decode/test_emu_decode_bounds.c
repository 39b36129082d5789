/* What the emulator sees of the decoder of batches: accesses outside of a buffer, work that is not waited for; and that
 * decoding can be captured into a graph. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cuda_runtime_api.h>

#include "base/error.h"
#include "tests/augment/cuda/payloads.h"
#include "tests/emu/emulator/emu.h"

enum { SIDE = 40, CROP = 32, SAMPLES = 4, SAMPLE = CROP * CROP * 3 };

static const an_batch_decoder_options options = {.device = "cuda:0",
                                                 .batch = SAMPLES,
                                                 .side = SIDE,
                                                 .crop = CROP,
                                                 .format = {AN_DTYPE_U8, AN_LAYOUT_NHWC, 3},
                                                 .scale = 1};

typedef struct {
    an_batch_decoder *decoder;
    cudaStream_t stream;
    uint8_t *block, *expected; /* on the host */
    size_t size;
    void *on_device, *samples;
} bench;

static void ok(cudaError_t status)
{
    assert_int_equal(status, cudaSuccess);
}

/* missing: bytes by which the samples' memory is too small. */
static void bench_make(bench *b, size_t missing)
{
    payload_batch batch;
    *b = (bench){.expected = malloc(SAMPLES * SAMPLE)};
    payload_batch_start(&batch, SAMPLES);
    for (uint32_t i = 0; i < SAMPLES; i++) {
        an_buffer payload = {0};
        an_image_draw draw = AN_IMAGE_DRAW(.x = i, .y = 2 * i, .flip = i % 2);
        payload_make((payload_kind)i, SIDE, 90, i, &payload);
        payload_batch_add(&batch, AN_PAYLOAD_COEF, payload.data, payload.size, draw);
        assert_int_equal(payload_expect(&options, payload.data, payload.size, &draw, b->expected + i * SAMPLE), AN_OK);
        an_buffer_free(&payload);
    }
    b->block = payload_batch_block(&batch, &b->size);
    payload_batch_end(&batch);
    assert_int_equal(an_batch_decoder_create(&b->decoder, &options), AN_OK);
    ok(cudaSetDevice(0));
    ok(cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking));
    ok(cudaMalloc(&b->on_device, b->size));
    ok(cudaMalloc(&b->samples, SAMPLES * SAMPLE - missing));
    ok(cudaMemcpyAsync(b->on_device, b->block, b->size, cudaMemcpyHostToDevice, b->stream));
}

static void bench_free(bench *b)
{
    ok(cudaStreamSynchronize(b->stream));
    an_batch_decoder_free(b->decoder);
    ok(cudaFree(b->on_device));
    ok(cudaFree(b->samples));
    ok(cudaStreamDestroy(b->stream));
    free(b->block);
    free(b->expected);
}

static void queue(bench *b, size_t size)
{
    assert_int_equal(an_batch_decoder_queue(b->decoder, b->on_device, size, SAMPLES, b->samples, b->stream), AN_OK);
    ok(cudaStreamSynchronize(b->stream));
}

static void assert_violation(const char *part)
{
    char first[512];
    assert_true(emu_violations(first, sizeof first) > 0);
    if (!strstr(first, part))
        fail_msg("'%s' lacks '%s'", first, part);
}

static void test_bounds(void **state)
{
    (void)state;
    bench b;
    emu_violations(NULL, 0);
    bench_make(&b, 0);
    queue(&b, b.size);
    assert_int_equal(emu_violations(NULL, 0), 0);
    queue(&b, b.size + 1);
    assert_violation("an_decode_rows: what a kernel reads");
    emu_extra_item("an_decode_rows");
    queue(&b, b.size);
    assert_violation("an_decode_rows: ");
    emu_extra_item(NULL);
    bench_free(&b);
    assert_violation("bytes before or behind a buffer were overwritten"); /* by that item */
    bench_make(&b, 1);
    queue(&b, b.size);
    assert_violation("an_decode_pixels: what a kernel writes");
    bench_free(&b);
    assert_int_equal(emu_violations(NULL, 0), 0);
}

static void test_graph(void **state)
{
    (void)state;
    uint8_t made[SAMPLES * SAMPLE];
    uint32_t fault;
    cudaGraph_t graph;
    cudaGraphExec_t runnable;
    bench b;
    bench_make(&b, 0);
    ok(cudaStreamSynchronize(b.stream));
    ok(cudaStreamBeginCapture(b.stream, cudaStreamCaptureModeThreadLocal));
    assert_int_equal(an_batch_decoder_queue(b.decoder, b.on_device, b.size, SAMPLES, b.samples, b.stream), AN_OK);
    ok(cudaStreamEndCapture(b.stream, &graph));
    ok(cudaGraphInstantiate(&runnable, graph, 0));
    for (int round = 0; round < 2; round++) {
        ok(cudaMemsetAsync(b.samples, 0, sizeof made, b.stream));
        ok(cudaGraphLaunch(runnable, b.stream));
        ok(cudaMemcpyAsync(made, b.samples, sizeof made, cudaMemcpyDeviceToHost, b.stream));
        ok(cudaStreamSynchronize(b.stream));
        assert_memory_equal(made, b.expected, sizeof made);
        assert_int_equal(an_batch_decoder_result(b.decoder, &fault), AN_OK);
    }
    ok(cudaGraphExecDestroy(runnable));
    ok(cudaGraphDestroy(graph));
    bench_free(&b);
    assert_int_equal(emu_violations(NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bounds), cmocka_unit_test(test_graph)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
