#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/program/stop.h"
#include "train/commands/command_eval_private.h"
#include "train/commands/report.h"
#include "train/loop/ensemble.h"
#include "train/setup/decoding.h"
#include "train/trained/trained.h"

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

static void close_gallery(gallery *g)
{
    an_confusion_free(&g->confusion);
    free(g->shown);
}

/* ---- One network ---- */

/* All that an evaluation needs, in the order in which it is opened. */
typedef struct {
    const an_dataset *dataset;
    an_trained trained;
    an_train_view_options view; /* threads are not known before exec is */
    an_train_decoding *decoding;
    an_exec *exec;
} evaluation;

static int count_networks(const an_eval_options *o)
{
    return o->runs.count + o->weights.count;
}

/* Where network number comes from: runs come first. A recipe is for files of other programs; where there are several
 * networks, others than these have their own. */
static int find_source(const an_eval_options *o, int number, const an_dataset *dataset, an_trained_source *out)
{
    bool ours = true;
    *out = (an_trained_source){.recipe = o->recipe, .dataset = dataset};
    if (number < o->runs.count)
        out->run = o->runs.items[number];
    else
        out->weights = o->weights.items[number - o->runs.count];
    if (!o->recipe || count_networks(o) == 1)
        return AN_OK;
    int rc = out->weights ? an_weights_ask(out->weights, &ours) : AN_OK;
    if (ours)
        out->recipe = NULL;
    return rc;
}

static int open_trained(an_trained *out, const an_eval_options *o, int number, const an_dataset *dataset)
{
    an_trained_source source;
    int rc = find_source(o, number, dataset, &source);
    if (!rc)
        rc = an_trained_open_source(out, &source);
    return rc ? rc : an_train_class_check(dataset, out->class_ids, out->path);
}

static int open_decoding(const an_eval_options *o, evaluation *e)
{
    an_train_decoding_options decoding = {.devices = o->devices,
                                          .batch = (uint32_t)o->batch,
                                          .side = an_dataset_side(e->dataset),
                                          .crop = (uint32_t)e->trained.config.crop};
    e->view = (an_train_view_options){.dataset = e->dataset,
                                      .input = &e->trained.input,
                                      .crop = e->trained.config.crop,
                                      .batch = o->batch,
                                      .top = (uint32_t)o->top,
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

static int open_exec(const an_eval_options *o, evaluation *e)
{
    an_stop_at_once(true); /* proving kernels takes seconds and leaves nothing behind */
    int rc = an_trained_exec(&e->trained, o->devices, o->batch, an_train_compute_threads(o->compute_threads),
                             an_train_decoding_decoder(e->decoding), &e->exec);
    an_stop_at_once(false);
    if (!rc)
        e->view.threads = an_train_loader_threads(e->exec, o->loader_threads);
    return rc;
}

/* Of weights alone it is not known. */
static bool is_training_set(const an_trained *trained, const an_dataset *dataset)
{
    return trained->checkpoint &&
           an_checkpoint_identity(trained->checkpoint)->fingerprint == an_dataset_fingerprint(dataset);
}

static int describe(const evaluation *e, an_eval_network *out)
{
    out->step = e->trained.step;
    out->training_set = is_training_set(&e->trained, e->dataset);
    out->weights = strdup(e->trained.path);
    return out->weights ? AN_OK : an_error(AN_ENOMEM, "out of memory for '%s'", e->trained.path);
}

static int evaluate(const an_eval_options *o, int number, const an_dataset *dataset, const an_evaluate_watcher *watcher,
                    an_eval_network *out)
{
    evaluation e = {.dataset = dataset};
    int rc = open_trained(&e.trained, o, number, dataset);
    if (!rc)
        rc = open_decoding(o, &e);
    if (!rc)
        rc = open_exec(o, &e);
    if (!rc)
        rc = o->ten_crop ? an_evaluate_ten_crop(e.exec, &e.view, watcher, &out->result)
                         : an_evaluate_centre(e.exec, &e.view, watcher, &out->result);
    if (rc == AN_ECORRUPT && e.exec) /* the weights may be the reason as well as the images */
        rc = an_error_prefix(rc, "evaluating '%s'", e.trained.path);
    if (!rc)
        rc = describe(&e, out);
    an_exec_free(e.exec);
    an_train_decoding_free(e.decoding);
    an_trained_close(&e.trained);
    return rc;
}

/* ---- All of them ---- */

/* What is wrong with the last of several networks is found before the first is evaluated. */
static int check_networks(const an_eval_options *o, const an_dataset *dataset)
{
    bool foreign = false;
    for (int i = 0; i < count_networks(o); i++) {
        an_trained trained = {0};
        int rc = open_trained(&trained, o, i, dataset);
        foreign = foreign || trained.alone;
        an_trained_close(&trained);
        if (rc)
            return rc;
    }
    if (o->recipe && !foreign)
        return an_error(AN_EINVAL, "--recipe is for weights that another program wrote: each of these networks has its "
                                   "own recipe");
    return AN_OK;
}

static int evaluate_mean(const an_eval_options *o, const an_dataset *dataset, const an_evaluate_watcher *watcher,
                         an_eval_network *networks, an_evaluation *out)
{
    an_ensemble ensemble = {0};
    int rc = check_networks(o, dataset);
    if (!rc)
        rc = an_ensemble_init(&ensemble, dataset, watcher->classes, (uint32_t)o->top);
    const an_evaluate_watcher adder = an_ensemble_watcher(&ensemble);
    for (int i = 0; !rc && i < count_networks(o); i++)
        rc = evaluate(o, i, dataset, &adder, &networks[i]);
    if (!rc)
        rc = an_ensemble_evaluate(&ensemble, watcher, out);
    an_ensemble_free(&ensemble);
    return rc;
}

static int print(const an_eval_options *o, const an_eval_report *report)
{
    return o->json ? an_eval_report_print_json(report) : an_eval_report_print(report);
}

static int report(const an_eval_options *o, const an_dataset *dataset, an_eval_network *networks)
{
    gallery g;
    an_eval_report r = {.networks = networks,
                        .network_count = count_networks(o),
                        .dataset = dataset,
                        .view = o->ten_crop ? "ten-crop" : "centre",
                        .confusion = &g.confusion,
                        .per_class = o->per_class,
                        .pairs = o->pairs};
    const an_evaluate_watcher watcher = {look, &g, an_dataset_class_count(dataset)};
    int rc = open_gallery(&g, (uint64_t)o->show, an_dataset_count(dataset), watcher.classes);
    if (!rc && r.network_count > 1)
        rc = evaluate_mean(o, dataset, &watcher, networks, &r.result);
    else if (!rc)
        rc = evaluate(o, 0, dataset, &watcher, networks);
    if (r.network_count == 1)
        r.result = networks[0].result;
    r.shown = g.shown;
    r.shown_count = g.found;
    if (!rc)
        rc = print(o, &r);
    close_gallery(&g);
    return rc;
}

static int open_dataset(const char *path, an_dataset **out)
{
    int rc = an_dataset_open(out, path);
    if (!rc && an_dataset_count(*out) == 0)
        rc = an_error(AN_EINVAL, "'%s' holds no images", path);
    return rc;
}

int an_eval_check(const an_eval_options *o)
{
    if (!count_networks(o))
        return an_error(AN_EINVAL,
                        "give the weights by --run FOLDER or --weights FILE, several of them for the mean of "
                        "their predictions");
    if (o->ten_crop && o->batch < AN_SAMPLE_TEN)
        return an_error(AN_EINVAL, "--batch %d holds no image's ten crops: use 10 or more", o->batch);
    return AN_OK;
}

int an_eval_run(const an_eval_options *o, const char *path)
{
    an_dataset *dataset = NULL;
    an_eval_network networks[2 * AN_OPTION_LIST_MAX] = {0};
    int rc = open_dataset(path, &dataset);
    if (!rc)
        rc = an_train_top_check(o->top, an_dataset_class_count(dataset));
    if (!rc)
        rc = report(o, dataset, networks);
    for (int i = 0; i < count_networks(o); i++)
        free(networks[i].weights);
    an_dataset_free(dataset);
    return rc;
}
