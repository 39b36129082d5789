#include "train/setup/session.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/program/log.h"
#include "base/program/progress.h"
#include "train/replicas/agree.h"
#include "train/replicas/processors.h"
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

static bool on_gpus(const an_session *s)
{
    return strncmp(s->config->devices, "cuda", 4) == 0;
}

/* Whether records, crops and devices are of the kinds that decoders are for. A block of records has no parts. */
static bool suits_decoders(const an_session *s)
{
    an_codec codec;
    bool coef = an_dataset_codec(s->data.training, &codec) && codec == AN_CODEC_COEF;
    bool whole = s->config->resized <= 0 && s->config->accumulate == 1;
    return coef && whole && on_gpus(s);
}

bool an_session_could_decode(const an_session *s)
{
    bool here = an_session_decodes(s, s->data.training) == AN_DECODE_HOST;
    return here && suits_decoders(s);
}

static int open_decoding(an_session *s)
{
    an_train_decoding_options options = {.devices = s->config->devices,
                                         .batch = (uint32_t)s->share.batch,
                                         .side = an_dataset_side(s->data.training),
                                         .crop = (uint32_t)s->config->crop};
    /* Where devices cannot decode, auto says nothing: it was not asked for. */
    bool choose = s->config->decode == AN_TRAIN_DECODE_AUTO && suits_decoders(s);
    if (s->config->decode != AN_DECODE_DEVICE && !choose)
        return AN_OK;
    int rc = an_train_data_block(&s->data, s->config, &s->share, &options.block);
    if (rc)
        return rc;
    rc = an_train_decoding_create(&s->decoding, &options);
    return rc && !choose ? an_error_prefix(rc, "--decode device") : AN_OK;
}

bool an_session_measures_decoding(const an_session *s)
{
    return s->config->decode == AN_TRAIN_DECODE_AUTO && s->decoding && !s->group;
}

static an_train_load load_from(const an_session *s, an_decode_place decode, uint64_t step)
{
    uint64_t epoch = an_epochs_done(&s->epochs, step);
    return (an_train_load){.share = s->share,
                           .threads = s->loader_threads,
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
    if (!s->config->quiet && an_group_rank(s->group) == 0) {
        s->choices.told = choosing_told;
        s->choices.context = &c;
    }
    int rc = an_exec_create(&s->exec, &s->graph, options);
    s->choices.told = NULL;
    if (c.done)
        an_progress_finish(&c.progress, c.done, NULL);
    return rc;
}

/* Gradients are summed over ranks where there are any, and where something is to be learnt. */
static int open_reducer(const an_session *s, const an_reducer **out)
{
    *out = NULL;
    an_group_reduce_options options = {.processors = !on_gpus(s),
                                       .devices = s->config->devices,
                                       .bf16 = s->config->transport == AN_TRANSPORT_BF16,
                                       .deterministic = s->config->deterministic,
                                       .bucket_bytes = (uint64_t)s->config->bucket * 1000000};
    return s->config->dry_run ? AN_OK : an_group_reducer(s->group, &options, out);
}

/* Kernels are measured by rank 0 alone: equal ranks must take equal ones, and those that share a GPU would disturb each
 * other. */
static int create_in_turn(an_session *s, const an_exec_options *options)
{
    bool first = an_group_rank(s->group) == 0;
    int rc = first ? an_engines_load(&s->choices, s->config->run, &s->notes) : AN_OK;
    if (!rc && !first && on_gpus(s))
        rc = an_replicas_spread_choices(s->group, &s->choices);
    if (!rc)
        rc = create_exec(s, options);
    if (!rc && first && on_gpus(s))
        rc = an_replicas_spread_choices(s->group, &s->choices);
    if (rc && first) /* what was found wrong with kernels may explain the failure */
        an_log_lines(AN_LOG_WARNING, (const char *)s->notes.data, s->notes.size);
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
        an_network_exec_options(s->config, s->config->devices, s->compute_threads, s->share.batch, true);
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
    rc = open_reducer(s, &options.reducer);
    if (!rc)
        rc = create_in_turn(s, &options);
    if (rc == AN_EUNSUPPORTED)
        return AN_EIO; /* it is this machine that lacks something, not the data */
    if (rc)
        return rc == AN_EINVAL ? an_error_prefix(rc, "--devices %s", s->config->devices) : rc;
    return an_group_rank(s->group) ? AN_OK : an_engines_save_cache(&s->choices, &s->notes);
}

int an_session_open(an_session *out, const an_train_config *config, an_group *group, const char *training,
                    const char *const *validations)
{
    int world = an_group_world(group);
    *out =
        (an_session){.config = config, .group = group, .share = {an_group_rank(group), world, config->batch / world}};
    int rc = an_replica_processors(group, &out->processors, &out->notes);
    if (rc)
        return rc;
    out->compute_threads = config->compute_threads ? config->compute_threads : out->processors;
    rc = an_train_data_open(&out->data, config, training, validations);
    if (!rc)
        rc = an_session_compare(out);
    if (!rc) {
        an_session_count_steps(out);
        rc = open_decoding(out);
    }
    if (!rc)
        rc = open_exec(out);
    if (rc) {
        an_session_close(out);
        return rc;
    }
    out->loader_threads =
        an_train_loader_threads_rule(out->processors, an_exec_on_processors(out->exec), config->loader_threads);
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

/* Where epochs end with a short step, that may have no image for this rank. */
static bool counts_alike(const an_session *s, const an_loader *loader)
{
    bool fewer = s->share.rank > 0 && s->epochs.last == AN_LAST_SHORT;
    return fewer || an_loader_steps_per_epoch(loader) == an_epochs_steps(&s->epochs, 1);
}

int an_session_loader(const an_session *s, uint64_t step, an_loader **out)
{
    an_train_load load = load_from(s, an_session_decodes(s, s->data.training), step);
    int rc = an_train_data_loader(&s->data, s->config, s->exec, &load, out);
    if (rc || counts_alike(s, *out))
        return rc;
    rc = an_error(AN_EINTERNAL, "the loader counts %" PRIu64 " steps an epoch, the trainer %" PRIu64,
                  an_loader_steps_per_epoch(*out), an_epochs_steps(&s->epochs, 1));
    an_loader_free(*out);
    *out = NULL;
    return rc;
}
