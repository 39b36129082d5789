/* Recording and replaying steps, for devices that can repeat a sequence of calls (GPUs). Each phase, forward and
 * backward, is walked op by op in the first step, recorded in the second, and replayed from then on. The first step is
 * not recorded because libraries allocate memory on first use, which is forbidden in a recording. If recording fails,
 * steps are walked for good: the results are the same, only the host has more to do.
 *
 * The lanes own this struct; the first device owns the recordings. The thread that drives exec calls these functions.
 */
#ifndef AN_MODEL_EXEC_REPLAY_PRIVATE_H
#define AN_MODEL_EXEC_REPLAY_PRIVATE_H

#include "base/error.h"
#include "model/backend.h"

#define AN_REPLAY_PHASES 2 /* forward, backward */

typedef struct {
    bool walked;                                /* every phase has been walked at least once */
    bool unwanted;                              /* set by an_exec_replay_set */
    an_recording *recordings[AN_REPLAY_PHASES]; /* NULL: not recorded yet */
    bool refused;                               /* recording failed */
    char refusal[AN_ERROR_MAX];                 /* why */
} an_replay;

typedef struct {
    const an_backend_api *api;
    an_backend *const *devices;
    int count;
    int (*walk)(void *context); /* makes all calls of the phase */
    void *context;
} an_replay_work;

/* Whether the next step is to be recorded or replayed. */
bool an_replay_due(const an_replay *replay, const an_backend_api *api);
/* Replays the recording in *place. If there is none yet, records it first; if recording fails, walks. */
int an_replay_run(an_replay *replay, an_recording **place, const an_replay_work *work);

#endif
