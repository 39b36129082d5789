#include <jansson.h>
#include <stdio.h>

#include "base/error.h"
#include "ingest/commands/commands.h"
#include "ingest/commands/info.h"
#include "ingest/commands/recompute.h"

typedef struct {
    int threads;
    bool json, quiet;
} stats_config;

static const an_option table[] = {
    {.name = "threads",
     .key = 't',
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "0",
     .min = 0,
     .max = 1024,
     .offset = offsetof(stats_config, threads),
     .help = "0: one for each processor"},
    {.name = "json", .type = AN_OPTION_FLAG, .offset = offsetof(stats_config, json), .help = "as one JSON object"},
    {.name = "quiet",
     .key = 'q',
     .type = AN_OPTION_FLAG,
     .offset = offsetof(stats_config, quiet),
     .help = "no progress"},
    {0},
};

static const an_options spec = {
    .program = "an-ingest stats",
    .usage = "DATASET",
    .summary =
        "Compute the statistics again from the records as they decode, and show them beside those that were stored "
        "while ingesting (which saw the pixels before they were encoded).",
    .options = table,
    .arguments_min = 1,
    .arguments_max = 1,
};

static int print_text(const an_statistics *stored, const an_statistics *now)
{
    an_buffer text = {0};
    int rc = an_buffer_printf(&text, "stored while ingesting\n");
    if (!rc)
        rc = an_info_statistics_text(stored, &text);
    if (!rc)
        rc = an_buffer_printf(&text, "from the records as they decode\n");
    if (!rc)
        rc = an_info_statistics_text(now, &text);
    if (!rc)
        fwrite(text.data, 1, text.size, stdout);
    an_buffer_free(&text);
    return rc;
}

static int print_json(const an_statistics *stored, const an_statistics *now)
{
    json_t *object =
        json_pack("{so, so}", "stored", an_info_statistics_json(stored), "decoded", an_info_statistics_json(now));
    if (!object)
        return an_error(AN_ENOMEM, "out of memory for the statistics");
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
    putchar('\n');
    json_decref(object);
    return AN_OK;
}

int an_ingest_command_stats(int argc, char **argv)
{
    stats_config config;
    char **arguments;
    an_dataset *dataset;
    an_statistics now = {0};
    int rc = an_ingest_command_open(&spec, argc, argv, &config, &arguments, &dataset);
    if (rc)
        return rc;
    rc = an_recompute(dataset, config.threads, config.quiet, &now);
    if (!rc)
        rc = (config.json ? print_json : print_text)(an_dataset_statistics(dataset), &now);
    an_statistics_free(&now);
    an_dataset_free(dataset);
    return rc;
}
