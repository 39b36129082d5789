/* What the program does with NCCL, and what the emulated one checks: sums between processes, ranks that are gone or do
 * not come, GPUs that are shared, libraries that are missing or too old. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/thread.h"
#include "model/graph/graph.h"
#include "tests/emu/emulator/emu.h"
#include "tests/emu/expect.h"
#include "tests/emu/replicas/ranks.h"
#include "tests/model/support.h"

#define COUNT 70000 /* more than what the emulator moves at a time */
#define FEW 3

/* A rank that adds up one bucket of two ranges. */
typedef struct {
    an_nccl_sum *sum;
    cudaStream_t stream;
    void *values[2];
    an_gradient gradients[2];
    an_gradient_bucket bucket;
} bench;

static int agree(void *context, const an_nccl_shape *own)
{
    (void)own;
    int *calls = context;
    if (calls)
        ++*calls;
    return 0;
}

static an_nccl_members members_of(int rank, int world, const an_nccl_id *id)
{
    return (an_nccl_members){.rank = rank, .world = world, .devices = 1, .ids = {*id}, .compare = agree};
}

static an_nccl_id id_make(void)
{
    an_nccl_id id;
    assert_int_equal(ranks_nccl()->GetUniqueId(&id), AN_NCCL_SUCCESS);
    return id;
}

static void bench_make(bench *b, int device, const an_nccl_members *members)
{
    const size_t counts[] = {COUNT, FEW};
    ok(cudaSetDevice(device));
    ok(cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking));
    for (int i = 0; i < 2; i++) {
        ok(cudaMalloc(&b->values[i], counts[i] * sizeof(float)));
        b->gradients[i] = (an_gradient){b->values[i], counts[i], AN_DTYPE_F32};
    }
    b->bucket = (an_gradient_bucket){.gradients = b->gradients, .count = 2, .bytes = (COUNT + FEW) * sizeof(float)};
    an_test_ok(an_nccl_sum_make(&b->sum, ranks_nccl(), members), "a sum");
    const an_reducer *reducer = an_nccl_sum_reducer(b->sum);
    an_test_ok(reducer->open(reducer->context, &b->bucket, 1, 7), "open");
}

static int bench_queue(const bench *b)
{
    const an_reducer *reducer = an_nccl_sum_reducer(b->sum);
    return reducer->queue(reducer->context, 0, b->stream);
}

static void bench_free(bench *b)
{
    ok(cudaStreamSynchronize(b->stream));
    an_nccl_sum_free(b->sum);
    ok(cudaStreamDestroy(b->stream));
    for (int i = 0; i < 2; i++)
        ok(cudaFree(b->values[i]));
}

static float value_of(int rank, size_t place)
{
    return (float)(rank + 1) * 0.1F + (float)place * 0.001F;
}

static void bench_fill(const bench *b, int rank)
{
    for (int i = 0; i < 2; i++) {
        size_t count = (size_t)b->gradients[i].count;
        float *values = an_test_zeros(count, sizeof *values);
        for (size_t k = 0; k < count; k++)
            values[k] = value_of(rank, k + (size_t)i);
        ok(cudaMemcpyAsync(b->values[i], values, count * sizeof *values, cudaMemcpyHostToDevice, b->stream));
        free(values);
    }
}

/* The sums in the order of ranks. */
static bool is_sum(const bench *b, int world)
{
    bool same = true;
    for (int i = 0; i < 2; i++) {
        size_t count = (size_t)b->gradients[i].count;
        float *values = an_test_zeros(count, sizeof *values);
        ok(cudaMemcpyAsync(values, b->values[i], count * sizeof *values, cudaMemcpyDeviceToHost, b->stream));
        for (size_t k = 0; k < count; k++) {
            float sum = value_of(0, k + (size_t)i);
            for (int rank = 1; rank < world; rank++)
                sum += value_of(rank, k + (size_t)i);
            same = same && values[k] == sum;
        }
        free(values);
    }
    return same;
}

/* What a process of its own does; its exit status is 0 if all went well. */
static pid_t start(int (*work)(int rank, const an_nccl_id *id), int rank, const an_nccl_id *id)
{
    pid_t child = fork();
    if (child)
        return child;
    _exit(work(rank, id));
}

static int status_of(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#define PROCESSES 3

static int process_adds(int rank, const an_nccl_id *id)
{
    bench b;
    an_nccl_members members = members_of(rank, PROCESSES, id);
    bool right = true;
    bench_make(&b, 0, &members);
    for (int step = 0; step < 4 && right; step++) {
        bench_fill(&b, rank);
        right = !bench_queue(&b) && is_sum(&b, PROCESSES);
    }
    bench_free(&b);
    return !right || emu_violations(NULL, 0);
}

static void test_processes_add_up(void **state)
{
    (void)state;
    pid_t children[PROCESSES];
    an_nccl_id id = id_make();
    for (int rank = 0; rank < PROCESSES; rank++)
        children[rank] = start(process_adds, rank, &id);
    for (int rank = 0; rank < PROCESSES; rank++)
        assert_int_equal(status_of(children[rank]), 0);
}

/* It takes part once and dies. */
static int process_dies(int rank, const an_nccl_id *id)
{
    bench b;
    an_nccl_members members = members_of(rank, 2, id);
    bench_make(&b, 0, &members);
    bench_fill(&b, rank);
    if (bench_queue(&b) || !is_sum(&b, 2))
        return 1;
    (void)raise(SIGKILL);
    return 2;
}

/* As the group's thread does it while the training thread waits for the device. */
static void *guard(void *context)
{
    bench *b = context;
    int rc;
    while (!(rc = an_nccl_sum_check(b->sum)))
        usleep(1000);
    if (!strstr(an_error_message(), "remote process exited"))
        fail_msg("%s", an_error_message());
    an_nccl_sum_stop(b->sum);
    return NULL;
}

static void test_a_dead_rank_ends_the_wait(void **state)
{
    (void)state;
    bench b;
    pthread_t thread;
    an_nccl_id id = id_make();
    pid_t child = start(process_dies, 1, &id);
    an_nccl_members members = members_of(0, 2, &id);
    bench_make(&b, 0, &members);
    bench_fill(&b, 0);
    an_test_ok(bench_queue(&b), "queue");
    assert_true(is_sum(&b, 2));
    an_test_ok(an_nccl_sum_check(b.sum), "check");
    assert_int_equal(status_of(child), 128 + SIGKILL);
    an_test_ok(bench_queue(&b), "queue");
    assert_int_equal(an_thread_start(&thread, "guard", guard, &b), 0);
    ok(cudaStreamSynchronize(b.stream)); /* would wait for ever */
    pthread_join(thread, NULL);
    assert_int_equal(bench_queue(&b), AN_EINTERNAL);
    assert_non_null(strstr(an_error_message(), "another rank has failed"));
    an_test_ok(an_nccl_sum_check(b.sum), "check of what is stopped");
    an_nccl_sum_stop(b.sum); /* a second time */
    bench_free(&b);
    expect(NULL);
}

/* Two ranks in threads, on these devices. */
typedef struct {
    bench b;
    int rank, device, rc;
    an_nccl_id id;
    bool right;
    char message[512];
} thread_rank;

static void *thread_adds(void *context)
{
    thread_rank *t = context;
    an_nccl_members members = members_of(t->rank, 2, &t->id);
    bench_make(&t->b, t->device, &members);
    bench_fill(&t->b, t->rank);
    t->rc = bench_queue(&t->b);
    snprintf(t->message, sizeof t->message, "%s", t->rc ? an_error_message() : "");
    t->right = !t->rc && is_sum(&t->b, 2);
    bench_free(&t->b);
    return NULL;
}

static void threads_add(thread_rank ranks[2], int first, int second)
{
    pthread_t threads[2];
    an_nccl_id id = id_make();
    for (int i = 0; i < 2; i++) {
        ranks[i] = (thread_rank){.rank = i, .device = i ? second : first, .id = id};
        assert_int_equal(an_thread_start(&threads[i], "rank", thread_adds, &ranks[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static void shared_refused(const char *version)
{
    thread_rank ranks[2];
    threads_add(ranks, 2, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ranks[i].rc, AN_EUNSUPPORTED);
        assert_non_null(strstr(ranks[i].message, "ranks share a GPU: give each rank its own (--devices auto)"));
        assert_non_null(strstr(ranks[i].message, "NCCL_MULTI_RANK_GPU_ENABLE=1"));
        assert_non_null(strstr(ranks[i].message, version));
    }
}

static void test_ranks_that_share_a_gpu_are_told(void **state)
{
    (void)state;
    thread_rank ranks[2];
    threads_add(ranks, 1, 2);
    assert_true(ranks[0].right && ranks[1].right);
    shared_refused("NCCL 2.30.7");
    assert_int_equal(setenv("NCCL_MULTI_RANK_GPU_ENABLE", "1", 1), 0);
    threads_add(ranks, 2, 2);
    assert_true(ranks[0].right && ranks[1].right);
    assert_int_equal(setenv("AN_EMU_NCCL_VERSION", "22807", 1), 0);
    shared_refused("this is NCCL");
    assert_int_equal(unsetenv("AN_EMU_NCCL_VERSION"), 0);
    assert_int_equal(unsetenv("NCCL_MULTI_RANK_GPU_ENABLE"), 0);
    expect(NULL);
}

static int refused_with(const char *part)
{
    const an_nccl *nccl;
    int rc = an_nccl_load(&nccl);
    if (rc == AN_EUNSUPPORTED && strstr(an_error_message(), part))
        return 0;
    fprintf(stderr, "%d: %s\n", rc, rc ? an_error_message() : "loaded");
    return 1;
}

static int process_finds_an_old_one(int rank, const an_nccl_id *id)
{
    (void)rank, (void)id;
    (void)setenv("AN_EMU_NCCL_VERSION", "21210", 1);
    return refused_with("NCCL 2.12.10 is too old");
}

static int process_finds_no_library(int rank, const an_nccl_id *id)
{
    (void)rank, (void)id;
    char folder[] = "/tmp/an-nccl-XXXXXX", file[64];
    if (!mkdtemp(folder) || setenv("AN_NCCL_LIBRARIES", folder, 1))
        return 2;
    snprintf(file, sizeof file, "%s/libnccl.so.2", folder);
    FILE *out = fopen(file, "w");
    if (!out || fclose(out))
        return 2;
    int rc = refused_with("apt-get install libnccl2 from NVIDIA's repository, or pip install nvidia-nccl-cu13");
    (void)unlink(file);
    (void)rmdir(folder);
    return rc;
}

/* In processes of their own, before this one has loaded the library. */
static void test_what_cannot_be_loaded_is_told(void **state)
{
    (void)state;
    assert_int_equal(status_of(start(process_finds_an_old_one, 0, NULL)), 0);
    assert_int_equal(status_of(start(process_finds_no_library, 0, NULL)), 0);
}

static void test_versions_have_names(void **state)
{
    (void)state;
    char name[AN_NCCL_TEXT];
    an_nccl_name(23007, name);
    assert_string_equal(name, "NCCL 2.30.7");
    an_nccl_name(2708, name);
    assert_string_equal(name, "NCCL 2.7.8");
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

static void test_the_environment_is_the_users(void **state)
{
    (void)state;
    const char *const names[] = {"NCCL_ALGO", "NCCL_NVLS_ENABLE", "NCCL_LAUNCH_ORDER_IMPLICIT"};
    an_test_ok(an_nccl_environment(false, "cuda:0,cuda:1"), "environment");
    for (int i = 0; i < 3; i++)
        assert_string_equal(variable(names[i]), "");
    assert_int_equal(setenv("NCCL_ALGO", "Tree", 1), 0);
    an_test_ok(an_nccl_environment(true, "cuda:1,cuda:10"), "environment");
    assert_string_equal(variable("NCCL_ALGO"), "Tree");
    assert_string_equal(variable("NCCL_NVLS_ENABLE"), "0");
    assert_string_equal(variable("NCCL_LAUNCH_ORDER_IMPLICIT"), "");
    assert_int_equal(unsetenv("NCCL_ALGO"), 0);
    an_test_ok(an_nccl_environment(true, "cuda:0,cuda:0"), "environment");
    assert_string_equal(variable("NCCL_ALGO"), "Ring");
    assert_string_equal(variable("NCCL_LAUNCH_ORDER_IMPLICIT"), "1");
    for (int i = 0; i < 3; i++)
        assert_int_equal(unsetenv(names[i]), 0);
}

static int disagree(void *context, const an_nccl_shape *own)
{
    (void)context;
    return an_error(AN_EUNSUPPORTED, "another layout than %llu", (unsigned long long)own->layout);
}

/* Gradients are compared once for each open, and before anything is added up. */
static void test_layouts_are_compared(void **state)
{
    (void)state;
    bench b;
    int calls = 0;
    an_nccl_id id = id_make(), other = id_make();
    an_nccl_members members = members_of(0, 1, &id);
    members.context = &calls;
    bench_make(&b, 0, &members);
    const an_reducer *reducer = an_nccl_sum_reducer(b.sum);
    bench_fill(&b, 0);
    an_test_ok(bench_queue(&b), "queue");
    an_test_ok(bench_queue(&b), "queue");
    assert_int_equal(calls, 1);
    an_test_ok(reducer->open(reducer->context, &b.bucket, 1, 8), "open");
    an_test_ok(bench_queue(&b), "queue");
    assert_int_equal(calls, 2);
    bench_free(&b);
    members = members_of(0, 1, &other);
    members.compare = disagree;
    bench_make(&b, 0, &members);
    assert_int_equal(bench_queue(&b), AN_EUNSUPPORTED);
    assert_string_equal(an_error_message(), "another layout than 7");
    bench_free(&b);
    expect(NULL);
}

static void test_only_fp32_is_added_up(void **state)
{
    (void)state;
    an_nccl_sum *sum;
    an_nccl_id id = id_make();
    an_nccl_members members = members_of(0, 1, &id);
    an_gradient gradient = {.count = 2, .dtype = AN_DTYPE_BF16};
    an_gradient_bucket bucket = {.gradients = &gradient, .count = 1};
    an_test_ok(an_nccl_sum_make(&sum, ranks_nccl(), &members), "a sum");
    const an_reducer *reducer = an_nccl_sum_reducer(sum);
    assert_int_equal(reducer->open(reducer->context, &bucket, 1, 0), AN_EINTERNAL);
    gradient.dtype = AN_DTYPE_F32;
    bucket.device = 1;
    assert_int_equal(reducer->open(reducer->context, &bucket, 1, 0), AN_EINTERNAL);
    an_nccl_sum_free(sum);
    an_nccl_sum_free(NULL);
}

/* What the emulator reports of how a communicator is used. */
static void test_the_emulator_watches_communicators(void **state)
{
    (void)state;
    const an_nccl *nccl = ranks_nccl();
    bench b;
    cudaStream_t other;
    cudaEvent_t behind;
    cudaGraph_t graph;
    an_nccl_comm *comm;
    an_nccl_id id = id_make(), second = id_make();
    an_nccl_members members = members_of(0, 1, &id);
    bench_make(&b, 0, &members);
    bench_fill(&b, 0);
    ok(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    ok(cudaStreamBeginCapture(b.stream, cudaStreamCaptureModeThreadLocal));
    assert_int_equal(nccl->CommInitRank(&comm, 1, second, 0), AN_NCCL_CUDA_ERROR);
    assert_int_not_equal(cudaStreamEndCapture(b.stream, &graph), cudaSuccess);
    an_test_ok(bench_queue(&b), "queue");
    expect(NULL);
    ok(cudaEventCreateWithFlags(&behind, cudaEventDisableTiming));
    ok(cudaEventRecord(behind, b.stream));
    emu_drop_wait(1);
    ok(cudaStreamWaitEvent(other, behind, 0));
    const an_reducer *reducer = an_nccl_sum_reducer(b.sum);
    an_test_ok(reducer->queue(reducer->context, 0, other), "queue on another stream");
    expect("ncclAllReduce: the sum");
    ok(cudaStreamSynchronize(other));
    ok(cudaEventDestroy(behind));
    an_test_ok(bench_queue(&b), "queue");
    an_nccl_sum_free(b.sum);
    expect("a buffer is freed while work that uses it may be in flight");
    b.sum = NULL;
    ok(cudaStreamDestroy(other));
    bench_free(&b);
    expect(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_cannot_be_loaded_is_told),
        cmocka_unit_test(test_versions_have_names),
        cmocka_unit_test(test_the_environment_is_the_users),
        cmocka_unit_test(test_processes_add_up),
        cmocka_unit_test(test_a_dead_rank_ends_the_wait),
        cmocka_unit_test(test_ranks_that_share_a_gpu_are_told),
        cmocka_unit_test(test_layouts_are_compared),
        cmocka_unit_test(test_only_fp32_is_added_up),
        cmocka_unit_test(test_the_emulator_watches_communicators),
    };
    (void)emu_violations(NULL, 0); /* from now on collected, and asked for by each test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
