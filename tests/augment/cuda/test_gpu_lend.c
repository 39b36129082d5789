/* Samples that are lent to streams: each stream reads what the host's decoder makes, whoever borrows a place next. The
 * streams are of another copy of CUDA's runtime than the module's, as those of PyTorch are. On a real device; tests/emu
 * runs the same on an emulated one. Skipped where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cuda_runtime_api.h>

#include "augment/feed.h"
#include "base/error.h"
#include "tests/augment/cuda/payloads.h"

enum { SIDE = 256, CROP = 224, PICTURES = 5, PLACES = 3, LOANS = 300, LOOKS = 12, STREAMS = 5 };
#define SAMPLE ((size_t)CROP * CROP * 3)

/* A block of one sample in pinned memory, and what it becomes. */
typedef struct {
    void *block;
    size_t size;
    uint8_t *wanted;
} picture;

typedef struct {
    an_batch_feed *feed;
    picture pictures[PICTURES];
    cudaStream_t streams[STREAMS];
    uint8_t *out[LOANS]; /* pinned: what the last look of each loan saw */
    int shown[LOANS];
} bench;

static void ok(cudaError_t status)
{
    if (status != cudaSuccess)
        fail_msg("CUDA: %s", cudaGetErrorString(status));
}

static void done(int rc)
{
    if (rc)
        fail_msg("%s", an_error_message());
}

static void *pinned(size_t size)
{
    void *out;
    ok(cudaHostAlloc(&out, size, cudaHostAllocPortable));
    return out;
}

static an_batch_feed_options options_of(size_t block)
{
    return (an_batch_feed_options){.decoder = {.device = "cuda:0",
                                               .batch = 1,
                                               .side = SIDE,
                                               .crop = CROP,
                                               .format = {AN_DTYPE_U8, AN_LAYOUT_NHWC, 3},
                                               .scale = 1},
                                   .places = PLACES,
                                   .block = block};
}

static void picture_make(picture *p, const an_batch_decoder_options *o, uint32_t seed)
{
    an_rng rng = an_rng_make(7, AN_RNG_TEST, seed, 0);
    an_image_draw draw = payload_draw(&rng, SIDE, CROP);
    an_buffer payload = {0};
    payload_batch batch;
    payload_make((payload_kind)(seed % SAMPLINGS), SIDE, 90, seed, &payload);
    payload_batch_start(&batch, 1);
    payload_batch_add(&batch, AN_PAYLOAD_COEF, payload.data, payload.size, draw);
    uint8_t *block = payload_batch_block(&batch, &p->size);
    p->block = pinned(p->size);
    memcpy(p->block, block, p->size);
    p->wanted = malloc(SAMPLE);
    assert_non_null(p->wanted);
    done(payload_expect(o, payload.data, payload.size, &draw, p->wanted));
    free(block);
    payload_batch_end(&batch);
    an_buffer_free(&payload);
}

static void bench_make(bench *b)
{
    an_batch_feed_options o = options_of(1);
    ok(cudaSetDevice(0));
    for (uint32_t i = 0; i < PICTURES; i++) {
        picture_make(&b->pictures[i], &o.decoder, i);
        o.block = b->pictures[i].size > o.block ? b->pictures[i].size : o.block;
    }
    for (int i = 0; i < STREAMS - 2; i++)
        ok(cudaStreamCreateWithFlags(&b->streams[i], cudaStreamNonBlocking));
    b->streams[STREAMS - 2] = cudaStreamLegacy;
    b->streams[STREAMS - 1] = cudaStreamPerThread;
    for (int i = 0; i < LOANS; i++)
        b->out[i] = pinned(SAMPLE);
    done(an_batch_feed_create(&b->feed, &o));
}

static void bench_free(bench *b)
{
    an_batch_feed_free(b->feed);
    for (int i = 0; i < STREAMS - 2; i++)
        ok(cudaStreamDestroy(b->streams[i]));
    for (int i = 0; i < PICTURES; i++) {
        ok(cudaFreeHost(b->pictures[i].block));
        free(b->pictures[i].wanted);
    }
    for (int i = 0; i < LOANS; i++)
        ok(cudaFreeHost(b->out[i]));
}

/* A batch into a place, and a stream that looks at it so often that it is far behind when the loan ends. */
static void lend(bench *b, int loan, an_rng *rng)
{
    uint32_t place = (uint32_t)loan % PLACES;
    cudaStream_t stream = b->streams[an_rng_below(rng, STREAMS)];
    const picture *p = &b->pictures[an_rng_below(rng, PICTURES)];
    b->shown[loan] = (int)(p - b->pictures);
    done(an_batch_feed_put(b->feed, place, p->block, p->size, 1));
    done(an_batch_feed_use(b->feed, place, stream));
    for (int i = 0; i < LOOKS; i++)
        ok(cudaMemcpyAsync(b->out[loan], an_batch_feed_samples(b->feed, place), SAMPLE, cudaMemcpyDeviceToHost,
                           stream));
    done(an_batch_feed_unuse(b->feed, place));
}

static void streams_see_their_batch(void **state)
{
    (void)state;
    static bench b;
    an_rng rng = an_rng_make(13, AN_RNG_TEST, 0, 0);
    bench_make(&b);
    for (int loan = 0; loan < LOANS; loan++)
        lend(&b, loan, &rng);
    for (int i = 0; i < STREAMS; i++)
        ok(cudaStreamSynchronize(b.streams[i]));
    for (uint32_t place = 0; place < PLACES; place++)
        done(an_batch_feed_wait(b.feed, place, NULL));
    for (int loan = 0; loan < LOANS; loan++)
        assert_memory_equal(b.out[loan], b.pictures[b.shown[loan]].wanted, SAMPLE);
    bench_free(&b);
}

static bool device_found(void)
{
    an_batch_feed *feed;
    an_batch_feed_options o = options_of(1);
    int rc = an_batch_feed_create(&feed, &o);
    if (rc == AN_EUNSUPPORTED)
        print_message("skipped: %s\n", an_error_message());
    else if (rc)
        print_error("%s\n", an_error_message());
    an_batch_feed_free(feed);
    return rc != AN_EUNSUPPORTED;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(streams_see_their_batch)};
    return device_found() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
