#include "train/checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "train/safetensors.h"

#define FORMAT "an-checkpoint"
#define FORMAT_VERSION "1"

struct an_checkpoint {
    char *path;
    an_safetensors *file;
    an_train_state state;
    an_train_identity identity;
};

/* ---- Writing ---- */

typedef struct {
    char text[64];
} small_text;

enum { PAIRS = 17 };

typedef struct {
    an_safetensors_pair pairs[PAIRS];
    small_text texts[PAIRS];
    size_t count;
} metadata;

static void put_string(metadata *m, const char *key, const char *value)
{
    m->pairs[m->count++] = (an_safetensors_pair){key, value};
}

static void put_unsigned(metadata *m, const char *key, uint64_t value)
{
    snprintf(m->texts[m->count].text, sizeof(small_text), "%" PRIu64, value);
    put_string(m, key, m->texts[m->count].text);
}

/* %a loses nothing: a resumed schedule compares equal to the one that was saved. */
static void put_double(metadata *m, const char *key, double value)
{
    snprintf(m->texts[m->count].text, sizeof(small_text), "%a", value);
    put_string(m, key, m->texts[m->count].text);
}

static void put_state(metadata *m, const an_train_state *state)
{
    put_unsigned(m, "step", state->step);
    put_unsigned(m, "epochs_closed", state->epochs_closed);
    put_double(m, "best_top1", state->best_top1);
    put_unsigned(m, "best_step", state->best_step);
    put_double(m, "schedule.best", state->schedule.best);
    put_unsigned(m, "schedule.waited", (uint64_t)state->schedule.waited);
    put_unsigned(m, "schedule.drops", (uint64_t)state->schedule.drops);
}

static void put_identity(metadata *m, const an_train_identity *identity)
{
    put_string(m, "recipe", identity->recipe);
    put_string(m, "dataset", identity->dataset);
    put_unsigned(m, "dataset.fingerprint", identity->fingerprint);
    put_string(m, "classes", identity->classes);
    put_unsigned(m, "total_steps", identity->total_steps);
    put_unsigned(m, "compute_threads", (uint64_t)identity->compute_threads);
    put_string(m, "processor", identity->processor);
}

/* Where each tensor's values come from. */
typedef struct {
    an_exec *exec;
    const an_train_input *input;
    size_t parameters, values; /* tensors of parameters, and with their momentum */
} origin;

/* In integers, so that the loop is vectorised. */
static bool all_finite(const float *values, uint64_t count)
{
    uint32_t infinite = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof(bits));
        infinite |= (bits & 0x7f800000) == 0x7f800000;
    }
    return !infinite;
}

static int fetch_parameter(const origin *o, int number, an_parameter_kind kind, float *out)
{
    const an_parameter *p = an_exec_parameter(o->exec, number);
    int rc = an_exec_parameter_get(o->exec, number, kind, out);
    if (rc == AN_OK && !all_finite(out, p->size))
        return an_error(AN_ECORRUPT, "'%s' holds values that are not finite", p->name);
    return rc;
}

static int fetch(void *context, size_t number, float *out)
{
    const origin *o = context;
    if (number < o->parameters)
        return fetch_parameter(o, (int)number, AN_PARAMETER_VALUE, out);
    if (number < o->values)
        return fetch_parameter(o, (int)(number - o->parameters), AN_PARAMETER_MOMENTUM, out);
    if (number == o->values)
        memcpy(out, o->input->mean_image, sizeof(float) * 3 * o->input->side * o->input->side);
    else
        *out = (float)o->input->scale;
    return AN_OK;
}

typedef struct {
    an_safetensor tensor;
    char name[48];
} named;

static void name_parameter(named *n, const char *prefix, const an_parameter *p)
{
    snprintf(n->name, sizeof(n->name), "%s%s", prefix, p->name);
    n->tensor = (an_safetensor){.name = n->name, .rank = p->rank};
    for (int i = 0; i < p->rank; i++)
        n->tensor.shape[i] = (uint64_t)p->shape[i];
}

static void name_input(an_safetensor *tensors, uint32_t side)
{
    tensors[0] = (an_safetensor){.name = "input.mean_image", .rank = 3, .shape = {side, side, 3}};
    tensors[1] = (an_safetensor){.name = "input.scale", .rank = 1, .shape = {1}};
}

int an_checkpoint_save(const char *path, an_exec *exec, bool momentum, const an_train_state *state,
                       const an_train_identity *identity, const an_train_input *input)
{
    size_t parameters = (size_t)an_exec_parameter_count(exec), values = momentum ? 2 * parameters : parameters;
    named *names = calloc(values, sizeof(*names));
    an_safetensor *tensors = calloc(values + 2, sizeof(*tensors));
    int rc = names && tensors ? AN_OK : an_error(AN_ENOMEM, "out of memory for checkpoint '%s'", path);
    if (rc == AN_OK) {
        for (size_t i = 0; i < values; i++) {
            name_parameter(&names[i], i < parameters ? "" : "momentum.", an_exec_parameter(exec, (int)(i % parameters)));
            tensors[i] = names[i].tensor;
        }
        name_input(tensors + values, input->side);
        metadata m = {0};
        put_string(&m, "format", FORMAT);
        put_string(&m, "version", FORMAT_VERSION);
        put_state(&m, state);
        put_identity(&m, identity);
        origin o = {exec, input, parameters, values};
        rc = an_safetensors_write(path, tensors, values + 2, m.pairs, m.count, fetch, &o);
    }
    free(tensors);
    free(names);
    return rc;
}

/* ---- Reading ---- */

static int get_string(const an_checkpoint *c, const char *key, const char **out)
{
    *out = an_safetensors_metadata(c->file, key);
    return *out ? AN_OK : an_error(AN_ECORRUPT, "'%s': not a checkpoint of an-train: no metadata '%s'", c->path, key);
}

static int get_unsigned(const an_checkpoint *c, const char *key, uint64_t max, uint64_t *out)
{
    const char *text;
    int rc = get_string(c, key, &text);
    if (rc < 0)
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
    if (rc < 0)
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
    int rc = get_unsigned(c, "step", UINT64_MAX / 2, &s->step);
    if (rc == AN_OK)
        rc = get_unsigned(c, "epochs_closed", UINT64_MAX / 2, &s->epochs_closed);
    if (rc == AN_OK)
        rc = get_double(c, "best_top1", &s->best_top1);
    if (rc == AN_OK)
        rc = get_unsigned(c, "best_step", UINT64_MAX / 2, &s->best_step);
    if (rc == AN_OK)
        rc = get_double(c, "schedule.best", &s->schedule.best);
    if (rc == AN_OK)
        rc = get_int(c, "schedule.waited", &s->schedule.waited);
    if (rc == AN_OK)
        rc = get_int(c, "schedule.drops", &s->schedule.drops);
    return rc;
}

static int read_identity(an_checkpoint *c)
{
    an_train_identity *id = &c->identity;
    int rc = get_string(c, "recipe", &id->recipe);
    if (rc == AN_OK)
        rc = get_string(c, "dataset", &id->dataset);
    if (rc == AN_OK)
        rc = get_unsigned(c, "dataset.fingerprint", UINT64_MAX, &id->fingerprint);
    if (rc == AN_OK)
        rc = get_string(c, "classes", &id->classes);
    if (rc == AN_OK)
        rc = get_unsigned(c, "total_steps", UINT64_MAX / 2, &id->total_steps);
    if (rc == AN_OK)
        rc = get_int(c, "compute_threads", &id->compute_threads);
    if (rc == AN_OK)
        rc = get_string(c, "processor", &id->processor);
    return rc;
}

static int check_format(const an_checkpoint *c)
{
    const char *format, *version;
    int rc = get_string(c, "format", &format);
    if (rc == AN_OK)
        rc = get_string(c, "version", &version);
    if (rc < 0)
        return rc;
    if (strcmp(format, FORMAT) != 0)
        return an_error(AN_ECORRUPT, "'%s': not a checkpoint of an-train but '%s'", c->path, format);
    if (strcmp(version, FORMAT_VERSION) != 0)
        return an_error(AN_EUNSUPPORTED, "'%s': checkpoint version %s; this program reads " FORMAT_VERSION, c->path,
                        version);
    if (!an_safetensors_guarded(c->file))
        return an_error(AN_ECORRUPT, "'%s': a checkpoint without its checksum", c->path);
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
    if (rc == AN_OK)
        rc = check_format(c);
    if (rc == AN_OK)
        rc = read_state(c);
    if (rc == AN_OK)
        rc = read_identity(c);
    if (rc == AN_OK)
        rc = an_safetensors_verify(c->file);
    if (rc < 0) {
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

int an_checkpoint_input(an_checkpoint *c, an_train_input *out)
{
    const an_safetensor *mean = an_safetensors_find(c->file, "input.mean_image");
    const an_safetensor *scale = an_safetensors_find(c->file, "input.scale");
    if (!mean || !scale || mean->rank != 3 || mean->shape[0] != mean->shape[1] || mean->shape[2] != 3 ||
        mean->shape[0] == 0 || mean->shape[0] > 1u << 15 || scale->rank != 1 || scale->shape[0] != 1)
        return an_error(AN_ECORRUPT, "'%s': input.mean_image or input.scale is missing or misshapen", c->path);
    float factor = 0;
    int rc = an_safetensors_read(c->file, scale, &factor);
    if (rc < 0)
        return rc;
    *out = (an_train_input){.side = (uint32_t)mean->shape[0], .scale = factor};
    out->mean_image = malloc(mean->end - mean->begin);
    if (!out->mean_image)
        return an_error(AN_ENOMEM, "out of memory for the mean image of '%s'", c->path);
    rc = an_safetensors_read(c->file, mean, out->mean_image);
    if (rc < 0) {
        free(out->mean_image);
        out->mean_image = NULL;
    }
    return rc;
}

/* ---- Into the network ---- */

static bool same_shape(const an_safetensor *tensor, const an_parameter *p)
{
    bool same = tensor->rank == p->rank;
    for (int i = 0; same && i < p->rank; i++)
        same = tensor->shape[i] == (uint64_t)p->shape[i];
    return same;
}

static void shape_text(char *out, size_t size, const uint64_t *shape, int rank)
{
    size_t at = 0;
    out[0] = '\0';
    for (int i = 0; i < rank && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%" PRIu64, i ? "x" : "", shape[i]);
}

static int shape_error(const char *path, const an_safetensor *tensor, const named *wanted)
{
    char has[128], wants[128];
    shape_text(has, sizeof(has), tensor->shape, tensor->rank);
    shape_text(wants, sizeof(wants), wanted->tensor.shape, wanted->tensor.rank);
    return an_error(AN_EINVAL, "'%s': tensor '%s' is %s, this network wants %s: made with other classes, crop or options",
                    path, tensor->name, has, wants);
}

static int load_one(an_safetensors *file, const char *path, an_exec *exec, int number, an_parameter_kind kind,
                    float *values)
{
    const an_parameter *p = an_exec_parameter(exec, number);
    named wanted;
    name_parameter(&wanted, kind == AN_PARAMETER_MOMENTUM ? "momentum." : "", p);
    const an_safetensor *tensor = an_safetensors_find(file, wanted.name);
    if (!tensor)
        return an_error(AN_EINVAL, "'%s': no tensor '%s'", path, wanted.name);
    if (!same_shape(tensor, p))
        return shape_error(path, tensor, &wanted);
    int rc = an_safetensors_read(file, tensor, values);
    return rc < 0 ? rc : an_exec_parameter_set(exec, number, kind, values);
}

static int load_all(an_safetensors *file, const char *path, an_exec *exec, bool momentum)
{
    uint64_t most = 1;
    for (int i = 0; i < an_exec_parameter_count(exec); i++)
        if (an_exec_parameter(exec, i)->size > most)
            most = an_exec_parameter(exec, i)->size;
    void *values = NULL;
    int rc = an_pages_alloc(&values, most * sizeof(float));
    if (rc < 0)
        return rc;
    for (int i = 0; rc == AN_OK && i < an_exec_parameter_count(exec); i++) {
        rc = load_one(file, path, exec, i, AN_PARAMETER_VALUE, values);
        if (rc == AN_OK && momentum)
            rc = load_one(file, path, exec, i, AN_PARAMETER_MOMENTUM, values);
    }
    an_pages_free(values, most * sizeof(float));
    return rc;
}

int an_checkpoint_restore(an_checkpoint *checkpoint, an_exec *exec, bool momentum)
{
    return load_all(checkpoint->file, checkpoint->path, exec, momentum);
}

int an_weights_load(const char *path, an_exec *exec)
{
    an_safetensors *file = NULL;
    int rc = an_safetensors_open(&file, path);
    if (rc == AN_OK)
        rc = an_safetensors_verify(file);
    if (rc == AN_OK)
        rc = load_all(file, path, exec, false);
    an_safetensors_free(file);
    return rc;
}
