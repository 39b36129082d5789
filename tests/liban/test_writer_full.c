/* A full disk: a tmpfs of a few megabytes in a mount namespace of its own, which goes away with the process. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include <cmocka.h>

#include "tests/liban/writer_support.h"
#include "tests/store/message.h"

enum { SKIPPED = 77, COMMIT_EVERY = 50 };

static fixture disk;

static int mount_small(const char *path)
{
    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
        return -1;
    return mount("none", path, "tmpfs", 0, "size=4m");
}

static void full_disk_is_reported_and_gone_on_with(void **state)
{
    (void)state;
    const char *path = fixture_path(&disk, "set");
    liban_writer *w = writer_support_open(path, "rgb");
    uint64_t committed = 0, i;
    int rc = 0;
    for (i = 0; !rc; i++) {
        rc = writer_support_try_feed(w, i);
        if (!rc && i % COMMIT_EVERY == COMMIT_EVERY - 1)
            rc = liban_writer_commit(w);
        if (!rc && i % COMMIT_EVERY == COMMIT_EVERY - 1)
            committed = i + 1;
    }
    assert_int_equal(rc, LIBAN_ENOSPC);
    assert_message(path);
    assert_message("make room");
    assert_true(committed > 0);
    assert_int_equal(writer_support_try_feed(w, i), LIBAN_EIO); /* every later call fails */
    assert_message("an earlier write failed");
    liban_writer_close(w);

    assert_return_code(mount("none", disk.root, "tmpfs", MS_REMOUNT, "size=200m"), 0);
    w = writer_support_open(path, "rgb");
    uint64_t position = liban_writer_position(w);
    assert_in_range(position, committed, i);
    writer_support_feed(w, position, i);
    writer_support_finish(w);
    w = writer_support_open(fixture_path(&disk, "whole"), "rgb");
    writer_support_feed(w, 0, i);
    writer_support_finish(w);
    writer_support_assert_same_paths(path, fixture_path(&disk, "whole"));
}

int main(void)
{
    fixture_open(&disk);
    if (mount_small(disk.root)) {
        print_message("skipped: a small tmpfs cannot be mounted (%s)\n", strerror(errno));
        fixture_close(&disk);
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(full_disk_is_reported_and_gone_on_with)};
    int rc = cmocka_run_group_tests_name("liban_writer_full", tests, NULL, NULL);
    if (umount2(disk.root, MNT_DETACH))
        rc = 1;
    fixture_close(&disk);
    return rc;
}
