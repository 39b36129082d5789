/* Snapshots of an exec's parameters (snapshot.h). Each device has a place on the host for the parameters of its own
 * nodes: their values in order, behind these their momenta, and behind these their averages if there are any. The kinds
 * lie in the order of an_parameter_kind. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/exec/exec_private.h"
#include "model/snapshot.h"

#define PARAMETERS_MAX (2 * AN_GRAPH_NODES_MAX) /* weights and biases */

typedef struct {
    an_snapshot_part parts[PARAMETERS_MAX];
    int count;
    uint64_t values;    /* of all parts */
    const float *place; /* where a snapshot arrives; NULL if there are no parts */
    float *own;         /* the same place, of a device that leaves copying to us; else the device owns it */
    bool opened;        /* by such a device */
} device_part;

/* Where a node's share of a parameter lies in its device's place. */
typedef struct {
    int device;
    uint64_t first, count;
} piece;

struct an_snapshot {
    an_exec *exec;
    int kinds; /* of values for each parameter: 2, or 3 with averages */
    device_part devices[AN_GRAPH_DEVICES];
    piece pieces[PARAMETERS_MAX][AN_GRAPH_DEVICES]; /* of each parameter, as many as it has nodes */
};

static size_t size_of(const an_snapshot *snapshot, const device_part *d)
{
    return (size_t)snapshot->kinds * sizeof(float) * d->values;
}

static void parts_list(an_snapshot *snapshot)
{
    const an_exec *exec = snapshot->exec;
    for (int p = 0; p < exec->parameter_count; p++) {
        const an_exec_parameter_place *place = &exec->parameters[p];
        uint64_t row = place->public.size / (uint64_t)place->public.shape[0];
        for (int i = 0; i < place->node_count; i++) {
            const an_node *node = &exec->graph.nodes[place->nodes[i]];
            device_part *d = &snapshot->devices[node->device];
            uint64_t count = row * (uint64_t)node->channels;
            snapshot->pieces[p][i] = (piece){node->device, d->values, count};
            d->parts[d->count++] = (an_snapshot_part){exec->ops[place->nodes[i]], place->public.bias, count};
            d->values += count;
        }
    }
}

static int device_open(an_snapshot *snapshot, int number)
{
    const an_exec *exec = snapshot->exec;
    device_part *d = &snapshot->devices[number];
    size_t size = size_of(snapshot, d);
    void *place = NULL;
    if (exec->api->snapshot_open) {
        int rc = exec->api->snapshot_open(exec->devices[number], d->parts, d->count, &d->place);
        d->opened = !rc;
        return rc;
    }
    int rc = an_pages_alloc(&place, size);
    if (rc || !place)
        return rc;
    d->place = d->own = memset(place, 0, size); /* the first take finds the pages there */
    return AN_OK;
}

int an_snapshot_create(an_snapshot **out, an_exec *exec)
{
    if (!exec->options.training)
        return an_error(AN_EINVAL, "a copy of the parameters of a model made for evaluation: it has no momentum");
    an_snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (!snapshot)
        return an_error(AN_ENOMEM, "out of memory for a copy of the parameters");
    snapshot->exec = exec;
    snapshot->kinds = an_exec_averages(exec) ? 3 : 2;
    parts_list(snapshot);
    int rc = AN_OK;
    for (int i = 0; i < exec->device_count && !rc; i++)
        rc = device_open(snapshot, i);
    if (rc) {
        an_snapshot_free(snapshot);
        return an_error_prefix(rc, "a copy of the parameters");
    }
    *out = snapshot;
    return AN_OK;
}

void an_snapshot_free(an_snapshot *snapshot)
{
    if (!snapshot)
        return;
    const an_exec *exec = snapshot->exec;
    for (int i = 0; i < exec->device_count; i++) {
        const device_part *d = &snapshot->devices[i];
        if (d->opened)
            exec->api->snapshot_close(exec->devices[i]);
        else
            an_pages_free(d->own, d->own ? size_of(snapshot, d) : 0);
    }
    free(snapshot);
}

uint64_t an_snapshot_memory(const an_snapshot *snapshot)
{
    uint64_t bytes = 0;
    for (int i = 0; i < snapshot->exec->device_count; i++)
        bytes += size_of(snapshot, &snapshot->devices[i]);
    return bytes;
}

/* apart: floats from one kind of values to the next. */
static int part_copy(const an_snapshot *snapshot, const an_snapshot_part *part, float *to, uint64_t apart)
{
    int rc = AN_OK;
    for (int kind = 0; kind < snapshot->kinds && !rc; kind++)
        rc = snapshot->exec->api->parameter_get(part->op, part->bias, (an_parameter_kind)kind,
                                                to + (uint64_t)kind * apart);
    return rc;
}

/* Called by the thread that updates the device's parameters. */
static int device_take(void *context, int device)
{
    const an_snapshot *snapshot = context;
    const an_exec *exec = snapshot->exec;
    const device_part *d = &snapshot->devices[device];
    int rc = AN_OK;
    if (d->opened)
        return exec->api->snapshot_take(exec->devices[device]);
    float *next = d->own;
    for (int i = 0; i < d->count && !rc; next += d->parts[i++].count)
        rc = part_copy(snapshot, &d->parts[i], next, d->values);
    return rc;
}

int an_snapshot_take(an_snapshot *snapshot)
{
    an_lanes_job job = {.each = device_take, .context = snapshot, .queue = true};
    return an_lanes_run(snapshot->exec->lanes, &job);
}

int an_snapshot_wait(const an_snapshot *snapshot)
{
    const an_exec *exec = snapshot->exec;
    int rc = AN_OK;
    for (int i = 0; i < exec->device_count && !rc; i++)
        if (snapshot->devices[i].opened)
            rc = exec->api->snapshot_wait(exec->devices[i]);
    return rc;
}

const float *an_snapshot_get(const an_snapshot *snapshot, int parameter, an_parameter_kind kind, float *room)
{
    const float *at[AN_GRAPH_DEVICES];
    const piece *pieces = snapshot->pieces[parameter];
    int count = snapshot->exec->parameters[parameter].node_count;
    for (int i = 0; i < count; i++) {
        const device_part *d = &snapshot->devices[pieces[i].device];
        at[i] = d->place + (uint64_t)kind * d->values + pieces[i].first;
    }
    if (count == 1 || at[1] == at[0] + pieces[0].count)
        return at[0];
    memcpy(room, at[0], pieces[0].count * sizeof *room);
    memcpy(room + pieces[0].count, at[1], pieces[1].count * sizeof *room);
    return room;
}
