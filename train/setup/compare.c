/* What all ranks of a training must have in common before they begin. */
#include <inttypes.h>

#include "base/error.h"
#include "base/program/version.h"
#include "base/version.h"
#include "train/replicas/agree.h"
#include "train/setup/session.h"

static int add_dataset(an_buffer *out, const char *name, const an_dataset *dataset)
{
    return an_buffer_printf(out, "%s = %" PRIu64 " images, fingerprint %016" PRIx64 "\n", name,
                            an_dataset_count(dataset), an_dataset_fingerprint(dataset));
}

static int add_data(an_buffer *out, const an_train_data *data)
{
    int rc = add_dataset(out, "training set", data->training);
    if (!rc)
        rc = an_buffer_printf(out, "classes = %s\n", data->class_ids);
    if (!rc)
        rc = an_buffer_printf(out, "number of validation sets = %d\n", data->set_count);
    for (int i = 0; i < data->set_count && !rc; i++)
        rc = add_dataset(out, "validation set", data->sets[i].dataset);
    return rc;
}

/* What is no part of the recipe, but decides what ranks do together. */
static int add_options(an_buffer *out, const an_train_config *config)
{
    return an_buffer_printf(out,
                            "--epochs = %d\n--steps = %" PRIu64
                            "\n--log-every = %d\n--save-every = %d\n--stop-after = %d\n--top = %d\n"
                            "--bucket = %d\n--deterministic = %d\n--run = %d\n--dry-run = %d\n",
                            config->epochs, config->steps, config->log_every, config->save_every, config->stop_after,
                            config->top, config->bucket, config->deterministic, config->run != NULL, config->dry_run);
}

/* --class-weights with the hash of its file. */
static int add_recipe(an_buffer *out, const an_session *s)
{
    an_train_config config = *s->config;
    config.class_weights = s->data.class_weights_name;
    return an_train_config_recipe(&config, out);
}

static int add_all(an_buffer *out, const an_session *s)
{
    const char *commit = an_version_commit();
    int rc = an_buffer_printf(out, "program = an-train %s (commit %s)\n", AN_VERSION, commit ? commit : "unknown");
    if (!rc)
        rc = add_recipe(out, s);
    if (!rc)
        rc = add_options(out, s->config);
    return rc ? rc : add_data(out, &s->data);
}

int an_session_compare(const an_session *s)
{
    an_buffer lines = {0};
    if (!s->group)
        return AN_OK;
    int rc = add_all(&lines, s);
    if (!rc)
        rc = an_replicas_compare(s->group, (const char *)lines.data);
    an_buffer_free(&lines);
    return rc;
}
