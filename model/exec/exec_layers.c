/* Times, memory and descriptions of an exec's layers and devices, and memory for images. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "model/exec/exec_private.h"

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

void an_exec_device_pause(an_exec *exec)
{
    for (int i = 0; i < exec->device_count && exec->api->device_pause; i++)
        exec->api->device_pause(exec->devices[i]);
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
    /* A device may still copy an announced batch from it. An error of the wait comes up again in the next step. */
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

int an_exec_accelerators(const an_exec *exec, an_buffer *out)
{
    return exec->api->processors || !exec->api->devices ? AN_OK : exec->api->devices(out);
}
