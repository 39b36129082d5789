/* What another user of the machine may have put where a program writes: links under the names of its files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary.h"
#include "tests/base/scratch.h"

enum { NOBODY = 65534 };

typedef struct {
    char folder[SCRATCH_MAX], victim[SCRATCH_MAX + 64], path[SCRATCH_MAX + 64];
} place;

static int setup(void **state)
{
    static place here;
    scratch_make(here.folder);
    snprintf(here.victim, sizeof here.victim, "%s/victim", here.folder);
    snprintf(here.path, sizeof here.path, "%s/open/report.html", here.folder);
    char open[sizeof here.path];
    snprintf(open, sizeof open, "%s/open", here.folder);
    assert_int_equal(mkdir(open, 0777), 0);
    assert_int_equal(chmod(open, 01777), 0); /* like /tmp */
    assert_int_equal(an_file_write_atomic(here.victim, "precious", 8), AN_OK);
    *state = &here;
    return 0;
}

static int teardown(void **state)
{
    place *here = *state;
    scratch_remove(here->folder);
    return 0;
}

static void assert_untouched(const place *here)
{
    an_buffer bytes = {0};
    assert_int_equal(an_file_read(here->victim, 64, &bytes), AN_OK);
    assert_int_equal(bytes.size, 8);
    assert_memory_equal(bytes.data, "precious", 8);
    an_buffer_free(&bytes);
}

static void temporaries_are_new_and_named_at_random(void **state)
{
    place *here = *state;
    char *names[3];
    for (int i = 0; i < 3; i++) {
        struct stat info;
        size_t size = 0;
        int fd;
        assert_int_equal(an_temporary_create(&fd, &names[i], here->path), AN_OK);
        assert_int_equal(close(fd), 0);
        assert_int_equal(stat(names[i], &info), 0);
        assert_int_equal(info.st_size, 0);
        assert_int_equal(strlen(names[i]), strlen(here->path) + AN_TEMPORARY_SUFFIX_SIZE);
        assert_true(an_temporary_is_name(names[i], &size));
        assert_int_equal(size, strlen(here->path));
        for (int other = 0; other < i; other++)
            assert_string_not_equal(names[i], names[other]);
    }
    for (int i = 0; i < 3; i++)
        free(names[i]);
}

static void only_exact_names_are_temporary(void **state)
{
    (void)state;
    static const char *const others[] = {"",
                                         ".tmp-0123456789abcdef",
                                         "a.tmp-",
                                         "a.tmp-123",
                                         "a.tmp-0123456789abcde",
                                         "a.tmp-0123456789abcdefa",
                                         "a.tmp-0123456789abcdeg",
                                         "a.tmp-0123456789ABCDEF",
                                         "a.tmp_0123456789abcdef",
                                         "a.tmp-0123456789abcdef.bak"};
    size_t size;
    assert_true(an_temporary_is_name("a.tmp-0123456789abcdef", &size));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (an_temporary_is_name(others[i], &size))
            fail_msg("'%s' counts as a temporary name", others[i]);
}

/* The name that used to be predictable: a link there leads to the victim. */
static void a_planted_temporary_name_is_not_used(void **state)
{
    place *here = *state;
    char planted[sizeof here->path + 32];
    snprintf(planted, sizeof planted, "%s.tmp-%ld", here->path, (long)getpid());
    assert_int_equal(symlink(here->victim, planted), 0);
    assert_int_equal(an_file_write_atomic(here->path, "report", 6), AN_OK);
    assert_untouched(here);
}

static void append(const char *path, int expected)
{
    int fd;
    assert_int_equal(an_file_open_as(&fd, path, O_WRONLY | O_APPEND | O_CREAT), expected);
    if (expected)
        return;
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(close(fd), 0);
}

static void a_link_of_another_user_is_refused(void **state)
{
    place *here = *state;
    assert_int_equal(symlink(here->victim, here->path), 0);
    if (geteuid() != 0)
        skip(); /* only the superuser can make a link of somebody else's */
    assert_int_equal(lchown(here->path, NOBODY, NOBODY), 0);
    assert_int_equal(an_file_write_atomic(here->path, "report", 6), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "symbolic link of another user"));
    append(here->path, AN_EINVAL);
    assert_untouched(here);
    assert_int_equal(scratch_count(here->folder), 2); /* nothing was left anywhere */
    char *folder = strndup(here->path, (size_t)(strrchr(here->path, '/') - here->path));
    assert_int_equal(scratch_count(folder), 1);
    /* In a folder that only we can write it is a link like any other. */
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(an_file_write_atomic(here->path, "precious", 8), AN_OK);
    assert_untouched(here);
    /* But not in that user's own folder. */
    assert_int_equal(chown(folder, NOBODY, NOBODY), 0);
    assert_int_equal(an_file_write_atomic(here->path, "report", 6), AN_EINVAL);
    assert_untouched(here);
    free(folder);
}

/* A pipe of somebody else's, or a device behind a link: what it gets is not that person's choice either. */
static void a_link_to_a_pipe_of_another_user_is_refused(void **state)
{
    place *here = *state;
    char pipe[sizeof here->path + 8];
    snprintf(pipe, sizeof pipe, "%s.pipe", here->victim);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    int reader = open(pipe, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    assert_int_equal(symlink(pipe, here->path), 0);
    assert_int_equal(an_file_write_atomic(here->path, "ours", 4), AN_OK);
    if (geteuid() == 0) {
        assert_int_equal(lchown(here->path, NOBODY, NOBODY), 0);
        assert_int_equal(an_file_write_atomic(here->path, "theirs", 6), AN_EINVAL);
    }
    char got[16];
    assert_int_equal(read(reader, got, sizeof got), 4);
    assert_memory_equal(got, "ours", 4);
    assert_int_equal(close(reader), 0);
}

static void our_own_links_are_followed(void **state)
{
    place *here = *state;
    assert_int_equal(symlink(here->victim, here->path), 0);
    assert_int_equal(an_file_write_atomic(here->path, "preciou", 7), AN_OK);
    append(here->path, AN_OK);
    an_buffer bytes = {0};
    assert_int_equal(an_file_read(here->victim, 64, &bytes), AN_OK);
    assert_int_equal(bytes.size, 8);
    assert_memory_equal(bytes.data, "precioux", 8);
    an_buffer_free(&bytes);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(temporaries_are_new_and_named_at_random),     TEST(only_exact_names_are_temporary),
        TEST(a_planted_temporary_name_is_not_used),        TEST(a_link_of_another_user_is_refused),
        TEST(a_link_to_a_pipe_of_another_user_is_refused), TEST(our_own_links_are_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
