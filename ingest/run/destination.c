#include "ingest/run/destination_private.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/temporary.h"
#include "store/dataset/writer.h"

/* The longest name that a run makes, while it writes the list of what was set aside. */
static int check_length(const char *destination)
{
    struct stat info;
    char *longest;
    if (asprintf(&longest, "%s.rejected.ndjson%*s", destination, (int)AN_TEMPORARY_SUFFIX_SIZE, "") < 0)
        return an_error(AN_ENOMEM, "out of memory");
    int failed = lstat(longest, &info) ? errno : 0;
    free(longest);
    return failed == ENAMETOOLONG ? an_error_errno(failed, "cannot use '%s' as destination", destination) : AN_OK;
}

/* The real path of the last folder on the way to path that exists. The caller frees it; NULL without memory. */
static char *real_parent(const char *path)
{
    char *folder = strdup(path), *real = NULL;
    while (folder && !real) {
        char *slash = strrchr(folder, '/');
        if (slash)
            *slash = '\0';
        real = realpath(!slash ? "." : *folder ? folder : "/", NULL);
        if (!slash)
            break;
    }
    free(folder);
    return real;
}

/* Is path that folder or something in it? Both are real paths. */
static bool lies_in(const char *path, const char *folder)
{
    size_t size = strlen(folder);
    if (strcmp(folder, "/") == 0)
        return true;
    return strncmp(path, folder, size) == 0 && (path[size] == '/' || !path[size]);
}

static int check_outside(const char *source, const char *destination)
{
    struct stat info;
    if (strcmp(source, "-") == 0 || stat(source, &info) || !S_ISDIR(info.st_mode))
        return AN_OK;
    char *outer = realpath(source, NULL), *inner = real_parent(destination);
    int rc = AN_OK;
    if (!outer || !inner)
        rc = an_error_errno(errno, "cannot resolve '%s'", outer ? destination : source);
    else if (lies_in(inner, outer))
        rc = an_error(AN_EINVAL,
                      "destination '%s' lies in the source '%s' and would be read as a part of it: choose one outside",
                      destination, source);
    free(outer);
    free(inner);
    return rc;
}

int an_destination_check(const char *source, const char *destination)
{
    int rc = an_writer_check_path(destination);
    if (!rc)
        rc = check_length(destination);
    return rc ? rc : check_outside(source, destination);
}
