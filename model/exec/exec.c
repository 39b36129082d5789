#include "model/exec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/thread.h"
#include "model/exec/exec_private.h"
#include "model/exec/exec_reduce_private.h"

static int conversion_check(const an_conversion *c, int input_side)
{
    if (!isfinite(c->scale) || c->scale <= 0)
        return an_error(AN_EINVAL, "images multiplied with %g: it must be above 0", c->scale);
    if (c->side != 1 && (c->side < input_side || c->side > 1 << 14))
        return an_error(AN_EINVAL, "a mean image of %d pixels for images of %d", c->side, input_side);
    return AN_OK;
}

static int rate_scales_check(const an_graph *graph, const double *scales)
{
    bool learns = false;
    for (int i = 0; i < graph->count; i++) {
        const an_node *node = &graph->nodes[i];
        if (!node->has_weights)
            continue;
        if (!isfinite(scales[node->layer]) || scales[node->layer] < 0)
            return an_error(AN_EINVAL, "%s: a learning rate multiplied with %g: it must be 0 or more", node->name,
                            scales[node->layer]);
        learns = learns || scales[node->layer] > 0;
    }
    return learns ? AN_OK : an_error(AN_EINVAL, "every layer is frozen: nothing would learn");
}

static int options_check(const an_graph *graph, const an_exec_options *options)
{
    if (options->batch < 1 || options->batch > 1 << 16)
        return an_error(AN_EINVAL, "batch of %d: it must be 1 to %d", options->batch, 1 << 16);
    if (options->parts < 0 || (options->parts > 1 && options->batch % (2 * options->parts)))
        return an_error(AN_EINVAL, "a batch of %d in %d parts: they must be equal, and even", options->batch,
                        options->parts);
    if (options->parts > 1 && options->decoder)
        return an_error(AN_EINVAL, "batches that arrive encoded cannot be divided into parts");
    if (options->threads < 0 || options->threads > 1024)
        return an_error(AN_EINVAL, "%d threads: it must be 0 (all processors) to 1024", options->threads);
    int rc = options->conversion ? conversion_check(options->conversion, graph->input_side) : AN_OK;
    if (!rc && options->rate_scales)
        rc = rate_scales_check(graph, options->rate_scales);
    if (rc)
        return rc;
    rc = an_exec_targets_check(graph, options);
    if (rc)
        return rc;
    for (int i = 0; i < graph->count; i++)
        if (graph->nodes[i].kind == AN_OP_LOSS && i == graph->count - 1)
            return AN_OK;
    return an_error(AN_EINVAL, "the network does not end in a loss");
}

/* The devices that a list names, all of one kind. */
typedef struct {
    char text[256];
    const char *names[AN_GRAPH_DEVICES]; /* pointers into text */
    int count;
    const an_backend_api *api;
} device_list;

static int device_add(device_list *list, const char *name)
{
    const an_backend_api *api;
    int rc = an_backend_find(name, &api);
    if (rc)
        return rc;
    if (list->api && list->api != api)
        return an_error(AN_EINVAL, "devices of different kinds cannot share a network");
    list->api = api;
    list->names[list->count++] = name;
    return AN_OK;
}

static int devices_find(device_list *list, const char *text)
{
    char *rest = list->text, *name;
    int count = 1, rc = AN_OK;
    if (snprintf(list->text, sizeof list->text, "%s", text ? text : "cpu") >= (int)sizeof list->text)
        return an_error(AN_EINVAL, "devices '%s': too long", text);
    for (const char *c = list->text; *c; c++)
        count += *c == ',';
    if (count > AN_GRAPH_DEVICES)
        return an_error(AN_EINVAL, "devices '%s': at most %d", text, AN_GRAPH_DEVICES);
    while (!rc && (name = strsep(&rest, ",")))
        rc = device_add(list, name);
    return rc;
}

static int parts_of(const an_exec_options *options)
{
    return options->parts > 1 ? options->parts : 1;
}

static an_backend_options device_options(const an_exec_options *o, const device_list *list, int number)
{
    int first, all = o->threads ? o->threads : an_thread_cpu_count();
    int share = an_thread_share(all, number, list->count, &first);
    return (an_backend_options){.device = list->names[number],
                                .batch = o->batch / parts_of(o),
                                .threads = share > 1 ? share : 1,
                                .training = o->training,
                                .averages = o->averages && o->training,
                                .gathers = o->training && parts_of(o) > 1,
                                .reduces = o->training && o->reducer,
                                .reducer = o->training ? o->reducer : NULL,
                                .seed = o->seed,
                                .top = o->top ? o->top : AN_EXEC_TOP,
                                .precision = o->precision,
                                .choices = o->choices,
                                .notes = o->notes,
                                .remarks = o->remarks,
                                .direct = o->direct,
                                .label_smoothing = o->label_smoothing,
                                .class_weights = o->class_weights,
                                .conversion = o->conversion,
                                .decoder = o->decoder,
                                .number = number};
}

/* A single device runs merged layers where the split ones have such a form. */
static int graph_place(an_exec *exec, const an_graph *graph, int devices)
{
    an_graph fused;
    int rc = exec->options.columns || devices > 1 ? AN_EUNSUPPORTED : an_graph_fuse(graph, &fused);
    if (rc && rc != AN_EUNSUPPORTED)
        return rc;
    return an_graph_lower(rc ? graph : &fused, devices, &exec->graph);
}

static int decoder_check(const an_exec *exec, const device_list *list)
{
    if (!exec->options.decoder || list->api->decoded)
        return AN_OK;
    return an_error(AN_EINVAL, "device '%s' takes finished images: those that arrive encoded are for GPUs",
                    list->names[0]);
}

/* Before any device is opened, so that a network that cannot run is refused early. */
static int nodes_check(const an_exec *exec, const device_list *list)
{
    an_backend_options options = device_options(&exec->options, list, 0);
    for (int i = 0; i < exec->graph.count; i++) {
        int rc = list->api->supports(&options, &exec->graph, i);
        if (rc)
            return an_error_prefix(rc, "%s", exec->graph.nodes[i].name);
    }
    return AN_OK;
}

static int devices_open(an_exec *exec, const device_list *list)
{
    exec->api = list->api;
    for (int i = 0; i < list->count; i++) {
        an_backend_options options = device_options(&exec->options, list, i);
        int rc = exec->api->open(&exec->devices[i], &options);
        if (rc)
            return rc;
        exec->device_count++;
    }
    return AN_OK;
}

static int ops_create(an_exec *exec)
{
    an_graph *graph = &exec->graph;
    const double *scales = exec->options.rate_scales;
    an_graph_flow(graph, scales, exec->flow);
    for (int i = 0; i < graph->count; i++) {
        const an_node *node = &graph->nodes[i];
        an_op_spec spec = {.node = node,
                           .input_gradient = exec->flow[i].input_gradient,
                           .accumulate = exec->flow[i].accumulate,
                           .rate_scale = scales && node->has_weights ? scales[node->layer] : 1};
        for (int k = 0; k < node->input_count; k++)
            spec.inputs[k] = exec->ops[node->inputs[k]];
        an_backend *device = exec->devices[node->device];
        uint64_t before = exec->api->memory(device);
        int rc = exec->api->op_create(&exec->ops[i], device, &spec);
        if (rc)
            return an_error_prefix(rc, "%s", node->name);
        exec->op_memory[i] = exec->api->memory(device) - before;
        if (node->kind == AN_OP_LOSS)
            exec->loss = i;
    }
    return AN_OK;
}

static int devices_finish(an_exec *exec)
{
    int rc = AN_OK;
    for (int i = 0; i < exec->device_count && !rc; i++)
        rc = exec->api->finish(exec->devices[i]);
    for (int i = 0; i < exec->graph.count && !rc && exec->api->op_memory; i++)
        exec->op_memory[i] = exec->api->op_memory(exec->ops[i]);
    return rc;
}

static int outputs_alloc(an_exec *exec)
{
    size_t batch = (size_t)exec->options.batch;
    exec->outputs = calloc(batch * (size_t)exec->graph.classes, sizeof *exec->outputs);
    exec->others = calloc(batch, sizeof *exec->others);
    exec->shares = calloc(batch, sizeof *exec->shares);
    exec->class_weights = calloc((size_t)exec->graph.classes, sizeof *exec->class_weights);
    if (!exec->outputs || !exec->others || !exec->shares || !exec->class_weights)
        return an_error(AN_ENOMEM, "out of memory");
    for (int c = 0; c < exec->graph.classes; c++)
        exec->class_weights[c] = exec->options.class_weights ? exec->options.class_weights[c] : 1;
    return AN_OK;
}

static int lanes_create(an_exec *exec)
{
    an_lanes_work work = {.graph = &exec->graph,
                          .flow = exec->flow,
                          .api = exec->api,
                          .ops = exec->ops,
                          .devices = exec->devices,
                          .device_count = exec->device_count};
    int rc = exec->options.training ? an_reduction_create(&exec->reduction, &work, exec->options.reducer) : AN_OK;
    if (rc)
        return rc;
    work.reduction = exec->reduction;
    return an_lanes_create(&exec->lanes, &work);
}

static int exec_make(an_exec *exec, const an_graph *graph)
{
    device_list list = {.count = 0};
    int rc = devices_find(&list, exec->options.devices);
    if (rc)
        return rc;
    rc = decoder_check(exec, &list);
    if (rc)
        return rc;
    rc = graph_place(exec, graph, list.count);
    if (rc)
        return rc;
    rc = nodes_check(exec, &list);
    if (rc)
        return rc;
    rc = devices_open(exec, &list);
    if (rc)
        return rc;
    rc = ops_create(exec);
    if (rc)
        return rc;
    rc = devices_finish(exec);
    if (rc)
        return rc;
    rc = outputs_alloc(exec);
    if (rc)
        return rc;
    an_exec_parameters_list(exec);
    return lanes_create(exec);
}

int an_exec_create(an_exec **out, const an_graph *graph, const an_exec_options *options)
{
    int rc = options_check(graph, options);
    if (rc)
        return rc;
    an_exec *exec = calloc(1, sizeof *exec);
    if (!exec)
        return an_error(AN_ENOMEM, "out of memory");
    exec->options = *options;
    exec->mean_side = options->conversion ? options->conversion->side : 1;
    exec->block_max = options->decoder ? options->decoder->size : 0;
    exec->damaged = -1;
    exec->part = (uint32_t)(options->batch / parts_of(options));
    rc = exec_make(exec, graph);
    if (rc) {
        an_exec_free(exec);
        return rc;
    }
    exec->options.devices = NULL; /* these are the caller's memory */
    exec->options.conversion = NULL;
    exec->options.decoder = NULL;
    exec->options.rate_scales = NULL;
    exec->options.reducer = NULL;
    exec->options.class_weights = NULL;
    *out = exec;
    return AN_OK;
}

void an_exec_free(an_exec *exec)
{
    if (!exec)
        return;
    an_lanes_free(exec->lanes);
    an_reduction_free(exec->reduction);
    /* Devices may still read each other's memory. What fails now cannot be reported. */
    (void)an_exec_wait(exec);
    for (int i = 0; i < exec->device_count; i++)
        exec->api->close(exec->devices[i]);
    free(exec->outputs);
    free(exec->others);
    free(exec->shares);
    free(exec->class_weights);
    free(exec);
}

uint32_t an_exec_top(const an_exec *exec)
{
    return exec->options.top ? exec->options.top : AN_EXEC_TOP;
}

bool an_exec_on_processors(const an_exec *exec)
{
    return exec->api->processors;
}

an_format an_exec_input_format(const an_exec *exec)
{
    return exec->api->input_format(exec->devices[0]);
}
