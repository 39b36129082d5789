/* DESIGN. One device, or devices that only queue work: the caller's thread walks all nodes in order, forward and then
 * in reverse. Several devices made of processors: each has a thread, its lane, that so walks the nodes of its device;
 * the caller waits until all lanes are done with a job.
 *
 * Lanes meet only where a join takes an output of another device. Forward, the join's lane waits until that output is
 * marked done. Backward, the lane of the output waits until the join is marked done (all its consumers have left their
 * gradient in it) and collects. Marks are job numbers under one mutex; every mark wakes all waiters. Within a job no
 * value or gradient is written twice, so nothing else needs protection, and jobs are separated by the caller's wait.
 *
 * A failure marks the job as failed: waiting lanes give up, and the caller gets the first error.
 *
 * Jobs that are the same each time are walked once; then forward and backward are recorded, where devices can do that,
 * and from then on replayed (replay.h). What differs from job to job goes ahead of that: begin, and the images. */
#include "model/lanes_private.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/thread.h"
#include "model/node_times_private.h"

#define ALL_DEVICES (-1)

typedef struct {
    an_lanes *lanes;
    int device;
    bool started;
    pthread_t thread;
} lane;

struct an_lanes {
    an_lanes_work work;
    lane all[AN_GRAPH_DEVICES];
    an_replay replay;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under lock */
    const an_lanes_job *job;
    uint64_t number; /* of the job; 0: none yet */
    int busy;        /* lanes at work */
    bool closing, failed;
    an_error_state error;
    uint64_t forward_done[AN_GRAPH_NODES_MAX], backward_done[AN_GRAPH_NODES_MAX];
    /* each written by its node's lane only, read between jobs */
    an_node_times times;
    uint64_t runs[AN_GRAPH_NODES_MAX];
};

static bool threaded(const an_lanes *lanes)
{
    return lanes->work.device_count > 1 && lanes->work.api->processors;
}

/* Wait until a node of another device is done; AN_STOPPED if the job has failed. */
static int wait_for(an_lanes *lanes, const uint64_t *done)
{
    if (!threaded(lanes))
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
    if (!threaded(lanes))
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

/* The joins of other devices that take this node's output. */
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
    return lanes->work.api->update(lanes->work.ops[number], &job->sgd);
}

static bool is_image(const an_node *node, an_lanes_phase phase)
{
    return node->kind == AN_OP_INPUT && phase == AN_LANES_FORWARD;
}

static bool has_phase(const an_node *node, an_lanes_phase phase)
{
    return phase != AN_LANES_UPDATE || node->has_weights;
}

static int node_run(an_lanes *lanes, int number, an_lanes_phase phase, const an_lanes_job *job)
{
    const an_node *node = &lanes->work.graph->nodes[number];
    if (!has_phase(node, phase))
        return AN_OK;
    int rc = an_node_times_begin(&lanes->times, number, (int)phase);
    if (!rc)
        rc = node_work(lanes, number, phase, job);
    if (!rc)
        rc = an_node_times_end(&lanes->times, number, (int)phase);
    if (rc)
        return rc < 0 ? an_error_prefix(rc, "%s", node->name) : rc;
    lanes->runs[number] += phase == AN_LANES_FORWARD;
    if (phase != AN_LANES_UPDATE)
        mark(lanes, phase == AN_LANES_FORWARD ? &lanes->forward_done[number] : &lanes->backward_done[number]);
    return AN_OK;
}

static int next_fetch(const an_lanes *lanes, int device, const an_lanes_job *job)
{
    const an_lanes_work *w = &lanes->work;
    int rc = AN_OK;
    for (int i = 0; i < w->graph->count && !rc && job->next.pixels && w->api->prefetch; i++)
        if (w->graph->nodes[i].kind == AN_OP_INPUT && (device == ALL_DEVICES || w->graph->nodes[i].device == device))
            rc = w->api->prefetch(w->ops[i], &job->next, job->next_count);
    return rc;
}

/* After a failure as well: what was queued reads memory of the caller's. The first failure counts. */
static int wait_for_devices(const an_lanes *lanes, int device, int rc)
{
    an_error_state first;
    int waited = AN_OK;
    if (rc)
        an_error_save(&first, rc);
    for (int i = 0; i < lanes->work.device_count; i++)
        if (device == ALL_DEVICES || device == i) {
            int this = lanes->work.api->synchronize(lanes->work.devices[i]);
            waited = waited ? waited : this;
        }
    return rc ? an_error_restore(&first) : waited;
}

/* All nodes but the images, which go ahead. */
static int phase_walk(an_lanes *lanes, int device, an_lanes_phase phase, const an_lanes_job *job)
{
    int count = lanes->work.graph->count, rc = AN_OK;
    for (int i = 0; i < count && !rc; i++) {
        int number = phase == AN_LANES_BACKWARD ? count - 1 - i : i;
        const an_node *node = &lanes->work.graph->nodes[number];
        if ((device == ALL_DEVICES || node->device == device) && !is_image(node, phase))
            rc = node_run(lanes, number, phase, job);
    }
    return rc;
}

static int update_all(const an_lanes *lanes, int device, const an_lanes_job *job)
{
    int rc = AN_OK;
    for (int i = 0; i < lanes->work.device_count && !rc; i++)
        if (device == ALL_DEVICES || device == i)
            rc = lanes->work.api->update_all(lanes->work.devices[i], &job->sgd);
    return rc;
}

/* What differs from run to run. */
static int run_begin(an_lanes *lanes, int device, const an_lanes_job *job)
{
    const an_lanes_work *w = &lanes->work;
    int rc = AN_OK;
    for (int i = 0; i < w->device_count && !rc && w->api->begin; i++)
        if (device == ALL_DEVICES || device == i)
            rc = w->api->begin(w->devices[i], &job->run);
    for (int i = 0; i < w->graph->count && !rc; i++)
        if (is_image(&w->graph->nodes[i], AN_LANES_FORWARD) &&
            (device == ALL_DEVICES || w->graph->nodes[i].device == device))
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
    return phase_walk(w->lanes, ALL_DEVICES, w->phase, w->job);
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

/* What the devices' clocks have seen of a job that is done. */
static int times_take(an_lanes *lanes, int device, const an_lanes_job *job)
{
    int rc = AN_OK;
    for (int i = 0; i < lanes->work.graph->count; i++) {
        const an_node *node = &lanes->work.graph->nodes[i];
        for (int phase = 0; phase < AN_LANES_PHASES && !rc; phase++)
            if (job->phases[phase] && has_phase(node, (an_lanes_phase)phase) &&
                (device == ALL_DEVICES || node->device == device))
                rc = an_node_times_take(&lanes->times, i, phase);
    }
    return rc;
}

static int device_run(an_lanes *lanes, int device, const an_lanes_job *job)
{
    int rc = AN_OK;
    for (int phase = 0; phase < AN_LANES_PHASES && !rc; phase++)
        if (job->phases[phase])
            rc = phase_run(lanes, device, (an_lanes_phase)phase, job);
    if (!rc && job->same && !threaded(lanes))
        lanes->replay.walked = true;
    if (!rc)
        rc = next_fetch(lanes, device, job);
    if (rc || !job->queue || lanes->times.on_devices)
        rc = wait_for_devices(lanes, device, rc);
    return rc || !lanes->times.on_devices ? rc : times_take(lanes, device, job);
}

static void job_end(an_lanes *lanes, int rc)
{
    pthread_mutex_lock(&lanes->lock);
    if (rc && !lanes->failed) {
        lanes->failed = true;
        an_error_save(&lanes->error, rc);
    }
    lanes->busy--;
    pthread_cond_broadcast(&lanes->changed);
    pthread_mutex_unlock(&lanes->lock);
}

static void *lane_main(void *argument)
{
    lane *own = argument;
    an_lanes *lanes = own->lanes;
    uint64_t last = 0;
    an_thread_keep_share(own->device, lanes->work.device_count);
    for (;;) {
        pthread_mutex_lock(&lanes->lock);
        while (lanes->number == last && !lanes->closing)
            pthread_cond_wait(&lanes->changed, &lanes->lock);
        const an_lanes_job *job = lanes->closing ? NULL : lanes->job;
        last = lanes->number;
        pthread_mutex_unlock(&lanes->lock);
        if (!job)
            return NULL;
        job_end(lanes, device_run(lanes, own->device, job));
    }
}

static int lanes_start(an_lanes *lanes)
{
    for (int i = 0; i < lanes->work.device_count && threaded(lanes); i++) {
        lane *own = &lanes->all[i];
        *own = (lane){.lanes = lanes, .device = i};
        int rc = an_thread_start(&own->thread, i ? "an-device-1" : "an-device-0", lane_main, own);
        if (rc)
            return rc;
        own->started = true;
    }
    return AN_OK;
}

int an_lanes_create(an_lanes **out, const an_lanes_work *work)
{
    an_lanes *lanes = calloc(1, sizeof *lanes);
    if (!lanes)
        return an_error(AN_ENOMEM, "out of memory");
    lanes->work = *work;
    lanes->times = (an_node_times){.api = work->api, .ops = work->ops};
    pthread_mutex_init(&lanes->lock, NULL);
    pthread_cond_init(&lanes->changed, NULL);
    int rc = lanes_start(lanes);
    if (rc) {
        an_lanes_free(lanes);
        return rc;
    }
    *out = lanes;
    return AN_OK;
}

void an_lanes_free(an_lanes *lanes)
{
    if (!lanes)
        return;
    pthread_mutex_lock(&lanes->lock);
    lanes->closing = true;
    pthread_cond_broadcast(&lanes->changed);
    pthread_mutex_unlock(&lanes->lock);
    for (int i = 0; i < AN_GRAPH_DEVICES; i++)
        if (lanes->all[i].started)
            pthread_join(lanes->all[i].thread, NULL);
    pthread_cond_destroy(&lanes->changed);
    pthread_mutex_destroy(&lanes->lock);
    free(lanes);
}

int an_lanes_run(an_lanes *lanes, const an_lanes_job *job)
{
    if (!threaded(lanes))
        return device_run(lanes, ALL_DEVICES, job);
    pthread_mutex_lock(&lanes->lock);
    lanes->job = job;
    lanes->failed = false;
    lanes->busy = lanes->work.device_count;
    lanes->number++;
    pthread_cond_broadcast(&lanes->changed);
    while (lanes->busy)
        pthread_cond_wait(&lanes->changed, &lanes->lock);
    int rc = lanes->failed ? an_error_restore(&lanes->error) : AN_OK;
    pthread_mutex_unlock(&lanes->lock);
    return rc;
}

void an_lanes_profile(an_lanes *lanes)
{
    an_node_times_devices(&lanes->times);
}

an_replay *an_lanes_replay(an_lanes *lanes)
{
    return &lanes->replay;
}

void an_lanes_time(const an_lanes *lanes, int node, double seconds[AN_LANES_PHASES], uint64_t *runs)
{
    for (int i = 0; i < AN_LANES_PHASES; i++)
        seconds[i] = lanes->times.seconds[node][i];
    *runs = lanes->runs[node];
}

void an_lanes_time_reset(an_lanes *lanes)
{
    an_node_times_reset(&lanes->times);
    memset(lanes->runs, 0, sizeof lanes->runs);
}
