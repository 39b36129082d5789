#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/program/stop.h"
#include "model/snapshot.h"
#include "tests/train/loop/trainer_support.h"
#include "train/loop/saver.h"
#include "train/loop/trainer.h"

fixture files;
char training[512], validation[512], straight[512];
planted_faults planted = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .patient_from = INT_MAX};
const char *plant_at;

int __real_an_saver_take(an_saver *saver, bool wait, an_saver_result *out);
int __wrap_an_saver_take(an_saver *saver, bool wait, an_saver_result *out);
int __wrap_an_saver_take(an_saver *saver, bool wait, an_saver_result *out)
{
    pthread_mutex_lock(&planted.lock);
    bool patient = planted.steps >= planted.patient_from;
    bool stop = ++planted.takes == planted.stop_at_take;
    pthread_mutex_unlock(&planted.lock);
    if (stop)
        an_stop_request();
    return __real_an_saver_take(saver, wait || patient, out);
}

int __real_an_snapshot_create(an_snapshot **out, an_exec *exec);
int __wrap_an_snapshot_create(an_snapshot **out, an_exec *exec);
int __wrap_an_snapshot_create(an_snapshot **out, an_exec *exec)
{
    return planted.no_memory ? an_error(AN_ENOMEM, "planted: no memory") : __real_an_snapshot_create(out, exec);
}

int fsync(int fd)
{
    bool saver = gettid() != getpid(); /* the main thread trains, and syncs other files */
    pthread_mutex_lock(&planted.lock);
    while (saver && planted.steps < planted.held_until && !an_stop_requested())
        pthread_cond_wait(&planted.changed, &planted.lock);
    bool full = saver && planted.full;
    pthread_mutex_unlock(&planted.lock);
    if (!full)
        return (int)syscall(SYS_fsync, fd);
    errno = ENOSPC;
    return -1;
}

/* As on a filesystem without hard links. */
int link(const char *from, const char *to)
{
    if (!planted.no_links)
        return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
    errno = EPERM;
    return -1;
}

void held_until(int steps)
{
    pthread_mutex_lock(&planted.lock);
    planted.steps = 0;
    planted.held_until = steps;
    pthread_mutex_unlock(&planted.lock);
}

static void step_told(void)
{
    pthread_mutex_lock(&planted.lock);
    planted.steps++;
    pthread_cond_broadcast(&planted.changed);
    pthread_mutex_unlock(&planted.lock);
}

static void listen(void *context, const an_train_event *event)
{
    listener *l = context;
    l->steps += event->kind == AN_EVENT_TRAIN;
    l->validations += event->kind == AN_EVENT_VALIDATION;
    if (event->kind == AN_EVENT_SAVED && ++l->saves == 1) {
        l->steps_at_save = l->steps;
        l->first_saved = event->step;
        l->held = event->held;
        l->seconds = event->seconds;
    }
    if (event->kind == AN_EVENT_VALIDATION) {
        l->top1 = event->top1;
        l->validation_loss = event->loss;
    }
    if (event->kind == AN_EVENT_WARNING && ++l->warnings == 1)
        snprintf(l->warning, sizeof(l->warning), "%s", event->text);
    if (event->kind == AN_EVENT_NOTE) {
        l->notes++;
        l->note_step = event->step;
        snprintf(l->note, sizeof(l->note), "%s", event->text);
    }
    if (event->kind == AN_EVENT_TRAIN) {
        l->last_told = event->step;
        l->gradient_norm = event->gradient_norm;
    }
    if (event->kind == AN_EVENT_TRAIN && event->step == l->stop_at)
        an_stop_request();
    if (event->kind == AN_EVENT_TRAIN && event->step == 1 && plant_at)
        assert_int_equal(mkfifo(plant_at, 0600), 0);
    if (event->kind == AN_EVENT_TRAIN && event->step == l->signal_at)
        raise(SIGUSR1);
    if (event->kind == AN_EVENT_TRAIN)
        step_told();
}

int train_on(const an_train_config *config, const char *data, listener *l)
{
    an_trainer *trainer = NULL;
    an_train_observer observer = {listen, l};
    an_stop_reset();
    int rc = an_trainer_create(&trainer, config, NULL, data, l->alone ? NULL : (const char *const[]){validation, NULL},
                               &observer);
    if (!rc)
        rc = an_trainer_run(trainer);
    an_trainer_free(trainer);
    if (rc < 0)
        print_message("(%s)\n", an_error_message());
    return rc;
}

int train(const an_train_config *config, listener *l)
{
    *l = (listener){.stop_at = l->stop_at, .signal_at = l->signal_at, .alone = l->alone};
    return train_on(config, training, l);
}

void assert_refused(const an_train_config *config, const char *subject)
{
    listener l = {0};
    assert_int_equal(train(config, &l), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), subject));
    assert_int_equal(l.steps, 0);
}

void refused(const an_train_config *config, const char *data, const char *word)
{
    listener l = {0};
    assert_int_equal(train_on(config, data, &l), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), word));
}

void config_for(an_train_config *config, const char *run)
{
    fixture_config(config);
    config->epochs = EPOCHS;
    config->run = run;
    config->keep = 100;
}

const char *checkpoint_of(const char *run, uint64_t step)
{
    char name[512];
    snprintf(name, sizeof(name), "%s/checkpoints/step-%09" PRIu64 ".safetensors", run + strlen(files.root) + 1, step);
    return fixture_path(&files, name);
}

const char *last_of(const char *run)
{
    return checkpoint_of(run, STEPS_PER_EPOCH * EPOCHS);
}

void assert_same_file(const char *a, const char *b)
{
    an_buffer left = {0}, right = {0};
    fixture_read(a, &left);
    fixture_read(b, &right);
    assert_int_equal(left.size, right.size);
    assert_int_equal(memcmp(left.data, right.data, left.size), 0);
    an_buffer_free(&left);
    an_buffer_free(&right);
}

/* One undisturbed run that the others are compared with. */
int set_up(void **state)
{
    (void)state;
    an_train_config config;
    listener l = {0};
    fixture_open(&files);
    snprintf(training, sizeof(training), "%s/training", files.root);
    snprintf(validation, sizeof(validation), "%s/validation", files.root);
    snprintf(straight, sizeof(straight), "%s/straight", files.root);
    fixture_dataset(training, IMAGES, FIXTURE_CLASSES, 1);
    fixture_dataset(validation, 5, FIXTURE_CLASSES, 2);
    assert_int_equal(an_stop_install(), AN_OK);
    config_for(&config, straight);
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.steps, STEPS_PER_EPOCH * EPOCHS);
    assert_int_equal(l.validations, EPOCHS);
    assert_int_equal(l.saves, EPOCHS);
    assert_true(l.gradient_norm > 0 && isfinite(l.gradient_norm));
    return 0;
}

int tear_down(void **state)
{
    (void)state;
    fixture_close(&files);
    return 0;
}
