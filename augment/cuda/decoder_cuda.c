/* Decoders of batches on CUDA devices: memory, launches, and what the kernels report.
 *
 * DESIGN. Decoding a batch is two launches on the caller's stream: the kernel rows writes the samples of Y, Cb and Cr
 * into the decoder's planes, and the kernel pixels or values makes the crops of them. The decoder allocates everything
 * when it is made. A kernel that finds damage keeps the smallest fault in device memory; the second launch hands it to
 * the host through pinned memory that devices write, so that the host neither copies nor waits. */
#include "augment/cuda/decoder_cuda.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "augment/cuda/kernels/arguments.h"
#include "augment/cuda/kernels/launch.h"
#include "augment/pixels/values.h"
#include "base/error.h"
#include "store/image/image.h"

struct an_batch_decoder {
    int device;
    uint32_t limit; /* samples of a batch at most */
    uint64_t memory;
    an_decode_state state; /* all of its memory is the device's but report, which is pinned */
    float *mean;           /* as in state */
};

static int check(cudaError_t status, const char *attempt, int device)
{
    if (status == cudaSuccess)
        return AN_OK;
    (void)cudaGetLastError();
    if (status == cudaErrorMemoryAllocation)
        return an_error(AN_ENOMEM, "cannot %s on cuda:%d: out of memory; a smaller batch needs less", attempt, device);
    bool absent = status == cudaErrorNoDevice || status == cudaErrorInsufficientDriver ||
                  status == cudaErrorInvalidDevice || status == cudaErrorNoKernelImageForDevice ||
                  status == cudaErrorUnsupportedPtxVersion || status == cudaErrorSystemDriverMismatch ||
                  status == cudaErrorDevicesUnavailable || status == cudaErrorStubLibrary;
    const char *remedy = status == cudaErrorInsufficientDriver ? "; install or update the NVIDIA driver"
                         : status == cudaErrorNoDevice ? "; is the NVIDIA driver loaded, and does CUDA_VISIBLE_DEVICES "
                                                         "hide the device?"
                                                       : "";
    return an_error(absent ? AN_EUNSUPPORTED : AN_EINTERNAL, "cannot %s on cuda:%d: %s%s", attempt, device,
                    cudaGetErrorString(status), remedy);
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
    int rc = check(cudaGetDeviceCount(&count), "find devices", device);
    if (!rc && device >= count)
        rc = an_error(AN_EUNSUPPORTED, "no cuda:%d: this machine has %d CUDA device%s", device, count,
                      count == 1 ? "" : "s");
    return rc;
}

static int options_check_format(const an_format *format)
{
    bool known = (format->channels == 1 || format->channels == 3 || format->channels == 4) &&
                 format->dtype <= AN_DTYPE_F16 && format->layout <= AN_LAYOUT_NCHW;
    return known ? AN_OK
                 : an_error(AN_EINVAL, "unknown image format: %d channels, type %d, layout %d", format->channels,
                            (int)format->dtype, (int)format->layout);
}

static int options_check_scale(const an_batch_decoder_options *o)
{
    int colours = o->format.channels == 1 ? 1 : 3;
    bool divides = false;
    if (!isfinite(o->scale))
        return an_error(AN_EINVAL, "scale %g is impossible", o->scale);
    for (int c = 0; c < colours; c++)
        divides |= o->deviation[c] != 0;
    for (int c = 0; c < colours && divides; c++)
        if (!an_value_scale_possible(o->scale, o->deviation[c]))
            return an_error(AN_EINVAL, "deviation %g is impossible: give numbers above 0, or 0 for all colours",
                            o->deviation[c]);
    return AN_OK;
}

static int options_check(const an_batch_decoder_options *o)
{
    if (o->batch < 1)
        return an_error(AN_EINVAL, "a batch of %u samples", o->batch);
    if (o->side < 1 || o->side > AN_IMAGE_SIDE_MAX)
        return an_error(AN_EINVAL, "records of %u pixels: give 1 to %d", o->side, AN_IMAGE_SIDE_MAX);
    if (o->crop < 1 || o->crop > o->side)
        return an_error(AN_EINVAL, "crop %u does not fit the records of %u pixels", o->crop, o->side);
    if ((uint64_t)o->batch * o->crop * ((o->crop + AN_RUN - 1) / AN_RUN) > INT32_MAX)
        return an_error(AN_EINVAL, "a batch of %u crops of %u pixels is more than devices decode at once", o->batch,
                        o->crop);
    if ((uint64_t)o->batch * 3 * an_decode_span(o->crop) * 32 > INT32_MAX)
        return an_error(AN_EINVAL, "a batch of %u samples is more than devices decode at once", o->batch);
    if (o->mean && o->mean_side != 1 && o->mean_side != o->side)
        return an_error(AN_EINVAL, "the mean image has %u pixels a side, the records %u", o->mean_side, o->side);
    int rc = options_check_format(&o->format);
    return rc || o->format.dtype == AN_DTYPE_U8 ? rc : options_check_scale(o);
}

static int device_alloc(an_batch_decoder *d, void **out, size_t size)
{
    int rc = check(cudaMalloc(out, size), "allocate memory for decoding", d->device);
    d->memory += rc ? 0 : size;
    return rc;
}

static size_t mean_size(const an_batch_decoder *d)
{
    size_t colours = d->state.format.channels == 1 ? 1 : 3;
    return (size_t)d->state.mean_side * d->state.mean_side * colours * sizeof(float);
}

static int memory_make(an_batch_decoder *d, bool with_mean)
{
    an_decode_state *s = &d->state;
    int rc = device_alloc(d, (void **)&s->planes, an_decode_planes_size(d->limit, s->crop));
    if (rc)
        return rc;
    rc = device_alloc(d, (void **)&s->fault, sizeof *s->fault);
    if (rc)
        return rc;
    rc = device_alloc(d, (void **)&s->details, d->limit * sizeof *s->details);
    if (!rc && with_mean)
        rc = device_alloc(d, (void **)&d->mean, mean_size(d));
    if (rc)
        return rc;
    s->mean = d->mean;
    unsigned flags = cudaHostAllocMapped | cudaHostAllocPortable;
    return check(cudaHostAlloc((void **)&s->report, sizeof *s->report, flags), "allocate pinned memory", d->device);
}

/* Queues the first values of everything, then waits. */
static int memory_fill(an_batch_decoder *d, const float *mean, cudaStream_t stream)
{
    const an_decode_state *s = &d->state;
    int rc = check(cudaMemsetAsync(s->planes, 0, an_decode_planes_size(d->limit, s->crop), stream), "clear memory",
                   d->device);
    if (rc)
        return rc;
    rc = check(cudaMemsetAsync(s->fault, 0xff, sizeof *s->fault, stream), "clear memory", d->device);
    if (rc)
        return rc;
    rc = check(cudaMemsetAsync(s->details, 0, d->limit * sizeof *s->details, stream), "clear memory", d->device);
    if (!rc && d->mean)
        rc = check(cudaMemcpyAsync(d->mean, mean, mean_size(d), cudaMemcpyHostToDevice, stream), "copy the mean",
                   d->device);
    if (rc)
        return rc;
    return check(cudaStreamSynchronize(stream), "prepare decoding", d->device);
}

static int memory_start(an_batch_decoder *d, const float *mean)
{
    cudaStream_t stream;
    int rc = memory_make(d, mean != NULL);
    if (rc)
        return rc;
    *d->state.report = (an_decode_report){.fault = AN_DECODE_NONE};
    rc = check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "make a stream", d->device);
    if (rc)
        return rc;
    rc = memory_fill(d, mean, stream);
    int end = check(cudaStreamDestroy(stream), "end a stream", d->device);
    return rc ? rc : end;
}

/* Makes d's device the current one; *before is the one that was. */
static int enter(const an_batch_decoder *d, int *before)
{
    int rc = check(cudaGetDevice(before), "ask for the current device", d->device);
    return rc ? rc : check(cudaSetDevice(d->device), "use the device", d->device);
}

static int leave(const an_batch_decoder *d, int before, int rc)
{
    int end = check(cudaSetDevice(before), "go back to another device", d->device);
    return rc ? rc : end;
}

static void release(an_batch_decoder *d)
{
    int before;
    if (!d)
        return;
    int rc = enter(d, &before);
    (void)cudaDeviceSynchronize();
    (void)cudaFree(d->state.planes);
    (void)cudaFree(d->state.fault);
    (void)cudaFree(d->state.details);
    (void)cudaFree(d->mean);
    (void)cudaFreeHost(d->state.report);
    if (!rc)
        (void)cudaSetDevice(before);
    free(d);
}

static int create(an_batch_decoder **out, const an_batch_decoder_options *options)
{
    int device, before;
    *out = NULL;
    int rc = options_check(options);
    if (rc)
        return rc;
    rc = device_parse(options->device, &device);
    if (rc)
        return rc;
    rc = device_check(device);
    if (rc)
        return rc;
    an_batch_decoder *d = malloc(sizeof *d);
    if (!d)
        return an_error(AN_ENOMEM, "out of memory for a decoder");
    *d = (an_batch_decoder){.device = device, .limit = options->batch};
    d->state = (an_decode_state){
        .side = options->side, .crop = options->crop, .format = options->format, .mean_side = options->mean_side};
    for (int c = 0; c < 3; c++)
        d->state.scale[c] = an_value_scale(options->scale, options->deviation[c]);
    rc = enter(d, &before);
    if (!rc)
        rc = leave(d, before, memory_start(d, options->format.dtype == AN_DTYPE_U8 ? NULL : options->mean));
    if (rc) {
        release(d);
        return rc;
    }
    *out = d;
    return AN_OK;
}

static size_t bytes(const an_batch_decoder *d)
{
    const an_format *f = &d->state.format;
    return (size_t)d->state.crop * d->state.crop * (size_t)f->channels * an_decode_type_size(f->dtype);
}

static uint64_t memory(const an_batch_decoder *d)
{
    return d->memory;
}

static int launch(const an_batch_decoder *d, const an_decode_launches *l, cudaStream_t stream)
{
    int rc = check(an_decode_launch_rows(&l->rows, stream), "start the kernel 'rows'", d->device);
    if (rc)
        return rc;
    if (l->plain)
        return check(an_decode_launch_pixels(&l->pixels, stream), "start the kernel 'pixels'", d->device);
    return check(an_decode_launch_values(&l->pixels, stream), "start the kernel 'values'", d->device);
}

int an_decode_queue(an_batch_decoder *d, const void *block, size_t size, uint32_t count, void *samples,
                    an_decode_report *report, void *stream)
{
    int before;
    if (count < 1 || count > d->limit)
        return an_error(AN_EINVAL, "a batch of %u samples, where the decoder takes %u", count, d->limit);
    if (size < an_payload_first_offset(count) || size > UINT32_MAX)
        return an_error(AN_EINVAL, "a block of %zu bytes does not hold %u payloads", size, count);
    an_decode_state state = d->state;
    state.report = report;
    an_decode_launches launches = an_decode_launches_of(&state, block, size, count, samples);
    int rc = enter(d, &before);
    return rc ? rc : leave(d, before, launch(d, &launches, stream));
}

static int queue(an_batch_decoder *d, const void *block, size_t size, uint32_t count, void *samples, void *stream)
{
    return an_decode_queue(d, block, size, count, samples, d->state.report, stream);
}

int an_decode_result(const an_batch_decoder *d, an_decode_report *report, uint32_t *sample)
{
    uint64_t fault = __atomic_load_n(&report->fault, __ATOMIC_ACQUIRE);
    if (fault == AN_DECODE_NONE)
        return AN_OK;
    an_decode_report found = {fault, report->detail};
    __atomic_store_n(&report->fault, AN_DECODE_NONE, __ATOMIC_RELEASE);
    *sample = (uint32_t)(fault >> 32);
    return an_decode_explain(&found, d->state.side);
}

static int result(an_batch_decoder *d, uint32_t *sample)
{
    return an_decode_result(d, d->state.report, sample);
}

int an_decode_device(const an_batch_decoder *d)
{
    return d->device;
}

const an_decoder_api an_decoder_cuda = {create, release, bytes, memory, queue, result, &an_feed_cuda};
