#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/program/options.h"
#include "base/program/print.h"
#include "ingest/commands/commands.h"
#include "ingest/commands/info.h"

typedef struct {
    bool json, classes;
} info_config;

static const an_option table[] = {
    {.name = "json", .type = AN_OPTION_FLAG, .offset = offsetof(info_config, json), .help = "as one JSON object"},
    {.name = "classes",
     .type = AN_OPTION_FLAG,
     .offset = offsetof(info_config, classes),
     .help = "list every class with its number of images"},
    {0},
};

static const an_options spec = {
    .program = "an-ingest info",
    .usage = "DATASET",
    .summary =
        "Say what a dataset holds: records, classes, codecs, sizes, statistics, what it was made from, and what was "
        "set aside and why.",
    .options = table,
    .arguments_min = 1,
    .arguments_max = 1,
};

static int print_json(const an_dataset *dataset)
{
    json_t *object;
    int rc = an_info_json(dataset, &object);
    if (rc)
        return rc;
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
    putchar('\n');
    json_decref(object);
    return AN_OK;
}

static int print_text(const an_dataset *dataset, bool classes)
{
    an_buffer text = {0};
    int rc = an_info_text(dataset, classes, &text);
    if (!rc)
        an_print("%s", (const char *)text.data);
    an_buffer_free(&text);
    return rc;
}

int an_ingest_command_info(int argc, char **argv)
{
    info_config config;
    char **arguments;
    an_dataset *dataset;
    int rc = an_options_init(&spec, &config);
    if (!rc)
        rc = an_options_parse(&spec, argc, argv, &config, &arguments);
    if (!rc)
        rc = an_dataset_open(&dataset, arguments[0]);
    if (rc)
        return rc;
    rc = config.json ? print_json(dataset) : print_text(dataset, config.classes);
    an_dataset_free(dataset);
    return rc;
}
