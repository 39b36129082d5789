/* The emulator's own test: it reports each mistake that it exists to find, and nothing in correct use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model/cuda/kernels/kernels.h"
#include "model/graph/graph.h"
#include "tests/emu/emulator/emu.h"
#include "tests/emu/expect.h"

#define COUNT 1000

typedef struct {
    cudaStream_t one, two;
    cudaEvent_t event;
    float *a, *b, *host;
} bench;

static void bench_make(bench *s)
{
    ok(cudaSetDevice(0));
    ok(cudaStreamCreateWithFlags(&s->one, cudaStreamNonBlocking));
    ok(cudaStreamCreateWithFlags(&s->two, cudaStreamNonBlocking));
    ok(cudaEventCreateWithFlags(&s->event, cudaEventDisableTiming));
    ok(cudaMalloc((void **)&s->a, COUNT * sizeof(float)));
    ok(cudaMalloc((void **)&s->b, COUNT * sizeof(float)));
    ok(cudaHostAlloc((void **)&s->host, COUNT * sizeof(float), 0));
    for (int i = 0; i < COUNT; i++)
        s->host[i] = (float)i;
    (void)emu_violations(NULL, 0);
}

static void bench_free(bench *s)
{
    ok(cudaSetDevice(0));
    ok(cudaDeviceSynchronize());
    ok(cudaFree(s->a));
    ok(cudaFree(s->b));
    ok(cudaFreeHost(s->host));
    ok(cudaEventDestroy(s->event));
    ok(cudaStreamDestroy(s->one));
    ok(cudaStreamDestroy(s->two));
    (void)emu_violations(NULL, 0);
}

static void to_device(bench *s)
{
    ok(cudaMemcpyAsync(s->a, s->host, COUNT * sizeof(float), cudaMemcpyHostToDevice, s->one));
}

/* b = a, on stream two. */
static cudaError_t copy_kernel(const bench *s, const float *from)
{
    an_window_args args = {
        .at = {.out = {s->b}, .in = {from}, .items = COUNT}, .channels = 1, .from_channels = 1, .to_channels = 1};
    return an_kernel_window(&args, s->two);
}

static void test_right_use_passes(void **state)
{
    (void)state;
    bench s;
    bench_make(&s);
    to_device(&s);
    ok(cudaEventRecord(s.event, s.one));
    ok(cudaStreamWaitEvent(s.two, s.event, 0));
    ok(copy_kernel(&s, s.a));
    ok(cudaStreamSynchronize(s.two));
    ok(cudaMemcpyAsync(s.host, s.b, COUNT * sizeof(float), cudaMemcpyDeviceToHost, s.one));
    ok(cudaStreamSynchronize(s.one));
    assert_true(s.host[COUNT - 1] == COUNT - 1);
    expect(NULL);
    bench_free(&s);
}

static void test_a_missing_wait(void **state)
{
    (void)state;
    bench s;
    bench_make(&s);
    to_device(&s);
    ok(copy_kernel(&s, s.a));
    expect("is read without waiting for the one who wrote it");
    ok(cudaMemsetAsync(s.a, 0, 16, s.one));
    expect("is overwritten without waiting for one who reads it");
    bench_free(&s);
}

static void test_a_buffer_freed_in_flight(void **state)
{
    (void)state;
    bench s;
    bench_make(&s);
    void *extra;
    ok(cudaMalloc(&extra, 64));
    ok(cudaMemsetAsync(extra, 0, 64, s.one));
    ok(cudaFree(extra));
    expect("freed while work that uses it may be in flight");
    ok(cudaMemsetAsync(extra, 0, 64, s.one));
    expect("is freed, or beyond its buffer");
    bench_free(&s);
}

static void test_other_devices(void **state)
{
    (void)state;
    bench s;
    bench_make(&s);
    void *there;
    ok(cudaSetDevice(1));
    ok(cudaMalloc(&there, COUNT * sizeof(float)));
    to_device(&s);
    expect("a device that is not current");
    ok(cudaSetDevice(0));
    ok(copy_kernel(&s, there));
    expect("lies on another device");
    ok(cudaMemcpyPeerAsync(there, 0, s.a, 1, 64, s.one));
    expect("names a device that does not hold the memory");
    ok(cudaDeviceSynchronize());
    ok(cudaFree(there));
    bench_free(&s);
}

/* Every kernel is started with buffers of exactly the size that it needs, then with each of them one byte too small. */
typedef struct {
    cudaStream_t stream;
    void *places[AN_KERNEL_OUT + AN_KERNEL_IN];
    size_t sizes[AN_KERNEL_OUT + AN_KERNEL_IN]; /* outs, then ins; 0: NULL */
} exact;

static an_kernel_places exact_make(exact *e, uint64_t items, int small)
{
    an_kernel_places at = {.items = items};
    for (int i = 0; i < AN_KERNEL_OUT + AN_KERNEL_IN; i++) {
        e->places[i] = NULL;
        if (!e->sizes[i])
            continue;
        ok(cudaMalloc(&e->places[i], e->sizes[i] - (i == small)));
        ok(cudaMemsetAsync(e->places[i], 0, e->sizes[i] - (i == small), e->stream));
        *(i < AN_KERNEL_OUT ? &at.out[i] : (void **)&at.in[i - AN_KERNEL_OUT]) = e->places[i];
    }
    ok(cudaStreamSynchronize(e->stream));
    return at;
}

static void exact_free(exact *e)
{
    ok(cudaStreamSynchronize(e->stream));
    for (int i = 0; i < AN_KERNEL_OUT + AN_KERNEL_IN; i++)
        ok(cudaFree(e->places[i]));
}

/* Rows of 3 channels, 5 x 3 pixels of 2 images where there are images, and classes. */
#define ROWS 30
#define CHANNELS 3

static an_convert_args convert_args(an_kernel_places at)
{
    return (an_convert_args){.at = at,
                             .h = 5,
                             .w = 3,
                             .row = 9,
                             .image_bytes = 45,
                             .side = 1,
                             .rows = an_divisor_of(5),
                             .columns = an_divisor_of(3),
                             .groups = an_divisor_of(1),
                             .line = an_divisor_of(3),
                             .mean_side = 5,
                             .mean_plane = 76,
                             .images = 2,
                             .scale = 1};
}

static cudaError_t convert_start(an_kernel_places at, cudaStream_t stream)
{
    an_convert_args args = convert_args(at);
    return an_kernel_convert(&args, stream);
}

static cudaError_t convert_mixed_start(an_kernel_places at, cudaStream_t stream)
{
    an_convert_args args = convert_args(at);
    return an_kernel_convert_mixed(&args, stream);
}

/* 5 x 3 blocks of 4 x 4 pixels of 2 images. */
static cudaError_t convert_pairs_start(an_kernel_places at, cudaStream_t stream)
{
    an_convert_args args = {.at = at,
                            .h = 20,
                            .w = 12,
                            .row = 36,
                            .image_bytes = 720,
                            .side = 4,
                            .rows = an_divisor_of(5),
                            .columns = an_divisor_of(3),
                            .groups = an_divisor_of(12),
                            .line = an_divisor_of(12),
                            .mean_side = 20,
                            .mean_plane = 1200,
                            .words = 1,
                            .scale = 1};
    return an_kernel_convert_pairs(&args, stream);
}

static cudaError_t activate_start(an_kernel_places at, cudaStream_t stream)
{
    an_activate_args args = {.at = at, .activation = 3, .stored = AN_STORED_BF16};
    return an_kernel_activate(&args, stream);
}

static cudaError_t slope_start(an_kernel_places at, cudaStream_t stream)
{
    an_slope_args args = {.at = at,
                          .rows = ROWS,
                          .channels = CHANNELS,
                          .chunks = 4,
                          .group = 1,
                          .y = an_rows_of(ROWS, CHANNELS, 1),
                          .activation = 1};
    return an_kernel_slope(&args, stream);
}

static cudaError_t bias_start(an_kernel_places at, cudaStream_t stream)
{
    an_bias_args args = {.at = at, .channels = CHANNELS, .chunks = 41, .slices = 1};
    return an_kernel_bias(&args, stream);
}

static const an_pool_args pool = {
    .channels = CHANNELS, .h = 5, .w = 3, .oh = 3, .ow = 2, .window = 3, .stride = 2, .pad = 1, .group = 1};

static cudaError_t pool_start(an_kernel_places at, cudaStream_t stream)
{
    an_pool_args args = pool;
    args.at = at;
    args.from = an_rows_of(ROWS, CHANNELS, 1);
    args.to = an_rows_of(2 * 6, CHANNELS, 1);
    return an_kernel_pool(&args, stream);
}

static cudaError_t pool_back_start(an_kernel_places at, cudaStream_t stream)
{
    an_pool_back_args args = {.pool = pool};
    args.pool.at = at;
    args.pool.from = an_rows_of(ROWS, CHANNELS, 1);
    args.pool.to = an_rows_of(2 * 6, CHANNELS, 1);
    return an_kernel_pool_back(&args, stream);
}

static const an_lrn_args lrn = {.channels = 8, .width = 4, .size = 5, .group = 4, .alpha = 1, .beta = 0.75F, .k = 2};

static cudaError_t lrn_start(an_kernel_places at, cudaStream_t stream)
{
    an_lrn_args args = lrn;
    args.at = at;
    args.from = args.to = an_rows_of(3, 8, 1);
    return an_kernel_lrn(&args, stream);
}

static cudaError_t lrn_back_start(an_kernel_places at, cudaStream_t stream)
{
    an_lrn_back_args args = {.lrn = lrn};
    args.lrn.at = at;
    args.lrn.from = args.lrn.to = an_rows_of(3, 8, 1);
    return an_kernel_lrn_back(&args, stream);
}

/* 5 x 3 pixels of 2 images and 8 channels, of which 4 are normalised together. */
static an_peaks_args peaks(an_kernel_places at)
{
    return (an_peaks_args){.at = at,
                           .n = 2,
                           .channels = 8,
                           .h = 5,
                           .w = 3,
                           .oh = 3,
                           .ow = 2,
                           .pad = 1,
                           .across = 1,
                           .width = 4,
                           .alpha = 1,
                           .k = 2,
                           .from = an_rows_of(ROWS, 8, 1),
                           .to = an_rows_of(2 * 6, 8, 1),
                           .group = 4};
}

static cudaError_t peaks_start(an_kernel_places at, cudaStream_t stream)
{
    const an_peaks_args args = peaks(at);
    return an_kernel_peaks(&args, stream);
}

static cudaError_t lrn_peaks_start(an_kernel_places at, cudaStream_t stream)
{
    const an_peaks_args args = peaks(at);
    return an_kernel_lrn_peaks(&args, stream);
}

static cudaError_t peaks_back_start(an_kernel_places at, cudaStream_t stream)
{
    const an_peaks_back_args args = {.peaks = peaks(at), .chunks = 3};
    return an_kernel_peaks_back(&args, stream);
}

static cudaError_t lrn_peaks_back_start(an_kernel_places at, cudaStream_t stream)
{
    const an_peaks_back_args args = {.peaks = peaks(at), .chunks = 3, .activation = 1};
    return an_kernel_lrn_peaks_back(&args, stream);
}

static an_activation_args activation(an_kernel_places at)
{
    return (an_activation_args){.at = at,
                                .channels = CHANNELS,
                                .group = 1,
                                .activation = AN_ACTIVATION_TANH,
                                .from = an_rows_of(ROWS, CHANNELS, 1),
                                .to = an_rows_of(ROWS, CHANNELS, 1)};
}

static cudaError_t activation_start(an_kernel_places at, cudaStream_t stream)
{
    const an_activation_args args = activation(at);
    return an_kernel_activation(&args, stream);
}

static cudaError_t activation_back_start(an_kernel_places at, cudaStream_t stream)
{
    const an_activation_back_args args = {.forward = activation(at), .accumulate = 1};
    return an_kernel_activation_back(&args, stream);
}

static cudaError_t numbers_start(an_kernel_places at, cudaStream_t stream)
{
    an_numbers_args args = {.at = at};
    return an_kernel_numbers(&args, stream);
}

static cudaError_t dropout_start(an_kernel_places at, cudaStream_t stream)
{
    an_dropout_args args = {.at = at,
                            .channels = CHANNELS,
                            .layer_channels = CHANNELS,
                            .threshold = 1U << 31,
                            .scale = 2,
                            .to = AN_STORED_BF16};
    return an_kernel_dropout(&args, stream);
}

static cudaError_t dropout_back_start(an_kernel_places at, cudaStream_t stream)
{
    an_dropout_back_args args = {.at = at, .scale = 2, .accumulate = 1};
    return an_kernel_dropout_back(&args, stream);
}

static cudaError_t loss_start(an_kernel_places at, cudaStream_t stream)
{
    an_loss_args args = {.at = at, .classes = 37};
    return an_kernel_loss(&args, stream);
}

static cudaError_t loss_back_start(an_kernel_places at, cudaStream_t stream)
{
    an_loss_back_args args = {.at = at, .classes = 37, .count = 2};
    return an_kernel_loss_back(&args, stream);
}

/* Channels 1 to 3 of rows of 5, to channels 2 to 4 of rows of 6. */
static cudaError_t window_start(an_kernel_places at, cudaStream_t stream)
{
    an_window_args args = {.at = at,
                           .channels = CHANNELS,
                           .from_channels = 5,
                           .from_offset = 1,
                           .to_channels = 6,
                           .to_offset = 2,
                           .to = AN_STORED_BF16};
    return an_kernel_window(&args, stream);
}

static cudaError_t sgd_start(an_kernel_places at, cudaStream_t stream)
{
    an_sgd_args args = {.at = {.items = at.items}, .count = 1};
    args.tensors[0] = (an_sgd_tensor){.at = at, .stored = AN_STORED_BF16};
    return an_kernel_sgd(&args, stream);
}

static cudaError_t sgd_more_start(an_kernel_places at, cudaStream_t stream)
{
    an_sgd_args args = {.at = {.in = {at.in[1]}, .items = at.items}, .count = 1, .share = 0.1F, .nesterov = 1};
    at.in[1] = NULL;
    args.tensors[0] = (an_sgd_tensor){.at = at, .stored = AN_STORED_BF16};
    return an_kernel_sgd_more(&args, stream);
}

static cudaError_t sgd_trust_start(an_kernel_places at, cudaStream_t stream)
{
    an_sgd_args args = {.at = {.in = {at.in[1]}, .items = at.items}, .count = 1, .share = 0.1F};
    at.in[1] = at.in[2];
    at.in[2] = NULL;
    args.tensors[0] = (an_sgd_tensor){.at = at, .stored = AN_STORED_BF16};
    return an_kernel_sgd_trust(&args, stream);
}

/* A whole chunk and the beginning of another one. */
static cudaError_t norm_start(an_kernel_places at, cudaStream_t stream)
{
    an_norm_args args = {.at = {.out = {at.out[0]}, .items = at.items}, .count = 1};
    args.tensors[0] = (an_norm_tensor){.at = {.in = {at.in[0]}, .items = AN_NORM_CHUNK + 31}};
    return an_kernel_norm(&args, stream);
}

static cudaError_t norm_total_start(an_kernel_places at, cudaStream_t stream)
{
    an_norm_total_args args = {.at = at, .sums = 41, .clip = 1};
    return an_kernel_norm_total(&args, stream);
}

/* Of 41 sums, the last ones are those of a gradient. */
static cudaError_t trust_start(an_kernel_places at, cudaStream_t stream)
{
    an_trust_args args = {.at = at, .tensors = {{.weights = 0, .gradient = 20, .count = 3}, {3, 38, 3}}, .trust = 1};
    return an_kernel_trust(&args, stream);
}

static cudaError_t exchange_start(an_kernel_places at, cudaStream_t stream)
{
    an_exchange_args args = {.at = at, .stored = AN_STORED_BF16};
    return an_kernel_exchange(&args, stream);
}

/* 2 x 3 filters of 2 x 2, of which memory holds 4 channels. */
static cudaError_t canonical_start(an_kernel_places at, cudaStream_t stream)
{
    an_canonical_args args = {.at = at, .i = 3, .h = 2, .w = 2, .stored_i = 4};
    return an_kernel_canonical(&args, stream);
}

/* 3 x 3 weights of 3 channels in blocks of 2 x 2. */
static const an_arrange_args arrange = {.form = {.side = 2, .groups = 1, .channels = 12},
                                        .h = 3,
                                        .w = 3,
                                        .channels = 3,
                                        .rows = 2,
                                        .columns = 2,
                                        .group_outputs = 2,
                                        .stored = AN_STORED_BF16};

static cudaError_t arrange_start(an_kernel_places at, cudaStream_t stream)
{
    an_arrange_args args = arrange;
    args.at = at;
    return an_kernel_arrange(&args, stream);
}

static cudaError_t restore_start(an_kernel_places at, cudaStream_t stream)
{
    an_arrange_args args = arrange;
    args.at = at;
    return an_kernel_restore(&args, stream);
}

/* The images in frames of 8 x 6 pixels. */
static const an_frame_args frame = {
    .h = 5, .w = 3, .pad = 1, .frame_h = 8, .frame_w = 6, .channels = CHANNELS, .group = 1};

static cudaError_t frame_start(an_kernel_places at, cudaStream_t stream)
{
    an_frame_args args = frame;
    args.at = at;
    return an_kernel_frame(&args, stream);
}

static cudaError_t frame_back_start(an_kernel_places at, cudaStream_t stream)
{
    an_frame_args args = frame;
    args.at = at;
    args.back = 1;
    return an_kernel_frame(&args, stream);
}

static const struct {
    const char *name;
    cudaError_t (*start)(an_kernel_places at, cudaStream_t stream);
    uint64_t items;
    size_t sizes[AN_KERNEL_OUT + AN_KERNEL_IN]; /* bytes of out[0], ..., in[0], ... */
} launches[] = {
    {"convert", convert_start, ROWS, {ROWS * 16, 0, 0, 0, ROWS * 3, 2 * sizeof(an_image_draw), 8 * 76 * 4}},
    {"convert_mixed", convert_mixed_start, ROWS, {ROWS * 16, 0, 0, 0, ROWS * 3, 2 * sizeof(an_image_draw), 8 * 76 * 4}},
    {"convert_pairs", convert_pairs_start, 2 * ROWS, {ROWS * 192, 0, 0, 0, 1440, 2 * sizeof(an_image_draw), 8 * 4800}},
    {"activate", activate_start, 31, {62}},
    {"activation", activation_start, ROWS *CHANNELS, {ROWS * 12, 0, 0, 0, ROWS * 12}},
    {"activation_back", activation_back_start, ROWS *CHANNELS, {ROWS * 12, 0, 0, 0, ROWS * 12, ROWS * 12}},
    {"slope", slope_start, 4 * CHANNELS, {ROWS * 12, 4 * 12, 0, 0, ROWS * 12}},
    {"bias", bias_start, CHANNELS, {12, 0, 0, 0, 41 * 12}},
    {"pool", pool_start, 2 * 6 * CHANNELS, {2 * 6 * 12, 2 * 6 * 3, 0, 0, ROWS * 12}},
    {"pool_back", pool_back_start, ROWS *CHANNELS, {ROWS * 12, 0, 0, 0, 2 * 6 * 12, 2 * 6 * 3}},
    {"lrn", lrn_start, 6, {96, 96, 0, 0, 96}},
    {"lrn_back", lrn_back_start, 6, {96, 0, 0, 0, 96, 96, 96}},
    {"peaks", peaks_start, 2 * 2 * 2 * 2, {2 * 6 * 32, 2 * 6 * 8, 0, 0, ROWS * 32}},
    {"lrn_peaks", lrn_peaks_start, 2 * 2 * 2 * 2, {2 * 6 * 32, 2 * 6 * 8, 0, 0, ROWS * 32}},
    {"peaks_back", peaks_back_start, 3 * 2, {ROWS * 32, 3 * 32, 0, 0, 0, 2 * 6 * 32, 2 * 6 * 8}},
    {"lrn_peaks_back", lrn_peaks_back_start, 3 * 2, {ROWS * 32, 3 * 32, 0, 0, ROWS * 32, 2 * 6 * 32, 2 * 6 * 8}},
    {"numbers", numbers_start, 4, {16}},
    {"dropout", dropout_start, ROWS *CHANNELS, {ROWS * 6, ROWS * 3, 0, 0, ROWS * 12, 16}},
    {"dropout_back", dropout_back_start, 31, {124, 0, 0, 0, 124, 31}},
    {"loss",
     loss_start,
     3,
     {3 * 37 * 4, 3 * sizeof(an_row_result), 0, 0, 3 * 37 * 4, 3 * sizeof(an_target_row), 37 * 4}},
    {"loss_back", loss_back_start, 3 * 37, {3 * 37 * 4, 0, 0, 0, 2 * 37 * 4, 2 * sizeof(an_target_row), 37 * 4}},
    {"window", window_start, 10 * CHANNELS, {(9 * 6 + 5) * 2, 0, 0, 0, (9 * 5 + 4) * 4}},
    {"sgd", sgd_start, 31, {124, 124, 62, 0, 124}},
    {"sgd_more", sgd_more_start, 31, {124, 124, 62, 124, 124, sizeof(an_norm_result)}},
    {"sgd_trust", sgd_trust_start, 31, {124, 124, 62, 124, 124, sizeof(an_norm_result), sizeof(an_trust_result)}},
    {"norm", norm_start, 2, {16, 0, 0, 0, AN_NORM_CHUNK * 4 + 124}},
    {"norm_total", norm_total_start, 1, {sizeof(an_norm_result), 0, 0, 0, 41 * sizeof(double)}},
    {"trust", trust_start, 2, {2 * sizeof(an_trust_result), 0, 0, 0, 41 * sizeof(double), sizeof(an_norm_result)}},
    {"exchange", exchange_start, 31, {124, 124, 62}},
    {"canonical", canonical_start, 2 * 3 * 4, {96, 96, 96, 0, 128, 128, 128}},
    {"arrange", arrange_start, 2 * 4 * 12, {2 * 4 * 12 * 2, 0, 0, 0, 2 * 9 * 3 * 4}},
    {"restore", restore_start, 2 * 9 * 3, {2 * 9 * 3 * 2, 0, 0, 0, 2 * 4 * 12 * 2}},
    {"frame", frame_start, ROWS *CHANNELS, {(13 * 6 + 4) * 12, 0, 0, 0, ROWS * 12}},
    {"frame back", frame_back_start, ROWS *CHANNELS, {ROWS * 12, 0, 0, 0, (13 * 6 + 4) * 12}},
};
#define LAUNCHES (sizeof launches / sizeof *launches)

/* small: the number of the place whose buffer is one byte too small; -1: none. */
static void exact_start(cudaStream_t stream, size_t kernel, int small)
{
    exact e = {.stream = stream};
    memcpy(e.sizes, launches[kernel].sizes, sizeof e.sizes);
    an_kernel_places at = exact_make(&e, launches[kernel].items, small);
    ok(launches[kernel].start(at, stream));
    char text[512];
    int found = emu_violations(text, sizeof text);
    if (small < 0 ? found != 0 : !strstr(text, "runs beyond its buffer"))
        fail_msg("%s, place %d too small: '%s'", launches[kernel].name, small, text);
    exact_free(&e);
    expect(NULL);
}

static void test_kernels_and_buffers_that_just_fit(void **state)
{
    (void)state;
    bench s;
    bench_make(&s);
    for (size_t k = 0; k < LAUNCHES; k++) {
        exact_start(s.one, k, -1);
        for (int i = 0; i < AN_KERNEL_OUT + AN_KERNEL_IN; i++)
            if (launches[k].sizes[i])
                exact_start(s.one, k, i);
    }
    bench_free(&s);
}

/* A kernel that works on one item too many is found twice: when it touches memory that its arguments do not describe,
 * and by the guard bytes after the buffer. */
static void test_a_kernel_that_does_too_much(void **state)
{
    (void)state;
    bench s;
    void *values;
    bench_make(&s);
    ok(cudaMalloc(&values, 31 * 2));
    ok(cudaMemsetAsync(values, 0, 31 * 2, s.one));
    emu_extra_item("an_device_activate");
    ok(activate_start((an_kernel_places){.out = {values}, .items = 31}, s.one));
    ok(cudaStreamSynchronize(s.one));
    emu_extra_item(NULL);
    expect("2 bytes at");
    ok(cudaFree(values));
    expect("bytes before or behind a buffer were overwritten");
    bench_free(&s);
}

static void test_the_host_beyond_pinned_memory(void **state)
{
    (void)state;
    bench s;
    bench_make(&s);
    for (int i = 0; i < 2; i++) {
        char *host;
        ok(cudaHostAlloc((void **)&host, 100, 0));
        host[i ? -1 : 100] = 0;
        ok(cudaFreeHost(host));
        expect("bytes before or behind a buffer were overwritten");
    }
    bench_free(&s);
}

/* D = A B, where D is 3 x 2 and its columns begin lead values apart. A is (1 2; 3 4; 5 6), B the identity. */
typedef struct {
    cublasLtHandle_t handle;
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t a, b, d;
    cublasLtMatmulPreference_t preference;
    cublasLtMatmulHeuristicResult_t result;
} product;

static void cublas_ok(cublasStatus_t status)
{
    assert_int_equal(status, CUBLAS_STATUS_SUCCESS);
}

static void product_make(product *p, int64_t lead)
{
    int found;
    cublas_ok(cublasLtCreate(&p->handle));
    cublas_ok(cublasLtMatmulDescCreate(&p->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    cublas_ok(cublasLtMatrixLayoutCreate(&p->a, CUDA_R_32F, 3, 2, 3));
    cublas_ok(cublasLtMatrixLayoutCreate(&p->b, CUDA_R_32F, 2, 2, 2));
    cublas_ok(cublasLtMatrixLayoutCreate(&p->d, CUDA_R_32F, 3, 2, lead));
    cublas_ok(cublasLtMatmulPreferenceCreate(&p->preference));
    cublas_ok(cublasLtMatmulAlgoGetHeuristic(p->handle, p->operation, p->a, p->b, p->d, p->d, p->preference, 1,
                                             &p->result, &found));
}

static void product_free(product *p)
{
    cublas_ok(cublasLtMatmulPreferenceDestroy(p->preference));
    cublas_ok(cublasLtMatrixLayoutDestroy(p->a));
    cublas_ok(cublasLtMatrixLayoutDestroy(p->b));
    cublas_ok(cublasLtMatrixLayoutDestroy(p->d));
    cublas_ok(cublasLtMatmulDescDestroy(p->operation));
    cublas_ok(cublasLtDestroy(p->handle));
}

/* A and B are in s->a, the workspace is s->b. */
static void product_run(const product *p, const bench *s, float beta, void *d)
{
    float one = 1;
    cublas_ok(cublasLtMatmul(p->handle, p->operation, &one, s->a, p->a, s->a + 8, p->b, &beta, d, p->d, d, p->d,
                             &p->result.algo, s->b, p->result.workspaceSize, s->one));
}

static void test_a_product_into_columns_that_lie_apart(void **state)
{
    (void)state;
    static const float a[] = {1, 3, 5, 2, 4, 6, 0, 0, 1, 0, 0, 1}, before[8] = {7, 7, 7, 7, 7, 7, 7, 7};
    static const float set[8] = {1, 3, 5, 7, 7, 2, 4, 6}, added[8] = {2, 6, 10, 7, 7, 4, 8, 12};
    bench s;
    product p;
    float *d, got[8];
    bench_make(&s);
    ok(cudaFree(s.b));
    ok(cudaMalloc((void **)&s.b, 4096)); /* the workspace */
    ok(cudaMalloc((void **)&d, sizeof got));
    ok(cudaMemcpyAsync(s.a, a, sizeof a, cudaMemcpyHostToDevice, s.one));
    ok(cudaMemcpyAsync(d, before, sizeof before, cudaMemcpyHostToDevice, s.one));
    product_make(&p, 5);
    for (int i = 0; i < 2; i++) {
        product_run(&p, &s, (float)i, d);
        ok(cudaMemcpyAsync(got, d, sizeof got, cudaMemcpyDeviceToHost, s.one));
        assert_memory_equal(got, i ? added : set, sizeof got);
    }
    expect(NULL);
    product_free(&p);
    product_make(&p, 6); /* the last column no longer fits */
    product_run(&p, &s, 0, d);
    expect("runs beyond its buffer");
    ok(cudaStreamSynchronize(s.one));
    product_free(&p);
    ok(cudaFree(d));
    bench_free(&s);
}

static void test_beyond_the_buffer(void **state)
{
    (void)state;
    bench s;
    bench_make(&s);
    ok(cudaStreamSynchronize(s.one));
    ok(cudaMemcpyAsync(s.a, s.host, (COUNT - 1) * sizeof(float), cudaMemcpyDeviceToHost, s.one));
    expect("direction");
    ok(cudaMemsetAsync(s.a + 1, 0, COUNT * sizeof(float), s.one));
    expect("runs beyond its buffer");
    bench_free(&s);
}

/* Device memory cannot be touched by the host, as on hardware. */
static void test_the_host_cannot_touch_device_memory(void **state)
{
    (void)state;
    bench s;
    bench_make(&s);
    pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        volatile float value = s.a[3];
        (void)value;
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    bench_free(&s);
}

static void test_memory_starts_unusable(void **state)
{
    (void)state;
    bench s;
    bench_make(&s);
    ok(cudaMemcpyAsync(s.host, s.a, COUNT * sizeof(float), cudaMemcpyDeviceToHost, s.one));
    ok(cudaStreamSynchronize(s.one));
    assert_true(s.host[7] != s.host[7]); /* NaN until written */
    bench_free(&s);
}

static cudnnStatus_t tensor_finalize(const int64_t strides[4], bool *same)
{
    int64_t dims[] = {2, 8, 5, 5}, id = 'x', alignment = 16;
    cudnnDataType_t type = CUDNN_DATA_FLOAT;
    cudnnBackendDescriptor_t d;
    assert_int_equal(cudnnBackendCreateDescriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR, &d), CUDNN_STATUS_SUCCESS);
    (void)cudnnBackendSetAttribute(d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    (void)cudnnBackendSetAttribute(d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims);
    (void)cudnnBackendSetAttribute(d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    (void)cudnnBackendSetAttribute(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    (void)cudnnBackendSetAttribute(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    cudnnStatus_t status = cudnnBackendFinalize(d);
    *same = cudnnBackendSetAttribute(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id) == CUDNN_STATUS_SUCCESS;
    assert_int_equal(cudnnBackendDestroyDescriptor(d), CUDNN_STATUS_SUCCESS);
    return status;
}

static void test_a_wrong_stride(void **state)
{
    (void)state;
    bool changeable;
    assert_int_equal(tensor_finalize((int64_t[]){200, 1, 40, 8}, &changeable), CUDNN_STATUS_SUCCESS);
    assert_false(changeable); /* a finalised descriptor is not */
    assert_int_not_equal(tensor_finalize((int64_t[]){200, 1, 8, 40}, &changeable), CUDNN_STATUS_SUCCESS);
    assert_int_not_equal(tensor_finalize((int64_t[]){200, 25, 5, 1}, &changeable), CUDNN_STATUS_SUCCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_use_passes),
        cmocka_unit_test(test_a_missing_wait),
        cmocka_unit_test(test_a_buffer_freed_in_flight),
        cmocka_unit_test(test_other_devices),
        cmocka_unit_test(test_beyond_the_buffer),
        cmocka_unit_test(test_the_host_cannot_touch_device_memory),
        cmocka_unit_test(test_memory_starts_unusable),
        cmocka_unit_test(test_a_wrong_stride),
        cmocka_unit_test(test_kernels_and_buffers_that_just_fit),
        cmocka_unit_test(test_a_kernel_that_does_too_much),
        cmocka_unit_test(test_the_host_beyond_pinned_memory),
        cmocka_unit_test(test_a_product_into_columns_that_lie_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
