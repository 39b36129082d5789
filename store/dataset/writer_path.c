/* Whether a dataset can be written under a name: what is known before anything is written. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "store/dataset/writer_private.h"

/* The length of path without slashes at its end. */
static size_t trimmed(const char *path)
{
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/')
        size--;
    return size;
}

int an_writer_make_paths(const char *path, char **whole, char **partial)
{
    *partial = NULL;
    *whole = strndup(path, trimmed(path));
    if (!*whole || asprintf(partial, "%s.partial", *whole) < 0) {
        *partial = NULL; /* asprintf leaves it undefined */
        return an_error(AN_ENOMEM, "out of memory: opening '%s'", path);
    }
    return AN_OK;
}

int an_writer_check_absent(const char *path)
{
    struct stat info;
    if (lstat(path, &info) == 0)
        return an_error(AN_EINVAL, "'%s' exists already: remove it or choose another destination", path);
    return errno == ENOENT ? AN_OK : an_error_errno(errno, "cannot use '%s' as destination", path);
}

static int check_name(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (!*path)
        return an_error(AN_EINVAL, "the destination is empty: give the path of a new folder");
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return an_error(AN_EINVAL, "'%s' names no new folder: choose another destination", path);
    return AN_OK;
}

/* The superuser may write everywhere but on a file system that is mounted read-only. */
static int check_writable(const char *folder, const char *what)
{
    if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0)
        return AN_OK;
    return an_error_errno(errno, "cannot write '%s' in folder '%s'", what, folder);
}

/* Turn path into the folder that it lies in. */
static void strip(char *path)
{
    path[trimmed(path)] = '\0';
    char *slash = strrchr(path, '/');
    if (slash)
        slash[slash == path] = '\0'; /* "/" stays */
    else
        strcpy(path, "."); /* a name has room for that */
}

/* Folders on the way to path that are missing will be made in the last one that is there. */
static int check_parent(const char *path, const char *partial, struct stat *parent)
{
    char *folder = strdup(path);
    if (!folder)
        return an_error(AN_ENOMEM, "out of memory: opening '%s'", path);
    int failed, rc;
    do {
        strip(folder);
        failed = stat(folder, parent) ? errno : 0;
    } while (failed == ENOENT && strcmp(folder, ".") != 0);
    if (failed)
        rc = an_error_errno(failed, "cannot use '%s' as destination", path);
    else if (!S_ISDIR(parent->st_mode))
        rc = an_error(AN_EINVAL, "'%s' is no folder: choose another destination", folder);
    else
        rc = check_writable(folder, partial);
    free(folder);
    return rc;
}

int an_writer_check_ours(const char *partial, const struct stat *info)
{
    if (S_ISLNK(info->st_mode))
        return an_error(AN_EINVAL, "'%s' is a symbolic link: remove it or choose another destination", partial);
    if (!S_ISDIR(info->st_mode))
        return an_error(AN_EINVAL, "'%s' is in the way: remove it or choose another destination", partial);
    if (info->st_uid != geteuid())
        return an_error(AN_EINVAL,
                        "'%s' belongs to another user (number %u): remove it, choose another destination, or go on as "
                        "that user",
                        partial, (unsigned)info->st_uid);
    return AN_OK;
}

/* What an interrupted run may have left. */
static int check_partial(const char *partial, const struct stat *parent)
{
    struct stat named;
    if (lstat(partial, &named))
        return errno == ENOENT ? AN_OK : an_error_errno(errno, "cannot use '%s'", partial);
    int rc = an_writer_check_ours(partial, &named);
    if (rc)
        return rc;
    if (named.st_dev != parent->st_dev)
        return an_error(AN_EINVAL,
                        "'%s' is another file system than its folder and cannot be renamed: choose a destination in it",
                        partial);
    return check_writable(partial, "data.mdb");
}

int an_writer_check_path(const char *path)
{
    char *whole, *partial;
    struct stat parent = {0};
    int rc = an_writer_make_paths(path, &whole, &partial);
    if (!rc)
        rc = check_name(whole);
    if (!rc)
        rc = an_writer_check_absent(whole);
    if (!rc)
        rc = check_parent(whole, partial, &parent);
    if (!rc)
        rc = check_partial(partial, &parent);
    free(whole);
    free(partial);
    return rc;
}
