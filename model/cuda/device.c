/* Opening and closing a device: its streams and library handles, and everything that is registered with the backend and
 * freed when it closes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/cuda/tune.h"

/* One thing that the backend frees when it closes; all other members are NULL. */
struct an_cuda_owned {
    an_cuda_owned *next;
    void *memory, *pinned, *host;
    cudaEvent_t event;
    an_plan plan;
};

int an_cuda_use(const an_backend *cuda)
{
    return an_cuda_check(cudaSetDevice(cuda->device), "use cuda:%d", cuda->device);
}

static int own(an_backend *cuda, an_cuda_owned **out)
{
    an_cuda_owned *owned = calloc(1, sizeof *owned);
    if (!owned)
        return an_error(AN_ENOMEM, "out of memory");
    owned->next = cuda->owned;
    cuda->owned = owned;
    *out = owned;
    return AN_OK;
}

int an_cuda_alloc(an_backend *cuda, void **out, size_t size, const char *what)
{
    an_cuda_owned *owned = NULL;
    int rc = own(cuda, &owned);
    if (rc)
        return rc;
    rc = an_cuda_use(cuda);
    if (rc)
        return rc;
    rc = an_cuda_check(cudaMalloc(&owned->memory, size),
                       "allocate %zu bytes on cuda:%d for %s (%llu bytes are in use by this network; a smaller "
                       "batch needs less)",
                       size, cuda->device, what, (unsigned long long)cuda->memory);
    if (rc)
        return rc;
    cuda->memory += size;
    *out = owned->memory;
    return an_cuda_check(cudaMemsetAsync(owned->memory, 0, size, cuda->compute), "clear %zu bytes on cuda:%d for %s",
                         size, cuda->device, what);
}

int an_cuda_alloc_pinned(an_backend *cuda, void **out, size_t size, const char *what)
{
    an_cuda_owned *owned = NULL;
    int rc = own(cuda, &owned);
    if (rc)
        return rc;
    rc = an_cuda_check(cudaHostAlloc(&owned->pinned, size, cudaHostAllocPortable),
                       "allocate %zu bytes of pinned memory for %s", size, what);
    if (rc)
        return rc;
    memset(owned->pinned, 0, size);
    *out = owned->pinned;
    return AN_OK;
}

int an_cuda_alloc_host(an_backend *cuda, void **out, size_t size)
{
    an_cuda_owned *owned = NULL;
    int rc = own(cuda, &owned);
    if (rc)
        return rc;
    *out = owned->host = calloc(1, size);
    return *out ? AN_OK : an_error(AN_ENOMEM, "out of memory");
}

static int event_make(an_backend *cuda, cudaEvent_t *out, unsigned flags)
{
    an_cuda_owned *owned = NULL;
    int rc = own(cuda, &owned);
    if (rc)
        return rc;
    rc = an_cuda_use(cuda);
    if (rc)
        return rc;
    rc = an_cuda_check(cudaEventCreateWithFlags(&owned->event, flags), "make an event on cuda:%d", cuda->device);
    *out = owned->event;
    return rc;
}

int an_cuda_event(an_backend *cuda, cudaEvent_t *out)
{
    return event_make(cuda, out, cudaEventDisableTiming);
}

int an_cuda_event_timed(an_backend *cuda, cudaEvent_t *out)
{
    return event_make(cuda, out, cudaEventDefault);
}

int an_cuda_plan(an_backend *cuda, an_plan **out, const an_plan_spec *spec)
{
    an_cuda_owned *owned = NULL;
    int rc = own(cuda, &owned);
    if (rc)
        return rc;
    rc = an_tune_plan(cuda, &owned->plan, spec);
    if (rc)
        return rc;
    if ((size_t)owned->plan.workspace > cuda->workspace_size)
        cuda->workspace_size = (size_t)owned->plan.workspace;
    *out = &owned->plan;
    return AN_OK;
}

int an_cuda_wait(cudaStream_t stream, cudaEvent_t event)
{
    return an_cuda_check(cudaStreamWaitEvent(stream, event, 0), "let a stream wait for an event");
}

int an_cuda_record(cudaEvent_t event, cudaStream_t stream)
{
    return an_cuda_check(cudaEventRecord(event, stream), "record an event");
}

int an_cuda_launched(cudaError_t status, const an_op *op, const char *what)
{
    return an_cuda_check(status, "start the kernel '%s' for %s on cuda:%d", what, op->node.name, op->cuda->device);
}

/* "cuda" or "cuda:1". */
static int device_parse(const char *name, int *device)
{
    int used = 0;
    *device = 0;
    if (!name || !strcmp(name, "cuda"))
        return AN_OK;
    if (sscanf(name, "cuda:%3d%n", device, &used) == 1 && !name[used] && *device >= 0)
        return AN_OK;
    return an_error(AN_EINVAL, "no device '%s': it must be 'cuda' or 'cuda:0', 'cuda:1'...", name);
}

static int device_check(int device)
{
    int count = 0;
    int rc = an_cuda_check(cudaGetDeviceCount(&count), "find CUDA devices");
    if (!rc && device >= count)
        rc = an_error(AN_EUNSUPPORTED, "no cuda:%d: this machine has %d CUDA device%s", device, count,
                      count == 1 ? "" : "s");
    return rc;
}

/* Refuses a device that is too old, before anything is made on it: the libraries would only report that they have no
 * kernel. */
static int device_suits(int device, an_cuda_precision precision, int *processors)
{
    struct cudaDeviceProp p;
    int rc = an_cuda_check(cudaGetDeviceProperties(&p, device), "ask for the properties of cuda:%d", device);
    if (rc)
        return rc;
    *processors = p.multiProcessorCount;
    if (p.major * 10 + p.minor < 75)
        return an_error(AN_EUNSUPPORTED, "cuda:%d (%s) has compute capability %d.%d: it must be 7.5 or later", device,
                        p.name, p.major, p.minor);
    if (precision != AN_CUDA_F32 && p.major < 8)
        return an_error(AN_EUNSUPPORTED,
                        "cuda:%d (%s) has compute capability %d.%d, and %s needs 8.0 or later: take --precision fp32",
                        device, p.name, p.major, p.minor, an_cuda_precision_name(precision));
    return AN_OK;
}

static int device_line(an_buffer *out, int device)
{
    struct cudaDeviceProp p;
    char name[24];
    int rc = an_cuda_check(cudaGetDeviceProperties(&p, device), "ask for the properties of cuda:%d", device);
    if (rc)
        return rc;
    snprintf(name, sizeof name, "cuda:%d", device);
    return an_buffer_printf(out, "%-8s %s, compute capability %d.%d, %.0f GB\n", name, p.name, p.major, p.minor,
                            (double)p.totalGlobalMem * 1e-9);
}

int an_cuda_devices(an_buffer *out)
{
    int count = 0;
    int rc = an_cuda_check(cudaGetDeviceCount(&count), "find CUDA devices");
    if (rc)
        return an_buffer_printf(out, "%-8s none: %s\n", "cuda", an_error_message());
    for (int i = 0; i < count && !rc; i++)
        rc = device_line(out, i);
    return rc;
}

static int stream_make(const an_backend *cuda, cudaStream_t *out)
{
    return an_cuda_check(cudaStreamCreateWithFlags(out, cudaStreamNonBlocking), "make a stream on cuda:%d",
                         cuda->device);
}

static int streams_make(an_backend *cuda)
{
    int rc = stream_make(cuda, &cuda->compute);
    if (rc)
        return rc;
    rc = stream_make(cuda, &cuda->copy);
    if (rc)
        return rc;
    return stream_make(cuda, &cuda->images);
}

static int libraries_start(an_backend *cuda)
{
    int device = cuda->device;
    int rc = an_cudnn_check(cudnnCreate(&cuda->cudnn), "start cuDNN on cuda:%d", device);
    if (rc)
        return rc;
    rc = an_cudnn_check(cudnnSetStream(cuda->cudnn, cuda->compute), "give cuDNN its stream on cuda:%d", device);
    if (rc)
        return rc;
    rc = an_cublas_check(cublasLtCreate(&cuda->blas), "start cuBLASLt on cuda:%d", device);
    if (rc)
        return rc;
    return an_plan_device_current(&cuda->properties);
}

static int events_make(an_backend *cuda)
{
    cudaEvent_t *const timed[] = {&cuda->before, &cuda->begun, &cuda->asked, &cuda->done};
    int rc = an_cuda_event(cuda, &cuda->tail);
    for (int i = 0; i < 4 && !rc; i++)
        rc = an_cuda_event_timed(cuda, timed[i]);
    return rc;
}

static int handles_make(an_backend *cuda)
{
    int rc = an_cuda_use(cuda);
    if (rc)
        return rc;
    rc = streams_make(cuda);
    if (rc)
        return rc;
    rc = libraries_start(cuda);
    if (rc)
        return rc;
    return events_make(cuda);
}

int an_cuda_open(an_backend **out, const an_backend_options *options)
{
    static const an_cuda_precision precisions[] = {
        [AN_PRECISION_F32] = AN_CUDA_F32, [AN_PRECISION_TF32] = AN_CUDA_TF32, [AN_PRECISION_BF16] = AN_CUDA_BF16};
    int device, processors, rc = device_parse(options->device, &device);
    if (rc)
        return rc;
    rc = device_check(device);
    if (rc)
        return rc;
    rc = device_suits(device, precisions[options->precision], &processors);
    if (rc)
        return rc;
    an_backend *cuda = calloc(1, sizeof *cuda);
    if (!cuda)
        return an_error(AN_ENOMEM, "out of memory");
    cuda->device = device;
    cuda->batch = options->batch;
    cuda->training = options->training;
    cuda->averages = options->averages;
    cuda->gathers = options->gathers;
    cuda->reduces = options->reduces;
    cuda->seed = options->seed;
    cuda->top = options->top;
    cuda->processors = processors;
    cuda->choices = options->choices;
    cuda->remarks = options->remarks;
    cuda->notes = options->notes;
    cuda->label_smoothing = options->label_smoothing;
    cuda->class_weights = options->class_weights;
    cuda->conversion = options->conversion ? *options->conversion : (an_conversion){.side = 1, .scale = 1};
    cuda->decoder = options->decoder ? *options->decoder : (an_image_decoder){0};
    cuda->number = options->number;
    cuda->precision = precisions[options->precision];
    cuda->stored = cuda->precision == AN_CUDA_BF16 ? AN_STORED_BF16 : AN_STORED_F32;
    cuda->ops_end = &cuda->ops;
    rc = handles_make(cuda);
    if (rc) {
        an_cuda_close(cuda);
        return rc;
    }
    *out = cuda;
    return AN_OK;
}

/* Failures while freeing are ignored: after a device is lost every call fails, and its memory is gone anyway. */
static void owned_free(an_cuda_owned *owned)
{
    an_plan_free(&owned->plan);
    if (owned->event)
        (void)cudaEventDestroy(owned->event);
    (void)cudaFree(owned->memory);
    if (owned->pinned)
        (void)cudaFreeHost(owned->pinned);
    free(owned->host);
    free(owned);
}

void an_cuda_close(an_backend *cuda)
{
    if (!cuda)
        return;
    (void)cudaSetDevice(cuda->device);
    (void)cudaDeviceSynchronize();
    an_cuda_recordings_free(cuda);
    an_cuda_snapshot_close(cuda);
    for (an_op *op = cuda->ops; op; op = op->next)
        if (op->methods->release)
            op->methods->release(op);
    while (cuda->owned) {
        an_cuda_owned *owned = cuda->owned;
        cuda->owned = owned->next;
        owned_free(owned);
    }
    if (cuda->properties)
        (void)cudnnBackendDestroyDescriptor(cuda->properties);
    if (cuda->blas)
        (void)cublasLtDestroy(cuda->blas);
    if (cuda->cudnn)
        (void)cudnnDestroy(cuda->cudnn);
    if (cuda->reduce)
        (void)cudaStreamDestroy(cuda->reduce);
    if (cuda->images)
        (void)cudaStreamDestroy(cuda->images);
    if (cuda->copy)
        (void)cudaStreamDestroy(cuda->copy);
    if (cuda->compute)
        (void)cudaStreamDestroy(cuda->compute);
    free(cuda);
}
