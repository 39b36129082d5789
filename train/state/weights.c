#include "train/state/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/text/name_list.h"
#include "train/state/checkpoint_private.h"
#include "train/state/run.h"

struct an_weights {
    an_checkpoint *checkpoint; /* of a run's folder; NULL: file is a file of its own */
    an_safetensors *file;
    char *path;
};

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static int open_run(an_weights *w, const char *folder)
{
    int rc = an_run_weights(&w->checkpoint, folder);
    if (rc)
        return rc == AN_ENOTFOUND ? an_error_prefix(rc, "no weights in folder '%s'", folder) : rc;
    w->file = w->checkpoint->file;
    w->path = strdup(an_checkpoint_path(w->checkpoint));
    return w->path ? AN_OK : an_error(AN_ENOMEM, "out of memory for '%s'", folder);
}

static int open_file(an_weights *w, const char *path)
{
    w->path = strdup(path);
    if (!w->path)
        return an_error(AN_ENOMEM, "out of memory for '%s'", path);
    int rc = an_safetensors_open(&w->file, path);
    return rc ? rc : an_safetensors_verify(w->file);
}

int an_weights_open(an_weights **out, const char *path)
{
    an_weights *w = calloc(1, sizeof(*w));
    if (!w)
        return an_error(AN_ENOMEM, "out of memory for '%s'", path);
    int rc = is_folder(path) ? open_run(w, path) : open_file(w, path);
    if (rc) {
        an_weights_free(w);
        return rc;
    }
    *out = w;
    return AN_OK;
}

void an_weights_free(an_weights *w)
{
    if (!w)
        return;
    if (w->checkpoint)
        an_checkpoint_free(w->checkpoint);
    else
        an_safetensors_free(w->file);
    free(w->path);
    free(w);
}

const char *an_weights_path(const an_weights *w)
{
    return w->path;
}

const an_safetensor *an_weights_tensor(const an_weights *w, const char *name)
{
    return an_safetensors_find(w->file, name);
}

const char *an_weights_metadata(const an_weights *w, const char *key)
{
    return an_safetensors_metadata(w->file, key);
}

bool an_weights_are_ours(const an_weights *w)
{
    return an_checkpoint_is_ours(w->file);
}

int an_weights_ask(const char *path, bool *ours)
{
    an_safetensors *file = NULL;
    int rc = an_safetensors_open(&file, path);
    if (!rc)
        *ours = an_checkpoint_is_ours(file);
    an_safetensors_free(file);
    return rc;
}

static an_checkpoint_load loading(const an_weights *w, an_exec *exec, const char *fresh)
{
    return (an_checkpoint_load){.file = w->file,
                                .path = w->path,
                                .exec = exec,
                                .from = an_checkpoint_best_kind(w->file, exec),
                                .passed = fresh};
}

const char *an_weights_converted(const an_weights *w, an_exec *exec)
{
    const an_checkpoint_load load = loading(w, exec, NULL);
    for (int i = 0; i < an_exec_parameter_count(exec); i++) {
        const an_safetensor *tensor = an_checkpoint_tensor(&load, an_exec_parameter(exec, i));
        if (tensor && !an_safetensors_is_f32(tensor))
            return tensor->dtype;
    }
    return NULL;
}

int an_weights_input(an_weights *w, an_train_input *out)
{
    return an_checkpoint_read_input(w->file, w->path, out);
}

/* ---- Loading ---- */

/* What of a network a file does not fit. */
typedef struct {
    an_buffer layers;           /* their names with commas between, terminated */
    const an_parameter *first;  /* the first parameter that does not fit; NULL: all do */
    const an_safetensor *there; /* the file's tensor of that name; NULL: it has none */
    int fitting, last;          /* parameters that do; the ordinal of the network's last layer */
} misfit;

static int add_layer(misfit *m, const an_parameter *p)
{
    size_t length = strcspn(p->name, ".");
    if (m->layers.size && an_names_hold((const char *)m->layers.data, p->name, length))
        return AN_OK;
    return an_buffer_printf(&m->layers, "%s%.*s", m->layers.size ? "," : "", (int)length, p->name);
}

static int find_misfit(const an_checkpoint_load *load, misfit *m)
{
    for (int i = 0; i < an_exec_parameter_count(load->exec); i++) {
        const an_parameter *p = an_exec_parameter(load->exec, i);
        const an_safetensor *tensor = an_checkpoint_tensor(load, p);
        bool fits = tensor && an_checkpoint_same_shape(tensor, p);
        m->last = p->layer > m->last ? p->layer : m->last;
        m->fitting += fits;
        if (fits || an_checkpoint_passes(load, p))
            continue;
        if (!m->first)
            m->there = tensor;
        m->first = m->first ? m->first : p;
        int rc = add_layer(m, p);
        if (rc)
            return rc;
    }
    return AN_OK;
}

/* Whether the network's last layer alone does not fit, because it has another number of outputs. */
static bool is_other_classes(const misfit *m)
{
    const an_parameter *p = m->first;
    bool last = p->layer == m->last && !p->bias && m->there && m->there->rank == p->rank;
    for (int i = 1; last && i < p->rank; i++)
        last = m->there->shape[i] == (uint64_t)p->shape[i];
    return last;
}

static int misfit_error(const an_checkpoint_load *load, const misfit *m)
{
    const char *layers = (const char *)m->layers.data, *path = load->path;
    char remedy[256] = "";
    if (load->passed && is_other_classes(m))
        return an_error(AN_EINVAL,
                        "'%s': %s has %" PRIu64
                        " classes there and %d here: --fresh %s lets it begin with random numbers",
                        path, layers, m->there->shape[0], m->first->shape[0], layers);
    if (!m->fitting)
        return an_error(AN_EINVAL,
                        "'%s' fits no layer of this network, beginning with '%s': it is another network's, or its "
                        "tensors have other names than an-train export writes",
                        path, m->first->name);
    if (load->passed)
        snprintf(remedy, sizeof(remedy), "; --fresh %s lets what does not fit begin with random numbers", layers);
    if (m->there)
        return an_checkpoint_shape_error(load, m->there, m->first, remedy);
    return an_error(AN_EINVAL, "'%s': no tensor '%s'%s", path, m->first->name, remedy);
}

int an_weights_load(an_weights *w, an_exec *exec, const char *fresh)
{
    const an_checkpoint_load load = loading(w, exec, fresh);
    misfit m = {.first = NULL};
    int rc = find_misfit(&load, &m);
    if (!rc && m.first)
        rc = misfit_error(&load, &m);
    an_buffer_free(&m.layers);
    return rc ? rc : an_checkpoint_load_all(&load);
}
