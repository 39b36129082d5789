/* The commands of the program an-ingest: parse arguments, call the library, print. argv[0] is the command's name. Each
 * returns a status, which main reports. */
#ifndef AN_INGEST_COMMANDS_COMMANDS_H
#define AN_INGEST_COMMANDS_COMMANDS_H

#include "base/program/options.h"
#include "ingest/run/config.h"
#include "store/dataset/dataset.h"

int an_ingest_command_ingest(int argc, char **argv);
int an_ingest_command_info(int argc, char **argv);
int an_ingest_command_verify(int argc, char **argv);
int an_ingest_command_export(int argc, char **argv);
int an_ingest_command_stats(int argc, char **argv);
int an_ingest_command_sheet(int argc, char **argv);
int an_ingest_command_transcode(int argc, char **argv);

/* For commands that go through a dataset: parse options into config, catch signals, open the dataset that the first
 * argument names. The caller frees dataset. */
int an_ingest_command_open(const an_options *spec, int argc, char **argv, void *config, char ***arguments,
                           an_dataset **dataset);

/* AN_EINVAL if the arguments use -q as it was used once, for --quality, which is -Q now; -q is --quiet everywhere. */
int an_ingest_command_check_quiet(int argc, char **argv);

/* Run an ingest, with signals caught, and print a summary. For ingest and transcode. */
int an_ingest_command_run(const an_ingest_config *config, const char *source, const char *destination);

#endif
