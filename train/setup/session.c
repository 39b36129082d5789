#include "train/setup/session.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/error.h"
#include "base/program/log.h"
#include "base/program/progress.h"
#include "model/nets/nets.h"
#include "train/setup/layer_rates.h"
#include "train/setup/network.h"
#include "train/state/checkpoint.h"
#include "train/state/engines.h"

void an_session_count_steps(an_session *s)
{
    s->epochs = (an_epochs){.images = s->data.subset ? s->data.subset_count : an_dataset_count(s->data.training),
                            .batch = (uint64_t)s->config->batch,
                            .last = an_train_config_last(s->config)};
    s->all_steps = s->total_steps = an_epochs_steps(&s->epochs, (uint64_t)s->config->epochs);
    if (s->config->steps && s->config->steps < s->total_steps)
        s->total_steps = s->config->steps;
}

/* Whether records, crops and devices are of the kinds that decoders are for. A block of records has no parts. */
static bool suits_decoders(const an_session *s)
{
    an_codec codec;
    bool coef = an_dataset_codec(s->data.training, &codec) && codec == AN_CODEC_COEF;
    bool whole = s->config->resized <= 0 && s->config->accumulate == 1;
    return coef && whole && strncmp(s->config->devices, "cuda", 4) == 0;
}

bool an_session_could_decode(const an_session *s)
{
    bool here = an_session_decodes(s, s->data.training) == AN_DECODE_HOST;
    return here && suits_decoders(s);
}

static int open_decoding(an_session *s)
{
    an_train_decoding_options options = {.devices = s->config->devices,
                                         .batch = (uint32_t)s->config->batch,
                                         .side = an_dataset_side(s->data.training),
                                         .crop = (uint32_t)s->config->crop};
    /* Where devices cannot decode, auto says nothing: it was not asked for. */
    bool choose = s->config->decode == AN_TRAIN_DECODE_AUTO && suits_decoders(s);
    if (s->config->decode != AN_DECODE_DEVICE && !choose)
        return AN_OK;
    int rc = an_train_data_block(&s->data, s->config, &options.block);
    if (rc)
        return rc;
    rc = an_train_decoding_create(&s->decoding, &options);
    return rc && !choose ? an_error_prefix(rc, "--decode device") : AN_OK;
}

bool an_session_measures_decoding(const an_session *s)
{
    return s->config->decode == AN_TRAIN_DECODE_AUTO && s->decoding;
}

static an_train_load load_from(const an_session *s, an_decode_place decode, uint64_t step)
{
    uint64_t epoch = an_epochs_done(&s->epochs, step);
    return (an_train_load){.threads = s->loader_threads,
                           .decode = decode,
                           .epoch = epoch,
                           .step = step - an_epochs_steps(&s->epochs, epoch)};
}

int an_session_choose_decoding(an_session *s, uint64_t step)
{
    an_train_load load = load_from(s, AN_DECODE_HOST, step);
    an_loader *loader = NULL;
    if (!an_session_measures_decoding(s))
        return AN_OK;
    int rc = an_train_data_loader(&s->data, s->config, s->exec, &load, &loader);
    if (rc)
        return rc;
    rc = an_decode_measure(loader, s->exec, &s->rates);
    an_loader_free(loader);
    if (rc) /* a damaged record, say: training is told of it at its own step */
        s->rates = (an_decode_rates){0};
    s->host_decodes = !rc && an_decode_rule(&s->rates) == AN_DECODE_HOST;
    return AN_OK;
}

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

an_decode_place an_session_decodes(const an_session *s, const an_dataset *dataset)
{
    bool same = an_dataset_side(dataset) == an_dataset_side(s->data.training);
    return s->decoding && !s->host_decodes && same ? AN_DECODE_DEVICE : AN_DECODE_HOST;
}

/* On a terminal: how many operations' kernels have been chosen by measuring. */
typedef struct {
    an_progress progress;
    uint64_t done;
} choosing;

static void choosing_told(void *context)
{
    choosing *c = context;
    if (!c->done++)
        an_progress_start(&c->progress, "choosing kernels", "operations", 0, 0, isatty(STDERR_FILENO) != 1);
    an_progress_update(&c->progress, c->done, NULL);
}

static int create_exec(an_session *s, const an_exec_options *options)
{
    choosing c = {0};
    if (!s->config->quiet) {
        s->choices.told = choosing_told;
        s->choices.context = &c;
    }
    int rc = an_exec_create(&s->exec, &s->graph, options);
    s->choices.told = NULL;
    if (c.done)
        an_progress_finish(&c.progress, c.done, NULL);
    return rc;
}

static int open_exec(an_session *s)
{
    int rc = an_network_build(s->config, s->data.classes, &s->graph);
    if (rc)
        return rc;
    an_layer_rates rates;
    rc = an_layer_rates_make(&rates, s->config, &s->graph);
    if (rc)
        return rc;
    s->learning = an_layer_rates_learning(&rates, &s->graph);
    an_exec_options options =
        an_network_exec_options(s->config, s->config->devices, s->compute_threads, s->config->batch, true);
    options.rate_scales = rates.scales;
    options.averages = s->config->ema > 0;
    options.parts = s->config->accumulate;
    an_conversion conversion = an_train_conversion(&s->data.input);
    options.conversion = &conversion;
    options.label_smoothing = s->config->label_smoothing;
    options.class_weights = s->data.class_weights;
    options.choices = &s->choices;
    options.notes = &s->notes;
    options.decoder = an_train_decoding_decoder(s->decoding);
    options.remarks = &s->remarks;
    rc = an_network_idle_options(s->config, &s->notes);
    if (rc)
        return rc;
    rc = an_engines_load(&s->choices, s->config->run, &s->notes);
    if (rc)
        return rc;
    rc = create_exec(s, &options);
    if (rc) /* what was found wrong with kernels may explain the failure */
        an_log_lines(AN_LOG_WARNING, (const char *)s->notes.data, s->notes.size);
    if (rc == AN_EUNSUPPORTED)
        return AN_EIO; /* it is this machine that lacks something, not the data */
    if (rc)
        return rc == AN_EINVAL ? an_error_prefix(rc, "--devices %s", s->config->devices) : rc;
    return an_engines_save_cache(&s->choices, &s->notes);
}

int an_session_open(an_session *out, const an_train_config *config, const char *training,
                    const char *const *validations)
{
    *out = (an_session){.config = config, .compute_threads = an_train_compute_threads(config->compute_threads)};
    int rc = an_train_data_open(&out->data, config, training, validations);
    if (rc)
        return rc;
    an_session_count_steps(out);
    rc = open_decoding(out);
    if (!rc)
        rc = open_exec(out);
    if (rc) {
        an_session_close(out);
        return rc;
    }
    out->loader_threads = an_train_loader_threads(out->exec, config->loader_threads);
    return AN_OK;
}

void an_session_close(an_session *session)
{
    an_exec_free(session->exec);
    session->exec = NULL;
    an_train_decoding_free(session->decoding);
    session->decoding = NULL;
    an_choices_free(&session->choices);
    an_buffer_free(&session->notes);
    an_buffer_free(&session->remarks);
    an_buffer_free(&session->origin);
    an_buffer_free(&session->doubts);
    an_train_data_close(&session->data);
}

int an_session_loader(const an_session *s, uint64_t step, an_loader **out)
{
    an_train_load load = load_from(s, an_session_decodes(s, s->data.training), step);
    uint64_t steps = an_epochs_steps(&s->epochs, 1);
    int rc = an_train_data_loader(&s->data, s->config, s->exec, &load, out);
    if (rc || an_loader_steps_per_epoch(*out) == steps)
        return rc;
    rc = an_error(AN_EINTERNAL, "the loader counts %" PRIu64 " steps an epoch, the trainer %" PRIu64,
                  an_loader_steps_per_epoch(*out), steps);
    an_loader_free(*out);
    *out = NULL;
    return rc;
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
    return rc ? rc : describe_decoding(s, out);
}
