#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"
#include "tests/store/dataset/support.h"
#include "tests/store/message.h"

static const uint32_t raw_sizes[] = {196608};
static const test_recipe raw = {raw_sizes, 1};

/* 79 MB: beyond LMDB's default map and beyond one transaction's items. */
static void growing_map_keeps_all(void **state)
{
    const char *path = test_path(state, "set");
    test_dataset_make(path, &raw, 400, 0);
    test_dataset_check(path, &raw, 400, 0);
    struct stat info;
    assert_return_code(stat(test_path(state, "set/data.mdb"), &info), 0);
    assert_true(info.st_size > 400 * 196608);
    assert_int_equal(stat(test_path(state, "set.partial"), &info), -1);
    assert_int_equal(stat(test_path(state, "set/lock.mdb"), &info), -1);
}

static void mixed_sizes_and_rejects(void **state)
{
    const char *path = test_path(state, "set/"); /* a trailing slash changes nothing */
    test_dataset_make(path, &test_small, 500, 300);
    test_dataset_check(path, &test_small, 500, 300);
}

static void no_records_at_all(void **state)
{
    const char *path = test_path(state, "set");
    test_dataset_make(path, &test_small, 0, 2);
    test_dataset_check(path, &test_small, 0, 2);
}

static void existing_destination_is_refused(void **state)
{
    an_writer *writer;
    an_statistics_sums sums;
    const char *path = test_path(state, "set");
    assert_return_code(mkdir(path, 0777), 0);
    assert_int_equal(an_statistics_sums_init(&sums, TEST_SIDE), AN_OK);
    assert_int_equal(an_writer_open(&writer, path, TEST_MANIFEST, TEST_SIDE, &sums), AN_EINVAL);
    assert_message("exists already: remove it");
    assert_null(writer);
    an_statistics_sums_free(&sums);
}

static void second_writer_is_refused(void **state)
{
    an_writer *writer, *second;
    an_statistics_sums sums, more;
    const char *path = test_path(state, "set");
    writer = test_writer_open(path, &sums);
    assert_int_equal(an_statistics_sums_init(&more, TEST_SIDE), AN_OK);
    assert_int_equal(an_writer_open(&second, path, TEST_MANIFEST, TEST_SIDE, &more), AN_EIO);
    assert_message("another process");
    an_writer_close(writer);
    assert_int_equal(an_writer_open(&second, path, TEST_MANIFEST, TEST_SIDE, &more), AN_OK);
    an_writer_close(second);
    an_statistics_sums_free(&sums);
    an_statistics_sums_free(&more);
}

static void expect_refusal(const char *path, const char *manifest, uint32_t side, const char *part)
{
    an_writer *writer;
    an_statistics_sums sums;
    assert_int_equal(an_statistics_sums_init(&sums, side), AN_OK);
    assert_int_equal(an_writer_open(&writer, path, manifest, side, &sums), AN_EINVAL);
    assert_message(part);
    an_statistics_sums_free(&sums);
}

static void other_options_are_named(void **state)
{
    an_statistics_sums sums;
    const char *path = test_path(state, "set");
    an_writer_close(test_writer_open(path, &sums));
    an_statistics_sums_free(&sums);
    expect_refusal(path, "{\"quality\":75,\"source\":\"other\"}", TEST_SIDE, "quality was 90 and is 75 now");
    expect_refusal(path, "{\"quality\":90,\"source\":\"other\"}", TEST_SIDE,
                   "source was \"test\" and is \"other\" now");
    expect_refusal(path, "{\"quality\":90,\"seed\":1,\"source\":\"test\"}", TEST_SIDE, "seed was absent and is 1 now");
    expect_refusal(path, "{\"quality\":90}", TEST_SIDE, "source was \"test\" and is absent now");
    expect_refusal(path, TEST_MANIFEST, TEST_SIDE + 1, "side 8, not 9");
    expect_refusal(path, "{\"quality\":", TEST_SIDE, "not JSON");
    expect_refusal(path, "[]", TEST_SIDE, "not a JSON object");
}

static void impossible_records_are_refused(void **state)
{
    an_statistics_sums sums;
    an_writer *writer = test_writer_open(test_path(state, "set"), &sums);
    an_record_header header = {.codec = AN_CODEC_JPEG, .width = TEST_SIDE + 1, .height = TEST_SIDE, .length = 1};
    assert_int_equal(an_writer_put(writer, &header, (const uint8_t *)"x", "name"), AN_EINVAL);
    assert_message("'name'");
    header.width = TEST_SIDE;
    header.length = 0; /* readers refuse it */
    assert_int_equal(an_writer_put(writer, &header, (const uint8_t *)"", "name"), AN_EINVAL);
    header.length = 1;
    char *name = calloc(1, 70000);
    assert_non_null(name);
    memset(name, 'a', 69999);
    assert_int_equal(an_writer_put(writer, &header, (const uint8_t *)"x", name), AN_EINVAL);
    assert_int_equal(an_writer_count(writer), 0);
    assert_int_equal(an_writer_put(writer, &header, (const uint8_t *)"x", "name"), AN_OK); /* still usable */
    free(name);
    an_writer_close(writer);
    an_statistics_sums_free(&sums);
}

static void uncommitted_is_gone_committed_is_kept(void **state)
{
    an_statistics_sums sums;
    const char *path = test_path(state, "set");
    an_writer *writer = test_writer_open(path, &sums);
    for (uint64_t i = 0; i < 20; i++)
        test_put(writer, &sums, &test_small, i);
    assert_int_equal(an_writer_reject(writer, "bad/0", "not an image", 0), AN_OK);
    assert_int_equal(an_writer_commit(writer), AN_OK);
    for (uint64_t i = 20; i < 30; i++)
        test_put(writer, &sums, &test_small, i);
    assert_int_equal(an_writer_count(writer), 30);
    an_writer_close(writer);
    an_statistics_sums_free(&sums);
    writer = test_writer_open(path, &sums);
    assert_int_equal(an_writer_count(writer), 20);
    assert_int_equal(an_writer_rejects(writer), 1);
    assert_int_equal(an_writer_position(writer), 21);
    assert_int_equal(sums.images, 20);
    an_writer_close(writer);
    an_statistics_sums_free(&sums);
    test_dataset_make(path, &test_small, 60, 2);
    test_dataset_check(path, &test_small, 60, 2);
}

/* Transactions also end when they have grown large; what they left beyond the last an_writer_commit must not come back.
 */
static void large_uncommitted_tail_is_dropped(void **state)
{
    an_statistics_sums sums;
    const char *path = test_path(state, "set");
    an_writer *writer = test_writer_open(path, &sums);
    for (uint64_t i = 0; i < 3; i++)
        test_put(writer, &sums, &raw, i);
    assert_int_equal(an_writer_commit(writer), AN_OK);
    for (uint64_t i = 3; i < 400; i++)
        test_put(writer, &sums, &raw, i);
    an_writer_close(writer);
    an_statistics_sums_free(&sums);
    writer = test_writer_open(path, &sums);
    assert_int_equal(an_writer_count(writer), 3);
    an_writer_close(writer);
    an_statistics_sums_free(&sums);
    test_dataset_make(path, &raw, 20, 0);
    test_dataset_check(path, &raw, 20, 0);
}

static void complete_but_not_renamed_goes_on(void **state)
{
    const char *path = test_path(state, "set"), *partial = test_path(state, "set.partial");
    test_dataset_make(path, &test_small, 30, 1);
    assert_return_code(rename(path, partial), 0);
    test_dataset_make(path, &test_small, 30, 1);
    test_dataset_check(path, &test_small, 30, 1);
    assert_return_code(rename(path, partial), 0);
    test_dataset_make(path, &test_small, 45, 1);
    test_dataset_check(path, &test_small, 45, 1);
}

static int count_reject(void *context, const char *name, const char *reason, uint64_t bytes)
{
    (void)name;
    (void)reason;
    (void)bytes;
    return ++*(int *)context == 3 ? 42 : AN_OK;
}

static void rejects_are_visited_before_and_after_commit(void **state)
{
    an_statistics_sums sums;
    const char *path = test_path(state, "set");
    an_writer *writer = test_writer_open(path, &sums);
    int seen = 0;
    assert_int_equal(an_writer_rejects_visit(writer, count_reject, &seen), AN_OK);
    assert_int_equal(an_writer_reject(writer, "a", "b", 1), AN_OK);
    assert_int_equal(an_writer_commit(writer), AN_OK);
    an_writer_close(writer);
    an_statistics_sums_free(&sums);
    writer = test_writer_open(path, &sums);
    assert_int_equal(an_writer_reject(writer, "c", "", 2), AN_OK);
    assert_int_equal(an_writer_rejects_visit(writer, count_reject, &seen), AN_OK);
    assert_int_equal(seen, 2);
    assert_int_equal(an_writer_rejects_visit(writer, count_reject, &seen), 42);
    an_writer_close(writer);
    an_statistics_sums_free(&sums);
}

#define AGAIN 3000

/* Every third entry was taken off, and the one after it got another reason. context: the number in the next name. */
static int check_again(void *context, const char *name, const char *reason, uint64_t bytes)
{
    int *next = context;
    char expected[32];
    if (*next % 3 == 0)
        ++*next;
    snprintf(expected, sizeof expected, "input %d", *next);
    assert_string_equal(name, expected);
    bool changed = *next % 3 == 1;
    assert_string_equal(reason, changed ? "still bad, in another way than before" : "bad");
    assert_int_equal(bytes, changed ? 7 : 5);
    ++*next;
    return AN_OK;
}

static void give_again(an_writer *writer, an_statistics_sums *sums, int first)
{
    uint64_t position = an_writer_position(writer);
    for (int i = AGAIN - 1; i >= 0; i--) {
        char name[32];
        snprintf(name, sizeof name, "input %d", i);
        if (i % 3 == 0) {
            test_put(writer, sums, &raw, (uint64_t)first++);
            assert_int_equal(an_writer_accept(writer, (uint64_t)i), AN_OK);
        } else if (i % 3 == 1) {
            assert_int_equal(
                an_writer_reject_again(writer, (uint64_t)i, name, "still bad, in another way than before", 7), AN_OK);
        }
    }
    assert_int_equal(an_writer_position(writer), position);
}

/* Records that were set aside before come off the list with the commit that counts them, and not earlier: 1000 of them
 * take three transactions. */
static void inputs_that_were_set_aside_are_given_again(void **state)
{
    an_statistics_sums sums;
    const char *path = test_path(state, "set");
    an_writer *writer = test_writer_open(path, &sums);
    for (int i = 0; i < AGAIN; i++) {
        char name[32];
        snprintf(name, sizeof name, "input %d", i);
        assert_int_equal(an_writer_reject(writer, name, "bad", 5), AN_OK);
    }
    assert_int_equal(an_writer_commit(writer), AN_OK);
    give_again(writer, &sums, 0);
    an_writer_close(writer); /* not committed: as if it had been killed */
    an_statistics_sums_free(&sums);
    writer = test_writer_open(path, &sums);
    assert_int_equal(an_writer_rejects(writer), AGAIN);
    assert_int_equal(an_writer_count(writer), 0);
    give_again(writer, &sums, 0);
    assert_int_equal(an_writer_commit(writer), AN_OK);
    an_writer_close(writer);
    an_statistics_sums_free(&sums);
    writer = test_writer_open(path, &sums);
    assert_int_equal(an_writer_rejects(writer), AGAIN - AGAIN / 3);
    assert_int_equal(an_writer_count(writer), AGAIN / 3);
    int next = 0;
    assert_int_equal(an_writer_rejects_visit(writer, check_again, &next), AN_OK);
    assert_int_equal(next, AGAIN);
    test_classes(writer);
    assert_int_equal(an_writer_finish(writer), AN_OK);
    an_statistics_sums_free(&sums);
    an_dataset *dataset;
    assert_int_equal(an_dataset_open(&dataset, path), AN_OK);
    assert_int_equal(an_dataset_reject_count(dataset), AGAIN - AGAIN / 3);
    next = 0;
    assert_int_equal(an_dataset_rejects(dataset, check_again, &next), AN_OK);
    an_dataset_free(dataset);
}

typedef struct {
    const char *then;
    uint64_t position;
} mending_answer;

static int answer(void *context, an_writer *writer, const char *before, char **out)
{
    mending_answer *a = context;
    assert_string_equal(before, TEST_MANIFEST);
    a->position = an_writer_position(writer);
    *out = strdup(a->then);
    return *out ? AN_OK : AN_ENOMEM;
}

static void mended_source_takes_the_new_manifest(void **state)
{
    static const char mended[] = "{\"quality\":90,\"source\":\"mended\"}";
    an_statistics_sums sums;
    mending_answer wrong = {mended, 0}, right = {TEST_MANIFEST, 0};
    const char *path = test_path(state, "set");
    an_writer *writer = test_writer_open(path, &sums);
    assert_int_equal(an_writer_reject(writer, "a", "b", 1), AN_OK);
    test_put(writer, &sums, &test_small, 0);
    assert_int_equal(an_writer_commit(writer), AN_OK);
    an_writer_close(writer);
    assert_int_equal(
        an_writer_open_mended(&writer, path, mended, TEST_SIDE, &sums, &(an_writer_mending){answer, &wrong}),
        AN_EINVAL);
    assert_message("source was");
    assert_int_equal(
        an_writer_open_mended(&writer, path, mended, TEST_SIDE, &sums, &(an_writer_mending){answer, &right}), AN_OK);
    assert_int_equal(right.position, 2);
    assert_int_equal(an_writer_commit(writer), AN_OK);
    an_writer_close(writer);
    assert_int_equal(an_writer_open(&writer, path, TEST_MANIFEST, TEST_SIDE, &sums), AN_EINVAL);
    assert_int_equal(an_writer_open(&writer, path, mended, TEST_SIDE, &sums), AN_OK);
    assert_int_equal(an_writer_position(writer), 2);
    an_writer_close(writer);
    an_statistics_sums_free(&sums);
}

static void read_only_folder_is_named(void **state)
{
    const char *folder = test_path(state, "closed");
    assert_return_code(mkdir(folder, 0555), 0);
    an_writer *writer;
    an_statistics_sums sums;
    assert_int_equal(an_statistics_sums_init(&sums, TEST_SIDE), AN_OK);
    uid_t user = geteuid();
    if (user == 0) { /* root may write anywhere: be nobody for a moment */
        assert_return_code(chmod(*state, 0755), 0);
        assert_return_code(seteuid(65534), 0);
    }
    int rc = an_writer_open(&writer, test_path(state, "closed/set"), TEST_MANIFEST, TEST_SIDE, &sums);
    assert_return_code(seteuid(user), 0);
    assert_int_equal(rc, AN_EIO);
    assert_message("closed/set.partial");
    assert_message("Permission denied");
    an_statistics_sums_free(&sums);
}

static void foreign_leftover_is_refused(void **state)
{
    const char *partial = test_path(state, "set.partial"), *path = test_path(state, "set");
    assert_return_code(mkdir(partial, 0777), 0);
    char junk[8192];
    memset(junk, 'x', sizeof junk);
    assert_int_equal(an_file_write_atomic(test_path(state, "set.partial/data.mdb"), junk, sizeof junk), AN_OK);
    an_writer *writer;
    an_statistics_sums sums;
    assert_int_equal(an_statistics_sums_init(&sums, TEST_SIDE), AN_OK);
    assert_int_equal(an_writer_open(&writer, path, TEST_MANIFEST, TEST_SIDE, &sums), AN_ECORRUPT);
    assert_message("not an LMDB data file");
    an_statistics_sums_free(&sums);
}

static void refuse(void **state, const char *word)
{
    an_writer *writer;
    an_statistics_sums sums;
    const char *path = test_path(state, "set");
    assert_int_equal(an_statistics_sums_init(&sums, TEST_SIDE), AN_OK);
    assert_int_equal(an_writer_check_path(path), AN_EINVAL);
    assert_message(word);
    assert_int_equal(an_writer_open(&writer, path, TEST_MANIFEST, TEST_SIDE, &sums), AN_EINVAL);
    assert_message(word);
    an_statistics_sums_free(&sums);
}

/* Where others may write they can put what they like under the name of the folder that will be written to. */
static void a_planted_partial_is_refused(void **state)
{
    const char *partial = test_path(state, "set.partial"), *mine = test_path(state, "mine");
    const char *inner = test_path(state, "mine/data.mdb");
    assert_return_code(mkdir(mine, 0777), 0);
    assert_int_equal(an_file_write_atomic(inner, "precious", 8), AN_OK);
    assert_return_code(symlink(mine, partial), 0);
    refuse(state, "is a symbolic link");
    an_buffer bytes = {0};
    assert_int_equal(an_file_read(inner, 64, &bytes), AN_OK);
    assert_int_equal(bytes.size, 8);
    assert_memory_equal(bytes.data, "precious", 8);
    an_buffer_free(&bytes);
    assert_return_code(unlink(partial), 0);
    if (geteuid() != 0)
        skip(); /* only the superuser can make a folder of somebody else's */
    assert_return_code(mkdir(partial, 0777), 0);
    assert_return_code(chown(partial, 65534, 65534), 0);
    refuse(state, "belongs to another user (number 65534)");
}

/* In our own folder, if it was made writable for others. */
static void a_planted_data_file_is_refused(void **state)
{
    const char *victim = test_path(state, "victim"), *data = test_path(state, "set.partial/data.mdb");
    an_writer *writer;
    an_statistics_sums sums;
    struct stat info;
    assert_int_equal(an_file_write_atomic(victim, "", 0), AN_OK);
    assert_return_code(mkdir(test_path(state, "set.partial"), 0777), 0);
    assert_return_code(symlink(victim, data), 0);
    assert_int_equal(an_statistics_sums_init(&sums, TEST_SIDE), AN_OK);
    assert_int_equal(an_writer_open(&writer, test_path(state, "set"), TEST_MANIFEST, TEST_SIDE, &sums), AN_EIO);
    assert_message("set.partial/data.mdb");
    assert_return_code(stat(victim, &info), 0);
    assert_int_equal(info.st_size, 0);
    assert_return_code(unlink(data), 0);
    assert_return_code(mkfifo(data, 0600), 0);
    assert_int_equal(an_writer_open(&writer, test_path(state, "set"), TEST_MANIFEST, TEST_SIDE, &sums), AN_EINVAL);
    assert_message("no regular file");
    an_statistics_sums_free(&sums);
}

/* ------------------------------------------------------------------------------------------------ kill -9 ---- */

#define KILL_COUNT 150
#define KILLS 25

static void run_to_the_end(const char *path, uint64_t seed)
{
    an_rng rng = an_rng_make(seed, AN_RNG_TEST, 1, 0);
    an_statistics_sums sums;
    an_writer *writer = test_writer_open(path, &sums);
    test_classes(writer);
    for (uint64_t i = an_writer_count(writer); i < KILL_COUNT; i++) {
        test_put(writer, &sums, &test_small, i);
        if (an_rng_below(&rng, 4) == 0)
            assert_int_equal(an_writer_commit(writer), AN_OK);
    }
    assert_int_equal(an_writer_finish(writer), AN_OK);
    an_statistics_sums_free(&sums);
}

/* True if the child was killed, false if it had finished. */
static bool run_and_kill(const char *path, uint64_t seed, uint32_t microseconds)
{
    int status;
    pid_t child = fork();
    assert_return_code(child, 0);
    if (child == 0) {
        run_to_the_end(path, seed);
        _exit(0);
    }
    usleep(microseconds);
    assert_return_code(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

static void killed_anywhere_ends_the_same(void **state)
{
    const char *path = test_path(state, "set"), *undisturbed = test_path(state, "undisturbed");
    an_rng rng = an_rng_make(7, AN_RNG_TEST, 2, 0);
    uint64_t start = an_clock_ns();
    run_to_the_end(undisturbed, 0);
    uint32_t whole = (uint32_t)((an_clock_ns() - start) / 1000);
    int kills = 0;
    for (int i = 0; i < KILLS; i++) {
        bool killed = run_and_kill(path, (uint64_t)i, an_rng_below(&rng, whole));
        kills += killed;
        if (killed && access(path, F_OK)) /* not even renamed */
            continue;
        test_dataset_check(path, &test_small, KILL_COUNT, 0);
        test_remove_all(path);
    }
    assert_true(kills > 0);
    if (access(path, F_OK))
        run_to_the_end(path, KILLS);
    test_dataset_check(path, &test_small, KILL_COUNT, 0);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, test_folder_setup, test_folder_teardown)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(growing_map_keeps_all),
        IN_FOLDER(mixed_sizes_and_rejects),
        IN_FOLDER(no_records_at_all),
        IN_FOLDER(existing_destination_is_refused),
        IN_FOLDER(second_writer_is_refused),
        IN_FOLDER(other_options_are_named),
        IN_FOLDER(impossible_records_are_refused),
        IN_FOLDER(uncommitted_is_gone_committed_is_kept),
        IN_FOLDER(large_uncommitted_tail_is_dropped),
        IN_FOLDER(complete_but_not_renamed_goes_on),
        IN_FOLDER(rejects_are_visited_before_and_after_commit),
        IN_FOLDER(inputs_that_were_set_aside_are_given_again),
        IN_FOLDER(mended_source_takes_the_new_manifest),
        IN_FOLDER(read_only_folder_is_named),
        IN_FOLDER(foreign_leftover_is_refused),
        IN_FOLDER(a_planted_partial_is_refused),
        IN_FOLDER(a_planted_data_file_is_refused),
        IN_FOLDER(killed_anywhere_ends_the_same),
    };
    return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
