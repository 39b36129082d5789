/* Whether a run may begin in a folder: nothing that somebody may still want is written over, and no name that will be
 * written later is taken by something else. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "train/state/run_private.h"

static int check_writable(const char *folder)
{
    if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) < 0)
        return an_error_errno(errno, "cannot write into '%s'", folder);
    return AN_OK;
}

int an_run_check_writable(an_run *run)
{
    int rc = check_writable(run->folder);
    return rc ? rc : check_writable(an_run_path(run, AN_RUN_CHECKPOINTS));
}

/* Names that resemble a checkpoint's, those set aside as damaged among them. */
static bool is_of_a_run(const char *name)
{
    return strncmp(name, "step-", 5) == 0 || strstr(name, AN_RUN_SUFFIX);
}

static int refuse_remains(an_run *run, int folder, const char *name, const void *context)
{
    (void)folder;
    (void)context;
    if (!is_of_a_run(name))
        return AN_OK;
    return an_error(AN_EINVAL,
                    "'%s/" AN_RUN_CHECKPOINTS "/%s' is none of an-train's checkpoints, which are files called as "
                    "step-000001234.safetensors: beside it no run starts anew; give it the name of its step to resume "
                    "from it, move it away, or name another --run folder",
                    run->folder, name);
}

static bool is_same_file(const char *one, const char *two)
{
    struct stat a, b;
    bool both = stat(one, &a) == 0 && stat(two, &b) == 0;
    return both && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int an_run_check_fresh(an_run *run)
{
    int rc = an_run_walk(run, refuse_remains, NULL);
    return rc ? rc : an_run_check_best(run, NULL);
}

int an_run_check_best(an_run *run, const char *from)
{
    struct stat status;
    const char *best = an_run_path(run, AN_RUN_BEST);
    if (lstat(best, &status) < 0)
        return errno == ENOENT ? AN_OK : an_error_errno(errno, "cannot examine '%s'", best);
    if (from && is_same_file(best, from))
        return AN_OK;
    return an_error(AN_EINVAL,
                    "'%s' is left of a run without its checkpoints, and a new run would write over it: go on from it "
                    "with --resume FILE, move it away, or name another --run folder",
                    best);
}

/* The steps whose checkpoints may be written. */
typedef struct {
    uint64_t first, last;
} span;

static int refuse_obstacle(an_run *run, int folder, const char *name, const void *context)
{
    const span *s = context;
    uint64_t step;
    (void)folder;
    if (!an_run_parse_name(name, &step) || step < s->first || step > s->last)
        return AN_OK;
    return an_file_check_name(an_run_checkpoint_path(run, step));
}

int an_run_check_names(an_run *run, uint64_t first, uint64_t last)
{
    span s = {first, last};
    int rc = an_file_check_name(an_run_path(run, AN_RUN_BEST));
    if (!rc)
        rc = an_run_walk(run, refuse_obstacle, &s);
    return rc ? an_error(rc, "%s: the run needs this name, move it away", an_error_message()) : AN_OK;
}

int an_run_check_step(an_run *run, uint64_t step)
{
    int rc = an_file_check_name(an_run_checkpoint_path(run, step));
    return rc ? an_error(AN_EIO, "%s: no checkpoint can be written there", an_error_message()) : AN_OK;
}
