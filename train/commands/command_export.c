#include <stdio.h>

#include "base/error.h"
#include "base/program/print.h"
#include "base/program/stop.h"
#include "train/commands/commands.h"
#include "train/trained/trained.h"

typedef struct {
    const char *run, *weights;
} export_options;

static const an_option options[] = {
    {.heading = "Options:"},
    {.name = "run",
     .key = 'r',
     .type = AN_OPTION_STRING,
     .metavar = "FOLDER",
     .offset = offsetof(export_options, run),
     .help = "take the best checkpoint of this run (the newest, if it never validated)"},
    {.name = "weights",
     .key = 'w',
     .type = AN_OPTION_STRING,
     .metavar = "FILE",
     .offset = offsetof(export_options, weights),
     .help = "take this checkpoint"},
    {0}};

static const an_options spec = {
    .program = "an-train export",
    .usage = "FILE",
    .summary = "Write a trained network's weights, without the state of training, as a safetensors file.",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
};

static int run(const export_options *o, const char *path)
{
    an_trained trained;
    an_exec *exec = NULL;
    int rc = an_trained_open(&trained, o->run, o->weights);
    if (!rc)
        rc = an_trained_exec(&trained, "cpu", 1, 1, NULL, &exec);
    if (!rc)
        rc =
            an_checkpoint_save(path, &(an_checkpoint_parameters){.exec = exec}, an_checkpoint_state(trained.checkpoint),
                               an_checkpoint_identity(trained.checkpoint), &trained.input);
    if (!rc)
        an_print("%s: weights of '%s'\n", path, an_checkpoint_path(trained.checkpoint));
    an_exec_free(exec);
    an_trained_close(&trained);
    return rc;
}

int an_train_command_export(int argc, char **argv)
{
    export_options o;
    char **arguments;
    int rc = an_options_init(&spec, &o);
    if (!rc)
        rc = an_options_parse(&spec, argc, argv, &o, &arguments);
    if (!rc)
        rc = an_train_command_alone(spec.program);
    if (!rc)
        rc = an_stop_install();
    an_stop_at_once(true);
    if (!rc)
        rc = run(&o, arguments[0]);
    return rc < 0 ? an_train_command_failed(rc) : an_error_exit_code(rc);
}
