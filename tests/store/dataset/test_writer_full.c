/* A full disk: a tmpfs of a few megabytes in a mount namespace of its own, which goes away with the process. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "tests/store/dataset/support.h"
#include "tests/store/message.h"

enum { SKIPPED = 77, COUNT = 2000, COMMIT_EVERY = 50 };

static int mount_small(const char *path)
{
    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
        return -1;
    return mount("none", path, "tmpfs", 0, "size=6m");
}

static void full_disk_is_reported_and_resumable(void **state)
{
    const char *path = test_path(state, "set");
    an_statistics_sums sums;
    an_writer *writer = test_writer_open(path, &sums);
    int rc = AN_OK;
    uint64_t committed = 0, i;
    for (i = 0; !rc && i < COUNT; i++) {
        rc = test_try_put(writer, &sums, &test_small, i);
        if (!rc && i % COMMIT_EVERY == COMMIT_EVERY - 1)
            rc = an_writer_commit(writer);
        if (!rc && i % COMMIT_EVERY == COMMIT_EVERY - 1)
            committed = i + 1;
    }
    assert_int_equal(rc, AN_ENOSPC);
    assert_message(path);
    assert_message("make room");
    assert_true(committed > 0);
    an_writer_close(writer);
    an_statistics_sums_free(&sums);

    assert_return_code(mount("none", *state, "tmpfs", MS_REMOUNT, "size=200m"), 0);
    writer = test_writer_open(path, &sums);
    assert_int_equal(an_writer_count(writer), committed);
    an_writer_close(writer);
    an_statistics_sums_free(&sums);
    test_dataset_make(path, &test_small, committed + 100, 0);
    test_dataset_check(path, &test_small, committed + 100, 0);
    test_remove_all(path);
}

int main(void)
{
    void *folder;
    if (test_folder_setup(&folder))
        return 1;
    if (mount_small(folder)) {
        print_message("skipped: a small tmpfs cannot be mounted (%s)\n", strerror(errno));
        (void)test_folder_teardown(&folder);
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(full_disk_is_reported_and_resumable, folder)};
    int rc = cmocka_run_group_tests_name("writer_full", tests, NULL, NULL);
    if (umount2(folder, MNT_DETACH))
        rc = 1;
    (void)test_folder_teardown(&folder);
    return rc;
}
