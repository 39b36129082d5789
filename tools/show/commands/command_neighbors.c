#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/program/log.h"
#include "base/program/options.h"
#include "base/text/utf8.h"
#include "tools/show/commands/commands.h"
#include "tools/show/views/neighbors_draw.h"
#include "train/setup/data.h"

#define BLOCK 2048    /* queries compared at a time */
#define SHOWN_MAX 100 /* queries on a panel */

typedef struct {
    an_viewer_options viewer;
    const char *features, *output;
    int images, nearest;
    bool all;
} neighbors_options;

static const an_option table[] = {
    {.heading = "Options:"},
    AN_VIEWER_WEIGHTS(neighbors_options, viewer),
    {.name = "features",
     .key = 'f',
     .type = AN_OPTION_STRING,
     .metavar = "FILE",
     .initial = "features.safetensors",
     .offset = offsetof(neighbors_options, features),
     .help = "features of the training set: read if the file belongs to it and to these weights, else made and kept"},
    {.name = "images",
     .key = 'n',
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "5",
     .min = 1,
     .max = 1000000,
     .offset = offsetof(neighbors_options, images),
     .help = "so many queries, evenly spaced"},
    {.name = "all",
     .type = AN_OPTION_FLAG,
     .offset = offsetof(neighbors_options, all),
     .help = "every image is a query"},
    {.name = "nearest",
     .key = 'k',
     .type = AN_OPTION_INT,
     .metavar = "K",
     .initial = "6",
     .min = 1,
     .max = 1000,
     .offset = offsetof(neighbors_options, nearest),
     .help = "training images found for each"},
    {.name = "output",
     .key = 'o',
     .type = AN_OPTION_STRING,
     .metavar = "PICTURE",
     .offset = offsetof(neighbors_options, output),
     .help = "draw the queries with their neighbours: .png, .svg or .pdf"},
    AN_VIEWER_MACHINE(neighbors_options, viewer),
    AN_VIEWER_LOADER(neighbors_options, viewer),
    {0},
};

static const an_options spec = {
    .program = "an-show neighbors",
    .usage = "TRAINING QUERIES",
    .summary =
        "For images of the dataset QUERIES find the nearest ones of TRAINING by Euclidean distance between the "
        "features of the last hidden layer (AlexNet: 4096), exactly. Prints a line for each pair, separated by tabs: "
        "query, rank, training image (record numbers), distance, and both classes. --output draws the right panel of "
        "the paper's Figure 4.",
    .epilogue = "Examples:\n"
                "  $ an-show neighbors --run runs/first data/train data/val -o neighbors.png\n"
                "  $ an-show neighbors --run runs/first --all -k 1 data/train data/val >nearest.tsv",
    .options = table,
    .arguments_min = 2,
    .arguments_max = 2,
};

typedef struct {
    const neighbors_options *options;
    const an_dataset *training, *queries;
    const an_features *base;
    float *rows;       /* BLOCK x units */
    uint64_t *indices; /* BLOCK */
    uint32_t filled;
    an_neighbor *found;
    an_neighbors_panel *panel; /* of the first queries; its arrays have room */
} finder;

static const char *class_of(const an_dataset *dataset, uint64_t index)
{
    return an_dataset_class(dataset, an_dataset_index(dataset)[index].label)->name;
}

static void print(const finder *f, uint32_t q)
{
    uint32_t nearest = (uint32_t)f->options->nearest;
    for (uint32_t i = 0; i < nearest; i++) {
        const an_neighbor *n = &f->found[(size_t)q * nearest + i];
        printf("%" PRIu64 "\t%u\t%" PRIu64 "\t%.6g\t%s\t%s\n", f->indices[q], i + 1, n->index, n->distance,
               an_shown_make(class_of(f->queries, f->indices[q])).text,
               an_shown_make(class_of(f->training, n->index)).text);
    }
}

static void show(finder *f, uint32_t q)
{
    an_neighbors_panel *p = f->panel;
    size_t nearest = p->nearest;
    if (p->count == SHOWN_MAX)
        return;
    memcpy((an_neighbor *)p->neighbors + p->count * nearest, f->found + q * nearest, nearest * sizeof(*f->found));
    ((uint64_t *)p->indices)[p->count++] = f->indices[q];
}

static int flush(finder *f)
{
    if (!f->filled)
        return AN_OK;
    int rc = an_nearest_find(f->base, f->rows, f->filled, (uint32_t)f->options->nearest,
                             f->options->viewer.compute_threads, f->found);
    for (uint32_t q = 0; !rc && q < f->filled; q++) {
        print(f, q);
        show(f, q);
    }
    f->filled = 0;
    return rc;
}

static int rows_take(void *context, const float *rows, const uint64_t *indices, uint32_t count)
{
    finder *f = context;
    size_t units = an_features_units(f->base);
    int rc = AN_OK;
    for (uint32_t i = 0; !rc && i < count; i++) {
        memcpy(f->rows + f->filled * units, rows + i * units, units * sizeof(*rows));
        f->indices[f->filled++] = indices[i];
        if (f->filled == BLOCK)
            rc = flush(f);
    }
    return rc;
}

/* Evenly spaced records; NULL: all. */
static int subset_make(const neighbors_options *o, const an_dataset *queries, uint64_t **out, uint64_t *count)
{
    uint64_t total = an_dataset_count(queries);
    *out = NULL;
    *count = o->all || (uint64_t)o->images > total ? total : (uint64_t)o->images;
    if (*count == total)
        return AN_OK;
    *out = malloc(*count * sizeof(**out));
    for (uint64_t i = 0; *out && i < *count; i++)
        (*out)[i] = (uint64_t)((double)i * (double)total / (double)*count);
    return *out ? AN_OK : an_error(AN_ENOMEM, "out of memory for %" PRIu64 " queries", *count);
}

static int search(finder *f, an_viewer *viewer)
{
    uint64_t *subset, count;
    int rc = subset_make(f->options, f->queries, &subset, &count);
    if (!rc)
        rc = an_features_make(viewer, f->queries, subset, subset ? count : 0, &(an_features_watcher){rows_take, f});
    if (!rc)
        rc = flush(f);
    free(subset);
    if (!rc && f->options->output && count > SHOWN_MAX)
        an_log(AN_LOG_WARNING, "'%s' shows the first %d of %" PRIu64 " queries", f->options->output, SHOWN_MAX, count);
    return rc;
}

static int draw(const neighbors_options *o, an_canvas_kind kind, const an_neighbors_panel *panel)
{
    an_canvas *canvas = NULL;
    int rc = an_neighbors_draw(&canvas, kind, panel);
    if (!rc)
        rc = an_canvas_save(canvas, o->output);
    an_canvas_free(canvas);
    return rc;
}

static int find(const neighbors_options *o, an_canvas_kind kind, an_viewer *viewer, const an_dataset *training,
                const an_dataset *queries)
{
    an_features *base = NULL;
    int rc = an_features_get(&base, o->features, viewer, training);
    if (rc)
        return rc;
    size_t nearest = (size_t)o->nearest;
    uint64_t *indices = calloc(SHOWN_MAX, sizeof(*indices));
    an_neighbor *neighbors = calloc(SHOWN_MAX * nearest, sizeof(*neighbors));
    an_neighbors_panel panel = {queries, training, indices, neighbors, 0, (uint32_t)nearest};
    finder f = {o,
                training,
                queries,
                base,
                malloc((size_t)BLOCK * an_features_units(base) * sizeof(float)),
                calloc(BLOCK, sizeof(uint64_t)),
                0,
                calloc(BLOCK * nearest, sizeof(an_neighbor)),
                &panel};
    rc = indices && neighbors && f.rows && f.indices && f.found ? search(&f, viewer)
                                                                : an_error(AN_ENOMEM, "out of memory for queries");
    if (!rc && o->output)
        rc = draw(o, kind, &panel);
    free(f.rows);
    free(f.indices);
    free(f.found);
    free(indices);
    free(neighbors);
    an_features_free(base);
    return rc;
}

static int run(const neighbors_options *o, an_canvas_kind kind, char *const *paths)
{
    an_dataset *training = NULL, *queries = NULL;
    an_viewer viewer = {0};
    int rc = an_viewer_dataset(&training, paths[0]);
    if (!rc)
        rc = an_viewer_dataset(&queries, paths[1]);
    if (!rc)
        rc = an_viewer_open(&viewer, &o->viewer, training, true);
    if (!rc)
        rc = an_train_class_check(queries, viewer.trained.class_ids, viewer.trained.path);
    if (!rc && (uint64_t)o->nearest > an_dataset_count(training))
        rc = an_error(AN_EINVAL, "--nearest %d: '%s' holds only %" PRIu64 " images", o->nearest, paths[0],
                      an_dataset_count(training));
    if (!rc)
        rc = find(o, kind, &viewer, training, queries);
    an_viewer_close(&viewer);
    an_dataset_free(queries);
    an_dataset_free(training);
    return rc;
}

int an_show_neighbors(int argc, char **argv)
{
    neighbors_options o;
    char **paths;
    an_canvas_kind kind = AN_CANVAS_PNG;
    int rc = an_options_init(&spec, &o);
    if (!rc)
        rc = an_options_parse(&spec, argc, argv, &o, &paths);
    if (!rc && o.output)
        rc = an_canvas_kind_of(o.output, &kind);
    return rc ? rc : run(&o, kind, paths);
}
