#include <string.h>

#include "base/error.h"
#include "model/cpu/cpu_private.h"

int an_cpu_view_make(an_cpu_view *view, an_backend *cpu, an_cpu_tensor *source, const an_cpu_view_spec *spec)
{
    bool convert = !an_desc_equal(&source->desc, spec->desc);
    bool backward = spec->gradient && cpu->training;
    an_cpu_tensor *own = &view->own;
    memset(view, 0, sizeof *view);
    view->tensor = source;
    if (!convert && !(backward && spec->accumulate))
        return AN_OK;
    int shape[] = {source->n, source->c, source->h, source->w};
    int rc = an_cpu_tensor_make(own, cpu, shape, spec->desc);
    if (rc)
        return rc;
    view->tensor = own;
    if (convert) {
        rc = an_primitive_reorder(&view->forward, cpu, &source->desc, source->value, &own->desc, own->value, false);
        if (rc)
            return rc;
    } else { /* the order fits, and only the gradient needs memory of its own, to be added later */
        own->value = source->value;
        own->data = source->data;
    }
    if (!backward)
        return AN_OK;
    return an_primitive_reorder(&view->backward, cpu, &own->desc, own->gradient, &source->desc, source->gradient,
                                spec->accumulate);
}

int an_cpu_view_forward(const an_cpu_view *view, an_backend *cpu)
{
    return an_primitive_run(&view->forward, cpu);
}

int an_cpu_view_backward(const an_cpu_view *view, an_backend *cpu)
{
    return an_primitive_run(&view->backward, cpu);
}
