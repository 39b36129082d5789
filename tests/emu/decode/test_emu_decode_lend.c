/* Places of a feed that are lent to streams: every wait is needed and there, nothing is overwritten while it is read,
 * and the host never waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cuda_runtime_api.h>

#include "augment/feed.h"
#include "tests/augment/cuda/payloads.h"
#include "tests/emu/emulator/emu.h"
#include "tests/store/message.h"

enum { SIDE = 24, CROP = 16, PICTURES = 5, SAMPLE = CROP * CROP * 3, PLACES = 6, STREAMS = 5 };

/* A block of one sample in pinned memory, and what it becomes. */
typedef struct {
    void *block;
    size_t size;
    uint8_t wanted[SAMPLE];
} picture;

/* A feed, pictures for it, and streams that borrow. */
typedef struct {
    an_batch_feed *feed;
    an_batch_feed_options options;
    picture pictures[PICTURES];
    cudaStream_t streams[STREAMS];
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
    done(payload_expect(o, payload.data, payload.size, &draw, p->wanted));
    free(block);
    payload_batch_end(&batch);
    an_buffer_free(&payload);
}

static void bench_make(bench *b, uint32_t places, uint32_t places_max)
{
    memset(b, 0, sizeof *b);
    b->options = (an_batch_feed_options){.decoder = {.device = "cuda:0",
                                                     .batch = 1,
                                                     .side = SIDE,
                                                     .crop = CROP,
                                                     .format = {AN_DTYPE_U8, AN_LAYOUT_NHWC, 3},
                                                     .scale = 1},
                                         .places = places,
                                         .places_max = places_max};
    ok(cudaSetDevice(0));
    for (uint32_t i = 0; i < PICTURES; i++) {
        picture_make(&b->pictures[i], &b->options.decoder, i);
        if (b->pictures[i].size > b->options.block)
            b->options.block = b->pictures[i].size;
    }
    for (int i = 0; i < STREAMS - 2; i++)
        ok(cudaStreamCreateWithFlags(&b->streams[i], cudaStreamNonBlocking));
    b->streams[STREAMS - 2] = cudaStreamLegacy;
    b->streams[STREAMS - 1] = cudaStreamPerThread;
    done(an_batch_feed_create(&b->feed, &b->options));
}

static void bench_free(bench *b)
{
    an_batch_feed_free(b->feed);
    for (int i = 0; i < STREAMS - 2; i++)
        ok(cudaStreamDestroy(b->streams[i]));
    for (int i = 0; i < PICTURES; i++)
        ok(cudaFreeHost(b->pictures[i].block));
}

static void put(bench *b, uint32_t place, int number)
{
    done(an_batch_feed_put(b->feed, place, b->pictures[number].block, b->pictures[number].size, 1));
}

/* A stream borrows a place and copies what it finds. */
static void borrow(bench *b, uint32_t place, cudaStream_t stream, void *out)
{
    done(an_batch_feed_use(b->feed, place, stream));
    ok(cudaMemcpyAsync(out, an_batch_feed_samples(b->feed, place), SAMPLE, cudaMemcpyDeviceToHost, stream));
}

static void no_violations(void)
{
    char text[512];
    if (emu_violations(text, sizeof text))
        fail_msg("the emulator complains: %s", text);
}

/* Two batches in one place, each borrowed by a stream; the waits come in this order. */
enum { BLOCK_COMES, SAMPLES_ARE_MADE, BLOCK_IS_DECODED, NEXT_BLOCK_COMES, LOAN_IS_OVER, WAITS };

static void two_batches(bench *b, uint8_t *first, uint8_t *second)
{
    put(b, 0, 0);
    borrow(b, 0, b->streams[0], first);
    done(an_batch_feed_unuse(b->feed, 0));
    put(b, 0, 1);
    borrow(b, 0, b->streams[0], second);
    done(an_batch_feed_unuse(b->feed, 0));
    ok(cudaStreamSynchronize(b->streams[0]));
}

static void every_wait_is_needed(void **state)
{
    (void)state;
    uint8_t *first = pinned(SAMPLE), *second = pinned(SAMPLE);
    for (int missing = 0; missing <= WAITS; missing++) {
        bench b;
        bench_make(&b, 1, 0);
        uint64_t before = emu_count().host_waits;
        emu_drop_wait(missing);
        two_batches(&b, first, second);
        emu_drop_wait(0);
        assert_int_equal(emu_count().host_waits - before, 1); /* that of the test */
        if (missing)
            assert_int_not_equal(emu_violations(NULL, 0), 0);
        else
            no_violations();
        assert_memory_equal(first, b.pictures[0].wanted, SAMPLE);
        assert_memory_equal(second, b.pictures[1].wanted, SAMPLE);
        bench_free(&b);
        no_violations();
    }
    ok(cudaFreeHost(first));
    ok(cudaFreeHost(second));
}

/* Without the end of the loan being recorded, the samples would be overwritten under the stream that reads them. */
static void a_loan_that_is_not_ended_shows(void **state)
{
    (void)state;
    bench b;
    uint8_t *out = pinned(SAMPLE);
    bench_make(&b, 1, 0);
    put(&b, 0, 0);
    borrow(&b, 0, b.streams[0], out);
    put(&b, 0, 1);
    assert_int_not_equal(emu_violations(NULL, 0), 0);
    ok(cudaStreamSynchronize(b.streams[0]));
    bench_free(&b);
    no_violations();
    ok(cudaFreeHost(out));
}

enum { LOANS = 10000, SHARES = 3 };

/* The places of the next test: what each holds and who reads it. */
typedef struct {
    bench bench;
    an_rng rng;
    int holds[PLACES];            /* a picture */
    uint8_t *out[PLACES][SHARES]; /* what its streams read */
    cudaStream_t stream[PLACES][SHARES];
} traffic;

static void check_loan(traffic *t, uint32_t place)
{
    for (int i = 0; i < SHARES; i++) {
        ok(cudaStreamSynchronize(t->stream[place][i]));
        assert_memory_equal(t->out[place][i], t->bench.pictures[t->holds[place]].wanted, SAMPLE);
    }
}

/* The place gets a new batch, and streams that read it. Some look again later, others never. */
static void use_place(traffic *t, uint32_t place)
{
    t->holds[place] = (int)an_rng_below(&t->rng, PICTURES);
    put(&t->bench, place, t->holds[place]);
    for (int i = 0; i < SHARES; i++) {
        t->stream[place][i] = t->bench.streams[an_rng_below(&t->rng, STREAMS)];
        borrow(&t->bench, place, t->stream[place][i], t->out[place][i]);
    }
}

static void traffic_make(traffic *t)
{
    memset(t, 0, sizeof *t);
    t->rng = an_rng_make(3, AN_RNG_TEST, 0, 0);
    bench_make(&t->bench, PLACES, 0);
    for (uint32_t i = 0; i < PLACES * SHARES; i++)
        t->out[i / SHARES][i % SHARES] = pinned(SAMPLE);
    for (uint32_t i = 0; i < PLACES; i++)
        use_place(t, i);
}

static void traffic_free(traffic *t)
{
    for (uint32_t i = 0; i < PLACES * SHARES; i++)
        ok(cudaFreeHost(t->out[i / SHARES][i % SHARES]));
    bench_free(&t->bench);
}

/* Loans that end in any order, while their streams still have work; one in four is looked at. */
static void ten_thousand_loans(void **state)
{
    (void)state;
    traffic t;
    traffic_make(&t);
    for (int i = 0; i < 2 * PLACES; i++) { /* each place has had as many users as it will have */
        done(an_batch_feed_unuse(t.bench.feed, (uint32_t)i % PLACES));
        use_place(&t, (uint32_t)i % PLACES);
    }
    emu_counters before = emu_count();
    uint64_t looks = 0, waits = 0;
    for (int i = 0; i < LOANS; i++) {
        uint32_t place = an_rng_below(&t.rng, PLACES);
        bool look = an_rng_below(&t.rng, 4) == 0;
        done(an_batch_feed_unuse(t.bench.feed, place));
        if (look)
            check_loan(&t, place);
        looks += look;
        use_place(&t, place);
    }
    waits = emu_count().host_waits - before.host_waits;
    assert_int_equal(waits, looks * SHARES);
    assert_int_equal(emu_count().allocations, before.allocations);
    for (uint32_t i = 0; i < PLACES; i++)
        check_loan(&t, i);
    traffic_free(&t);
    no_violations();
}

static void places_are_made_when_they_are_needed(void **state)
{
    (void)state;
    bench b;
    bench_make(&b, 1, 3);
    uint64_t before = an_batch_feed_memory(b.feed);
    assert_int_equal(an_batch_feed_put(b.feed, 1, b.pictures[0].block, b.pictures[0].size, 1), AN_EINVAL);
    assert_null(an_batch_feed_samples(b.feed, 1));
    emu_memory_set(1);
    assert_int_equal(an_batch_feed_grow(b.feed), AN_ENOMEM);
    emu_memory_set(0);
    assert_int_equal(an_batch_feed_memory(b.feed), before);
    for (uint32_t place = 1; place < 3; place++) {
        uint8_t *out = pinned(SAMPLE);
        done(an_batch_feed_grow(b.feed));
        assert_int_equal(an_batch_feed_memory(b.feed), before + place * (b.options.block + SAMPLE));
        put(&b, place, 2);
        done(an_batch_feed_read(b.feed, place, out));
        assert_memory_equal(out, b.pictures[2].wanted, SAMPLE);
        ok(cudaFreeHost(out));
    }
    assert_int_equal(an_batch_feed_grow(b.feed), AN_EINVAL);
    assert_message("a feed of at most 3 places has them all");
    an_batch_feed *none;
    an_batch_feed_options o = b.options;
    o.places = 4;
    assert_int_equal(an_batch_feed_create(&none, &o), AN_EINVAL);
    bench_free(&b);
    no_violations();
}

static void streams_are_checked(void **state)
{
    (void)state;
    int current, invalid[4];
    cudaStream_t elsewhere, many[AN_FEED_STREAMS];
    bench b;
    bench_make(&b, 1, 0);
    assert_int_equal(an_batch_feed_use(b.feed, 0, b.streams[0]), AN_EINVAL);
    assert_message("place 0 holds no batch");
    put(&b, 0, 0);
    assert_int_equal(an_batch_feed_use(b.feed, 1, b.streams[0]), AN_EINVAL);
    assert_int_equal(an_batch_feed_use(b.feed, 0, invalid), AN_EINVAL);
    assert_message("is no stream");
    ok(cudaSetDevice(1));
    ok(cudaStreamCreateWithFlags(&elsewhere, cudaStreamNonBlocking));
    assert_int_equal(an_batch_feed_use(b.feed, 0, elsewhere), AN_EINVAL);
    assert_message("a stream of cuda:1, where the images are on cuda:0");
    done(an_batch_feed_use(b.feed, 0, b.streams[0]));
    done(an_batch_feed_use(b.feed, 0, NULL)); /* the default stream */
    done(an_batch_feed_unuse(b.feed, 0));
    ok(cudaGetDevice(&current));
    assert_int_equal(current, 1); /* the caller's, as it was */
    ok(cudaStreamDestroy(elsewhere));
    ok(cudaSetDevice(0));
    put(&b, 0, 1);
    for (int i = 0; i < AN_FEED_STREAMS; i++) {
        ok(cudaStreamCreateWithFlags(&many[i], cudaStreamNonBlocking));
        done(an_batch_feed_use(b.feed, 0, many[i]));
        done(an_batch_feed_use(b.feed, 0, many[i])); /* counts once */
    }
    assert_int_equal(an_batch_feed_use(b.feed, 0, b.streams[0]), AN_EINVAL);
    assert_message("more than 16 streams");
    done(an_batch_feed_unuse(b.feed, 0));
    done(an_batch_feed_wait(b.feed, 0, NULL));
    bench_free(&b);
    for (int i = 0; i < AN_FEED_STREAMS; i++)
        ok(cudaStreamDestroy(many[i]));
    no_violations();
}

/* All batches are done before anybody asks, and only the one that is damaged says so, once. */
static void damage_is_told_of_its_batch(void **state)
{
    (void)state;
    bench b;
    uint32_t sample = 7;
    bench_make(&b, 3, 0);
    an_payload *place = (an_payload *)(void *)((char *)b.pictures[1].block + an_payload_places_offset(1));
    place->size = 3; /* bytes are left of it */
    for (uint32_t i = 0; i < 3; i++)
        put(&b, i, (int)i);
    int rc = an_batch_feed_done(b.feed, 2, NULL);
    uint64_t before = emu_count().host_waits;
    while (rc == AN_AGAIN)
        rc = an_batch_feed_done(b.feed, 2, NULL);
    assert_int_equal(rc, AN_OK);
    done(an_batch_feed_done(b.feed, 0, &sample));
    assert_int_equal(sample, 7);
    assert_int_equal(an_batch_feed_done(b.feed, 1, &sample), AN_ECORRUPT);
    assert_message("coef payload is truncated: 3 bytes");
    assert_int_equal(sample, 0);
    assert_int_equal(emu_count().host_waits, before);
    done(an_batch_feed_wait(b.feed, 1, &sample));
    put(&b, 1, 1);
    put(&b, 1, 2); /* nobody had asked: it is told later */
    assert_int_equal(an_batch_feed_wait(b.feed, 1, NULL), AN_ECORRUPT);
    bench_free(&b);
    no_violations();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_wait_is_needed), cmocka_unit_test(a_loan_that_is_not_ended_shows),
        cmocka_unit_test(ten_thousand_loans),   cmocka_unit_test(places_are_made_when_they_are_needed),
        cmocka_unit_test(streams_are_checked),  cmocka_unit_test(damage_is_told_of_its_batch),
    };
    (void)emu_violations(NULL, 0); /* from now on they do not end the process */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
