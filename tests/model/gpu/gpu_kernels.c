/* How long the backend's own kernels take on a GPU: those of a step of AlexNet at 224 pixels, batch 128, bf16, on
 * random data, launched as the network launches them. Printed are the median of 20 runs between events, the bytes that
 * the tensors have (each read or written once) by that time, and the share of the speed of a copy that this is. Inputs
 * of consecutive runs lie in different memory, three sets of them, so that caches do not hold them.
 * Exit status: 0, 1 if something failed, 77 without a GPU. */
#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/cuda/kernels/kernels.h"

#define BATCH 128
#define RUNS 20
#define SETS 3
#define CLASSES 1000
#define MEAN_SIDE 256

static struct {
    cudaStream_t stream;
    cudaEvent_t events[RUNS + 1];
    int processors;
    double copy, sum; /* bytes/s; microseconds */
} gpu;

static void must(cudaError_t status, const char *what)
{
    if (status == cudaSuccess)
        return;
    printf("%s: %s\n", what, cudaGetErrorString(status));
    exit(1);
}

static int ascending(const void *one, const void *other)
{
    float a = *(const float *)one, b = *(const float *)other;
    return (a > b) - (a < b);
}

/* Launches a kernel on one of the sets. */
typedef cudaError_t (*start)(const void *context, int set);

/* The median in seconds. */
static double time_of(start run, const void *context, const char *what)
{
    float times[RUNS];
    for (int set = 0; set < SETS; set++)
        must(run(context, set), what);
    must(cudaEventRecord(gpu.events[0], gpu.stream), what);
    for (int i = 0; i < RUNS; i++) {
        must(run(context, i % SETS), what);
        must(cudaEventRecord(gpu.events[i + 1], gpu.stream), what);
    }
    must(cudaStreamSynchronize(gpu.stream), what);
    for (int i = 0; i < RUNS; i++)
        must(cudaEventElapsedTime(&times[i], gpu.events[i], gpu.events[i + 1]), what);
    qsort(times, RUNS, sizeof *times, ascending);
    return times[RUNS / 2] * 1e-3;
}

static void tell(const char *what, start run, const void *context, double bytes)
{
    double seconds = time_of(run, context, what);
    printf("%-46s %8.1f us %8.0f GB/s %5.0f %%\n", what, seconds * 1e6, bytes / seconds * 1e-9,
           100 * bytes / seconds / gpu.copy);
    fflush(stdout);
    gpu.sum += seconds * 1e6;
}

static void *place(size_t size)
{
    void *memory;
    must(cudaMalloc(&memory, size), "allocate device memory");
    return memory;
}

/* Random values between -1 and 1. */
static void *values(uint64_t count, an_stored stored)
{
    static uint32_t seed;
    void *memory = place(count * (stored == AN_STORED_BF16 ? 2 : 4));
    an_fill_args args = {.at = {.out = {memory}, .items = count}, .seed = ++seed, .scale = 1, .stored = stored};
    must(an_kernel_fill(&args, gpu.stream), "fill");
    return memory;
}

static void *words(size_t count, uint32_t below)
{
    uint32_t *host = malloc(count * sizeof *host), state = 1;
    void *memory = place(count * sizeof *host);
    if (!host)
        exit(1);
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525U + 1013904223U;
        host[i] = below ? (state >> 8) % below : state;
    }
    must(cudaMemcpy(memory, host, count * sizeof *host, cudaMemcpyHostToDevice), "copy to the device");
    free(host);
    return memory;
}

/* A kernel with the arguments of each set. */
#define CASE(name, type)                                                                                               \
    static cudaError_t start_##name(const void *context, int set)                                                      \
    {                                                                                                                  \
        return an_kernel_##name((const type *)context + set, gpu.stream);                                              \
    }
CASE(convert_pairs, an_convert_args)
CASE(lrn_peaks, an_peaks_args)
CASE(peaks, an_peaks_args)
CASE(lrn_peaks_back, an_peaks_back_args)
CASE(peaks_back, an_peaks_back_args)
CASE(slope, an_slope_args)
CASE(bias, an_bias_args)
CASE(dropout, an_dropout_args)
CASE(dropout_back, an_dropout_back_args)
CASE(loss, an_loss_args)
CASE(loss_back, an_loss_back_args)
CASE(sgd, an_sgd_args)

#define COPIED ((size_t)256 << 20)

static cudaError_t start_copy(const void *context, int set)
{
    void *const *memory = context;
    return cudaMemcpyAsync(memory[set], memory[SETS], COPIED, cudaMemcpyDeviceToDevice, gpu.stream);
}

static void measure_copy(void)
{
    void *memory[SETS + 1];
    for (int i = 0; i <= SETS; i++)
        memory[i] = place(COPIED);
    gpu.copy = 2.0 * (double)COPIED / time_of(start_copy, memory, "copy");
    printf("%-46s %11s %8.0f GB/s\n", "copy on the device, read and written", "", gpu.copy * 1e-9);
    for (int i = 0; i <= SETS; i++)
        must(cudaFree(memory[i]), "free");
}

static void draws_copy(void *to)
{
    an_image_draw draws[BATCH] = {{.x = 0}};
    for (unsigned i = 0; i < BATCH; i++)
        draws[i] = AN_IMAGE_DRAW(.shift = {0.5F, -1, 2}, .x = i * 7 % 33, .y = i * 5 % 33, .flip = i % 2);
    must(cudaMemcpy(to, draws, sizeof draws, cudaMemcpyHostToDevice), "copy to the device");
}

static void measure_convert(void)
{
    an_convert_args args[SETS];
    const size_t blocks = (size_t)BATCH * 57 * 57, image = 224 * 224 * 3;
    const uint32_t plane = MEAN_SIDE * MEAN_SIDE * 3;
    void *mean = values(8 * (uint64_t)plane, AN_STORED_F32), *draws = place(BATCH * sizeof(an_image_draw));
    draws_copy(draws);
    for (int i = 0; i < SETS; i++)
        args[i] = (an_convert_args){.at = {.out = {values(blocks * 48, AN_STORED_BF16)},
                                           .in = {words(BATCH * image / 4, 0), draws, mean},
                                           .items = 2 * blocks},
                                    .h = 224,
                                    .w = 224,
                                    .row = 672,
                                    .image_bytes = (uint32_t)image,
                                    .side = 4,
                                    .rows = an_divisor_of(57),
                                    .columns = an_divisor_of(57),
                                    .groups = an_divisor_of(6),
                                    .line = an_divisor_of(12),
                                    .mean_side = MEAN_SIDE,
                                    .mean_plane = plane,
                                    .words = 1,
                                    .scale = 0.01F,
                                    .stored = AN_STORED_BF16};
    double bytes = (double)(blocks * 96 + BATCH * image);
    tell("input: bytes to blocks of values", start_convert_pairs, args, bytes);
}

/* Convolutions' outputs that are pooled. */
typedef struct {
    const char *name;
    int channels, width, parts, side, pooled; /* width 0: not normalised */
    int across; /* columns that a thread takes, as the network sets it on 132 multiprocessors */
} pooling;

static const pooling poolings[] = {
    {"conv1", 96, 48, 1, 55, 27, 9}, {"conv2", 256, 128, 2, 27, 13, 7}, {"conv5", 256, 0, 2, 13, 6, 2}};

static an_peaks_args peaks_args(const pooling *p)
{
    uint64_t rows = (uint64_t)BATCH * (uint64_t)(p->side * p->side),
             to = (uint64_t)BATCH * (uint64_t)(p->pooled * p->pooled);
    uint64_t channels = (uint64_t)p->channels;
    return (an_peaks_args){.at = {.out = {values(to * channels, AN_STORED_BF16), place(to * channels)},
                                  .in = {values(rows * channels, AN_STORED_BF16)}},
                           .n = BATCH,
                           .channels = p->channels,
                           .h = p->side,
                           .w = p->side,
                           .oh = p->pooled,
                           .ow = p->pooled,
                           .width = p->width ? p->width : p->channels / p->parts,
                           .alpha = 1e-4F / 5,
                           .k = 2,
                           .from = an_rows_of(rows, p->channels, p->parts),
                           .to = an_rows_of(to, p->channels, p->parts),
                           .group = 8};
}

static void measure_forward(const pooling *p, an_peaks_args args[SETS], double bytes)
{
    char what[80];
    int parts = (p->pooled + p->across - 1) / p->across;
    for (int i = 0; i < SETS; i++) {
        args[i].across = p->across;
        args[i].at.items = (uint64_t)(BATCH * ((p->pooled + 1) / 2) * parts * (p->channels / args[i].group));
    }
    snprintf(what, sizeof what, "%s: %spooling", p->name, p->width ? "normalisation, " : "");
    tell(what, p->width ? start_lrn_peaks : start_peaks, args, bytes);
}

static void chunks_set(an_peaks_back_args args[SETS])
{
    for (int i = 0; i < SETS; i++) {
        uint32_t groups = (uint32_t)(args[i].peaks.channels / args[i].peaks.group);
        args[i].chunks = (uint32_t)(gpu.processors * 512) / groups;
        args[i].peaks.at.items = (uint64_t)args[i].chunks * groups;
    }
}

static void measure_backward(const pooling *p, an_peaks_back_args args[SETS], double bytes)
{
    char what[80];
    snprintf(what, sizeof what, "%s: gradient of both, slope, bias sums", p->name);
    chunks_set(args);
    tell(what, p->width ? start_lrn_peaks_back : start_peaks_back, args, bytes);
}

static void measure_bias(const char *name, int channels, int chunks, void *partial)
{
    an_bias_args args[SETS];
    char what[80];
    int slices = chunks > 1536 ? 64 : 1;
    void *out = place((size_t)(channels * slices) * 4);
    for (int i = 0; i < SETS; i++)
        args[i] = (an_bias_args){
            .at = {.out = {out}, .in = {partial}, .items = (uint64_t)(slices * (channels / 4))},
            .channels = channels,
            .chunks = chunks,
            .slices = slices,
        };
    snprintf(what, sizeof what, "%s: bias sums, %d chunks", name, chunks);
    tell(what, start_bias, args, 4.0 * channels * chunks);
    must(cudaFree(out), "free");
}

static void measure_pooling(const pooling *p)
{
    an_peaks_args args[SETS];
    an_peaks_back_args back[SETS];
    double x = (double)BATCH * p->side * p->side * p->channels, y = (double)BATCH * p->pooled * p->pooled * p->channels;
    void *partial = place((size_t)gpu.processors * 1024 * 8 * 4);
    for (int i = 0; i < SETS; i++)
        args[i] = peaks_args(p);
    measure_forward(p, args, 2 * x + 3 * y);
    for (int i = 0; i < SETS; i++) {
        back[i] = (an_peaks_back_args){.peaks = args[i], .activation = 1};
        back[i].peaks.at = (an_kernel_places){
            .out = {values((uint64_t)x, AN_STORED_BF16), partial},
            .in = {args[i].at.in[0], args[i].at.out[0], args[i].at.out[1]},
        };
    }
    measure_backward(p, back, 4 * x + 3 * y);
    chunks_set(back);
    measure_bias(p->name, p->channels, (int)back[0].chunks, partial);
    for (int i = 0; i < SETS; i++) {
        must(cudaFree(back[i].peaks.at.out[0]), "free");
        must(cudaFree(args[i].at.out[0]), "free");
        must(cudaFree(args[i].at.out[1]), "free");
    }
    must(cudaFree(partial), "free");
}

static void measure_slope(const char *what, uint64_t rows, int channels)
{
    an_slope_args args[SETS];
    uint32_t groups = (uint32_t)channels / 8, chunks = (uint32_t)(gpu.processors * 512) / groups;
    uint64_t count = rows * (uint64_t)channels, most = (rows + 7) / 8;
    chunks = chunks < most ? chunks : (uint32_t)most;
    void *partial = place((size_t)chunks * (size_t)channels * 4);
    for (int i = 0; i < SETS; i++)
        args[i] = (an_slope_args){.at = {.out = {values(count, AN_STORED_BF16), partial},
                                         .in = {values(count, AN_STORED_BF16)},
                                         .items = (uint64_t)chunks * groups},
                                  .rows = rows,
                                  .channels = channels,
                                  .chunks = chunks,
                                  .group = 8,
                                  .y = an_rows_of(rows, channels, 1),
                                  .activation = 1,
                                  .stored = AN_STORED_BF16};
    tell(what, start_slope, args, 6.0 * (double)count);
    measure_bias("the same layer", channels, (int)chunks, partial);
}

static void measure_dropout(void)
{
    an_dropout_args args[SETS];
    an_dropout_back_args back[SETS];
    uint64_t count = (uint64_t)BATCH * 4096;
    void *counter = words(4, 0), *kept = place(count);
    for (int i = 0; i < SETS; i++) {
        void *x = values(count, AN_STORED_BF16), *y = values(count, AN_STORED_BF16);
        args[i] = (an_dropout_args){.at = {.out = {y, kept}, .in = {x, counter}, .items = count},
                                    .channels = 4096,
                                    .layer_channels = 4096,
                                    .threshold = 0x80000000U,
                                    .scale = 2,
                                    .from = AN_STORED_BF16,
                                    .to = AN_STORED_BF16};
        back[i] = (an_dropout_back_args){
            .at = {.out = {x}, .in = {y, kept}, .items = count}, .scale = 2, .stored = AN_STORED_BF16};
    }
    tell("fc6: dropout", start_dropout, args, 5.0 * (double)count);
    tell("fc6: dropout's gradient", start_dropout_back, back, 5.0 * (double)count);
}

static void measure_loss(void)
{
    an_loss_args args[SETS];
    an_loss_back_args back[SETS];
    uint64_t count = (uint64_t)BATCH * CLASSES;
    void *labels = words(BATCH, CLASSES), *rows = place(BATCH * sizeof(an_row_result));
    for (int i = 0; i < SETS; i++) {
        void *x = values(count, AN_STORED_F32), *p = place(count * 4);
        args[i] = (an_loss_args){.at = {.out = {p, rows}, .in = {x, labels}, .items = BATCH}, .classes = CLASSES};
        back[i] = (an_loss_back_args){.at = {.out = {place(count * 2)}, .in = {p, labels}, .items = count},
                                      .classes = CLASSES,
                                      .count = BATCH,
                                      .stored = AN_STORED_BF16};
    }
    tell("fc8: softmax, loss, ranks", start_loss, args, 8.0 * (double)count);
    tell("fc8: the loss's gradient", start_loss_back, back, 6.0 * (double)count);
}

static void measure_sgd(const char *what, uint64_t count)
{
    an_sgd_args args[SETS];
    for (int i = 0; i < SETS; i++) {
        args[i] = (an_sgd_args){.at = {.items = count}, .count = 1, .momentum = 0.9F};
        args[i].tensors[0] = (an_sgd_tensor){
            .at = {.out = {values(count, AN_STORED_F32), values(count, AN_STORED_F32), values(count, AN_STORED_BF16)},
                   .in = {values(count, AN_STORED_F32)},
                   .items = count},
            .shrink = 1e-6F,
            .rate = 1e-3F,
            .stored = AN_STORED_BF16,
            .gradient = AN_STORED_F32};
    }
    tell(what, start_sgd, args, 22.0 * (double)count);
}

int main(void)
{
    int count = 0;
    struct cudaDeviceProp p;
    if (cudaGetDeviceCount(&count) != cudaSuccess || !count) {
        printf("no CUDA device found\n");
        return 77;
    }
    must(cudaSetDevice(0), "take cuda:0");
    must(cudaGetDeviceProperties(&p, 0), "ask for properties");
    gpu.processors = p.multiProcessorCount;
    must(cudaStreamCreateWithFlags(&gpu.stream, cudaStreamNonBlocking), "make a stream");
    for (int i = 0; i <= RUNS; i++)
        must(cudaEventCreate(&gpu.events[i]), "make an event");
    printf("%s, %d processors; batch %d, bf16; share: of the copy's speed\n", p.name, p.multiProcessorCount, BATCH);
    measure_copy();
    measure_convert();
    for (size_t i = 0; i < sizeof poolings / sizeof *poolings; i++)
        measure_pooling(&poolings[i]);
    measure_slope("conv3: slope, bias sums", (uint64_t)BATCH * 13 * 13, 384);
    measure_slope("fc6: slope, bias sums", BATCH, 4096);
    measure_dropout();
    measure_loss();
    measure_sgd("update: fc6", (uint64_t)9216 * 4096);
    measure_sgd("update: fc7", (uint64_t)4096 * 4096);
    printf("sum         %.1f us\n", gpu.sum);
    return 0;
}
