#include <string.h>

#include "base/error.h"
#include "model/cpu/cpu_private.h"

/* A tensor, or one half of its channels, as source or target of a copy. */
typedef struct {
    dnnl_memory_desc_t desc;
    dnnl_memory_t value, gradient;
} part;

static int part_make(part *out, an_backend *cpu, const an_cpu_tensor *tensor, int half, int parts)
{
    void *data, *slope;
    if (parts == 1) {
        *out = (part){tensor->desc, tensor->value, tensor->gradient};
        return AN_OK;
    }
    int rc = an_cpu_tensor_half(tensor, half, &out->desc, &data, &slope);
    if (rc)
        return rc;
    rc = an_cpu_memory(cpu, &out->value, &out->desc, data);
    if (rc)
        return rc;
    return slope ? an_cpu_memory(cpu, &out->gradient, &out->desc, slope) : AN_OK;
}

static int copies_make(an_cpu_view *view, an_backend *cpu, const an_cpu_tensor *source, const an_cpu_view_spec *spec,
                       bool convert)
{
    int parts = source->halved != spec->halved ? 2 : 1;
    for (int i = 0; i < parts; i++) {
        part from, to;
        int rc = part_make(&from, cpu, source, i, parts);
        if (rc)
            return rc;
        rc = part_make(&to, cpu, &view->own, i, parts);
        if (rc)
            return rc;
        if (convert)
            rc = an_primitive_reorder(&view->forward[i], cpu, &from.desc, from.value, &to.desc, to.value, false);
        if (!rc && spec->gradient)
            rc = an_primitive_reorder(&view->backward[i], cpu, &to.desc, to.gradient, &from.desc, from.gradient,
                                      spec->accumulate);
        if (rc)
            return rc;
    }
    return AN_OK;
}

int an_cpu_view_make(an_cpu_view *view, an_backend *cpu, an_cpu_tensor *source, const an_cpu_view_spec *spec)
{
    bool convert = source->halved != spec->halved || !dnnl_memory_desc_equal(&source->desc, spec->desc);
    bool backward = spec->gradient && cpu->training;
    memset(view, 0, sizeof *view);
    view->tensor = source;
    if (!convert && !(backward && spec->accumulate))
        return AN_OK;
    int shape[] = {source->n, source->c, source->h, source->w};
    int rc = an_cpu_tensor_make(&view->own, cpu, shape, spec->desc, spec->halved);
    if (rc)
        return rc;
    view->tensor = &view->own;
    if (!convert) { /* the order fits, and only the gradient needs memory of its own, to be added later */
        view->own.value = source->value;
        view->own.data = source->data;
    }
    an_cpu_view_spec adjusted = *spec;
    adjusted.gradient = backward;
    return copies_make(view, cpu, source, &adjusted, convert);
}

static int run_both(const an_primitive kernels[2], an_backend *cpu)
{
    int rc = an_primitive_run(&kernels[0], cpu);
    if (rc)
        return rc;
    return an_primitive_run(&kernels[1], cpu);
}

int an_cpu_view_forward(const an_cpu_view *view, an_backend *cpu)
{
    return run_both(view->forward, cpu);
}

int an_cpu_view_backward(const an_cpu_view *view, an_backend *cpu)
{
    return run_both(view->backward, cpu);
}
