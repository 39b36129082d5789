#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/file.h"
#include "base/program/stop.h"
#include "model/nets/nets.h"
#include "store/dataset/dataset.h"
#include "tests/train/fixture.h"
#include "train/loop/saver.h"
#include "train/loop/trainer.h"
#include "train/setup/network.h"
#include "train/setup/session.h"
#include "train/setup/trained.h"
#include "train/state/run.h"
#include "train/state/safetensors.h"

enum { IMAGES = 14, STEPS_PER_EPOCH = 3, EPOCHS = 2 }; /* batch 4 */

static fixture files;
static char training[512], validation[512], straight[512];

/* What stands before the C library's functions, and before the saver's. steps: told since held_until was called, which
 * begins with a checkpoint's sync waiting until there are so many of them, or until a stop is requested. From
 * patient_from steps on, whoever asks whether a checkpoint is written waits until it is. full: syncs fail. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int steps, held_until, patient_from;
    bool full, no_links, no_memory;
} planted = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, INT_MAX, false, false, false};

int __real_an_saver_take(an_saver *saver, bool wait, an_saver_result *out);
int __wrap_an_saver_take(an_saver *saver, bool wait, an_saver_result *out);
int __wrap_an_saver_take(an_saver *saver, bool wait, an_saver_result *out)
{
    pthread_mutex_lock(&planted.lock);
    bool patient = planted.steps >= planted.patient_from;
    pthread_mutex_unlock(&planted.lock);
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

static void held_until(int steps)
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

/* What a run tells, and when it is interrupted. */
typedef struct {
    uint64_t stop_at, signal_at; /* step, 0: never */
    int steps, validations, saves, warnings;
    int steps_at_save;    /* steps told before the first checkpoint was */
    uint64_t first_saved; /* the step of that checkpoint */
    double held, seconds; /* of that one */
    char warning[1200];
    double top1;
} listener;

static const char *plant_at; /* where a named pipe appears after the first step */

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
    if (event->kind == AN_EVENT_VALIDATION)
        l->top1 = event->top1;
    if (event->kind == AN_EVENT_WARNING && ++l->warnings == 1)
        snprintf(l->warning, sizeof(l->warning), "%s", event->text);
    if (event->kind == AN_EVENT_TRAIN && event->step == l->stop_at)
        an_stop_request();
    if (event->kind == AN_EVENT_TRAIN && event->step == 1 && plant_at)
        assert_int_equal(mkfifo(plant_at, 0600), 0);
    if (event->kind == AN_EVENT_TRAIN && event->step == l->signal_at)
        raise(SIGUSR1);
    if (event->kind == AN_EVENT_TRAIN)
        step_told();
}

static int train_on(const an_train_config *config, const char *data, listener *l)
{
    an_trainer *trainer = NULL;
    an_train_observer observer = {listen, l};
    an_stop_reset();
    int rc = an_trainer_create(&trainer, config, data, validation, &observer);
    if (!rc)
        rc = an_trainer_run(trainer);
    an_trainer_free(trainer);
    if (rc < 0)
        print_message("(%s)\n", an_error_message());
    return rc;
}

static int train(const an_train_config *config, listener *l)
{
    *l = (listener){.stop_at = l->stop_at, .signal_at = l->signal_at};
    return train_on(config, training, l);
}

static void config_for(an_train_config *config, const char *run)
{
    fixture_config(config);
    config->epochs = EPOCHS;
    config->run = run;
    config->keep = 100;
}

static const char *checkpoint_of(const char *run, uint64_t step)
{
    char name[512];
    snprintf(name, sizeof(name), "%s/checkpoints/step-%09" PRIu64 ".safetensors", run + strlen(files.root) + 1, step);
    return fixture_path(&files, name);
}

static const char *last_of(const char *run)
{
    return checkpoint_of(run, STEPS_PER_EPOCH * EPOCHS);
}

static void assert_same_file(const char *a, const char *b)
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
static int set_up(void **state)
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
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_close(&files);
    return 0;
}

static void test_stopped_anywhere_and_resumed(void **state)
{
    (void)state;
    static const uint64_t stops[] = {1, STEPS_PER_EPOCH, STEPS_PER_EPOCH + 1};
    const char *run = fixture_path(&files, "stopped");
    an_train_config config;
    config_for(&config, run);
    config.resume = "auto";
    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
        listener l = {.stop_at = stops[i]};
        assert_int_equal(train(&config, &l), AN_STOPPED);
        assert_int_equal(access(checkpoint_of(run, stops[i]), F_OK), 0);
    }
    listener l = {0};
    assert_int_equal(train(&config, &l), AN_OK);
    assert_same_file(last_of(run), last_of(straight));
    /* Nothing is left to do, and nothing is done. */
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.steps + l.saves + l.validations, 0);
    fixture_remove(run);
}

/* The same for other ways to compute: an undisturbed run and one stopped within an epoch end in the same bytes. */
static void resume_equals(void (*change)(an_train_config *config))
{
    an_train_config config;
    const char *one = fixture_path(&files, "one"), *two = fixture_path(&files, "two");
    listener l = {0};
    config_for(&config, one);
    change(&config);
    assert_int_equal(train(&config, &l), AN_OK);
    config.run = two;
    config.resume = "auto";
    l.stop_at = STEPS_PER_EPOCH + 2;
    assert_int_equal(train(&config, &l), AN_STOPPED);
    l.stop_at = 0;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_same_file(last_of(two), last_of(one));
    fixture_remove(one);
    fixture_remove(two);
}

static void use_bf16(an_train_config *config)
{
    config->precision = AN_PRECISION_BF16;
}

static void use_two_devices(an_train_config *config)
{
    config->devices = "cpu,cpu";
    config->compute_threads = 2;
}

static void use_many_threads(an_train_config *config)
{
    config->compute_threads = 3;
    config->loader_threads = 3;
}

/* The rate falls after the first epoch, and what plateau remembers must survive. */
static void use_plateau(an_train_config *config)
{
    config->schedule = AN_SCHEDULE_PLATEAU;
    config->patience = 1;
    config->rate = 1e-12;
}

/* What is drawn for each sample, and what its loss is made of; the jitter ends with the first epoch. */
static void use_mixtures(an_train_config *config)
{
    config->mixup = 0.4;
    config->cutmix = 1;
    config->jitter_scaled = true;
    config->jitter_epochs = 1;
    config->label_smoothing = 0.1;
    config->class_weights = "balanced";
}

static void test_resumed_in_bf16(void **state)
{
    (void)state;
    resume_equals(use_bf16);
}

static void test_resumed_on_two_devices(void **state)
{
    (void)state;
    resume_equals(use_two_devices);
}

static void test_resumed_with_many_threads(void **state)
{
    (void)state;
    resume_equals(use_many_threads);
}

static void test_resumed_with_plateau(void **state)
{
    (void)state;
    resume_equals(use_plateau);
}

static void test_resumed_with_mixtures(void **state)
{
    (void)state;
    resume_equals(use_mixtures);
}

static void test_damaged_newest_falls_back(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "damaged");
    an_train_config config;
    config_for(&config, run);
    config.resume = "auto";
    listener l = {.stop_at = 2};
    assert_int_equal(train(&config, &l), AN_STOPPED);
    l.stop_at = 4;
    assert_int_equal(train(&config, &l), AN_STOPPED);
    fixture_flip(checkpoint_of(run, 4), 100000);
    l.stop_at = 0;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.warnings, 1);
    assert_non_null(strstr(l.warning, "step-000000004"));
    assert_same_file(last_of(run), last_of(straight));
    /* All damaged: an error however often it is tried, not a silent new start. */
    for (uint64_t step = 2; step <= 6; step++)
        if (access(checkpoint_of(run, step), F_OK) == 0)
            fixture_flip(checkpoint_of(run, step), 100000);
    assert_int_equal(train(&config, &l), AN_ECORRUPT);
    assert_int_equal(train(&config, &l), AN_ECORRUPT);
    fixture_remove(run);
}

static void replace_by_link(const char *path, const char *target)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(target, path), 0);
}

/* As when the disk that checkpoints were moved to is not mounted. */
static void test_checkpoints_that_lead_nowhere(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "links"), *metrics = fixture_path(&files, "links/metrics.jsonl");
    an_train_config config;
    an_buffer before = {0}, after = {0};
    config_for(&config, run);
    config.resume = "auto";
    listener l = {.stop_at = 2};
    assert_int_equal(train(&config, &l), AN_STOPPED);
    l.stop_at = 4;
    assert_int_equal(train(&config, &l), AN_STOPPED);
    replace_by_link(checkpoint_of(run, 4), "/nowhere/step-000000004.safetensors");
    l.stop_at = 5;
    assert_int_equal(train(&config, &l), AN_STOPPED);
    assert_int_equal(l.warnings, 1);
    assert_non_null(strstr(l.warning, "step-000000004"));
    assert_int_equal(access(checkpoint_of(run, 5), F_OK), 0);
    /* None can be opened: neither a new start nor a change, however often it is tried. */
    for (uint64_t step = 2; step <= 5; step++)
        if (access(checkpoint_of(run, step), F_OK) == 0)
            replace_by_link(checkpoint_of(run, step), "/nowhere/else");
    fixture_read(metrics, &before);
    l.stop_at = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(train(&config, &l), AN_EIO);
        assert_non_null(strstr(an_error_message(), run));
    }
    fixture_read(metrics, &after);
    assert_int_equal(after.size, before.size);
    assert_memory_equal(after.data, before.data, before.size);
    /* The system fails: no older checkpoint instead. A link to itself stands for a bad disk. */
    replace_by_link(checkpoint_of(run, 5), checkpoint_of(run, 5));
    assert_int_equal(train(&config, &l), AN_EIO);
    assert_non_null(strstr(an_error_message(), "step-000000005"));
    an_trained trained;
    assert_int_equal(an_trained_open(&trained, run, NULL), AN_OK); /* best, of the first epoch */
    an_trained_close(&trained);
    replace_by_link(fixture_path(&files, "links/best.safetensors"), "/nowhere/best");
    assert_int_not_equal(an_trained_open(&trained, run, NULL), AN_OK);
    assert_non_null(strstr(an_error_message(), "best.safetensors"));
    an_buffer_free(&before);
    an_buffer_free(&after);
    fixture_remove(run);
}

/* Names that only resemble a checkpoint's are somebody else's files: neither resumed from nor deleted nor renamed. */
static const char *const strange[] = {"step-5000.safetensors",
                                      "step-9.safetensors",
                                      "step-0000000009.safetensors",
                                      "step-+00000009.safetensors",
                                      "step-18446744073709551615.safetensors",
                                      "step-99999999999999999999999.safetensors",
                                      "step-000000009.safetensors.bak",
                                      "step-000000009.safetensors.tmp-",
                                      "step-000000009.safetensors.tmp-mine",
                                      "step-000000009.safetensors.tmp-123",
                                      "step-000000009.safetensors.tmp-0123456789abcdef0",
                                      "mine.safetensors.tmp-0123456789abcdef",
                                      "best.safetensors"};
enum { STRANGE = sizeof(strange) / sizeof(strange[0]) };

static const char *strange_path(const char *run, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/checkpoints/%s", run + strlen(files.root) + 1, name);
    return fixture_path(&files, path);
}

static void assert_mine(const char *path)
{
    an_buffer bytes = {0};
    fixture_read(path, &bytes);
    assert_int_equal(bytes.size, 4);
    assert_memory_equal(bytes.data, "mine", 4);
    an_buffer_free(&bytes);
}

static void test_other_files_are_left_alone(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "strange");
    an_train_config config;
    config_for(&config, run);
    config.resume = "auto";
    config.save_every = 1;
    config.keep = 1;
    listener l = {.stop_at = 2};
    assert_int_equal(train(&config, &l), AN_STOPPED);
    assert_int_equal(an_file_make_folder(strange_path(run, "step-000000008.safetensors")), AN_OK);
    assert_int_equal(an_file_make_folder(strange_path(run, "step-000000007.safetensors.tmp-0123456789abcdef")), AN_OK);
    for (size_t i = 0; i < STRANGE; i++)
        fixture_write(strange_path(run, strange[i]), "mine", 4);
    const char *leftover = strange_path(run, "step-000000009.safetensors.tmp-0123456789abcdef");
    fixture_write(leftover, "half", 4);
    l.stop_at = 0;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.warnings, 0);
    assert_same_file(last_of(run), last_of(straight));
    for (size_t i = 0; i < STRANGE; i++)
        assert_mine(strange_path(run, strange[i]));
    assert_int_equal(access(strange_path(run, "step-000000008.safetensors"), F_OK), 0);
    assert_int_equal(access(strange_path(run, "step-000000007.safetensors.tmp-0123456789abcdef"), F_OK), 0);
    assert_int_not_equal(access(leftover, F_OK), 0); /* this one was ours */
    assert_int_not_equal(access(checkpoint_of(run, 2), F_OK), 0);
    fixture_remove(run);
}

static void assert_refused(const an_train_config *config, const char *subject)
{
    listener l = {0};
    assert_int_equal(train(config, &l), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), subject));
    assert_int_equal(l.steps, 0);
}

/* A run starts at step 0 only where nothing is left of another one, with --resume auto and without. */
static void test_no_new_start_beside_remains(void **state)
{
    (void)state;
    static const char damaged[] = "step-000000004.safetensors.damaged";
    static const char metrics[] = "{\"type\":\"train\",\"step\":4}\n{\"type\":\"saved\",\"step\":4,\"text\":\"x\"}\n";
    const char *run = fixture_path(&files, "remains"), *best = fixture_path(&files, "remains/best.safetensors");
    const char *told = fixture_path(&files, "remains/metrics.jsonl");
    an_train_config config;
    assert_int_equal(an_file_make_folder(fixture_path(&files, "remains/checkpoints")), AN_OK);
    config_for(&config, run);
    for (int i = 0; i < 2; i++) {
        config.resume = i ? "auto" : NULL;
        for (size_t k = 0; k <= STRANGE; k++) {
            const char *path = strange_path(run, k < STRANGE ? strange[k] : damaged);
            fixture_write(path, "mine", 4);
            assert_refused(&config, path);
            assert_mine(path);
            assert_int_equal(unlink(path), 0);
        }
        fixture_write(best, "mine", 4);
        assert_refused(&config, best);
        assert_mine(best);
        assert_int_equal(unlink(best), 0);
        fixture_write(told, metrics, strlen(metrics));
        assert_refused(&config, told);
        assert_int_equal(unlink(told), 0);
        assert_int_not_equal(access(fixture_path(&files, "remains/recipe.txt"), F_OK), 0);
    }
    /* From another file a run goes on there, but not over a best checkpoint that is not that file. */
    fixture_write(best, "mine", 4);
    config.resume = checkpoint_of(straight, STEPS_PER_EPOCH);
    assert_refused(&config, best);
    assert_mine(best);
    listener l = {.stop_at = 4};
    assert_int_equal(unlink(best), 0);
    assert_int_equal(link(checkpoint_of(straight, STEPS_PER_EPOCH), best), 0);
    config.resume = best;
    assert_int_equal(train(&config, &l), AN_STOPPED);
    fixture_remove(run);
    assert_int_equal(an_file_make_folder(fixture_path(&files, "remains/checkpoints")), AN_OK);
    config.resume = "auto";
    /* What a run leaves that ended before its first checkpoint, and what is of no run at all. */
    fixture_write(told, metrics, strchr(metrics, '\n') + 1 - metrics);
    fixture_write(strange_path(run, "notes.txt"), "mine", 4);
    fixture_write(strange_path(run, ".DS_Store"), "mine", 4);
    l.stop_at = 0;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_same_file(last_of(run), last_of(straight));
    assert_mine(strange_path(run, "notes.txt"));
    assert_mine(strange_path(run, ".DS_Store"));
    fixture_remove(run);
}

/* A name counts for the step that the file holds: a copy under a later name neither leads anywhere nor makes --keep
 * delete the others. */
static void test_renamed_checkpoints_are_passed_over(void **state)
{
    (void)state;
    char aside[512];
    const char *run = fixture_path(&files, "renamed");
    an_train_config config;
    config_for(&config, run);
    config.resume = "auto";
    config.keep = 1;
    listener l = {.stop_at = 2};
    assert_int_equal(train(&config, &l), AN_STOPPED);
    for (int i = 0; i < 2; i++) { /* what was set aside before is kept */
        assert_int_equal(an_file_copy(checkpoint_of(run, 2 + i), checkpoint_of(run, 5000)), AN_OK);
        l.stop_at = i ? 0 : 3;
        assert_int_equal(train(&config, &l), i ? AN_OK : AN_STOPPED);
        assert_int_equal(l.warnings, 1);
        assert_non_null(strstr(l.warning, "step-000005000"));
        assert_non_null(strstr(l.warning, i ? "holds step 3" : "holds step 2"));
        snprintf(aside, sizeof(aside), "%s.damaged%s", checkpoint_of(run, 5000), i ? "-2" : "");
        assert_int_equal(access(aside, F_OK), 0);
        assert_int_not_equal(access(checkpoint_of(run, 5000), F_OK), 0);
    }
    assert_same_file(last_of(run), last_of(straight));
    /* Exchanged: none is what it says. */
    assert_int_equal(rename(last_of(run), checkpoint_of(run, 5)), 0);
    assert_int_equal(train(&config, &l), AN_ECORRUPT);
    assert_int_equal(access(checkpoint_of(run, 5), F_OK), 0);
    fixture_remove(run);
}

/* Names that a run will write are free, or it does not begin: not at step 0, and not at the end of an epoch. */
static void test_names_in_the_way_are_refused(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "way");
    const char *const taken[] = {checkpoint_of(run, 0), checkpoint_of(run, 6),
                                 fixture_path(&files, "way/best.safetensors")};
    an_train_config config;
    config_for(&config, run);
    for (int i = 0; i < 6; i++) {
        const char *path = taken[i % 3];
        config.resume = i == 5 ? NULL : "auto";
        listener l = {0};
        assert_int_equal(an_file_make_folder(fixture_path(&files, "way/checkpoints")), AN_OK);
        assert_int_equal(i < 3 ? mkdir(path, 0777) : mkfifo(path, 0666), 0);
        assert_true(train(&config, &l) < 0);
        assert_non_null(strstr(an_error_message(), path));
        assert_int_equal(l.steps, 0);
        assert_int_equal(remove(path), 0);
    }
    fixture_remove(run);
}

/* While a run is under way, too: a pipe is no place for a checkpoint. */
static void test_a_pipe_planted_meanwhile(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "planted");
    an_train_config config;
    config_for(&config, run);
    assert_int_equal(an_file_make_folder(fixture_path(&files, "planted/checkpoints")), AN_OK);
    plant_at = checkpoint_of(run, 3);
    listener l = {0};
    assert_int_equal(train(&config, &l), AN_EIO);
    assert_non_null(strstr(an_error_message(), checkpoint_of(run, 3)));
    assert_non_null(strstr(an_error_message(), "a named pipe"));
    plant_at = NULL;
    fixture_remove(run);
}

/* Paths are bytes: saved, resumed and used where they are not UTF-8. */
static void test_paths_that_are_not_utf8(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "caf\xe9"), *data = fixture_path(&files, "donn\xe9"
                                                                                    "es");
    an_train_config config;
    fixture_dataset(data, IMAGES, FIXTURE_CLASSES, 1);
    config_for(&config, run);
    config.resume = "auto";
    listener l = {.stop_at = 4};
    assert_int_equal(train_on(&config, data, &l), AN_STOPPED);
    l = (listener){0};
    assert_int_equal(train_on(&config, data, &l), AN_OK);
    assert_int_equal(l.warnings, 0);
    an_trained trained;
    assert_int_equal(an_trained_open(&trained, run, NULL), AN_OK);
    assert_string_equal(an_checkpoint_identity(trained.checkpoint)->dataset, data);
    an_trained_close(&trained);
    fixture_remove(run);
}

/* What a checkpoint would not be saved with, none is loaded with. */
static int fetch_not_finite(void *context, size_t number, float *room, const float **out)
{
    an_exec *exec = context;
    int rc = an_exec_parameter_get(exec, (int)number, AN_PARAMETER_VALUE, room);
    if (number == 1)
        room[0] = NAN;
    *out = room;
    return rc;
}

static void test_weights_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    an_trained trained;
    an_exec *exec;
    const char *path = fixture_path(&files, "nan.safetensors");
    assert_int_equal(an_trained_open(&trained, straight, NULL), AN_OK);
    assert_int_equal(an_trained_exec(&trained, "cpu", 1, 1, NULL, &exec), AN_OK);
    size_t count = (size_t)an_exec_parameter_count(exec);
    an_safetensor *tensors = calloc(count, sizeof(*tensors));
    for (size_t i = 0; i < count; i++) {
        const an_parameter *p = an_exec_parameter(exec, (int)i);
        tensors[i] = (an_safetensor){.name = p->name, .rank = p->rank};
        for (int d = 0; d < p->rank; d++)
            tensors[i].shape[d] = (uint64_t)p->shape[d];
    }
    assert_int_equal(an_safetensors_write(path, tensors, count, NULL, 0, fetch_not_finite, exec), AN_OK);
    assert_int_equal(an_checkpoint_load_weights(path, exec), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), tensors[1].name));
    /* Neither does a checkpoint take a mean image like that. */
    trained.input.mean_image[5] = INFINITY;
    assert_int_equal(an_checkpoint_save(path, &(an_checkpoint_parameters){.exec = exec},
                                        an_checkpoint_state(trained.checkpoint),
                                        an_checkpoint_identity(trained.checkpoint), &trained.input),
                     AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "input.mean_image"));
    free(tensors);
    an_exec_free(exec);
    an_trained_close(&trained);
}

/* Make the last value of a checkpoint's tensor infinite, and the checksum right again. */
static void poison(const char *path, const char *name)
{
    an_buffer bytes = {0};
    an_safetensors *file;
    char digits[17];
    const float infinite = -INFINITY;
    uint64_t length;
    fixture_read(path, &bytes);
    assert_int_equal(an_safetensors_open(&file, path), AN_OK);
    memcpy(&length, bytes.data, 8);
    memcpy(bytes.data + 8 + length + an_safetensors_find(file, name)->end - 4, &infinite, 4);
    an_safetensors_free(file);
    char *place = memmem(bytes.data, bytes.size, "\"xxh3\":\"", 8);
    memset(place + 8, '0', 16);
    snprintf(digits, sizeof(digits), "%016" PRIx64, (uint64_t)XXH3_64bits(bytes.data + 8, bytes.size - 8));
    memcpy(place + 8, digits, 16);
    assert_int_equal(an_file_write_atomic(path, bytes.data, bytes.size), AN_OK);
    an_buffer_free(&bytes);
}

/* A right checksum is not enough: such a checkpoint is passed over like a damaged one, and refused by name. */
static void test_not_finite_newest_falls_back(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "poisoned"), *best = fixture_path(&files, "poisoned/best.safetensors");
    an_train_config config;
    config_for(&config, run);
    config.resume = "auto";
    listener l = {.stop_at = 2};
    assert_int_equal(train(&config, &l), AN_STOPPED);
    l.stop_at = 4;
    assert_int_equal(train(&config, &l), AN_STOPPED);
    poison(checkpoint_of(run, 4), "momentum.fc10.bias");
    l.stop_at = 0;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.warnings, 1);
    assert_non_null(strstr(l.warning, "step-000000004"));
    assert_non_null(strstr(l.warning, "'momentum.fc10.bias' holds values that are not finite"));
    assert_same_file(last_of(run), last_of(straight));
    poison(best, "conv1.weight");
    an_trained trained;
    assert_int_equal(an_trained_open(&trained, run, NULL), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), best));
    assert_non_null(strstr(an_error_message(), "'conv1.weight'"));
    config_for(&config, NULL);
    config.weights = best;
    assert_int_equal(train(&config, &l), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "'conv1.weight'"));
    config.weights = NULL;
    config.resume = best;
    assert_int_equal(train(&config, &l), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "'conv1.weight'"));
    fixture_remove(run);
}

/* Of a network that a file describes, the file is to blame. */
static void test_impossible_networks_name_their_file(void **state)
{
    (void)state;
    an_trained trained;
    an_graph graph;
    an_exec *exec;
    assert_int_equal(an_trained_open(&trained, straight, NULL), AN_OK);
    const int crop = trained.config.crop;
    assert_int_equal(an_trained_graph(&trained, &graph), AN_OK);
    trained.config.crop = 4;
    assert_int_equal(an_trained_graph(&trained, &graph), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), trained.path));
    assert_non_null(strstr(an_error_message(), "--crop 4"));
    trained.config.crop = crop;
    trained.classes = 1 << 20;
    assert_int_equal(an_trained_exec(&trained, "cpu", 1, 1, NULL, &exec), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), trained.path));
    assert_non_null(strstr(an_error_message(), "too small for"));
    an_trained_close(&trained);
}

static void test_signal_saves_and_goes_on(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "signal");
    an_train_config config;
    config_for(&config, run);
    listener l = {.signal_at = 4};
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(l.saves, EPOCHS + 1);
    assert_int_equal(access(checkpoint_of(run, 4), F_OK), 0);
    assert_same_file(last_of(run), last_of(straight));
    fixture_remove(run);
}

/* Steps go on while a checkpoint is written. It is told when it is there, with its own step; how long training stood
 * still for it is less than it took. */
static void test_training_goes_on_while_a_checkpoint_is_written(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "goes-on");
    an_train_config config;
    config_for(&config, run);
    listener l = {.signal_at = 1};
    held_until(3);
    assert_int_equal(train(&config, &l), AN_OK);
    held_until(0);
    assert_int_equal(l.first_saved, 1);
    assert_true(l.steps_at_save >= 3);
    assert_true(l.held < l.seconds);
    assert_int_equal(l.saves, EPOCHS + 1);
    assert_same_file(last_of(run), last_of(straight));
    an_checkpoint *c;
    assert_int_equal(an_checkpoint_open(&c, checkpoint_of(run, 1)), AN_OK);
    assert_int_equal(an_checkpoint_state(c)->step, 1);
    an_checkpoint_free(c);
    fixture_remove(run);
}

/* A stop is requested while an earlier checkpoint is being written: it is waited for, and the stop's own one, too. */
static void test_stopped_while_a_checkpoint_is_written(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "stopped-writing");
    an_train_config config;
    config_for(&config, run);
    config.resume = "auto";
    listener l = {.signal_at = 1, .stop_at = 2};
    held_until(1000);
    assert_int_equal(train(&config, &l), AN_STOPPED);
    held_until(0);
    assert_int_equal(l.saves, 2);
    assert_int_equal(l.first_saved, 1);
    for (uint64_t step = 1; step <= 2; step++) {
        an_checkpoint *c;
        assert_int_equal(an_checkpoint_open(&c, checkpoint_of(run, step)), AN_OK);
        an_checkpoint_free(c);
    }
    l = (listener){0};
    assert_int_equal(train(&config, &l), AN_OK);
    assert_same_file(last_of(run), last_of(straight));
    fixture_remove(run);
}

/* Without memory for the copy, training waits, and says so once. */
static void test_without_memory_training_waits(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "no-memory");
    an_train_config config;
    config_for(&config, run);
    listener l = {.signal_at = 1};
    planted.no_memory = true;
    assert_int_equal(train(&config, &l), AN_OK);
    planted.no_memory = false;
    assert_int_equal(l.warnings, 1);
    assert_non_null(strstr(l.warning, "training waits for each checkpoint until it is written: planted"));
    assert_int_equal(l.first_saved, 1);
    assert_int_equal(l.steps_at_save, 1);
    assert_true(l.held >= l.seconds);
    assert_same_file(last_of(run), last_of(straight));
    fixture_remove(run);
}

static int count_files(const char *folder)
{
    int count = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));)
        count += e->d_name[0] != '.';
    assert_int_equal(closedir(d), 0);
    return count;
}

/* A checkpoint that cannot be written ends the run after the step that finds it out, and leaves nothing behind. */
static void test_a_failed_write_ends_the_run(void **state)
{
    (void)state;
    const char *run = fixture_path(&files, "no-space");
    an_train_config config;
    config_for(&config, run);
    config.save_every = 2;
    config.validate_every = 100; /* nor do epochs save */
    config.resume = "auto";
    listener l = {.stop_at = 1};
    assert_int_equal(train(&config, &l), AN_STOPPED);
    l = (listener){0};
    planted.full = true;
    planted.patient_from = 2;
    held_until(2); /* step 2, whose checkpoint it is, and step 3 */
    assert_int_equal(train(&config, &l), AN_ENOSPC);
    planted.patient_from = INT_MAX;
    held_until(0);
    assert_non_null(strstr(an_error_message(), "step-000000002.safetensors"));
    assert_int_equal(l.steps, 2);
    assert_int_equal(l.saves, 0);
    /* The one before is left, and nothing else. */
    assert_int_equal(count_files(fixture_path(&files, "no-space/checkpoints")), 1);
    /* The last checkpoint, after which there is no step, fails the run as well. */
    config.save_every = 0;
    config.steps = 2;
    assert_int_equal(train(&config, &l), AN_ENOSPC);
    planted.full = false;
    config.steps = 0;
    assert_int_equal(train(&config, &l), AN_OK);
    assert_int_equal(access(last_of(run), F_OK), 0);
    fixture_remove(run);
}

static void refused(const an_train_config *config, const char *data, const char *word)
{
    listener l = {0};
    assert_int_equal(train_on(config, data, &l), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), word));
}

static void test_what_does_not_belong_is_refused(void **state)
{
    (void)state;
    an_train_config config;
    const char *changed = fixture_path(&files, "changed"), *classes = fixture_path(&files, "classes");
    const char *pixels = fixture_path(&files, "pixels");
    config_for(&config, straight);
    refused(&config, training, "--resume auto");
    config.resume = "auto";
    config.momentum = 0.8;
    refused(&config, training, "momentum: 0.9 -> 0.8");
    config.momentum = 0.9;
    fixture_dataset(changed, IMAGES + 1, FIXTURE_CLASSES, 1);
    refused(&config, changed, "has changed");
    fixture_dataset(pixels, IMAGES, FIXTURE_CLASSES, 3); /* same manifest, labels and lengths */
    refused(&config, pixels, "has changed");
    fixture_dataset(classes, IMAGES, FIXTURE_CLASSES + 1, 1);
    refused(&config, classes, "has 4");
    config_for(&config, NULL);
    config.crop = FIXTURE_SIDE + 1;
    refused(&config, training, "--crop");
    config_for(&config, NULL);
    config.network = an_net_find("alexnet");
    config.crop = 20;
    refused(&config, training, "--crop 64 or more");
    config.lrn = "conv1,conv9";
    refused(&config, training, "--lrn");
    config_for(&config, NULL);
    config.batch = IMAGES + 1;
    refused(&config, training, "--batch");
    config_for(&config, NULL);
    config.overfit = IMAGES + 1;
    refused(&config, training, "--overfit");
}

static void test_rewinding_over_newer_checkpoints_is_refused(void **state)
{
    (void)state;
    an_train_config config;
    config_for(&config, straight);
    config.resume = checkpoint_of(straight, STEPS_PER_EPOCH);
    refused(&config, training, "later checkpoint");
    /* Into another folder it goes. */
    const char *other = fixture_path(&files, "other");
    config.run = other;
    config.resume = checkpoint_of(straight, STEPS_PER_EPOCH);
    listener l = {0};
    assert_int_equal(train(&config, &l), AN_OK);
    assert_same_file(last_of(other), last_of(straight));
    fixture_remove(other);
}

static void test_exploding_loss_stops_at_once(void **state)
{
    (void)state;
    an_train_config config;
    const char *run = fixture_path(&files, "explodes");
    config_for(&config, run);
    config.rate = 1000;
    config.epochs = 100;
    config.save_every = 1;
    config.keep = 1;
    listener l = {0};
    assert_int_equal(train(&config, &l), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "last good checkpoint"));
    assert_true(l.steps < 30);
    fixture_remove(run);
}

static void test_best_without_hard_links(void **state)
{
    (void)state;
    an_train_config config;
    struct stat status;
    char best[512];
    const char *run = fixture_path(&files, "unlinked");
    config_for(&config, run);
    listener l = {0};
    planted.no_links = true;
    assert_int_equal(train(&config, &l), AN_OK);
    planted.no_links = false;
    snprintf(best, sizeof(best), "%s/best.safetensors", run);
    assert_int_equal(stat(best, &status), 0);
    assert_int_equal(status.st_nlink, 1);
    an_trained trained;
    assert_int_equal(an_trained_open(&trained, run, NULL), AN_OK);
    an_trained_close(&trained);
    fixture_remove(run);
}

static void test_keeps_newest_and_best(void **state)
{
    (void)state;
    an_train_config config;
    const char *run = fixture_path(&files, "keep");
    config_for(&config, run);
    config.save_every = 1;
    config.keep = 2;
    listener l = {0};
    assert_int_equal(train(&config, &l), AN_OK);
    for (uint64_t step = 1; step <= 6; step++)
        assert_int_equal(access(checkpoint_of(run, step), F_OK), step > 4 ? 0 : -1);
    an_trained trained;
    assert_int_equal(an_trained_open(&trained, run, NULL), AN_OK);
    assert_int_equal(trained.classes, FIXTURE_CLASSES);
    assert_int_equal(trained.config.batch, config.batch);
    an_trained_close(&trained);
    fixture_remove(run);
}

static void test_learns_a_few_images_by_heart(void **state)
{
    (void)state;
    an_train_config config;
    config_for(&config, NULL);
    config.overfit = 6;
    config.batch = 3;
    config.epochs = 80;
    config.validate_every = 20;
    config.jitter = 0;
    config.rate = 0.002;
    listener l = {0};
    assert_int_equal(train(&config, &l), AN_OK);
    assert_true(l.top1 == 1.0);
}

/* Whether this processor can train in bf16. */
static bool has_bf16(void)
{
    an_train_config config;
    an_session session;
    fixture_config(&config);
    config.precision = AN_PRECISION_BF16;
    fixture f;
    fixture_open(&f);
    fixture_dataset(fixture_path(&f, "data"), IMAGES, FIXTURE_CLASSES, 1);
    int rc = an_session_open(&session, &config, fixture_path(&f, "data"), NULL);
    if (!rc)
        an_session_close(&session);
    fixture_close(&f);
    return rc != AN_EIO;
}

/* Alone, so that CTest reports a processor without bf16 as skipped. */
static int run_bf16(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_resumed_in_bf16)};
    if (!has_bf16()) {
        fprintf(stderr, "skipped: %s\n", an_error_message());
        return 77;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "bf16") == 0)
        return run_bf16();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stopped_anywhere_and_resumed),
        cmocka_unit_test(test_resumed_on_two_devices),
        cmocka_unit_test(test_resumed_with_many_threads),
        cmocka_unit_test(test_resumed_with_plateau),
        cmocka_unit_test(test_resumed_with_mixtures),
        cmocka_unit_test(test_damaged_newest_falls_back),
        cmocka_unit_test(test_checkpoints_that_lead_nowhere),
        cmocka_unit_test(test_other_files_are_left_alone),
        cmocka_unit_test(test_no_new_start_beside_remains),
        cmocka_unit_test(test_renamed_checkpoints_are_passed_over),
        cmocka_unit_test(test_names_in_the_way_are_refused),
        cmocka_unit_test(test_a_pipe_planted_meanwhile),
        cmocka_unit_test(test_paths_that_are_not_utf8),
        cmocka_unit_test(test_weights_that_are_not_finite_are_refused),
        cmocka_unit_test(test_not_finite_newest_falls_back),
        cmocka_unit_test(test_impossible_networks_name_their_file),
        cmocka_unit_test(test_signal_saves_and_goes_on),
        cmocka_unit_test(test_training_goes_on_while_a_checkpoint_is_written),
        cmocka_unit_test(test_stopped_while_a_checkpoint_is_written),
        cmocka_unit_test(test_without_memory_training_waits),
        cmocka_unit_test(test_a_failed_write_ends_the_run),
        cmocka_unit_test(test_what_does_not_belong_is_refused),
        cmocka_unit_test(test_rewinding_over_newer_checkpoints_is_refused),
        cmocka_unit_test(test_exploding_loss_stops_at_once),
        cmocka_unit_test(test_keeps_newest_and_best),
        cmocka_unit_test(test_best_without_hard_links),
        cmocka_unit_test(test_learns_a_few_images_by_heart),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
