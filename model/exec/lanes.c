/* DESIGN. If there is one device, or if devices only queue their work (GPUs), there are no lanes: the caller's thread
 * walks the nodes of all devices, forward in graph order and backward in reverse. If there are several CPU devices,
 * each has a thread of its own, its lane, which walks the nodes of that device; the caller waits until all lanes have
 * finished the job.
 *
 * Lanes wait for each other only where a join reads an output of another device. Forward, the join's lane waits until
 * that output is marked as done. Backward, the lane that owns the output waits until the join is marked as done: then
 * all nodes that read the join have left their gradient in it, and the lane collects its share. A mark is the number of
 * the job, written under the one mutex; each mark wakes all waiting lanes. Within a job each value and each gradient is
 * written once, so nothing else needs protection; between jobs the caller's wait orders everything.
 *
 * A failure marks the job as failed. Lanes that wait then give up, and the caller gets the first error.
 *
 * Steps that are alike are walked once. If the devices can record calls, the second such step records its forward and
 * backward phases, and later ones replay them (replay_private.h). What differs from step to step (begin and the images)
 * is done before the replay. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/thread.h"
#include "model/exec/lanes_walk_private.h"

bool an_lanes_threaded(const an_lanes *lanes)
{
    return lanes->work.device_count > 1 && lanes->work.api->processors;
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
    an_lane *own = argument;
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
        job_end(lanes, an_lanes_device_run(lanes, own->device, job));
    }
}

static int lanes_start(an_lanes *lanes)
{
    for (int i = 0; i < lanes->work.device_count && an_lanes_threaded(lanes); i++) {
        an_lane *own = &lanes->all[i];
        *own = (an_lane){.lanes = lanes, .device = i};
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
    if (!an_lanes_threaded(lanes))
        return an_lanes_device_run(lanes, AN_LANES_ALL_DEVICES, job);
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

/* ---- node_times_private.h ---- */

void an_node_times_devices(an_node_times *times)
{
    times->on_devices = times->api->mark;
}

int an_node_times_begin(an_node_times *times, int node, int phase)
{
    if (times->on_devices)
        return times->api->mark(times->ops[node], 2 * phase);
    times->started[node] = an_clock_ns();
    return AN_OK;
}

int an_node_times_end(an_node_times *times, int node, int phase)
{
    if (times->on_devices)
        return times->api->mark(times->ops[node], 2 * phase + 1);
    times->seconds[node][phase] += an_clock_seconds_since(times->started[node]);
    return AN_OK;
}

int an_node_times_take(an_node_times *times, int node, int phase)
{
    double seconds;
    int rc = times->api->between(times->ops[node], 2 * phase, 2 * phase + 1, &seconds);
    if (!rc)
        times->seconds[node][phase] += seconds;
    return rc;
}

void an_node_times_reset(an_node_times *times)
{
    memset(times->seconds, 0, sizeof times->seconds);
}
