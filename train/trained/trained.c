#include "train/trained/trained.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/program/log.h"
#include "train/setup/data.h"
#include "train/setup/network.h"
#include "train/state/run.h"
#include "train/state/text.h"
#include "train/trained/trained_private.h"

static int count_classes(an_trained *t)
{
    json_t *list = an_text_json_classes(an_checkpoint_identity(t->checkpoint)->classes);
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

static int open_checkpoint(an_trained *out, const char *run, const char *weights)
{
    int rc = run ? an_run_weights(&out->checkpoint, run) : an_checkpoint_open(&out->checkpoint, weights);
    if (rc)
        return rc;
    out->path = an_checkpoint_path(out->checkpoint);
    out->class_ids = an_checkpoint_identity(out->checkpoint)->classes;
    out->step = an_checkpoint_state(out->checkpoint)->step;
    return AN_OK;
}

/* Without a recipe only what an-train wrote can be used. */
static int refuse_weights_alone(const char *path, const char *remedy)
{
    bool ours = true;
    int rc = an_weights_ask(path, &ours);
    return rc || ours ? rc : an_error(AN_EINVAL, "'%s' holds weights alone: %s", path, remedy);
}

static int check_source(const char *run, const char *weights)
{
    if (!run == !weights)
        return an_error(AN_EINVAL, "give the weights by --run FOLDER or --weights FILE, one of the two");
    return AN_OK;
}

/* remedy: what to do about weights alone. */
static int open_own(an_trained *out, const char *run, const char *weights, const char *remedy)
{
    *out = (an_trained){0};
    int rc = check_source(run, weights);
    if (!rc && weights)
        rc = refuse_weights_alone(weights, remedy);
    if (!rc)
        rc = open_checkpoint(out, run, weights);
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

int an_trained_open_source(an_trained *out, const an_trained_source *source)
{
    if (!source->recipe)
        return open_own(out, source->run, source->weights, "say with --recipe FILE which network they are for");
    *out = (an_trained){0};
    int rc = check_source(source->run, source->weights);
    if (!rc && source->run)
        rc = an_error(AN_EINVAL, "--recipe is for --weights FILE: the run '%s' has its own", source->run);
    if (!rc)
        rc = an_trained_open_alone(out, source);
    if (rc)
        an_trained_close(out);
    return rc;
}

int an_trained_open(an_trained *out, const char *run, const char *weights)
{
    return open_own(out, run, weights, "that is all that an export would take from it");
}

void an_trained_close(an_trained *trained)
{
    an_checkpoint_free(trained->checkpoint);
    free(trained->input.mean_image);
    an_weights_free(trained->alone);
    free(trained->own_class_ids);
    *trained = (an_trained){0};
}

int an_trained_graph(const an_trained *trained, an_graph *out)
{
    int rc = an_network_build(&trained->config, trained->classes, out);
    return rc ? an_error_prefix(rc, "'%s'", trained->path) : AN_OK;
}

/* A file decides how large its network is, but gets no more memory for it than it fills itself: with values of two
 * bytes, twice as much. */
static int check_size(const an_trained *t, const an_graph *graph)
{
    struct stat status;
    uint64_t parameters = an_graph_parameters(graph);
    if (stat(t->path, &status) < 0)
        return an_error_errno(errno, "cannot examine '%s'", t->path);
    if (parameters > (uint64_t)status.st_size / 2)
        return an_error(AN_EINVAL,
                        "'%s' is too small for the %" PRIu64
                        " parameters of its network: made with other classes, crop or options",
                        t->path, parameters);
    if (t->input.side < (uint32_t)t->config.crop)
        return an_error(AN_EINVAL, "'%s' is for crops of %d pixels, but its mean image has only %u", t->path,
                        t->config.crop, t->input.side);
    return AN_OK;
}

static int set_parameters(an_trained *trained, an_exec *exec)
{
    if (trained->checkpoint)
        return an_checkpoint_restore(trained->checkpoint, exec, false);
    int rc = an_weights_load(trained->alone, exec, NULL);
    const char *type = rc ? NULL : an_weights_converted(trained->alone, exec);
    if (type)
        an_log(AN_LOG_INFO, "'%s' holds %s, which is converted to F32", trained->path, type);
    return rc;
}

int an_trained_exec(an_trained *trained, const char *devices, int batch, int threads, const an_image_decoder *decoder,
                    an_exec **out)
{
    an_graph graph;
    an_buffer notes = {0};
    if (!trained->input.mean_image)
        return an_error(AN_EINVAL,
                        "'%s' lacks input.mean_image and input.scale: take images from a dataset, whose statistics "
                        "replace them",
                        trained->path);
    int rc = an_trained_graph(trained, &graph);
    if (rc)
        return rc;
    rc = check_size(trained, &graph);
    if (rc)
        return rc;
    an_exec_options options = an_network_exec_options(&trained->config, devices, threads, batch, false);
    an_conversion conversion = an_train_conversion(&trained->input);
    options.conversion = &conversion;
    options.notes = &notes;
    options.decoder = decoder;
    rc = an_exec_create(out, &graph, &options);
    an_log_lines(AN_LOG_WARNING, (const char *)notes.data, notes.size);
    an_buffer_free(&notes);
    if (rc == AN_EUNSUPPORTED)
        return AN_EIO; /* it is this machine that lacks something, not the data */
    if (rc)
        return rc;
    rc = set_parameters(trained, *out);
    if (rc) {
        an_exec_free(*out);
        *out = NULL;
    }
    return rc;
}
