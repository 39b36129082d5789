#include "train/setup/session.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"

typedef struct {
    double seconds; /* of the fastest step */
    double walked;  /* of the fastest step queued operation by operation; 0 if all steps are queued like that */
} step_times;

/* The fastest of three steps on blank images. */
static int time_step(an_session *s, const void *images, const uint32_t *labels, double *seconds)
{
    *seconds = 1e30;
    for (int i = 0; i < 4; i++) {
        an_exec_result result;
        uint64_t start = an_clock_ns();
        int rc = an_exec_step(s->exec, &(an_images){.pixels = images}, labels, (uint32_t)s->config->batch, (uint64_t)i,
                              &result);
        if (!rc)
            rc = an_exec_update(s->exec, &(an_sgd){.rate = 1e-6, .bias_rate_scale = 1});
        if (!rc)
            rc = an_exec_wait(s->exec);
        if (rc)
            return rc;
        double took = an_clock_seconds_since(start);
        if (i > 0 && took < *seconds) /* the first one warms up */
            *seconds = took;
    }
    return AN_OK;
}

static int time_steps(an_session *s, const void *images, const uint32_t *labels, step_times *out)
{
    int rc = time_step(s, images, labels, &out->seconds);
    if (rc || !an_exec_replays(s->exec))
        return rc;
    an_exec_replay_set(s->exec, false);
    rc = time_step(s, images, labels, &out->walked);
    an_exec_replay_set(s->exec, true);
    return rc;
}

static int measure(an_session *s, step_times *times)
{
    an_format format = an_exec_input_format(s->exec);
    size_t side = (size_t)s->config->crop;
    size_t bytes = side * side * (size_t)format.channels * an_dtype_size(format.dtype) * (size_t)s->config->batch;
    void *images = NULL;
    uint32_t *labels = calloc((size_t)s->config->batch, sizeof(*labels));
    int rc =
        labels ? an_exec_images_alloc(s->exec, &images, bytes) : an_error(AN_ENOMEM, "out of memory for blank images");
    if (!rc)
        rc = an_session_start_weights(s);
    if (!rc)
        rc = time_steps(s, images, labels, times);
    if (images)
        an_exec_images_free(s->exec, images, bytes);
    free(labels);
    return rc;
}

/* Each layer's parameters, work and memory, and their sums for each device. */
static int print_layers(an_exec *exec, an_buffer *out)
{
    an_exec_layer sum[AN_GRAPH_DEVICES] = {0};
    int devices = 0;
    int rc =
        an_buffer_printf(out, "%-10s %-8s %6s %12s %10s %9s\n", "layer", "kind", "device", "parameters", "MFLOP", "MB");
    for (int i = 0; !rc && i < an_exec_layer_count(exec); i++) {
        an_exec_layer layer;
        an_exec_layer_get(exec, i, &layer);
        rc = an_buffer_printf(out, "%-10s %-8s %6d %12" PRIu64 " %10.1f %9.1f\n", layer.name, layer.kind, layer.device,
                              layer.parameters, layer.flop * 1e-6, (double)layer.memory * 1e-6);
        sum[layer.device].parameters += layer.parameters;
        sum[layer.device].flop += layer.flop;
        sum[layer.device].memory += layer.memory;
        devices = layer.device >= devices ? layer.device + 1 : devices;
    }
    for (int i = 0; !rc && i < devices; i++)
        rc = an_buffer_printf(out, "%-10s %8s %6d %12" PRIu64 " %10.1f %9.1f\n", "sum", "", i, sum[i].parameters,
                              sum[i].flop * 1e-6, (double)sum[i].memory * 1e-6);
    return rc;
}

/* How much faster a recorded graph of a step is replayed. Nothing on devices that know no graphs. */
static int print_replays(const an_session *s, const step_times *times, an_buffer *out)
{
    const char *refusal = an_exec_replay_refusal(s->exec);
    if (refusal)
        return an_buffer_printf(out, "graphs      none, steps are queued operation by operation: %s\n", refusal);
    if (times->walked == 0)
        return AN_OK;
    return an_buffer_printf(out, "graphs      %.3f ms a step; queued operation by operation %.3f ms\n",
                            times->seconds * 1e3, times->walked * 1e3);
}

int an_session_dry_run(an_session *s, an_buffer *out)
{
    step_times times = {0};
    int rc = print_layers(s->exec, out);
    if (!rc)
        rc = an_buffer_printf(out, "\n");
    if (!rc)
        rc = an_exec_describe(s->exec, out);
    if (!rc)
        rc = measure(s, &times);
    if (rc)
        return rc;
    double flop = 3 * an_graph_flop(&s->graph) * s->config->batch, seconds = times.seconds;
    rc = an_buffer_printf(out,
                          "\nsteps       %" PRIu64 ", %" PRIu64
                          " an epoch\nspeed       %.3f s a step of %d images without "
                          "loading: %.1f images/s, %.0f GFLOP/s; all steps in %.1f hours\n",
                          s->total_steps, s->steps_per_epoch, seconds, s->config->batch, s->config->batch / seconds,
                          flop / seconds * 1e-9, seconds * (double)s->total_steps / 3600);
    return rc ? rc : print_replays(s, &times, out);
}
