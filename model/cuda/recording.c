/* A pass over all ops of all devices as one CUDA graph.
 *
 * DESIGN. Capture begins in the first device's compute stream. The other compute streams join by waiting for its tail,
 * and at the end it waits for theirs; copy streams join by the first `ready` or `packed` that they wait for, and leave
 * by the last `arrived` or `sent` that compute waits for. All these events are recorded within the capture: a wait for
 * one from outside would break it (cudaErrorStreamCaptureIsolation), as would a wait outside for one from within.
 * The mode is thread-local: what other threads do meanwhile (a loader that pins memory) does not break the capture, but
 * an allocation by one of the libraries in this thread does, which would mean that it does something on every call that
 * a replay would not do. A call that is refused need not break the capture, and what it should have done would be
 * missing: so any failure at all gives the recording up. */
#include <stdlib.h>

#include "base/error.h"
#include "model/cuda/cuda.h"

struct an_recording {
    an_recording *next;
    an_backend *devices[AN_GRAPH_DEVICES]; /* the first one's compute stream takes the graph */
    int count;
    cudaGraphExec_t graph;
    an_backend *told; /* behind the graph, known is recorded there; NULL: nothing is */
    cudaEvent_t known;
};

/* Compute of one device waits for what another's holds so far. */
static int follow(const an_backend *device, const an_backend *other)
{
    int rc = an_cuda_use(other);
    if (rc || (rc = an_cuda_record(other->tail, other->compute)))
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

/* In any case; rc is what became of the capture so far. */
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
    if (!rc) /* the first launch would do it; here, want of memory is no reason to stop */
        rc = an_cuda_check(cudaGraphUpload(r->graph, first->compute), "bring a graph of a step to cuda:%d",
                           first->device);
    if (graph)
        (void)cudaGraphDestroy(graph);
    recording_set(r, NULL);
    if (rc)
        (void)cudaGetLastError(); /* clears it: libraries look at it after their launches */
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
    if ((rc = others_follow(r))) {
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
    if (rc || (rc = an_cuda_use(first)) ||
        (rc = an_cuda_check(cudaGraphLaunch(r->graph, first->compute), "start a recorded step on cuda:%d",
                            first->device)) ||
        (rc = others_follow(r)) || !r->told)
        return rc;
    rc = an_cuda_use(r->told);
    return rc ? rc : an_cuda_record(r->known, r->told->compute);
}

void an_cuda_recordings_free(an_backend *cuda)
{
    while (cuda->recordings) {
        an_recording *r = cuda->recordings;
        cuda->recordings = r->next;
        recording_free(r);
    }
}
