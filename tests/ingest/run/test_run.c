/* Whole ingests: what ends up in the dataset, for good and bad input, any number of threads, stopped and continued. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/program/stop.h"
#include "ingest/commands/info.h"
#include "ingest/commands/verify.h"
#include "ingest/run/run.h"
#include "tests/ingest/support.h"

static fixture f;
static an_ingest_config config;
static char source[512], destination[512];

static int set_up(void **state)
{
    (void)state;
    fixture_open(&f);
    snprintf(source, sizeof(source), "%s", fixture_path(&f, "source"));
    snprintf(destination, sizeof(destination), "%s", fixture_path(&f, "out"));
    support_config(&config, 32);
    an_stop_reset();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_close(&f);
    return 0;
}

static void add_pictures(int classes, int each)
{
    support_pictures(&f, "source", classes, each);
}

static int ingest(an_ingest_outcome *outcome)
{
    return an_ingest_run(&config, source, destination, outcome);
}

static void ingest_ok(void)
{
    support_ingest(&config, source, destination);
}

static void ingest_fails(int code, const char *text)
{
    an_ingest_outcome outcome;
    int rc = ingest(&outcome);
    an_ingest_outcome_free(&outcome);
    assert_int_equal(rc, code);
    if (!strstr(an_error_message(), text))
        fail_msg("'%s' is not in '%s'", text, an_error_message());
}

static void assert_same(const char *left, const char *right)
{
    an_dataset *a = support_open(left), *b = support_open(right);
    support_assert_same(a, b);
    an_dataset_free(a);
    an_dataset_free(b);
}

static void test_any_number_of_threads_gives_the_same(void **state)
{
    (void)state;
    char first[512];
    add_pictures(3, 20);
    fixture_write(fixture_path(&f, "source/class-1/bad.jpg"), "bad", 3);
    snprintf(first, sizeof(first), "%s", destination);
    ingest_ok();
    for (int threads = 1; threads <= 8; threads += threads < 3 ? 1 : 5) {
        snprintf(destination, sizeof(destination), "%s", fixture_path(&f, "threads-%d", threads));
        config.threads = threads;
        ingest_ok();
        assert_same(first, destination);
    }
    an_dataset *dataset = support_open(first);
    assert_int_equal(an_dataset_count(dataset), 60);
    assert_int_equal(an_dataset_class_count(dataset), 3);
    assert_int_equal(an_dataset_class(dataset, 2)->count, 20);
    an_verify_faults faults;
    assert_int_equal(an_verify(dataset, 2, true, &faults), AN_OK);
    assert_int_equal(faults.count, 0);
    an_dataset_free(dataset);
}

/* More items than one group of the pipeline: sums are merged while workers go on with the next group. */
static void test_many_small_images(void **state)
{
    (void)state;
    enum { COUNT = 5000, SIDE = 8 };
    uint8_t *images = calloc(1, 16 + (size_t)COUNT * SIDE * SIDE), *labels = calloc(1, 8 + COUNT);
    memcpy(images, (const uint8_t[]){0, 0, 8, 3, 0, 0, COUNT >> 8, COUNT & 255, 0, 0, 0, SIDE, 0, 0, 0, SIDE}, 16);
    memcpy(labels, (const uint8_t[]){0, 0, 8, 1, 0, 0, COUNT >> 8, COUNT & 255}, 8);
    uint64_t total = 0;
    for (int i = 0; i < COUNT; i++) {
        memset(images + 16 + i * SIDE * SIDE, i % 251, SIDE * SIDE);
        total += (uint64_t)(i % 251);
        labels[8 + i] = (uint8_t)(i % 7);
    }
    fixture_write(fixture_path(&f, "mnist/t-images-idx3-ubyte"), images, 16 + (size_t)COUNT * SIDE * SIDE);
    fixture_write(fixture_path(&f, "mnist/t-labels-idx1-ubyte"), labels, 8 + COUNT);
    snprintf(source, sizeof(source), "%s", fixture_path(&f, "mnist/t-images-idx3-ubyte"));
    config.size = SIDE;
    config.codec = "rgb";
    config.threads = 3;
    ingest_ok();
    an_dataset *dataset = support_open(destination);
    assert_int_equal(an_dataset_count(dataset), COUNT);
    assert_true(an_dataset_statistics(dataset)->mean[1] == (double)total / COUNT);
    for (uint64_t i = 0; i < COUNT; i++) {
        an_record record;
        const char *name;
        size_t length;
        assert_int_equal(an_dataset_record(dataset, i, &record), AN_OK);
        assert_int_equal(an_dataset_name(dataset, i, &name, &length), AN_OK);
        char *slash = strrchr(strndupa(name, length), '/');
        int number = atoi(slash + 1);
        assert_int_equal(record.header.label, number % 7);
        assert_int_equal(record.payload[0], number % 251);
        assert_int_equal(record.payload[SIDE * SIDE * 3 - 1], number % 251);
    }
    an_dataset_free(dataset);
    free(images);
    free(labels);
}

static void test_order_source_keeps_it(void **state)
{
    (void)state;
    add_pictures(2, 3);
    config.order = AN_INGEST_ORDER_SOURCE;
    ingest_ok();
    an_dataset *dataset = support_open(destination);
    const char *name;
    size_t length;
    assert_int_equal(an_dataset_name(dataset, 4, &name, &length), AN_OK);
    assert_int_equal(length, strlen("class-1/001.jpg"));
    assert_memory_equal(name, "class-1/001.jpg", length);
    an_dataset_free(dataset);
}

static void test_codecs_and_mixture(void **state)
{
    (void)state;
    size_t codecs = an_codec_count();
    add_pictures(2, 30);
    for (size_t c = 0; c <= codecs; c++) {
        config.codec = c < codecs ? an_codec_name(an_codec_at(c)) : "mixed:0.5";
        snprintf(destination, sizeof(destination), "%s", fixture_path(&f, "codec-%zu", c));
        ingest_ok();
        an_dataset *dataset = support_open(destination);
        uint64_t raw = 0;
        for (uint64_t i = 0; i < 60; i++) {
            an_record record;
            assert_int_equal(an_dataset_record(dataset, i, &record), AN_OK);
            if (c < codecs)
                assert_int_equal(record.header.codec, an_codec_at(c));
            raw += record.header.codec == AN_CODEC_YUV420;
        }
        json_t *object;
        assert_int_equal(an_info_json(dataset, &object), AN_OK);
        json_t *counts = json_object_get(object, "codecs");
        if (c == codecs)
            assert_true(raw > 15 && raw < 45);
        else
            assert_int_equal(json_integer_value(json_object_get(counts, config.codec)), 60);
        assert_int_equal(json_object_size(counts), c < codecs ? 1 : 2);
        json_decref(object);
        an_verify_faults faults;
        assert_int_equal(an_verify(dataset, 2, true, &faults), AN_OK);
        assert_int_equal(faults.count, 0);
        an_dataset_free(dataset);
    }
    snprintf(destination, sizeof(destination), "%s", fixture_path(&f, "codec-none"));
    config.codec = "mixed:2";
    ingest_fails(AN_EINVAL, "mixed:P");
    config.codec = "tiff";
    ingest_fails(AN_EINVAL, "tiff");
}

static void test_fitting_jpeg_passes_through(void **state)
{
    (void)state;
    an_buffer bytes = {0};
    fixture_jpeg(&bytes, 32, 32, 1, AN_JPEG_420);
    fixture_write(fixture_path(&f, "source/c/fits.jpg"), bytes.data, bytes.size);
    fixture_write_jpeg(fixture_path(&f, "source/c/larger.jpg"), 33, 32, 2);
    an_ingest_outcome outcome;
    config.order = AN_INGEST_ORDER_SOURCE;
    config.quality = 20; /* would be seen if it were encoded again */
    assert_int_equal(ingest(&outcome), AN_OK);
    assert_int_equal(outcome.state.passed, 1);
    an_dataset *dataset = support_open(destination);
    an_record record;
    assert_int_equal(an_dataset_record(dataset, 0, &record), AN_OK);
    assert_int_equal(record.header.length, bytes.size);
    assert_memory_equal(record.payload, bytes.data, bytes.size);
    an_dataset_free(dataset);
    an_ingest_outcome_free(&outcome);
    an_buffer_free(&bytes);
}

/* --- bad input ------------------------------------------------------------------------------------------------- */

static int find_reject(void *context, const char *name, const char *reason, uint64_t bytes)
{
    const char **wanted = context;
    (void)bytes;
    if (strcmp(name, wanted[0]) == 0 && strstr(reason, wanted[1]))
        wanted[0] = "";
    return AN_OK;
}

static void assert_rejected(const an_dataset *dataset, const char *name, const char *reason)
{
    const char *wanted[2] = {name, reason};
    assert_int_equal(an_dataset_rejects(dataset, find_reject, wanted), AN_OK);
    if (*wanted[0])
        fail_msg("'%s' was not set aside for '%s'", name, reason);
}

static void test_odd_files(void **state)
{
    (void)state;
    an_buffer jpeg = {0}, png = {0}, report = {0};
    add_pictures(2, 8);
    fixture_jpeg(&jpeg, 60, 50, 3, AN_JPEG_444);
    fixture_png(&png, 60, 50, 3);
    fixture_write(fixture_path(&f, "source/odd/png-named.jpg"), png.data, png.size);
    fixture_write(fixture_path(&f, "source/odd/empty.jpg"), "", 0);
    fixture_write(fixture_path(&f, "source/odd/text.jpg"), "not an image at all", 19);
    fixture_write(fixture_path(&f, "source/odd/gif.jpg"), "GIF89a..........", 16);
    fixture_write(fixture_path(&f, "source/odd/webp.jpg"), "RIFF....WEBPVP8 ", 16);
    fixture_write(fixture_path(&f, "source/odd/cut.jpg"), jpeg.data, jpeg.size / 2);
    fixture_write(fixture_path(&f, "source/odd/cut.png"), png.data, png.size / 2);
    assert_int_equal(symlink("nowhere", fixture_path(&f, "source/odd/broken.jpg")), 0);
    ingest_ok();
    an_dataset *dataset = support_open(destination);
    assert_int_equal(an_dataset_count(dataset), 17);
    assert_int_equal(an_dataset_reject_count(dataset), 7);
    assert_rejected(dataset, "odd/empty.jpg", "empty file");
    assert_rejected(dataset, "odd/text.jpg", "text");
    assert_rejected(dataset, "odd/gif.jpg", "GIF image");
    assert_rejected(dataset, "odd/webp.jpg", "WebP image");
    assert_rejected(dataset, "odd/cut.jpg", "truncated");
    assert_rejected(dataset, "odd/cut.png", "truncated");
    assert_rejected(dataset, "odd/broken.jpg", "cannot open");
    an_dataset_free(dataset);
    assert_int_equal(an_file_read(fixture_path(&f, "out.rejected.ndjson"), 100000, &report), AN_OK);
    assert_int_equal(an_buffer_append(&report, "", 1), AN_OK);
    assert_non_null(strstr((char *)report.data, "{\"bytes\":19,\"path\":\"odd/text.jpg\",\"reason\":\"not a JPEG"));
    an_buffer_free(&report);
    an_buffer_free(&jpeg);
    an_buffer_free(&png);
}

/* Files that cannot be read are set aside, each with its reason, which does not hold the path. */
static void test_unreadable_files_are_set_aside(void **state)
{
    (void)state;
    add_pictures(2, 8);
    assert_int_equal(mkdir(fixture_path(&f, "source/folder"), 0755), 0);
    assert_int_equal(symlink("loop", fixture_path(&f, "source/loop")), 0);
    assert_int_equal(mkfifo(fixture_path(&f, "source/pipe"), 0600), 0);
    const char list[] = "source/class-0/000.jpg\ta\nsource/class-0/001.jpg\ta\nsource/class-0/002.jpg\ta\n"
                        "source/folder\ta\nsource/pipe\ta\nsource/loop\ta\nsource/class-0/000.jpg/x\ta\n";
    fixture_write(fixture_path(&f, "list"), list, sizeof(list) - 1);
    snprintf(source, sizeof(source), "%s", fixture_path(&f, "list"));
    config.max_bad = "4";
    ingest_ok();
    an_dataset *dataset = support_open(destination);
    assert_int_equal(an_dataset_count(dataset), 3);
    assert_rejected(dataset, "source/folder", "a folder, not a regular file");
    assert_rejected(dataset, "source/pipe", "a named pipe, not a regular file");
    assert_rejected(dataset, "source/loop", "cannot open it: Too many levels of symbolic links");
    assert_rejected(dataset, "source/class-0/000.jpg/x", "cannot open it: Not a directory");
    an_dataset_free(dataset);
}

/* Too many open files: not the image's fault, so it is an error and nothing is set aside. */
static void test_a_failing_system_rejects_nothing(void **state)
{
    (void)state;
    an_recorder *recorder;
    an_recording made = {0};
    an_item item = {.whole = true, .fd = -1};
    const an_recorder_options options = {.picture = {.side = 32, .pixels_max = 100000},
                                         .codec = {.codec = AN_CODEC_JPEG, .quality = 90}};
    fixture_write_jpeg(fixture_path(&f, "a.jpg"), 40, 40, 1);
    assert_int_equal(an_buffer_printf(&item.path, "%s", fixture_path(&f, "a.jpg")), AN_OK);
    assert_int_equal(an_recorder_create(&recorder, &options), AN_OK);
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, limit.rlim_max}), 0);
    int rc = an_recorder_make(recorder, &item, 0, &made);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(rc, AN_EIO);
    assert_false(made.rejected);
    assert_int_equal(an_recorder_make(recorder, &item, 0, &made), AN_OK);
    assert_false(made.rejected);
    an_buffer_free(&made.payload);
    an_recorder_free(recorder);
    an_item_free(&item);
}

static void test_too_many_bad_files_stop_it_and_a_higher_limit_continues(void **state)
{
    (void)state;
    add_pictures(1, 30);
    for (int i = 0; i < 12; i++)
        fixture_write(fixture_path(&f, "source/class-0/bad-%d.jpg", i), "bad", 3);
    ingest_fails(AN_ECORRUPT, "--max-bad 1%");
    assert_int_equal(access(destination, F_OK), -1);
    assert_int_equal(access(fixture_path(&f, "out.rejected.ndjson"), F_OK), 0);
    config.max_bad = "11";
    ingest_fails(AN_ECORRUPT, "--max-bad 11");
    config.max_bad = "12";
    ingest_ok();
    an_dataset *dataset = support_open(destination);
    assert_int_equal(an_dataset_count(dataset), 30);
    assert_int_equal(an_dataset_reject_count(dataset), 12);
    an_dataset_free(dataset);
}

static void write_bad(int i, const char *text)
{
    fixture_write(fixture_path(&f, "source/class-0/bad-%02d.jpg", i), text, strlen(text));
}

/* Ten bad files among pictures; the run fails. */
static void fail_with_bad_files(void)
{
    add_pictures(2, 30);
    for (int i = 0; i < 10; i++)
        write_bad(i, "bad");
    config.max_bad = "5";
    ingest_fails(AN_ECORRUPT, "mend them and run again, which reads them anew");
    assert_int_equal(access(destination, F_OK), -1);
}

static int count_name(void *context, const char *name, const char *reason, uint64_t bytes)
{
    (void)reason, (void)bytes;
    const char *const *wanted = context;
    assert_string_not_equal(name, wanted[0]);
    return AN_OK;
}

/* How often a record has this name; what was set aside must not have it. */
static int records_named(const an_dataset *dataset, const char *wanted)
{
    int found = 0;
    for (uint64_t i = 0; i < an_dataset_count(dataset); i++) {
        const char *name;
        size_t length;
        assert_int_equal(an_dataset_name(dataset, i, &name, &length), AN_OK);
        found += length == strlen(wanted) && memcmp(name, wanted, length) == 0;
    }
    assert_int_equal(an_dataset_rejects(dataset, count_name, &wanted), AN_OK);
    return found;
}

static void check_mended(int mended, const char *still_bad)
{
    an_verify_faults faults;
    an_dataset *dataset = support_open(destination);
    assert_int_equal(an_dataset_count(dataset), 60 + mended);
    assert_int_equal(an_dataset_reject_count(dataset), 10 - mended);
    if (still_bad)
        assert_rejected(dataset, still_bad, "");
    for (int i = 0; i < mended; i++) {
        char name[64];
        snprintf(name, sizeof(name), "class-0/bad-%02d.jpg", i);
        assert_int_equal(records_named(dataset, name), 1);
    }
    assert_int_equal(an_verify(dataset, 2, true, &faults), AN_OK);
    assert_int_equal(faults.count, 0);
    an_verify_faults_free(&faults);
    an_dataset_free(dataset);
}

/* A mended file is read again whether its size is another one or not. */
static void test_mended_files_are_read_again(void **state)
{
    (void)state;
    fail_with_bad_files();
    for (int i = 0; i < 6; i++)
        fixture_write_jpeg(fixture_path(&f, "source/class-0/bad-%02d.jpg", i), 40 + i, 50, 100 + i);
    write_bad(6, "bad in another way, and longer");
    ingest_ok();
    check_mended(6, "class-0/bad-06.jpg");
}

static void test_mending_that_keeps_the_size(void **state)
{
    (void)state;
    an_buffer jpeg = {0};
    add_pictures(2, 30);
    fixture_jpeg(&jpeg, 60, 50, 3, AN_JPEG_420);
    char *zeros = calloc(1, jpeg.size);
    assert_non_null(zeros);
    for (int i = 0; i < 10; i++)
        fixture_write(fixture_path(&f, "source/class-0/bad-%02d.jpg", i), zeros, jpeg.size);
    config.max_bad = "5";
    ingest_fails(AN_ECORRUPT, "--max-bad 5");
    for (int i = 0; i < 10; i++)
        fixture_write(fixture_path(&f, "source/class-0/bad-%02d.jpg", i), jpeg.data, jpeg.size);
    ingest_ok();
    check_mended(10, NULL);
    assert_int_equal(access(fixture_path(&f, "out.rejected.ndjson"), F_OK), -1); /* the failed run's list is gone */
    free(zeros);
    an_buffer_free(&jpeg);
}

/* Mended in two steps, with a stop between them: nothing is lost, nothing taken twice. */
static void test_mended_step_by_step(void **state)
{
    (void)state;
    an_ingest_outcome outcome;
    fail_with_bad_files();
    for (int i = 0; i < 3; i++)
        fixture_write_jpeg(fixture_path(&f, "source/class-0/bad-%02d.jpg", i), 40 + i, 50, 100 + i);
    an_stop_request();
    assert_int_equal(ingest(&outcome), AN_STOPPED);
    an_ingest_outcome_free(&outcome);
    an_stop_reset();
    config.max_bad = "0";
    ingest_fails(AN_ECORRUPT, "--max-bad 0");
    for (int i = 3; i < 10; i++)
        fixture_write_jpeg(fixture_path(&f, "source/class-0/bad-%02d.jpg", i), 40 + i, 50, 100 + i);
    ingest_ok();
    check_mended(10, NULL);
}

static int entries_of(const char *folder)
{
    int count = 0;
    DIR *opened = opendir(folder);
    assert_non_null(opened);
    while (readdir(opened))
        count++;
    closedir(opened);
    return count - 2; /* without . and .. */
}

/* What became a record must stay as it was, and so must the list of inputs; what was not read yet may change. */
static void test_other_changes_are_refused(void **state)
{
    (void)state;
    an_buffer first = {0};
    config.order = AN_INGEST_ORDER_SOURCE;
    fail_with_bad_files();
    assert_int_equal(an_file_read(fixture_path(&f, "source/class-0/000.jpg"), 100000, &first), AN_OK);
    fixture_write_jpeg(fixture_path(&f, "source/class-0/bad-00.jpg"), 40, 50, 100);
    fixture_write_jpeg(fixture_path(&f, "source/class-0/000.jpg"), 148, 50, 100);
    ingest_fails(AN_EINVAL, "'class-0/000.jpg' was read when it had");
    fixture_write(fixture_path(&f, "source/class-0/000.jpg"), first.data, first.size);
    fixture_write(fixture_path(&f, "source/class-0/more.jpg"), first.data, first.size);
    ingest_fails(AN_EINVAL, "another source (give the same, or remove it): the source had ");
    unlink(fixture_path(&f, "source/class-0/more.jpg"));
    for (int i = 0; i < 10; i++)
        fixture_write_jpeg(fixture_path(&f, "source/class-0/bad-%02d.jpg", i), 40 + i, 50, 100);
    ingest_ok();
    check_mended(10, NULL);
    assert_int_equal(entries_of(destination), 1); /* data.mdb and nothing else */
    an_buffer_free(&first);
}

/* A run that is stopped at its start has not read the last picture. */
static void test_what_was_not_read_may_change(void **state)
{
    (void)state;
    an_ingest_outcome outcome;
    config.order = AN_INGEST_ORDER_SOURCE;
    add_pictures(2, 30);
    an_stop_request();
    assert_int_equal(ingest(&outcome), AN_STOPPED);
    an_ingest_outcome_free(&outcome);
    an_stop_reset();
    fixture_write_jpeg(fixture_path(&f, "source/class-1/029.jpg"), 148, 50, 100);
    ingest_ok();
    an_dataset *dataset = support_open(destination);
    assert_int_equal(an_dataset_count(dataset), 60);
    an_dataset_free(dataset);
}

/* What was not mended is set aside as before: a run that was stopped gives what an undisturbed one gives. */
static void test_trying_again_changes_nothing(void **state)
{
    (void)state;
    char whole[512];
    fail_with_bad_files();
    config.max_bad = "10";
    ingest_ok();
    snprintf(whole, sizeof(whole), "%s", destination);
    snprintf(destination, sizeof(destination), "%s", fixture_path(&f, "undisturbed"));
    ingest_ok();
    assert_same(whole, destination);
}

static void test_limits_of_bad_files(void **state)
{
    (void)state;
    an_bad_limit limit;
    assert_int_equal(an_bad_limit_parse("1%", &limit), AN_OK);
    assert_int_equal(an_bad_limit_of(&limit, 1000000), 10000);
    assert_int_equal(an_bad_limit_of(&limit, 500), 10); /* a few are forgiven in a small set */
    assert_int_equal(an_bad_limit_of(&limit, 6), 3);    /* but no more than half */
    assert_int_equal(an_bad_limit_parse("0%", &limit), AN_OK);
    assert_int_equal(an_bad_limit_of(&limit, 500), 0);
    assert_int_equal(an_bad_limit_parse("7", &limit), AN_OK);
    assert_int_equal(an_bad_limit_of(&limit, 500), 7);
    static const char *const wrong[] = {"", "x", "-1", "1.5", "101%", "5%%", "nan", "1 "};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(an_bad_limit_parse(wrong[i], &limit), AN_EINVAL);
}

static void test_nothing_usable(void **state)
{
    (void)state;
    fixture_write(fixture_path(&f, "source/c/a.jpg"), "bad", 3);
    config.max_bad = "100%";
    ingest_fails(AN_ECORRUPT, "none of 1 inputs");
    assert_int_equal(access(destination, F_OK), -1);
}

static void test_too_many_pixels(void **state)
{
    (void)state;
    add_pictures(1, 3);
    fixture_write_jpeg(fixture_path(&f, "source/class-0/huge.jpg"), 200, 200, 1);
    config.pixels_max = 30000;
    ingest_ok();
    an_dataset *dataset = support_open(destination);
    assert_int_equal(an_dataset_reject_count(dataset), 1);
    assert_rejected(dataset, "class-0/huge.jpg",
                    "JPEG of 200x200 pixels: more than the limit of 30000 pixels (--max-pixels)");
    an_dataset_free(dataset);
}

static void test_destination_refusals(void **state)
{
    (void)state;
    add_pictures(1, 2);
    assert_int_equal(mkdir(destination, 0755), 0);
    ingest_fails(AN_EINVAL, "exists"); /* even an empty folder */
    fixture_write(fixture_path(&f, "file"), "x", 1);
    snprintf(destination, sizeof(destination), "%s", fixture_path(&f, "file"));
    ingest_fails(AN_EINVAL, "exists");
    snprintf(destination, sizeof(destination), "%s", fixture_path(&f, "source/class-0/000.jpg/out"));
    ingest_fails(AN_EIO, "class-0/000.jpg/out");
}

static void set_destination(const char *name)
{
    snprintf(destination, sizeof(destination), "%s/%s", f.root, name);
}

/* What would fail at the end, after all the work, is refused before the source is looked at: here there is none. */
static void test_destination_is_checked_first(void **state)
{
    (void)state;
    static const struct {
        const char *name, *message;
    } wrong[] = {
        {".", "no new folder"}, {"new/..", "no new folder"}, {"new/.", "no new folder"}, {"in-the-way", "in the way"}};
    fixture_write(fixture_path(&f, "in-the-way.partial"), "x", 1);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        set_destination(wrong[i].name);
        ingest_fails(AN_EINVAL, wrong[i].message);
    }
    strcpy(destination, "");
    ingest_fails(AN_EINVAL, "destination is empty");
    memset(destination, 'x', 240);
    destination[240] = '\0';
    ingest_fails(AN_EIO, "File name too long");
    assert_int_equal(access(fixture_path(&f, "new"), F_OK), -1);
}

static void test_destination_in_the_source(void **state)
{
    (void)state;
    static const char *const inside[] = {"source/out", "source/class-0/out", "source/new/folder/out", "link/out",
                                         "source/../source/out/"};
    add_pictures(1, 2);
    assert_int_equal(symlink("source", fixture_path(&f, "link")), 0);
    for (size_t i = 0; i < sizeof(inside) / sizeof(*inside); i++) {
        set_destination(inside[i]);
        ingest_fails(AN_EINVAL, "choose one outside");
    }
    assert_int_equal(access(fixture_path(&f, "source/new"), F_OK), -1);
    snprintf(destination, sizeof(destination), "%s", fixture_path(&f, "source-beside/deeper/out/"));
    ingest_ok(); /* missing folders are made, slashes at the end mean nothing */
    assert_int_equal(access(fixture_path(&f, "source-beside/deeper/out/data.mdb"), F_OK), 0);
}

/* --- stopping and continuing ----------------------------------------------------------------------------------- */

static void test_stopped_and_continued(void **state)
{
    (void)state;
    char whole[512];
    an_ingest_outcome outcome;
    add_pictures(2, 40);
    fixture_write(fixture_path(&f, "source/class-1/bad.jpg"), "bad", 3);
    snprintf(whole, sizeof(whole), "%s", destination);
    ingest_ok();
    snprintf(destination, sizeof(destination), "%s", fixture_path(&f, "again"));
    an_stop_request();
    assert_int_equal(ingest(&outcome), AN_STOPPED);
    an_ingest_outcome_free(&outcome);
    assert_int_equal(access(destination, F_OK), -1);
    an_stop_reset();
    config.quality = 80;
    ingest_fails(AN_EINVAL, "quality");
    config.quality = 90;
    fixture_write(fixture_path(&f, "source/class-0/new.jpg"), "new", 3);
    ingest_fails(AN_EINVAL, "");
    unlink(fixture_path(&f, "source/class-0/new.jpg"));
    config.threads = 1; /* an interrupted run may be continued with another number */
    ingest_ok();
    assert_same(whole, destination);
}

static void test_classes_and_names(void **state)
{
    (void)state;
    char train[512], wrong[512];
    add_pictures(3, 2);
    fixture_write(fixture_path(&f, "source/classes.tsv"), "class-0\tzero\nclass-2\ttwo of them\n", 33);
    snprintf(train, sizeof(train), "%s", destination);
    ingest_ok();
    an_dataset *dataset = support_open(train);
    assert_string_equal(an_dataset_class(dataset, 0)->name, "zero");
    assert_string_equal(an_dataset_class(dataset, 1)->name, "class-1");
    assert_string_equal(an_dataset_class(dataset, 2)->name, "two of them");
    an_dataset_free(dataset);
    snprintf(source, sizeof(source), "%s", fixture_path(&f, "val"));
    snprintf(destination, sizeof(destination), "%s", fixture_path(&f, "val.out"));
    fixture_write_jpeg(fixture_path(&f, "val/class-2/x.jpg"), 40, 40, 9);
    config.classes_from = train;
    config.class_names = strcpy(wrong, fixture_path(&f, "wrong.tsv"));
    fixture_write(wrong, "other\tname\n", 11);
    ingest_fails(AN_ECORRUPT, "none of the 3 classes");
    config.class_names = NULL;
    ingest_ok();
    dataset = support_open(destination);
    assert_int_equal(an_dataset_class_count(dataset), 3);
    assert_int_equal(an_dataset_index(dataset)[0].label, 2);
    assert_string_equal(an_dataset_class(dataset, 2)->name, "two of them");
    an_dataset_free(dataset);
}

/* A dataset as a source: with the same side and codec every byte is copied; with another side it is resized. */
static void test_dataset_as_source(void **state)
{
    (void)state;
    an_ingest_outcome outcome;
    add_pictures(2, 5);
    ingest_ok();
    snprintf(source, sizeof(source), "%s", destination);
    snprintf(destination, sizeof(destination), "%s", fixture_path(&f, "copy"));
    config.order = AN_INGEST_ORDER_SOURCE;
    config.quality = 10;
    assert_int_equal(ingest(&outcome), AN_OK);
    assert_int_equal(outcome.state.passed, 10);
    an_ingest_outcome_free(&outcome);
    an_dataset *a = support_open(source), *b = support_open(destination);
    for (uint64_t i = 0; i < 10; i++) {
        an_record one, other;
        assert_int_equal(an_dataset_record(a, i, &one), AN_OK);
        assert_int_equal(an_dataset_record(b, i, &other), AN_OK);
        assert_int_equal(one.header.checksum, other.header.checksum);
        assert_int_equal(one.header.label, other.header.label);
    }
    an_dataset_free(a);
    an_dataset_free(b);
    snprintf(destination, sizeof(destination), "%s", fixture_path(&f, "small"));
    config.size = 16;
    ingest_ok();
    a = support_open(destination);
    assert_int_equal(an_dataset_side(a), 16);
    assert_int_equal(an_dataset_count(a), 10);
    an_dataset_free(a);
}

static const char *text_at(json_t *array, size_t i, const char *key)
{
    return json_string_value(json_object_get(json_array_get(array, i), key));
}

/* Names are bytes: JSON shows those that are not UTF-8 escaped, and leaves out nothing. */
static void test_names_that_are_not_utf8(void **state)
{
    (void)state;
    an_buffer report = {0};
    add_pictures(1, 4);
    fixture_write_jpeg(fixture_path(&f, "source/caf\xe9/good.jpg"), 40, 40, 1);
    fixture_write(fixture_path(&f, "source/caf\xe9/\xff.jpg"), "bad", 3);
    fixture_write(fixture_path(&f, "source/caf\xe9/caf\xc3\xa9.jpg"), "bad", 3);
    snprintf(destination, sizeof(destination), "%s", fixture_path(&f, "out\xe9"));
    config.max_bad = "2";
    config.order = AN_INGEST_ORDER_SOURCE;
    ingest_ok();
    an_dataset *dataset = support_open(destination);
    json_t *object;
    assert_int_equal(an_info_json(dataset, &object), AN_OK);
    json_t *rejects = json_object_get(object, "set_aside"), *classes = json_object_get(object, "classes");
    assert_non_null(strstr(json_string_value(json_object_get(object, "path")), "/out\\xe9"));
    assert_int_equal(json_array_size(rejects), 2);
    assert_string_equal(text_at(rejects, 0, "path"), "caf\\xe9/caf\xc3\xa9.jpg");
    assert_string_equal(text_at(rejects, 1, "path"), "caf\\xe9/\\xff.jpg");
    assert_int_equal(json_array_size(classes), 2);
    assert_string_equal(text_at(classes, 0, "id"), "caf\\xe9");
    assert_string_equal(text_at(classes, 0, "name"), "caf\\xe9");
    json_decref(object);
    an_dataset_free(dataset);
    assert_int_equal(an_file_read(fixture_path(&f, "out\xe9.rejected.ndjson"), 100000, &report), AN_OK);
    assert_int_equal(an_buffer_append(&report, "", 1), AN_OK);
    assert_non_null(strstr((char *)report.data, "caf\\\\xe9/\\\\xff.jpg"));
    an_buffer_free(&report);
}

/* Datasets of earlier versions hold reasons that quote a path. */
static void test_info_of_a_reason_that_is_not_utf8(void **state)
{
    (void)state;
    enum { SIDE = 8 };
    an_statistics_sums sums;
    an_writer *writer;
    an_image image = {0};
    json_t *object;
    an_record_header header = {.codec = AN_CODEC_RGB, .width = SIDE, .height = SIDE, .length = 3 * SIDE * SIDE};
    fixture_picture(&image, SIDE, SIDE, 1);
    assert_int_equal(an_statistics_sums_init(&sums, SIDE), AN_OK);
    assert_int_equal(an_writer_open(&writer, destination, "{}", SIDE, &sums), AN_OK);
    assert_int_equal(an_writer_class(writer, 0, "c", "c"), AN_OK);
    assert_int_equal(an_writer_put(writer, &header, image.pixels, "c/1.jpg"), AN_OK);
    assert_int_equal(an_statistics_sums_add(&sums, &image), AN_OK);
    assert_int_equal(an_writer_reject(writer, "c/2.jpg", "cannot open 'caf\xe9/2.jpg'", 0), AN_OK);
    assert_int_equal(an_writer_finish(writer), AN_OK);
    an_statistics_sums_free(&sums);
    an_image_free(&image);
    an_dataset *dataset = support_open(destination);
    assert_int_equal(an_info_json(dataset, &object), AN_OK);
    assert_string_equal(text_at(json_object_get(object, "set_aside"), 0, "reason"), "cannot open 'caf\\xe9/2.jpg'");
    json_decref(object);
    an_dataset_free(dataset);
}

static void test_info(void **state)
{
    (void)state;
    add_pictures(2, 3);
    fixture_write(fixture_path(&f, "source/class-1/bad.jpg"), "bad", 3);
    ingest_ok();
    an_dataset *dataset = support_open(destination);
    an_buffer text = {0};
    json_t *object;
    assert_int_equal(an_info_text(dataset, true, &text), AN_OK);
    assert_non_null(strstr((char *)text.data, "6 of 32 x 32 pixels: 6 jpeg"));
    assert_non_null(strstr((char *)text.data, "class-1/bad.jpg"));
    assert_int_equal(an_info_json(dataset, &object), AN_OK);
    assert_int_equal(json_integer_value(json_object_get(object, "records")), 6);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(object, "codecs"), "jpeg")), 6);
    assert_int_equal(json_array_size(json_object_get(object, "set_aside")), 1);
    assert_string_equal(json_string_value(json_object_get(json_object_get(object, "manifest"), "source")), "folder");
    json_decref(object);
    an_buffer_free(&text);
    an_dataset_free(dataset);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_any_number_of_threads_gives_the_same),
        CASE(test_many_small_images),
        CASE(test_order_source_keeps_it),
        CASE(test_codecs_and_mixture),
        CASE(test_fitting_jpeg_passes_through),
        CASE(test_odd_files),
        CASE(test_unreadable_files_are_set_aside),
        CASE(test_a_failing_system_rejects_nothing),
        CASE(test_names_that_are_not_utf8),
        CASE(test_info_of_a_reason_that_is_not_utf8),
        CASE(test_too_many_bad_files_stop_it_and_a_higher_limit_continues),
        CASE(test_mended_files_are_read_again),
        CASE(test_mending_that_keeps_the_size),
        CASE(test_mended_step_by_step),
        CASE(test_other_changes_are_refused),
        CASE(test_what_was_not_read_may_change),
        CASE(test_trying_again_changes_nothing),
        CASE(test_limits_of_bad_files),
        CASE(test_nothing_usable),
        CASE(test_too_many_pixels),
        CASE(test_destination_refusals),
        CASE(test_destination_is_checked_first),
        CASE(test_destination_in_the_source),
        CASE(test_stopped_and_continued),
        CASE(test_classes_and_names),
        CASE(test_dataset_as_source),
        CASE(test_info),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
