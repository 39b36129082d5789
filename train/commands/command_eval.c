#include "base/error.h"
#include "base/program/stop.h"
#include "train/commands/command_eval_private.h"
#include "train/commands/commands.h"
#include "train/setup/config.h"

static const an_option options[] = {
    {.heading = "Options:"},
    {.name = "run",
     .key = 'r',
     .type = AN_OPTION_LIST,
     .metavar = "FOLDER",
     .offset = offsetof(an_eval_options, runs),
     .not_in_files = true,
     .help = "use the best checkpoint of this run (the newest, if it never validated); of several runs, and files of "
             "--weights, the mean of their predictions"},
    {.name = "weights",
     .key = 'w',
     .type = AN_OPTION_LIST,
     .metavar = "FILE",
     .offset = offsetof(an_eval_options, weights),
     .not_in_files = true,
     .help = "use this file: a checkpoint or an export, or weights alone with --recipe"},
    {.name = "recipe",
     .type = AN_OPTION_STRING,
     .metavar = "FILE",
     .offset = offsetof(an_eval_options, recipe),
     .help = "of weights that another program wrote: network, crop and all else that a checkpoint would tell"},
    {.name = "show",
     .key = 's',
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "0",
     .min = 0,
     .max = 100000,
     .offset = offsetof(an_eval_options, show),
     .help = "print the predictions for N images, evenly spaced"},
    {.name = "ten-crop",
     .type = AN_OPTION_FLAG,
     .offset = offsetof(an_eval_options, ten_crop),
     .help = "the paper's test: corners and centre, each also mirrored, and the mean of the ten predictions"},
    {.name = "per-class",
     .type = AN_OPTION_FLAG,
     .offset = offsetof(an_eval_options, per_class),
     .help = "list the accuracy of each class"},
    {.name = "confusions",
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "0",
     .min = 0,
     .max = 1000000,
     .offset = offsetof(an_eval_options, pairs),
     .help = "list the N most frequent mistakes"},
    {.name = "json",
     .type = AN_OPTION_FLAG,
     .offset = offsetof(an_eval_options, json),
     .help = "print everything as JSON"},
    {.name = "top",
     .type = AN_OPTION_INT,
     .metavar = "K",
     .initial = "5",
     .min = 2,
     .max = 1000000,
     .offset = offsetof(an_eval_options, top),
     .help = "the second accuracy, beside top-1: images whose class is among the K most probable"},
    {.name = "batch",
     .key = 'b',
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "128",
     .min = 1,
     .max = 65536,
     .offset = offsetof(an_eval_options, batch),
     .help = "images at a time"},
    {.name = "devices",
     .type = AN_OPTION_STRING,
     .metavar = "LIST",
     .initial = "cpu",
     .offset = offsetof(an_eval_options, devices),
     .help = "where the network's two logical devices run; list tells what there is"},
    {.name = "threads",
     .key = 'j',
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "0",
     .min = 0,
     .max = 1024,
     .offset = offsetof(an_eval_options, loader_threads),
     .help = "loader threads (0: as in training)"},
    {.name = "decode",
     .type = AN_OPTION_CHOICE,
     .initial = "host",
     .choices = an_train_decode_names,
     .offset = offsetof(an_eval_options, decode),
     .help = "where records become images: on the host's processors, or on the GPUs of --devices"},
    {.name = "compute-threads",
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "0",
     .min = 0,
     .max = 1024,
     .offset = offsetof(an_eval_options, compute_threads),
     .help = "compute threads (0: all processors)"},
    {0}};

static const an_options spec = {
    .program = "an-train eval",
    .usage = "DATASET",
    .summary =
        "Accuracy of a trained network on a dataset: top-1 and top-K, of the centre of each image or of ten crops. "
        "Given "
        "several networks, the mean of their predictions decides, each network with its own crop and preparation of "
        "images; they run one after another, so that one of them is in memory at a time.",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
};

int an_train_command_eval(int argc, char **argv)
{
    an_eval_options o;
    char **arguments;
    int rc = an_options_init(&spec, &o);
    if (!rc)
        rc = an_options_parse(&spec, argc, argv, &o, &arguments);
    if (!rc)
        rc = an_eval_check(&o);
    if (!rc)
        rc = an_train_command_alone(spec.program);
    if (!rc)
        rc = an_stop_install();
    an_stop_at_once(true);
    if (!rc)
        rc = an_eval_run(&o, arguments[0]);
    return rc < 0 ? an_train_command_failed(rc) : an_error_exit_code(rc);
}
