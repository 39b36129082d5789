/* Recording a pass over all ops of all devices as one CUDA graph, and replaying it.
 *
 * DESIGN. Capture begins in the compute stream of the first device. The other compute streams join it by waiting for
 * that stream's tail event, and at the end that stream waits for their tails. A copy stream joins when it first waits
 * for a `ready` or `packed` event, and leaves when compute waits for its last `arrived` or `sent` event. A reduce
 * stream joins with `ripe` and leaves with `reduced`. All these events are recorded within the capture: waiting inside
 * for an event recorded outside would break it (cudaErrorStreamCaptureIsolation), and so would waiting outside for an
 * event recorded inside.
 *
 * The capture mode is thread-local, so what other threads do meanwhile (a loader that pins memory) does not break it.
 * An allocation by a library in this thread does break it, rightly: the library would do something on each call that a
 * replay leaves out.
 *
 * A refused call does not always break the capture, but its work would be missing from the graph. So any failure at all
 * discards the recording. */
#include <stdlib.h>

#include "base/error.h"
#include "model/cuda/cuda.h"

struct an_recording {
    an_recording *next;
    an_backend *devices[AN_GRAPH_DEVICES]; /* the first one's compute stream takes the graph */
    int count;
    cudaGraphExec_t graph;
    an_backend *told;  /* the device that records known after each replay; NULL: none does */
    cudaEvent_t known; /* for the host to wait for */
};

/* The compute stream of one device waits for all that is queued on another's. */
static int follow(const an_backend *device, const an_backend *other)
{
    int rc = an_cuda_use(other);
    if (rc)
        return rc;
    rc = an_cuda_record(other->tail, other->compute);
    if (rc)
        return rc;
    return an_cuda_wait(device->compute, other->tail);
}

static int first_follows(const an_recording *r)
{
    int rc = AN_OK;
    for (int i = 1; i < r->count && !rc; i++)
        rc = follow(r->devices[0], r->devices[i]);
    return rc;
}

static int others_follow(const an_recording *r)
{
    int rc = AN_OK;
    for (int i = 1; i < r->count && !rc; i++)
        rc = follow(r->devices[i], r->devices[0]);
    return rc;
}

static void recording_free(an_recording *r)
{
    if (r->graph)
        (void)cudaGraphExecDestroy(r->graph);
    free(r);
}

static void recording_set(const an_recording *r, an_recording *to)
{
    for (int i = 0; i < r->count; i++)
        r->devices[i]->recording = to;
}

/* Ends the capture whether it succeeded or not and makes the graph if it did. rc is the first failure so far. */
static int capture_end(an_recording *r, int rc)
{
    cudaGraph_t graph = NULL;
    const an_backend *first = r->devices[0];
    int used = an_cuda_use(first);
    rc = rc ? rc : used;
    cudaError_t status = cudaStreamEndCapture(first->compute, &graph);
    if (!rc)
        rc = an_cuda_check(status, "capture a step on cuda:%d", first->device);
    if (!rc)
        rc = an_cuda_check(cudaGraphInstantiate(&r->graph, graph, 0), "make a graph of a step on cuda:%d",
                           first->device);
    if (!rc) /* now rather than at the first launch: if memory is short here, the pass can still run without a graph */
        rc = an_cuda_check(cudaGraphUpload(r->graph, first->compute), "bring a graph of a step to cuda:%d",
                           first->device);
    if (graph)
        (void)cudaGraphDestroy(graph);
    recording_set(r, NULL);
    if (rc)
        (void)cudaGetLastError(); /* clears the error, which the libraries would take for one of their launches' */
    return rc;
}

int an_cuda_record_begin(an_backend *const *devices, int count)
{
    an_recording *r = calloc(1, sizeof *r);
    if (!r)
        return an_error(AN_ENOMEM, "out of memory");
    for (r->count = 0; r->count < count; r->count++)
        r->devices[r->count] = devices[r->count];
    int rc = an_cuda_use(devices[0]);
    if (!rc)
        rc = an_cuda_check(cudaStreamBeginCapture(devices[0]->compute, cudaStreamCaptureModeThreadLocal),
                           "capture a step on cuda:%d", devices[0]->device);
    if (rc) {
        (void)cudaGetLastError();
        recording_free(r);
        return rc;
    }
    recording_set(r, r);
    rc = others_follow(r);
    if (rc) {
        (void)capture_end(r, rc);
        recording_free(r);
    }
    return rc;
}

int an_cuda_record_end(an_backend *const *devices, int count, an_recording **out)
{
    (void)count;
    an_recording *r = devices[0]->recording;
    int rc = out ? first_follows(r) : AN_STOPPED;
    rc = capture_end(r, rc);
    if (rc) {
        recording_free(r);
        return out ? rc : AN_OK;
    }
    r->next = devices[0]->recordings;
    devices[0]->recordings = r;
    *out = r;
    return AN_OK;
}

int an_cuda_record_for_host(an_backend *cuda, cudaEvent_t event)
{
    an_recording *r = cuda->recording;
    if (!r)
        return an_cuda_record(event, cuda->compute);
    if (r->told)
        return an_error(AN_EUNSUPPORTED, "a recording with two events for the host");
    r->told = cuda;
    r->known = event;
    return AN_OK;
}

int an_cuda_replay(an_recording *r)
{
    const an_backend *first = r->devices[0];
    int rc = first_follows(r);
    if (rc)
        return rc;
    rc = an_cuda_use(first);
    if (rc)
        return rc;
    rc = an_cuda_check(cudaGraphLaunch(r->graph, first->compute), "start a recorded step on cuda:%d", first->device);
    if (rc)
        return rc;
    rc = others_follow(r);
    if (rc)
        return rc;
    if (!r->told)
        return AN_OK;
    rc = an_cuda_use(r->told);
    if (rc)
        return rc;
    return an_cuda_record(r->known, r->told->compute);
}

void an_cuda_recordings_free(an_backend *cuda)
{
    while (cuda->recordings) {
        an_recording *r = cuda->recordings;
        cuda->recordings = r->next;
        recording_free(r);
    }
}
