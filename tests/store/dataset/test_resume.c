/* An interrupted run whose file was damaged before it is continued: either the writer refuses to go on, or it ends as a
 * dataset that is sound. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <lmdb.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"
#include "tests/store/dataset/support.h"

enum { BEFORE = 60, ALL = 90, REJECTS = 5, VARIANTS = 700, PAGE = 4096, TIME_LIMIT = 20 /* seconds */ };

/* The file of an interrupted run: several commits, so that some pages are free, and inputs set aside. */
static void interrupt(void **state, an_buffer *out)
{
    an_statistics_sums sums;
    an_writer *writer = test_writer_open(test_path(state, "first"), &sums);
    test_classes(writer);
    for (uint64_t i = 0; i < BEFORE; i++) {
        test_put(writer, &sums, &test_small, i);
        if (i % 12 == 0) {
            assert_int_equal(an_writer_reject(writer, "bad/image.jpg", "not an image", i), AN_OK);
            assert_int_equal(an_writer_commit(writer), AN_OK);
        }
    }
    assert_int_equal(an_writer_commit(writer), AN_OK);
    an_writer_close(writer);
    an_statistics_sums_free(&sums);
    assert_int_equal(an_file_read(test_path(state, "first.partial/data.mdb"), SIZE_MAX / 2, out), AN_OK);
}

/* Of the dataset that an undisturbed run makes: its records, names, classes and statistics. */
static uint64_t undisturbed;

static void learn_undisturbed(void **state)
{
    const char *path = test_path(state, "undisturbed");
    an_dataset *dataset;
    test_dataset_make(path, &test_small, ALL, 0);
    assert_int_equal(an_dataset_open(&dataset, path), AN_OK);
    undisturbed = an_dataset_fingerprint(dataset);
    an_dataset_free(dataset);
}

static bool sound(const char *path)
{
    an_dataset *dataset;
    if (an_dataset_open(&dataset, path))
        return false;
    bool same = an_dataset_fingerprint(dataset) == undisturbed;
    int rc = same ? AN_OK : an_error(AN_ECORRUPT, "'%s' is not what an undisturbed run makes", path);
    for (uint64_t i = 0; !rc && i < ALL; i++) {
        an_record record;
        rc = an_dataset_record(dataset, i, &record);
        if (!rc)
            rc = an_record_verify(&record);
    }
    if (!rc)
        rc = an_dataset_verify_headers(dataset);
    if (!rc)
        rc = an_dataset_verify_databases(dataset);
    an_dataset_free(dataset);
    return !rc;
}

enum { REFUSED = 10, SOUND, UNSOUND };

static int go_on(const char *path)
{
    an_writer *writer;
    an_statistics_sums sums;
    assert_int_equal(an_statistics_sums_init(&sums, TEST_SIDE), AN_OK);
    int rc = an_writer_open(&writer, path, TEST_MANIFEST, TEST_SIDE, &sums);
    if (!rc) {
        test_classes(writer);
        for (uint64_t i = an_writer_count(writer); !rc && i < ALL; i++)
            rc = test_try_put(writer, &sums, &test_small, i);
        if (rc)
            an_writer_close(writer);
        else
            rc = an_writer_finish(writer);
    }
    an_statistics_sums_free(&sums);
    if (rc)
        return strstr(an_error_message(), path) ? REFUSED : UNSOUND; /* the message names what is damaged */
    return sound(path) ? SOUND : UNSOUND;
}

/* In a process of its own, which may crash. */
static int outcome_of(const char *path, char *said, size_t size)
{
    int status, ends[2];
    assert_return_code(pipe(ends), 0);
    pid_t child = fork();
    assert_return_code(child, 0);
    if (child == 0) {
        alarm(TIME_LIMIT);
        int outcome = go_on(path);
        (void)!write(ends[1], an_error_message(), strlen(an_error_message()));
        _exit(outcome);
    }
    assert_return_code(close(ends[1]), 0);
    ssize_t got = read(ends[0], said, size - 1);
    said[got > 0 ? got : 0] = '\0';
    assert_return_code(close(ends[0]), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status))
        fail_msg("ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static int resume_with(void **state, const an_buffer *bytes, char *said, size_t size)
{
    const char *path = test_path(state, "set"), *partial = test_path(state, "set.partial");
    assert_return_code(mkdir(partial, 0777), 0);
    assert_int_equal(an_file_write_atomic(test_path(state, "set.partial/data.mdb"), bytes->data, bytes->size), AN_OK);
    int outcome = outcome_of(path, said, size);
    test_remove_all(outcome == SOUND ? path : partial);
    if (outcome == UNSOUND)
        test_remove_all(path);
    return outcome;
}

static void copy_page(an_buffer *bytes, uint64_t to, const uint8_t *from, bool renumber)
{
    memcpy(bytes->data + to * PAGE, from, PAGE);
    if (renumber)
        an_bytes_put_u64(bytes->data + to * PAGE, to);
}

static void swap_pages(an_buffer *bytes, uint64_t a, uint64_t b, bool renumber)
{
    uint8_t page[PAGE];
    memcpy(page, bytes->data + a * PAGE, PAGE);
    copy_page(bytes, a, bytes->data + b * PAGE, renumber);
    copy_page(bytes, b, page, renumber);
}

enum { FLIP_HEADER, FLIP_ANY, ZERO, TRUNCATE, SWAP, SWAP_RENUMBERED, REPEAT, REPEAT_RENUMBERED, NUMBERS, META, KINDS };

/* Put small numbers, such as those of pages, where numbers are. */
static void change_number(an_buffer *bytes, uint64_t page, uint64_t pages, an_rng *rng)
{
    uint64_t at = page * PAGE + (an_rng_below(rng, PAGE - 8) & ~7u);
    an_bytes_put_u64(bytes->data + at, an_rng_below(rng, (uint32_t)pages + 3));
}

static void damage(an_buffer *bytes, uint64_t seed)
{
    an_rng rng = an_rng_make(11, AN_RNG_TEST, 0, seed);
    uint64_t pages = bytes->size / PAGE;
    uint64_t a = an_rng_below(&rng, (uint32_t)pages), b = an_rng_below(&rng, (uint32_t)pages);
    bool far = an_rng_below(&rng, 2);
    switch (seed % KINDS) {
    case FLIP_HEADER:
        bytes->data[a * PAGE + an_rng_below(&rng, 64)] ^= (uint8_t)(1 << an_rng_below(&rng, 8));
        break;
    case FLIP_ANY:
        bytes->data[an_rng_below(&rng, (uint32_t)bytes->size)] ^= (uint8_t)(1 << an_rng_below(&rng, 8));
        break;
    case ZERO:
        memset(bytes->data + a * PAGE, 0, PAGE);
        break;
    case TRUNCATE:
        bytes->size = far ? a * PAGE : an_rng_below(&rng, (uint32_t)bytes->size);
        break;
    case SWAP:
    case SWAP_RENUMBERED:
        swap_pages(bytes, a, b, seed % KINDS == SWAP_RENUMBERED);
        break;
    case REPEAT:
    case REPEAT_RENUMBERED:
        copy_page(bytes, a, bytes->data + b * PAGE, seed % KINDS == REPEAT_RENUMBERED);
        break;
    case NUMBERS:
        change_number(bytes, a, pages, &rng);
        break;
    default: /* of a meta page: where the trees begin, the last page, the transaction */
        an_bytes_put_u64(bytes->data + far * PAGE + 16 + (uint64_t)8 * an_rng_below(&rng, 17),
                         an_rng_below(&rng, (uint32_t)pages + 3));
    }
}

static void damaged_runs_are_refused_or_end_sound(void **state)
{
    an_buffer whole = {0}, bytes = {0};
    char said[AN_ERROR_MAX];
    int counts[UNSOUND + 1] = {0};
    learn_undisturbed(state);
    interrupt(state, &whole);
    for (uint64_t seed = 0; seed < VARIANTS; seed++) {
        bytes.size = 0;
        assert_int_equal(an_buffer_append(&bytes, whole.data, whole.size), AN_OK);
        damage(&bytes, seed);
        int outcome = resume_with(state, &bytes, said, sizeof said);
        if (outcome != REFUSED && outcome != SOUND)
            fail_msg("variant %d: outcome %d: %s", (int)seed, outcome, said);
        counts[outcome]++;
    }
    print_message("%d variants: %d refused, %d sound\n", VARIANTS, counts[REFUSED], counts[SOUND]);
    assert_true(counts[REFUSED] > VARIANTS / 4 && counts[SOUND] > 0);
    an_buffer_free(&whole);
    an_buffer_free(&bytes);
}

/* --------------------------------------------------------------------------------- what each check is for ---- */

static void refused_as_it_is(void **state, const an_buffer *bytes, const char *word)
{
    char said[AN_ERROR_MAX];
    assert_int_equal(resume_with(state, bytes, said, sizeof said), REFUSED);
    if (!strstr(said, word) || !strstr(said, "remove it to start over"))
        fail_msg("'%s' does not say '%s' and what to do", said, word);
}

/* Continue with the bytes from `at` on changed; it must be refused with this word. */
static void refused_with(void **state, const an_buffer *whole, uint64_t at, uint64_t number, const char *word)
{
    an_buffer bytes = {0};
    assert_int_equal(an_buffer_append(&bytes, whole->data, whole->size), AN_OK);
    an_bytes_put_u64(bytes.data + at, number);
    refused_as_it_is(state, &bytes, word);
    an_buffer_free(&bytes);
}

/* The same with every letter "c" of "class/0" changed: names lie in pages that are free by now, too. */
static void renamed(void **state, const an_buffer *whole, const char *word)
{
    static const char text[] = "class/0";
    an_buffer bytes = {0};
    int changed = 0;
    assert_int_equal(an_buffer_append(&bytes, whole->data, whole->size), AN_OK);
    for (uint64_t at = 0; at + sizeof text < bytes.size; at++)
        if (memcmp(bytes.data + at, text, sizeof text - 1) == 0) {
            bytes.data[at] = 'k';
            changed++;
        }
    assert_true(changed > 0);
    refused_as_it_is(state, &bytes, word);
    an_buffer_free(&bytes);
}

static const uint8_t *newest_meta(const an_buffer *whole)
{
    const uint8_t *first = whole->data + 16, *second = whole->data + PAGE + 16;
    return an_bytes_u64(second + 128) > an_bytes_u64(first + 128) ? second : first;
}

/* The first list in the tree of free pages, as an offset in the file. */
static uint64_t free_list(const an_buffer *whole)
{
    uint64_t root = an_bytes_u64(newest_meta(whole) + 24 + 40);
    const uint8_t *leaf = whole->data + root * PAGE;
    assert_int_equal(an_bytes_u16(leaf + 10), 2);
    return root * PAGE + an_bytes_u16(leaf + 16) + 8 + 8;
}

/* The first page of the first value that has pages of its own. */
static uint64_t overflow_page(const an_buffer *whole)
{
    for (uint64_t page = 2; page < whole->size / PAGE; page++)
        if (an_bytes_u16(whole->data + page * PAGE + 10) == 4 && an_bytes_u64(whole->data + page * PAGE) == page)
            return page;
    fail();
    return 0;
}

static void pages_that_lmdb_would_reuse_are_checked(void **state)
{
    an_buffer whole = {0};
    interrupt(state, &whole);
    uint64_t list = free_list(&whole), meta = (uint64_t)(newest_meta(&whole) - whole.data),
             value = overflow_page(&whole);
    uint64_t count = an_bytes_u64(whole.data + list), root = an_bytes_u64(whole.data + meta + 72 + 40);
    assert_true(count > 0);
    refused_with(state, &whole, list + 8, root, "used twice");
    refused_with(state, &whole, list, count + (UINT64_C(1) << 40), "cut short");
    refused_with(state, &whole, list + 8, UINT64_C(1) << 40, "beyond the last page");
    refused_with(state, &whole, list - 8, UINT64_C(1) << 40, "never made");
    refused_with(state, &whole, meta + 120, root - 1, "beyond the last page");
    refused_with(state, &whole, meta + 120, UINT64_C(1) << 50, "far shorter");
    refused_with(state, &whole, meta + 128, UINT64_MAX, "number of transactions");
    refused_with(state, &whole, value * PAGE, value + 1, "large value");
    refused_with(state, &whole, value * PAGE + 8, UINT64_C(4) << 16 | UINT64_C(30000) << 32, "large value");
    an_buffer_free(&whole);
}

/* Change a product among the sums of pixels, which nothing else covers: side, 0, images, three sums, the products. */
static void change_products(an_buffer *bytes)
{
    int changed = 0;
    for (uint64_t at = 0; at + 48 < bytes->size; at += 2)
        if (an_bytes_u64(bytes->data + at) == TEST_SIDE && an_bytes_u64(bytes->data + at + 8) == BEFORE) {
            bytes->data[at + 40] ^= 2;
            changed++;
        }
    assert_true(changed > 0);
}

static void what_was_written_is_checked(void **state)
{
    an_buffer whole = {0};
    interrupt(state, &whole);
    uint64_t value = overflow_page(&whole) * PAGE + 16;
    while (memcmp(whole.data + value, "ANRC", 4) != 0) /* others are the sums of pixels */
        value += PAGE;
    refused_with(state, &whole, value + 200, 0x5555555555555555, "damaged record payload");
    refused_with(state, &whole, value, 0, "not a record");
    renamed(state, &whole, "checksum over names and statistics");
    change_products(&whole);
    refused_as_it_is(state, &whole, "checksum over names and statistics");
    an_buffer_free(&whole);
}

/* A run that was killed right before the rename, with a name that was damaged since: nothing but the checksum tells. */
static void a_complete_run_is_compared_with_its_checksum(void **state)
{
    an_buffer whole = {0};
    const char *path = test_path(state, "set"), *data = test_path(state, "set/data.mdb");
    learn_undisturbed(state);
    test_dataset_make(path, &test_small, ALL, REJECTS);
    assert_int_equal(an_file_read(data, SIZE_MAX / 2, &whole), AN_OK);
    test_remove_all(path);
    char said[AN_ERROR_MAX];
    assert_int_equal(resume_with(state, &whole, said, sizeof said), SOUND);
    renamed(state, &whole, "checksum over index, names and classes");
    an_buffer_free(&whole);
}

/* Which call of mdb_cursor_open finds no memory, counted from 0; negative: none does. */
static int cursor_fails = -1;

int __real_mdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor);
int __wrap_mdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor);
int __wrap_mdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor)
{
    return cursor_fails-- == 0 ? ENOMEM : __real_mdb_cursor_open(txn, dbi, cursor);
}

/* Classes, rejected inputs, records, names: with the last one another cursor is open. */
static void memory_for_cursors_runs_out(void **state)
{
    enum { CURSORS = 4 };
    an_buffer whole = {0};
    char said[AN_ERROR_MAX];
    interrupt(state, &whole);
    for (int i = 0; i < CURSORS; i++) {
        cursor_fails = i;
        assert_int_equal(resume_with(state, &whole, said, sizeof said), REFUSED);
        assert_non_null(strstr(said, "cannot read '"));
    }
    cursor_fails = -1;
    an_buffer_free(&whole);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, test_folder_setup, test_folder_teardown)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(damaged_runs_are_refused_or_end_sound), IN_FOLDER(pages_that_lmdb_would_reuse_are_checked),
        IN_FOLDER(what_was_written_is_checked),           IN_FOLDER(a_complete_run_is_compared_with_its_checksum),
        IN_FOLDER(memory_for_cursors_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
