/* Records that are not those of the index: relabelled, exchanged or repeated in the file, all their checksums right. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "loader_support.h"

/* Records this far apart have the same label and the same codec. */
enum { ALIKE = 20 };

/* A record as it lies in the file. The caller frees it. */
static uint8_t *take(uint64_t index)
{
    const an_index_entry *entry = &an_dataset_index(set.dataset)[index];
    uint8_t *bytes = malloc(entry->length);
    int fd = open(an_dataset_file(set.dataset), O_RDONLY | O_CLOEXEC);
    assert_true(bytes && fd >= 0);
    assert_int_equal(pread(fd, bytes, entry->length, (off_t)entry->offset), entry->length);
    assert_int_equal(close(fd), 0);
    return bytes;
}

static void put(uint64_t index, const uint8_t *bytes)
{
    const an_index_entry *entry = &an_dataset_index(set.dataset)[index];
    int fd = open(an_dataset_file(set.dataset), O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, entry->length, (off_t)entry->offset), entry->length);
    assert_int_equal(close(fd), 0);
}

/* The first record from `from` on whose length is that of every other record of its codec. */
static uint64_t first_raw(uint64_t from)
{
    an_record record;
    do
        assert_int_equal(an_dataset_record(set.dataset, from++, &record), AN_OK);
    while (record.header.codec != AN_CODEC_RGB);
    return from - 1;
}

static void relabel(uint64_t index, uint32_t label, uint32_t width)
{
    an_record record;
    uint8_t *bytes = take(index);
    assert_int_equal(an_record_parse(bytes, an_dataset_index(set.dataset)[index].length, &record), AN_OK);
    record.header.label = label;
    record.header.width = width;
    an_record_header_write(&record.header, record.payload, bytes);
    put(index, bytes);
    free(bytes);
}

/* What the loader says after the batches before the one that fails; `good` of them are expected, or any if it is
 * UINT64_MAX. */
static void refused(const an_loader_options *o, uint64_t good, const char *const *words)
{
    an_batch batch;
    an_loader *loader = start(o);
    uint64_t delivered = 0;
    int rc = an_loader_next(loader, &batch);
    for (; !rc; rc = an_loader_next(loader, &batch)) {
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
        delivered++;
    }
    assert_int_equal(rc, AN_ECORRUPT);
    assert_true(good == UINT64_MAX || delivered == good);
    for (; *words; words++)
        if (!strstr(an_error_message(), *words))
            fail_msg("'%s' does not say '%s'", an_error_message(), *words);
    assert_non_null(strstr(an_error_message(), set.path));
    assert_int_equal(an_loader_next(loader, &batch), AN_ECORRUPT);
    assert_int_equal(batch.lease, 0);
    an_loader_free(loader);
}

static void sound(const an_loader_options *o)
{
    an_batch batch;
    an_loader *loader = start(o);
    int rc = an_loader_next(loader, &batch);
    for (; !rc; rc = an_loader_next(loader, &batch))
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    assert_int_equal(rc, AN_END);
    an_loader_free(loader);
}

static void another_header_names_its_record(void **state)
{
    (void)state;
    static const struct {
        uint32_t label, width;
        const char *word;
    } changes[] = {{4, SIDE, "label 4, where the index has 3"},
                   {57, SIDE, "label 57, where the index has 3"}, /* there are 10 classes */
                   {UINT32_MAX, SIDE, "label 4294967295, where the index has 3"},
                   {3, SIDE - 8, "32 x 40 pixels, where all records have side 40"}};
    uint8_t *before = take(153);
    an_loader_options o = plain();
    o.order = AN_ORDER_SEQUENTIAL;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        for (size_t e = 0; e < an_reader_engine_count(); e++) {
            o.engine = (an_reader_engine)e;
            o.verify = e % 2;
            relabel(153, changes[i].label, changes[i].width);
            refused(&o, 153 / BATCH, (const char *const[]){"record 153 ('class/153.png')", changes[i].word, NULL});
        }
    put(153, before);
    sound(&o);
    free(before);
}

/* Exchange two records, or repeat the first. `undo` puts back what was there. */
typedef struct {
    uint64_t places[2];
    uint8_t *before[2];
} swap;

static swap exchange(uint64_t a, uint64_t b, bool repeat)
{
    swap s = {{a, b}, {take(a), take(b)}};
    put(b, s.before[0]);
    if (!repeat)
        put(a, s.before[1]);
    return s;
}

static void undo(swap *s)
{
    for (int i = 0; i < 2; i++) {
        put(s->places[i], s->before[i]);
        free(s->before[i]);
    }
}

static void exchanged_records_end_the_epoch(void **state)
{
    (void)state;
    static const char *const words[] = {"exchanged or repeated", NULL};
    uint64_t first = first_raw(30);
    for (int repeat = 0; repeat < 2; repeat++) {
        swap s = exchange(first, first + ALIKE, repeat);
        for (size_t e = 0; e < an_reader_engine_count(); e++) {
            an_loader_options o = plain();
            o.engine = (an_reader_engine)e;
            refused(&o, STEPS - 1, words);
            o.last = AN_LAST_SHORT;
            o.threads = 4;
            refused(&o, STEPS, words);
            o.last = AN_LAST_PAD; /* records that are shown again are counted once */
            refused(&o, STEPS, words);
        }
        undo(&s);
    }
    an_loader_options o = plain();
    o.epochs = 3;
    sound(&o);
    for (int last = AN_LAST_EVEN; last <= AN_LAST_PAD; last++) {
        o.last = (an_last_kind)last;
        o.first_position = 77;
        sound(&o);
    }
}

/* The last records of the file are in no batch, but nor is the dataset the one that was written. */
static void records_that_are_dropped_count_too(void **state)
{
    (void)state;
    uint64_t last = first_raw(STEPS * BATCH);
    assert_true(last < RECORDS);
    swap s = exchange(last - ALIKE, last, true);
    an_loader_options o = plain();
    o.order = AN_ORDER_SEQUENTIAL;
    refused(&o, STEPS - 1, (const char *const[]){"exchanged or repeated", NULL});
    undo(&s);
    sound(&o);
}

/* A rank reads a share of each epoch, so it knows later. It must not say anything before. */
static void ranks_learn_it_over_the_epochs(void **state)
{
    (void)state;
    an_loader_options o = plain();
    o.world = 2;
    o.epochs = 30;
    sound(&o);
    uint64_t first = first_raw(30);
    swap s = exchange(first, first + ALIKE, false);
    refused(&o, UINT64_MAX, (const char *const[]){"exchanged or repeated", NULL});
    undo(&s);
}

/* A subset says nothing of the whole, and what it holds is compared with the index alone. */
static void a_subset_is_compared_with_the_index(void **state)
{
    (void)state;
    uint64_t subset[2 * BATCH];
    an_loader_options o = plain();
    for (uint64_t i = 0; i < 2 * BATCH; i++)
        subset[i] = 100 + i;
    o.subset = subset;
    o.subset_count = 2 * BATCH;
    o.epochs = 2;
    sound(&o);
    uint8_t *before = take(110);
    relabel(110, 9, SIDE);
    refused(&o, UINT64_MAX, (const char *const[]){"record 110 ", "label 9, where the index has 0", NULL});
    put(110, before);
    free(before);
}

/* Records may come more than once, or never. What was never read says nothing. */
static void drawn_records_are_checked_as_far_as_they_come(void **state)
{
    (void)state;
    double weights[RECORDS];
    uint64_t first = first_raw(30);
    an_loader_options o = plain();
    o.weights = weights;
    o.epochs = 30;
    for (uint64_t i = 0; i < RECORDS; i++)
        weights[i] = i < 100 && i % 4 ? 0 : 1;
    weights[first] = weights[first + ALIKE] = 0;
    sound(&o);
    swap s = exchange(first, first + ALIKE, false);
    sound(&o);
    for (uint64_t i = 0; i < RECORDS; i++)
        weights[i] = 1;
    refused(&o, UINT64_MAX, (const char *const[]){"exchanged or repeated", NULL});
    undo(&s);
    sound(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_header_names_its_record),
        cmocka_unit_test(exchanged_records_end_the_epoch),
        cmocka_unit_test(records_that_are_dropped_count_too),
        cmocka_unit_test(ranks_learn_it_over_the_epochs),
        cmocka_unit_test(a_subset_is_compared_with_the_index),
        cmocka_unit_test(drawn_records_are_checked_as_far_as_they_come),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
