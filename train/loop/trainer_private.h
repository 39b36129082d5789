/* The trainer's state, shared by its parts: trainer.c (the loop), trainer_begin.c (what a run starts from),
 * trainer_resume.c (its checkpoint), trainer_step.c (a step), trainer_validate.c (the end of an epoch), trainer_save.c
 * (checkpoints), trainer_tell.c (events, beginning and end in words), trainer_start.c (the first event),
 * trainer_ranks.c (what ranks tell each other beside that).
 *
 * Several ranks. All go through the same steps, validations and checkpoints in the same order, because all decide by
 * numbers that are the same for all. Rank 0 alone has a run folder and tells events: run, saver, metrics and board are
 * NULL on the others. */
#ifndef AN_TRAIN_LOOP_TRAINER_PRIVATE_H
#define AN_TRAIN_LOOP_TRAINER_PRIVATE_H

#include <limits.h>
#include <pthread.h>

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
    uint64_t wait_ns; /* of this rank */
    uint64_t samples; /* likewise: an_train_event.samples */
} an_trainer_window;  /* sums since the last line was told, of all ranks but for the last two */

/* What a rank says of the time since the last line. */
typedef struct {
    double seconds, waited; /* for images */
    double processors;      /* seconds of all its threads */
    double reduced;         /* waited for sums of gradients */
    an_device_time devices;
    uint64_t samples;
    bool starved;
} an_rank_window;

/* What a rank says at the end, of all its training. */
typedef struct {
    double wait_seconds, training_seconds;
    an_device_time devices;
    an_loader_stats loader;
    bool starved;
    char starvation[1024];
} an_rank_summary;

/* For a rank without an image in a step. */
typedef struct {
    an_images images;
    void *pixels;
    size_t size;
    an_image_draw draw;
    uint32_t label;
} an_black_image;

struct an_trainer {
    an_train_config own; /* as the recipe has it: --last as the run was begun, --class-weights with its hash */
    const an_train_config *config; /* own */
    const an_train_observer *observer;
    an_group *group; /* NULL: a single process */
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

    /* Of several ranks. */
    bool stop_wanted, save_wanted;  /* by any of them, as all know since the last step */
    bool failed;                    /* the run has: nothing is asked of the others any more */
    uint64_t written, told_written; /* checkpoints of this process that rank 0 has written; as far as all know */
    an_rank_window *windows;        /* of each rank */
    char worst_starvation[1400];    /* what that rank says */
    an_rank_summary worst;          /* of the rank that waited longest for images */
    an_black_image black;
    pthread_mutex_t lock; /* of the next two, which the group's thread looks at */
    an_loader *awaited;   /* whose batches this thread may wait for; NULL: none */
    bool interrupted;
};

/* The checkpoint that --resume means; *out is NULL for a fresh start. */
int an_trainer_open_checkpoint(an_trainer *t, an_checkpoint **out);
/* Take parameters and state from it, if it belongs to this run. */
int an_trainer_restore(an_trainer *t, an_checkpoint *c);

/* Open everything a run needs. The trainer is zeroed but for config and observer; an_trainer_free frees what is left of
 * it after a failure. */
int an_trainer_prepare(an_trainer *t, const char *training, const char *const *validations);

/* Take a batch and train on it. */
int an_trainer_step(an_trainer *t);

an_guard_setting an_trainer_guard_setting(const an_trainer *t, double rate);

/* The summary of this rank. */
void an_trainer_own_summary(an_trainer *t, an_train_summary *out);

/* A request to stop, or to save, as far as all ranks know of it. The second is true once. */
bool an_trainer_stop_wanted(const an_trainer *t);
bool an_trainer_save_wanted(an_trainer *t);

/* ---- Together with all other ranks; without them these do nothing ---- */

/* Take from rank 0 where the run begins: its checkpoint's state and the parameters. resumed: there is a checkpoint. */
int an_trainer_share_start(an_trainer *t, bool resumed);
/* Take from rank 0 the name of the last checkpoint, if there is a new one. written: rank 0's count of them. */
int an_trainer_share_checkpoint(an_trainer *t, uint64_t written);
/* Fill in t->windows; without other ranks, or when they have failed, with this rank's only. Returns how many. */
int an_trainer_gather_windows(an_trainer *t, const an_rank_window *own, int *count);
/* The rank whose text is worth most: "rank 3 on 'host': ...". All have a text, which may be empty, and how bad it is.
 */
int an_trainer_gather_advice(an_trainer *t, double share, char *text, size_t size);
/* Fill in t->worst. Also waits for rank 0's last checkpoint. */
int an_trainer_gather_summaries(an_trainer *t);
/* The run has failed here with rc, or elsewhere. Returns the run's failure. */
int an_trainer_fail(an_trainer *t, int rc);

/* From now on this thread may wait for batches of that loader; NULL: of none. */
void an_trainer_await(an_trainer *t, an_loader *loader);

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
