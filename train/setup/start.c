/* What the parameters of a training start from. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text/name_list.h"
#include "train/setup/session.h"
#include "train/state/text.h"
#include "train/state/weights.h"

static bool has_layer(const an_exec *exec, const char *name, size_t length)
{
    for (int i = 0; i < an_exec_parameter_count(exec); i++) {
        const char *parameter = an_exec_parameter(exec, i)->name;
        if (strcspn(parameter, ".") == length && memcmp(parameter, name, length) == 0)
            return true;
    }
    return false;
}

/* "conv1, conv2 ... fc8": the layers that have parameters. */
static int list_layers(const an_exec *exec, an_buffer *out)
{
    int rc = AN_OK, before = -1;
    for (int i = 0; !rc && i < an_exec_parameter_count(exec); i++) {
        const an_parameter *p = an_exec_parameter(exec, i);
        if (p->layer == before)
            continue;
        rc = an_buffer_printf(out, "%s%.*s", out->size ? ", " : "", (int)strcspn(p->name, "."), p->name);
        before = p->layer;
    }
    return rc;
}

static int check_name(const an_exec *exec, const char *name, size_t length)
{
    an_buffer layers = {0};
    if (has_layer(exec, name, length))
        return AN_OK;
    int rc = list_layers(exec, &layers);
    if (!rc)
        rc = an_error(AN_EINVAL, "--fresh: '%.*s' is no layer with weights of this network: %s", (int)length, name,
                      (const char *)layers.data);
    an_buffer_free(&layers);
    return rc;
}

static int check_fresh(const an_session *s)
{
    const char *rest = s->config->fresh, *name;
    size_t length;
    bool all = true;
    while (an_names_next(&rest, &name, &length)) {
        int rc = check_name(s->exec, name, length);
        if (!rc && s->config->freeze && an_names_hold(s->config->freeze, name, length))
            rc = an_error(AN_EINVAL, "--fresh and --freeze both name '%.*s': its random numbers would never learn",
                          (int)length, name);
        if (rc)
            return rc;
    }
    for (int i = 0; i < an_exec_parameter_count(s->exec); i++) {
        const an_parameter *p = an_exec_parameter(s->exec, i);
        all = all && an_names_hold(s->config->fresh, p->name, strcspn(p->name, "."));
    }
    return all ? an_error(AN_EINVAL, "--fresh names every layer: that leaves nothing of --weights") : AN_OK;
}

/* Another number by so much ruins weights without a word: the training diverges, or learns nothing. */
#define SCALE_FAR 2.0

static bool is_far(double scale, double from)
{
    return scale > SCALE_FAR * from || from > SCALE_FAR * scale;
}

static const char *scale_remedy(const an_session *s, double wanted)
{
    static const struct {
        an_scale_kind kind;
        const char *text;
    } remedies[] = {{AN_SCALE_PAPER, ": give --input-scale paper"}, {AN_SCALE_UNIT, ": give --input-scale unit"}};
    const an_statistics *statistics = an_dataset_statistics(s->data.training);
    for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
        if (!is_far(an_train_input_scale(statistics, remedies[i].kind), wanted))
            return remedies[i].text;
    return "";
}

static bool subtracts_nothing(const an_train_input *input)
{
    size_t values = (size_t)input->side * input->side * 3;
    for (size_t i = 0; i < values; i++)
        if (fpclassify(input->mean_image[i]) != FP_ZERO)
            return false;
    return true;
}

static int doubt(an_session *s, const char *path, const an_train_input *there)
{
    const an_train_input *here = &s->data.input;
    bool none_there = subtracts_nothing(there), none_here = subtracts_nothing(here);
    int rc = AN_OK;
    if (is_far(here->scale, there->scale))
        rc = an_buffer_printf(&s->doubts,
                              "'%s' was trained on inputs multiplied by %.3g, here they are multiplied by %.3g: its "
                              "weights expect inputs %.3g times as large%s\n",
                              path, there->scale, here->scale, there->scale / here->scale,
                              scale_remedy(s, there->scale));
    if (!rc && none_there != none_here)
        rc = an_buffer_printf(&s->doubts, "'%s' was trained with%s a mean subtracted from its inputs, here %s is: %s\n",
                              path, none_there ? "out" : "", none_there ? "one" : "none",
                              none_there ? "give --mean none" : "leave out --mean none");
    return rc;
}

static int compare_input(an_session *s, an_weights *w)
{
    an_train_input there = {0};
    int rc = an_weights_input(w, &there);
    if (rc)
        return rc == AN_END ? AN_OK : rc;
    rc = doubt(s, an_weights_path(w), &there);
    free(there.mean_image);
    return rc;
}

static int describe_training(an_session *s, const an_weights *w)
{
    const char *step = an_weights_metadata(w, "step"), *escaped = an_weights_metadata(w, "dataset");
    if (!an_weights_are_ours(w) || !step || !escaped)
        return AN_OK;
    char *dataset = an_text_unescape(escaped);
    if (!dataset)
        return an_error(AN_ENOMEM, "out of memory for '%s'", an_weights_path(w));
    int rc = an_buffer_printf(&s->origin, ", step %s of a training on '%s'", step, dataset);
    free(dataset);
    return rc;
}

static int describe(an_session *s, const an_weights *w)
{
    const char *type = an_weights_converted(w, s->exec), *fresh = s->config->fresh;
    int rc = an_buffer_printf(&s->origin, "weights of '%s'", an_weights_path(w));
    if (!rc)
        rc = describe_training(s, w);
    if (!rc && type)
        rc = an_buffer_printf(&s->origin, ", converted from %s to F32", type);
    if (!rc && fresh)
        rc = an_buffer_printf(&s->origin, "; %s begin%s with random numbers (--init)", fresh,
                              strchr(fresh, ',') ? "" : "s");
    return rc;
}

static int load(an_session *s, an_weights *w)
{
    int rc = s->config->fresh ? check_fresh(s) : AN_OK;
    if (!rc && s->config->fresh)
        rc = an_session_start_random(s);
    if (!rc)
        rc = an_weights_load(w, s->exec, s->config->fresh ? s->config->fresh : "");
    if (!rc)
        rc = compare_input(s, w);
    return rc ? rc : describe(s, w);
}

int an_session_start_random(an_session *s)
{
    return an_init_parameters(s->exec, (an_init_kind)s->config->init, s->config->seed);
}

int an_session_start_weights(an_session *s)
{
    an_weights *weights = NULL;
    if (!s->config->weights)
        return an_session_start_random(s);
    s->origin.size = s->doubts.size = 0;
    int rc = an_weights_open(&weights, s->config->weights);
    if (!rc)
        rc = load(s, weights);
    an_weights_free(weights);
    return rc;
}
