#include "ingest/run/run.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/program/progress.h"
#include "base/program/stop.h"
#include "ingest/run/again_private.h"
#include "ingest/run/destination_private.h"
#include "ingest/run/manifest_private.h"
#include "ingest/run/report_private.h"
#include "ingest/run/setup_private.h"

typedef struct {
    const an_ingest_config *config;
    const char *destination;
    an_setup setup;
    an_progress progress;
    an_ingest_outcome *outcome;
} run;

static int over_limit(const run *r, const an_pipeline_state *state)
{
    uint64_t items = r->setup.source->items ? r->setup.source->items : state->consumed;
    if (state->set_aside <= an_bad_limit_of(&r->setup.limit, items))
        return AN_OK;
    const char *limit = r->config->max_bad;
    unsigned long long bad = state->set_aside, all = state->consumed;
    if (r->setup.source->operations->skip)
        return an_error(AN_ECORRUPT,
                        "%llu of %llu inputs are unusable, more than --max-bad %s allows: see '%s.rejected.ndjson', "
                        "mend them and run again, which reads them anew, or run again with a higher limit (the work so "
                        "far is kept)",
                        bad, all, limit, r->destination);
    /* The bytes of a stream have passed: what was set aside stays so. */
    return an_error(AN_ECORRUPT,
                    "%llu of %llu inputs are unusable, more than --max-bad %s allows: see '%s.rejected.ndjson', mend "
                    "them, remove '%s.partial' and start anew, or run again with a higher limit (the work so far is "
                    "kept)",
                    bad, all, limit, r->destination, r->destination);
}

static int watch(void *context, const an_pipeline_state *state)
{
    run *r = context;
    r->progress.counted = state->set_aside;
    an_progress_update(&r->progress, state->consumed, NULL);
    return r->setup.source->items ? over_limit(r, state)
                                  : AN_OK; /* how many items a stream has is known only at its end */
}

static int put_classes(an_writer *writer, const an_classes *classes)
{
    int rc = AN_OK;
    for (uint32_t i = 0; i < classes->count && !rc; i++) {
        const an_class_entry *entry = &classes->entries[i];
        rc = an_writer_class(writer, i, entry->id, entry->name ? entry->name : entry->id);
    }
    return rc;
}

static void start_progress(run *r, uint64_t set_aside)
{
    bool quiet = r->config->quiet || r->config->progress == AN_PROGRESS_NONE;
    an_progress_start(&r->progress, "ingest", "images", r->outcome->first, r->setup.source->items, quiet);
    r->progress.counter = "set aside";
    r->progress.counted = set_aside;
    if (r->config->progress == AN_PROGRESS_JSON)
        an_progress_as_json(&r->progress);
}

/* From an open writer to a dataset that is complete but for its name. */
static int fill(run *r, an_writer *writer, an_statistics_sums *sums)
{
    an_pipeline_state *state = &r->outcome->state;
    int rc = put_classes(writer, &r->setup.source->classes);
    if (rc)
        return rc;
    r->outcome->first = an_writer_position(writer);
    start_progress(r, an_writer_rejects(writer));
    rc = an_pipeline_run(r->setup.source, writer, sums, &r->setup.pipeline, watch, r, state);
    r->progress.counted = state->set_aside;
    an_progress_finish(&r->progress, state->consumed, NULL);
    if (!rc)
        rc = over_limit(r, state);
    if (!rc && !state->consumed) /* of a stream: others are not opened without images */
        rc = an_error(AN_ECORRUPT, "no images on standard input");
    if (!rc && !state->images)
        rc = an_error(AN_ECORRUPT, "none of %llu inputs is a usable image: see '%s.rejected.ndjson'",
                      (unsigned long long)state->consumed, r->destination);
    if (rc && rc != AN_ECORRUPT)
        return rc;
    an_error_state failure;
    an_error_save(&failure, rc);
    int report_rc = an_ingest_report_write(writer, r->destination, &r->outcome->report);
    return report_rc ? report_rc : rc ? an_error_restore(&failure) : AN_OK;
}

static int write_dataset(run *r, const char *manifest)
{
    an_writer *writer;
    an_statistics_sums sums;
    int rc = an_statistics_sums_init(&sums, r->setup.pipeline.recorder.picture.side);
    if (rc)
        return rc;
    an_mended mended = {.config = r->config, .source = r->setup.source, .destination = r->destination};
    rc = an_writer_open_mended(&writer, r->destination, manifest, r->setup.pipeline.recorder.picture.side, &sums,
                               &(an_writer_mending){an_mended_manifest, &mended});
    if (!rc) {
        rc = an_mended_remember(&mended, writer);
        if (!rc)
            rc = fill(r, writer, &sums);
        if (!rc)
            rc = an_mended_forget(&mended);
        if (rc)
            an_writer_close(writer);
        else
            rc = an_writer_finish(writer);
    }
    an_statistics_sums_free(&sums);
    return rc;
}

static int run_all(run *r, const char *source)
{
    char *manifest = NULL;
    an_stop_at_once(true); /* looking at the source takes long and leaves nothing behind */
    int rc = an_setup_options(&r->setup, r->config);
    if (!rc)
        rc = an_destination_check(source, r->destination);
    if (!rc)
        rc = an_setup_source(&r->setup, r->config, source);
    an_stop_at_once(false);
    if (rc)
        return rc;
    an_setup_show_notes(&r->setup);
    r->outcome->classes = r->setup.source->classes.count;
    rc = an_ingest_manifest_make(r->config, r->setup.source, &manifest);
    if (!rc)
        rc = write_dataset(r, manifest);
    an_setup_show_notes(&r->setup); /* of a stream: it has seen all by now */
    free(manifest);
    return rc;
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
    int rc = run_all(&r, source);
    outcome->seconds = an_clock_seconds_since(start);
    an_setup_free(&r.setup);
    free(trimmed);
    return rc;
}

void an_ingest_outcome_free(an_ingest_outcome *outcome)
{
    an_buffer_free(&outcome->report);
}
