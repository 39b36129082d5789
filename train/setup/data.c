#include "train/setup/data_private.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"

int an_train_dataset_check(const an_dataset *dataset, const an_train_config *config)
{
    const char *path = an_dataset_path(dataset);
    if (an_dataset_count(dataset) == 0)
        return an_error(AN_ECORRUPT, "'%s' holds no images", path);
    if ((uint32_t)config->crop > an_dataset_side(dataset))
        return an_error(AN_EINVAL,
                        "--crop %d is larger than the %u x %u images of '%s': use --crop %u or less, or ingest "
                        "with --size %d or more",
                        config->crop, an_dataset_side(dataset), an_dataset_side(dataset), path,
                        an_dataset_side(dataset), config->crop);
    return AN_OK;
}

static int check_training(const an_dataset *dataset, const an_train_config *config)
{
    int rc = an_train_dataset_check(dataset, config);
    if (rc)
        return rc;
    const char *path = an_dataset_path(dataset);
    uint64_t count = an_dataset_count(dataset);
    if (an_dataset_class_count(dataset) < 2)
        return an_error(AN_ECORRUPT, "'%s' has %u class: there is nothing to tell apart", path,
                        an_dataset_class_count(dataset));
    if ((uint64_t)config->overfit > count)
        return an_error(AN_EINVAL, "--overfit %d: '%s' holds only %" PRIu64 " images", config->overfit, path, count);
    if ((uint64_t)config->batch > count)
        return an_error(AN_EINVAL,
                        "--batch %d is more than the %" PRIu64 " images of '%s': use --batch %" PRIu64 " or less",
                        config->batch, count, path, count);
    return an_train_top_check(config->top, an_dataset_class_count(dataset));
}

/* Records at equal distances, so that a dataset stored class by class gives all its classes. */
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

double an_train_input_scale(const an_statistics *statistics, an_scale_kind kind)
{
    double deviation = 0;
    for (int c = 0; c < 3; c++)
        deviation += statistics->deviation[c] / 3;
    return kind == AN_SCALE_UNIT && deviation > 0 ? 1.0 / deviation : 1.0;
}

/* mean_image is what --mean subtracts: the mean image, its mean colour everywhere, or zero. */
int an_train_input_derive(const an_statistics *s, const an_train_config *config, an_train_input *out)
{
    size_t values = (size_t)s->side * s->side * 3;
    out->side = s->side;
    out->scale = an_train_input_scale(s, an_train_config_scale(config));
    out->mean_image = calloc(values, sizeof(float));
    if (!out->mean_image)
        return an_error(AN_ENOMEM, "out of memory for the mean image");
    for (size_t i = 0; i < values && config->mean != AN_MEAN_NONE; i++)
        out->mean_image[i] = config->mean == AN_MEAN_PIXEL ? s->mean_image[i] : (float)s->mean[i % 3];
    return AN_OK;
}

int an_train_data_open(an_train_data *out, const an_train_config *config, const char *training,
                       const char *const *validations)
{
    *out = (an_train_data){0};
    int rc = an_dataset_open(&out->training, training);
    if (!rc)
        rc = check_training(out->training, config);
    if (!rc)
        rc = an_train_class_ids(out->training, &out->class_ids);
    if (!rc && !config->overfit)
        rc = an_train_sets_open(out, config, validations);
    if (!rc && config->overfit)
        rc = choose_subset(out, (uint64_t)config->overfit);
    if (!rc)
        rc = an_train_input_derive(an_dataset_statistics(out->training), config, &out->input);
    if (!rc) {
        out->classes = (int)an_dataset_class_count(out->training);
        rc = an_train_class_weights(out, config->class_weights, &out->class_weights, &out->class_weights_name);
    }
    if (rc)
        an_train_data_close(out);
    return rc;
}

void an_train_data_close(an_train_data *data)
{
    an_dataset_free(data->training);
    an_train_sets_close(data);
    free(data->subset);
    free(data->class_ids);
    free(data->input.mean_image);
    free(data->class_weights);
    free(data->class_weights_name);
    *data = (an_train_data){0};
}
