/* The trainer's state, shared by its parts: trainer.c (the loop), trainer_begin.c (what a run starts from),
 * trainer_validate.c (the end of an epoch), trainer_save.c (checkpoints) and trainer_tell.c (events,
 * beginning and end in words), trainer_start.c (the first event). */
#ifndef AN_TRAIN_LOOP_TRAINER_PRIVATE_H
#define AN_TRAIN_LOOP_TRAINER_PRIVATE_H

#include <limits.h>

#include "train/advice/guard.h"
#include "train/advice/starvation.h"
#include "train/loop/evaluate.h"
#include "train/loop/pace.h"
#include "train/loop/saver.h"
#include "train/loop/trainer.h"
#include "train/setup/session.h"
#include "train/state/run.h"
#include "train/watch/board.h"
#include "train/watch/profile.h"

typedef struct {
    uint64_t start_ns, processors_ns, steps, images;
    double loss;
    uint64_t top1, topk;
    uint64_t wait_ns;
} an_trainer_window; /* sums since the last line was told */

struct an_trainer {
    an_train_config own; /* as the recipe has it: --last as the run was begun, --class-weights with its hash */
    const an_train_config *config; /* own */
    const an_train_observer *observer;
    an_session session;
    an_loader *loader;
    an_loader *viewer;     /* of the first set to validate on: see trainer_validate.c; NULL: not open */
    bool viewer_tried;     /* opening it ahead of time has been tried, with or without success */
    an_batch ahead;        /* the next step's batch, if it was ready in time to be sent ahead; else lease 0 */
    an_run *run;           /* NULL without --run */
    an_saver *saver;       /* the same */
    an_metrics *metrics;   /* the same */
    an_tensorboard *board; /* NULL without --tensorboard */
    an_schedule schedule;
    an_train_state state;
    an_train_identity identity;
    an_buffer recipe, machine; /* strings that identity points to */
    an_guard guard;
    an_starvation_watch watch;
    bool starvation_told;
    char starvation[1024]; /* what the summary says about it */
    bool refusal_told;     /* an_exec_replay_refusal was told */
    an_trainer_window window;
    an_pace pace;
    double validated_top1;               /* of the last validation, after validated_step */
    uint64_t saved_step, validated_step; /* saved: the checkpoint's writing may still be under way */
    bool saved_any;
    double held_seconds;       /* how long the last one held this thread */
    char checkpoint[PATH_MAX]; /* the last one that is written, or was resumed from; "": none is */
    an_train_summary summary;
    an_profile profile; /* without --profile: empty */
    uint64_t profiled_step;
};

/* Open everything a run needs. The trainer is zeroed but for config and observer; an_trainer_free frees what is left of
 * it after a failure. */
int an_trainer_prepare(an_trainer *t, const char *training, const char *const *validations);

/* Fill in the event's step, total and epoch, and tell it to the observer, the run's metrics and TensorBoard. */
int an_trainer_tell_at(an_trainer *t, uint64_t step, an_train_event *event);
int an_trainer_tell(an_trainer *t, an_train_event *event); /* at the present step */
int an_trainer_tell_text(an_trainer *t, an_event_kind kind, const char *text);

/* Tell program, machine, data and recipe: the first event that this process adds to the run's records. */
int an_trainer_tell_start(an_trainer *t);

/* After what is no training, such as a checkpoint: neither the host's clock nor the devices' count it. */
void an_trainer_window_start(an_trainer *t);
int an_trainer_tell_window(an_trainer *t); /* nothing if no step was made since the last one */

/* Whether the devices starved; if so, text says why. The times and the loader's counters are filled in. */
bool an_trainer_starved(const an_trainer *t, an_starvation *starvation, char *text, size_t size);

/* Make what writes checkpoints, and warn if training has to wait for them. Without a run nothing happens. */
int an_trainer_saver_make(an_trainer *t);
/* Begin a checkpoint of this step; parameters: show TensorBoard their histograms, too. Waits for the one before, if
 * that is still being written, and tells it. Without a run nothing happens. */
int an_trainer_save(an_trainer *t, bool best, bool parameters);
/* Tell the last checkpoint once it is written; wait: wait until it is. Returns the failure if it could not be written.
 */
int an_trainer_settle(an_trainer *t, bool wait);
/* Wait for the last checkpoint whatever rc is. Returns rc, or the checkpoint's failure if rc is none. */
int an_trainer_settle_last(an_trainer *t, int rc);

bool an_trainer_epoch_is_due(const an_trainer *t); /* an epoch ended here and is not closed yet */
int an_trainer_close_epoch(an_trainer *t);         /* tell its last line, validate, save */

/* --stop-after: so many validations were in vain that the run ends here. */
bool an_trainer_gives_up(const an_trainer *t);
bool an_trainer_is_over(const an_trainer *t); /* no step is left to do */

bool an_trainer_can_validate(const an_trainer *t); /* it has images for that */
/* The step after which the next validation is due: one that this step does not end with. */
uint64_t an_trainer_next_validation(const an_trainer *t);
/* Validations that are still to come, if the run does not end early. */
uint64_t an_trainer_validations_left(const an_trainer *t);
/* If a validation comes near, start to load its images. To be called after each step. */
void an_trainer_prime(an_trainer *t);
/* Look at all sets and tell them. out: of the first, which decides; best: its top-1 is higher than that of every epoch
 * before. */
int an_trainer_validate(an_trainer *t, an_evaluation *out, bool *best);

/* With --profile: add the layers' times since the last call. */
void an_trainer_profile_take(an_trainer *t);

/* Extend the message of a failure that came from numbers that are not finite; returns rc. */
int an_trainer_name_last_good(an_trainer *t, int rc);

#endif
