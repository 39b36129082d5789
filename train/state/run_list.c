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

bool an_run_parse_name(const char *name, uint64_t *step)
{
    char exact[NAME_SIZE];
    if (sscanf(name, "step-%" SCNu64, step) != 1 || *step > AN_TRAIN_STEP_MAX)
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
    return an_run_parse_name(checkpoint, &step);
}

int an_run_mode(int folder, const char *name, mode_t *out)
{
    struct stat status;
    *out = 0;
    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? AN_OK : an_error_errno(errno, "cannot examine checkpoint '%s'", name);
    *out = status.st_mode;
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

/* A link stands for a checkpoint wherever it leads: its disk may not be mounted. What a killed run left is a file. */
static int take_entry(an_run *run, int folder, const char *name, const void *context)
{
    uint64_t step = 0;
    mode_t mode;
    const bool *clean = context;
    bool checkpoint = an_run_parse_name(name, &step);
    if (!checkpoint && !(*clean && is_leftover(name)))
        return AN_OK;
    int rc = an_run_mode(folder, name, &mode);
    if (rc)
        return rc;
    if (checkpoint)
        return S_ISREG(mode) || S_ISLNK(mode) ? an_run_list_add(run, step) : AN_OK;
    if (S_ISREG(mode) && unlinkat(folder, name, 0) < 0)
        return an_error_errno(errno, "cannot remove '%s/" AN_RUN_CHECKPOINTS "/%s', left by a killed run", run->folder,
                              name);
    return AN_OK;
}

int an_run_list(an_run *run, bool clean)
{
    return an_run_walk(run, take_entry, &clean);
}

int an_run_walk(an_run *run, an_run_entry *entry_take, const void *context)
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
        rc = entry_take(run, dirfd(folder), entry->d_name, context);
    }
    (void)closedir(folder);
    return rc;
}
