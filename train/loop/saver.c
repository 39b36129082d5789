#include "train/loop/saver.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "train/watch/board.h"

/* DESIGN. Two threads hand one job to and fro: the caller's, which trains, and the saver's. The stage says whose turn
 * it is. It changes under the lock, and each change wakes whoever waits.
 *   - IDLE: the caller may take a snapshot and begin a job.
 *   - WRITING: the saver's thread waits for the snapshot's values and writes them. Snapshot, job, run and result are
 * its own meanwhile.
 *   - WRITTEN: the caller may take the result.
 * The caller waits only if it asks to, in an_saver_take, and in an_saver_free. Without a snapshot there is no thread,
 * and the caller goes through the same stages in an_saver_begin. */
typedef enum { IDLE, WRITING, WRITTEN } stage;

struct an_saver {
    an_saver_work work;
    an_snapshot *snapshot; /* NULL: there is no thread */
    char refusal[AN_ERROR_MAX];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    stage stage;
    bool closing;
    an_saver_job job;
    uint64_t begun_ns;
    an_saver_result result;
    an_error_state outcome;
};

static int write_all(an_saver *saver)
{
    const an_saver_work *w = &saver->work;
    an_checkpoint_parameters from = {.exec = w->exec, .snapshot = saver->snapshot, .momentum = true};
    int rc = saver->snapshot ? an_snapshot_wait(saver->snapshot) : AN_OK;
    if (rc)
        return rc;
    rc = an_run_check_step(w->run, saver->job.state.step);
    if (rc)
        return rc;
    rc = an_checkpoint_save(saver->result.path, &from, &saver->job.state, w->identity, w->input);
    if (rc)
        return rc;
    rc = an_run_saved(w->run, saver->job.state.step, saver->job.best, w->keep);
    if (rc || !saver->job.parameters)
        return rc;
    return an_board_parameters(w->board, saver->job.state.step, &from);
}

static void job_do(an_saver *saver)
{
    uint64_t step = saver->job.state.step;
    saver->result.step = step;
    snprintf(saver->result.path, sizeof(saver->result.path), "%s", an_run_checkpoint_path(saver->work.run, step));
    an_error_save(&saver->outcome, write_all(saver));
    saver->result.seconds = an_clock_seconds_since(saver->begun_ns);
}

/* Locked. */
static void stage_set(an_saver *saver, stage next)
{
    saver->stage = next;
    pthread_cond_broadcast(&saver->changed);
}

static void *saver_main(void *context)
{
    an_saver *saver = context;
    pthread_mutex_lock(&saver->lock);
    for (;;) {
        while (saver->stage != WRITING && !saver->closing)
            pthread_cond_wait(&saver->changed, &saver->lock);
        if (saver->stage != WRITING)
            break;
        pthread_mutex_unlock(&saver->lock);
        job_do(saver);
        pthread_mutex_lock(&saver->lock);
        stage_set(saver, WRITTEN);
    }
    pthread_mutex_unlock(&saver->lock);
    return NULL;
}

/* A snapshot and a thread, or the reason why there are none. */
static void thread_start(an_saver *saver)
{
    int rc = an_snapshot_create(&saver->snapshot, saver->work.exec);
    if (!rc) {
        rc = an_thread_start(&saver->thread, "an-saver", saver_main, saver);
        if (!rc)
            return;
        an_snapshot_free(saver->snapshot);
        saver->snapshot = NULL;
    }
    snprintf(saver->refusal, sizeof(saver->refusal), "%s", an_error_message());
}

int an_saver_create(an_saver **out, const an_saver_work *work)
{
    an_saver *saver = calloc(1, sizeof(*saver));
    if (!saver)
        return an_error(AN_ENOMEM, "out of memory for checkpoints");
    saver->work = *work;
    pthread_mutex_init(&saver->lock, NULL);
    pthread_cond_init(&saver->changed, NULL);
    thread_start(saver);
    *out = saver;
    return AN_OK;
}

void an_saver_free(an_saver *saver)
{
    if (!saver)
        return;
    pthread_mutex_lock(&saver->lock);
    saver->closing = true;
    pthread_cond_broadcast(&saver->changed);
    pthread_mutex_unlock(&saver->lock);
    if (saver->snapshot)
        pthread_join(saver->thread, NULL);
    an_snapshot_free(saver->snapshot);
    pthread_cond_destroy(&saver->changed);
    pthread_mutex_destroy(&saver->lock);
    free(saver);
}

const char *an_saver_refusal(const an_saver *saver)
{
    return saver->snapshot ? NULL : saver->refusal;
}

uint64_t an_saver_memory(const an_saver *saver)
{
    return saver->snapshot ? an_snapshot_memory(saver->snapshot) : 0;
}

static bool is_idle(an_saver *saver)
{
    pthread_mutex_lock(&saver->lock);
    bool idle = saver->stage == IDLE;
    pthread_mutex_unlock(&saver->lock);
    return idle;
}

int an_saver_begin(an_saver *saver, const an_saver_job *job)
{
    if (!is_idle(saver))
        return an_error(AN_EINTERNAL, "a checkpoint is begun before the one before was taken");
    saver->begun_ns = an_clock_ns();
    saver->job = *job;
    int rc = saver->snapshot ? an_snapshot_take(saver->snapshot) : AN_OK;
    if (rc)
        return rc;
    if (!saver->snapshot)
        job_do(saver);
    pthread_mutex_lock(&saver->lock);
    stage_set(saver, saver->snapshot ? WRITING : WRITTEN);
    pthread_mutex_unlock(&saver->lock);
    return AN_OK;
}

int an_saver_take(an_saver *saver, bool wait, an_saver_result *out)
{
    pthread_mutex_lock(&saver->lock);
    while (wait && saver->stage == WRITING)
        pthread_cond_wait(&saver->changed, &saver->lock);
    bool written = saver->stage == WRITTEN;
    if (written)
        stage_set(saver, IDLE);
    pthread_mutex_unlock(&saver->lock);
    if (!written)
        return AN_AGAIN;
    *out = saver->result;
    return saver->outcome.code ? an_error_restore(&saver->outcome) : AN_OK;
}
