#include "model/exec/replay_private.h"

#include <stdio.h>

bool an_replay_due(const an_replay *replay, const an_backend_api *api)
{
    return api->replay && replay->walked && !replay->unwanted && !replay->refused;
}

static int record(an_recording **place, const an_replay_work *work)
{
    an_error_state first;
    int rc = work->api->record_begin(work->devices, work->count);
    if (rc)
        return rc;
    rc = work->walk(work->context);
    if (!rc)
        return work->api->record_end(work->devices, work->count, place);
    an_error_save(&first, rc);
    (void)work->api->record_end(work->devices, work->count, NULL); /* the first failure says more */
    return an_error_restore(&first);
}

int an_replay_run(an_replay *replay, an_recording **place, const an_replay_work *work)
{
    if (!*place && record(place, work)) {
        replay->refused = true;
        snprintf(replay->refusal, sizeof replay->refusal, "%s", an_error_message());
        return work->walk(work->context);
    }
    return work->api->replay(*place);
}
