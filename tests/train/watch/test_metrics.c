/* metrics.jsonl: what a process of a run says when it starts, when things happened, and files of older versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "tests/train/fixture.h"
#include "train/watch/metrics.h"

static fixture files;

static int open_folder(void **state)
{
    (void)state;
    fixture_open(&files);
    return 0;
}

static int close_folder(void **state)
{
    (void)state;
    fixture_close(&files);
    return 0;
}

static const an_start_dataset validation[] = {{"data/val", 0xab, 20}, {"data/v\xe9", UINT64_MAX, 30}};

static an_train_start start_of_all(void)
{
    return (an_train_start){.version = "1.2.3",
                            .commit = "0123456789ab",
                            .processor = "Some Processor, 4 threads, avx2",
                            .devices = "cuda:0,cuda:1",
                            .accelerators = "cuda:0   Some GPU\ncuda:1   Some GPU\n",
                            .compute_threads = 3,
                            .loader_threads = 2,
                            .training = {"data/train", 0x123, 1000},
                            .validation = validation,
                            .validations = 2,
                            .weights = "old.safetensors",
                            .checkpoint = "runs/a/checkpoints/step-000000007.safetensors",
                            .recipe = "rate = 0.01\nlrn = conv1,conv2\nno line\nweird = a = b\n"};
}

static json_t *formatted(const an_train_event *event)
{
    an_buffer line = {0};
    uint64_t step;
    assert_int_equal(an_metrics_format(event, &line), AN_OK);
    assert_int_equal(line.data[line.size - 1], '\n');
    json_t *object = an_metrics_parse((const char *)line.data, line.size - 1, &step);
    assert_non_null(object);
    assert_int_equal(step, event->step);
    an_buffer_free(&line);
    return object;
}

static void assert_json(const json_t *object, const char *expected)
{
    char *text = json_dumps(object, JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
}

static void test_start_says_how_numbers_came_about(void **state)
{
    (void)state;
    an_train_start start = start_of_all();
    an_train_event event = {
        .kind = AN_EVENT_START, .step = 7, .total = 90, .time_ns = 1700000000123456789u, .start = &start};
    json_t *object = formatted(&event);
    assert_json(object,
                "{\"type\":\"start\",\"step\":7,\"total_steps\":90,\"version\":\"1.2.3\",\"commit\":\"0123456789ab\","
                "\"processor\":\"Some Processor, 4 threads, avx2\",\"devices\":\"cuda:0,cuda:1\","
                "\"accelerators\":[\"cuda:0   Some GPU\",\"cuda:1   Some GPU\"],\"compute_threads\":3,"
                "\"loader_threads\":2,"
                "\"training\":{\"path\":\"data/train\",\"fingerprint\":\"0000000000000123\",\"images\":1000},"
                "\"validation\":[{\"path\":\"data/val\",\"fingerprint\":\"00000000000000ab\",\"images\":20},"
                "{\"path\":\"data/v\\\\xe9\",\"fingerprint\":\"ffffffffffffffff\",\"images\":30}],"
                "\"weights\":\"old.safetensors\",\"checkpoint\":\"runs/a/checkpoints/step-000000007.safetensors\","
                "\"recipe\":{\"rate\":\"0.01\",\"lrn\":\"conv1,conv2\",\"weird\":\"a = b\"},"
                "\"time\":\"2023-11-14T22:13:20.123Z\"}");
    json_decref(object);
}

/* A build outside git knows no commit, a run on processors has no accelerators. */
static void test_start_leaves_out_what_is_not_known(void **state)
{
    (void)state;
    an_train_start start = start_of_all();
    start.commit = start.weights = start.checkpoint = NULL;
    start.accelerators = "";
    start.validations = 0;
    json_t *object = formatted(&(an_train_event){.kind = AN_EVENT_START, .start = &start});
    static const char *const absent[] = {"commit", "weights", "checkpoint", "accelerators", "time"};
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        assert_null(json_object_get(object, absent[i]));
    assert_json(json_object_get(object, "validation"), "[]");
    json_decref(object);
}

static void test_gradient_norm_where_it_is_known(void **state)
{
    (void)state;
    const double norms[] = {0, 1.5, -1, NAN, INFINITY};
    for (size_t i = 0; i < sizeof(norms) / sizeof(norms[0]); i++) {
        json_t *object = formatted(&(an_train_event){.kind = AN_EVENT_TRAIN, .gradient_norm = norms[i]});
        json_t *norm = json_object_get(object, "gradient_norm");
        assert_int_equal(norm != NULL, i < 2);
        assert_true(!norm || json_real_value(norm) == norms[i]);
        json_decref(object);
    }
}

static void test_lines_of_several_ranks_name_the_worst(void **state)
{
    (void)state;
    an_train_event event = {
        .kind = AN_EVENT_TRAIN, .samples = 0x0123456789abcdef, .device_idle = -1, .gradient_norm = NAN};
    json_t *object = formatted(&event);
    assert_string_equal(json_string_value(json_object_get(object, "samples")), "0123456789abcdef");
    assert_null(json_object_get(object, "ranks"));
    assert_null(json_object_get(object, "wait_rank"));
    json_decref(object);
    event.ranks = 4;
    event.reduce = 0.25;
    event.wait_rank = 3;
    event.wait_host = "node-b";
    event.idle_rank = 1;
    event.idle_host = "node-a";
    object = formatted(&event);
    assert_int_equal(json_integer_value(json_object_get(object, "ranks")), 4);
    assert_true(json_real_value(json_object_get(object, "reduce")) == 0.25);
    assert_int_equal(json_integer_value(json_object_get(object, "wait_rank")), 3);
    assert_string_equal(json_string_value(json_object_get(object, "wait_host")), "node-b");
    assert_null(json_object_get(object, "idle_rank"));
    json_decref(object);
    event.device_idle = 0.5;
    object = formatted(&event);
    assert_int_equal(json_integer_value(json_object_get(object, "idle_rank")), 1);
    assert_string_equal(json_string_value(json_object_get(object, "idle_host")), "node-a");
    json_decref(object);
}

static void test_every_event_has_its_time(void **state)
{
    (void)state;
    for (int kind = AN_EVENT_TRAIN; kind <= AN_EVENT_WARNING; kind++) {
        an_train_event event = {.kind = (an_event_kind)kind, .step = 1, .time_ns = 951782399999000000u, .text = "x"};
        json_t *object = formatted(&event);
        assert_string_equal(json_string_value(json_object_get(object, "time")), "2000-02-28T23:59:59.999Z");
        json_decref(object);
        event.time_ns = 0;
        object = formatted(&event);
        assert_null(json_object_get(object, "time"));
        json_decref(object);
    }
}

/* A line's second accuracy is named by what it counts. */
static void test_top_k_by_its_name(void **state)
{
    (void)state;
    const an_event_kind kinds[] = {AN_EVENT_TRAIN, AN_EVENT_VALIDATION};
    for (int i = 0; i < 2; i++) {
        json_t *five = formatted(&(an_train_event){.kind = kinds[i], .topk = 0.5});
        json_t *three = formatted(&(an_train_event){.kind = kinds[i], .topk = 0.25, .k = 3});
        assert_true(json_number_value(json_object_get(five, "top5")) == 0.5);
        assert_true(json_number_value(json_object_get(three, "top3")) == 0.25);
        assert_null(json_object_get(three, "top5"));
        json_decref(five);
        json_decref(three);
    }
}

/* Where there are several validation sets, by names of any bytes. */
static void test_validation_names_its_set(void **state)
{
    (void)state;
    an_train_event event = {.kind = AN_EVENT_VALIDATION, .step = 3, .top1 = 0.5};
    json_t *object = formatted(&event);
    assert_null(json_object_get(object, "set"));
    json_decref(object);
    event.set = "b/v\xe9";
    object = formatted(&event);
    assert_string_equal(json_string_value(json_object_get(object, "set")), "b/v\\xe9");
    assert_true(json_number_value(json_object_get(object, "top1")) == 0.5);
    json_decref(object);
}

static void write_start(const char *path, uint64_t step, const char *version)
{
    an_metrics *metrics;
    an_train_start start = start_of_all();
    start.version = version;
    assert_int_equal(an_metrics_open(&metrics, path, step), AN_OK);
    assert_int_equal(
        an_metrics_write(metrics, &(an_train_event){.kind = AN_EVENT_START, .step = step, .start = &start}), AN_OK);
    an_metrics_close(metrics);
}

static int occurrences(const char *path, const char *text)
{
    an_buffer all = {0};
    int count = 0;
    fixture_read(path, &all);
    assert_int_equal(an_buffer_append(&all, "", 1), AN_OK);
    for (const char *at = (const char *)all.data; (at = strstr(at, text)); at++)
        count++;
    an_buffer_free(&all);
    return count;
}

/* Of processes that went on from one step only the last one had any effect on what follows. */
static void test_start_takes_the_place_of_one_at_the_same_step(void **state)
{
    (void)state;
    static const char old[] =
        "{\"type\":\"train\",\"step\":4,\"loss\":1}\n{\"type\":\"saved\",\"step\":5,\"text\":\"x\"}\n";
    const char *path = fixture_path(&files, "starts.jsonl");
    write_start(path, 0, "first");
    write_start(path, 0, "second");
    an_buffer all = {0};
    fixture_read(path, &all);
    assert_int_equal(an_buffer_append(&all, old, sizeof(old) - 1), AN_OK);
    fixture_write(path, all.data, all.size);
    an_buffer_free(&all);
    write_start(path, 5, "third");
    write_start(path, 5, "fourth");
    assert_int_equal(occurrences(path, "\"first\""), 0);
    assert_int_equal(occurrences(path, "\"second\""), 1);
    assert_int_equal(occurrences(path, "\"third\""), 0);
    assert_int_equal(occurrences(path, "\"fourth\""), 1);
    assert_int_equal(occurrences(path, "\"train\""), 1);
    assert_int_equal(occurrences(path, "\"saved\""), 1);
}

/* A file without starts and times, as older versions wrote it. */
static void test_files_of_older_versions(void **state)
{
    (void)state;
    static const char old[] = "{\"type\":\"train\",\"step\":2,\"epoch\":0.5,\"loss\":1.5}\n"
                              "{\"type\":\"saved\",\"step\":2,\"text\":\"x\"}\n"
                              "{\"type\":\"train\",\"step\":3,\"epoch\":0.75,\"loss\":1.25}\n";
    const char *path = fixture_path(&files, "old.jsonl");
    uint64_t saved;
    fixture_write(path, old, sizeof(old) - 1);
    assert_int_equal(an_metrics_last_saved(path, &saved), AN_OK);
    assert_int_equal(saved, 2);
    write_start(path, 2, "new");
    assert_int_equal(an_metrics_last_saved(path, &saved), AN_OK);
    assert_int_equal(saved, 2);
    assert_int_equal(occurrences(path, "\"loss\":1.5}"), 1);
    assert_int_equal(occurrences(path, "\"step\":3"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_says_how_numbers_came_about),
        cmocka_unit_test(test_start_leaves_out_what_is_not_known),
        cmocka_unit_test(test_gradient_norm_where_it_is_known),
        cmocka_unit_test(test_lines_of_several_ranks_name_the_worst),
        cmocka_unit_test(test_every_event_has_its_time),
        cmocka_unit_test(test_top_k_by_its_name),
        cmocka_unit_test(test_validation_names_its_set),
        cmocka_unit_test(test_start_takes_the_place_of_one_at_the_same_step),
        cmocka_unit_test(test_files_of_older_versions),
    };
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
