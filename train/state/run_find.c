/* Which checkpoint of a run to use. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/error.h"
#include "train/state/run_private.h"

/* Damaged, or its name leads to no file: an older one may do. Everything else is a failure of the system or a file of
 * another version, which no older checkpoint makes good. */
static bool is_unusable(int rc)
{
    return rc == AN_ECORRUPT || rc == AN_ENOTFOUND;
}

/* A checkpoint that holds another step than its name says was renamed or exchanged: whatever it is, the run did not
 * write it there. */
static int open_step(an_run *run, uint64_t step, an_checkpoint **out)
{
    an_checkpoint *found = NULL;
    int rc = an_checkpoint_open(&found, an_run_checkpoint_path(run, step));
    if (rc)
        return rc;
    uint64_t held = an_checkpoint_state(found)->step;
    if (held != step) {
        an_checkpoint_free(found);
        return an_error(AN_ECORRUPT, "'%s' holds step %" PRIu64 ", not the one that its name says",
                        an_run_checkpoint_path(run, step), held);
    }
    *out = found;
    return AN_OK;
}

/* The first name of "<path>.damaged", "<path>.damaged-2" ... that is free: one that was set aside before is kept. */
static void name_aside(char *out, size_t size, const char *path)
{
    struct stat status;
    snprintf(out, size, "%s.damaged", path);
    for (unsigned i = 2; lstat(out, &status) == 0; i++)
        snprintf(out, size, "%s.damaged-%u", path, i);
}

static int set_aside(an_run *run, uint64_t step)
{
    char aside[PATH_MAX + 32];
    const char *path = an_run_checkpoint_path(run, step);
    name_aside(aside, sizeof(aside), path);
    if (rename(path, aside) < 0 && errno != ENOENT)
        return an_error_errno(errno, "cannot rename unusable checkpoint '%s'", path);
    return AN_OK;
}

/* Set aside every checkpoint after the first kept ones. */
static int keep_first(an_run *run, size_t kept)
{
    while (run->count > kept) {
        int rc = set_aside(run, run->steps[run->count - 1]);
        if (rc)
            return rc;
        run->count--;
    }
    return AN_OK;
}

static int none_usable(const an_run *run, bool missing)
{
    if (missing)
        return an_error(AN_EIO,
                        "no checkpoint in '%s/" AN_RUN_CHECKPOINTS "' can be opened, and some lead to no file: mount "
                        "the disk they lie on, or name another --run folder",
                        run->folder);
    return an_error(AN_ECORRUPT,
                    "every checkpoint in '%s/" AN_RUN_CHECKPOINTS "' is damaged: name another --run folder",
                    run->folder);
}

int an_run_newest(an_run *run, an_checkpoint **out, void (*skipped)(void *context, const char *reason), void *context)
{
    bool missing = false;
    *out = NULL;
    if (run->count == 0)
        return AN_OK;
    for (size_t i = run->count; i-- > 0;) {
        an_checkpoint *found = NULL;
        int rc = open_step(run, run->steps[i], &found);
        if (!rc) {
            *out = found;
            return keep_first(run, i + 1);
        }
        if (!is_unusable(rc))
            return rc;
        missing |= rc == AN_ENOTFOUND;
        skipped(context, an_error_message());
    }
    return none_usable(run, missing);
}

/* The newest sound checkpoint, without touching the others. A training that is under way may drop any of them between
 * listing and opening. */
static int read_newest(an_run *run, an_checkpoint **out)
{
    int rc = an_error(AN_ENOTFOUND, "no checkpoint in '%s/" AN_RUN_CHECKPOINTS "'", run->folder);
    for (size_t i = run->count; i-- > 0;) {
        rc = open_step(run, run->steps[i], out);
        if (!is_unusable(rc))
            break;
    }
    return rc;
}

/* AN_END if there is none. A link that leads nowhere is not none: another checkpoint is not what was asked for. */
static int read_best(an_run *run, an_checkpoint **out)
{
    struct stat status;
    const char *path = an_run_path(run, AN_RUN_BEST);
    if (lstat(path, &status) < 0)
        return errno == ENOENT ? AN_END : an_error_errno(errno, "cannot examine '%s'", path);
    return an_checkpoint_open(out, path);
}

int an_run_weights(an_checkpoint **out, const char *folder)
{
    an_run *run = NULL;
    int rc = an_run_create(&run, folder);
    if (rc)
        return rc;
    rc = read_best(run, out);
    if (rc == AN_END) {
        rc = an_run_list(run, false);
        if (!rc)
            rc = read_newest(run, out);
    }
    an_run_close(run);
    return rc;
}
