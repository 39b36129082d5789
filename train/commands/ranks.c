#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/program/log.h"
#include "train/commands/commands.h"
#include "train/commands/ranks_private.h"
#include "train/replicas/devices.h"

int an_train_ranks_hush(bool *speaks)
{
    *speaks = an_group_launched_rank() == 0;
    if (*speaks || freopen("/dev/null", "w", stdout))
        return AN_OK;
    return an_error_errno(errno, "cannot open '/dev/null'");
}

static void note(void *context, const char *text)
{
    (void)context;
    an_log(AN_LOG_INFO, "%s", text);
}

static void interrupt(void *context)
{
    an_train_ranks *ranks = context;
    pthread_mutex_lock(&ranks->lock);
    if (ranks->trainer)
        an_trainer_interrupt(ranks->trainer);
    pthread_mutex_unlock(&ranks->lock);
}

static void give_up(void *context, int rc, const char *message, bool speaks)
{
    (void)context;
    if (speaks)
        an_log(AN_LOG_ERROR, "%s", message);
    _exit(an_error_exit_code(rc));
}

static int join(an_train_ranks *ranks)
{
    an_group_options options = {
        .observer = {.context = ranks, .note = note, .interrupt = interrupt, .give_up = give_up}};
    if (an_group_launched() == 1)
        return AN_OK;
    int rc = an_group_open(&ranks->group, &options);
    return rc == AN_EUNSUPPORTED ? AN_EIO : rc; /* it is this machine that lacks something, not the data */
}

static int fit(an_train_ranks *ranks, an_train_config *config)
{
    int rc = an_train_config_check_ranks(config, an_group_world(ranks->group));
    if (!rc)
        rc = an_replica_devices(ranks->group, config->devices, &ranks->devices);
    if (rc)
        return rc;
    config->devices = ranks->devices;
    if (an_group_rank(ranks->group) == 0)
        return AN_OK;
    config->quiet = true;
    config->json = false;
    return AN_OK;
}

int an_train_ranks_open(an_train_ranks *out, an_train_config *config, int rc)
{
    an_error_state options;
    *out = (an_train_ranks){.lock = PTHREAD_MUTEX_INITIALIZER};
    an_error_save(&options, rc);
    int joined = join(out);
    if (rc)
        return an_error_restore(&options);
    return joined ? joined : fit(out, config);
}

void an_train_ranks_watch(an_train_ranks *ranks, an_trainer *trainer)
{
    pthread_mutex_lock(&ranks->lock);
    ranks->trainer = trainer;
    pthread_mutex_unlock(&ranks->lock);
}

int an_train_ranks_close(an_train_ranks *ranks, int rc)
{
    if (rc < 0)
        rc = an_group_fail(ranks->group, rc);
    int code = rc < 0 && an_group_speaks(ranks->group) ? an_train_command_failed(rc) : an_error_exit_code(rc);
    an_group_close(ranks->group);
    free(ranks->devices);
    return code;
}
