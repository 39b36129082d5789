#include "train/state/run_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

const char *an_run_path(an_run *run, const char *name)
{
    snprintf(run->path, sizeof(run->path), "%s/%s", run->folder, name);
    return run->path;
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

int an_run_create(an_run **out, const char *folder)
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
    int rc = an_run_create(&run, folder);
    if (!rc)
        rc = an_file_make_folder(an_run_path(run, AN_RUN_CHECKPOINTS));
    if (!rc)
        rc = lock(run);
    if (!rc)
        rc = an_run_check_writable(run);
    if (!rc)
        rc = an_run_list(run, true);
    if (rc) {
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

/* Filesystems without hard links, as FAT and many network mounts, say so in different ways. */
static bool has_no_links(int errnum)
{
    return errnum == EPERM || errnum == EOPNOTSUPP || errnum == ENOSYS || errnum == EMLINK;
}

static int name_best(an_run *run, uint64_t step)
{
    char temporary[PATH_MAX + 8], best[PATH_MAX];
    snprintf(best, sizeof(best), "%s", an_run_path(run, AN_RUN_BEST));
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
        rc = an_run_list_add(run, step);
    if (!rc && best)
        rc = name_best(run, step);
    while (!rc && run->count > (size_t)keep)
        rc = drop_oldest(run);
    return rc;
}
