/* liban's batches on a device: the bytes of the host's loader, lent to streams in order, and given back in any order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cuda_runtime_api.h>
#include <pthread.h>

#include "base/error.h"
#include "base/rng.h"
#include "liban/device_private.h"
#include "tests/augment/loader_support.h"
#include "tests/emu/emulator/emu.h"
#include "tests/store/message.h"

enum { FEW = 4, LONG = INT32_MAX };

static fixture coef; /* as set, but every record coef */

static int setup_both(void **state)
{
    static const an_codec alone[] = {AN_CODEC_COEF};
    fixture_make_with(&coef, RECORDS, SIDE, alone, 1, "{\"codec\": \"coef\"}");
    return setup(state);
}

static int teardown_both(void **state)
{
    fixture_drop(&coef);
    return teardown(state);
}

static void ok(cudaError_t status)
{
    if (status != cudaSuccess)
        fail_msg("CUDA: %s", cudaGetErrorString(status));
}

static void done(int rc)
{
    if (rc)
        fail_msg("%d: %s", rc, an_error_message());
}

static void no_violations(void)
{
    char text[512];
    if (emu_violations(text, sizeof text))
        fail_msg("the emulator complains: %s", text);
}

/* Batches on the device, a stream that reads them, and where to. */
typedef struct {
    an_lib_device *device;
    an_loader_options options;
    cudaStream_t stream;
    uint8_t *read; /* pinned: a batch */
} reader;

static void reader_make(reader *r, const an_loader_options *o)
{
    void *pinned;
    r->options = *o;
    ok(cudaSetDevice(0));
    ok(cudaStreamCreateWithFlags(&r->stream, cudaStreamNonBlocking));
    ok(cudaHostAlloc(&pinned, o->batch * sample_bytes(o), cudaHostAllocPortable));
    r->read = pinned;
    done(an_lib_device_create(&r->device, "cuda:0", o));
}

static void reader_free(reader *r)
{
    an_lib_device_free(r->device);
    ok(cudaFreeHost(r->read));
    ok(cudaStreamDestroy(r->stream));
    no_violations();
}

/* Queue a copy of a batch to the host, as whoever uses it would. */
static void queue_read(const reader *r, const an_batch *batch, void *to)
{
    done(an_lib_device_use(r->device, batch, r->stream));
    ok(cudaMemcpyAsync(to, batch->data, batch->size, cudaMemcpyDeviceToHost, r->stream));
}

static an_loader_options options_of(const fixture *f)
{
    an_loader_options o = plain();
    o.dataset = f->dataset;
    o.slots = FEW;
    return o;
}

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

static void same_batch(reader *r, const an_batch *got, const an_batch *wanted)
{
    assert_int_equal(got->size, wanted->size);
    assert_int_equal(got->count, wanted->count);
    assert_int_equal(got->epoch, wanted->epoch);
    assert_int_equal(got->step, wanted->step);
    assert_int_equal(got->position, wanted->position);
    assert_int_equal(got->repeated, wanted->repeated);
    assert_int_equal(got->last, wanted->last);
    assert_memory_equal(got->labels, wanted->labels, got->count * sizeof *got->labels);
    assert_memory_equal(got->indices, wanted->indices, got->count * sizeof *got->indices);
    assert_memory_equal(got->draws, wanted->draws, got->count * sizeof *got->draws);
    memset(r->read, 0x5A, got->size);
    queue_read(r, got, r->read);
    ok(cudaStreamSynchronize(r->stream));
    assert_memory_equal(r->read, wanted->data, got->size);
}

/* All epochs, from the device and from the host. Releases are late by one batch, so that places change hands. */
static void compare(const an_loader_options *o)
{
    reader r;
    an_batch got, wanted, before = {0};
    an_loader *host = start(o);
    int rc = AN_OK;
    reader_make(&r, o);
    for (uint64_t batches = 0; !rc; batches++) {
        rc = an_loader_next(host, &wanted);
        assert_int_equal(an_lib_device_next(r.device, &got, UINT64_MAX), rc);
        if (rc)
            break;
        same_batch(&r, &got, &wanted);
        if (before.lease)
            done(an_lib_device_release(r.device, &before));
        before = got;
        done(an_loader_release(host, &wanted));
    }
    assert_int_equal(rc, AN_END);
    assert_int_equal(an_lib_device_next(r.device, &got, 0), AN_END);
    an_loader_free(host);
    reader_free(&r);
}

static void every_format_has_the_host_s_bytes(void **state)
{
    (void)state;
    for (int dtype = AN_DTYPE_U8; dtype <= AN_DTYPE_F16; dtype++)
        for (int layout = AN_LAYOUT_NHWC; layout <= AN_LAYOUT_NCHW; layout++) {
            an_loader_options o = options_of(layout == AN_LAYOUT_NHWC ? &coef : &set);
            o.sample.format = (an_format){(an_dtype)dtype, (an_layout)layout, 3};
            if (dtype == AN_DTYPE_U8)
                o.sample.mean = AN_MEAN_NONE;
            compare(&o);
        }
}

static void every_mean_has_the_host_s_bytes(void **state)
{
    (void)state;
    for (int mean = AN_MEAN_NONE; mean <= AN_MEAN_GIVEN; mean++) {
        an_loader_options o = options_of(mean % 2 ? &coef : &set);
        o.sample.mean = (an_mean_kind)mean;
        o.sample.mean_given[0] = 123.675;
        o.sample.mean_given[1] = 116.28;
        o.sample.mean_given[2] = 103.53;
        o.sample.deviation[0] = 58.395;
        o.sample.deviation[1] = 57.12;
        o.sample.deviation[2] = 57.375;
        o.sample.format.dtype = mean % 2 ? AN_DTYPE_BF16 : AN_DTYPE_F32;
        compare(&o);
    }
}

static void grey_images_have_the_host_s_bytes(void **state)
{
    (void)state;
    for (int dtype = AN_DTYPE_U8; dtype <= AN_DTYPE_BF16; dtype++)
        for (int resized = 0; resized <= 1; resized++) {
            an_loader_options o = options_of(&set);
            o.sample.format = (an_format){(an_dtype)dtype, AN_LAYOUT_NCHW, 1};
            o.sample.jitter = 0;
            o.sample.area_min = resized ? 0.3 : 0;
            o.sample.mean = dtype == AN_DTYPE_U8 ? AN_MEAN_NONE : resized ? AN_MEAN_CHANNEL : AN_MEAN_PIXEL;
            o.sample.deviation[0] = dtype == AN_DTYPE_U8 ? 0 : 60;
            compare(&o);
        }
}

/* Workers finish what devices do not take. */
static void resized_crops_and_short_batches(void **state)
{
    (void)state;
    an_loader_options o = options_of(&coef);
    o.sample.area_min = 0.3;
    o.sample.mean = AN_MEAN_CHANNEL;
    o.last = AN_LAST_SHORT;
    o.epochs = 2;
    compare(&o);
    o = options_of(&set);
    o.last = AN_LAST_PAD;
    o.world = 3;
    o.rank = 2;
    o.first_position = 50;
    o.sample.mixup = 0.2;
    compare(&o);
}

/* ---- order ------------------------------------------------------------------------------------------------------ */

enum { RELEASES = 10000, HELD = 12, STREAMS = 3 };

typedef struct {
    an_lib_device *device;
    an_rng rng;
    an_batch held[HELD];
    uint64_t shows[HELD][2]; /* records: batches have two */
    uint8_t *read[HELD];     /* pinned */
    cudaStream_t stream[HELD], streams[STREAMS];
} holder;

/* The batch shows what its labels and indices say, and so did the copies of it. */
static void give_back(holder *h, int i, uint8_t **wanted, bool look)
{
    an_batch *b = &h->held[i];
    size_t bytes = b->size / b->count;
    done(an_lib_device_release(h->device, b));
    if (look) {
        ok(cudaStreamSynchronize(h->stream[i]));
        for (uint32_t k = 0; k < b->count; k++)
            assert_memory_equal(h->read[i] + k * bytes, wanted[h->shows[i][k]], bytes);
    }
    b->lease = 0;
}

static void take(holder *h, int i)
{
    an_batch *b = &h->held[i];
    done(an_lib_device_next(h->device, b, UINT64_MAX));
    memcpy(h->shows[i], b->indices, b->count * sizeof *b->indices);
    h->stream[i] = h->streams[an_rng_below(&h->rng, STREAMS)];
    done(an_lib_device_use(h->device, b, h->stream[i]));
    ok(cudaMemcpyAsync(h->read[i], b->data, b->size, cudaMemcpyDeviceToHost, h->stream[i]));
}

/* Each record as the host makes it, by its number: without anything random, so that epochs are equal. */
static uint8_t **pictures(const an_loader_options *o)
{
    an_batch batch;
    uint8_t **out = calloc(RECORDS, sizeof *out);
    an_loader_options one = *o;
    one.last = AN_LAST_SHORT;
    one.epochs = 1;
    one.slots_max = 0;
    an_loader *host = start(&one);
    while (!an_loader_next(host, &batch)) {
        for (uint32_t i = 0; i < batch.count; i++) {
            uint8_t **picture = &out[batch.indices[i]];
            *picture = malloc(sample_bytes(o));
            assert_non_null(*picture);
            memcpy(*picture, (uint8_t *)batch.data + i * sample_bytes(o), sample_bytes(o));
        }
        done(an_loader_release(host, &batch));
    }
    an_loader_free(host);
    return out;
}

static void holder_make(holder *h, const an_loader_options *o)
{
    *h = (holder){.rng = an_rng_make(11, AN_RNG_TEST, 0, 0)};
    ok(cudaSetDevice(0));
    for (int i = 0; i < STREAMS; i++)
        ok(cudaStreamCreateWithFlags(&h->streams[i], cudaStreamNonBlocking));
    for (int i = 0; i < HELD; i++) {
        void *pinned;
        ok(cudaHostAlloc(&pinned, o->batch * sample_bytes(o), cudaHostAllocPortable));
        h->read[i] = pinned;
    }
    done(an_lib_device_create(&h->device, "cuda:0", o));
}

static void holder_free(holder *h)
{
    an_lib_device_free(h->device);
    for (int i = 0; i < HELD; i++)
        ok(cudaFreeHost(h->read[i]));
    for (int i = 0; i < STREAMS; i++)
        ok(cudaStreamDestroy(h->streams[i]));
    no_violations();
}

/* Batches are given back in any order, most of them while their stream still has work. Places are made until there are
 * enough, then nothing is allocated. */
static void ten_thousand_releases(void **state)
{
    (void)state;
    holder h;
    an_loader_options o = options_of(&coef);
    o.sample = (an_sample_options){.crop = 8, .mean = AN_MEAN_CHANNEL, .scale = 1, .format = o.sample.format};
    o.batch = 2;
    o.epochs = 0;
    o.slots_max = HELD + 2;
    uint8_t **wanted = pictures(&o);
    holder_make(&h, &o);
    for (int i = 0; i < HELD; i++)
        take(&h, i);
    uint64_t allocations = 0;
    for (int n = 0; n < RELEASES; n++) {
        int i = (int)an_rng_below(&h.rng, HELD);
        give_back(&h, i, wanted, an_rng_below(&h.rng, 4) == 0);
        take(&h, i);
        if (n == RELEASES / 10)
            allocations = emu_count().allocations;
    }
    assert_int_equal(emu_count().allocations, allocations);
    for (int i = 0; i < HELD; i++)
        give_back(&h, i, wanted, true);
    holder_free(&h);
    for (uint32_t i = 0; i < RECORDS; i++)
        free(wanted[i]);
    free(wanted);
}

/* Who reads without having said so is overwritten, and the emulator sees it. */
static void a_use_that_is_not_announced_shows(void **state)
{
    (void)state;
    reader r;
    an_batch batch;
    an_loader_options o = options_of(&coef);
    o.slots = 2;
    reader_make(&r, &o);
    for (uint32_t i = 0; i < STEPS; i++) {
        done(an_lib_device_next(r.device, &batch, UINT64_MAX));
        if (i == 1)
            ok(cudaMemcpyAsync(r.read, batch.data, batch.size, cudaMemcpyDeviceToHost, r.stream));
        done(an_lib_device_release(r.device, &batch));
    }
    assert_int_not_equal(emu_violations(NULL, 0), 0);
    reader_free(&r);
}

enum { THREADS = 3, TAKEN = 200 };

/* A thread that takes batches, has its stream read them, and gives them back at once, two behind. */
static void *consumer(void *context)
{
    reader mine = *(reader *)context;
    an_batch batches[2] = {{0}};
    void *pinned;
    ok(cudaSetDevice(0));
    ok(cudaStreamCreateWithFlags(&mine.stream, cudaStreamNonBlocking));
    ok(cudaHostAlloc(&pinned, mine.options.batch * sample_bytes(&mine.options), cudaHostAllocPortable));
    for (int i = 0; i < TAKEN + 2; i++) {
        an_batch *b = &batches[i % 2];
        if (b->lease)
            done(an_lib_device_release(mine.device, b));
        if (i >= TAKEN)
            continue;
        done(an_lib_device_next(mine.device, b, UINT64_MAX));
        queue_read(&mine, b, pinned);
    }
    ok(cudaStreamSynchronize(mine.stream));
    ok(cudaStreamDestroy(mine.stream));
    ok(cudaFreeHost(pinned));
    return NULL;
}

/* Each batch goes to one of the threads; there are too few places at first, so some are made while others are lent. */
static void threads_share_a_device(void **state)
{
    (void)state;
    reader r;
    an_batch batch;
    pthread_t threads[THREADS];
    an_loader_options o = options_of(&coef);
    o.sample = (an_sample_options){.crop = 8, .scale = 1, .format = o.sample.format};
    o.batch = 2;
    o.slots = 2;
    o.slots_max = 2 * THREADS + 1;
    o.epochs = 0;
    reader_make(&r, &o);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, consumer, &r), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    done(an_lib_device_next(r.device, &batch, UINT64_MAX));
    uint64_t steps = RECORDS / 2;
    assert_int_equal(batch.epoch * steps + batch.step, THREADS * TAKEN);
    reader_free(&r);
}

/* ---- what callers meet ------------------------------------------------------------------------------------------ */

static void all_places_can_be_lent(void **state)
{
    (void)state;
    reader r;
    an_batch batches[FEW + 1], none;
    an_loader_stats stats;
    an_loader_options o = options_of(&coef);
    o.slots = 2;
    o.slots_max = FEW;
    reader_make(&r, &o);
    for (int i = 0; i < FEW; i++)
        done(an_lib_device_next(r.device, &batches[i], UINT64_MAX));
    an_lib_device_stats(r.device, &stats);
    assert_int_equal(stats.slots, FEW);
    assert_int_equal(stats.batches, FEW);
    assert_int_equal(an_lib_device_next(r.device, &none, UINT64_MAX), AN_EINVAL);
    assert_message("all 4 batches are lent: release one first");
    assert_int_equal(none.lease, 0);
    done(an_lib_device_release(r.device, &batches[1]));
    assert_int_equal(an_lib_device_release(r.device, &batches[1]), AN_EINVAL);
    assert_message("has back");
    assert_int_equal(an_lib_device_use(r.device, &batches[1], r.stream), AN_EINVAL);
    done(an_lib_device_next(r.device, &batches[FEW], UINT64_MAX));
    assert_int_equal(batches[FEW].step, FEW);
    reader_free(&r);
}

/* Memory that is lacking now may be there later. */
static void no_memory_for_another_place(void **state)
{
    (void)state;
    reader r;
    an_batch batch;
    an_loader_options o = options_of(&coef);
    o.slots = 2;
    o.slots_max = 3;
    reader_make(&r, &o);
    emu_memory_set(1);
    for (int i = 0; i < 2; i++)
        done(an_lib_device_next(r.device, &batch, UINT64_MAX));
    assert_int_equal(an_lib_device_next(r.device, &batch, UINT64_MAX), AN_ENOMEM);
    emu_memory_set(0);
    done(an_lib_device_next(r.device, &batch, UINT64_MAX));
    assert_int_equal(batch.step, 2);
    reader_free(&r);
}

static void interruptions_and_closing(void **state)
{
    (void)state;
    reader r;
    an_batch batch;
    an_loader_options o = options_of(&coef);
    reader_make(&r, &o);
    done(an_lib_device_next(r.device, &batch, UINT64_MAX));
    an_lib_device_interrupt(r.device);
    assert_int_equal(an_lib_device_next(r.device, &batch, UINT64_MAX), AN_STOPPED);
    an_lib_device_resume(r.device);
    done(an_lib_device_next(r.device, &batch, UINT64_MAX));
    assert_int_equal(batch.step, 1);
    an_lib_device_close(r.device);
    an_lib_device_close(r.device);
    assert_int_equal(an_lib_device_next(r.device, &batch, UINT64_MAX), AN_STOPPED);
    reader_free(&r);
}

/* A stream that cannot go on holds the place, but neither closing nor those who wait for a limited time. */
static void a_stuck_stream_stops_nobody(void **state)
{
    (void)state;
    reader r;
    an_batch batch;
    uint64_t found = 0;
    an_loader_options o = options_of(&coef);
    o.slots = 2;
    o.epochs = 0;
    reader_make(&r, &o);
    emu_stop_stream(r.stream, true);
    int rc = AN_OK;
    while (!rc && found < 10) { /* until the device waits for the stream */
        rc = an_lib_device_next(r.device, &batch, LONG / 8);
        found += !rc;
        if (!rc)
            queue_read(&r, &batch, r.read);
        if (!rc)
            done(an_lib_device_release(r.device, &batch));
    }
    an_lib_device_close(r.device);
    emu_stop_stream(r.stream, false);
    assert_int_equal(rc, AN_AGAIN);
    assert_int_equal(found, 2); /* both places */
    reader_free(&r);
}

enum { SOUND = 3, DAMAGED = SOUND * (int)BATCH + 5 }; /* batches; a record of the one behind them */

/* Batch number SOUND of the host's loader. */
static int host_meets_it(const an_loader_options *o, char message[AN_ERROR_MAX], uint64_t *record)
{
    an_batch batch;
    an_loader *host = start(o);
    int rc = AN_OK;
    for (int i = 0; i < SOUND; i++) {
        done(an_loader_next(host, &batch));
        done(an_loader_release(host, &batch));
    }
    rc = an_loader_next(host, &batch);
    snprintf(message, AN_ERROR_MAX, "%s", an_error_message());
    assert_int_equal(an_loader_failed_record(host, record), rc != 0);
    an_loader_free(host);
    return rc;
}

/* Turn a bit of a byte that breaks the picture, the last one of the record that does. */
static uint32_t break_record(const an_loader_options *o)
{
    char message[AN_ERROR_MAX];
    uint64_t record;
    uint32_t byte = an_dataset_index(coef.dataset)[DAMAGED].length;
    int rc = AN_OK;
    while (!rc) {
        fixture_flip_byte_at(&coef, DAMAGED, --byte);
        rc = host_meets_it(o, message, &record);
        if (!rc)
            fixture_flip_byte_at(&coef, DAMAGED, byte);
    }
    assert_int_equal(rc, AN_ECORRUPT);
    return byte;
}

/* The batches before are lent, then the failure is the host's, of the same record. */
static void damage(void **state)
{
    (void)state;
    an_batch batch;
    reader r;
    uint64_t record, failed = 0;
    an_loader_options o = options_of(&coef);
    char message[AN_ERROR_MAX];
    o.sample.crop = SIDE;
    o.order = AN_ORDER_SEQUENTIAL;
    o.verify = false;
    uint32_t byte = break_record(&o);
    int wanted = host_meets_it(&o, message, &record);
    assert_int_equal(record, DAMAGED);
    reader_make(&r, &o);
    for (int i = 0; i < SOUND; i++)
        done(an_lib_device_next(r.device, &batch, UINT64_MAX));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(an_lib_device_next(r.device, &batch, UINT64_MAX), wanted);
        assert_string_equal(an_error_message(), message);
    }
    assert_true(an_lib_device_failed_record(r.device, &failed));
    assert_int_equal(failed, record);
    reader_free(&r);
    fixture_flip_byte_at(&coef, DAMAGED, byte);
}

/* A checksum that does not fit is found by the workers, as on the host. */
static void a_wrong_checksum(void **state)
{
    (void)state;
    an_batch batch;
    reader r;
    uint64_t record, failed = 0;
    an_loader_options o = options_of(&coef);
    char message[AN_ERROR_MAX];
    o.order = AN_ORDER_SEQUENTIAL;
    fixture_flip_byte(&coef, DAMAGED);
    int wanted = host_meets_it(&o, message, &record);
    reader_make(&r, &o);
    for (int i = 0; i < SOUND; i++)
        done(an_lib_device_next(r.device, &batch, UINT64_MAX));
    assert_int_equal(an_lib_device_next(r.device, &batch, UINT64_MAX), wanted);
    assert_string_equal(an_error_message(), message);
    assert_true(an_lib_device_failed_record(r.device, &failed));
    assert_int_equal(failed, DAMAGED);
    reader_free(&r);
    fixture_flip_byte(&coef, DAMAGED);
}

static void refuse(const char *name, const an_loader_options *o, int rc, const char *why)
{
    an_lib_device *device;
    assert_int_equal(an_lib_device_create(&device, name, o), rc);
    assert_null(device);
    assert_message(why);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    an_loader_options o = options_of(&coef);
    refuse("cpu", &o, AN_EINVAL, "no device 'cpu'");
    refuse("cuda:7", &o, AN_EUNSUPPORTED, "no cuda:7: this machine has 2 CUDA devices");
    o.slots = 1;
    refuse("cuda:0", &o, AN_EINVAL, "give 2 or more");
    o.slots = 2;
    o.sample.crop = SIDE + 1;
    refuse("cuda:0", &o, AN_EINVAL, "crop");
    o = options_of(&coef);
    o.sample.format.channels = 1;
    refuse("cuda:0", &o, AN_EINVAL, "jitter");
    o = options_of(&coef);
    o.sample.format = (an_format){AN_DTYPE_U8, AN_LAYOUT_NHWC, 3};
    refuse("cuda:0", &o, AN_EINVAL, "mean");
    o = options_of(&coef);
    emu_memory_set(1);
    refuse("cuda:0", &o, AN_ENOMEM, "cuda:0");
    emu_memory_set(0);
    no_violations();
}

/* The other thread's current device stays as it was, whatever is made and freed for device 0. */
static void the_current_device_stays(void **state)
{
    (void)state;
    reader r;
    an_batch batch;
    int current;
    an_loader_options o = options_of(&coef);
    reader_make(&r, &o);
    ok(cudaSetDevice(1));
    done(an_lib_device_next(r.device, &batch, UINT64_MAX));
    done(an_lib_device_use(r.device, &batch, r.stream));
    done(an_lib_device_release(r.device, &batch));
    an_lib_device_free(r.device);
    done(an_lib_device_create(&r.device, "cuda:0", &o));
    ok(cudaGetDevice(&current));
    assert_int_equal(current, 1);
    ok(cudaSetDevice(0));
    reader_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_has_the_host_s_bytes),
        cmocka_unit_test(every_mean_has_the_host_s_bytes),
        cmocka_unit_test(grey_images_have_the_host_s_bytes),
        cmocka_unit_test(resized_crops_and_short_batches),
        cmocka_unit_test(ten_thousand_releases),
        cmocka_unit_test(threads_share_a_device),
        cmocka_unit_test(a_use_that_is_not_announced_shows),
        cmocka_unit_test(all_places_can_be_lent),
        cmocka_unit_test(no_memory_for_another_place),
        cmocka_unit_test(interruptions_and_closing),
        cmocka_unit_test(a_stuck_stream_stops_nobody),
        cmocka_unit_test(damage),
        cmocka_unit_test(a_wrong_checksum),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(the_current_device_stays),
    };
    (void)emu_violations(NULL, 0); /* from now on they do not end the process */
    return cmocka_run_group_tests(tests, setup_both, teardown_both);
}
