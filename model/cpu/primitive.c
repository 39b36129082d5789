/* Makes, runs and copies with oneDNN primitives; all primitives of the backend are made here. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "model/cpu/cpu_private.h"

struct an_scratch {
    an_scratch *next;
    dnnl_memory_t memory; /* a primitive's scratchpad; NULL for a kernel of our own */
    void **place;         /* where such a kernel reads the address */
};

static int attr_make(dnnl_primitive_attr_t *out, an_activation activation, const char *subject)
{
    int rc = an_cpu_check(dnnl_primitive_attr_create(out), subject, "attributes");
    if (rc)
        return rc;
    dnnl_status_t status = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
    if (status == dnnl_success)
        status = an_onednn_append_activation(*out, activation);
    if (status != dnnl_success)
        dnnl_primitive_attr_destroy(*out);
    return an_cpu_check(status, subject, "attributes");
}

static int pass_begin(an_onednn_pass *out, an_backend *cpu, const an_primitive_pass *pass, dnnl_primitive_attr_t *attr)
{
    int rc = attr_make(attr, pass->activation, pass->subject);
    if (rc)
        return rc;
    *out = (an_onednn_pass){.engine = cpu->engine, .pass = pass->pass, .attr = *attr, .hint = pass->hint};
    return AN_OK;
}

static int pass_end(const an_primitive_pass *pass, dnnl_primitive_attr_t attr, dnnl_status_t status)
{
    dnnl_primitive_attr_destroy(attr);
    return an_cpu_check(status, pass->subject, "a primitive of this shape");
}

int an_primitive_conv(dnnl_primitive_desc_t *out, an_backend *cpu, const an_primitive_pass *pass,
                      const an_onednn_conv *conv)
{
    dnnl_primitive_attr_t attr;
    an_onednn_pass full;
    int rc = pass_begin(&full, cpu, pass, &attr);
    if (rc)
        return rc;
    return pass_end(pass, attr, an_onednn_conv_make(out, &full, conv));
}

int an_primitive_dense(dnnl_primitive_desc_t *out, an_backend *cpu, const an_primitive_pass *pass,
                       const an_onednn_dense *dense)
{
    dnnl_primitive_attr_t attr;
    an_onednn_pass full;
    int rc = pass_begin(&full, cpu, pass, &attr);
    if (rc)
        return rc;
    return pass_end(pass, attr, an_onednn_dense_make(out, &full, dense));
}

int an_primitive_pool(dnnl_primitive_desc_t *out, an_backend *cpu, const an_primitive_pass *pass,
                      const an_onednn_pool *pool)
{
    dnnl_primitive_attr_t attr;
    an_onednn_pass full;
    int rc = pass_begin(&full, cpu, pass, &attr);
    if (rc)
        return rc;
    return pass_end(pass, attr, an_onednn_pool_make(out, &full, pool));
}

int an_primitive_lrn(dnnl_primitive_desc_t *out, an_backend *cpu, const an_primitive_pass *pass,
                     const an_onednn_lrn *lrn)
{
    dnnl_primitive_attr_t attr;
    an_onednn_pass full;
    int rc = pass_begin(&full, cpu, pass, &attr);
    if (rc)
        return rc;
    return pass_end(pass, attr, an_onednn_lrn_make(out, &full, lrn));
}

int an_primitive_eltwise(dnnl_primitive_desc_t *out, an_backend *cpu, const an_primitive_pass *pass,
                         dnnl_alg_kind_t algorithm, const an_desc *order)
{
    dnnl_primitive_attr_t attr;
    an_onednn_pass full;
    int rc = pass_begin(&full, cpu, pass, &attr);
    if (rc)
        return rc;
    return pass_end(pass, attr, an_onednn_eltwise_make(out, &full, algorithm, order));
}

static int scratch_register(an_backend *cpu, size_t size, dnnl_memory_t memory, void **place)
{
    void *entry;
    int rc = an_cpu_alloc(cpu, &entry, sizeof(an_scratch));
    if (rc)
        return rc;
    an_scratch *scratch = entry;
    *scratch = (an_scratch){cpu->scratches, memory, place};
    cpu->scratches = scratch;
    if (size > cpu->scratch_size)
        cpu->scratch_size = size;
    return AN_OK;
}

static int scratch_add(an_primitive *kernel, an_backend *cpu, const_dnnl_primitive_desc_t desc)
{
    an_desc wanted = an_onednn_query(desc, dnnl_query_scratchpad_md);
    dnnl_memory_t memory;
    size_t size = an_desc_size(&wanted);
    if (!size)
        return AN_OK;
    int rc = an_cpu_memory(cpu, &memory, &wanted, NULL);
    if (rc)
        return rc;
    rc = scratch_register(cpu, size, memory, NULL);
    if (rc)
        return rc;
    an_primitive_arg(kernel, DNNL_ARG_SCRATCHPAD, memory);
    return AN_OK;
}

int an_scratch_want(an_backend *cpu, size_t size, void **place)
{
    return scratch_register(cpu, size, NULL, place);
}

int an_primitive_scratch_finish(an_backend *cpu)
{
    void *buffer = NULL;
    int rc = an_cpu_alloc(cpu, &buffer, cpu->scratch_size);
    for (an_scratch *s = cpu->scratches; s && !rc; s = s->next)
        if (s->place)
            *s->place = buffer;
        else
            rc = an_cpu_check(dnnl_memory_set_data_handle(s->memory, buffer), "scratch", "memory");
    return rc;
}

int an_primitive_make(an_primitive *kernel, an_backend *cpu, dnnl_primitive_desc_t desc, const char *subject)
{
    const char *implementation = "";
    memset(kernel, 0, sizeof *kernel);
    dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &implementation);
    snprintf(kernel->implementation, sizeof kernel->implementation, "%s", implementation);
    int rc = an_cpu_check(dnnl_primitive_create(&kernel->primitive, desc), subject, "a primitive");
    if (!rc)
        rc = an_cpu_own_primitive(cpu, kernel->primitive);
    if (!rc)
        rc = scratch_add(kernel, cpu, desc);
    dnnl_primitive_desc_destroy(desc);
    return rc;
}

void an_primitive_arg(an_primitive *kernel, int argument, dnnl_memory_t memory)
{
    kernel->args[kernel->count++] = (dnnl_exec_arg_t){argument, memory};
}

int an_primitive_run(const an_primitive *kernel, an_backend *cpu)
{
    if (!kernel->primitive)
        return AN_OK;
    return an_cpu_check(dnnl_primitive_execute(kernel->primitive, cpu->stream, kernel->count, kernel->args),
                        kernel->implementation, "execution");
}

int an_primitive_reorder(an_primitive *kernel, an_backend *cpu, const an_desc *from_desc, dnnl_memory_t from,
                         const an_desc *to_desc, dnnl_memory_t to, bool add)
{
    dnnl_primitive_attr_t attr;
    int rc = attr_make(&attr, AN_ACTIVATION_NONE, "reorder");
    if (rc)
        return rc;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_status_t status = add ? an_onednn_append_sum(attr) : dnnl_success;
    if (status == dnnl_success)
        status = an_onednn_reorder_make(&desc, cpu->engine, from_desc, to_desc, attr);
    dnnl_primitive_attr_destroy(attr);
    rc = an_cpu_check(status, "reorder", "this pair of orders");
    if (rc)
        return rc;
    rc = an_primitive_make(kernel, cpu, desc, "reorder");
    if (rc)
        return rc;
    an_primitive_arg(kernel, DNNL_ARG_FROM, from);
    an_primitive_arg(kernel, DNNL_ARG_TO, to);
    return AN_OK;
}

int an_cpu_copy(an_backend *cpu, const an_desc *from_desc, void *from, const an_desc *to_desc, void *to)
{
    dnnl_memory_t source = NULL, target = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_status_t status = an_onednn_memory(&source, from_desc, cpu->engine, from);
    if (status == dnnl_success)
        status = an_onednn_memory(&target, to_desc, cpu->engine, to);
    if (status == dnnl_success)
        status = an_onednn_reorder_make(&desc, cpu->engine, from_desc, to_desc, NULL);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&primitive, desc);
    if (status == dnnl_success) {
        dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, target}};
        status = dnnl_primitive_execute(primitive, cpu->stream, 2, args);
    }
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(desc);
    dnnl_memory_destroy(target);
    dnnl_memory_destroy(source);
    return an_cpu_check(status, "copy", "this pair of orders");
}
