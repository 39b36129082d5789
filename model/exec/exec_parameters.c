/* Parameters and activations in canonical order, with the halves of split layers joined. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/exec/exec_private.h"
#include "model/exec/exec_reduce_private.h"
#include "model/hash.h"

static void parameter_fill(an_parameter *p, const an_graph *graph, const an_node *node, bool bias)
{
    *p = (an_parameter){.fan_in = an_graph_node_inputs(graph, node),
                        .init_deviation = node->init_deviation,
                        .init_bias = node->init_bias,
                        .bias = bias,
                        .layer = node->layer,
                        .rank = 1};
    snprintf(p->name, sizeof p->name, "%s.%s", node->name, bias ? "bias" : "weight");
    if (!bias)
        p->rank = an_kind_find(node->kind)->weights(graph, node, p->shape);
    p->shape[0] = node->layer_channels;
    p->size = (uint64_t)node->layer_channels * (bias ? 1 : p->fan_in);
}

static void layer_list(an_exec *exec, int number, int half)
{
    for (int bias = 0; bias < 2; bias++) {
        an_exec_parameter_place *place = &exec->parameters[exec->parameter_count++];
        parameter_fill(&place->public, &exec->graph, &exec->graph.nodes[number], bias);
        place->nodes[place->node_count++] = number;
        if (half >= 0)
            place->nodes[place->node_count++] = half;
    }
}

/* The node of the layer whose first channel is offset, or -1. */
static int node_find(const an_exec *exec, int layer, int offset)
{
    for (int i = 0; i < exec->graph.count; i++)
        if (exec->graph.nodes[i].layer == layer && exec->graph.nodes[i].channel_offset == offset)
            return i;
    return -1;
}

void an_exec_parameters_list(an_exec *exec)
{
    for (int i = 0; i < exec->graph.count; i++) {
        const an_node *node = &exec->graph.nodes[i];
        if (node->has_weights && !node->channel_offset)
            layer_list(exec, i,
                       node->channels < node->layer_channels ? node_find(exec, node->layer, node->channels) : -1);
    }
}

int an_exec_parameter_count(const an_exec *exec)
{
    return exec->parameter_count;
}

const an_parameter *an_exec_parameter(const an_exec *exec, int number)
{
    return &exec->parameters[number].public;
}

static int parameter_check(const an_exec *exec, int number, an_parameter_kind kind)
{
    if (number < 0 || number >= exec->parameter_count)
        return an_error(AN_EINVAL, "parameter %d of %d", number, exec->parameter_count);
    return kind == AN_PARAMETER_GRADIENT ? an_reduction_wait_all(exec->reduction) : AN_OK;
}

int an_exec_parameter_get(an_exec *exec, int number, an_parameter_kind kind, float *out)
{
    int rc = parameter_check(exec, number, kind);
    const an_exec_parameter_place *place = &exec->parameters[rc ? 0 : number];
    for (int i = 0; i < place->node_count && !rc; i++) {
        int node = place->nodes[i];
        rc = exec->api->parameter_get(exec->ops[node], place->public.bias, kind, out);
        out += place->public.size / (uint64_t)place->public.shape[0] * (uint64_t)exec->graph.nodes[node].channels;
    }
    return rc ? an_error_prefix(rc, "%s", place->public.name) : AN_OK;
}

int an_exec_parameter_set(an_exec *exec, int number, an_parameter_kind kind, const float *values)
{
    int rc = parameter_check(exec, number, kind);
    const an_exec_parameter_place *place = &exec->parameters[rc ? 0 : number];
    for (int i = 0; i < place->node_count && !rc; i++) {
        int node = place->nodes[i];
        rc = exec->api->parameter_set(exec->ops[node], place->public.bias, kind, values);
        values += place->public.size / (uint64_t)place->public.shape[0] * (uint64_t)exec->graph.nodes[node].channels;
    }
    return rc ? an_error_prefix(rc, "%s", place->public.name) : AN_OK;
}

typedef struct {
    const an_exec *exec;
    uint64_t *hashes; /* of the devices */
} checksum_work;

static int device_checksum(void *context, int device)
{
    const checksum_work *w = context;
    return w->exec->api->checksum(w->exec->devices[device], &w->hashes[device]);
}

int an_exec_checksum(an_exec *exec, uint64_t *out)
{
    uint64_t hashes[AN_GRAPH_DEVICES] = {0};
    checksum_work work = {exec, hashes};
    int rc = an_lanes_run(exec->lanes, &(an_lanes_job){.each = device_checksum, .context = &work, .queue = true});
    *out = 1;
    for (int i = 0; i < exec->device_count; i++)
        *out = an_hash_mix(*out, hashes[i]);
    return rc;
}

/* Copies one node's channels of every sample to their place in the whole layer's output. */
static int node_activation(an_exec *exec, int number, uint32_t count, float *out)
{
    const an_node *node = &exec->graph.nodes[number];
    size_t plane = (size_t)node->height * (size_t)node->width, own = plane * (size_t)node->channels;
    size_t whole = plane * (size_t)node->layer_channels;
    if (own == whole)
        return exec->api->output_get(exec->ops[number], false, count, out);
    float *values = malloc(count * own * sizeof *values);
    if (!values)
        return an_error(AN_ENOMEM, "out of memory");
    int rc = exec->api->output_get(exec->ops[number], false, count, values);
    for (size_t i = 0; i < count && !rc; i++)
        memcpy(out + i * whole + plane * (size_t)node->channel_offset, values + i * own, own * sizeof *out);
    free(values);
    return rc;
}

int an_exec_activation_get(an_exec *exec, const char *layer, uint32_t count, float *out)
{
    bool found = false;
    if (!count || count > (uint32_t)exec->options.batch)
        return an_error(AN_EINVAL, "%u samples of a batch of %d", count, exec->options.batch);
    for (int i = 0; i < exec->graph.count; i++) {
        if (strcmp(exec->graph.nodes[i].name, layer) != 0)
            continue;
        int rc = node_activation(exec, i, count, out);
        if (rc)
            return rc;
        found = true;
    }
    return found ? AN_OK : an_error(AN_EINVAL, "no layer '%s'", layer);
}
