/* Weights alone, as another program wrote them: what a checkpoint would tell comes from a recipe and a dataset. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "train/setup/data.h"
#include "train/setup/network.h"
#include "train/setup/trained_private.h"
#include "train/state/safetensors.h"

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
static int count_outputs(an_trained *t, const an_safetensors *file)
{
    enum { ANY = 2, CLASSES_MAX = 1 << 24 };
    an_graph graph;
    char name[sizeof(graph.nodes[0].name) + 8];
    int rc = an_network_build(&t->config, ANY, &graph);
    if (rc)
        return rc;
    snprintf(name, sizeof(name), "%s.bias", last_layer(&graph)->name);
    const an_safetensor *bias = an_safetensors_find(file, name);
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

static int read_input(an_trained *t, an_safetensors *file, const an_safetensor *mean, const an_safetensor *scale)
{
    enum { SIDE_MAX = 1 << 15 };
    float factor;
    uint64_t side = mean->rank == 3 ? mean->shape[0] : 0;
    if (!side || side > SIDE_MAX || mean->shape[1] != side || mean->shape[2] != 3 || scale->rank != 1 ||
        scale->shape[0] != 1)
        return an_error(AN_EINVAL, "'%s': input.mean_image is not of side x side x 3 values, or input.scale not of one",
                        t->path);
    t->input.side = (uint32_t)side;
    t->input.mean_image = malloc(side * side * 3 * sizeof(float));
    if (!t->input.mean_image)
        return an_error(AN_ENOMEM, "out of memory for the mean image");
    int rc = an_safetensors_read(file, mean, t->input.mean_image);
    if (!rc)
        rc = an_safetensors_read(file, scale, &factor);
    if (rc)
        return rc;
    t->input.scale = factor;
    if (!an_safetensors_finite(t->input.mean_image, side * side * 3))
        return an_safetensors_not_finite(t->path, mean->name);
    return an_checkpoint_check_scale(t->path, factor);
}

static int find_input(an_trained *t, an_safetensors *file, const an_dataset *dataset)
{
    const an_safetensor *mean = an_safetensors_find(file, "input.mean_image"),
                        *scale = an_safetensors_find(file, "input.scale");
    if (!mean != !scale)
        return an_error(AN_EINVAL, "'%s' has %s without %s", t->path, mean ? "input.mean_image" : "input.scale",
                        mean ? "input.scale" : "input.mean_image");
    if (mean)
        return read_input(t, file, mean, scale);
    return dataset ? an_train_input_derive(an_dataset_statistics(dataset), &t->config, &t->input) : AN_OK;
}

/* What an-train wrote tells all that by itself. */
static int check_file(const an_trained *t, const an_safetensors *file)
{
    const char *format = an_safetensors_metadata(file, "format");
    if (!format || strcmp(format, "an-checkpoint") != 0)
        return AN_OK;
    return an_error(AN_EINVAL, "'%s' holds its own recipe: leave out --recipe", t->path);
}

int an_trained_open_alone(an_trained *out, const an_trained_source *source)
{
    an_safetensors *file = NULL;
    out->path = out->own_path = strdup(source->weights);
    if (!out->path)
        return an_error(AN_ENOMEM, "out of memory for '%s'", source->weights);
    int rc = an_safetensors_open(&file, source->weights);
    if (!rc)
        rc = check_file(out, file);
    if (!rc)
        rc = read_recipe(out, source->recipe);
    if (!rc)
        rc = count_outputs(out, file);
    if (!rc)
        rc = find_classes(out, source->dataset);
    if (!rc)
        rc = find_input(out, file, source->dataset);
    an_safetensors_free(file);
    return rc;
}
