/* Decoding on a GPU alone: batches of coef payloads that lie in the device's memory become samples.
 *
 *     bench_gpu_decode DATASET [DEVICE]
 *
 * The dataset's coef records are taken as they are and its jpeg records transcoded; random crops of 7/8 of the side,
 * half of them mirrored. Batches rotate among blocks that are together several times as large as the device's L2 cache,
 * so every payload comes from memory. Before anything is timed, a whole batch is compared with what the host makes of
 * it, byte for byte. Printed are medians over batches, by events; the time of each of the two kernels alone, with its
 * neighbour out of the way; and what is left when each batch is copied from pinned memory first, on another stream.
 * Exit status 77: no device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>

#include "augment/cuda/decoder_cuda.h"
#include "augment/cuda/kernels/arguments.h"
#include "augment/cuda/kernels/launch.h"
#include "augment/sample.h"
#include "base/error.h"
#include "base/rng.h"
#include "store/codec.h"
#include "store/dataset/dataset.h"

enum { IMAGES_MAX = 8192, BLOCKS_MAX = 128, WARMING = 20, TIMED = 200, PIPELINE = 2 };

typedef struct {
    uint32_t side, crop, images;
    an_buffer *payloads;
    int device;
    size_t rotating; /* bytes of blocks to rotate among */
    cudaStream_t stream, copies;
    cudaEvent_t events[TIMED + 1];
} work;

/* Batches of one size, in pinned memory and on the device. */
typedef struct {
    uint32_t batch, count;
    size_t room; /* of a block */
    size_t sizes[BLOCKS_MAX];
    uint8_t *host, *device;
    uint8_t *arriving[PIPELINE]; /* on the device: where batches that are copied first arrive */
} blocks;

typedef struct {
    an_decode_state state;
    uint8_t *samples;
    size_t each; /* bytes of a sample */
} target;

static int check(cudaError_t status, const char *what)
{
    return status == cudaSuccess ? AN_OK : an_error(AN_EINTERNAL, "%s: %s", what, cudaGetErrorString(status));
}

static int take_payload(an_encoder *encoder, const an_record *record, an_buffer *out)
{
    if (record->header.codec == AN_CODEC_COEF)
        return an_buffer_append(out, record->payload, record->header.length);
    return an_encoder_convert(encoder, record->header.codec, record->payload, record->header.length, AN_CODEC_COEF,
                              out);
}

static int load(work *w, const an_dataset *dataset)
{
    uint64_t count = an_dataset_count(dataset);
    an_encoder *encoder;
    w->side = an_dataset_side(dataset);
    w->crop = w->side * 7 / 8 > 0 ? w->side * 7 / 8 : 1;
    w->payloads = calloc(IMAGES_MAX, sizeof *w->payloads);
    if (!w->payloads)
        return an_error(AN_ENOMEM, "out of memory");
    int rc = an_encoder_create(&encoder);
    if (rc)
        return rc;
    for (uint64_t i = 0; !rc && i < count && w->images < IMAGES_MAX; i++) {
        an_record record;
        rc = an_dataset_record(dataset, i, &record);
        if (!rc && record.header.codec != AN_CODEC_COEF && record.header.codec != AN_CODEC_JPEG)
            continue;
        if (!rc)
            rc = take_payload(encoder, &record, &w->payloads[w->images++]);
    }
    an_encoder_free(encoder);
    return rc ? rc : w->images ? AN_OK : an_error(AN_ENOTFOUND, "no coef or jpeg records");
}

static size_t align(size_t size)
{
    return (size + AN_PAYLOAD_ALIGNMENT - 1) / AN_PAYLOAD_ALIGNMENT * AN_PAYLOAD_ALIGNMENT;
}

/* Fills block number `number`; its image i is image number * batch + i of the dataset, which repeats. */
static void fill_block(const work *w, blocks *b, uint32_t number)
{
    uint8_t *block = b->host + b->room * number;
    an_image_draw *draws = (void *)block;
    an_payload *places = (void *)(block + an_payload_places_offset(b->batch));
    size_t at = an_payload_first_offset(b->batch);
    an_rng rng = an_rng_make(1, AN_RNG_TEST, b->batch, number);
    for (uint32_t i = 0; i < b->batch; i++) {
        const an_buffer *payload = &w->payloads[(number * b->batch + i) % w->images];
        uint32_t range = w->side - w->crop + 1, x = an_rng_below(&rng, range), y = an_rng_below(&rng, range);
        draws[i] = AN_IMAGE_DRAW(.x = x, .y = y, .flip = an_rng_below(&rng, 2));
        places[i] = (an_payload){.offset = (uint32_t)at, .size = (uint32_t)payload->size, .kind = AN_PAYLOAD_COEF};
        memcpy(block + at, payload->data, payload->size);
        at += align(payload->size);
    }
    b->sizes[number] = at + AN_PAYLOAD_SLACK;
}

static int make_blocks(const work *w, blocks *b, uint32_t batch)
{
    size_t largest = 0;
    *b = (blocks){.batch = batch};
    for (uint32_t i = 0; i < w->images; i++)
        largest = w->payloads[i].size > largest ? w->payloads[i].size : largest;
    b->room = align(an_payload_first_offset(batch) + batch * align(largest) + AN_PAYLOAD_SLACK);
    size_t mean = 0;
    for (uint32_t i = 0; i < w->images; i++)
        mean += w->payloads[i].size;
    mean /= w->images;
    b->count = (uint32_t)(w->rotating / (mean * batch)) + 1;
    b->count = b->count < BLOCKS_MAX ? b->count : BLOCKS_MAX;
    int rc = check(cudaHostAlloc((void **)&b->host, b->room * b->count, cudaHostAllocPortable), "pinned memory");
    if (rc)
        return rc;
    for (uint32_t i = 0; i < b->count; i++)
        fill_block(w, b, i);
    rc = check(cudaMalloc((void **)&b->device, b->room * b->count), "memory for blocks");
    for (int i = 0; !rc && i < PIPELINE; i++)
        rc = check(cudaMalloc((void **)&b->arriving[i], b->room), "memory for blocks");
    for (uint32_t i = 0; !rc && i < b->count; i++)
        rc = check(cudaMemcpyAsync(b->device + i * b->room, b->host + i * b->room, b->sizes[i], cudaMemcpyHostToDevice,
                                   w->stream),
                   "copying blocks");
    return rc ? rc : check(cudaStreamSynchronize(w->stream), "copying blocks");
}

static void free_blocks(blocks *b)
{
    (void)cudaFreeHost(b->host);
    (void)cudaFree(b->device);
    for (int i = 0; i < PIPELINE; i++)
        (void)cudaFree(b->arriving[i]);
}

static int make_target(const work *w, target *t, uint32_t batch, an_format format)
{
    an_decode_state *s = &t->state;
    size_t planes = an_decode_planes_size(batch, w->crop);
    *t = (target){.state = {.side = w->side, .crop = w->crop, .format = format, .scale = {1, 1, 1}}};
    t->each = (size_t)w->crop * w->crop * (size_t)format.channels * an_dtype_size(format.dtype);
    int rc = check(cudaMalloc((void **)&s->planes, planes), "memory for planes");
    if (!rc)
        rc = check(cudaMalloc((void **)&s->fault, sizeof *s->fault), "memory");
    if (!rc)
        rc = check(cudaMalloc((void **)&s->details, batch * sizeof *s->details), "memory");
    if (!rc)
        rc = check(cudaMalloc((void **)&t->samples, batch * t->each), "memory for samples");
    if (!rc)
        rc = check(cudaHostAlloc((void **)&s->report, sizeof *s->report, cudaHostAllocMapped), "pinned memory");
    if (rc)
        return rc;
    s->report->fault = AN_DECODE_NONE;
    return check(cudaMemsetAsync(s->fault, 0xff, sizeof *s->fault, w->stream), "clearing memory");
}

static void free_target(target *t)
{
    (void)cudaFree(t->state.planes);
    (void)cudaFree(t->state.fault);
    (void)cudaFree(t->state.details);
    (void)cudaFree(t->samples);
    (void)cudaFreeHost(t->state.report);
}

typedef enum { BOTH, ROWS, PIXELS } part;

static int launch(const target *t, const uint8_t *block, size_t size, uint32_t batch, part which, cudaStream_t stream)
{
    an_decode_launches l = an_decode_launches_of(&t->state, block, size, batch, t->samples);
    int rc = which == PIXELS ? AN_OK : check(an_decode_launch_rows(&l.rows, stream), "starting rows");
    if (rc || which == ROWS)
        return rc;
    if (l.plain)
        return check(an_decode_launch_pixels(&l.pixels, stream), "starting pixels");
    return check(an_decode_launch_values(&l.pixels, stream), "starting values");
}

/* Compares the samples of block `number` with the host's. */
static int compare(const work *w, const blocks *b, const target *t, uint32_t number)
{
    an_sample_options options = {.crop = w->crop, .scale = 1, .format = t->state.format};
    const uint8_t *block = b->host + number * b->room;
    const an_image_draw *draws = (const void *)block;
    const an_payload *places = (const void *)(block + an_payload_places_offset(b->batch));
    uint8_t *made = malloc(b->batch * t->each), *expected = aligned_alloc(64, (t->each + 63) / 64 * 64);
    an_sampler *sampler = NULL;
    an_sample_scratch *scratch = NULL;
    int rc = made && expected ? AN_OK : an_error(AN_ENOMEM, "out of memory");
    if (!rc)
        rc = an_sampler_create(&sampler, &options, w->side, NULL);
    if (!rc)
        rc = an_sample_scratch_create(&scratch, sampler);
    if (!rc)
        rc = launch(t, b->device + number * b->room, b->sizes[number], b->batch, BOTH, w->stream);
    if (!rc)
        rc = check(cudaMemcpyAsync(made, t->samples, b->batch * t->each, cudaMemcpyDeviceToHost, w->stream), "copying");
    if (!rc)
        rc = check(cudaStreamSynchronize(w->stream), "decoding");
    if (!rc && t->state.report->fault != AN_DECODE_NONE)
        rc = an_decode_explain(t->state.report, w->side);
    for (uint32_t i = 0; !rc && i < b->batch; i++) {
        an_record record = {.header = {.codec = AN_CODEC_COEF, .width = w->side, .height = w->side}};
        an_sample_draw draw = AN_SAMPLE_DRAW(.x = draws[i].x, .y = draws[i].y, .flip = draws[i].flip);
        record.header.length = places[i].size;
        record.payload = block + places[i].offset;
        rc = an_sampler_make(sampler, scratch, &record, &draw, expected);
        for (size_t k = 0; !rc && k < t->each; k++)
            if (made[i * t->each + k] != expected[k])
                rc = an_error(AN_EINTERNAL, "image %u differs from the host's at byte %zu: %d, not %d", i, k,
                              made[i * t->each + k], expected[k]);
    }
    an_sample_scratch_free(scratch);
    an_sampler_free(sampler);
    free(made);
    free(expected);
    return rc;
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Times of the work between events, and from the first to the last; microseconds. */
static int read_times(const work *w, double *median, double *mean)
{
    float times[TIMED], whole;
    for (int i = 0; i < TIMED; i++) {
        int rc = check(cudaEventElapsedTime(&times[i], w->events[i], w->events[i + 1]), "reading times");
        if (rc)
            return rc;
    }
    int rc = check(cudaEventElapsedTime(&whole, w->events[0], w->events[TIMED]), "reading times");
    qsort(times, TIMED, sizeof *times, ascending);
    *median = 1e3 * (double)times[TIMED / 2];
    *mean = 1e3 * (double)whole / TIMED;
    return rc;
}

static int time_part(const work *w, const blocks *b, const target *t, part which, double *median, double *mean)
{
    int rc = AN_OK;
    for (int i = -WARMING; !rc && i <= TIMED; i++) {
        uint32_t number = (uint32_t)(i + WARMING) % b->count;
        if (i >= 0)
            rc = check(cudaEventRecord(w->events[i], w->stream), "recording a time");
        if (!rc && i < TIMED)
            rc = launch(t, b->device + number * b->room, b->sizes[number], b->batch, which, w->stream);
    }
    if (!rc)
        rc = check(cudaStreamSynchronize(w->stream), "decoding");
    return rc ? rc : read_times(w, median, mean);
}

/* Each batch is copied from pinned memory on another stream while the one before it is decoded. */
static int time_copied(const work *w, const blocks *b, const target *t, double *mean)
{
    cudaEvent_t arrived[PIPELINE], done[PIPELINE];
    double median;
    int rc = AN_OK;
    for (int i = 0; i < PIPELINE; i++) {
        rc = rc ? rc : check(cudaEventCreateWithFlags(&arrived[i], cudaEventDisableTiming), "making events");
        rc = rc ? rc : check(cudaEventCreateWithFlags(&done[i], cudaEventDisableTiming), "making events");
    }
    for (int i = 0; !rc && i <= TIMED; i++) {
        uint32_t number = (uint32_t)i % b->count, slot = (uint32_t)i % PIPELINE;
        uint8_t *to = b->arriving[slot];
        rc = check(cudaEventRecord(w->events[i], w->stream), "recording a time");
        if (!rc && i >= PIPELINE)
            rc = check(cudaStreamWaitEvent(w->copies, done[slot], 0), "waiting");
        if (!rc)
            rc = check(
                cudaMemcpyAsync(to, b->host + number * b->room, b->sizes[number], cudaMemcpyHostToDevice, w->copies),
                "copying");
        if (!rc)
            rc = check(cudaEventRecord(arrived[slot], w->copies), "recording");
        if (!rc)
            rc = check(cudaStreamWaitEvent(w->stream, arrived[slot], 0), "waiting");
        if (!rc)
            rc = launch(t, to, b->sizes[number], b->batch, BOTH, w->stream);
        if (!rc)
            rc = check(cudaEventRecord(done[slot], w->stream), "recording");
    }
    if (!rc)
        rc = check(cudaStreamSynchronize(w->stream), "decoding");
    rc = rc ? rc : read_times(w, &median, mean);
    for (int i = 0; i < PIPELINE; i++) {
        (void)cudaEventDestroy(arrived[i]);
        (void)cudaEventDestroy(done[i]);
    }
    return rc;
}

static int report(const work *w, const blocks *b, const target *t, const char *name)
{
    double both = 0, rows = 0, pixels = 0, steady = 0, copied = 0, ignored = 0, in = 0;
    int rc = time_part(w, b, t, BOTH, &both, &steady);
    if (!rc)
        rc = time_part(w, b, t, ROWS, &rows, &ignored);
    if (!rc)
        rc = time_part(w, b, t, PIXELS, &pixels, &ignored);
    if (!rc)
        rc = time_copied(w, b, t, &copied);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < b->count; i++)
        in += (double)b->sizes[i] / b->count;
    printf("%-10s batch %3u: %7.1f us (rows %.1f, %s %.1f), one after another %.1f; %.0f images/s, %.0f GB/s; copied "
           "first %.1f us, %.0f images/s\n",
           name, b->batch, both, rows, t->state.format.dtype == AN_DTYPE_U8 ? "pixels" : "values", pixels, steady,
           1e6 * b->batch / steady, (in + (double)t->each * b->batch) / steady * 1e-3, copied, 1e6 * b->batch / copied);
    return AN_OK;
}

static int run_format(const work *w, const blocks *b, const char *name, an_format format)
{
    target t;
    int rc = make_target(w, &t, b->batch, format);
    for (uint32_t i = 0; !rc && i < b->count && i < 2; i++)
        rc = compare(w, b, &t, i);
    if (!rc)
        rc = report(w, b, &t, name);
    free_target(&t);
    return rc;
}

static int run_batch(const work *w, uint32_t batch)
{
    static const struct {
        const char *name;
        an_format format;
    } formats[] = {{"u8 NHWC", {AN_DTYPE_U8, AN_LAYOUT_NHWC, 3}},
                   {"bf16 NCHW", {AN_DTYPE_BF16, AN_LAYOUT_NCHW, 3}},
                   {"f32 NCHW", {AN_DTYPE_F32, AN_LAYOUT_NCHW, 3}}};
    blocks b;
    int rc = make_blocks(w, &b, batch);
    if (!rc)
        printf("%u blocks of %u images, %.1f MB in all\n", b.count, batch, (double)b.sizes[0] * b.count * 1e-6);
    for (size_t i = 0; !rc && i < sizeof formats / sizeof *formats; i++)
        rc = run_format(w, &b, formats[i].name, formats[i].format);
    free_blocks(&b);
    return rc;
}

static int open_device(work *w)
{
    struct cudaDeviceProp p;
    int rc = check(cudaSetDevice(w->device), "using the device");
    if (!rc)
        rc = check(cudaGetDeviceProperties(&p, w->device), "asking for the device's properties");
    if (!rc)
        rc = check(cudaStreamCreateWithFlags(&w->stream, cudaStreamNonBlocking), "making a stream");
    if (!rc)
        rc = check(cudaStreamCreateWithFlags(&w->copies, cudaStreamNonBlocking), "making a stream");
    for (int i = 0; !rc && i <= TIMED; i++)
        rc = check(cudaEventCreateWithFlags(&w->events[i], cudaEventDefault), "making events");
    if (rc)
        return rc;
    w->rotating = 4 * (size_t)p.l2CacheSize;
    printf("%s, %d multiprocessors, L2 cache %.0f MB; %u images of %u pixels, crops of %u\n", p.name,
           p.multiProcessorCount, p.l2CacheSize * 1e-6, w->images, w->side, w->crop);
    return AN_OK;
}

int main(int argc, char **argv)
{
    static work w;
    static const uint32_t batches[] = {128, 512};
    an_dataset *dataset = NULL;
    int devices = 0;
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: bench_gpu_decode DATASET [DEVICE]\n");
        return AN_EXIT_USAGE;
    }
    w.device = argc > 2 ? atoi(argv[2]) : 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || w.device < 0 || w.device >= devices) {
        fprintf(stderr, "bench_gpu_decode: no such CUDA device\n");
        return 77;
    }
    int rc = an_dataset_open(&dataset, argv[1]);
    if (!rc)
        rc = load(&w, dataset);
    if (!rc)
        rc = open_device(&w);
    for (size_t i = 0; !rc && i < sizeof batches / sizeof *batches; i++)
        rc = run_batch(&w, batches[i]);
    if (rc)
        fprintf(stderr, "bench_gpu_decode: %s\n", an_error_message());
    an_dataset_free(dataset);
    return an_error_exit_code(rc);
}
