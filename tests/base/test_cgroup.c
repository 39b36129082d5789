/* The limits of control groups, in a folder that looks like /proc and /sys/fs/cgroup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/file.h"
#include "tests/base/scratch.h"

static char root[SCRATCH_MAX];

static void put(const char *folder, const char *name, const char *text)
{
    char path[SCRATCH_MAX + 128];
    snprintf(path, sizeof path, "%s/%s", root, folder);
    assert_int_equal(an_file_make_folder(path), AN_OK);
    snprintf(path, sizeof path, "%s/%s/%s", root, folder, name);
    assert_int_equal(an_file_write_atomic(path, text, strlen(text)), AN_OK);
}

static int setup(void **state)
{
    (void)state;
    scratch_make(root);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(root);
    return 0;
}

static void test_cpus(void **state)
{
    (void)state;
    assert_int_equal(an_cgroup_cpus(root), 0); /* no cgroups at all */
    put("proc/self", "cgroup", "0::/a/b\n");
    assert_int_equal(an_cgroup_cpus(root), 0); /* no such file */
    put("sys/fs/cgroup/a/b", "cpu.max", "max 100000\n");
    assert_int_equal(an_cgroup_cpus(root), 0);
    put("sys/fs/cgroup/a/b", "cpu.max", "350000 100000\n");
    assert_int_equal(an_cgroup_cpus(root), 4);
    put("sys/fs/cgroup/a", "cpu.max", "200000 100000\n"); /* holds for the groups inside it */
    assert_int_equal(an_cgroup_cpus(root), 2);
    put("sys/fs/cgroup", "cpu.max", "1000 100000\n");
    assert_int_equal(an_cgroup_cpus(root), 1);
    put("proc/self", "cgroup", "0::/\n"); /* in a container the group is the top of what one sees */
    assert_int_equal(an_cgroup_cpus(root), 1);
    put("sys/fs/cgroup", "cpu.max", "nonsense");
    assert_int_equal(an_cgroup_cpus(root), 0);
    put("sys/fs/cgroup", "cpu.max", "5 0\n");
    assert_int_equal(an_cgroup_cpus(root), 0);
}

static void test_memory(void **state)
{
    (void)state;
    assert_true(an_cgroup_memory(root) == UINT64_MAX);
    put("proc/self", "cgroup", "0::/a/b\n");
    assert_true(an_cgroup_memory(root) == UINT64_MAX);
    put("sys/fs/cgroup/a/b", "memory.max", "max\n");
    assert_true(an_cgroup_memory(root) == UINT64_MAX);
    put("sys/fs/cgroup", "memory.max", "8589934592\n");
    assert_true(an_cgroup_memory(root) == 8589934592u);
    put("sys/fs/cgroup/a", "memory.max", "1048576\n");
    assert_true(an_cgroup_memory(root) == 1048576);
    put("sys/fs/cgroup/a/b", "memory.max", "2097152\n");
    assert_true(an_cgroup_memory(root) == 1048576);
    put("proc/self", "cgroup", "0::/\n");
    assert_true(an_cgroup_memory(root) == 8589934592u);
}

/* With both versions mounted, limits may stand in either; version 1 is not looked at. */
static void test_version_1(void **state)
{
    (void)state;
    put("sys/fs/cgroup/a", "memory.max", "1000\n");
    put("sys/fs/cgroup/a", "cpu.max", "100000 100000\n");
    put("proc/self", "cgroup", "12:memory:/a\n1:name=systemd:/a\n");
    assert_int_equal(an_cgroup_cpus(root), 0);
    assert_true(an_cgroup_memory(root) == UINT64_MAX);
    put("proc/self", "cgroup", "12:memory:/elsewhere\n0::/a\n");
    assert_int_equal(an_cgroup_cpus(root), 1);
    assert_true(an_cgroup_memory(root) == 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cpus, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_version_1, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
