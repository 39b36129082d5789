#include <stdio.h>

#include "base/error.h"
#include "base/program/log.h"
#include "base/program/print.h"
#include "base/program/stop.h"
#include "ingest/commands/commands.h"
#include "ingest/run/estimate.h"
#include "ingest/run/run.h"
#include "ingest/sources/source.h"

static void print_summary(const an_ingest_outcome *outcome, const char *destination)
{
    const an_pipeline_state *state = &outcome->state;
    uint64_t now = state->consumed - outcome->first;
    an_print("%s: %llu images of %u classes, %.1f MB written in %.1f s (%.0f images/s)\n", destination,
             (unsigned long long)state->images, outcome->classes, (double)state->payload_bytes / 1e6, outcome->seconds,
             outcome->seconds > 0 ? (double)now / outcome->seconds : 0);
    if (state->passed)
        printf("%llu kept the bytes or coefficients of the source\n", (unsigned long long)state->passed);
    if (state->warnings)
        printf("%llu images had harmless JPEG warnings\n", (unsigned long long)state->warnings);
    if (state->mended)
        printf("%llu inputs that had been set aside are mended and taken\n", (unsigned long long)state->mended);
    if (state->set_aside)
        an_print("%llu inputs set aside: see %s\n", (unsigned long long)state->set_aside, outcome->report.data);
}

int an_ingest_command_run(const an_ingest_config *config, const char *source, const char *destination)
{
    an_ingest_outcome outcome;
    int rc = an_stop_install();
    if (rc)
        return rc;
    rc = an_ingest_run(config, source, destination, &outcome);
    if (!rc && !config->quiet)
        print_summary(&outcome, destination);
    if (rc == AN_STOPPED)
        an_log(AN_LOG_INFO, "interrupted after %llu inputs: the same command continues",
               (unsigned long long)outcome.state.consumed);
    an_ingest_outcome_free(&outcome);
    return rc;
}

static int estimate(const an_ingest_config *config, const char *source)
{
    an_buffer text = {0};
    int rc = an_ingest_estimate(config, source, &text);
    if (!rc)
        an_print("%s", (const char *)text.data);
    an_buffer_free(&text);
    return rc;
}

/* The end of the help text: the kinds of sources as their table says, then the examples. */
static int add_epilogue(an_buffer *out)
{
    int rc = an_buffer_printf(out, "Sources (--kind):\n");
    for (size_t i = 0; i < an_source_kind_count() && !rc; i++)
        rc = an_buffer_printf(out, "  %-9s  %s\n", an_source_kind_name(i), an_source_kind_description(i));
    return rc ? rc : an_buffer_printf(out, "\n%s", an_ingest_options.epilogue);
}

static int parse(int argc, char **argv, an_ingest_config *config, char ***arguments)
{
    an_options spec = an_ingest_options;
    an_buffer epilogue = {0};
    int rc = an_ingest_command_check_quiet(argc, argv);
    if (!rc)
        rc = add_epilogue(&epilogue);
    spec.epilogue = (const char *)epilogue.data;
    if (!rc)
        rc = an_options_init(&spec, config);
    if (!rc)
        rc = an_options_parse(&spec, argc, argv, config, arguments);
    an_buffer_free(&epilogue);
    return rc;
}

int an_ingest_command_ingest(int argc, char **argv)
{
    an_ingest_config config;
    char **arguments;
    int rc = parse(argc, argv, &config, &arguments);
    if (rc)
        return rc;
    if (config.dry_run)
        return estimate(&config, arguments[0]);
    if (!arguments[1])
        return an_error(AN_EINVAL, "no DESTINATION given: an-ingest SOURCE DESTINATION");
    return an_ingest_command_run(&config, arguments[0], arguments[1]);
}
