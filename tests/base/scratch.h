/* A folder for one test's files. */
#ifndef AN_TESTS_BASE_SCRATCH_H
#define AN_TESTS_BASE_SCRATCH_H

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#define SCRATCH_MAX 512

static inline void scratch_make(char path[SCRATCH_MAX])
{
    const char *folder = getenv("TMPDIR");
    snprintf(path, SCRATCH_MAX, "%s/an-base-XXXXXX", folder ? folder : "/tmp");
    assert_non_null(mkdtemp(path));
}

static inline int scratch_remove_one(const char *path, const struct stat *info, int kind, struct FTW *level)
{
    (void)info;
    (void)kind;
    (void)level;
    return remove(path);
}

static inline void scratch_remove(const char *path)
{
    nftw(path, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline int scratch_count(const char *path)
{
    int count = 0;
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count - 2; /* without . and .. */
}

#endif
