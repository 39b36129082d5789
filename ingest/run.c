#include "ingest/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/thread.h"
#include "ingest/manifest.h"
#include "ingest/report.h"

typedef struct {
    const an_ingest_config *config;
    const char *destination;
    an_source *source;
    an_bad_limit limit;
    an_pipeline_options pipeline;
    an_progress progress;
    an_ingest_outcome *outcome;
} run;

static int make_options(run *r)
{
    const an_ingest_config *config = r->config;
    an_pipeline_options *options = &r->pipeline;
    *options = (an_pipeline_options){
        .recorder = {.picture = {.side = (uint32_t)config->size,
                                 .filter = (an_filter)config->filter,
                                 .pixels_max = config->pixels_max,
                                 .accept_truncated = config->accept_truncated},
                     .codec = {.quality = config->quality, .subsampling = (an_jpeg_subsampling)config->subsampling},
                     .seed = config->seed},
        .threads = config->threads ? config->threads : an_thread_cpu_count(),
    };
    int error = an_codec_choice_parse(config->codec, &options->recorder.codec.codec, &options->recorder.raw_share);
    return error ? error : an_bad_limit_parse(config->max_bad, &r->limit);
}

/* Names for people: --class-names, or classes.tsv in the source folder. */
static int name_classes(run *r, const char *source)
{
    an_classes names = {0};
    an_buffer path = {0};
    int error = r->config->class_names ? an_buffer_printf(&path, "%s", r->config->class_names)
                                       : an_buffer_printf(&path, "%s/classes.tsv", source);
    if (!error && (r->config->class_names || access((char *)path.data, R_OK) == 0)) {
        error = an_classes_read(&names, (char *)path.data);
        if (!error)
            error = an_classes_name(&r->source->classes, &names, &r->outcome->names);
    }
    an_classes_free(&names);
    an_buffer_free(&path);
    return error;
}

static int open_source(run *r, const char *path)
{
    an_classes given = {0};
    an_source_options options = {.path = path,
                                 .kind = r->config->kind,
                                 .labels = r->config->labels,
                                 .synsets = r->config->synsets,
                                 .devkit = r->config->devkit,
                                 .shuffle = r->config->order == AN_ORDER_SHUFFLED,
                                 .seed = r->config->seed};
    int error = AN_OK;
    if (r->config->classes_from) {
        options.classes = &given;
        error = an_classes_from(&given, r->config->classes_from);
    }
    if (!error)
        error = an_source_open(&r->source, &options);
    if (!error)
        error = name_classes(r, path);
    an_classes_free(&given);
    return error;
}

static int over_limit(const run *r, const an_pipeline_state *state)
{
    uint64_t items = r->source->items ? r->source->items : state->consumed;
    if (state->set_aside <= an_bad_limit_of(&r->limit, items))
        return AN_OK;
    return an_error(AN_ECORRUPT,
                    "%llu of %llu inputs are unusable, more than --max-bad %s allows: see '%s.rejected.ndjson', mend them "
                    "or run again with a higher limit (the work so far is kept)",
                    (unsigned long long)state->set_aside, (unsigned long long)state->consumed, r->config->max_bad,
                    r->destination);
}

static int watch(void *context, const an_pipeline_state *state)
{
    run *r = context;
    char note[48] = "";
    if (state->set_aside)
        snprintf(note, sizeof(note), "%llu set aside", (unsigned long long)state->set_aside);
    an_progress_update(&r->progress, state->consumed, *note ? note : NULL);
    return r->source->items ? over_limit(r, state) : AN_OK; /* of a stream: at the end */
}

static int put_classes(an_writer *writer, const an_classes *classes)
{
    int error = AN_OK;
    for (uint32_t i = 0; i < classes->count && !error; i++) {
        const an_class_entry *entry = &classes->entries[i];
        error = an_writer_class(writer, i, entry->id, entry->name ? entry->name : entry->id);
    }
    return error;
}

/* Everything between an open writer and a dataset that only has to be given its name. */
static int fill(run *r, an_writer *writer, an_statistics_sums *sums)
{
    an_pipeline_state *state = &r->outcome->state;
    int error = put_classes(writer, &r->source->classes);
    if (error)
        return error;
    r->outcome->first = an_writer_position(writer);
    an_progress_start(&r->progress, "ingest", "images", r->outcome->first, r->source->items, r->config->quiet);
    error = an_pipeline_run(r->source, writer, sums, &r->pipeline, watch, r, state);
    an_progress_finish(&r->progress, state->consumed, NULL);
    if (!error)
        error = over_limit(r, state);
    if (!error && !state->images)
        error = an_error(AN_ECORRUPT, "none of %llu inputs is a usable image: see '%s.rejected.ndjson'",
                         (unsigned long long)state->consumed, r->destination);
    if (error && error != AN_ECORRUPT)
        return error;
    an_error_state failure;
    an_error_save(&failure, error);
    int report_error = an_report_write(writer, r->destination, &r->outcome->report);
    return report_error ? report_error : error ? an_error_restore(&failure) : AN_OK;
}

static int write_dataset(run *r, const char *manifest)
{
    an_writer *writer;
    an_statistics_sums sums;
    int error = an_statistics_sums_init(&sums, r->pipeline.recorder.picture.side);
    if (error)
        return error;
    error = an_writer_open(&writer, r->destination, manifest, r->pipeline.recorder.picture.side, &sums);
    if (!error) {
        error = fill(r, writer, &sums);
        if (error)
            an_writer_close(writer);
        else
            error = an_writer_finish(writer);
    }
    an_statistics_sums_free(&sums);
    return error;
}

static int run_all(run *r, const char *source)
{
    char *manifest = NULL;
    int error = make_options(r);
    if (!error && access(r->destination, F_OK) == 0)
        error = an_error(AN_EINVAL, "'%s' exists: remove it or choose another name", r->destination);
    if (!error)
        error = open_source(r, source);
    if (error)
        return error;
    r->outcome->items = r->source->items;
    r->outcome->classes = r->source->classes.count;
    error = an_manifest_make(r->config, r->source, &manifest);
    if (!error)
        error = write_dataset(r, manifest);
    free(manifest);
    return error;
}

int an_ingest_run(const an_ingest_config *config, const char *source, const char *destination,
                  an_ingest_outcome *outcome)
{
    memset(outcome, 0, sizeof(*outcome));
    run r = {.config = config, .outcome = outcome};
    uint64_t start = an_clock_ns();
    char *trimmed = strdup(destination);
    if (!trimmed)
        return an_error(AN_ENOMEM, "out of memory");
    for (size_t n = strlen(trimmed); n > 1 && trimmed[n - 1] == '/';)
        trimmed[--n] = 0;
    r.destination = trimmed;
    int error = run_all(&r, source);
    outcome->seconds = an_clock_seconds_since(start);
    an_source_free(r.source);
    free(trimmed);
    return error;
}

void an_ingest_outcome_free(an_ingest_outcome *outcome)
{
    an_buffer_free(&outcome->report);
}
