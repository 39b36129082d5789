#include "base/program/stop.h"
#include "ingest/commands/commands.h"

int an_ingest_command_open(const an_options *spec, int argc, char **argv, void *config, char ***arguments,
                           an_dataset **dataset)
{
    int rc = an_options_init(spec, config);
    if (!rc)
        rc = an_options_parse(spec, argc, argv, config, arguments);
    if (!rc)
        rc = an_stop_install();
    an_stop_at_once(true);
    if (!rc)
        rc = an_dataset_open(dataset, (*arguments)[0]);
    an_stop_at_once(false);
    return rc;
}
