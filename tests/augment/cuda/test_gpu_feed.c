/* The whole way where a device decodes: the loader's blocks, copied to a device and decoded there, are the samples that
 * the host's loader makes. On a real device; tests/emu runs the same on an emulated one. Skipped where there is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "augment/feed.h"
#include "base/error.h"
#include "tests/augment/loader_support.h"
#include "tests/store/message.h"

enum { PLACES = 3 };

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

static an_batch_feed_options feed_options(const an_loader_options *o)
{
    an_batch_feed_options f = {.places = PLACES,
                               .decoder = {.device = "cuda:0",
                                           .batch = o->batch,
                                           .side = an_dataset_side(o->dataset),
                                           .crop = o->sample.crop,
                                           .format = o->sample.format,
                                           .scale = 1}};
    assert_int_equal(an_loader_block_size(o, &f.block), AN_OK);
    return f;
}

static an_batch_feed *open_feed(an_loader_options *o)
{
    an_batch_feed *feed;
    an_batch_feed_options f = feed_options(o);
    if (an_batch_feed_create(&feed, &f))
        fail_msg("%s", an_error_message());
    assert_true(an_batch_feed_memory(feed) >= PLACES * (f.block + o->batch * sample_bytes(o)));
    o->memory_alloc = an_batch_feed_alloc;
    o->memory_free = an_batch_feed_release;
    o->memory_context = feed;
    return feed;
}

/* The next batch of each loader: the one of payloads goes through a place of the feed, and comes out as the other. */
static int next_is_same(an_loader *payloads, an_loader *samples, an_batch_feed *feed, uint32_t place)
{
    an_batch sent, wanted;
    int rc = an_loader_next(samples, &wanted);
    assert_int_equal(an_loader_next(payloads, &sent), rc);
    if (rc)
        return rc;
    uint8_t *made = malloc(wanted.size);
    assert_non_null(made);
    assert_int_equal(sent.count, wanted.count);
    if (an_batch_feed_put(feed, place, sent.data, sent.size, sent.count))
        fail_msg("%s", an_error_message());
    if (an_batch_feed_read(feed, place, made))
        fail_msg("%s", an_error_message());
    assert_memory_equal(made, wanted.data, wanted.size);
    assert_memory_equal(sent.indices, wanted.indices, wanted.count * sizeof *wanted.indices);
    assert_memory_equal(sent.draws, wanted.draws, wanted.count * sizeof *wanted.draws);
    free(made);
    assert_int_equal(an_loader_release(payloads, &sent), AN_OK);
    return an_loader_release(samples, &wanted);
}

static void compare_epoch(an_loader_options o)
{
    an_batch_feed *feed = open_feed(&o);
    an_loader_options host = o;
    host.decode = AN_DECODE_HOST;
    host.memory_alloc = NULL;
    host.memory_free = NULL;
    an_loader *payloads = start(&o), *samples = start(&host);
    uint32_t batches = 0;
    int rc = AN_OK;
    for (; !rc; batches += !rc)
        rc = next_is_same(payloads, samples, feed, batches % PLACES);
    assert_int_equal(rc, AN_END);
    assert_true(batches >= STEPS);
    an_loader_free(payloads);
    an_loader_free(samples);
    an_batch_feed_free(feed);
}

static void an_epoch_decoded_there_is_the_host_s(void **state)
{
    (void)state;
    an_loader_options o = bytes_options(AN_DECODE_DEVICE);
    o.last = AN_LAST_SHORT;
    compare_epoch(o);
    o.dataset = coef.dataset;
    compare_epoch(o);
    o.sample.area_min = 0.3;
    o.sample.jitter = 0;
    compare_epoch(o);
}

/* Several batches under way, and one that is decoded anew while another is copied. */
static void places_are_independent(void **state)
{
    (void)state;
    an_batch batches[PLACES];
    uint8_t *first = NULL, *last = NULL;
    an_loader_options o = bytes_options(AN_DECODE_DEVICE);
    o.dataset = coef.dataset;
    o.slots = PLACES + 1;
    an_batch_feed *feed = open_feed(&o);
    an_loader *loader = start(&o);
    size_t bytes = o.batch * sample_bytes(&o);
    first = malloc(bytes);
    last = malloc(bytes);
    for (uint32_t i = 0; i < PLACES; i++) {
        assert_int_equal(an_loader_next(loader, &batches[i]), AN_OK);
        assert_int_equal(an_batch_feed_put(feed, i, batches[i].data, batches[i].size, batches[i].count), AN_OK);
    }
    assert_int_equal(an_batch_feed_read(feed, 0, first), AN_OK);
    for (uint32_t i = 0; i < PLACES; i++)
        assert_int_equal(an_batch_feed_again(feed, i), AN_OK);
    assert_int_equal(an_batch_feed_put(feed, 1, batches[0].data, batches[0].size, batches[0].count), AN_OK);
    assert_int_equal(an_batch_feed_read(feed, 1, last), AN_OK);
    assert_memory_equal(first, last, bytes);
    assert_int_equal(an_batch_feed_read(feed, 0, last), AN_OK);
    assert_memory_equal(first, last, bytes);
    assert_int_equal(an_batch_feed_read(feed, 2, last), AN_OK);
    assert_memory_not_equal(first, last, bytes);
    for (uint32_t i = 0; i < PLACES; i++)
        assert_int_equal(an_loader_release(loader, &batches[i]), AN_OK);
    an_loader_free(loader);
    an_batch_feed_free(feed);
    free(first);
    free(last);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    an_batch batch;
    an_loader_options o = bytes_options(AN_DECODE_DEVICE);
    o.dataset = coef.dataset;
    an_batch_feed *feed = open_feed(&o), *none;
    an_batch_feed_options f = feed_options(&o);
    an_loader *loader = start(&o);
    assert_int_equal(an_batch_feed_wait(feed, 0, NULL), AN_OK);
    assert_int_equal(an_batch_feed_again(feed, 0), AN_EINVAL);
    assert_message("holds no batch");
    assert_int_equal(an_batch_feed_wait(feed, PLACES, NULL), AN_EINVAL);
    assert_message("place 3 of a feed that has 3");
    assert_int_equal(an_loader_next(loader, &batch), AN_OK);
    assert_int_equal(an_batch_feed_put(feed, 0, batch.data, f.block + 1, batch.count), AN_EINVAL);
    f.places = 0;
    assert_int_equal(an_batch_feed_create(&none, &f), AN_EINVAL);
    assert_null(none);
    f = feed_options(&o);
    f.decoder.crop = SIDE + 1;
    assert_int_equal(an_batch_feed_create(&none, &f), AN_EINVAL);
    an_loader_free(loader);
    an_batch_feed_free(feed);
    an_batch_feed_free(NULL);
}

/* Damage that no checksum tells of is found where it is decoded. */
static void damage_is_found_by_the_device(void **state)
{
    (void)state;
    int rc = AN_OK;
    an_batch batch;
    an_loader_options o = bytes_options(AN_DECODE_DEVICE);
    o.dataset = coef.dataset;
    o.sample.crop = SIDE;
    o.order = AN_ORDER_SEQUENTIAL;
    o.verify = false;
    fixture_flip_byte(&coef, 5);
    an_loader_options host = o;
    host.decode = AN_DECODE_HOST;
    an_loader *samples = start(&host);
    int wanted = an_loader_next(samples, &batch);
    an_loader_free(samples);
    an_batch_feed *feed = open_feed(&o);
    an_loader *loader = start(&o);
    assert_int_equal(an_loader_next(loader, &batch), AN_OK);
    assert_int_equal(an_batch_feed_put(feed, 0, batch.data, batch.size, batch.count), AN_OK);
    rc = an_batch_feed_wait(feed, 0, NULL);
    assert_int_equal(rc, wanted);
    fixture_flip_byte(&coef, 5);
    an_loader_free(loader);
    an_batch_feed_free(feed);
}

static bool device_found(void)
{
    an_batch_decoder *decoder;
    an_batch_decoder_options o = {.device = "cuda:0",
                                  .batch = 1,
                                  .side = SIDE,
                                  .crop = SIDE,
                                  .format = {AN_DTYPE_U8, AN_LAYOUT_NHWC, 3},
                                  .scale = 1};
    int rc = an_batch_decoder_create(&decoder, &o);
    if (rc == AN_EUNSUPPORTED)
        print_message("skipped: %s\n", an_error_message());
    else if (rc)
        print_error("%s\n", an_error_message());
    an_batch_decoder_free(decoder);
    return rc != AN_EUNSUPPORTED;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_epoch_decoded_there_is_the_host_s),
        cmocka_unit_test(places_are_independent),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(damage_is_found_by_the_device),
    };
    return device_found() ? cmocka_run_group_tests(tests, setup_both, teardown_both) : 77;
}
