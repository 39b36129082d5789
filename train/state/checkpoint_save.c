#include "train/state/checkpoint_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "train/state/text.h"

void an_checkpoint_name(an_named_tensor *n, an_parameter_kind kind, const an_parameter *p)
{
    static const char *const prefixes[] = {
        [AN_PARAMETER_VALUE] = "", [AN_PARAMETER_MOMENTUM] = "momentum.", [AN_PARAMETER_AVERAGE] = "average."};
    snprintf(n->name, sizeof(n->name), "%s%s", prefixes[kind], p->name);
    n->tensor = (an_safetensor){.name = n->name, .rank = p->rank};
    for (int i = 0; i < p->rank; i++)
        n->tensor.shape[i] = (uint64_t)p->shape[i];
}

typedef struct {
    char text[64];
} small_text;

enum { PAIRS = 16 };

/* The metadata of a checkpoint. Values are borrowed, or stand in texts. */
typedef struct {
    an_safetensors_pair pairs[PAIRS];
    small_text texts[PAIRS];
    size_t count;
    bool overflow; /* a pair found no room */
} metadata;

static void put_string(metadata *m, const char *key, const char *value)
{
    if (m->count == PAIRS) {
        m->overflow = true;
        return;
    }
    m->pairs[m->count++] = (an_safetensors_pair){key, value};
}

/* Room for the text of the next pair; of no consequence if there is no next one. */
static char *next_text(metadata *m)
{
    return m->texts[m->count < PAIRS ? m->count : PAIRS - 1].text;
}

static void put_unsigned(metadata *m, const char *key, uint64_t value)
{
    char *text = next_text(m);
    snprintf(text, sizeof(small_text), "%" PRIu64, value);
    put_string(m, key, text);
}

/* %a loses nothing: a resumed schedule compares equal to the one that was saved. */
static void put_double(metadata *m, const char *key, double value)
{
    char *text = next_text(m);
    snprintf(text, sizeof(small_text), "%a", value);
    put_string(m, key, text);
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

/* Metadata must be UTF-8, which a path need not be: see text.h. */
typedef struct {
    char *recipe, *dataset;
} escaped;

static int escape(escaped *out, const an_train_identity *identity, const char *path)
{
    out->recipe = an_text_escape(identity->recipe, strlen(identity->recipe));
    out->dataset = an_text_escape(identity->dataset, strlen(identity->dataset));
    return out->recipe && out->dataset ? AN_OK : an_error(AN_ENOMEM, "out of memory for checkpoint '%s'", path);
}

static void put_identity(metadata *m, const an_train_identity *identity, const escaped *texts)
{
    put_string(m, "recipe", texts->recipe);
    put_string(m, "dataset", texts->dataset);
    put_unsigned(m, "dataset.fingerprint", identity->fingerprint);
    put_string(m, "classes", identity->classes);
    put_unsigned(m, "total_steps", identity->total_steps);
    put_string(m, "machine", identity->machine);
}

static int make_metadata(metadata *m, const an_train_state *state, const an_train_identity *identity,
                         const escaped *texts)
{
    put_string(m, "format", AN_CHECKPOINT_FORMAT);
    put_string(m, "version", AN_CHECKPOINT_VERSION);
    put_state(m, state);
    put_identity(m, identity, texts);
    return m->overflow ? an_error(AN_EINTERNAL, "a checkpoint has more than %d entries of metadata", PAIRS) : AN_OK;
}

/* Where each tensor's values come from. */
typedef struct {
    const an_checkpoint_parameters *from;
    const an_train_input *input;
    size_t parameters, values; /* tensors of parameters; of all kinds, in the order of an_parameter_kind */
    bool written;              /* they have all been fetched for the checksum, and are fetched again to be written */
} origin;

int an_checkpoint_values(const an_checkpoint_parameters *from, int number, an_parameter_kind kind, float *room,
                         const float **out)
{
    *out = from->snapshot ? an_snapshot_get(from->snapshot, number, kind, room) : room;
    return from->snapshot ? AN_OK : an_exec_parameter_get(from->exec, number, kind, room);
}

static int fetch_parameter(const origin *o, int number, an_parameter_kind kind, float *room, const float **out)
{
    const an_parameter *p = an_exec_parameter(o->from->exec, number);
    int rc = an_checkpoint_values(o->from, number, kind, room, out);
    if (rc)
        return rc;
    bool same = o->from->snapshot && o->written; /* they were looked at before, and cannot have changed */
    if (!same && !an_safetensors_finite(*out, p->size))
        return an_error(AN_ECORRUPT, "'%s' holds values that are not finite", p->name);
    return AN_OK;
}

static int fetch_input(origin *o, bool mean, float *room, const float **out)
{
    uint64_t size = mean ? (uint64_t)o->input->side * o->input->side * 3 : 1;
    *room = (float)o->input->scale;
    *out = mean ? o->input->mean_image : room;
    o->written = o->written || !mean; /* the scale is the last one */
    if (!an_safetensors_finite(*out, size))
        return an_error(AN_ECORRUPT, "'input.mean_image' or 'input.scale' holds values that are not finite");
    return AN_OK;
}

static int fetch(void *context, size_t number, float *room, const float **out)
{
    origin *o = context;
    if (number < o->values)
        return fetch_parameter(o, (int)(number % o->parameters), (an_parameter_kind)(number / o->parameters), room,
                               out);
    return fetch_input(o, number == o->values, room, out);
}

static void name_input(an_safetensor *tensors, uint32_t side)
{
    tensors[0] = (an_safetensor){.name = "input.mean_image", .rank = 3, .shape = {side, side, 3}};
    tensors[1] = (an_safetensor){.name = "input.scale", .rank = 1, .shape = {1}};
}

static void name_tensors(const origin *o, an_named_tensor *names, an_safetensor *tensors)
{
    for (size_t i = 0; i < o->values; i++) {
        an_checkpoint_name(&names[i], (an_parameter_kind)(i / o->parameters),
                           an_exec_parameter(o->from->exec, (int)(i % o->parameters)));
        tensors[i] = names[i].tensor;
    }
    name_input(tensors + o->values, o->input->side);
}

static int write_tensors(const char *path, origin *o, const metadata *m)
{
    an_named_tensor *names = calloc(o->values, sizeof(*names));
    an_safetensor *tensors = calloc(o->values + 2, sizeof(*tensors));
    int rc = names && tensors ? AN_OK : an_error(AN_ENOMEM, "out of memory for checkpoint '%s'", path);
    if (!rc) {
        name_tensors(o, names, tensors);
        rc = an_safetensors_write(path, tensors, o->values + 2, m->pairs, m->count, fetch, o);
    }
    free(tensors);
    free(names);
    return rc;
}

int an_checkpoint_save(const char *path, const an_checkpoint_parameters *from, const an_train_state *state,
                       const an_train_identity *identity, const an_train_input *input)
{
    size_t parameters = (size_t)an_exec_parameter_count(from->exec);
    size_t kinds = !from->momentum ? 1 : an_exec_averages(from->exec) ? 3 : 2;
    origin o = {from, input, parameters, kinds * parameters, false};
    escaped texts = {NULL, NULL};
    metadata m = {.count = 0};
    int rc = escape(&texts, identity, path);
    if (!rc)
        rc = make_metadata(&m, state, identity, &texts);
    if (!rc)
        rc = write_tensors(path, &o, &m);
    free(texts.recipe);
    free(texts.dataset);
    return rc;
}
