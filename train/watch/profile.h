/* Where the time of training steps goes, layer by layer: sums of what exec measures. Used by the thread that drives the
 * network. */
#ifndef AN_TRAIN_WATCH_PROFILE_H
#define AN_TRAIN_WATCH_PROFILE_H

#include "base/buffer.h"
#include "model/exec.h"

typedef struct {
    an_exec_layer *layers; /* their times are sums over the steps taken */
    int count;
    uint64_t steps;
} an_profile;

int an_profile_open(an_profile *profile, an_exec *exec); /* makes exec measure; nothing is taken yet */
void an_profile_close(an_profile *profile);              /* zeroed is fine */

/* Add what exec has measured since the last call or an_exec_layers_reset. steps: training steps made in that time. */
void an_profile_take(an_profile *profile, an_exec *exec, uint64_t steps);

/* Append a table: for each layer the milliseconds a step forward, backward and in the update, its share of the time,
 * and GFLOP/s forward and backward together. Nothing if no step was taken. */
int an_profile_print(const an_profile *profile, int batch, an_buffer *out);

#endif
