/* Where a training step's time goes, layer by layer. */
#ifndef AN_TRAIN_WATCH_PROFILE_H
#define AN_TRAIN_WATCH_PROFILE_H

#include "base/buffer.h"
#include "model/exec.h"

typedef struct {
    an_exec_layer *layers; /* sums over what was taken */
    int count;
    uint64_t steps;
} an_profile;

int an_profile_open(an_profile *profile, an_exec *exec); /* an_exec_profile; times so far are dropped */
void an_profile_close(an_profile *profile);              /* zeroed is fine */

/* Add what the network has measured since the last take or drop: steps training steps. */
void an_profile_take(an_profile *profile, an_exec *exec, uint64_t steps);

/* A table: milliseconds a step forward, backward and in the update, their share, and GFLOP/s of forward and backward.
 */
int an_profile_print(const an_profile *profile, int batch, an_buffer *out);

#endif
