/* Which checkpoints a run's folder holds. Only names that an_run_checkpoint_path itself would make are taken for
 * checkpoints: what --keep deletes and --resume auto sets aside is chosen from this list. */
#include "train/state/run_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/temporary.h"

enum { NAME_SIZE = 64 };

static void make_name(char name[NAME_SIZE], uint64_t step)
{
    snprintf(name, NAME_SIZE, "step-%09" PRIu64 AN_RUN_SUFFIX, step);
}

const char *an_run_checkpoint_path(an_run *run, uint64_t step)
{
    char name[NAME_SIZE], path[NAME_SIZE + sizeof(AN_RUN_CHECKPOINTS)];
    make_name(name, step);
    snprintf(path, sizeof(path), AN_RUN_CHECKPOINTS "/%s", name);
    return an_run_path(run, path);
}

/* "step-000001234.safetensors" to 1234. Any other way to write that step is not a checkpoint's name. */
static bool parse_name(const char *name, uint64_t *step)
{
    char exact[NAME_SIZE];
    if (sscanf(name, "step-%" SCNu64, step) != 1)
        return false;
    make_name(exact, *step);
    return strcmp(name, exact) == 0;
}

/* The temporary name of a checkpoint's. */
static bool is_leftover(const char *name)
{
    char checkpoint[NAME_SIZE];
    uint64_t step;
    size_t size;
    if (!an_temporary_is_name(name, &size) || size >= sizeof(checkpoint))
        return false;
    snprintf(checkpoint, sizeof(checkpoint), "%.*s", (int)size, name);
    return parse_name(checkpoint, &step);
}

/* A file, or a symbolic link wherever it leads: a link whose disk is not mounted still stands for a checkpoint. */
static int is_file(int folder, const char *name, bool *out)
{
    struct stat status;
    *out = false;
    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? AN_OK : an_error_errno(errno, "cannot examine checkpoint '%s'", name);
    *out = S_ISREG(status.st_mode) || S_ISLNK(status.st_mode);
    return AN_OK;
}

int an_run_list_add(an_run *run, uint64_t step)
{
    if (run->count == run->capacity) {
        size_t capacity = run->capacity ? 2 * run->capacity : 16;
        uint64_t *grown = realloc(run->steps, capacity * sizeof(*grown));
        if (!grown)
            return an_error(AN_ENOMEM, "out of memory listing checkpoints");
        run->steps = grown;
        run->capacity = capacity;
    }
    size_t at = run->count++;
    for (; at > 0 && run->steps[at - 1] > step; at--)
        run->steps[at] = run->steps[at - 1];
    run->steps[at] = step;
    return AN_OK;
}

static int take_entry(an_run *run, int folder, const char *name, bool clean)
{
    uint64_t step;
    bool file;
    if (parse_name(name, &step)) {
        int rc = is_file(folder, name, &file);
        if (rc)
            return rc;
        return file ? an_run_list_add(run, step) : AN_OK;
    }
    if (clean && is_leftover(name) && unlinkat(folder, name, 0) < 0)
        return an_error_errno(errno, "cannot remove '%s/" AN_RUN_CHECKPOINTS "/%s', left by a killed run", run->folder,
                              name);
    return AN_OK;
}

int an_run_list(an_run *run, bool clean)
{
    const char *path = an_run_path(run, AN_RUN_CHECKPOINTS);
    DIR *folder = opendir(path);
    if (!folder)
        return an_error_errno(errno, "cannot open folder '%s'", path);
    int rc = AN_OK;
    while (!rc) {
        errno = 0; /* readdir returns NULL at the end and on failure: only errno tells them apart */
        struct dirent *entry = readdir(folder);
        if (!entry) {
            rc = errno ? an_error_errno(errno, "cannot read folder '%s'", path) : AN_OK;
            break;
        }
        rc = take_entry(run, dirfd(folder), entry->d_name, clean);
    }
    (void)closedir(folder);
    return rc;
}
