/* Tensors in device memory, and copies of them in canonical order (N x C x H x W) for the host. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/cuda/cuda.h"

#define AN_BODY static inline __attribute__((unused))
#define AN_LANES 1
#define AN_LANE 0
#define AN_LANES_SUM(x) (x)
#define AN_LANES_MAX(x) (x)
#include "model/cuda/kernels/bodies.h"

size_t an_stored_size(an_stored stored)
{
    return stored == AN_STORED_BF16 ? 2 : 4;
}

float an_stored_get(const void *values, an_stored stored, size_t i)
{
    return an_load(values, stored, i);
}

void an_stored_put(void *values, an_stored stored, size_t i, float value)
{
    an_store(values, stored, i, value);
}

uint64_t an_cuda_tensor_items(const an_cuda_tensor *tensor)
{
    const an_cuda_blocks *blocks = &tensor->blocks;
    if (blocks->side)
        return (uint64_t)tensor->n * (uint64_t)blocks->rows * (uint64_t)blocks->columns * (uint64_t)tensor->stored_c;
    return (uint64_t)tensor->n * (uint64_t)tensor->h * (uint64_t)tensor->w * (uint64_t)tensor->stored_c;
}

an_rows an_cuda_tensor_rows(const an_cuda_tensor *tensor)
{
    uint64_t rows = (uint64_t)tensor->n * (uint64_t)tensor->h * (uint64_t)tensor->w;
    return an_rows_of(rows, tensor->stored_c, tensor->parts);
}

void an_cuda_tensor_describe(an_cuda_tensor *tensor, an_backend *cuda, const an_node *node, int stored_c,
                             an_stored stored)
{
    *tensor = (an_cuda_tensor){.cuda = cuda,
                               .n = cuda->batch,
                               .c = node->channels,
                               .h = node->height,
                               .w = node->width,
                               .stored_c = stored_c,
                               .parts = 1,
                               .stored = stored,
                               .slope_stored = cuda->stored};
}

int an_cuda_tensor_make(an_cuda_tensor *tensor, const char *name)
{
    an_backend *cuda = tensor->cuda;
    uint64_t items = an_cuda_tensor_items(tensor);
    int rc = an_cuda_alloc(cuda, &tensor->data, items * an_stored_size(tensor->stored), name);
    if (rc || !cuda->training)
        return rc;
    return an_cuda_alloc(cuda, &tensor->slope, items * an_stored_size(tensor->slope_stored), name);
}

int an_cuda_fetch(an_backend *cuda, void *out, const void *from, size_t size)
{
    int rc = an_cuda_use(cuda);
    if (!rc)
        rc = an_cuda_check(cudaMemcpyAsync(out, from, size, cudaMemcpyDeviceToHost, cuda->compute),
                           "copy %zu bytes from cuda:%d", size, cuda->device);
    if (rc)
        return rc;
    return an_cuda_check(cudaStreamSynchronize(cuda->compute), "wait for cuda:%d", cuda->device);
}

int an_cuda_put(an_backend *cuda, void *to, const void *values, size_t size)
{
    int rc = an_cuda_use(cuda);
    if (!rc)
        rc = an_cuda_check(cudaMemcpyAsync(to, values, size, cudaMemcpyHostToDevice, cuda->compute),
                           "copy %zu bytes to cuda:%d", size, cuda->device);
    if (rc)
        return rc;
    return an_cuda_check(cudaStreamSynchronize(cuda->compute), "wait for cuda:%d", cuda->device);
}

/* The place in blocks of a channel of a pixel. */
static size_t block_place(const an_cuda_tensor *tensor, size_t n, size_t pixel, size_t channel)
{
    const an_cuda_blocks *blocks = &tensor->blocks;
    size_t side = (size_t)blocks->side, pad = (size_t)blocks->pad, width = (size_t)tensor->w;
    size_t y = pixel / width + pad, x = pixel % width + pad;
    size_t block = (n * (size_t)blocks->rows + y / side) * (size_t)blocks->columns + x / side;
    return block * (size_t)tensor->stored_c + (y % side * side + x % side) * (size_t)tensor->c + channel;
}

/* The place of canonical value number k (N x C x H x W) among count samples: N x H x W x C with padded channels, in one
 * part or two. */
static size_t place_of(const an_cuda_tensor *tensor, uint32_t count, size_t k)
{
    size_t plane = (size_t)tensor->h * (size_t)tensor->w, channels = (size_t)tensor->c;
    size_t stored = (size_t)tensor->stored_c / (size_t)tensor->parts; /* of a part */
    size_t pixel = k % plane, channel = k / plane % channels, n = k / (plane * channels);
    size_t part = channel / stored;
    if (tensor->blocks.side)
        return block_place(tensor, n, pixel, channel);
    return ((part * count + n) * plane + pixel) * stored + channel % stored;
}

static size_t canonical_count(const an_cuda_tensor *tensor, uint32_t count)
{
    return (size_t)count * (size_t)tensor->c * (size_t)tensor->h * (size_t)tensor->w;
}

/* Copies of the first count samples on the host, and where they lie on the device. */
typedef struct {
    void *host;
    char *device;
    an_stored stored;
    size_t size, apart; /* bytes of these samples in a part; from the first part on the device to the second */
} staging;

static int staging_make(staging *s, const an_cuda_tensor *tensor, bool gradient, uint32_t count)
{
    *s = (staging){.device = gradient ? tensor->slope : tensor->data,
                   .stored = gradient ? tensor->slope_stored : tensor->stored};
    if (!s->device)
        return an_error(AN_EINVAL, "no gradient without training");
    s->apart = an_cuda_tensor_items(tensor) / (size_t)tensor->parts * an_stored_size(s->stored);
    s->size = s->apart / (size_t)tensor->n * count;
    s->host = calloc((size_t)tensor->parts, s->size);
    return s->host ? AN_OK : an_error(AN_ENOMEM, "out of memory");
}

int an_cuda_tensor_get(const an_cuda_tensor *tensor, bool gradient, uint32_t count, float *out)
{
    staging s;
    int rc = staging_make(&s, tensor, gradient, count);
    for (size_t part = 0; part < (size_t)tensor->parts && !rc; part++)
        rc = an_cuda_fetch(tensor->cuda, (char *)s.host + part * s.size, s.device + part * s.apart, s.size);
    for (size_t k = 0; k < canonical_count(tensor, count) && !rc; k++)
        out[k] = an_stored_get(s.host, s.stored, place_of(tensor, count, k));
    free(s.host);
    return rc;
}

int an_cuda_tensor_set(const an_cuda_tensor *tensor, bool gradient, uint32_t count, const float *given)
{
    staging s;
    int rc = staging_make(&s, tensor, gradient, count);
    for (size_t k = 0; k < canonical_count(tensor, count) && !rc; k++)
        an_stored_put(s.host, s.stored, place_of(tensor, count, k), given[k]);
    for (size_t part = 0; part < (size_t)tensor->parts && !rc; part++)
        rc = an_cuda_put(tensor->cuda, s.device + part * s.apart, (char *)s.host + part * s.size, s.size);
    free(s.host);
    return rc;
}
