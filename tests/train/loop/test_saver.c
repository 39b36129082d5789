/* Checkpoints that are written while the network is trained on: what they hold, how they fail, and what happens without
 * memory or threads. The saver's thread is stopped where a test wants it to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/thread.h"
#include "tests/train/fixture.h"
#include "train/loop/saver.h"
#include "train/setup/session.h"

/* What is planted. closed: the saver's thread waits before it reads the snapshot's values. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool closed, full, no_memory, no_thread;

static void gate_set(bool value)
{
    pthread_mutex_lock(&lock);
    closed = value;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void full_set(bool value)
{
    pthread_mutex_lock(&lock);
    full = value;
    pthread_mutex_unlock(&lock);
}

int __real_an_snapshot_wait(const an_snapshot *snapshot);
int __wrap_an_snapshot_wait(const an_snapshot *snapshot);
int __wrap_an_snapshot_wait(const an_snapshot *snapshot)
{
    pthread_mutex_lock(&lock);
    while (closed)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return __real_an_snapshot_wait(snapshot);
}

int __real_an_snapshot_create(an_snapshot **out, an_exec *exec);
int __wrap_an_snapshot_create(an_snapshot **out, an_exec *exec);
int __wrap_an_snapshot_create(an_snapshot **out, an_exec *exec)
{
    return no_memory ? an_error(AN_ENOMEM, "planted: no memory") : __real_an_snapshot_create(out, exec);
}

int __real_an_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument);
int __wrap_an_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument);
int __wrap_an_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument)
{
    if (no_thread && strcmp(name, "an-saver") == 0)
        return an_error(AN_EIO, "planted: no thread");
    return __real_an_thread_start(thread, name, run, argument);
}

/* Stands before the C library's. */
int fsync(int fd)
{
    pthread_mutex_lock(&lock);
    bool fails = full;
    pthread_mutex_unlock(&lock);
    if (!fails)
        return (int)syscall(SYS_fsync, fd);
    errno = ENOSPC;
    return -1;
}

static fixture files;
static char training[512];

/* A network with its data, its run's folder and a saver. */
typedef struct {
    an_train_config config;
    an_session session;
    an_loader *loader;
    an_run *run;
    an_tensorboard *board;
    an_train_identity identity;
    an_saver *saver;
    an_train_state state;
    char folder[512];
} rig;

static void rig_open(rig *r, const char *name, const char *devices)
{
    memset(r, 0, sizeof(*r));
    fixture_config(&r->config);
    r->config.devices = devices;
    r->config.compute_threads = 2;
    snprintf(r->folder, sizeof(r->folder), "%s/%s", files.root, name);
    assert_int_equal(an_session_open(&r->session, &r->config, NULL, training, NULL), AN_OK);
    assert_int_equal(an_session_start_weights(&r->session), AN_OK);
    assert_int_equal(an_session_loader(&r->session, 0, &r->loader), AN_OK);
    assert_int_equal(an_run_open(&r->run, r->folder), AN_OK);
    r->identity = (an_train_identity){.recipe = "", .dataset = training, .classes = "[]", .machine = "a test"};
}

static void rig_saver(rig *r, int keep)
{
    assert_int_equal(an_saver_create(&r->saver, &(an_saver_work){.exec = r->session.exec,
                                                                 .run = r->run,
                                                                 .board = r->board,
                                                                 .identity = &r->identity,
                                                                 .input = &r->session.data.input,
                                                                 .keep = keep}),
                     AN_OK);
}

static void rig_close(rig *r)
{
    an_saver_free(r->saver);
    an_loader_free(r->loader);
    an_tensorboard_close(r->board);
    an_run_close(r->run);
    an_session_close(&r->session);
    fixture_remove(r->folder);
}

static void train(rig *r, int steps)
{
    for (int i = 0; i < steps; i++) {
        an_batch batch;
        an_exec_result result;
        assert_int_equal(an_loader_next(r->loader, &batch), AN_OK);
        an_images images = an_train_images(&batch);
        assert_int_equal(an_exec_step(r->session.exec, &images, batch.labels, batch.count, r->state.step++, &result),
                         AN_OK);
        assert_int_equal(an_exec_update(r->session.exec, &(an_sgd){.rate = 0.001, .momentum = 0.9}), AN_OK);
        assert_int_equal(an_loader_release(r->loader, &batch), AN_OK);
    }
}

/* Writes beside the folder what a checkpoint of the present moment must hold. */
static const char *expected(rig *r)
{
    const char *path = fixture_path(&files, "expected.safetensors");
    an_checkpoint_parameters from = {.exec = r->session.exec, .momentum = true};
    assert_int_equal(an_checkpoint_save(path, &from, &r->state, &r->identity, &r->session.data.input), AN_OK);
    return path;
}

static void begin(rig *r, bool best, bool parameters)
{
    assert_int_equal(
        an_saver_begin(r->saver, &(an_saver_job){.state = r->state, .best = best, .parameters = parameters}), AN_OK);
}

static void taken(rig *r, uint64_t step)
{
    an_saver_result result;
    assert_int_equal(an_saver_take(r->saver, true, &result), AN_OK);
    assert_int_equal(result.step, step);
    assert_string_equal(result.path, an_run_checkpoint_path(r->run, step));
    assert_int_equal(an_saver_take(r->saver, true, &result), AN_AGAIN); /* once */
}

static void same_file(const char *one, const char *two)
{
    an_buffer a = {0}, b = {0};
    fixture_read(one, &a);
    fixture_read(two, &b);
    assert_int_equal(a.size, b.size);
    assert_int_equal(memcmp(a.data, b.data, a.size), 0);
    an_buffer_free(&a);
    an_buffer_free(&b);
}

static int set_up(void **state)
{
    (void)state;
    fixture_open(&files);
    snprintf(training, sizeof(training), "%s/training", files.root);
    fixture_dataset(training, 14, FIXTURE_CLASSES, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_close(&files);
    return 0;
}

/* Nothing is read before three more steps are done: the file holds the moment at which it was begun all the same. */
static void check_bytes(const char *devices)
{
    rig r;
    rig_open(&r, "bytes", devices);
    rig_saver(&r, 5);
    assert_null(an_saver_refusal(r.saver));
    assert_true(an_saver_memory(r.saver) > 0);
    for (int round = 0; round < 3; round++) {
        an_saver_result result;
        train(&r, 2);
        uint64_t step = r.state.step;
        const char *straight = expected(&r);
        gate_set(true);
        begin(&r, false, false);
        train(&r, 3);
        assert_int_equal(an_saver_take(r.saver, false, &result), AN_AGAIN);
        assert_int_not_equal(access(an_run_checkpoint_path(r.run, step), F_OK), 0);
        gate_set(false);
        taken(&r, step);
        same_file(straight, an_run_checkpoint_path(r.run, step));
    }
    rig_close(&r);
}

static void test_the_bytes_of_the_moment(void **state)
{
    (void)state;
    check_bytes("cpu");
    check_bytes("cpu,cpu");
}

static void test_one_at_a_time(void **state)
{
    (void)state;
    rig r;
    an_saver_job job = {.state.step = 0};
    rig_open(&r, "one", "cpu");
    rig_saver(&r, 5);
    gate_set(true);
    begin(&r, false, false);
    assert_int_equal(an_saver_begin(r.saver, &job), AN_EINTERNAL);
    gate_set(false);
    taken(&r, 0);
    begin(&r, false, false);
    taken(&r, 0);
    rig_close(&r);
}

/* A disk that is full: the message names the file, nothing half remains, and the next one can be written. */
static void test_a_failed_write(void **state)
{
    (void)state;
    rig r;
    an_saver_result result;
    char folder[600];
    rig_open(&r, "full", "cpu");
    rig_saver(&r, 5);
    train(&r, 1);
    full_set(true);
    begin(&r, true, false);
    train(&r, 1);
    assert_int_equal(an_saver_take(r.saver, true, &result), AN_ENOSPC);
    assert_int_equal(result.step, 1);
    assert_non_null(strstr(an_error_message(), "step-000000001.safetensors"));
    full_set(false);
    snprintf(folder, sizeof(folder), "%s/checkpoints", r.folder);
    assert_int_equal(rmdir(folder), 0); /* it is empty */
    assert_int_equal(mkdir(folder, 0777), 0);
    assert_int_equal(an_run_checkpoint_count(r.run), 0);
    begin(&r, true, false);
    taken(&r, 2);
    assert_int_equal(an_run_checkpoint_count(r.run), 1);
    rig_close(&r);
}

static void test_keeps_and_names_the_best(void **state)
{
    (void)state;
    rig r;
    char best[600];
    rig_open(&r, "keep", "cpu");
    rig_saver(&r, 2);
    snprintf(best, sizeof(best), "%s/best.safetensors", r.folder);
    for (uint64_t step = 1; step <= 4; step++) {
        train(&r, 1);
        begin(&r, step == 3, false);
        taken(&r, step);
    }
    assert_int_equal(an_run_checkpoint_count(r.run), 2);
    for (uint64_t step = 1; step <= 4; step++)
        assert_int_equal(access(an_run_checkpoint_path(r.run, step), F_OK), step > 2 ? 0 : -1);
    same_file(best, an_run_checkpoint_path(r.run, 3));
    rig_close(&r);
}

/* Without memory, or without a thread, the same checkpoint is there when begin returns. */
static void check_refused(const char *reason)
{
    rig r;
    an_saver_result result;
    rig_open(&r, "refused", "cpu");
    rig_saver(&r, 5);
    assert_string_equal(an_saver_refusal(r.saver), reason);
    assert_int_equal(an_saver_memory(r.saver), 0);
    train(&r, 2);
    const char *straight = expected(&r);
    begin(&r, true, false);
    same_file(straight, an_run_checkpoint_path(r.run, 2));
    assert_int_equal(an_saver_take(r.saver, false, &result), AN_OK);
    assert_int_equal(result.step, 2);
    full_set(true);
    begin(&r, false, false);
    assert_int_equal(an_saver_take(r.saver, false, &result), AN_ENOSPC);
    full_set(false);
    rig_close(&r);
}

static void test_without_memory(void **state)
{
    (void)state;
    no_memory = true;
    check_refused("planted: no memory");
    no_memory = false;
}

static void test_without_a_thread(void **state)
{
    (void)state;
    no_thread = true;
    check_refused("planted: no thread");
    no_thread = false;
}

/* Who frees the saver waits for the checkpoint. */
static void test_freed_while_it_writes(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, "freed", "cpu");
    rig_saver(&r, 5);
    train(&r, 1);
    const char *straight = expected(&r);
    begin(&r, false, false);
    an_saver_free(r.saver);
    r.saver = NULL;
    same_file(straight, an_run_checkpoint_path(r.run, 1));
    rig_close(&r);
}

/* Weights that are not finite are found by the saver's thread. */
static void test_weights_that_are_not_finite(void **state)
{
    (void)state;
    rig r;
    an_saver_result result;
    float values[64];
    rig_open(&r, "nan", "cpu");
    rig_saver(&r, 5);
    assert_string_equal(an_exec_parameter(r.session.exec, 1)->name, "conv1.bias");
    assert_true(an_exec_parameter(r.session.exec, 1)->size <= 64);
    assert_int_equal(an_exec_parameter_get(r.session.exec, 1, AN_PARAMETER_MOMENTUM, values), AN_OK);
    values[3] = 1.0f / 0.0f;
    assert_int_equal(an_exec_parameter_set(r.session.exec, 1, AN_PARAMETER_MOMENTUM, values), AN_OK);
    begin(&r, false, false);
    assert_int_equal(an_saver_take(r.saver, true, &result), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "conv1.bias"));
    assert_int_equal(an_run_checkpoint_count(r.run), 0);
    rig_close(&r);
}

/* Bytes of all files in a folder. */
static off_t size_of(const char *folder)
{
    off_t size = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));) {
        struct stat status;
        assert_int_equal(fstatat(dirfd(d), e->d_name, &status, 0), 0);
        size += S_ISREG(status.st_mode) ? status.st_size : 0;
    }
    assert_int_equal(closedir(d), 0);
    return size;
}

/* Histograms come from the snapshot, while another thread shows scalars: as many bytes as without a thread. */
static void test_histograms(void **state)
{
    (void)state;
    off_t sizes[2];
    for (int i = 0; i < 2; i++) {
        rig r;
        char folder[600];
        rig_open(&r, "board", "cpu");
        snprintf(folder, sizeof(folder), "%s/tensorboard", r.folder);
        assert_int_equal(an_tensorboard_open(&r.board, folder, 0), AN_OK);
        no_memory = i;
        rig_saver(&r, 5);
        train(&r, 1);
        begin(&r, false, true);
        for (int k = 0; k < 20; k++)
            assert_int_equal(an_tensorboard_scalar(r.board, 2, "training/loss", k), AN_OK);
        taken(&r, 1);
        sizes[i] = size_of(folder);
        rig_close(&r);
    }
    no_memory = false;
    assert_true(sizes[0] > 4000);
    assert_int_equal(sizes[0], sizes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_bytes_of_the_moment),
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_a_failed_write),
        cmocka_unit_test(test_keeps_and_names_the_best),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_without_a_thread),
        cmocka_unit_test(test_freed_while_it_writes),
        cmocka_unit_test(test_weights_that_are_not_finite),
        cmocka_unit_test(test_histograms),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
