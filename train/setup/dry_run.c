/* What a session says of itself: a few lines at the beginning of a log, and what --dry-run prints. */
#include "train/setup/session.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/error.h"
#include "base/rng.h"
#include "model/nets/nets.h"
#include "train/setup/step_time.h"

/* ---- A few lines ---- */

static int describe_decoding(const an_session *s, an_buffer *out)
{
    int rc = AN_OK;
    if (s->decoding && !s->host_decodes)
        rc = an_buffer_printf(out, "decoding    on %s, with %.0f MB there\n", s->config->devices,
                              (double)an_train_decoding_memory(s->decoding) * 1e-6);
    else if (s->decoding)
        rc = an_buffer_printf(out, "decoding    by the loader threads\n");
    if (rc || s->rates.host <= 0)
        return rc;
    return an_buffer_printf(out,
                            "            chosen by measuring: the host decodes %.0f images/s, the network takes about "
                            "%.0f\n",
                            s->rates.host, s->rates.network);
}

static int describe_sets(const an_session *s, an_buffer *out)
{
    int rc = AN_OK;
    for (int i = 0; i < s->data.set_count && !rc; i++) {
        const an_train_set *set = &s->data.sets[i];
        rc = an_buffer_printf(out, "%-12s%s: %" PRIu64 " images", i ? "" : "validation", an_dataset_path(set->dataset),
                              an_dataset_count(set->dataset));
        if (!rc && s->data.set_count > 1)
            rc = an_buffer_printf(out, ", told as %s%s", set->name,
                                  i ? "" : ": it decides about schedule and best checkpoint");
        if (!rc)
            rc = an_buffer_printf(out, "\n");
    }
    return rc;
}

static int describe_ranks(const an_session *s, an_buffer *out)
{
    int rc = an_buffer_printf(out, "            as rank 0 of ");
    if (!rc)
        rc = an_group_describe(s->group, out);
    return rc ? rc : an_buffer_printf(out, "; %d of the %d images of a step\n", s->share.batch, s->config->batch);
}

int an_session_describe(const an_session *s, an_buffer *out)
{
    const an_dataset *training = s->data.training;
    int rc = an_buffer_printf(out, "training    %s: %" PRIu64 " images, %d classes, %u px\n", an_dataset_path(training),
                              an_dataset_count(training), s->data.classes, an_dataset_side(training));
    if (!rc && s->data.subset)
        rc = an_buffer_printf(out, "            only %" PRIu64 " of them, also for validation\n", s->data.subset_count);
    if (!rc)
        rc = describe_sets(s, out);
    if (!rc)
        rc = an_buffer_printf(out, "network     %s at %d px, %" PRIu64 " parameters, %.2f GFLOP an image forward\n",
                              an_net_at(s->config->network)->title, s->config->crop, an_graph_parameters(&s->graph),
                              an_graph_flop(&s->graph) * 1e-9);
    if (!rc && s->learning < an_graph_parameters(&s->graph))
        rc = an_buffer_printf(out, "            %" PRIu64 " of the parameters learn, the others are frozen\n",
                              s->learning);
    if (!rc)
        rc = an_buffer_printf(out, "machine     %s; %d compute and %d loader threads; %.0f MB for the network\n",
                              an_cpu_describe(), s->compute_threads, s->loader_threads,
                              (double)an_exec_memory(s->exec) * 1e-6);
    if (!rc && s->group)
        rc = describe_ranks(s, out);
    return rc ? rc : describe_decoding(s, out);
}

/* ---- The dry run ---- */

typedef struct {
    double seconds; /* of a step */
    double walked;  /* of a step queued operation by operation; 0 if all steps are queued like that */
} step_times;

/* A batch of random images in the memory in which the loader would bring it. On images that are all zero a device
 * takes less power and can be faster than on real ones. */
typedef struct {
    an_images images;
    void *pixels, *draws;
    size_t pixels_size, draws_size;
    uint32_t *labels;
} random_batch;

static void batch_free(an_session *s, random_batch *b)
{
    if (b->pixels)
        an_exec_images_free(s->exec, b->pixels, b->pixels_size);
    if (b->draws)
        an_exec_images_free(s->exec, b->draws, b->draws_size);
    free(b->labels);
}

/* Pixels are bytes, or numbers between -1 and 1; of two bytes, between -2 and 2. */
static void pixels_fill(const random_batch *b, an_dtype dtype)
{
    an_rng rng = an_rng_make(0, AN_RNG_TEST, 0, 0);
    uint32_t *words = b->pixels;
    for (size_t i = 0; i < b->pixels_size / sizeof *words; i++) {
        uint32_t bits = an_rng_u32(&rng);
        float value = (float)bits / 2147483648.0F - 1;
        if (dtype == AN_DTYPE_F32)
            memcpy(&bits, &value, sizeof bits);
        words[i] = dtype == AN_DTYPE_BF16 || dtype == AN_DTYPE_F16 ? bits & 0xBFFFBFFFU : bits;
    }
}

static int batch_make(an_session *s, random_batch *out)
{
    an_format format = an_exec_input_format(s->exec);
    size_t side = (size_t)s->config->crop, batch = (size_t)s->share.batch;
    *out = (random_batch){.pixels_size = side * side * (size_t)format.channels * an_dtype_size(format.dtype) * batch,
                          .draws_size = batch * sizeof(an_image_draw),
                          .labels = calloc(batch, sizeof(*out->labels))};
    if (!out->labels)
        return an_error(AN_ENOMEM, "out of memory for random images");
    int rc = an_exec_images_alloc(s->exec, &out->pixels, out->pixels_size);
    if (!rc)
        rc = an_exec_images_alloc(s->exec, &out->draws, out->draws_size);
    if (rc)
        return rc;
    for (size_t i = 0; i < batch; i++)
        ((an_image_draw *)out->draws)[i] = AN_IMAGE_DRAW();
    pixels_fill(out, format.dtype);
    out->images = (an_images){.pixels = out->pixels, .draws = out->draws};
    return AN_OK;
}

static int time_ways(an_session *s, const random_batch *b, step_times *out)
{
    an_step_batch batch = {b->images, b->labels, (uint32_t)s->share.batch};
    int rc = an_step_time(s->exec, &batch, &out->seconds);
    if (rc || !an_exec_replays(s->exec))
        return rc;
    an_exec_replay_set(s->exec, false);
    rc = an_step_time(s->exec, &batch, &out->walked);
    an_exec_replay_set(s->exec, true);
    return rc;
}

static int measure(an_session *s, step_times *times)
{
    random_batch b = {0};
    int rc = batch_make(s, &b);
    if (!rc)
        rc = an_session_start_weights(s);
    if (!rc)
        rc = time_ways(s, &b, times);
    batch_free(s, &b);
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

/* Three digits of a time in milliseconds. */
static int digits_of(double seconds)
{
    return seconds < 1e-3 ? 3 : seconds < 1e-2 ? 2 : seconds < 0.1 ? 1 : 0;
}

/* How much faster a recorded graph of a step is replayed. Nothing on devices that know no graphs. */
static int print_replays(const an_session *s, const step_times *times, an_buffer *out)
{
    const char *refusal = an_exec_replay_refusal(s->exec);
    if (refusal)
        return an_buffer_printf(out, "graphs      none, steps are queued operation by operation: %s\n", refusal);
    if (times->walked == 0)
        return AN_OK;
    return an_buffer_printf(out, "graphs      %.*f ms a step; queued operation by operation %.*f ms\n",
                            digits_of(times->seconds), times->seconds * 1e3, digits_of(times->walked),
                            times->walked * 1e3);
}

/* What the steps come to. */
typedef struct {
    double images, gflop, hours; /* a second; a second; of all steps */
} step_rates;

static step_rates rates_of(const an_session *s, double seconds)
{
    double flop = 3 * an_graph_flop(&s->graph) * s->config->batch;
    return (step_rates){s->config->batch / seconds, flop / seconds * 1e-9, seconds * (double)s->total_steps / 3600};
}

static int print_speed(const an_session *s, const step_times *times, an_buffer *out)
{
    step_rates rates = rates_of(s, times->seconds);
    double each = an_epochs_each(&s->epochs);
    bool long_one = rates.hours >= 1, whole = each == floor(each);
    int rc = an_buffer_printf(
        out,
        "\nsteps       %" PRIu64 ", %.*f an epoch\nspeed       %.*f ms a step of %d images without loading: "
        "%.1f images/s, %.0f GFLOP/s; all steps in %.1f %s\n",
        s->total_steps, whole ? 0 : 2, each, digits_of(times->seconds), times->seconds * 1e3, s->config->batch,
        rates.images, rates.gflop, long_one ? rates.hours : 60 * rates.hours, long_one ? "hours" : "minutes");
    if (!rc && s->group)
        rc =
            an_buffer_printf(out, "            with %d images on each of %d ranks, if summing gradients took no time\n",
                             s->share.batch, s->share.world);
    return rc ? rc : print_replays(s, times, out);
}

/* One line: the same numbers. */
static int print_json(const an_session *s, const step_times *times, an_buffer *out)
{
    step_rates rates = rates_of(s, times->seconds);
    int rc = an_buffer_printf(out,
                              "{\"event\": \"dry_run\", \"parameters\": %" PRIu64 ", \"batch\": %d, \"steps\": %" PRIu64
                              ", \"steps_per_epoch\": %.10g, \"milliseconds\": %.4f, \"images_per_second\": %.1f, "
                              "\"gflop_per_second\": %.0f, \"hours\": %.4f",
                              an_graph_parameters(&s->graph), s->config->batch, s->total_steps,
                              an_epochs_each(&s->epochs), times->seconds * 1e3, rates.images, rates.gflop, rates.hours);
    if (!rc && times->walked > 0)
        rc = an_buffer_printf(out, ", \"milliseconds_without_graphs\": %.4f", times->walked * 1e3);
    return rc ? rc : an_buffer_printf(out, "}\n");
}

int an_session_dry_run(an_session *s, an_buffer *out)
{
    step_times times = {0};
    if (s->config->json) {
        int rc = measure(s, &times);
        return rc ? rc : print_json(s, &times, out);
    }
    int rc = print_layers(s->exec, out);
    if (!rc)
        rc = an_buffer_printf(out, "\n");
    if (!rc)
        rc = an_exec_describe(s->exec, out);
    if (!rc && s->remarks.size)
        rc = an_buffer_printf(out, "\n%.*s", (int)s->remarks.size, (const char *)s->remarks.data);
    if (!rc)
        rc = measure(s, &times);
    return rc ? rc : print_speed(s, &times, out);
}
