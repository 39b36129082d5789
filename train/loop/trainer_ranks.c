/* What ranks tell each other, beside what follows each step: where the run begins, how long each waited, failures. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "train/loop/trainer_private.h"
#include "train/replicas/agree.h"

/* ---- The beginning ---- */

typedef struct {
    int last;
    bool resumed;
    uint64_t schedule_steps;
    an_train_state state;
    char checkpoint[PATH_MAX];
} beginning;

int an_trainer_share_start(an_trainer *t, bool resumed)
{
    if (!t->group)
        return AN_OK;
    beginning b = {
        .last = t->own.last, .resumed = resumed, .schedule_steps = t->schedule.total_steps, .state = t->state};
    memcpy(b.checkpoint, t->checkpoint, sizeof(b.checkpoint));
    int rc = an_group_broadcast(t->group, &b, sizeof(b));
    if (rc)
        return rc;
    if (an_group_rank(t->group)) {
        t->own.last = b.last;
        an_session_count_steps(&t->session);
        rc = an_train_config_schedule(t->config, &t->session.epochs, t->session.all_steps, &t->schedule);
        t->schedule.total_steps = b.schedule_steps;
        t->state = b.state;
        memcpy(t->checkpoint, b.checkpoint, sizeof(t->checkpoint));
        t->saved_any = b.resumed;
        t->saved_step = b.state.step;
    }
    return rc ? rc : an_replicas_spread_parameters(t->group, t->session.exec, b.resumed);
}

int an_trainer_share_checkpoint(an_trainer *t, uint64_t written)
{
    bool first = an_group_rank(t->group) == 0;
    if (written == (first ? t->told_written : t->written))
        return AN_OK;
    t->told_written = t->written = written;
    return an_group_broadcast(t->group, t->checkpoint, sizeof(t->checkpoint));
}

/* ---- Times ---- */

int an_trainer_gather_windows(an_trainer *t, const an_rank_window *own, int *count)
{
    if (t->group && !t->failed) {
        *count = an_group_world(t->group);
        return an_group_gather(t->group, own, sizeof(*own), t->windows);
    }
    *count = 1;
    t->windows[0] = *own;
    return AN_OK;
}

typedef struct {
    double share;
    char text[1200];
} advice;

int an_trainer_gather_advice(an_trainer *t, double share, char *text, size_t size)
{
    advice own = {.share = share};
    if (!t->group)
        return AN_OK;
    snprintf(own.text, sizeof(own.text), "%s", text);
    int world = an_group_world(t->group), worst = 0;
    advice *all = calloc((size_t)world, sizeof(*all));
    if (!all)
        return an_error(AN_ENOMEM, "out of memory for what %d ranks say", world);
    int rc = an_group_gather(t->group, &own, sizeof(own), all);
    for (int i = 0; i < world; i++)
        if (all[i].text[0] && (!all[worst].text[0] || all[i].share > all[worst].share))
            worst = i;
    snprintf(text, size, "rank %d on '%s': %s", worst, an_group_host(t->group, worst), all[worst].text);
    free(all);
    return rc;
}

static void take_worst(an_trainer *t, const an_rank_summary *all, int world)
{
    int worst = 0;
    for (int i = 1; i < world; i++)
        if (all[i].wait_seconds > all[worst].wait_seconds)
            worst = i;
    t->worst = all[worst];
    if (t->worst.starved)
        snprintf(t->worst_starvation, sizeof(t->worst_starvation), "rank %d on '%s': %s", worst,
                 an_group_host(t->group, worst), all[worst].starvation);
}

int an_trainer_gather_summaries(an_trainer *t)
{
    an_train_summary s;
    if (!t->group)
        return AN_OK;
    int world = an_group_world(t->group);
    an_rank_summary *all = calloc((size_t)world, sizeof(*all));
    if (!all)
        return an_error(AN_ENOMEM, "out of memory for what %d ranks say", world);
    an_trainer_own_summary(t, &s);
    an_rank_summary own = {.wait_seconds = s.wait_seconds,
                           .training_seconds = s.training_seconds,
                           .devices = s.devices,
                           .loader = s.loader,
                           .starved = s.starvation != NULL};
    snprintf(own.starvation, sizeof(own.starvation), "%s", s.starvation ? s.starvation : "");
    int rc = an_group_gather(t->group, &own, sizeof(own), all);
    if (!rc)
        take_worst(t, all, world);
    free(all);
    return rc;
}

/* ---- Failures ---- */

int an_trainer_fail(an_trainer *t, int rc)
{
    int elsewhere = an_group_check(t->group);
    if (rc >= 0 && !elsewhere)
        return rc;
    t->failed = true;
    return an_group_fail(t->group, rc < 0 ? rc : elsewhere);
}

/* Locked. */
static void interrupt(const an_trainer *t)
{
    if (t->interrupted && t->awaited)
        an_loader_interrupt(t->awaited);
}

void an_trainer_await(an_trainer *t, an_loader *loader)
{
    if (!t->group)
        return;
    pthread_mutex_lock(&t->lock);
    t->awaited = loader;
    interrupt(t);
    pthread_mutex_unlock(&t->lock);
}

void an_trainer_interrupt(an_trainer *t)
{
    pthread_mutex_lock(&t->lock);
    t->interrupted = true;
    interrupt(t);
    pthread_mutex_unlock(&t->lock);
}
