#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/program/log.h"
#include "base/program/options.h"
#include "base/text/utf8.h"
#include "tools/show/commands/commands.h"
#include "tools/show/views/predict.h"
#include "train/state/text.h"

#define SHOWN_MAX 64 /* images on a panel */

typedef struct {
    an_viewer_options viewer;
    const char *dataset, *records, *output;
    int images, columns;
    bool json;
} predict_options;

static const an_option table[] = {
    {.heading = "Options:"},
    AN_VIEWER_WEIGHTS(predict_options, viewer),
    {.name = "dataset",
     .key = 'd',
     .type = AN_OPTION_STRING,
     .metavar = "DATASET",
     .offset = offsetof(predict_options, dataset),
     .help = "look at records of this dataset instead of files"},
    {.name = "records",
     .type = AN_OPTION_STRING,
     .metavar = "N,N...",
     .offset = offsetof(predict_options, records),
     .help = "these records of the dataset"},
    {.name = "images",
     .key = 'n',
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "8",
     .min = 1,
     .max = 1000000,
     .offset = offsetof(predict_options, images),
     .help = "so many records, evenly spaced, where none are listed"},
    {.name = "output",
     .key = 'o',
     .type = AN_OPTION_STRING,
     .metavar = "PICTURE",
     .offset = offsetof(predict_options, output),
     .help = "draw a panel of the first 64 images: .png, .svg or .pdf"},
    {.name = "columns",
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "4",
     .min = 1,
     .max = 64,
     .offset = offsetof(predict_options, columns),
     .help = "images in a row of the panel"},
    {.name = "json",
     .type = AN_OPTION_FLAG,
     .offset = offsetof(predict_options, json),
     .help = "print an array of objects as JSON instead of text"},
    AN_VIEWER_MACHINE(predict_options, viewer),
    {0},
};

static const an_options spec = {
    .program = "an-show predict",
    .usage = "[FILE|FOLDER...]",
    .summary =
        "Print the five classes that a network holds for most probable in each image: files, the JPEG and PNG files "
        "below folders, or records of a dataset. --output also draws the left panel of the paper's Figure 4.\n\n"
        "A file's true class is known if its folder is named as a class. Images that do not decode are passed over; "
        "the exit status is then 3.",
    .epilogue = "Examples:\n"
                "  $ an-show predict --run runs/first cat.jpg\n"
                "  $ an-show predict --run runs/first --dataset data/val --images 12 -o panel.png\n"
                "  $ an-show predict --run runs/first --json photos | jq '.[].top[0].name'",
    .options = table,
    .arguments_min = 0,
    .arguments_max = -1,
};

typedef struct {
    const predict_options *options;
    const an_viewer *viewer;
    an_subject *shown;
    int shown_count;
    bool begun; /* of JSON */
} teller;

static void print_text(const an_viewer *v, const an_subject *s)
{
    printf("%s%s%s\n", an_shown_make(s->name).text, s->label < 0 ? "" : ": ",
           s->label < 0 ? "" : an_shown_make(v->names[s->label]).text);
    for (uint32_t i = 0; i < s->said.count; i++)
        printf("  %s %5.1f %%  %s\n", (int)s->said.top[i] == s->label ? "*" : " ", 100 * (double)s->said.probability[i],
               an_shown_make(v->names[s->said.top[i]]).text);
    printf("\n");
}

/* Names may be any bytes: they are escaped. */
static json_t *text_json(const char *text)
{
    return an_text_json(text, strlen(text));
}

static json_t *class_json(const an_viewer *v, int label)
{
    return json_pack("{s:i, s:o, s:o}", "label", label, "id", text_json(v->ids[label]), "name",
                     text_json(v->names[label]));
}

static int print_json(const an_viewer *v, const an_subject *s, bool first)
{
    json_t *top = json_array();
    bool whole = top;
    for (uint32_t i = 0; i < s->said.count; i++) {
        json_t *one = class_json(v, (int)s->said.top[i]);
        whole = whole && one && !json_object_set_new(one, "probability", json_real((double)s->said.probability[i]));
        whole = whole && !json_array_append(top, one);
        json_decref(one);
    }
    json_t *object = json_pack("{s:o, s:I, s:o?, s:o?}", "name", text_json(s->name), "index", (json_int_t)s->index,
                               "true", s->label < 0 ? NULL : class_json(v, s->label), "top", top);
    char *text = whole && object ? json_dumps(object, JSON_REAL_PRECISION(7)) : NULL;
    if (text)
        printf("%s%s", first ? "" : ",\n", text);
    free(text);
    json_decref(object);
    return text ? AN_OK : an_error(AN_ENOMEM, "out of memory for the predictions");
}

static int tell(void *context, an_subject *s)
{
    teller *t = context;
    int rc = AN_OK;
    if (t->options->json)
        rc = print_json(t->viewer, s, !t->begun);
    else
        print_text(t->viewer, s);
    t->begun = true;
    if (t->options->output && t->shown_count < SHOWN_MAX) {
        t->shown[t->shown_count++] = *s;
        *s = (an_subject){0};
    }
    return rc;
}

static int draw(const teller *t, an_canvas_kind kind)
{
    an_canvas *canvas = NULL;
    int rc = an_panel_draw(&canvas, kind, t->viewer, t->shown, t->shown_count, t->options->columns);
    if (!rc)
        rc = an_canvas_save(canvas, t->options->output);
    an_canvas_free(canvas);
    return rc;
}

static int predict(const predict_options *o, an_viewer *viewer, an_subjects *subjects, an_canvas_kind kind)
{
    an_subject shown[SHOWN_MAX] = {{0}};
    teller t = {.options = o, .viewer = viewer, .shown = shown};
    an_error_state reason = {0};
    uint64_t unusable;
    if (o->json)
        printf("[");
    int rc = an_predict(viewer, subjects, &(an_predict_watcher){tell, &t}, &unusable, &reason);
    if (o->json)
        printf("]\n");
    if (!rc && o->output && t.shown_count)
        rc = draw(&t, kind);
    if (!rc && o->output && an_subjects_count(subjects) - unusable > SHOWN_MAX)
        an_log(AN_LOG_WARNING, "'%s' shows the first %d of %" PRIu64 " images", o->output, SHOWN_MAX,
               an_subjects_count(subjects) - unusable);
    for (int i = 0; i < t.shown_count; i++)
        an_subject_free(&shown[i]);
    if (rc || !unusable)
        return rc;
    rc = an_error_restore(&reason);
    return an_error_prefix(rc, "%" PRIu64 " of %" PRIu64 " images cannot be used, the first", unusable,
                           an_subjects_count(subjects));
}

static int check(const predict_options *o, char *const *paths, an_canvas_kind *kind)
{
    if (!o->dataset == !paths[0])
        return an_error(AN_EINVAL, "give files and folders, or records by --dataset, one of the two");
    if (o->records && !o->dataset)
        return an_error(AN_EINVAL, "--records says which of a dataset: give --dataset too");
    return o->output ? an_canvas_kind_of(o->output, kind) : AN_OK;
}

static int run(const predict_options *o, char *const *paths, an_canvas_kind kind)
{
    an_dataset *dataset = NULL;
    an_viewer viewer = {0};
    an_subjects *subjects = NULL;
    int rc = o->dataset ? an_viewer_dataset(&dataset, o->dataset) : AN_OK;
    if (!rc)
        rc = an_viewer_open(&viewer, &o->viewer, dataset, true);
    if (!rc)
        rc = dataset ? an_subjects_of_records(&subjects, &viewer, dataset, o->records, (uint64_t)o->images)
                     : an_subjects_of_files(&subjects, &viewer, paths);
    if (!rc)
        rc = predict(o, &viewer, subjects, kind);
    an_subjects_free(subjects);
    an_viewer_close(&viewer);
    an_dataset_free(dataset);
    return rc;
}

int an_show_predict(int argc, char **argv)
{
    predict_options o;
    char **paths;
    an_canvas_kind kind = AN_CANVAS_PNG;
    int rc = an_options_init(&spec, &o);
    if (!rc)
        rc = an_options_parse(&spec, argc, argv, &o, &paths);
    if (!rc)
        rc = check(&o, paths, &kind);
    return rc ? rc : run(&o, paths, kind);
}
