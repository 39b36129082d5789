#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "tests/train/fixture.h"

void fixture_open(fixture *f)
{
    const char *folder = getenv("TMPDIR");
    if (!folder) /* checkpoints are large: memory spares the test machine's disk */
        folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    f->count = 0;
    snprintf(f->root, sizeof(f->root), "%s/an-train-XXXXXX", folder);
    assert_non_null(mkdtemp(f->root));
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info, (void)type, (void)where;
    return remove(path);
}

void fixture_remove(const char *path)
{
    assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void fixture_close(fixture *f)
{
    fixture_remove(f->root);
    while (f->count > 0)
        free(f->path[--f->count]);
}

const char *fixture_path(fixture *f, const char *name)
{
    char path[512];
    assert_true(f->count < FIXTURE_PATHS);
    snprintf(path, sizeof(path), "%s/%s", f->root, name);
    for (int i = 0; i < f->count; i++)
        if (strcmp(f->path[i], path) == 0)
            return f->path[i];
    return f->path[f->count++] = strdup(path);
}

void fixture_write(const char *path, const void *data, size_t size)
{
    assert_int_equal(an_file_write_atomic(path, data, size), AN_OK);
}

void fixture_read(const char *path, an_buffer *out)
{
    assert_int_equal(an_file_read(path, (size_t)1 << 30, out), AN_OK);
}

void fixture_flip(const char *path, uint64_t offset)
{
    uint8_t byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}
