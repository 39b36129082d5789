#include <stdio.h>

#include "base/error.h"
#include "base/program/log.h"
#include "base/program/print.h"
#include "ingest/commands/commands.h"
#include "ingest/commands/export.h"

static const an_option table[] = {
    {.name = "first",
     .type = AN_OPTION_UINT64,
     .metavar = "N",
     .initial = "0",
     .offset = offsetof(an_export_options, first),
     .help = "index of the first record"},
    {.name = "count",
     .key = 'n',
     .type = AN_OPTION_UINT64,
     .metavar = "N",
     .initial = "0",
     .offset = offsetof(an_export_options, count),
     .help = "number of records, 0: to the end"},
    {.name = "quiet",
     .key = 'q',
     .type = AN_OPTION_FLAG,
     .offset = offsetof(an_export_options, quiet),
     .help = "no progress"},
    {0},
};

static const an_options spec = {
    .program = "an-ingest export",
    .usage = "DATASET FOLDER",
    .summary =
        "Write records back to files, FOLDER/CLASS/INDEX.jpg: jpeg records byte for byte, coef records with the same "
        "coefficients, others as PNG. The folder can be ingested again.",
    .options = table,
    .arguments_min = 2,
    .arguments_max = 2,
};

int an_ingest_command_export(int argc, char **argv)
{
    an_export_options options;
    char **arguments;
    uint64_t written;
    an_dataset *dataset;
    int rc = an_ingest_command_open(&spec, argc, argv, &options, &arguments, &dataset);
    if (rc)
        return rc;
    rc = an_export(dataset, arguments[1], &options, &written);
    if (!rc && !options.quiet)
        an_print("%s: %llu records\n", arguments[1], (unsigned long long)written);
    bool keeps = true;
    if (!rc)
        rc = an_export_keeps_labels(dataset, &keeps);
    if (!rc && !keeps)
        an_log(AN_LOG_WARNING,
               "the order of the classes is not that of their names: to keep the labels when '%s' is ingested again, "
               "give --classes-from '%s/classes.tsv'",
               arguments[1], arguments[1]);
    an_dataset_free(dataset);
    return rc;
}
