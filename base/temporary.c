#include "base/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

#define SUFFIX ".tmp-"

enum { DIGITS = 16, ATTEMPTS = 16 /* at finding a free name */ };

static const char *folder(void)
{
    const char *wanted = getenv("TMPDIR");
    return wanted && *wanted ? wanted : "/tmp";
}

int an_temporary_open(int *fd)
{
    char path[4096];
    *fd = open(folder(), O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (*fd >= 0)
        return AN_OK;
    snprintf(path, sizeof(path), "%.4000s/an-temporary-XXXXXX", folder()); /* a file system without O_TMPFILE */
    *fd = mkostemp(path, O_CLOEXEC);
    if (*fd < 0)
        return an_error_errno(errno, "cannot make a temporary file in '%s' (TMPDIR chooses another folder)", folder());
    unlink(path);
    return AN_OK;
}

static int random_number(uint64_t *out)
{
    ssize_t got = getrandom(out, sizeof *out, 0); /* so few bytes come whole or not at all */
    return got == (ssize_t)sizeof *out ? AN_OK : an_error_errno(errno, "cannot get random numbers");
}

/* One attempt: *fd is -1 if the name is taken. */
static int try_create(int *fd, char **name, const char *path)
{
    uint64_t number;
    int rc = random_number(&number);
    if (rc)
        return rc;
    if (asprintf(name, "%s" SUFFIX "%016" PRIx64, path, number) < 0) {
        *name = NULL; /* asprintf leaves it undefined */
        return an_error(AN_ENOMEM, "out of memory: writing '%s'", path);
    }
    *fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (*fd < 0)
        rc = errno == EEXIST ? AN_OK : an_error_errno(errno, "cannot create '%s'", *name);
    if (*fd < 0) {
        free(*name);
        *name = NULL;
    }
    return rc;
}

int an_temporary_create(int *fd, char **name, const char *path)
{
    *fd = -1;
    *name = NULL;
    for (int i = 0; i < ATTEMPTS; i++) {
        int rc = try_create(fd, name, path);
        if (rc || *fd >= 0)
            return rc;
    }
    return an_error(AN_EIO, "cannot create a temporary file beside '%s': every name was taken", path);
}

bool an_temporary_is_name(const char *name, size_t *path_size)
{
    size_t size = strlen(name);
    if (size <= AN_TEMPORARY_SUFFIX_SIZE)
        return false;
    *path_size = size - AN_TEMPORARY_SUFFIX_SIZE;
    const char *suffix = name + *path_size;
    return strncmp(suffix, SUFFIX, strlen(SUFFIX)) == 0 &&
           strspn(suffix + strlen(SUFFIX), "0123456789abcdef") == DIGITS;
}

int an_temporary_write(int fd, const void *data, size_t size)
{
    for (const char *at = data; size > 0;) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno != EINTR)
            return an_error_errno(errno, "cannot write a temporary file in '%s' (TMPDIR chooses another folder)",
                                  folder());
        at += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return AN_OK;
}

/* ------------------------------------------------------------------------------------------------ links ---- */

static bool is_ours(uid_t owner)
{
    return owner == geteuid() || owner == 0;
}

/* Could nobody but us and the superuser have put something into the folder that holds path? False if that cannot be
 * found out. */
static bool folder_is_ours(const char *path)
{
    struct stat folder;
    const char *slash = strrchr(path, '/');
    char *name = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    bool known = name && stat(name, &folder) == 0;
    free(name);
    return known && is_ours(folder.st_uid) && !(folder.st_mode & (S_IWGRP | S_IWOTH));
}

int an_temporary_target(char **out, const char *path)
{
    struct stat link;
    *out = NULL;
    if (lstat(path, &link) == 0 && S_ISLNK(link.st_mode)) {
        if (!is_ours(link.st_uid) && !folder_is_ours(path))
            return an_error(AN_EINVAL,
                            "'%s' is a symbolic link of another user (number %u) in a folder that others may write: "
                            "remove it or choose another name",
                            path, (unsigned)link.st_uid);
        *out = realpath(path, NULL); /* NULL if it leads nowhere: then the link itself is replaced */
    }
    if (!*out)
        *out = strdup(path);
    return *out ? AN_OK : an_error(AN_ENOMEM, "out of memory: writing '%s'", path);
}
