#include "model/node_times_private.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"

void an_node_times_devices(an_node_times *times)
{
    times->on_devices = times->api->mark;
}

int an_node_times_begin(an_node_times *times, int node, int phase)
{
    if (times->on_devices)
        return times->api->mark(times->ops[node], 2 * phase);
    times->started[node] = an_clock_ns();
    return AN_OK;
}

int an_node_times_end(an_node_times *times, int node, int phase)
{
    if (times->on_devices)
        return times->api->mark(times->ops[node], 2 * phase + 1);
    times->seconds[node][phase] += an_clock_seconds_since(times->started[node]);
    return AN_OK;
}

int an_node_times_take(an_node_times *times, int node, int phase)
{
    double seconds;
    int rc = times->api->between(times->ops[node], 2 * phase, 2 * phase + 1, &seconds);
    if (!rc)
        times->seconds[node][phase] += seconds;
    return rc;
}

void an_node_times_reset(an_node_times *times)
{
    memset(times->seconds, 0, sizeof times->seconds);
}
