/* The emulator's own test: each mistake that it exists for is caught, and right use is not complained about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model/cuda/kernels/kernels.h"
#include "tests/emu/emu.h"
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
        cmocka_unit_test(test_right_use_passes),         cmocka_unit_test(test_a_missing_wait),
        cmocka_unit_test(test_a_buffer_freed_in_flight), cmocka_unit_test(test_other_devices),
        cmocka_unit_test(test_beyond_the_buffer),        cmocka_unit_test(test_the_host_cannot_touch_device_memory),
        cmocka_unit_test(test_memory_starts_unusable),   cmocka_unit_test(test_a_wrong_stride),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
