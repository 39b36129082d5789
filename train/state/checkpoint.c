#include "train/state/checkpoint_private.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "train/state/text.h"

static int get_string(const an_checkpoint *c, const char *key, const char **out)
{
    *out = an_safetensors_metadata(c->file, key);
    return *out ? AN_OK : an_error(AN_ECORRUPT, "'%s': not a checkpoint of an-train: no metadata '%s'", c->path, key);
}

static int get_unsigned(const an_checkpoint *c, const char *key, uint64_t max, uint64_t *out)
{
    const char *text;
    int rc = get_string(c, key, &text);
    if (rc)
        return rc;
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (errno || *end || *text < '0' || *text > '9' || *out > max)
        return an_error(AN_ECORRUPT, "'%s': metadata '%s' is '%s', no usable number", c->path, key, text);
    return AN_OK;
}

static int get_int(const an_checkpoint *c, const char *key, int *out)
{
    uint64_t value = 0;
    int rc = get_unsigned(c, key, 1000000000, &value);
    *out = (int)value;
    return rc;
}

static int get_double(const an_checkpoint *c, const char *key, double *out)
{
    const char *text;
    int rc = get_string(c, key, &text);
    if (rc)
        return rc;
    char *end;
    *out = strtod(text, &end);
    if (end == text || *end || !(*out >= 0 && *out <= 1))
        return an_error(AN_ECORRUPT, "'%s': metadata '%s' is '%s', not between 0 and 1", c->path, key, text);
    return AN_OK;
}

static int read_state(an_checkpoint *c)
{
    an_train_state *s = &c->state;
    int rc = get_unsigned(c, "step", AN_TRAIN_STEP_MAX, &s->step);
    if (rc)
        return rc;
    rc = get_unsigned(c, "epochs_closed", AN_TRAIN_STEP_MAX, &s->epochs_closed);
    if (rc)
        return rc;
    rc = get_double(c, "best_top1", &s->best_top1);
    if (rc)
        return rc;
    rc = get_unsigned(c, "best_step", AN_TRAIN_STEP_MAX, &s->best_step);
    if (rc)
        return rc;
    rc = get_double(c, "schedule.best", &s->schedule.best);
    if (rc)
        return rc;
    rc = get_int(c, "schedule.waited", &s->schedule.waited);
    if (rc)
        return rc;
    return get_int(c, "schedule.drops", &s->schedule.drops);
}

/* *owned keeps the string that *out points to. */
static int get_escaped(const an_checkpoint *c, const char *key, char **owned, const char **out)
{
    int rc = get_string(c, key, out);
    if (rc)
        return rc;
    *out = *owned = an_text_unescape(*out);
    return *owned ? AN_OK : an_error(AN_ENOMEM, "out of memory for '%s'", c->path);
}

static int read_identity(an_checkpoint *c)
{
    an_train_identity *id = &c->identity;
    int rc = get_escaped(c, "recipe", &c->recipe, &id->recipe);
    if (rc)
        return rc;
    rc = get_escaped(c, "dataset", &c->dataset, &id->dataset);
    if (rc)
        return rc;
    rc = get_unsigned(c, "dataset.fingerprint", UINT64_MAX, &id->fingerprint);
    if (rc)
        return rc;
    rc = get_string(c, "classes", &id->classes);
    if (rc)
        return rc;
    rc = get_unsigned(c, "total_steps", AN_TRAIN_STEP_MAX, &id->total_steps);
    if (rc)
        return rc;
    return get_string(c, "machine", &id->machine);
}

bool an_checkpoint_is_ours(const an_safetensors *file)
{
    const char *format = an_safetensors_metadata(file, "format");
    return format && strcmp(format, AN_CHECKPOINT_FORMAT) == 0;
}

static int check_format(const an_checkpoint *c)
{
    if (!an_checkpoint_is_ours(c->file))
        return an_error(AN_ECORRUPT,
                        "'%s': not a checkpoint of an-train but weights alone, without momentum and without a recipe: "
                        "--weights starts a training from them",
                        c->path);
    const char *version;
    int rc = get_string(c, "version", &version);
    if (rc)
        return rc;
    if (strcmp(version, AN_CHECKPOINT_VERSION) != 0)
        return an_error(AN_EUNSUPPORTED, "'%s': checkpoint version %s; this program reads " AN_CHECKPOINT_VERSION,
                        c->path, version);
    if (!an_safetensors_guarded(c->file))
        return an_error(AN_ECORRUPT,
                        "'%s': a checkpoint without its checksum: if another program wrote it, let it leave out the "
                        "metadata",
                        c->path);
    return AN_OK;
}

int an_checkpoint_open(an_checkpoint **out, const char *path)
{
    an_checkpoint *c = calloc(1, sizeof(*c));
    if (!c || !(c->path = strdup(path))) {
        free(c);
        return an_error(AN_ENOMEM, "out of memory for '%s'", path);
    }
    int rc = an_safetensors_open(&c->file, path);
    if (!rc)
        rc = check_format(c);
    if (!rc)
        rc = read_state(c);
    if (!rc)
        rc = read_identity(c);
    if (!rc)
        rc = an_safetensors_verify(c->file);
    if (rc) {
        an_checkpoint_free(c);
        return rc;
    }
    *out = c;
    return AN_OK;
}

void an_checkpoint_free(an_checkpoint *checkpoint)
{
    if (!checkpoint)
        return;
    an_safetensors_free(checkpoint->file);
    free(checkpoint->recipe);
    free(checkpoint->dataset);
    free(checkpoint->path);
    free(checkpoint);
}

const char *an_checkpoint_path(const an_checkpoint *checkpoint)
{
    return checkpoint->path;
}

const an_train_state *an_checkpoint_state(const an_checkpoint *checkpoint)
{
    return &checkpoint->state;
}

const an_train_identity *an_checkpoint_identity(const an_checkpoint *checkpoint)
{
    return &checkpoint->identity;
}

static bool has_input_shape(const an_safetensor *mean, const an_safetensor *scale)
{
    enum { SIDE_MAX = 1 << 15 };
    if (mean->rank != 3 || scale->rank != 1)
        return false;
    uint64_t side = mean->shape[0];
    return side > 0 && side <= SIDE_MAX && mean->shape[1] == side && mean->shape[2] == 3 && scale->shape[0] == 1;
}

/* Images are multiplied with it. */
static int check_scale(const char *path, double scale)
{
    if (isfinite(scale) && scale > 0)
        return AN_OK;
    return an_error(AN_ECORRUPT, "'%s': input.scale is %g: it must be finite and above 0", path, scale);
}

static int read_values(an_safetensors *file, const char *path, const an_safetensor *mean, const an_safetensor *scale,
                       an_train_input *out)
{
    float factor = 0;
    int rc = an_safetensors_read(file, scale, &factor);
    if (rc)
        return rc;
    out->scale = factor;
    rc = an_safetensors_read(file, mean, out->mean_image);
    if (rc)
        return rc;
    if (!an_safetensors_finite(out->mean_image, (uint64_t)out->side * out->side * 3))
        return an_safetensors_not_finite(path, mean->name);
    return check_scale(path, out->scale);
}

int an_checkpoint_read_input(an_safetensors *file, const char *path, an_train_input *out)
{
    const an_safetensor *mean = an_safetensors_find(file, "input.mean_image");
    const an_safetensor *scale = an_safetensors_find(file, "input.scale");
    if (!mean && !scale)
        return AN_END;
    if (!mean || !scale)
        return an_error(AN_EINVAL, "'%s' has %s without %s", path, mean ? "input.mean_image" : "input.scale",
                        mean ? "input.scale" : "input.mean_image");
    if (!has_input_shape(mean, scale))
        return an_error(AN_ECORRUPT, "'%s': input.mean_image or input.scale is misshapen", path);
    *out = (an_train_input){.side = (uint32_t)mean->shape[0]};
    out->mean_image = malloc((size_t)out->side * out->side * 3 * sizeof(float));
    if (!out->mean_image)
        return an_error(AN_ENOMEM, "out of memory for the mean image of '%s'", path);
    int rc = read_values(file, path, mean, scale, out);
    if (rc) {
        free(out->mean_image);
        out->mean_image = NULL;
    }
    return rc;
}

int an_checkpoint_input(an_checkpoint *c, an_train_input *out)
{
    int rc = an_checkpoint_read_input(c->file, c->path, out);
    return rc == AN_END ? an_error(AN_ECORRUPT, "'%s': input.mean_image and input.scale are missing", c->path) : rc;
}
