#include <stdlib.h>

#include "base/error.h"
#include "base/program/stop.h"
#include "train/commands/commands.h"
#include "train/commands/report.h"
#include "train/loop/evaluate.h"
#include "train/setup/decoding.h"
#include "train/setup/trained.h"

typedef struct {
    const char *run, *weights, *recipe, *devices;
    int batch, loader_threads, compute_threads, show, pairs, decode;
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
    {.name = "decode",
     .type = AN_OPTION_CHOICE,
     .initial = "host",
     .choices = an_train_decode_names,
     .offset = offsetof(eval_options, decode),
     .help = "where records become images: on the host's processors, or on the GPUs of --devices"},
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

/* Of weights alone it is not known. */
static bool is_training_set(const an_trained *trained, const an_dataset *dataset)
{
    return trained->checkpoint &&
           an_checkpoint_identity(trained->checkpoint)->fingerprint == an_dataset_fingerprint(dataset);
}

static int print(const eval_options *o, const an_trained *trained, const an_dataset *dataset, const gallery *g,
                 const an_evaluation *result)
{
    an_eval_report report = {.weights = trained->path,
                             .step = trained->step,
                             .dataset = dataset,
                             .view = o->ten_crop ? "ten-crop" : "centre",
                             .training_set = is_training_set(trained, dataset),
                             .result = *result,
                             .shown = g->shown,
                             .shown_count = g->found,
                             .confusion = &g->confusion,
                             .per_class = o->per_class,
                             .pairs = o->pairs};
    return o->json ? an_eval_report_print_json(&report) : an_eval_report_print(&report);
}

/* All that an evaluation needs, in the order in which it is opened. */
typedef struct {
    an_dataset *dataset;
    an_trained trained;
    an_train_view_options view; /* threads are not known before exec is */
    an_train_decoding *decoding;
    an_exec *exec;
} evaluation;

static int evaluate(const eval_options *o, evaluation *e)
{
    gallery g;
    an_evaluate_watcher watcher = {look, &g, (uint32_t)e->trained.classes};
    an_evaluation result;
    e->view.threads = an_train_loader_threads(e->exec, o->loader_threads);
    int rc = open_gallery(&g, (uint64_t)o->show, an_dataset_count(e->dataset), watcher.classes);
    if (!rc)
        rc = o->ten_crop ? an_evaluate_ten_crop(e->exec, &e->view, &watcher, &result)
                         : an_evaluate_centre(e->exec, &e->view, &watcher, &result);
    if (rc == AN_ECORRUPT) /* the weights may be the reason as well as the images */
        rc = an_error_prefix(rc, "evaluating '%s'", e->trained.path);
    if (!rc)
        rc = print(o, &e->trained, e->dataset, &g, &result);
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

static int open_decoding(const eval_options *o, evaluation *e)
{
    an_train_decoding_options decoding = {.devices = o->devices,
                                          .batch = (uint32_t)o->batch,
                                          .side = an_dataset_side(e->dataset),
                                          .crop = (uint32_t)e->trained.config.crop};
    e->view = (an_train_view_options){.dataset = e->dataset,
                                      .input = &e->trained.input,
                                      .crop = e->trained.config.crop,
                                      .batch = o->batch,
                                      .decode = (an_decode_place)o->decode};
    if (e->view.decode == AN_DECODE_HOST)
        return AN_OK;
    int rc = o->ten_crop ? an_evaluate_ten_crop_block(&e->view, &decoding.block)
                         : an_train_view_block(&e->view, &decoding.block);
    if (rc)
        return rc;
    rc = an_train_decoding_create(&e->decoding, &decoding);
    return rc ? an_error_prefix(rc, "--decode device") : AN_OK;
}

static int run(const eval_options *o, const char *path)
{
    evaluation e = {0};
    int rc = open_dataset(path, &e.dataset);
    if (!rc)
        rc = open_trained(&e.trained, o, e.dataset);
    if (!rc)
        rc = open_decoding(o, &e);
    an_stop_at_once(true); /* proving kernels takes seconds and leaves nothing behind */
    if (!rc)
        rc = an_trained_exec(&e.trained, o->devices, o->batch, an_train_compute_threads(o->compute_threads),
                             an_train_decoding_decoder(e.decoding), &e.exec);
    an_stop_at_once(false);
    if (!rc)
        rc = evaluate(o, &e);
    an_exec_free(e.exec);
    an_train_decoding_free(e.decoding);
    an_dataset_free(e.dataset);
    an_trained_close(&e.trained);
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
    an_stop_at_once(true);
    if (!rc)
        rc = run(&o, arguments[0]);
    return rc < 0 ? an_train_command_failed(rc) : an_error_exit_code(rc);
}
