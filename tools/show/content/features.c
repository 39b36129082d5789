#include "tools/show/content/features.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/program/progress.h"
#include "base/program/stop.h"
#include "train/setup/data.h"
#include "train/state/safetensors.h"

struct an_features {
    an_safetensors *file;
    char *path;
    int fd;
    uint64_t count, offset; /* of the first row in the file */
    uint32_t units;
};

static const an_node *weighted_before(const an_graph *graph, const an_node *node)
{
    do {
        if (!node->input_count)
            return NULL;
        node = &graph->nodes[node->inputs[0]];
    } while (!node->has_weights);
    return node;
}

int an_features_layer(const an_graph *graph, const char **layer, uint32_t *units)
{
    const an_node *last = weighted_before(graph, &graph->nodes[graph->count - 1]);
    const an_node *hidden = last ? weighted_before(graph, last) : NULL;
    if (!hidden)
        return an_error(AN_EUNSUPPORTED, "the network has no hidden layer to take features from");
    *layer = hidden->name;
    *units = (uint32_t)(hidden->layer_channels * hidden->height * hidden->width);
    return AN_OK;
}

/* Distances to values that are not finite have no order. */
static int rows_check(const float *rows, const uint64_t *indices, uint32_t count, uint32_t units)
{
    for (size_t i = 0; i < (size_t)count * units; i++)
        if (!isfinite(rows[i]))
            return an_error(AN_ECORRUPT,
                            "record %" PRIu64 ": its features are not finite: the network's weights are damaged or its "
                            "training diverged; use an earlier checkpoint",
                            indices[i / units]);
    return AN_OK;
}

static int batch_tell(an_viewer *v, const an_batch *batch, const char *layer, uint32_t units, float *rows,
                      const an_features_watcher *watcher)
{
    an_images images = an_train_images(batch);
    int rc = an_exec_evaluate(v->exec, &images, NULL, batch->count, NULL, NULL);
    if (rc == AN_ECORRUPT)
        rc = an_error_prefix(rc, "'%s'", v->trained.path);
    if (!rc)
        rc = an_exec_activation_get(v->exec, layer, batch->count, rows);
    if (!rc)
        rc = rows_check(rows, batch->indices, batch->count, units);
    return rc ? rc : watcher->rows(watcher->context, rows, batch->indices, batch->count);
}

int an_features_make(an_viewer *v, const an_dataset *dataset, const uint64_t *subset, uint64_t subset_count,
                     const an_features_watcher *watcher)
{
    an_train_view_options view = {.dataset = dataset,
                                  .input = &v->trained.input,
                                  .subset = subset,
                                  .subset_count = subset_count,
                                  .crop = v->trained.config.crop,
                                  .batch = v->options.batch,
                                  .threads = an_train_loader_threads(v->exec, v->options.loader_threads)};
    an_loader *loader = NULL;
    const char *layer = NULL;
    uint32_t units = 0;
    int rc = an_features_layer(&v->graph, &layer, &units);
    if (rc < 0)
        return rc;
    float *rows = malloc((size_t)v->options.batch * units * sizeof(*rows));
    rc = rows ? an_train_view_loader(&view, v->exec, &loader) : an_error(AN_ENOMEM, "out of memory for features");
    while (!rc) {
        an_batch batch;
        rc = an_stop_requested() ? AN_STOPPED : an_loader_next(loader, &batch);
        if (rc)
            break;
        rc = batch_tell(v, &batch, layer, units, rows, watcher);
        int released = an_loader_release(loader, &batch);
        if (!rc)
            rc = released;
    }
    an_loader_free(loader);
    free(rows);
    return rc == AN_END ? AN_OK : rc;
}

/* All that the values of features depend on, as it stands in the file's metadata. */
typedef struct {
    const char *layer, *precision, *devices;
    char weights[32]; /* the checksum of the file that the weights came from; empty if it carries none */
    char dataset[17]; /* fingerprint */
    uint32_t units;
    uint64_t count;
} identity;

static const char *const identity_keys[] = {"layer", "weights", "dataset.fingerprint", "precision", "devices"};
#define IDENTITY_KEYS (sizeof(identity_keys) / sizeof(identity_keys[0]))

/* The values of identity_keys. */
static void identity_values(const identity *id, const char *out[IDENTITY_KEYS])
{
    const char *values[IDENTITY_KEYS] = {id->layer, id->weights, id->dataset, id->precision, id->devices};
    memcpy(out, values, sizeof(values));
}

static const char *precision_name(int precision)
{
    switch ((an_precision)precision) {
    case AN_PRECISION_F32:
        return "fp32";
    case AN_PRECISION_BF16:
        return "bf16";
    case AN_PRECISION_TF32:
        return "tf32";
    }
    return "unknown";
}

/* Of what v would compute now over dataset. The names belong to v. */
static int identity_make(identity *id, const an_viewer *v, const an_dataset *dataset)
{
    an_safetensors *file;
    *id = (identity){.precision = precision_name(v->trained.config.precision),
                     .devices = v->options.devices,
                     .count = an_dataset_count(dataset)};
    int rc = an_features_layer(&v->graph, &id->layer, &id->units);
    if (rc)
        return rc;
    rc = an_safetensors_open(&file, v->trained.path);
    if (rc)
        return rc;
    const char *checksum = an_safetensors_metadata(file, "xxh3");
    snprintf(id->weights, sizeof(id->weights), "%s", checksum ? checksum : "");
    an_safetensors_free(file);
    snprintf(id->dataset, sizeof(id->dataset), "%016" PRIx64, an_dataset_fingerprint(dataset));
    return AN_OK;
}

typedef struct {
    an_file_writer *file;
    an_progress progress;
    uint64_t done;
    uint32_t units;
} saver;

static int save_rows(void *context, const float *rows, const uint64_t *indices, uint32_t count)
{
    saver *s = context;
    (void)indices; /* stored order */
    an_progress_update(&s->progress, s->done += count, NULL);
    return an_file_writer_write(s->file, rows, (size_t)count * s->units * sizeof(*rows));
}

/* The header of a safetensors file, as an object; NULL without memory. */
static json_t *header_make(const identity *id)
{
    json_int_t bytes = (json_int_t)(id->count * id->units * sizeof(float));
    json_t *json = json_pack("{s:{}, s:{s:s, s:[I, I], s:[I, I]}}", "__metadata__", "features", "dtype", "F32", "shape",
                             (json_int_t)id->count, (json_int_t)id->units, "data_offsets", (json_int_t)0, bytes);
    json_t *metadata = json_object_get(json, "__metadata__");
    const char *values[IDENTITY_KEYS];
    identity_values(id, values);
    for (size_t i = 0; i < IDENTITY_KEYS; i++) {
        if (json_object_set_new(metadata, identity_keys[i], json_string(values[i]))) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

static int header_write(saver *s, const identity *id)
{
    json_t *json = header_make(id);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    an_buffer header = {0};
    uint8_t length[8];
    int rc = text ? an_buffer_printf(&header, "%s%*s", text, (int)(-strlen(text) & 7), "")
                  : an_error(AN_EINTERNAL, "cannot write a header of features");
    an_bytes_put_u64(length, header.size);
    if (!rc)
        rc = an_file_writer_write(s->file, length, sizeof(length));
    if (!rc)
        rc = an_file_writer_write(s->file, header.data, header.size);
    an_buffer_free(&header);
    free(text);
    json_decref(json);
    return rc;
}

static int features_save(const char *path, an_viewer *v, const an_dataset *dataset)
{
    saver s = {0};
    identity id;
    int rc = identity_make(&id, v, dataset);
    if (rc)
        return rc;
    rc = an_file_writer_open(&s.file, path);
    if (rc)
        return rc;
    an_stop_at_once(false); /* a file that is begun is removed again */
    s.units = id.units;
    an_progress_start(&s.progress, "features", "images", 0, an_dataset_count(dataset), false);
    rc = header_write(&s, &id);
    if (!rc)
        rc = an_features_make(v, dataset, NULL, 0, &(an_features_watcher){save_rows, &s});
    an_progress_finish(&s.progress, s.done, NULL);
    if (rc)
        an_file_writer_abort(s.file);
    else
        rc = an_file_writer_commit(s.file);
    an_stop_at_once(true);
    return rc;
}

static int place_rows(an_features *f)
{
    uint8_t length[8];
    const an_safetensor *t = an_safetensors_find(f->file, "features");
    if (!t || t->rank != 2 || strcmp(t->dtype, "F32") != 0 || !t->shape[0] || !t->shape[1] || t->shape[1] > 1 << 20)
        return an_error(AN_ECORRUPT, "'%s' holds no features (a table of float32)", f->path);
    int rc = an_file_open(&f->fd, f->path);
    if (rc)
        return rc;
    rc = an_file_pread(f->fd, length, sizeof(length), 0, f->path);
    f->offset = sizeof(length) + an_bytes_u64(length) + t->begin;
    f->count = t->shape[0];
    f->units = (uint32_t)t->shape[1];
    return rc;
}

int an_features_open(an_features **out, const char *path)
{
    an_features *f = calloc(1, sizeof(*f));
    if (!f)
        return an_error(AN_ENOMEM, "out of memory for features");
    f->fd = -1;
    int rc = (f->path = strdup(path)) ? an_safetensors_open(&f->file, path) : an_error(AN_ENOMEM, "out of memory");
    if (!rc)
        rc = place_rows(f);
    if (rc < 0)
        an_features_free(f);
    else
        *out = f;
    return rc;
}

void an_features_free(an_features *f)
{
    if (!f)
        return;
    if (f->fd >= 0)
        close(f->fd);
    an_safetensors_free(f->file);
    free(f->path);
    free(f);
}

/* Whether the file holds what v would compute now over dataset. Weights without a checksum could be any. */
static int matches(const an_features *f, const an_viewer *v, const an_dataset *dataset, bool *out)
{
    identity id;
    const char *values[IDENTITY_KEYS];
    int rc = identity_make(&id, v, dataset);
    if (rc)
        return rc;
    identity_values(&id, values);
    *out = id.weights[0] && f->units == id.units && f->count == id.count;
    for (size_t i = 0; i < IDENTITY_KEYS; i++) {
        const char *stored = an_safetensors_metadata(f->file, identity_keys[i]);
        *out = *out && stored && strcmp(stored, values[i]) == 0;
    }
    return AN_OK;
}

/* A file that holds no features is not overwritten. */
int an_features_get(an_features **out, const char *path, an_viewer *viewer, const an_dataset *dataset)
{
    bool fit = false;
    an_features *f = NULL;
    int rc = access(path, F_OK) == 0 ? an_features_open(&f, path) : AN_ENOTFOUND;
    if (rc < 0 && rc != AN_ENOTFOUND)
        return an_error_prefix(rc, "give --features another name");
    if (!rc)
        rc = matches(f, viewer, dataset, &fit);
    if (!rc && fit) {
        *out = f;
        return AN_OK;
    }
    an_features_free(f);
    if (rc < 0 && rc != AN_ENOTFOUND)
        return rc;
    rc = features_save(path, viewer, dataset);
    return rc ? rc : an_features_open(out, path);
}

uint64_t an_features_count(const an_features *features)
{
    return features->count;
}

uint32_t an_features_units(const an_features *features)
{
    return features->units;
}

int an_features_read(const an_features *f, uint64_t first, uint64_t count, float *out)
{
    size_t row = (size_t)f->units * sizeof(float);
    int rc = an_file_pread(f->fd, out, count * row, f->offset + first * row, f->path);
    if (rc)
        return rc;
    for (size_t i = 0; i < count * f->units; i++)
        if (!isfinite(out[i]))
            return an_error(AN_ECORRUPT, "'%s': the features of image %" PRIu64 " are not finite: delete the file",
                            f->path, first + i / f->units);
    return AN_OK;
}
