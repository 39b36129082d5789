/* JPEG files that are not quite right, as cameras and phones write them: which are taken, with which pixels, and which
 * are set aside, with which reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "ingest/run/run.h"
#include "store/codec.h"
#include "store/dataset/dataset.h"
#include "tests/ingest/support.h"
#include "tests/store/jpeg_support.h"

enum { SIDE = 64, FILES = 24 };

static fixture f;

static int setup(void **state)
{
    (void)state;
    fixture_open(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_close(&f);
    return 0;
}

/* --- files without tables -------------------------------------------------------------------------------------- */

/* Every other file lacks the segments 0xff `code`; the others have Huffman tables of their own. */
static void put_files(const char *folder, uint8_t code)
{
    for (uint32_t i = 0; i < FILES; i++) {
        test_jpeg spec = {.width = SIDE, .height = SIDE, .space = TEST_YCC, .horizontal = 2, .vertical = 2};
        an_buffer file = {0};
        spec.optimized = i % 2 == 0;
        spec.quality = i % 2 == 0 ? 60 : 90;
        test_jpeg_make(&spec, i, &file);
        if (i % 2)
            test_jpeg_strip(&file, code, 0);
        fixture_write(fixture_path(&f, "%s/c/%02u.jpg", folder, i), file.data, file.size);
        an_buffer_free(&file);
    }
}

static an_dataset *ingest(const char *folder, an_codec codec, int threads)
{
    an_ingest_config config;
    char in[512], out[512];
    support_config(&config, SIDE);
    config.codec = an_codec_name(codec);
    config.max_bad = "100%";
    config.threads = threads;
    snprintf(in, sizeof in, "%s", fixture_path(&f, "%s", folder));
    snprintf(out, sizeof out, "%s", fixture_path(&f, "%s-%s-%d", folder, config.codec, threads));
    support_ingest(&config, in, out);
    return support_open(out);
}

static void decode(an_decoder *decoder, const an_dataset *dataset, uint64_t index, uint8_t *out)
{
    an_record record;
    assert_int_equal(an_dataset_record(dataset, index, &record), AN_OK);
    if (an_decoder_window(decoder, &record, 0, 0, SIDE, SIDE, out, 3 * (size_t)SIDE))
        fail_msg("record %u: %s", (unsigned)index, an_error_message());
}

/* Each record decodes to the same pixels behind any other. */
static void assert_stands_alone(const an_dataset *dataset)
{
    static uint8_t alone[3 * SIDE * SIDE], behind[3 * SIDE * SIDE];
    uint64_t count = an_dataset_count(dataset);
    an_decoder *used, *fresh;
    assert_int_equal(an_decoder_create(&used), AN_OK);
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(an_decoder_create(&fresh), AN_OK);
        decode(fresh, dataset, i, alone);
        an_decoder_free(fresh);
        for (uint64_t before = 0; before < count; before++) {
            decode(used, dataset, before, behind);
            decode(used, dataset, i, behind);
            assert_memory_equal(alone, behind, sizeof alone);
        }
    }
    an_decoder_free(used);
}

static void test_without_huffman_tables(void **state)
{
    (void)state;
    static const an_codec codecs[] = {AN_CODEC_JPEG, AN_CODEC_COEF, AN_CODEC_RGB};
    put_files("nodht", 0xc4);
    for (size_t c = 0; c < sizeof codecs / sizeof *codecs; c++) {
        an_dataset *one = ingest("nodht", codecs[c], 1);
        assert_int_equal(an_dataset_count(one), FILES);
        for (int threads = 2; threads <= 5; threads += 3) {
            an_dataset *other = ingest("nodht", codecs[c], threads);
            support_assert_same(one, other);
            an_dataset_free(other);
        }
        assert_stands_alone(one);
        an_dataset_free(one);
    }
}

typedef struct {
    const char *reason; /* that every input must have */
    int count;
} expected;

static int expect_reason(void *context, const char *name, const char *reason, uint64_t bytes)
{
    expected *e = context;
    (void)bytes;
    if (!strstr(reason, e->reason))
        fail_msg("'%s' was set aside: %s", name, reason);
    e->count++;
    return AN_OK;
}

static void test_without_quantisation_tables(void **state)
{
    (void)state;
    put_files("nodqt", 0xdb);
    for (int threads = 1; threads <= 3; threads++) {
        expected e = {"quantization table 0x00 was not defined", 0};
        an_dataset *dataset = ingest("nodqt", AN_CODEC_RGB, threads);
        assert_int_equal(an_dataset_count(dataset), FILES / 2);
        assert_int_equal(an_dataset_rejects(dataset, expect_reason, &e), AN_OK);
        assert_int_equal(e.count, FILES / 2);
        an_dataset_free(dataset);
    }
}

/* --- ends and damage ------------------------------------------------------------------------------------------- */

enum { DAMAGED = 6, CUT = 4 };

/* Of FILES files, DAMAGED have a code that does not exist and CUT end early; the others end in a trailer in place of
 * the end marker, or without anything. All are larger than they are wanted, so they are decoded at half the size. */
static void put_ends(void)
{
    static const uint8_t ones[] = {0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0};
    for (uint32_t i = 0; i < FILES; i++) {
        test_jpeg spec = {.width = 2 * SIDE + 9, .height = 2 * SIDE, .space = TEST_YCC, .horizontal = 2, .vertical = 2};
        an_buffer file = {0};
        spec.progressive = i % 2;
        test_jpeg_make(&spec, i, &file);
        if (i < DAMAGED)
            test_jpeg_insert(&file, file.size - 40, ones, sizeof ones);
        else
            file.size -= i < DAMAGED + CUT ? file.size / 2 : 2;
        if (i >= FILES - 6)
            assert_int_equal(an_buffer_append(&file, "\xff\2 panorama", 11), AN_OK);
        fixture_write(fixture_path(&f, "ends/c/%02u.jpg", i), file.data, file.size);
        an_buffer_free(&file);
    }
}

static int expect_end(void *context, const char *name, const char *reason, uint64_t bytes)
{
    int *count = context, number = atoi(name + 2); /* "c/05.jpg" */
    (void)bytes;
    const char *wanted = number < DAMAGED ? "damaged JPEG: corrupt JPEG data: " : "truncated JPEG: its data ends early";
    if (number >= DAMAGED + CUT || !strstr(reason, wanted))
        fail_msg("'%s' was set aside: %s", name, reason);
    ++*count;
    return AN_OK;
}

static int ingest_ends(const char *max_bad, bool accept_truncated, const char *out, an_ingest_outcome *outcome)
{
    an_ingest_config config;
    char in[512];
    support_config(&config, SIDE);
    config.codec = "rgb";
    config.max_bad = max_bad;
    config.accept_truncated = accept_truncated;
    snprintf(in, sizeof in, "%s", fixture_path(&f, "ends"));
    return an_ingest_run(&config, in, out, outcome);
}

static void test_ends_and_damage(void **state)
{
    (void)state;
    an_ingest_outcome outcome;
    char out[512], accepting[512];
    snprintf(out, sizeof out, "%s", fixture_path(&f, "ends-out"));
    snprintf(accepting, sizeof accepting, "%s", fixture_path(&f, "ends-accepting"));
    put_ends();
    assert_int_equal(ingest_ends("10", false, out, &outcome), AN_OK);
    assert_int_equal(outcome.state.images, FILES - DAMAGED - CUT);
    assert_int_equal(outcome.state.warnings, FILES - DAMAGED - CUT);
    an_ingest_outcome_free(&outcome);
    int count = 0;
    an_dataset *dataset = support_open(out);
    assert_int_equal(an_dataset_rejects(dataset, expect_end, &count), AN_OK);
    assert_int_equal(count, DAMAGED + CUT);
    an_dataset_free(dataset);
    /* Files that were cut can be accepted, damaged ones cannot. */
    assert_int_equal(ingest_ends("6", true, accepting, &outcome), AN_OK);
    assert_int_equal(outcome.state.images, FILES - DAMAGED);
    an_ingest_outcome_free(&outcome);
}

/* Damaged files count against --max-bad. */
static void test_damage_counts(void **state)
{
    (void)state;
    an_ingest_outcome outcome;
    char out[512];
    snprintf(out, sizeof out, "%s", fixture_path(&f, "ends-limited"));
    put_ends();
    int rc = ingest_ends("5", true, out, &outcome);
    an_ingest_outcome_free(&outcome);
    assert_int_equal(rc, AN_ECORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_huffman_tables),
        cmocka_unit_test(test_without_quantisation_tables),
        cmocka_unit_test(test_ends_and_damage),
        cmocka_unit_test(test_damage_counts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
