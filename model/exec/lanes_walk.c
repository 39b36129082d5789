/* The work of a job: walking the nodes of one device or of all, in order. The design stands in lanes.c. */
#include "model/exec/lanes_walk_private.h"

#include "model/exec/exec_reduce_private.h"

/* Waits until a node of another device is done in this job; AN_STOPPED if the job has failed. */
static int wait_for(an_lanes *lanes, const uint64_t *done)
{
    if (!an_lanes_threaded(lanes))
        return AN_OK;
    pthread_mutex_lock(&lanes->lock);
    while (*done != lanes->number && !lanes->failed)
        pthread_cond_wait(&lanes->changed, &lanes->lock);
    int rc = lanes->failed ? AN_STOPPED : AN_OK;
    pthread_mutex_unlock(&lanes->lock);
    return rc;
}

static void mark(an_lanes *lanes, uint64_t *done)
{
    if (!an_lanes_threaded(lanes))
        return;
    pthread_mutex_lock(&lanes->lock);
    *done = lanes->number;
    pthread_cond_broadcast(&lanes->changed);
    pthread_mutex_unlock(&lanes->lock);
}

static int node_forward(an_lanes *lanes, int number, const an_lanes_job *job)
{
    const an_lanes_work *w = &lanes->work;
    const an_node *node = &w->graph->nodes[number];
    int rc = AN_OK;
    for (int i = 0; i < node->input_count && !rc; i++)
        if (w->graph->nodes[node->inputs[i]].device != node->device)
            rc = wait_for(lanes, &lanes->forward_done[node->inputs[i]]);
    if (!rc && node->kind == AN_OP_INPUT)
        rc = w->api->feed(w->ops[number], &job->images, job->run.count);
    if (!rc)
        rc = w->api->forward(w->ops[number], &job->run);
    return rc;
}

/* Waits until the joins on other devices that read this node's output are done backward. */
static int joins_wait(an_lanes *lanes, int number)
{
    const an_graph *graph = lanes->work.graph;
    for (int i = number + 1; i < graph->count; i++) {
        const an_node *join = &graph->nodes[i];
        if (join->kind != AN_OP_JOIN || join->device == graph->nodes[number].device)
            continue;
        for (int k = 0; k < join->input_count; k++) {
            int rc = join->inputs[k] == number ? wait_for(lanes, &lanes->backward_done[i]) : AN_OK;
            if (rc)
                return rc;
        }
    }
    return AN_OK;
}

static int node_backward(an_lanes *lanes, int number, const an_lanes_job *job)
{
    const an_lanes_work *w = &lanes->work;
    int rc = w->flow[number].collect ? joins_wait(lanes, number) : AN_OK;
    if (rc)
        return rc;
    if (w->flow[number].collect)
        rc = w->api->collect(w->ops[number]);
    if (rc)
        return rc;
    return w->api->backward(w->ops[number], &job->run);
}

static int node_work(an_lanes *lanes, int number, an_lanes_phase phase, const an_lanes_job *job)
{
    if (phase == AN_LANES_FORWARD)
        return node_forward(lanes, number, job);
    if (phase == AN_LANES_BACKWARD)
        return node_backward(lanes, number, job);
    return lanes->work.api->update(lanes->work.ops[number], &job->sgd, job->factor);
}

static bool is_image(const an_node *node, an_lanes_phase phase)
{
    return node->kind == AN_OP_INPUT && phase == AN_LANES_FORWARD;
}

static bool has_phase(const an_lanes *lanes, int number, an_lanes_phase phase)
{
    const an_flow *flow = &lanes->work.flow[number];
    if (phase == AN_LANES_FORWARD)
        return true;
    return phase == AN_LANES_BACKWARD ? flow->backward : flow->learns;
}

static int node_run(an_lanes *lanes, int number, an_lanes_phase phase, const an_lanes_job *job)
{
    const an_node *node = &lanes->work.graph->nodes[number];
    if (!has_phase(lanes, number, phase))
        return AN_OK;
    int rc = phase == AN_LANES_UPDATE ? an_reduction_wait(lanes->work.reduction, number) : AN_OK;
    if (!rc)
        rc = an_node_times_begin(&lanes->times, number, (int)phase);
    if (!rc)
        rc = node_work(lanes, number, phase, job);
    if (!rc)
        rc = an_node_times_end(&lanes->times, number, (int)phase);
    if (rc)
        return rc < 0 ? an_error_prefix(rc, "%s", node->name) : rc;
    lanes->runs[number] += phase == AN_LANES_FORWARD;
    if (phase != AN_LANES_UPDATE)
        mark(lanes, phase == AN_LANES_FORWARD ? &lanes->forward_done[number] : &lanes->backward_done[number]);
    return phase == AN_LANES_BACKWARD && job->reduce ? an_reduction_ready(lanes->work.reduction, number) : AN_OK;
}

/* Announces the next step's images to the devices that read them. */
static int next_fetch(const an_lanes *lanes, int device, const an_lanes_job *job)
{
    const an_lanes_work *w = &lanes->work;
    int rc = AN_OK;
    for (int i = 0; i < w->graph->count && !rc && job->next_count && w->api->prefetch; i++)
        if (w->graph->nodes[i].kind == AN_OP_INPUT &&
            (device == AN_LANES_ALL_DEVICES || w->graph->nodes[i].device == device))
            rc = w->api->prefetch(w->ops[i], &job->next, job->next_count);
    return rc;
}

/* Called after a failure too, because queued work may still read the caller's memory. Returns rc if that is a failure,
 * otherwise the first failure of the wait. */
static int wait_for_devices(const an_lanes *lanes, int device, int rc)
{
    an_error_state first;
    int waited = AN_OK;
    if (rc)
        an_error_save(&first, rc);
    for (int i = 0; i < lanes->work.device_count; i++)
        if (device == AN_LANES_ALL_DEVICES || device == i) {
            int this = lanes->work.api->synchronize(lanes->work.devices[i]);
            waited = waited ? waited : this;
        }
    return rc ? an_error_restore(&first) : waited;
}

/* Updates begin where backward began if they wait for sums, so that the last ones travel meanwhile. */
static bool is_backwards(const an_lanes *lanes, an_lanes_phase phase)
{
    return phase == AN_LANES_BACKWARD || (phase == AN_LANES_UPDATE && lanes->work.reduction);
}

/* One phase of all nodes but images, which run_begin has fed. */
static int phase_walk(an_lanes *lanes, int device, an_lanes_phase phase, const an_lanes_job *job)
{
    int count = lanes->work.graph->count, rc = AN_OK;
    for (int i = 0; i < count && !rc; i++) {
        int number = is_backwards(lanes, phase) ? count - 1 - i : i;
        const an_node *node = &lanes->work.graph->nodes[number];
        if ((device == AN_LANES_ALL_DEVICES || node->device == device) && !is_image(node, phase))
            rc = node_run(lanes, number, phase, job);
    }
    if (!rc && phase == AN_LANES_BACKWARD && job->reduce)
        rc = an_reduction_end(lanes->work.reduction, device);
    return rc;
}

static int update_all(const an_lanes *lanes, int device, const an_lanes_job *job)
{
    int rc = AN_OK;
    for (int i = 0; i < lanes->work.device_count && !rc; i++)
        if (device == AN_LANES_ALL_DEVICES || device == i)
            rc = lanes->work.api->update_all(lanes->work.devices[i], &job->sgd, job->factor);
    return rc;
}

/* What differs from step to step and is never recorded: begin, and the images. */
static int run_begin(an_lanes *lanes, int device, const an_lanes_job *job)
{
    const an_lanes_work *w = &lanes->work;
    int rc = AN_OK;
    for (int i = 0; i < w->device_count && !rc && w->api->begin; i++)
        if (device == AN_LANES_ALL_DEVICES || device == i)
            rc = w->api->begin(w->devices[i], &job->run);
    for (int i = 0; i < w->graph->count && !rc; i++)
        if (is_image(&w->graph->nodes[i], AN_LANES_FORWARD) &&
            (device == AN_LANES_ALL_DEVICES || w->graph->nodes[i].device == device))
            rc = node_run(lanes, i, AN_LANES_FORWARD, job);
    return rc;
}

typedef struct {
    an_lanes *lanes;
    an_lanes_phase phase;
    const an_lanes_job *job;
} walk;

static int all_walk(void *context)
{
    const walk *w = context;
    return phase_walk(w->lanes, AN_LANES_ALL_DEVICES, w->phase, w->job);
}

static bool is_replayed(const an_lanes *lanes, an_lanes_phase phase, const an_lanes_job *job)
{
    return phase != AN_LANES_UPDATE && job->same && !lanes->times.on_devices &&
           an_replay_due(&lanes->replay, lanes->work.api);
}

static int phase_run(an_lanes *lanes, int device, an_lanes_phase phase, const an_lanes_job *job)
{
    const an_lanes_work *w = &lanes->work;
    if (phase == AN_LANES_UPDATE && w->api->update_all && !lanes->times.on_devices)
        return update_all(lanes, device, job);
    int rc = phase == AN_LANES_FORWARD ? run_begin(lanes, device, job) : AN_OK;
    if (rc)
        return rc;
    if (is_replayed(lanes, phase, job))
        return an_replay_run(
            &lanes->replay, &lanes->replay.recordings[phase],
            &(an_replay_work){w->api, w->devices, w->device_count, all_walk, &(walk){lanes, phase, job}});
    return phase_walk(lanes, device, phase, job);
}

static int each_call(const an_lanes *lanes, int device, const an_lanes_job *job)
{
    int rc = AN_OK;
    for (int i = 0; i < lanes->work.device_count && !rc && job->each; i++)
        if (device == AN_LANES_ALL_DEVICES || device == i)
            rc = job->each(job->context, i);
    return rc;
}

/* Adds the times that the devices' own clocks took of a job that is done. */
static int times_take(an_lanes *lanes, int device, const an_lanes_job *job)
{
    int rc = AN_OK;
    for (int i = 0; i < lanes->work.graph->count; i++) {
        const an_node *node = &lanes->work.graph->nodes[i];
        for (int phase = 0; phase < AN_LANES_PHASES && !rc; phase++)
            if (job->phases[phase] && has_phase(lanes, i, (an_lanes_phase)phase) &&
                (device == AN_LANES_ALL_DEVICES || node->device == device))
                rc = an_node_times_take(&lanes->times, i, phase);
    }
    return rc;
}

int an_lanes_device_run(an_lanes *lanes, int device, const an_lanes_job *job)
{
    int rc = AN_OK;
    for (int phase = 0; phase < AN_LANES_PHASES && !rc; phase++)
        if (job->phases[phase])
            rc = phase_run(lanes, device, (an_lanes_phase)phase, job);
    if (!rc)
        rc = each_call(lanes, device, job);
    if (!rc && job->same && !an_lanes_threaded(lanes))
        lanes->replay.walked = true;
    if (!rc)
        rc = next_fetch(lanes, device, job);
    if (rc || !job->queue || lanes->times.on_devices)
        rc = wait_for_devices(lanes, device, rc);
    return rc || !lanes->times.on_devices ? rc : times_take(lanes, device, job);
}
