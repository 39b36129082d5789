#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mount.h>

#include "base/error.h"
#include "base/file.h"
#include "tests/base/scratch.h"

#define SKIPPED 77
#define TOO_MUCH ((size_t)4 << 20)

static char folder[SCRATCH_MAX];

static void test_full_disk(void **state)
{
    (void)state;
    char path[SCRATCH_MAX + 64];
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(an_file_write_atomic(path, "old", 3), AN_OK);
    char *data = calloc(TOO_MUCH, 1);
    assert_non_null(data);
    int rc = an_file_write_atomic(path, data, TOO_MUCH);
    free(data);
    assert_int_equal(rc, AN_ENOSPC);
    assert_non_null(strstr(an_error_message(), path));
    assert_int_equal(scratch_count(folder), 1); /* the temporary is gone, */
    an_buffer kept = {0};
    assert_int_equal(an_file_read(path, 3, &kept), AN_OK); /* and the old file stands */
    assert_memory_equal(kept.data, "old", 3);
    an_buffer_free(&kept);
}

int main(void)
{
    scratch_make(folder);
    if (mount("none", folder, "tmpfs", 0, "size=1m")) {
        perror("skipped: a small tmpfs cannot be mounted");
        scratch_remove(folder);
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_full_disk)};
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    umount(folder);
    scratch_remove(folder);
    return rc;
}
