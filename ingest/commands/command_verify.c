#include <stdio.h>

#include "base/error.h"
#include "base/program/print.h"
#include "base/text/utf8.h"
#include "ingest/commands/commands.h"
#include "ingest/commands/verify.h"

typedef struct {
    int threads;
    bool quiet;
} verify_config;

static const an_option table[] = {
    {.name = "threads",
     .key = 't',
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "0",
     .min = 0,
     .max = 1024,
     .offset = offsetof(verify_config, threads),
     .help = "0: one for each processor"},
    {.name = "quiet",
     .key = 'q',
     .type = AN_OPTION_FLAG,
     .offset = offsetof(verify_config, quiet),
     .help = "print faults only"},
    {0},
};

static const an_options spec = {
    .program = "an-ingest verify",
    .usage = "DATASET",
    .summary =
        "Check a dataset from end to end: the file's pages, all five databases and their checksum, and each record's "
        "header, label, checksum and that it decodes. Every bad record is named.",
    .options = table,
    .arguments_min = 1,
    .arguments_max = 1,
};

static void print_faults(const an_dataset *dataset, const an_verify_faults *faults)
{
    for (uint64_t i = 0; i < faults->count; i++) {
        const char *name = "?";
        size_t length = 1;
        if (an_dataset_name(dataset, faults->entries[i].index, &name, &length))
            name = "?", length = 1;
        an_print("record %llu (%s): %s\n", (unsigned long long)faults->entries[i].index,
                 an_shown_make_sized(name, length).text, faults->entries[i].reason);
    }
}

static int verify(const an_dataset *dataset, const verify_config *config)
{
    an_verify_faults faults;
    uint64_t count = an_dataset_count(dataset);
    int rc = an_verify(dataset, config->threads, config->quiet, &faults);
    print_faults(dataset, &faults);
    if (!rc && faults.count)
        rc = an_error(AN_ECORRUPT, "'%s': %llu of %llu records are damaged", an_dataset_path(dataset),
                      (unsigned long long)faults.count, (unsigned long long)count);
    if (!rc && !config->quiet)
        an_print("%s: all %llu records are sound\n", an_dataset_path(dataset), (unsigned long long)count);
    an_verify_faults_free(&faults);
    return rc;
}

int an_ingest_command_verify(int argc, char **argv)
{
    verify_config config;
    char **arguments;
    an_dataset *dataset;
    int rc = an_ingest_command_open(&spec, argc, argv, &config, &arguments, &dataset);
    if (rc)
        return rc;
    rc = verify(dataset, &config);
    an_dataset_free(dataset);
    return rc;
}
