#include "base/program/stop.h"
#include "ingest/commands/commands.h"

int an_ingest_command_open(const an_options *spec, int argc, char **argv, void *config, char ***arguments,
                           an_dataset **dataset)
{
    int error = an_options_init(spec, config);
    if (!error)
        error = an_options_parse(spec, argc, argv, config, arguments);
    if (!error)
        error = an_stop_install();
    if (!error)
        error = an_dataset_open(dataset, (*arguments)[0]);
    return error;
}
