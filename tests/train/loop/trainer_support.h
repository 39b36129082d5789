/* Runs of the trainer on small data, for the tests of train/loop: what they tell, when they are stopped, and faults
 * that are planted beneath them. One undisturbed run is made first, which others are compared with. Programs that use
 * it are linked with --wrap for an_saver_take and an_snapshot_create. Failures end the test. */
#ifndef AN_TESTS_TRAIN_LOOP_TRAINER_SUPPORT_H
#define AN_TESTS_TRAIN_LOOP_TRAINER_SUPPORT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/train/fixture.h"

enum { IMAGES = 14, STEPS_PER_EPOCH = 3, EPOCHS = 2 }; /* batch 4 */

extern fixture files;
extern char training[512], validation[512]; /* datasets */
extern char straight[512];                  /* the folder of the undisturbed run */

/* What stands before the C library's functions, and before the saver's. steps: told since held_until was called, which
 * begins with a checkpoint's sync waiting until there are so many of them, or until a stop is requested. From
 * patient_from steps on, whoever asks whether a checkpoint is written waits until it is. stop_at_take: the time of
 * asking, as the trainer does after each step, at which a stop is requested; 0: never. full: syncs fail. no_links: as
 * on a filesystem without hard links. no_memory: for a snapshot. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int steps, held_until, patient_from;
    int takes, stop_at_take;
    bool full, no_links, no_memory;
} planted_faults;

extern planted_faults planted;
extern const char *plant_at; /* where a named pipe appears after the first step; NULL: nowhere */

void held_until(int steps);

/* What a run tells, and when it is interrupted. */
typedef struct {
    uint64_t stop_at, signal_at; /* step, 0: never */
    bool alone;                  /* without a validation set */
    int steps, validations, saves, warnings, notes;
    int steps_at_save;                           /* steps told before the first checkpoint was */
    uint64_t first_saved;                        /* the step of that checkpoint */
    uint64_t last_told;                          /* the step of the last line of training */
    uint64_t note_step;                          /* of the last note */
    double held, seconds;                        /* of the first checkpoint */
    char warning[1200];                          /* the first one */
    char note[400];                              /* the last one */
    double top1, validation_loss, gradient_norm; /* the last ones */
} listener;

/* A configuration that keeps every checkpoint in run, which may be NULL. */
void config_for(an_train_config *config, const char *run);

/* Train on a dataset and return what an_trainer_run does; train takes the common one, and forgets what the listener
 * heard before. */
int train_on(const an_train_config *config, const char *data, listener *l);
int train(const an_train_config *config, listener *l);

/* AN_EINVAL with the word in its message, before any step. */
void refused(const an_train_config *config, const char *data, const char *word);
void assert_refused(const an_train_config *config, const char *subject); /* on the common dataset */

const char *checkpoint_of(const char *run, uint64_t step);
const char *last_of(const char *run);
void assert_same_file(const char *a, const char *b);

int set_up(void **state);
int tear_down(void **state);

#endif
