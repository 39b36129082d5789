/* The emulator's own test: stream capture obeys the runtime's rules, and a graph has only the order of its edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cuda_runtime_api.h>
#include <pthread.h>
#include <string.h>

#include "model/cuda/kernels/kernels.h"
#include "tests/emu/emulator/emu.h"
#include "tests/emu/expect.h"

#define COUNT 64

typedef struct {
    cudaStream_t one, two;
    cudaEvent_t fork, join;
    float *a, *b, *c, *host;
} bench;

static void bench_make(bench *s)
{
    ok(cudaSetDevice(0));
    ok(cudaStreamCreateWithFlags(&s->one, cudaStreamNonBlocking));
    ok(cudaStreamCreateWithFlags(&s->two, cudaStreamNonBlocking));
    ok(cudaEventCreateWithFlags(&s->fork, cudaEventDisableTiming));
    ok(cudaEventCreateWithFlags(&s->join, cudaEventDisableTiming));
    ok(cudaMalloc((void **)&s->a, COUNT * sizeof(float)));
    ok(cudaMalloc((void **)&s->b, COUNT * sizeof(float)));
    ok(cudaMalloc((void **)&s->c, COUNT * sizeof(float)));
    ok(cudaHostAlloc((void **)&s->host, COUNT * sizeof(float), 0));
    ok(cudaMemsetAsync(s->a, 0, COUNT * sizeof(float), s->one));
    ok(cudaStreamSynchronize(s->one));
    (void)emu_violations(NULL, 0);
}

static void bench_free(bench *s)
{
    ok(cudaSetDevice(0));
    ok(cudaDeviceSynchronize());
    ok(cudaFree(s->a));
    ok(cudaFree(s->b));
    ok(cudaFree(s->c));
    ok(cudaFreeHost(s->host));
    ok(cudaEventDestroy(s->fork));
    ok(cudaEventDestroy(s->join));
    ok(cudaStreamDestroy(s->one));
    ok(cudaStreamDestroy(s->two));
    (void)emu_violations(NULL, 0);
}

/* to = to + from. */
static void add(const float *from, float *to, cudaStream_t stream)
{
    an_window_args args = {.at = {.out = {to}, .in = {from}, .items = COUNT},
                           .channels = 1,
                           .from_channels = 1,
                           .to_channels = 1,
                           .accumulate = 1};
    ok(an_kernel_window(&args, stream));
}

static void begin(const bench *s)
{
    ok(cudaStreamBeginCapture(s->one, cudaStreamCaptureModeThreadLocal));
}

static void end(const bench *s, cudaGraphExec_t *out)
{
    cudaGraph_t graph;
    ok(cudaStreamEndCapture(s->one, &graph));
    ok(cudaGraphInstantiate(out, graph, 0));
    ok(cudaGraphDestroy(graph));
}

static void expect_end(const bench *s, cudaError_t status)
{
    cudaGraph_t graph;
    assert_int_equal(cudaStreamEndCapture(s->one, &graph), status);
    assert_null(graph);
    (void)cudaGetLastError();
    add(s->a, s->a, s->one); /* the stream is a plain one again */
    ok(cudaStreamSynchronize(s->one));
}

static void after(cudaStream_t stream, cudaEvent_t event, cudaStream_t other)
{
    ok(cudaEventRecord(event, other));
    ok(cudaStreamWaitEvent(stream, event, 0));
}

/* The wait takes place, so that the test is free of races, but does not count. */
static void without(cudaStream_t stream, cudaEvent_t event, cudaStream_t other)
{
    emu_drop_wait(1);
    after(stream, event, other);
}

/* One fills a and b, two adds a to b, one fetches b. */
static void capture_all(const bench *s, cudaGraphExec_t *out, bool fork, bool join)
{
    begin(s);
    ok(cudaMemsetAsync(s->a, 0x3F, COUNT * sizeof(float), s->one));
    ok(cudaMemsetAsync(s->b, 0, COUNT * sizeof(float), s->one));
    emu_drop_wait(!fork);
    after(s->two, s->fork, s->one);
    add(s->a, s->b, s->two);
    emu_drop_wait(!join);
    after(s->one, s->join, s->two);
    emu_drop_wait(0);
    ok(cudaMemcpyAsync(s->host, s->b, COUNT * sizeof(float), cudaMemcpyDeviceToHost, s->one));
    if (out)
        end(s, out);
}

static void test_a_launch_runs_what_was_captured(void **state)
{
    (void)state;
    bench s;
    cudaGraphExec_t graph;
    bench_make(&s);
    memset(s.host, 0, COUNT * sizeof(float));
    emu_counters before = emu_count();
    capture_all(&s, &graph, true, true);
    ok(cudaStreamSynchronize(s.one));
    assert_int_equal(s.host[5], 0); /* nothing ran yet */
    assert_int_equal(emu_count().from_device, before.from_device);
    for (uint64_t i = 1; i < 4; i++) {
        memset(s.host, 0, COUNT * sizeof(float));
        ok(cudaGraphLaunch(graph, s.one));
        ok(cudaStreamSynchronize(s.one));
        assert_int_equal(((const char *)s.host)[5], 0x3F);
        assert_int_equal(emu_count().from_device - before.from_device, i * COUNT * sizeof(float));
        assert_int_equal(emu_count().graphs - before.graphs, i);
    }
    ok(cudaGraphExecDestroy(graph));
    expect(NULL);
    bench_free(&s);
}

static void test_a_stream_must_join_again(void **state)
{
    (void)state;
    bench s;
    bench_make(&s);
    capture_all(&s, NULL, true, false);
    expect_end(&s, cudaErrorStreamCaptureUnjoined);
    /* A stream that never joined the capture works at once, and the capture may not wait for its events. */
    begin(&s);
    emu_drop_wait(1);
    after(s.two, s.fork, s.one);
    add(s.a, s.b, s.two);
    ok(cudaEventRecord(s.join, s.two));
    assert_int_equal(cudaStreamWaitEvent(s.one, s.join, 0), cudaErrorStreamCaptureIsolation);
    ok(cudaStreamSynchronize(s.two));
    expect_end(&s, cudaErrorStreamCaptureInvalidated);
    expect(NULL);
    bench_free(&s);
}

/* A missing wait between streams that have both joined the capture and will join again. */
static void test_a_missing_wait_in_a_graph(void **state)
{
    (void)state;
    bench s;
    cudaGraphExec_t graph;
    bench_make(&s);
    begin(&s);
    after(s.two, s.fork, s.one);
    ok(cudaMemsetAsync(s.b, 0, COUNT * sizeof(float), s.one));
    emu_drop_wait(1);
    after(s.two, s.fork, s.one);
    add(s.a, s.b, s.two);
    after(s.one, s.join, s.two);
    end(&s, &graph);
    expect(NULL);
    ok(cudaGraphLaunch(graph, s.one));
    expect("is overwritten without waiting for the one who wrote it");
    ok(cudaStreamSynchronize(s.one));
    ok(cudaGraphExecDestroy(graph));
    bench_free(&s);
}

/* A graph is one piece of work in the stream that it is launched in, and in no other. */
static void test_a_missing_wait_around_a_graph(void **state)
{
    (void)state;
    bench s;
    cudaGraphExec_t graph;
    bench_make(&s);
    capture_all(&s, &graph, true, true);
    ok(cudaMemsetAsync(s.b, 1, COUNT * sizeof(float), s.two));
    without(s.one, s.fork, s.two);
    ok(cudaGraphLaunch(graph, s.one));
    expect("is overwritten without waiting for the one who wrote it");
    ok(cudaStreamSynchronize(s.one));
    ok(cudaStreamSynchronize(s.two));
    ok(cudaGraphLaunch(graph, s.one));
    expect(NULL);
    without(s.two, s.join, s.one);
    add(s.b, s.c, s.two);
    expect("is read without waiting for the one who wrote it");
    ok(cudaStreamSynchronize(s.one));
    ok(cudaStreamSynchronize(s.two));
    ok(cudaGraphExecDestroy(graph));
    bench_free(&s);
}

static void test_events_do_not_cross(void **state)
{
    (void)state;
    bench s;
    cudaGraphExec_t graph;
    bench_make(&s);
    ok(cudaEventRecord(s.fork, s.two));
    begin(&s);
    assert_int_equal(cudaStreamWaitEvent(s.one, s.fork, 0), cudaErrorStreamCaptureIsolation);
    expect_end(&s, cudaErrorStreamCaptureInvalidated);
    begin(&s);
    ok(cudaEventRecord(s.join, s.one));
    assert_int_equal(cudaEventSynchronize(s.join), cudaErrorCapturedEvent);
    end(&s, &graph);
    assert_int_equal(cudaStreamWaitEvent(s.two, s.join, 0), cudaErrorCapturedEvent);
    assert_int_equal(cudaEventSynchronize(s.join), cudaErrorCapturedEvent);
    after(s.two, s.join, s.one); /* recorded anew */
    ok(cudaEventSynchronize(s.join));
    ok(cudaGraphExecDestroy(graph));
    expect(NULL);
    bench_free(&s);
}

static void test_captures_do_not_merge(void **state)
{
    (void)state;
    bench s;
    cudaGraph_t graph;
    bench_make(&s);
    begin(&s);
    ok(cudaStreamBeginCapture(s.two, cudaStreamCaptureModeThreadLocal));
    ok(cudaEventRecord(s.fork, s.one));
    assert_int_equal(cudaStreamWaitEvent(s.two, s.fork, 0), cudaErrorStreamCaptureMerge);
    assert_int_equal(cudaStreamEndCapture(s.two, &graph), cudaErrorStreamCaptureInvalidated);
    expect_end(&s, cudaErrorStreamCaptureInvalidated);
    assert_int_equal(cudaStreamBeginCapture(NULL, cudaStreamCaptureModeThreadLocal), cudaErrorStreamCaptureUnsupported);
    begin(&s);
    after(s.two, s.fork, s.one);
    assert_int_equal(cudaStreamEndCapture(s.two, &graph), cudaErrorStreamCaptureUnmatched);
    ok(cudaStreamEndCapture(s.one, &graph));
    ok(cudaGraphDestroy(graph));
    expect(NULL);
    bench_free(&s);
}

static void test_the_host_must_not_wait(void **state)
{
    (void)state;
    bench s;
    float pageable[COUNT] = {0};
    bench_make(&s);
    begin(&s);
    assert_int_equal(cudaStreamSynchronize(s.one), cudaErrorStreamCaptureUnsupported);
    assert_int_equal(cudaMemsetAsync(s.a, 0, 4, s.one), cudaErrorStreamCaptureInvalidated);
    expect_end(&s, cudaErrorStreamCaptureInvalidated);
    begin(&s);
    assert_int_equal(cudaDeviceSynchronize(), cudaErrorStreamCaptureUnsupported);
    expect_end(&s, cudaErrorStreamCaptureInvalidated);
    begin(&s);
    assert_int_equal(cudaMemcpyAsync(s.a, pageable, sizeof pageable, cudaMemcpyHostToDevice, s.one),
                     cudaErrorStreamCaptureUnsupported);
    expect_end(&s, cudaErrorStreamCaptureInvalidated);
    expect(NULL);
    bench_free(&s);
}

/* A graph's copies have addresses, but name no devices, so copies that the driver passes through the host are refused.
 */
static void test_copies_between_devices(void **state)
{
    (void)state;
    bench s;
    cudaGraphExec_t graph;
    float *there;
    bench_make(&s);
    ok(cudaSetDevice(1));
    ok(cudaMalloc((void **)&there, COUNT * sizeof(float)));
    ok(cudaSetDevice(0));
    begin(&s);
    assert_int_equal(cudaMemcpyAsync(there, s.a, 64, cudaMemcpyDefault, s.one), cudaErrorStreamCaptureUnsupported);
    expect_end(&s, cudaErrorStreamCaptureInvalidated);
    ok(cudaSetDevice(1));
    ok(cudaDeviceEnablePeerAccess(0, 0));
    ok(cudaSetDevice(0));
    begin(&s);
    assert_int_equal(cudaMemcpyPeerAsync(there, 1, s.a, 0, 64, s.one), cudaErrorStreamCaptureUnsupported);
    expect_end(&s, cudaErrorStreamCaptureInvalidated);
    begin(&s);
    ok(cudaMemcpyAsync(there, s.a, 64, cudaMemcpyDefault, s.one));
    end(&s, &graph);
    uint64_t before = emu_count().peer;
    ok(cudaGraphLaunch(graph, s.one));
    assert_int_equal(emu_count().peer - before, 64);
    ok(cudaStreamSynchronize(s.one));
    ok(cudaGraphExecDestroy(graph));
    ok(cudaFree(there));
    expect(NULL);
    bench_free(&s);
}

/* The runtime refuses cudaMemcpyPeerAsync even where both devices are the same, and captures a plain copy. */
static void test_copies_within_a_device(void **state)
{
    (void)state;
    bench s;
    cudaGraphExec_t graph;
    bench_make(&s);
    begin(&s);
    cudaError_t status = cudaMemcpyPeerAsync(s.b, 0, s.a, 0, 64, s.one);
    assert_int_equal(status, cudaErrorStreamCaptureUnsupported);
    assert_string_equal(cudaGetErrorString(status), "operation not permitted when stream is capturing");
    expect_end(&s, cudaErrorStreamCaptureInvalidated);
    begin(&s);
    ok(cudaMemcpyAsync(s.b, s.a, 64, cudaMemcpyDeviceToDevice, s.one));
    end(&s, &graph);
    emu_counters before = emu_count();
    ok(cudaGraphLaunch(graph, s.one));
    ok(cudaMemcpyPeerAsync(s.b, 0, s.a, 0, 32, s.one)); /* it works outside */
    assert_int_equal(emu_count().within - before.within, 96);
    assert_int_equal(emu_count().peer, before.peer);
    expect(NULL);
    ok(cudaMemcpyAsync(s.b, s.a, 64, cudaMemcpyDefault, s.one));
    expect("a copy's direction is not what its addresses say");
    ok(cudaStreamSynchronize(s.one));
    ok(cudaGraphExecDestroy(graph));
    bench_free(&s);
}

static void *pin(void *context)
{
    void *memory = NULL;
    cudaError_t *status = context;
    *status = cudaHostAlloc(&memory, 64, 0);
    if (*status == cudaSuccess)
        *status = cudaFreeHost(memory);
    return NULL;
}

static cudaError_t pin_in_a_thread(void)
{
    pthread_t thread;
    cudaError_t status = cudaErrorUnknown;
    assert_int_equal(pthread_create(&thread, NULL, pin, &status), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return status;
}

static void test_the_mode_says_who_may_allocate(void **state)
{
    (void)state;
    bench s;
    cudaGraph_t graph;
    void *memory;
    bench_make(&s);
    begin(&s);
    ok(pin_in_a_thread());
    assert_int_equal(cudaMalloc(&memory, 64), cudaErrorStreamCaptureUnsupported);
    expect_end(&s, cudaErrorStreamCaptureInvalidated);
    ok(cudaStreamBeginCapture(s.one, cudaStreamCaptureModeGlobal));
    assert_int_equal(pin_in_a_thread(), cudaErrorStreamCaptureUnsupported);
    expect_end(&s, cudaErrorStreamCaptureInvalidated);
    ok(cudaStreamBeginCapture(s.one, cudaStreamCaptureModeRelaxed));
    ok(cudaMalloc(&memory, 64));
    ok(cudaStreamEndCapture(s.one, &graph));
    ok(cudaGraphDestroy(graph));
    ok(cudaFree(memory));
    expect(NULL);
    bench_free(&s);
}

static void *end_elsewhere(void *context)
{
    cudaGraph_t graph;
    assert_int_equal(cudaStreamEndCapture(((bench *)context)->one, &graph), cudaErrorStreamCaptureWrongThread);
    return NULL;
}

static void test_the_same_thread_ends_it(void **state)
{
    (void)state;
    bench s;
    pthread_t thread;
    cudaGraph_t graph;
    bench_make(&s);
    begin(&s);
    assert_int_equal(pthread_create(&thread, NULL, end_elsewhere, &s), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    ok(cudaStreamEndCapture(s.one, &graph));
    ok(cudaGraphDestroy(graph));
    bench_free(&s);
}

static void test_graphs_in_flight(void **state)
{
    (void)state;
    bench s;
    cudaGraphExec_t graph;
    bench_make(&s);
    capture_all(&s, &graph, true, true);
    ok(cudaGraphLaunch(graph, s.one));
    ok(cudaGraphLaunch(graph, s.one)); /* behind the first */
    expect(NULL);
    without(s.two, s.fork, s.one);
    ok(cudaGraphLaunch(graph, s.two));
    expect("a graph is launched while it may be running");
    ok(cudaGraphExecDestroy(graph));
    expect("a graph is destroyed while it may be running");
    ok(cudaDeviceSynchronize());
    bench_free(&s);
}

static void test_memory_of_graphs(void **state)
{
    (void)state;
    bench s;
    cudaGraphExec_t graph;
    float *extra;
    bench_make(&s);
    ok(cudaMalloc((void **)&extra, 64));
    begin(&s);
    ok(cudaMemsetAsync(extra, 0, 64, s.one));
    end(&s, &graph);
    ok(cudaGraphLaunch(graph, s.one));
    ok(cudaFree(extra));
    expect("freed while work that uses it may be in flight");
    ok(cudaGraphLaunch(graph, s.one));
    expect("is freed, or beyond its buffer");
    ok(cudaStreamSynchronize(s.one));
    ok(cudaGraphExecDestroy(graph));
    bench_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_launch_runs_what_was_captured),
        cmocka_unit_test(test_a_stream_must_join_again),
        cmocka_unit_test(test_a_missing_wait_in_a_graph),
        cmocka_unit_test(test_a_missing_wait_around_a_graph),
        cmocka_unit_test(test_events_do_not_cross),
        cmocka_unit_test(test_captures_do_not_merge),
        cmocka_unit_test(test_the_host_must_not_wait),
        cmocka_unit_test(test_copies_between_devices),
        cmocka_unit_test(test_copies_within_a_device),
        cmocka_unit_test(test_the_mode_says_who_may_allocate),
        cmocka_unit_test(test_the_same_thread_ends_it),
        cmocka_unit_test(test_graphs_in_flight),
        cmocka_unit_test(test_memory_of_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
