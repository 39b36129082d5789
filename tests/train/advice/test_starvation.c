/* How many loader threads there are, when a run says that its devices starve, and what it then proposes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/thread.h"
#include "store/dataset/writer.h"
#include "tests/train/fixture.h"
#include "train/loop/trainer_private.h"

#define MS 1000000ull

static void test_loader_threads_by_need(void **state)
{
    (void)state;
    static const struct {
        int processors;
        bool shared; /* the network runs on processors, too */
        int wanted, threads, most;
    } cases[] = {
        {1, true, 0, 1, 1},      {2, true, 0, 1, 2},     {4, true, 0, 1, 4},        {5, true, 0, 2, 5},
        {16, true, 0, 4, 16},    {16, true, 9, 9, 16},   {1, false, 0, 1, 1},       {2, false, 0, 1, 1},
        {3, false, 0, 2, 2},     {16, false, 0, 15, 15}, {128, false, 0, 127, 127}, {16, false, 3, 3, 15},
        {16, false, 40, 40, 15},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int threads = an_train_loader_threads_rule(cases[i].processors, cases[i].shared, cases[i].wanted);
        int most = an_train_loader_threads_most(cases[i].processors, cases[i].shared);
        if (threads != cases[i].threads || most != cases[i].most)
            fail_msg("case %d: %d threads of at most %d", (int)i, threads, most);
    }
}

/* Ten seconds of which so many were waited; threads that decoded most of the time, or waited for records. */
static an_starvation seen(double waited, int threads, bool reading)
{
    uint64_t busy = (reading ? 1000 : 9000) * MS * (uint64_t)threads, unread = 10000 * MS * (uint64_t)threads - busy;
    return (an_starvation){
        .seconds = 10,
        .waited = waited,
        .loader = {.worker_busy_ns = busy, .worker_wait_read_ns = unread, .threads = threads},
        .threads_most = 15,
        .jpegs = 1,
    };
}

static void check_words(const an_starvation *s, const char *expected)
{
    char text[1024];
    assert_true(an_starvation_found(s));
    an_starvation_explain(s, text, sizeof text);
    assert_string_equal(text, expected);
}

#define RECODE                                                                                                         \
    "transcode the JPEG records to coef, which loses nothing and decodes several times as fast (an-ingest transcode "  \
    "SOURCE DESTINATION --codec coef)"

static void test_only_cures_that_apply_are_named(void **state)
{
    (void)state;
    an_starvation s = seen(6.2, 4, false);
    check_words(&s, "the devices waited 62 % of the time for images; decoding is too slow with -j 4: give the loader "
                    "more threads (-j 15), or " RECODE);
    s.jpegs = 0.25;
    check_words(&s, "the devices waited 62 % of the time for images; decoding is too slow with -j 4: give the loader "
                    "more threads (-j 15)");
    s = seen(0.5, 15, false);
    check_words(&s, "the devices waited 5 % of the time for images; decoding is too slow with -j 15: " RECODE);
    s.loader.threads = 32;
    s.jpegs = 0;
    check_words(&s, "the devices waited 5 % of the time for images; decoding is too slow with -j 32, and no processor "
                    "is left for more threads");
}

/* Where devices could decode, that is named first; where they do, records are only moved. */
static void test_devices_that_decode(void **state)
{
    (void)state;
    an_starvation s = seen(6.2, 4, false);
    s.jpegs = 0;
    s.devices_could = true;
    check_words(&s, "the devices waited 62 % of the time for images; decoding is too slow with -j 4: let the devices "
                    "decode (--decode device), or give the loader more threads (-j 15)");
    s.devices_could = false;
    s.decode = AN_DECODE_DEVICE;
    check_words(&s, "the devices waited 62 % of the time for images; moving records to the devices is too slow with -j "
                    "4: give the loader more threads (-j 15)");
}

/* Neither more threads nor another codec make a disk faster. */
static void test_reading_has_its_own_cure(void **state)
{
    (void)state;
    an_starvation s = seen(4, 4, true);
    s.loader.reader_wait_ns = 8000 * MS;
    check_words(&s, "the devices waited 40 % of the time for images; the disk delivers records too slowly: put the "
                    "dataset on a faster one, or give the machine enough memory to keep it");
    s.loader.reader_wait_ns = 1000 * MS;
    check_words(&s, "the devices waited 40 % of the time for images; the reading thread fetches records too slowly");
}

static void test_short_waits_are_no_starvation(void **state)
{
    (void)state;
    assert_false(an_starvation_found(&(an_starvation){.seconds = 10, .waited = 0.49}));
    assert_false(an_starvation_found(&(an_starvation){0}));
    assert_true(an_starvation_found(&(an_starvation){.seconds = 1, .waited = 0.1, .held = 0.9}));
    assert_false(an_starvation_found(&(an_starvation){.seconds = 1, .waited = 0.1, .held = 4})); /* by checkpoints */
}

/* The first period is left out, each later one counts for itself. */
static void test_periods(void **state)
{
    (void)state;
    an_starvation_watch watch = {.period = 10};
    an_starvation out = {0};
    an_loader_stats now = {.threads = 2};
    assert_false(an_starvation_add(&watch, 6, 6, &now, &out));
    assert_false(an_starvation_add(&watch, 6, 6, &now, &out)); /* caches were cold */
    now.worker_busy_ns = 500 * MS;
    assert_false(an_starvation_add(&watch, 11, 0.1, &now, &out));
    now.worker_busy_ns = 900 * MS;
    now.worker_wait_read_ns = 70 * MS;
    now.reader_wait_ns = 30 * MS;
    assert_false(an_starvation_add(&watch, 9, 4, &now, &out));
    assert_true(an_starvation_add(&watch, 2, 1, &now, &out));
    assert_true(out.seconds == 11 && out.waited == 5 && out.loader.threads == 2);
    assert_int_equal(out.loader.worker_busy_ns, 400 * MS);
    assert_int_equal(out.loader.worker_wait_read_ns, 70 * MS);
    assert_int_equal(out.loader.reader_wait_ns, 30 * MS);
    assert_false(an_starvation_add(&watch, 10, 0.1, &now, &out));
}

/* Records of which every number-th is no JPEG. What they hold is not looked at. */
static double jpegs_of(fixture *f, const char *name, uint32_t number)
{
    an_statistics_sums sums;
    an_writer *writer;
    an_dataset *dataset;
    uint8_t payload[FIXTURE_SIDE * FIXTURE_SIDE * 3] = {0};
    const char *path = fixture_path(f, name);
    assert_int_equal(an_statistics_sums_init(&sums, FIXTURE_SIDE), AN_OK);
    assert_int_equal(an_writer_open(&writer, path, "{}", FIXTURE_SIDE, &sums), AN_OK);
    assert_int_equal(an_writer_class(writer, 0, "class", "class"), AN_OK);
    for (uint32_t i = 0; i < 64; i++) {
        an_record_header header = {.codec = i % number ? AN_CODEC_JPEG : AN_CODEC_RGB,
                                   .width = FIXTURE_SIDE,
                                   .height = FIXTURE_SIDE,
                                   .length = sizeof payload};
        assert_int_equal(an_writer_put(writer, &header, payload, "record"), AN_OK);
    }
    assert_int_equal(an_writer_finish(writer), AN_OK);
    an_statistics_sums_free(&sums);
    assert_int_equal(an_dataset_open(&dataset, path), AN_OK);
    double share = an_starvation_jpegs(dataset);
    an_dataset_free(dataset);
    return share;
}

static void test_the_share_of_jpegs(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f);
    assert_true(jpegs_of(&f, "none", 1) == 0);
    assert_true(jpegs_of(&f, "half", 8) == 0.5); /* one in four is looked at */
    assert_true(jpegs_of(&f, "most", 64) == 15.0 / 16);
    fixture_close(&f);
}

typedef struct {
    int warnings;
    char text[1024];
} listener;

static void listen(void *context, const an_train_event *event)
{
    listener *l = context;
    if (event->kind == AN_EVENT_WARNING && strstr(event->text, "the devices waited") && ++l->warnings == 1)
        snprintf(l->text, sizeof l->text, "%s", event->text);
}

static void trainer_open(an_trainer **out, an_train_config *config, const an_train_observer *observer, fixture *f)
{
    fixture_open(f);
    fixture_dataset(fixture_path(f, "training"), 14, FIXTURE_CLASSES, 1);
    fixture_config(config);
    config->loader_threads = 0;
    assert_int_equal(an_trainer_create(out, config, NULL, fixture_path(f, "training"), NULL, observer), AN_OK);
}

/* With periods so short that each step ends one, and a wait planted in the second. */
static void test_a_run_warns_once(void **state)
{
    (void)state;
    fixture f;
    listener l = {0};
    an_train_config config;
    an_train_observer observer = {listen, &l};
    an_trainer *t;
    trainer_open(&t, &config, &observer, &f);
    assert_int_equal(t->session.loader_threads, (an_thread_cpu_count() + 3) / 4);
    assert_true(t->watch.period == AN_STARVATION_PERIOD);
    t->watch = (an_starvation_watch){.period = 1e-9, .seconds = 1000, .waited = 500, .warm = true};
    assert_int_equal(an_trainer_run(t), AN_OK);
    assert_int_equal(l.warnings, 1);
    assert_non_null(strstr(l.text, "of the time for images; "));
    assert_null(strstr(l.text, "transcode")); /* the records are not JPEG */
    an_trainer_free(t);
    fixture_close(&f);
}

static void test_the_summary_tells(void **state)
{
    (void)state;
    fixture f;
    listener l = {0};
    an_train_config config;
    an_train_observer observer = {listen, &l};
    an_train_summary summary;
    an_trainer *t;
    trainer_open(&t, &config, &observer, &f);
    t->watch.period = 1e9;
    assert_int_equal(an_trainer_run(t), AN_OK);
    assert_int_equal(l.warnings, 0);
    t->summary.wait_seconds = 0;
    an_trainer_summary(t, &summary);
    assert_null(summary.starvation);
    t->summary.wait_seconds = t->summary.training_seconds / 2;
    an_trainer_summary(t, &summary);
    assert_non_null(summary.starvation);
    assert_non_null(strstr(summary.starvation, "the devices waited 50 % of the time for images; "));
    t->summary.saving_seconds = 20 * t->summary.training_seconds;
    an_trainer_summary(t, &summary);
    assert_null(summary.starvation);
    an_trainer_free(t);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loader_threads_by_need),
        cmocka_unit_test(test_only_cures_that_apply_are_named),
        cmocka_unit_test(test_devices_that_decode),
        cmocka_unit_test(test_reading_has_its_own_cure),
        cmocka_unit_test(test_short_waits_are_no_starvation),
        cmocka_unit_test(test_the_share_of_jpegs),
        cmocka_unit_test(test_periods),
        cmocka_unit_test(test_a_run_warns_once),
        cmocka_unit_test(test_the_summary_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
