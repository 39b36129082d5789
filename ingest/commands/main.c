#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/program/commit.h"
#include "base/program/fault.h"
#include "base/program/fonts.h"
#include "base/program/log.h"
#include "base/program/streams.h"
#include "base/program/version.h"
#include "ingest/commands/commands.h"
#include "store/dataset/dataset.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"info", an_ingest_command_info},     {"verify", an_ingest_command_verify},
    {"export", an_ingest_command_export}, {"stats", an_ingest_command_stats},
    {"sheet", an_ingest_command_sheet},   {"transcode", an_ingest_command_transcode},
};

static int run_command(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return an_ingest_command_ingest(argc, argv);
}

static an_version_libraries *const libraries[] = {an_dataset_libraries, NULL};

int main(int argc, char **argv)
{
    int rc = an_streams_open();
    an_fonts_install();
    an_version_declare(AN_COMMIT, libraries);
    an_log_init("an-ingest", AN_LOG_INFO);
    an_fault_install("an-ingest");
    if (!rc)
        rc = run_command(argc, argv);
    if (rc < 0)
        an_log(AN_LOG_ERROR, "%s", an_error_message());
    if (fflush(stdout) && rc >= 0) {
        an_log(AN_LOG_ERROR, "cannot write to standard output");
        return AN_EXIT_FAILURE;
    }
    return an_error_exit_code(rc);
}
