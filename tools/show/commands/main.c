#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/program/commit.h"
#include "base/program/fault.h"
#include "base/program/fonts.h"
#include "base/program/log.h"
#include "base/program/options.h"
#include "base/program/stop.h"
#include "base/program/streams.h"
#include "base/program/version.h"
#include "model/backend.h"
#include "store/dataset/dataset.h"
#include "tools/show/commands/commands.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"network", an_show_network},     {"filters", an_show_filters}, {"predict", an_show_predict},
    {"augment", an_show_augment},     {"curves", an_show_curves},   {"report", an_show_report},
    {"neighbors", an_show_neighbors},
};

static const an_option none[] = {{0}};

static const an_options spec = {
    .program = "an-show",
    .usage = "COMMAND\n"
             "network [OPTION...] PICTURE\n"
             "filters [OPTION...] PICTURE\n"
             "predict [OPTION...] [FILE|FOLDER...]\n"
             "augment [OPTION...] DATASET PICTURE\n"
             "curves [OPTION...] RUN...\n"
             "neighbors [OPTION...] TRAINING QUERIES\n"
             "report [OPTION...] RUN [DATASET]",
    .summary = "Pictures of a network and of what it learned, as PNG, SVG or PDF by the file's ending.\n\n"
               "  network    the layers, their shapes and costs, and where the two devices talk\n"
               "  filters    the kernels of the first layer\n"
               "  predict    the most probable classes of images\n"
               "  augment    one image as the network sees it, epoch by epoch\n"
               "  curves     error, loss, learning rate and starvation of runs\n"
               "  neighbors  the training images that are nearest to an image\n"
               "  report     all about a run as one HTML page",
    .epilogue = "Every command explains itself: an-show COMMAND --help.\n\nExamples:\n"
                "  $ an-show network alexnet.svg\n"
                "  $ an-show filters --run runs/first filters.png",
    .options = none,
    .arguments_min = 1,
    .arguments_max = 1,
};

static int run_command(int argc, char **argv)
{
    char nothing, **arguments;
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    int rc = an_options_parse(&spec, argc, argv, &nothing, &arguments);
    return rc ? rc : an_error(AN_EINVAL, "no command '%s': see an-show --help", arguments[0]);
}

/* libgomp's idle threads would spin and take processors from the loader and from OpenBLAS, so the program starts itself
 * again with a policy that lets them sleep: libgomp reads it only once, when it is loaded. */
static void let_idle_threads_sleep(char **argv)
{
    if (getenv("OMP_WAIT_POLICY"))
        return;
    if (setenv("OMP_WAIT_POLICY", "passive", 1) == 0)
        execv("/proc/self/exe", argv); /* if it fails, the program merely runs with spinning threads */
}

static an_version_libraries *const libraries[] = {an_dataset_libraries, an_backend_libraries, NULL};

int main(int argc, char **argv)
{
    int rc = an_streams_open();
    let_idle_threads_sleep(argv);
    an_fonts_install();
    an_version_declare(AN_COMMIT, libraries);
    an_log_init("an-show", AN_LOG_INFO);
    an_fault_install("an-show");
    if (!rc)
        rc = an_stop_install();
    an_stop_at_once(true); /* but for the loops that look at the flag */
    if (!rc)
        rc = run_command(argc, argv);
    if (rc < 0)
        an_log(AN_LOG_ERROR, "%s", an_error_message());
    if (fflush(stdout) && rc >= 0) {
        an_log(AN_LOG_ERROR, "cannot write to standard output");
        return AN_EXIT_FAILURE;
    }
    return an_error_exit_code(rc);
}
