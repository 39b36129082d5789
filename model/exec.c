#include "model/exec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/thread.h"
#include "model/exec_private.h"

static int conversion_check(const an_conversion *c, int input_side)
{
    if (!isfinite(c->scale) || c->scale <= 0)
        return an_error(AN_EINVAL, "images multiplied with %g: it must be above 0", c->scale);
    if (c->side != 1 && (c->side < input_side || c->side > 1 << 14))
        return an_error(AN_EINVAL, "a mean image of %d pixels for images of %d", c->side, input_side);
    return AN_OK;
}

static int options_check(const an_graph *graph, const an_exec_options *options)
{
    int rc;
    if (options->batch < 1 || options->batch > 1 << 16)
        return an_error(AN_EINVAL, "batch of %d: it must be 1 to %d", options->batch, 1 << 16);
    if (options->threads < 0 || options->threads > 1024)
        return an_error(AN_EINVAL, "%d threads: it must be 0 (all processors) to 1024", options->threads);
    if (options->conversion && (rc = conversion_check(options->conversion, graph->input_side)))
        return rc;
    for (int i = 0; i < graph->count; i++)
        if (graph->nodes[i].kind == AN_OP_LOSS && i == graph->count - 1)
            return AN_OK;
    return an_error(AN_EINVAL, "the network does not end in a loss");
}

/* One device runs halves as merged layers where they have such a form. */
static int graph_place(an_exec *exec, const an_graph *graph)
{
    an_graph fused;
    int rc = exec->options.columns || exec->device_count > 1 ? AN_EUNSUPPORTED : an_graph_fuse(graph, &fused);
    if (rc && rc != AN_EUNSUPPORTED)
        return rc;
    return an_graph_lower(rc ? graph : &fused, exec->device_count, &exec->graph);
}

static int ops_create(an_exec *exec)
{
    an_graph *graph = &exec->graph;
    an_graph_flow(graph, exec->flow);
    for (int i = 0; i < graph->count; i++) {
        const an_node *node = &graph->nodes[i];
        an_op_spec spec = {
            .node = node, .input_gradient = exec->flow[i].input_gradient, .accumulate = exec->flow[i].accumulate};
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

static int device_open(an_exec *exec, const char *name, int devices)
{
    const an_exec_options *o = &exec->options;
    const an_backend_api *api;
    int shares = an_thread_cpu_count() / devices;
    an_backend_options options = {.device = name,
                                  .batch = o->batch,
                                  .threads = o->threads   ? o->threads
                                             : shares > 1 ? shares
                                                          : 1,
                                  .training = o->training,
                                  .seed = o->seed,
                                  .precision = o->precision,
                                  .choices = o->choices,
                                  .direct = o->direct,
                                  .conversion = o->conversion};
    int rc = an_backend_find(name, &api);
    if (rc)
        return rc;
    if (exec->api && exec->api != api)
        return an_error(AN_EINVAL, "devices of different kinds cannot share a network");
    exec->api = api;
    if (!(rc = api->open(&exec->devices[exec->device_count], &options)))
        exec->device_count++;
    return rc;
}

static int devices_open(an_exec *exec, const char *list)
{
    char names[256], *rest = names, *name;
    int count = 1, rc = AN_OK;
    if (snprintf(names, sizeof names, "%s", list ? list : "cpu") >= (int)sizeof names)
        return an_error(AN_EINVAL, "devices '%s': too long", list);
    for (const char *c = names; *c; c++)
        count += *c == ',';
    if (count > AN_GRAPH_DEVICES)
        return an_error(AN_EINVAL, "devices '%s': at most %d", list, AN_GRAPH_DEVICES);
    while (!rc && (name = strsep(&rest, ",")))
        rc = device_open(exec, name, count);
    return rc;
}

static int lanes_create(an_exec *exec)
{
    return an_lanes_create(&exec->lanes, &(an_lanes_work){.graph = &exec->graph,
                                                          .flow = exec->flow,
                                                          .api = exec->api,
                                                          .ops = exec->ops,
                                                          .devices = exec->devices,
                                                          .device_count = exec->device_count});
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
    if (!(rc = devices_open(exec, options->devices)) && !(rc = graph_place(exec, graph)) && !(rc = ops_create(exec)))
        for (int i = 0; i < exec->device_count && !rc; i++)
            rc = exec->api->finish(exec->devices[i]);
    if (!rc)
        rc = lanes_create(exec);
    if (rc) {
        an_exec_free(exec);
        return rc;
    }
    exec->options.devices = NULL; /* the caller's memory */
    exec->options.conversion = NULL;
    an_exec_parameters_list(exec);
    *out = exec;
    return AN_OK;
}

void an_exec_free(an_exec *exec)
{
    if (!exec)
        return;
    an_lanes_free(exec->lanes);
    /* Devices may still read each other's memory. What fails now cannot be reported. */
    (void)an_exec_wait(exec);
    for (int i = 0; i < exec->device_count; i++)
        exec->api->close(exec->devices[i]);
    free(exec);
}

an_format an_exec_input_format(const an_exec *exec)
{
    return exec->api->input_format(exec->devices[0]);
}

/* Devices read the mean image where the draws say. */
static int draws_check(const an_exec *exec, const an_images *images, uint32_t count)
{
    if (exec->mean_side == 1 || !images->draws || an_exec_input_format(exec).dtype != AN_DTYPE_U8)
        return AN_OK;
    uint32_t room = (uint32_t)(exec->mean_side - exec->graph.input_side);
    for (uint32_t i = 0; i < count; i++)
        if (images->draws[i].x > room || images->draws[i].y > room)
            return an_error(AN_EINVAL, "image %u lies at %u, %u: a crop of %d leaves the mean image of %d pixels", i,
                            images->draws[i].x, images->draws[i].y, exec->graph.input_side, exec->mean_side);
    return AN_OK;
}

static int batch_check(const an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count)
{
    if (!count || count > (uint32_t)exec->options.batch)
        return an_error(AN_EINVAL, "%u samples: a step takes 1 to %d", count, exec->options.batch);
    for (uint32_t i = 0; labels && i < count; i++)
        if (labels[i] >= (uint32_t)exec->graph.classes)
            return an_error(AN_EINVAL, "label %u of sample %u: the network has %d classes", labels[i], i,
                            exec->graph.classes);
    return draws_check(exec, images, count);
}

/* Whether all of a node's output is finite; the slow way, taken only after something went wrong. */
static int node_finite(an_exec *exec, int number, uint32_t count, bool *finite)
{
    const an_node *node = &exec->graph.nodes[number];
    size_t size = (size_t)count * (size_t)node->channels * (size_t)node->height * (size_t)node->width;
    float *values = malloc(size * sizeof *values);
    if (!values)
        return an_error(AN_ENOMEM, "out of memory");
    int rc = exec->api->output_get(exec->ops[number], false, count, values);
    *finite = true;
    for (size_t i = 0; i < size && *finite && !rc; i++)
        *finite = isfinite(values[i]);
    free(values);
    return rc;
}

static int loss_explain(an_exec *exec, double loss, uint32_t count)
{
    for (int i = 0; i < exec->graph.count; i++) {
        bool finite = true;
        int rc = node_finite(exec, i, count, &finite);
        if (rc)
            return rc;
        if (!finite)
            return an_error(AN_ECORRUPT, "loss is %g: the first values that are not finite come from '%s'", loss,
                            exec->graph.nodes[i].name);
    }
    return an_error(AN_ECORRUPT, "loss is %g although every layer's output is finite", loss);
}

static int result_take(an_exec *exec, uint32_t count, an_exec_result *out)
{
    int rc = exec->api->result(exec->ops[exec->loss], out);
    if (!rc && !isfinite(out->loss))
        rc = loss_explain(exec, out->loss, count);
    return rc;
}

int an_exec_step(an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count, uint64_t step,
                 an_exec_result *out)
{
    an_lanes_job job = {.images = *images,
                        .run = {.step = step, .count = count, .training = true},
                        .phases = {[AN_LANES_FORWARD] = true, [AN_LANES_BACKWARD] = true},
                        .next = exec->prefetch,
                        .next_count = exec->prefetch_count,
                        .queue = true,
                        .same = count == (uint32_t)exec->options.batch};
    int rc = batch_check(exec, images, labels, count);
    exec->prefetch = (an_images){0};
    if (rc)
        return rc;
    if (!exec->options.training || !labels)
        return an_error(AN_EINVAL, exec->options.training ? "a training step without labels"
                                                          : "a training step on a model made for evaluation");
    rc = exec->api->labels(exec->ops[exec->loss], labels, count);
    if (rc)
        return rc;
    rc = an_lanes_run(exec->lanes, &job);
    if (rc)
        return rc;
    return result_take(exec, count, out);
}

void an_exec_prefetch(an_exec *exec, const an_images *images, uint32_t count)
{
    exec->prefetch = count && count <= (uint32_t)exec->options.batch ? *images : (an_images){0};
    exec->prefetch_count = count;
}

int an_exec_update(an_exec *exec, const an_sgd *sgd)
{
    an_lanes_job job = {.sgd = *sgd, .phases = {[AN_LANES_UPDATE] = true}, .queue = true};
    if (!exec->options.training)
        return an_error(AN_EINVAL, "an update of a model made for evaluation");
    return an_lanes_run(exec->lanes, &job);
}

void an_exec_replay_set(an_exec *exec, bool wanted)
{
    an_lanes_replay(exec->lanes)->unwanted = !wanted;
}

bool an_exec_replays(const an_exec *exec)
{
    const an_replay *replay = an_lanes_replay(exec->lanes);
    return an_replay_due(replay, exec->api) && replay->recordings[AN_LANES_BACKWARD];
}

const char *an_exec_replay_refusal(const an_exec *exec)
{
    const an_replay *replay = an_lanes_replay(exec->lanes);
    return replay->refused ? replay->refusal : NULL;
}

int an_exec_wait(an_exec *exec)
{
    int rc = AN_OK;
    for (int i = 0; i < exec->device_count; i++) {
        int this = exec->api->synchronize(exec->devices[i]);
        rc = rc ? rc : this;
    }
    return rc;
}

int an_exec_evaluate(an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count,
                     float *probabilities, an_exec_result *out)
{
    an_lanes_job job = {.images = *images, .run = {.count = count}, .phases = {[AN_LANES_FORWARD] = true}};
    int rc = batch_check(exec, images, labels, count);
    if (rc)
        return rc;
    rc = exec->api->labels(exec->ops[exec->loss], labels, count);
    if (rc)
        return rc;
    rc = an_lanes_run(exec->lanes, &job);
    if (rc)
        return rc;
    if (probabilities && (rc = exec->api->output_get(exec->ops[exec->loss], false, count, probabilities)))
        return rc;
    return labels && out ? result_take(exec, count, out) : AN_OK;
}

int an_exec_device_time(an_exec *exec, an_device_time *out)
{
    int rc = AN_OK;
    *out = (an_device_time){0};
    for (int i = 0; i < exec->device_count && !rc && exec->api->device_time; i++) {
        an_device_time one = {0};
        rc = exec->api->device_time(exec->devices[i], &one);
        if (one.total > 0 && (out->total == 0 || one.idle / one.total > out->idle / out->total))
            *out = one;
    }
    return rc;
}

int an_exec_layer_count(const an_exec *exec)
{
    return exec->graph.count;
}

void an_exec_layer_get(const an_exec *exec, int number, an_exec_layer *out)
{
    const an_node *node = &exec->graph.nodes[number];
    double seconds[AN_LANES_PHASES];
    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "%s", node->name);
    out->kind = an_op_name(node->kind);
    out->device = node->device;
    out->flop = an_graph_node_flop(&exec->graph, node);
    out->parameters = an_graph_node_parameters(&exec->graph, node);
    out->memory = exec->op_memory[number];
    an_lanes_time(exec->lanes, number, seconds, &out->runs);
    out->forward = seconds[AN_LANES_FORWARD];
    out->backward = seconds[AN_LANES_BACKWARD];
    out->update = seconds[AN_LANES_UPDATE];
}

void an_exec_profile(an_exec *exec)
{
    an_lanes_profile(exec->lanes);
    an_lanes_time_reset(exec->lanes);
}

void an_exec_layers_reset(an_exec *exec)
{
    an_lanes_time_reset(exec->lanes);
}

int an_exec_images_alloc(an_exec *exec, void **out, size_t size)
{
    if (!exec->api->host_alloc)
        return an_pages_alloc(out, size);
    return exec->api->host_alloc(exec->devices[0], out, size);
}

void an_exec_images_free(an_exec *exec, void *images, size_t size)
{
    /* An announced batch may still be copied from it; what fails now fails in the next step as well. */
    (void)an_exec_wait(exec);
    if (exec->api->host_free)
        exec->api->host_free(images, size);
    else
        an_pages_free(images, size);
}

uint64_t an_exec_memory(const an_exec *exec)
{
    uint64_t sum = 0;
    for (int i = 0; i < exec->device_count; i++)
        sum += exec->api->memory(exec->devices[i]);
    return sum;
}

int an_exec_describe(const an_exec *exec, an_buffer *out)
{
    int rc = AN_OK;
    for (int i = 0; i < exec->graph.count && !rc; i++) {
        const an_node *node = &exec->graph.nodes[i];
        rc = an_buffer_printf(out, "%-10s %s%d  %4d x %3d x %3d  ", node->name, exec->api->name, node->device,
                              node->channels, node->height, node->width);
        if (!rc)
            rc = exec->api->op_describe(exec->ops[i], out);
        if (!rc)
            rc = an_buffer_printf(out, "\n");
    }
    return rc;
}
