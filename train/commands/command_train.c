#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/program/log.h"
#include "base/program/print.h"
#include "base/program/stop.h"
#include "train/advice/find_rate.h"
#include "train/commands/commands.h"
#include "train/commands/console.h"
#include "train/commands/ranks_private.h"
#include "train/loop/trainer.h"
#include "train/setup/config.h"
#include "train/setup/session.h"

static const an_options spec = {
    .program = "an-train",
    .usage = "TRAINING [VALIDATION...]\neval [OPTION...] DATASET\nexport [OPTION...] FILE",
    .summary =
        "Train AlexNet (Krizhevsky, Sutskever, Hinton 2012) on a dataset that an-ingest made, and validate it on "
        "others after each epoch: the first decides about schedule and best checkpoint. Stopped by SIGINT or SIGTERM "
        "it saves and exits with 130, at a second one it ends "
        "at "
        "once; SIGUSR1 saves and goes on. "
        "A run resumed with --resume auto gives the same weights as one that was never stopped. Processes that mpirun "
        "or "
        "srun starts train one network together, each on its share of every batch.",
    .epilogue =
        "Examples:\n"
        "  $ an-train --run runs/first --resume auto data/train data/val\n"
        "  $ an-train --crop 64 --init he --epochs 3 --run runs/fashion data/train data/t10k\n"
        "  $ mpirun -np 4 --bind-to none an-train --devices auto --run runs/four --resume auto data/train data/val\n"
        "  $ an-train eval --run runs/fashion --show 10 data/t10k\n",
    .options = an_train_options,
    .arguments_min = 1,
    .arguments_max = 1 + AN_TRAIN_SETS_MAX,
};

/* Parse the command line, and if it names a recipe, parse it again over the options of the recipe. */
static int parse(int argc, char **argv, an_train_config *config, char ***arguments)
{
    bool speaks;
    int rc = an_train_ranks_hush(&speaks);
    an_options first = spec;
    first.silent = !speaks;
    if (!rc)
        rc = an_options_init(&spec, config);
    if (!rc)
        rc = an_options_parse(&first, argc, argv, config, arguments);
    if (rc || !config->recipe)
        return rc;
    const char *recipe = config->recipe;
    an_options again = spec;
    again.silent = true;
    rc = an_options_init(&spec, config);
    if (!rc)
        rc = an_options_read_file(&spec, recipe, config);
    if (!rc)
        rc = an_options_parse(&again, argc, argv, config, arguments);
    return rc;
}

static int print_description(an_trainer *trainer, const an_train_config *config)
{
    if (config->quiet || config->json)
        return AN_OK;
    an_buffer text = {0};
    int rc = an_trainer_describe(trainer, &text);
    if (!rc)
        an_print("%s\n", (const char *)text.data);
    fflush(stdout);
    an_buffer_free(&text);
    return rc;
}

/* Returns rc, or the failure of printing. */
static int print_profile(an_trainer *trainer, int rc)
{
    an_buffer text = {0};
    int failed = an_trainer_profile(trainer, &text);
    if (text.size)
        an_print("\n%s", (const char *)text.data);
    an_buffer_free(&text);
    return failed < 0 ? failed : rc;
}

/* It leaves nothing behind, and steps do not look at the flag. Of several ranks only the first prints. */
static int dry_run(an_session *session)
{
    an_buffer text = {0};
    an_stop_at_once(true);
    int rc = session->config->json ? AN_OK : an_session_describe(session, &text);
    if (!rc && text.size)
        rc = an_buffer_printf(&text, "\n");
    if (!rc)
        rc = an_session_dry_run(session, &text);
    if (!rc && an_group_rank(session->group) == 0)
        an_print("%s", (const char *)text.data);
    an_buffer_free(&text);
    return rc;
}

static int print_finding(const an_session *session, an_rate_finding *finding)
{
    an_buffer text = {0};
    finding->classes = session->data.classes;
    finding->paper_init = session->config->init == AN_INIT_PAPER && !session->config->weights;
    int rc = session->config->json ? an_find_rate_print_json(finding, &text) : an_find_rate_print(finding, &text);
    if (!rc)
        an_print("%s", (const char *)text.data);
    an_buffer_free(&text);
    return rc;
}

static int find_rate(an_session *session, int steps)
{
    an_rate_point *points = calloc((size_t)steps, sizeof(*points));
    an_rate_finding finding = {.points = points, .steps = steps};
    if (!points)
        return an_error(AN_ENOMEM, "out of memory for --find-lr %d", steps);
    int rc = an_find_rate(session, steps, points, &finding.count, &finding.choice);
    if (!rc)
        rc = print_finding(session, &finding);
    free(points);
    return rc;
}

/* --dry-run and --find-lr need the data and the network, but no run. */
static int try_out(const an_train_config *config, an_group *group, char **arguments)
{
    an_session session;
    int rc = an_stop_install();
    an_stop_at_once(true);
    if (!rc)
        rc = an_session_open(&session, config, group, arguments[0], (const char *const *)arguments + 1);
    if (rc)
        return rc;
    if (session.notes.size && an_group_rank(group) == 0)
        an_log(AN_LOG_WARNING, "%.*s", (int)session.notes.size - 1, (const char *)session.notes.data);
    rc = config->dry_run ? dry_run(&session) : find_rate(&session, config->find_rate);
    an_log_lines(AN_LOG_WARNING, (const char *)session.doubts.data, session.doubts.size);
    an_session_close(&session);
    return rc;
}

static int train(const an_train_config *config, an_train_ranks *ranks, char **arguments)
{
    an_console console = {config->quiet, config->json};
    an_train_observer observer = {an_console_tell, &console};
    an_trainer *trainer = NULL;
    int rc = an_stop_install();
    if (!rc)
        rc = an_trainer_create(&trainer, config, ranks->group, arguments[0], (const char *const *)arguments + 1,
                               &observer);
    an_train_ranks_watch(ranks, trainer);
    if (!rc)
        rc = print_description(trainer, config);
    if (!rc)
        rc = an_trainer_run(trainer);
    if (rc >= 0) {
        an_train_summary summary;
        an_trainer_summary(trainer, &summary);
        an_console_summary(&console, &summary);
        rc = print_profile(trainer, rc);
    }
    an_train_ranks_watch(ranks, NULL);
    an_trainer_free(trainer);
    return rc;
}

int an_train_command_train(int argc, char **argv)
{
    an_train_config config;
    an_train_ranks ranks;
    char **arguments;
    int rc = parse(argc, argv, &config, &arguments);
    if (rc == AN_END)
        return AN_EXIT_OK;
    if (!rc) {
        an_train_config_imply(&config);
        rc = an_train_config_check(&config);
    }
    rc = an_train_ranks_open(&ranks, &config, rc);
    if (!rc)
        rc = config.dry_run || config.find_rate ? try_out(&config, ranks.group, arguments)
                                                : train(&config, &ranks, arguments);
    return an_train_ranks_close(&ranks, rc);
}
