/* Steps that are the same each time, for devices that can be given all of one at once: a phase is walked op by op in
 * the first step, recorded in the second and replayed from then on. The first one makes what libraries make on first
 * use; nothing of it may happen in a recording. If a recording fails, walking goes on for good: the results are the
 * same, and only the host has more to do. */
#ifndef AN_MODEL_REPLAY_PRIVATE_H
#define AN_MODEL_REPLAY_PRIVATE_H

#include "base/error.h"
#include "model/backend.h"

#define AN_REPLAY_PHASES 2 /* forward, backward */

typedef struct {
    bool walked; /* at least once, every phase */
    bool unwanted;
    an_recording *recordings[AN_REPLAY_PHASES]; /* the first device's; NULL: not recorded yet */
    bool refused;
    char refusal[AN_ERROR_MAX]; /* why */
} an_replay;

typedef struct {
    const an_backend_api *api;
    an_backend *const *devices;
    int count;
    int (*walk)(void *context); /* the phase */
    void *context;
} an_replay_work;

/* Whether the phases of a step go through an_replay_run. */
bool an_replay_due(const an_replay *replay, const an_backend_api *api);
/* Replays what place holds, recording it first if need be; walks if that cannot be. */
int an_replay_run(an_replay *replay, an_recording **place, const an_replay_work *work);

#endif
