#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "model/cpu/cpu_private.h"

struct an_owned {
    an_owned *next;
    void *pages;
    size_t size;
    dnnl_memory_t memory;
    dnnl_primitive_t primitive;
};

int an_cpu_check(dnnl_status_t status, const char *subject, const char *what)
{
    if (status == dnnl_success)
        return AN_OK;
    if (status == dnnl_out_of_memory)
        return an_error(AN_ENOMEM, "%s: out of memory in %s", subject, what);
    return an_error(status == dnnl_unimplemented ? AN_EUNSUPPORTED : AN_EINTERNAL, "%s: oneDNN refuses %s (status %d)",
                    subject, what, (int)status);
}

static int own(an_backend *cpu, an_owned **out)
{
    an_owned *owned = calloc(1, sizeof *owned);
    if (!owned)
        return an_error(AN_ENOMEM, "out of memory");
    owned->next = cpu->owned;
    cpu->owned = owned;
    *out = owned;
    return AN_OK;
}

int an_cpu_alloc(an_backend *cpu, void **out, size_t size)
{
    an_owned *owned = NULL;
    int rc = own(cpu, &owned);
    if (rc)
        return rc;
    rc = an_pages_alloc(&owned->pages, size);
    if (rc)
        return rc;
    owned->size = size;
    cpu->memory += size;
    *out = owned->pages;
    return AN_OK;
}

int an_cpu_own_memory(an_backend *cpu, dnnl_memory_t memory)
{
    an_owned *owned = NULL;
    int rc = own(cpu, &owned);
    if (rc)
        dnnl_memory_destroy(memory);
    else
        owned->memory = memory;
    return rc;
}

int an_cpu_own_primitive(an_backend *cpu, dnnl_primitive_t primitive)
{
    an_owned *owned = NULL;
    int rc = own(cpu, &owned);
    if (rc)
        dnnl_primitive_destroy(primitive);
    else
        owned->primitive = primitive;
    return rc;
}

void an_cpu_free_all(an_backend *cpu)
{
    while (cpu->owned) {
        an_owned *owned = cpu->owned;
        cpu->owned = owned->next;
        if (owned->primitive)
            dnnl_primitive_destroy(owned->primitive);
        if (owned->memory)
            dnnl_memory_destroy(owned->memory);
        an_pages_free(owned->pages, owned->size);
        free(owned);
    }
}

int an_cpu_memory(an_backend *cpu, dnnl_memory_t *out, const an_desc *desc, void *data)
{
    int rc = an_cpu_check(an_onednn_memory(out, desc, cpu->engine, data ? data : DNNL_MEMORY_NONE), "tensor", "memory");
    if (rc)
        return rc;
    return an_cpu_own_memory(cpu, *out);
}

int an_cpu_workspace(an_backend *cpu, const an_desc *desc, dnnl_memory_t *out)
{
    void *place;
    size_t size = an_desc_size(desc);
    *out = NULL;
    if (!size)
        return AN_OK;
    int rc = an_cpu_alloc(cpu, &place, size);
    if (rc)
        return rc;
    return an_cpu_memory(cpu, out, desc, place);
}
