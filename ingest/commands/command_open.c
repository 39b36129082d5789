#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/program/stop.h"
#include "ingest/commands/commands.h"

static bool is_quality(const char *text)
{
    return *text && !text[strspn(text, "0123456789")];
}

int an_ingest_command_check_quiet(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "-q", 2) != 0)
            continue;
        const char *value = argv[i][2] || i + 1 == argc ? argv[i] + 2 : argv[i + 1];
        if (is_quality(value) && (argv[i][2] || access(value, F_OK) != 0))
            return an_error(AN_EINVAL, "-q is --quiet: for a JPEG quality of %s write -Q %s", value, value);
    }
    return AN_OK;
}

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
