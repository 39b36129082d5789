#include "tools/show/content/viewer.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/program/log.h"
#include "train/setup/data.h"
#include "train/state/text.h"

static int names_alloc(an_viewer *v)
{
    v->ids = calloc(v->classes, sizeof(*v->ids));
    v->names = calloc(v->classes, sizeof(*v->names));
    return v->ids && v->names ? AN_OK : an_error(AN_ENOMEM, "out of memory for %u class names", v->classes);
}

/* The list holds ids as state/text.h escapes them. */
static int names_from_ids(an_viewer *v, const char *ids)
{
    json_t *list = an_text_json_classes(ids);
    bool whole = true;
    for (uint32_t i = 0; i < v->classes; i++) {
        const char *id = json_string_value(json_array_get(list, i));
        v->ids[i] = an_text_unescape(id ? id : "?");
        v->names[i] = an_text_unescape(id ? id : "?");
        whole = whole && v->ids[i] && v->names[i];
    }
    json_decref(list);
    return whole ? AN_OK : an_error(AN_ENOMEM, "out of memory for %u class names", v->classes);
}

static int names_from_dataset(an_viewer *v, const an_dataset *dataset)
{
    for (uint32_t i = 0; i < v->classes; i++) {
        char *name = strdup(an_dataset_class(dataset, i)->name);
        if (!name)
            return an_error(AN_ENOMEM, "out of memory for %u class names", v->classes);
        free(v->names[i]);
        v->names[i] = name;
    }
    return AN_OK;
}

/* The training set may have been moved or replaced. Then the names stay what they are: the ids. */
static int names_from_training(an_viewer *v, const an_train_identity *identity)
{
    an_dataset *dataset = NULL;
    if (an_dataset_open(&dataset, identity->dataset))
        return AN_OK;
    int rc = AN_OK;
    if (!an_train_class_check(dataset, identity->classes, "the network"))
        rc = names_from_dataset(v, dataset);
    an_dataset_free(dataset);
    return rc;
}

static int names_find(an_viewer *v, const an_dataset *dataset)
{
    int rc = names_alloc(v);
    if (!rc)
        rc = names_from_ids(v, v->trained.class_ids);
    if (rc < 0)
        return rc;
    if (!dataset)
        return v->trained.checkpoint ? names_from_training(v, an_checkpoint_identity(v->trained.checkpoint)) : AN_OK;
    rc = an_train_class_check(dataset, v->trained.class_ids, v->trained.path);
    return rc < 0 ? rc : names_from_dataset(v, dataset);
}

an_trained_source an_viewer_source(const an_viewer_options *options, const an_dataset *dataset)
{
    return (an_trained_source){options->run, options->weights, options->recipe, dataset};
}

int an_viewer_open(an_viewer *out, const an_viewer_options *options, const an_dataset *dataset, bool exec)
{
    *out = (an_viewer){.options = *options};
    const an_trained_source source = an_viewer_source(options, dataset);
    int rc = an_trained_open_source(&out->trained, &source);
    if (!rc) {
        out->classes = (uint32_t)out->trained.classes;
        rc = an_trained_graph(&out->trained, &out->graph);
    }
    if (!rc)
        rc = names_find(out, dataset);
    if (!rc && exec)
        rc = an_trained_exec(&out->trained, options->devices, options->batch,
                             an_train_compute_threads(options->compute_threads), NULL, &out->exec);
    if (rc < 0)
        an_viewer_close(out);
    return rc;
}

void an_viewer_close(an_viewer *v)
{
    for (uint32_t i = 0; i < v->classes; i++) {
        free(v->ids ? v->ids[i] : NULL);
        free(v->names ? v->names[i] : NULL);
    }
    free(v->ids);
    free(v->names);
    an_exec_free(v->exec);
    an_trained_close(&v->trained);
    *v = (an_viewer){0};
}

int an_viewer_dataset(an_dataset **out, const char *path)
{
    int rc = an_dataset_open(out, path);
    if (!rc && an_dataset_count(*out) == 0)
        rc = an_error(AN_EINVAL, "'%s' holds no images", path);
    return rc;
}

int an_viewer_sampler(const an_viewer *v, uint32_t side, an_sampler **out)
{
    an_statistics statistics;
    an_sample_options options;
    int rc = an_train_input_sample(&v->trained.input, v->trained.config.crop, side, an_exec_input_format(v->exec),
                                   &options, &statistics);
    if (rc)
        return rc;
    return an_sampler_create(out, &options, side, &statistics);
}

int an_viewer_class(const an_viewer *v, const char *name, size_t length)
{
    for (uint32_t i = 0; i < v->classes; i++)
        if ((strlen(v->ids[i]) == length && memcmp(v->ids[i], name, length) == 0) ||
            (strlen(v->names[i]) == length && memcmp(v->names[i], name, length) == 0))
            return (int)i;
    return -1;
}
