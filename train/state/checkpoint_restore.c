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
    an_checkpoint_name(&wanted, "", p);
    shape_text(has, sizeof(has), tensor->shape, tensor->rank);
    shape_text(wants, sizeof(wants), wanted.tensor.shape, wanted.tensor.rank);
    return an_error(AN_EINVAL,
                    "'%s': tensor '%s' is %s, this network wants %s: made with other classes, crop or options%s",
                    load->path, tensor->name, has, wants, remedy);
}

static bool has_momentum(const an_safetensors *file)
{
    for (size_t i = 0; i < an_safetensors_count(file); i++)
        if (strncmp(an_safetensors_at(file, i)->name, AN_CHECKPOINT_MOMENTUM, strlen(AN_CHECKPOINT_MOMENTUM)) == 0)
            return true;
    return false;
}

static int not_there(const an_checkpoint_load *load, const char *name)
{
    if (load->momentum && !has_momentum(load->file))
        return an_error(AN_EINVAL, "'%s' holds weights without their momentum: start a training from it with --weights",
                        load->path);
    return an_error(AN_EINVAL, "'%s': no tensor '%s'", load->path, name);
}

/* F32 tensors of a file with a checksum were looked at when that was verified. */
static bool is_checked(const an_checkpoint_load *load, const an_safetensor *tensor)
{
    return an_safetensors_guarded(load->file) && an_safetensors_is_f32(tensor);
}

static int load_one(const an_checkpoint_load *load, int number, an_parameter_kind kind, float *values)
{
    const an_parameter *p = an_exec_parameter(load->exec, number);
    an_named_tensor wanted;
    an_checkpoint_name(&wanted, kind == AN_PARAMETER_MOMENTUM ? AN_CHECKPOINT_MOMENTUM : "", p);
    const an_safetensor *tensor = an_safetensors_find(load->file, wanted.name);
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

int an_checkpoint_load_all(const an_checkpoint_load *load)
{
    an_exec *exec = load->exec;
    uint64_t most = 1;
    for (int i = 0; i < an_exec_parameter_count(exec); i++)
        if (an_exec_parameter(exec, i)->size > most)
            most = an_exec_parameter(exec, i)->size;
    void *values = NULL;
    int rc = an_pages_alloc(&values, most * sizeof(float));
    for (int i = 0; !rc && i < an_exec_parameter_count(exec); i++) {
        if (an_checkpoint_passes(load, an_exec_parameter(exec, i)))
            continue;
        rc = load_one(load, i, AN_PARAMETER_VALUE, values);
        if (!rc && load->momentum)
            rc = load_one(load, i, AN_PARAMETER_MOMENTUM, values);
    }
    an_pages_free(values, most * sizeof(float));
    return rc;
}

int an_checkpoint_restore(an_checkpoint *checkpoint, an_exec *exec, bool momentum)
{
    return an_checkpoint_load_all(
        &(an_checkpoint_load){.file = checkpoint->file, .path = checkpoint->path, .exec = exec, .momentum = momentum});
}
