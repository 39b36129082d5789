#include "train/loop/trainer_private.h"

#include "base/cpu.h"
#include "base/error.h"
#include "base/program/version.h"
#include "base/version.h"

static an_start_dataset dataset_of(const an_dataset *dataset)
{
    return (an_start_dataset){an_dataset_path(dataset), an_dataset_fingerprint(dataset), an_dataset_count(dataset)};
}

int an_trainer_tell_start(an_trainer *t)
{
    const an_train_data *data = &t->session.data;
    an_buffer accelerators = {0}, ranks = {0};
    if (an_group_rank(t->group))
        return AN_OK;
    int rc = an_exec_accelerators(t->session.exec, &accelerators);
    if (!rc)
        rc = an_buffer_append(&accelerators, "", 1);
    if (!rc && t->group)
        rc = an_group_describe(t->group, &ranks);
    an_start_dataset validations[AN_TRAIN_SETS_MAX];
    for (int i = 0; i < data->set_count; i++)
        validations[i] = dataset_of(data->sets[i].dataset);
    an_train_start start = {.version = AN_VERSION,
                            .commit = an_version_commit(),
                            .processor = an_cpu_describe(),
                            .devices = t->config->devices,
                            .accelerators = (const char *)accelerators.data,
                            .ranks = (const char *)ranks.data,
                            .compute_threads = t->session.compute_threads,
                            .loader_threads = t->session.loader_threads,
                            .training = dataset_of(data->training),
                            .validation = validations,
                            .validations = data->set_count,
                            .weights = t->config->weights,
                            .checkpoint = t->checkpoint[0] ? t->checkpoint : NULL,
                            .recipe = (const char *)t->recipe.data};
    if (!rc)
        rc = an_trainer_tell(t, &(an_train_event){.kind = AN_EVENT_START, .start = &start});
    an_buffer_free(&accelerators);
    an_buffer_free(&ranks);
    return rc;
}
