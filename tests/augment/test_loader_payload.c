/* Batches of payloads hold the samples that the host would have made: for every number of threads, engine, order and
 * depth, with short batches, subsets, ranks, and from the middle of an epoch. Records of codecs that devices do not
 * take, and resized crops, come in the same blocks. What is wrong with a record is said in the same words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "augment/payload.h"
#include "base/error.h"
#include "base/rng.h"
#include "loader_support.h"
#include "unpack.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static fixture coef; /* as set, but every record coef, as its manifest says */
static const an_codec coef_alone[] = {AN_CODEC_COEF};
static const char coef_manifest[] = "{\"codec\": \"coef\"}";

static int setup_both(void **state)
{
    fixture_make_with(&coef, RECORDS, SIDE, coef_alone, 1, coef_manifest);
    return setup(state);
}

static int teardown_both(void **state)
{
    fixture_drop(&coef);
    return teardown(state);
}

static an_loader_options payloads_of(const fixture *f)
{
    an_loader_options o = bytes_options(AN_DECODE_DEVICE);
    o.dataset = f->dataset;
    return o;
}

static void delay(void *context, int worker)
{
    static _Thread_local uint64_t calls;
    (void)context;
    an_rng rng = an_rng_make(97, AN_RNG_TEST, (uint64_t)worker, calls++);
    struct timespec pause = {.tv_nsec = (long)an_rng_below(&rng, 500000)};
    if (an_rng_below(&rng, 16) == 0)
        nanosleep(&pause, NULL);
}

/* In both modes. */
static void assert_same_in_both(an_loader_options o)
{
    o.decode = AN_DECODE_HOST;
    digest wanted = digest_from(&o, 0);
    o.decode = AN_DECODE_DEVICE;
    if (!same(digest_from(&o, 0), wanted))
        fail_msg("other samples: %d threads, engine %s, order %d, depth %d, %d slots", o.threads,
                 an_reader_engine_name(o.engine), (int)o.order, o.depth, o.slots);
}

static void an_epoch_of_payloads_is_that_of_samples(void **state)
{
    (void)state;
    const fixture *sets[] = {&set, &coef};
    size_t engines = an_reader_engine_count();
    for (size_t c = 0; c < 8 * engines * 3 * 2; c++) {
        an_loader_options o = payloads_of(sets[c % 2]);
        size_t rest = c / 2;
        o.threads = 1 + (int)(rest % 8);
        rest /= 8;
        o.engine = (an_reader_engine)(rest % engines);
        o.order = (an_order_kind)(rest / engines);
        o.block = 50;
        o.depth = 1 + (int)(c * 7 % 64);
        o.slots = 2 + (int)(c % 5);
        o.first_step = c % 3 ? 1 + c % (STEPS - 1) : 0;
        o.worker_hook = c % 4 == 3 ? delay : NULL;
        assert_same_in_both(o);
    }
}

static void short_batches_subsets_and_ranks_are_the_same(void **state)
{
    (void)state;
    uint64_t odd[RECORDS / 2];
    for (uint64_t i = 0; i < COUNT(odd); i++)
        odd[i] = 2 * ((i * 7) % COUNT(odd)) + 1;
    for (size_t k = 0; k < 8; k++) {
        an_loader_options o = payloads_of(k % 2 ? &set : &coef);
        o.subset = k / 2 % 2 ? odd : NULL;
        o.subset_count = COUNT(odd);
        o.world = 1 + 2 * (uint32_t)(k / 4);
        o.last = AN_LAST_SHORT;
        o.epochs = 2;
        o.first_epoch = 3;
        for (o.rank = 0; o.rank < o.world; o.rank++)
            assert_same_in_both(o);
    }
}

static void views_without_augmentation_are_the_same(void **state)
{
    (void)state;
    an_loader_options o = payloads_of(&set);
    o.sample.random_crop = o.sample.flip = false;
    o.sample.jitter = 0;
    o.order = AN_ORDER_SEQUENTIAL;
    o.last = AN_LAST_SHORT;
    assert_same_in_both(o);
    o.sample.crop = SIDE;
    o.verify = false;
    assert_same_in_both(o);
}

static void resized_crops_come_as_finished_samples(void **state)
{
    (void)state;
    an_loader_options o = payloads_of(&coef);
    o.sample.area_min = 0.2;
    o.sample.jitter = 0;
    assert_same_in_both(o);
    assert_int_equal(unpacked_samples, BATCH);
    assert_int_equal(unpacked_payloads, 0);
}

/* ---- what a block holds ----------------------------------------------------------------------------------------- */

static void records_come_as_stored(void **state)
{
    (void)state;
    an_batch batch;
    an_loader_options o = payloads_of(&coef);
    an_loader *loader = start(&o);
    assert_int_equal(an_loader_next(loader, &batch), AN_OK);
    const an_payload *places = (void *)((uint8_t *)batch.data + an_payload_places_offset(batch.count));
    for (uint32_t i = 0; i < batch.count; i++) {
        an_record record;
        assert_int_equal(an_dataset_record(coef.dataset, batch.indices[i], &record), AN_OK);
        assert_int_equal(places[i].kind, AN_PAYLOAD_COEF);
        assert_int_equal(places[i].size, record.header.length);
        assert_memory_equal((uint8_t *)batch.data + places[i].offset, record.payload, record.header.length);
    }
    free(unpack_batch(&o, &batch));
    an_loader_free(loader);
}

static void a_mixed_batch_holds_payloads_and_samples(void **state)
{
    (void)state;
    an_batch batch;
    an_loader_options o = payloads_of(&set);
    o.order = AN_ORDER_SEQUENTIAL;
    an_loader *loader = start(&o);
    assert_int_equal(an_loader_next(loader, &batch), AN_OK);
    free(unpack_batch(&o, &batch));
    assert_int_equal(unpacked_payloads, BATCH / 4);
    assert_int_equal(unpacked_samples, BATCH - BATCH / 4);
    an_loader_free(loader);
}

/* ---- sizes ------------------------------------------------------------------------------------------------------ */

static size_t lines(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static int falling(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x < y) - (x > y);
}

/* The largest records together, the slow way. sample: what each record takes at least. */
static size_t largest_batch(const fixture *f, uint32_t batch, size_t sample)
{
    size_t sizes[RECORDS], sum = lines(an_payload_first_offset(batch)) + AN_PAYLOAD_SLACK;
    for (size_t i = 0; i < RECORDS; i++) {
        size_t payload = an_dataset_index(f->dataset)[i].length - AN_RECORD_HEADER_SIZE;
        sizes[i] = lines(payload > sample ? payload : sample);
    }
    qsort(sizes, RECORDS, sizeof *sizes, falling);
    for (uint32_t i = 0; i < batch; i++)
        sum += sizes[i];
    return sum;
}

static void a_block_has_room_for_the_largest_records_and_no_more(void **state)
{
    (void)state;
    static const uint32_t batches[] = {1, 2, 3, 16, 100, RECORDS};
    size_t size, sample = (size_t)32 * 32 * 3;
    for (size_t k = 0; k < COUNT(batches); k++) {
        an_loader_options o = payloads_of(&coef);
        o.batch = batches[k];
        assert_int_equal(an_loader_block_size(&o, &size), AN_OK);
        assert_int_equal(size, largest_batch(&coef, o.batch, 0));
        o.dataset = set.dataset;
        assert_int_equal(an_loader_block_size(&o, &size), AN_OK);
        assert_int_equal(size, largest_batch(&set, o.batch, sample));
    }
}

/* All records in one batch fill the block to its last byte. */
static void the_whole_dataset_fills_its_block(void **state)
{
    (void)state;
    an_batch batch;
    size_t size;
    an_loader_options o = payloads_of(&coef);
    o.batch = RECORDS;
    assert_int_equal(an_loader_block_size(&o, &size), AN_OK);
    an_loader *loader = start(&o);
    assert_int_equal(an_loader_next(loader, &batch), AN_OK);
    assert_int_equal(batch.size, size);
    free(unpack_batch(&o, &batch));
    an_loader_free(loader);
}

static void a_subset_needs_room_for_its_own_records(void **state)
{
    (void)state;
    uint64_t three[] = {5, 6, 7};
    size_t size, sum = lines(an_payload_first_offset(3)) + AN_PAYLOAD_SLACK;
    for (size_t i = 0; i < 3; i++)
        sum += lines(an_dataset_index(coef.dataset)[three[i]].length - AN_RECORD_HEADER_SIZE);
    an_loader_options o = payloads_of(&coef);
    o.subset = three;
    o.subset_count = 3;
    assert_int_equal(an_loader_block_size(&o, &size), AN_OK);
    assert_int_equal(size, sum);
}

static struct {
    size_t asked;
    void *memory;
} pinned;

static int pinned_alloc(void *context, void **out, size_t size)
{
    assert_ptr_equal(context, &pinned);
    pinned.asked = size;
    *out = pinned.memory = aligned_alloc(4096, size);
    return *out ? AN_OK : an_error(AN_ENOMEM, "out of memory");
}

static void pinned_free(void *context, void *memory, size_t size)
{
    assert_ptr_equal(context, &pinned);
    assert_ptr_equal(memory, pinned.memory);
    assert_int_equal(size, pinned.asked);
    free(memory);
}

static void blocks_lie_in_the_memory_that_is_given(void **state)
{
    (void)state;
    an_batch batch;
    size_t size;
    an_loader_options o = payloads_of(&coef);
    o.memory_alloc = pinned_alloc;
    o.memory_free = pinned_free;
    o.memory_context = &pinned;
    assert_int_equal(an_loader_block_size(&o, &size), AN_OK);
    an_loader *loader = start(&o);
    assert_true(pinned.asked >= 2 * size && pinned.asked < 2 * (size + 4096));
    assert_int_equal(an_loader_next(loader, &batch), AN_OK);
    ptrdiff_t at = (uint8_t *)batch.data - (uint8_t *)pinned.memory;
    assert_true(at >= 0 && (size_t)at + batch.size <= pinned.asked);
    an_loader_free(loader);
}

/* ---- what is refused -------------------------------------------------------------------------------------------- */

static void only_bytes_are_decoded_to(void **state)
{
    (void)state;
    an_loader *loader;
    an_loader_options o = plain();
    o.decode = AN_DECODE_DEVICE;
    assert_int_equal(an_loader_create(&loader, &o), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "u8, NHWC, 3 channels"));
    o = payloads_of(&coef);
    o.sample.format.channels = 4;
    assert_int_equal(an_loader_create(&loader, &o), AN_EINVAL);
    o.sample.format = (an_format){AN_DTYPE_U8, AN_LAYOUT_NCHW, 3};
    assert_int_equal(an_loader_create(&loader, &o), AN_EINVAL);
    o = payloads_of(&coef);
    o.decode = (an_decode_place)2;
    assert_int_equal(an_loader_create(&loader, &o), AN_EINVAL);
}

/* The first failure of the loader: its code, and its message. */
static int failure_of(const an_loader_options *o, char message[512])
{
    an_batch batch;
    an_loader *loader = start(o);
    int rc = an_loader_next(loader, &batch);
    while (!rc) {
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
        rc = an_loader_next(loader, &batch);
    }
    message[0] = '\0';
    if (rc < 0)
        strncat(message, an_error_message(), 511);
    an_loader_free(loader);
    return rc;
}

static void assert_same_failure(an_loader_options o, int code, const char *record)
{
    char wanted[512], got[512];
    o.decode = AN_DECODE_HOST;
    assert_int_equal(failure_of(&o, wanted), code);
    assert_non_null(strstr(wanted, record));
    o.decode = AN_DECODE_DEVICE;
    assert_int_equal(failure_of(&o, got), code);
    assert_string_equal(got, wanted);
}

/* Record 103 is coef in both sets; of set, 100 is jpeg. */
static void damage_is_told_as_on_the_host(void **state)
{
    (void)state;
    static const uint32_t bytes[] = {0, 5, 9, 13, 17, 25, 30, AN_RECORD_HEADER_SIZE, AN_RECORD_HEADER_SIZE + 5, 300};
    const fixture *sets[] = {&set, &coef};
    for (size_t k = 0; k < COUNT(bytes) * 2; k++) {
        const fixture *f = sets[k % 2];
        an_loader_options o = payloads_of(f);
        fixture_flip_byte_at(f, 103, bytes[k / 2]);
        assert_same_failure(o, AN_ECORRUPT, "record 103 ('class/103.png')");
        fixture_flip_byte_at(f, 103, bytes[k / 2]);
    }
    fixture_flip_byte(&set, 100);
    assert_same_failure(payloads_of(&set), AN_ECORRUPT, "record 100 ('class/100.png')");
    fixture_flip_byte(&set, 100);
}

/* Without checksums, a header of coefficients that no decoder takes is refused by the host's. Bytes 1 and 4: sampling
 * and width. */
static void payloads_that_decoders_refuse_are_told_without_checksums(void **state)
{
    (void)state;
    static const uint32_t bytes[] = {0, 1, 4, 6};
    for (size_t k = 0; k < COUNT(bytes); k++) {
        char wanted[512], got[512];
        an_loader_options o = bytes_options(AN_DECODE_HOST);
        o.dataset = coef.dataset;
        o.verify = false;
        fixture_flip_byte_at(&coef, 103, AN_RECORD_HEADER_SIZE + bytes[k]);
        int code = failure_of(&o, wanted);
        assert_true(code < 0);
        o.decode = AN_DECODE_DEVICE;
        assert_int_equal(failure_of(&o, got), code);
        assert_string_equal(got, wanted);
        fixture_flip_byte_at(&coef, 103, AN_RECORD_HEADER_SIZE + bytes[k]);
    }
}

/* A manifest that says coef where records are not: there is no room for their samples. */
static void a_manifest_that_is_wrong_is_found_out(void **state)
{
    (void)state;
    static const an_codec codecs[] = {AN_CODEC_COEF, AN_CODEC_COEF, AN_CODEC_COEF, AN_CODEC_JPEG};
    fixture wrong;
    char message[512];
    fixture_make_with(&wrong, 40, SIDE, codecs, 4, coef_manifest);
    an_loader_options o = payloads_of(&wrong);
    o.order = AN_ORDER_SEQUENTIAL;
    assert_int_equal(failure_of(&o, message), AN_EUNSUPPORTED);
    assert_non_null(strstr(message, "record 3 ('class/3.png')"));
    assert_non_null(strstr(message, "it is jpeg"));
    fixture_flip_byte(&wrong, 3);
    assert_same_failure(o, AN_ECORRUPT, "record 3");
    fixture_drop(&wrong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_epoch_of_payloads_is_that_of_samples),
        cmocka_unit_test(short_batches_subsets_and_ranks_are_the_same),
        cmocka_unit_test(views_without_augmentation_are_the_same),
        cmocka_unit_test(resized_crops_come_as_finished_samples),
        cmocka_unit_test(records_come_as_stored),
        cmocka_unit_test(a_mixed_batch_holds_payloads_and_samples),
        cmocka_unit_test(a_block_has_room_for_the_largest_records_and_no_more),
        cmocka_unit_test(the_whole_dataset_fills_its_block),
        cmocka_unit_test(a_subset_needs_room_for_its_own_records),
        cmocka_unit_test(blocks_lie_in_the_memory_that_is_given),
        cmocka_unit_test(only_bytes_are_decoded_to),
        cmocka_unit_test(damage_is_told_as_on_the_host),
        cmocka_unit_test(payloads_that_decoders_refuse_are_told_without_checksums),
        cmocka_unit_test(a_manifest_that_is_wrong_is_found_out),
    };
    return cmocka_run_group_tests(tests, setup_both, teardown_both);
}
