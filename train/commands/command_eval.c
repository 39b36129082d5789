#include <stdlib.h>

#include "base/error.h"
#include "base/program/stop.h"
#include "train/commands/commands.h"
#include "train/commands/report.h"
#include "train/loop/evaluate.h"
#include "train/setup/trained.h"

typedef struct {
    const char *run, *weights, *recipe, *devices;
    int batch, loader_threads, compute_threads, show, pairs;
    bool ten_crop, per_class, json;
} eval_options;

static const an_option options[] = {
    {.heading = "Options:"},
    {.name = "run",
     .key = 'r',
     .type = AN_OPTION_STRING,
     .metavar = "FOLDER",
     .offset = offsetof(eval_options, run),
     .help = "use the best checkpoint of this run (the newest, if it never validated)"},
    {.name = "weights",
     .key = 'w',
     .type = AN_OPTION_STRING,
     .metavar = "FILE",
     .offset = offsetof(eval_options, weights),
     .help = "use this file: a checkpoint or an export, or weights alone with --recipe"},
    {.name = "recipe",
     .type = AN_OPTION_STRING,
     .metavar = "FILE",
     .offset = offsetof(eval_options, recipe),
     .help = "of weights that another program wrote: network, crop and all else that a checkpoint would tell"},
    {.name = "show",
     .key = 's',
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "0",
     .min = 0,
     .max = 100000,
     .offset = offsetof(eval_options, show),
     .help = "print the predictions for N images, evenly spaced"},
    {.name = "ten-crop",
     .type = AN_OPTION_FLAG,
     .offset = offsetof(eval_options, ten_crop),
     .help = "the paper's test: corners and centre, each also mirrored, and the mean of the ten predictions"},
    {.name = "per-class",
     .type = AN_OPTION_FLAG,
     .offset = offsetof(eval_options, per_class),
     .help = "list the accuracy of each class"},
    {.name = "confusions",
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "0",
     .min = 0,
     .max = 1000000,
     .offset = offsetof(eval_options, pairs),
     .help = "list the N most frequent mistakes"},
    {.name = "json",
     .type = AN_OPTION_FLAG,
     .offset = offsetof(eval_options, json),
     .help = "print everything as JSON"},
    {.name = "batch",
     .key = 'b',
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "128",
     .min = 1,
     .max = 65536,
     .offset = offsetof(eval_options, batch),
     .help = "images at a time"},
    {.name = "devices",
     .type = AN_OPTION_STRING,
     .metavar = "LIST",
     .initial = "cpu",
     .offset = offsetof(eval_options, devices),
     .help = "where the network's two logical devices run; list tells what there is"},
    {.name = "threads",
     .key = 'j',
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "0",
     .min = 0,
     .max = 1024,
     .offset = offsetof(eval_options, loader_threads),
     .help = "loader threads (0: as in training)"},
    {.name = "compute-threads",
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "0",
     .min = 0,
     .max = 1024,
     .offset = offsetof(eval_options, compute_threads),
     .help = "compute threads (0: all processors)"},
    {0}};

static const an_options spec = {
    .program = "an-train eval",
    .usage = "DATASET",
    .summary =
        "Accuracy of a trained network on a dataset: top-1 and top-5, of the centre of each image or of ten crops.",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
};

/* What is kept of the images as they are evaluated. */
typedef struct {
    an_prediction *shown;
    uint64_t wanted, found, images;
    an_confusion confusion;
} gallery;

static int look(void *context, uint64_t index, uint32_t label, const float *probabilities)
{
    gallery *g = context;
    an_prediction p;
    int rc = an_prediction_make(&p, index, label, probabilities, g->confusion.classes);
    if (rc)
        return rc;
    an_confusion_add(&g->confusion, label, p.top[0]);
    if (g->found < g->wanted && index == g->found * g->images / g->wanted)
        g->shown[g->found++] = p;
    return AN_OK;
}

static int open_gallery(gallery *g, uint64_t wanted, uint64_t images, uint32_t classes)
{
    *g = (gallery){.wanted = wanted < images ? wanted : images, .images = images};
    int rc = an_confusion_init(&g->confusion, classes);
    g->shown = calloc(g->wanted + 1, sizeof(*g->shown));
    return !rc && !g->shown ? an_error(AN_ENOMEM, "out of memory for predictions") : rc;
}

static int print(const eval_options *o, const an_trained *trained, const an_dataset *dataset, const gallery *g,
                 const an_evaluation *result)
{
    an_eval_report report = {.weights = trained->path,
                             .step = trained->step,
                             .dataset = dataset,
                             .view = o->ten_crop ? "ten-crop" : "centre",
                             .result = *result,
                             .shown = g->shown,
                             .shown_count = g->found,
                             .confusion = &g->confusion,
                             .per_class = o->per_class,
                             .pairs = o->pairs};
    return o->json ? an_eval_report_print_json(&report) : an_eval_report_print(&report);
}

static int evaluate(const eval_options *o, const an_trained *trained, const an_dataset *dataset, an_exec *exec)
{
    gallery g;
    an_train_view_options view = {.dataset = dataset,
                                  .input = &trained->input,
                                  .crop = trained->config.crop,
                                  .batch = o->batch,
                                  .threads = an_train_loader_threads(exec, o->loader_threads)};
    an_evaluate_watcher watcher = {look, &g, (uint32_t)trained->classes};
    an_evaluation result;
    int rc = open_gallery(&g, (uint64_t)o->show, an_dataset_count(dataset), watcher.classes);
    if (!rc)
        rc = o->ten_crop ? an_evaluate_ten_crop(exec, &view, &watcher, &result)
                         : an_evaluate_centre(exec, &view, &watcher, &result);
    if (!rc)
        rc = print(o, trained, dataset, &g, &result);
    an_confusion_free(&g.confusion);
    free(g.shown);
    return rc;
}

static int check(const eval_options *o)
{
    if (o->ten_crop && o->batch < AN_SAMPLE_TEN)
        return an_error(AN_EINVAL, "--batch %d holds no image's ten crops: use 10 or more", o->batch);
    return AN_OK;
}

static int open_dataset(const char *path, an_dataset **out)
{
    int rc = an_dataset_open(out, path);
    if (!rc && an_dataset_count(*out) == 0)
        rc = an_error(AN_EINVAL, "'%s' holds no images", path);
    return rc;
}

static int open_trained(an_trained *out, const eval_options *o, const an_dataset *dataset)
{
    const an_trained_source source = {o->run, o->weights, o->recipe, dataset};
    int rc = an_trained_open_source(out, &source);
    return rc ? rc : an_train_class_check(dataset, out->class_ids, out->path);
}

static int run(const eval_options *o, const char *path)
{
    an_trained trained = {0};
    an_dataset *dataset = NULL;
    an_exec *exec = NULL;
    int rc = open_dataset(path, &dataset);
    if (!rc)
        rc = open_trained(&trained, o, dataset);
    an_stop_at_once(true); /* proving kernels takes seconds and leaves nothing behind */
    if (!rc)
        rc = an_trained_exec(&trained, o->devices, o->batch, an_train_compute_threads(o->compute_threads), &exec);
    an_stop_at_once(false);
    if (!rc)
        rc = evaluate(o, &trained, dataset, exec);
    an_exec_free(exec);
    an_dataset_free(dataset);
    an_trained_close(&trained);
    return rc;
}

int an_train_command_eval(int argc, char **argv)
{
    eval_options o;
    char **arguments;
    int rc = an_options_init(&spec, &o);
    if (!rc)
        rc = an_options_parse(&spec, argc, argv, &o, &arguments);
    if (!rc)
        rc = check(&o);
    if (!rc)
        rc = an_stop_install();
    if (!rc)
        rc = run(&o, arguments[0]);
    return rc < 0 ? an_train_command_failed(rc) : an_error_exit_code(rc);
}
