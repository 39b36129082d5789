/* Copies of a device's weights, their momentum and their averages that are taken while it trains (model/snapshot.h).
 *
 * DESIGN. One kernel for each tensor, queued on the compute stream behind the update, puts values, momentum and
 * averages into canonical order. It writes to a buffer on the device, which a stream of the snapshot's own then copies
 * to the host while the compute stream goes on: `taken` orders the copy behind the kernels. If the device has no memory
 * for the buffer, the kernels write the host's memory themselves, through the bus, and the compute stream goes on after
 * that. In both cases `copied` is recorded behind the last write; the thread that writes the checkpoint waits for it.
 *
 * Nothing keeps the next snapshot from overwriting this one: its caller waits for `copied` before. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/cuda/cuda.h"

struct an_cuda_snapshot {
    an_snapshot_part *parts;
    int count;
    uint64_t values; /* of all parts */
    size_t size;     /* bytes of values, momenta and averages */
    float *host;     /* pinned */
    float *buffer;   /* on the device; NULL: the kernels write to host */
    cudaStream_t stream;
    cudaEvent_t taken, copied;
};

/* What must stay free on the device: libraries allocate memory when a kernel is first used. */
#define RESERVE ((size_t)256 << 20)

static bool has_room(size_t size)
{
    size_t room = 0, all = 0;
    return !cudaMemGetInfo(&room, &all) && room >= RESERVE && room - RESERVE >= size;
}

static void buffer_make(an_backend *cuda, an_cuda_snapshot *s)
{
    void *place = NULL;
    if (!has_room(s->size) || cudaMalloc(&place, s->size)) {
        (void)cudaGetLastError(); /* clears it */
        return;
    }
    cuda->memory += s->size;
    s->buffer = place;
}

/* The driver touches the pages while it pins them, so that the first copy finds them there. */
static int host_make(an_cuda_snapshot *s)
{
    void *place = NULL;
    unsigned flags = s->buffer ? cudaHostAllocPortable : cudaHostAllocPortable | cudaHostAllocMapped;
    int rc = an_cuda_check(cudaHostAlloc(&place, s->size, flags), "allocate %zu bytes of pinned memory", s->size);
    s->host = place;
    return rc;
}

static int parts_keep(const an_backend *cuda, an_cuda_snapshot *s, const an_snapshot_part *parts, int count)
{
    s->parts = calloc((size_t)count + 1, sizeof *s->parts);
    if (!s->parts)
        return an_error(AN_ENOMEM, "out of memory");
    for (s->count = 0; s->count < count; s->count++) {
        s->parts[s->count] = parts[s->count];
        s->values += parts[s->count].count;
    }
    s->size = (cuda->averages ? 3 : 2) * sizeof(float) * s->values;
    return AN_OK;
}

/* The host waits for copied asleep: its thread would otherwise take a processor from the loader. */
static int queue_make(const an_backend *cuda, an_cuda_snapshot *s)
{
    int rc = an_cuda_check(cudaStreamCreateWithFlags(&s->stream, cudaStreamNonBlocking), "make a stream on cuda:%d",
                           cuda->device);
    if (rc)
        return rc;
    rc = an_cuda_check(cudaEventCreateWithFlags(&s->taken, cudaEventDisableTiming), "make an event on cuda:%d",
                       cuda->device);
    if (rc)
        return rc;
    return an_cuda_check(cudaEventCreateWithFlags(&s->copied, cudaEventDisableTiming | cudaEventBlockingSync),
                         "make an event on cuda:%d", cuda->device);
}

static int snapshot_make(an_backend *cuda, an_cuda_snapshot *s, const an_snapshot_part *parts, int count)
{
    int rc = parts_keep(cuda, s, parts, count);
    if (rc)
        return rc;
    rc = an_cuda_use(cuda);
    if (rc)
        return rc;
    rc = queue_make(cuda, s);
    if (rc || !s->size)
        return rc;
    buffer_make(cuda, s);
    return host_make(s);
}

int an_cuda_snapshot_open(an_backend *cuda, const an_snapshot_part *parts, int count, const float **out)
{
    an_cuda_snapshot *s = calloc(1, sizeof *s);
    if (!s)
        return an_error(AN_ENOMEM, "out of memory");
    cuda->snapshot = s;
    int rc = snapshot_make(cuda, s, parts, count);
    if (rc) {
        an_cuda_snapshot_close(cuda);
        (void)cudaGetLastError(); /* clears it: training goes on without */
        return rc;
    }
    *out = s->host;
    return AN_OK;
}

/* Failures are ignored, as in an_cuda_close. */
void an_cuda_snapshot_close(an_backend *cuda)
{
    an_cuda_snapshot *s = cuda->snapshot;
    if (!s)
        return;
    (void)cudaSetDevice(cuda->device);
    if (s->copied) {
        (void)cudaEventSynchronize(s->copied);
        (void)cudaEventDestroy(s->copied);
    }
    if (s->taken)
        (void)cudaEventDestroy(s->taken);
    if (s->stream)
        (void)cudaStreamDestroy(s->stream);
    if (s->host)
        (void)cudaFreeHost(s->host);
    if (s->buffer)
        cuda->memory -= s->size;
    (void)cudaFree(s->buffer);
    free(s->parts);
    free(s);
    cuda->snapshot = NULL;
}

/* apart: floats from one kind of values to the next. */
static int part_write(const an_backend *cuda, const an_snapshot_part *part, float *to, uint64_t apart)
{
    const an_op *op = part->op;
    an_canonical_args args = an_cuda_weights_canonical(part->bias ? &op->bias : &op->weights);
    if (args.at.items != part->count)
        return an_error(AN_EINTERNAL, "%s: a copy of %llu parameters where there are %llu", op->node.name,
                        (unsigned long long)part->count, (unsigned long long)args.at.items);
    args.at.out[0] = to;
    args.at.out[1] = to + apart;
    args.at.out[2] = cuda->averages ? to + 2 * apart : NULL;
    return an_cuda_launched(an_kernel_canonical(&args, cuda->compute), op, "canonical");
}

static int parts_write(const an_backend *cuda, const an_cuda_snapshot *s)
{
    float *next = s->buffer ? s->buffer : s->host;
    int rc = AN_OK;
    for (int i = 0; i < s->count && !rc; next += s->parts[i++].count)
        rc = part_write(cuda, &s->parts[i], next, s->values);
    return rc;
}

static int buffer_copy(const an_backend *cuda, const an_cuda_snapshot *s)
{
    int rc = an_cuda_record(s->taken, cuda->compute);
    if (rc)
        return rc;
    rc = an_cuda_wait(s->stream, s->taken);
    if (rc)
        return rc;
    return an_cuda_check(cudaMemcpyAsync(s->host, s->buffer, s->size, cudaMemcpyDeviceToHost, s->stream),
                         "copy %zu bytes of parameters from cuda:%d", s->size, cuda->device);
}

int an_cuda_snapshot_take(an_backend *cuda)
{
    const an_cuda_snapshot *s = cuda->snapshot;
    int rc = an_cuda_use(cuda);
    if (rc)
        return rc;
    rc = parts_write(cuda, s);
    if (!rc && s->buffer)
        rc = buffer_copy(cuda, s);
    if (rc)
        return rc;
    return an_cuda_record(s->copied, s->buffer ? s->stream : cuda->compute);
}

int an_cuda_snapshot_wait(an_backend *cuda)
{
    int rc = an_cuda_use(cuda);
    if (rc)
        return rc;
    return an_cuda_check(cudaEventSynchronize(cuda->snapshot->copied), "wait for the parameters of cuda:%d",
                         cuda->device);
}
