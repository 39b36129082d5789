/* Weights alone, as another program wrote them: what a checkpoint would tell comes from a recipe and a dataset. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/program/log.h"
#include "train/setup/data.h"
#include "train/setup/network.h"
#include "train/trained/trained_private.h"

/* A recipe may be a whole run's, with options that are no part of it. */
static int read_recipe(an_trained *t, const char *path)
{
    const an_options every = {.program = "an-train", .options = an_train_options};
    int rc = an_options_init(&every, &t->config);
    return rc ? rc : an_options_read_file(&every, path, &t->config);
}

/* The last node that has weights; a network has one at least. */
static const an_node *last_layer(const an_graph *graph)
{
    int last = graph->count - 1;
    while (last > 0 && !graph->nodes[last].has_weights)
        last--;
    return &graph->nodes[last];
}

/* The network has as many classes as its last layer has biases. */
static int count_outputs(an_trained *t)
{
    enum { ANY = 2, CLASSES_MAX = 1 << 24 };
    an_graph graph;
    char name[sizeof(graph.nodes[0].name) + 8];
    int rc = an_network_build(&t->config, ANY, &graph);
    if (rc)
        return rc;
    snprintf(name, sizeof(name), "%s.bias", last_layer(&graph)->name);
    const an_safetensor *bias = an_weights_tensor(t->alone, name);
    if (!bias || bias->rank != 1 || bias->shape[0] < 2 || bias->shape[0] > CLASSES_MAX)
        return an_error(AN_EINVAL,
                        "'%s' lacks '%s', the biases of the last layer: the recipe is another network's, or the names "
                        "are not those that an-train export writes",
                        t->path, name);
    t->classes = (int)bias->shape[0];
    return AN_OK;
}

static int number_classes(an_trained *t)
{
    an_buffer list = {0};
    int rc = an_buffer_printf(&list, "[");
    for (int i = 0; i < t->classes && !rc; i++)
        rc = an_buffer_printf(&list, "%s\"%d\"", i ? "," : "", i);
    if (!rc)
        rc = an_buffer_printf(&list, "]");
    if (rc)
        an_buffer_free(&list);
    t->own_class_ids = (char *)list.data;
    return rc;
}

static int find_classes(an_trained *t, const an_dataset *dataset)
{
    int rc = dataset ? an_train_class_ids(dataset, &t->own_class_ids) : number_classes(t);
    t->class_ids = t->own_class_ids;
    if (rc || !dataset || an_dataset_class_count(dataset) == (uint32_t)t->classes)
        return rc;
    return an_error(AN_EINVAL, "'%s' has %u classes, '%s' tells %d apart: they do not belong together",
                    an_dataset_path(dataset), an_dataset_class_count(dataset), t->path, t->classes);
}

/* What the file lacks is made of the dataset, as for a training on it. */
static int derive_input(an_trained *t, const an_dataset *dataset)
{
    bool unit = an_train_config_scale(&t->config) == AN_SCALE_UNIT;
    an_log(AN_LOG_INFO,
           "'%s' lacks input.mean_image and input.scale: images are prepared as for a training on '%s', by its "
           "statistics, --mean and --input-scale %s",
           t->path, an_dataset_path(dataset), unit ? "unit" : "paper");
    return an_train_input_derive(an_dataset_statistics(dataset), &t->config, &t->input);
}

static int find_input(an_trained *t, const an_dataset *dataset)
{
    int rc = an_weights_input(t->alone, &t->input);
    if (rc == AN_END)
        return dataset ? derive_input(t, dataset) : AN_OK;
    return rc;
}

int an_trained_open_alone(an_trained *out, const an_trained_source *source)
{
    bool ours = false;
    int rc = an_weights_ask(source->weights, &ours);
    if (rc)
        return rc;
    if (ours)
        return an_error(AN_EINVAL, "'%s' holds its own recipe: leave out --recipe", source->weights);
    rc = an_weights_open(&out->alone, source->weights);
    if (rc)
        return rc;
    out->path = an_weights_path(out->alone);
    rc = read_recipe(out, source->recipe);
    if (!rc)
        rc = count_outputs(out);
    if (!rc)
        rc = find_classes(out, source->dataset);
    return rc ? rc : find_input(out, source->dataset);
}
