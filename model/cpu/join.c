/* Concatenation along the channels. Backward, each input collects its channels of the gradients of all joins that read
 * it. */
#include "base/error.h"
#include "model/cpu/cpu_private.h"

typedef struct {
    an_op op;
    an_primitive forward;
} join_op;

static int join_forward(an_op *op, const an_run *run)
{
    (void)run;
    return an_primitive_run(&((join_op *)op)->forward, op->cpu);
}

static int join_backward(an_op *op, const an_run *run)
{
    (void)op;
    (void)run;
    return AN_OK; /* the inputs collect the gradient */
}

int an_cpu_collect(an_op *op)
{
    int rc = AN_OK;
    for (int i = 0; i < op->join_count && !rc; i++)
        rc = an_primitive_run(&op->collects[i], op->cpu);
    return rc;
}

/* Prepares the copy of the source's channels of a join's gradient. The first join overwrites the source's gradient, the
 * next ones add to it. */
static int source_register(an_op *source, an_op *join, int offset)
{
    const an_cpu_tensor *from = &join->output, *to = &source->output;
    dnnl_dims_t dims = {to->n, to->c, to->h, to->w}, offsets = {0, offset};
    an_desc window;
    dnnl_memory_t memory;
    int use = source->join_count;
    if (use == AN_OP_JOINS_MAX)
        return an_error(AN_EINTERNAL, "%s: more than %d joins", source->node.name, AN_OP_JOINS_MAX);
    dnnl_status_t status = an_desc_window(&window, &from->desc, dims, offsets);
    int rc = an_cpu_check(status, source->node.name, "a window into a join");
    if (rc)
        return rc;
    rc = an_cpu_memory(source->cpu, &memory, &window, from->slope);
    if (rc)
        return rc;
    rc = an_primitive_reorder(&source->collects[use], source->cpu, &window, memory, &to->desc, to->gradient, use > 0);
    if (rc)
        return rc;
    source->join_count++;
    return AN_OK;
}

static int kernel_make(join_op *join, const an_op_spec *spec, int count)
{
    an_backend *cpu = join->op.cpu;
    an_desc descs[AN_GRAPH_INPUTS_MAX];
    dnnl_primitive_desc_t desc;
    const an_cpu_tensor *first = an_cpu_input(spec, 0);
    int shape[] = {first->n, join->op.node.channels, first->h, first->w};
    for (int i = 0; i < count; i++)
        descs[i] = an_cpu_input(spec, i)->desc;
    int rc = an_cpu_check(an_onednn_concat_make(&desc, cpu->engine, count, descs), join->op.node.name, "concatenation");
    if (rc)
        return rc;
    an_desc target = an_onednn_query(desc, dnnl_query_dst_md);
    rc = an_primitive_make(&join->forward, cpu, desc, join->op.node.name);
    if (rc)
        return rc;
    rc = an_cpu_tensor_make(&join->op.output, cpu, shape, &target);
    if (rc)
        return rc;
    for (int i = 0; i < count; i++)
        an_primitive_arg(&join->forward, DNNL_ARG_MULTIPLE_SRC + i, an_cpu_input(spec, i)->value);
    an_primitive_arg(&join->forward, DNNL_ARG_DST, join->op.output.value);
    return AN_OK;
}

int an_cpu_join_create(an_op **out, an_backend *cpu, const an_op_spec *spec)
{
    static const an_op_methods methods = {join_forward, join_backward, NULL};
    join_op *join;
    int rc = an_cpu_op_new(&join, cpu, spec, &methods, sizeof *join), offset = 0, count = spec->node->input_count;
    if (rc)
        return rc;
    rc = kernel_make(join, spec, count);
    if (rc)
        return rc;
    for (int i = 0; i < count && cpu->training && !rc; i++) {
        rc = source_register(spec->inputs[i], &join->op, offset);
        offset += spec->inputs[i]->node.channels;
    }
    *out = &join->op;
    return rc;
}
