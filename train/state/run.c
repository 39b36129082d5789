#include "train/state/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

#define CHECKPOINTS "checkpoints"
#define SUFFIX ".safetensors"

struct an_run {
    char *folder;
    int lock;        /* descriptor of the folder, holding the lock; -1 for readers */
    uint64_t *steps; /* of the checkpoints present, ascending */
    size_t count, capacity;
    char path[PATH_MAX];
};

const char *an_run_path(an_run *run, const char *name)
{
    snprintf(run->path, sizeof(run->path), "%s/%s", run->folder, name);
    return run->path;
}

const char *an_run_checkpoint_path(an_run *run, uint64_t step)
{
    char name[64];
    snprintf(name, sizeof(name), CHECKPOINTS "/step-%09" PRIu64 SUFFIX, step);
    return an_run_path(run, name);
}

/* "step-000001234.safetensors" to 1234. */
static bool parse_name(const char *name, uint64_t *step)
{
    int length = 0;
    return sscanf(name, "step-%" SCNu64 SUFFIX "%n", step, &length) == 1 && length > 0 && name[length] == '\0' &&
           name[5] >= '0' && name[5] <= '9';
}

static int add_step(an_run *run, uint64_t step)
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

static int list(an_run *run, bool clean)
{
    const char *path = an_run_path(run, CHECKPOINTS);
    DIR *folder = opendir(path);
    if (!folder)
        return an_error_errno(errno, "cannot open folder '%s'", path);
    int rc = AN_OK;
    for (struct dirent *entry; !rc && (entry = readdir(folder));) {
        uint64_t step;
        if (parse_name(entry->d_name, &step))
            rc = add_step(run, step);
        else if (clean && strstr(entry->d_name, SUFFIX ".tmp-") && unlinkat(dirfd(folder), entry->d_name, 0) < 0)
            rc = an_error_errno(errno, "cannot remove '%s/%s', left by a killed run", path, entry->d_name);
    }
    closedir(folder);
    return rc;
}

static int lock(an_run *run)
{
    run->lock = open(run->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run->lock < 0)
        return an_error_errno(errno, "cannot open run folder '%s'", run->folder);
    if (flock(run->lock, LOCK_EX | LOCK_NB) == 0)
        return AN_OK;
    if (errno == EWOULDBLOCK)
        return an_error(AN_EINVAL,
                        "run folder '%s' is in use by another an-train: wait, stop it, or name another folder",
                        run->folder);
    return an_error_errno(errno, "cannot lock run folder '%s'", run->folder);
}

static int create(an_run **out, const char *folder)
{
    if (strlen(folder) + 64 > PATH_MAX)
        return an_error(AN_EINVAL, "run folder '%.40s...': name too long", folder);
    an_run *run = calloc(1, sizeof(*run));
    if (!run || !(run->folder = strdup(folder))) {
        free(run);
        return an_error(AN_ENOMEM, "out of memory for run folder '%s'", folder);
    }
    run->lock = -1;
    *out = run;
    return AN_OK;
}

int an_run_open(an_run **out, const char *folder)
{
    an_run *run = NULL;
    int rc = create(&run, folder);
    if (!rc)
        rc = an_file_make_folder(an_run_path(run, CHECKPOINTS));
    if (!rc)
        rc = lock(run);
    if (!rc)
        rc = list(run, true);
    if (rc < 0) {
        an_run_close(run);
        return rc;
    }
    *out = run;
    return AN_OK;
}

void an_run_close(an_run *run)
{
    if (!run)
        return;
    if (run->lock >= 0)
        close(run->lock);
    free(run->steps);
    free(run->folder);
    free(run);
}

uint64_t an_run_checkpoint_count(const an_run *run)
{
    return run->count;
}

uint64_t an_run_newest_step(const an_run *run)
{
    return run->count ? run->steps[run->count - 1] : 0;
}

static int set_aside(an_run *run)
{
    char aside[PATH_MAX + 16];
    const char *path = an_run_checkpoint_path(run, run->steps[run->count - 1]);
    snprintf(aside, sizeof(aside), "%s.damaged", path);
    if (rename(path, aside) < 0)
        return an_error_errno(errno, "cannot rename damaged checkpoint '%s'", path);
    run->count--;
    return AN_OK;
}

int an_run_newest(an_run *run, an_checkpoint **out, void (*skipped)(void *context, const char *reason), void *context)
{
    bool any = run->count > 0;
    while (run->count > 0) {
        int rc = an_checkpoint_open(out, an_run_checkpoint_path(run, run->steps[run->count - 1]));
        if (rc != AN_ECORRUPT)
            return rc;
        skipped(context, an_error_message());
        rc = set_aside(run);
        if (rc < 0)
            return rc;
    }
    if (any)
        return an_error(AN_ECORRUPT, "every checkpoint in '%s/" CHECKPOINTS "' is damaged: name another --run folder",
                        run->folder);
    return an_error(AN_ENOTFOUND, "no checkpoint in '%s/" CHECKPOINTS "'", run->folder);
}

/* Filesystems without hard links, as FAT and many network mounts, say so in different ways. */
static bool has_no_links(int errnum)
{
    return errnum == EPERM || errnum == EOPNOTSUPP || errnum == ENOSYS || errnum == EMLINK;
}

static int name_best(an_run *run, uint64_t step)
{
    char temporary[PATH_MAX + 8], best[PATH_MAX];
    snprintf(best, sizeof(best), "%s", an_run_path(run, "best" SUFFIX));
    snprintf(temporary, sizeof(temporary), "%s.new", best);
    if (unlink(temporary) < 0 && errno != ENOENT)
        return an_error_errno(errno, "cannot remove '%s'", temporary);
    const char *source = an_run_checkpoint_path(run, step);
    if (link(source, temporary) < 0)
        return has_no_links(errno) ? an_file_copy(source, best)
                                   : an_error_errno(errno, "cannot link '%s' to '%s'", source, temporary);
    /* rename() of two names of one file does nothing and leaves both: a run that was stopped just here meets that. */
    if (rename(temporary, best) < 0)
        return an_error_errno(errno, "cannot rename '%s' to '%s'", temporary, best);
    if (unlink(temporary) < 0 && errno != ENOENT)
        return an_error_errno(errno, "cannot remove '%s'", temporary);
    return an_file_sync_folder(run->folder);
}

static int drop_oldest(an_run *run)
{
    const char *path = an_run_checkpoint_path(run, run->steps[0]);
    if (unlink(path) < 0 && errno != ENOENT)
        return an_error_errno(errno, "cannot remove old checkpoint '%s'", path);
    run->count--;
    memmove(run->steps, run->steps + 1, run->count * sizeof(*run->steps));
    return AN_OK;
}

int an_run_saved(an_run *run, uint64_t step, bool best, int keep)
{
    int rc = AN_OK;
    bool known = false;
    for (size_t i = 0; i < run->count; i++)
        known |= run->steps[i] == step;
    if (!known)
        rc = add_step(run, step);
    if (!rc && best)
        rc = name_best(run, step);
    while (!rc && run->count > (size_t)keep)
        rc = drop_oldest(run);
    return rc;
}

/* The newest sound checkpoint, without touching the others. */
static int read_newest(an_run *run, an_checkpoint **out)
{
    int rc = an_error(AN_ENOTFOUND, "no checkpoint in '%s/" CHECKPOINTS "'", run->folder);
    for (size_t i = run->count; i-- > 0;) {
        rc = an_checkpoint_open(out, an_run_checkpoint_path(run, run->steps[i]));
        if (rc != AN_ECORRUPT && rc != AN_ENOTFOUND) /* a running an-train may have dropped it meanwhile */
            break;
    }
    return rc;
}

int an_run_weights(an_checkpoint **out, const char *folder)
{
    an_run *run = NULL;
    int rc = create(&run, folder);
    if (rc < 0)
        return rc;
    rc = an_checkpoint_open(out, an_run_path(run, "best" SUFFIX));
    if (rc == AN_ENOTFOUND) {
        rc = list(run, false);
        if (!rc)
            rc = read_newest(run, out);
    }
    an_run_close(run);
    return rc;
}
