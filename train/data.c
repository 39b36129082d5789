#include "train/data.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/thread.h"

/* ---- Classes ---- */

int an_train_class_ids(const an_dataset *dataset, char **out)
{
    json_t *list = json_array();
    int failed = list ? 0 : -1;
    for (uint32_t i = 0; i < an_dataset_class_count(dataset); i++)
        failed |= json_array_append_new(list, json_string(an_dataset_class(dataset, i)->id));
    *out = failed ? NULL : json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return *out ? AN_OK : an_error(AN_EINVAL, "'%s': a class name is not UTF-8", an_dataset_path(dataset));
}

int an_train_class_check(const an_dataset *dataset, const char *ids, const char *origin)
{
    json_t *list = json_loads(ids, 0, NULL);
    if (!json_is_array(list)) {
        json_decref(list);
        return an_error(AN_ECORRUPT, "'%s': its list of classes is unreadable", origin);
    }
    int rc = AN_OK;
    size_t count = json_array_size(list), here = an_dataset_class_count(dataset);
    if (count != here)
        rc = an_error(AN_EINVAL, "'%s' has %zu classes, '%s' has %zu: they do not belong together",
                      an_dataset_path(dataset), here, origin, count);
    for (size_t i = 0; rc == AN_OK && i < count; i++) {
        const char *theirs = json_string_value(json_array_get(list, i));
        const char *ours = an_dataset_class(dataset, (uint32_t)i)->id;
        if (!theirs || strcmp(theirs, ours) != 0)
            rc = an_error(AN_EINVAL, "class %zu is '%s' in '%s' but '%s' in '%s': they do not belong together", i, ours,
                          an_dataset_path(dataset), theirs ? theirs : "?", origin);
    }
    json_decref(list);
    return rc;
}

/* ---- Opening ---- */

static int check_dataset(const an_dataset *dataset, const an_train_config *config)
{
    const char *path = an_dataset_path(dataset);
    if (an_dataset_count(dataset) == 0)
        return an_error(AN_EINVAL, "'%s' holds no images", path);
    if ((uint32_t)config->crop > an_dataset_side(dataset))
        return an_error(AN_EINVAL, "--crop %d is larger than the %u x %u images of '%s': use --crop %u or less, or ingest "
                        "with --size %d or more", config->crop, an_dataset_side(dataset), an_dataset_side(dataset), path,
                        an_dataset_side(dataset), config->crop);
    return AN_OK;
}

static int check_training(const an_dataset *dataset, const an_train_config *config)
{
    int rc = check_dataset(dataset, config);
    if (rc < 0)
        return rc;
    const char *path = an_dataset_path(dataset);
    uint64_t count = an_dataset_count(dataset);
    if (an_dataset_class_count(dataset) < 2)
        return an_error(AN_EINVAL, "'%s' has %u class: there is nothing to tell apart", path,
                        an_dataset_class_count(dataset));
    if ((uint64_t)config->overfit > count)
        return an_error(AN_EINVAL, "--overfit %d: '%s' holds only %" PRIu64 " images", config->overfit, path, count);
    if ((uint64_t)config->batch > count)
        return an_error(AN_EINVAL, "--batch %d is more than the %" PRIu64 " images of '%s': use --batch %" PRIu64 " or less",
                        config->batch, count, path, count);
    return AN_OK;
}

static int open_validation(an_train_data *data, const an_train_config *config, const char *path)
{
    int rc = an_dataset_open(&data->validation, path);
    if (rc == AN_OK)
        rc = check_dataset(data->validation, config);
    if (rc == AN_OK)
        rc = an_train_class_check(data->validation, data->class_ids, an_dataset_path(data->training));
    if (rc == AN_OK && config->mean == AN_MEAN_PIXEL &&
        an_dataset_side(data->validation) != an_dataset_side(data->training))
        rc = an_error(AN_EINVAL, "'%s' holds %u px images, '%s' %u px: ingest both with one --size, or use --mean channel",
                      path, an_dataset_side(data->validation), an_dataset_path(data->training),
                      an_dataset_side(data->training));
    return rc;
}

/* Evenly spaced, so that a dataset stored by class still gives all of them. */
static int choose_subset(an_train_data *data, uint64_t wanted)
{
    data->subset = calloc(wanted, sizeof(*data->subset));
    if (!data->subset)
        return an_error(AN_ENOMEM, "out of memory for --overfit %" PRIu64, wanted);
    uint64_t count = an_dataset_count(data->training);
    for (uint64_t i = 0; i < wanted; i++)
        data->subset[i] = (uint64_t)((double)i * (double)count / (double)wanted);
    data->subset_count = wanted;
    return AN_OK;
}

static double unit_scale(const an_statistics *statistics)
{
    double deviation = 0;
    for (int c = 0; c < 3; c++)
        deviation += statistics->deviation[c] / 3;
    return deviation > 0 ? 1.0 / deviation : 1.0;
}

/* The mean image as it is subtracted: itself, one colour everywhere, or black. */
static int derive_input(an_train_data *data, const an_train_config *config)
{
    const an_statistics *s = an_dataset_statistics(data->training);
    size_t values = (size_t)s->side * s->side * 3;
    data->input.side = s->side;
    data->input.scale = an_train_config_scale(config) == AN_SCALE_UNIT ? unit_scale(s) : 1.0;
    data->input.mean_image = calloc(values, sizeof(float));
    if (!data->input.mean_image)
        return an_error(AN_ENOMEM, "out of memory for the mean image");
    for (size_t i = 0; i < values && config->mean != AN_MEAN_NONE; i++)
        data->input.mean_image[i] = config->mean == AN_MEAN_PIXEL ? s->mean_image[i] : (float)s->mean[i % 3];
    return AN_OK;
}

int an_train_data_open(an_train_data *out, const an_train_config *config, const char *training, const char *validation)
{
    *out = (an_train_data){0};
    int rc = an_dataset_open(&out->training, training);
    if (rc == AN_OK)
        rc = check_training(out->training, config);
    if (rc == AN_OK)
        rc = an_train_class_ids(out->training, &out->class_ids);
    if (rc == AN_OK && validation && !config->overfit)
        rc = open_validation(out, config, validation);
    if (rc == AN_OK && config->overfit)
        rc = choose_subset(out, (uint64_t)config->overfit);
    if (rc == AN_OK)
        rc = derive_input(out, config);
    if (rc < 0) {
        an_train_data_close(out);
        return rc;
    }
    out->classes = (int)an_dataset_class_count(out->training);
    return AN_OK;
}

void an_train_data_close(an_train_data *data)
{
    an_dataset_free(data->training);
    an_dataset_free(data->validation);
    free(data->subset);
    free(data->class_ids);
    free(data->input.mean_image);
    *data = (an_train_data){0};
}

/* ---- Threads ---- */

int an_train_loader_threads(int wanted)
{
    return wanted ? wanted : (an_thread_cpu_count() + 3) / 4;
}

int an_train_compute_threads(int wanted)
{
    return wanted ? wanted : an_thread_cpu_count();
}

/* ---- Loaders ---- */

enum { READ_DEPTH = 64, SLOTS = 3 };

int an_train_data_loader(const an_train_data *data, const an_train_config *config, an_format format, int threads,
                         uint64_t epoch, uint64_t step, an_loader **out)
{
    an_loader_options options = {
        .dataset = data->training,
        .sample = {.crop = (uint32_t)config->crop,
                   .random_crop = !config->no_random_crop,
                   .flip = !config->no_flip,
                   .jitter = config->jitter,
                   .mean = (an_mean_kind)config->mean,
                   .scale = data->input.scale,
                   .format = format},
        .engine = (an_reader_engine)config->engine,
        .depth = READ_DEPTH,
        .threads = threads,
        .slots = SLOTS,
        .batch = (uint32_t)config->batch,
        .seed = config->seed,
        .order = (an_order_kind)config->order,
        .block = (uint64_t)config->order_block,
        .world = 1,
        .drop_last = true,
        .verify = true,
        .first_epoch = epoch,
        .first_step = step,
        .subset = data->subset,
        .subset_count = data->subset_count,
    };
    return an_loader_create(out, &options);
}

static bool one_colour(const an_train_input *input)
{
    size_t values = (size_t)input->side * input->side * 3;
    for (size_t i = 3; i < values; i++)
        if (input->mean_image[i] != input->mean_image[i - 3])
            return false;
    return true;
}

int an_view_sample(const an_view_options *o, an_sample_options *sample, an_statistics *statistics)
{
    uint32_t side = an_dataset_side(o->dataset);
    if ((uint32_t)o->crop > side)
        return an_error(AN_EINVAL, "'%s' holds %u px images, but the network wants %d: ingest it with --size %d or more",
                        an_dataset_path(o->dataset), side, o->crop, o->crop);
    if (side != o->input->side && !one_colour(o->input))
        return an_error(AN_EINVAL, "'%s' holds %u px images, but a mean image of %u px is subtracted: ingest it with "
                        "--size %u", an_dataset_path(o->dataset), side, o->input->side, o->input->side);
    /* Only the mean is looked at; samplers copy what they need. */
    *statistics = (an_statistics){.side = o->input->side, .images = 1, .mean_image = o->input->mean_image};
    for (int c = 0; c < 3; c++)
        statistics->mean[c] = (double)o->input->mean_image[c];
    *sample = (an_sample_options){.crop = (uint32_t)o->crop,
                                  .mean = side == o->input->side ? AN_MEAN_PIXEL : AN_MEAN_CHANNEL,
                                  .scale = o->input->scale,
                                  .format = o->format};
    return AN_OK;
}

int an_view_loader(const an_view_options *o, an_loader **out)
{
    an_statistics statistics;
    an_loader_options options = {
        .dataset = o->dataset,
        .statistics = &statistics,
        .engine = (an_reader_engine)o->engine,
        .depth = READ_DEPTH,
        .threads = o->threads,
        .slots = SLOTS,
        .batch = (uint32_t)o->batch,
        .order = AN_ORDER_SEQUENTIAL,
        .block = 1,
        .verify = true,
        .world = 1,
        .epochs = 1,
        .subset = o->subset,
        .subset_count = o->subset_count,
    };
    int rc = an_view_sample(o, &options.sample, &statistics);
    return rc < 0 ? rc : an_loader_create(out, &options);
}
