#include "train/state/checkpoint_private.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/error.h"

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

static int shape_error(const char *path, const an_safetensor *tensor, const an_named_tensor *wanted)
{
    char has[128], wants[128];
    shape_text(has, sizeof(has), tensor->shape, tensor->rank);
    shape_text(wants, sizeof(wants), wanted->tensor.shape, wanted->tensor.rank);
    return an_error(AN_EINVAL,
                    "'%s': tensor '%s' is %s, this network wants %s: made with other classes, crop or options", path,
                    tensor->name, has, wants);
}

/* Reads what the file holds as `from` and sets it as `kind`. A file with a checksum was looked at as a whole when that
 * was verified. */
static int load_one(an_safetensors *file, const char *path, an_exec *exec, int number, an_parameter_kind from,
                    an_parameter_kind kind, float *values)
{
    const an_parameter *p = an_exec_parameter(exec, number);
    an_named_tensor wanted;
    an_checkpoint_name(&wanted, from, p);
    const an_safetensor *tensor = an_safetensors_find(file, wanted.name);
    if (!tensor)
        return an_error(AN_EINVAL, "'%s': no tensor '%s'", path, wanted.name);
    if (!same_shape(tensor, p))
        return shape_error(path, tensor, &wanted);
    int rc = an_safetensors_read(file, tensor, values);
    if (rc)
        return rc;
    if (!an_safetensors_guarded(file) && !an_safetensors_finite(values, p->size))
        return an_safetensors_not_finite(path, tensor->name);
    return an_exec_parameter_set(exec, number, kind, values);
}

static bool holds_averages(const an_safetensors *file, const an_exec *exec)
{
    an_named_tensor first;
    an_checkpoint_name(&first, AN_PARAMETER_AVERAGE, an_exec_parameter(exec, 0));
    return an_safetensors_find(file, first.name);
}

static int load_all(an_safetensors *file, const char *path, an_exec *exec, bool momentum)
{
    bool average = momentum && an_exec_averages(exec);
    an_parameter_kind from = !momentum && holds_averages(file, exec) ? AN_PARAMETER_AVERAGE : AN_PARAMETER_VALUE;
    uint64_t most = 1;
    for (int i = 0; i < an_exec_parameter_count(exec); i++)
        if (an_exec_parameter(exec, i)->size > most)
            most = an_exec_parameter(exec, i)->size;
    void *values = NULL;
    int rc = an_pages_alloc(&values, most * sizeof(float));
    if (rc)
        return rc;
    for (int i = 0; !rc && i < an_exec_parameter_count(exec); i++) {
        rc = load_one(file, path, exec, i, from, AN_PARAMETER_VALUE, values);
        if (!rc && momentum)
            rc = load_one(file, path, exec, i, AN_PARAMETER_MOMENTUM, AN_PARAMETER_MOMENTUM, values);
        if (!rc && average)
            rc = load_one(file, path, exec, i, AN_PARAMETER_AVERAGE, AN_PARAMETER_AVERAGE, values);
    }
    an_pages_free(values, most * sizeof(float));
    return rc;
}

int an_checkpoint_restore(an_checkpoint *checkpoint, an_exec *exec, bool momentum)
{
    return load_all(checkpoint->file, checkpoint->path, exec, momentum);
}

int an_checkpoint_load_weights(const char *path, an_exec *exec)
{
    an_safetensors *file = NULL;
    int rc = an_safetensors_open(&file, path);
    if (!rc)
        rc = an_safetensors_verify(file);
    if (!rc)
        rc = load_all(file, path, exec, false);
    an_safetensors_free(file);
    return rc;
}
