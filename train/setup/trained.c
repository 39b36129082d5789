#include "train/setup/trained.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/program/log.h"
#include "train/setup/data.h"
#include "train/setup/network.h"
#include "train/state/run.h"

static int count_classes(an_trained *t)
{
    json_t *list = json_loads(an_checkpoint_identity(t->checkpoint)->classes, 0, NULL);
    t->classes = (int)json_array_size(list);
    json_decref(list);
    if (t->classes < 2)
        return an_error(AN_ECORRUPT, "'%s': its list of classes is unreadable", an_checkpoint_path(t->checkpoint));
    return AN_OK;
}

static int read_recipe(an_trained *t)
{
    int rc = an_options_init(an_train_recipe_spec(), &t->config);
    if (rc)
        return rc;
    return an_train_config_parse(&t->config, an_checkpoint_identity(t->checkpoint)->recipe,
                                 an_checkpoint_path(t->checkpoint));
}

int an_trained_open(an_trained *out, const char *run, const char *weights)
{
    *out = (an_trained){0};
    if (!run == !weights)
        return an_error(AN_EINVAL, "give the weights by --run FOLDER or --weights FILE, one of the two");
    int rc = run ? an_run_weights(&out->checkpoint, run) : an_checkpoint_open(&out->checkpoint, weights);
    if (!rc)
        rc = count_classes(out);
    if (!rc)
        rc = read_recipe(out);
    if (!rc)
        rc = an_checkpoint_input(out->checkpoint, &out->input);
    if (rc)
        an_trained_close(out);
    return rc;
}

void an_trained_close(an_trained *trained)
{
    an_checkpoint_free(trained->checkpoint);
    free(trained->input.mean_image);
    *trained = (an_trained){0};
}

int an_trained_exec(an_trained *trained, const char *devices, int batch, int threads, an_exec **out)
{
    an_graph graph;
    an_buffer notes = {0};
    int rc = an_network_build(&trained->config, trained->classes, &graph);
    if (rc)
        return rc;
    an_exec_options options = an_network_exec_options(&trained->config, devices, threads, batch, false);
    an_conversion conversion = an_train_conversion(&trained->input);
    options.conversion = &conversion;
    options.notes = &notes;
    rc = an_exec_create(out, &graph, &options);
    if (notes.size)
        an_log(AN_LOG_WARNING, "%.*s", (int)notes.size - 1, (const char *)notes.data);
    an_buffer_free(&notes);
    if (rc == AN_EUNSUPPORTED)
        return AN_EIO; /* it is this machine that lacks something, not the data */
    if (!rc && (rc = an_checkpoint_restore(trained->checkpoint, *out, false)) < 0) {
        an_exec_free(*out);
        *out = NULL;
    }
    return rc;
}
