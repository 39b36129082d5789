#include "train/state/checkpoint_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/text/name_list.h"

bool an_checkpoint_same_shape(const an_safetensor *tensor, const an_parameter *p)
{
    bool same = tensor->rank == p->rank;
    for (int i = 0; same && i < p->rank; i++)
        same = tensor->shape[i] == (uint64_t)p->shape[i];
    return same;
}

bool an_checkpoint_passes(const an_checkpoint_load *load, const an_parameter *p)
{
    return load->passed && an_names_hold(load->passed, p->name, strcspn(p->name, "."));
}

static void shape_text(char *out, size_t size, const uint64_t *shape, int rank)
{
    size_t at = 0;
    out[0] = '\0';
    for (int i = 0; i < rank && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%" PRIu64, i ? "x" : "", shape[i]);
}

int an_checkpoint_shape_error(const an_checkpoint_load *load, const an_safetensor *tensor, const an_parameter *p,
                              const char *remedy)
{
    char has[128], wants[128];
    an_named_tensor wanted;
    an_checkpoint_name(&wanted, load->from, p);
    shape_text(has, sizeof(has), tensor->shape, tensor->rank);
    shape_text(wants, sizeof(wants), wanted.tensor.shape, wanted.tensor.rank);
    return an_error(AN_EINVAL,
                    "'%s': tensor '%s' is %s, this network wants %s: made with other classes, crop or options%s",
                    load->path, tensor->name, has, wants, remedy);
}

static const an_safetensor *find(const an_safetensors *file, an_parameter_kind kind, const an_parameter *p)
{
    an_named_tensor wanted;
    an_checkpoint_name(&wanted, kind, p);
    return an_safetensors_find(file, wanted.name);
}

an_parameter_kind an_checkpoint_best_kind(const an_safetensors *file, const an_exec *exec)
{
    return find(file, AN_PARAMETER_AVERAGE, an_exec_parameter(exec, 0)) ? AN_PARAMETER_AVERAGE : AN_PARAMETER_VALUE;
}

const an_safetensor *an_checkpoint_tensor(const an_checkpoint_load *load, const an_parameter *p)
{
    return find(load->file, load->from, p);
}

static bool has_momentum(const an_checkpoint_load *load)
{
    for (int i = 0; i < an_exec_parameter_count(load->exec); i++)
        if (find(load->file, AN_PARAMETER_MOMENTUM, an_exec_parameter(load->exec, i)))
            return true;
    return false;
}

static int not_there(const an_checkpoint_load *load, const char *name)
{
    if (load->momentum && !has_momentum(load))
        return an_error(AN_EINVAL, "'%s' holds weights without their momentum: start a training from it with --weights",
                        load->path);
    return an_error(AN_EINVAL, "'%s': no tensor '%s'", load->path, name);
}

/* F32 tensors of a file with a checksum were looked at when that was verified. */
static bool is_checked(const an_checkpoint_load *load, const an_safetensor *tensor)
{
    return an_safetensors_guarded(load->file) && an_safetensors_is_f32(tensor);
}

/* Reads what the file holds as from and sets it as kind. */
static int load_one(const an_checkpoint_load *load, int number, an_parameter_kind from, an_parameter_kind kind,
                    float *values)
{
    const an_parameter *p = an_exec_parameter(load->exec, number);
    const an_safetensor *tensor = find(load->file, from, p);
    an_named_tensor wanted;
    an_checkpoint_name(&wanted, from, p);
    if (!tensor)
        return not_there(load, wanted.name);
    if (!an_checkpoint_same_shape(tensor, p))
        return an_checkpoint_shape_error(load, tensor, p, "");
    int rc = an_safetensors_read(load->file, tensor, values);
    if (rc)
        return rc;
    if (!is_checked(load, tensor) && !an_safetensors_finite(values, p->size))
        return an_safetensors_not_finite(load->path, tensor->name);
    return an_exec_parameter_set(load->exec, number, kind, values);
}

static int load_kinds(const an_checkpoint_load *load, int number, float *values)
{
    int rc = load_one(load, number, load->from, AN_PARAMETER_VALUE, values);
    if (!rc && load->momentum)
        rc = load_one(load, number, AN_PARAMETER_MOMENTUM, AN_PARAMETER_MOMENTUM, values);
    if (!rc && load->momentum && an_exec_averages(load->exec))
        rc = load_one(load, number, AN_PARAMETER_AVERAGE, AN_PARAMETER_AVERAGE, values);
    return rc;
}

int an_checkpoint_load_all(const an_checkpoint_load *load)
{
    an_exec *exec = load->exec;
    uint64_t most = 1;
    for (int i = 0; i < an_exec_parameter_count(exec); i++)
        if (an_exec_parameter(exec, i)->size > most)
            most = an_exec_parameter(exec, i)->size;
    void *values = NULL;
    int rc = an_pages_alloc(&values, most * sizeof(float));
    if (rc)
        return rc;
    for (int i = 0; !rc && i < an_exec_parameter_count(exec); i++)
        if (!an_checkpoint_passes(load, an_exec_parameter(exec, i)))
            rc = load_kinds(load, i, values);
    an_pages_free(values, most * sizeof(float));
    return rc;
}

int an_checkpoint_restore(an_checkpoint *checkpoint, an_exec *exec, bool momentum)
{
    an_safetensors *file = checkpoint->file;
    return an_checkpoint_load_all(
        &(an_checkpoint_load){.file = file,
                              .path = checkpoint->path,
                              .exec = exec,
                              .from = momentum ? AN_PARAMETER_VALUE : an_checkpoint_best_kind(file, exec),
                              .momentum = momentum});
}
