/* Datasets through liban. */
#include "support.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES ((size_t)SIDE * SIDE * 3)

static void what_cannot_be_opened_is_named(void **state)
{
    (void)state;
    liban_dataset *d = dataset;
    assert_int_equal(liban_dataset_open(&d, "/nowhere/at/all"), LIBAN_ENOTFOUND);
    assert_null(d);
    message_has("/nowhere/at/all");
    assert_int_equal(liban_dataset_open(&d, NULL), LIBAN_EINVAL);
    message_has("path");
    assert_true(liban_dataset_open(&d, set.folder) < 0);
    message_has(set.folder);
    liban_dataset_free(NULL);
}

static void it_tells_what_stands_in_it(void **state)
{
    (void)state;
    assert_string_equal(liban_dataset_path(dataset), set.path);
    assert_int_equal(liban_dataset_count(dataset), RECORDS);
    assert_int_equal(liban_dataset_side(dataset), SIDE);
    assert_string_equal(liban_dataset_manifest(dataset), an_dataset_manifest(set.dataset));
    assert_int_equal(liban_dataset_fingerprint(dataset), an_dataset_fingerprint(set.dataset));
    assert_int_equal(liban_dataset_class_count(dataset), 10);
}

static void classes_are_found_by_label(void **state)
{
    (void)state;
    liban_class class;
    assert_int_equal(liban_dataset_class(dataset, 9, &class), LIBAN_OK);
    assert_string_equal(class.id, "class-9");
    assert_string_equal(class.name, "class-9");
    assert_int_equal(class.count, 10);
    assert_int_equal(liban_dataset_class(dataset, 10, &class), LIBAN_EINVAL);
    message_has("there is no class 10");
    assert_null(class.id);
}

static void statistics_are_those_of_the_pixels(void **state)
{
    (void)state;
    const an_statistics *s = an_dataset_statistics(set.dataset);
    liban_statistics mine;
    liban_dataset_statistics(dataset, &mine);
    assert_memory_equal(mine.mean, s->mean, sizeof mine.mean);
    assert_memory_equal(mine.deviation, s->deviation, sizeof mine.deviation);
    assert_memory_equal(mine.eigenvalue, s->eigenvalue, sizeof mine.eigenvalue);
    assert_memory_equal(mine.eigenvector, s->eigenvector, sizeof mine.eigenvector);
    assert_memory_equal(mine.mean_image, s->mean_image, BYTES * sizeof(float));
}

static void records_are_found_by_number(void **state)
{
    (void)state;
    static const char *const codecs[] = {"jpeg", "coef", "rgb", "yuv420"};
    int64_t labels[RECORDS];
    liban_dataset_labels(dataset, labels);
    for (uint64_t i = 0; i < RECORDS; i++) {
        char name[32];
        an_record theirs;
        liban_record record;
        snprintf(name, sizeof name, "class/%llu.png", (unsigned long long)i);
        assert_int_equal(an_dataset_record(set.dataset, i, &theirs), 0);
        assert_int_equal(liban_dataset_record(dataset, i, &record), LIBAN_OK);
        assert_int_equal(record.label, i % 10);
        assert_int_equal(labels[i], i % 10);
        assert_string_equal(record.codec, codecs[i % 4]);
        assert_int_equal(record.name_length, strlen(name));
        assert_memory_equal(record.name, name, strlen(name));
        assert_int_equal(record.payload_size, theirs.header.length);
        assert_memory_equal(record.payload, theirs.payload, theirs.header.length);
    }
}

static void pixels_are_those_that_were_written(void **state)
{
    (void)state;
    an_image image = {0};
    uint8_t pixels[BYTES];
    for (uint64_t i = 2; i < RECORDS; i += 4) { /* records of rgb */
        fixture_picture(i, SIDE, &image);
        assert_int_equal(liban_dataset_pixels(dataset, i, pixels, sizeof pixels), LIBAN_OK);
        assert_memory_equal(pixels, image.pixels, BYTES);
    }
    an_image_free(&image);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(liban_dataset_pixels(dataset, i, pixels, sizeof pixels), LIBAN_OK);
}

static void impossible_requests_are_refused(void **state)
{
    (void)state;
    liban_record record;
    uint8_t pixels[BYTES];
    assert_int_equal(liban_dataset_record(dataset, RECORDS, &record), LIBAN_EINVAL);
    message_has("there is no record 101");
    assert_null(record.payload);
    assert_int_equal(liban_dataset_pixels(dataset, UINT64_MAX, pixels, sizeof pixels), LIBAN_EINVAL);
    message_has("there is no record");
    assert_int_equal(liban_dataset_pixels(dataset, 0, pixels, sizeof pixels - 1), LIBAN_EINVAL);
    message_has("bytes are too few");
}

static void damage_is_found_and_named(void **state)
{
    (void)state;
    uint8_t pixels[BYTES];
    fixture_flip_byte(&set, 6);
    assert_int_equal(liban_dataset_pixels(dataset, 6, pixels, sizeof pixels), LIBAN_ECORRUPT);
    message_has("record 6 ('class/6.png') of");
    message_has(set.path);
    fixture_flip_byte(&set, 6);
    assert_int_equal(liban_dataset_pixels(dataset, 6, pixels, sizeof pixels), LIBAN_OK);
    fixture_flip_byte_at(&set, 6, 8); /* its width */
    liban_record record;
    assert_int_equal(liban_dataset_record(dataset, 6, &record), LIBAN_ECORRUPT);
    message_has("record 6");
    fixture_flip_byte_at(&set, 6, 8);
}

static void *decode_all(void *argument)
{
    uint8_t *all = argument;
    for (uint64_t i = 0; i < RECORDS; i++)
        if (liban_dataset_pixels(dataset, i, all + i * BYTES, BYTES))
            return NULL;
    return all;
}

static void any_number_of_threads_may_decode(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    uint8_t *all[THREADS];
    void *done;
    for (int i = 0; i < THREADS; i++) {
        all[i] = malloc(RECORDS * BYTES);
        assert_non_null(all[i]);
        assert_int_equal(pthread_create(&threads[i], NULL, decode_all, all[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &done), 0);
        assert_ptr_equal(done, all[i]);
        assert_memory_equal(all[i], all[0], RECORDS * BYTES);
    }
    for (int i = 0; i < THREADS; i++)
        free(all[i]);
}

/* In a child; its exit status says which step failed. */
static int use_after_fork(void)
{
    liban_record record;
    uint8_t pixels[BYTES];
    if (liban_dataset_record(dataset, 0, &record) != LIBAN_EFORKED)
        return 1;
    if (liban_dataset_pixels(dataset, 0, pixels, sizeof pixels) != LIBAN_EFORKED)
        return 2;
    if (!strstr(liban_error_message(), "the dataset belongs to process"))
        return 3;
    if (liban_dataset_count(dataset) != RECORDS)
        return 4;
    liban_dataset_free(dataset);
    return liban_dataset_side(dataset) == SIDE ? 0 : 5; /* it is still there */
}

static void forks_may_only_look(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(use_after_fork());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_opened_is_named),   cmocka_unit_test(it_tells_what_stands_in_it),
        cmocka_unit_test(classes_are_found_by_label),       cmocka_unit_test(statistics_are_those_of_the_pixels),
        cmocka_unit_test(records_are_found_by_number),      cmocka_unit_test(pixels_are_those_that_were_written),
        cmocka_unit_test(impossible_requests_are_refused),  cmocka_unit_test(damage_is_found_and_named),
        cmocka_unit_test(any_number_of_threads_may_decode), cmocka_unit_test(forks_may_only_look),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
